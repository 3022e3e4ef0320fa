"""Volatility regimes: was the market calm or wild, for this symbol, when a trade began?

Rules of this file: a trade's volatility is that of candles which had closed before its first fill; what counts as low or
high for a symbol is seen over the whole run, so a regime describes a run and must never decide a trade.
"""

from collections.abc import Iterable, Mapping
from enum import Enum

import numpy as np

from livebot.core.market import DAY_MS
from livebot.core.series import CandleSeries, Floats
from livebot.reporting.run_record import ClosedTrade

WINDOW_MS = DAY_MS  # as far back as the volatility of a moment looks
WINDOW_CANDLES_MIN = 20  # and never over fewer candles: below that a deviation is guesswork
SAMPLES_MIN = 60  # moments that terciles are taken of: three times a window that is barely enough


class Regime(Enum):
    """The tercile of a symbol's own trailing volatility; UNKNOWN where candles before the entry are missing."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    UNKNOWN = "unknown"


def regimes_of(
    trades: Iterable[ClosedTrade], candles: Mapping[str, CandleSeries], start_ms: int, end_ms: int
) -> list[Regime]:
    """The regime in which each trade began, in their order; the terciles are of the candles in [start_ms, end_ms)."""
    known = {symbol: _Symbol(series, start_ms, end_ms) for symbol, series in candles.items()}
    return [known[trade.symbol].at(trade.opened_ms) if trade.symbol in known else Regime.UNKNOWN for trade in trades]


class _Symbol:
    def __init__(self, series: CandleSeries, start_ms: int, end_ms: int) -> None:
        self._ts_ms = series.ts_ms
        self._step_ms = candle_ms(series)
        window = max(WINDOW_CANDLES_MIN, WINDOW_MS // self._step_ms) if self._step_ms else 0
        self._volatility = trailing_volatility(series.close, window)
        begin, end = np.searchsorted(self._ts_ms, (start_ms, end_ms))
        sample = self._volatility[begin:end]
        sample = sample[np.isfinite(sample)]
        self._thresholds = np.quantile(sample, (1 / 3, 2 / 3)) if len(sample) >= SAMPLES_MIN else None

    def at(self, opened_ms: int) -> Regime:
        place = int(np.searchsorted(self._ts_ms, opened_ms - self._step_ms, side="right")) - 1
        if self._thresholds is None or place < 0 or not np.isfinite(self._volatility[place]):
            return Regime.UNKNOWN
        return (Regime.LOW, Regime.MEDIUM, Regime.HIGH)[int(np.searchsorted(self._thresholds, self._volatility[place]))]


def candle_ms(series: CandleSeries) -> int:
    """How long one candle is: the shortest distance between two; 0 for fewer than two."""
    return int(np.diff(series.ts_ms).min()) if len(series) > 1 else 0


def trailing_volatility(close: Floats, window: int) -> Floats:
    """Standard deviation of the last `window` log returns as of each close, of shape (candles,); nan before there are.

    A price that is not above 0 makes its moments nan.
    """
    volatility = np.full(len(close), np.nan)
    if window < 1 or len(close) <= window:
        return volatility
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = np.diff(np.log(close))
    broken = ~np.isfinite(returns)
    returns = np.where(broken, 0.0, returns)
    mean = _trailing_sum(returns, window) / window
    square = _trailing_sum(returns**2, window) / window
    deviation = np.sqrt(np.maximum(square - mean**2, 0.0))
    volatility[window:] = np.where(_trailing_sum(broken.astype(np.float64), window) > 0, np.nan, deviation)
    return volatility


def _trailing_sum(values: Floats, window: int) -> Floats:
    total = np.concatenate(([0.0], np.cumsum(values)))
    result: Floats = total[window:] - total[:-window]
    return result
