"""The kernel: stop and target follow the position, whatever the venue does to them."""

from dataclasses import replace

import pytest

from livebot.core.exposure import protected
from livebot.core.order import Leg, OrderStatus
from livebot.core.signal import CloseReason
from tests.core.kernel_driver import RULES
from tests.core.signal_story import (
    AVERAGING,
    TRAILING,
    D,
    Story,
    entered,
)


def test_a_refused_stop_is_placed_again_at_once_then_the_position_is_closed():
    """As often as the rules say; each refusal is told."""
    story = entered().fill(Leg.ENTRY, 1, 100)
    for _ in range(RULES.protection_attempts - 1):
        story.reject(Leg.STOP)
        assert (["OrderFailed"], [("Submit", Leg.STOP, D(1), D(95))]) == (story.said, story.asked)
    story.reject(Leg.STOP)
    assert ["OrderFailed", "SignalClosing"] == story.said
    assert ("Closing", CloseReason.UNPROTECTED) == (story.name, story.signal.reason)
    assert [("Submit", Leg.EXIT, D(1), None)] == story.asked


def test_without_any_attempt_allowed_the_first_fill_is_closed():
    """An entry given up as well is closed once, not twice."""
    story = Story(rules=replace(RULES, protection_attempts=0)).enter().leave().fill(Leg.ENTRY, 1, 100)
    assert [("Submit", Leg.EXIT, D(1), None)] == story.asked
    assert ["SignalOpened", "SignalClosing"] == story.said


@pytest.mark.parametrize("how", ["end", "miss", "reject"])
def test_a_stop_that_the_venue_drops_is_placed_again_at_once(how):
    """Whatever it calls it."""
    story = Story().open()
    getattr(story, how)(Leg.STOP)
    if how == "reject":  # to an order it has: a refused amendment looks the same, so the venue is asked
        assert (OrderStatus.UNKNOWN, []) == (story.status(Leg.STOP), story.requests)
        story.reject(Leg.STOP)
    assert [("Submit", Leg.STOP, D(1), D(95))] == story.asked
    assert 2 == story.record(Leg.STOP).request.attempt


def test_a_refused_change_of_the_stop_is_asked_for_again_when_the_stop_is_found_alive():
    """There is a limit to how long a position may be without the stop it should have; a second apart, though."""
    story = Story().open(exits=TRAILING).candle(104.0)
    change = [("Amend", Leg.STOP, D(1), D("101.92"))]
    assert change == story.asked
    assert ["OrderFailed"] == story.reject(Leg.STOP).said
    assert OrderStatus.UNKNOWN is story.status(Leg.STOP)
    assert [] == story.accept(Leg.STOP, trigger_price=D(95), later_ms=999).requests
    assert (OrderStatus.WORKING, False) == (story.status(Leg.STOP), story.record(Leg.STOP).confirmed)
    story.reject(Leg.STOP)
    assert change == story.accept(Leg.STOP, trigger_price=D(95), later_ms=1_000).asked
    assert change == story.candle(103.0).asked


def test_a_refused_change_of_the_target_waits_for_the_next_candle():
    """Nothing is at stake meanwhile, so that a venue cannot keep us busy."""
    story = Story().open().adjust(take_profit=105.0).reject(Leg.TARGET)
    assert [] == story.accept(Leg.TARGET, price=D(110), later_ms=5_000).requests
    assert [("Amend", Leg.TARGET, D(1), D(105))] == story.candle(101.0).asked


def test_noes_to_changes_never_prove_that_an_order_is_gone():
    """Two changes were on their way; after a candle it is taken back, and then a no is an answer about the order."""
    story = Story().open().adjust(stop_loss=97.0).reject(Leg.STOP)
    before = story.state
    assert before is story.reject(Leg.STOP).state
    assert [("Cancel", Leg.STOP)] == story.candle(101.0).asked
    assert [("Amend", Leg.TARGET, D("0.9"), D(110))] == story.fill(Leg.STOP, "0.1", 97).asked  # it lived after all
    assert [("Submit", Leg.STOP, D("0.9"), D(97))] == story.end(Leg.STOP).asked
    story = Story(before)
    story.ts_ms = 0
    assert [("Submit", Leg.STOP, D(1), D(97))] == story.candle(101.0).reject(Leg.STOP).asked


