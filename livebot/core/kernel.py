"""The kernel: the only code that opens, manages and closes a signal.

Rules of this file: `step(state, input, rules)` is a pure function; whatever happens, the position's protective orders
follow the position; an order is in the state before it is in the requests; a signal returns to Idle only when it is
flat and the venue has ended every order of it, so that nothing of an old signal can touch a new one.

Here stand the inputs that are ours: admissions, candles, wishes to leave or to adjust.  `settlement` is what the venue
says, `leaving` how a signal ends, `protection` how stop and target follow the position.
"""

from dataclasses import replace
from decimal import Decimal
from math import isfinite
from typing import assert_never

from livebot.core.candidate import Candidate
from livebot.core.draft import Draft
from livebot.core.entry import Adjustment
from livebot.core.exits import averaging_due, best_price, moved_stop, partial_due
from livebot.core.exposure import protected
from livebot.core.facts import SignalOpening, SignalScheduled, StopMoved, TargetMoved
from livebot.core.inputs import (
    Adjusted,
    Admitted,
    AskAdmission,
    CandleClosed,
    ClosedOutside,
    EntriesWithdrawn,
    ExitRequested,
    Input,
    OrderAbsent,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    OrderUnknown,
    Step,
    SymbolState,
)
from livebot.core.leaving import begin_close, cancel_live, cancel_opening_orders, close_on, give_up_entry, protect
from livebot.core.market import Candle, decimal_of
from livebot.core.order import Leg, OrderKind, OrderRequest
from livebot.core.protection import make_room
from livebot.core.repricing import reprice
from livebot.core.rules import Rules
from livebot.core.settlement import (
    CANCEL_REASON,
    absent,
    accepted,
    closed_outside,
    ended,
    filled,
    rejected,
    unknown,
)
from livebot.core.signal import (
    CancelReason,
    CloseReason,
    Closing,
    Idle,
    Open,
    Opening,
    Scheduled,
    Signal,
    tighter_stop,
    tighter_target,
)
from livebot.core.venue_steps import follow_steps
from livebot.errors import IllegalTransition

# An entry that is given up for one of these is kept if it fills all the same, and that is not what an exit wants.
_WEAKER = (None, CancelReason.EXPIRED, CancelReason.TRADING_STATE)


def step(state: SymbolState, event: Input, rules: Rules) -> Step:  # noqa: C901, PLR0912 - one arm per input, no logic
    """What follows from one input.

    Raises:
        IllegalTransition: the input cannot belong to this state (an admission that is not the next one, a fill of an
            order that is not on record); nothing was changed.

    """
    if type(event) is CandleClosed and type(state.signal) is Idle:
        return Step(state, (), ())  # by far the most frequent input
    draft = Draft(state, rules, event.ts_ms)
    renewed = follow_steps(draft)
    match event:
        case CandleClosed():
            _candle(draft, event.candle)
        case OrderFilled():
            filled(draft, event.fill)
        case OrderAccepted():
            accepted(draft, event)
        case OrderEnded():
            ended(draft, event)
        case OrderRejected():
            rejected(draft, event)
        case OrderAbsent():
            absent(draft, event)
        case OrderUnknown():
            unknown(draft, event)
        case Admitted():
            _admitted(draft, event)
        case ExitRequested():
            _exit(draft, event.reason)
        case EntriesWithdrawn():
            _withdraw_entries(draft)
        case Adjusted():
            _adjusted(draft, event.adjustment, event.price)
        case ClosedOutside():
            closed_outside(draft, event)
        case _:
            assert_never(event)
    if renewed and isinstance(draft.present, Open):
        protect(draft, draft.present)
    return draft.finish()


# Entering


def _admitted(draft: Draft, event: Admitted) -> None:
    candidate = event.approved.candidate
    if candidate is None:
        message = f"{draft.state.symbol}: a reducing order cannot be admitted as an entry"
        raise IllegalTransition(message)
    if candidate.signal is None:
        _admit_averaging(draft, event.approved.order)
    else:
        _admit_entry(draft, candidate.signal, event.approved.order)
    draft.intend(event.approved.order, event.approved, admitted_price=candidate.price)


def _admit_averaging(draft: Draft, order: OrderRequest) -> None:
    present = draft.present
    if not isinstance(present, Open):
        message = f"{draft.state.symbol}: cannot average without an open position"
        raise IllegalTransition(message)
    _check_next(draft, order, present.signal.number, Leg.AVERAGE, draft.attempts(Leg.AVERAGE) + 1)
    draft.move(replace(present, averaged=present.averaged + 1))


