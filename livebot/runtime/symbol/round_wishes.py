"""What the strategies of one symbol want in rounds: asked for here, and carried out or given up here.

Rules of this file: it runs in the worker's own task, so a verdict is carried out in the order of everything else that
happens to the symbol; a wish that is given up leaves a decision that says why, and its room is given back at once.
"""

from livebot.core.candidate import Refused
from livebot.core.denial import STATE_CODES, DenialCode, Denied, blocked
from livebot.core.entry import Entry
from livebot.core.inputs import Admitted
from livebot.core.propose import Circumstances, trusted
from livebot.core.quick_init import changed
from livebot.core.ranking import Wish
from livebot.ports import Decision
from livebot.runtime.inbox import Inbox, RoundJudged
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.portfolio.rounds import Asked, Rounds, ended, meanwhile
from livebot.runtime.symbol.strategy_instance import StrategyInstance
from livebot.runtime.symbol.symbol_states import SymbolStates


class RoundWishes:
    """One for each run of a worker that decides."""

    def __init__(self, rounds: Rounds, inbox: Inbox, states: SymbolStates, portfolio: Portfolio) -> None:
        """Nothing is wanted, and nobody is expected to want anything."""
        self._rounds = rounds
        self._inbox = inbox
        self._states = states
        self._portfolio = portfolio
        self._asked: dict[str, Asked] = {}  # by strategy
        self._stopped = False

    # Who speaks

    def expect(self, instance: StrategyInstance) -> None:
        """It decides at each of its closes from now on."""
        self._rounds.expect(_key(instance), instance.timeframe_ms)

    def forget(self, instance: StrategyInstance) -> None:
        """It decides nothing until it is expected again, because its candles have to be loaded."""
        self._rounds.forget(_key(instance))
        self.give_up(instance, f"the candles of {instance.symbol} are loaded anew")

    def spoke(self, instance: StrategyInstance, close_ms: int) -> None:
        """It is done with a close."""
        self._rounds.spoke(_key(instance), close_ms)

    def foresee(self, close_ms: int) -> None:
        """It may want something at a close, and is not done with it yet."""
        self._rounds.foresee(close_ms)

    # What is wanted

    def ask(self, instance: StrategyInstance, entry: Entry, now: Circumstances) -> None:
        """Enter what it wants into the round of its close."""
        wish = Wish(state=instance.state, entry=entry, now=now, rules=instance.rules)
        if self._stopped:
            self._deny(instance, wish, ended(self._portfolio, instance.symbol))
            return
        judged = RoundJudged(instance.strategy_name)
        self._asked[instance.strategy_name] = self._rounds.ask(wish, lambda: self._inbox.put(judged))

    def judged(self, instance: StrategyInstance) -> None:
        """Carry out the verdict on what it wants, if that still stands."""
        asked = self._asked.get(instance.strategy_name)
        verdict = None if asked is None else self._rounds.take(asked)
        if asked is None or verdict is None:
            return  # about a wish that was given up
        del self._asked[instance.strategy_name]
        wish = asked.wish
        if isinstance(verdict, Refused):
            self._tell(instance, wish, "refused", verdict.code, verdict.text)
            return
        if isinstance(verdict, Denied):
            self._deny(instance, wish, verdict)
            return
        why = meanwhile(self._portfolio, instance.state, wish)
        if (
            why is not None or self._states.has_had_its_signals or not instance.ready
        ):  # another may have taken its place
            self._portfolio.release(*wish.key)
            self._deny(instance, wish, why or ended(self._portfolio, instance.symbol))
            return
        close_ms = wish.now.ts_ms
        self._tell(instance, wish, "approved", "approved", "")
        instance.state = changed(instance.state, decided_ms=close_ms)
        self._states.apply(instance, Admitted(verdict, close_ms))

    def give_up(self, instance: StrategyInstance, text: str) -> None:
        """What it wants means nothing any more."""
        self._give_up(instance, Denied(DenialCode.ROUND, text))

    def give_way(self) -> None:
        """The symbol's signals are wanted ended, or entries taken back because trading is not ACTIVE any more."""
        code = STATE_CODES.get(self._portfolio.trading_state)
        for instance in self._states.instances:
            text = f"what is open at {instance.symbol} is being closed or taken back, so nothing opens there"
            why = Denied(DenialCode.ROUND, text) if code is None else blocked(code, instance.symbol)
            self._give_up(instance, why)

    def stop(self) -> None:
        """The worker ends in order, with what is at hand: nothing it wants comes to anything any more."""
        self._stopped = True
        for instance in self._states.instances:
            self._give_up(instance, ended(self._portfolio, instance.symbol))

    def close(self) -> None:
        """The worker has ended; nobody waits for it, and it takes no verdict any more."""
        for instance in self._states.instances:
            self._rounds.forget(_key(instance))
        for asked in self._asked.values():
            self._rounds.withdraw(asked, Denied(DenialCode.ROUND, f"the worker of {self._states.symbol} has ended"))
        self._asked.clear()

    def _give_up(self, instance: StrategyInstance, why: Denied) -> None:
        asked = self._asked.pop(instance.strategy_name, None)
        if asked is not None and self._rounds.withdraw(asked, why):
            self._deny(instance, asked.wish, why)

    def _deny(self, instance: StrategyInstance, wish: Wish, why: Denied) -> None:
        self._tell(instance, wish, "denied", why.code.value, why.text)

    def _tell(self, instance: StrategyInstance, wish: Wish, outcome: str, code: str, text: str) -> None:
        close_ms = wish.now.ts_ms
        self._states.tell(decision(instance, close_ms, wish.entry, wish.now, outcome, (code, text)))


def decision(
    instance: StrategyInstance,
    close_ms: int,
    entry: Entry | None,
    now: Circumstances | None,
    outcome: str,
    why: tuple[str, str],
) -> Decision:
    """What became of what a strategy wanted at a close (None: it was not asked); `why` is a code and a sentence."""
    return Decision(
        strategy=instance.strategy_name,
        symbol=instance.symbol,
        close_ms=close_ms,
        ts_ms=close_ms,
        outcome=outcome,
        code=why[0],
        text=why[1],
        side=entry.side.value if entry is not None else None,
        confidence=trusted(entry, now) if entry is not None and now is not None else None,
        feature_set=instance.feature_set,
        model=now.model if now is not None else None,
    )


def _key(instance: StrategyInstance) -> tuple[str, str]:
    return instance.strategy_name, instance.symbol
