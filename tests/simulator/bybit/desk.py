"""A local Bybit over written candles, and stock ccxt clients whose sockets end at it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.pro

from livebot.simulator.bybit import BybitServer, BybitSettings
from livebot.simulator.clock import VenueClock
from livebot.simulator.matching import FillModel
from tests.simulator.builders import EXACT, Prices
from tests.simulator.local_desk import LocalDesk, opened, venue_of


class Desk(LocalDesk[BybitServer]):
    """A server, and what is needed to talk to it."""

    def client(self, **config: Any) -> Any:
        """A stock client of ccxt.pro, which is one of ccxt too."""
        return self._stock_client(ccxt.pro.bybit, config)

    async def raw(self, path: str, **params: str) -> Any:
        """A public call without ccxt."""
        async with self.session().get(f"https://api.bybit.com/v5/{path}", params=params) as answer:
            return await answer.json(content_type=None)

    async def socket(self, path: str) -> aiohttp.ClientWebSocketResponse:
        """A stream without ccxt."""
        return await self._connected(f"wss://stream.bybit.com/v5/{path}")


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
    venue = venue_of(candles, model, wallet, memory)
    server = BybitServer(venue, VenueClock(venue, speed=6_000), ca_file=folder / "ca.pem", settings=settings)
    async with opened(Desk(server, venue, folder / "ca.pem")) as desk:
        yield desk
