"""The entries wanted at one close, weighed against each other: sized alike, scored, and admitted the best first.

Rules of this file: the order is total and depends on nothing but the candidates, never on who asked first; all are sized
on the equity that there is when the round is judged, which no verdict of the round changes, so sizes do not depend on the
order either; what a scorer cannot judge is denied, and the others go on.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite

from livebot.core.candidate import Candidate, Refused
from livebot.core.denial import DenialCode, Denied
from livebot.core.entry import Entry
from livebot.core.inputs import SymbolState
from livebot.core.propose import Circumstances, propose, trusted
from livebot.core.quick_init import changed
from livebot.core.risk import Approved
from livebot.core.rules import Rules
from livebot.core.signal import Idle

Scorer = Callable[[Candidate], float]  # the higher, the sooner it is admitted
Admit = Callable[[Candidate], Approved | Denied]

SILENT_NAMED = 20  # of those who had not spoken, so many are named
_ERROR_CHARACTERS = 200  # of what a scorer raised


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wish:
    """An entry that the strategy of an Idle state wants; it is sized when its round is judged, on the equity of then."""

    state: SymbolState
    entry: Entry
    now: Circumstances
    rules: Rules

    @property
    def key(self) -> tuple[str, str]:
        """Strategy and symbol."""
        return self.state.strategy, self.state.symbol


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """What became of a wish; `candidate` None: it could not be sized.  `score` None: it has none and came last."""

    wish: Wish
    candidate: Candidate | None
    score: float | None
    verdict: Approved | Denied | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundPlace:
    """One wish in the record of a round.  `outcome` is approved, denied, refused or withdrawn; money is in quote."""

    strategy: str
    symbol: str
    side: str
    score: float | None
    confidence: float | None
    notional: Decimal | None
    risk: Decimal | None
    outcome: str
    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Who wanted something at a close, the best first, who got it, and why the others did not.

    `ended` is all_spoken, deadline or late (of one who came after the round of its close); `silent` strategies had not
    spoken then, of which the first SILENT_NAMED are named in `awaited` as strategy/symbol.
    """

    close_ms: int
    ended: str
    silent: int
    awaited: tuple[str, ...]
    places: tuple[RoundPlace, ...]


def judge_round(wishes: Iterable[Wish], equity: Decimal, scorer: Scorer | None, admit: Admit) -> tuple[Judged, ...]:
    """The verdicts on all wishes of a round, in order of rank; what could not be ranked comes last.

    `equity` is in quote.  `admit` is asked about one candidate after the other, with nothing in between.
    """
    ranked: list[tuple[Wish, Candidate, float | None]] = []
    out: list[Judged] = []
    for wish in wishes:
        candidate = _sized(wish, equity)
        if isinstance(candidate, Refused):
            out.append(Judged(wish=wish, candidate=None, score=None, verdict=candidate))
            continue
        score = _score(candidate, scorer)
        if isinstance(score, Denied):
            out.append(Judged(wish=wish, candidate=candidate, score=None, verdict=score))
        else:
            ranked.append((wish, candidate, score))
    ranked.sort(key=lambda each: _rank(each[1], each[2]))
    out.sort(key=lambda each: each.wish.key[::-1])
    return (
        *(
            Judged(wish=wish, candidate=candidate, score=score, verdict=admit(candidate))
            for wish, candidate, score in ranked
        ),
        *out,
    )


def outdated(state: SymbolState, wish: Wish) -> Denied | None:
    """Why a wish means nothing any more in the state that its strategy is in by now; None: it does."""
    if isinstance(state.signal, Idle) and state.number == wish.state.number and state.decided_ms < wish.now.ts_ms:
        return None
    text = f"{state.strategy} has gone on at {state.symbol} before its round was judged"
    return Denied(DenialCode.ROUND, text)


def place_of(judged: Judged) -> RoundPlace:
    """A judged wish as it stands in the record."""
    verdict, candidate = judged.verdict, judged.candidate
    if isinstance(verdict, Approved):
        outcome, code, text = "approved", "approved", ""
    elif isinstance(verdict, Denied):
        outcome, code, text = "denied", verdict.code.value, verdict.text
    else:
        outcome, code, text = "refused", verdict.code, verdict.text
    return _place(judged.wish, candidate, judged.score, outcome, code, text)


def place_of_withdrawn(wish: Wish, why: Denied) -> RoundPlace:
    """A wish that was taken back before the round was judged."""
    return _place(wish, None, None, "withdrawn", why.code.value, why.text)


def _place(
    wish: Wish, candidate: Candidate | None, score: float | None, outcome: str, code: str, text: str
) -> RoundPlace:
    strategy, symbol = wish.key
    return RoundPlace(
        strategy=strategy,
        symbol=symbol,
        side=wish.entry.side.value,
        score=score,
        confidence=trusted(wish.entry, wish.now),
        notional=None if candidate is None else candidate.notional,
        risk=None if candidate is None else candidate.risk,
        outcome=outcome,
        code=code,
        text=text,
    )


def _sized(wish: Wish, equity: Decimal) -> Candidate | Refused:
    try:
        return propose(wish.state, wish.entry, changed(wish.now, equity=equity), wish.rules)
    except Exception as error:  # noqa: BLE001 - an entry that is none, such as a price that is a text: it harms itself only
        said = f"{type(error).__name__}: {error}"[:_ERROR_CHARACTERS]
        return Refused("unfit_entry", f"what {wish.state.strategy} wants cannot be judged ({said}); mend the strategy")


def _score(candidate: Candidate, scorer: Scorer | None) -> float | Denied | None:
    if scorer is None:
        return candidate.confidence
    try:
        score = float(scorer(candidate))
    except Exception as error:  # noqa: BLE001 - a user's own code: it harms this candidate only
        said = f"{type(error).__name__}: {error}"[:_ERROR_CHARACTERS]
        return Denied(DenialCode.ROUND, f"the scorer fails on it ({said}); mend risk.round.scorer")
    if not isfinite(score):
        text = f"the scorer answers {score} for it, which is no rank; it must answer a finite number"
        return Denied(DenialCode.ROUND, text)
    return score


def _rank(candidate: Candidate, score: float | None) -> tuple[bool, float, str, str]:
    return score is None, 0.0 if score is None else -score, candidate.symbol, candidate.strategy
