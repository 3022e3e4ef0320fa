"""The composition root: the only file that knows every concrete class and puts them together.

Rules of this file: nothing is decided here; what is opened is closed in reverse order, however the run ends.
"""

import asyncio
import ctypes
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import structlog
import uvloop

from livebot.adapters.durable_files import DurableFiles
from livebot.adapters.fact_log import FactLog
from livebot.adapters.file_workers import ThreadWorkers
from livebot.adapters.journal import Journal
from livebot.adapters.ledger import SqlLedger
from livebot.adapters.ledger_reader import LedgerReader
from livebot.adapters.logs import configure_logs
from livebot.adapters.portfolio_store import FilePortfolioStore
from livebot.adapters.root_lock import RootLock
from livebot.adapters.signal_store import FileSignalStore
from livebot.config import load as config_load
from livebot.config import terms
from livebot.config.load import LoadedConfig
from livebot.config.model import SimulatorConfig
from livebot.config.problems import ConfigErrors
from livebot.config.root import Paths, resolve
from livebot.core.facts import SignalClosed
from livebot.errors import LivebotError
from livebot.ops.control_server import ControlServer
from livebot.ports import CandleFeed, Clock, Exchange, Screen
from livebot.reporting.formats import as_markdown
from livebot.reporting.signals_report import DecisionRow, Report, Selection, make_report, row_of
from livebot.runtime.control import Control
from livebot.runtime.inbox import Activity
from livebot.runtime.portfolio import Portfolio
from livebot.runtime.problems import Problems
from livebot.runtime.shutdown import Shutdown
from livebot.runtime.system import System, SystemParts
from livebot.simulator.clock import VenueClock
from livebot.simulator.exchange import SimulatedExchange
from livebot.simulator.feed import SimulatedFeed
from livebot.simulator.market import Fees, Market
from livebot.simulator.matching import FillModel
from livebot.simulator.memory import VenueMemory
from livebot.simulator.remote import RemoteVenue
from livebot.simulator.synthetic import SyntheticMarket, SyntheticSettings
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from livebot.strategies.interface import Strategy

_log = structlog.get_logger(__name__)

SCREEN_S = 0.5
EXIT_OK = 0
EXIT_CONFIG = 2
EXIT_FAILED = 3
_SYNTHETIC_START_MS = 1_767_225_600_000  # 2026-01-01; a synthetic market can begin anywhere
_PARTIAL_FILLS = 0.3  # how often an order of the simulated venue fills in pieces, when that is switched on


@dataclass(frozen=True, slots=True)
class Venue:
    """What the daemon needs of a venue."""

    exchange: Exchange
    feed: CandleFeed
    clock: Clock
    lacking: tuple[str, ...] = ()  # configured symbols that it does not have


class _LedgerHistory:
    """The past for recovery, read beside the event loop."""

    def __init__(self, path: Path, files: DurableFiles) -> None:
        self._path = path
        self._files = files

    async def closes(self) -> Sequence[SignalClosed]:
        """Every closed signal, in the order of closing."""
        return await self._files.run(lambda: self._read(lambda reader: tuple(reader.closed_signals())))

    async def last_numbers(self) -> Mapping[tuple[str, str], tuple[int, int]]:
        """The last fact's sequence and the last signal's number."""
        return await self._files.run(lambda: self._read(lambda reader: reader.last_numbers()))

    def _read(self, read: Callable[[LedgerReader], Any]) -> Any:  # noqa: ANN401 - as `read` gives it
        with LedgerReader(self._path) as reader:
            return read(reader)


