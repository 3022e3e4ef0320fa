"""A real venue through ccxt, for orders or for its candles only (paper), put together as the config says.

Rules of this file: imported only when the config names a venue, because ccxt is heavy; keys are read here and go nowhere
but into the connection.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import TypeVar

import structlog

from livebot.adapters.ccxt_venue.connection import Connection, ConnectionSettings, Keys, Loopback
from livebot.adapters.ccxt_venue.exchange import CcxtExchange
from livebot.adapters.ccxt_venue.exchange_settings import ExchangeSettings
from livebot.adapters.ccxt_venue.feed import CcxtFeed
from livebot.adapters.ccxt_venue.feed_settings import FeedSettings
from livebot.adapters.ccxt_venue.instruments import instruments_of
from livebot.adapters.ccxt_venue.listings import CcxtListings, CcxtSymbols
from livebot.adapters.clock import SystemClock
from livebot.bootstrap.choice import Choice
from livebot.bootstrap.venue import Venue, account_settings
from livebot.config.load import LoadedConfig
from livebot.config.model import Config
from livebot.config.root import Paths
from livebot.config.secrets import check_confirmation, read_secrets
from livebot.config.venue import ConnectionConfig
from livebot.core.market import Instrument
from livebot.core.universe_rules import Listing
from livebot.errors import BadInput, LivebotError, Transient
from livebot.ports import Clock
from livebot.runtime.universe.universe_choice import listings_of
from livebot.simulator.loopback_clock import LoopbackClock
from livebot.simulator.paper import PaperVenue

T = TypeVar("T")
_log = structlog.get_logger(__name__)

ATTEMPTS = 6  # to reach the venue at the start; then the service manager starts the daemon anew
_BACKOFF_S = 1.0  # doubled each time
_HOUR_S = 3600.0


async def real_venue_of(loaded: LoadedConfig, paths: Paths, opened: AsyncExitStack, choice: Choice) -> Venue:
    """The configured venue, reached and found fit to trade at.

    Raises:
        BadInput: keys or the confirmation are missing, or the venue lacks every symbol.
        Fatal: the venue refuses us; the text says why and the mend.
        Transient: it could not be reached, after `ATTEMPTS`.

    """
    config = loaded.config
    _log.info("connecting", venue=config.exchange.id, market=config.market, mode=config.mode)
    keys = _keys(config) if config.mode == "live" else None
    clock = await _clock(config, opened)
    connection = await _connected(config, paths, keys)
    opened.push_async_callback(connection.close)
    real = clock or SystemClock()
    symbols = await choice.symbols(lambda: CcxtListings(connection, spreads=choice.wants_spreads), real)
    listed, lacking = _listed(connection, symbols, config.exchange.id)
    choice.stay_listed(CcxtSymbols(connection), listed, real)
    feed = CcxtFeed(connection, _feed_settings(config.exchange.connection), clock=clock)
    await _keep_markets_fresh(connection, float(config.exchange.connection.markets_hours), opened)
    if keys is None:
        simulator = config.exchange.simulator
        paper = await _reached(
            lambda: PaperVenue.open(
                config.exchange.id,
                feed,
                listed,
                real,
                folder=paths.simulator,
                account=account_settings(simulator, None),
                latency_ms=float(simulator.latency_ms),
            )
        )
        opened.push_async_callback(paper.close)

        async def admit(symbol: str) -> None:
            found = instruments_of(connection.data.markets, {}, (symbol,), config.exchange.id)
            await paper.include(symbol, found[symbol])

        return Venue(
            paper.exchange, paper.feed, paper.clock, symbols, lacking, admit, lambda: feed.counts, _waits(connection)
        )

    async def include(symbol: str) -> None:
        instruments_of(
            connection.data.markets, {}, (symbol,), config.exchange.id
        )  # it may be one of a config that is wrong
        await exchange.include(symbol)

    settings = ExchangeSettings(skew_limit_ms=config.exchange.connection.clock_skew_ms)
    exchange = await _reached(lambda: CcxtExchange.open(connection, real, tuple(listed), settings))
    opened.push_async_callback(exchange.close)
    return Venue(exchange, feed, real, symbols, lacking, include, lambda: feed.counts, _waits(connection))


def _waits(connection: Connection) -> Callable[[], Mapping[str, tuple[int, float]]]:
    waits = {"orders": connection.pace.waits, "requests": connection.request_waits}
    return lambda: {what: (each.count, each.seconds) for what, each in waits.items()}


async def listed_now(config: Config, paths: Paths, *, spreads: bool) -> tuple[int, Sequence[Listing]]:
    """What the venue lists, and its time; no keys are used.

    Raises:
        Transient: it is not reached, or does not tell.
        Fatal, BadInput: it refuses us.

    """
    async with AsyncExitStack() as opened:
        clock = await _clock(config, opened)
        connection = await _connected(config, paths, None)
        opened.push_async_callback(connection.close)
        listings = await listings_of(CcxtListings(connection, spreads=spreads))
        return (clock or SystemClock()).now_ms(), listings


def _keys(config: Config) -> Keys:
    if not (config.exchange.sandbox or config.exchange.loopback):
        check_confirmation(config.system, os.environ)
    secrets = read_secrets(os.environ)
    return Keys(secrets.api_key, secrets.secret, secrets.password)


async def _clock(config: Config, opened: AsyncExitStack) -> Clock | None:
    loopback = config.exchange.loopback
    if loopback is None or loopback.control_port is None:
        return None
    clock = await LoopbackClock.connect(loopback.control_port)
    opened.push_async_callback(clock.close)
    return clock


async def _connected(config: Config, paths: Paths, keys: Keys | None) -> Connection:
    exchange, section = config.exchange, config.exchange.connection
    loopback = None
    if exchange.loopback is not None:
        assert paths.ca_file is not None  # the config was checked
        loopback = Loopback(exchange.loopback.port, paths.ca_file)
    settings = ConnectionSettings(
        timeout_s=float(section.request_timeout_seconds),
        keep_alive_s=float(section.keep_alive_seconds),
        ban_s=float(section.ban_seconds),
        kept_for_protection=float(section.kept_for_protection),
    )
    return await _reached(
        lambda: Connection.open(
            exchange.id, config.market, keys, sandbox=exchange.sandbox, loopback=loopback, settings=settings
        )
    )


async def _reached(attempt: Callable[[], Awaitable[T]]) -> T:
    """What an attempt gives, tried anew while the venue is not reached."""
    wait_s = _BACKOFF_S
    for number in range(1, ATTEMPTS):
        try:
            return await attempt()
        except Transient as error:
            _log.warning("venue_not_reached", why=str(error), attempt=number, of=ATTEMPTS, again_in_s=wait_s)
        await asyncio.sleep(wait_s)
        wait_s *= 2
    return await attempt()


def _listed(
    connection: Connection, symbols: Iterable[str], exchange_id: str
) -> tuple[dict[str, Instrument], dict[str, str]]:
    """Instruments of the symbols that can be traded, and why the others cannot.  Raises BadInput if none can."""
    listed: dict[str, Instrument] = {}
    lacking: dict[str, str] = {}
    for symbol in symbols:
        try:
            listed |= instruments_of(connection.data.markets, {}, (symbol,), exchange_id)
        except BadInput as error:
            lacking[symbol] = str(error)
    if not listed:
        raise BadInput("; ".join(lacking.values()))
    return listed, {symbol: f"{symbol} is not traded: {why}" for symbol, why in lacking.items()}


def _feed_settings(section: ConnectionConfig) -> FeedSettings:
    return FeedSettings(
        stale_s=float(section.stale_seconds),
        audit_s=float(section.audit_seconds),
        histories_at_once=section.history_requests,
    )


async def _keep_markets_fresh(connection: Connection, hours: float, opened: AsyncExitStack) -> None:
    """Load steps and listings anew from time to time; what cannot be loaded stays as it was."""

    async def run() -> None:
        while True:
            await asyncio.sleep(hours * _HOUR_S)
            try:
                await connection.reload_markets()
            except LivebotError as error:
                _log.warning("markets_not_reloaded", why=str(error))

    task = asyncio.create_task(run(), name="markets")

    async def end() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    opened.push_async_callback(end)
