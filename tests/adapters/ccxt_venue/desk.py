"""A connection and an exchange over stock ccxt to a local Bybit over TLS, with its faults at hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from livebot.adapters.ccxt_venue.connection import Connection, ConnectionSettings, Keys, Loopback
from livebot.adapters.ccxt_venue.exchange import CcxtExchange
from livebot.adapters.ccxt_venue.exchange_settings import ExchangeSettings
from livebot.adapters.clock import SystemClock
from livebot.core import risk
from livebot.core.inputs import OrderEvent
from livebot.core.market import OrderSide
from livebot.core.order import Leg, OrderKind, OrderRequest, client_order_id
from livebot.core.risk import Approved
from livebot.ports import VenueNotice
from livebot.simulator.binance import BinanceSettings
from livebot.simulator.bybit import BybitSettings, Fault
from tests.simulator.binance.desk import Desk as BinanceDesk
from tests.simulator.binance.desk import local_binance
from tests.simulator.builders import BTC, Prices
from tests.simulator.bybit.desk import Desk, local_bybit
from tests.virtual_loop import REAL_WAIT_S

D = Decimal

KEYS = Keys("key", "secret")
# A busy machine may take a while for each answer: a test in which one never comes is `hasty` for that one.
QUICK = ConnectionSettings(timeout_s=REAL_WAIT_S, keep_alive_s=REAL_WAIT_S, skew_samples=1, ban_s=0.3)
HASTE_S = 0.35
PROMPT = ExchangeSettings(
    silence_s=0.25,
    probe_s=0.1,
    reconnect_s=0.01,
    stream_ready_s=REAL_WAIT_S,
    skew_limit_ms=4_000,  # half of what a single slow answer takes passes for a difference of the clocks
    resend_wait_s=0.15,
    sweep_wait_s=0.05,
)
# for tests that arm faults of single calls: nothing but what the test does goes out
QUIET = replace(PROMPT, silence_s=REAL_WAIT_S, probe_s=600.0)
STILL: tuple[Prices, ...] = ((100.0, 100.0, 100.0, 100.0),) * 30


def order(
    leg: Leg = Leg.ENTRY,
    side: OrderSide = OrderSide.BUY,
    quantity: str = "0.2",
    *,
    number: int = 1,
    attempt: int = 0,
    symbol: str = BTC,
    price: str | None = None,
    trigger: str | None = None,
    post_only: bool = False,
) -> OrderRequest:
    """An order in few words: a limit order if it has a price, a stop if it has a trigger, else at the market."""
    kind = OrderKind.LIMIT if price else OrderKind.STOP_MARKET if trigger else OrderKind.MARKET
    return OrderRequest(
        client_order_id=client_order_id("test", "plain", symbol, number=number, leg=leg, attempt=attempt),
        symbol=symbol,
        leg=leg,
        attempt=attempt,
        side=side,
        kind=kind,
        quantity=D(quantity),
        price=D(price) if price else None,
        trigger_price=D(trigger) if trigger else None,
        reduce_only=not leg.opens,
        post_only=post_only,
    )


def stop(trigger: str = "90", quantity: str = "0.2", **more: Any) -> OrderRequest:
    """A protective stop of a long position."""
    return order(Leg.STOP, OrderSide.SELL, quantity, trigger=trigger, **more)


class Seat:
    """An exchange under test, what it said, and the server it said it of."""

    def __init__(self, desk: Desk | BinanceDesk, connection: Connection, exchange: CcxtExchange) -> None:
        self.desk = desk
        self.connection = connection
        self.exchange = exchange
        self.events: list[OrderEvent] = []
        self.notices: list[VenueNotice] = []
        for symbol in desk.venue.symbols:
            exchange.listen(symbol, self.events.append)
        exchange.listen_notices(self.notices.append)

    def arm(self, kind: str, *endpoints: str, **more: Any) -> None:
        """A fault, once."""
        self.desk.server.faults.arm(Fault(kind=kind, endpoints=endpoints, **more))

    @contextmanager
    def hasty(self) -> Iterator[None]:
        """What asks about orders now is not answered, and is not waited for."""
        before, self.connection.orders.timeout = self.connection.orders.timeout, round(HASTE_S * 1_000)
        yield
        self.connection.orders.timeout = before

    def patient(self) -> None:
        """What the venue has accepted from now on may be told late: the machine may be busy."""
        self.exchange._settings = replace(self.exchange._settings, silence_s=REAL_WAIT_S)

    async def submit(self, request: OrderRequest) -> Any:
        """As the runtime does, whoever approved it."""
        return await self.exchange.submit(approved(request))

    async def amend(self, request: OrderRequest) -> Any:
        """The same order, changed."""
        return await self.exchange.amend(approved(request))

    def of(self, kind: type) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def said(self, part: str) -> list[VenueNotice]:
        """The notices of one source."""
        return [notice for notice in self.notices if notice.source == f"{self.exchange.name} {part}"]

    async def until(self, true: Callable[[], object], seconds: float = REAL_WAIT_S) -> None:
        """Wait for it."""
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.005)


def approved(request: OrderRequest) -> Approved:
    """The seal that only the portfolio has."""
    return Approved(request, None, risk._SEAL)


async def open_connection(
    desk: Desk | BinanceDesk, keys: Keys | None = KEYS, venue: str = "bybit", settings: ConnectionSettings = QUICK
) -> Connection:
    """To the desk's server."""
    loopback = Loopback(desk.server.port, desk.ca_file)
    return await Connection.open(venue, "perpetual", keys, loopback=loopback, settings=settings)


@asynccontextmanager
async def seat(
    folder: Path,
    candles: Mapping[str, Sequence[Prices | None]] | Sequence[Prices | None] = STILL,
    *,
    settings: ExchangeSettings = QUIET,
    server: BybitSettings | None = None,
) -> AsyncIterator[Seat]:
    """Everything open, in one market of linear perpetuals."""
    async with local_bybit(folder, candles, settings=server) as desk, _seated(desk, "bybit", settings) as sitting:
        yield sitting


@asynccontextmanager
async def binance_seat(
    folder: Path,
    candles: Mapping[str, Sequence[Prices | None]] | Sequence[Prices | None] = STILL,
    *,
    settings: ExchangeSettings = QUIET,
    server: BinanceSettings | None = None,
) -> AsyncIterator[Seat]:
    """The same on Binance's USD-M futures."""
    async with local_binance(folder, candles, settings=server) as desk, _seated(desk, "binance", settings) as sitting:
        yield sitting


@asynccontextmanager
async def _seated(desk: Desk | BinanceDesk, venue: str, settings: ExchangeSettings) -> AsyncIterator[Seat]:
    connection = await open_connection(desk, venue=venue)
    try:
        exchange = await CcxtExchange.open(connection, SystemClock(), tuple(desk.venue.symbols), settings)
    except BaseException:
        await connection.close()
        raise
    sitting = Seat(desk, connection, exchange)
    try:
        yield sitting
    finally:
        await exchange.close()
