"""The kernel: entering, the first fill, and the books it keeps."""

from dataclasses import replace
from typing import Any

import pytest

from livebot.core import risk
from livebot.core.inputs import (
    AskAdmission,
    OrderAbsent,
    OrderAccepted,
    OrderEnded,
    OrderRejected,
    OrderUnknown,
)
from livebot.core.kernel import step
from livebot.core.market import MINUTE_MS
from livebot.core.order import Leg, OrderStatus, client_order_id
from livebot.core.risk import approve_reduction
from livebot.core.signal import CancelReason, CloseReason
from livebot.errors import IllegalTransition
from tests.core.kernel_driver import EMPTY, RULES, approve, next_entry, raises_and_changes_nothing
from tests.core.signal_story import (
    AVERAGING,
    CLOSING,
    LIMIT,
    OPEN,
    OPENING,
    STATES,
    D,
    Story,
    entered,
)

STRANGER = next_entry(replace(EMPTY, number=41)).order
NEWS: dict[str, Any] = {"client_order_id": STRANGER.client_order_id, "ts_ms": 0}


# Entering


def test_a_candle_changes_nothing_when_idle():
    """The same object comes back: the caller saves nothing."""
    story = Story()
    assert EMPTY is story.candle().state
    assert ([], ()) == (story.requests, story.facts)


@pytest.mark.parametrize(
    ("values", "name", "fact"),
    [({}, "Opening", "SignalOpening"), (LIMIT, "Scheduled", "SignalScheduled")],
)
def test_an_admitted_entry_is_on_record_before_it_is_sent(values, name, fact):
    """The order stands in the state as intended; the request is to send that very order."""
    story = Story().enter(**values)
    assert (name, 1, [fact]) == (story.name, story.state.number, story.said)
    assert OrderStatus.INTENDED is story.status(Leg.ENTRY)
    assert [story.record(Leg.ENTRY).request] == [request.approved.order for request in story.requests]
    assert "trend/BTC/USDT#1" == story.facts[0].signal_id
    assert story.facts[0].exposure.pending_notional == values.get("limit_price", 100)


@pytest.mark.parametrize("name", STATES)
def test_an_entry_is_admitted_only_when_idle(name):
    """Whatever was proposed while Idle is void once there is a signal."""
    admission = Story(EMPTY).enter().requests[0].approved
    for number in (STATES[name].number, STATES[name].number - 1):
        late = next_entry(replace(EMPTY, number=number))
        assert raises_and_changes_nothing(STATES[name], Story.admission(late))
    assert admission.candidate is not None


def test_an_admission_is_used_once():
    """The same one a second time, when the signal is over, would send an id that the venue has seen."""
    story = Story().enter().reject(Leg.ENTRY)
    assert story.idle
    assert raises_and_changes_nothing(story.state, Story.admission(next_entry(EMPTY)))
    assert not raises_and_changes_nothing(story.state, Story.admission(next_entry(story.state)))


def test_an_admission_of_another_strategy_is_refused():
    """Its order carries another id."""
    other = replace(EMPTY, strategy="other")
    assert raises_and_changes_nothing(EMPTY, Story.admission(next_entry(other)))


def test_leave_to_reduce_is_no_admission():
    """A reducing order opens nothing."""
    stop = Story(OPEN).record(Leg.STOP).request
    assert raises_and_changes_nothing(EMPTY, Story.approved(approve_reduction(stop)))


def test_averaging_needs_an_open_position():
    """And is void when it is over."""
    story = Story().open(exits=AVERAGING).candle(98.0)
    averaging = Story.admission(story.requests[0].candidate)
    for state in (EMPTY, CLOSING):
        assert raises_and_changes_nothing(state, averaging)


def test_wishes_about_nothing_change_nothing():
    """There is no signal that could be left or adjusted."""
    assert EMPTY is Story().leave().adjust(close=True).state


# An entry that comes to nothing


