"""Who is run: the symbols of the start, and those that are taken on, let go of, rested and woken while the system lives.

Rules of this file: a symbol is known to workers, supervisor, exchange and feed together or not at all, with no await in
between; nobody is let go of who has something open; whoever is only looked at by others keeps its candles.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal

from livebot.core.market import Instrument
from livebot.errors import BadInput, Rejected
from livebot.runtime.candles.candle_hub import CandleHub
from livebot.runtime.supervision.supervisor import Supervisor
from livebot.runtime.supervision.workers import Workers
from livebot.runtime.system_parts import SystemParts
from livebot.runtime.universe.universe_choice import UniverseParts
from livebot.runtime.venue.execution import Execution
from livebot.runtime.venue.reconcile import expected_quantity

RETIRE_S = 5.0  # for a worker to finish what is at hand


class Roster:
    """One for the whole system."""

    def __init__(self, parts: SystemParts, workers: Workers, execution: Execution) -> None:
        """Nobody is connected: `connect` comes first, `supervise` next."""
        self._parts = parts
        self._workers = workers
        self._execution = execution
        self._watchers: dict[str, list[str]] = {}
        self._hub = CandleHub(parts.feed, workers.inboxes, self._watchers, workers.contexts)
        self._on_new_close: Callable[[], None] = lambda: None
        self._supervisor: Supervisor | None = None
        self._damaged: Mapping[str, str] = {}
        self._resting: set[str] = set()

    def connect(self, on_new_close: Callable[[], None]) -> CandleHub:
        """Have exchange and feed deliver to all workers' inboxes."""
        self._on_new_close = on_new_close
        for symbol, inbox in self._workers.inboxes.items():
            self._parts.exchange.listen(symbol, inbox.put)
            self._watch(symbol, self._parts.watched.get(symbol, frozenset()))
        self._hub.connect(on_new_close)
        return self._hub

    def supervise(self, supervisor: Supervisor, damaged: Mapping[str, str]) -> None:
        """Who runs the workers; `damaged` are symbols whose files were found so, and why they begin in quarantine."""
        self._supervisor, self._damaged = supervisor, damaged

    # What is known

    @property
    def symbols(self) -> frozenset[str]:
        """All that are run, or rest."""
        return frozenset(self._workers.strategies)

    def busy(self, symbol: str) -> bool:
        """Whether a strategy has a signal there, run or not."""
        return any(state.orders for state in self._workers.last_states() if state.symbol == symbol)

    def quantity(self, symbol: str) -> Decimal:
        """What is open of ours (base currency, positive long)."""
        return expected_quantity([state for state in self._workers.last_states() if state.symbol == symbol])

    def ended(self, symbol: str) -> bool:
        """Whether nobody runs it at present, and nobody will by itself."""
        return self._supervised.ended(symbol)

    # What is done

    async def admit(self, symbol: str) -> None:
        """Make the venue ready for a symbol.  Raises LivebotError (any of it): it cannot be, and nothing was changed."""
        await self._universe.admit(symbol)

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument | BadInput]:
        """What the venue says of symbols that it is ready for, in one question; or that it lacks them.

        Raises LivebotError.
        """
        exchange = self._parts.exchange
        try:
            return await self._execution.answered(lambda: exchange.instruments(symbols))
        except BadInput as error:
            if len(symbols) == 1:
                return {symbols[0]: error}
        found: dict[str, Instrument | BadInput] = {}
        for symbol in symbols:
            found.update(await self.instruments((symbol,)))
        return found

    async def renew_instruments(self, listed: Collection[str]) -> None:
        """Have what is run of these follow what the venue says of it by now.  Raises LivebotError."""
        symbols = sorted(self.symbols.intersection(listed) - self._resting)
        if symbols:
            told = await self.instruments(symbols)
            self._workers.renew_instruments({each: said for each, said in told.items() if isinstance(said, Instrument)})

    def give_up(self, symbol: str) -> None:
        """A symbol for which the venue is ready, or nearly so, is not run after all."""
        self._parts.exchange.ignore(symbol)

    def take_on(self, symbol: str, instrument: Instrument) -> None:
        """Run a symbol too, for which the venue is ready."""
        universe = self._universe
        self._workers.take_on(symbol, universe.strategies(symbol), instrument)
        self._parts.exchange.listen(symbol, self._workers.inboxes[symbol].put)
        self._watch(symbol, universe.watched(symbol))
        self._follow()
        blocks = self._parts.portfolio.blocks
        if symbol in self._damaged and symbol not in blocks.quarantined:
            blocks.quarantine(symbol, self._damaged[symbol])
        self._supervised.add(symbol, blocks.quarantined.get(symbol))

    async def let_go(self, symbol: str) -> bool:
        """Run a symbol no more, unless something is open; says whether that is so now."""
        if not self.busy(symbol) and not await self._retired(symbol):
            return False
        if self.busy(symbol):
            if self.ended(symbol):  # an entry was on its way
                self._again(symbol)
            return False
        self._supervised.forget(symbol)
        self._workers.let_go(symbol)
        self._parts.exchange.ignore(symbol)
        self._workers.contexts.follow(self.symbols - self._resting)
        for watching in self._watchers.values():
            if symbol in watching:
                watching.remove(symbol)
        self._ignore((symbol, *[other for other, watching in self._watchers.items() if not watching]))
        return True

    async def rest(self, symbol: str) -> bool:
        """End its worker whatever is open, and ask nothing more about it; says whether that is so now."""
        if not await self._retired(symbol):
            return False
        self._resting.add(symbol)
        self._workers.contexts.follow(self.symbols - self._resting)
        self._quieten(symbol)
        return True

    def wake(self, symbol: str) -> None:
        """Run a resting symbol again."""
        self._resting.discard(symbol)
        self._follow()
        if self._supervised.ended(symbol):
            self._again(symbol)

    def look_at(self, symbol: str, others: Iterable[str]) -> None:
        """The strategies of a symbol look at these others from now on, and at no others: `follow` comes next."""
        for other, watching in self._watchers.items():
            if symbol in watching and other not in others:
                watching.remove(symbol)
        self._watch(symbol, others)

    def follow(self) -> None:
        """Have the candles of all that are run or looked at come to where they are wanted, and no others."""
        self._follow()
        self._ignore([other for other, watching in self._watchers.items() if not watching])

    def _follow(self) -> None:
        """Have candles of all that are run, or looked at, come to where they are wanted."""
        self._workers.contexts.follow(self.symbols - self._resting)
        self._hub.connect(self._on_new_close)
        for symbol in self._resting:
            self._quieten(symbol)

    def _quieten(self, symbol: str) -> None:
        """Stop the candles of a resting symbol, unless somebody else looks at it."""
        if not self._watchers.get(symbol):
            self._parts.feed.ignore(symbol)

    def _again(self, symbol: str) -> None:
        with suppress(Rejected):  # the workers are stopping
            self._supervised.restart((symbol,))

    async def _retired(self, symbol: str) -> bool:
        ended = await self._supervised.retire(symbol, self._workers.ask_to_stop, RETIRE_S)
        await self._workers.stand_down(symbol)
        return ended

    @property
    def _supervised(self) -> Supervisor:
        assert self._supervisor is not None
        return self._supervisor

    @property
    def _universe(self) -> UniverseParts:
        assert self._parts.universe is not None
        return self._parts.universe

    def _watch(self, symbol: str, others: Iterable[str]) -> None:
        for other in sorted(set(others) - {symbol}):
            watching = self._watchers.setdefault(other, [])
            if symbol not in watching:
                watching.append(symbol)

    def _ignore(self, symbols: Iterable[str]) -> None:
        """Stop the candles of those that nobody runs and nobody looks at."""
        looked_at = self._workers.contexts.symbols
        for symbol in symbols:
            if symbol not in self._workers.inboxes and not self._watchers.get(symbol):
                self._watchers.pop(symbol, None)
                if symbol not in looked_at:
                    self._parts.feed.ignore(symbol)