def _load(config_path: Path) -> LoadedConfig:
    # A user's own strategy stands beside the config; at the end of the path, so that it can shadow nothing.
    folder = str(config_path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    return config_load.load(config_path)


# Commands that need no running daemon


def check(config_path: Path, root: Path | None) -> list[str]:
    """Everything that can be validated without running: problem sentences, none if all is well."""
    try:
        loaded = _load(config_path)
        paths = resolve(loaded.config, config_path, root, os.environ)
        _check_candles(loaded, paths)
    except ConfigErrors as errors:
        return str(errors).splitlines()
    except LivebotError as error:
        return [str(error)]
    return []


def _check_candles(loaded: LoadedConfig, paths: Paths) -> None:
    if paths.candles is not None and paths.venue_socket is None:
        _market(loaded, paths)


def control_socket(config_path: Path, root: Path | None) -> Path:
    """Where the daemon of this config answers.  Raises BadInput."""
    loaded = _load(config_path)
    return resolve(loaded.config, config_path, root, os.environ).control_socket


def report(config_path: Path, root: Path | None, selection: Selection) -> Report:
    """The report over the ledger of this config.  Raises BadInput, Transient."""
    loaded = _load(config_path)
    paths = resolve(loaded.config, config_path, root, os.environ)
    return _report(loaded.config.system, paths, selection)


def _report(system: str, paths: Paths, selection: Selection) -> Report:
    with LedgerReader(paths.ledger) as reader:
        strategy, symbol, since_ms = selection.strategy, selection.symbol, selection.since_ms
        facts = [row_of(fact) for fact in reader.facts(strategy=strategy, symbol=symbol, since_ms=since_ms)]
        decisions = [
            DecisionRow(
                ts_ms=decision.ts_ms,
                strategy=decision.strategy,
                symbol=decision.symbol,
                outcome=decision.outcome,
                code=decision.code,
            )
            for decision in reader.decisions(strategy=strategy, symbol=symbol, since_ms=since_ms)
        ]
    return make_report(system, facts, decisions, selection)


# The daemon


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
    loaded = _load(config_path)
    paths = resolve(loaded.config, config_path, root, os.environ)
    with configure_logs(level=log_level, sink=screen.log_line if screen is not None else None):
        structlog.contextvars.bind_contextvars(system=loaded.config.system)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(loaded, paths, seconds, screen))
    return EXIT_OK


async def _run(loaded: LoadedConfig, paths: Paths, seconds: float | None, screen: Screen | None) -> None:
    async with AsyncExitStack() as opened:
        opened.enter_context(RootLock(paths.lock, paths.root))
        system, journal = await _build(loaded, paths, opened)
        control = Control(system)
        shutdown = opened.enter_context(Shutdown(close_gate=system.portfolio.close_gate))
        server = ControlServer(
            control,
            paths.control_socket,
            audit=lambda command, arguments, who: journal.note(
                "command", {"command": command, "who": who, **arguments}
            ),
            command_seconds=float(loaded.config.control.command_seconds),
            connections_max=loaded.config.control.connections,
        )
        await server.start()
        opened.push_async_callback(server.close)
        beside = [asyncio.create_task(_stop_after(seconds, shutdown), name="stop-after")]
        if screen is not None:
            beside.append(asyncio.create_task(_show(control, screen), name="screen"))
        beside.append(asyncio.create_task(_settle_down(system), name="settle-down"))
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


async def _settle_down(system: System) -> None:
    """Once all that lives as long as the process is there, the collector need not look at it again and again.

    What the histories took for a moment goes back to the system (where the C library can do that).
    """
    await system.ready.wait()
    gc.collect()
    gc.freeze()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


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
        paths.report.write_text(as_markdown(_report(system, paths, Selection())), encoding="utf-8")
    except (LivebotError, OSError) as error:
        _log.warning("report_not_written", file=str(paths.report), why=str(error))


async def _build(loaded: LoadedConfig, paths: Paths, opened: AsyncExitStack) -> tuple[System, Journal]:
    config = loaded.config
    activity = Activity()
    venue = await _venue(loaded, paths, activity, opened)
    files = DurableFiles(workers=ThreadWorkers(config.runtime.write_threads, "durable-files"))
    opened.push_async_callback(files.close)
    ledger = SqlLedger(paths.ledger, config.system)
    journal = Journal(paths.state / "journal", venue.clock)
    opened.callback(journal.close)
    problems = Problems(changed=_log_problem)
    portfolio = Portfolio(
        terms.limits(config.risk.limits),
        loss_limit=terms.loss_limit(config.risk.loss_limit),
        win_rate=terms.win_rate(config.risk.win_rate),
        report=problems.report,
    )
    for symbol in venue.lacking:
        problems.report(f"candles:{symbol}", f"{symbol} is not traded: {paths.candles} has no candles of it")
    parts = SystemParts(
        name=config.system,
        market=config.market,
        mode=config.mode,
        strategies=_strategies_by_symbol(loaded, venue.lacking),
        watched=_watched_by_symbol(loaded),
        make_strategy=_strategy_maker(loaded),
        rules=lambda strategy, instrument: terms.rules(config, strategy, instrument),
        clock=venue.clock,
        exchange=venue.exchange,
        feed=venue.feed,
        store=FileSignalStore(paths.signals, config.system, files),
        portfolio_store=FilePortfolioStore(paths.state, config.system, files),
        ledger=ledger,
        history=_LedgerHistory(paths.ledger, files),
        portfolio=portfolio,
        problems=problems,
        listeners=(journal, FactLog()),
        settings=terms.runtime_settings(config.runtime),
        execution_settings=terms.execution_settings(config.execution),
        activity=activity,
        random=Random(),
    )
    return System(parts), journal


