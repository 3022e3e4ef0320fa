"""The kernel: every way a position ends, and what can come between."""

import pytest

from livebot.core.inputs import OrderEnded
from livebot.core.order import MOST_ATTEMPTS, REPEATED_FROM, Leg, OrderStatus, leg_of
from livebot.core.signal import CancelReason, CloseReason
from tests.core.kernel_driver import EMPTY
from tests.core.signal_story import CLOSING, LIMIT, OPEN, OPENING, SCHEDULED, D, Story, entered

CLOSES = {
    CloseReason.STOP_LOSS: lambda story: story.fill(Leg.STOP, 1, 95),
    CloseReason.TAKE_PROFIT: lambda story: story.fill(Leg.TARGET, 1, 110),
    CloseReason.TRAILING_STOP: lambda story: story.adjust(stop_loss=98.0).accept(Leg.STOP).fill(Leg.STOP, 1, 98),
    CloseReason.TIME_EXPIRED: lambda story: [story.candle() for _ in range(60)],
    CloseReason.STRATEGY_EXIT: lambda story: story.adjust(close=True),
    CloseReason.OPERATOR: lambda story: story.leave(),
    CloseReason.PORTFOLIO_HALT: lambda story: story.leave(CloseReason.PORTFOLIO_HALT),
    CloseReason.UNPROTECTED: lambda story: story.leave(CloseReason.UNPROTECTED),
    CloseReason.VENUE: lambda story: story.outside(1),
}


@pytest.mark.parametrize("reason", list(CloseReason))
def test_every_way_to_close_ends_flat_with_nothing_left(reason):
    """Closing as soon as it is decided, Idle when the position is flat and the venue has ended every order."""
    story = Story().open()
    CLOSES[reason](story)
    assert ("Closing", reason) == (story.name, story.signal.reason)
    if not story.signal.position.flat:
        assert [("Submit", Leg.EXIT, D(1), None)] == story.asked
        story.accept(Leg.EXIT).fill(Leg.EXIT, 1, 99, fee="0.1")
        assert {("Cancel", Leg.STOP), ("Cancel", Leg.TARGET)} == set(story.asked)
    for leg in [leg for leg in (Leg.TARGET, Leg.STOP) if story.record(leg).status.live]:
        assert not story.idle
        story.end(leg)
    assert story.idle
    assert reason is story.fact("SignalClosed").reason
    assert 1 == story.told.count("SignalClosing") == story.told.count("SignalClosed")


def test_profit_is_net_of_fees_over_all_fills():
    """Two entries, two exits, four fees."""
    story = entered().fill(Leg.ENTRY, "0.5", 100, fee="0.05").fill(Leg.ENTRY, "0.5", 102, fee="0.05")
    story.accept(Leg.STOP).accept(Leg.TARGET)
    story.fill(Leg.TARGET, "0.4", 110, fee="0.02").fill(Leg.STOP, "0.6", 95, fee="0.06")
    story.end(Leg.TARGET).end(Leg.STOP)
    closed = story.fact("SignalClosed")
    assert (D("-0.18"), D("0.18"), D(101), D(101)) == (
        closed.pnl_net,
        closed.fees,
        closed.entry_price,
        closed.exit_price,
    )
    assert (1, D("-0.18") / 101, 0) == (closed.quantity, closed.pnl_ratio, closed.opened_ms)
    assert CloseReason.STOP_LOSS is closed.reason


def test_a_refused_exit_is_asked_for_again_with_the_next_candle():
    """Not at once, so that nothing runs in a circle; the stop stays meanwhile, and the positions are compared."""
    story = Story().open().leave()
    for attempt, again in ((1, 1), (2, 1), (3, "0.5")):
        assert attempt == story.record(Leg.EXIT).request.attempt
        assert (["OrderFailed"], [("Compare",)]) == (story.reject(Leg.EXIT).said, story.asked)
        assert [("Submit", Leg.EXIT, D(again), None)] == story.candle().asked
    assert OrderStatus.WORKING is story.status(Leg.STOP)


def test_a_venue_that_refuses_for_hours_does_not_make_the_state_grow():
    """Only the newest order of a leg is kept; from some attempt on a refused one is repeated under its own id."""
    story = Story().open().leave()
    ids = []
    for _ in range(300):
        ids.append(story.id_of(Leg.EXIT))
        assert [("Submit", Leg.EXIT)] == [asked[:2] for asked in story.reject(Leg.EXIT).candle().asked]
    assert REPEATED_FROM == len(set(ids))
    assert {25} == {len(order_id) for order_id in ids}
    assert Leg.EXIT is leg_of(ids[-1])
    assert 4 == len(story.state.orders)