@pytest.mark.parametrize("values", [{}, LIMIT])
@pytest.mark.parametrize(
    ("what", "reason", "text"),
    [
        (lambda story: story.reject(Leg.ENTRY), CancelReason.REJECTED, "refused"),
        (lambda story: story.lose(Leg.ENTRY).miss(Leg.ENTRY), CancelReason.ABSENT, "the venue never received it"),
        (lambda story: story.accept(Leg.ENTRY).end(Leg.ENTRY), CancelReason.VENUE, "the venue ended it"),
        (
            lambda story: story.accept(Leg.ENTRY).leave().end(Leg.ENTRY),
            CancelReason.OPERATOR,
            "the venue ended it",
        ),
        (
            lambda story: story.accept(Leg.ENTRY).leave(CloseReason.STRATEGY_EXIT).end(Leg.ENTRY),
            CancelReason.STRATEGY_EXIT,
            "the venue ended it",
        ),
        (
            lambda story: story.accept(Leg.ENTRY).leave(CloseReason.PORTFOLIO_HALT).end(Leg.ENTRY),
            CancelReason.PORTFOLIO_HALT,
            "the venue ended it",
        ),
        (
            lambda story: story.accept(Leg.ENTRY).leave().reject(Leg.ENTRY).reject(Leg.ENTRY),
            CancelReason.REJECTED,
            "refused",
        ),
    ],
)
def test_an_entry_that_did_not_fill_ends_the_signal(values, what, reason, text):
    """Back to Idle with nothing left, and the fact says why."""
    story = Story().enter(**values)
    what(story)
    assert story.idle
    assert "EntryCancelled" == story.said[-1]
    assert (reason, text) == (story.facts[-1].reason, story.facts[-1].text)
    assert 0 == story.facts[-1].exposure.pending_notional


def test_an_entry_refused_after_it_was_accepted_is_asked_about_and_told_once():
    """Some venues look at an order only after they have taken it."""
    story = entered().reject(Leg.ENTRY)
    assert (OrderStatus.UNKNOWN, [], "Opening") == (story.status(Leg.ENTRY), story.said, story.name)
    assert (["EntryCancelled"], True) == (story.reject(Leg.ENTRY).said, story.idle)


def test_a_limit_entry_expires_and_is_asked_back_until_it_ends():
    """Once a candle, because a cancel can be lost."""
    story = entered(**LIMIT)
    assert [] == story.candle().candle().requests
    for _ in range(3):
        assert [("Cancel", Leg.ENTRY)] == story.candle().asked
        assert CancelReason.EXPIRED is story.signal.cancel
    assert CancelReason.EXPIRED is story.end(Leg.ENTRY).facts[0].reason
    assert story.idle


def test_a_market_entry_never_expires():
    """It ends by itself."""
    story = entered()
    for _ in range(100):
        assert [] == story.candle().requests
    assert "Opening" == story.name


def test_who_gave_up_first_is_remembered_but_expiry_gives_way():
    """An expired entry that fills is kept; one that an operator called back is closed."""
    story = entered(**LIMIT).leave()
    assert [("Cancel", Leg.ENTRY)] == story.leave(CloseReason.PORTFOLIO_HALT).asked  # it may have been lost
    assert CancelReason.OPERATOR is story.signal.cancel
    story = entered(schedule_ms=0, limit_price=D(99)).candle()
    assert "Scheduled(EXPIRED)" == f"{story.name}({story.signal.cancel.name})"
    assert [] == story.leave().requests  # the cancel is on its way
    assert "Scheduled(OPERATOR)" == f"{story.name}({story.signal.cancel.name})"


def test_an_unusual_wish_to_leave_an_entry_counts_as_the_operators():
    """There is no unprotected entry."""
    assert CancelReason.OPERATOR is entered().leave(CloseReason.UNPROTECTED).signal.cancel


def test_a_cancel_that_came_before_the_order_is_repeated():
    """The venue did not know the order then; now that it has it, it is taken back."""
    story = Story().enter(**LIMIT).lose(Leg.ENTRY).leave()
    assert [("Cancel", Leg.ENTRY)] == story.asked
    assert [("Cancel", Leg.ENTRY)] == story.accept(Leg.ENTRY).asked
    assert [] == story.accept(Leg.ENTRY).requests


def test_a_cancel_that_was_lost_is_repeated_when_the_venue_is_asked():
    """A report of later than a second after the cancel that still shows the order."""
    story = entered(**LIMIT).leave()
    assert [] == story.accept(Leg.ENTRY, later_ms=999).requests
    assert [("Cancel", Leg.ENTRY)] == story.accept(Leg.ENTRY, later_ms=1_000).asked


