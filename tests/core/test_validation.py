"""Entries become exact prices on ticks, or a sentence a trader understands."""

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.candidate import Refused
from livebot.core.entry import Entry
from livebot.core.market import Side
from livebot.core.rules import EntryRules
from livebot.core.validation import CheckedEntry, validate
from tests.core.examples import INSTRUMENT, LONG_ENTRY, SHORT_ENTRY

PRICE = Decimal(100)
RULES = EntryRules()
SCHEDULE_MS = 600_000


def checked(entry, *, price=PRICE, instrument=INSTRUMENT, rules=RULES):
    """Validate with ordinary terms."""
    return validate(entry, price, instrument, rules, SCHEDULE_MS)


def test_a_market_entry_is_checked_against_the_present_price():
    """Floats come out as exact prices; there is no limit price."""
    expected = CheckedEntry(
        side=Side.LONG,
        entry_price=PRICE,
        limit_price=None,
        stop_loss=Decimal(95),
        take_profit=Decimal(110),
        lifetime_ms=3_600_000,
        schedule_ms=SCHEDULE_MS,
    )
    assert expected == checked(LONG_ENTRY)


@pytest.mark.parametrize(("entry", "limit"), [(LONG_ENTRY, 99.0), (SHORT_ENTRY, 101.0)])
def test_a_limit_entry_is_checked_against_its_limit_price(entry, limit):
    """The price it would be entered at, and it rests for as long as configured."""
    result = checked(replace(entry, limit_price=limit))
    assert Decimal(limit) == result.limit_price == result.entry_price
    assert result.schedule_ms == SCHEDULE_MS


def test_a_limit_entry_rests_for_as_long_as_it_says():
    """Its own time goes before the configured one."""
    assert checked(replace(LONG_ENTRY, limit_price=99.0, schedule_ms=7)).schedule_ms == 7


def test_a_market_entry_needs_no_time_to_rest():
    """It rests nowhere, so a time of 0 is no reason to refuse it."""
    assert isinstance(checked(replace(LONG_ENTRY, schedule_ms=0)), CheckedEntry)


def test_a_limit_at_the_present_price_is_accepted():
    """It does not cross the price."""
    assert checked(replace(LONG_ENTRY, limit_price=100.0)).limit_price == PRICE


@pytest.mark.parametrize(
    ("entry", "stop_loss", "take_profit", "limit_price"),
    [
        (
            replace(LONG_ENTRY, stop_loss=94.991, take_profit=110.009, limit_price=99.999),
            "95.00",
            "110.00",
            "99.99",
        ),
        (
            replace(SHORT_ENTRY, stop_loss=105.009, take_profit=89.991, limit_price=100.001),
            "105.00",
            "90.00",
            "100.01",
        ),
    ],
)
def test_rounding_adds_neither_risk_nor_hope(entry, stop_loss, take_profit, limit_price):
    """Stop and target move towards the entry price, the limit away from the market."""
    result = checked(entry)
    assert (Decimal(stop_loss), Decimal(take_profit)) == (result.stop_loss, result.take_profit)
    assert Decimal(limit_price) == result.limit_price


def variant(side, **changes):
    """An entry of that side with something wrong."""
    return replace(LONG_ENTRY if side is Side.LONG else SHORT_ENTRY, **changes)


LONG, SHORT = Side.LONG, Side.SHORT
REFUSALS = [
    (
        variant(LONG, stop_loss=math.nan),
        "bad_stop_loss",
        "stop loss nan is not a price: it must be finite and above 0",
    ),
    (variant(LONG, take_profit=math.inf), "bad_take_profit", "take profit inf is not a price"),
    (variant(SHORT, take_profit=0.0), "bad_take_profit", "take profit 0.0 is not a price"),
    (variant(LONG, stop_loss=-1.0), "bad_stop_loss", "stop loss -1.0 is not a price"),
    (variant(LONG, limit_price=-math.inf), "bad_limit_price", "limit price -inf is not a price"),
    (
        variant(LONG, confidence=1.01),
        "bad_confidence",
        "confidence 1.01 is not a probability: it must be from 0 to 1",
    ),
    (variant(SHORT, confidence=-0.01), "bad_confidence", "confidence -0.01 is not a probability"),
    (variant(SHORT, confidence=math.nan), "bad_confidence", "confidence nan is not a probability"),
    (variant(LONG, limit_price=0.004), "bad_limit_price", "limit price is below one tick of 0.01"),
    (
        variant(LONG, limit_price=100.01),
        "limit_side",
        (
            "a long limit price of 100.01 is above the present price 100 and would execute at once; "
            "leave it out to enter at the market"
        ),
    ),
    (
        variant(SHORT, limit_price=99.99),
        "limit_side",
        "a short limit price of 99.99 is below the present price 100 and would execute at once",
    ),
    (
        variant(LONG, stop_loss=101.0),
        "stop_side",
        "the stop of a long must be below the entry price 100; wanted is 101, which is 101 on ticks of 0.01",
    ),
    (
        variant(LONG, stop_loss=99.991),
        "stop_side",
        "the stop of a long must be below the entry price 100; wanted is 99.991, which is 100 on ticks of 0.01",
    ),
    (variant(SHORT, stop_loss=99.0), "stop_side", "the stop of a short must be above the entry price 100"),
    (variant(LONG, take_profit=99.0), "target_side", "the target of a long must be above the entry price 100"),
    (variant(SHORT, take_profit=101.0), "target_side", "the target of a short must be below the entry price 100"),
    (
        variant(LONG, limit_price=95.0),
        "stop_side",
        "the stop of a long must be below the entry price 95; wanted is 95",
    ),
    (
        variant(LONG, stop_loss=99.96),
        "stop_too_close",
        "the stop 99.96 is 0.04 (0.04 %) from the entry price 100; the least allowed is 0.05 (0.05 %)",
    ),
    (
        variant(LONG, stop_loss=49.99),
        "stop_too_far",
        "the stop 49.99 is 50.01 (50.01 %) from the entry price 100; the most allowed is 50 (50 %)",
    ),
    (
        variant(SHORT, take_profit=99.96),
        "target_too_close",
        "the target 99.96 is 0.04 (0.04 %) from the entry price 100; the least allowed is 0.05 (0.05 %)",
    ),
    (variant(LONG, lifetime_ms=59_999), "lifetime_too_short", "lifetime 59.999 s is under the least allowed, 1 min"),
    (
        variant(LONG, lifetime_ms=2_592_001_000),
        "lifetime_too_long",
        "lifetime 30.0000115741 d is over the most allowed, 30 d",
    ),
    (
        variant(LONG, limit_price=99.0, schedule_ms=0),
        "schedule_too_short",
        "a limit entry that may rest for 0 ms expires at once",
    ),
]


