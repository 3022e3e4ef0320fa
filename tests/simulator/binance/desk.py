"""A local Binance over written candles, and stock ccxt clients whose sockets end at it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.pro
import orjson

from livebot.simulator.binance import BinanceServer, BinanceSettings
from livebot.simulator.clock import VenueClock
from livebot.simulator.matching import FillModel
from livebot.simulator.memory import VenueMemory
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.simulator.builders import BTC, EXACT, Prices
from tests.simulator.bybit.desk import SPOT, Redirect, TwoMarkets

__all__ = ["SPOT", "Desk", "Wire", "local_binance", "overhear", "soon"]


async def soon(awaitable) -> Any:
    """What comes within a moment."""
    return await asyncio.wait_for(awaitable, 5)


def overhear(client, name: str) -> list[Any]:
    """All messages that a handler of ccxt's is given from now on."""
    seen: list[Any] = []
    handle = getattr(client, name)

    def hear(socket, message):
        seen.append(message)
        handle(socket, message)

    setattr(client, name, hear)
    return seen


class Wire:
    """A socket to the server without ccxt between."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._asked = 0

    async def ask(self, method: str, params: Any = None) -> Any:
        self._asked += 1
        await self.socket.send_str(orjson.dumps({"method": method, "params": params, "id": self._asked}).decode())
        return await self.hear()

    async def say(self, text: str) -> Any:
        await self.socket.send_str(text)
        return await self.hear()

    async def hear(self) -> Any:
        return (await soon(self.socket.receive())).json()

    async def quiet(self) -> bool:
        """Whether nothing comes for a moment."""
        with suppress(TimeoutError):
            await self.socket.receive(timeout=0.1)
            return False
        return True

    async def gone(self) -> bool:
        return (await soon(self.socket.receive())).type.name in {"CLOSED", "ERROR", "CLOSE"}


class Desk:
    """A server, and what is needed to talk to it."""

    def __init__(self, server: BinanceServer, venue: SimulatedVenue, ca_file: Path) -> None:
        self.server = server
        self.venue = venue
        self.ca_file = ca_file
        self._sessions: list[aiohttp.ClientSession] = []
        self._clients: list[Any] = []
        self._wires: list[Wire] = []

    def session(self) -> aiohttp.ClientSession:
        """Whose sockets all end at the server."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        connector = aiohttp.TCPConnector(resolver=Redirect(self.server.port), ssl=context)
        session = aiohttp.ClientSession(connector=connector, trust_env=False)
        self._sessions.append(session)
        return session

    def futures(self, **config: Any) -> Any:
        """A stock client of ccxt.pro for the USD-M futures, which is one of ccxt too."""
        return self._client(ccxt.pro.binanceusdm, config)

    def spot(self, **config: Any) -> Any:
        """The same for spot."""
        return self._client(ccxt.pro.binance, config)

    def _client(self, kind: Any, config: dict[str, Any]) -> Any:
        settings = {"apiKey": "key", "secret": "secret", "session": self.session(), "enableRateLimit": False}
        options = {"fetchOpenOrders": {"warnWithoutSymbol": False}} | config.pop("options", {})
        client = kind(settings | config | {"options": options})
        self._clients.append(client)
        return client

    async def step(self, minutes: int = 1) -> None:
        """Let minutes close, and tell of them."""
        for _ in range(minutes):
            await self.server.push(self.venue.step())

    async def raw(self, url: str, method: str = "GET", headers: Any = None, **params: str) -> tuple[int, Any, Any]:
        """A call without ccxt: status, answer, headers."""
        async with self.session().request(method, url, params=params, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers

    async def wire(self, url: str) -> Wire:
        """A stream without ccxt."""
        wire = Wire(await self.session().ws_connect(url))
        self._wires.append(wire)
        return wire

    async def control(self, method: str, body: Any = None) -> tuple[int, Any]:
        """A request to the control port."""
        url = f"http://127.0.0.1:{self.server.control_port}/_faults"
        async with aiohttp.ClientSession() as session, session.request(method, url, json=body) as answer:
            return answer.status, await answer.json()

    async def close(self) -> None:
        for each in self._wires:
            await each.socket.close()
        for client in self._clients:
            await client.close()
        for session in self._sessions:
            await session.close()
        await self.server.close()
        self.venue.close()


@asynccontextmanager
async def local_binance(
    folder: Path,
    candles: Mapping[str, Sequence[Prices | None]] | Sequence[Prices | None],
    *,
    settings: BinanceSettings | None = None,
    model: FillModel = EXACT,
    wallet: int = 10_000,
    memory: Path | None = None,
) -> AsyncIterator[Desk]:
    """`candles` of one contract, or by symbol."""
    market = TwoMarkets(candles if isinstance(candles, Mapping) else {BTC: candles})
    kept = VenueMemory(memory) if memory else None
    venue = SimulatedVenue(market, VenueSettings(wallet=Decimal(wallet), fills=model, fees_in_base=True), kept)
    server = BinanceServer(venue, VenueClock(venue, speed=6_000), ca_file=folder / "ca.pem", settings=settings)
    await server.start()
    desk = Desk(server, venue, folder / "ca.pem")
    try:
        yield desk
    finally:
        await desk.close()
