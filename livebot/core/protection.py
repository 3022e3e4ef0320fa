"""Protective orders follow the position: a stop and a target of exactly the open quantity, at the present prices.

Rules of this file: a stop is placed again at once when the venue refuses or drops it, `Rules.protection_attempts` times
in a signal's life; a target waits for the next candle; what is right already is left alone.
"""

from dataclasses import replace
from decimal import Decimal

from livebot.core.draft import Draft
from livebot.core.order import Leg, OrderKind, OrderRecord, OrderStatus
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


def follow_stop(draft: Draft, present: Open | Closing, *, retry: bool) -> bool:
    """Bring the stop alone in line with the position.

    Returns:
        False if there is none and no attempt is left.

    """
    quantity = draft.held(present.position)
    if quantity <= 0:
        return True  # an order has closed it, and the fills that say so are on their way
    record = draft.live(Leg.STOP)
    if record is not None:
        _resize(draft, record, quantity, trigger=present.stop_loss, retry=retry)
        return True
    if draft.attempts(Leg.STOP) >= draft.rules.protection_attempts:
        return False
    draft.reduce(Leg.STOP, OrderKind.STOP_MARKET, quantity, trigger=present.stop_loss)
    return True


def _follow_target(draft: Draft, present: Open, *, retry: bool) -> None:
    quantity = draft.held(present.position)
    if quantity <= 0:
        return
    record = draft.live(Leg.TARGET)
    if record is not None:
        _resize(draft, record, quantity, price=present.take_profit, retry=retry)
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
) -> None:
    request, quantity = record.request, record.filled + open_quantity
    # An order whose fate is unknown cannot be amended yet; it is amended once the venue has confirmed it.
    amendable = record.status is OrderStatus.WORKING and not record.cancel_requested
    if (quantity, price, trigger) != (request.quantity, request.price, request.trigger_price):
        wanted = replace(request, quantity=quantity, price=price, trigger_price=trigger)
        draft.want(record, wanted, send=amendable)
    elif not retry or record.confirmed:
        return
    elif amendable:
        draft.want(record, request, send=True)
    elif record.venue_order_id is not None:
        # The venue had it, and has said since what cannot be told from its end: one that is taken back ends for certain.
        draft.cancel(record)
