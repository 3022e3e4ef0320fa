"""The kernel: limit entries that go after the price, and entries that must not take."""

from dataclasses import replace

import pytest

from livebot.core.candidate import Candidate, Refused
from livebot.core.exposure import exposure_of, protected
from livebot.core.inputs import CandleClosed
from livebot.core.kernel import step
from livebot.core.market import MINUTE_MS, Candle, Side
from livebot.core.order import MOST_ATTEMPTS, Leg, OrderKind, OrderStatus
from livebot.core.propose import Circumstances, propose
from livebot.core.risk import approve_repricing
from livebot.core.rules import FixedNotional, LimitEntries, RiskToStop
from livebot.core.signal import CancelReason, CloseReason
from livebot.errors import Fatal
from tests.core.examples import LONG_ENTRY, SHORT_ENTRY
from tests.core.kernel_driver import EMPTY, RULES
from tests.core.signal_story import D, Story

CHASE = LimitEntries(offset=D("0.01"), timeout_ms=2 * MINUTE_MS, reprices=2, chase=D("0.03"))
CHASING = replace(RULES, limit_entries=CHASE, sizing=FixedNotional(D(1000)))
MAKER = replace(CHASING, post_only=True)
ENTRIES = {Side.LONG: LONG_ENTRY, Side.SHORT: SHORT_ENTRY}


def candidate_of(side: Side = Side.LONG, rules=CHASING, **changes) -> Candidate:
    """What a strategy's entry at the market becomes, at a price of 100."""
    now = Circumstances(price=D(100), equity=D(10_000), ts_ms=0)
    candidate = propose(EMPTY, replace(ENTRIES[side], **changes), now, rules)
    assert isinstance(candidate, Candidate), candidate
    return candidate


def resting(side: Side = Side.LONG, rules=CHASING, *, accepted: bool = True) -> Story:
    """It is at the venue."""
    story = Story(rules=rules).admit(candidate_of(side, rules))
    return story.accept(Leg.ENTRY) if accepted else story


def exposure(story: Story):
    return exposure_of(story.state.signal, story.state.orders)


# From a market entry to one that rests


@pytest.mark.parametrize(
    ("side", "price", "worst", "quantity", "dearest"),
    [(Side.LONG, 99, "101.97", "9.806", "101.97"), (Side.SHORT, 101, "97.97", "9.900", "101")],
)
def test_a_market_entry_rests_on_the_better_side_of_the_price(side, price, worst, quantity, dearest):
    """Sized and reserved so that the worst price that it may go to is within every limit."""
    candidate = candidate_of(side)
    signal, order = candidate.signal, candidate.order
    assert signal is not None
    assert (OrderKind.LIMIT, D(price), False) == (order.kind, order.price, order.post_only)
    assert (D(price), D(worst), 2) == (signal.limit_price, signal.worst_price, signal.reprices_left)
    assert CHASE.timeout_ms == signal.schedule_expires_ms
    assert D(quantity) == order.quantity
    assert (D(dearest), order.quantity * D(dearest)) == (candidate.price, candidate.notional)
    assert candidate.notional <= 1000
    assert order.quantity * max(abs(D(price) - signal.stop_loss), abs(D(worst) - signal.stop_loss)) == candidate.risk


@pytest.mark.parametrize("side", list(Side))
def test_the_risk_of_the_worst_price_sets_the_size(side):
    """A long has most to lose at its highest price, a short at its lowest."""
    rules = replace(CHASING, sizing=RiskToStop(D("0.01"), D(1)))
    assert candidate_of(side, rules).risk <= 100
    worst = candidate_of(side, rules).signal
    assert worst is not None
    assert worst.worst_price is not None
    lot = rules.instrument.lot_step
    assert (candidate_of(side, rules).order.quantity + lot) * abs(worst.worst_price - worst.stop_loss) > 100


def test_without_repricing_it_is_sized_at_its_own_price():
    """It never goes anywhere."""
    candidate = candidate_of(rules=replace(CHASING, limit_entries=replace(CHASE, reprices=0)))
    assert candidate.signal is not None
    assert (None, 0, D("10.101")) == (
        candidate.signal.worst_price,
        candidate.signal.reprices_left,
        candidate.order.quantity,
    )


