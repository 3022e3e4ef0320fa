"""The kernel: a position that is larger than the venue takes in one order."""

from dataclasses import replace

import pytest

from livebot.core.exposure import protected
from livebot.core.order import MOST_ATTEMPTS, Leg, OrderStatus
from livebot.core.signal import CloseReason
from tests.core.kernel_driver import RULES
from tests.core.signal_story import D, Story
from tests.core.test_kernel_steps import afterwards

ALONE = replace(RULES, resting_target=False)


def lowered(quantity: str = "4", most: str = "1.5", rules=RULES) -> Story:
    """A position that stands protected, and since then the venue takes less in one order."""
    story = Story(rules=rules).open(quantity, accepted=False).accept(Leg.STOP)
    story = story.accept(Leg.TARGET) if rules.resting_target else story
    return afterwards(story, maximum_quantity=D(most))


def filled(story: Story, quantity: str) -> Story:
    """The exit that is on its way fills."""
    assert D(quantity) == story.record(Leg.EXIT).request.quantity
    return story.accept(Leg.EXIT).fill(Leg.EXIT, quantity, 100)


def test_it_is_closed_and_told_with_what_to_do():
    story = lowered().candle()
    assert ["OrderFailed", "SignalClosing"] == story.said
    failed = story.fact("OrderFailed")
    assert ("position_too_large", Leg.STOP, story.id_of(Leg.STOP)) == (failed.code, failed.leg, failed.client_order_id)
    assert failed.text == (
        "the position of 4 BTC is larger than one order of the venue may be (1.5), so that no stop covers all of it: it is "
        "closed at the market, one order after another; watch it until it is flat"
    )
    assert CloseReason.UNPROTECTED is story.fact("SignalClosing").reason


def test_it_goes_out_piece_by_piece_each_under_its_own_id():
    story = lowered().candle()
    ids = [story.id_of(Leg.EXIT)]
    for piece in ("1.5", "1.5"):
        assert 1 == sum(record.status.live for record in story.state.orders if record.request.leg is Leg.EXIT)
        story = filled(story, piece)
        ids.append(story.id_of(Leg.EXIT))
    filled(story, "1").end(Leg.STOP).end(Leg.TARGET)
    assert (story.idle, len(set(ids))) == (True, 3)
    assert D(4) == story.fact("SignalClosed").quantity


def test_the_next_piece_waits_for_the_end_of_the_one_before():
    """However long that takes, and whoever wants to leave."""
    story = lowered().candle().accept(Leg.EXIT)
    for _ in range(RULES.protection_attempts):
        story.candle().leave()
        assert (Leg.EXIT, 1) == (story.record(Leg.EXIT).request.leg, story.record(Leg.EXIT).request.attempt)
    assert ("Submit", Leg.EXIT, D("1.5"), None) in story.fill(Leg.EXIT, "0.7", 100).end(Leg.EXIT).asked


def test_a_piece_that_is_refused_is_asked_for_again_with_the_next_candle():
    story = lowered().candle().reject(Leg.EXIT)
    assert "Submit" not in [asked[0] for asked in story.asked]
    assert ("Submit", Leg.EXIT, D("1.5"), None) in story.candle().asked


@pytest.mark.parametrize("replaces", [False, True])
def test_meanwhile_a_stop_covers_as_much_as_one_order_may(replaces):
    story = lowered(rules=replace(RULES, replaces_stops=replaces))
    asked = "Submit" if replaces else "Amend"
    assert (asked, Leg.STOP, D("1.5"), D(95)) in story.candle().asked
    story.accept(Leg.STOP)
    assert protected(story.signal, story.state.orders) is replaces  # the larger one stays, where it may stand beside
    story = filled(filled(story, "1.5"), "1.5").candle()
    assert (asked, Leg.STOP, D(1), D(95)) in story.asked
    assert protected(story.signal, story.accept(Leg.STOP).state.orders)


