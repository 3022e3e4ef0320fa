"""A local Binance over written candles, and stock ccxt clients whose sockets end at it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.pro
import orjson

from livebot.simulator.binance import BinanceServer, BinanceSettings
from livebot.simulator.clock import VenueClock
from livebot.simulator.matching import FillModel
from tests.simulator.builders import EXACT, Prices
from tests.simulator.local_desk import LocalDesk, opened, soon, venue_of


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


class Desk(LocalDesk[BinanceServer]):
    """A server, and what is needed to talk to it."""

    def futures(self, **config: Any) -> Any:
        """A stock client of ccxt.pro for the USD-M futures, which is one of ccxt too."""
        return self._client(ccxt.pro.binanceusdm, config)

    def spot(self, **config: Any) -> Any:
        """The same for spot."""
        return self._client(ccxt.pro.binance, config)

    def _client(self, kind: Any, config: dict[str, Any]) -> Any:
        options = {"fetchOpenOrders": {"warnWithoutSymbol": False}} | config.pop("options", {})
        return self._stock_client(kind, config | {"options": options})

    async def raw(self, url: str, method: str = "GET", headers: Any = None, **params: str) -> tuple[int, Any, Any]:
        """A call without ccxt: status, answer, headers."""
        async with self.session().request(method, url, params=params, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers

    async def wire(self, url: str) -> Wire:
        """A stream without ccxt."""
        return Wire(await self._connected(url))


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
    venue = venue_of(candles, model, wallet, memory)
    server = BinanceServer(venue, VenueClock(venue, speed=6_000), ca_file=folder / "ca.pem", settings=settings)
    async with opened(Desk(server, venue, folder / "ca.pem")) as desk:
        yield desk
