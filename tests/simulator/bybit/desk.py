"""A local Bybit over written candles, and stock ccxt clients whose sockets end at it."""

import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.pro
from aiohttp.abc import AbstractResolver, ResolveResult

from livebot.core.market import MINUTE_MS, Instrument
from livebot.core.series import CandleSeries
from livebot.simulator.bybit import BybitServer, BybitSettings
from livebot.simulator.clock import VenueClock
from livebot.simulator.matching import FillModel
from livebot.simulator.memory import VenueMemory
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.simulator.builders import BTC, EXACT, START_MS, Prices, WrittenMarket

SPOT = "BTC/USDT"


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


class Desk:
    """A server, and what is needed to talk to it."""

    def __init__(self, server: BybitServer, venue: SimulatedVenue, ca_file: Path) -> None:
        self.server = server
        self.venue = venue
        self.ca_file = ca_file
        self._sessions: list[aiohttp.ClientSession] = []
        self._clients: list[Any] = []
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []

    def session(self) -> aiohttp.ClientSession:
        """Whose sockets all end at the server."""
        connector = aiohttp.TCPConnector(
            resolver=Redirect(self.server.port), ssl=ssl.create_default_context(cafile=str(self.ca_file))
        )
        session = aiohttp.ClientSession(connector=connector, trust_env=False)
        self._sessions.append(session)
        return session

    def client(self, **config: Any) -> Any:
        """A stock client of ccxt.pro, which is one of ccxt too."""
        settings = {"apiKey": "key", "secret": "secret", "session": self.session(), "enableRateLimit": False}
        client = ccxt.pro.bybit(settings | config)
        self._clients.append(client)
        return client

    async def step(self, minutes: int = 1) -> None:
        """Let minutes close, and tell of them."""
        for _ in range(minutes):
            await self.server.push(self.venue.step())

    async def raw(self, path: str, **params: str) -> Any:
        """A public call without ccxt."""
        async with self.session().get(f"https://api.bybit.com/v5/{path}", params=params) as answer:
            return await answer.json(content_type=None)

    async def socket(self, path: str) -> aiohttp.ClientWebSocketResponse:
        """A stream without ccxt."""
        socket = await self.session().ws_connect(f"wss://stream.bybit.com/v5/{path}")
        self._sockets.append(socket)
        return socket

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


@asynccontextmanager
async def local_bybit(
    folder: Path,
    candles: Mapping[str, Sequence[Prices | None]] | Sequence[Prices | None],
    *,
    settings: BybitSettings | None = None,
    model: FillModel = EXACT,
    wallet: int = 10_000,
    memory: Path | None = None,
) -> AsyncIterator[Desk]:
    """`candles` of one contract, or by symbol."""
    market = TwoMarkets(candles if isinstance(candles, Mapping) else {BTC: candles})
    kept = VenueMemory(memory) if memory else None
    venue = SimulatedVenue(market, VenueSettings(wallet=Decimal(wallet), fills=model, fees_in_base=True), kept)
    server = BybitServer(venue, VenueClock(venue, speed=6_000), ca_file=folder / "ca.pem", settings=settings)
    await server.start()
    desk = Desk(server, venue, folder / "ca.pem")
    try:
        yield desk
    finally:
        await desk.close()
