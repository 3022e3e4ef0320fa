"""Minutes that have been, and a history of them as a feed gives it."""

import numpy as np

from livebot.core.market import MINUTE_MS, Candle, Timeframe
from livebot.core.series import CandleSeries
from livebot.features.timeframes import aggregate, candle_at
from livebot.simulator.synthetic import SyntheticMarket, SyntheticSettings
from tests.runtime.harness import BTC, ETH, START_MS


def minutes_of(symbol: str = BTC, count: int = 2_000, *, first_ms: int = START_MS) -> CandleSeries:
    """So many minutes of a synthetic symbol."""
    market = SyntheticMarket((symbol,), SyntheticSettings(seed=3, volatility=3.0))
    return market.candles(symbol, first_ms, first_ms + count * MINUTE_MS)


def series(candles) -> CandleSeries:
    """Candles as arrays."""
    columns = {name: np.array([getattr(each, name) for each in candles], np.float64) for name in
               ("open", "high", "low", "close", "volume")}  # fmt: skip
    return CandleSeries(ts_ms=np.array([each.ts_ms for each in candles], np.int64), **columns)


class Past:
    """`now` is how many minutes have closed; `missing` are minutes that the venue does not have."""

    def __init__(self, *symbols: str, now: int = 0, count: int = 2_000) -> None:
        self.minutes = {symbol: minutes_of(symbol, count) for symbol in symbols or (BTC, ETH)}
        self.now = now
        self.missing: set[int] = set()
        self.asked: list[tuple[str, Timeframe, int]] = []
        self.after_call = 0  # minutes that close after each call

    def minute(self, index: int, symbol: str = BTC) -> Candle:
        """The candle of a minute, whether it has closed or not."""
        return candle_at(self.minutes[symbol], index)

    def close_ms(self, index: int) -> int:
        """When a minute closes."""
        return START_MS + (index + 1) * MINUTE_MS

    async def fetch(self, symbol: str, timeframe: Timeframe, count: int) -> CandleSeries:
        """The last closed candles."""
        self.asked.append((symbol, timeframe, count))
        closed = self.minutes[symbol].part(0, self.now)
        self.now += self.after_call
        if timeframe is not Timeframe.M1:
            whole = aggregate(closed, timeframe)
            return whole.part(max(0, len(whole) - count), len(whole))
        candles = [candle_at(closed, index) for index in range(len(closed)) if index not in self.missing]
        return series(candles[-count:])
