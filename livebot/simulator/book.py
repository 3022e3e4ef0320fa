"""The orders of a simulated account: those that work, and the last ones that ended.

Rules of this file: a client order id names one order, for as long as the venue remembers it; what it forgets is the
oldest that ended.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from livebot.core.market import OrderSide
from livebot.core.order import ZERO, Fill, OrderRequest, OrderStatus, VenueOrder

ATTACHED = "attached~"  # what the names of stops begin with that the venue placed because an entry carried them


def is_attached(client_order_id: str) -> bool:
    """Whether the venue placed it itself."""
    return client_order_id.startswith(ATTACHED)


@dataclass(frozen=True, slots=True)
class FillShape:
    """In how many trades an order is done, and whether they come all at once instead of minute by minute."""

    pieces: int
    at_once: bool


@dataclass(slots=True, kw_only=True)
class BookOrder:
    """An order the venue accepted.

    `level` is the price or trigger as a float, for a first look at a candle; `pieces_left` is in how many trades the
    rest will be done, `at_once` if they follow each other without a minute between them; `running` once it trades at
    any price (a market order, a triggered stop); `anonymous` if the venue tells nobody its client order id.
    """

    number: int
    request: OrderRequest
    anonymous: bool = False
    status: OrderStatus = OrderStatus.WORKING
    filled: Decimal = ZERO
    pieces_left: int = 1
    at_once: bool = False
    running: bool = False
    fills: list[Fill] = field(default_factory=list)
    level: float = 0.0

    def __post_init__(self) -> None:
        """Look up the level."""
        self.change(self.request)

    def change(self, request: OrderRequest) -> None:
        """Take another quantity, price or trigger."""
        self.request = request
        self.level = float(request.price or request.trigger_price or ZERO)

    @property
    def venue_order_id(self) -> str:
        """The venue's own name for it."""
        return f"{self.number:012d}"

    @property
    def remaining(self) -> Decimal:
        """What may still trade."""
        return self.request.quantity - self.filled

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self.request.side is OrderSide.BUY else -1

    def report(self) -> VenueOrder:
        """As the venue tells it when asked."""
        request = self.request
        return VenueOrder(
            client_order_id=None if self.anonymous else request.client_order_id,
            venue_order_id=self.venue_order_id,
            symbol=request.symbol,
            side=request.side,
            kind=request.kind,
            quantity=request.quantity,
            filled=self.filled,
            status=self.status,
            price=request.price,
            trigger_price=request.trigger_price,
            reduce_only=request.reduce_only,
            attached=is_attached(request.client_order_id),
        )


class Book:
    """All orders the venue remembers; at most `remember_ended` that ended."""

    def __init__(self, orders: Iterable[BookOrder] = (), *, remember_ended: int) -> None:
        """Take over the orders, in the order in which they ended or were accepted."""
        self._remember_ended = remember_ended
        self._by_id: dict[str, BookOrder] = {}
        self._ended: dict[str, BookOrder] = {}  # oldest first
        self._working: dict[str, dict[int, BookOrder]] = {}
        for order in orders:
            self._by_id[order.request.client_order_id] = order
            if order.status is OrderStatus.WORKING:
                self._working.setdefault(order.request.symbol, {})[order.number] = order
            else:
                self._ended[order.request.client_order_id] = order

    def add(self, order: BookOrder) -> None:
        """A newly accepted order."""
        self._by_id[order.request.client_order_id] = order
        self._working.setdefault(order.request.symbol, {})[order.number] = order

    def end(self, order: BookOrder, status: OrderStatus) -> None:
        """It works no more."""
        order.status = status
        working = self._working[order.request.symbol]
        del working[order.number]
        if not working:
            del self._working[order.request.symbol]
        self._ended[order.request.client_order_id] = order
        while len(self._ended) > self._remember_ended:
            oldest = next(iter(self._ended))
            del self._ended[oldest], self._by_id[oldest]

    def knows(self, client_order_id: str) -> bool:
        """Whether the id was used."""
        return client_order_id in self._by_id

    def find(self, symbol: str, client_order_id: str) -> BookOrder | None:
        """The order with this id, if it is of this symbol."""
        order = self._by_id.get(client_order_id)
        return order if order is not None and order.request.symbol == symbol else None

    def working(self, symbol: str) -> list[BookOrder]:
        """Of one symbol, oldest first."""
        return list(self._working.get(symbol, {}).values())

    def working_symbols(self) -> list[str]:
        """Those with a working order."""
        return list(self._working)

    def all_working(self) -> Iterator[BookOrder]:
        """Of all symbols."""
        for orders in self._working.values():
            yield from orders.values()

    def everything(self) -> list[BookOrder]:
        """Ended ones in the order of their end, then the working ones by number, as the constructor wants them."""
        return [*self._ended.values(), *sorted(self.all_working(), key=lambda order: order.number)]
