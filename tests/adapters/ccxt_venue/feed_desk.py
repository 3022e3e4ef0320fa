"""A candle feed over stock ccxt, TLS and a local Bybit or Binance, with its faults at hand and every wait made short."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from livebot.adapters.ccxt_venue.connection import Connection, ConnectionSettings, Loopback
from livebot.adapters.ccxt_venue.feed import CcxtFeed
from livebot.adapters.ccxt_venue.feed_settings import FeedSettings
from livebot.core.market import MINUTE_MS, Candle
from livebot.ports import VenueNotice
from livebot.simulator.venue_faults import Fault
from tests.simulator.binance.desk import local_binance
from tests.simulator.builders import START_MS, Prices
from tests.simulator.bybit.desk import local_bybit
from tests.virtual_loop import REAL_WAIT_S

SHORT = FeedSettings(
    stale_s=0.3,
    quiet_s=0.6,
    grace_s=0.05,
    hold_s=20.0,
    fresh_s=1.0,
    poll_s=0.2,
    retry_s=0.5,
    reconnect_s=0.02,
    reconnect_maximum_s=0.2,
    answer_s=0.2,
    confirm_s=0.01,
    audit_s=60.0,
)
CALM = replace(SHORT, stale_s=5.0, quiet_s=10.0, fresh_s=20.0, answer_s=20.0)  # where silence is not what is tested
QUICK = ConnectionSettings(timeout_s=REAL_WAIT_S, skew_samples=1, ban_s=0.3)
LOCAL: Mapping[str, Any] = {"bybit": local_bybit, "binance": local_binance}
PATIENCE_S = REAL_WAIT_S  # the machine may be busy


class FeedDesk:
    """A running feed, what it delivered and said, and the exchange it listens to."""

    def __init__(self, desk: Any, connection: Connection, feed: CcxtFeed, symbols: Sequence[str]) -> None:
        self.desk = desk
        self.connection = connection
        self.feed = feed
        self.data: Any = connection.data
        self.got: dict[str, list[Candle]] = {symbol: [] for symbol in symbols}
        self.notices: list[VenueNotice] = []
        self.heard: dict[str, int] = dict.fromkeys(symbols, 0)
        for symbol in symbols:
            feed.listen(symbol, self.got[symbol].append)
        feed.listen_notices(self.notices.append)

    def arm(self, kind: str, *endpoints: str, **more: Any) -> None:
        """A fault, once."""
        self.desk.server.faults.arm(Fault(kind=kind, endpoints=endpoints, **more))

    async def step(self, minutes: int = 1) -> None:
        """Let minutes close, each told before the next."""
        for _ in range(minutes):
            await self.desk.step()
            await asyncio.sleep(0.01)

    async def until(self, true: Callable[[], object]) -> None:
        """Wait for it."""
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                await asyncio.sleep(0.005)

    async def subscribed(self, stream: str = "linear", count: int | None = None) -> None:
        """Wait until the server has all topics."""
        wanted = len(self.got) if count is None else count
        await self.until(lambda: len(self.desk.server._streams.wanted(stream)) == wanted)

    def minutes(self, symbol: str) -> list[int]:
        """Which have been delivered, since the start."""
        return [(candle.ts_ms - START_MS) // MINUTE_MS for candle in self.got[symbol]]

    def texts(self, symbol: str | None, source: str = "candles") -> list[str]:
        """What was told of a symbol and has not just passed."""
        source = source if symbol is None else f"{source} {symbol}"
        return [each.text for each in self.notices if (each.symbol, each.source) == (symbol, source) and each.text]

    def troubled(self) -> set[str | None]:
        """Symbols of which something was told last."""
        last = {each.source: each for each in self.notices}
        return {each.symbol for each in last.values() if each.text is not None}


@asynccontextmanager
async def feed_desk(
    folder: Path,
    candles: Mapping[str, Sequence[Prices | None]],
    *,
    venue: str = "bybit",
    settings: FeedSettings = CALM,
    market: str = "perpetual",
    symbols: Sequence[str] | None = None,
    before: Callable[[Connection], None] | None = None,
    keep_alive_s: float = QUICK.keep_alive_s,
) -> AsyncIterator[FeedDesk]:
    """Everything running; what asyncio had to complain about fails the test.

    A socket that misses two pings is dropped, so short ones belong to tests of just that: on a busy machine both ends are late.
    """
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with LOCAL[venue](folder, candles) as desk:
        connection = await Connection.open(
            venue,
            market,
            None,
            loopback=Loopback(desk.server.port, desk.ca_file),
            settings=replace(QUICK, keep_alive_s=keep_alive_s),
        )
        clock = SimpleNamespace(now_ms=lambda: desk.venue.now_ms + 5_000)
        if before is not None:
            before(connection)
        feed = CcxtFeed(connection, settings, clock=clock)
        sitting = FeedDesk(desk, connection, feed, tuple(candles) if symbols is None else symbols)
        running = asyncio.create_task(feed.run())
        try:
            yield sitting
            assert not running.done(), running
        finally:
            running.cancel()
            await asyncio.wait((running,))
            await connection.close()
        assert running.cancelled()
    assert not complaints, complaints
