"""The shipped EMA cross, held against an independent computation."""

import numpy as np
import pytest
import talib

from livebot.core.market import Side, Timeframe
from livebot.features.timeframes import aggregate
from livebot.strategies.ema_cross import EmaCross, EmaCrossParams
from tests.features.candles import real, synthetic
from tests.strategies.driving import decide_over_arrays, view_over_arrays

SEED = 7


def crosses(series, warmup):
    """Close times at which EMA 12 crosses EMA 48 with the RSI on the right side: (longs, shorts)."""
    fast, slow = talib.EMA(series.close, 12), talib.EMA(series.close, 48)
    strength = talib.RSI(series.close, 14)
    over, under = fast > slow, fast < slow
    was_over, was_under = np.roll(over, 1), np.roll(under, 1)
    warm = np.arange(len(series)) >= warmup - 1
    closes = series.ts_ms + Timeframe.M5.ms
    longs = closes[over & ~was_over & (strength < 70) & warm]
    shorts = closes[under & ~was_under & (strength > 30) & warm]
    return set(longs.tolist()), set(shorts.tolist())


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])
def test_decisions_on_real_candles_are_those_of_an_independent_computation(symbol):
    series = aggregate(real(symbol), Timeframe.M5)
    longs_only, both = EmaCross(EmaCrossParams()), EmaCross(EmaCrossParams(allow_short=True))
    longs, shorts = crosses(series, both.warmup)
    decided = decide_over_arrays(both, series)
    assert {close for close, entry in decided.items() if entry.side is Side.LONG} == longs
    assert {close for close, entry in decided.items() if entry.side is Side.SHORT} == shorts
    assert set(decide_over_arrays(longs_only, series)) == longs
    assert len(longs) > 50
    assert len(shorts) > 50


def test_target_stop_and_expiry_are_set_off_from_the_close():
    series = synthetic(3_000, SEED, Timeframe.M5)
    strategy = EmaCross(EmaCrossParams(allow_short=True))
    closes = dict(zip((series.ts_ms + Timeframe.M5.ms).tolist(), series.close.tolist(), strict=True))
    decided = decide_over_arrays(strategy, series)
    assert {entry.side for entry in decided.values()} == {Side.LONG, Side.SHORT}
    for close_ms, entry in decided.items():
        close, sign = closes[close_ms], entry.side.sign
        assert entry.take_profit == pytest.approx(close * (1 + sign * 0.02))
        assert entry.stop_loss == pytest.approx(close * (1 - sign * 0.01))
        assert entry.lifetime_ms == 240 * 60_000
        assert entry.limit_price is None
        assert "EMA 12 crossed EMA 48, RSI" in entry.reason


def test_it_decides_on_five_minutes_unless_told_otherwise():
    assert EmaCross(EmaCrossParams()).timeframe is Timeframe.M5
    assert EmaCross(EmaCrossParams(timeframe=Timeframe.H1)).timeframe is Timeframe.H1


def test_a_market_that_has_run_is_left_alone():
    series = synthetic(3_000, SEED, Timeframe.M5)
    strict = EmaCross(EmaCrossParams(rsi_long_below=1.0))
    assert decide_over_arrays(strict, series) == {}


def test_before_its_averages_are_there_it_wants_nothing():
    strategy = EmaCross(EmaCrossParams(allow_short=True))
    assert strategy.decide(view_over_arrays(strategy, synthetic(20))) is None


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"fast": 48, "slow": 12}, "fast 48 must be below slow 12"),
        ({"fast": 1}, "fast 1 must be a whole number of candles"),
        ({"slow": 12.5}, "slow 12.5 must be a whole number of candles"),
        ({"rsi_period": 0}, "rsi_period 0"),
        ({"rsi_long_below": 100.0}, "rsi_long_below 100.0 must be above 0 and below 100"),
        ({"take_profit": 2.0}, "take_profit 2.0 must be above 0 and below 1"),
        ({"stop_loss": float("nan")}, "stop_loss nan"),
        ({"expiry_minutes": 0}, "expiry_minutes 0 must be a whole number of minutes"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        EmaCrossParams(**wrong)