@pytest.mark.parametrize("never_there", ["reject", "miss"])
def test_an_exit_that_was_refused_for_hours_closes_when_the_venue_takes_it_at_last(never_there):
    """Also in several parts: then each of them has an id of its own again."""
    story = Story().open().leave()
    for _ in range(300):
        getattr(story, never_there)(Leg.EXIT).candle()
    refused = story.id_of(Leg.EXIT)
    story.accept(Leg.EXIT).fill(Leg.EXIT, "0.04", 99)
    assert [("Submit", Leg.EXIT, D("0.96"), None)] == story.end(Leg.EXIT, "0.04").asked
    assert refused != story.id_of(Leg.EXIT)
    story.accept(Leg.EXIT).fill(Leg.EXIT, "0.96", 99)
    assert story.end(Leg.STOP).end(Leg.TARGET).idle


def test_an_exit_that_the_venue_takes_and_drops_for_hours_is_left_to_the_operator():
    """An id that the venue has had is never used again, and there are no more of them."""
    story = Story().open().leave()
    for _ in range(MOST_ATTEMPTS - 1):
        assert ["Submit"] == [what for what, *_ in story.accept(Leg.EXIT).end(Leg.EXIT).candle().asked]
    assert [] == story.accept(Leg.EXIT).end(Leg.EXIT).candle().asked
    failed = story.fact("OrderFailed")
    assert ("attempts", Leg.EXIT) == (failed.code, failed.leg)
    assert "close it at the venue by hand" in failed.text
    assert OrderStatus.WORKING is story.status(Leg.STOP)
    story.outside(1)
    assert story.end(Leg.STOP).end(Leg.TARGET).idle


@pytest.mark.parametrize("told_first", ["fill", "end"])
def test_an_exit_that_was_not_enough_is_followed_up_at_once(told_first):
    """It traded, so there is less each time; whichever is heard first."""
    story = Story().open().leave().accept(Leg.EXIT)
    if told_first == "fill":
        assert [] == story.fill(Leg.EXIT, "0.4", 99).requests
        assert [("Submit", Leg.EXIT, D("0.6"), None)] == story.end(Leg.EXIT, "0.4").asked
    else:
        assert [("Submit", Leg.EXIT, D("0.6"), None)] == story.end(Leg.EXIT, "0.4").asked
        story.feed(Story.trade(story.state.orders[-2].request, "0.4", price=99))
        assert [] == story.requests
    assert "Closing" == story.fill(Leg.EXIT, "0.6", 99).name
    assert story.end(Leg.STOP).end(Leg.TARGET).idle


def test_an_exit_that_filled_wholly_waits_for_its_fills():
    """Nothing is asked for twice."""
    story = Story().open().leave().end(Leg.EXIT, 1, OrderStatus.FILLED)
    assert [] == story.requests
    assert [] == story.candle().requests
    story.fill(Leg.EXIT, 1, 99)
    assert {("Cancel", Leg.STOP), ("Cancel", Leg.TARGET)} == set(story.asked)


def test_an_exit_whose_fate_is_unknown_is_not_repeated():
    """It may be trading."""
    story = Story().open().leave().lose(Leg.EXIT)
    assert [] == story.candle().requests
    assert [] == story.miss(Leg.EXIT).requests
    assert [("Submit", Leg.EXIT, D(1), None)] == story.candle().asked


def test_nothing_is_sent_to_close_what_an_order_has_closed_already():
    """The stop filled, and we have its end but not its fills."""
    story = Story().open().end(Leg.STOP, 1, OrderStatus.FILLED).leave()
    assert ("Closing", [], ["SignalClosing"]) == (story.name, story.requests, story.said)
    assert [] == story.candle().requests
    assert [("Cancel", Leg.TARGET)] == story.fill(Leg.STOP, 1, 95).asked
    assert CloseReason.OPERATOR is story.end(Leg.TARGET).fact("SignalClosed").reason


def test_a_stop_that_fills_while_an_exit_is_on_its_way_closes_once():
    """The exit finds nothing left and is refused."""
    story = Story().open().leave().fill(Leg.STOP, 1, 95)
    assert {("Cancel", Leg.TARGET), ("Cancel", Leg.EXIT)} == set(story.asked)
    assert ["OrderFailed"] == story.reject(Leg.EXIT).said
    assert (D(-5), True) == (story.end(Leg.TARGET).fact("SignalClosed").pnl_net, story.idle)


