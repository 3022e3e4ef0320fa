"""The kernel where a venue changes no stop in place: the next one stands before the last one is taken back."""

from dataclasses import replace
from typing import Any

import pytest

from livebot.core.exposure import protected
from livebot.core.inputs import OrderAbsent, OrderAccepted, OrderEnded, OrderRejected, Submit
from livebot.core.order import REPEATED_FROM, Leg, OrderRecord, OrderStatus
from livebot.core.signal import CloseReason, Open
from tests.core.kernel_driver import RULES
from tests.core.signal_story import LIMIT, TRAILING, D, Story

REPLACING = replace(RULES, replaces_stops=True)
MOVED = ("Submit", Leg.STOP, D(1), D("101.92"))


def opened(**values: Any) -> Story:
    return Story(rules=REPLACING).open(**values)


def moved() -> Story:
    """The next stop is on its way beside the first."""
    story = opened(exits=TRAILING).candle(104.0)
    assert [MOVED] == story.asked
    return story


def stops(story: Story) -> list[OrderRecord]:
    return [record for record in story.state.orders if record.request.leg is Leg.STOP]


def cancelled(story: Story) -> list[str]:
    return [request.client_order_id for request in story.requests if not isinstance(request, Submit)]


def first_ends(story: Story, filled: int = 0) -> Story:
    status = OrderStatus.FILLED if filled else OrderStatus.CANCELED
    event = OrderEnded(
        client_order_id=stops(story)[0].request.client_order_id, status=status, filled=D(filled), ts_ms=story.ts_ms
    )
    return story.feed(event)


def test_the_old_stop_is_taken_back_once_the_venue_has_confirmed_the_new_one():
    """Between the two the position is protected at every instant."""
    story = moved()
    first, second = stops(story)
    assert (first.status, first.confirmed, first.cancel_requested) == (OrderStatus.WORKING, True, False)
    assert protected(story.signal, story.state.orders)
    story.accept(Leg.STOP)
    assert [first.request.client_order_id] == cancelled(story)
    assert protected(story.signal, story.state.orders)
    assert 1 == story.signal.stops_replaced
    first_ends(story)
    assert ([second.request.client_order_id], []) == (
        [record.request.client_order_id for record in stops(story)],
        story.requests,
    )
    assert [] == story.accept(Leg.STOP, later_ms=2_000).requests


@pytest.mark.parametrize("how", ["reject", "miss"])
def test_a_new_stop_that_does_not_come_leaves_the_old_one_and_is_tried_again_with_the_next_candle(how):
    """What was just refused would be refused again."""
    story = moved()
    getattr(story, how)(Leg.STOP)
    assert ([], ["OrderFailed"]) == (story.requests, story.said)
    (first, _) = stops(story)
    assert (first.status, first.cancel_requested) == (OrderStatus.WORKING, False)
    assert protected(story.signal, story.state.orders)
    assert [MOVED] == story.candle(103.0).asked
    story.accept(Leg.STOP)
    assert [first.request.client_order_id] == cancelled(story)
    assert story.record(Leg.STOP).request.attempt == 3


def test_while_nobody_knows_what_became_of_the_new_stop_there_is_no_third():
    """It may be there already."""
    story = moved().lose(Leg.STOP)
    assert [] == story.candle(105.0, close=104.5).requests
    assert ["Open"] == [type(story.signal).__name__]
    assert D("102.90") == story.signal.stop_loss
    story.accept(Leg.STOP)  # found; by now another one is wanted
    assert [("Cancel", Leg.STOP), ("Submit", Leg.STOP, D(1), D("102.90"))] == story.asked


def test_a_crash_between_the_two_is_followed_by_the_newer_one_standing_alone():
    """All that a restart has is what was saved: the first one working, the second one intended."""
    story = Story(moved().state, REPLACING)
    first, second = stops(story)
    for record in (first, second):
        request = record.request
        story.feed(
            OrderAccepted(
                client_order_id=request.client_order_id,
                venue_order_id="v",
                quantity=request.quantity,
                price=None,
                trigger_price=request.trigger_price,
                ts_ms=story.ts_ms + 9_000,
            )
        )
    assert [first.request.client_order_id] == cancelled(story)
    asked_again = OrderAccepted(
        client_order_id=first.request.client_order_id,
        venue_order_id="v",
        quantity=D(1),
        price=None,
        trigger_price=D(95),
        ts_ms=story.ts_ms + 20_000,
    )
    assert [first.request.client_order_id] == cancelled(story.feed(asked_again))  # it had not been taken back
    assert [] == first_ends(story).requests
    assert protected(story.signal, story.state.orders)


