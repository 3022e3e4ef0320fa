"""What the candles themselves say of symbols: turnover a day, and how much a symbol moved before a close.

Rules of this file: nothing of a candle that closes after a row is in that row's figure; regimes and buckets are cut by
these, and models never see them.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from livebot.core.market import DAY_MS
from livebot.core.series import CandleSeries, Floats
from livebot.learning.dataset import Dataset
from livebot.research.study import DailyTurnover

VOLATILITY_MS = 7 * DAY_MS


def daily_turnover(candles: Mapping[str, CandleSeries], symbols: Sequence[str]) -> DailyTurnover:
    """Close times volume, summed over UTC days; 0 on a day without candles."""
    places = {symbol: candles[symbol].ts_ms // DAY_MS for symbol in symbols}
    first = min(int(days[0]) for days in places.values())
    last = max(int(days[-1]) for days in places.values())
    amount = np.zeros((last - first + 1, len(symbols)))
    for column, symbol in enumerate(symbols):
        series = candles[symbol]
        sums = np.bincount(places[symbol] - first, weights=series.close * series.volume, minlength=len(amount))
        amount[:, column] = sums
    return DailyTurnover(
        symbols=tuple(symbols), days=np.arange(first, last + 1, dtype=np.int64) * DAY_MS, amount=amount
    )


def volatility_before(dataset: Dataset, candles: Mapping[str, CandleSeries], base_ms: int) -> Floats:
    """Root mean square of a symbol's log returns in the `VOLATILITY_MS` before each row's close, (n,); 0 without any.

    A candle of `base_ms` counts once it has closed.
    """
    found = np.zeros(len(dataset))
    for code, symbol in enumerate(dataset.symbols):
        rows = np.flatnonzero(dataset.symbol == code)
        series = candles[symbol]
        squares = np.concatenate(([0.0, 0.0], np.cumsum(np.diff(np.log(series.close)) ** 2)))
        closes = series.ts_ms + base_ms
        stop = np.searchsorted(closes, dataset.close_ms[rows], side="right")
        start = np.searchsorted(closes, dataset.close_ms[rows] - VOLATILITY_MS, side="right")
        count = np.maximum(stop - start, 1)
        found[rows] = np.sqrt(np.maximum(squares[stop] - squares[start], 0.0) / count)
    return found