def test_it_gets_such_a_stop_if_it_has_none():
    story = lowered().candle().end(Leg.STOP).candle()
    assert ("Submit", Leg.STOP, D("1.5"), D(95)) in story.asked


def test_where_nothing_can_stand_beside_an_exit_no_stop_is_placed_for_a_part():
    story = lowered(rules=ALONE).candle()
    assert [("Cancel", Leg.STOP), ("Submit", Leg.EXIT, D("1.5"), None)] == story.asked
    story = filled(filled(filled(story.end(Leg.STOP), "1.5"), "1.5"), "1")
    assert story.idle


def test_there_a_stop_for_a_part_comes_back_when_a_piece_is_refused():
    story = lowered(rules=ALONE).candle().end(Leg.STOP).reject(Leg.EXIT)
    assert ("Submit", Leg.STOP, D("1.5"), D(95)) in story.asked


def test_an_entry_that_fills_by_too_much_is_closed():
    """Sized when the venue took more."""
    story = Story().enter(quantity=D(4)).accept(Leg.ENTRY)
    afterwards(story, maximum_quantity=D("1.5")).fill(Leg.ENTRY, "1.5", 100)
    assert "Open" == story.name
    story.fill(Leg.ENTRY, "2.5", 100)
    assert ("Closing", CloseReason.UNPROTECTED) == (story.name, story.signal.reason)
    assert ("Submit", Leg.EXIT, D("1.5"), None) in story.asked


@pytest.mark.parametrize(("held", "pieces"), [("1.504", ("0.752", "0.752")), ("3.0", ("1.5", "1.5"))])
def test_no_piece_leaves_too_little_for_the_next(held, pieces):
    story = lowered(held).candle()
    for piece in pieces:
        story = filled(story, piece)
    assert not story.end(Leg.STOP).end(Leg.TARGET).told.count("OrderFailed") > 1
    assert story.idle


def test_the_largest_order_is_in_whole_lots():
    assert D("1.499") == lowered(most="1.4995").candle().record(Leg.EXIT).request.quantity


def test_a_largest_order_of_less_than_a_lot_is_none():
    """Whatever the venue means by it: an order of nothing can be sent nowhere."""
    story = lowered(most="0.0001").leave()
    assert D(4) == story.record(Leg.EXIT).request.quantity


def test_when_the_ids_run_out_it_is_told():
    story = lowered("3", "0.01").candle()
    for _ in range(MOST_ATTEMPTS):
        story = filled(story, "0.01")
    assert "attempts" == story.fact("OrderFailed").code
    assert [OrderStatus.FILLED] == [each.status for each in story.state.orders if each.request.leg is Leg.EXIT]


def test_an_exit_that_goes_on_being_refused_is_asked_for_in_halves():
    """The venue may take less by now than it said; one that says nothing of it refuses all the same."""
    story, asked = Story().open("1.001").leave(), []
    for _ in range(9):
        asked.append(story.record(Leg.EXIT).request.quantity)
        story.reject(Leg.EXIT).candle()
    whole = [D("1.001")] * RULES.protection_attempts
    assert [*whole, D("0.5"), D("0.25"), D("0.125"), D("0.062"), D("1.001"), D("0.5")] == asked


def test_when_a_half_passes_all_the_rest_is_asked_for_at_once():
    """So that a venue that refused everything for a while does not get it in crumbs."""
    story = Story().open().leave()
    for _ in range(RULES.protection_attempts + 1):
        story.reject(Leg.EXIT).candle()
    story = filled(story, "0.25")
    assert ("Submit", Leg.EXIT, D("0.75"), None) in story.asked
    assert ("Submit", Leg.EXIT, D("0.375"), None) in story.reject(Leg.EXIT).candle().asked


def test_halves_are_no_larger_than_one_order_may_be():
    story = lowered("4", "0.3").leave()
    for _ in range(RULES.protection_attempts):
        story.reject(Leg.EXIT).candle()
    assert D("0.15") == story.record(Leg.EXIT).request.quantity
