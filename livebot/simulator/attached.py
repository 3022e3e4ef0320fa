"""Stops that an entry carries: the venue places one for each fill of it, and takes them away when the position is flat.

Rules of this file: an attached stop is nobody's own order, the venue tells no client order id for it; inside the venue its
name says which entry it came with.
"""

from collections.abc import Iterable
from decimal import Decimal

from livebot.core.market import OrderSide
from livebot.core.order import ZERO, Leg, OrderKind, OrderRequest
from livebot.simulator.book import ATTACHED, Book, BookOrder, is_attached


def stop_for(entry: BookOrder, quantity: Decimal, number: int) -> BookOrder:
    """The stop that comes with a fill of the entry; `number` is the next of the account's orders."""
    request = entry.request
    stop = OrderRequest(
        client_order_id=f"{ATTACHED}{request.client_order_id}~{number}",
        symbol=request.symbol,
        leg=Leg.STOP,
        attempt=0,
        side=OrderSide.SELL if request.side is OrderSide.BUY else OrderSide.BUY,
        kind=OrderKind.STOP_MARKET,
        quantity=quantity,
        trigger_price=request.attached_stop,
        reduce_only=True,
    )
    return BookOrder(number=number, request=stop, anonymous=True)


def of_flat_symbol(working: Iterable[BookOrder]) -> list[BookOrder]:
    """Those that go when the position does."""
    return [order for order in working if is_attached(order.request.client_order_id)]


def superfluous(stop: OrderRequest, book: Book) -> list[str]:
    """Names of the attached stops, oldest first, that an own stop of the same signal replaces.

    What the entries have filled beyond the quantity of the own stop stays covered by them.
    """
    family = f"{stop.client_order_id[:-3]}{Leg.ENTRY.value}"
    mine = [order for order in book.working(stop.symbol) if _entry_of(order).startswith(family)]
    entries = [book.find(stop.symbol, name) for name in {_entry_of(order) for order in mine}]
    filled = sum((entry.filled for entry in entries if entry is not None), ZERO)
    excess = sum((order.remaining for order in mine), ZERO) - max(ZERO, filled - stop.quantity)
    names = []
    for order in mine:
        if order.remaining <= excess:
            names.append(order.request.client_order_id)
            excess -= order.remaining
    return names


def _entry_of(order: BookOrder) -> str:
    """The client order id of the entry that an attached stop came with; "" for other orders."""
    name = order.request.client_order_id
    return name[len(ATTACHED) :].rpartition("~")[0] if is_attached(name) else ""