def test_an_entry_that_ended_filled_waits_for_its_fills():
    """The end may be told before the trades."""
    story = entered().end(Leg.ENTRY, "0.4")
    assert ("Opening", []) == (story.name, story.said)
    story.fill(Leg.ENTRY, "0.4", 100)
    assert ("Open", D("0.4")) == (story.name, story.signal.position.quantity)
    assert story.record(Leg.ENTRY).settled


# Opening


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("values", [{}, LIMIT])
def test_the_first_fill_opens_and_asks_for_stop_and_target(values, accepted):
    """As one group, reduce-only, of what has filled; also when the fill comes before the order is accepted."""
    story = Story().enter(**values)
    if accepted:
        story.accept(Leg.ENTRY)
    story.candle().fill(Leg.ENTRY, "0.25", 99)
    stop_loss, take_profit = story.signal.signal.stop_loss, story.signal.signal.take_profit
    assert ["SignalOpened"] == story.said
    assert [("Submit", Leg.STOP, D("0.25"), stop_loss), ("Submit", Leg.TARGET, D("0.25"), take_profit)] == story.asked
    stop, target = story.record(Leg.STOP).request, story.record(Leg.TARGET).request
    assert stop.reduce_only
    assert target.reduce_only
    assert None is not stop.oco_group == target.oco_group
    assert (MINUTE_MS, False) == (story.signal.opened_ms, story.signal.stop_trails)
    assert OrderStatus.WORKING is story.status(Leg.ENTRY)
    exposure = story.facts[0].exposure
    assert (D("0.25"), D("24.75")) == (exposure.quantity, exposure.open_notional)


def test_an_acceptance_after_the_last_fill_changes_nothing():
    """The order is over already."""
    story = Story().enter().fill(Leg.ENTRY, 1, 100)
    assert OrderStatus.FILLED is story.status(Leg.ENTRY)
    before = story.state
    for late in (story.accept, story.lose, story.reject, story.miss, story.end):
        assert before is late(Leg.ENTRY).state
        assert ([], ()) == (story.requests, story.facts)


def test_a_trade_counts_once():
    """Venues repeat themselves; so do a stream and a question."""
    story = entered().fill(Leg.ENTRY, "0.5", 100, trade_id="a")
    before = story.state
    assert before is story.fill(Leg.ENTRY, "0.5", 100, trade_id="a").state
    assert [] == story.requests


@pytest.mark.parametrize("state", [EMPTY, *STATES.values()])
def test_a_fill_of_an_unknown_order_is_refused(state):
    """It is not for the kernel to guess whose it is."""
    assert raises_and_changes_nothing(state, Story.trade(STRANGER, "0.1"))


def test_an_exit_fill_without_a_position_is_refused():
    """Nothing can be reduced before something was opened."""
    stop = Story(OPEN).record(Leg.STOP)
    damaged = replace(OPENING, orders=(*OPENING.orders, stop))
    assert raises_and_changes_nothing(damaged, Story.trade(stop.request, "0.1"))


@pytest.mark.parametrize("state", [EMPTY, *STATES.values()])
@pytest.mark.parametrize(
    "event",
    [
        OrderAccepted(venue_order_id="v", quantity=D(1), price=None, trigger_price=None, **NEWS),
        OrderRejected(code="no", text="refused", **NEWS),
        OrderUnknown(text="no answer", **NEWS),
        OrderAbsent(**NEWS),
        OrderEnded(status=OrderStatus.CANCELED, filled=D(0), **NEWS),
    ],
)
def test_other_news_of_unknown_orders_changes_nothing(state, event):
    """They may be of a signal that is over."""
    assert state is step(state, event, RULES).state


@pytest.mark.parametrize("reason", [CloseReason.OPERATOR, CloseReason.STRATEGY_EXIT, CloseReason.PORTFOLIO_HALT])
def test_an_entry_that_fills_after_it_was_given_up_is_closed(reason):
    """Protected first, then closed, for the reason it was given up."""
    story = entered(**LIMIT).leave(reason).fill(Leg.ENTRY, "0.5", 99)
    assert ["SignalOpened", "SignalClosing"] == story.said
    assert [Leg.STOP, Leg.TARGET, Leg.EXIT] == [asked[1] for asked in story.asked]
    assert ("Closing", reason) == (story.name, story.signal.reason)


