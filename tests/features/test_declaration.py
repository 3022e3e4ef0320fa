"""What may be declared as a feature, and when its value may be used."""

import re
from typing import Any

import numpy as np
import pytest

from livebot.features import batch, catalogue
from livebot.features.catalogue import (
    in_session,
    leader_return,
    market_return,
    minutes_since_open,
    scaled,
    scaled_return,
)
from livebot.features.declaration import (
    FEATURE_DEPTH,
    FUNCTIONS,
    Feature,
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
    warmup_of,
    z_score,
)
from livebot.features.functions import OPEN_TIME, Form
from tests.features.candles import real, synthetic

WINDOW = [
    sma("sma", 48),
    standard_deviation("deviation", 48),
    highest("highest", 20),
    lowest("lowest", 20),
    change("change", 5),
    bollinger("upper", "upperband", 20),
]
RECURSIVE = [
    ema("ema_12", 12),
    ema("ema_200", 200),
    rsi("rsi", 14),
    atr("atr", 14),
    adx("adx", 14),
    macd("macd"),
    macd("macd_signal", "macdsignal"),
    macd("macd_histogram", "macdhist"),
    z_score("z_of_ema", 20, ema("ema", 20)),
]


def test_features_are_values():
    assert ema("fast", 12) == ema("fast", 12)
    assert len({ema("fast", 12), ema("fast", 12), ema("fast", 13), ema("other", 12)}) == 3


@pytest.mark.parametrize("feature", WINDOW, ids=lambda feature: feature.name)
def test_a_window_function_is_usable_as_soon_as_its_window_is_full(feature):
    values = batch.compute([feature], synthetic(500))[feature.name]
    assert np.flatnonzero(np.isfinite(values))[0] == feature.warmup - 1


@pytest.mark.parametrize("feature", RECURSIVE, ids=lambda feature: feature.name)
@pytest.mark.parametrize("symbol", ["BTCUSDT", "DOGEUSDT"])
def test_after_its_warm_up_a_recursive_function_no_longer_shows_where_the_history_began(feature, symbol):
    candles = real(symbol)
    long = batch.compute([feature], candles.part(0, 20_000))[feature.name]
    usual_size = np.nanmean(np.abs(long))
    for start in range(4_000, 15_000, 1_000):
        short = batch.compute([feature], candles.part(start, start + feature.warmup + 300))[feature.name]
        usable = slice(feature.warmup - 1, feature.warmup + 299)
        beside = long[start:][usable]
        assert np.abs(short[usable] - beside).max() < 1e-9 * usual_size


def test_a_feature_over_a_feature_settles_after_it():
    assert z_score("z", 20).warmup == 20
    assert z_score("z", 20, ema("ema", 20)).warmup == ema("ema", 20).warmup + 19
    assert ratio("r", sma("a", 10), sma("b", 30)).warmup == 30
    assert difference("d", "high", "low").warmup == 1


def test_the_warm_up_of_many_lets_the_oldest_value_that_may_be_asked_for_settle():
    assert warmup_of((ema("fast", 12), sma("slow", 300))) == 300 + FEATURE_DEPTH - 1
    assert warmup_of(()) == 1


@pytest.mark.parametrize("function", ["OBV", "AD", "CUMSUM", "VWAP", "obv", "NVI", "PVI", "PVT", "WAD"])
def test_functions_that_count_from_the_first_candle_are_refused(function):
    reason = "counts from the first candle, so it depends on where the history starts; use one over a window: "
    with pytest.raises(ValueError, match=reason) as refused:
        Feature(name="volume_flow", function=function, sources=("close", "volume"))
    instead = re.split(" or |, ", str(refused.value).rpartition(": ")[2])
    assert all(hasattr(catalogue, name) for name in instead)


@pytest.mark.parametrize("function", ["SAR", "SAREXT", "SUPERTREND", "KAMA"])
def test_functions_whose_memory_has_no_bound_are_refused(function):
    with pytest.raises(ValueError, match=f"{function} carries a state that no number of candles is sure to wash out"):
        Feature(name="trend", function=function, sources=("high", "low"))


