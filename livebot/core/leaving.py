"""Leaving: how an entry is given up, how a position is closed, and when a signal is done.

Rules of this file: an exit is a reduce-only market order of what the venue still holds, never two at a time; stop and
target stay until the position is flat; a signal is done only when it is flat and every order of it is settled.  A
refused exit waits for the next candle or wish to leave, so that no venue can make us ask in a circle.
"""

from dataclasses import replace

from livebot.core.draft import Draft
from livebot.core.facts import SignalClosed, SignalClosing
from livebot.core.order import Leg, OrderKind
from livebot.core.protection import follow, follow_stop
from livebot.core.signal import CancelReason, CloseReason, Closing, Idle, Open, Opening, Scheduled

_OPENING_LEGS = (Leg.ENTRY, Leg.AVERAGE)


def protect(draft: Draft, present: Open, *, retry: bool = False) -> bool:
    """Bring the protective orders in line; a position the venue will not protect is closed (then False)."""
    if follow(draft, present, retry=retry):
        return True
    begin_close(draft, present, CloseReason.UNPROTECTED)
    return False


def give_up_entry(draft: Draft, present: Scheduled | Opening, reason: CancelReason) -> None:
    """Take the entry back; it may still fill before the venue hears of it."""
    draft.move(replace(present, cancel=reason))
    cancel_live(draft, again=False)


def begin_close(draft: Draft, present: Open, reason: CloseReason) -> None:
    """Close the position at the market."""
    to_closing(draft, present, reason)
    _cancel_opening_orders(draft, again=False)
    quantity = draft.held(present.position)
    if quantity > 0:
        draft.reduce(Leg.EXIT, OrderKind.MARKET, quantity)


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
        )
    )
    draft.tell(SignalClosing, present.signal, reason=reason)


def close_on(draft: Draft, present: Closing) -> None:
    """With each candle, and whenever it is wished for again: ask for all that is still missing."""
    if present.position.flat:
        cancel_live(draft, again=True)
        settle(draft)
        return
    _cancel_opening_orders(draft, again=True)
    quantity = draft.held(present.position)
    if quantity > 0 and draft.live(Leg.EXIT) is None:
        draft.reduce(Leg.EXIT, OrderKind.MARKET, quantity)
    follow_stop(draft, present, retry=True)


def grown(draft: Draft, present: Closing) -> None:
    """An entry filled while we were leaving: an exit on its way is too small for it, and so is the stop."""
    quantity = draft.held(present.position)
    if quantity > 0 and draft.live(Leg.EXIT) is None:
        draft.reduce(Leg.EXIT, OrderKind.MARKET, quantity)
    follow_stop(draft, present, retry=False)
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
        if record.status.live and (again or not record.cancel_requested):
            draft.cancel(record)


def _cancel_opening_orders(draft: Draft, *, again: bool) -> None:
    for leg in _OPENING_LEGS:
        record = draft.live(leg)
        if record is not None and (again or not record.cancel_requested):
            draft.cancel(record)


def _follow_up_exit(draft: Draft, present: Closing) -> None:
    # One that traded and left something is followed up at once: each time there is less.
    last, quantity = draft.newest(Leg.EXIT), draft.held(present.position)
    traded = last is not None and not last.status.live and last.reported_filled > 0
    if traded and quantity > 0:
        draft.reduce(Leg.EXIT, OrderKind.MARKET, quantity)


def _be_done(draft: Draft, present: Closing) -> None:
    position = present.position
    draft.move(Idle())
    draft.tell(
        SignalClosed,
        present.signal,
        reason=present.reason,
        opened_ms=present.opened_ms,
        quantity=position.entry_quantity,
        entry_price=position.entry_price,
        exit_price=position.exit_price,
        fees=position.fees,
        pnl_net=position.net,
        pnl_ratio=position.net_ratio,
    )
