"""A state made anew from what the venue shows, for a (strategy, symbol) whose file was damaged.

Rules of this file: only orders that carry the client order id of this (strategy, symbol) count; the position is what its
live stop covers; numbers go on above everything that was ever used, so that no id and no ledger row can repeat.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from livebot.core.entry import NO_EXIT_PLAN
from livebot.core.inputs import SymbolState
from livebot.core.market import MINUTE_MS, Instrument, Side
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
from livebot.core.signal import Open, Signal

NUMBER_MARGIN = 16  # signals that the lost file may have known and nobody else does
SEQUENCE_MARGIN = 1_000  # facts, likewise
REBUILT_LIFETIME_MS = 240 * MINUTE_MS

_TAIL = re.compile(r"([0-9a-f]{6})([a-z])([0-9a-f]{2})")  # number, leg, attempt
_FAR = {Side.LONG: Decimal(2), Side.SHORT: Decimal("0.5")}  # times the entry price: a target that is lost

_Ours = Mapping[tuple[int, str, int], VenueOrder]  # by number, leg, attempt


def rebuild(
    empty: SymbolState,
    orders: Iterable[VenueOrder],
    position: VenuePosition | None,
    instrument: Instrument | None,
    *,
    now_ms: int,
) -> SymbolState:
    """The Open state that a live stop of ours and a position imply; else Idle.

    `empty` carries names and last numbers; `instrument` None: the venue lacks the symbol.  The entry price is the
    venue's average price (the stop's trigger where the venue has none) and the fees of the entry are not known (0); the
    lifetime starts now.
    """
    ours = {key: order for order in orders if (key := _key(empty, order)) is not None}
    idle = replace(
        empty,
        sequence=empty.sequence + SEQUENCE_MARGIN,
        number=max([empty.number + NUMBER_MARGIN, *(number for number, _, _ in ours)]),
    )
    stops = [key for key, order in ours.items() if key[1] == Leg.STOP.value and order.kind is OrderKind.STOP_MARKET]
    if position is None or instrument is None or not stops:
        return idle
    number, _, attempt = max(stops)
    stop = ours[number, Leg.STOP.value, attempt]
    side = Side.LONG if position.quantity > 0 else Side.SHORT
    quantity = min(stop.quantity - stop.filled, abs(position.quantity))
    if stop.side is not side.exit_order or stop.trigger_price is None or quantity <= 0:
        return idle
    entry_price = position.average_price or stop.trigger_price
    entry = Fill(
        trade_id=f"rebuilt-{number}",
        client_order_id="",
        ts_ms=now_ms,
        side=side.entry_order,
        price=entry_price,
        quantity=quantity,
        fee=ZERO,
    )
    present = open_of(
        number,
        entry,
        stop_loss=stop.trigger_price,
        take_profit=far_target(side, entry_price),
        lifetime_ms=REBUILT_LIFETIME_MS,
        reason="rebuilt from the venue",
    )
    return _protected(replace(idle, signal=present), present, ours, instrument, now_ms)


def is_ours(state: SymbolState, order: VenueOrder) -> bool:
    """Whether the order carries a client order id of this (strategy, symbol)."""
    return _key(state, order) is not None


def _key(state: SymbolState, order: VenueOrder) -> tuple[int, str, int] | None:
    head = client_order_id(state.system, state.strategy, state.symbol, number=0, leg=Leg.STOP, attempt=0)[:-9]
    order_id = order.client_order_id
    if order_id is None or not order_id.startswith(head):
        return None
    parts = _TAIL.fullmatch(order_id, len(head))
    return None if parts is None else (int(parts[1], 16), parts[2], int(parts[3], 16))


def far_target(side: Side, price: Decimal) -> Decimal:
    """So far away that it stands for none, for a signal that must have one; not on a tick."""
    return price * _FAR[side]


def open_of(
    number: int, entry: Fill, *, stop_loss: Decimal, take_profit: Decimal, lifetime_ms: int, reason: str
) -> Open:
    """An open signal without a past: one entry at the venue's average price, managed by its stop and target alone."""
    side = Side.LONG if entry.side is Side.LONG.entry_order else Side.SHORT
    signal = Signal(
        number=number,
        side=side,
        quantity=entry.quantity,
        reference_price=entry.price,
        limit_price=None,
        stop_loss=stop_loss,
        take_profit=take_profit,
        lifetime_ms=lifetime_ms,
        created_ms=entry.ts_ms,
        schedule_expires_ms=None,
        exits=NO_EXIT_PLAN,
        reason=reason,
    )
    return Open(
        signal=signal,
        position=Position(side).with_entry(entry),
        opened_ms=entry.ts_ms,
        stop_loss=stop_loss,
        take_profit=take_profit,
    )


def _protected(state: SymbolState, present: Open, ours: _Ours, instrument: Instrument, now_ms: int) -> SymbolState:
    """The state with the orders that protect it, and with the venue's target if there is one of this signal."""
    number = present.signal.number
    kinds = {Leg.STOP.value: (Leg.STOP, OrderKind.STOP_MARKET), Leg.TARGET.value: (Leg.TARGET, OrderKind.LIMIT)}
    newest: dict[Leg, VenueOrder] = {}
    for key in sorted(ours):
        leg, kind = kinds.get(key[1], (None, None))
        if leg is not None and key[0] == number and ours[key].kind is kind:
            newest[leg] = ours[key]
    stop, target = newest[Leg.STOP], newest.get(Leg.TARGET)
    assert stop.client_order_id is not None
    take_profit = None if target is None else target.price
    if take_profit is None:
        take_profit = instrument.round_price(present.take_profit)
    return replace(
        state,
        signal=replace(
            present,
            signal=replace(present.signal, take_profit=take_profit),
            take_profit=take_profit,
            stops_replaced=int(stop.client_order_id[-2:], 16) - 1,
        ),
        orders=tuple(_record(order, leg, now_ms) for leg, order in newest.items()),
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
            price=order.price if leg is Leg.TARGET else None,
            trigger_price=order.trigger_price if leg is Leg.STOP else None,
            reduce_only=True,
        ),
        status=order.status,
        sent_ms=now_ms,
        venue_order_id=order.venue_order_id,
        filled=order.filled,
        reported_filled=order.filled,
        confirmed=True,
    )
