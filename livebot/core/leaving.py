"""Leaving: how an entry is given up, how a position is closed, and when a signal is done.

Rules of this file: an exit is a reduce-only market order of what the venue still holds and no other exit is closing;
there is a second one only for what came in meanwhile and the venue takes no stop for; stop and target stay until the
position is flat, except where nothing can stand beside a stop: there it makes way for the exit and comes back when that
is refused; a signal is done only when it is flat and every order of it is settled.  A refused exit waits for the next
candle or wish to leave, so that no venue can make us ask in a circle; one that goes on being refused is asked for in
halves.  What is more than one order may be goes out piece by piece, the next when the one before has ended; what is too
little for the venue to take is left there, and told.
"""

from dataclasses import replace
from decimal import Decimal

from livebot.core.draft import Draft
from livebot.core.facts import (
    EntryCancelled,
    OrderFailed,
    PositionReduced,
    RemainderKept,
    SignalClosed,
    SignalClosing,
)
from livebot.core.order import MOST_ATTEMPTS, ZERO, Fill, Leg, OrderKind, OrderRecord, OrderStatus
from livebot.core.position import Position
from livebot.core.protection import follow, follow_stop
from livebot.core.signal import CancelReason, CloseReason, Closing, Idle, Open, Opening, Scheduled
from livebot.core.wording import number

_OPENING_LEGS = (Leg.ENTRY, Leg.AVERAGE)
DUST = "dust"  # the code under which it is told
ATTEMPTS = "attempts"  # likewise
TOO_LARGE = "position_too_large"  # likewise


def protect(draft: Draft, present: Open, *, retry: bool = False) -> bool:
    """Bring the protective orders in line; a position the venue will not protect is closed (then False)."""
    if follow(draft, present, retry=retry) and not _is_bare_dust(draft, present):
        return True
    _tell_too_large(draft, present)
    begin_close(draft, present, CloseReason.UNPROTECTED)
    return False


def give_up_entry(draft: Draft, present: Scheduled | Opening, reason: CancelReason) -> None:
    """Take the entry back; it may still fill before the venue hears of it."""
    if isinstance(present, Scheduled) and present.waiting:
        draft.move(Idle())
        draft.tell(
            EntryCancelled, present.signal, reason=reason, text="the venue had refused it, and it was not repeated"
        )
        return
    draft.move(replace(present, cancel=reason))
    cancel_live(draft, again=False)


def begin_close(draft: Draft, present: Open, reason: CloseReason) -> None:
    """Close the position at the market."""
    to_closing(draft, present, reason)
    cancel_opening_orders(draft, again=False)
    _ask_exit(draft, present)


def to_closing(draft: Draft, present: Open, reason: CloseReason) -> None:
    """From Open to Closing, without an order."""
    draft.move(
        Closing(
            signal=present.signal,
            position=present.position,
            opened_ms=present.opened_ms,
            stop_loss=present.stop_loss,
            take_profit=present.take_profit,
            reason=reason,
            stop_trails=present.stop_trails,
            stops_replaced=present.stops_replaced,
        )
    )
    draft.tell(SignalClosing, present.signal, reason=reason)


def close_on(draft: Draft, present: Closing) -> None:
    """With each candle, and whenever it is wished for again: ask for all that is still missing."""
    if present.position.flat:
        cancel_live(draft, again=True)
        settle(draft)
        return
    cancel_opening_orders(draft, again=True)
    quantity = draft.held(present.position)
    if draft.live(Leg.EXIT) is None and _is_dust(draft, present, quantity):
        _clear_dust(draft, present)
        return
    _leave(draft, present, retry=True)


def grown(draft: Draft, present: Closing) -> None:
    """An entry filled while we were leaving: an exit on its way is too small for it, and so is the stop."""
    _leave(draft, present, retry=False)
    settle(draft)  # exits may have been heard of before: then it is flat only now


def settle(draft: Draft) -> None:
    """Something changed in Closing: follow up an exit that was not enough, or clear up, or be done."""
    present = draft.present
    if not isinstance(present, Closing):
        return
    if not present.position.flat:
        _follow_up_exit(draft, present)
        return
    cancel_live(draft, again=False)
    if all(record.settled for record in draft.orders.values()):
        _be_done(draft, present)


