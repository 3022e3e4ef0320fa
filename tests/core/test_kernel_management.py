"""The kernel: what candles and the strategy change about an open signal."""

import pytest

from livebot.core.market import MINUTE_MS, Side
from livebot.core.order import Leg, OrderStatus
from livebot.core.signal import CloseReason
from tests.core.kernel_driver import raises_and_changes_nothing
from tests.core.signal_story import (
    AVERAGING,
    BREAK_EVEN,
    LEVELS,
    LIMIT,
    STATES,
    TRAILING,
    D,
    Story,
    entered,
)

# Management by candles


@pytest.mark.parametrize("side", list(Side))
def test_the_stop_trails_the_best_price_and_never_goes_back(side):
    """2 % behind the best price, once 1 % was gained."""
    at = lambda value: float(100 + side.sign * (value - 100))  # noqa: E731
    story = Story().open(side=side, exits=TRAILING)
    extreme = lambda best, close: story.candle(max(at(best), at(close)), min(at(best), at(close)), at(close))  # noqa: E731
    assert [] == extreme(100.9, 100.5).requests
    extreme(104.0, 103.0)
    assert (["StopMoved"], "trailing") == (story.said, story.facts[0].cause)
    moved = story.signal.stop_loss
    assert [("Amend", Leg.STOP, D(1), moved)] == story.asked
    assert moved == (D("101.92") if side is Side.LONG else D("97.92"))
    assert [] == story.accept(Leg.STOP).accept(Leg.STOP).requests
    assert [] == extreme(103.0, 102.5).requests
    assert moved == story.signal.stop_loss
    story.fill(Leg.STOP, 1, moved)
    assert CloseReason.TRAILING_STOP is story.signal.reason


def test_the_stop_moves_to_break_even():
    """A little above the entry price, once."""
    story = Story().open(exits=BREAK_EVEN).candle(102.0, 101.0)
    assert (D("100.10"), "break_even") == (story.signal.stop_loss, story.facts[0].cause)
    assert [] == story.accept(Leg.STOP).candle(103.0, 102.0).requests


def test_a_candle_that_began_before_the_fill_moves_nothing():
    """Its high may be older than the position; what is not confirmed is still repeated."""
    story = entered(exits=TRAILING)
    story.ts_ms = 30_000
    story.fill(Leg.ENTRY, 1, 100).accept(Leg.STOP, quantity=D(2))
    story.ts_ms = 0
    story.candle(120.0)
    assert (D(95), [("Amend", Leg.STOP, D(1), D(95))]) == (story.signal.stop_loss, story.asked)


def test_a_price_that_fell_through_the_new_stop_closes_the_position():
    """A venue would refuse such a stop."""
    story = Story().open(exits=TRAILING).candle(108.0, 103.0, 104.0)
    assert ("Closing", CloseReason.TRAILING_STOP) == (story.name, story.signal.reason)
    assert [("Submit", Leg.EXIT, D(1), None)] == story.asked


def test_partial_levels_are_taken_in_turn():
    """Each once, of the entered quantity, at the market; the last part is the target's."""
    story = Story().open(exits=LEVELS)
    assert [("Submit", Leg.PARTIAL, D("0.3"), None)] == story.candle(102.0).asked
    assert [] == story.candle(105.0).requests  # one at a time
    assert (1, []) == (story.signal.partials_done, story.accept(Leg.PARTIAL).requests)
    story.fill(Leg.PARTIAL, "0.3", 102)
    assert [("Amend", Leg.STOP, D("0.7"), D(95)), ("Amend", Leg.TARGET, D("0.7"), D(110))] == story.asked
    story.accept(Leg.STOP).accept(Leg.TARGET)
    assert [("Submit", Leg.PARTIAL, D("0.3"), None)] == story.candle(104.0).asked
    assert 2 == story.record(Leg.PARTIAL).request.attempt
    story.fill(Leg.PARTIAL, "0.3", 104).accept(Leg.STOP).accept(Leg.TARGET)
    assert [] == story.candle(106.0).requests


def test_levels_jumped_over_are_taken_together():
    """By one order."""
    story = Story().open(exits=LEVELS).candle(105.0)
    assert ([("Submit", Leg.PARTIAL, D("0.6"), None)], 2) == (story.asked, story.signal.partials_done)


def test_a_level_too_small_to_trade_is_passed_over():
    """It counts as done; the target closes it with the rest."""
    story = Story().open("0.002", exits=LEVELS).candle(102.0)
    assert ([], 1) == (story.requests, story.signal.partials_done)


def test_a_refused_partial_exit_is_told_and_the_position_goes_on():
    """The target closes that part too, if it is there: that is asked."""
    story = Story().open(exits=LEVELS).candle(102.0).reject(Leg.PARTIAL)
    assert ("Open", ["OrderFailed"], [("Compare",)]) == (story.name, story.said, story.asked)


def test_averaging_is_asked_for_only_at_a_better_price_than_the_running_entry():
    """By the step; below the stop never."""
    assert [] == Story().open(exits=AVERAGING).candle(98.1).requests
    assert [] == Story().open(exits=AVERAGING).candle(95.0).requests
    story = Story().open(exits=AVERAGING).candle(98.0)
    assert [("AskAdmission", Leg.AVERAGE, D("0.5"), D("98.0"))] == story.asked
    candidate = story.requests[0].candidate
    assert (None, D(49), D("1.5"), Side.LONG) == (candidate.signal, candidate.notional, candidate.risk, candidate.side)
    assert 0 == story.signal.averaged


