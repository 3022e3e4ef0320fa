"""What waits for a symbol: in order, bounded, and nothing that matters is dropped in silence."""

import asyncio
from decimal import Decimal

import pytest

from livebot.core.inputs import OrderFilled, OrderUnknown
from livebot.core.market import Candle, OrderSide
from livebot.core.order import Fill
from livebot.core.signal import CloseReason
from livebot.runtime.inbox import (
    Activity,
    Ask,
    CandleOf,
    ContextDeadline,
    Failed,
    Inbox,
    Leave,
    Stop,
    UnprotectedDeadline,
)
from tests.virtual_loop import run, settle

BTC = "BTC/USDT:USDT"


def candle(number: int) -> CandleOf:
    return CandleOf(BTC, Candle(number, 1.0, 1.0, 1.0, 1.0, 1.0))


def event(number: int) -> OrderUnknown:
    return OrderUnknown(client_order_id=str(number), text="", ts_ms=0)


def an_inbox(size: int = 3) -> tuple[Inbox, Activity]:
    activity = Activity()
    inbox = Inbox(size, activity)
    inbox.open()
    return inbox, activity


def taken(inbox: Inbox) -> list:
    return run(inbox.take())


def test_items_come_out_in_the_order_in_which_they_came_in():
    """Of whatever kind."""
    inbox, _ = an_inbox()
    items = [candle(1), event(1), Leave(CloseReason.OPERATOR), candle(2), Ask()]
    for item in items:
        inbox.put(item)
    assert len(inbox) == 5
    assert taken(inbox) == items
    assert len(inbox) == 0


def fill_of(order_id: str) -> OrderFilled:
    fill = Fill(
        trade_id="t1",
        client_order_id=order_id,
        ts_ms=0,
        side=OrderSide.BUY,
        price=Decimal(1),
        quantity=Decimal(1),
        fee=Decimal(0),
    )
    return OrderFilled(fill, 0)


def test_a_fill_of_one_order_can_be_waited_for_and_stays_where_it_is():
    """Whether it is there already or comes; no other item ends the wait."""

    async def main() -> None:
        inbox, _ = an_inbox(10)
        waiting = inbox.filled("1")
        await settle()
        for item in (event(1), candle(1), fill_of("2")):
            inbox.put(item)
        await settle()
        assert not waiting.done()
        inbox.put(fill_of("1"))
        inbox.put(fill_of("1"))
        await waiting
        await inbox.filled("1")
        assert len(inbox) == 5

    run(main())


def test_who_gave_up_waiting_for_a_fill_does_not_disturb_the_next():
    """The next order is sent at once."""

    async def main() -> None:
        inbox, _ = an_inbox()
        first = inbox.filled("1")
        await settle()
        second = inbox.filled("2")
        await settle()
        first.cancel()
        await settle()
        inbox.put(fill_of("2"))
        await second

    run(main())


def test_taking_waits_for_the_first_item():
    """However long."""

    async def main() -> None:
        inbox, _ = an_inbox()
        taking = asyncio.create_task(inbox.take())
        await settle()
        assert not taking.done()
        inbox.put(Ask())
        assert await taking == [Ask()]

    run(main())


def test_a_closed_inbox_takes_nothing():
    """What arrives then is left to recovery."""
    inbox, activity = an_inbox()
    inbox.put(candle(1))
    inbox.close()
    inbox.put(candle(2))
    inbox.put(event(1))
    assert not inbox.is_open
    assert len(inbox) == 0
    assert activity.quiet
    inbox.open()
    assert inbox.is_open
    assert len(inbox) == 0


def test_candles_beyond_the_bound_are_dropped_and_counted():
    """The next one shows the gap; order events have room of their own."""
    inbox, _ = an_inbox(2)
    for number in range(4):
        inbox.put(candle(number))
    inbox.put(event(1))
    assert inbox.dropped_candles == 2
    assert taken(inbox) == [candle(0), candle(1), event(1)]
    inbox.put(candle(5))
    assert taken(inbox) == [candle(5)]
    assert not inbox.must_ask