def test_a_limit_entry_of_the_strategy_stays_as_it_wants_it():
    """Its price, its time, no re-pricing; but it may be told not to take."""
    candidate = candidate_of(rules=MAKER, limit_price=98.0, schedule_ms=MINUTE_MS)
    assert candidate.signal is not None
    assert (D(98), True, MINUTE_MS, None, 0) == (
        candidate.order.price,
        candidate.order.post_only,
        candidate.signal.schedule_expires_ms,
        candidate.signal.worst_price,
        candidate.signal.reprices_left,
    )


def test_an_entry_at_the_market_may_take():
    """Post-only is for what rests."""
    assert not candidate_of(rules=replace(RULES, post_only=True, sizing=FixedNotional(D(1000)))).order.post_only


@pytest.mark.parametrize(("price", "notional", "code"), [(0, 1000, "bad_price"), (100, 5, "minimum_notional")])
def test_what_cannot_be_sized_at_either_price_is_refused(price, notional, code):
    """And a price that is none first of all."""
    rules = replace(CHASING, sizing=FixedNotional(D(notional)))
    refused = propose(EMPTY, LONG_ENTRY, Circumstances(price=D(price), equity=D(10_000), ts_ms=0), rules)
    assert isinstance(refused, Refused)
    assert code == refused.code


# Going after the price


@pytest.mark.parametrize(("side", "close", "price"), [(Side.LONG, 101.5, "100.48"), (Side.SHORT, 98.5, "99.49")])
def test_what_has_not_filled_in_time_is_priced_anew(side, close, price):
    """From the present close, and it gets its time again; what it may cost in all stays what was admitted."""
    story = resting(side)
    room = exposure(story).pending_notional
    quantity = story.record(Leg.ENTRY).request.quantity
    assert [] == story.candle(close).requests
    assert [("Amend", Leg.ENTRY, quantity, D(price))] == story.candle(close).asked
    assert (1, 4 * MINUTE_MS) == (story.signal.signal.reprices_left, story.signal.signal.schedule_expires_ms)
    assert room == exposure(story).pending_notional
    assert story.accept(Leg.ENTRY).record(Leg.ENTRY).confirmed
    assert [] == story.candle(close).requests


def test_it_is_given_up_when_it_was_priced_anew_as_often_as_allowed():
    """Then it is called back like any entry whose time is over."""
    story = resting()
    for close in (100.5, 101.0):
        assert ["Amend"] == [asked[0] for asked in story.candle(close).candle(close).asked]
        story.accept(Leg.ENTRY)
    assert [("Cancel", Leg.ENTRY)] == story.candle(101.0).candle(101.0).asked
    assert CancelReason.EXPIRED is story.end(Leg.ENTRY).fact("EntryCancelled").reason


def test_it_never_goes_back():
    """A price that came nearer is waited for where the order rests, and that counts as a time too."""
    story = resting().candle(99.5).candle(99.5)
    assert ([], 1, D(99)) == (
        story.requests,
        story.signal.signal.reprices_left,
        story.record(Leg.ENTRY).request.price,
    )


@pytest.mark.parametrize(
    ("change", "close"),
    [
        ({}, 103.1),  # 102.06 is beyond 101.97
        ({"take_profit": 102.0, "stop_loss": 90.0}, 102.9),  # 101.87 leaves less than the least distance
        ({"take_profit": 101.0}, 102.5),  # beyond the target
        ({"stop_loss": 95.0}, None),
    ],
    ids=["too far", "target too close", "target passed", "not known to the venue"],
)
def test_it_is_given_up_where_it_would_be_no_entry_any_more(change, close):
    """Too far from where it began, or against the checks for entries."""
    rules = replace(CHASING, entry=replace(RULES.entry, minimum_target_distance=D("0.002")))
    story = Story(rules=rules).admit(candidate_of(rules=rules, **change))
    story = story.lose(Leg.ENTRY) if close is None else story.accept(Leg.ENTRY)
    assert [("Cancel", Leg.ENTRY)] == story.candle(close or 100.0).candle(close or 100.0).asked
    assert CancelReason.EXPIRED is story.signal.cancel


def test_the_config_may_have_changed_meanwhile():
    """Then it is an entry like others."""
    story = resting()
    story.rules = RULES
    assert [("Cancel", Leg.ENTRY)] == story.candle().candle().asked