def _admit_entry(draft: Draft, signal: Signal, order: OrderRequest) -> None:
    if not isinstance(draft.present, Idle):
        message = f"{draft.state.symbol}: cannot enter while {type(draft.present).__name__}"
        raise IllegalTransition(message)
    _check_next(draft, order, draft.number + 1, Leg.ENTRY, 1)
    draft.number = signal.number
    told = {
        "quantity": signal.quantity,
        "stop_loss": signal.stop_loss,
        "take_profit": signal.take_profit,
        "confidence": signal.confidence,
        "model": signal.model,
        "reason": signal.reason,
    }
    if signal.limit_price is None:
        draft.move(Opening(signal))
        draft.tell(SignalOpening, signal, reference_price=signal.reference_price, **told)
    else:
        draft.move(Scheduled(signal))
        draft.tell(SignalScheduled, signal, limit_price=signal.limit_price, **told)


def _check_next(draft: Draft, order: OrderRequest, number: int, leg: Leg, attempt: int) -> None:
    # An admission that comes late or twice must not send an order under an id that was used before.
    expected = draft.order_id(number, leg, attempt)
    if order.client_order_id != expected:
        message = f"{draft.state.symbol}: order {order.client_order_id} was admitted, the next one is {expected}"
        raise IllegalTransition(message)


# Candles


def _candle(draft: Draft, candle: Candle) -> None:
    present = draft.present
    if isinstance(present, Scheduled | Opening):
        if present.cancel is not None:
            cancel_live(draft, again=True)
        elif _schedule_expired(draft, present):
            waiting = isinstance(present, Scheduled) and present.waiting
            signal = reprice(draft, present.signal, decimal_of(candle.close), waiting=waiting)
            if signal is None:
                give_up_entry(draft, present, CancelReason.EXPIRED)
            else:
                draft.move(Scheduled(signal))
    elif isinstance(present, Open):
        _candle_in_open(draft, present, candle)
    else:
        assert isinstance(present, Closing)  # `step` has dealt with Idle
        close_on(draft, present)


def _schedule_expired(draft: Draft, present: Scheduled | Opening | Open) -> bool:
    expires_ms = present.signal.schedule_expires_ms
    waiting = isinstance(present, Scheduled) and present.waiting
    return waiting or (expires_ms is not None and draft.ts_ms >= expires_ms)


def _candle_in_open(draft: Draft, present: Open, candle: Candle) -> None:
    remainder = draft.live(Leg.ENTRY)
    if remainder is not None and _schedule_expired(draft, present):
        signal = reprice(draft, present.signal, decimal_of(candle.close))
        if signal is None:
            draft.cancel(remainder)
        else:
            present = replace(present, signal=signal)
            draft.move(present)
    if draft.ts_ms >= present.opened_ms + present.signal.lifetime_ms:
        begin_close(draft, present, CloseReason.TIME_EXPIRED)
    elif candle.ts_ms < present.opened_ms:
        protect(draft, present, retry=True)
    else:
        _manage(draft, present, candle)


def _manage(draft: Draft, present: Open, candle: Candle) -> None:
    moved = moved_stop(present, candle, draft.rules.instrument)
    if moved is not None:
        if not _stop_is_behind(present, moved.stop_loss, decimal_of(candle.close)):
            # The price has fallen through the new stop already: a venue would refuse it or trigger it at once.
            begin_close(draft, present, CloseReason.TRAILING_STOP)
            return
        present = replace(present, stop_loss=moved.stop_loss, stop_trails=True)
        draft.move(present)
        draft.tell(StopMoved, present.signal, stop_loss=moved.stop_loss, cause=moved.cause)
    if _target_missed(draft, present, candle):
        begin_close(draft, present, CloseReason.TAKE_PROFIT)
        return
    present = _take_partials(draft, present, candle)
    if protect(draft, present, retry=True):
        _ask_averaging(draft, present, candle)


def _stop_is_behind(present: Open, stop_loss: Decimal, price: Decimal) -> bool:
    return present.signal.side.sign * (price - stop_loss) > 0


def _target_missed(draft: Draft, present: Open, candle: Candle) -> bool:
    side = present.signal.side
    if side.sign * (best_price(side, candle) - present.take_profit) < 0:
        return False
    # A target that the venue has confirmed does it, or has done it.
    record = draft.unsettled(Leg.TARGET)
    return record is None or (record.status.live and not record.confirmed)


