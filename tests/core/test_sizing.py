"""Sizes: never above their rule, always on the lot step, refused when too small."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livebot.core.candidate import Refused
from livebot.core.rules import CappedKelly, FixedNotional, FractionOfEquity, RiskToStop, VolatilityParity
from livebot.core.sizing import Outlook, size
from tests.core.examples import INSTRUMENT

PRICE, STOP, EQUITY = Decimal(100), Decimal(95), Decimal(1000)


def sized(sizing, *, price=PRICE, stop_loss=STOP, equity=EQUITY, instrument=INSTRUMENT, **known):
    """Size with ordinary terms; `known` is of the outlook."""
    return size(
        sizing, price=price, stop_loss=stop_loss, equity=equity, instrument=instrument, outlook=Outlook(**known)
    )


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


VOLATILITY = VolatilityParity(Decimal("0.01"), Decimal(1))
KELLY = CappedKelly(Decimal("0.25"), Decimal(10))
FREE = replace(INSTRUMENT, taker_fee=Decimal(0))


def test_by_volatility_each_position_moves_the_same_part_of_equity():
    """10 of 1000 for each average range, whatever the range: more of what moves less, up to the most."""
    assert Decimal(5) == sized(VOLATILITY, atr=2.0)
    assert Decimal("2.5") == sized(VOLATILITY, atr=4.0, stop_loss=Decimal(50))  # the stop has no say
    assert Decimal(10) == sized(VOLATILITY, atr=0.1)  # 100 would be ten times equity
    assert Decimal("3.333") == sized(VOLATILITY, atr=3.0)


@pytest.mark.parametrize(
    ("atr", "text"),
    [
        (None, "the average true range of 14 candles is not known yet, and the size follows from it"),
        (float("nan"), "the average true range of 14 candles is not known yet, and the size follows from it"),
        (0.0, "the price has not moved in the last 14 candles, so its range is 0 and sets no size"),
    ],
)
def test_without_a_range_there_is_no_size_by_volatility(atr, text):
    """It is not guessed."""
    assert Refused("no_atr", text) == sized(VOLATILITY, atr=atr)


def test_a_kelly_stake_is_lost_at_the_stop():
    """At even odds and 60 % Kelly stakes 20 % of equity, a quarter of it is 5 %: 50 of 1000 at 5 a unit is 10 units."""
    assert Decimal(10) == sized(KELLY, instrument=FREE, take_profit=Decimal(105), confidence=0.6)
    assert Decimal(10) == sized(KELLY, instrument=FREE, stop_loss=Decimal(105), take_profit=Decimal(95), confidence=0.6)
    # at two to one and 50 %: 25 % of equity, a quarter of it 62.5
    assert Decimal("12.5") == sized(KELLY, instrument=FREE, take_profit=Decimal(110), confidence=0.5)
    capped = CappedKelly(Decimal("0.25"), Decimal("0.3"))
    assert Decimal(3) == sized(capped, instrument=FREE, take_profit=Decimal(110), confidence=0.5)
    # a certainty stakes all that it may, and no more
    assert Decimal(50) == sized(KELLY, instrument=FREE, take_profit=Decimal(105), confidence=1.0)


def test_fees_both_ways_are_taken_off_the_odds():
    """One part in a thousand of 100 and of 110 off the win, of 100 and of 95 on the loss."""
    gain, loss, probability = Fraction(10) - Fraction(210, 1000), 5 + Fraction(195, 1000), Fraction(6, 10)
    stake = 1000 * Fraction(1, 4) * (probability - (1 - probability) * loss / gain)
    expected = int(stake / loss * 1000)
    assert Decimal(expected) / 1000 == sized(KELLY, take_profit=Decimal(110), confidence=0.6)


def test_what_is_not_worth_a_bet_gets_no_size():
    """A confidence that the odds do not pay for, or fees that eat the win."""
    text = "a win of 4.795 against a loss of 5.195 a unit, after fees, is not worth a bet at a confidence of 0.5"
    assert Refused("no_edge", text) == sized(KELLY, take_profit=Decimal(105), confidence=0.5)
    at_odds = sized(KELLY, instrument=FREE, take_profit=Decimal(105), confidence=0.5)
    assert at_odds.code == "no_edge"
    assert sized(KELLY, take_profit=Decimal("100.1"), confidence=1.0).code == "no_edge"
    assert sized(KELLY, take_profit=PRICE, confidence=0.0, instrument=FREE).code == "no_edge"


def test_without_a_confidence_there_is_no_kelly_stake():
    """Nor without a target."""
    text = "neither a model nor the strategy says how likely the target is, and the size follows from that"
    assert Refused("no_confidence", text) == sized(KELLY, take_profit=Decimal(110))
    assert Refused("no_confidence", text) == sized(KELLY, confidence=0.9)
    assert sized(KELLY, stop_loss=PRICE, take_profit=Decimal(110), confidence=0.9).code == "no_stop_distance"


@given(
    st.builds(CappedKelly, st.decimals("0.01", 1, places=2), st.decimals("0.01", 3, places=2)),
    st.floats(0, 1),
    st.decimals("0.5", 99, places=2),
    st.decimals("100.01", 300, places=2),
)
def test_a_kelly_stake_is_never_above_its_rule(sizing, confidence, stop_loss, take_profit):
    """Not above the Kelly fraction in exact fractions, nor above the most of equity."""
    instrument = replace(INSTRUMENT, minimum_notional=Decimal("0.001"))
    quantity = sized(sizing, stop_loss=stop_loss, take_profit=take_profit, confidence=confidence, instrument=instrument)
    if isinstance(quantity, Refused):
        assert quantity.code in {"no_edge", "minimum_quantity"}
        return
    fee, probability = Fraction(instrument.taker_fee), Fraction(Decimal(repr(confidence)))
    gain = Fraction(take_profit) - 100 - fee * (100 + Fraction(take_profit))
    loss = 100 - Fraction(stop_loss) + fee * (100 + Fraction(stop_loss))
    kelly = probability - (1 - probability) * loss / gain
    assert Fraction(quantity) * loss <= 1000 * Fraction(sizing.kelly_fraction) * kelly
    assert quantity * PRICE <= EQUITY * sizing.maximum_fraction


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