def test_an_exit_and_a_stop_that_share_the_position():
    """Reduce-only orders are clipped by the venue; the ends say how much each took."""
    story = Story().open().leave().accept(Leg.EXIT)
    story.fill(Leg.STOP, "0.3", 95).fill(Leg.EXIT, "0.7", 94)
    assert story.signal.position.flat
    story.end(Leg.STOP).end(Leg.EXIT).end(Leg.TARGET)
    assert story.idle


def test_clearing_up_is_repeated_with_each_candle():
    """Until the venue has ended every order."""
    story = Story().open().fill(Leg.STOP, 1, 95)
    assert [("Cancel", Leg.TARGET)] == story.asked
    assert [("Cancel", Leg.TARGET)] == story.candle().asked
    assert story.end(Leg.TARGET).idle


def test_an_order_that_ended_with_fills_to_come_keeps_the_signal():
    """Idle would forget them."""
    story = entered(**LIMIT).fill(Leg.ENTRY, "0.5", 99)
    story.accept(Leg.STOP).accept(Leg.TARGET).fill(Leg.STOP, "0.5", 94)
    assert {("Cancel", Leg.TARGET), ("Cancel", Leg.ENTRY)} == set(story.asked)
    story.end(Leg.TARGET).end(Leg.ENTRY, "0.7")
    assert "Closing" == story.name
    story.fill(Leg.ENTRY, "0.2", 99)
    assert (["PositionIncreased"], D("0.2")) == (story.said, story.signal.position.quantity)
    assert [("Submit", Leg.EXIT, D("0.2"), None), ("Submit", Leg.STOP, D("0.2"), D("94.05"))] == story.asked
    story.fill(Leg.EXIT, "0.2", 94).end(Leg.STOP)
    assert story.idle


def test_an_entry_that_fills_while_the_exit_is_on_its_way_is_closed_after_it():
    """The stop grows at once; the exit is followed up when it is done."""
    story = entered(**LIMIT).fill(Leg.ENTRY, "0.5", 99).accept(Leg.STOP).accept(Leg.TARGET).leave()
    assert [("Cancel", Leg.ENTRY), ("Submit", Leg.EXIT, D("0.5"), None)] == story.asked
    stop_loss = story.signal.stop_loss
    assert [("Amend", Leg.STOP, D("0.7"), stop_loss)] == story.fill(Leg.ENTRY, "0.2", 99).asked
    assert [("Submit", Leg.EXIT, D("0.2"), None)] == story.fill(Leg.EXIT, "0.5", 98).asked


def leaving_without_a_stop() -> Story:
    """An exit of 0.5 is on its way when 0.2 more come in, and the venue takes no stop any more."""
    story = entered(**LIMIT).fill(Leg.ENTRY, "0.5", 99).accept(Leg.STOP).accept(Leg.TARGET).leave().accept(Leg.EXIT)
    story.fill(Leg.ENTRY, "0.2", 99).end(Leg.STOP)
    for attempt in (2, 3):
        asked = story.leave(CloseReason.UNPROTECTED).asked
        assert [("Submit", Leg.STOP, D("0.7"), D("94.05"))] == [each for each in asked if each[1] is Leg.STOP]
        assert attempt == story.record(Leg.STOP).request.attempt
        assert [] == story.reject(Leg.STOP).requests
    return story


def exits(story: Story) -> list:
    return [each for each in story.asked if each[1] is Leg.EXIT]


def test_what_comes_in_beside_a_slow_exit_and_gets_no_stop_is_closed_by_an_exit_of_its_own():
    """The first exit may take minutes; together they close what there is, and not more."""
    story = leaving_without_a_stop()
    assert [("Submit", Leg.EXIT, D("0.2"), None)] == exits(story.leave(CloseReason.UNPROTECTED))
    first, second = (record.request for record in story.state.orders if record.request.leg is Leg.EXIT)
    assert [] == exits(story.leave(CloseReason.UNPROTECTED))
    assert [] == exits(story.accept(Leg.EXIT).candle())
    assert [] == exits(story.feed(story.trade(first, "0.1")).candle())
    assert [] == exits(story.feed(story.trade(second, "0.2")).end(Leg.EXIT, "0.2", OrderStatus.FILLED))
    assert [] == exits(story.candle())
    story.feed(story.trade(first, "0.4")).end(Leg.ENTRY).end(Leg.TARGET)
    assert story.idle


