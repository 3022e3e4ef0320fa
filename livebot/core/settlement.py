"""What the venue says of our orders, and what follows for the signal.

Rules of this file: the venue may say things late, twice and in any order, and every order of saying them ends in the
same state; a fill counts once, by its trade id; a word that contradicts an earlier verdict makes the order's fate
unknown again, so that it is asked for, and never overrules a fill.
"""

from decimal import Decimal

from livebot.core.draft import Draft
from livebot.core.facts import EntryCancelled, OrderFailed, PositionIncreased, PositionReduced, SignalOpened
from livebot.core.inputs import (
    ClosedOutside,
    Compare,
    OrderAbsent,
    OrderAccepted,
    OrderEnded,
    OrderRejected,
    OrderUnknown,
)
from livebot.core.leaving import begin_close, grown, protect, settle, to_closing
from livebot.core.order import ZERO, Fill, Leg, OrderKind, OrderRecord, OrderStatus
from livebot.core.protection import follow_stop, is_needless, leave_newest_stop, repeat
from livebot.core.quick_init import changed
from livebot.core.signal import CancelReason, CloseReason, Closing, Idle, Open, Opening, Scheduled
from livebot.errors import IllegalTransition

CANCEL_REASON = {
    CloseReason.STRATEGY_EXIT: CancelReason.STRATEGY_EXIT,
    CloseReason.OPERATOR: CancelReason.OPERATOR,
    CloseReason.PORTFOLIO_HALT: CancelReason.PORTFOLIO_HALT,
}
_CLOSE_REASON = {cancel: close for close, cancel in CANCEL_REASON.items()}
REPEAT_MS = 1_000  # a report younger than this may be older than what we asked for last
_NEVER_THERE = (OrderStatus.REJECTED, OrderStatus.ABSENT)
_MARKET_EXITS = (Leg.EXIT, Leg.PARTIAL)


def accepted(draft: Draft, event: OrderAccepted) -> None:
    """The venue has the order; what we came to want of it meanwhile is asked for now."""
    record = draft.orders.get(event.client_order_id)
    if record is None:
        return
    if record.status in _NEVER_THERE:
        draft.put(changed(record, status=OrderStatus.UNKNOWN))
        return
    if not record.status.live:
        return
    request = record.request
    seen = (event.quantity, event.price, event.trigger_price)
    same = seen == (request.quantity, request.price, request.trigger_price)
    following = changed(record, status=OrderStatus.WORKING, venue_order_id=event.venue_order_id, confirmed=same)
    due = _is_due(draft, record, event.ts_ms)
    if due and record.cancel_requested:
        draft.put(following)
        if is_needless(draft, following):
            draft.cancel(following)
    elif due and not same and request.leg.protects and isinstance(draft.present, Open | Closing):
        draft.put(following)
        repeat(draft, draft.present, request.leg)
    else:
        if event.price is not None and request.kind is OrderKind.LIMIT and request.leg.opens:
            # The price of an entry is what the venue has; where it should be is thought about when its time is over.
            following = changed(following, request=changed(request, price=event.price), confirmed=True)
        if following != record:
            draft.put(following)
    if request.leg is Leg.STOP and isinstance(draft.present, Open | Closing):
        _stop_stands(draft, draft.present)


def _stop_stands(draft: Draft, present: Open | Closing) -> None:
    """An older one is needless now, or (where the next is placed beside it) another one is wanted already."""
    if draft.rules.replaces_stops:
        follow_stop(draft, present, retry=False)
    else:
        leave_newest_stop(draft, present, retry=False)


def _is_due(draft: Draft, record: OrderRecord, ts_ms: int) -> bool:
    """Whether a report of this time, showing the order not as we want it, calls for asking again."""
    if record.venue_order_id is None:
        return True  # the first word of it: nothing could be asked for before
    if ts_ms - record.sent_ms < REPEAT_MS:
        return False
    # What was asked for was lost, or (if the order was unknown) refused.  A refused change waits for the next candle;
    # that of a stop does not, since there is a limit to how long a position may be without the stop it should have.
    urgent = record.request.leg is Leg.STOP and isinstance(draft.present, Open)
    return record.status is OrderStatus.WORKING or urgent


def unknown(draft: Draft, event: OrderUnknown) -> None:
    """Nobody knows what came of sending it.  (Of a change: it stays unconfirmed until a report shows it or not.)"""
    record = draft.orders.get(event.client_order_id)
    if record is not None and record.status is OrderStatus.INTENDED:
        draft.put(changed(record, status=OrderStatus.UNKNOWN))


