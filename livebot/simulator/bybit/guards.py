"""Stop loss and take profit of positions: what Bybit keeps in step with a position by itself.

Rules of this file: a guard is what the user asked for, its order is what the matching engine has of it.  A full guard
covers whatever the position is; a partial one a fixed quantity, and the two of one entry take from each other.  When
the position is flat or has turned, its guards are gone.  A stop loss is a stop order in the engine and a take profit a
limit order at its trigger; a stop loss that the price has passed already is traded at the market.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

from livebot.core.inputs import OrderRejected
from livebot.core.market import OrderSide
from livebot.core.order import Leg, OrderKind, OrderRequest
from livebot.simulator.bybit.records import OWN, STOP_LOSS, TAKE_PROFIT, Attached, OrderRecord

_LETTERS = {STOP_LOSS: "s", TAKE_PROFIT: "t"}
_KINDS = {letter: kind for kind, letter in _LETTERS.items()}


class Desk(Protocol):
    """What guards need of the account."""

    def held(self, symbol: str) -> Decimal:
        """The signed position."""
        ...

    def record(self, key: str) -> OrderRecord | None:
        """An order by its client order id inside the venue."""
        ...

    def fresh_key(self, prefix: str) -> str:
        """A client order id that was never used."""
        ...

    def place_guard(self, request: OrderRequest, kind: str, level: Decimal, *, full: bool) -> OrderRejected | None:
        """Submit a guard's order; the refusal if it was refused."""
        ...

    def change(self, record: OrderRecord, request: OrderRequest) -> OrderRejected | None:
        """Amend an order; the refusal if it was refused."""
        ...

    def withdraw(self, record: OrderRecord, why: str) -> None:
        """Cancel an order, if it still works."""
        ...


@dataclass(slots=True)
class Guard:
    """`quantity` None covers the whole position; `origin` is the order it came with; `key` names its own order."""

    kind: str
    level: Decimal
    quantity: Decimal | None
    origin: str = ""
    key: str = ""


