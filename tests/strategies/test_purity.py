"""A decision depends on the candles up to its close and on the parameters, and on nothing else."""

from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest

from livebot.core.market import Timeframe
from livebot.features.timeframes import aggregate
from livebot.strategies.registry import load, shipped
from tests.features.candles import real, synthetic
from tests.strategies.driving import decide_candle_by_candle, decide_over_arrays, move, view_over_arrays

OTHER = "ETH/USDT:USDT"
COLUMNS = ("open", "high", "low", "close", "volume")


@pytest.fixture(params=sorted(shipped()))
def strategy(request):
    """Each shipped strategy, trading both ways as far as it can."""
    kind = load(request.param)
    wishes = {"allow_short": True, "timeframe": Timeframe.M5}
    return kind(
        kind.Params(**{field.name: wishes[field.name] for field in fields(kind.Params) if field.name in wishes})
    )


@pytest.fixture
def series():
    return synthetic(2_500, 1, Timeframe.M5)


@pytest.fixture
def others(strategy):
    return {OTHER: synthetic(2_500, 2, Timeframe.M5)} if strategy.others else {}


def test_the_same_view_twice_gives_the_same_answer(strategy, series, others):
    again = type(strategy)(strategy.params)
    view = view_over_arrays(strategy, series, others)
    for end in range(strategy.warmup, len(series)):
        move(view, end)
        assert strategy.decide(view) == strategy.decide(view) == again.decide(view)


def test_over_arrays_and_candle_by_candle_it_decides_the_same(strategy, series, others):
    decided = decide_over_arrays(strategy, series, others)
    assert decided
    assert decide_candle_by_candle(strategy, series, others) == decided


@pytest.mark.untraced
def test_on_real_candles_it_decides_the_same_both_ways(strategy):
    series = aggregate(real("BTCUSDT").part(0, 30_000), Timeframe.M5)
    beside = aggregate(real("ETHUSDT").part(0, 30_000), Timeframe.M5)
    count = min(len(series), len(beside))
    assert np.array_equal(series.ts_ms[:count], beside.ts_ms[:count])
    others = {OTHER: beside.part(0, count)} if strategy.others else {}
    decided = decide_over_arrays(strategy, series.part(0, count), others)
    assert decided
    assert decide_candle_by_candle(strategy, series.part(0, count), others) == decided


def test_what_comes_later_changes_nothing(strategy, series, others):
    present, decided = 1_500, decide_over_arrays(strategy, series, others)
    spoiled = [
        replace(
            one, **{name: np.append(getattr(one, name)[:present], 2 * getattr(one, name)[present:]) for name in COLUMNS}
        )
        for one in (series, *others.values())
    ]
    other_future = decide_over_arrays(strategy, spoiled[0], dict(zip(others, spoiled[1:], strict=True)))
    last_ms = int(series.ts_ms[present - 1]) + strategy.timeframe.ms
    until_then = {close_ms: entry for close_ms, entry in decided.items() if close_ms <= last_ms}
    assert until_then
    assert {close_ms: entry for close_ms, entry in other_future.items() if close_ms <= last_ms} == until_then


def test_its_parameters_cannot_be_changed(strategy):
    with pytest.raises(FrozenInstanceError):
        strategy.params.timeframe = Timeframe.D1
