"""Whether a symbol is flat, by our own states and by what the venue shows.

Rules of this file: pure; what is not ours does not count against us, and is named; what our files know to be left of
closed positions is named too; whatever an order of ours could still open is not flat.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from livebot.core.inputs import SymbolState
from livebot.core.market import Instrument
from livebot.core.order import Leg, OrderStatus, VenueOrder, leg_of, owner_prefix
from livebot.core.signal import Closing, Idle
from livebot.core.wording import number
from livebot.runtime.venue.reconcile import VenueSnapshot, expected_quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One symbol, of which our states say that nothing is open, as the venue shows it.

    `strays` are orders of ours that no state knows (by client order id), `opening` those of ours that could still open
    something, `left` what our files know to be left of closed positions, `beyond` what is there besides (positive long).
    """

    strays: tuple[str, ...]
    opening: tuple[str, ...]
    left: Decimal
    beyond: Decimal

    @property
    def clear(self) -> bool:
        """Nothing of ours works there that should not."""
        return not self.strays and not self.opening


def closed(states: Iterable[SymbolState]) -> bool:
    """Whether no position is left, and no order that opens is live or may have filled unseen.

    A stop or a target that is being taken back does not count: it can only reduce, and there is nothing to reduce.
    """
    return all(_closed(state) for state in states)


def _closed(state: SymbolState) -> bool:
    present = state.signal
    if isinstance(present, Idle):
        return True
    flat = isinstance(present, Closing) and present.position.flat
    return flat and all(record.settled for record in state.orders if record.request.leg.opens)


def sighting(system: str, symbol: str, states: Sequence[SymbolState], seen: VenueSnapshot) -> Sighting:
    """What the venue shows of a symbol whose states are `closed`."""
    known = {record.request.client_order_id for state in states for record in state.orders}
    ours = [order for order in seen.orders.values() if order.symbol == symbol and _is_ours(system, order)]
    ids = {order.client_order_id or "" for order in ours}
    return Sighting(
        strays=tuple(sorted(ids - known)),
        opening=tuple(sorted(each for each in ids & known if leg_of(each).opens)),
        left=expected_quantity(states),
        beyond=seen.quantity(symbol) - expected_quantity(states),
    )


def _is_ours(system: str, order: VenueOrder) -> bool:
    order_id = order.client_order_id
    return order_id is not None and order_id.startswith(owner_prefix(system))


def remark(symbol: str, found: Sighting, instrument: Instrument, price: Decimal) -> str | None:
    """What stays there, in words; None if nothing does.  `price` is about what one is worth, 0: not known."""
    parts = []
    if found.left:
        parts.append(f"{number(found.left)} is left, too little to close")
    if found.beyond:
        quantity = abs(found.beyond)
        dust = quantity < instrument.minimum_quantity or (price > 0 and not instrument.takes(quantity, price))
        what = "is there, less than the venue takes" if dust else "is there that is not ours, and left alone"
        parts.append(f"{number(found.beyond)} {what}")
    return f"{symbol}: {', '.join(parts)}" if parts else None


def why_open(states: Iterable[SymbolState]) -> str:
    """Why a symbol is not closed yet, by its states."""
    for state in states:
        if _closed(state):
            continue
        exits = [record for record in state.orders if record.request.leg is Leg.EXIT]
        live = [record for record in exits if record.status.live]
        if any(record.status is OrderStatus.WORKING for record in live):
            return "its exit is at the venue"
        if live:
            return "the venue has not said yet what became of its exit"
        if exits:
            last = max(exits, key=lambda record: record.request.attempt)
            return _of_last(last.status, last.request.attempt)
        opening = [record for record in state.orders if record.request.leg.opens and not record.settled]
        return "its entry is being taken back" if opening else "nobody has got to it yet"
    return "it is being compared with the venue"


def _of_last(status: OrderStatus, exits: int) -> str:
    if status is OrderStatus.REJECTED:
        return f"the venue has refused its exit ({exits} tried), and it is tried again"
    return f"{exits} exits have not closed it, and it is tried again"
