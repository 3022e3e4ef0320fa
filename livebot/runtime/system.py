"""One market's running daemon: start-up that is recovery, the life of its tasks, and an orderly end.

Rules of this file: it owns every task that is not a symbol's; nothing is decided before recovery is done, and no symbol
that is slow to begin holds up the others for longer than a bound; at the end the entry gate closes first, then the
workers finish what is at hand, then facts reach the ledger, then all is let go.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from livebot.core.denial import TradingState
from livebot.core.facts import Fact
from livebot.errors import Fatal, LivebotError
from livebot.ports import Decision
from livebot.runtime.bus import Bus
from livebot.runtime.candles.candle_hub import CandleHub
from livebot.runtime.clusters.cluster_watch import cluster_watch_of
from livebot.runtime.flattening.flattening import Flattening
from livebot.runtime.housekeeping import Housekeeping
from livebot.runtime.ledger_writer import LedgerWriter
from livebot.runtime.loop_lag import LoopLag
from livebot.runtime.portfolio.error_watch import ErrorWatches
from livebot.runtime.settings import RunMode
from livebot.runtime.shutdown import Shutdown
from livebot.runtime.supervision.supervisor import ChildState, Supervisor
from livebot.runtime.supervision.workers import Workers
from livebot.runtime.system_parts import SystemParts
from livebot.runtime.universe.roster import Roster
from livebot.runtime.universe.universe_watch import universe_watch_of
from livebot.runtime.venue.comparisons import Comparisons
from livebot.runtime.venue.execution import Execution
from livebot.runtime.venue.foreign import Foreign
from livebot.runtime.venue.notices import Notices
from livebot.runtime.venue.observations import Observations
from livebot.runtime.venue.reconcile import VenueSnapshot
from livebot.runtime.venue.recovery import Recovered, Recovery
from livebot.runtime.venue.start_waits import StartWaits
from livebot.runtime.venue.venue_watch import VenueWatch
from livebot.runtime.waiting import first_of, unless, until_done, within

__all__ = ["System", "SystemParts"]

_log = structlog.get_logger(__name__)

POLL_S = 0.005
PATIENCE_S = 30.0  # how long all wait for the first close while some symbol or the account is not ready


class System:
    """Made once for each run."""

    def __init__(self, parts: SystemParts) -> None:
        """Nothing is started."""
        self.parts = parts
        self.portfolio = parts.portfolio
        self.problems = parts.problems
        blocks, comparisons = parts.portfolio.blocks, Comparisons()
        self.foreign = Foreign(parts.problems, blocks)
        self.observations = Observations(parts.problems, self.foreign, comparisons)
        self._notices = Notices(parts.problems, blocks, self._compare_soon, self._reload, self._cause)
        self._errors = ErrorWatches(parts.trading_states, self._cause, self._latch)
        self.execution = Execution(
            parts.exchange,
            parts.clock,
            parts.execution_settings,
            self._may_open,
            self._notices.of("venue"),
            self._errors.orders.count,
        )
        self.loop_lag = LoopLag()
        self.ready = asyncio.Event()
        self.workers = Workers(parts, self.execution, self.observations, self.publish)
        self.roster = Roster(parts, self.workers, self.execution)
        self.universe = universe_watch_of(parts, self.roster, self.foreign)
        self.clusters = cluster_watch_of(parts, lambda: self.roster.symbols)
        self.supervisor: Supervisor | None = None
        self.hub: CandleHub | None = None
        self.started_ms, self._started_s = 0, 0.0
        self.config_loaded_ms = 0  # when what holds now of the config was loaded
        self.data_ended = False
        self._found: VenueSnapshot | None = None  # what the venue showed at the start
        self._at_once: int | None = None
        self._failure: LivebotError | None = None
        self.flattening = Flattening(parts, self.workers, self.execution, self.foreign, lambda: self.supervisor)
        self.housekeeping = Housekeeping(
            parts.portfolio,
            parts.portfolio_store,
            parts.clock,
            parts.problems,
            states=self.workers.last_states,
            leave=self.flattening.leave,
            withdraw=self.workers.withdraw,
        )
        self._watch = self._make_watch(comparisons)
        self.ledger_writer = LedgerWriter(
            parts.ledger,
            parts.settings.ledger,
            acknowledged=self.workers.acknowledged,
            outstanding=self.workers.outstanding,
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

    def _make_watch(self, comparisons: Comparisons) -> VenueWatch:
        parts = self.parts
        return VenueWatch(
            parts.name,
            exchange=parts.exchange,
            execution=self.execution,
            settings=parts.execution_settings,
            activity=parts.activity,
            portfolio=parts.portfolio,
            problems=parts.problems,
            observations=self.observations,
            foreign=self.foreign,
            comparisons=comparisons,
            inboxes=self.workers.inboxes,
            states=self.workers.last_states,
        )

    # Life

    async def run(self, shutdown: Shutdown) -> None:
        """Recover, trade until asked to stop or until the data ends, and end in order.

        Raises:
            Fatal: nothing can run, or the candles have stopped; the text says why and what to do.

        """
        try:
            if not await unless(shutdown.stopping, self._start()):
                return
            async with asyncio.TaskGroup() as tasks:
                await self._live(tasks, shutdown)
        except BaseExceptionGroup as group:
            raise first_of(group) from group
        finally:
            await self._let_go()
        if self._failure is not None:
            raise self._failure

    async def _live(self, tasks: asyncio.TaskGroup, shutdown: Shutdown) -> None:
        own = {
            "housekeeping": self.housekeeping.run(),
            "flattening": self.flattening.run(),
            "reconcile": self._watch.run(),
            "loop-lag": self.loop_lag.run(),
            "bus": self.bus.run(),
            "supervisor": self._supervise(shutdown),
        }
        if self.universe is not None:
            own["universe"] = self.universe.run()
        if self.clusters is not None:
            own["clusters"] = self.clusters.run()
        if self.workers.contexts.boards:
            own["contexts"] = self.workers.contexts.run()
        running = [tasks.create_task(work, name=name) for name, work in own.items()]
        await self._until_ready(shutdown)
        feeding = tasks.create_task(self._feed(shutdown), name="feed")
        await shutdown.stopping.wait()
        self.portfolio.close_gate()
        self.flattening.stop()
        feeding.cancel()
        await self._stop_workers(shutdown)
        await self._drain(shutdown)
        for task in running:
            task.cancel()

    # The beginning

    async def _start(self) -> None:
        parts = self.parts
        self.started_ms, self._started_s = parts.clock.now_ms(), asyncio.get_running_loop().time()
        self.config_loaded_ms = self.started_ms
        # First: what it says while we recover is not said again.
        parts.exchange.listen_notices(self._notices.of("exchange"))
        parts.feed.listen_notices(self._notices.of("feed"))
        waits = StartWaits(parts.settings, parts.ledger, parts.history)
        await self.housekeeping.remember()
        recovery = Recovery(
            parts.name,
            store=parts.store,
            exchange=parts.exchange,
            execution=self.execution,
            clock=parts.clock,
            waits=waits,
        )
        configured = frozenset((name, symbol) for symbol, names in parts.strategies.items() for name in names)
        recovered = await recovery.run(configured, self.portfolio.looks_back_ms)
        self.workers.take_over(recovered)
        self.observations.tally.restore(recovered.closes)
        self.portfolio.restore(
            self.portfolio.memory(), recovered.exposures, recovered.closes, recovered.carried, recovered.entries
        )
        if self.universe is not None:
            self.universe.begin()
        if self.clusters is not None:
            await self.clusters.begin()
        self._report_found(recovered)
        await waits.disk(self.housekeeping.save)
        self.hub = self.roster.connect(self._on_new_close)
        self._make_supervisor(recovered)
        _log.info(
            "recovered",
            states=len(recovered.states),
            busy=sorted(recovered.busy),
            quarantined=sorted(self.portfolio.blocks.quarantined),
            trading_state=self.portfolio.trading_state.value,
        )

    def _report_found(self, recovered: Recovered) -> None:
        blocks, report, symbols = self.portfolio.blocks, self.problems.report, self.workers.strategies.keys()
        for source, sentence in recovered.problems.items():
            report(source, sentence)
        for symbol, why in recovered.quarantined.items():
            if symbol in symbols:
                blocks.quarantine(symbol, why)
            else:
                report(f"quarantine:{symbol}", why)
        for symbol, why in blocks.quarantined.items():
            report(f"quarantine:{symbol}", f"{symbol} is in quarantine: {why}")
        self._watch.report_foreign_orders(recovered.snapshot)
        self._watch.report_nobodys(recovered.snapshot)
        self._found = recovered.snapshot

    def _make_supervisor(self, recovered: Recovered) -> None:
        workers, settings = self.workers, self.parts.settings
        with_signal = recovered.busy
        busy = [symbol for symbol in workers.strategies if symbol in with_signal]
        if settings.max_concurrent_symbols is not None:
            # An open signal is looked after, whatever has been configured since it opened.
            settings = replace(settings, max_concurrent_symbols=max(settings.max_concurrent_symbols, len(busy)))
        if settings.mode is RunMode.SEQUENTIAL and len(busy) > 1:
            text = f"{', '.join(busy)} have signals and run one after another: who waits has its venue stop and no more"
            self.problems.report("sequential", text)
        self._at_once = 1 if settings.mode is RunMode.SEQUENTIAL else settings.max_concurrent_symbols
        self.supervisor = Supervisor(
            tuple(workers.strategies),
            run=workers.run,
            guard=workers.guard,
            evict=workers.evict,
            on_quarantine=self._on_quarantine,
            settings=settings,
            rng=self.parts.random,
            report=self._on_failure,
            first=busy,
            stays=self.parts.universe is not None and not self.parts.universe.fixed,
            quarantined={
                symbol: why for symbol, why in self.portfolio.blocks.quarantined.items() if symbol in workers.strategies
            },
        )

        self.roster.supervise(self.supervisor, recovered.quarantined)

    async def _supervise(self, shutdown: Shutdown) -> None:
        assert self.supervisor is not None
        await self.supervisor.run()
        if not shutdown.stopping.is_set():
            shutdown.request("every symbol has done its part")

    async def _until_ready(self, shutdown: Shutdown) -> None:
        """All that can be warm are; what fails, waits for its turn or takes long does not hold up the others."""
        if not await unless(shutdown.stopping, self._warm_up()):
            return
        self.ready.set()
        found, self._found = self._found, None
        if found is not None:
            self._watch.sum_up("start", found)
        took_ms = round((asyncio.get_running_loop().time() - self._started_s) * 1000)
        _log.info("ready", symbols=len(self.workers.warm), took_ms=took_ms, equity=f"{self.portfolio.equity:.2f}")

    async def _warm_up(self) -> None:
        if not await within(PATIENCE_S, self._until_all_warm):
            cold = sorted(self.workers.strategies.keys() - self.workers.warm)
            _log.warning("not_all_ready", symbols=cold, what="the others begin; these follow when they can")
        if not await within(PATIENCE_S, self.workers.contexts.until_begun):
            _log.warning("context_not_ready", what="what looks at other symbols decides once their histories are there")
        if self.clusters is not None and not await within(PATIENCE_S, self.clusters.until_known):
            self.clusters.tell_unknown()
        if not await within(PATIENCE_S, self._watch.first_sight):
            _log.warning("account_not_seen", what="nothing opens until the venue has said what the account is worth")

    async def _until_all_warm(self) -> None:
        while not self._all_warm():  # noqa: ASYNC110 - what a symbol waits for is known to the supervisor alone
            await asyncio.sleep(POLL_S)

    def _all_warm(self) -> bool:
        assert self.supervisor is not None
        symbols, settled = self.workers.strategies, 0
        for symbol in symbols:
            waits = self.supervisor.status(symbol).state in (ChildState.WAITING, ChildState.RUNNING)
            settled += symbol in self.workers.warm or not waits
        return settled >= min(len(symbols), self._at_once or len(symbols))

    async def _feed(self, shutdown: Shutdown) -> None:
        try:
            await self.parts.feed.run()
        except LivebotError as error:
            self._failure = error if isinstance(error, Fatal) else Fatal(f"candles have stopped: {error}")
            shutdown.request(str(self._failure))
            return
        await self.parts.activity.idle()
        self.data_ended = True
        shutdown.request("the data has ended")

    # The end.  Each of its parts has a share of the configured time.

    async def _stop_workers(self, shutdown: Shutdown) -> None:
        assert self.supervisor is not None
        share_s = self.parts.settings.shutdown_s / 4
        await self.workers.close()
        # one share to return when asked, and one to end when cancelled
        stopping = asyncio.ensure_future(self.supervisor.stop(share_s, ask=self.workers.ask_to_stop))
        if not await unless(shutdown.hurry, until_done(stopping)):
            self.supervisor.cancel()
        left = await stopping
        if left:
            _log.error("workers_left", symbols=left, what="they did not end in time; their files are as last saved")
        await unless(shutdown.hurry, self._settled(share_s))
        if self.execution.in_flight:
            _log.warning("not_answered", orders=self.execution.in_flight, what="they are in the state files")

    async def _settled(self, timeout_s: float) -> None:
        await within(timeout_s, self.execution.settled)

    async def _drain(self, shutdown: Shutdown) -> None:
        late: list[str] = []

        async def drain() -> None:
            late.extend(await self.bus.drain(self.parts.settings.shutdown_s / 4))

        if not await unless(shutdown.hurry, drain()) or late:
            _log.warning("not_delivered", listeners=late, what="what the ledger lacks is in the state files")

    async def _let_go(self) -> None:
        self._errors.close()
        try:
            await self.workers.close()
            if self.housekeeping.remembers and self.portfolio.dirty:
                await self.housekeeping.save()
        except Fatal as error:
            _log.error("memory_not_saved", why=str(error))
        finally:
            try:
                await self.parts.exchange.close()
            finally:
                await self.parts.ledger.close()

    # What the supervisor and the workers tell and ask

    def _on_new_close(self) -> None:
        self.housekeeping.evaluate()
        assert self.hub is not None  # it is who tells
        for watch in (self.clusters, self.universe):
            if watch is not None:
                watch.see_close(self.hub.newest_close_ms)

    def _may_open(self, symbol: str) -> bool:
        return self.portfolio.trading_state is TradingState.ACTIVE and not self.portfolio.blocks.of(symbol)

    def _reload(self, symbol: str) -> None:
        if self.hub is not None:  # who begins later begins with a whole history
            self.hub.reload(symbol)

    def _compare_soon(self, symbol: str | None) -> None:
        self._watch.want(symbol)

    def _cause(self, source: str, sentence: str | None) -> None:
        self.housekeeping.cause(source, sentence)

    def _latch(self, reason: str) -> None:
        self.housekeeping.latch(reason)

    def _on_failure(self, symbol: str, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"
        self.observations.failed(symbol, text)
        self._errors.workers.count(f"{symbol}: {text}")

    async def _on_quarantine(self, symbol: str, why: str) -> None:
        self.portfolio.blocks.quarantine(symbol, why)
        self.problems.report(f"quarantine:{symbol}", f"{symbol} is in quarantine: {why}")
        await self.housekeeping.save()

    def publish(self, items: Sequence[Fact | Decision]) -> None:
        """Tell everyone, the portfolio first; then see whether the trading state moves."""
        self.workers.published(items)
        self.observations.count(items)
        self.bus.publish(items)
        self.housekeeping.evaluate()
