"""Protective orders follow the position: a stop and a target of exactly the open quantity, at the present prices.

Rules of this file: a stop is placed again at once when the venue refuses or drops it, `Rules.protection_attempts` times
in a signal's life; a target waits for the next candle; what is right already is left alone; where nothing can stand
beside a stop there is no target, and the stop leaves room for a partial exit.  An order is changed at most once in
`Rules.amend_interval_ms`; the newest wish goes out with a later candle or fill.  A stop that is too small waits for
nothing.
"""

from dataclasses import replace
from decimal import Decimal

from livebot.core.draft import Draft
from livebot.core.order import ZERO, Leg, OrderKind, OrderRecord, OrderStatus
from livebot.core.signal import Closing, Open


def follow(draft: Draft, present: Open, *, retry: bool) -> bool:
    """Bring stop and target in line with the position; `retry` (once a candle) also repeats what was not confirmed.

    Returns:
        False if the venue will not keep a stop and the position must be closed.

    """
    if not follow_stop(draft, present, retry=retry):
        return False
    _follow_target(draft, present, retry=retry)
    return True


def repeat(draft: Draft, present: Open | Closing, leg: Leg) -> None:
    """The venue has the order of this leg otherwise than we asked for it: ask at once for what is wanted now."""
    if leg is Leg.STOP:
        follow_stop(draft, present, retry=True, urgent=True)
    elif isinstance(present, Open):
        _follow_target(draft, present, retry=True, urgent=True)


def follow_stop(
    draft: Draft, present: Open | Closing, *, retry: bool, leaving: Decimal = ZERO, urgent: bool = False
) -> bool:
    """Bring the stop alone in line with the position, less what is `leaving` it by an order that comes next.

    `urgent`: whenever it was last changed.

    Returns:
        False if there is none and no attempt is left.

    """
    quantity = draft.held(present.position) - leaving
    if not draft.rules.resting_target:
        partial = draft.live(Leg.PARTIAL)
        quantity -= ZERO if partial is None else partial.request.quantity - partial.filled
    if quantity <= 0:
        return True  # an order has closed it, and the fills that say so are on their way
    record = draft.live(Leg.STOP)
    if record is not None:
        urgent = urgent or bool(leaving) or record.filled + quantity > record.request.quantity
        _resize(draft, record, quantity, trigger=present.stop_loss, retry=retry, urgent=urgent)
        return True
    if draft.attempts(Leg.STOP) >= draft.rules.protection_attempts:
        return False
    draft.reduce(Leg.STOP, OrderKind.STOP_MARKET, quantity, trigger=present.stop_loss)
    return True


def make_room(draft: Draft, present: Open, quantity: Decimal) -> bool:
    """See to it that an exit of this quantity can stand beside the stop; False if that cannot be said now."""
    if draft.rules.resting_target or not quantity:
        return True
    record = draft.live(Leg.STOP)
    if record is None or record.status is not OrderStatus.WORKING or not record.confirmed or record.cancel_requested:
        return False
    return follow_stop(draft, present, retry=False, leaving=quantity)


def _follow_target(draft: Draft, present: Open, *, retry: bool, urgent: bool = False) -> None:
    quantity = draft.held(present.position)
    if quantity <= 0:
        return
    record = draft.live(Leg.TARGET)
    if not draft.rules.resting_target:
        if record is not None and (retry or not record.cancel_requested):
            draft.cancel(record)  # from before it was so
        return
    if record is not None:
        _resize(draft, record, quantity, price=present.take_profit, retry=retry, urgent=urgent)
        return
    attempts = draft.attempts(Leg.TARGET)
    if attempts == 0 or (retry and attempts < draft.rules.protection_attempts):
        draft.reduce(Leg.TARGET, OrderKind.LIMIT, quantity, price=present.take_profit)


def _resize(
    draft: Draft,
    record: OrderRecord,
    open_quantity: Decimal,
    *,
    price: Decimal | None = None,
    trigger: Decimal | None = None,
    retry: bool,
    urgent: bool = False,
) -> None:
    request, quantity = record.request, record.filled + open_quantity
    # An order whose fate is unknown cannot be amended yet; it is amended once the venue has confirmed it.
    amendable = record.status is OrderStatus.WORKING and not record.cancel_requested
    if (quantity, price, trigger) != (request.quantity, request.price, request.trigger_price):
        if amendable and not urgent and _was_just_amended(draft, record):
            return  # the record goes on saying what the venue has
        wanted = replace(request, quantity=quantity, price=price, trigger_price=trigger)
        draft.want(record, wanted, send=amendable)
    elif not retry or record.confirmed or record.amended_ms == draft.ts_ms:
        return
    elif amendable:
        draft.want(record, request, send=True)
    elif record.venue_order_id is not None:
        # The venue had it, and has said since what cannot be told from its end: one that is taken back ends for certain.
        draft.cancel(record)


def _was_just_amended(draft: Draft, record: OrderRecord) -> bool:
    # News may be older than the change: the venue's time of a fill, say.
    interval_ms = draft.rules.amend_interval_ms
    return interval_ms > 0 and record.amended_ms is not None and draft.ts_ms < record.amended_ms + interval_ms