def test_an_exit_of_its_own_that_is_refused_is_asked_for_again_with_the_next_wish_to_leave():
    """For what the first has not closed by then; when that one is over, for all that is left."""
    story = leaving_without_a_stop().leave(CloseReason.UNPROTECTED)
    first = next(record.request for record in story.state.orders if record.request.leg is Leg.EXIT)
    assert [] == exits(story.reject(Leg.EXIT).feed(story.trade(first, "0.3")))
    assert [("Submit", Leg.EXIT, D("0.2"), None)] == exits(story.leave(CloseReason.UNPROTECTED))
    story.lose(Leg.EXIT).miss(Leg.EXIT)
    ended = OrderEnded(client_order_id=first.client_order_id, status=OrderStatus.CANCELED, filled=D("0.3"), ts_ms=0)
    story.feed(ended)
    assert [("Submit", Leg.EXIT, D("0.4"), None)] == exits(story.leave(CloseReason.UNPROTECTED))


def test_the_rest_of_the_entry_is_called_back_with_each_candle_while_closing():
    """A cancel may be lost."""
    story = entered(**LIMIT).fill(Leg.ENTRY, "0.5", 99).accept(Leg.STOP).accept(Leg.TARGET).leave()
    story.accept(Leg.EXIT)
    assert [("Cancel", Leg.ENTRY)] == story.candle().asked


def test_a_stop_lost_while_closing_is_placed_again_with_the_next_candle():
    """With the exit, if that was refused; the venue may have dropped it because the exit filled, so not at once."""
    story = Story().open().leave()
    assert [] == story.end(Leg.STOP).requests
    assert [("Submit", Leg.STOP, D(1), D(95))] == story.candle().asked
    story.reject(Leg.EXIT).reject(Leg.STOP)
    assert [("Submit", Leg.EXIT, D(1), None), ("Submit", Leg.STOP, D(1), D(95))] == story.candle().asked
    story.reject(Leg.EXIT).reject(Leg.STOP)
    assert [("Submit", Leg.EXIT, D(1), None)] == story.candle().asked  # no attempt is left for the stop


@pytest.mark.parametrize(("leg", "reason"), [(Leg.STOP, CloseReason.STOP_LOSS), (Leg.TARGET, CloseReason.TAKE_PROFIT)])
def test_a_stop_refused_because_the_position_was_gone_was_no_failure(leg, reason):
    """The venue told of the sibling's cancel first, then refused new stops, and only then told of the fill."""
    story = Story().open().leave(CloseReason.UNPROTECTED)
    assert CloseReason.UNPROTECTED is story.signal.reason
    story.reject(Leg.EXIT).fill(leg, 1, 100)
    assert reason is story.signal.reason


def test_a_wish_to_leave_what_is_leaving_asks_again_for_what_is_missing():
    """The first reason stands; an exit on its way is not repeated, a refused one is."""
    story = Story(CLOSING)
    assert CLOSING is story.leave(CloseReason.PORTFOLIO_HALT).state
    assert [("Submit", Leg.EXIT, D(1), None)] == story.reject(Leg.EXIT).leave(CloseReason.UNPROTECTED).asked
    assert CloseReason.OPERATOR is story.signal.reason


@pytest.mark.parametrize("state", [EMPTY, SCHEDULED, OPENING])
def test_nothing_can_be_closed_outside_without_a_position(state):
    """It is somebody else's."""
    assert state is Story(state).outside(1).state


def test_a_part_closed_outside_shrinks_the_orders():
    """At the price given, without a fee."""
    story = Story().open().outside("0.4", 98)
    assert [("Amend", Leg.STOP, D("0.6"), D(95)), ("Amend", Leg.TARGET, D("0.6"), D(110))] == story.asked
    assert (["PositionReduced"], Leg.EXIT) == (story.said, story.facts[0].leg)
    assert D(98) == story.signal.position.exit_price


def test_a_trade_of_somebody_else_is_booked_at_what_it_brought_and_once():
    """With the fee that the venue took for it."""
    story = Story().open().outside("0.4", 98, fee=D("0.02"), trade_id="theirs")
    before = story.state
    assert before is story.outside("0.4", 98, fee=D("0.02"), trade_id="theirs").state
    closed = story.outside("0.6", 97, fee=D("0.03"), trade_id="theirs-2").end(Leg.STOP).end(Leg.TARGET)
    fact = closed.fact("SignalClosed")
    assert (CloseReason.VENUE, D("97.4"), D("0.05")) == (fact.reason, fact.exit_price, fact.fees)


