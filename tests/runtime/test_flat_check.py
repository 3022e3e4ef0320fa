"""Flat is what our states and the venue say together; what is not ours is named and does not count."""

from dataclasses import replace

import pytest

from livebot.core.inputs import SymbolState
from livebot.core.market import OrderSide
from livebot.core.order import (
    Leg,
    OrderKind,
    OrderRecord,
    OrderRequest,
    OrderStatus,
    VenueOrder,
    VenuePosition,
    client_order_id,
)
from livebot.core.signal import Idle
from livebot.runtime.flattening.flat_check import closed, remark, sighting, why_open
from livebot.runtime.flattening.flatten_answer import Before, before_of, flat, named, reasons, still_closing, unattended
from livebot.runtime.venue.reconcile import snapshot_of
from tests.core.kernel_driver import INSTRUMENT
from tests.core.signal_story import CLOSING, LIMIT, OPEN, OPENING, SCHEDULED, D, Story, entered

SYMBOL = OPEN.symbol
IDLE = replace(OPEN, signal=Idle(), orders=())


def order(leg: Leg, *, system: str = OPEN.system, number: int = 9) -> VenueOrder:
    return VenueOrder(
        client_order_id=client_order_id(system, OPEN.strategy, SYMBOL, number=number, leg=leg, attempt=1),
        venue_order_id=f"v{number}{leg.value}",
        symbol=SYMBOL,
        side=OrderSide.BUY,
        kind=OrderKind.LIMIT,
        quantity=D(1),
        filled=D(0),
        status=OrderStatus.WORKING,
        price=D(90),
        trigger_price=None,
    )


def seen(*orders: VenueOrder, held: str = "0"):
    positions = [VenuePosition(symbol=SYMBOL, quantity=D(held), average_price=D(100))] if D(held) else []
    return snapshot_of(orders, positions)


def flat_and_clearing() -> SymbolState:
    """The position is closed; stop and target are being taken back."""
    story = Story().open().leave().accept(Leg.EXIT).fill(Leg.EXIT, 1, 99)
    assert story.name == "Closing"
    return story.state


def test_it_is_closed_when_nothing_can_be_or_become_a_position():
    """Stop and target that are being taken back can only reduce what is not there."""
    assert closed((IDLE, flat_and_clearing()))
    assert not any(closed((state,)) for state in (SCHEDULED, OPENING, OPEN, CLOSING))
    assert not closed((IDLE, OPEN))


def test_a_closed_position_with_an_entry_on_its_way_is_not_closed():
    story = entered(**LIMIT).fill(Leg.ENTRY, "0.4", 99).accept(Leg.STOP).accept(Leg.TARGET).leave()
    story.accept(Leg.EXIT).fill(Leg.EXIT, "0.4", 99)
    assert story.signal.position.flat
    assert not closed((story.state,))
    assert why_open((story.state,)) == "1 exits have not closed it, and it is tried again"
    story.end(Leg.ENTRY, filled="0.4")
    assert closed((story.state,))


def test_an_order_of_ours_that_no_state_knows_is_not_clear():
    """Whatever it is for; what others have placed is none of our business."""
    state = flat_and_clearing()
    ours, theirs = order(Leg.STOP), order(Leg.ENTRY, system="another")
    found = sighting(OPEN.system, SYMBOL, (state,), seen(ours, theirs))
    assert (found.strays, found.opening, found.clear) == ((ours.client_order_id,), (), False)
    assert sighting(OPEN.system, SYMBOL, (state,), seen(theirs)).clear


def test_an_entry_that_a_state_calls_ended_and_the_venue_shows_is_not_clear():
    record = flat_and_clearing().orders[0]
    assert record.request.leg is Leg.ENTRY
    there = replace(order(Leg.ENTRY), client_order_id=record.request.client_order_id)
    found = sighting(OPEN.system, SYMBOL, (flat_and_clearing(),), seen(there))
    assert (found.strays, found.opening, found.clear) == ((), (there.client_order_id,), False)


