"""What is needed to talk to a local exchange over written candles: sessions whose sockets all end at it, and its venue."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, TypeVar

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from livebot.core.market import MINUTE_MS, Instrument
from livebot.core.series import CandleSeries
from livebot.simulator.loopback_server import LoopbackServer
from livebot.simulator.matching import FillModel
from livebot.simulator.memory import VenueMemory
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.simulator.builders import BTC, START_MS, Prices, WrittenMarket

SPOT = "BTC/USDT"
PATIENCE_S = 60.0  # for what comes within a moment, on a machine that is busy
Server = TypeVar("Server", bound=LoopbackServer)
Desk = TypeVar("Desk", bound="LocalDesk[Any]")
T = TypeVar("T")


async def soon(awaitable: Awaitable[T]) -> T:
    """What comes within a moment."""
    return await asyncio.wait_for(awaitable, PATIENCE_S)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what comes true within a moment."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def clocks_differ_by(client: Any, skew_ms: int) -> bool:
    """Whether a stock client finds its clock so far from the server's, which tells its time while the question is out."""
    asked = time.time()
    found = await client.load_time_difference()
    return skew_ms - 1 <= found <= skew_ms + (time.time() - asked) * 1000 + 1


class TwoMarkets(WrittenMarket):
    """Contracts, and spot where the symbol says so."""

    def instrument(self, symbol: str) -> Instrument:
        return replace(super().instrument(symbol), can_short=":" in symbol)

    def candles(self, symbol: str, first_ms: int, stop_ms: int) -> CandleSeries:
        row, whole = self._candles[symbol], self._candles
        self._candles = whole | {
            symbol: row[: max((stop_ms - START_MS) // MINUTE_MS, 0)]
        }  # no gap after the end counts
        try:
            return super().candles(symbol, first_ms, stop_ms)
        finally:
            self._candles = whole


class Redirect(AbstractResolver):
    """Every host is here."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=socket.AF_INET, proto=0, flags=0)
        ]

    async def close(self) -> None:
        return None


class LocalDesk(Generic[Server]):
    """A server, and what is needed to talk to it."""

    def __init__(self, server: Server, venue: SimulatedVenue, ca_file: Path) -> None:
        self.server = server
        self.venue = venue
        self.ca_file = ca_file
        self._sessions: list[aiohttp.ClientSession] = []
        self._clients: list[Any] = []
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []

    def session(self) -> aiohttp.ClientSession:
        """Whose sockets all end at the server."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        connector = aiohttp.TCPConnector(resolver=Redirect(self.server.port), ssl=context)
        session = aiohttp.ClientSession(connector=connector, trust_env=False)
        self._sessions.append(session)
        return session

    async def step(self, minutes: int = 1) -> None:
        """Let minutes close, and tell of them."""
        for _ in range(minutes):
            await self.server.push(self.venue.step())

    async def control(self, method: str, body: Any = None) -> tuple[int, Any]:
        """A request to the control port."""
        url = f"http://127.0.0.1:{self.server.control_port}/_faults"
        async with aiohttp.ClientSession() as session, session.request(method, url, json=body) as answer:
            return answer.status, await answer.json()

    async def close(self) -> None:
        for each in self._sockets:
            await each.close()
        for client in self._clients:
            await client.close()
        for session in self._sessions:
            await session.close()
        await self.server.close()
        self.venue.close()

    def _stock_client(self, kind: Any, config: dict[str, Any]) -> Any:
        settings = {"apiKey": "key", "secret": "secret", "session": self.session(), "enableRateLimit": False}
        client = kind(settings | config)
        self._clients.append(client)
        return client

    async def _connected(self, url: str) -> aiohttp.ClientWebSocketResponse:
        socket = await self.session().ws_connect(url)
        self._sockets.append(socket)
        return socket


def venue_of(
    candles: Mapping[str, Sequence[Prices | None]] | Sequence[Prices | None],
    model: FillModel,
    wallet: int,
    memory: Path | None,
) -> SimulatedVenue:
    """`candles` of one contract, or by symbol."""
    market = TwoMarkets(candles if isinstance(candles, Mapping) else {BTC: candles})
    kept = VenueMemory(memory) if memory else None
    return SimulatedVenue(market, VenueSettings(wallet=Decimal(wallet), fills=model, fees_in_base=True), kept)


@asynccontextmanager
async def opened(desk: Desk) -> AsyncIterator[Desk]:
    """Started, and closed in the end."""
    await desk.server.start()
    try:
        yield desk
    finally:
        await desk.close()
