"""Management by rule: what one closed candle calls for."""

from decimal import Decimal

import pytest

from livebot.core.entry import Averaging, BreakEven, ExitPlan, PartialLevel, Trailing
from livebot.core.exits import MovedStop, PartialDue, averaging_due, best_price, gain, moved_stop, partial_due
from livebot.core.market import Candle, OrderSide, Side
from livebot.core.position import Position
from livebot.core.signal import Open
from tests.core.examples import INSTRUMENT, SIGNAL, fill

D = Decimal


def an_open(exits, *, side=Side.LONG, quantity=1, price=100, stop_loss=None, **values):
    """An open signal, 5 % to the stop unless said."""
    signal = SIGNAL.__class__(
        **{name: getattr(SIGNAL, name) for name in SIGNAL.__slots__} | {"side": side, "exits": exits}
    )
    return Open(
        signal=signal,
        position=Position(side).with_entry(fill(D(quantity), price)),
        opened_ms=0,
        stop_loss=D(100 - 5 * side.sign) if stop_loss is None else D(stop_loss),
        take_profit=D(100 + 10 * side.sign),
        **values,
    )


def candle(high, low=None, close=None):
    """Flat at `high` unless said."""
    low = high if low is None else low
    return Candle(0, low, high, low, high if close is None else close, 1.0)


def test_the_best_price_is_the_one_that_gains_most():
    """A candle's high for a long, its low for a short."""
    assert (D("101.5"), D("98.5")) == (
        best_price(Side.LONG, candle(101.5, 98.5)),
        best_price(Side.SHORT, candle(101.5, 98.5)),
    )


@pytest.mark.parametrize(("side", "price"), [(Side.LONG, 103), (Side.SHORT, 97)])
def test_gain_is_a_ratio_of_the_entry_price(side, price):
    """Positive in the signal's favour."""
    assert D("0.03") == gain(side, D(100), D(price))


def test_without_a_plan_no_stop_moves():
    """Whatever the price does."""
    assert moved_stop(an_open(ExitPlan()), candle(200.0), INSTRUMENT) is None


@pytest.mark.parametrize(
    ("plan", "high", "expected"),
    [
        (ExitPlan(trailing=Trailing(distance=D("0.02"))), 100.0, MovedStop(D("98.00"), "trailing")),
        (ExitPlan(trailing=Trailing(distance=D("0.02"))), 96.9, None),  # 94.96 would loosen
        (ExitPlan(trailing=Trailing(distance=D("0.02"), after=D("0.05"))), 104.99, None),
        (ExitPlan(trailing=Trailing(distance=D("0.02"), after=D("0.05"))), 105.0, MovedStop(D("102.90"), "trailing")),
        (ExitPlan(break_even=BreakEven(after=D("0.01"))), 100.99, None),
        (ExitPlan(break_even=BreakEven(after=D("0.01"))), 101.0, MovedStop(D(100), "break_even")),
        (
            ExitPlan(trailing=Trailing(distance=D("0.02")), break_even=BreakEven(after=D("0.01"))),
            101.0,
            MovedStop(D(100), "break_even"),
        ),
        (
            ExitPlan(trailing=Trailing(distance=D("0.02")), break_even=BreakEven(after=D("0.01"))),
            103.0,
            MovedStop(D("100.94"), "trailing"),
        ),
    ],
)
def test_the_tightest_rule_moves_the_stop(plan, high, expected):
    """Or none, if all of them would leave it or loosen it."""
    assert expected == moved_stop(an_open(plan), candle(high), INSTRUMENT)


@pytest.mark.parametrize(("side", "best", "level"), [(Side.LONG, 103.333, "101.26"), (Side.SHORT, 96.667, "98.61")])
def test_a_moved_stop_is_rounded_away_from_the_price(side, best, level):
    """Down for a long, up for a short."""
    plan = ExitPlan(trailing=Trailing(distance=D("0.02")))
    moved = moved_stop(an_open(plan, side=side), candle(best), INSTRUMENT)
    assert MovedStop(D(level), "trailing") == moved


LEVELS = ExitPlan(
    partial_levels=(
        PartialLevel(gain=D("0.02"), fraction=D("0.25")),
        PartialLevel(gain=D("0.04"), fraction=D("0.5")),
    )
)


@pytest.mark.parametrize(
    ("quantity", "done", "high", "expected"),
    [
        (1, 0, 101.99, None),
        (1, 0, 102.0, PartialDue(1, D("0.25"))),
        (1, 0, 104.0, PartialDue(2, D("0.75"))),
        (1, 1, 103.0, None),
        (1, 1, 104.0, PartialDue(2, D("0.5"))),
        (1, 2, 104.0, None),
        ("0.003", 0, 102.0, PartialDue(1, D(0))),  # a quarter is less than a lot
        ("0.001", 0, 104.0, PartialDue(2, D(0))),
    ],
)
def test_partial_levels(quantity, done, high, expected):
    """Each touched level once, of the entered quantity, on the lot step; too little is passed over."""
    present = an_open(LEVELS, quantity=quantity, partials_done=done)
    assert expected == partial_due(present, candle(high), INSTRUMENT)


def test_a_level_that_would_leave_less_than_can_be_traded_is_passed_over():
    """The target closes it all."""
    present = an_open(LEVELS, quantity="0.004")
    less = present.position.with_exit(fill(D("0.003"), 101, trade_id="x", side=OrderSide.SELL))
    present = Open(
        signal=present.signal, position=less, opened_ms=0, stop_loss=present.stop_loss, take_profit=present.take_profit
    )
    assert PartialDue(1, D(0)) == partial_due(present, candle(102.0), INSTRUMENT)


AVERAGING = ExitPlan(averaging=Averaging(step=D("0.02"), fraction=D("0.5"), times=2))


@pytest.mark.parametrize(
    ("close", "averaged", "expected"),
    [
        (98.0, 0, D("0.5")),
        (98.0, 1, D("0.5")),
        (98.0, 2, None),
        (98.01, 0, None),
        (102.0, 0, None),
        (95.01, 0, D("0.5")),
        (95.0, 0, None),
        (90.0, 0, None),
    ],
)
def test_averaging_only_at_a_better_price_and_never_beyond_the_stop(close, averaged, expected):
    """As often as the plan says."""
    assert expected == averaging_due(an_open(AVERAGING, averaged=averaged), candle(close), INSTRUMENT)


def test_averaging_of_a_short_waits_for_higher_prices():
    """Better is dearer for a seller."""
    assert D("0.5") == averaging_due(an_open(AVERAGING, side=Side.SHORT), candle(102.0), INSTRUMENT)
    assert averaging_due(an_open(AVERAGING, side=Side.SHORT), candle(98.0), INSTRUMENT) is None


@pytest.mark.parametrize("fraction", ["0.0001", "0.04"])
def test_averaging_too_small_to_trade_is_not_done(fraction):
    """Less than a lot, or worth less than the venue takes."""
    plan = ExitPlan(averaging=Averaging(step=D("0.02"), fraction=D(fraction), times=1))
    assert averaging_due(an_open(plan), candle(98.0), INSTRUMENT) is None


def test_without_a_plan_there_is_no_averaging():
    """The default."""
    assert averaging_due(an_open(ExitPlan()), candle(96.0), INSTRUMENT) is None