def _log_problem(source: str, sentence: str | None) -> None:
    if sentence is None:
        _log.info("problem_passed", source=source)
    else:
        _log.warning("problem", source=source, what=sentence)


# Strategies


def _strategies_by_symbol(loaded: LoadedConfig, lacking: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    return {
        symbol: tuple(plan.id for plan in loaded.strategies if symbol in plan.symbols)
        for symbol in loaded.config.symbols
        if symbol not in lacking and any(symbol in plan.symbols for plan in loaded.strategies)
    }


def _watched_by_symbol(loaded: LoadedConfig) -> Mapping[str, frozenset[str]]:
    watched: dict[str, frozenset[str]] = {}
    for plan in loaded.strategies:
        others = frozenset(plan.make().others)
        for symbol in plan.symbols if others else ():
            watched[symbol] = watched.get(symbol, frozenset()) | others
    return watched


def _strategy_maker(loaded: LoadedConfig) -> Callable[[str], Strategy[Any] | None]:
    plans = {plan.id: plan for plan in loaded.strategies}

    def make(strategy_id: str) -> Strategy[Any] | None:
        plan = plans.get(strategy_id)
        return plan.make() if plan is not None else None

    return make


# Venues


async def _venue(loaded: LoadedConfig, paths: Paths, activity: Activity, opened: AsyncExitStack) -> Venue:
    simulator = loaded.config.exchange.simulator
    if paths.venue_socket is not None:
        remote = await RemoteVenue.connect(paths.venue_socket)
        opened.push_async_callback(remote.close)
        return Venue(remote.exchange, remote.feed, remote.clock)
    memory = VenueMemory(paths.simulator)
    venue = SimulatedVenue(_market(loaded, paths), _venue_settings(simulator), memory)
    opened.callback(venue.close)
    clock = VenueClock(venue, speed=float(simulator.speed))
    exchange = SimulatedExchange(venue, clock, name=loaded.config.exchange.id, latency_ms=float(simulator.latency_ms))
    feed = SimulatedFeed(venue, clock, quiesce=activity.idle, minutes=simulator.minutes)
    return Venue(
        exchange, feed, clock, tuple(symbol for symbol in loaded.config.symbols if symbol not in venue.symbols)
    )


def _market(loaded: LoadedConfig, paths: Paths) -> Market:
    config, simulator = loaded.config, loaded.config.exchange.simulator
    fees = Fees(taker=simulator.taker_fee, maker=simulator.maker_fee)
    if paths.candles is None:
        settings = SyntheticSettings(seed=simulator.seed, volatility=float(simulator.volatility), fees=fees)
        return SyntheticMarket(config.symbols, settings)
    # Here because pyarrow, which reads the files, is heavy and a synthetic market has no use for it.
    from livebot.simulator.replay import ReplayMarket, has_candles  # noqa: PLC0415

    # One folder may serve many configs: what it lacks is told and not traded, unless it lacks everything.
    there = [symbol for symbol in config.symbols if has_candles(paths.candles, symbol)]
    return ReplayMarket(paths.candles, there or config.symbols, fees=fees)


def _venue_settings(simulator: SimulatorConfig) -> VenueSettings:
    start_ms = _SYNTHETIC_START_MS if simulator.candles is None else None
    return VenueSettings(
        start_ms=int(simulator.start.timestamp() * 1000) if simulator.start is not None else start_ms,
        wallet=simulator.wallet,
        fills=FillModel(
            slippage=simulator.slippage,
            partial_probability=_PARTIAL_FILLS if simulator.partial_fills else 0.0,
            seed=simulator.seed,
        ),
    )
