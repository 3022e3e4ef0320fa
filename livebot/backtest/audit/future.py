"""Other futures: candles that end at a moment, and candles that go on otherwise after it.

Rules of this file: nothing before the moment is touched, to the last bit; what comes after it can be true (no candle is
refused for what it is), however unlikely it is.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from livebot.backtest.plan import BacktestPlan
from livebot.core.market import Instrument
from livebot.core.series import CandleSeries, Floats

JUMPS = (0.6, 1.6)  # how far off the price is after the moment, in turn: down and up
WILDNESS = 0.05  # standard deviation of a candle's price around that, as a logarithm


def truncated(plan: BacktestPlan, moment_ms: int) -> BacktestPlan:
    """The plan up to this moment, and no candle after it.

    Of the candle that opens with it only the open is there, because orders of the last close fill at it; all of it if
    orders arrive late, because they pay a part of its range.
    """
    whole = plan.latency_ms > 0
    cut = {symbol: _cut(series, moment_ms, whole=whole) for symbol, series in plan.candles.items()}
    return replace(plan.with_candles(cut), end_ms=moment_ms)


def corrupted(plan: BacktestPlan, moment_ms: int, seed: int, jump: float) -> BacktestPlan:
    """The plan with other candles from this moment on: another price, other ranges, other volumes."""
    changed = {
        symbol: _changed(series, moment_ms, plan.instruments.get(symbol), (seed, place, moment_ms), jump)
        for place, (symbol, series) in enumerate(plan.candles.items())
    }
    return plan.with_candles(changed)


def _cut(series: CandleSeries, moment_ms: int, *, whole: bool) -> CandleSeries:
    stop = int(np.searchsorted(series.ts_ms, moment_ms))
    if not stop:  # a symbol that begins later: one candle, which is after the end and so never shown
        return series.part(0, 1)
    following = stop < len(series) and int(series.ts_ms[stop]) == moment_ms
    kept = series.part(0, stop + following)
    if whole or not following:
        return kept
    opens = kept.open
    ends: Mapping[str, float] = {name: float(opens[-1]) for name in ("high", "low", "close")} | {"volume": 0.0}
    columns = {name: _with_last(getattr(kept, name), value) for name, value in ends.items()}
    return CandleSeries(ts_ms=kept.ts_ms, open=opens, **columns)


def _with_last(column: Floats, value: float) -> Floats:
    changed = column.copy()
    changed[-1] = value
    return changed


def _changed(
    series: CandleSeries, moment_ms: int, instrument: Instrument | None, seed: tuple[int, ...], jump: float
) -> CandleSeries:
    begin = int(np.searchsorted(series.ts_ms, moment_ms))
    count = len(series) - begin
    if not count:
        return series
    random = np.random.default_rng(seed)
    tick = 0.0 if instrument is None else float(instrument.tick_size)
    digits = 12 if instrument is None else max(0, -int(instrument.tick_size.normalize().as_tuple().exponent))
    level = float(series.close[max(begin - 1, 0)]) * jump
    prices = level * np.exp(random.normal(0, WILDNESS, (4, count)))
    rounded = np.maximum(np.round(prices, digits), max(tick, float(np.min(prices)) / 2))
    parts = {
        "open": rounded[0],
        "high": rounded.max(axis=0),
        "low": rounded.min(axis=0),
        "close": rounded[3],
        "volume": random.permutation(series.volume[begin:]) * np.exp(random.normal(0, 1, count)) + 1.0,
    }
    columns = {name: np.concatenate((getattr(series, name)[:begin], part)) for name, part in parts.items()}
    return CandleSeries(ts_ms=series.ts_ms, **columns)
