"""Sizes: never above their rule, always on the lot step, refused when too small."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livebot.core.candidate import Refused
from livebot.core.rules import FixedNotional, FractionOfEquity, RiskToStop
from livebot.core.sizing import size
from tests.core.examples import INSTRUMENT

PRICE, STOP, EQUITY = Decimal(100), Decimal(95), Decimal(1000)


def sized(sizing, *, price=PRICE, stop_loss=STOP, equity=EQUITY, instrument=INSTRUMENT):
    """Size with ordinary terms."""
    return size(sizing, price=price, stop_loss=stop_loss, equity=equity, instrument=instrument)


@pytest.mark.parametrize(
    ("sizing", "quantity"),
    [
        (FixedNotional(Decimal(250)), "2.5"),
        (FixedNotional(Decimal("33.3333")), "0.333"),
        (FractionOfEquity(Decimal("0.1")), "1"),
        (RiskToStop(Decimal("0.01"), maximum_fraction=Decimal(1)), "2"),
        (RiskToStop(Decimal("0.01"), maximum_fraction=Decimal("0.15")), "1.5"),
    ],
)
def test_each_rule_gives_its_quantity(sizing, quantity):
    """At 100 with the stop at 95 and 1000 of equity: 10 at risk is 2 units, unless 150 is the most."""
    assert Decimal(quantity) == sized(sizing)


def test_a_short_is_sized_by_its_distance_too():
    """The stop above the price risks as much as one below."""
    sizing = RiskToStop(Decimal("0.01"), maximum_fraction=Decimal(1))
    assert Decimal(2) == sized(sizing, stop_loss=Decimal(105))


@pytest.mark.parametrize("equity", ["0", "-1", "NaN", "Infinity"])
@pytest.mark.parametrize(
    "sizing", [FixedNotional(EQUITY), FractionOfEquity(Decimal(1)), RiskToStop(Decimal(1), Decimal(1))]
)
def test_without_equity_nothing_is_opened(sizing, equity):
    """Also a fixed amount: an account that is worth nothing, or nobody knows what, opens nothing."""
    text = f"equity is {equity} USDT; nothing can be opened with that"
    assert Refused("no_equity", text) == sized(sizing, equity=Decimal(equity))


def test_a_stop_at_the_entry_price_sets_no_size():
    """Otherwise the risk would be divided by 0."""
    text = "the stop is at the entry price 100, so the risk to it is 0 and sets no size"
    sizing = RiskToStop(Decimal("0.01"), maximum_fraction=Decimal(1))
    assert Refused("no_stop_distance", text) == sized(sizing, stop_loss=PRICE)
    assert Decimal(10) == sized(FractionOfEquity(Decimal(1)), stop_loss=PRICE)


def test_less_than_the_least_quantity_is_refused_and_not_raised():
    """A size is never made larger than its rule allows."""
    instrument = replace(INSTRUMENT, minimum_quantity=Decimal("0.5"))
    expected = Refused(
        "minimum_quantity",
        "BTC/USDT: the size comes to 0.4999 BTC at 100, 0.499 in whole lots of 0.001; the venue takes 0.5 or more",
    )
    assert expected == sized(FixedNotional(Decimal("49.99")), instrument=instrument)
    assert Decimal("0.5") == sized(FixedNotional(Decimal(50)), instrument=instrument)


def test_less_than_one_lot_is_refused_where_the_venue_names_no_minimum():
    """An order for nothing is no order."""
    instrument = replace(INSTRUMENT, minimum_quantity=Decimal(0), minimum_notional=Decimal(0))
    refused = sized(FixedNotional(Decimal("0.0999")), instrument=instrument)
    assert refused.code == "minimum_quantity"
    assert refused.text.endswith("0 in whole lots of 0.001; the venue takes 0.001 or more")


def test_less_than_the_least_notional_is_refused():
    """Judged after rounding to lots, as the venue will."""
    expected = Refused(
        "minimum_notional",
        "BTC/USDT: the size comes to 0.04999 BTC at 100, 0.049 in whole lots of 0.001, worth 4.9 USDT; "
        "the venue takes 5 or more",
    )
    assert expected == sized(FixedNotional(Decimal("4.999")))
    assert Decimal("0.05") == sized(FixedNotional(Decimal(5)))


FRACTIONS = st.decimals("0.0001", 3, places=4)
SIZINGS = (
    st.builds(FixedNotional, st.decimals(1, 10**7, places=2))
    | st.builds(FractionOfEquity, FRACTIONS)
    | st.builds(RiskToStop, FRACTIONS, FRACTIONS)
)
LOT_STEPS = st.sampled_from([Decimal(step) for step in ("0.00000001", "0.0003", "0.001", "1", "5", "10")])
PRICES = st.decimals("0.00000001", 10**5, places=8)


def exceeds(sizing, quantity, *, price, stop_loss, equity):
    """Whether the quantity is above the rule, in exact fractions."""
    quantity, price, equity = Fraction(quantity), Fraction(price), Fraction(equity)
    if isinstance(sizing, FixedNotional):
        return quantity * price > Fraction(sizing.notional)
    if isinstance(sizing, FractionOfEquity):
        return quantity * price > equity * Fraction(sizing.fraction)
    at_risk = quantity * abs(price - Fraction(stop_loss))
    return at_risk > equity * Fraction(sizing.fraction) or quantity * price > equity * Fraction(sizing.maximum_fraction)


@given(SIZINGS, PRICES, PRICES, st.decimals("0.01", 10**8, places=8), LOT_STEPS)
# the quotient has 29 digits, and rounded to 28 it would be one lot more than allowed
@example(FractionOfEquity(Decimal(1)), Decimal(5), Decimal(4), Decimal("9.999999999999999999999999999"), Decimal(1))
def test_a_size_is_on_the_lot_step_and_never_above_its_rule(sizing, price, stop_loss, equity, lot_step):
    """Nor more than one lot below it."""
    instrument = replace(INSTRUMENT, lot_step=lot_step, minimum_quantity=Decimal(0), minimum_notional=Decimal("0.001"))
    quantity = sized(sizing, price=price, stop_loss=stop_loss, equity=equity, instrument=instrument)
    if isinstance(quantity, Refused):
        assert quantity.code in {"minimum_quantity", "minimum_notional", "no_stop_distance"}
        return
    terms = {"price": price, "stop_loss": stop_loss, "equity": equity}
    assert quantity >= lot_step
    assert quantity * price >= instrument.minimum_notional
    assert Fraction(quantity) % Fraction(lot_step) == 0
    assert not exceeds(sizing, quantity, **terms)
    assert exceeds(sizing, Fraction(quantity) + Fraction(lot_step), **terms)
