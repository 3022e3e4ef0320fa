"""The window of the last candles."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from livebot.errors import BadInput
from livebot.features.window import CandleWindow
from tests.features.candles import COLUMNS, candles, minute, synthetic


@given(
    capacity=some.integers(1, 60),
    begun_with=some.integers(0, 200),
    count=some.integers(0, 200),
)
def test_it_holds_the_last_candles_however_many_came(capacity, begun_with, count):
    series = synthetic(begun_with + count)
    window = CandleWindow(capacity)
    window.replace(series.part(0, begun_with))
    for candle in candles(series.part(begun_with, len(series))):
        window.append(candle)
    kept = min(capacity, len(series))
    assert len(window) == kept
    assert window.last_ms == (series.ts_ms[-1] if len(series) else None)
    for column in COLUMNS:
        assert np.array_equal(getattr(window.series(), column), getattr(series, column)[len(series) - kept :])


def test_slices_are_contiguous_read_only_and_not_copied():
    window = CandleWindow(100)
    for candle in candles(synthetic(1_000)):
        window.append(candle)
    for column in COLUMNS:
        shown = getattr(window.series(), column)
        assert shown.flags.c_contiguous
        assert not shown.flags.writeable
        assert np.shares_memory(shown, getattr(window.buffer, column))


def test_the_buffer_stays_the_same_object_when_the_candles_move():
    window = CandleWindow(5)
    buffer = window.buffer
    for candle in candles(synthetic(100)):
        window.append(candle)
        assert window.buffer is buffer
        assert buffer.close[window.end - 1] == candle.close


@pytest.mark.parametrize("number", [3, 4])
def test_a_candle_that_is_not_newer_is_refused_and_changes_nothing(number):
    window = CandleWindow(5)
    window.append(minute(4))
    with pytest.raises(BadInput, match="not newer"):
        window.append(minute(number, price=1.0))
    assert window.series().close.tolist() == [100.0]


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_window_without_capacity_is_refused(capacity):
    with pytest.raises(ValueError, match="capacity must be above 0"):
        CandleWindow(capacity)


def test_six_hundred_candles_take_at_most_35_kilobytes():
    CandleWindow(600)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        windows = [CandleWindow(600) for _ in range(10)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / len(windows) <= 35_000