def cancel_live(draft: Draft, *, again: bool) -> None:
    """Take back every live order; those that were already asked back only if `again`."""
    for record in tuple(draft.orders.values()):
        _take_back(draft, record, again=again)


def cancel_opening_orders(draft: Draft, *, again: bool) -> None:
    """Take back what would open or add something; what was already asked back only if `again`."""
    for leg in _OPENING_LEGS:
        record = draft.live(leg)
        if record is not None:
            _take_back(draft, record, again=again)


def _take_back(draft: Draft, record: OrderRecord, *, again: bool) -> None:
    # One of unknown fate is being asked for, and asked back as soon as it is found.
    if record.status.live and (not record.cancel_requested or (again and record.status is OrderStatus.WORKING)):
        draft.cancel(record)


def _follow_up_exit(draft: Draft, present: Closing) -> None:
    # One that traded and left something is followed up at once: each time there is less.
    last, quantity = draft.newest(Leg.EXIT), draft.held(present.position)
    traded = last is not None and not last.status.live and last.reported_filled > 0
    if traded:
        _ask_exit(draft, present)
    elif not draft.rules.resting_target and not _is_dust(draft, present, quantity):
        _keep_stop(draft, present, retry=False)


def _leave(draft: Draft, present: Closing, *, retry: bool) -> None:
    """See to it that an exit is on its way, and that what it is too small for has a stop, or else an exit of its own."""
    under_way = draft.live(Leg.EXIT) is not None
    if not under_way:
        _ask_exit(draft, present)
    if not _keep_stop(draft, present, retry=retry) and under_way:
        _ask_exit(draft, present)


def _ask_exit(draft: Draft, present: Open | Closing) -> None:
    """Ask for an exit of all that no other one is closing."""
    exits = [record for record in draft.orders.values() if record.request.leg is Leg.EXIT and record.status.live]
    held = draft.held(present.position)
    if exits and draft.in_one_order(held) < held:
        return  # the next piece leaves when this one has ended
    quantity = draft.held(present.position, but_for=sum((record.left for record in exits), ZERO))
    if quantity <= 0:
        return
    if draft.next_attempt(Leg.EXIT) > MOST_ATTEMPTS:
        _tell_attempts(draft, quantity)
        return
    if not draft.rules.resting_target:
        _make_way(draft)
    draft.reduce(Leg.EXIT, OrderKind.MARKET, _piece(draft, present, quantity))


def _piece(draft: Draft, present: Open | Closing, quantity: Decimal) -> Decimal:
    """As much as goes out at once; what is left for the next order is not too little for one."""
    instrument, price = draft.rules.instrument, present.position.entry_price
    piece = min(draft.in_one_order(quantity), _half_of_refused(draft, price) or quantity)
    if piece == quantity or instrument.takes(quantity - piece, price):
        return piece
    return instrument.round_quantity(quantity / 2) or piece


def _half_of_refused(draft: Draft, price: Decimal) -> Decimal:
    """Of an exit that the venue goes on refusing: it may take less by now than it says; 0 if half is too little."""
    last, instrument = draft.newest(Leg.EXIT), draft.rules.instrument
    if (
        last is None
        or last.status is not OrderStatus.REJECTED
        or last.request.attempt < draft.rules.protection_attempts
    ):
        return ZERO
    half = instrument.round_quantity(last.request.quantity / 2)
    return half if instrument.takes(half, price) else ZERO


def _make_way(draft: Draft) -> None:
    """Take back what could close the same quantity; a target or a second stop may rest from before it was shared."""
    for record in tuple(draft.orders.values()):
        if record.request.leg.protects and record.status.live:
            draft.cancel(record)


def _tell_attempts(draft: Draft, quantity: Decimal) -> None:
    """The venue has taken as many exits as there are ids, and closed nothing; the stop stays."""
    last = draft.newest(Leg.EXIT)
    assert last is not None  # it is the last that there can be
    draft.tell(
        OrderFailed,
        draft.signal_of_present(),
        leg=Leg.EXIT,
        client_order_id=last.request.client_order_id,
        code=ATTEMPTS,
        text=(
            f"{MOST_ATTEMPTS} exits have not closed the position, and no more are sent: {number(quantity)} "
            f"{draft.rules.instrument.base} is left, close it at the venue by hand"
        ),
    )


