"""Longer candles played minute by minute: the same candles in the end, and nothing of them before."""

from dataclasses import replace

import numpy as np
import pytest

from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.series import CandleSeries
from livebot.history.minutes import as_minutes

COLUMNS = ("open", "high", "low", "close", "volume")
HOURS = CandleSeries(
    ts_ms=np.array([0, 1, 3], dtype=np.int64) * Timeframe.H1.ms,
    open=np.array([10.0, 12.0, 11.0]),
    high=np.array([15.0, 13.0, 12.0]),
    low=np.array([9.0, 8.0, 10.5]),
    close=np.array([12.0, 11.0, 11.5]),
    volume=np.array([3.0, 5.0, 7.0]),
)


def test_the_minutes_make_up_the_candles() -> None:
    """To the last bit; an hour that is missing has no minutes either."""
    minutes = as_minutes(HOURS, Timeframe.H1)
    hours = [slice(place * 60, place * 60 + 60) for place in range(3)]
    assert minutes.ts_ms.tolist() == [start + each * MINUTE_MS for start in HOURS.ts_ms.tolist() for each in range(60)]
    assert [minutes.open[hour][0] for hour in hours] == HOURS.open.tolist()
    assert [minutes.high[hour].max() for hour in hours] == HOURS.high.tolist()
    assert [minutes.low[hour].min() for hour in hours] == HOURS.low.tolist()
    assert [minutes.close[hour][-1] for hour in hours] == HOURS.close.tolist()
    assert [minutes.volume[hour].sum() for hour in hours] == HOURS.volume.tolist()


@pytest.mark.parametrize("column", COLUMNS[1:])
def test_of_a_candle_that_has_not_closed_nothing_is_known_but_its_open(column: str) -> None:
    known, other = as_minutes(HOURS, Timeframe.H1), replace(HOURS, **{column: getattr(HOURS, column) + 1})
    changed = as_minutes(other, Timeframe.H1)
    before_close = np.arange(len(known)) % 60 != 59
    for each in COLUMNS:
        assert getattr(changed, each)[before_close].tolist() == getattr(known, each)[before_close].tolist()
    for each in ("high", "low", "close"):
        assert getattr(known, each)[before_close].tolist() == known.open[before_close].tolist()


def test_minutes_are_given_back_as_they_are() -> None:
    assert as_minutes(HOURS, Timeframe.M1) is HOURS
