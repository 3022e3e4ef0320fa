"""A working copy of one symbol's state while the kernel makes a step; it never leaves the kernel.

It keeps the bookkeeping of a step in one place: which order records changed, which facts and requests came of it, and
that facts are numbered and carry the exposure that holds after the step.
"""

from decimal import Decimal
from typing import Any

from livebot.core.exposure import exposure_of, still_there
from livebot.core.facts import Fact, RemainderGone, RemainderTaken
from livebot.core.inputs import Amend, Cancel, Request, Step, Submit, SymbolState
from livebot.core.market import Side
from livebot.core.order import (
    REPEATED_FROM,
    ZERO,
    Leg,
    OrderKind,
    OrderRecord,
    OrderRequest,
    OrderStatus,
    client_order_id,
)
from livebot.core.position import Position
from livebot.core.quick_init import changed
from livebot.core.risk import Approved, approve_reduction, approve_repricing
from livebot.core.rules import Rules
from livebot.core.signal import Idle, Signal, SignalState, transition


class Draft:
    """Mutable for the length of one step."""

    __slots__ = (
        "_facts",
        "_present",
        "_remainder",
        "_touched",
        "number",
        "orders",
        "requests",
        "rules",
        "state",
        "ts_ms",
    )

    def __init__(self, state: SymbolState, rules: Rules, ts_ms: int) -> None:
        """Start from `state`; nothing of it is changed."""
        self.state = state
        self.rules = rules
        self.ts_ms = ts_ms
        self.number = state.number
        self._present: SignalState = state.signal
        self.orders = {record.request.client_order_id: record for record in state.orders}
        self.requests: list[Request] = []
        self._facts: list[tuple[type[Fact], int, Side, dict[str, Any]]] = []
        self._remainder = (state.remainder, state.remainder_cost)
        self._touched = False

    @property
    def present(self) -> SignalState:
        """The signal state as it now stands."""
        return self._present

    def move(self, following: SignalState) -> None:
        """Go to the following state.  Raises IllegalTransition if the table does not hold it."""
        self._present = transition(self._present, following)
        self._touched = True

    def first_position(self, signal: Signal) -> Position:
        """An empty position, but for what earlier ones could not sell."""
        if not self.rules.instrument.fee_in_base:
            return Position(signal.side)
        (quantity, cost), self._remainder = self._remainder, (ZERO, ZERO)
        if quantity:
            self.tell(RemainderTaken, signal, quantity=quantity, cost=cost)
        return Position(signal.side, lot_step=self.rules.instrument.lot_step).with_remainder(quantity, cost)

    def keep_remainder(self, position: Position) -> None:
        """What is left of a position stays where it is, until the next one."""
        quantity, cost = self._remainder
        self._remainder = (quantity + position.quantity, cost + position.cost)

    @property
    def remainder(self) -> Decimal:
        """What earlier positions have left, in base."""
        return self._remainder[0]

    def lose_remainder(self, quantity: Decimal, price: Decimal, fee: Decimal) -> None:
        """So much of it (of more than there is: all) is no longer there; it brought `price` less the fee."""
        held, cost = self._remainder
        gone = min(quantity, held)
        if gone <= 0:
            return
        left_cost = cost * (held - gone) / held
        gone_cost = cost - left_cost
        self._remainder = (held - gone, left_cost)
        values = {"quantity": gone, "cost": gone_cost, "price": price, "fee": fee}
        values["pnl_net"] = gone * price - fee - gone_cost
        self._facts.append((RemainderGone, self.number, Side.LONG, values))  # coins are bought, never sold short
        self._touched = True

    def put(self, record: OrderRecord) -> None:
        """Remember an order, new or changed."""
        self.orders[record.request.client_order_id] = record
        self._touched = True

    def tell(self, kind: type[Fact], signal: Signal, **values: Any) -> None:  # noqa: ANN401 - each kind has its own
        """A fact of this step."""
        self._facts.append((kind, signal.number, signal.side, values))
        self._touched = True

    def live(self, leg: Leg) -> OrderRecord | None:
        """The newest order of this leg that may still trade, if any; of stops and exits there may be several."""
        found = None
        for record in self.orders.values():
            if record.request.leg is leg and record.status.live:
                found = record
        return found

    def unsettled(self, leg: Leg) -> OrderRecord | None:
        """The order of this leg that is live, or ended with fills that have not reached us yet, if any."""
        for record in self.orders.values():
            if record.request.leg is leg and not record.settled:
                return record
        return None

    def newest(self, leg: Leg) -> OrderRecord | None:
        """The last order of this leg in this signal, if any."""
        found = None
        for record in self.orders.values():
            if record.request.leg is leg:
                found = record
        return found

    def attempts(self, leg: Leg) -> int:
        """How often an order of this leg was asked for in this signal."""
        newest = self.newest(leg)
        return 0 if newest is None else newest.request.attempt

    def next_attempt(self, leg: Leg) -> int:
        """The attempt of the next order of this leg; beyond `MOST_ATTEMPTS` there is no id for it.

        A venue that refuses for hours must not use the ids up: what it never had may be sent under the same id again.
        """
        newest = self.newest(leg)
        if newest is None:
            return 1
        attempt = newest.request.attempt
        never_there = newest.status in (OrderStatus.REJECTED, OrderStatus.ABSENT) and not newest.reported_filled
        return attempt if never_there and attempt >= REPEATED_FROM else attempt + 1

    def held(self, position: Position, *, but_for: Decimal = ZERO) -> Decimal:
        """What the venue still holds of the position, but for so much, and takes an order for; as far as its reports tell."""
        quantity = still_there(position, self.orders.values()) - but_for
        odd = quantity % self.rules.instrument.lot_step
        return quantity - odd if odd and quantity > 0 else quantity

    def in_one_order(self, quantity: Decimal) -> Decimal:
        """As much of a quantity as the venue takes in one order."""
        instrument = self.rules.instrument
        most = instrument.maximum_quantity
        return quantity if most is None or quantity <= most else instrument.round_quantity(most) or quantity

    def reduce(
        self,
        leg: Leg,
        kind: OrderKind,
        quantity: Decimal,
        *,
        price: Decimal | None = None,
        trigger: Decimal | None = None,
    ) -> None:
        """Intend and ask for one more order that can only reduce the position."""
        signal = self.signal_of_present()
        attempt = self.next_attempt(leg)
        order_id = self.order_id(signal.number, leg, attempt)
        order = OrderRequest(
            client_order_id=order_id,
            symbol=self.state.symbol,
            leg=leg,
            attempt=attempt,
            side=signal.side.exit_order,
            kind=kind,
            quantity=quantity,
            price=price,
            trigger_price=trigger,
            reduce_only=True,
            oco_group=order_id[:-3] if leg.protects else None,  # all but leg and attempt: the signal's own
        )
        self.intend(order, approve_reduction(order))

    def intend(self, order: OrderRequest, approved: Approved, *, admitted_price: Decimal | None = None) -> None:
        """Put an order on record as intended, and ask for it to be sent."""
        self.put(
            OrderRecord(request=order, status=OrderStatus.INTENDED, sent_ms=self.ts_ms, admitted_price=admitted_price)
        )
        self.requests.append(Submit(approved))

    def want(self, record: OrderRecord, request: OrderRequest, *, send: bool) -> None:
        """Put the wanted form of an order on record and, if `send`, ask the venue to amend it."""
        following = changed(record, request=request, confirmed=False)
        if send:
            following = changed(following, sent_ms=self.ts_ms, amended_ms=self.ts_ms)
            opens = request.leg.opens
            self.requests.append(Amend(approve_repricing(request, record) if opens else approve_reduction(request)))
        self.put(following)

    def cancel(self, record: OrderRecord) -> None:
        """Ask for an order to be taken back."""
        self.put(changed(record, cancel_requested=True, sent_ms=self.ts_ms))
        self.requests.append(Cancel(self.state.symbol, record.request.client_order_id))

    def order_id(self, number: int, leg: Leg, attempt: int) -> str:
        """The client order id of one attempt of one leg."""
        state = self.state
        return client_order_id(state.system, state.strategy, state.symbol, number=number, leg=leg, attempt=attempt)

    def signal_of_present(self) -> Signal:
        """The present signal; the caller knows that there is one."""
        assert not isinstance(self._present, Idle)
        return self._present.signal

    def finish(self) -> Step:
        """The step that this draft amounts to."""
        if not self._touched:
            return Step(self.state, tuple(self.requests), ())
        orders = () if isinstance(self._present, Idle) else self._kept()
        facts = self._numbered(orders) if self._facts else ()
        state = self.state
        following = SymbolState(
            system=state.system,
            strategy=state.strategy,
            symbol=state.symbol,
            sequence=state.sequence + len(facts),
            number=self.number,
            signal=self._present,
            orders=orders,
            outbox=state.outbox + facts,
            decided_ms=state.decided_ms,
            remainder=self._remainder[0],
            remainder_cost=self._remainder[1],
        )
        return Step(following, tuple(self.requests), facts)

    def _numbered(self, orders: tuple[OrderRecord, ...]) -> tuple[Fact, ...]:
        state, exposure = self.state, exposure_of(self._present, orders)
        return tuple(
            kind(
                strategy=state.strategy,
                symbol=state.symbol,
                sequence=sequence,
                ts_ms=self.ts_ms,
                signal_id=f"{state.strategy}/{state.symbol}#{number}",
                side=side,
                exposure=exposure,
                **values,
            )
            for sequence, (kind, number, side, values) in enumerate(self._facts, start=state.sequence + 1)
        )

    def _kept(self) -> tuple[OrderRecord, ...]:
        # Ended orders are kept only as the newest of their leg (the attempt number must not repeat), so that a venue
        # that refuses for hours cannot make the file grow.
        records = tuple(self.orders.values())
        if all(record.request.attempt == 1 for record in records):
            return records
        newest = {record.request.leg: record for record in records}
        return tuple(record for record in records if newest[record.request.leg] is record or not record.settled)