def rejected(draft: Draft, event: OrderRejected) -> None:
    """The venue said no: to the order or, of one that it has, perhaps only to a change; then it is asked which.

    While a change is unconfirmed no number of noes proves that the order is gone, unless we want it gone ourselves.
    """
    record = draft.orders.get(event.client_order_id)
    if record is not None and record.status is OrderStatus.WORKING:
        draft.put(changed(record, status=OrderStatus.UNKNOWN))
        if isinstance(draft.present, Open | Closing):  # of an entry its end is told
            _tell_failed(draft, record, event.code, event.text)
    elif record is None or not _awaits_change(record):
        _failed(draft, event.client_order_id, OrderStatus.REJECTED, event.code, event.text)


def absent(draft: Draft, event: OrderAbsent) -> None:
    """The venue proved that it never had the order."""
    _failed(draft, event.client_order_id, OrderStatus.ABSENT, "absent", "the venue never received it")


def ended(draft: Draft, event: OrderEnded) -> None:
    """The venue ended the order; fills that it counted may still be on their way."""
    record = draft.orders.get(event.client_order_id)
    if record is None or record.status is OrderStatus.FILLED:
        return
    reported = max(event.filled, record.reported_filled)
    if record.status.live:
        draft.put(changed(record, status=event.status, reported_filled=reported))
        _after_end(draft, event.client_order_id, "canceled", "the venue ended it")
    elif reported > record.reported_filled:
        draft.put(changed(record, reported_filled=reported))


def filled(draft: Draft, fill: Fill) -> None:
    """A trade of ours.

    Raises:
        IllegalTransition: its order is not on record.

    """
    present = draft.present
    if isinstance(present, Open | Closing) and present.position.has(fill.trade_id):
        return
    record = draft.orders.get(fill.client_order_id)
    if record is None or isinstance(present, Idle):
        message = f"{draft.state.symbol}: fill {fill.trade_id} is of order {fill.client_order_id}, not on record"
        raise IllegalTransition(message)
    quantity = record.filled + fill.quantity
    record = changed(
        record,
        filled=quantity,
        reported_filled=max(quantity, record.reported_filled),
        status=_status_after_fill(record, quantity),
    )
    draft.put(record)
    if record.request.leg.opens:
        _entry_fill(draft, present, record.request.leg, fill)
    else:
        _exit_fill(draft, present, record.request.leg, fill)


def closed_outside(draft: Draft, event: ClosedOutside) -> None:
    """Part or all of the position, or of what earlier ones have left, is gone, and no order of ours did it."""
    present = draft.present
    if not isinstance(present, Open | Closing) or (not event.trade_id and event.quantity <= draft.remainder):
        draft.lose_remainder(event.quantity, event.price, event.fee)
        return
    if present.position.quantity <= 0 or event.quantity <= 0 or present.position.has(event.trade_id):
        return
    fill = Fill(
        trade_id=event.trade_id or f"outside-{present.signal.number}-{len(present.position.exits)}",
        client_order_id="",
        ts_ms=event.ts_ms,
        side=present.signal.side.exit_order,
        price=event.price,
        quantity=min(event.quantity, present.position.quantity),
        fee=event.fee,
    )
    leg, reason = (Leg.STOP, CloseReason.STOP_LOSS) if event.by_stop else (Leg.EXIT, CloseReason.VENUE)
    _reduced(draft, present, leg, fill, reason)
    draft.lose_remainder(event.quantity - fill.quantity, event.price, ZERO)


# What an order's end means


def _awaits_change(record: OrderRecord) -> bool:
    changed = record.request.leg.protects or record.amended_ms is not None
    on_venue = record.venue_order_id is not None and changed
    return on_venue and not record.confirmed and not record.cancel_requested


def _failed(draft: Draft, order_id: str, status: OrderStatus, code: str, text: str) -> None:
    record = draft.orders.get(order_id)
    if record is None or not record.status.live:
        return
    if record.filled > 0:
        # It did trade: whatever the venue says now, it is an order that ended part-filled.
        status = OrderStatus.CANCELED
    draft.put(changed(record, status=status))
    _after_end(draft, order_id, code, text)


def _after_end(draft: Draft, order_id: str, code: str, text: str) -> None:
    """An order is no longer live: say so if it fell short, and let the state follow."""
    record, present = draft.orders[order_id], draft.present
    if isinstance(present, Scheduled | Opening):
        if record.settled:
            _entry_ended(draft, present, record, code, text)
        return
    leg, short = record.request.leg, record.filled < record.request.quantity
    if short and record.settled and (leg.opens or record.status is not OrderStatus.CANCELED):
        _tell_failed(draft, record, code, text)
    if isinstance(present, Open) and leg in (Leg.STOP, Leg.PARTIAL):
        protect(draft, present)
    if record.status is OrderStatus.REJECTED and leg in _MARKET_EXITS:
        draft.requests.append(Compare(draft.state.symbol))  # perhaps there is nothing that it could close
    settle(draft)


