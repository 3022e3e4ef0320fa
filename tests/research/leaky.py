"""Rows of the same market with and without its future, and ways to let that future in."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from livebot.backtest.plan import BacktestPlan
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.series import CandleSeries
from livebot.features.model_features import WARMUP_MOST
from livebot.learning.building import build_dataset
from livebot.learning.dataset import Dataset
from livebot.learning.history_needs import HistoryTerms
from tests.backtest.plans import START_MS, plan, strategy
from tests.backtest.whims import Whim, WhimParams

MINUTES = 600  # in which there are rows
NOW_MINUTE = 403  # of them; in the middle of a candle of five minutes
WHIMS = WhimParams(stop=0.003, target=0.004, minutes=60, rarity=3)
_COLUMNS = ("features", "symbol", "side", "close_ms", "end_ms", "barrier", "gain", "cost", "risk")
_AT_CLOSE = ("features", "symbol", "side", "close_ms", "risk")


def market(timeframe: Timeframe = Timeframe.M1, **changes: Any) -> BacktestPlan:
    """Three random walks of minutes, and a strategy that enters by chance."""
    runs = (strategy(params=replace(WHIMS, timeframe=timeframe)),)
    start_ms = first_ms(timeframe)
    minutes = (start_ms - START_MS) // MINUTE_MS + MINUTES
    return plan(minutes, strategies=runs, start_ms=start_ms, **changes)


def first_ms(timeframe: Timeframe = Timeframe.M1) -> int:
    """When the features that look furthest back have settled, and rows begin."""
    return START_MS + WARMUP_MOST * timeframe.ms


def now_ms(timeframe: Timeframe = Timeframe.M1) -> int:
    """The moment that divides the past from the future."""
    return first_ms(timeframe) + NOW_MINUTE * MINUTE_MS


def rows_of(made: BacktestPlan, features: str = "own") -> Dataset:
    """What would be learned from."""
    terms = HistoryTerms(minimum_days=0, target_days=1, coverage=0.1)
    return build_dataset(made, Whim.name, features=features, history=terms).dataset


def with_candles(made: BacktestPlan, candles: Mapping[str, CandleSeries]) -> BacktestPlan:
    """The plan with other candles of some symbols."""
    return replace(made, candles={**made.candles, **candles})


def other_future(made: BacktestPlan, from_ms: int) -> BacktestPlan:
    """The same candles up to that time; from then on prices are a little higher, and twice as much is traded.

    So little that entries at that time are still possible: their outcomes change, what they are does not.
    """
    factors = {"open": 1.001, "high": 1.0015, "low": 1.001, "close": 1.001, "volume": 2.0}
    return with_candles(
        made,
        {
            symbol: replace(
                series,
                **{
                    name: getattr(series, name) * np.where(series.ts_ms >= from_ms, factor, 1.0)
                    for name, factor in factors.items()
                },
            )
            for symbol, series in made.candles.items()
        },
    )


def no_future(made: BacktestPlan, from_ms: int) -> BacktestPlan:
    """The plan as it would have been made at that time."""
    kept = {
        symbol: series.part(0, int(np.searchsorted(series.ts_ms, from_ms))) for symbol, series in made.candles.items()
    }
    return replace(with_candles(made, kept), end_ms=from_ms)


def differing(one: Dataset, other: Dataset, until_ms: int, *, outcomes: bool) -> list[str]:
    """The columns in which two datasets tell another past: rows closed by then, or (`outcomes`) known by then."""
    parts = [each.rows((each.end_ms if outcomes else each.close_ms) <= until_ms) for each in (one, other)]
    if len(parts[0]) != len(parts[1]) or not len(parts[0]):
        return ["rows"]
    columns = _COLUMNS if outcomes else _AT_CLOSE
    return [name for name in columns if not np.array_equal(*(getattr(part, name) for part in parts))]
