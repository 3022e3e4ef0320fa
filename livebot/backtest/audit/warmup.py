"""Whether features have settled when a strategy is first asked.

A feature computed from exactly as many candles as its warm-up declares is held against the same feature computed from at
least MORE times as many.

Rules of this file: a difference is measured in usual sizes of the feature (the mean of its absolute values); up to
TOLERANCE it counts for none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from livebot.backtest.engine import tapes_of
from livebot.backtest.feature_cache import FeatureCache
from livebot.backtest.frames import Frames
from livebot.backtest.plan import BacktestPlan
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.series import CandleSeries, Floats
from livebot.features.batch import compute
from livebot.features.context import compute_context
from livebot.features.declaration import WARMUP_BOUND, Feature

TOLERANCE = 1e-6  # of the usual size; sums over a window carry rounding of 1e-8, a seed that has settled 1e-9
MORE = 2  # how much longer the longer history is at least
SAMPLES = 3  # places at which it is tried, on each of at most SYMBOLS symbols
SYMBOLS = 3
_DEEP = 3 * WARMUP_BOUND  # candles before the range that are used if they are there
_NEVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """One feature of one strategy.

    `declared` candles come before its first use; `error` is how far off it is then, in usual sizes (infinite: there is
    no value yet; None: the candles do not suffice to tell); `needed` is how many would do, None if none of those that
    could be tried does, `tried` the most that were tried.
    """

    strategy: str
    timeframe: str
    feature: str
    declared: int
    error: float | None
    needed: int | None
    tried: int

    @property
    def holds(self) -> bool:
        """Whether it is settled, as far as can be told."""
        return self.error is None or self.error <= TOLERANCE


@dataclass(frozen=True, slots=True)
class _Place:
    """A candle at which a feature is looked at: `value_of` computes it from so many candles, this one the last."""

    held: int
    value: float
    size: float
    value_of: Callable[[int], float]

    def error(self, count: int) -> float:
        """How far off it is."""
        short = self.value_of(count)
        if np.isnan(short) and not np.isnan(self.value):
            return _NEVER
        away = abs(short - self.value)
        return 0.0 if np.isnan(away) or away == 0 else away / self.size if self.size else _NEVER


def warm_ups_of(plan: BacktestPlan) -> tuple[WarmUp, ...]:
    """Every feature of every strategy of the plan.  Raises BadInput: its candles are unfit."""
    start, end = plan.start_ms // MINUTE_MS, plan.end_ms // MINUTE_MS
    tapes = tapes_of(plan)
    frames = Frames(tapes, start, end, FeatureCache(None, 0))
    found = []
    for run in plan.strategies:
        strategy = run.make()
        timeframe = strategy.timeframe
        candles = {symbol: frames.frame(symbol, timeframe, _DEEP).series for symbol in tapes}
        for feature in strategy.features:
            declared = max(min(feature.warmup, strategy.warmup), 1)
            places = _places(feature, timeframe, candles, run.symbols[:SYMBOLS], declared)
            found.append(_judged(places, run.id, timeframe, feature, declared))
    return tuple(found)


def _judged(places: Sequence[_Place], strategy: str, timeframe: Timeframe, feature: Feature, declared: int) -> WarmUp:
    tried = min((place.held // MORE for place in places), default=0)
    known = tried >= declared
    return WarmUp(
        strategy=strategy,
        timeframe=timeframe.value,
        feature=feature.name,
        declared=declared,
        error=_worst(places, declared) if known else None,
        needed=_needed(places, declared, tried) if known else None,
        tried=tried,
    )


def _worst(places: Sequence[_Place], count: int) -> float:
    return max(place.error(count) for place in places)


def _needed(places: Sequence[_Place], declared: int, tried: int) -> int | None:
    """The fewest candles that do, found by doubling and halving; more of them never do worse for what is in the catalogue."""
    low, high = 0, declared
    while _worst(places, high) > TOLERANCE:
        if high >= tried:
            return None
        low, high = high, min(2 * high, tried)
    while high - low > 1:
        middle = (low + high) // 2
        if _worst(places, middle) > TOLERANCE:
            low = middle
        else:
            high = middle
    return high


def _places(
    feature: Feature,
    timeframe: Timeframe,
    candles: Mapping[str, CandleSeries],
    symbols: Sequence[str],
    declared: int,
) -> list[_Place]:
    """On each of these symbols that holds enough candles, in the later half of them, so that there is much to compare with."""
    found = []
    for symbol in symbols:
        series = candles[symbol]
        first = max(MORE * declared - 1, len(series) // 2)
        if first >= len(series):
            continue
        column = _column(feature, timeframe, candles, symbol)
        size = float(np.nanmean(np.abs(column))) if not np.isnan(column).all() else 0.0
        for at in sorted({int(each) for each in np.linspace(first, len(series) - 1, SAMPLES)}):
            value_of = _value_of(feature, timeframe, candles, symbol, at)
            found.append(_Place(at + 1, float(column[at]), size, value_of))
    return found


def _value_of(
    feature: Feature, timeframe: Timeframe, candles: Mapping[str, CandleSeries], symbol: str, at: int
) -> Callable[[int], float]:
    last_ms = int(candles[symbol].ts_ms[at])

    def value_of(count: int) -> float:
        stretch = (last_ms - (count - 1) * timeframe.ms, last_ms + 1)
        wanted = candles if feature.looks_at_others else {symbol: candles[symbol]}
        parts = {name: _between(series, *stretch) for name, series in wanted.items()}
        return float(_column(feature, timeframe, parts, symbol)[-1])

    return value_of


def _between(series: CandleSeries, begin_ms: int, end_ms: int) -> CandleSeries:
    begin, end = np.searchsorted(series.ts_ms, (begin_ms, end_ms))
    return series.part(int(begin), int(end))


def _column(feature: Feature, timeframe: Timeframe, candles: Mapping[str, CandleSeries], symbol: str) -> Floats:
    if not feature.looks_at_others:
        return compute((feature,), candles[symbol])[feature.name]
    return compute_context((feature,), candles, timeframe, targets=(symbol,))[symbol].values[feature.name]
