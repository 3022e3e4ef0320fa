"""From a config to the plan of a backtest.

Rules of this file: what the config says of the simulated venue (wallet, fees, slippage, start, minutes) holds for the
backtest too, so that `livebot run` on the simulator and `livebot backtest` on the same candles give the same facts.
"""

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from livebot.adapters.ccxt_venue.capabilities import PERPETUAL
from livebot.adapters.log.logs import configure_logs
from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.backtest.candles import Found, from_folder, from_store, is_flat, most_held
from livebot.backtest.funding_rates import read_rates
from livebot.backtest.plan import BacktestPlan, FundingRates, StrategyRun
from livebot.backtest.record import record_of, write
from livebot.backtest.result import BacktestResult
from livebot.backtest.run import run
from livebot.bootstrap.loading import load
from livebot.bootstrap.past_members import NAMED, PastMembers, candidates, past_members
from livebot.bootstrap.strategies import judged_plans, with_models
from livebot.bootstrap.venue import account_settings
from livebot.config import terms
from livebot.config.clusters import cluster_terms
from livebot.config.load import LoadedConfig
from livebot.config.model import Config
from livebot.config.root import Paths, resolve
from livebot.config.rounds import round_settings
from livebot.config.universe import UniverseConfig
from livebot.config.venue import SIMULATOR
from livebot.core.market import MINUTE_MS
from livebot.errors import BadInput
from livebot.history.store import CandleStore
from livebot.reporting.performance_report import PerformanceReport, performance
from livebot.reporting.run_record import RunRecord
from livebot.simulator.market import Fees
from livebot.simulator.replay import has_candles, instrument_of, names_of, symbols_in
from livebot.strategies.interface import looks_at

FOLDER = "backtests"
CACHE = Path("cache") / "features"
NOBODY_JUDGED = "no model was in use, and model.serving.untrained: pass let all entries pass without one"
_MEGABYTE = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestRequest:
    """What the command line says; None is what the config says, or all there is.

    `candles` is a folder of candle files or a candle store.  Times are UTC milliseconds.
    """

    from_ms: int | None = None
    to_ms: int | None = None
    symbols: tuple[str, ...] | None = None
    candles: Path | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that was judged and written; `seconds` is how long that took."""

    record: RunRecord
    report: PerformanceReport
    result: BacktestResult
    folder: Path
    seconds: float


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, and where its config's paths lead."""

    plan: BacktestPlan
    paths: Paths
    candles: Path


def prepare(config_path: Path, root: Path | None, request: BacktestRequest) -> Prepared:
    """The plan of a config file.

    Raises:
        ConfigErrors, BadInput: the config, the candles or the range cannot be used; naming what and the mend.

    """
    loaded = with_models(load(config_path))
    paths = resolve(loaded.config, config_path, root, os.environ)
    found = candles_of(loaded, paths, request)
    plan = plan_of(loaded, paths, found, request)
    return Prepared(_judged(loaded, paths, plan), paths, found.where)


def _judged(loaded: LoadedConfig, paths: Paths, plan: BacktestPlan) -> BacktestPlan:
    """The plan with the models that the config wants asked.  Raises BadInput: one of them cannot be, and why."""
    ids = {run.id for run in plan.strategies}.intersection(each.id for each in judged_plans(loaded))
    if not ids:
        return plan
    # Here because scikit-learn is heavy, and who asks no model has no use for it.
    from livebot.bootstrap.past_models import past_models  # noqa: PLC0415

    confidences = past_models(loaded, paths, os.environ, ids, plan.start_ms)
    said = f"entries were judged by {', '.join(confidences.models)}" if confidences.models else NOBODY_JUDGED
    return replace(plan, confidences=confidences, notes=(*plan.notes, said))


def carry_out(prepared: Prepared, name: str | None, *, jobs: int, progress: Callable[[int, int], None]) -> Finished:
    """Run a plan, judge it, and write report and facts into the state folder.

    Raises:
        BadInput: a strategy fails, or the name cannot be a folder's.
        Fatal: something could not be written; naming it and the mend.

    """
    plan, began = prepared.plan, time.perf_counter()
    name = _name(name)
    with configure_logs(level="error"):  # what a live daemon would log stands in the facts and the report
        result = run(plan, progress, jobs=jobs)
    record = record_of(plan, result, f"Backtest {name}")
    report = performance(record)
    folder = prepared.paths.state / FOLDER / name
    write(folder, record, report, result, SystemFiles())
    return Finished(record, report, result, folder, time.perf_counter() - began)


def _name(name: str | None) -> str:
    if name is None:
        return datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    if not _NAME.fullmatch(name):
        raise BadInput(f"--name {name!r}: write at most 64 of a-z, A-Z, 0-9, _, . and -, the first a letter or digit")
    return name