def test_both_stops_trading_at_once_close_no_more_than_there_is_and_count_once():
    """The venue lets the second one reduce nothing."""
    story = moved()
    first, second = stops(story)
    trade = story.trade(first.request, 1, 95)
    story.feed(trade)
    assert ("Closing", CloseReason.TRAILING_STOP) == (story.name, story.signal.reason)
    assert {Leg.STOP, Leg.TARGET} == {leg for _, leg in story.asked}
    story.feed(trade)
    assert story.signal.position.exit_quantity == 1
    story.feed(
        OrderRejected(
            client_order_id=second.request.client_order_id, code="-2022", text="reduce-only", ts_ms=story.ts_ms
        )
    )
    assert story.end(Leg.TARGET).idle


def test_a_stop_that_is_too_small_is_followed_by_a_larger_one_at_once():
    """And the smaller one stays until that one stands."""
    slow = replace(REPLACING, amend_interval_ms=90_000)
    story = Story(rules=slow).enter(**LIMIT).accept(Leg.ENTRY).fill(Leg.ENTRY, "0.2", 99).accept(Leg.STOP)
    assert ("Submit", Leg.STOP, D("0.4"), D("94.05")) in story.fill(Leg.ENTRY, "0.2", 99).asked
    assert not protected(story.signal, story.state.orders)
    story.accept(Leg.STOP)
    assert [("Cancel", Leg.STOP)] == story.asked
    assert protected(story.signal, story.state.orders)
    assert ("Submit", Leg.STOP, D("0.6"), D("94.05")) in story.fill(Leg.ENTRY, "0.2", 99).asked
    story.reject(Leg.STOP)
    assert ("Submit", Leg.STOP, D("0.6"), D("94.05")) in story.asked  # it cannot wait for a candle
    story.reject(Leg.STOP)
    assert ("Submit", Leg.STOP, D("0.6"), D("94.05")) in story.asked
    story.reject(Leg.STOP)
    assert [] == [each for each in story.asked if each[1] is Leg.STOP]  # as often as a stop may be placed
    assert isinstance(story.signal, Open)  # the clock of a position that lacks its stop runs


def test_a_stop_moves_once_in_the_interval_counted_from_when_the_last_one_was_placed():
    """The first move of all waits for nothing."""
    story = Story(rules=replace(REPLACING, amend_interval_ms=90_000)).open(exits=TRAILING).candle(104.0)
    assert [MOVED] == story.asked
    story.accept(Leg.STOP)
    first_ends(story)
    assert [] == story.candle(105.0, close=104.5).requests
    assert [("Submit", Leg.STOP, D(1), D("103.88"))] == story.candle(106.0, close=105.5).asked


def test_a_larger_stop_stays_beside_a_new_one_that_does_not_cover_all():
    """The position shrank, and grew again before the venue had the smaller one."""
    story = Story(rules=REPLACING).enter(**LIMIT).accept(Leg.ENTRY).fill(Leg.ENTRY, "0.6", 99)
    story.accept(Leg.STOP).accept(Leg.TARGET).fill(Leg.TARGET, "0.3", 105)
    assert ("Submit", Leg.STOP, D("0.3"), D("94.05")) in story.asked
    story.fill(Leg.ENTRY, "0.2", 99)
    assert [] == [each for each in story.asked if each[1] is Leg.STOP]
    story.accept(Leg.STOP)
    assert [("Submit", Leg.STOP, D("0.5"), D("94.05"))] == story.asked
    story.accept(Leg.STOP)
    assert [("Cancel", Leg.STOP)] * 2 == story.asked
    assert 2 == story.signal.stops_replaced


