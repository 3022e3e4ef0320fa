"""What the daemon needs of a venue, and the simulated one, in this process or in another."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from livebot.adapters.ccxt_venue.capabilities import PERPETUAL
from livebot.config.load import LoadedConfig
from livebot.config.model import Config
from livebot.config.root import Paths
from livebot.config.universe import UniverseConfig
from livebot.config.venue import SimulatorConfig
from livebot.ports import CandleFeed, Clock, Exchange
from livebot.runtime.inbox import Activity
from livebot.simulator.clock import VenueClock
from livebot.simulator.exchange import SimulatedExchange
from livebot.simulator.feed import SimulatedFeed
from livebot.simulator.listings import SimulatedListings
from livebot.simulator.market import Fees, Market
from livebot.simulator.matching import FillModel
from livebot.simulator.memory import VenueMemory
from livebot.simulator.remote import RemoteVenue
from livebot.simulator.synthetic import SyntheticMarket, SyntheticSettings, symbol_names
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from livebot.universe_ports import UniverseSource

Choose = Callable[[Callable[[], UniverseSource], Clock], Awaitable[tuple[str, ...]]]
"""Says which symbols to start with; the source is made, and asked, only if they are to be found."""
_SYNTHETIC_START_MS = 1_767_225_600_000  # 2026-01-01; a synthetic market can begin anywhere
_PARTIAL_FILLS = 0.3  # how often an order of the simulated venue fills in pieces, when that is switched on


async def _nothing_to_do(_: str) -> None:
    """Every symbol is there."""


@dataclass(frozen=True, slots=True)
class Venue:
    """What the daemon needs of a venue."""

    exchange: Exchange
    feed: CandleFeed
    clock: Clock
    symbols: tuple[str, ...] = ()  # those to start with
    lacking: Mapping[str, str] = field(default_factory=dict)  # why one of them is not traded, by symbol
    admit: Callable[[str], Awaitable[None]] = (
        _nothing_to_do  # make it ready for a symbol that was not there at the start
    )
    feed_counts: Callable[[], Mapping[str, int]] = dict  # what has happened to candles, by event
    waits: Callable[[], Mapping[str, tuple[int, float]]] = (
        dict  # for the venue's rate limit: how often and how long, by what waited
    )


async def simulated_venue_of(
    loaded: LoadedConfig, paths: Paths, activity: Activity, opened: AsyncExitStack, choose: Choose
) -> Venue:
    """The configured venue; `opened` closes what it holds.  Raises BadInput, Fatal."""
    config, simulator = loaded.config, loaded.config.exchange.simulator
    if paths.venue_socket is not None:
        remote = await RemoteVenue.connect(paths.venue_socket)
        opened.push_async_callback(remote.close)
        return Venue(remote.exchange, remote.feed, remote.clock, config.symbols)
    memory = VenueMemory(paths.simulator)
    venue = SimulatedVenue(market_of(loaded, paths), _venue_settings(simulator), memory)
    opened.callback(venue.close)
    clock = VenueClock(venue, speed=float(simulator.speed))
    exchange = SimulatedExchange(venue, clock, name=loaded.config.exchange.id, latency_ms=float(simulator.latency_ms))
    feed = SimulatedFeed(venue, clock, quiesce=activity.idle, minutes=simulator.minutes)
    symbols = await choose(lambda: SimulatedListings(venue.market, clock.now_ms, name=config.exchange.id), clock)
    lacking = {
        symbol: f"{symbol} is not traded: {paths.candles} has no candles of it"
        for symbol in symbols
        if symbol not in venue.symbols
    }
    return Venue(exchange, feed, clock, symbols, lacking)


def market_of(loaded: LoadedConfig, paths: Paths) -> Market:
    """The simulated market.  Raises BadInput."""
    config, simulator = loaded.config, loaded.config.exchange.simulator
    fees = Fees(taker=simulator.taker_fee, maker=simulator.maker_fee)
    universe = config.universe
    if paths.candles is None:
        settings = SyntheticSettings(seed=simulator.seed, volatility=float(simulator.volatility), fees=fees)
        return SyntheticMarket(config.symbols if universe is None else _synthetic_symbols(config, universe), settings)
    # Here because pyarrow, which reads the files, is heavy and a synthetic market has no use for it.
    from livebot.simulator.replay import ReplayMarket, has_candles, symbols_in  # noqa: PLC0415

    if universe is not None:
        found = symbols_in(paths.candles, universe.quote, perpetual=config.market == PERPETUAL)
        return ReplayMarket(paths.candles, found, fees=fees)
    # One folder may serve many configs: what it lacks is told and not traded, unless it lacks everything.
    there = [symbol for symbol in config.symbols if has_candles(paths.candles, symbol)]
    return ReplayMarket(paths.candles, there or config.symbols, fees=fees)


def _synthetic_symbols(config: Config, universe: UniverseConfig) -> tuple[str, ...]:
    """What a synthetic market lists where a universe looks for symbols."""
    count, perpetual = config.exchange.simulator.symbols, config.market == PERPETUAL
    return tuple(dict.fromkeys((*symbol_names(count, quote=universe.quote, perpetual=perpetual), *universe.always)))


def start_ms_of(loaded: LoadedConfig, market: Market) -> int:
    """When a new account in this market begins."""
    start_ms = _venue_settings(loaded.config.exchange.simulator).start_ms
    return market.first_ms if start_ms is None else start_ms


def _venue_settings(simulator: SimulatorConfig) -> VenueSettings:
    start_ms = _SYNTHETIC_START_MS if simulator.candles is None else None
    return account_settings(simulator, int(simulator.start.timestamp() * 1000) if simulator.start else start_ms)


def account_settings(simulator: SimulatorConfig, start_ms: int | None) -> VenueSettings:
    """A simulated account, and how its orders fill."""
    return VenueSettings(
        start_ms=start_ms,
        wallet=simulator.wallet,
        fills=FillModel(
            slippage=simulator.slippage,
            partial_probability=_PARTIAL_FILLS if simulator.partial_fills else 0.0,
            seed=simulator.seed,
        ),
    )