def test_averaging_that_is_not_admitted_leaves_no_trace():
    """The same question comes with the next candle."""
    story = Story().open(exits=AVERAGING)
    before = story.state
    assert before is story.candle(98.0).state
    assert story.asked == story.candle(98.0).asked


def test_admitted_averaging_adds_and_the_orders_follow():
    """Once, because the plan says so."""
    story = Story().open(exits=AVERAGING).candle(98.0)
    story.admit(story.requests[0].candidate)
    assert ([("Submit", Leg.AVERAGE, D("0.5"), None)], 1) == (story.asked, story.signal.averaged)
    assert [] == story.accept(Leg.AVERAGE).candle(97.9).requests
    story.fill(Leg.AVERAGE, "0.5", 98)
    assert ["PositionIncreased"] == story.said
    assert [("Amend", Leg.STOP, D("1.5"), D(95)), ("Amend", Leg.TARGET, D("1.5"), D(110))] == story.asked
    assert [] == story.accept(Leg.STOP).accept(Leg.TARGET).candle(95.5).requests


def test_averaging_admitted_twice_is_refused():
    """The second would carry a used id."""
    story = Story().open(exits=AVERAGING).candle(98.0)
    admission = Story.admission(story.requests[0].candidate)
    story.feed(admission)
    assert raises_and_changes_nothing(story.state, admission)


def test_averaging_that_the_venue_refuses_is_told():
    """So that the portfolio lets go of what it kept for it."""
    story = Story().open(exits=AVERAGING).candle(98.0)
    story.admit(story.requests[0].candidate).reject(Leg.AVERAGE)
    assert (["OrderFailed"], Leg.AVERAGE) == (story.said, story.facts[0].leg)
    assert 0 == story.facts[0].exposure.pending_notional


@pytest.mark.parametrize(
    "what",
    [
        lambda: entered(exits=AVERAGING).fill(Leg.ENTRY, "0.9", 100).accept(Leg.STOP),
        lambda: Story().open(accepted=False, exits=AVERAGING),
        lambda: Story().open(exits=AVERAGING).fill(Leg.TARGET, "0.5", 110),
        lambda: Story().open(exits=AVERAGING).end(Leg.STOP, 1, OrderStatus.FILLED),
    ],
    ids=["entry not done", "stop not confirmed", "stop too large is fine, unconfirmed is not", "stop has traded"],
)
def test_nothing_is_added_to_what_is_not_in_order(what):
    """No averaging while the entry still fills, without a confirmed stop, or to what is being closed."""
    assert "AskAdmission" not in [asked[0] for asked in what().candle(98.0).asked]


def test_a_position_is_closed_when_its_time_is_over():
    """Counted from the first fill; the rest of the entry is called back too."""
    story = entered(lifetime_ms=2 * MINUTE_MS, **LIMIT).fill(Leg.ENTRY, "0.5", 99).accept(Leg.STOP).accept(Leg.TARGET)
    assert [] == story.candle().requests
    story.candle()
    assert [("Cancel", Leg.ENTRY), ("Submit", Leg.EXIT, D("0.5"), None)] == story.asked
    assert CloseReason.TIME_EXPIRED is story.signal.reason


# What the strategy wants of an open signal


@pytest.mark.parametrize("side", list(Side))
def test_the_strategy_can_tighten_stop_and_target(side):
    """On ticks, with a fact each, and the venue's orders follow."""
    at = lambda value: float(100 + side.sign * (value - 100))  # noqa: E731
    story = Story().open(side=side).adjust(stop_loss=at(97.003), take_profit=at(105.0))
    assert ["StopMoved", "TargetMoved"] == story.said
    assert ("strategy", True) == (story.facts[0].cause, story.signal.stop_trails)
    assert [("Amend", Leg.STOP, D(1), D(str(at(97.0)))), ("Amend", Leg.TARGET, D(1), D(str(at(105.0))))] == story.asked


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"stop_loss": 94.0},
        {"take_profit": 111.0},
        {"stop_loss": 100.0},
        {"stop_loss": 101.0},
        {"take_profit": 100.0},
        {"take_profit": 99.0},
        {"stop_loss": float("nan"), "take_profit": float("inf")},
    ],
)
def test_what_would_loosen_or_trade_at_once_is_ignored(side, values):
    """And so is what is no price."""
    story = Story().open(side=side)
    before = story.state
    mirrored = {name: 100 + side.sign * (value - 100) for name, value in values.items()}
    assert before is story.adjust(**mirrored).state
    assert [] == story.requests


def test_a_tightened_target_alone_does_not_make_a_trailing_stop():
    """The stop is where it was."""
    assert not Story().open().adjust(take_profit=105.0).signal.stop_trails


@pytest.mark.parametrize("name", ["Scheduled", "Opening", "Closing"])
def test_only_an_open_signal_can_be_adjusted(name):
    """The strategy may have seen an older state."""
    story = Story(STATES[name])
    assert STATES[name] is story.adjust(stop_loss=99.0, close=True).state
