"""What `livebot data` works with: the candle store of a root, and a venue's candles to fill it from.

Rules of this file: ccxt is imported only when candles are fetched; no key is read, candles need none.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from livebot.adapters.ccxt_venue.capabilities import capabilities_of, problem_with
from livebot.adapters.clock import SystemClock
from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.adapters.state_files.universe_store import FILE_NAME, read_universe
from livebot.bootstrap.loading import load
from livebot.config.model import Config
from livebot.config.root import Paths, find_root, resolve
from livebot.config.venue import SIMULATOR
from livebot.core.market import Timeframe
from livebot.errors import BadInput, Transient
from livebot.history.fetching import Fetched, FetchSettings, Progress, Wanted, fetch
from livebot.history.place import check_symbol
from livebot.history.store import CandleStore

if TYPE_CHECKING:
    from livebot.adapters.ccxt_venue.connection import Connection

DEFAULT_FOLDER = "candles"
FETCH = FetchSettings()
ATTEMPTS = 4  # to reach the venue
_BACKOFF_S = 1.0  # doubled each time


@dataclass(frozen=True, slots=True)
class Setting:
    """The store, and the config if one was given or found."""

    store: CandleStore
    config: Config | None
    paths: Paths | None


@dataclass(frozen=True, slots=True)
class Request:
    """What to fetch; None is what the config says."""

    exchange: str | None
    market: str | None
    symbols: tuple[str, ...] | None
    timeframe: Timeframe
    since_ms: int
    until_ms: int | None
    again: bool


def setting_of(config_path: Path, *, required: bool, root: Path | None, folder: Path | None) -> Setting:
    """The store of a root: `folder`, else what the config says, else candles/ in the root.

    Raises:
        BadInput: the config cannot be used, or is `required` and not there.

    """
    calls = SystemFiles()
    if not (required or config_path.is_file()):
        base = find_root(root, config_path, os.environ)
        return Setting(CandleStore(folder or base / DEFAULT_FOLDER, calls), None, None)
    loaded = load(config_path)
    paths = resolve(loaded.config, config_path, root, os.environ)
    return Setting(CandleStore(folder or paths.candle_store, calls), loaded.config, paths)


def now_ms() -> int:
    """UTC milliseconds."""
    return SystemClock().now_ms()


def fetch_candles(
    setting: Setting,
    request: Request,
    tell: Callable[[Progress], None],
) -> tuple[Fetched, ...]:
    """Fetch what is missing into the store, one result a symbol.

    Raises:
        BadInput: venue, market or symbols are not given or not known, or the time is empty.
        Transient, Fatal: the venue cannot be reached, or refuses us.

    """
    exchange, market, symbols = _whose(setting.config, setting.paths, request)
    until_ms = now_ms() if request.until_ms is None else request.until_ms
    if request.since_ms >= until_ms:
        raise BadInput("--since is not before --until, so there is nothing to fetch; name an earlier --since")
    wanted = Wanted(symbols, request.timeframe, request.since_ms, until_ms, request.again)
    return asyncio.run(_fetch(setting, exchange, market, wanted, tell))


def _whose(config: Config | None, paths: Paths | None, request: Request) -> tuple[str, str, tuple[str, ...]]:
    exchange = request.exchange or (config.exchange.id if config else None)
    market = request.market or (config.market if config else None)
    symbols = request.symbols or (_symbols_of(config, paths) if config is not None and paths is not None else None)
    if exchange is None or exchange == SIMULATOR:
        raise BadInput("which venue's candles? say it, such as --exchange bybit (the config names none)")
    if market is None or symbols is None:
        lacking = "--market spot or --market perpetual" if market is None else "--symbols BTC/USDT:USDT,ETH/USDT:USDT"
        raise BadInput(f"say {lacking}, or name a config with --config")
    capabilities_of(exchange, market)
    problem = problem_with(exchange, market, mode="paper", sandbox=False)
    if problem is not None:
        raise BadInput(problem)
    for symbol in symbols:
        check_symbol(symbol, market)
    return exchange, market, tuple(dict.fromkeys(symbols))


def _symbols_of(config: Config, paths: Paths) -> tuple[str, ...]:
    """Those of the config, or those of its universe when the daemon last chose."""
    if config.universe is None:
        return config.symbols
    memory = read_universe(paths.state / FILE_NAME, config.system)
    if memory is None or not memory.symbols:
        text = "the config finds its symbols by a universe, and the daemon has not chosen any yet"
        raise BadInput(f"{text}; say --symbols BTC/USDT:USDT,ETH/USDT:USDT (livebot universe shows which it would)")
    return memory.symbols


async def _fetch(
    setting: Setting,
    exchange: str,
    market: str,
    wanted: Wanted,
    tell: Callable[[Progress], None],
) -> tuple[Fetched, ...]:
    # ccxt takes a second to import
    from livebot.adapters.ccxt_venue.candle_pages import CandlePages  # noqa: PLC0415

    connection = await _connected(setting, exchange, market)
    try:
        return await fetch(CandlePages(connection), setting.store, wanted, tell, FETCH)
    finally:
        await connection.close()


async def _connected(setting: Setting, exchange: str, market: str) -> "Connection":
    from livebot.adapters.ccxt_venue.connection import Connection, ConnectionSettings, Loopback  # noqa: PLC0415

    # never the sandbox: what is traded there is play money, and its candles have nothing to do with the venue's
    loopback, connection = None, ConnectionSettings()
    if setting.config is not None and setting.paths is not None and exchange == setting.config.exchange.id:
        section = setting.config.exchange
        if section.loopback is not None and setting.paths.ca_file is not None:
            loopback = Loopback(section.loopback.port, setting.paths.ca_file)
        timeout_s, ban_s = section.connection.request_timeout_seconds, section.connection.ban_seconds
        connection = ConnectionSettings(timeout_s=float(timeout_s), ban_s=float(ban_s))
    wait_s = _BACKOFF_S
    for _ in range(ATTEMPTS - 1):
        try:
            return await Connection.open(exchange, market, None, loopback=loopback, settings=connection)
        except Transient:
            await asyncio.sleep(wait_s)
            wait_s *= 2
    return await Connection.open(exchange, market, None, loopback=loopback, settings=connection)