def test_an_entry_that_fills_after_it_expired_is_kept():
    """The price came after all; only what has not filled is called back."""
    story = entered(**LIMIT).candle().candle().candle()
    assert ("Scheduled", [("Cancel", Leg.ENTRY)]) == (story.name, story.asked)
    assert "Open" == story.fill(Leg.ENTRY, "0.5", 99).name
    assert ["OrderFailed"] == story.end(Leg.ENTRY).said
    assert "0.5 of 1 filled; the venue ended it" == story.facts[0].text
    assert 0 == story.facts[0].exposure.pending_notional


def test_the_rest_of_a_limit_entry_expires_while_open():
    """Asked back with each candle until the venue ends it; the position stays."""
    story = entered(**LIMIT).fill(Leg.ENTRY, "0.4", 99)
    story.accept(Leg.STOP).accept(Leg.TARGET)
    assert [] == story.candle().candle().requests
    for _ in range(2):
        assert [("Cancel", Leg.ENTRY)] == story.candle().asked
    story.end(Leg.ENTRY)
    assert ("Open", [], ["OrderFailed"]) == (story.name, story.requests, story.said)
    assert [] == story.candle().requests


def test_further_fills_enlarge_stop_and_target():
    """Amended to the new quantity as soon as they are on the venue."""
    story = entered().fill(Leg.ENTRY, "0.2", 100)
    assert [] == story.fill(Leg.ENTRY, "0.3", 101).requests  # not accepted yet: what is wanted waits on record
    assert ["PositionIncreased"] == story.said
    assert [("Amend", Leg.STOP, D("0.5"), D(95))] == story.accept(Leg.STOP, quantity=D("0.2")).asked
    story.accept(Leg.STOP)
    assert [("Amend", Leg.TARGET, D("0.5"), D(110))] == story.accept(Leg.TARGET, quantity=D("0.2")).asked
    story.accept(Leg.TARGET).fill(Leg.ENTRY, "0.5", 100)
    assert [("Amend", Leg.STOP, D(1), D(95)), ("Amend", Leg.TARGET, D(1), D(110))] == story.asked


# Bookkeeping


def test_facts_are_numbered_without_gaps_and_wait_in_the_outbox():
    """From the state's own number on; what is not ours to change stays."""
    start = replace(EMPTY, sequence=41, decided_ms=7)
    story = Story(start).open().leave().fill(Leg.EXIT, 1, 100).end(Leg.STOP).end(Leg.TARGET)
    assert list(range(42, 42 + len(story.told))) == [fact.sequence for fact in story.state.outbox]
    assert (7, 42 + len(story.told) - 1) == (story.state.decided_ms, story.state.sequence)
    assert ["SignalOpening", "SignalOpened", "SignalClosing", "PositionReduced", "SignalClosed"] == story.told


def test_all_orders_of_a_signal_carry_ids_of_one_family():
    """A function of who, what and which; nothing else."""
    story = Story().open().leave()
    ids = [record.request.client_order_id for record in story.state.orders]
    assert ids == [
        client_order_id("perp", "trend", "BTC/USDT", number=1, leg=leg, attempt=1)
        for leg in (Leg.ENTRY, Leg.STOP, Leg.TARGET, Leg.EXIT)
    ]


def test_the_next_signal_starts_clean():
    """With the next number, and no trace of the last one."""
    story = Story().open().fill(Leg.STOP, 1, 95).end(Leg.TARGET).enter()
    assert (2, 1) == (story.state.number, len(story.state.orders))


def test_an_illegal_input_leaves_the_caller_with_what_it_had():
    """The error says what was wrong."""
    with pytest.raises(IllegalTransition, match="cannot enter while Open"):
        step(OPEN, Story.admission(next_entry(EMPTY)), RULES)


def test_orders_that_open_carry_the_portfolios_approval_and_others_need_none():
    """So that nothing can be opened without it."""
    story = Story().enter()
    assert isinstance(story.requests[0].approved, risk.Approved)
    assert approve(next_entry(EMPTY)).candidate == story.requests[0].approved.candidate
    story.fill(Leg.ENTRY, 1, 100)
    assert [None, None] == [request.approved.candidate for request in story.requests]
    assert not any(isinstance(request, AskAdmission) for request in story.requests)
