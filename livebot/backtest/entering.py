"""What the strategies of one symbol want to open: sized, judged at once or in the round of its close, and carried out.

Rules of this file: it asks the portfolio as the live worker does, in the same order; in a round all symbols have spoken,
because their candles are there; so have all before a model is asked: what it says of a close comes in one batch, and once
all else that happened at that close has been told.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from livebot.backtest.instance import Instance
from livebot.backtest.tape import Tape
from livebot.core.candidate import Candidate, Refused
from livebot.core.denial import Denied
from livebot.core.entry import Entry
from livebot.core.inputs import Admitted, Input
from livebot.core.market import MINUTE_MS, decimal_of
from livebot.core.propose import Circumstances, propose, trusted
from livebot.core.quick_init import changed
from livebot.core.ranking import Wish, judge_round
from livebot.core.risk import Approved
from livebot.model_ports import Confidences, Judgement, Question
from livebot.ports import Decision
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.portfolio.rounds import meanwhile
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


class CloseQuestions:
    """What models are asked at one close, over all symbols, until they answer."""

    def __init__(self, confidences: Confidences) -> None:
        """Nothing is asked."""
        self._confidences = confidences
        self._asked: list[tuple[Question, Callable[[Judgement], None]]] = []

    @property
    def wanted(self) -> bool:
        """Whether anything is asked."""
        return bool(self._asked)

    def asked_for(self, strategy: str) -> bool:
        """Whether what this strategy (id) wants is judged."""
        return self._confidences.asked_for(strategy)

    def ask(self, question: Question, deliver: Callable[[Judgement], None]) -> None:
        """Have an entry judged; `deliver` is told."""
        self._asked.append((question, deliver))

    def answer(self, now_ms: int) -> None:
        """All of them, in one batch."""
        asked, self._asked = self._asked, []
        judgements = self._confidences.judge([question for question, _ in asked], now_ms)
        for (_, deliver), judgement in zip(asked, judgements, strict=True):
            deliver(judgement)


def question_about(instance: Instance, entry: Entry, close_ms: int) -> Question:
    """What a model is asked about what a strategy wants."""
    return Question(
        strategy=instance.name, symbol=instance.symbol, side=entry.side, close_ms=close_ms, evidence=entry.evidence
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judges:
    """Who judges what is wanted at a close, before the portfolio does: models (None: no model), then a `round` (None: nobody)."""

    questions: CloseQuestions | None
    round: CloseRound | None

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for them."""
        return any(each is not None and each.wanted for each in (self.questions, self.round))

    @property
    def asked(self) -> bool:
        """Whether a model is asked anything."""
        return self.questions is not None and self.questions.wanted

    def judge(self, now_ms: int, entering: "Iterable[Entering]") -> None:
        """All have spoken; what models let pass goes into the round, if there is one."""
        if self.questions is not None and self.asked:
            self.questions.answer(now_ms)
        if self.round is None:
            return
        for each in entering:
            each.act_on_answers()
        self.round.judge()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Desk:
    """Where entries are asked for: of the `judges`, or at once.

    `value` brings the marks of other symbols up to date before equity is used; `apply` is a kernel step, `tell` a decision.
    """

    portfolio: Portfolio
    judges: Judges
    value: Callable[[], None]
    apply: Callable[[Instance, Input], None]
    tell: Callable[[Decision], None]


class Entering:
    """One for each symbol."""

    def __init__(self, tape: Tape, desk: Desk) -> None:
        """Nothing is wanted."""
        self._tape = tape
        self._desk = desk
        self._answered: list[tuple[Instance, Entry, Circumstances, Judgement]] = []
        self._judged: list[tuple[Instance, Wish, Verdict]] = []

    @property
    def waits(self) -> bool:
        """Whether a model's answers, or verdicts, wait to be carried out."""
        return bool(self._answered or self._judged)

    def enter(self, instance: Instance, entry: Entry, close_ms: int) -> None:
        """Ask for what it wants, a model first if one judges it."""
        desk, minute = self._desk, close_ms // MINUTE_MS - 1
        questions = desk.judges.questions
        if questions is not None and not questions.asked_for(instance.name):
            questions = None
        if questions is None and desk.judges.round is None:
            desk.value()
        now = Circumstances(
            price=decimal_of(self._tape.last_close(minute)),
            equity=desk.portfolio.equity,
            ts_ms=close_ms,
            confidence=None,
            atr=instance.atr(minute),
        )
        if questions is None:
            self._weigh(instance, entry, now)
            return
        question = question_about(instance, entry, close_ms)
        questions.ask(question, lambda judgement: self._answered.append((instance, entry, now, judgement)))

    def _weigh(self, instance: Instance, entry: Entry, now: Circumstances) -> None:
        round_ = self._desk.judges.round
        if round_ is not None:
            wish = Wish(state=instance.state, entry=entry, now=now, rules=instance.rules)
            round_.ask(wish, lambda wish, verdict: self._judged.append((instance, wish, verdict)))
            return
        candidate = propose(instance.state, entry, now, instance.rules)
        verdict = candidate if isinstance(candidate, Refused) else self._desk.portfolio.admit(candidate, now.ts_ms)
        self._carry_out(instance, entry, now, verdict)

    def act_on_answers(self) -> None:
        """What a model refused is over; for the rest it is asked with the confidence, on the equity of now."""
        answered, self._answered = self._answered, []
        for instance, entry, asked, judgement in answered:
            equity = self._desk.portfolio.equity
            now = changed(asked, equity=equity, confidence=judgement.confidence, model=judgement.model)
            if judgement.refused is not None:
                self._tell(instance, entry, now, "refused", judgement.refused)
            else:
                self._weigh(instance, entry, now)

    def carry_out(self) -> None:
        """What models let pass, and the verdicts of the round as far as they still stand."""
        self.act_on_answers()
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
        trust = trusted(entry, now)
        self._desk.tell(instance.verdict(now.ts_ms, entry, outcome, why, confidence=trust, model=now.model))
