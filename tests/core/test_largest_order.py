"""What a signal buys can always be closed, and protected, by one order that the venue takes."""

from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.adoption import Adoption, adopt
from livebot.core.candidate import Candidate, Refused
from livebot.core.exits import averaging_due
from livebot.core.market import MINUTE_MS, Candle, Side
from livebot.core.order import Leg
from livebot.core.propose import Circumstances, propose
from livebot.core.rules import FixedNotional, FractionOfEquity, LimitEntries, RiskToStop
from livebot.core.sizing import size
from tests.core.examples import INSTRUMENT, LONG_ENTRY, SHORT_ENTRY
from tests.core.kernel_driver import EMPTY, RULES
from tests.core.signal_story import AVERAGING, Story

D = Decimal
NOW = Circumstances(price=D(100), equity=D(1000), ts_ms=7 * MINUTE_MS)
BOUNDED = replace(INSTRUMENT, maximum_quantity=D(5))
BIG = replace(RULES, instrument=BOUNDED, sizing=FixedNotional(D(800)))  # 8 at a price of 100


def sized(sizing, instrument=BOUNDED, **more):
    """At 100, with the stop at 95 and 1000 of equity."""
    return size(sizing, price=D(100), stop_loss=D(95), equity=D(1000), instrument=instrument, **more)


@pytest.mark.parametrize(
    "sizing",
    [FixedNotional(D(800)), FractionOfEquity(D("0.8")), RiskToStop(D("0.04"), maximum_fraction=D(1))],
)
def test_a_size_is_cut_to_what_one_order_may_have(sizing):
    """Whatever the rule; as if there were none where the venue names no bound."""
    assert sized(sizing) == 5
    assert sized(sizing, INSTRUMENT) == 8
    assert sized(sizing, replace(BOUNDED, maximum_quantity=D("4.9999"))) == D("4.999")
    assert sized(sizing, replace(BOUNDED, maximum_quantity=D(9))) == 8


def test_what_is_held_already_leaves_less_room():
    assert [BOUNDED.fitting(D(3), D(held)) for held in (0, 2, 4, 5, 6)] == [3, 3, 1, 0, 0]
    assert sized(FixedNotional(D(800)), held=D("0.0005")) == D("4.999")
    refused = sized(FixedNotional(D(800)), held=D(6))
    assert isinstance(refused, Refused)
    assert refused.code == "minimum_quantity"


@pytest.mark.parametrize("entry", [LONG_ENTRY, SHORT_ENTRY, replace(LONG_ENTRY, limit_price=99.0)])
def test_no_entry_is_larger_than_its_stop_and_its_exit_can_be(entry):
    """At the market, and at a price, where venues take far more at once than at the market."""
    found = propose(EMPTY, entry, NOW, BIG)
    assert isinstance(found, Candidate)
    assert found.order.quantity == found.signal.quantity == 5
    assert found.notional == 5 * found.price


def test_an_entry_that_goes_after_the_price_is_bounded_too():
    rules = replace(BIG, limit_entries=LimitEntries(offset=D("0.001"), timeout_ms=60_000, reprices=2, chase=D("0.01")))
    found = propose(EMPTY, LONG_ENTRY, NOW, rules)
    assert isinstance(found, Candidate)
    assert found.order.quantity == 5


def test_coins_that_an_earlier_position_left_are_closed_with_the_next_one():
    coins = replace(BIG, instrument=replace(BOUNDED, fee_in_base=True))
    found = propose(replace(EMPTY, remainder=D("0.0405"), remainder_cost=D(4)), LONG_ENTRY, NOW, coins)
    assert isinstance(found, Candidate)
    assert found.order.quantity == D("4.959")


def averaging_within(most: str) -> Story:
    """1 is open, and a candle at which half as much would be added."""
    rules = replace(RULES, instrument=replace(INSTRUMENT, maximum_quantity=D(most)))
    return Story(rules=rules).open(exits=AVERAGING).candle(98.0)


@pytest.mark.parametrize(("most", "added"), [("1.6", "0.5"), ("1.2", "0.2")])
def test_averaging_adds_no_more_than_one_order_can_close(most, added):
    story = averaging_within(most)
    (request,) = story.requests
    assert request.candidate.order.quantity == D(added)
    story.admit(request.candidate).accept(Leg.AVERAGE).fill(Leg.AVERAGE, added, 98)
    assert story.record(Leg.STOP).request.quantity == 1 + D(added)
    assert story.leave().record(Leg.EXIT).request.quantity == 1 + D(added)


@pytest.mark.parametrize("most", ["1.02", "1"])
def test_nothing_is_added_where_there_is_no_room_for_enough(most):
    assert averaging_within(most).requests == []


def test_what_was_closed_in_part_still_counts_against_what_is_added():
    """An order that follows the position goes on counting what it has traded."""
    story = averaging_within("1.2")
    present = story.fill(Leg.TARGET, "0.6", 110).signal
    candle = Candle(story.ts_ms, 98.0, 98.0, 98.0, 98.0, 1.0)
    assert averaging_due(present, candle, story.rules.instrument) == D("0.2")


@pytest.mark.parametrize(("quantity", "stop"), [("5.001", 95), ("-7", 105)])
def test_a_position_that_no_single_stop_can_cover_is_not_adopted(quantity, stop):
    wanted = Adoption(
        quantity=D(quantity), entry_price=D(99), price=D(100), stop_loss=D(stop), take_profit=None, ts_ms=1_000
    )
    refused = adopt(EMPTY, wanted, BIG)
    text = (
        f"{quantity} BTC is more than the venue takes in one order (5), so that no stop could cover it; close what is "
        "above that there, or dismiss it"
    )
    assert refused == Refused("quantity_too_large", text)
    side = Side.LONG if D(quantity) > 0 else Side.SHORT
    fitting = adopt(EMPTY, replace(wanted, quantity=D(5) * side.sign), BIG)
    assert not isinstance(fitting, Refused)
