"""Features made of other symbols: what they say, that both engines say it, and that none sees itself or the future."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.series import CandleSeries
from livebot.errors import BadInput
from livebot.features.catalogue import (
    breadth_above,
    breadth_up,
    dispersion,
    ema,
    excess_return,
    leader_return,
    market_return,
    volatility_index,
)
from livebot.features.context import (
    PATIENCE,
    ROWS_AT_ONCE,
    compute_context,
    make_context_plan,
    members_of,
)
from livebot.features.context_live import LiveContext
from livebot.features.functions import FEATURE_DEPTH
from tests.features.candles import START_MS, candles, from_closes, minute, real, synthetic

A, B, C, D = "A/USDT", "B/USDT", "C/USDT", "D/USDT"
ALL = (
    market_return("market", 5),
    excess_return("excess", 5),
    breadth_up("rising", 3),
    breadth_above("above", 20),
    dispersion("spread", 5),
    volatility_index("storm", 12),
    leader_return("lead", B, 1),
    leader_return("lead_before", B, 2, lag=4),
)
NAMES = [feature.name for feature in ALL]


def column(feature, series, target=A):
    return compute_context((feature,), series, Timeframe.M1)[target].values[feature.name]


def holed(series, holes):
    """Without the candles at these indices."""
    keep = np.setdiff1d(np.arange(len(series)), holes)
    return CandleSeries(
        **{name: getattr(series, name)[keep] for name in ("ts_ms", "open", "high", "low", "close", "volume")}
    )


def market(count, seeds=(1, 2, 3, 4)):
    return {symbol: synthetic(count, seed) for symbol, seed in zip((A, B, C, D), seeds, strict=True)}


# What they say


def test_the_market_is_the_average_of_the_others():
    series = {A: from_closes([1.0, 9.0]), B: from_closes([100.0, 101.0]), C: from_closes([10.0, 10.3])}
    assert column(market_return("m", 1), series)[-1] == pytest.approx((0.01 + 0.03) / 2)
    assert column(excess_return("m", 1), series)[-1] == pytest.approx(8.0 - 0.02)
    assert column(market_return("m", 1), series, B)[-1] == pytest.approx((8.0 + 0.03) / 2)


def test_breadth_is_a_share_of_the_others():
    series = {A: from_closes([1.0, 1.0, 2.0]), B: from_closes([5.0, 5.0, 6.0]), C: from_closes([5.0, 5.0, 4.0])}
    assert column(breadth_up("b", 1), series)[-1] == 0.5
    assert column(breadth_above("b", 2), series)[-1] == 0.5
    assert column(breadth_above("b", 2), series)[1] == 0.0, "at its average is not above it"


def test_dispersion_is_the_spread_of_the_others_and_needs_two():
    changes = {B: 0.01, C: 0.03, D: -0.02}
    series = {A: from_closes([1.0, 5.0])} | {s: from_closes([100.0, 100 * (1 + by)]) for s, by in changes.items()}
    assert column(dispersion("d", 1), series)[-1] == pytest.approx(np.std(list(changes.values())))
    assert np.isnan(column(dispersion("d", 1), {A: series[A], B: series[B]})).all()


def test_the_volatility_of_the_universe_is_that_of_the_others_on_average():
    series = market(60)
    steps = {symbol: np.diff(each.close) / each.close[:-1] for symbol, each in series.items()}
    expected = np.mean([steps[symbol][-20:].std() for symbol in (B, C, D)])
    assert column(volatility_index("v", 20), series)[-1] == pytest.approx(expected, rel=1e-6)


def test_a_leader_is_followed_also_with_a_lag_and_by_itself():
    series = market(50)
    step = np.diff(series[B].close) / series[B].close[:-1]
    assert np.allclose(column(leader_return("l", B), series)[1:], step, rtol=0, atol=1e-15)
    assert np.allclose(column(leader_return("l", B, 1, lag=3), series)[4:], step[:-3], rtol=0, atol=1e-15)
    assert np.array_equal(
        column(leader_return("l", B), series, B), column(leader_return("l", B), series), equal_nan=True
    )


def test_whose_candles_are_needed_follows_from_the_features():
    universe = (D, C, A)
    assert members_of((leader_return("l", B), ema("e", 12)), universe) == (B,)
    assert members_of((leader_return("l", B), market_return("m", 5)), universe) == (A, B, C, D)
    assert members_of((ema("e", 12),), universe) == ()


def test_a_symbol_that_is_no_member_may_ask_too():
    series = market(50)
    asked = compute_context(ALL, series, Timeframe.M1, universe=(B, C), targets=(A,))
    assert list(asked) == [A]
    assert asked[A].values["market"][-1] == pytest.approx(
        np.mean([series[s].close[-1] / series[s].close[-6] - 1 for s in (B, C)])
    )
    assert np.isnan(asked[A].values["excess"]).all(), "it has no value of its own among the members"


def test_candles_that_are_not_there_are_told():
    with pytest.raises(ValueError, match=r"no candles of X/USDT; context features need those of every symbol"):
        compute_context((leader_return("l", "X/USDT"),), market(20), Timeframe.M1)
    with pytest.raises(ValueError, match="follows X/USDT, whose candles are not among"):
        make_context_plan((leader_return("l", "X/USDT"),), (A, B))


def test_no_candles_and_no_features_are_no_special_case():
    empty = synthetic(0)
    assert compute_context(ALL, dict.fromkeys((A, B), empty), Timeframe.M1)[A].complete.tolist() == []
    nothing = compute_context((ema("e", 12),), market(20), Timeframe.M1)[A]
    assert nothing.values == {}
    assert nothing.complete.all()


# Who counts


def test_a_symbol_missing_at_a_close_leaves_no_value_for_the_others_until_its_patience_is_over():
    series = market(200)
    feature = market_return("m", 5)
    gone = {**series, C: series[C].part(0, 100)}
    values = column(feature, gone)
    without = column(feature, {A: series[A], B: series[B], D: series[D]})
    assert np.isnan(values[100 : 100 + PATIENCE]).all()
    assert np.array_equal(values[100 + PATIENCE :], without[100 + PATIENCE :])
    complete = compute_context((feature,), gone, Timeframe.M1)[A].complete
    assert np.flatnonzero(~complete[5:]).tolist() == [95, 96, 97]
    assert not np.isnan(column(feature, gone, C)[5:]).any(), "it misses nobody itself"


def test_a_symbol_counts_once_its_window_is_full():
    series = market(200)
    feature = market_return("m", 5)
    young = {**series, C: series[C].part(100, 200)}
    before = column(feature, {A: series[A], B: series[B], D: series[D]})
    assert np.array_equal(column(feature, young)[:105], before[:105], equal_nan=True)
    assert np.array_equal(column(feature, young)[105:], column(feature, series)[105:])


def test_nothing_is_carried_over_a_hole():
    series = market(200)
    values = column(leader_return("l", C, 5), {**series, C: holed(series[C], [100])})
    assert np.isnan(values[100:106]).all()
    assert not np.isnan(values[106:]).any()


# Neither itself nor the future


@pytest.mark.parametrize(
    "feature", [feature for feature in ALL if feature.name not in ("excess", "lead", "lead_before")]
)
def test_a_symbol_never_enters_what_it_is_told_about_the_others(feature):
    series = market(150)
    spoiled = replace(series[B], close=series[B].close * np.linspace(1, 1e6, 150))
    assert np.array_equal(column(feature, series, B), column(feature, {**series, B: spoiled}, B), equal_nan=True)
    assert not np.array_equal(column(feature, series, A), column(feature, {**series, B: spoiled}, A), equal_nan=True)


@pytest.mark.parametrize("feature", ALL, ids=NAMES)
@pytest.mark.parametrize("target", [A, B])
def test_the_past_stays_whatever_becomes_of_the_future(feature, target):
    series = market(300)
    whole = column(feature, series, target)
    cut = {symbol: each.part(0, 200) for symbol, each in series.items()}
    later = np.arange(300) >= 200
    spoiled = {
        symbol: replace(each, close=np.where(later, each.close * 7, each.close)) for symbol, each in series.items()
    }
    for present in (cut, spoiled):
        assert np.array_equal(column(feature, present, target)[:200], whole[:200], equal_nan=True)


def test_a_long_time_is_worked_out_in_blocks_without_seams():
    count = ROWS_AT_ONCE + 200
    series = {A: synthetic(count, 1), B: synthetic(count, 2), C: holed(synthetic(count, 3), [ROWS_AT_ONCE - 1])}
    seam = {symbol: each.part(ROWS_AT_ONCE - 300, count) for symbol, each in series.items()}
    for feature in ALL[:3]:
        whole = column(feature, series)[ROWS_AT_ONCE - 100 : ROWS_AT_ONCE + 100]
        assert np.array_equal(column(feature, seam)[200:400], whole, equal_nan=True)


# Live


def live_values(features, series, timeframe, opened_on, lateness=None):
    """What each symbol is shown as each close is complete; `lateness` says how many closes a candle comes late."""
    context = LiveContext(features, members_of(features, tuple(series)), timeframe)
    for symbol in context.members:
        known = int(np.searchsorted(series[symbol].ts_ms, START_MS + opened_on * timeframe.ms))
        context.begin(symbol, series[symbol].part(0, known))
    arriving = [
        (candle.ts_ms + (lateness or {}).get((symbol, candle.ts_ms), 0) * timeframe.ms, symbol, candle)
        for symbol in context.members
        for candle in candles(series[symbol])
        if candle.ts_ms >= START_MS + opened_on * timeframe.ms
    ]
    closes = 1 + max(index_of(candle.ts_ms, timeframe) for _, _, candle in arriving)
    shown = {symbol: {feature.name: np.full(closes, np.nan) for feature in features} for symbol in series}
    columns = {symbol: context.columns(symbol) for symbol in series}
    last_ms = 0
    for _, symbol, candle in sorted(arriving, key=lambda each: each[:2]):
        if last_ms and candle.ts_ms > last_ms:
            note(shown, columns, context, last_ms, timeframe)
        context.update(symbol, candle)
        last_ms = max(last_ms, candle.ts_ms)
    note(shown, columns, context, last_ms, timeframe)
    return shown, context


def index_of(ts_ms, timeframe):
    return int(ts_ms - START_MS) // timeframe.ms


def note(shown, columns, context, last_ms, timeframe):
    """The last few closes as they are shown now: a late candle may have changed an earlier one."""
    end, index = context.settle(last_ms + timeframe.ms), index_of(last_ms, timeframe)
    count = min(4, index + 1)
    for target, of_target in columns.items():
        for name, values in of_target.items():
            shown[target][name][index + 1 - count : index + 1] = values[end - count : end]


def assert_same_bits(features, series, timeframe, opened_on, **late):
    whole = compute_context(features, series, timeframe)
    shown, _ = live_values(features, series, timeframe, opened_on, **late)
    for symbol, of_symbol in whole.items():
        indices = (series[symbol].ts_ms - START_MS) // timeframe.ms
        later = indices >= opened_on
        for name, values in of_symbol.values.items():
            got = shown[symbol][name][indices[later]]
            assert np.array_equal(got, values[later], equal_nan=True), (symbol, name)


@pytest.mark.untraced
@settings(max_examples=10, deadline=None)
@given(
    seed=some.integers(0, 10_000),
    opened_on=some.integers(0, 80),
    holes=some.lists(some.tuples(some.integers(0, 3), some.integers(0, 119), some.integers(1, 30)), max_size=6),
    late=some.lists(some.tuples(some.integers(0, 3), some.integers(0, 119)), max_size=6),
)
def test_live_and_arrays_give_the_same_bits_with_holes_young_symbols_and_late_candles(seed, opened_on, holes, late):
    series = market(120, tuple(range(seed, seed + 4)))
    symbols = tuple(series)
    for member, start, length in holes:
        missing = np.flatnonzero(
            np.isin(series[symbols[member]].ts_ms, START_MS + MINUTE_MS * np.arange(start, start + length))
        )
        series[symbols[member]] = holed(series[symbols[member]], missing)
    lateness = {(symbols[member], START_MS + index * MINUTE_MS): 1 for member, index in late}
    assert_same_bits(ALL, series, Timeframe.M1, opened_on, lateness=lateness)


def test_a_member_without_history_counts_once_its_window_is_full():
    series = {symbol: each.part(0, 40) for symbol, each in market(60).items()}
    assert_same_bits((market_return("m", 5),), series, Timeframe.M1, 0)


def test_who_has_not_begun_is_waited_for_at_first():
    context = LiveContext((market_return("m", 1),), (A, B, C), Timeframe.M1)
    for symbol in (A, B):
        context.begin(symbol, synthetic(100))
    assert not context.begun
    context.update(C, minute(100))  # it has not begun: passed over
    close_ms = START_MS + 101 * MINUTE_MS
    assert context.lacking(close_ms) == (A, B, C)
    assert not context.complete(close_ms)
    context.update(A, minute(100))
    context.update(A, minute(99))  # it has been
    assert context.lacking(close_ms) == (B, C)
    assert not context.complete(close_ms)
    assert context.lacking(close_ms + PATIENCE * MINUTE_MS) == (A,), "C will not come, B has gone"
    assert not context.complete(close_ms + PATIENCE * MINUTE_MS)
    context.begin(C, synthetic(0))
    assert context.begun
    context.update(B, minute(100))
    assert context.lacking(close_ms) == ()
    assert context.complete(close_ms)


def test_a_close_that_is_long_past_is_not_known():
    context = LiveContext((market_return("m", 1),), (A, B), Timeframe.M1)
    for symbol in (A, B):
        context.begin(symbol, synthetic(300))
    columns = context.columns(A)
    assert context.lacking(START_MS + 100 * MINUTE_MS) == (A, B)
    assert not context.complete(START_MS + 100 * MINUTE_MS)
    assert context.settle(START_MS + 100 * MINUTE_MS) == 0
    assert context.settle(START_MS + 300 * MINUTE_MS) > FEATURE_DEPTH
    with pytest.raises(ValueError, match="read-only"):
        columns["m"][0] = 1.0


@pytest.mark.parametrize("closes", [1, 20, 81, 5_000])
def test_after_a_pause_of_all_nothing_is_left_of_what_was_before(closes):
    series = market(400)
    context = LiveContext((market_return("m", 1),), tuple(series), Timeframe.M1)
    for symbol in series:
        context.begin(symbol, series[symbol].part(0, 300))
    columns = context.columns(A)
    for number in range(300, 303):
        for symbol in series:
            context.update(symbol, minute(number + closes, price=100.0 + number))
    end = context.settle(START_MS + (303 + closes) * MINUTE_MS)
    assert columns["m"][end - 1] == pytest.approx(1 / 401)
    assert np.isnan(columns["m"][end - 3]), "its window is not full"


def test_a_number_that_is_none_is_refused():
    context = LiveContext((market_return("m", 1),), (A, B), Timeframe.M1)
    with pytest.raises(BadInput, match="not finite"):
        context.begin(A, replace(synthetic(10), close=np.full(10, np.nan)))
    context.begin(A, synthetic(10))
    with pytest.raises(BadInput, match="cannot be computed"):
        context.update(A, minute(10, close=float("nan")))


@pytest.mark.parametrize("symbols", [("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")])
def test_live_and_arrays_give_the_same_bits_on_real_candles(symbols):
    first = real(symbols[0]).ts_ms[0]
    series = {}
    for number, symbol in enumerate(symbols):
        candles_there = real(symbol)
        start = int(np.searchsorted(candles_there.ts_ms, first))
        part = candles_there.part(start, start + 400)
        shifted = replace(part, ts_ms=part.ts_ms - np.int64(first - START_MS))
        series[symbol] = holed(shifted, np.arange(120 * number, 120 * number + number))
    features = tuple(each for each in ALL if not each.sources)
    assert_same_bits((*features, leader_return("lead", "BTCUSDT", lag=1)), series, Timeframe.M1, 200)
