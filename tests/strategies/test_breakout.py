"""The shipped breakout, and how it trails its stop."""

from decimal import Decimal
from typing import Any

import pytest
import talib

from livebot.core.entry import NO_EXIT_PLAN
from livebot.core.market import Side
from livebot.core.position import Position
from livebot.core.signal import Open, Signal
from livebot.strategies.breakout import Breakout, BreakoutParams
from tests.features.candles import synthetic
from tests.strategies.driving import decide_over_arrays, view_over_arrays


def open_signal(side, stop_loss):
    """An open signal of which only side and stop matter here."""
    price = Decimal(30_000)
    signal = Signal(
        number=1,
        side=side,
        quantity=Decimal(1),
        reference_price=price,
        limit_price=None,
        stop_loss=Decimal(stop_loss),
        take_profit=price,
        lifetime_ms=60_000,
        created_ms=0,
        schedule_expires_ms=None,
        exits=NO_EXIT_PLAN,
    )
    return Open(
        signal=signal,
        position=Position(side),
        opened_ms=0,
        stop_loss=signal.stop_loss,
        take_profit=price,
    )


def test_it_trades_a_close_outside_the_range_of_the_candles_before():
    series = synthetic(2_000)
    strategy = Breakout(BreakoutParams(channel=20))
    decided = decide_over_arrays(strategy, series)
    average_range = talib.ATR(series.high, series.low, series.close, 14)
    expected: dict[int, Any] = {}
    for index in range(strategy.warmup - 1, len(series)):
        close, before = series.close[index], slice(index - 20, index)
        sign = 1 if close > series.high[before].max() else -1 if close < series.low[before].min() else 0
        if sign:
            expected[int(series.ts_ms[index]) + strategy.timeframe.ms] = (
                sign,
                pytest.approx(close - sign * 2 * average_range[index]),
                pytest.approx(close + sign * 4 * average_range[index]),
            )
    assert {
        close_ms: (entry.side.sign, entry.stop_loss, entry.take_profit) for close_ms, entry in decided.items()
    } == expected
    assert {sign for sign, _, _ in expected.values()} == {1, -1}


def test_without_leave_to_short_it_buys_only():
    decided = decide_over_arrays(Breakout(BreakoutParams(allow_short=False)), synthetic(2_000))
    assert {entry.side for entry in decided.values()} == {Side.LONG}


@pytest.mark.parametrize("side", [Side.LONG, Side.SHORT])
def test_the_stop_follows_at_a_distance_and_never_loosens(side):
    series = synthetic(600)
    strategy = Breakout(BreakoutParams(trail_atr=3.0))
    view = view_over_arrays(strategy, series)
    wanted = view.close - side.sign * 3.0 * view.feature("range")
    adjusted = strategy.manage(view, open_signal(side, wanted - side.sign * 1.0))
    assert adjusted is not None
    assert adjusted.stop_loss == wanted
    assert adjusted.take_profit is None
    assert not adjusted.close
    assert strategy.manage(view, open_signal(side, wanted + side.sign * 1.0)) is None


def test_without_a_trailing_distance_the_stop_stays_put():
    resting = Breakout(BreakoutParams(trail_atr=None))
    assert Breakout(BreakoutParams()).manages
    assert not resting.manages
    assert resting.manage(view_over_arrays(resting, synthetic(600)), open_signal(Side.LONG, 1)) is None


@pytest.mark.parametrize("wrong", [{"channel": 1}, {"stop_atr": 0.0}, {"trail_atr": -1.0}, {"expiry_minutes": 1.5}])
def test_parameters_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BreakoutParams(**wrong)