def _keep_stop(draft: Draft, present: Closing, *, retry: bool) -> bool:
    """Bring the stop in line where it may stand; False if the venue takes none."""
    if draft.rules.resting_target or draft.live(Leg.EXIT) is None:
        return follow_stop(draft, present, retry=retry)
    return True


# What the venue will not take


def _tell_too_large(draft: Draft, present: Open) -> None:
    held = draft.held(present.position)
    most = draft.in_one_order(held)
    if most >= held:
        return
    last, base = draft.newest(Leg.STOP), draft.rules.instrument.base
    draft.tell(
        OrderFailed,
        present.signal,
        leg=Leg.STOP,
        client_order_id=draft.order_id(present.signal.number, Leg.STOP, 1)
        if last is None
        else last.request.client_order_id,
        code=TOO_LARGE,
        text=(
            f"the position of {number(held)} {base} is larger than one order of the venue may be ({number(most)}), so that "
            "no stop covers all of it: it is closed at the market, one order after another; watch it until it is flat"
        ),
    )


def _is_bare_dust(draft: Draft, present: Open) -> bool:
    """Whether what is held is less than a lot, and no order is left that could add to it or close it."""
    position = present.position
    return bool(position.lot_step) and position.flat and all(record.settled for record in draft.orders.values())


def _is_dust(draft: Draft, present: Closing, quantity: Decimal) -> bool:
    """Whether the venue has refused, as often as a stop may be, to close what is less than it takes."""
    position, last = present.position, draft.newest(Leg.EXIT)
    instrument = draft.rules.instrument
    return (
        last is not None
        and last.status is OrderStatus.REJECTED
        and last.request.attempt >= draft.rules.protection_attempts
        and quantity == position.closable
        and not instrument.takes(quantity, instrument.round_price(position.entry_price))
    )


def _clear_dust(draft: Draft, present: Closing) -> None:
    """Once no other order can take it any more, let it lie."""
    if all(record.settled for record in draft.orders.values()):
        _be_done(draft, present)
    else:
        cancel_live(draft, again=True)


def _leave_dust(draft: Draft, present: Closing) -> Position:
    """Count it as closed for what it cost; the venue goes on holding it, and the comparison with it will say so."""
    last, signal, instrument = draft.newest(Leg.EXIT), present.signal, draft.rules.instrument
    quantity, price = present.position.quantity, instrument.round_price(present.position.entry_price)
    fill = Fill(
        trade_id=f"dust-{signal.number}",
        client_order_id="",
        ts_ms=draft.ts_ms,
        side=signal.side.exit_order,
        price=price,
        quantity=quantity,
        fee=ZERO,
    )
    draft.tell(
        OrderFailed,
        signal,
        leg=Leg.EXIT,
        client_order_id=draft.order_id(signal.number, Leg.EXIT, 1) if last is None else last.request.client_order_id,
        code=DUST,
        text=(
            f"{number(quantity)} {instrument.base} is less than the venue takes (at least "
            f"{number(instrument.minimum_quantity)}, worth {number(instrument.minimum_notional)} {instrument.quote}) "
            "and stays there: sell it by hand, or dismiss it"
        ),
    )
    draft.tell(PositionReduced, signal, leg=Leg.EXIT, quantity=quantity, price=price)
    return present.position.with_exit(fill)


def _be_done(draft: Draft, present: Closing) -> None:
    position = present.position
    if position.quantity > 0 and not draft.rules.instrument.fee_in_base:
        position = _leave_dust(draft, present)
    elif position.quantity > 0:  # it goes out with the next position
        draft.keep_remainder(position)
        draft.tell(RemainderKept, present.signal, quantity=position.quantity, cost=position.cost)
    draft.move(Idle())
    draft.tell(
        SignalClosed,
        present.signal,
        reason=present.reason,
        opened_ms=present.opened_ms,
        quantity=position.traded,
        entry_price=position.entry_price,
        exit_price=position.exit_price,
        fees=position.all_fees,
        pnl_net=position.net,
        pnl_ratio=position.net_ratio,
    )