def _tell_failed(draft: Draft, record: OrderRecord, code: str, text: str) -> None:
    request = record.request
    draft.tell(
        OrderFailed,
        draft.signal_of_present(),
        leg=request.leg,
        client_order_id=request.client_order_id,
        code=code,
        text=f"{record.filled} of {request.quantity} filled; {text}" if record.filled else text,
    )


def _entry_ended(draft: Draft, present: Scheduled | Opening, record: OrderRecord, code: str, text: str) -> None:
    if isinstance(present, Scheduled) and _comes_again(present, record):
        draft.move(changed(present, waiting=True))
        _tell_failed(draft, record, code, text)
        return
    reason = {
        OrderStatus.REJECTED: CancelReason.REJECTED,
        OrderStatus.ABSENT: CancelReason.ABSENT,
    }.get(record.status, present.cancel or CancelReason.VENUE)
    draft.move(Idle())
    draft.tell(EntryCancelled, present.signal, reason=reason, text=text)


def _comes_again(present: Scheduled, record: OrderRecord) -> bool:
    """Whether it was an entry that must not take, so that a refusal most likely means that the price was there already."""
    refused = record.status in (OrderStatus.REJECTED, OrderStatus.CANCELED)
    return refused and record.request.post_only and present.cancel is None and present.signal.reprices_left > 0


# What a fill means


def _status_after_fill(record: OrderRecord, filled_quantity: Decimal) -> OrderStatus:
    # A protective order may be larger at the venue than we have come to want it.
    if filled_quantity >= record.request.quantity and (record.confirmed or not record.request.leg.protects):
        return OrderStatus.FILLED
    if record.status in (OrderStatus.INTENDED, OrderStatus.UNKNOWN):
        return OrderStatus.WORKING
    return OrderStatus.UNKNOWN if record.status in _NEVER_THERE else record.status


def _entry_fill(draft: Draft, present: Scheduled | Opening | Open | Closing, leg: Leg, fill: Fill) -> None:
    if isinstance(present, Scheduled | Opening):
        _opened(draft, present, fill)
        return
    position = present.position.with_entry(fill)
    draft.tell(PositionIncreased, present.signal, leg=leg, quantity=fill.quantity, price=fill.price)
    if isinstance(present, Open):
        present = changed(present, position=position)
        draft.move(present)
        protect(draft, present)
    else:
        present = changed(present, position=position)
        draft.move(present)
        grown(draft, present)


def _opened(draft: Draft, present: Scheduled | Opening, fill: Fill) -> None:
    signal = present.signal
    opened = Open(
        signal=signal,
        position=draft.first_position(signal).with_entry(fill),
        opened_ms=fill.ts_ms,
        stop_loss=signal.stop_loss,
        take_profit=signal.take_profit,
    )
    draft.move(opened)
    draft.tell(
        SignalOpened,
        signal,
        quantity=fill.quantity,
        price=fill.price,
        stop_loss=signal.stop_loss,
        take_profit=signal.take_profit,
    )
    protected = protect(draft, opened)
    given_up = _CLOSE_REASON.get(present.cancel) if present.cancel is not None else None
    if protected and given_up is not None:
        begin_close(draft, opened, given_up)


def _exit_fill(draft: Draft, present: Scheduled | Opening | Open | Closing, leg: Leg, fill: Fill) -> None:
    if isinstance(present, Scheduled | Opening):
        message = f"{draft.state.symbol}: exit fill {fill.trade_id} without a position"
        raise IllegalTransition(message)
    reason = CloseReason.TAKE_PROFIT
    if leg is Leg.STOP:
        reason = CloseReason.TRAILING_STOP if present.stop_trails else CloseReason.STOP_LOSS
    _reduced(draft, present, leg, fill, reason)


def _reduced(draft: Draft, present: Open | Closing, leg: Leg, fill: Fill, reason: CloseReason) -> None:
    """There is less of the position; `reason` is what closed it if nothing is left and we had not meant to leave."""
    position = present.position.with_exit(fill)
    draft.tell(PositionReduced, present.signal, leg=leg, quantity=fill.quantity, price=fill.price)
    if isinstance(present, Closing):
        # A venue refuses another stop when the position is gone: then the stop or the target was there all along, or
        # somebody else had closed it.
        told = leg.protects or reason is CloseReason.VENUE
        mistaken = present.reason is CloseReason.UNPROTECTED and told and position.flat
        draft.move(changed(present, position=position, reason=reason if mistaken else present.reason))
        settle(draft)
        return
    present = changed(present, position=position)
    draft.move(present)
    if not position.flat:
        protect(draft, present)
        return
    to_closing(draft, present, reason)
    settle(draft)
