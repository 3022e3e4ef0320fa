"""What a (strategy, symbol) puts at stake, read off its state; the same reading on every fact and on recovery."""

from collections.abc import Iterable
from decimal import Decimal

from livebot.core.facts import NO_EXPOSURE, Exposure
from livebot.core.order import ZERO, Leg, OrderRecord, OrderRequest, OrderStatus
from livebot.core.position import Position
from livebot.core.signal import Closing, Idle, Open, Opening, Scheduled, SignalState


def exposure_of(state: SignalState, orders: tuple[OrderRecord, ...]) -> Exposure:
    """Open and pending stake of a state and its orders (see Exposure for units)."""
    if isinstance(state, Idle):
        return NO_EXPOSURE
    signal = state.signal
    # One that waits to be sent again keeps its room.
    pending, pending_notional = _pending(orders, waiting=isinstance(state, Scheduled) and state.waiting)
    if isinstance(state, Scheduled | Opening):
        return Exposure(
            side=signal.side,
            pending_notional=pending_notional,
            risk_to_stop=abs(pending_notional - pending * signal.stop_loss),
        )
    # Exits may be heard of before the entries they closed; nothing is at stake then.
    quantity, entry_price = max(ZERO, state.position.quantity), state.position.entry_price
    open_notional = quantity * entry_price
    at_stake = open_notional + pending_notional
    return Exposure(
        side=signal.side,
        quantity=quantity,
        entry_price=entry_price,
        open_notional=open_notional,
        pending_notional=pending_notional,
        risk_to_stop=max(ZERO, signal.side.sign * (at_stake - (quantity + pending) * state.stop_loss)),
        booked=state.position.net,
    )


def _pending(orders: tuple[OrderRecord, ...], *, waiting: bool) -> tuple[Decimal, Decimal]:
    """What may still be entered, in base, and in quote at the prices that the portfolio admitted it at."""
    quantity = notional = ZERO
    for record in orders:
        if record.admitted_price is not None:
            most = record.request.quantity if record.status.live or waiting else record.reported_filled
            unfilled = most - record.filled
            quantity += unfilled
            notional += unfilled * record.admitted_price
    return quantity, notional


def held(position: Position, orders: Iterable[OrderRecord]) -> Decimal:
    """What the venue still holds of a position, in whole lots."""
    return position.whole_lots(still_there(position, orders))


def still_there(position: Position, orders: Iterable[OrderRecord]) -> Decimal:
    """What the venue still holds of a position: orders that ended may have filled unseen by us."""
    quantity = position.quantity
    for record in orders:
        if record.reported_filled > record.filled and not record.request.leg.opens:
            quantity -= record.reported_filled - record.filled
    return quantity


def awaits_entry(state: SignalState, orders: Iterable[OrderRecord]) -> bool:
    """Whether something may still open, or be added, that nobody has taken back yet."""
    if isinstance(state, Scheduled | Opening):
        return state.cancel is None
    opening = (record for record in orders if record.request.leg.opens and record.status.live)
    return isinstance(state, Open) and any(not record.cancel_requested for record in opening)


def others_that_leave(orders: Iterable[OrderRecord], order: OrderRequest) -> list[OrderRecord]:
    """Orders beside this one that may close some of the position, or have and nobody knows how much."""
    return [
        record
        for record in orders
        if not record.request.leg.opens
        and not record.settled
        and record.request.client_order_id != order.client_order_id
    ]


def leaving_too_much(state: SignalState, orders: Iterable[OrderRecord]) -> list[OrderRecord]:
    """Orders that have left to reduce, if all of them together may close more than there is of the position."""
    if not isinstance(state, Open | Closing):
        return []
    leaving = [
        record
        for record in orders
        if not record.request.leg.opens and not record.settled and record.status is not OrderStatus.INTENDED
    ]
    # One that is live may fill up, and of one that has ended it is known how much is to come.
    most = (record.left if record.status.live else record.reported_filled - record.filled for record in leaving)
    return leaving if sum(most, ZERO) > max(ZERO, state.position.quantity) else []


def protected(state: Open | Closing, orders: tuple[OrderRecord, ...]) -> bool:
    """Whether the venue has confirmed a live stop for at least what it holds of the position, as we last asked for it."""
    quantity = held(state.position, orders)
    if quantity <= 0:
        return True
    return any(_covers(record, quantity) for record in orders)


def _covers(record: OrderRecord, quantity: Decimal) -> bool:
    request = record.request
    return (
        request.leg is Leg.STOP
        and record.status is OrderStatus.WORKING
        and record.confirmed
        and request.quantity - record.filled >= quantity
    )
