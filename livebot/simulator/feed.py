"""`ports.CandleFeed` of a simulated venue in this process; running it is what makes the venue's time pass."""

import asyncio
from collections.abc import Callable

import numpy as np

from livebot.core.market import MINUTE_MS, Candle, Timeframe
from livebot.core.series import CandleSeries
from livebot.errors import BadInput
from livebot.features.timeframes import aggregate
from livebot.ports import VenueNotice
from livebot.simulator.clock import Quiesce, VenueClock
from livebot.simulator.venue import Minute, SimulatedVenue

SLICE = 32  # symbols told before the loop may do something else
TURNS = 3  # of the loop after each: a command takes several, and a halt must not wait for all symbols
_CHUNK_MINUTES = 10_080  # a history is made in parts of a week, to bound memory and the loop's delay


class SimulatedFeed:
    """Closed candles as the venue's time passes, and history up to it."""

    def __init__(
        self,
        venue: SimulatedVenue,
        clock: VenueClock,
        *,
        quiesce: Quiesce | None = None,
        minutes: int | None = None,
    ) -> None:
        """`quiesce` (lockstep) returns when everybody is done with a minute; `minutes` ends the run after so many."""
        self._venue = venue
        self._clock = clock
        self._quiesce = quiesce
        self._minutes = minutes
        self._listeners: dict[str, Callable[[Candle], None]] = {}
        self._notices: Callable[[VenueNotice], None] | None = None

    async def history(self, symbol: str, timeframe: Timeframe, count: int) -> CandleSeries:
        """The last `count` candles closed by now; fewer if the market is younger or was down since.

        Raises:
            BadInput: the venue lacks the symbol.

        """
        return await history_of(self._venue, symbol, timeframe, count)

    def listen(self, symbol: str, deliver: Callable[[Candle], None]) -> None:
        """Deliver each closed candle of a symbol from now on; replaces an earlier listener."""
        self._listeners[symbol] = deliver

    def ignore(self, symbol: str) -> None:
        """Nobody wants candles of a symbol any more."""
        self._listeners.pop(symbol, None)

    def listen_notices(self, deliver: Callable[[VenueNotice], None]) -> None:
        """Deliver what `say` is told; replaces an earlier listener."""
        self._notices = deliver

    def say(self, notice: VenueNotice) -> None:
        """Let the connection say something about itself; it has nothing to say on its own."""
        if self._notices is not None:
            self._notices(notice)

    async def run(self) -> None:
        """Let the venue's time pass; returns when its data or the configured minutes are used up."""
        await self._clock.drive(self._push, quiesce=self._quiesce, minutes=self._minutes)

    async def _push(self, minute: Minute) -> None:
        for start in range(0, len(minute.candles), SLICE):
            for symbol, candle in minute.candles[start : start + SLICE]:
                deliver = self._listeners.get(symbol)
                if deliver is not None:
                    deliver(candle)
            for _ in range(TURNS):
                await asyncio.sleep(0)


async def history_of(venue: SimulatedVenue, symbol: str, timeframe: Timeframe, count: int) -> CandleSeries:
    """The last `count` candles of a symbol that are closed in the venue's time, made part by part, newest first.

    Raises:
        BadInput: the venue lacks the symbol.

    """
    if venue.instrument(symbol) is None:
        message = f"the simulated venue has no symbol {symbol}"
        raise BadInput(message)
    stop = timeframe.open_of(venue.market.latest_close(symbol, venue.minute_ms))
    first = stop - count * timeframe.ms
    most = max(_CHUNK_MINUTES * MINUTE_MS // timeframe.ms, 1) * timeframe.ms
    parts: list[CandleSeries] = []
    while stop > first:
        start = max(stop - most, first)
        part = venue.market.candles(symbol, start, stop)
        parts.append(part if timeframe is Timeframe.M1 else aggregate(part, timeframe))
        if len(part) < (stop - start) // MINUTE_MS:
            break  # a gap, or the market is younger
        stop = start
        await asyncio.sleep(0)
    return _joined(parts[::-1])


def _joined(parts: list[CandleSeries]) -> CandleSeries:
    if len(parts) == 1:
        return parts[0]
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts]) if parts else np.empty(0)
        for name in ("open", "high", "low", "close", "volume")
    }
    times = [part.ts_ms for part in parts]
    return CandleSeries(ts_ms=np.concatenate(times) if times else np.empty(0, dtype=np.int64), **columns)
