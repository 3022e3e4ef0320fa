"""Every feature of the catalogue: both engines agree to the bit, none looks ahead, and its warm-up is true."""

import inspect
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from livebot.core.market import Timeframe
from livebot.core.series import CandleSeries
from livebot.features import batch, catalogue
from livebot.features.catalogue import (
    bollinger_position,
    bollinger_width,
    channel_position,
    distance_in_atr,
    ema,
    hour_cosine,
    hour_sine,
    in_session,
    minutes_since_open,
    relative_volume,
    rolling_vwap,
    scaled_return,
    volatility,
    volume_score,
    weekday_sine,
    weekend,
)
from livebot.features.declaration import FEATURE_DEPTH, own_features
from livebot.features.functions import FUNCTIONS, Form
from livebot.features.live import LiveFeatures
from livebot.features.timeframes import aggregate, find_gaps
from tests.features.candles import START_MS, candles, from_closes, real, synthetic
from tests.features.every import CONTEXT, OWN

IDS = [feature.name for feature in OWN]
COLUMNS = ("open", "high", "low", "close", "volume")
SERIES = synthetic(900, seed=5, timeframe=Timeframe.H1)
WHOLE = batch.compute(OWN, SERIES)


def functions_of(feature):
    yield feature.function
    for source in feature.sources:
        if not isinstance(source, str):
            yield from functions_of(source)


def recursive(feature):
    """Whether it has a memory beyond its windows."""
    rules = {FUNCTIONS[name].warmup.__name__ for name in functions_of(feature)}
    return any(rule.startswith(("_exponential", "_wilder", "_macd")) for rule in rules)


def test_every_function_is_in_one_of_the_features_below():
    used = {name for feature in (*OWN, *CONTEXT) for name in functions_of(feature)}
    assert used == set(FUNCTIONS)


def test_every_maker_of_the_catalogue_is_among_the_features_below():
    text = inspect.getsource(__import__("tests.features.every", fromlist=["every"]))
    makers = [name for name in catalogue.__all__ if name not in ("Feature", "Source")]
    assert [name for name in makers if f"c.{name}(" not in text] == []
    assert {feature.looks_at_others for feature in CONTEXT} == {True}
    assert own_features((*OWN, *CONTEXT)) == OWN


# Both engines


def live_columns(features, series, opened_on):
    """What the live engine shows after each candle from the end of its history on."""
    live = LiveFeatures(features, series.part(0, opened_on))
    shown = live.columns
    rows = [[column[live.end - 1] for column in shown.values()]] if opened_on else []
    for candle in candles(series.part(opened_on, len(series))):
        live.update(candle)
        rows.append([column[live.end - 1] for column in shown.values()])
    return dict(zip(shown, np.array(rows).T, strict=True))


def assert_same_bits(features, series, opened_on):
    whole = batch.compute(features, series)
    for name, values in live_columns(features, series, opened_on).items():
        assert np.array_equal(values, whole[name][max(opened_on - 1, 0) :], equal_nan=True), name


@settings(max_examples=12, deadline=None)
@given(
    seed=some.integers(0, 10_000),
    opened_on=some.integers(0, 180),
    still=some.integers(0, 200),
    thin=some.booleans(),
)
def test_live_and_arrays_give_the_same_bits_on_whatever_candles(seed, opened_on, still, thin):
    """Quiet markets, without volume too, and histories shorter than any window."""
    series = synthetic(220, seed)
    volume = np.where(np.arange(220) % 7 < 5, 0.0, series.volume) if thin else series.volume
    flat = {name: np.where(np.arange(220) < still, 30_000.0, getattr(series, name)) for name in COLUMNS[:4]}
    assert_same_bits(OWN, replace(series, volume=volume, **flat), opened_on)


def holed(series, holes):
    keep = np.setdiff1d(np.arange(len(series)), holes)
    return CandleSeries(**{name: getattr(series, name)[keep] for name in ("ts_ms", *COLUMNS)})