def plan_of(loaded: LoadedConfig, paths: Paths, found: Found, request: BacktestRequest) -> BacktestPlan:
    """The plan of a config over these candles.  Raises BadInput: the range is empty, or a strategy needs other candles."""
    config = loaded.config
    _require_parallel(config)
    simulator = config.exchange.simulator
    fees = Fees(taker=simulator.taker_fee, maker=simulator.maker_fee)
    start_ms, end_ms, notes = _range(config, found, request)
    universe = _members(config, found, request, (start_ms, end_ms))
    strategies = _strategies(loaded, tuple(found.tables if universe is None else universe.spans), found)
    symbols = _needed(strategies, found) if universe is not None else tuple(found.tables)
    instruments = {symbol: instrument_of(symbol, found.tables[symbol], fees) for symbol in symbols}
    account = account_settings(simulator, None)
    return BacktestPlan(
        system=config.system,
        strategies=strategies,
        symbols=symbols,
        instruments=instruments,
        candles={symbol: found.tables[symbol].between(0, end_ms + found.base.ms).series() for symbol in symbols},
        start_ms=start_ms,
        end_ms=end_ms,
        wallet=account.wallet,
        rules=terms.rules(config, "", next(iter(instruments.values()))),
        limits=terms.limits(config.risk.limits),
        loss_limit=terms.loss_limit(config.risk.loss_limit),
        win_rate=terms.win_rate(config.risk.win_rate),
        round=round_settings(config.risk.round),
        clusters=cluster_terms(config.risk.clusters),
        fills=account.fills,
        funding=_funding(paths.root, config, symbols),
        latency_ms=config.backtest.latency_ms,
        base=found.base,
        history=config.runtime.history,
        cache=paths.state / CACHE if config.backtest.cache_megabytes else None,
        cache_bytes=config.backtest.cache_megabytes * _MEGABYTE,
        members={} if universe is None else universe.spans,
        notes=(*notes, *_left_out(config, symbols), *(_unchosen(config) if universe is None else universe.notes)),
    )


# The universe


def _universe(config: Config, request: BacktestRequest) -> UniverseConfig | None:
    """What symbols are found by; None if they are named."""
    return config.universe if request.symbols is None else None


def _members(config: Config, found: Found, request: BacktestRequest, span_ms: tuple[int, int]) -> PastMembers | None:
    """Who was in the universe when; None if the symbols are named."""
    section = _universe(config, request)
    return None if section is None else past_members(config, section, found.tables, found.base, *span_ms)


def _needed(strategies: Sequence[StrategyRun], found: Found) -> tuple[str, ...]:
    """The symbols that are traded or looked at.  Raises BadInput: no strategy runs on any of them."""
    needed = {symbol for each in strategies for symbol in (*each.symbols, *looks_at(each.make()))}
    if not needed:
        raise BadInput(
            "no strategy of the config runs on a symbol that was in the universe; write `symbols: all` for one of them"
        )
    return tuple(symbol for symbol in found.tables if symbol in needed)


def _unchosen(config: Config) -> tuple[str, ...]:
    said = ("the universe was not looked at: --symbols says which symbols, all the time",)
    return () if config.universe is None else said


def _left_out(config: Config, symbols: Sequence[str]) -> tuple[str, ...]:
    lacking = [symbol for symbol in config.symbols if symbol not in symbols]
    return (
        (f"left out, because there are no candles or they were not asked for: {', '.join(lacking)}",) if lacking else ()
    )


def _require_parallel(config: Config) -> None:
    runtime = config.runtime
    if runtime.mode != "parallel" or runtime.max_concurrent_symbols is not None:
        raise BadInput(
            "runtime: a backtest runs all symbols at once; write mode: parallel and leave max_concurrent_symbols out"
        )


# Candles


def candles_of(loaded: LoadedConfig, paths: Paths, request: BacktestRequest) -> Found:
    """The candles that a request is about, with those that its strategies look at besides.  Raises BadInput."""
    folder = request.candles or paths.candles or paths.candle_store
    if request.candles is not None and not request.candles.is_dir():
        raise BadInput(
            f"--candles: {request.candles} is no folder; name one that holds candle files, or a candle store"
        )
    if is_flat(folder):
        return from_folder(folder, _symbols_of_folder(loaded, request, folder))
    config, store = loaded.config, CandleStore(folder, SystemFiles())
    venue = None if config.exchange.id == SIMULATOR else config.exchange.id
    universe = _universe(config, request)
    if universe is None:
        symbols = _symbols(loaded, request)
    else:
        there = most_held(store, venue, config.market)
        symbols = _with_others(loaded, candidates(config, universe, there, folder))
    return from_store(store, venue, config.market, symbols)


def _symbols_of_folder(loaded: LoadedConfig, request: BacktestRequest, folder: Path) -> tuple[str, ...]:
    config, plays, universe = loaded.config, _plays(loaded.config, request), _universe(loaded.config, request)
    if universe is not None:
        there = symbols_in(folder, universe.quote, perpetual=config.market == PERPETUAL)
        found = candidates(config, universe, there, folder)
        return _with_others(loaded, there if plays else found)  # the daemon plays as long as all of the folder lasts
    symbols = _symbols(loaded, request)
    if plays:  # one folder may serve many configs: the daemon leaves out what it lacks
        return tuple(symbol for symbol in symbols if has_candles(folder, symbol)) or symbols
    return symbols


