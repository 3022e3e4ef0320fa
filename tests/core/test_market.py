"""Sides, timeframes and rounding to an instrument's steps."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livebot.core.market import MINUTE_MS, Candle, OrderSide, Side, Timeframe, decimal_of
from tests.core.examples import INSTRUMENT

STEPS = st.sampled_from([Decimal(text) for text in ("0.00000001", "0.0003", "0.01", "0.5", "1", "2.5", "5", "1E+2")])
# up to 28 digits, as a division leaves them
VALUES = st.decimals(min_value=0, max_value=10**9, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("side", "sign", "entry_order", "exit_order"),
    [(Side.LONG, 1, OrderSide.BUY, OrderSide.SELL), (Side.SHORT, -1, OrderSide.SELL, OrderSide.BUY)],
)
def test_a_side_knows_which_orders_open_and_close_it(side, sign, entry_order, exit_order):
    """Long buys to open and sells to close; short is the mirror."""
    assert (sign, entry_order, exit_order) == (side.sign, side.entry_order, side.exit_order)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("1m", 1),
        ("3m", 3),
        ("5m", 5),
        ("15m", 15),
        ("30m", 30),
        ("1h", 60),
        ("2h", 120),
        ("4h", 240),
        ("6h", 360),
        ("8h", 480),
        ("12h", 720),
        ("1d", 1440),
    ],
)
def test_a_timeframe_lasts_what_its_text_says(text, minutes):
    """`4h` is 240 minutes, in milliseconds."""
    assert minutes * MINUTE_MS == Timeframe(text).ms


def test_every_timeframe_divides_a_day():
    """So candles are aligned to midnight UTC, and one timeframe's close is another's."""
    assert [0] * len(Timeframe) == [Timeframe.D1.ms % frame.ms for frame in Timeframe]


@pytest.mark.parametrize(
    ("ts_ms", "opening"),
    [
        (1_700_000_000_000, 1_699_999_200_000),
        (1_699_999_200_000, 1_699_999_200_000),
        (1_699_999_199_999, 1_699_995_600_000),
    ],
)
def test_a_time_belongs_to_the_candle_that_opened_at_or_before_it(ts_ms, opening):
    """An opening time belongs to its own candle, the millisecond before to the last one."""
    assert opening == Timeframe.H1.open_of(ts_ms)


def test_a_candle_cannot_be_changed():
    """What was seen stays seen."""
    candle = Candle(0, 1.0, 1.0, 1.0, 1.0, 1.0)
    with pytest.raises(AttributeError):
        candle.close = 2.0  # type: ignore[misc]


@given(VALUES, STEPS)
# 10 is not reached by a hair, and a quotient of 28 digits says that it is
@example(Decimal("9.999999999999999999999999999"), Decimal(5))
def test_a_rounded_quantity_is_the_largest_on_the_step_that_is_not_above(value, step):
    """Never above what was allowed, and less than one step below it."""
    rounded = replace(INSTRUMENT, lot_step=step).round_quantity(value)

    assert Fraction(rounded) % Fraction(step) == 0
    assert 0 <= Fraction(value) - Fraction(rounded) < Fraction(step)


@given(VALUES, STEPS)
def test_prices_round_to_the_neighbouring_ticks(value, step):
    """Down is the tick at or below, up the one at or above, and the nearest is never half a tick away or more."""
    instrument = replace(INSTRUMENT, tick_size=step)
    down, up = Fraction(instrument.round_price_down(value)), Fraction(instrument.round_price_up(value))
    nearest = Fraction(instrument.round_price(value))

    assert down % Fraction(step) == 0
    assert down <= Fraction(value) <= up
    assert up - down == (0 if Fraction(value) == down else Fraction(step))
    assert nearest in (down, up)
    assert abs(nearest - Fraction(value)) <= Fraction(step) / 2


def test_a_negative_quantity_rounds_towards_zero():
    """A reduced short is never reduced by more than was asked."""
    assert Decimal("-0.001") == INSTRUMENT.round_quantity(Decimal("-0.0019"))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_becomes_the_decimal_that_reads_back_as_itself(value):
    """Nothing is lost on the way from features to orders."""
    assert value == float(decimal_of(value))


@pytest.mark.parametrize("value", [0.1, np.float64(0.1)])
def test_a_float_becomes_what_a_person_would_write(value):
    """0.1 is 0.1, not its 55 binary digits, also when it comes from an array."""
    assert "0.1" == str(decimal_of(value))