@pytest.mark.parametrize(
    ("held", "remainder", "price", "said"),
    [
        ("0", "0", "100", None),
        ("2", "0", "100", "2 is there that is not ours, and left alone"),
        ("-2", "0", "100", "-2 is there that is not ours, and left alone"),
        ("0.0000001", "0", "100", "0.0000001 is there, less than the venue takes"),
        ("1", "0", "0.0000001", "1 is there, less than the venue takes"),
        ("1", "0", "0", "1 is there that is not ours, and left alone"),
        ("0.5", "0.5", "100", "0.5 is left, too little to close"),
        ("2.5", "0.5", "100", "0.5 is left, too little to close, 2 is there that is not ours, and left alone"),
    ],
)
def test_what_stays_there_is_named(held, remainder, price, said):
    found = sighting(OPEN.system, SYMBOL, (replace(IDLE, remainder=D(remainder)),), seen(held=held))
    assert found.clear
    assert remark(SYMBOL, found, INSTRUMENT, D(price)) == (said and f"{SYMBOL}: {said}")


def with_exit(status: OrderStatus, attempt: int = 1) -> SymbolState:
    request = OrderRequest(
        client_order_id=client_order_id(OPEN.system, OPEN.strategy, SYMBOL, number=1, leg=Leg.EXIT, attempt=attempt),
        symbol=SYMBOL,
        leg=Leg.EXIT,
        attempt=attempt,
        side=OrderSide.SELL,
        kind=OrderKind.MARKET,
        quantity=D(1),
        reduce_only=True,
    )
    return replace(CLOSING, orders=(OrderRecord(request=request, status=status, sent_ms=0),))


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (OPEN, "nobody has got to it yet"),
        (SCHEDULED, "its entry is being taken back"),
        (with_exit(OrderStatus.WORKING), "its exit is at the venue"),
        (with_exit(OrderStatus.UNKNOWN), "the venue has not said yet what became of its exit"),
        (with_exit(OrderStatus.REJECTED, 3), "the venue has refused its exit (3 tried), and it is tried again"),
        (with_exit(OrderStatus.CANCELED, 2), "2 exits have not closed it, and it is tried again"),
        (IDLE, "it is being compared with the venue"),
    ],
)
def test_why_it_is_not_closed_yet(state, why):
    assert why_open((IDLE, state)) == why


# ---------------------------------------------------------------- answers


def on(symbol: str, state: SymbolState) -> SymbolState:
    return replace(state, symbol=symbol)


def test_what_was_open_is_counted_by_symbol():
    states = (OPEN, SCHEDULED, on("B", SCHEDULED), on("C", CLOSING), on("D", IDLE), on("E", OPEN))
    assert before_of((SYMBOL, "B", "C", "D"), states) == Before(positions=2, entries=1)
    assert unattended(("B", "C"), states) == tuple(sorted((SYMBOL, "E")))


def test_the_answer_says_how_much_was_closed_and_what_stays():
    assert flat(("A",), Before(50, 2), (), ()) == (
        "flat: 50 positions closed, 2 entries taken back, verified at the venue"
    )
    assert flat(("A",), Before(0, 1), ("A: 1 is left",), ()) == (
        "flat: 1 entry taken back, verified at the venue; A: 1 is left"
    )
    assert flat(("A", "B"), Before(0, 0), (), ()) == "nothing is open on A, B, verified at the venue"
    assert flat(("A",), Before(1, 0), (), ("Z",)).startswith("not flat: Z have something open by their files")


def test_the_answer_while_some_are_open_names_them_and_why():
    left = {f"S{number}": "late" for number in range(7)}
    assert reasons(left) == "S0 (late), S1 (late), S2 (late), S3 (late), S4 (late) and 2 more"
    assert still_closing({"A": "late"}, ("A",), stopped=False) == (
        "still closing A (late); it goes on, `livebot status` shows"
    )
    assert "A (late); 2 flat and verified; " in still_closing({"A": "late"}, ("A", "B", "C"), stopped=False)
    assert still_closing({"A": "late"}, ("A",), stopped=True).startswith("livebot is stopping before it is done")
    assert named([str(number) for number in range(12)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