def test_however_often_a_stop_moved_it_may_be_refused_as_often_as_the_first():
    """Moves are no failures; but a stop that the venue drops again and again is."""
    story = opened(exits=TRAILING)
    for price in (104.0, 105.0, 106.0, 107.0):
        story.candle(price, close=price - 0.5).accept(Leg.STOP)
        first_ends(story)
    assert 4 == story.signal.stops_replaced
    for _ in range(RULES.protection_attempts - 1):
        story.end(Leg.STOP)
        assert "Submit" == story.asked[0][0]
    story.end(Leg.STOP)
    assert ("Closing", CloseReason.UNPROTECTED) == (story.name, story.signal.reason)


def test_an_old_stop_that_could_not_be_taken_back_is_taken_back_with_the_next_candle():
    """The word that it has gone may have been lost as well."""
    story = moved().accept(Leg.STOP)
    assert [("Cancel", Leg.STOP)] == story.candle(103.0).asked
    first_ends(story)
    assert [] == story.candle(103.0).requests


def test_when_few_ids_are_left_a_stop_is_changed_under_its_own():
    """A position may be open for weeks."""
    story = moved().accept(Leg.STOP)
    first_ends(story)
    record = story.record(Leg.STOP)
    number = f"{REPEATED_FROM:02x}"
    request = replace(
        record.request, attempt=REPEATED_FROM, client_order_id=record.request.client_order_id[:-2] + number
    )
    orders = (*(each for each in story.state.orders if each is not record), replace(record, request=request))
    story.state = replace(story.state, orders=orders)
    assert [("Amend", Leg.STOP, D(1), D("102.90"))] == story.candle(105.0, close=104.5).asked
    assert [] == story.accept(Leg.STOP).requests
    assert protected(story.signal, story.state.orders)


def test_a_stop_that_the_venue_shows_otherwise_than_it_was_asked_for_is_replaced():
    """Whoever changed it."""
    story = opened()
    story.accept(Leg.STOP, trigger_price=D(90), later_ms=5_000)
    assert [("Submit", Leg.STOP, D(1), D(95))] == story.asked
    story.accept(Leg.STOP)
    assert [("Cancel", Leg.STOP)] == story.asked
    story = opened()
    assert [] == story.accept(Leg.STOP, trigger_price=D(90), later_ms=500).requests  # that may be older
    assert [("Submit", Leg.STOP, D(1), D(95))] == story.candle().asked


def test_a_new_stop_that_the_venue_has_otherwise_takes_the_place_of_none():
    """Only what it was asked for as it is proves that the older one is needless."""
    story = moved().accept(Leg.STOP, trigger_price=D(90))
    assert [MOVED] == story.asked
    story.accept(Leg.STOP)
    assert [("Cancel", Leg.STOP)] * 2 == story.asked


def test_while_leaving_the_stop_stays_and_a_late_entry_has_one_too():
    """All were being taken back when more was bought."""
    story = Story(rules=REPLACING).enter(**LIMIT).accept(Leg.ENTRY).fill(Leg.ENTRY, "0.2", 99)
    story.accept(Leg.STOP).accept(Leg.TARGET).leave()
    assert ("Submit", Leg.EXIT, D("0.2"), None) in story.asked
    story.accept(Leg.EXIT).fill(Leg.EXIT, "0.2", 99)
    assert ("Cancel", Leg.STOP) in story.asked
    story.fill(Leg.ENTRY, "0.3", 99)
    assert {("Submit", Leg.EXIT, D("0.3"), None), ("Submit", Leg.STOP, D("0.3"), D("94.05"))} <= set(story.asked)
    absent = OrderAbsent(client_order_id=story.id_of(Leg.STOP), ts_ms=story.ts_ms)
    assert story.feed(absent).name == "Closing"


class TestWhatIsUnderWay:
    """What is being taken back already."""

    def test_an_order_of_unknown_fate_is_not_asked_back_with_each_candle(self):
        """It is being asked for, and is asked back when it is found."""
        story = Story().enter().accept(Leg.ENTRY).fill(Leg.ENTRY, 1, 100).accept(Leg.STOP).lose(Leg.TARGET)
        story.fill(Leg.STOP, 1, 95)
        assert [("Cancel", Leg.TARGET)] == story.asked
        assert [] == story.candle(95.0).requests
        assert [("Cancel", Leg.TARGET)] == story.accept(Leg.TARGET).asked
        assert [("Cancel", Leg.TARGET)] == story.candle(95.0).asked
        assert story.end(Leg.TARGET).idle
