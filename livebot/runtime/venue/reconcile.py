"""What the venue holds against what our files say.

Rules of this file: the venue is right about orders, fills and positions; ours is what carries our client order ids; what
is not ours is reported, left alone, and stops new entries on its symbol; a difference is acted on only when a second
look, after every open question was answered, still shows it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from livebot.core.inputs import SymbolState
from livebot.core.order import ZERO, Leg, OrderRecord, OrderStatus, VenueOrder, VenuePosition, owner_prefix
from livebot.core.signal import Closing, Open


@dataclass(frozen=True, slots=True)
class VenueSnapshot:
    """Open orders by client order id and net quantities by symbol, as the venue reported them at one time.

    Of a look at some symbols the orders of others may be missing, their positions are not.
    """

    orders: Mapping[str, VenueOrder]
    positions: Mapping[str, VenuePosition]
    unnamed: tuple[VenueOrder, ...]  # orders without a client order id, but for stops that came with an order

    def quantity(self, symbol: str) -> Decimal:
        """Net position, positive long."""
        position = self.positions.get(symbol)
        return position.quantity if position is not None else ZERO


@dataclass(frozen=True, slots=True)
class Changes:
    """What a comparison with the venue changed here: orders whose end was learnt, fills, positions closed outside."""

    orders: int = 0
    fills: int = 0
    closed_outside: int = 0

    def __add__(self, other: "Changes") -> "Changes":
        """Both together."""
        return Changes(self.orders + other.orders, self.fills + other.fills, self.closed_outside + other.closed_outside)


def snapshot_of(orders: Iterable[VenueOrder], positions: Iterable[VenuePosition]) -> VenueSnapshot:
    """Index what the venue reported."""
    listed = tuple(orders)
    return VenueSnapshot(
        {order.client_order_id: order for order in listed if order.client_order_id},
        {position.symbol: position for position in positions},
        tuple(order for order in listed if not order.client_order_id and not order.attached),
    )


def confirmed_by(record: OrderRecord, snapshot: VenueSnapshot) -> bool:
    """Whether the snapshot shows this working order exactly as we remember it, so that nothing need be asked."""
    seen = snapshot.orders.get(record.request.client_order_id)
    return (
        seen is not None
        and record.status is OrderStatus.WORKING
        and record.confirmed
        and not record.cancel_requested
        and seen.filled == record.filled
        and _same_terms(record, seen)
    )


def trades_untold(record: OrderRecord, snapshot: VenueSnapshot) -> bool:
    """Whether the venue says that more of this order has filled than it has told the trades of."""
    seen = snapshot.orders.get(record.request.client_order_id)
    return max(record.reported_filled, ZERO if seen is None else seen.filled) > record.filled


def expected_quantity(states: Iterable[SymbolState]) -> Decimal:
    """Net quantity of one symbol by our files, positive long, with what closed positions have left there."""
    total = ZERO
    for state in states:
        total += state.remainder
        if isinstance(state.signal, Open | Closing):
            total += state.signal.signal.side.sign * state.signal.position.quantity
    return total


def shortfalls(states: Iterable[SymbolState], actual: Decimal) -> tuple[dict[str, Decimal], Decimal]:
    """How much less the venue holds than each strategy's file says, and what it holds beyond all of them (signed).

    What is missing is taken from the strategies in order of name: the venue nets positions and cannot say whose it was.
    What closed positions have left comes last.
    """
    by_name = sorted(states, key=lambda state: state.strategy)
    missing: dict[str, Decimal] = {}
    left = actual
    for state in by_name:
        if isinstance(state.signal, Open | Closing):
            sign = state.signal.signal.side.sign
            left -= sign * _found(missing, state.strategy, state.signal.position.quantity, sign * left)
    for state in by_name:
        if state.remainder:
            left -= _found(missing, state.strategy, state.remainder, left)
    return missing, left


def _found(missing: dict[str, Decimal], strategy: str, held: Decimal, left: Decimal) -> Decimal:
    """How much of what a strategy holds is among what is left; notes what is missing."""
    there = min(held, max(ZERO, left))
    if there < held:
        missing[strategy] = missing.get(strategy, ZERO) + held - there
    return there


def close_enough(states: Iterable[SymbolState], beyond: Decimal, lot_step: Decimal) -> bool:
    """Whether a difference is less than a lot of coins and what is there is enough for all that we may sell.

    Venues round the fees that they take in coins.
    """
    if abs(beyond) >= lot_step:
        return False
    positions = [each.signal.position for each in states if isinstance(each.signal, Open | Closing)]
    spare = sum((position.quantity - position.closable for position in positions), ZERO)
    return beyond + spare >= 0


def missing_orders(states: Iterable[SymbolState], snapshot: VenueSnapshot) -> tuple[OrderRecord, ...]:
    """Orders that we take to be working there, and that the venue does not show, or not as it has confirmed them.

    A change that was long under way may arrive after a newer one and undo it.
    """
    return tuple(
        record
        for state in states
        for record in state.orders
        if record.status is OrderStatus.WORKING and not _shown(record, snapshot)
    )


def _shown(record: OrderRecord, snapshot: VenueSnapshot) -> bool:
    seen = snapshot.orders.get(record.request.client_order_id)
    return seen is not None and (not record.confirmed or _same_terms(record, seen))


def _same_terms(record: OrderRecord, seen: VenueOrder) -> bool:
    request = record.request
    return (seen.quantity, seen.price, seen.trigger_price) == (request.quantity, request.price, request.trigger_price)


def missing_stops(states: Iterable[SymbolState], snapshot: VenueSnapshot) -> tuple[SymbolState, ...]:
    """Those with a position of which the venue shows no stop of ours."""
    return tuple(
        state
        for state in states
        if isinstance(state.signal, Open | Closing)
        and not state.signal.position.flat
        and not any(
            record.request.leg is Leg.STOP and record.request.client_order_id in snapshot.orders
            for record in state.orders
        )
    )


def foreign_orders(system: str, snapshot: VenueSnapshot, known: frozenset[str]) -> tuple[tuple[VenueOrder, str], ...]:
    """Open orders that no file of ours explains, with the reason in words."""
    prefix = owner_prefix(system)
    found: list[tuple[VenueOrder, str]] = [(order, "it has no client order id") for order in snapshot.unnamed]
    for order_id, order in snapshot.orders.items():
        if not order_id.startswith(prefix):
            found.append((order, "it was not placed by this system"))
        elif order_id not in known:
            found.append((order, "it carries our id, but no state file knows it"))
    return tuple(found)
