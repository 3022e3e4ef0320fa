"""The live engine gives the bits of the batch engine, and neither looks ahead."""

from dataclasses import replace

import numpy as np
import pytest

from livebot.core.market import Timeframe
from livebot.errors import BadInput
from livebot.features import batch
from livebot.features.declaration import (
    FEATURE_DEPTH,
    adx,
    atr,
    bollinger,
    change,
    difference,
    ema,
    highest,
    lowest,
    macd,
    ratio,
    rsi,
    sma,
    standard_deviation,
    z_score,
)
from livebot.features.live import LiveFeatures
from livebot.features.plan import make_plan
from livebot.features.ta_lib import stream
from livebot.features.timeframes import aggregate
from tests.features.candles import candles, from_closes, minute, real, synthetic

MANY = (
    *(ema(f"ema_{period}", period) for period in (5, 8, 12, 20, 26, 48, 100)),
    *(sma(f"sma_{period}", period) for period in (10, 20, 50)),
    rsi("rsi_7", 7),
    rsi("rsi_14", 14),
    atr("range", 14),
    adx("trend", 14),
    standard_deviation("deviation", 20),
    highest("upper", 20),
    lowest("lower", 20),
    change("change", 5),
    macd("macd"),
    macd("macd_signal", "macdsignal"),
    bollinger("upper_band", "upperband", 20),
    bollinger("lower_band", "lowerband", 20),
    z_score("z_score", 48),
    ratio("range_of_price", atr("range", 14), "close"),
    ema("smooth_change", 10, change("change", 1 + 1)),
)


def values_candle_by_candle(features, series, opened_on):
    """What the live engine shows after each candle, one row per candle from the end of the history on."""
    live = LiveFeatures(features, series.part(0, opened_on))
    columns = live.columns
    rows = []
    for candle in candles(series.part(opened_on, len(series))):
        live.update(candle)
        rows.append([column[live.end - 1] for column in columns.values()])
    return dict(zip(columns, np.array(rows).T, strict=True)), live


def assert_same_bits(features, series, opened_on):
    whole = batch.compute(features, series)
    shown, live = values_candle_by_candle(features, series, opened_on)
    assert list(shown) == list(whole) == [feature.name for feature in features]
    for name, values in whole.items():
        assert np.array_equal(shown[name], values[opened_on:], equal_nan=True), name
        held = live.columns[name][: live.end]
        assert np.array_equal(held[-FEATURE_DEPTH:], values[-FEATURE_DEPTH:], equal_nan=True), name
    assert live.seen == len(series)


@pytest.mark.parametrize("opened_on", [0, 1, 47, 150, 700])
def test_live_and_batch_give_the_same_bits_however_young_the_market_is(opened_on):
    assert_same_bits(MANY, synthetic(1_200, seed=opened_on), opened_on)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "DOGEUSDT"])
def test_live_and_batch_give_the_same_bits_on_real_candles(symbol):
    five_minutes = aggregate(real(symbol).part(0, 40_000), Timeframe.M5)
    assert_same_bits(MANY, five_minutes, 3_000)


def test_opened_on_history_the_last_values_are_there_at_once():
    series = synthetic(800)
    whole = batch.compute(MANY, series)
    live = LiveFeatures(MANY, series)
    assert live.end == FEATURE_DEPTH
    for name, column in live.columns.items():
        assert np.array_equal(column[: live.end], whole[name][-FEATURE_DEPTH:])


def test_features_do_not_change_when_the_future_is_cut_off_or_spoiled():
    series = synthetic(900)
    whole = batch.compute(MANY, series)
    spoiled = {
        name: np.concatenate([getattr(series, name)[:600], 3 * getattr(series, name)[600:]])
        for name in ("open", "high", "low", "close", "volume")
    }
    for present in (batch.compute(MANY, series.part(0, 600)), batch.compute(MANY, replace(series, **spoiled))):
        assert all(np.array_equal(present[name][:600], whole[name][:600], equal_nan=True) for name in whole)


def test_where_nothing_moves_a_z_score_is_nought():
    flat = from_closes([30_123.45] * 300)
    assert batch.compute([z_score("z", 48)], flat)["z"][-1] == 0.0
    shown, _ = values_candle_by_candle([z_score("z", 48)], flat, 100)
    assert (shown["z"] == 0.0).all()


def test_a_z_score_is_the_distance_from_the_mean_in_standard_deviations():
    series = synthetic(300)
    window = series.close[-48:]
    expected = (window[-1] - window.mean()) / window.std()
    assert batch.compute([z_score("z", 48)], series)["z"][-1] == pytest.approx(expected, rel=1e-9)


def test_what_features_share_is_computed_once():
    shared = make_plan((macd("line"), macd("signal", "macdsignal"), sma("mean", 48), z_score("z", 48)))
    assert [stage.function for stage in shared.stages] == ["MACD", "SMA", "difference", "STDDEV", "ratio"]


def test_no_features_are_no_special_case():
    live = LiveFeatures((), synthetic(10))
    live.update(minute(10))
    assert live.ready
    assert live.columns == {}
    assert batch.compute((), synthetic(10)) == {}


def test_it_is_ready_once_all_values_that_may_be_asked_for_have_settled():
    features = (sma("mean", 30),)
    series = synthetic(100)
    live = LiveFeatures(features, series.part(0, 91))
    assert live.warmup == 30 + FEATURE_DEPTH - 1
    assert not live.ready
    for candle in candles(series.part(91, 93)):
        live.update(candle)
    assert live.ready


def test_values_cannot_be_changed_from_outside():
    live = LiveFeatures((sma("mean", 30),), synthetic(100))
    with pytest.raises(ValueError, match="read-only"):
        live.columns["mean"][0] = 1.0


def test_the_same_name_twice_is_refused_by_both_engines():
    twice = (ema("fast", 12), sma("fast", 12), difference("fast", "high", "low"))
    with pytest.raises(ValueError, match="more than one feature is called 'fast'"):
        batch.compute(twice, synthetic(10))
    with pytest.raises(ValueError, match="more than one feature is called 'fast'"):
        LiveFeatures(twice, synthetic(10))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(wrong):
    series = synthetic(100)
    with pytest.raises(BadInput, match="not finite"):
        LiveFeatures((sma("mean", 30),), replace(series, volume=np.full(100, wrong)))
    live = LiveFeatures((sma("mean", 30),), series)
    with pytest.raises(BadInput, match="cannot be computed"):
        live.update(minute(100, close=wrong))


@pytest.mark.benchmark(group="features")
@pytest.mark.parametrize("count", [3, 25])
def test_the_cost_of_one_candle(benchmark, count):
    series = synthetic(4_000)
    live = LiveFeatures(MANY[:count], series)
    candle = next(candles(series.part(3_999, 4_000)))
    benchmark(live.update, candle)


class _Moody:
    """As TA-Lib's handles: of too little history it says now this and now that."""

    @staticmethod
    def open_and_fill(*_sources, **_parameters):
        raise Exception("TA_EMA_OpenAndFill function failed with error code 2: Bad Parameter (TA_BAD_PARAM)")  # noqa: TRY002


def test_what_ta_lib_says_of_too_short_a_history_is_not_taken_at_its_word(monkeypatch):
    monkeypatch.setattr(stream, "EMA", _Moody)
    live = LiveFeatures((ema("average", 5),), synthetic(4))
    assert np.isnan(live.columns["average"][: live.end]).all()
    with pytest.raises(Exception, match="Bad Parameter"):  # of a history that is long enough it is
        LiveFeatures((ema("average", 5),), synthetic(5))