def filled(series, timeframe):
    """Flat candles at the last close where there are none, as a backfill finds them."""
    times = np.arange(series.ts_ms[0], series.ts_ms[-1] + timeframe.ms, timeframe.ms)
    place = np.searchsorted(series.ts_ms, times, side="right") - 1
    there = series.ts_ms[place] == times
    made = {name: np.where(there, getattr(series, name)[place], series.close[place]) for name in COLUMNS[:4]}
    return CandleSeries(ts_ms=times, volume=np.where(there, series.volume[place], 0.0), **made)


@pytest.mark.parametrize(
    ("symbol", "folder", "timeframe"),
    [("BTCUSDT", "perp_1m", Timeframe.M1), ("DOGEUSDT", "perp_1m", Timeframe.M5), ("SOLUSDT", "spot_1h", Timeframe.H1)],
)
def test_live_and_arrays_give_the_same_bits_on_real_candles_through_gaps_restarts_and_backfills(
    symbol, folder, timeframe
):
    candles_there = real(symbol, folder)
    series = candles_there if folder == "spot_1h" else aggregate(candles_there.part(0, 6_000), timeframe)
    chance = np.random.default_rng(7)
    holes = chance.choice(np.arange(100, 1_100), 60, replace=False)
    backfilled = filled(holed(series.part(0, 1_200), holes), timeframe)
    assert not find_gaps(backfilled.ts_ms, timeframe)
    whole = batch.compute(OWN, backfilled)
    live = LiveFeatures(OWN, backfilled.part(0, 400))
    for end, candle in enumerate(candles(backfilled.part(400, 1_200)), start=401):
        if end % 160 == 0:  # a restart: opened anew on the history up to the candle before
            live = LiveFeatures(OWN, backfilled.part(0, end - 1))
        live.update(candle)
        if end % 20 == 0:
            for name, column in live.columns.items():
                shown = column[max(live.end - FEATURE_DEPTH, 0) : live.end]
                assert np.array_equal(shown, whole[name][end - len(shown) : end], equal_nan=True), (name, end)


# No look ahead


@pytest.mark.untraced
@pytest.mark.parametrize("feature", OWN, ids=IDS)
@settings(max_examples=4, deadline=None)
@given(cut=some.integers(1, 899), by=some.sampled_from([0.01, 0.5, 3.0, 1e6]))
def test_the_past_stays_whatever_becomes_of_the_future(feature, cut, by):
    later = np.arange(len(SERIES)) >= cut
    spoiled = replace(
        SERIES, **{name: np.where(later, getattr(SERIES, name) * by, getattr(SERIES, name)) for name in COLUMNS}
    )
    for changed in (SERIES.part(0, cut), spoiled):
        values = batch.compute((feature,), changed)[feature.name]
        assert np.array_equal(values[:cut], WHOLE[feature.name][:cut], equal_nan=True)


# Warm-up


@pytest.mark.parametrize("feature", OWN, ids=IDS)
def test_a_value_may_be_used_after_its_warm_up_and_a_window_is_full_no_sooner(feature):
    there = np.flatnonzero(~np.isnan(WHOLE[feature.name]))
    assert there[0] <= feature.warmup - 1
    assert np.array_equal(there, np.arange(there[0], len(SERIES)))
    if not recursive(feature):
        assert there[0] == feature.warmup - 1


@pytest.mark.parametrize("feature", [each for each in OWN if recursive(each)], ids=lambda each: each.name)
def test_after_its_warm_up_a_value_no_longer_shows_where_the_history_began(feature):
    series = real("BTCUSDT")
    long = batch.compute([feature], series.part(0, 12_000))[feature.name]
    usual_size = np.nanmean(np.abs(long))
    for start in range(4_000, 9_000, 1_000):
        short = batch.compute([feature], series.part(start, start + feature.warmup + 200))[feature.name]
        usable = slice(feature.warmup - 1, feature.warmup + 199)
        assert np.abs(short[usable] - long[start:][usable]).max() < 1e-9 * usual_size


# What they say


