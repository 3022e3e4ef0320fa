"""What the models are asked about the entries that the strategies of one symbol want.

Rules of this file: it runs in the worker's own task, so an answer is acted upon in the order of everything else that happens
to the symbol; it counts only for a strategy that is as it was when it asked; a question that is given up leaves a decision
that says why.
"""

from collections.abc import Callable
from dataclasses import dataclass

from livebot.core.denial import STATE_CODES, blocked
from livebot.core.entry import Entry
from livebot.core.propose import Circumstances
from livebot.core.quick_init import changed
from livebot.core.signal import Idle
from livebot.model_ports import Question
from livebot.ports import Decision
from livebot.runtime.inbox import Answered, Inbox
from livebot.runtime.models.confidence import Asked, ConfidenceDesk
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.symbol.round_wishes import decision
from livebot.runtime.symbol.strategy_instance import StrategyInstance
from livebot.runtime.symbol.symbol_states import SymbolStates

GIVEN_UP = "model_given_up"
_GONE_ON = "{strategy} has gone on at {symbol} before the model answered"


@dataclass(frozen=True, slots=True, eq=False)
class _Open:
    """An entry that waits for its confidence; `number`: of the strategy's last signal when it was decided."""

    asked: Asked
    entry: Entry
    now: Circumstances
    number: int


class Asking:
    """One for each run of a worker that decides."""

    def __init__(
        self,
        desk: ConfidenceDesk,
        inbox: Inbox,
        states: SymbolStates,
        portfolio: Portfolio,
        given_up: Callable[[StrategyInstance, int], None],
    ) -> None:
        """Nothing is asked, and nobody is expected to ask.  `given_up` hears of whom, and of which close."""
        self._desk = desk
        self._inbox = inbox
        self._states = states
        self._portfolio = portfolio
        self._given_up = given_up
        self._open: dict[str, _Open] = {}  # by strategy
        self._stopped = False

    def judges(self, instance: StrategyInstance) -> bool:
        """Whether what it wants is asked about."""
        return self._desk.asked_for(instance.strategy_name)

    def waits(self, instance: StrategyInstance) -> bool:
        """Whether an entry of it waits for its confidence."""
        return instance.strategy_name in self._open

    # Who speaks

    def expect(self, instance: StrategyInstance) -> None:
        """It decides at each of its closes from now on."""
        if self.judges(instance):
            self._desk.expect(_key(instance), instance.timeframe_ms)

    def forget(self, instance: StrategyInstance) -> None:
        """It decides nothing until it is expected again, because its candles have to be loaded."""
        self._desk.forget(_key(instance))
        self.give_up(instance, f"the candles of {instance.symbol} are loaded anew")

    def spoke(self, instance: StrategyInstance, close_ms: int) -> None:
        """It is done with a close."""
        self._desk.spoke(_key(instance), close_ms)

    # Questions

    def ask(self, instance: StrategyInstance, entry: Entry, now: Circumstances) -> None:
        """How likely is this entry to win?"""
        if self._stopped:
            self._tell(instance, entry, now, *self._why_ended())
            return
        question = Question(
            strategy=instance.strategy_name,
            symbol=instance.symbol,
            side=entry.side,
            close_ms=now.ts_ms,
            evidence=entry.evidence,
        )
        answered = Answered(instance.strategy_name)
        asked = self._desk.ask(question, lambda: self._inbox.put(answered))
        self._open[instance.strategy_name] = _Open(asked, entry, now, instance.state.number)

    def answered(self, instance: StrategyInstance) -> tuple[Entry, Circumstances, tuple[str, str] | None] | None:
        """An entry with what the model says of it, and why it is refused if it is; None: it was given up."""
        found = self._open.get(instance.strategy_name)
        judgement = None if found is None else found.asked.judgement
        if found is None or judgement is None:
            return None
        del self._open[instance.strategy_name]
        now = changed(found.now, confidence=judgement.confidence, model=judgement.model, equity=self._portfolio.equity)
        refused = judgement.refused
        if refused is None and not self._as_it_was(instance, found):
            refused = GIVEN_UP, _GONE_ON.format(strategy=instance.strategy_name, symbol=instance.symbol)
        return found.entry, now, refused

    def _as_it_was(self, instance: StrategyInstance, found: _Open) -> bool:
        state, close_ms = instance.state, found.now.ts_ms
        at_the_close = instance.ready and (instance.due is None or instance.due <= close_ms)
        idle = isinstance(state.signal, Idle) and state.number == found.number and state.decided_ms < close_ms
        return at_the_close and idle and not self._states.has_had_its_signals

    # Giving up

    def give_up(self, instance: StrategyInstance, text: str) -> None:
        """What it wants means nothing any more."""
        self._give_up(instance, "refused", GIVEN_UP, text)

    def give_way(self) -> None:
        """The symbol's signals are wanted ended, or entries taken back because trading is not ACTIVE any more."""
        code = STATE_CODES.get(self._portfolio.trading_state)
        symbol = self._states.symbol
        for instance in self._states.instances:
            if code is None:
                self.give_up(
                    instance, f"what is open at {symbol} is being closed or taken back, so nothing opens there"
                )
            else:
                denied = blocked(code, symbol)
                self._give_up(instance, "denied", denied.code.value, denied.text)

    def stop(self) -> None:
        """The worker ends in order, with what is at hand: nothing it wants comes to anything any more."""
        self._stopped = True
        for instance in self._states.instances:
            self._give_up(instance, *self._why_ended())

    def close(self) -> tuple[Decision, ...]:
        """The worker has ended, and nobody waits for it; what is to be told of what it had asked."""
        told = []
        text = f"the worker of {self._states.symbol} has ended"
        for instance in self._states.instances:
            self._desk.forget(_key(instance))
            found = self._open.pop(instance.strategy_name, None)
            if found is not None:
                self._desk.withdraw(found.asked)
                told.append(decision(instance, found.now.ts_ms, found.entry, found.now, "refused", (GIVEN_UP, text)))
        return tuple(told)

    def _why_ended(self) -> tuple[str, str, str]:
        symbol = self._states.symbol
        blocks = self._portfolio.blocks.of(symbol)
        if not blocks:
            return "refused", GIVEN_UP, f"{symbol} is not run any more"
        denied = blocked(blocks[0], symbol)
        return "denied", denied.code.value, denied.text

    def _give_up(self, instance: StrategyInstance, outcome: str, code: str, text: str) -> None:
        found = self._open.pop(instance.strategy_name, None)
        if found is not None:
            self._desk.withdraw(found.asked)
            self._tell(instance, found.entry, found.now, outcome, code, text)
            self._given_up(instance, found.now.ts_ms)

    def _tell(
        self, instance: StrategyInstance, entry: Entry, now: Circumstances, outcome: str, code: str, text: str
    ) -> None:
        self._states.tell(decision(instance, now.ts_ms, entry, now, outcome, (code, text)))


def _key(instance: StrategyInstance) -> tuple[str, str]:
    return instance.strategy_name, instance.symbol
