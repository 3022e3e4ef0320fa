"""The kernel: what is open when the venue makes its lots, its ticks, its minimum or its largest order other ones."""

from dataclasses import replace

import pytest

from livebot.core.market import Side
from livebot.core.order import Leg
from livebot.core.signal import CloseReason
from tests.core.examples import INSTRUMENT
from tests.core.kernel_driver import RULES
from tests.core.signal_story import LEVELS, LIMIT, D, Story

COARSE = replace(INSTRUMENT, lot_step=D("0.01"), minimum_quantity=D("0.01"))


def afterwards(story: Story, **changes) -> Story:
    """The story goes on, with another instrument."""
    story.rules = replace(story.rules, instrument=replace(story.rules.instrument, **changes))
    return story


def coarsened(quantity: str = "1.237", rules=RULES, *, target: bool = True, **values) -> Story:
    """A position, and since then coarser lots."""
    story = Story(rules=rules).open(quantity, accepted=False, **values).accept(Leg.STOP)
    story = story.accept(Leg.TARGET) if target else story
    return afterwards(story, lot_step=D("0.01"), minimum_quantity=D("0.01"))


# Lots


def test_an_exit_is_of_whole_lots_of_today_and_the_rest_is_told_as_dust():
    story = coarsened().leave()
    assert ("Submit", Leg.EXIT, D("1.23"), None) in story.asked
    story.accept(Leg.EXIT).fill(Leg.EXIT, "1.23", 100).end(Leg.STOP).end(Leg.TARGET)
    assert story.idle
    failed, reduced, closed = story.facts
    assert ("dust", Leg.EXIT) == (failed.code, failed.leg)
    assert failed.text.startswith("0.007 BTC is less than the venue takes (at least 0.01, ")
    assert (D("0.007"), D(100)) == (reduced.quantity, reduced.price)
    assert (CloseReason.OPERATOR, D("1.237"), D(0)) == (closed.reason, closed.quantity, closed.pnl_net)
    assert (D(0), D(0)) == (story.state.remainder, reduced.exposure.open_notional)


@pytest.mark.parametrize("replaces", [False, True])
def test_stop_and_target_come_to_stand_for_whole_lots(replaces):
    story = coarsened(rules=replace(RULES, replaces_stops=replaces)).candle()
    asked = "Submit" if replaces else "Amend"
    assert [(asked, Leg.STOP, D("1.23"), D(95)), ("Amend", Leg.TARGET, D("1.23"), D(110))] == story.asked
    story.accept(Leg.STOP).accept(Leg.TARGET)
    assert {"Amend", "Submit"}.isdisjoint(asked[0] for asked in story.candle().asked)


def test_whatever_happens_next_brings_them_there():
    assert [
        ("Amend", Leg.STOP, D("1.23"), D(95)),
        ("Amend", Leg.TARGET, D("1.23"), D(110)),
    ] == coarsened().withdraw().asked


def test_a_stop_that_takes_all_whole_lots_ends_the_signal_with_its_own_reason():
    story = coarsened().candle().accept(Leg.STOP).accept(Leg.TARGET).fill(Leg.STOP, "1.23", 95).end(Leg.TARGET)
    assert story.idle
    assert CloseReason.STOP_LOSS is story.fact("SignalClosed").reason
    assert ("dust", "x01") == (story.fact("OrderFailed").code, story.fact("OrderFailed").client_order_id[-3:])
    assert D("0.007") == story.fact("PositionReduced").quantity


def test_a_stop_that_was_there_before_may_take_all_of_it():
    story = coarsened().fill(Leg.STOP, "1.237", 95).end(Leg.TARGET)
    assert story.idle
    assert "OrderFailed" not in story.told


def test_lots_that_become_finer_again_leave_nothing():
    story = coarsened().candle().accept(Leg.STOP).accept(Leg.TARGET)
    afterwards(story, lot_step=D("0.001")).leave()
    assert ("Submit", Leg.EXIT, D("1.237"), None) in story.asked
    assert D("1.237") == story.signal.position.closable