@pytest.mark.parametrize(("entry", "code", "text"), REFUSALS)
def test_an_entry_that_cannot_be_traded_is_refused_with_its_numbers(entry, code, text):
    """One code and one sentence for each way to be wrong."""
    refused = checked(entry)
    assert isinstance(refused, Refused)
    assert code == refused.code
    assert refused.text.startswith(text)


@pytest.mark.parametrize("price", ["NaN", "Infinity", "0", "-1"])
def test_nothing_is_entered_without_a_present_price(price):
    """A candle with a broken close opens nothing."""
    assert checked(LONG_ENTRY, price=Decimal(price)).code == "bad_price"


def test_a_short_is_refused_where_the_market_has_none():
    """Spot sells what it has; the sentence names the symbol."""
    instrument = replace(INSTRUMENT, can_short=False)
    expected = Refused("short_not_possible", "BTC/USDT cannot be sold short on this market")
    assert expected == checked(SHORT_ENTRY, instrument=instrument)
    assert isinstance(checked(LONG_ENTRY, instrument=instrument), CheckedEntry)


def test_a_reward_that_is_small_for_its_risk_is_refused():
    """10 away against 5 away is 2."""
    enough, too_much = (EntryRules(minimum_reward_to_risk=Decimal(ratio)) for ratio in ("2", "2.5"))
    text = "the target is 10 away and the stop 5: reward to risk is 2, at least 2.5 is required"
    assert isinstance(checked(LONG_ENTRY, rules=enough), CheckedEntry)
    assert Refused("reward_to_risk", text) == checked(LONG_ENTRY, rules=too_much)


@pytest.mark.parametrize(
    "entry",
    [
        variant(LONG, stop_loss=99.95),
        variant(LONG, stop_loss=50.0),
        variant(LONG, take_profit=100.05),
        variant(LONG, lifetime_ms=60_000),
        variant(LONG, lifetime_ms=2_592_000_000),
    ],
)
def test_a_bound_itself_is_allowed(entry):
    """Least and most mean what they say."""
    assert isinstance(checked(entry), CheckedEntry)


ANY_FLOAT = st.floats() | st.floats(80, 120)
ENTRIES = st.builds(
    Entry,
    side=st.sampled_from(Side),
    stop_loss=ANY_FLOAT,
    take_profit=ANY_FLOAT,
    lifetime_ms=st.integers(50_000, 10**7),
    limit_price=st.none() | ANY_FLOAT,
)


@given(ENTRIES, st.decimals(80, 120, places=2))
def test_whatever_a_strategy_wants_is_refused_or_safe(entry, price):
    """It never raises; what passes stands on ticks, on the right sides, and no farther than wanted."""
    result = checked(entry, price=price)
    if isinstance(result, Refused):
        assert result.code
        assert result.text
        return
    sign = entry.side.sign
    assert sign * result.stop_loss < sign * result.entry_price < sign * result.take_profit
    assert sign * Fraction(entry.stop_loss) <= sign * Fraction(result.stop_loss) + Fraction(1, 10**12)
    assert sign * Fraction(result.take_profit) <= sign * Fraction(entry.take_profit) + Fraction(1, 10**12)
    for level in (result.stop_loss, result.take_profit, result.limit_price or Decimal(0)):
        assert Fraction(level) % Fraction(INSTRUMENT.tick_size) == 0
    if result.limit_price is not None:
        assert sign * result.limit_price <= sign * price