def test_an_order_that_is_taken_back_is_not_changed():
    """It will be gone; what is wanted of it stays on record for the next one."""
    story = Story().open().adjust(stop_loss=97.0).reject(Leg.STOP).candle(101.0).accept(Leg.STOP, trigger_price=D(95))
    assert (OrderStatus.WORKING, True) == (story.status(Leg.STOP), story.record(Leg.STOP).cancel_requested)
    assert [] == story.adjust(stop_loss=98.0).requests
    assert [("Cancel", Leg.STOP)] == story.candle(101.0).asked
    assert [("Submit", Leg.STOP, D(1), D(98))] == story.end(Leg.STOP).asked


def test_a_change_that_was_lost_is_repeated_when_the_venue_is_asked():
    """A report of at least a second later that does not show it, as after a restart; else with the next candle."""
    story = Story().open(exits=TRAILING).candle(104.0).lose(Leg.STOP)
    assert OrderStatus.WORKING is story.status(Leg.STOP)
    repeated = [("Amend", Leg.STOP, D(1), D("101.92"))]
    assert repeated == story.accept(Leg.STOP, trigger_price=D(95), later_ms=1_000).asked
    assert [] == story.accept(Leg.STOP, trigger_price=D(95), later_ms=1_999).requests
    assert repeated == story.candle(103.0).asked
    assert [] == story.accept(Leg.STOP).candle(103.0).requests


def test_a_change_on_its_way_is_not_repeated_by_other_news():
    """Only by a candle, or by the venue when it is asked."""
    story = Story().open().adjust(stop_loss=97.0)
    assert [("Amend", Leg.TARGET, D("0.9"), D(110))] == story.fill(Leg.STOP, "0.1", 97).asked


def test_a_candle_that_finds_a_position_without_a_stop_closes_it():
    """However it came to that (a file of an older version, say), when no attempt is left."""
    story = Story().open(exits=AVERAGING)
    refused = replace(story.record(Leg.STOP), status=OrderStatus.REJECTED)
    refused = replace(refused, request=replace(refused.request, attempt=RULES.protection_attempts))
    story.state = replace(story.state, orders=(story.record(Leg.ENTRY), refused, story.record(Leg.TARGET)))
    assert [("Submit", Leg.EXIT, D(1), None)] == story.candle(98.0).asked
    assert CloseReason.UNPROTECTED is story.signal.reason


def test_an_order_whose_fate_is_unknown_is_not_amended():
    """What is wanted waits on record until the venue says that it has it."""
    story = entered().fill(Leg.ENTRY, "0.5", 100).lose(Leg.STOP)
    assert [] == story.fill(Leg.ENTRY, "0.5", 100).requests
    assert [] == story.candle().requests
    assert [("Amend", Leg.STOP, D(1), D(95))] == story.accept(Leg.STOP, quantity=D("0.5")).asked


def test_a_stop_that_never_arrived_is_placed_again():
    """Once the venue has proved it."""
    story = entered().fill(Leg.ENTRY, 1, 100).lose(Leg.STOP).miss(Leg.STOP)
    assert (["OrderFailed"], "absent") == (story.said, story.facts[0].code)
    assert [("Submit", Leg.STOP, D(1), D(95))] == story.asked


@pytest.mark.parametrize("verdict", ["reject", "miss"])
def test_news_that_contradict_a_verdict_make_the_order_unknown_again(verdict):
    """It is asked about, and what then is known holds."""
    story = entered().fill(Leg.ENTRY, 1, 100).accept(Leg.STOP)
    getattr(story, verdict)(Leg.TARGET)
    after = story.state
    assert OrderStatus.UNKNOWN is story.accept(Leg.TARGET).status(Leg.TARGET)
    assert OrderStatus.WORKING is story.accept(Leg.TARGET).status(Leg.TARGET)
    story = Story(after)
    story.fill(Leg.TARGET, "0.5", 110, trade_id="late")
    assert OrderStatus.UNKNOWN is story.status(Leg.TARGET)
    assert D("0.5") == story.signal.position.quantity
    assert story.reject(Leg.TARGET).record(Leg.TARGET).settled


def test_an_order_that_traded_and_is_then_refused_ended_part_filled():
    """Whatever the venue calls it."""
    story = Story().open().fill(Leg.TARGET, "0.5", 110).reject(Leg.TARGET).reject(Leg.TARGET)
    assert (OrderStatus.CANCELED, True) == (story.status(Leg.TARGET), story.record(Leg.TARGET).settled)
    assert D("0.5") == story.signal.position.quantity