def test_order_events_beyond_the_bound_raise_the_flag_to_ask():
    """The venue knows what was dropped."""
    inbox, _ = an_inbox(2)
    for number in range(3):
        inbox.put(event(number))
    assert inbox.dropped_events == 1
    assert inbox.must_ask
    assert taken(inbox) == [event(0), event(1)]
    inbox.open()
    assert not inbox.must_ask


def test_wishes_are_never_dropped_and_kept_once():
    """Also when order events fill the inbox."""
    inbox, _ = an_inbox(1)
    inbox.put(event(1))
    inbox.put(event(2))
    wishes = [
        Stop(),
        Ask(),
        Leave(CloseReason.OPERATOR),
        UnprotectedDeadline("a"),
        UnprotectedDeadline("b"),
        ContextDeadline("a", 1),
        ContextDeadline("a", 2),
        Failed(RuntimeError("once")),
        Failed(RuntimeError("once")),
    ]
    for wish in (*wishes, *wishes[:7]):
        inbox.put(wish)
    assert taken(inbox) == [event(1), *wishes]


def test_what_should_be_closed_is_kept_until_somebody_has_done_it():
    """Put before a worker runs, waiting when it fails, or being worked on when it fails."""
    inbox = Inbox(3, Activity())
    leave, halt = Leave(CloseReason.OPERATOR), Leave(CloseReason.PORTFOLIO_HALT)
    inbox.put(leave)
    inbox.open()
    assert taken(inbox) == [leave]
    inbox.put(halt)
    inbox.close()
    inbox.put(leave)
    inbox.open()
    assert taken(inbox) == [leave, halt]
    inbox.put(leave)
    inbox.done()
    inbox.close()
    inbox.open()
    assert taken(inbox) == [leave]
    inbox.done()
    inbox.open()
    assert len(inbox) == 0


def test_a_market_can_wait_until_nothing_is_going_on():
    """Items count from their coming until they are worked off."""

    async def main() -> None:
        inbox, activity = an_inbox()
        waiting = asyncio.create_task(activity.idle())
        await waiting
        inbox.put(candle(1))
        inbox.put(event(1))
        waiting = asyncio.create_task(activity.idle())
        await inbox.take()
        inbox.put(Ask())
        inbox.done()
        await settle()
        assert not waiting.done()
        await inbox.take()
        inbox.begin_work()
        inbox.done()
        await settle()
        assert not waiting.done()
        inbox.end_work()
        await waiting
        assert activity.quiet

    run(main())


@pytest.mark.parametrize("closes_inside", [False, True])
def test_work_on_the_side_counts_also_over_a_close(closes_inside):
    """Neither more nor less than once."""
    inbox, activity = an_inbox()
    with inbox.working():
        inbox.put(candle(1))
        if closes_inside:
            inbox.close()
        assert not activity.quiet
    inbox.close()
    assert activity.quiet
    activity.begin()
    assert not activity.quiet


def test_two_symbols_share_one_activity():
    """Both have to be done."""
    activity = Activity()
    first, second = Inbox(3, activity), Inbox(3, activity)
    for inbox in (first, second):
        inbox.open()
        inbox.put(candle(1))
    taken(first)
    first.done()
    assert not activity.quiet
    second.close()
    assert activity.quiet


def test_a_lull_is_when_only_those_who_wait_for_it_are_left():
    """Each is told once; who is too late for one is told at the next."""

    async def main():
        activity, told = Activity(), []
        activity.begin()
        activity.hold()
        activity.at_lull(lambda: told.append(1))
        await settle()
        assert not told
        assert not activity.lull
        activity.end()
        await settle()
        assert told == [1]
        assert activity.lull
        assert not activity.quiet
        activity.at_lull(lambda: told.append(2))
        await settle()
        activity.release()
        await settle()
        assert told == [1, 2]
        assert activity.quiet

    run(main())