def test_whoever_imports_a_refused_feature_is_told_why():
    for name in ("obv", "OBV", "vwap", "sar"):
        with pytest.raises(ImportError, match=r"depends? on where the history starts; use one"):
            getattr(catalogue, name)
    with pytest.raises(AttributeError, match="unheard_of"):
        catalogue.unheard_of  # noqa: B018


def test_a_misspelt_function_is_told_what_was_meant():
    with pytest.raises(ValueError, match=r"did you mean ADX\?"):
        Feature(name="trend", function="adxx", sources=("high", "low", "close"))
    with pytest.raises(ValueError, match=r"did you mean market_return\?"):
        Feature(name="trend", function="market_returns", sources=())


def test_what_is_made_of_other_symbols_is_no_source():
    for wrong in (sma, rsi):
        with pytest.raises(ValueError, match="'market' comes from other symbols, which may be missing at a close"):
            wrong("smooth", 5, market_return("market", 5))
    with pytest.raises(ValueError, match=r"candles; livebot\.features\.context computes it"):
        batch.compute((market_return("market", 5),), synthetic(10))


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: leader_return("lead", "close"), "its source is a symbol such as BTC/USDT:USDT, not 'close'"),
        (lambda: leader_return("lead", ""), "its source is a symbol such as BTC/USDT:USDT, not ''"),
        (lambda: leader_return("lead", "BTC/USDT", lag=64), "lag 64 must be a whole number of candles, 0 to 63"),
        (lambda: leader_return("lead", "BTC/USDT", lag=-1), "lag -1 must be"),
        (lambda: leader_return("lead", "BTC/USDT", 0), "timeperiod 0 must be a whole number of candles, at least 1"),
        (lambda: minutes_since_open("since", 1440), "open_minute 1440 must be a whole minute of the day, 0 to 1439"),
        (lambda: in_session("open", 60, 60), "a session that opens and closes at minute 60 has no length"),
        (lambda: scaled("half", "close", 0.0), "factor 0.0 must be a number above 0"),
        (lambda: scaled_return("r", -1, 20), "timeperiod -1 must be"),
        (
            lambda: Feature(name="hour", function="hour_sine", sources=("close",)),
            "its source is open_time, nothing else",
        ),
        (lambda: sma("mean", 5, "open_time"), "source 'open_time' is neither"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(make, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        make()


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({"name": "Fast EMA"}, "small letters"),
        ({"name": ""}, "small letters"),
        ({"function": "HT_TRENDMODE"}, "'HT_TRENDMODE' is not one of ADX, AROON"),
        ({"sources": ("close", "open")}, r"takes 1 source\(s\), not 2"),
        ({"sources": ("bid",)}, "source 'bid' is neither"),
        ({"parameters": ()}, "takes the parameters"),
        ({"parameters": (("length", 12),)}, "takes the parameters"),
        ({"parameters": (("timeperiod", 1),)}, "at least 2"),
        ({"parameters": (("timeperiod", 12.5),)}, "at least 2"),
        ({"parameters": (("timeperiod", True),)}, "at least 2"),
        ({"output": "signal"}, "no output 'signal', only real"),
    ],
)
def test_what_no_engine_could_compute_is_refused_with_the_reason(declared, problem):
    right: dict[str, Any] = {
        "name": "fast",
        "function": "EMA",
        "sources": ("close",),
        "parameters": (("timeperiod", 12),),
    }
    assert Feature(**right) == ema("fast", 12)
    with pytest.raises(ValueError, match=problem):
        Feature(**{**right, **declared})


@pytest.mark.parametrize("width", [0.0, -2.0, float("nan"), float("inf")])
def test_a_band_needs_a_width(width):
    with pytest.raises(ValueError, match="must be a number above 0"):
        bollinger("upper", "upperband", 20, width=width)


def test_every_known_function_can_be_computed_and_settles():
    columns = ("high", "low", "close", "volume")
    for name, function in FUNCTIONS.items():
        if function.form is Form.CONTEXT:
            continue
        feature = Feature(
            name="feature",
            function=name,
            sources=(OPEN_TIME,) if function.form is Form.CALENDAR else columns[: function.sources],
            parameters=tuple((parameter, 5 + place) for place, parameter in enumerate(function.parameters)),
            output=function.outputs[-1],
        )
        values = batch.compute([feature], synthetic(600))["feature"]
        assert np.isfinite(values[feature.warmup - 1 :]).all()
