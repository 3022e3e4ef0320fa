"""A local exchange as a process of its own: a market, an account, and the protocol of a real venue.

Rules of this file: it outlives the daemons that trade there; with a memory its account also outlives itself.  At speed
1 its time is the wall clock's, at any other speed its market begins in the past and runs towards the present.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from livebot.core.market import DAY_MS, MINUTE_MS
from livebot.errors import BadInput, Fatal
from livebot.simulator.clock import VenueClock
from livebot.simulator.fault_script import check_symbols, read_faults
from livebot.simulator.market import Fees, Market, parts_of
from livebot.simulator.matching import FillModel
from livebot.simulator.memory import VenueMemory
from livebot.simulator.synthetic import SyntheticMarket, SyntheticSettings, symbol_names
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from livebot.simulator.venue_faults import Fault, Faults
from livebot.simulator.wall_clock import WallClock, wall_ms

KEY, SECRET = "livebot-local-key", "livebot-local-secret"
KEY_VARIABLE, SECRET_VARIABLE = "LIVEBOT_EXCHANGE_KEY", "LIVEBOT_EXCHANGE_SECRET"
OBSERVER = "-observer"  # the same key with this at its end: what is asked with it meets no fault and no limit
MOST_SYMBOLS = 1_000
_BEGINS_DAYS_AGO = 30


@dataclass(frozen=True, slots=True)
class Protocols:
    """Where a protocol's server is, and what ccxt calls the venue by market."""

    module: str
    server: str
    settings: str
    ccxt_ids: Mapping[bool, str]  # by whether it is the perpetual market


PROTOCOLS: Mapping[str, Protocols] = {
    "bybit": Protocols("livebot.simulator.bybit", "BybitServer", "BybitSettings", {True: "bybit", False: "bybit"}),
    "binance": Protocols(
        "livebot.simulator.binance", "BinanceServer", "BinanceSettings", {True: "binanceusdm", False: "binance"}
    ),
}


