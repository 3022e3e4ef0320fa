"""Higher timeframes from minutes: whole ones only, and the venue's own."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from livebot.core.market import MINUTE_MS, Candle, Timeframe
from livebot.errors import BadInput
from livebot.features.timeframes import (
    REMEMBERED,
    CandleBuilder,
    Gap,
    aggregate,
    candle_at,
    check_candle,
    check_series,
    find_gaps,
)
from tests.features.candles import COLUMNS, START_MS, candles, minute, real, synthetic


def built(series, timeframe):
    """The candles a builder gives over whole minutes that begin with a candle of the timeframe."""
    builder = CandleBuilder(timeframe)
    results = [builder.add(candle) for candle in candles(series)]
    assert not any(isinstance(result, Gap) for result in results)
    return [result for result in results if isinstance(result, Candle)]


@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.M5, Timeframe.H1, Timeframe.D1])
def test_the_candle_comes_out_with_its_last_minute(timeframe):
    minutes = synthetic(2 * Timeframe.D1.ms // MINUTE_MS)
    builder = CandleBuilder(timeframe)
    for candle in candles(minutes):
        result = builder.add(candle)
        closes_now = (candle.ts_ms + MINUTE_MS) % timeframe.ms == 0
        assert (result is not None) == closes_now
        if isinstance(result, Candle):
            assert result.ts_ms + timeframe.ms == candle.ts_ms + MINUTE_MS
            assert result.close == candle.close


@given(
    seed=some.integers(0, 1_000),
    timeframe=some.sampled_from([Timeframe.M1, Timeframe.M3, Timeframe.M5, Timeframe.M15, Timeframe.H1]),
    left_over=some.integers(0, 59),
)
def test_arrays_and_single_candles_give_the_same_bits(seed, timeframe, left_over):
    minutes = synthetic(240 + left_over, seed)
    assert list(candles(aggregate(minutes, timeframe))) == built(minutes, timeframe)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "DOGEUSDT", "XRPUSDT"])
def test_hours_from_real_minutes_are_the_venues_own_hours(symbol):
    minutes, hours = real(symbol), real(symbol, "perp_1h")
    made = aggregate(minutes, Timeframe.H1)
    first = int(np.searchsorted(hours.ts_ms, made.ts_ms[0]))
    venue = hours.part(first, first + len(made))
    assert len(made) > 700
    for column in ("ts_ms", "open", "high", "low", "close"):
        assert np.array_equal(getattr(made, column), getattr(venue, column)), column
    assert np.allclose(made.volume, venue.volume, rtol=1e-9, atol=0)
    start = int(np.flatnonzero(minutes.ts_ms == made.ts_ms[0])[0])
    assert built(minutes.part(start, start + 6_000), Timeframe.H1) == list(candles(made.part(0, 100)))


def test_unfinished_candles_at_both_ends_are_left_out():
    minutes = synthetic(23, start_ms=START_MS + 2 * MINUTE_MS)
    made = aggregate(minutes, Timeframe.M5)
    assert made.ts_ms.tolist() == [START_MS + number * MINUTE_MS for number in (5, 10, 15, 20)]
    assert made.open[0] == minutes.open[3]
    assert made.close[-1] == minutes.close[22]


@pytest.mark.parametrize("count", [0, 2, 4])
def test_too_few_minutes_make_no_candle(count):
    assert len(aggregate(synthetic(count, start_ms=START_MS + MINUTE_MS), Timeframe.M5)) == 0


def test_a_missing_minute_is_named_and_nothing_is_taken_until_it_is_filled():
    builder = CandleBuilder(Timeframe.M5)
    for number in (0, 1):
        assert builder.add(minute(number)) is None
    gap = Gap(START_MS + 2 * MINUTE_MS, START_MS + 4 * MINUTE_MS)
    assert builder.add(minute(4)) == gap
    assert builder.add(minute(4)) == gap
    assert builder.next_ms == gap.from_ms
    assert [builder.add(minute(number)) for number in (2, 3)] == [None, None]
    assert builder.add(minute(4)) == replace(minute(0), volume=5.0)


def test_a_gap_over_several_candles_never_lets_one_out_unfinished():
    builder = CandleBuilder(Timeframe.M5)
    builder.add(minute(0))
    assert builder.add(minute(14)) == Gap(START_MS + MINUTE_MS, START_MS + 14 * MINUTE_MS)
    finished = [builder.add(minute(number)) for number in range(1, 15)]
    assert [result.ts_ms for result in finished if isinstance(result, Candle)] == [
        START_MS + number * MINUTE_MS for number in (0, 5, 10)
    ]


def test_begun_in_the_middle_it_asks_for_the_minutes_before():
    builder = CandleBuilder(Timeframe.M5)
    assert builder.add(minute(3)) == Gap(START_MS, START_MS + 3 * MINUTE_MS)


def test_told_where_the_history_ends_it_misses_what_came_since():
    builder = CandleBuilder(Timeframe.M5, START_MS)
    assert builder.add(minute(-1)) is None  # part of that history
    assert builder.add(minute(7)) == Gap(START_MS, START_MS + 7 * MINUTE_MS)


def test_after_an_outage_it_goes_on_from_a_whole_candle():
    builder = CandleBuilder(Timeframe.M5)
    builder.add(minute(0))
    builder.resume(START_MS + 5 * MINUTE_MS)
    assert builder.add(minute(4)) is None
    for number in range(5, 9):
        assert builder.add(minute(number, price=7.0)) is None
    assert builder.add(minute(9, price=7.0)) == replace(minute(5, price=7.0), volume=5.0)


@pytest.mark.parametrize("next_ms", [START_MS + MINUTE_MS, -300_000, 1])
def test_it_resumes_at_whole_candles_only(next_ms):
    with pytest.raises(ValueError, match="no 5m candle opens at"):
        CandleBuilder(Timeframe.M5, next_ms)


def test_a_repeated_candle_is_passed_over():
    builder = CandleBuilder(Timeframe.M5)
    for number in range(7):
        builder.add(minute(number))
    for number in range(7):
        assert builder.add(minute(number)) is None
    assert builder.next_ms == START_MS + 7 * MINUTE_MS


def test_a_repeated_candle_that_differs_is_refused():
    builder = CandleBuilder(Timeframe.M5)
    for number in range(3):
        builder.add(minute(number))
    with pytest.raises(BadInput, match="comes again and differs"):
        builder.add(minute(1, volume=2.0))


def test_a_candle_too_old_to_compare_is_refused():
    builder = CandleBuilder(Timeframe.M1)
    for number in range(REMEMBERED + 1):
        builder.add(minute(number))
    assert builder.add(minute(1)) is None
    with pytest.raises(BadInput, match="out of order"):
        builder.add(minute(0))


NAN, INFINITE = float("nan"), float("inf")
BAD_CANDLES = [
    (minute(0, close=NAN), "close nan is not a number"),
    (minute(0, high=INFINITE), "high inf is not a number"),
    (minute(0, volume=NAN), "volume nan is not a number"),
    (minute(0, volume=INFINITE), "volume inf is not a number"),
    (minute(0, volume=-1.0), "volume -1.0 is below 0"),
    (minute(0, low=0.0), "low 0.0 is not above 0"),
    (minute(0, price=-5.0), "open -5.0 is not above 0"),
    (minute(0, high=90.0, low=95.0), "high 90.0 is below low 95.0"),
    (minute(0, close=101.0), "outside low 100.0 to high 100.0"),
    (minute(0, open=99.0), "outside low 100.0 to high 100.0"),
    (replace(minute(0), ts_ms=START_MS + 1), "not a whole 1m of UTC"),
    (replace(minute(0), ts_ms=-MINUTE_MS), "not a whole 1m of UTC"),
]


@pytest.mark.parametrize(("candle", "cause"), BAD_CANDLES, ids=[cause for _, cause in BAD_CANDLES])
def test_a_candle_that_cannot_be_true_is_refused_by_name_of_its_cause(candle, cause):
    builder = CandleBuilder(Timeframe.M5)
    with pytest.raises(BadInput, match=cause):
        builder.add(candle)
    assert builder.next_ms is None
    row = {column: np.array([getattr(candle, column)]) for column in COLUMNS}
    with pytest.raises(BadInput, match=cause):
        check_series(replace(synthetic(1), **row), Timeframe.M1)


def test_a_candle_has_to_fit_its_own_timeframe():
    check_candle(minute(5), Timeframe.M5)
    with pytest.raises(BadInput, match="not a whole 5m of UTC"):
        check_candle(minute(6), Timeframe.M5)


def test_a_history_with_a_gap_is_refused_and_the_gap_named():
    whole = synthetic(20)
    holed = replace(whole, **{column: np.delete(getattr(whole, column), [5, 6, 12]) for column in COLUMNS})
    gaps = find_gaps(holed.ts_ms, Timeframe.M1)
    assert gaps == (
        Gap(START_MS + 5 * MINUTE_MS, START_MS + 7 * MINUTE_MS),
        Gap(START_MS + 12 * MINUTE_MS, START_MS + 13 * MINUTE_MS),
    )
    with pytest.raises(BadInput, match=rf"2 gap\(s\), the first from {gaps[0].from_ms} to {gaps[0].to_ms}"):
        aggregate(holed, Timeframe.M5)


@pytest.mark.parametrize("order", [[0, 2, 1, 3], [0, 1, 1, 2]])
def test_a_history_out_of_order_is_refused(order):
    whole = synthetic(4)
    mixed = replace(whole, **{column: getattr(whole, column)[order] for column in COLUMNS})
    with pytest.raises(BadInput, match="stands after"):
        check_series(mixed, Timeframe.M1)


def test_a_true_history_passes():
    check_series(synthetic(100), Timeframe.M1)
    check_series(synthetic(0), Timeframe.M1)
    assert candle_at(synthetic(100), 7) == list(candles(synthetic(100)))[7]