def test_coins_are_sold_in_whole_lots_of_today_and_the_rest_goes_into_the_next_position():
    spot = replace(RULES, instrument=replace(INSTRUMENT, fee_in_base=True))
    story = coarsened("1.237", spot).leave().accept(Leg.EXIT)
    assert D("1.23") == story.record(Leg.EXIT).request.quantity
    story.fill(Leg.EXIT, "1.23", 100).end(Leg.STOP).end(Leg.TARGET)
    assert story.idle
    assert ("RemainderKept" in story.said, story.state.remainder) == (True, D("0.007"))


def test_less_than_a_lot_that_nothing_protects_is_left_there():
    """Nothing can close it, and nothing will add to it."""
    story = coarsened("0.007").end(Leg.TARGET)
    assert "Open" == story.name
    assert ["SignalClosing", "OrderFailed", "PositionReduced", "SignalClosed"] == story.end(Leg.STOP).said
    assert story.idle
    assert ("dust", CloseReason.UNPROTECTED) == (story.fact("OrderFailed").code, story.fact("SignalClosed").reason)


def test_less_than_a_lot_keeps_the_orders_that_can_still_close_it():
    story = coarsened("0.007")
    assert [] == story.candle().requests
    assert story.fill(Leg.STOP, "0.007", 95).end(Leg.TARGET).idle
    assert "OrderFailed" not in story.told


def test_less_than_a_lot_that_somebody_else_closed_is_booked():
    story = coarsened("0.007").outside("0.007", 98)
    assert CloseReason.VENUE is story.end(Leg.TARGET).end(Leg.STOP).fact("SignalClosed").reason
    assert (story.idle, story.fact("SignalClosed").pnl_net) == (True, D("-0.014"))


def test_an_entry_that_came_first_is_protected_in_whole_lots():
    """Sized by the old lots, filled after they had changed."""
    story = Story().enter(quantity=D("1.237")).accept(Leg.ENTRY)
    afterwards(story, lot_step=D("0.01"), minimum_quantity=D("0.01")).fill(Leg.ENTRY, "1.237", 100)
    assert ("Submit", Leg.STOP, D("1.23"), D(95)) in story.asked


def test_a_part_that_fills_in_old_lots_leaves_whole_ones():
    story = Story().open("1.230", exits=LEVELS).candle(102.0).accept(Leg.PARTIAL)
    assert D("0.369") == story.record(Leg.PARTIAL).request.quantity
    afterwards(story, lot_step=D("0.01"), minimum_quantity=D("0.01")).fill(Leg.PARTIAL, "0.369", 102)
    assert ("Amend", Leg.STOP, D("0.86"), D(95)) in story.asked


def test_a_stop_beside_a_part_of_old_lots_is_for_all_whole_lots_of_the_rest():
    """1.237 of which 0.371 is on its way out, and 0.022 of that has traded."""
    alone = replace(RULES, resting_target=False)
    story = Story(rules=alone).open("1.237", accepted=False, exits=LEVELS).accept(Leg.STOP).candle(102.0)
    assert D("0.371") == story.accept(Leg.STOP).accept(Leg.PARTIAL).record(Leg.PARTIAL).request.quantity
    afterwards(story, lot_step=D("0.01"), minimum_quantity=D("0.01")).fill(Leg.PARTIAL, "0.022", 102)
    assert [("Amend", Leg.STOP, D("0.86"), D(95))] == story.asked
    story.accept(Leg.STOP).fill(Leg.PARTIAL, "0.345", 102)
    assert [] == story.requests


def test_a_part_that_is_less_than_a_lot_is_left_with_the_rest():
    story = coarsened("0.030", exits=LEVELS)
    afterwards(story, minimum_notional=D(0)).candle(102.0)
    assert ("Submit", Leg.PARTIAL) not in [asked[:2] for asked in story.asked]
    assert 1 == story.signal.partials_done


