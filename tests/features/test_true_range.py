"""The average true range by which sizes are set."""

from dataclasses import replace

import numpy as np
import pytest

from livebot.features.true_range import average_true_range, candles_for
from tests.backtest.plans import candles


def by_hand(series, period):
    """As Wilder wrote it down: the mean of the first ranges, then each new one with a weight of 1 / period."""
    before = series.close[:-1]
    ranges = np.maximum(series.high[1:], before) - np.minimum(series.low[1:], before)
    value = ranges[:period].mean()
    for each in ranges[period:]:
        value = (value * (period - 1) + each) / period
    return value


@pytest.mark.parametrize(("period", "count"), [(14, 141), (14, 15), (1, 2), (5, 51)])
def test_it_is_wilders(period, count):
    series = candles(3, count)
    assert average_true_range(series, period) == pytest.approx(by_hand(series, period), rel=1e-12)


def test_too_few_candles_say_nothing():
    """A range needs the close before; and a hole in the numbers is no range."""
    series = candles(3, 14)
    assert average_true_range(series, 14) is None
    assert average_true_range(series.part(0, 0), 14) is None
    assert average_true_range(replace(series, high=series.high * np.nan), 3) is None


def test_what_is_older_than_it_looks_at_does_not_matter():
    """To within a ten thousandth: so a start later or earlier changes no size that anybody would notice."""
    series = candles(4, 2_000)
    count = candles_for(14)
    assert average_true_range(series.part(2_000 - count, 2_000), 14) == pytest.approx(by_hand(series, 14), rel=3e-4)
