"""The kernel where nothing can stand beside a stop: it closes at the market, and the stop makes room for it."""

from dataclasses import replace

import pytest

from livebot.core.exposure import protected
from livebot.core.market import Side
from livebot.core.order import Leg, OrderStatus
from livebot.core.signal import CloseReason
from tests.core.kernel_driver import RULES
from tests.core.signal_story import LEVELS, D, Story

ALONE = replace(RULES, resting_target=False)


def opened(**values) -> Story:
    """A position of one with its stop confirmed, and nothing else."""
    story = Story(rules=ALONE).enter(quantity=D(1), **values).accept(Leg.ENTRY).fill(Leg.ENTRY, 1, 100)
    assert [asked[:2] for asked in story.asked] == [("Submit", Leg.STOP)]
    return story.accept(Leg.STOP)


@pytest.mark.parametrize("side", list(Side))
def test_a_candle_that_touches_the_target_closes_at_the_market(side):
    """The stop goes first, or the venue could not take the exit."""
    story = opened(side=side)
    at = lambda value: float(100 + side.sign * (value - 100))  # noqa: E731
    assert [] == story.candle(max(at(109.9), at(101.0)), min(at(109.9), at(101.0)), at(101.0)).requests
    story.candle(max(at(110.0), at(109.0)), min(at(110.0), at(109.0)), at(109.0))
    assert [("Cancel", Leg.STOP), ("Submit", Leg.EXIT, D(1), None)] == story.asked
    assert CloseReason.TAKE_PROFIT is story.signal.reason
    story.end(Leg.STOP).accept(Leg.EXIT).fill(Leg.EXIT, 1, at(109.0))
    assert CloseReason.TAKE_PROFIT is story.fact("SignalClosed").reason
    assert story.idle


def test_a_target_from_before_is_taken_back():
    """The config may have changed while the position was open."""
    story = Story().open()
    story.rules = ALONE
    assert [("Cancel", Leg.TARGET)] == story.fill(Leg.STOP, "0.1", 95).asked
    assert [] == story.fill(Leg.STOP, "0.1", 95).requests
    assert [("Cancel", Leg.TARGET)] == story.candle().asked
    assert [] == story.end(Leg.TARGET).candle().requests


def test_a_target_from_before_makes_way_for_an_exit_as_the_stop_does():
    """Another strategy may have come to share the position: while both may close one share, no exit is sent."""
    story = Story().open()
    story.rules = ALONE
    assert [("Cancel", Leg.STOP), ("Cancel", Leg.TARGET), ("Submit", Leg.EXIT, D(1), None)] == story.leave().asked


def test_a_refused_exit_brings_the_stop_back_until_the_next_attempt():
    """Whether the stop's end is heard of before or after."""
    story = opened().leave()
    assert [("Cancel", Leg.STOP), ("Submit", Leg.EXIT, D(1), None)] == story.asked
    assert [] == story.end(Leg.STOP).requests
    assert [("Compare",), ("Submit", Leg.STOP, D(1), D(95))] == story.reject(Leg.EXIT).asked
    assert protected(story.signal, story.accept(Leg.STOP).state.orders)
    assert [("Cancel", Leg.STOP), ("Submit", Leg.EXIT, D(1), None)] == story.candle().asked
    assert [("Compare",)] == story.reject(Leg.EXIT).asked
    assert [("Submit", Leg.STOP, D(1), D(95))] == story.end(Leg.STOP).asked


def test_a_stop_that_is_refused_while_leaving_is_tried_so_often():
    """No venue can make us ask in a circle."""
    story = opened().leave().end(Leg.STOP).reject(Leg.EXIT)
    for _ in range(RULES.protection_attempts - 2):
        assert [("Submit", Leg.STOP, D(1), D(95))] == story.reject(Leg.STOP).asked
    assert [] == story.reject(Leg.STOP).requests
    assert [("Submit", Leg.EXIT, D(1), None)] == story.candle().asked


def test_an_exit_that_was_not_enough_is_followed_up_without_a_stop_beside_it():
    """The rest is on its way out."""
    story = opened().leave().end(Leg.STOP).accept(Leg.EXIT).fill(Leg.EXIT, "0.4", 99)
    assert [("Submit", Leg.EXIT, D("0.6"), None)] == story.end(Leg.EXIT, "0.4").asked
    assert [] == story.candle().requests


def test_a_partial_exit_takes_what_the_stop_leaves():
    """First the stop shrinks, then the part is sold; nothing more changes when it has filled."""
    story = opened(exits=LEVELS).candle(102.0)
    assert [("Amend", Leg.STOP, D("0.7"), D(95)), ("Submit", Leg.PARTIAL, D("0.3"), None)] == story.asked
    assert [] == story.accept(Leg.STOP).accept(Leg.PARTIAL).requests
    assert not protected(story.signal, story.state.orders)  # for a moment, and its clock runs
    assert [] == story.fill(Leg.PARTIAL, "0.1", 102).requests
    assert [] == story.fill(Leg.PARTIAL, "0.2", 102).requests
    assert protected(story.signal, story.state.orders)


def test_a_refused_partial_exit_gives_the_stop_its_quantity_back():
    """All of the position is there still."""
    story = opened(exits=LEVELS).candle(102.0).accept(Leg.STOP)
    assert [("Amend", Leg.STOP, D(1), D(95)), ("Compare",)] == story.reject(Leg.PARTIAL).asked


@pytest.mark.parametrize(
    "trouble",
    [
        lambda story: story.adjust(stop_loss=97.0),
        lambda story: story.adjust(stop_loss=97.0).reject(Leg.STOP),
        lambda story: story.end(Leg.STOP),
        lambda story: story.end(Leg.STOP).lose(Leg.STOP),
        lambda story: story.end(Leg.STOP, 1, OrderStatus.FILLED),
    ],
    ids=["being changed", "asked about", "not there yet", "in the dark", "traded"],
)
def test_a_partial_exit_waits_until_the_stop_can_make_room(trouble):
    """It is not passed over: the next candle takes it."""
    story = opened(exits=LEVELS)
    trouble(story)
    story.candle(102.0)
    assert Leg.PARTIAL not in [asked[1] for asked in story.asked]
    assert 0 == story.signal.partials_done


def test_a_level_too_small_to_trade_leaves_the_stop_alone():
    """It counts as done."""
    story = Story(rules=ALONE).enter(quantity=D("0.002"), exits=LEVELS).fill(Leg.ENTRY, "0.002", 100)
    assert [] == story.accept(Leg.STOP).candle(102.0).requests
    assert 1 == story.signal.partials_done
