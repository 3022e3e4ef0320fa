"""The orders as Bybit knows them: everything the matching engine does not care about.

Rules of this file: the client order id inside the venue is the order's key here; Bybit's order id is made from it, so
that a restarted exchange gives the same one.  Ids that begin with `~` are ours and are never shown as orderLinkId.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2s
from uuid import UUID

from livebot.core.market import OrderSide
from livebot.core.order import ZERO, Fill, OrderRequest
from livebot.simulator.venue import LIQUIDATION
from livebot.simulator.venue_listings import Listing

OWN = "~"
STOP_LOSS, TAKE_PROFIT = "StopLoss", "TakeProfit"


@dataclass(slots=True, kw_only=True)
class Attached:
    """Stop loss and take profit that come with an order and hold once it fills; None if not wanted."""

    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    partial: bool = False

    def __bool__(self) -> bool:
        """Whether anything is attached."""
        return self.stop_loss is not None or self.take_profit is not None


@dataclass(frozen=True, slots=True)
class Execution:
    """A trade, and how much of the order was left after it."""

    fill: Fill
    left: Decimal
    closed: Decimal
    sequence: int


@dataclass(slots=True, kw_only=True)
class OrderRecord:
    """An order; `request` is what the engine has of it, `conditional` whether it waits for a trigger."""

    listing: Listing
    request: OrderRequest
    order_type: str
    created_ms: int
    last_price: Decimal
    time_in_force: str = "GTC"
    conditional: bool = False
    stop_order_type: str = ""
    trigger_price: Decimal | None = None
    trigger_direction: int = 0
    attached: Attached = field(default_factory=Attached)
    create_type: str = "CreateByUser"
    status: str = "New"
    cancel_type: str = ""
    reject_reason: str = "EC_NoError"
    updated_ms: int = 0
    filled: Decimal = ZERO
    value: Decimal = ZERO
    fee: Decimal = ZERO
    executions: list[Execution] = field(default_factory=list)
    quote_quantity: Decimal | None = None

    def __post_init__(self) -> None:
        """Where it begins."""
        self.updated_ms = self.updated_ms or self.created_ms
        if self.conditional:
            self.status = "Untriggered"

    @property
    def key(self) -> str:
        """Its client order id inside the venue."""
        return self.request.client_order_id

    @property
    def order_id(self) -> str:
        """Bybit's id: a UUID for contracts, digits for spot."""
        return identifier("order", self.key, spot=self.listing.spot)

    @property
    def link_id(self) -> str:
        """The user's own id for it, empty if none was given."""
        return "" if self.key.startswith((OWN, LIQUIDATION)) else self.key

    @property
    def liquidates(self) -> bool:
        """Whether it is the venue's own."""
        return self.key.startswith(LIQUIDATION)

    @property
    def live(self) -> bool:
        """Whether it may still trade."""
        return self.status in ("New", "Untriggered", "PartiallyFilled")

    @property
    def left(self) -> Decimal:
        """What may still trade."""
        return self.request.quantity - self.filled if self.live else ZERO

    @property
    def side(self) -> str:
        """Buy or Sell."""
        return side_of(self.request.side)

    def book(self, execution: Execution, ts_ms: int) -> None:
        """Add a trade."""
        fill = execution.fill
        self.filled += fill.quantity
        self.value += fill.quantity * fill.price
        self.fee += fee_of(fill)
        self.executions.append(execution)
        self.status, self.updated_ms = "PartiallyFilled", ts_ms

    def end(self, status: str, ts_ms: int) -> None:
        """It trades no more."""
        self.status, self.updated_ms = status, ts_ms


class Records:
    """Working orders, and the last ones that ended."""

    def __init__(self, remember_ended: int) -> None:
        self._remember_ended = remember_ended
        self._by_key: dict[str, OrderRecord] = {}
        self._by_id: dict[str, OrderRecord] = {}
        self._live: dict[str, OrderRecord] = {}
        self._ended: dict[str, OrderRecord] = {}

    def add(self, record: OrderRecord) -> None:
        """Know it from now on."""
        self._by_key[record.key] = self._by_id[record.order_id] = self._live[record.key] = record

    def forget(self, record: OrderRecord) -> None:
        """As if it had never been."""
        del self._by_key[record.key], self._by_id[record.order_id]
        self._live.pop(record.key, None)
        self._ended.pop(record.key, None)

    def retire(self, record: OrderRecord) -> None:
        """It has ended; the oldest that ended is forgotten when there are too many."""
        self._live.pop(record.key, None)
        self._ended[record.key] = record
        while len(self._ended) > self._remember_ended:
            self.forget(next(iter(self._ended.values())))

    def by_key(self, key: str) -> OrderRecord | None:
        """By the client order id inside the venue."""
        return self._by_key.get(key)

    def find(self, listing: Listing, order_id: str, link_id: str) -> OrderRecord | None:
        """By Bybit's id, which goes before, or the user's."""
        record = self._by_id.get(order_id) if order_id else self._by_key.get(link_id)
        return record if record is not None and record.listing is listing else None

    def live(self) -> list[OrderRecord]:
        """Those that work, newest first."""
        return list(reversed(self._live.values()))

    def all(self) -> list[OrderRecord]:
        """Everything that is remembered, newest first."""
        return list(reversed(self._by_key.values()))

    def recent(self) -> list[OrderRecord]:
        """The working ones and the last 500 that ended, newest first, as order/realtime knows them."""
        ended = list(self._ended.values())[-500:]
        return sorted((*self._live.values(), *ended), key=lambda record: record.created_ms, reverse=True)


def fee_of(fill: Fill) -> Decimal:
    """What it cost, in whichever coin it was taken."""
    return fill.base_fee or fill.fee


def fee_coin(record: OrderRecord) -> str:
    """The coin that fees of the order are taken in: on spot, of a purchase, what it buys."""
    instrument = record.listing.instrument
    return instrument.base if instrument.fee_in_base and record.side == "Buy" else instrument.quote


def identifier(kind: str, key: str, *, spot: bool) -> str:
    """An id as Bybit makes them: a UUID for contracts, digits for spot."""
    digest = blake2s(f"{kind}|{key}".encode(), digest_size=16).digest()
    return str(10**18 + int.from_bytes(digest[:7], "big")) if spot else str(UUID(bytes=digest))


def side_of(side: OrderSide) -> str:
    """Buy or Sell."""
    return "Buy" if side is OrderSide.BUY else "Sell"