class Server(Protocol):
    """What every protocol's server has."""

    port: int
    control_port: int

    async def start(self, *, port: int = 0, control_port: int = 0) -> None:
        """Listen."""
        ...

    async def run(self, *, minutes: int | None = None) -> None:
        """Let time pass."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeOptions:
    """`symbols` unified; ports 0 are any free ones; `start_ms` None is now, at another speed than 1 long enough ago."""

    symbols: tuple[str, ...]
    ca_file: Path
    protocol: str = "bybit"
    port: int = 0
    control_port: int = 0
    candles: Path | None = None
    seed: int = 1
    volatility: float = 1.0
    speed: float = 1.0
    wallet: Decimal = Decimal(10_000)
    memory: Path | None = None
    faults: tuple[Fault, ...] = ()
    start_ms: int | None = None

    @property
    def exchange_id(self) -> str:
        """What `exchange.id` of a livebot config has to be."""
        return PROTOCOLS[self.protocol].ccxt_ids[parts_of(self.symbols[0])[2]]


@dataclass(frozen=True, slots=True)
class Listening:
    """Where it stands."""

    port: int
    control_port: int
    market_ms: int
    symbols: tuple[str, ...]


def keys_of(environ: Mapping[str, str]) -> tuple[str, str]:
    """The key and secret that the exchange knows."""
    return environ.get(KEY_VARIABLE) or KEY, environ.get(SECRET_VARIABLE) or SECRET


def chosen_symbols(named: str | None, count: int, market: str | None) -> tuple[str, ...]:
    """Those named (comma separated), or so many of the well-known.  Raises BadInput."""
    if named is None:
        return symbol_names(count, perpetual=market != "spot")
    symbols = tuple(dict.fromkeys(name for name in (part.strip() for part in named.split(",")) if name))
    kinds = {parts_of(symbol)[2] for symbol in symbols}
    if not symbols or len(symbols) > MOST_SYMBOLS:
        raise BadInput(f"--symbols: name between 1 and {MOST_SYMBOLS}, such as BTC/USDT:USDT,ETH/USDT:USDT")
    if market is not None and kinds != {market == "perpetual"}:
        raise BadInput(
            f"--symbols: {named} are not all of the {market} market (BTC/USDT is spot, BTC/USDT:USDT perpetual)"
        )
    if len(kinds) > 1:
        raise BadInput(f"--symbols: {named} are of two markets; an exchange of one account is trouble enough")
    return symbols


def scripted(path: Path | None, symbols: tuple[str, ...]) -> tuple[Fault, ...]:
    """The faults of a file that fit the symbols.  Raises BadInput with all that is wrong."""
    if path is None:
        return ()
    faults = read_faults(path)
    check_symbols(faults, symbols, str(path))
    return faults


async def run_exchange(options: ExchangeOptions, ready: Callable[[Listening], None]) -> None:
    """Until SIGINT or SIGTERM; `ready` is called when clients may connect.

    Raises:
        BadInput: the options fit no market, or not the memory; the protocol is not there.
        Fatal: a port is taken, or the memory cannot be kept.

    """
    memory = VenueMemory(options.memory) if options.memory else None
    try:
        venue = _venue_of(options, memory)
    except BaseException:
        if memory is not None:
            memory.close()
        raise
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        clock = WallClock(venue) if _follows_the_wall(options) else VenueClock(venue, speed=options.speed)
        await _serve(options, venue, clock, stop, ready)
    finally:
        venue.close()


async def _serve(
    options: ExchangeOptions,
    venue: SimulatedVenue,
    clock: VenueClock,
    stop: asyncio.Event,
    ready: Callable[[Listening], None],
) -> None:
    faults = Faults(options.seed)
    for fault in options.faults:
        # what happens at once needs an exchange that stands
        faults.arm(fault if fault.timed else fault.model_copy(update={"after_s": 1e-3}))
    server = _server_of(options, venue, clock, faults)
    try:
        try:
            await server.start(port=options.port, control_port=options.control_port)
        except OSError as error:
            raise Fatal(f"the local exchange cannot listen: {error.strerror or error}; choose other ports") from None
        driving = asyncio.create_task(server.run(), name="venue time")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        ready(Listening(server.port, server.control_port, clock.now_ms(), venue.symbols))
        try:
            await asyncio.wait({driving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if driving.done():
                driving.result()  # the candles are used up: prices stand still
            await stopping
        finally:
            driving.cancel()
            stopping.cancel()
            await asyncio.gather(driving, stopping, return_exceptions=True)
    finally:
        await server.close()


def _server_of(options: ExchangeOptions, venue: SimulatedVenue, clock: VenueClock, faults: Faults) -> Server:
    names = PROTOCOLS[options.protocol]
    try:
        module: Any = import_module(names.module)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith(names.module):
            raise
        raise BadInput(f"--protocol {options.protocol} is not available in this version of livebot") from None
    key, secret = keys_of(os.environ)
    keys = {key: module.ApiKey(secret), f"{key}{OBSERVER}": module.ApiKey(secret, observer=True)}
    settings = getattr(module, names.settings)(keys=keys, fault_seed=options.seed)
    server: Server = getattr(module, names.server)(
        venue, clock, ca_file=options.ca_file, settings=settings, faults=faults
    )
    return server


def _venue_of(options: ExchangeOptions, memory: VenueMemory | None) -> SimulatedVenue:
    start_ms = options.start_ms
    if start_ms is None and options.candles is None:
        now_ms = wall_ms() - (0 if _follows_the_wall(options) else _BEGINS_DAYS_AGO * DAY_MS)
        start_ms = now_ms - now_ms % MINUTE_MS
    settings = VenueSettings(
        start_ms=start_ms, wallet=options.wallet, fills=FillModel(seed=options.seed), fees_in_base=True
    )
    return SimulatedVenue(_market_of(options), settings, memory)


def _follows_the_wall(options: ExchangeOptions) -> bool:
    return options.speed == 1 and options.candles is None and options.start_ms is None


def _market_of(options: ExchangeOptions) -> Market:
    if options.candles is None:
        shape = SyntheticSettings(seed=options.seed, volatility=options.volatility, fees=Fees())
        return SyntheticMarket(options.symbols, shape)
    # here because pyarrow, which reads the files, is heavy and a synthetic market has no use for it
    from livebot.simulator.replay import ReplayMarket  # noqa: PLC0415

    return ReplayMarket(options.candles, options.symbols)