def test_an_entry_that_was_never_to_be_priced_anew_is_called_back():
    """As before."""
    story = resting(rules=replace(CHASING, limit_entries=replace(CHASE, reprices=0)))
    assert [("Cancel", Leg.ENTRY)] == story.candle(101.0).candle(101.0).asked


def test_the_rest_of_a_part_filled_entry_goes_after_the_price_and_what_filled_keeps_its_stop():
    """The stop covers what has filled, before and after."""
    story = resting().fill(Leg.ENTRY, 4, 99).accept(Leg.STOP).accept(Leg.TARGET)
    room = exposure(story).open_notional + exposure(story).pending_notional
    quantity = story.record(Leg.ENTRY).request.quantity
    assert [("Amend", Leg.ENTRY, quantity, D("99.99"))] == story.candle(101.0).candle(101.0).asked
    assert protected(story.signal, story.state.orders)
    assert 1 == story.signal.signal.reprices_left
    story.accept(Leg.ENTRY).fill(Leg.ENTRY, 2, "99.99")
    assert [("Amend", Leg.STOP, D(6), D(95)), ("Amend", Leg.TARGET, D(6), D(110))] == story.asked
    assert exposure(story).open_notional + exposure(story).pending_notional <= room
    story.accept(Leg.STOP).accept(Leg.TARGET).candle(101.5).candle(101.5).accept(Leg.ENTRY).candle(102.0)
    assert [("Cancel", Leg.ENTRY)] == story.candle(102.0).asked
    assert [("Cancel", Leg.ENTRY)] == story.candle(100.0).asked


def test_a_rest_that_is_dust_is_called_back():
    """The venue would refuse to change it."""
    story = resting().fill(Leg.ENTRY, "9.78", 99).accept(Leg.STOP).accept(Leg.TARGET)
    assert [("Cancel", Leg.ENTRY)] == story.candle(101.0).candle(101.0).asked


def test_a_refused_or_lost_change_leaves_the_entry_where_the_venue_has_it():
    """It is asked what it is now; when its time is over once more it is priced anew again."""
    story = resting().candle(101.0).candle(101.0).reject(Leg.ENTRY)
    assert OrderStatus.UNKNOWN is story.status(Leg.ENTRY)
    assert OrderStatus.UNKNOWN is story.reject(Leg.ENTRY).status(Leg.ENTRY)  # of another change; it proves nothing
    story.accept(Leg.ENTRY, price=D(99))
    record = story.record(Leg.ENTRY)
    assert (D(99), True, OrderStatus.WORKING) == (record.request.price, record.confirmed, record.status)
    assert ["Amend"] == [asked[0] for asked in story.candle(101.0).candle(101.0).asked]


def test_an_entry_that_ended_with_fills_to_come_is_not_sent_again():
    """Nothing rests that could be changed; its fills are on their way."""
    story = resting(rules=MAKER).end(Leg.ENTRY, "9.806", OrderStatus.FILLED)
    assert [] == story.candle(101.0).candle(101.0).requests
    assert "Open" == story.fill(Leg.ENTRY, "9.806", 99).name


# Entries that must not take


@pytest.mark.parametrize("how", ["refused", "ended", "refused later"])
def test_an_entry_refused_because_it_would_take_comes_again_with_the_next_candle(how):
    """From the close of then, under the next id; its room is kept meanwhile."""
    story = resting(rules=MAKER, accepted=how != "refused")
    room, quantity = exposure(story), story.record(Leg.ENTRY).request.quantity
    if how == "ended":
        story.end(Leg.ENTRY)
    else:
        story.reject(Leg.ENTRY)
        if how == "refused later":
            story.reject(Leg.ENTRY)
    assert (["OrderFailed"], [], "Scheduled", True) == (story.said, story.requests, story.name, story.signal.waiting)
    assert room == exposure(story) == story.facts[0].exposure
    assert [("Submit", Leg.ENTRY, quantity, D("97.02"))] == story.candle(98.0).asked
    assert (2, False, 1) == (
        story.record(Leg.ENTRY).request.attempt,
        story.signal.waiting,
        story.signal.signal.reprices_left,
    )
    assert room == exposure(story)
    assert 1 == len(story.state.orders)
    assert "Open" == story.accept(Leg.ENTRY).fill(Leg.ENTRY, quantity, 97).name


