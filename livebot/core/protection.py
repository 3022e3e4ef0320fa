"""Protective orders follow the position: a stop and a target of exactly the open quantity, at the present prices.

Rules of this file: a stop is placed again at once when the venue refuses or drops it, `Rules.protection_attempts` times
in a signal's life; a target waits for the next candle; what is right already is left alone; where nothing can stand
beside a stop there is no target, and the stop leaves room for a partial exit.  An order is changed at most once in
`Rules.amend_interval_ms`; the newest wish goes out with a later candle or fill.  A stop that is too small waits for
nothing.  Where a venue does not change a stop in place (`Rules.replaces_stops`), the next one is placed beside it, and
the older one is taken back when the venue has confirmed the newer: both only reduce, so that never more is closed than
there is, and at no instant there is none.  Two that are left from when it was so end likewise.
"""

from decimal import Decimal

from livebot.core.draft import Draft
from livebot.core.order import REPEATED_FROM, ZERO, Leg, OrderKind, OrderRecord, OrderStatus
from livebot.core.quick_init import changed
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
        False if there is none and no attempt is left, or the position is larger than one order may be.

    """
    quantity = _to_protect(draft, present) - leaving
    if quantity <= 0:
        return True  # an order has closed it, and the fills that say so are on their way
    covered = draft.in_one_order(quantity)
    if covered < quantity and not draft.rules.resting_target and isinstance(present, Open):
        return False  # it would only have to make way for the exit
    if draft.rules.replaces_stops:
        placed = _follow_with_next(draft, present, covered, retry=retry, urgent=urgent)
    else:
        placed = _follow_in_place(draft, present, covered, retry=retry, urgent=urgent or bool(leaving))
    return placed and covered == quantity


def _follow_in_place(draft: Draft, present: Open | Closing, quantity: Decimal, *, retry: bool, urgent: bool) -> bool:
    """As `follow_stop`, where the venue changes the stop that there is."""
    record = draft.live(Leg.STOP)
    if record is None:
        return _place(draft, present, quantity)
    leave_newest_stop(draft, present, retry=retry)
    urgent = urgent or record.filled + quantity > record.request.quantity
    _resize(draft, record, quantity, trigger=present.stop_loss, retry=retry, urgent=urgent)
    return True


def _to_protect(draft: Draft, present: Open | Closing) -> Decimal:
    """What a stop should be for: what is held, but for the part that is on its way out where it cannot stand beside one."""
    partial = None if draft.rules.resting_target else draft.live(Leg.PARTIAL)
    return draft.held(present.position, but_for=ZERO if partial is None else partial.left)


def _place(draft: Draft, present: Open | Closing, quantity: Decimal) -> bool:
    """Place a stop where there is none; False if no attempt is left."""
    if draft.attempts(Leg.STOP) - present.stops_replaced >= draft.rules.protection_attempts:
        return False
    draft.reduce(Leg.STOP, OrderKind.STOP_MARKET, quantity, trigger=present.stop_loss)
    return True


def _follow_with_next(draft: Draft, present: Open | Closing, quantity: Decimal, *, retry: bool, urgent: bool) -> bool:
    """As `follow_stop`, where the next stop is placed before the last one is taken back."""
    stops = [record for record in _live_stops(draft) if not record.cancel_requested]
    if not stops:
        return _place(draft, present, quantity)
    present = leave_newest_stop(draft, present, retry=retry)
    newest = stops[-1]
    if newest.status is OrderStatus.WORKING:  # else it has to be known first what became of it
        _place_next(draft, present, newest, quantity, retry=retry, urgent=urgent)
    return True


def leave_newest_stop(draft: Draft, present: Open | Closing, *, retry: bool) -> Open | Closing:
    """Of several stops take back those that the newest, once it is confirmed, makes needless; with `retry` once more.

    Needless is one if the newest is for as much as it, or for all.
    """
    live = _live_stops(draft)
    stops = [record for record in live if not record.cancel_requested]
    if len(live) == 1 or not stops or stops[-1].status is not OrderStatus.WORKING or not stops[-1].confirmed:
        return present  # nothing goes before it is known to stand, or stands again
    if retry:
        for record in live:
            if record.cancel_requested and record.status is OrderStatus.WORKING and is_needless(draft, record):
                draft.cancel(record)
    quantity, covered = _to_protect(draft, present), stops[-1].left
    for record in stops[:-1]:
        if covered >= min(quantity, record.left):
            draft.cancel(record)
            present = changed(present, stops_replaced=present.stops_replaced + 1)
    if present is not draft.present:
        draft.move(present)
    return present


def is_needless(draft: Draft, record: OrderRecord) -> bool:
    """Whether an order that was asked back is not wanted again: a stop of what is open goes only beside one for as much."""
    present = draft.present
    if record.request.leg is not Leg.STOP or not isinstance(present, Open):
        return True
    covered = min(_to_protect(draft, present), record.left)
    others = (each for each in _live_stops(draft) if each.request is not record.request and not each.cancel_requested)
    return any(each.status is OrderStatus.WORKING and each.confirmed and each.left >= covered for each in others)


def _live_stops(draft: Draft) -> list[OrderRecord]:
    return [record for record in draft.orders.values() if record.request.leg is Leg.STOP and record.status.live]


def _place_next(
    draft: Draft, present: Open | Closing, newest: OrderRecord, quantity: Decimal, *, retry: bool, urgent: bool
) -> None:
    """Place the stop that is wanted now, if the newest one is another; what the venue has just refused waits for a candle.

    One that is too small waits for nothing, but as often as a stop may be placed at all.
    """
    trigger, too_small = present.stop_loss, newest.left < quantity
    if newest.confirmed and (newest.left, newest.request.trigger_price) == (quantity, trigger):
        return
    if newest.request.attempt >= REPEATED_FROM:  # few ids are left
        _resize(draft, newest, quantity, trigger=trigger, retry=retry, urgent=urgent or too_small)
        return
    refused = draft.attempts(Leg.STOP) - newest.request.attempt
    if not (urgent or too_small):
        first = newest.request.attempt == 1
        if not (retry or newest.confirmed) or (not first and _was_just(draft, newest.sent_ms)):
            return
    if refused and not retry and not (too_small and refused < draft.rules.protection_attempts):
        return
    draft.reduce(Leg.STOP, OrderKind.STOP_MARKET, quantity, trigger=trigger)


def make_room(draft: Draft, present: Open, quantity: Decimal) -> bool:
    """See to it that an exit of this quantity can stand beside the stop; False if that cannot be said now."""
    if draft.rules.resting_target or not quantity:
        return True
    live = _live_stops(draft)
    if len(live) != 1 or live[0].status is not OrderStatus.WORKING or not live[0].confirmed or live[0].cancel_requested:
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
        wanted = changed(request, quantity=quantity, price=price, trigger_price=trigger)
        draft.want(record, wanted, send=amendable)
    elif not retry or record.confirmed or record.amended_ms == draft.ts_ms:
        return
    elif amendable:
        draft.want(record, request, send=True)
    elif record.venue_order_id is not None:
        # The venue had it, and has said since what cannot be told from its end: one that is taken back ends for certain.
        draft.cancel(record)


def _was_just_amended(draft: Draft, record: OrderRecord) -> bool:
    return record.amended_ms is not None and _was_just(draft, record.amended_ms)


def _was_just(draft: Draft, ts_ms: int) -> bool:
    # News may be older than the change: the venue's time of a fill, say.
    interval_ms = draft.rules.amend_interval_ms
    return interval_ms > 0 and draft.ts_ms < ts_ms + interval_ms
