"""The average true range by which sizes are set: of the last candles and of nothing before them.

Rules of this file: it is a function of a fixed number of candles, so that it is the same whenever a daemon was started
and however long a backtest has run.
"""

from math import isnan

import numpy as np
import talib

from livebot.core.series import CandleSeries

# Wilder's average forgets a candle by 1 / e in `period` candles; what is older than these weighs less than 0.0001.
_PERIODS = 10


def candles_for(period: int) -> int:
    """How many of the latest closed candles it looks at, if there are so many."""
    return _PERIODS * period + 1


def average_true_range(candles: CandleSeries, period: int) -> float | None:
    """In quote, over these candles (oldest first); None if they are not more than `period`.

    J. W. Wilder, New Concepts in Technical Trading Systems, 1978; as TA-Lib computes it (`ATR`).
    """
    if len(candles) <= period:
        return None
    high, low, close = (np.ascontiguousarray(column) for column in (candles.high, candles.low, candles.close))
    value = float(talib.ATR(high, low, close, timeperiod=period)[-1])
    return None if isnan(value) else value