def test_a_short_that_comes_again_at_a_higher_price_is_smaller():
    """So that it needs no more than what was kept for it; a rounding of it is all that is let go."""
    story = resting(Side.SHORT, MAKER, accepted=False).reject(Leg.ENTRY)
    room = exposure(story).pending_notional
    story.candle(103.0)
    assert [("Submit", Leg.ENTRY, D("9.611"), D("104.03"))] == story.asked
    assert room - 1 < D("9.611") * D("104.03") == exposure(story).pending_notional <= room


def test_it_comes_again_as_often_as_it_may_be_priced_anew():
    """Then the refusal is the end of it."""
    story = resting(rules=MAKER, accepted=False)
    for _ in range(2):
        story.reject(Leg.ENTRY).candle(98.0)
    assert CancelReason.REJECTED is story.reject(Leg.ENTRY).fact("EntryCancelled").reason
    assert story.idle


@pytest.mark.parametrize("close", [103.1, 95.9])
def test_it_does_not_come_again_where_it_would_be_no_entry_any_more(close):
    """Too far away, or below its own stop."""
    story = resting(rules=MAKER, accepted=False).reject(Leg.ENTRY).candle(close)
    assert CancelReason.EXPIRED is story.fact("EntryCancelled").reason
    assert story.idle


def test_it_comes_again_only_while_there_are_ids_for_it():
    """An id has room for so many attempts, whatever the config allows."""
    chasing = replace(CHASE, reprices=1_000)
    story = resting(rules=replace(MAKER, limit_entries=chasing), accepted=False)
    ids = set()
    while not story.idle:
        ids.add(story.id_of(Leg.ENTRY))
        story.reject(Leg.ENTRY).candle(98.0)
    assert ({25}, MOST_ATTEMPTS) == ({len(each) for each in ids}, len(ids))


def test_it_does_not_come_again_when_there_is_room_for_dust_only():
    """What the venue would refuse is not sent."""
    coarse = replace(RULES.instrument, lot_step=D("0.01"), minimum_quantity=D("0.06"))
    small = replace(MAKER, sizing=FixedNotional(D("6.2")), instrument=coarse)
    story = resting(Side.SHORT, small, accepted=False).reject(Leg.ENTRY).candle(103.0)
    assert "EntryCancelled" in story.said


def test_one_that_waits_can_be_called_back():
    """There is nothing at the venue that would have to end first."""
    story = resting(rules=MAKER, accepted=False).reject(Leg.ENTRY).leave(CloseReason.PORTFOLIO_HALT)
    assert ([], CancelReason.PORTFOLIO_HALT) == (story.requests, story.fact("EntryCancelled").reason)
    assert story.idle


@pytest.mark.parametrize(
    "ending",
    [
        lambda story: story.leave().reject(Leg.ENTRY),
        lambda story: story.lose(Leg.ENTRY).miss(Leg.ENTRY),
    ],
    ids=["called back", "never received"],
)
def test_other_ends_are_the_end(ending):
    """Only a refusal of what we still want means that the price was there already."""
    story = resting(rules=MAKER, accepted=False)
    ending(story)
    assert story.idle


def test_an_entry_that_may_take_and_is_refused_does_not_come_again():
    """There is another reason for it."""
    assert resting(accepted=False).reject(Leg.ENTRY).idle


@pytest.mark.parametrize(
    "change",
    [
        {"leg": Leg.AVERAGE},
        {"symbol": "ETH/USDT"},
        {"quantity": D(11)},
        {"price": D("103.98")},
        {"kind": OrderKind.MARKET, "price": None},
    ],
)
def test_leave_to_price_anew_is_given_within_the_room_only(change):
    """Anything else needs the portfolio's judgement."""
    record = resting().record(Leg.ENTRY)
    assert record.request == approve_repricing(record.request, record).order
    with pytest.raises(Fatal, match="not within what"):
        approve_repricing(replace(record.request, **change), record)
    with pytest.raises(Fatal, match="not within what"):
        approve_repricing(record.request, replace(record, admitted_price=None))


def test_repricing_is_a_function_of_state_and_candle():
    """Whoever replays the candle gets the same order."""
    state = resting().state
    event = CandleClosed(Candle(MINUTE_MS, 101.0, 101.0, 101.0, 101.0, 1.0), 2 * MINUTE_MS)
    assert step(state, event, CHASING) == step(state, event, CHASING)
