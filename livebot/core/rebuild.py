"""A state made anew from what the venue shows, for a (strategy, symbol) whose file was damaged.

Rules of this file: only orders that carry the client order id of this (strategy, symbol) count; the position is what its
live stop covers; numbers go on above everything that was ever used, so that no id and no ledger row can repeat.
"""

from collections.abc import Iterable
from decimal import Decimal

from livebot.core.entry import NO_EXIT_PLAN
from livebot.core.inputs import SymbolState
from livebot.core.market import MINUTE_MS, Side
from livebot.core.order import (
    ZERO,
    Fill,
    Leg,
    OrderKind,
    OrderRecord,
    OrderRequest,
    VenueOrder,
    VenuePosition,
    client_order_id,
)
from livebot.core.position import Position
from livebot.core.signal import Idle, Open, Signal

NUMBER_MARGIN = 16  # signals that the lost file may have known and nobody else does
SEQUENCE_MARGIN = 1_000  # facts, likewise
REBUILT_LIFETIME_MS = 240 * MINUTE_MS


def rebuild(
    empty: SymbolState, orders: Iterable[VenueOrder], position: VenuePosition | None, *, now_ms: int
) -> SymbolState:
    """The Open state that a live stop of ours and a position imply; else Idle.  `empty` carries names and last numbers.

    The entry price is the venue's average price and the fees of the entry are not known (0); the lifetime starts now.
    """
    ours = {_tail(empty, order): order for order in orders if _is_ours(empty, order)}
    numbers = [int(tail[:6], 16) for tail in ours]
    number = max([empty.number + NUMBER_MARGIN, *numbers])
    idle = SymbolState(
        system=empty.system,
        strategy=empty.strategy,
        symbol=empty.symbol,
        sequence=empty.sequence + SEQUENCE_MARGIN,
        number=number,
        signal=Idle(),
    )
    stops = {tail: order for tail, order in ours.items() if tail[6] == Leg.STOP.value}
    if position is None or not stops:
        return idle
    tail, stop = max(stops.items())
    side = Side.LONG if position.quantity > 0 else Side.SHORT
    quantity = min(stop.quantity - stop.filled, abs(position.quantity))
    target = next((order for other, order in ours.items() if other[:7] == tail[:6] + Leg.TARGET.value), None)
    if stop.side is not side.exit_order or stop.trigger_price is None or quantity <= 0:
        return idle
    return _open_state(idle, side, quantity, int(tail[:6], 16), (stop, target), position, now_ms)


def _open_state(
    idle: SymbolState,
    side: Side,
    quantity: Decimal,
    number: int,
    protection: tuple[VenueOrder, VenueOrder | None],
    position: VenuePosition,
    now_ms: int,
) -> SymbolState:
    stop, target = protection
    assert stop.trigger_price is not None
    price = position.average_price
    take_profit = target.price if target is not None and target.price is not None else price * (2 if side is Side.LONG else Decimal("0.5"))
    signal = Signal(
        number=number,
        side=side,
        quantity=quantity,
        reference_price=price,
        limit_price=None,
        stop_loss=stop.trigger_price,
        take_profit=take_profit,
        lifetime_ms=REBUILT_LIFETIME_MS,
        created_ms=now_ms,
        schedule_expires_ms=None,
        exits=NO_EXIT_PLAN,
        reason="rebuilt from the venue",
    )
    entry = Fill(
        trade_id=f"rebuilt-{number}",
        client_order_id="",
        ts_ms=now_ms,
        side=side.entry_order,
        price=price,
        quantity=quantity,
        fee=ZERO,
    )
    records = tuple(
        _record(order, leg, now_ms) for order, leg in ((stop, Leg.STOP), (target, Leg.TARGET)) if order is not None
    )
    return SymbolState(
        system=idle.system,
        strategy=idle.strategy,
        symbol=idle.symbol,
        sequence=idle.sequence,
        number=idle.number,
        signal=Open(
            signal=signal,
            position=Position(side).with_entry(entry),
            opened_ms=now_ms,
            stop_loss=stop.trigger_price,
            take_profit=take_profit,
        ),
        orders=records,
    )


def _record(order: VenueOrder, leg: Leg, now_ms: int) -> OrderRecord:
    assert order.client_order_id is not None
    return OrderRecord(
        request=OrderRequest(
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            leg=leg,
            attempt=int(order.client_order_id[-2:], 16),
            side=order.side,
            kind=order.kind,
            quantity=order.quantity,
            price=order.price if order.kind is OrderKind.LIMIT else None,
            trigger_price=order.trigger_price if order.kind is OrderKind.STOP_MARKET else None,
            reduce_only=True,
        ),
        status=order.status,
        sent_ms=now_ms,
        venue_order_id=order.venue_order_id,
        filled=order.filled,
        reported_filled=order.filled,
        confirmed=True,
    )


def _head(state: SymbolState) -> str:
    return client_order_id(state.system, state.strategy, state.symbol, number=0, leg=Leg.STOP, attempt=0)[:-9]


def _is_ours(state: SymbolState, order: VenueOrder) -> bool:
    return order.client_order_id is not None and order.client_order_id.startswith(_head(state))


def _tail(state: SymbolState, order: VenueOrder) -> str:
    assert order.client_order_id is not None
    return order.client_order_id[len(_head(state)) :]
