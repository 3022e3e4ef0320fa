"""The kernel: what is too little for the venue to take, and exits that find nothing to close."""

from dataclasses import replace

import pytest

from livebot.core.market import Side
from livebot.core.order import Leg
from livebot.core.signal import CloseReason
from tests.core.examples import INSTRUMENT
from tests.core.kernel_driver import RULES
from tests.core.signal_story import LEVELS, D, Story

COARSE = replace(RULES, instrument=replace(INSTRUMENT, minimum_quantity=D("0.01")))
ATTEMPTS = RULES.protection_attempts


def left(quantity: str, rules=COARSE, *, target: bool = True) -> Story:
    """A position that is being left; of one only this much is there still, and the venue refuses to close it."""
    story = Story(rules=rules).open(accepted=False).accept(Leg.STOP)
    story = (story.accept(Leg.TARGET) if target else story).leave().accept(Leg.EXIT)
    rest = D(quantity)
    story.fill(Leg.EXIT, 1 - rest, 100).end(Leg.EXIT, 1 - rest)
    assert ("Submit", Leg.EXIT, rest, None) == story.asked[-1]
    return story.reject(Leg.EXIT)


@pytest.mark.parametrize("rules", [COARSE, RULES], ids=["quantity", "notional"])
def test_dust_ends_the_signal_and_is_told(rules):
    """Below the venue's least quantity or least worth: tried a few times, one candle apart, then left there."""
    story = left("0.003", rules)
    for _ in range(ATTEMPTS - 2):
        assert ("Submit", Leg.EXIT, D("0.003"), None) in story.candle().asked
        assert [("Compare",)] == story.reject(Leg.EXIT).asked
    story.candle()
    assert ([], {("Cancel", Leg.STOP), ("Cancel", Leg.TARGET)}) == (story.said, set(story.asked))
    assert [] == story.end(Leg.STOP).end(Leg.TARGET).requests
    last = story.id_of(Leg.EXIT)
    assert ["OrderFailed", "PositionReduced", "SignalClosed"] == story.candle().said
    failed, reduced, closed = story.facts
    assert ("dust", Leg.EXIT, last) == (failed.code, failed.leg, failed.client_order_id)
    least = "0.01" if rules is COARSE else "0.001"
    assert failed.text == (
        f"0.003 BTC is less than the venue takes (at least {least}, worth 5 USDT) and stays there: sell it by hand, "
        "or dismiss it"
    )
    assert (D("0.003"), D(100), 0) == (reduced.quantity, reduced.price, reduced.exposure.open_notional)
    assert (CloseReason.OPERATOR, D(0), D(1)) == (closed.reason, closed.pnl_net, closed.quantity)
    assert story.idle


def test_dust_that_the_venue_does_take_closes_with_the_last_order():
    """Many let what only reduces be small."""
    story = Story(rules=COARSE).open().leave().accept(Leg.EXIT).fill(Leg.EXIT, "0.997", 100).end(Leg.EXIT, "0.997")
    story.fill(Leg.EXIT, "0.003", 100).end(Leg.STOP).end(Leg.TARGET)
    assert story.idle
    assert "OrderFailed" not in story.told


def test_what_is_large_enough_is_never_left_there():
    """Whatever refuses it will pass."""
    story = left("0.5")
    for _ in range(3 * ATTEMPTS):
        assert ("Submit", Leg.EXIT) in [asked[:2] for asked in story.candle().asked]
        story.reject(Leg.EXIT)
    assert ("Closing", D("0.5")) == (story.name, story.signal.position.quantity)


def test_an_entry_that_fills_by_dust_alone_comes_to_an_end_too():
    """No stop is taken for it, no exit either."""
    story = Story(rules=COARSE).enter(side=Side.SHORT).fill(Leg.ENTRY, "0.004", 100).end(Leg.ENTRY)
    for _ in range(ATTEMPTS):
        story.reject(Leg.STOP)
    assert CloseReason.UNPROTECTED is story.signal.reason
    story.reject(Leg.TARGET).reject(Leg.EXIT)
    for _ in range(ATTEMPTS - 1):
        story.candle().reject(Leg.EXIT)
    story.candle()
    assert story.idle
    assert (CloseReason.UNPROTECTED, D("0.004")) == (
        story.fact("SignalClosed").reason,
        story.fact("SignalClosed").quantity,
    )


def test_fills_that_are_still_to_come_are_waited_for():
    """What looks like dust may be gone: the stop took it before it was taken back."""
    story = left("0.003")
    for _ in range(ATTEMPTS - 2):
        story.candle().reject(Leg.EXIT)
    story.candle().end(Leg.TARGET).end(Leg.STOP, "0.003")
    assert ([], []) == (story.candle().said, story.requests)
    story.fill(Leg.STOP, "0.003", 95)
    assert story.idle
    assert "dust" not in [getattr(fact, "code", "") for fact in story.state.outbox]


def test_dust_beside_which_nothing_can_stand_is_not_protected_again():
    """The stop that was taken back for the exit stays away."""
    story = left("0.003", replace(COARSE, resting_target=False), target=False)
    while story.record(Leg.EXIT).request.attempt < ATTEMPTS:
        if story.record(Leg.STOP).status.live:
            story.end(Leg.STOP)
        story.candle().reject(Leg.EXIT)
    while story.record(Leg.STOP).status.live:
        story.end(Leg.STOP)
    assert "Submit" not in [asked[0] for asked in story.asked]
    story.candle()
    assert story.idle


def test_partial_levels_leave_no_dust():
    """Neither the part nor the rest may be worth less than the venue takes."""
    story = Story().open("0.1", exits=LEVELS).candle(102.0)  # 0.03 of 100 is 3, the least is 5
    assert ([], 1) == (story.requests, story.signal.partials_done)


def test_an_exit_that_finds_no_position_has_the_positions_compared():
    """Then it is told that it was closed outside, and the signal ends with that."""
    story = Story().open().leave().end(Leg.STOP).end(Leg.TARGET)
    assert [("Compare",)] == story.reject(Leg.EXIT).asked
    story.outside(1, 98)
    assert story.idle
    assert (CloseReason.OPERATOR, D(-2)) == (story.fact("SignalClosed").reason, story.fact("SignalClosed").pnl_net)


def test_stops_refused_because_somebody_else_had_closed_it_are_no_failure():
    """It was closed at the venue, not for want of protection."""
    story = Story().enter().fill(Leg.ENTRY, 1, 100)
    for _ in range(ATTEMPTS):
        story.reject(Leg.STOP)
    story.reject(Leg.TARGET).reject(Leg.EXIT).outside("0.5")
    assert CloseReason.UNPROTECTED is story.signal.reason
    assert CloseReason.VENUE is story.outside("0.5").fact("SignalClosed").reason


def test_an_exit_that_was_never_received_has_nothing_compared():
    """The venue said nothing about the position."""
    assert [] == Story().open().leave().lose(Leg.EXIT).miss(Leg.EXIT).requests
