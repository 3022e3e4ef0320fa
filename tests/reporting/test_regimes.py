"""Volatility regimes: terciles of what was known when a trade began."""

from collections import Counter

import numpy as np
import pytest

from livebot.core.market import DAY_MS
from livebot.core.series import CandleSeries
from livebot.reporting.regimes import Regime, candle_ms, regimes_of, trailing_volatility
from tests.reporting.records import HOUR_MS, START_MS, candles_of, trade

SERIES = candles_of(11, 24 * 90)


def at(hour, symbol="BTC/USDT"):
    return trade(START_MS + hour * HOUR_MS, START_MS + (hour + 1) * HOUR_MS, symbol=symbol)


def regimes(trades, series=SERIES):
    return regimes_of(trades, {"BTC/USDT": series}, START_MS, START_MS + 90 * DAY_MS)


def test_the_volatility_is_numpys_of_each_window():
    found = trailing_volatility(SERIES.close, 24)
    returns = np.diff(np.log(SERIES.close))
    assert np.isnan(found[:24]).all()
    for place in (24, 100, len(SERIES) - 1):
        assert found[place] == pytest.approx(returns[place - 24 : place].std(), rel=1e-9)


def test_a_price_of_nothing_spoils_only_the_windows_that_hold_it():
    close = SERIES.close.copy()
    close[500] = 0.0
    found = trailing_volatility(close, 24)
    assert np.flatnonzero(np.isnan(found)).tolist() == [*range(24), *range(500, 525)]


def test_each_tercile_holds_a_third_of_the_moments():
    counts = Counter(regimes([at(hour) for hour in range(25, len(SERIES))]))
    assert counts.keys() == {Regime.LOW, Regime.MEDIUM, Regime.HIGH}
    assert max(counts.values()) - min(counts.values()) <= 2


def test_candles_after_the_entry_change_nothing_about_it_but_where_the_terciles_lie():
    """What had closed by then decides: the candle in which it opens does not count."""
    hours = [30, 400, 901, 1500]
    before = regimes([at(hour) for hour in hours])
    for hour, regime in zip(hours, before, strict=True):
        place = hour
        wild = SERIES.close.copy()
        wild[place:] = wild[place:][::-1]  # the same moves the other way round: nearly the same terciles
        changed = CandleSeries(ts_ms=SERIES.ts_ms, open=wild, high=wild, low=wild, close=wild, volume=SERIES.volume)
        assert regimes([at(hour)], changed) == [regime]


def test_the_terciles_are_of_the_run_whatever_was_before():
    """The wild month before it makes nothing in it calm."""
    random = np.random.default_rng(5)
    close = 100 * np.exp(np.cumsum(random.normal(0, np.repeat([0.05, 0.002], [720, 720]))))
    times = START_MS + HOUR_MS * np.arange(-720, 720, dtype=np.int64)
    series = CandleSeries(ts_ms=times, open=close, high=close, low=close, close=close, volume=close)
    found = Counter(regimes([at(hour) for hour in range(25, 720)], series))
    assert min(found[regime] for regime in (Regime.LOW, Regime.MEDIUM, Regime.HIGH)) > 200


def test_calm_is_low_and_wild_is_high():
    random = np.random.default_rng(5)
    scale = np.repeat([0.001, 0.005, 0.02], 24 * 10)
    close = 100 * np.exp(np.cumsum(random.normal(0, scale)))
    series = CandleSeries(
        ts_ms=START_MS + HOUR_MS * np.arange(720, dtype=np.int64),
        open=close,
        high=close,
        low=close,
        close=close,
        volume=close,
    )
    assert regimes([at(5 * 24), at(15 * 24), at(25 * 24)], series) == [Regime.LOW, Regime.MEDIUM, Regime.HIGH]


@pytest.mark.parametrize(
    "series",
    [SERIES.part(0, 0), SERIES.part(0, 1), SERIES.part(0, 24), SERIES.part(0, 80)],
    ids=["none", "one", "no window", "too few moments"],
)
def test_too_few_candles_tell_nothing(series):
    assert regimes([at(70)], series) == [Regime.UNKNOWN]


def test_what_began_before_the_candles_or_has_none_is_unknown():
    assert regimes([at(-5), at(10), at(100, "ETH/USDT")]) == [Regime.UNKNOWN] * 3


def test_a_candle_is_as_long_as_the_shortest_way_to_the_next():
    with_gap = CandleSeries(**{name: np.delete(getattr(SERIES, name), 5) for name in CandleSeries.__slots__})
    assert candle_ms(with_gap) == candle_ms(SERIES) == HOUR_MS
