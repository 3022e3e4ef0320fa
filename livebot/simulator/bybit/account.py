"""The account behind the local Bybit: it turns Bybit's orders into the venue's and the venue's events into Bybit's.

Rules of this file: the venue alone decides what trades; what is kept here are words for it.  Whatever happens in the
venue is heard at once, also what somebody else did there; stops that have to follow a position do so in `settle`,
which everybody calls before they look and after they acted.
"""

from collections.abc import Callable
from decimal import Decimal
from secrets import token_hex
from typing import Any

from livebot.core.inputs import OrderEnded, OrderEvent, OrderFilled, OrderRejected
from livebot.core.order import ZERO, Fill, Leg, OrderKind, OrderRequest, OrderStatus, VenueOrder
from livebot.errors import Rejected
from livebot.simulator.bybit import forms
from livebot.simulator.bybit.codes import refusal_of, unknown_order
from livebot.simulator.bybit.guards import Guards, with_level
from livebot.simulator.bybit.records import OWN, STOP_LOSS, TAKE_PROFIT, Execution, OrderRecord, Records
from livebot.simulator.bybit.settings import BybitSettings
from livebot.simulator.holdings import Holding, Holdings
from livebot.simulator.venue import LIQUIDATION, SimulatedVenue
from livebot.simulator.venue_listings import Listings

Row = dict[str, Any]
Change = tuple[str, str, Row]  # topic, symbol, row