@pytest.mark.parametrize("already", [None, CloseReason.UNPROTECTED, CloseReason.OPERATOR])
def test_what_the_stop_closed_that_travelled_with_the_entry_was_closed_by_a_stop(already):
    """Also if it was first thought to have none; what we were leaving for another reason keeps that."""
    story = Story().open()
    if already is not None:
        story.leave(already)
    story.outside(1, 95, trade_id="attached", by_stop=True)
    expected = CloseReason.OPERATOR if already is CloseReason.OPERATOR else CloseReason.STOP_LOSS
    assert expected is story.signal.reason
    assert Leg.STOP is story.fact("PositionReduced").leg


def test_more_than_all_closed_outside_closes_all():
    """Never more than we held."""
    story = Story().open().outside(3)
    assert (0, CloseReason.VENUE) == (story.signal.position.quantity, story.signal.reason)
    assert {("Cancel", Leg.STOP), ("Cancel", Leg.TARGET)} == set(story.asked)
    before = story.state
    assert before is story.outside(1).state


def test_closing_outside_while_closing_keeps_the_reason():
    """In part first, then all of it."""
    story = Story().open().leave().outside("0.4")
    assert ([], D("0.6")) == (story.requests, story.signal.position.quantity)
    story.outside("0.6").end(Leg.STOP).end(Leg.TARGET).reject(Leg.EXIT)
    assert CloseReason.OPERATOR is story.fact("SignalClosed").reason


@pytest.mark.parametrize("quantity", [0, -1])
def test_nothing_closed_outside_is_nothing(quantity):
    """A comparison that found no difference."""
    assert OPEN is Story(OPEN).outside(quantity).state


def test_exits_that_overshoot_still_end():
    """A venue without reduce-only orders can sell more than there was; then there is nothing left to protect or close."""
    story = Story().open().leave().accept(Leg.EXIT).fill(Leg.STOP, 1, 95)
    story.fill(Leg.EXIT, 1, 95)
    assert D(-1) == story.signal.position.quantity
    assert 0 == story.facts[0].exposure.open_notional
    assert story.end(Leg.STOP).end(Leg.TARGET).idle


def test_exits_heard_of_before_the_entries_they_closed():
    """The position is negative for a moment; nothing is done about it, and the books agree in the end."""
    story = entered().fill(Leg.ENTRY, "0.6", 100).accept(Leg.STOP).accept(Leg.TARGET).leave()
    story.fill(Leg.STOP, "0.6", 95).fill(Leg.EXIT, "0.3", 95)
    assert D("-0.3") == story.signal.position.quantity
    assert [] == story.fill(Leg.ENTRY, "0.2", 100).requests
    story.fill(Leg.ENTRY, "0.2", 100)
    assert D("0.1") == story.signal.position.quantity


def test_the_entry_that_explains_the_last_exit_may_come_last():
    """Then the position is flat only now, and everything else is settled."""
    story = entered().fill(Leg.ENTRY, "0.6", 100).accept(Leg.STOP).accept(Leg.TARGET).leave()
    story.fill(Leg.STOP, "0.6", 95).fill(Leg.EXIT, "0.2", 95)
    story.end(Leg.TARGET).end(Leg.EXIT).end(Leg.ENTRY, "0.8")
    assert ("Closing", D("-0.2")) == (story.name, story.signal.position.quantity)
    assert (D(-4), True) == (story.fill(Leg.ENTRY, "0.2", 100).fact("SignalClosed").pnl_net, story.idle)


# ---------------------------------------------------------------- entries that were given up before


def test_an_entry_that_was_asked_back_is_asked_back_again_when_it_is_wished_for_again():
    """A cancel may be lost, and whoever wants to be out does not wait for the next candle."""
    story = entered(**LIMIT).leave()
    assert [("Cancel", Leg.ENTRY)] == story.asked
    assert [("Cancel", Leg.ENTRY)] == story.leave().asked
    assert story.signal.cancel is CancelReason.OPERATOR


def test_an_entry_that_is_withdrawn_and_fills_all_the_same_is_closed_if_somebody_wanted_out():
    """A withdrawal alone keeps what fills."""
    for wanted, state in ((False, "Open"), (True, "Closing")):
        story = entered(**LIMIT).withdraw()
        assert story.signal.cancel is CancelReason.TRADING_STATE
        if wanted:
            assert [] == story.leave().asked
            assert story.signal.cancel is CancelReason.OPERATOR
        assert state == story.fill(Leg.ENTRY, 1, 100).name