def test_a_refused_target_waits_for_the_next_candle_and_is_tried_so_often():
    """Until then the stop protects; afterwards a candle that reaches it closes the position."""
    story = entered().fill(Leg.ENTRY, 1, 100).accept(Leg.STOP)
    for _ in range(RULES.protection_attempts - 1):
        assert [] == story.reject(Leg.TARGET).requests
        assert [("Submit", Leg.TARGET, D(1), D(110))] == story.candle(101.0).asked
    assert [] == story.reject(Leg.TARGET).candle(109.9).requests
    story.candle(110.0)
    assert [("Submit", Leg.EXIT, D(1), None)] == story.asked
    assert CloseReason.TAKE_PROFIT is story.signal.reason


def test_a_target_on_the_venue_is_left_to_it():
    """Its fill is on the way; also when we have its end already and not its fills."""
    assert [] == Story().open().candle(111.0).requests
    assert [] == Story().open().end(Leg.TARGET, 1, OrderStatus.FILLED).candle(111.0).requests


@pytest.mark.parametrize(
    "what",
    [
        lambda: Story().open(accepted=False).accept(Leg.STOP).lose(Leg.TARGET),
        lambda: Story().open().adjust(take_profit=109.0),
        lambda: Story().open().reject(Leg.TARGET).reject(Leg.TARGET),
    ],
    ids=["unknown", "unconfirmed", "refused"],
)
def test_a_target_that_is_not_certain_is_not_waited_for(what):
    """A candle reached it: what the venue has of it can only reduce, so closing at the market does no harm."""
    story = what().candle(111.0, 101.0)
    assert ("Submit", Leg.EXIT, D(1), None) in story.asked
    assert CloseReason.TAKE_PROFIT is story.signal.reason


def test_a_stop_that_ended_filled_is_not_replaced():
    """Its fills are on their way; the position is gone."""
    story = Story().open().end(Leg.STOP, 1, OrderStatus.FILLED)
    assert ("Open", []) == (story.name, story.requests)
    assert [] == story.candle(100.0).requests
    story.fill(Leg.STOP, 1, 95)
    assert ("Closing", CloseReason.STOP_LOSS) == (story.name, story.signal.reason)


def test_a_stop_that_ended_part_filled_is_replaced_for_the_rest():
    """At once, also when the fills that say so are still on their way."""
    story = Story().open()
    first = story.record(Leg.STOP).request
    story.end(Leg.STOP, "0.3")
    assert [("Submit", Leg.STOP, D("0.7"), D(95)), ("Amend", Leg.TARGET, D("0.7"), D(110))] == story.asked
    story.accept(Leg.STOP).accept(Leg.TARGET)
    assert protected(story.signal, story.state.orders)
    story.feed(Story.trade(first, "0.3", price=95))
    assert ([], D("0.7")) == (story.requests, story.signal.position.quantity)
    assert protected(story.signal, story.state.orders)
    assert 3 == len(story.state.orders)


def test_a_part_filled_stop_keeps_its_total():
    """What has filled counts in an order's quantity; the target shrinks."""
    story = Story().open().fill(Leg.STOP, "0.25", 95)
    assert [("Amend", Leg.TARGET, D("0.75"), D(110))] == story.asked
    story.accept(Leg.TARGET).fill(Leg.TARGET, "0.25", 110)
    assert [("Amend", Leg.STOP, D("0.75"), D(95))] == story.asked


def test_a_stop_larger_at_the_venue_than_wanted_is_not_taken_for_filled():
    """A smaller one was asked for and not confirmed, so only the venue can say that it is done."""
    story = Story().open().fill(Leg.TARGET, "0.6", 110)
    assert [("Amend", Leg.STOP, D("0.4"), D(95))] == story.asked
    story.fill(Leg.STOP, "0.4", 95)
    assert ("Closing", OrderStatus.WORKING) == (story.name, story.status(Leg.STOP))
    story.end(Leg.TARGET).end(Leg.STOP)
    assert story.idle


def test_an_end_that_counts_more_later_is_believed():
    """Some venues acknowledge a cancel before they have counted the last trades."""
    story = Story().open().end(Leg.TARGET, 0)
    assert story.record(Leg.TARGET).settled
    story.end(Leg.TARGET, "0.4")
    assert not story.record(Leg.TARGET).settled
    before = story.state
    assert before is story.end(Leg.TARGET, "0.1").state
    assert story.fill(Leg.TARGET, "0.4", 110).record(Leg.TARGET).settled