class Guards:
    """Those of all symbols."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._by_symbol: dict[str, list[Guard]] = {}
        self._stale: dict[str, list[Guard]] = {}

    def level(self, symbol: str, kind: str) -> Decimal | None:
        """Of the full guard of this kind, None if there is none."""
        full = self._full(symbol, kind)
        return full.level if full else None

    def partial(self, symbol: str) -> bool:
        """Whether there is a guard for a part of the position."""
        return any(guard.quantity is not None for guard in self._of(symbol))

    def attach(self, record: OrderRecord, quantity: Decimal) -> None:
        """An order that brings guards has filled by so much."""
        symbol, attached = record.request.symbol, record.attached
        held = self._desk.held(symbol)
        if not held or (held > 0) is not (record.request.side is OrderSide.BUY):
            return  # it only reduced
        for kind, level in _levels(attached):
            if not attached.partial:
                self.set_full(symbol, kind, level)
                continue
            for guard in self._of(symbol):
                if guard.origin == record.key and guard.kind == kind and guard.quantity is not None:
                    guard.quantity += quantity
                    break
            else:
                self.add_partial(symbol, kind, level, quantity, origin=record.key)

    def set_full(self, symbol: str, kind: str, level: Decimal | None) -> None:
        """One level for the whole position, None to have none."""
        present = self._full(symbol, kind)
        if present is not None and level is not None:
            present.level = level
        elif level is not None:
            self._add(symbol, Guard(kind, level, None))
        elif present is not None:
            self._remove(symbol, present)

    def add_partial(self, symbol: str, kind: str, level: Decimal, quantity: Decimal, *, origin: str = "") -> None:
        """One more, for a part of the position."""
        self._add(symbol, Guard(kind, level, quantity, origin))

    def take_up(self, record: OrderRecord) -> None:
        """Know the guard again whose order was found in the venue's memory."""
        if len(record.key) > 2 and record.key[0] == OWN and record.key[1] in _KINDS:  # noqa: PLR2004 - ~, kind, mode
            full = record.key[2] == "f"
            level = record.trigger_price
            assert level is not None  # a guard's order has one
            quantity = None if full else record.request.quantity
            self._add(record.request.symbol, Guard(_KINDS[record.key[1]], level, quantity, key=record.key))

    def owner(self, record: OrderRecord) -> Guard | None:
        """The guard that this order is of."""
        return next((guard for guard in self._of(record.request.symbol) if guard.key == record.key), None)

    def drop(self, record: OrderRecord) -> None:
        """The user cancelled the order of a guard: the guard is gone with it."""
        guard = self.owner(record)
        if guard is not None:
            self._by_symbol[record.request.symbol].remove(guard)

    def traded(self, record: OrderRecord, quantity: Decimal) -> None:
        """An order traded; if it is a partial guard's, its partner covers so much less."""
        guard = self.owner(record)
        if guard is None or guard.quantity is None or not guard.origin:
            return
        for other in self._of(record.request.symbol):
            if other is not guard and other.origin == guard.origin and other.quantity is not None:
                other.quantity -= quantity
                order = self._desk.record(other.key)
                if order is not None and order.request.quantity > quantity:
                    order.request = replace(order.request, quantity=order.request.quantity - quantity)

    def forsake(self, symbol: str) -> None:
        """The position is flat or has turned: what guarded it is withdrawn when things settle."""
        self._stale.setdefault(symbol, []).extend(self._by_symbol.pop(symbol, []))

    def settle(self, symbol: str) -> None:
        """Bring the orders in step with position and guards."""
        for guard in self._stale.pop(symbol, []):
            self._withdraw(guard)
        for guard in list(self._of(symbol)):
            self._keep(symbol, guard, self._desk.held(symbol))

    def _keep(self, symbol: str, guard: Guard, held: Decimal) -> None:
        record = self._desk.record(guard.key) if guard.key else None
        if record is not None and not record.live:
            if guard.quantity is not None:
                guard.quantity -= record.filled
            record = None
        done = record.filled if record else Decimal(0)
        wanted = abs(held) if guard.quantity is None else min(guard.quantity - done, abs(held))
        if wanted <= 0:
            self._remove(symbol, guard)
        elif record is None:
            self._place(symbol, guard, wanted, held)
        else:
            self._adjust(symbol, guard, record, wanted, held)

    def _adjust(self, symbol: str, guard: Guard, record: OrderRecord, wanted: Decimal, held: Decimal) -> None:
        total = record.filled + wanted
        if (total, guard.level) == (record.request.quantity, record.trigger_price):
            return
        if record.request.kind is OrderKind.MARKET:
            return  # it is being traded; what is left is placed anew when it has ended
        record.trigger_price = guard.level
        if self._desk.change(record, with_level(replace(record.request, quantity=total), guard.level)) is not None:
            self._desk.withdraw(record, "CancelByTpSlTsClear")
            self._place(symbol, guard, wanted, held)

    def _place(self, symbol: str, guard: Guard, quantity: Decimal, held: Decimal) -> None:
        full = guard.quantity is None
        loss = guard.kind == STOP_LOSS
        request = OrderRequest(
            client_order_id=self._desk.fresh_key(_LETTERS[guard.kind] + ("f" if full else "p")),
            symbol=symbol,
            leg=Leg.STOP if loss else Leg.TARGET,
            attempt=0,
            side=OrderSide.SELL if held > 0 else OrderSide.BUY,
            kind=OrderKind.STOP_MARKET if loss else OrderKind.LIMIT,
            quantity=quantity,
            price=None if loss else guard.level,
            trigger_price=guard.level if loss else None,
            reduce_only=True,
            oco_group=guard.origin or None,
        )
        guard.key = request.client_order_id
        refused = self._desk.place_guard(request, guard.kind, guard.level, full=full)
        if refused is not None and loss:
            request = replace(request, kind=OrderKind.MARKET, trigger_price=None)
            refused = self._desk.place_guard(request, guard.kind, guard.level, full=full)
        if refused is not None:
            self._by_symbol[symbol].remove(guard)

    def _full(self, symbol: str, kind: str) -> Guard | None:
        return next((guard for guard in self._of(symbol) if guard.kind == kind and guard.quantity is None), None)

    def _of(self, symbol: str) -> list[Guard]:
        return self._by_symbol.get(symbol, [])

    def _add(self, symbol: str, guard: Guard) -> None:
        self._by_symbol.setdefault(symbol, []).append(guard)

    def _remove(self, symbol: str, guard: Guard) -> None:
        self._by_symbol[symbol].remove(guard)
        self._withdraw(guard)

    def _withdraw(self, guard: Guard) -> None:
        record = self._desk.record(guard.key) if guard.key else None
        if record is not None:
            self._desk.withdraw(record, "CancelByTpSlTsClear")


def with_level(request: OrderRequest, level: Decimal) -> OrderRequest:
    """The same order at another trigger, whichever way the engine has it."""
    if request.kind is OrderKind.STOP_MARKET:
        return replace(request, trigger_price=level)
    return replace(request, price=level)


def _levels(attached: Attached) -> Iterator[tuple[str, Decimal]]:
    if attached.stop_loss is not None:
        yield STOP_LOSS, attached.stop_loss
    if attached.take_profit is not None:
        yield TAKE_PROFIT, attached.take_profit