def _plays(config: Config, request: BacktestRequest) -> bool:
    """Whether the candles are those that the simulated venue of the config replays."""
    return request.candles is None and request.symbols is None and config.exchange.simulator.candles is not None


def _symbols(loaded: LoadedConfig, request: BacktestRequest) -> tuple[str, ...]:
    symbols = request.symbols or loaded.config.symbols
    unused = [symbol for symbol in symbols if not any(plan.runs_on(symbol) for plan in loaded.strategies)]
    if unused:
        raise BadInput(f"no strategy of the config runs on {', '.join(unused)}; name it there, or leave it out")
    return _with_others(loaded, symbols)


def _with_others(loaded: LoadedConfig, symbols: tuple[str, ...]) -> tuple[str, ...]:
    """With those that strategies on these symbols look at."""
    others = {
        other
        for plan in loaded.strategies
        if any(plan.runs_on(symbol) for symbol in symbols)
        for other in looks_at(plan.make())
    }
    return (*symbols, *sorted(others - set(symbols)))


def _strategies(loaded: LoadedConfig, symbols: Sequence[str], found: Found) -> tuple[StrategyRun, ...]:
    runs = []
    for plan in loaded.strategies:
        own = tuple(symbol for symbol in symbols if plan.runs_on(symbol))
        timeframe = plan.make().timeframe
        if own and timeframe.ms % found.base.ms:
            raise BadInput(
                f"{found.where}: holds {found.base.value} candles, and strategy {plan.id} decides on {timeframe.value} "
                f"ones; bring candles of {timeframe.value} or shorter, best of 1m"
            )
        if own:
            runs.append(StrategyRun(id=plan.id, strategy_class=plan.strategy_class, params=plan.params, symbols=own))
    return tuple(runs)


def _range(config: Config, found: Found, request: BacktestRequest) -> tuple[int, int, tuple[str, ...]]:
    """From when to when, and what is to be said of it."""
    firsts = {symbol: int(table.ts_ms[0]) for symbol, table in found.tables.items()}
    stops = {symbol: int(table.ts_ms[-1]) + found.base.ms for symbol, table in found.tables.items()}
    simulator = config.exchange.simulator
    plays = _plays(config, request)
    start_ms = request.from_ms
    if start_ms is None and plays and simulator.start is not None:
        start_ms = int(simulator.start.timestamp() * 1000)
    shared_start_ms, shared_stop_ms = max(firsts.values()), min(stops.values())
    if _universe(config, request) is not None and not plays:  # symbols come and go: each counts while it has candles
        shared_start_ms, shared_stop_ms = min(firsts.values()), max(stops.values())
    begin_ms = shared_start_ms if start_ms is None else max(start_ms, min(firsts.values()))
    end_ms = shared_stop_ms if request.to_ms is None else min(request.to_ms, max(stops.values()))
    if request.to_ms is None and plays and simulator.minutes is not None:
        end_ms = min(end_ms, begin_ms + simulator.minutes * MINUTE_MS)
    begin_ms += -begin_ms % MINUTE_MS
    end_ms -= end_ms % MINUTE_MS
    if begin_ms >= end_ms:
        raise BadInput(_empty(found, firsts, stops, begin_ms, end_ms))
    return begin_ms, end_ms, _range_notes(firsts, stops, begin_ms, end_ms)


def _empty(found: Found, firsts: Mapping[str, int], stops: Mapping[str, int], begin_ms: int, end_ms: int) -> str:
    late, early = max(firsts, key=firsts.__getitem__), min(stops, key=stops.__getitem__)
    return (
        f"{found.where}: nothing to run from {_day(begin_ms)} to {_day(end_ms)}; {late} begins {_day(firsts[late])} and "
        f"{early} ends {_day(stops[early])}; choose --from and --to inside, or leave one of them out with --symbols"
    )


def _range_notes(firsts: Mapping[str, int], stops: Mapping[str, int], begin_ms: int, end_ms: int) -> tuple[str, ...]:
    late = [f"{symbol} from {_day(first_ms)}" for symbol, first_ms in firsts.items() if first_ms > begin_ms]
    early = [f"{symbol} until {_day(stop_ms)}" for symbol, stop_ms in stops.items() if stop_ms < end_ms]
    notes = []
    if late or early:
        said, more = (*late, *early)[:NAMED], len(late) + len(early) - NAMED
        rest = f" and {more} more" if more > 0 else ""
        notes.append(f"not all symbols have candles for the whole time: {', '.join(said)}{rest}")
    return tuple(notes)


def _day(ts_ms: int) -> str:
    return str(np.datetime64(ts_ms, "ms").astype("datetime64[m]")).replace("T", " ")


# Funding


def _funding(root: Path, config: Config, symbols: Sequence[str]) -> dict[str, FundingRates]:
    if config.backtest.funding is None:
        return {}
    folder = root / config.backtest.funding
    found = {}
    for symbol in symbols:
        path = next((folder / name for name in names_of(symbol) if (folder / name).is_file()), None)
        if path is None:
            raise BadInput(f"backtest.funding: {folder} has no rates of {symbol}; bring {names_of(symbol)[0]}")
        found[symbol] = read_rates(path)
    return found
