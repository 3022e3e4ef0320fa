"""A venue's candles as a test wrote them, for `history.fetching`: with faults, and a count of what was asked."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import BadInput
from livebot.history.table import CandleTable
from tests.history.builders import START_MS, table

Spoil = Callable[[CandleTable], CandleTable]


@dataclass
class FakeSource:
    """`minutes` that the venue has (the last one may be forming: say so by `now`, in minutes since the start)."""

    minutes: Iterable[int]
    now: float = 10_000.0
    seconds: float = 0.05  # that an answer takes
    venue: str = "bybit"
    market: str = "perpetual"
    pause_s: float = 0.0
    page_most: int = 1_000
    errors: dict[int, Exception] = field(default_factory=dict)  # of the request with this number, from 1
    spoils: dict[int, Spoil] = field(default_factory=dict)
    asked: list[tuple[str, str, int, int]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    unlisted: tuple[str, ...] = ()

    def now_ms(self) -> int:
        return START_MS + round(self.now * MINUTE_MS)

    async def page(self, symbol: str, timeframe: Timeframe, first_ms: int, stop_ms: int) -> CandleTable:
        self.asked.append((symbol, timeframe.value, minute_of(first_ms), minute_of(stop_ms)))
        number = len(self.asked)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.at_once -= 1
        if symbol in self.unlisted:
            raise BadInput(f"{symbol} is not listed")
        if number in self.errors:
            raise self.errors[number]
        assert (stop_ms - first_ms) // timeframe.ms <= self.page_most
        return self.spoils.get(number, lambda found: found)(self._rows(timeframe, first_ms, stop_ms))

    def _rows(self, timeframe: Timeframe, first_ms: int, stop_ms: int) -> CandleTable:
        if timeframe is Timeframe.M1:
            return table(sorted(self.minutes)).between(first_ms, stop_ms)
        days = sorted({timeframe.open_of(START_MS + each * MINUTE_MS) for each in self.minutes})
        times = np.array(days, dtype=np.int64)
        return CandleTable(times, np.ones((5, len(times)))).between(first_ms, stop_ms)

    def pages(self) -> list[tuple[int, int]]:
        """What was asked of one-minute candles, in minutes since the start."""
        return [(first, stop) for _, timeframe, first, stop in self.asked if timeframe == "1m"]


def minute_of(ts_ms: int) -> int:
    return (ts_ms - START_MS) // MINUTE_MS
