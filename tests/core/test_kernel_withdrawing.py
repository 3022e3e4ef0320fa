"""The kernel: what becomes of entries when trading is not ACTIVE any more."""

from dataclasses import replace

import pytest

from livebot.core.exposure import awaits_entry
from livebot.core.order import Leg, OrderStatus
from livebot.core.signal import CancelReason, Idle
from tests.core.signal_story import AVERAGING, CLOSING, LIMIT, OPEN, OPENING, SCHEDULED, D, Story, entered


def awaits(story: Story) -> bool:
    """Whether something may still open that nobody has taken back."""
    return awaits_entry(story.state.signal, story.state.orders)


@pytest.mark.parametrize("state", [SCHEDULED, OPENING])
def test_an_entry_that_has_not_filled_is_taken_back(state):
    """Once; and its end names the trading state as the reason."""
    story = Story(state).accept(Leg.ENTRY)
    assert awaits(story)
    story.withdraw()
    assert story.asked == [("Cancel", Leg.ENTRY)]
    assert not awaits(story)
    assert story.withdraw().asked == []
    story.end(Leg.ENTRY)
    assert story.idle
    assert story.fact("EntryCancelled").reason is CancelReason.TRADING_STATE


def test_an_entry_that_waits_to_be_sent_again_is_given_up_at_once():
    """Nothing of it lives at the venue."""
    present = Story(SCHEDULED)
    refused = replace(present.record(Leg.ENTRY), status=OrderStatus.REJECTED)
    # as after a refusal of an entry that must not take
    story = Story(replace(SCHEDULED, signal=replace(present.signal, waiting=True), orders=(refused,)))
    assert awaits(story)
    story.withdraw()
    assert isinstance(story.signal, Idle)
    assert story.fact("EntryCancelled").reason is CancelReason.TRADING_STATE


def test_an_entry_that_fills_before_the_venue_hears_of_it_is_managed_on():
    """REDUCING closes nothing that is open: it gets its stop and target as ever."""
    story = entered(**LIMIT).withdraw().fill(Leg.ENTRY, 1, 99)
    assert story.name == "Open"
    assert {("Submit", Leg.STOP), ("Submit", Leg.TARGET)} == {asked[:2] for asked in story.asked}


def test_what_has_not_filled_of_an_open_position_is_taken_back_and_the_position_stays():
    """Stop and target are for what there is."""
    story = entered(**LIMIT).fill(Leg.ENTRY, "0.4", 99)
    story.accept(Leg.STOP).accept(Leg.TARGET)
    assert awaits(story)
    assert story.withdraw().asked == [("Cancel", Leg.ENTRY)]
    assert not awaits(story)
    assert (story.name, story.withdraw().asked) == ("Open", [])
    story.end(Leg.ENTRY)
    assert (story.name, story.signal.position.quantity) == ("Open", D("0.4"))


def test_an_averaging_order_is_taken_back():
    story = Story().open(exits=AVERAGING).candle(98.0)
    (request,) = story.requests
    story.admit(request.candidate).accept(Leg.AVERAGE)
    assert awaits(story)
    assert story.withdraw().asked == [("Cancel", Leg.AVERAGE)]
    assert not awaits(story)


@pytest.mark.parametrize("state", [Story().state, OPEN, CLOSING])
def test_nothing_else_is_touched(state):
    """No position is closed, no stop is taken back."""
    story = Story(state)
    assert not awaits(story)
    story.withdraw()
    assert (story.state, story.asked, story.said) == (state, [], [])
