"""What the daemon needs of a venue, and the simulated one, in this process or in another."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from livebot.config.load import LoadedConfig
from livebot.config.root import Paths
from livebot.config.venue import SimulatorConfig
from livebot.ports import CandleFeed, Clock, Exchange
from livebot.runtime.inbox import Activity
from livebot.simulator.clock import VenueClock
from livebot.simulator.exchange import SimulatedExchange
from livebot.simulator.feed import SimulatedFeed
from livebot.simulator.market import Fees, Market
from livebot.simulator.matching import FillModel
from livebot.simulator.memory import VenueMemory
from livebot.simulator.remote import RemoteVenue
from livebot.simulator.synthetic import SyntheticMarket, SyntheticSettings
from livebot.simulator.venue import SimulatedVenue, VenueSettings

_SYNTHETIC_START_MS = 1_767_225_600_000  # 2026-01-01; a synthetic market can begin anywhere
_PARTIAL_FILLS = 0.3  # how often an order of the simulated venue fills in pieces, when that is switched on


@dataclass(frozen=True, slots=True)
class Venue:
    """What the daemon needs of a venue."""

    exchange: Exchange
    feed: CandleFeed
    clock: Clock
    lacking: Mapping[str, str] = field(default_factory=dict)  # why a configured symbol is not traded, by symbol


async def simulated_venue_of(loaded: LoadedConfig, paths: Paths, activity: Activity, opened: AsyncExitStack) -> Venue:
    """The configured venue; `opened` closes what it holds.  Raises BadInput, Fatal."""
    simulator = loaded.config.exchange.simulator
    if paths.venue_socket is not None:
        remote = await RemoteVenue.connect(paths.venue_socket)
        opened.push_async_callback(remote.close)
        return Venue(remote.exchange, remote.feed, remote.clock)
    memory = VenueMemory(paths.simulator)
    venue = SimulatedVenue(market_of(loaded, paths), _venue_settings(simulator), memory)
    opened.callback(venue.close)
    clock = VenueClock(venue, speed=float(simulator.speed))
    exchange = SimulatedExchange(venue, clock, name=loaded.config.exchange.id, latency_ms=float(simulator.latency_ms))
    feed = SimulatedFeed(venue, clock, quiesce=activity.idle, minutes=simulator.minutes)
    lacking = {
        symbol: f"{symbol} is not traded: {paths.candles} has no candles of it"
        for symbol in loaded.config.symbols
        if symbol not in venue.symbols
    }
    return Venue(exchange, feed, clock, lacking)


def market_of(loaded: LoadedConfig, paths: Paths) -> Market:
    """The simulated market.  Raises BadInput."""
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
