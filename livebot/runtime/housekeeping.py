"""The portfolio's memory and the trading state: when it moves, what follows, and that it is on disk.

Rules of this file: a new trading state holds at once and is on disk before anyone is told of it; while it is not ACTIVE
no entry is left to fill, and who halts with the wish to close everything gets everything closed, also what comes to light
later; nothing is saved before what was remembered has been read.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

import structlog

from livebot.core.denial import TradingState
from livebot.core.exposure import awaits_entry
from livebot.core.inputs import SymbolState
from livebot.core.signal import CloseReason
from livebot.errors import Fatal, Rejected
from livebot.ports import Clock, PortfolioMemory, PortfolioStore
from livebot.runtime.flattening.flat_check import closed
from livebot.runtime.portfolio.loss_watch import StateChange
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.problems import Problems
from livebot.runtime.waiting import Bell

_log = structlog.get_logger(__name__)

PERIOD_S = 0.5
EVALUATION = "evaluation"
MEMORY = "portfolio.json"


class Housekeeping:
    """One for the whole system.

    `leave(symbol, reason)` has a symbol's signals ended, `withdraw(symbol)` its entries that have not filled taken back.
    """

    def __init__(
        self,
        portfolio: Portfolio,
        store: PortfolioStore,
        clock: Clock,
        problems: Problems,
        *,
        states: Callable[[], Iterable[SymbolState]],
        leave: Callable[[str, CloseReason], None],
        withdraw: Callable[[str], None],
    ) -> None:
        """Nothing is remembered yet: `remember` comes first."""
        self._portfolio = portfolio
        self._store = store
        self._clock = clock
        self._problems = problems
        self._states = states
        self._leave = leave
        self._withdraw = withdraw
        self._untold: deque[StateChange] = deque()
        self._saving = asyncio.Lock()
        self._due = Bell()
        self.remembers = False

    async def remember(self) -> None:
        """Read what the portfolio must not forget.  Raises Fatal if that is damaged."""
        memory: PortfolioMemory | None = await self._store.load()
        self._portfolio.restore(memory, {})
        self.remembers = True
        if self._portfolio.trading_state is not TradingState.ACTIVE:
            self._tell(self._portfolio.trading_state, self._portfolio.state_reason)

    def evaluate(self) -> None:
        """Let losses move the trading state."""
        try:
            change = self._portfolio.evaluate(self._clock.now_ms())
        except Exception as error:  # noqa: BLE001 - called from the feed and from every worker: none of them is at fault
            text = f"losses cannot be evaluated ({type(error).__name__}: {error}); nothing opens until they can"
            self._portfolio.blocks.fault(EVALUATION, text)
            self._problems.report(EVALUATION, text)
            return
        self._portfolio.blocks.fault(EVALUATION, None)
        self._problems.report(EVALUATION, None)
        if change is not None:
            self.changed(change)

    def cause(self, source: str, sentence: str | None) -> None:
        """Trading is REDUCING while this stands; None: it has passed."""
        change = self._portfolio.cause(source, sentence)
        if change is not None:
            self.changed(change)

    def latch(self, reason: str) -> None:
        """Trading is HALTED until an operator has looked into it."""
        change = self._portfolio.latch(reason)
        if change is not None:
            self.changed(change)

    def changed(self, change: StateChange) -> None:
        """The trading state has moved: act at once; it is saved and told within a moment."""
        if change.flatten:
            self._flatten()
        elif change.present is not TradingState.ACTIVE:
            self._take_entries_back()
        self._untold.append(change)
        self._due.ring()

    async def save(self) -> None:
        """Make the portfolio's memory durable, and then tell of what changed.

        Raises:
            Rejected: what was remembered has not been read yet, and must not be overwritten.
            Fatal: it could not be written; what changed holds as long as this process lives.

        """
        if not self.remembers:
            raise Rejected("the daemon is starting and has not read its memory yet; try again in a moment")
        async with self._saving:
            memory = self._portfolio.memory()
            await self._store.save(memory)
            self._portfolio.saved(memory)
        self._problems.report(MEMORY, None)
        self._tell_all()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if not await self._due.within(PERIOD_S):
                self.evaluate()
            self._due.silence()
            if self._portfolio.flatten_wanted:
                self._flatten()
            elif self._portfolio.trading_state is not TradingState.ACTIVE:
                self._take_entries_back()
            if self._portfolio.dirty or self._untold:
                await self._save_or_report()

    async def _save_or_report(self) -> None:
        try:
            await self.save()
        except Fatal as error:
            self._problems.report(MEMORY, str(error))
            self._tell_all()  # it holds all the same

    def _tell_all(self) -> None:
        while self._untold:
            change = self._untold.popleft()
            _log.warning("trading_state", state=change.present.value, reason=change.reason, flatten=change.flatten)
            if not self._untold:  # what it is now: a later change may have come before this one was durable
                self._tell(self._portfolio.trading_state, self._portfolio.state_reason)

    def _tell(self, state: TradingState, reason: str) -> None:
        text = None if state is TradingState.ACTIVE else f"trading is {state.value}: {reason}"
        self._problems.report("trading_state", text)

    def _flatten(self) -> None:
        for state in self._states():
            if not closed((state,)):
                self._leave(state.symbol, CloseReason.PORTFOLIO_HALT)

    def _take_entries_back(self) -> None:
        waiting = (state.symbol for state in self._states() if awaits_entry(state.signal, state.orders))
        for symbol in dict.fromkeys(waiting):
            self._withdraw(symbol)
