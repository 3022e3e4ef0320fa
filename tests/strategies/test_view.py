"""What a strategy can see, and what it cannot."""

import numpy as np
import pytest

from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import BadInput
from livebot.features import batch
from livebot.features.declaration import FEATURE_DEPTH, ema, sma
from livebot.features.live import LiveFeatures
from livebot.features.window import CandleWindow
from livebot.strategies.interface import View
from tests.features.candles import START_MS, candles, synthetic

FEATURES = (ema("fast", 12), sma("slow", 48))
HISTORY = 30


def over_arrays(series, others=None):
    features = batch.compute(FEATURES, series)
    return View("BTC/USDT", Timeframe.M1, series, features, history=HISTORY, others=others or {})


def test_it_shows_the_present_candle_and_those_before():
    series = synthetic(200)
    view = over_arrays(series)
    view.move(150, 150)
    assert view.close == series.close[149]
    assert type(view.close) is float
    assert view.close_ms == START_MS + 150 * MINUTE_MS
    assert type(view.close_ms) is int
    for shown, column in (
        (view.opens, series.open),
        (view.highs, series.high),
        (view.lows, series.low),
        (view.closes, series.close),
        (view.volumes, series.volume),
    ):
        assert np.array_equal(shown(7), column[143:150])


def test_a_feature_is_a_plain_number():
    series = synthetic(200)
    view = over_arrays(series)
    view.move(150, 150)
    values = batch.compute(FEATURES, series)["fast"]
    assert [view.feature("fast", back) for back in (0, 1, 63)] == [values[149], values[148], values[86]]
    assert type(view.feature("fast")) is float


def test_the_daemons_view_and_one_over_arrays_show_the_same_after_each_candle():
    series = synthetic(500)
    whole = over_arrays(series)
    window, live = CandleWindow(HISTORY), LiveFeatures(FEATURES, series.part(0, 0))
    view = View("BTC/USDT", Timeframe.M1, window.buffer, live.columns, history=HISTORY)
    for end, candle in enumerate(candles(series), start=1):
        window.append(candle)
        live.update(candle)
        view.move(window.end, live.end)
        whole.move(end, end)
        assert (view.close_ms, view.close) == (whole.close_ms, whole.close)
        seen = min(end, HISTORY)
        assert np.array_equal(view.closes(seen), whole.closes(seen))
        for back in (0, 1, FEATURE_DEPTH - 1):
            for name in ("fast", "slow"):
                assert numbers(view, name, back) == numbers(whole, name, back)


def numbers(view, name, back):
    """As text, so that not-a-number equals itself; or that it cannot be seen."""
    try:
        return repr(view.feature(name, back))
    except LookupError:
        return "unseen"


@pytest.mark.parametrize("back", [-1, FEATURE_DEPTH, 1_000])
def test_no_feature_is_seen_from_the_future_or_too_far_back(back):
    view = over_arrays(synthetic(200))
    view.move(150, 150)
    with pytest.raises(LookupError, match="cannot be seen"):
        view.feature("fast", back)


def test_no_feature_is_seen_from_before_the_first_candle():
    view = over_arrays(synthetic(200))
    with pytest.raises(LookupError, match="cannot be seen"):
        view.feature("fast")
    view.move(5, 5)
    view.feature("fast", 4)
    with pytest.raises(LookupError, match="cannot be seen"):
        view.feature("fast", 5)


def test_a_feature_that_was_not_declared_is_refused_by_name():
    view = over_arrays(synthetic(200))
    view.move(150, 150)
    with pytest.raises(LookupError, match="'medium' is not declared; declared are fast, slow"):
        view.feature("medium")


@pytest.mark.parametrize("count", [0, -3, HISTORY + 1])
def test_no_more_candles_are_seen_than_were_asked_for(count):
    view = over_arrays(synthetic(200))
    view.move(150, 150)
    with pytest.raises(LookupError, match="1 to 30 can"):
        view.closes(count)


def test_no_candles_are_seen_from_before_the_first():
    view = over_arrays(synthetic(200))
    assert view.close_ms == 0
    with pytest.raises(LookupError, match="no closed candle yet"):
        assert view.close
    view.move(5, 5)
    with pytest.raises(LookupError, match="1 to 5 can"):
        view.highs(6)


def test_arrays_of_the_daemons_view_cannot_be_changed():
    window = CandleWindow(HISTORY)
    window.replace(synthetic(50))
    view = View("BTC/USDT", Timeframe.M1, window.buffer, {}, history=HISTORY)
    view.move(window.end, 0)
    with pytest.raises(ValueError, match="read-only"):
        view.closes(5)[0] = 1.0


def test_another_symbol_is_seen_at_the_same_close_only():
    other = View("ETH/USDT", Timeframe.M1, synthetic(200, seed=1), {}, history=HISTORY)
    view = over_arrays(synthetic(200), {"ETH/USDT": other})
    view.move(150, 150)
    for late in (149, 151):
        other.move(late, 0)
        assert not view.complete
        with pytest.raises(BadInput, match="wait for both"):
            view.other("ETH/USDT")
    other.move(150, 0)
    assert view.complete
    assert view.other("ETH/USDT").close == synthetic(200, seed=1).close[149]


def test_another_symbol_that_was_not_declared_is_refused_by_name():
    view = over_arrays(synthetic(200))
    assert view.complete
    with pytest.raises(LookupError, match="XRP/USDT is not among the declared other symbols: none"):
        view.other("XRP/USDT")


def test_features_made_of_other_symbols_stand_at_places_of_their_own():
    context = {"market": np.arange(100.0)}
    view = View("BTC/USDT", Timeframe.M1, synthetic(200), {}, history=HISTORY, context=context)
    view.move(150, 150, 80)
    assert view.feature("market") == 79.0
    assert view.feature("market", 63) == 16.0
    with pytest.raises(LookupError, match="cannot be seen 64 candles back"):
        view.feature("market", 64)
    view.move(151, 151)
    with pytest.raises(LookupError, match="cannot be seen 0 candles back"):
        view.feature("market")
    with pytest.raises(LookupError, match="'fast' is not declared; declared are market"):
        view.feature("fast")


@pytest.mark.benchmark(group="view")
def test_the_cost_of_asking_for_a_feature(benchmark):
    view = over_arrays(synthetic(200))
    view.move(150, 150)
    benchmark(view.feature, "fast", 1)
