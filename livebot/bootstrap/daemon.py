"""The daemon: its parts made, held together while it runs, and let go of in reverse order."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import structlog
import uvloop

from livebot.adapters.collector import Collector
from livebot.adapters.ledger.fact_log import FactLog
from livebot.adapters.ledger.journal import Journal
from livebot.adapters.ledger.ledger import SqlLedger
from livebot.adapters.ledger.ledger_reader import LedgerReader
from livebot.adapters.log.logs import Logs, configure_logs
from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.file_workers import ThreadWorkers
from livebot.adapters.state_files.portfolio_store import FilePortfolioStore
from livebot.adapters.state_files.root_lock import RootLock
from livebot.adapters.state_files.signal_store import FileSignalStore
from livebot.bootstrap.alerts import DaemonAlerts
from livebot.bootstrap.choice import Choice
from livebot.bootstrap.clusters import clusters_of
from livebot.bootstrap.commands import report_of
from livebot.bootstrap.control import DaemonControl
from livebot.bootstrap.loading import load
from livebot.bootstrap.metrics import measure_of, metrics_page, serve_metrics
from livebot.bootstrap.reload import ConfigFile, Present, lacking_source, reload_of
from livebot.bootstrap.service import Service
from livebot.bootstrap.strategies import (
    asked_model,
    context_symbols,
    strategies_by_symbol,
    watched_by_symbol,
    with_models,
)
from livebot.bootstrap.venue import Venue, simulated_venue_of
from livebot.config import terms
from livebot.config.load import LoadedConfig
from livebot.config.root import Paths, resolve
from livebot.config.rounds import round_settings
from livebot.config.trading_state_terms import trading_state_settings
from livebot.config.venue import SIMULATOR
from livebot.core.facts import Fact, SignalClosed
from livebot.errors import LivebotError
from livebot.ops.metrics.measurements import Measure
from livebot.ports import Clock, Screen
from livebot.reporting.formats import as_markdown
from livebot.reporting.signals_report import Selection
from livebot.runtime.inbox import Activity
from livebot.runtime.operator.control import Control
from livebot.runtime.operator.reload import Reload
from livebot.runtime.operator.status import status_in_pieces
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.problems import Problems
from livebot.runtime.shutdown import Shutdown, surviving_hangups
from livebot.runtime.system import System, SystemParts

if TYPE_CHECKING:
    from livebot.bootstrap.models import DaemonModels

_log = structlog.get_logger(__name__)

SCREEN_S = 0.5
EXIT_OK = 0
EXIT_CONFIG = 2
EXIT_FAILED = 3


class _LedgerHistory:
    """The past for recovery, read beside the event loop."""

    def __init__(self, path: Path, files: DurableFiles) -> None:
        self._path = path
        self._files = files

    async def closes(self) -> Sequence[SignalClosed]:
        """Every closed signal, in the order of closing."""
        return await self._files.run(lambda: self._read(lambda reader: tuple(reader.closed_signals())))

    async def entries(self, since_ms: int) -> Sequence[Fact]:
        """What tells of orders that add exposure, from then on, in the order of time."""
        return await self._files.run(lambda: self._read(lambda reader: tuple(reader.entries(since_ms))))

    async def last_numbers(self) -> Mapping[tuple[str, str], tuple[int, int]]:
        """The last fact's sequence and the last signal's number."""
        return await self._files.run(lambda: self._read(lambda reader: reader.last_numbers()))

    def _read(self, read: Callable[[LedgerReader], Any]) -> Any:  # noqa: ANN401 - as `read` gives it
        with LedgerReader(self._path) as reader:
            return read(reader)


def run_daemon(
    config_path: Path,
    root: Path | None,
    *,
    seconds: float | None,
    screen: Screen | None,
    log_level: str | None = None,
) -> int:
    """Run until a signal, until `seconds` have passed, or until the data ends; the exit code.

    Raises:
        ConfigErrors, BadInput, Fatal: nothing could run; the text says why and what to do.

    """
    loaded = with_models(load(config_path))
    paths = resolve(loaded.config, config_path, root, os.environ)
    sink = screen.log_line if screen is not None else None
    with surviving_hangups(), configure_logs(level=log_level, sink=sink) as logs:
        structlog.contextvars.bind_contextvars(system=loaded.config.system)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(loaded, paths, seconds, screen, logs))
    return EXIT_OK


async def _run(loaded: LoadedConfig, paths: Paths, seconds: float | None, screen: Screen | None, logs: Logs) -> None:
    service, api = Service(os.environ), DaemonControl(loaded.config.control, os.environ)
    async with AsyncExitStack() as opened:
        opened.enter_context(RootLock(paths.lock, paths.root))
        alerts = await opened.enter_async_context(
            DaemonAlerts(loaded.config.system, loaded.config.alerts, os.environ, paths.state / "last_failure")
        )
        system, journal, measure, reload, models = await _build(loaded, paths, opened, alerts, api, service)
        control = Control(system, set_log_level=logs.set_level, reload=reload.ask)
        shutdown = opened.enter_context(Shutdown(close_gate=system.portfolio.close_gate, reload=reload.request))
        alerts.watch(system, shutdown, paths.ledger)
        metrics = metrics_page(lambda: status_in_pieces(system), measure, loaded.config.control)
        await api.serve(control, journal, metrics.answer, paths.control_socket, opened, system.problems.report)
        await serve_metrics(metrics, system, loaded.config.control, opened)
        beside = [asyncio.create_task(_stop_after(seconds, shutdown), name="stop-after")]
        beside.append(asyncio.create_task(reload.run(shutdown), name="reload"))
        beside += service.watch(system, shutdown)
        if models is not None:
            beside.append(asyncio.create_task(models.run(), name="models"))
        if screen is not None:
            beside.append(asyncio.create_task(_show(control, screen), name="screen"))
        beside.append(asyncio.create_task(_collect_garbage(system), name="garbage"))
        try:
            await system.run(shutdown)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            _write_report(loaded.config.system, paths)


async def _stop_after(seconds: float | None, shutdown: Shutdown) -> None:
    if seconds is not None:
        await asyncio.sleep(seconds)
        shutdown.request(f"{seconds:g} seconds have passed")


async def _collect_garbage(system: System) -> None:
    """Once all that lives as long as the process is there, its garbage is collected at quiet moments only."""
    await system.ready.wait()
    await Collector(lambda: system.parts.activity.quiet).run()


async def _show(control: Control, screen: Screen) -> None:
    try:
        while True:
            screen.show(control.status())
            await asyncio.sleep(SCREEN_S)
    finally:
        screen.close()


def _write_report(system: str, paths: Paths) -> None:
    """The report of this root, for who finds the daemon stopped; failing to write it fails nothing else."""
    try:
        paths.report.write_text(as_markdown(report_of(system, paths, Selection())), encoding="utf-8")
    except (LivebotError, OSError) as error:
        _log.warning("report_not_written", file=str(paths.report), why=str(error))


async def _build(
    loaded: LoadedConfig,
    paths: Paths,
    opened: AsyncExitStack,
    alerts: DaemonAlerts,
    api: DaemonControl,
    service: Service,
) -> tuple[System, Journal, Measure, Reload, "DaemonModels | None"]:
    config = loaded.config
    activity = Activity()
    problems = Problems(changed=api.changed(alerts.changed(_log_problem)))
    files = DurableFiles(workers=ThreadWorkers(config.runtime.write_threads, "durable-files"))
    opened.push_async_callback(files.close)
    choice = Choice(loaded, paths, files, problems.report)
    venue = await _venue(loaded, paths, activity, opened, choice)
    ledger = SqlLedger(paths.ledger, config.system)
    journal = Journal(paths.state / "journal", venue.clock)
    opened.callback(journal.close)
    portfolio = Portfolio(
        terms.limits(config.risk.limits),
        loss_limit=terms.loss_limit(config.risk.loss_limit),
        win_rate=terms.win_rate(config.risk.win_rate),
        report=problems.report,
    )
    for symbol, why in venue.lacking.items():
        problems.report(lacking_source(symbol), why)
    models = await _models(loaded, paths, venue.clock, problems, journal, opened)
    present = Present(loaded)
    parts = SystemParts(
        name=config.system,
        market=config.market,
        mode=config.mode,
        strategies=strategies_by_symbol(loaded, venue.symbols, venue.lacking),
        watched=watched_by_symbol(loaded, venue.symbols),
        make_strategy=present.make_strategy,
        rules=present.rules,
        clock=venue.clock,
        exchange=venue.exchange,
        feed=venue.feed,
        store=FileSignalStore(paths.signals, config.system, files),
        portfolio_store=FilePortfolioStore(paths.state, config.system, files),
        ledger=ledger,
        history=_LedgerHistory(paths.ledger, files),
        portfolio=portfolio,
        problems=problems,
        listeners=(journal, FactLog(), *alerts.listeners, *api.listeners, *(models.listeners if models else ())),
        settings=terms.runtime_settings(config.runtime),
        execution_settings=terms.execution_settings(config.execution),
        activity=activity,
        random=Random(),
        universe=choice.parts(venue.admit, [each for each in venue.symbols if each not in venue.lacking]),
        context_symbols=context_symbols(loaded, venue.lacking),
        clusters=clusters_of(config, paths, files, journal.note, opened),
        round=round_settings(config.risk.round),
        tell_round=journal.hear_round,
        trading_states=trading_state_settings(config),
        confidences=None if models is None else models.parts,
    )
    system = System(parts)
    file = ConfigFile(paths.config, present, choice, venue.lacking, problems.report)
    reload = reload_of(system, file, venue.admit, service=service, journal=journal)
    return system, journal, measure_of(system, files, venue, models), reload, models


async def _models(
    loaded: LoadedConfig, paths: Paths, clock: Clock, problems: Problems, journal: Journal, opened: AsyncExitStack
) -> "DaemonModels | None":
    if asked_model(loaded) is None:
        return None
    # Here because scikit-learn is heavy, and who asks no model has no use for it.
    from livebot.bootstrap.models import DaemonModels  # noqa: PLC0415

    models = DaemonModels(loaded, paths, os.environ, clock, problems.report, journal.note, opened)
    await models.begin()
    return models


async def _venue(
    loaded: LoadedConfig, paths: Paths, activity: Activity, opened: AsyncExitStack, choice: Choice
) -> Venue:
    if loaded.config.exchange.id == SIMULATOR:
        return await simulated_venue_of(loaded, paths, activity, opened, choice.symbols)
    # Here because ccxt is heavy, and the simulator has no use for it.
    from livebot.bootstrap.real_venue import real_venue_of  # noqa: PLC0415

    return await real_venue_of(loaded, paths, opened, choice)


def _log_problem(source: str, sentence: str | None) -> None:
    if sentence is None:
        _log.info("problem_passed", source=source)
    else:
        _log.warning("problem", source=source, what=sentence)