def _take_partials(draft: Draft, present: Open, candle: Candle) -> Open:
    due = partial_due(present, candle, draft.rules.instrument)
    if due is None or draft.unsettled(Leg.PARTIAL) is not None or not make_room(draft, present, due.quantity):
        return present
    present = replace(present, partials_done=due.levels_done)
    draft.move(present)
    if due.quantity > 0:
        draft.reduce(Leg.PARTIAL, OrderKind.MARKET, due.quantity)
    return present


def _ask_averaging(draft: Draft, present: Open, candle: Candle) -> None:
    quantity = averaging_due(present, candle, draft.rules.instrument)
    if quantity is None or draft.unsettled(Leg.AVERAGE) is not None or draft.unsettled(Leg.ENTRY) is not None:
        return
    orders = tuple(draft.orders.values())
    if not protected(present, orders) or draft.held(present.position) != present.position.closable:
        return  # nothing is added to what has no confirmed stop, or is being closed
    signal, price = present.signal, decimal_of(candle.close)
    attempt = draft.attempts(Leg.AVERAGE) + 1
    order = OrderRequest(
        client_order_id=draft.order_id(signal.number, Leg.AVERAGE, attempt),
        symbol=draft.state.symbol,
        leg=Leg.AVERAGE,
        attempt=attempt,
        side=signal.side.entry_order,
        kind=OrderKind.MARKET,
        quantity=quantity,
    )
    candidate = Candidate(
        strategy=draft.state.strategy,
        symbol=draft.state.symbol,
        side=signal.side,
        order=order,
        signal=None,
        price=price,
        notional=quantity * price,
        risk=quantity * abs(price - present.stop_loss),
        confidence=signal.confidence,
        ts_ms=draft.ts_ms,
    )
    draft.requests.append(AskAdmission(candidate))


# Wishes


def _exit(draft: Draft, reason: CloseReason) -> None:
    present = draft.present
    if isinstance(present, Scheduled | Opening):
        if present.cancel in _WEAKER:
            give_up_entry(draft, present, CANCEL_REASON.get(reason, CancelReason.OPERATOR))
        else:
            cancel_live(draft, again=True)
    elif isinstance(present, Open):
        begin_close(draft, present, reason)
    elif isinstance(present, Closing):
        close_on(draft, present)  # the first reason stands


def _withdraw_entries(draft: Draft) -> None:
    present = draft.present
    if isinstance(present, Scheduled | Opening) and present.cancel is None:
        give_up_entry(draft, present, CancelReason.TRADING_STATE)
    elif isinstance(present, Open):
        cancel_opening_orders(draft, again=False)


def _adjusted(draft: Draft, adjustment: Adjustment, price: Decimal) -> None:
    present = draft.present
    if not isinstance(present, Open):
        return
    if adjustment.close:
        begin_close(draft, present, CloseReason.STRATEGY_EXIT)
        return
    stop_loss = _adjusted_stop(draft, present, adjustment, price)
    take_profit = _adjusted_target(draft, present, adjustment, price)
    following = replace(
        present,
        stop_loss=stop_loss,
        take_profit=take_profit,
        stop_trails=present.stop_trails or stop_loss != present.stop_loss,
    )
    if following == present:
        return
    draft.move(following)
    if stop_loss != present.stop_loss:
        draft.tell(StopMoved, present.signal, stop_loss=stop_loss, cause="strategy")
    if take_profit != present.take_profit:
        draft.tell(TargetMoved, present.signal, take_profit=take_profit)
    protect(draft, following)


def _adjusted_stop(draft: Draft, present: Open, adjustment: Adjustment, price: Decimal) -> Decimal:
    if adjustment.stop_loss is None or not isfinite(adjustment.stop_loss):
        return present.stop_loss
    wanted = draft.rules.instrument.round_price(decimal_of(adjustment.stop_loss))
    if not _stop_is_behind(present, wanted, price):
        return present.stop_loss
    return tighter_stop(present.signal.side, present.stop_loss, wanted)


def _adjusted_target(draft: Draft, present: Open, adjustment: Adjustment, price: Decimal) -> Decimal:
    if adjustment.take_profit is None or not isfinite(adjustment.take_profit):
        return present.take_profit
    side = present.signal.side
    wanted = draft.rules.instrument.round_price(decimal_of(adjustment.take_profit))
    if side.sign * (wanted - price) <= 0:
        return present.take_profit
    return tighter_target(side, present.take_profit, wanted)
