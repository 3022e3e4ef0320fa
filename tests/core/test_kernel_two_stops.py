"""The kernel that finds two stops of a signal where one is changed in place: it was otherwise when they were placed.

Another strategy may have come to share the position, whose share a second stop could close.
"""

from dataclasses import replace

import pytest

from livebot.core.exposure import protected
from livebot.core.inputs import OrderAccepted, OrderEnded
from livebot.core.order import Leg, OrderRecord, OrderStatus
from livebot.core.rules import sharing_a_position
from livebot.core.signal import CloseReason
from tests.core.kernel_driver import RULES
from tests.core.signal_story import LEVELS, TRAILING, D, Story

REPLACING = replace(RULES, replaces_stops=True)
SHARING = sharing_a_position(REPLACING)
EXIT = ("Submit", Leg.EXIT, D(1), None)


def stops(story: Story) -> list[OrderRecord]:
    return [record for record in story.state.orders if record.request.leg is Leg.STOP]


def taken_back(story: Story) -> list[str]:
    """Ids of what was asked back with the last input, but for the target."""
    ids = [request.client_order_id for request in story.requests if type(request).__name__ == "Cancel"]
    return [order_id for order_id in ids if order_id != story.id_of(Leg.TARGET)]


def two_stops() -> Story:
    """The next one was placed and its answer lost, and now another strategy shares the position."""
    story = Story(rules=REPLACING).open(exits=TRAILING).candle(104.0).lose(Leg.STOP)
    assert 2 == len(stops(story))
    return Story(story.state, SHARING)


def test_the_older_stop_is_taken_back_as_soon_as_the_newer_one_is_confirmed():
    """Not before: nobody knows whether the newer one is there."""
    story = two_stops().candle(103.0)
    older, newer = stops(story)
    assert [] == taken_back(story)
    story.accept(Leg.STOP)
    assert [older.request.client_order_id] == taken_back(story)
    assert protected(story.signal, story.state.orders)
    assert [newer.request.client_order_id] == [
        record.request.client_order_id for record in stops(story) if not record.cancel_requested
    ]


def test_the_older_stop_stays_if_the_newer_one_never_came():
    """It is all there is, and follows the position from now on."""
    story = two_stops()
    older, _ = stops(story)
    story.miss(Leg.STOP)
    assert [] == taken_back(story)
    assert [("Amend", Leg.STOP, D(1), D("101.92"))] == [asked for asked in story.asked if asked[0] == "Amend"]
    assert [older.request.client_order_id] == [
        record.request.client_order_id for record in stops(story) if record.status.live
    ]


def test_one_that_was_found_with_a_candle_only_is_followed_likewise_and_asked_for_again():
    """A start may find both confirmed; and what was sent to take one back may be lost."""
    story = two_stops()
    story.rules = RULES  # nothing follows from the news
    older, _ = stops(story.accept(Leg.STOP))
    story.rules = SHARING
    for _ in range(2):
        assert [older.request.client_order_id] == taken_back(story.candle(103.0))
    assert story.signal.stops_replaced == 1


def test_a_newer_stop_that_is_for_less_leaves_the_older_one_until_it_has_grown():
    """Between the two the position would be without a stop for a part of it."""
    story = two_stops().accept(Leg.STOP, quantity=D("0.5"))
    assert [("Amend", Leg.STOP, D(1), D("101.92"))] == story.asked
    assert [stops(story)[0].request.client_order_id] == taken_back(story.accept(Leg.STOP))


def test_both_make_way_for_an_exit():
    """While either may close the share, none is sent."""
    story = two_stops().accept(Leg.STOP).candle(103.0)
    story.leave(CloseReason.OPERATOR)
    assert EXIT in story.asked
    assert {record.request.client_order_id for record in stops(story)} == set(taken_back(story))
    story = two_stops().leave()
    assert {record.request.client_order_id for record in stops(story)} == set(taken_back(story))


def test_no_part_is_sold_beside_two_stops():
    """It is not passed over: it waits until one is left."""
    story = Story(rules=REPLACING).open(exits=LEVELS)
    story.adjust(price=101, stop_loss=97.0).accept(Leg.STOP)  # now the first one is being taken back
    story = Story(story.state, SHARING)
    assert 2 == len(stops(story))
    assert Leg.PARTIAL not in [asked[1] for asked in story.candle(102.0).asked]
    assert 0 == story.signal.partials_done


@pytest.mark.parametrize("replaced", [1, 2, 5])
def test_stops_that_were_replaced_are_no_attempts_that_failed(replaced):
    """However many there were before, one that the venue drops is placed anew."""
    story = Story(rules=REPLACING).open()
    for number in range(replaced):
        story.candle().adjust(stop_loss=96.0 + number / 2).accept(Leg.STOP)
    assert story.signal.stops_replaced == replaced
    story.rules = SHARING
    story.end(Leg.STOP, status=OrderStatus.CANCELED)
    for record in stops(story):
        if record.status.live:
            name, ended = record.request.client_order_id, OrderStatus.CANCELED
            story.feed(OrderEnded(client_order_id=name, status=ended, filled=D(0), ts_ms=story.ts_ms))
    assert ("Open", OrderStatus.INTENDED) == (story.name, story.status(Leg.STOP))


def test_a_stop_that_was_taken_back_is_not_asked_back_again_while_its_successor_is_in_doubt():
    """The answer to the first asking was lost, and it may be all that protects the position."""
    story = Story(rules=REPLACING).open(exits=TRAILING).candle(104.0).accept(Leg.STOP)
    older, _ = stops(story)
    assert [older.request.client_order_id] == taken_back(story)
    story.miss(Leg.STOP)
    assert "Submit" in {asked[0] for asked in story.asked}  # the next successor
    story.feed(shown(story, older))
    assert [] == taken_back(story)
    story.candle(103.5)
    assert [] == taken_back(story)
    story.accept(Leg.STOP)
    story.candle(103.5)
    assert [older.request.client_order_id] == taken_back(story)


def shown(story: Story, record: OrderRecord) -> OrderAccepted:
    """The venue shows a stop long after it was asked back."""
    request = record.request
    return OrderAccepted(
        client_order_id=request.client_order_id,
        venue_order_id="older",
        quantity=request.quantity,
        price=None,
        trigger_price=request.trigger_price,
        ts_ms=story.ts_ms + 60_000,
    )