@pytest.mark.parametrize("target", [True, False])
def test_a_share_of_a_position_is_closed_in_whole_lots_too(target):
    shared = replace(RULES, resting_target=target)
    story = coarsened("1.237", shared, target=target).leave()
    assert D("1.23") == story.record(Leg.EXIT).request.quantity


def test_an_exit_of_old_lots_that_never_arrived_is_asked_for_in_new_ones():
    story = Story().open("1.237").leave()
    assert D("1.237") == story.record(Leg.EXIT).request.quantity
    afterwards(story, lot_step=D("0.01"), minimum_quantity=D("0.01")).miss(Leg.EXIT)
    assert ("Submit", Leg.EXIT, D("1.23"), None) in story.candle().asked


def test_fills_that_are_still_to_come_count_before_rounding():
    """1.237 less 0.117 of which only the order has told: what is held is 1.12, in whole lots."""
    story = coarsened().end(Leg.TARGET, "0.117").leave()
    assert ("Submit", Leg.EXIT, D("1.12"), None) in story.asked


def test_less_than_a_minimum_that_was_raised_is_left_there_after_a_few_refusals():
    story = afterwards(Story().open("0.5"), minimum_quantity=D(1)).leave()
    for _ in range(RULES.protection_attempts - 1):
        story.reject(Leg.EXIT).candle()
    story.reject(Leg.EXIT).candle().end(Leg.STOP).end(Leg.TARGET).candle()
    assert story.idle
    assert ("dust", D("0.5")) == (story.fact("OrderFailed").code, story.fact("PositionReduced").quantity)


# Ticks


@pytest.mark.parametrize(
    ("side", "stop_loss", "take_profit", "stop", "target"),
    [(Side.LONG, "95.13", "110.17", "95.2", "110.1"), (Side.SHORT, "105.17", "90.13", "105.1", "90.2")],
)
def test_stop_and_target_go_to_the_next_tick_on_the_tighter_side(side, stop_loss, take_profit, stop, target):
    story = Story().open(side=side, stop_loss=D(stop_loss), take_profit=D(take_profit))
    afterwards(story, tick_size=D("0.1")).candle()
    assert [("Amend", Leg.STOP, 1, D(stop)), ("Amend", Leg.TARGET, 1, D(target))] == story.asked
    assert ["StopMoved", "TargetMoved"] == story.said
    assert (D(stop), "tick_size", D(target)) == (
        story.fact("StopMoved").stop_loss,
        story.fact("StopMoved").cause,
        story.fact("TargetMoved").take_profit,
    )
    assert not story.signal.stop_trails
    assert [] == story.accept(Leg.STOP).accept(Leg.TARGET).candle().said


def test_a_stop_for_an_entry_that_came_first_is_on_a_tick_of_today():
    story = Story().enter(stop_loss=D("95.13"), take_profit=D("110.17")).accept(Leg.ENTRY)
    afterwards(story, tick_size=D("0.1")).fill(Leg.ENTRY, 1, 100)
    assert [("Submit", Leg.STOP, 1, D("95.2")), ("Submit", Leg.TARGET, 1, D("110.1"))] == story.asked


def test_a_scheduled_signal_goes_to_the_ticks_of_today():
    story = Story().enter(stop_loss=D("95.13"), take_profit=D("110.17"), **LIMIT).accept(Leg.ENTRY)
    afterwards(story, tick_size=D("0.1")).fill(Leg.ENTRY, 1, 99)
    assert (D("95.2"), D("110.1")) == (story.signal.stop_loss, story.signal.take_profit)


def test_a_stop_dropped_by_the_venue_comes_back_on_a_tick_of_today():
    story = afterwards(Story().open(stop_loss=D("95.13")), tick_size=D("0.1")).end(Leg.STOP)
    assert ("Submit", Leg.STOP, 1, D("95.2")) in story.asked


def test_a_tick_larger_than_a_price_leaves_a_price():
    story = afterwards(Story().open(side=Side.SHORT), tick_size=D(1_000)).candle()
    assert D(1_000) == story.signal.stop_loss
