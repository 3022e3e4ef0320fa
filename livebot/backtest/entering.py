"""What the strategies of one symbol want to open: sized, judged at once or in the round of its close, and carried out.

Rules of this file: it asks the portfolio as the live worker does, in the same order; in a round all symbols have spoken,
because their candles are there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from livebot.backtest.instance import Instance
from livebot.backtest.tape import Tape
from livebot.core.candidate import Candidate, Refused
from livebot.core.denial import Denied
from livebot.core.entry import Entry
from livebot.core.inputs import Admitted, Input
from livebot.core.market import MINUTE_MS, decimal_of
from livebot.core.propose import Circumstances, propose, trusted
from livebot.core.ranking import Wish, judge_round
from livebot.core.risk import Approved
from livebot.ports import Decision
from livebot.runtime.portfolio import Portfolio
from livebot.runtime.rounds import meanwhile
from livebot.runtime.settings import RoundSettings

Verdict = Approved | Denied | Refused


class CloseRound:
    """The entries that are wanted at one close, over all symbols, until they are judged."""

    def __init__(self, settings: RoundSettings, portfolio: Portfolio) -> None:
        """Nothing is wanted."""
        self._settings = settings
        self._portfolio = portfolio
        self._asked: dict[tuple[str, str], tuple[Wish, Callable[[Wish, Verdict], None]]] = {}

    @property
    def wanted(self) -> bool:
        """Whether anybody wants anything."""
        return bool(self._asked)

    def ask(self, wish: Wish, deliver: Callable[[Wish, Verdict], None]) -> None:
        """Want something; `deliver` is told the verdict."""
        self._asked[wish.key] = wish, deliver

    def judge(self) -> None:
        """Admit the best first."""
        asked, self._asked = self._asked, {}
        wishes = [wish for wish, _ in asked.values()]
        for judged in judge_round(wishes, self._portfolio.equity, self._settings.scorer, self._admit):
            asked[judged.wish.key][1](judged.wish, judged.verdict)

    def _admit(self, candidate: Candidate) -> Approved | Denied:
        return self._portfolio.admit(candidate, candidate.ts_ms)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Desk:
    """Where entries are asked for: in a `round`, or where that is None at once.

    `value` brings the marks of other symbols up to date before equity is used; `apply` is a kernel step, `tell` a decision.
    """

    portfolio: Portfolio
    round: CloseRound | None
    value: Callable[[], None]
    apply: Callable[[Instance, Input], None]
    tell: Callable[[Decision], None]


class Entering:
    """One for each symbol."""

    def __init__(self, tape: Tape, desk: Desk) -> None:
        """Nothing is wanted."""
        self._tape = tape
        self._desk = desk
        self._judged: list[tuple[Instance, Wish, Verdict]] = []

    @property
    def judged(self) -> bool:
        """Whether verdicts wait to be carried out."""
        return bool(self._judged)

    def enter(self, instance: Instance, entry: Entry, close_ms: int) -> None:
        """Ask for what it wants."""
        desk, minute = self._desk, close_ms // MINUTE_MS - 1
        if desk.round is None:
            desk.value()
        now = Circumstances(
            price=decimal_of(self._tape.last_close(minute)),
            equity=desk.portfolio.equity,
            ts_ms=close_ms,
            confidence=None,
            atr=instance.atr(minute),
        )
        if desk.round is not None:
            wish = Wish(state=instance.state, entry=entry, now=now, rules=instance.rules)
            desk.round.ask(wish, lambda wish, verdict: self._judged.append((instance, wish, verdict)))
            return
        candidate = propose(instance.state, entry, now, instance.rules)
        verdict = candidate if isinstance(candidate, Refused) else desk.portfolio.admit(candidate, close_ms)
        self._carry_out(instance, entry, now, verdict)

    def carry_out(self) -> None:
        """The verdicts of the round, as far as they still stand."""
        judged, self._judged = self._judged, []
        for instance, wish, verdict in judged:
            why = meanwhile(self._desk.portfolio, instance.state, wish) if isinstance(verdict, Approved) else None
            if why is not None:
                self._desk.portfolio.release(*wish.key)
            self._carry_out(instance, wish.entry, wish.now, why or verdict)

    def _carry_out(self, instance: Instance, entry: Entry, now: Circumstances, verdict: Verdict) -> None:
        close_ms = now.ts_ms
        if isinstance(verdict, Refused):
            self._tell(instance, entry, now, "refused", (verdict.code, verdict.text))
        elif isinstance(verdict, Denied):
            self._tell(instance, entry, now, "denied", (verdict.code.value, verdict.text))
        else:
            self._tell(instance, entry, now, "approved", ("approved", ""))
            # Nobody keeps an outbox here: facts are published for good.
            instance.state = replace(instance.state, decided_ms=close_ms, outbox=())
            self._desk.apply(instance, Admitted(verdict, close_ms))

    def _tell(self, instance: Instance, entry: Entry, now: Circumstances, outcome: str, why: tuple[str, str]) -> None:
        self._desk.tell(instance.verdict(now.ts_ms, entry, outcome, why, confidence=trusted(entry, now)))
