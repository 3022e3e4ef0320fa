"""The kernel: how often stop and target are changed at most."""

from dataclasses import replace

import pytest

from livebot.core.exposure import protected
from livebot.core.market import MINUTE_MS, Side
from livebot.core.order import Leg
from tests.core.kernel_driver import RULES
from tests.core.signal_story import LIMIT, TRAILING, D, Story

SLOW = replace(RULES, amend_interval_ms=90_000)


def trailing() -> Story:
    """The stop was moved by the first candle, and the venue has confirmed it."""
    story = Story(rules=SLOW).open(exits=TRAILING).candle(104.0)
    assert [("Amend", Leg.STOP, D(1), D("101.92"))] == story.asked
    return story.accept(Leg.STOP)


def test_a_stop_moves_once_in_the_interval_and_then_to_the_newest_wish():
    """What was wished for in between is never sent."""
    story = trailing()
    assert [] == story.candle(105.0, close=104.5).requests
    assert (["StopMoved"], D("102.90")) == (story.said, story.signal.stop_loss)
    assert [("Amend", Leg.STOP, D(1), D("103.88"))] == story.candle(106.0, close=105.5).asked
    assert 3 * MINUTE_MS == story.record(Leg.STOP).amended_ms


def test_a_stop_that_waits_to_be_moved_still_protects():
    """It stands at the venue as it was last asked for; a crash and a report of it change nothing."""
    story = trailing().candle(105.0, close=104.5)
    assert protected(story.signal, story.state.orders)
    before = story.state
    assert before is story.accept(Leg.STOP, later_ms=5_000).state
    assert story.record(Leg.STOP).request.trigger_price == D("101.92")


def test_a_stop_that_is_too_small_is_changed_at_once():
    """And takes the newest price along; the target waits."""
    story = Story(rules=SLOW).enter(exits=TRAILING, **LIMIT).accept(Leg.ENTRY).fill(Leg.ENTRY, "0.2", 99)
    story.accept(Leg.STOP).accept(Leg.TARGET)
    assert [("Amend", Leg.STOP, D("0.4"), D("94.05")), ("Amend", Leg.TARGET, D("0.4"), D("108.9"))] == story.fill(
        Leg.ENTRY, "0.2", 99
    ).asked
    story.accept(Leg.STOP).accept(Leg.TARGET)
    assert [("Amend", Leg.STOP, D("0.6"), D("94.05"))] == story.fill(Leg.ENTRY, "0.2", 99).asked
    assert D("0.4") == story.record(Leg.TARGET).request.quantity


def test_the_target_follows_when_the_interval_has_passed():
    """To the quantity that is there by then."""
    story = Story(rules=SLOW).enter(**LIMIT).accept(Leg.ENTRY).fill(Leg.ENTRY, "0.2", 99)
    story.accept(Leg.STOP).accept(Leg.TARGET)
    for quantity in ("0.2", "0.3"):
        story.fill(Leg.ENTRY, quantity, 99).accept(Leg.STOP)
        if quantity == "0.2":
            story.accept(Leg.TARGET)
    assert D("0.4") == story.record(Leg.TARGET).request.quantity
    assert [] == story.candle(99.0).requests
    assert [("Amend", Leg.TARGET, D("0.7"), D("108.9"))] == story.candle(99.0).asked


def test_a_stop_larger_than_the_position_waits():
    """It can only reduce what is there."""
    story = trailing()
    assert [] == [asked for asked in story.fill(Leg.TARGET, "0.4", 110).asked if asked[1] is Leg.STOP]
    assert protected(story.signal, story.state.orders)
    story.candle(104.0, close=103.0)
    assert [("Amend", Leg.STOP, D("0.6"), D("101.92"))] == story.candle(104.0, close=103.0).asked


def test_a_change_that_was_lost_is_repeated_whatever_the_interval():
    """It did not happen; the position would be without the stop that it should have."""
    story = Story(rules=SLOW).open(exits=TRAILING).candle(104.0).lose(Leg.STOP)
    assert [("Amend", Leg.STOP, D(1), D("101.92"))] == story.accept(Leg.STOP, trigger_price=D(95), later_ms=1_000).asked


def test_news_older_than_the_last_change_count_as_of_then():
    """The venue's time of a fill may be."""
    story = trailing()
    story.ts_ms = 30_000
    assert [] == [asked for asked in story.adjust(price=104, stop_loss=103.0).asked if asked[1] is Leg.STOP]


@pytest.mark.parametrize("side", list(Side))
def test_without_an_interval_every_wish_is_sent(side):
    """As it comes, also when news are older than the last change."""
    story = Story().open(side=side)
    for distance in (4, 3, 2):
        wanted = 100 - side.sign * distance
        assert [("Amend", Leg.STOP, D(1), D(wanted))] == story.adjust(stop_loss=float(wanted)).asked
        story.accept(Leg.STOP)
        story.ts_ms -= 1_000