def test_a_scaled_return_is_in_standard_deviations_of_its_own_steps():
    step = np.diff(SERIES.close) / SERIES.close[:-1]
    expected = (SERIES.close[-1] / SERIES.close[-5] - 1) / (step[-48:].std() * 2)
    assert batch.compute((scaled_return("r", 4, 48),), SERIES)["r"][-1] == pytest.approx(expected, rel=1e-6)
    assert batch.compute((volatility("v", 48),), SERIES)["v"][-1] == pytest.approx(step[-48:].std(), rel=1e-6)
    still = from_closes([100.0] * 80)
    assert batch.compute((scaled_return("r", 4, 48),), still)["r"][-1] == 0.0


def test_the_small_changes_of_a_quiet_minute_are_no_zero():
    closes = 30_000 * np.exp(np.cumsum(np.random.default_rng(2).normal(0, 2e-6, 200)))
    series = from_closes(closes.tolist())
    step = np.diff(series.close) / series.close[:-1]
    assert batch.compute((volatility("v", 48),), series)["v"][-1] == pytest.approx(step[-48:].std(), rel=1e-3)


def test_volume_is_told_against_its_own_history():
    series = replace(SERIES, volume=np.where(np.arange(900) == 899, 50.0, 10.0 + np.arange(900) % 2))
    window = series.volume[-20:]
    values = batch.compute((relative_volume("r", 20), volume_score("s", 20), rolling_vwap("w", 20)), series)
    assert values["r"][-1] == pytest.approx(50 / window.mean())
    assert values["s"][-1] == pytest.approx((50 - window.mean()) / window.std())
    typical = (series.high + series.low + series.close)[-20:] / 3
    assert values["w"][-1] == pytest.approx((typical * window).sum() / window.sum())
    nothing = replace(SERIES, volume=np.zeros(900))
    assert batch.compute((relative_volume("r", 20),), nothing)["r"][-1] == 0.0


def test_distances_are_in_atr():
    values = batch.compute((distance_in_atr("d", ema("slow", 48)), ema("slow", 48), catalogue.atr("atr", 14)), SERIES)
    expected = (SERIES.close[-1] - values["slow"][-1]) / values["atr"][-1]
    assert values["d"][-1] == pytest.approx(expected)


def test_positions_are_between_the_ends_of_bands_and_channels():
    values = batch.compute((bollinger_position("b", 20), bollinger_width("w", 20), channel_position("c", 20)), SERIES)
    close, mean, spread = SERIES.close[-20:], SERIES.close[-20:].mean(), SERIES.close[-20:].std()
    assert values["b"][-1] == pytest.approx((close[-1] - mean + 2 * spread) / (4 * spread))
    assert values["w"][-1] == pytest.approx(4 * spread / mean)
    low, high = SERIES.low[-20:].min(), SERIES.high[-20:].max()
    assert values["c"][-1] == pytest.approx((close[-1] - low) / (high - low))


def test_times_are_those_of_the_opening_in_utc():
    series = synthetic(24 * 14, timeframe=Timeframe.H1, start_ms=START_MS)
    wanted = (
        hour_sine("sine"),
        hour_cosine("cosine"),
        weekday_sine("day"),
        weekend("weekend"),
        minutes_since_open("since", 13 * 60 + 30),
        in_session("us", 13 * 60 + 30, 20 * 60),
        in_session("asia", 22 * 60, 6 * 60),
    )
    values = batch.compute(wanted, series)
    for index, ts_ms in enumerate(series.ts_ms):
        at = datetime.fromtimestamp(ts_ms / 1000, UTC)
        minute = at.hour * 60 + at.minute
        assert values["sine"][index] == pytest.approx(np.sin(2 * np.pi * minute / 1440), abs=1e-12)
        assert values["cosine"][index] == pytest.approx(np.cos(2 * np.pi * minute / 1440), abs=1e-12)
        assert values["day"][index] == pytest.approx(np.sin(2 * np.pi * at.weekday() / 7), abs=1e-12)
        assert values["weekend"][index] == (at.weekday() >= 5)
        assert values["since"][index] == (minute - 810) % 1440
        assert values["us"][index] == (810 <= minute < 1200)
        assert values["asia"][index] == (minute >= 1320 or minute < 360)


def test_the_kinds_are_apart():
    kinds = [function.kind for function in FUNCTIONS.values()]
    assert len(set(kinds)) == len(kinds)
    assert {function.form for function in FUNCTIONS.values()} == set(Form)