class BybitAccount:
    """`now_ms` is the venue's time, `heard` is called when there is something new to settle and to tell."""

    def __init__(
        self,
        venue: SimulatedVenue,
        listings: Listings,
        settings: BybitSettings,
        now_ms: Callable[[], int],
        heard: Callable[[], None],
    ) -> None:
        self.records = Records(settings.remember_ended)
        self.guards = Guards(self)
        self.listings = listings
        self.settings = settings
        self.venue = venue
        self._now_ms = now_ms
        self._heard = heard
        self._holdings = {symbol: Holdings(ZERO) for symbol in venue.symbols}
        self._since: dict[str, int] = {}
        self._changes: list[Change] = []
        self._touched: dict[str, None] = {}
        self._moved: dict[str, None] = {}
        self.sequence = 0
        self._token, self._made = token_hex(4), 0
        self._take_up()
        self._unsubscribe = venue.subscribe(self._hear)

    def close(self) -> None:
        """Hear no more of the venue."""
        self._unsubscribe()

    # Asked by the interface

    def create(self, record: OrderRecord) -> None:
        """Send an order.  Raises Refused."""
        refused = self._submit(record)
        if refused is not None and refused.code == "post_only_would_cross":
            record.reject_reason, record.cancel_type = "EC_PostOnlyWillTakeLiquidity", "CancelByUser"
            record.end("Cancelled", self.now_ms())
            self.records.add(record)
            self.records.retire(record)
            self._tell_order(record)
        elif refused is not None:
            raise refusal_of(record.listing.category, refused)
        elif record.time_in_force == "IOC" and record.live:
            self.withdraw(record, "CancelByUser")
        self.settle()

    def amend(self, record: OrderRecord, request: OrderRequest) -> None:
        """Change a working order; the order of a guard takes the guard with it.  Raises Refused."""
        refused = self.change(record, request) if request != record.request else None
        if refused is not None:
            raise refusal_of(record.listing.category, refused)
        level = request.trigger_price or request.price
        guard = self.guards.owner(record)
        if record.conditional and level is not None:
            record.trigger_price = level
        if guard is not None and level is not None:
            guard.level = level
        self._tell_order(record)
        self.settle()

    def cancel(self, record: OrderRecord) -> None:
        """Take an order back; the order of a guard takes the guard with it.  Raises Refused."""
        if not record.live:
            raise unknown_order(record.listing.category, "cancel")
        self.guards.drop(record)
        self.withdraw(record, "CancelByUser")
        self.settle()

    def settle(self) -> None:
        """Let stops follow their positions, and note what is to be told of those that moved."""
        while self._touched:
            symbol = next(iter(self._touched))
            del self._touched[symbol]
            self.guards.settle(symbol)
            self._moved[symbol] = None
        moved, self._moved = self._moved, {}
        for symbol in moved:
            if not self.listings.of_symbol(symbol).spot:
                self._changes.append(("position", symbol, forms.position_message(self, symbol)))
        if moved:
            self._changes.append(("wallet", "", forms.wallet_row(self)))

    def touch(self, symbol: str) -> None:
        """Something about the symbol's guards has changed."""
        self._touched[symbol] = None

    def take_changes(self) -> list[Change]:
        """All that is to be told on private streams since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def working(self) -> list[OrderRecord]:
        """All open orders, also those that somebody else placed in the same account; newest first."""
        known = {record.key for record in self.records.live()}
        foreign = [order for order in self.venue.open_orders() if order.client_order_id is None]
        shown = [self._as_record(order, f"{OWN}h{order.venue_order_id}") for order in foreign]
        for order in self.venue.open_orders():
            if order.client_order_id is not None and order.client_order_id not in known:
                self.records.add(self._as_record(order, order.client_order_id))
        return [*shown, *self.records.live()]

    # What forms and guards ask

    def now_ms(self) -> int:
        """The venue's time."""
        return self._now_ms()

    def held(self, symbol: str) -> Decimal:
        """The signed position."""
        return self._holdings[symbol].quantity(symbol)

    def holding(self, symbol: str) -> Holding | None:
        """The position with its cost."""
        return self._holdings[symbol].positions.get(symbol)

    def realised(self, symbol: str) -> Decimal:
        """What the symbol has earned since this process began, after fees."""
        return self._holdings[symbol].realised - self._holdings[symbol].fees

    def since(self, symbol: str) -> int:
        """When the symbol's position was last opened."""
        return self._since.get(symbol, self.venue.now_ms)

    def record(self, key: str) -> OrderRecord | None:
        """An order by its client order id inside the venue."""
        return self.records.by_key(key)

    def fresh_key(self, prefix: str) -> str:
        """A client order id that was never used."""
        self._made += 1
        return f"{OWN}{prefix}{self._token}{self._made:06d}"

    def place_guard(self, request: OrderRequest, kind: str, level: Decimal, *, full: bool) -> OrderRejected | None:
        """Submit the order of a guard."""
        listing = self.listings.of_symbol(request.symbol)
        falls = (request.side.value == "sell") is (kind == STOP_LOSS)
        name = "tpslOrder" if listing.spot else kind if full else f"Partial{kind}"
        return self._submit(
            OrderRecord(
                listing=listing,
                request=request,
                order_type="Market",
                created_ms=self.now_ms(),
                last_price=self.venue.price(request.symbol),
                conditional=True,
                stop_order_type=name,
                trigger_price=level,
                trigger_direction=2 if falls else 1,
                create_type=f"CreateBy{'' if full else 'Partial'}{kind}",
            )
        )

    def change(self, record: OrderRecord, request: OrderRequest) -> OrderRejected | None:
        """Amend an order in the venue."""
        outcome = self.venue.amend(request, self.now_ms())
        if isinstance(outcome, OrderRejected):
            return outcome
        record.request, record.updated_ms = request, self.now_ms()
        return None

    def withdraw(self, record: OrderRecord, why: str) -> None:
        """Cancel an order, if it still works."""
        record.cancel_type = why if record.live else record.cancel_type
        try:
            self.venue.cancel(record.request.symbol, record.key, self.now_ms())
        except Rejected:
            return

    # Carrying out and hearing

    def _submit(self, record: OrderRecord) -> OrderRejected | None:
        known = self.records.by_key(record.key)
        if known is not None:  # the venue would say the same of its own orders; this knows refused post-only ones too
            return OrderRejected(client_order_id=record.key, code="duplicate_client_order_id", text="", ts_ms=0)
        self.records.add(record)
        outcome = self.venue.submit(record.request, self.now_ms())
        if isinstance(outcome, OrderRejected):
            self.records.forget(record)
            return outcome
        if record.live and not record.filled:
            self._tell_order(record)
        return None

    def _hear(self, symbol: str, event: OrderEvent) -> None:
        if isinstance(event, OrderFilled):
            self._filled(symbol, event.fill)
        elif isinstance(event, OrderEnded):
            self._ended(event)
        self._touched[symbol] = None
        self._heard()

    def _filled(self, symbol: str, fill: Fill) -> None:
        record = self.records.by_key(fill.client_order_id) or self._stranger(symbol, fill)
        before = self.held(symbol)
        signed = fill.quantity if fill.side.value == "buy" else -fill.quantity
        closed = min(abs(before), fill.quantity) if before * signed < 0 else ZERO
        self._holdings[symbol].trade(symbol, signed, fill.price, fill.fee, fill.base_fee)
        if before * self.held(symbol) <= 0:
            self._since[symbol] = fill.ts_ms
            self.guards.forsake(symbol)
        self.sequence += 1
        left = record.request.quantity - record.filled - fill.quantity
        record.book(Execution(fill, left, closed, self.sequence), fill.ts_ms)
        self._changes.append(("execution", symbol, forms.execution_row(record, record.executions[-1], message=True)))
        if left:
            self._tell_order(record)
        self.guards.traded(record, fill.quantity)
        if record.attached:
            self.guards.attach(record, fill.quantity)

    def _ended(self, event: OrderEnded) -> None:
        record = self.records.by_key(event.client_order_id)
        if record is None:
            return
        record.end(_ended_as(record, filled=event.status is OrderStatus.FILLED), event.ts_ms)
        if record.status != "Filled" and not record.cancel_type:
            record.cancel_type = "CancelByReduceOnly"
        self.records.retire(record)
        self._tell_order(record)

    def _tell_order(self, record: OrderRecord) -> None:
        self._changes.append(("order", record.request.symbol, forms.order_row(record, message=True)))

    def _stranger(self, symbol: str, fill: Fill) -> OrderRecord:
        """An order that somebody else placed in the same account, and that trades now."""
        order = self.venue.order(symbol, fill.client_order_id)
        if order is None:
            order = VenueOrder(
                client_order_id=None,
                venue_order_id="",
                symbol=symbol,
                side=fill.side,
                kind=OrderKind.MARKET,
                quantity=fill.quantity,
                filled=ZERO,
                status=OrderStatus.WORKING,
            )
        record = self._as_record(order, fill.client_order_id)
        record.filled = ZERO
        self.records.add(record)
        return record

    def _as_record(self, order: VenueOrder, key: str) -> OrderRecord:
        listing = self.listings.of_symbol(order.symbol)
        request = OrderRequest(
            client_order_id=key,
            symbol=order.symbol,
            leg=Leg.EXIT,
            attempt=0,
            side=order.side,
            kind=order.kind,
            quantity=order.quantity,
            price=order.price,
            trigger_price=order.trigger_price,
            reduce_only=order.reduce_only,
        )
        guards = {"s": STOP_LOSS, "t": TAKE_PROFIT}.get(key[1:2], "") if key.startswith(OWN) else ""
        stop = guards or ("Stop" if order.trigger_price is not None else "")
        level = (order.trigger_price or order.price) if stop else None
        falls = (order.side.value == "sell") is (stop != TAKE_PROFIT)
        return OrderRecord(
            listing=listing,
            request=request,
            order_type="Limit" if order.kind is OrderKind.LIMIT and not stop else "Market",
            created_ms=self.venue.now_ms,
            last_price=self.venue.price(order.symbol),
            conditional=bool(stop),
            stop_order_type=stop,
            trigger_price=level,
            trigger_direction=(2 if falls else 1) if stop else 0,
            filled=order.filled,
            create_type="CreateByLiq" if key.startswith(LIQUIDATION) else "CreateByUser",
        )

    def _take_up(self) -> None:
        for position in self.venue.positions():
            cost = position.quantity * position.average_price
            holdings = self._holdings[position.symbol]
            holdings.positions[position.symbol] = Holding(position.quantity, cost)
            self._since[position.symbol] = self.venue.now_ms
        for order in self.venue.open_orders():
            if order.client_order_id is not None:
                record = self._as_record(order, order.client_order_id)
                self.records.add(record)
                self.guards.take_up(record)


def at_level(record: OrderRecord, level: Decimal) -> OrderRequest:
    """The request of an order at another trigger."""
    return with_level(record.request, level)


def _ended_as(record: OrderRecord, *, filled: bool) -> str:
    if filled:
        return "Filled"
    if record.filled and record.listing.spot:
        return "PartiallyFilledCanceled"
    return "Deactivated" if record.conditional and not record.filled else "Cancelled"
