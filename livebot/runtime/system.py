"""One market's running daemon: start-up that is recovery, the life of its tasks, and an orderly end.

Rules of this file: it owns every task that is not a symbol's; nothing is decided before recovery is done; at the end the
entry gate closes first, then the workers finish what is at hand, then facts reach the ledger, then all is let go.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import structlog

from livebot.core.facts import Fact
from livebot.core.inputs import SymbolState
from livebot.core.market import Instrument
from livebot.core.risk import TradingState
from livebot.core.signal import CloseReason, Open
from livebot.errors import BadInput, Fatal, Transient
from livebot.ports import (
    CandleFeed,
    Clock,
    Decision,
    Exchange,
    Ledger,
    LedgerHistory,
    Listener,
    PortfolioStore,
    SignalStore,
)
from livebot.runtime.bus import Bus
from livebot.runtime.candle_hub import CandleHub
from livebot.runtime.execution import Execution
from livebot.runtime.inbox import Activity, Ask, Inbox, Leave, Stop
from livebot.runtime.instances import Instances
from livebot.runtime.ledger_writer import LedgerWriter
from livebot.runtime.loop_lag import LoopLag
from livebot.runtime.loss_watch import StateChange
from livebot.runtime.observations import Observations
from livebot.runtime.portfolio import Portfolio
from livebot.runtime.problems import Problems
from livebot.runtime.reconcile import VenueSnapshot, expected_quantity, snapshot_of
from livebot.runtime.recovery import Key, Recovered, Recovery, moved_on
from livebot.runtime.settings import ExecutionSettings, RuntimeSettings
from livebot.runtime.shutdown import Shutdown
from livebot.runtime.strategy_instance import StrategyInstance
from livebot.runtime.supervisor import ChildState, Supervisor
from livebot.runtime.symbol_worker import Surroundings, SymbolWorker

_log = structlog.get_logger(__name__)

HOUSEKEEPING_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemParts:
    """What the composition root puts in.  `strategies` are the ids that run on each symbol, in order.

    `make_instance` builds the instance of a (symbol, strategy) on an instrument and a state; `watched` says which other
    symbols a symbol's strategies look at.
    """

    name: str
    market: str
    mode: str
    strategies: Mapping[str, tuple[str, ...]]
    watched: Mapping[str, frozenset[str]]
    make_instance: Callable[[str, Instrument, SymbolState], StrategyInstance]
    clock: Clock
    exchange: Exchange
    feed: CandleFeed
    store: SignalStore
    portfolio_store: PortfolioStore
    ledger: Ledger
    history: LedgerHistory
    portfolio: Portfolio
    problems: Problems
    listeners: tuple[Listener, ...]
    settings: RuntimeSettings
    execution_settings: ExecutionSettings
    activity: Activity
    random: Random


class System:
    """Made once for each run."""

    def __init__(self, parts: SystemParts) -> None:
        """Nothing is started."""
        self.parts = parts
        self.portfolio = parts.portfolio
        self.problems = parts.problems
        self.observations = Observations(parts.problems, parts.portfolio.blocks.foreign)
        self.execution = Execution(parts.exchange, parts.clock, parts.execution_settings)
        self.loop_lag = LoopLag()
        self.ready = asyncio.Event()
        self.instances: Instances[StrategyInstance] = Instances(self._make_instance)
        self.inboxes: dict[str, Inbox] = {}
        self.strategies: dict[str, tuple[str, ...]] = dict(parts.strategies)
        self.supervisor: Supervisor | None = None
        self.hub: CandleHub | None = None
        self.started_ms = 0
        self.data_ended = False
        self._states: dict[Key, SymbolState] = {}
        self._instruments: Mapping[str, Instrument] = {}
        self._snapshot: VenueSnapshot | None = None
        self._warm: set[str] = set()
        self._saving = asyncio.Lock()
        self.ledger_writer = LedgerWriter(
            parts.ledger,
            parts.settings.ledger,
            acknowledged=self._acknowledged,
            outstanding=self._outstanding,
            report=parts.problems.report,
            block=parts.portfolio.blocks.fault,
        )
        self.bus = Bus(
            parts.portfolio,
            self.ledger_writer,
            parts.listeners,
            settings=parts.settings.listeners,
            report=parts.problems.report,
        )

    # Life

    async def run(self, shutdown: Shutdown) -> None:
        """Recover, trade until asked to stop or until the data ends, and end in order.

        Raises:
            Fatal: nothing can run; the text says why and what to do.

        """
        parts = self.parts
        try:
            await self._start()
            async with asyncio.TaskGroup() as tasks:
                own = [
                    tasks.create_task(work, name=name)
                    for name, work in (
                        ("housekeeping", self._keep_house()),
                        ("reconcile", self._reconcile_slowly()),
                        ("loop-lag", self.loop_lag.run()),
                        ("bus", self.bus.run()),
                    )
                ]
                supervising = tasks.create_task(self._supervise(), name="supervisor")
                await self._until_ready(shutdown)
                feeding = tasks.create_task(self._feed(shutdown), name="feed")
                await shutdown.stopping.wait()
                self.portfolio.close_gate()
                feeding.cancel()
                await self._stop_workers(shutdown)
                late = await self.bus.drain(parts.settings.shutdown_s / 4)
                if late:
                    _log.warning("not_delivered", listeners=late, what="what the ledger lacks is in the state files")
                supervising.cancel()
                for task in own:
                    task.cancel()
        finally:
            await self._let_go()

    async def _start(self) -> None:
        parts = self.parts
        self.started_ms = parts.clock.now_ms()
        recovery = Recovery(
            parts.name,
            store=parts.store,
            ledger=parts.ledger,
            history=parts.history,
            exchange=parts.exchange,
            execution=self.execution,
            clock=parts.clock,
        )
        configured = frozenset((name, symbol) for symbol, names in parts.strategies.items() for name in names)
        recovered = await recovery.run(configured)
        self._take_over(recovered, configured)
        self._instruments = await parts.exchange.instruments(tuple(self.strategies))
        memory = await parts.portfolio_store.load()
        self.portfolio.restore(memory, recovered.exposures, recovered.closes)
        self.portfolio.set_wallet(recovered.account.wallet)
        for symbol, why in recovered.quarantined.items():
            self.portfolio.blocks.quarantine(symbol, why)
        for symbol, sentence in recovered.foreign.items():
            self.observations.foreign_at_start(symbol, sentence)
        for sentence in recovered.unattended:
            self.problems.report(sentence, sentence)
        await self._evaluate()
        await self.save_memory()
        self._connect(recovered)
        _log.info(
            "recovered",
            states=len(recovered.states),
            busy=sorted(recovered.busy),
            quarantined=sorted(self.portfolio.blocks.quarantined),
            trading_state=self.portfolio.trading_state.value,
            equity=str(self.portfolio.equity),
        )

    def _take_over(self, recovered: Recovered, configured: frozenset[Key]) -> None:
        self._states = dict(recovered.states)
        self._snapshot = recovered.snapshot
        for strategy, symbol in recovered.states:
            # A signal that the config no longer names is guarded to its end.
            if (strategy, symbol) not in configured and symbol in recovered.busy:
                self.strategies[symbol] = (*self.strategies.get(symbol, ()), strategy)

    def _connect(self, recovered: Recovered) -> None:
        parts = self.parts
        watchers: dict[str, list[str]] = {}
        for symbol in self.strategies:
            self.inboxes[symbol] = Inbox(parts.settings.queue_size, parts.activity)
            parts.exchange.listen(symbol, self.inboxes[symbol].put)
            for other in parts.watched.get(symbol, frozenset()) - {symbol}:
                watchers.setdefault(other, []).append(symbol)
        self.hub = CandleHub(parts.feed, self.inboxes, watchers)
        self.hub.connect(self._on_new_close)
        quarantined = self.portfolio.blocks.quarantined
        self.supervisor = Supervisor(
            tuple(self.strategies),
            run=lambda symbol: self._worker(symbol).run(),
            guard=lambda symbol: self._worker(symbol).guard(),
            evict=self._evict,
            on_quarantine=self._on_quarantine,
            settings=parts.settings,
            rng=parts.random,
            report=self._on_failure,
            first=recovered.busy,
            quarantined={symbol: why for symbol, why in quarantined.items() if symbol in self.strategies},
        )

    async def _supervise(self) -> None:
        assert self.supervisor is not None
        await self.supervisor.run()

    async def _until_ready(self, shutdown: Shutdown) -> None:
        """All that can be warm are; what fails or waits for its turn does not hold up the others."""
        stopping = asyncio.ensure_future(shutdown.stopping.wait())
        while not shutdown.stopping.is_set() and not self._all_warm():
            await asyncio.wait((stopping,), timeout=0.005)
        stopping.cancel()
        self._snapshot = None  # it has served: whoever starts from now on looks for itself
        self.ready.set()
        _log.info("ready", symbols=len(self._warm), took_ms=self.parts.clock.now_ms() - self.started_ms)

    def _all_warm(self) -> bool:
        assert self.supervisor is not None
        settled = 0
        for symbol in self.strategies:
            status = self.supervisor.status(symbol)
            settled += symbol in self._warm or status.state not in (ChildState.WAITING, ChildState.RUNNING)
        limit = self.parts.settings.max_concurrent_symbols
        return settled >= min(len(self.strategies), limit if limit is not None else len(self.strategies))

    async def _feed(self, shutdown: Shutdown) -> None:
        try:
            await self.parts.feed.run()
        except (Transient, BadInput) as error:
            raise Fatal(f"candles have stopped: {error}") from error
        await self.parts.activity.idle()
        self.data_ended = True
        shutdown.request("the data has ended")

    async def _stop_workers(self, shutdown: Shutdown) -> None:
        assert self.supervisor is not None
        timeout_s = self.parts.settings.shutdown_s / 2
        stopping = asyncio.ensure_future(
            self.supervisor.stop(timeout_s, ask=lambda symbol: self.inboxes[symbol].put(Stop()))
        )
        hurry = asyncio.ensure_future(shutdown.hurry.wait())
        await asyncio.wait((stopping, hurry), return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            self.supervisor.cancel()
        left = await stopping
        hurry.cancel()
        if left:
            _log.error("workers_left", symbols=left, what="they did not end in time; their files are as last saved")
        if not shutdown.hurry.is_set():
            await asyncio.wait_for(self.execution.settled(), self.parts.execution_settings.order_timeout_s + 1)

    async def _let_go(self) -> None:
        if self.portfolio.dirty and self.inboxes:
            await self.save_memory()
        await self.parts.exchange.close()
        await self.parts.ledger.close()

    # Workers

    def _worker(self, symbol: str) -> SymbolWorker:
        parts = self.parts
        shared = Surroundings(
            clock=parts.clock,
            feed=parts.feed,
            exchange=parts.exchange,
            execution=self.execution,
            store=parts.store,
            portfolio=self.portfolio,
            publish=self.publish,
            instances=self.instances,
            observer=self.observations,
            settings=parts.settings,
            execution_settings=parts.execution_settings,
            first_snapshot=lambda: self._snapshot,
            warmed=self._warm.add,
        )
        return SymbolWorker(symbol, self.strategies[symbol], self.inboxes[symbol], shared)

    def _make_instance(self, symbol: str, strategy: str) -> StrategyInstance:
        state = self._states[(strategy, symbol)]
        return self.parts.make_instance(strategy, self._instruments[symbol], state)

    def _evict(self, symbol: str) -> None:
        for instance in self.instances.of(symbol):
            # Names and numbers only: the worker reads the file before it does anything with it.
            self._states[(instance.strategy_name, symbol)] = instance.state
        self.instances.evict(symbol)
        self._warm.discard(symbol)

    def _on_failure(self, symbol: str, error: BaseException) -> None:
        self.observations.failed(symbol, f"{type(error).__name__}: {error}")

    async def _on_quarantine(self, symbol: str, why: str) -> None:
        self.portfolio.blocks.quarantine(symbol, why)
        self.problems.report(f"quarantine:{symbol}", f"{symbol} is in quarantine: {why}")
        await self.save_memory()

    # Facts, trading state, housekeeping

    def publish(self, items: Sequence[Fact | Decision]) -> None:
        """Tell everyone, the portfolio first; then see whether the trading state moves."""
        self.observations.count(items)
        self.bus.publish(items)
        self._evaluate_soon()

    def _on_new_close(self, close_ms: int) -> None:
        self._evaluate_soon()

    def _evaluate_soon(self) -> None:
        change = self.portfolio.evaluate(self.parts.clock.now_ms())
        if change is not None:
            self.apply_change(change)

    async def _evaluate(self) -> None:
        self._evaluate_soon()

    def apply_change(self, change: StateChange) -> None:
        """Log a change of the trading state and act on it; housekeeping makes it durable at once."""
        _log.warning("trading_state", state=change.present.value, reason=change.reason, flatten=change.flatten)
        if change.flatten:
            self.leave(tuple(self.inboxes), CloseReason.PORTFOLIO_HALT)
        if change.present is TradingState.ACTIVE:
            self.problems.report("trading_state", None)
        else:
            self.problems.report("trading_state", f"trading is {change.present.value}: {change.reason}")
        self._memory_task = asyncio.get_running_loop().create_task(self.save_memory(), name="save-portfolio")

    def leave(self, symbols: Sequence[str], reason: CloseReason) -> None:
        """Have entries cancelled and positions closed."""
        for symbol in symbols:
            self.inboxes[symbol].put(Leave(reason))

    async def save_memory(self) -> None:
        """Make what the portfolio must remember durable."""
        async with self._saving:
            memory = self.portfolio.memory()
            await self.parts.portfolio_store.save(memory)
            self.portfolio.saved(memory)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            self._evaluate_soon()
            if self.portfolio.flatten_wanted:
                open_ones = {instance.symbol for instance in self.instances if isinstance(instance.state.signal, Open)}
                self.leave(tuple(sorted(open_ones)), CloseReason.PORTFOLIO_HALT)
            if self.portfolio.dirty:
                try:
                    await self.save_memory()
                    self.problems.report("portfolio.json", None)
                except Fatal as error:
                    self.problems.report("portfolio.json", str(error))

    async def _reconcile_slowly(self) -> None:
        """Compare files and venue again and again; a symbol that differs looks into it itself."""
        while True:
            await asyncio.sleep(self.parts.execution_settings.reconcile_s)
            try:
                snapshot = await self._look()
            except (Transient, TimeoutError) as error:
                self.problems.report("reconcile", f"the venue does not answer: {error}")
                continue
            self.problems.report("reconcile", None)
            for symbol, inbox in self.inboxes.items():
                states = [instance.state for instance in self.instances.of(symbol)]
                if states and expected_quantity(states) != snapshot.quantity(symbol):
                    inbox.put(Ask())

    async def _look(self) -> VenueSnapshot:
        exchange = self.parts.exchange
        async with asyncio.timeout(self.parts.execution_settings.order_timeout_s):
            return snapshot_of(await exchange.fetch_open_orders(), await exchange.fetch_positions())

    def _outstanding(self) -> Iterable[Fact]:
        return (fact for instance in self.instances for fact in instance.state.outbox)

    def _acknowledged(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            instance = self.instances.peek(fact.symbol, fact.strategy)
            if instance is not None:
                instance.state = moved_on(instance.state, fact.sequence)


