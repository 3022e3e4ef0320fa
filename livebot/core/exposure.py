"""What a (strategy, symbol) puts at stake, read off its state; the same reading on every fact and on recovery."""

from collections.abc import Iterable
from decimal import Decimal

from livebot.core.facts import NO_EXPOSURE, Exposure
from livebot.core.order import ZERO, Leg, OrderRecord, OrderStatus
from livebot.core.position import Position
from livebot.core.signal import Closing, Idle, Open, Opening, Scheduled, SignalState


def exposure_of(state: SignalState, orders: tuple[OrderRecord, ...]) -> Exposure:
    """Open and pending stake of a state and its orders (see Exposure for units)."""
    if isinstance(state, Idle):
        return NO_EXPOSURE
    signal = state.signal
    pending = sum((_unfilled(record) for record in orders), ZERO)
    reference = signal.reference_price if signal.limit_price is None else signal.limit_price
    if isinstance(state, Scheduled | Opening):
        return Exposure(
            side=signal.side,
            pending_notional=pending * reference,
            risk_to_stop=pending * abs(reference - signal.stop_loss),
        )
    # Exits may be heard of before the entries they closed; nothing is at stake then.
    quantity, entry_price = max(ZERO, state.position.quantity), state.position.entry_price
    return Exposure(
        side=signal.side,
        quantity=quantity,
        entry_price=entry_price,
        open_notional=quantity * entry_price,
        pending_notional=pending * reference,
        risk_to_stop=max(ZERO, signal.side.sign * (entry_price - state.stop_loss) * (quantity + pending)),
        booked=state.position.net,
    )


def _unfilled(record: OrderRecord) -> Decimal:
    if not record.request.leg.opens:
        return ZERO
    return (record.request.quantity if record.status.live else record.reported_filled) - record.filled


def held(position: Position, orders: Iterable[OrderRecord]) -> Decimal:
    """What the venue still holds of a position: orders that ended may have reduced it by fills that we have not seen."""
    quantity = position.quantity
    for record in orders:
        if record.reported_filled > record.filled and not record.request.leg.opens:
            quantity -= record.reported_filled - record.filled
    return quantity


def protected(state: Open | Closing, orders: tuple[OrderRecord, ...]) -> bool:
    """Whether the venue has confirmed a live stop for at least what it holds of the position, at the present stop."""
    quantity = held(state.position, orders)
    if quantity <= 0:
        return True
    return any(_covers(record, quantity, state.stop_loss) for record in orders)


def _covers(record: OrderRecord, quantity: Decimal, stop_loss: Decimal) -> bool:
    request = record.request
    return (
        request.leg is Leg.STOP
        and record.status is OrderStatus.WORKING
        and record.confirmed
        and request.trigger_price == stop_loss
        and request.quantity - record.filled >= quantity
    )
