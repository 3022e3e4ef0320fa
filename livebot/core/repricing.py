"""Re-pricing: what has not filled of a limit entry goes after the price, a few times and only so far.

Rules of this file: the room that the portfolio kept for the entry is never exceeded; an order that rests only moves
towards the price; an entry that would no longer pass the checks for entries is given up instead.
"""

from dataclasses import replace
from decimal import Decimal

from livebot.core.draft import Draft
from livebot.core.market import Instrument, Side
from livebot.core.order import MOST_ATTEMPTS, Leg, OrderRecord, OrderStatus
from livebot.core.risk import approve_repricing
from livebot.core.rules import LimitEntries
from livebot.core.signal import Signal
from livebot.core.validation import still_fits


def resting_price(side: Side, price: Decimal, limits: LimitEntries, instrument: Instrument) -> Decimal:
    """Where an entry rests when this is the price: on the better side of it, on a tick."""
    wanted = price * (1 - side.sign * limits.offset)
    return instrument.round_price_down(wanted) if side is Side.LONG else instrument.round_price_up(wanted)


def worst_price(side: Side, first: Decimal, limits: LimitEntries, instrument: Instrument) -> Decimal:
    """How far an entry that began at the price `first` may go after the market."""
    most = first * (1 + side.sign * limits.chase)
    return instrument.round_price_down(most) if side is Side.LONG else instrument.round_price_up(most)


def reprice(draft: Draft, signal: Signal, close: Decimal, *, waiting: bool = False) -> Signal | None:
    """Price the rest of the entry anew and let it rest again; None if it must be given up instead.

    `waiting`: the venue has refused it, so that it is sent again instead of changed.
    """
    limits, record = draft.rules.limit_entries, draft.newest(Leg.ENTRY)
    if limits is None or record is None or signal.reprices_left <= 0:
        return None
    wanted = resting_price(signal.side, close, limits, draft.rules.instrument)
    if not waiting:
        wanted = _towards_the_price(signal.side, record, wanted)
    if not _is_allowed(draft, signal, wanted):
        return None
    if not (_send_again(draft, record, wanted) if waiting else _change(draft, record, wanted)):
        return None
    return replace(signal, reprices_left=signal.reprices_left - 1, schedule_expires_ms=draft.ts_ms + limits.timeout_ms)


def _towards_the_price(side: Side, record: OrderRecord, wanted: Decimal) -> Decimal:
    present = record.request.price
    assert present is not None  # it is a limit order
    return max(present, wanted) if side is Side.LONG else min(present, wanted)


def _is_allowed(draft: Draft, signal: Signal, price: Decimal) -> bool:
    assert signal.worst_price is not None  # it may be re-priced
    too_far = signal.side.sign * (price - signal.worst_price) > 0
    return not too_far and still_fits(signal.side, price, signal.stop_loss, signal.take_profit, draft.rules.entry)


def _change(draft: Draft, record: OrderRecord, price: Decimal) -> bool:
    """Let the order that rests go to this price; False if it cannot be changed now, or what is left is dust."""
    request = record.request
    rests = record.status is OrderStatus.WORKING and not record.cancel_requested
    if not rests or not draft.rules.instrument.takes(request.quantity - record.filled, price):
        return False
    if price != request.price:
        draft.want(record, replace(request, price=price), send=True)
    return True


def _send_again(draft: Draft, record: OrderRecord, price: Decimal) -> bool:
    """Send another order instead of the one that the venue refused; False if there is no room for enough of it."""
    request, instrument = record.request, draft.rules.instrument
    assert record.admitted_price is not None  # it is an entry
    room = request.quantity * record.admitted_price
    quantity = min(request.quantity, instrument.round_quantity(room / price))
    attempt = request.attempt + 1
    if attempt > MOST_ATTEMPTS or not instrument.takes(quantity, price):
        return False
    order_id = draft.order_id(draft.number, Leg.ENTRY, attempt)
    order = replace(request, client_order_id=order_id, attempt=attempt, quantity=quantity, price=price)
    draft.intend(order, approve_repricing(order, record), admitted_price=max(record.admitted_price, price))
    return True
