"""The orders as Binance knows them: everything the matching engine does not care about.

Rules of this file: a conditional order of the futures is an algo order with ids of its own; when it triggers it makes a
real order, which has its client id.  Binance lets a client id be used again once its order has ended, the venue behind
does not: the key inside the venue is the client id where it can be, else `~flags~client id`, flags being a number for
the use, `t` for a take profit and `c` for an order that closes the whole position.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from livebot.core.market import OrderSide
from livebot.core.order import ZERO, Fill, OrderRequest
from livebot.simulator.venue_listings import Listing

TAKE_PROFIT, CLOSE = "t", "c"
_FIRST_ORDER, _FIRST_ALGO, _FIRST_FOREIGN = 8_000_000_000, 1_000_000_000_000_000, 9_000_000_000
_MOST_USES = 1_000  # of one client id, one after the other
_RECALLED_USES = 4
LIVE = ("NEW", "PARTIALLY_FILLED", "TRIGGERING", "TRIGGERED")


@dataclass(frozen=True, slots=True)
class Trade:
    """A fill, what it realised, and whether it was the maker's."""

    fill: Fill
    realised: Decimal
    maker: bool
    sequence: int

    @property
    def number(self) -> int:
        """Binance's id of it."""
        return int(self.fill.trade_id)


@dataclass(slots=True, kw_only=True)
class Asked:
    """What plain and conditional orders have in common.

    `request` is what the engine has of it, `quantity` what it is for, `number` Binance's id; `ending` is the status it
    is to end with if it is being withdrawn.
    """

    listing: Listing
    request: OrderRequest
    order_type: str
    client_id: str
    created_ms: int
    quantity: Decimal
    time_in_force: str = "GTC"
    close_position: bool = False
    number: int = 0
    status: str = "NEW"
    updated_ms: int = 0
    ending: str = ""

    def __post_init__(self) -> None:
        """Where it begins."""
        self.updated_ms = self.updated_ms or self.created_ms

    @property
    def key(self) -> str:
        """Its client order id inside the venue."""
        return self.request.client_order_id

    @property
    def live(self) -> bool:
        """Whether something may still come of it."""
        return self.status in LIVE

    @property
    def side(self) -> str:
        """BUY or SELL."""
        return side_of(self.request.side)


@dataclass(slots=True, kw_only=True)
class OrderRecord(Asked):
    """A real order; `algo` is what it was made by, `told` whether its beginning was told."""

    stop_price: Decimal | None = None
    quote_quantity: Decimal | None = None
    algo: "AlgoRecord | None" = None
    told: bool = False
    cancel_id: str = ""
    filled: Decimal = ZERO
    value: Decimal = ZERO
    fee: Decimal = ZERO
    trades: list[Trade] = field(default_factory=list)

    @property
    def left(self) -> Decimal:
        """What may still trade."""
        return self.quantity - self.filled if self.live else ZERO

    @property
    def average(self) -> Decimal:
        """The price it traded at, 0 if it did not."""
        return self.value / self.filled if self.filled else ZERO

    def book(self, trade: Trade) -> None:
        """Add a trade."""
        self.filled += trade.fill.quantity
        self.value += trade.fill.quantity * trade.fill.price
        self.fee += trade.fill.base_fee or trade.fill.fee
        self.trades.append(trade)
        self.status = "FILLED" if self.filled >= self.quantity else "PARTIALLY_FILLED"
        self.updated_ms = trade.fill.ts_ms


@dataclass(slots=True, kw_only=True)
class AlgoRecord(Asked):
    """A conditional order of the futures; `child` is the real order it made."""

    trigger_price: Decimal
    working_type: str = "CONTRACT_PRICE"
    triggered_ms: int = 0
    reason: str = ""
    child: OrderRecord | None = None

    @property
    def waiting(self) -> bool:
        """Whether it has not triggered."""
        return self.status == "NEW"

    @property
    def takes_profit(self) -> bool:
        """Whether it triggers when the price is better, not worse."""
        return self.order_type.startswith("TAKE_PROFIT")

    def move(self, status: str, ts_ms: int) -> None:
        """It goes on to another status."""
        self.status, self.updated_ms = status, ts_ms


Either = OrderRecord | AlgoRecord


class Records:
    """Working orders and algo orders, and the last ones that ended."""

    def __init__(self, remember_ended: int) -> None:
        self._remember_ended = remember_ended
        self._orders: dict[str, OrderRecord] = {}
        self._algos: dict[str, AlgoRecord] = {}
        self._live: dict[str, OrderRecord] = {}
        self._waiting: dict[str, AlgoRecord] = {}
        self._ended: dict[tuple[bool, str], None] = {}

    def add(self, record: OrderRecord) -> None:
        """Know a real order from now on."""
        self._orders[record.key] = self._live[record.key] = record

    def add_algo(self, record: AlgoRecord) -> None:
        """Know an algo order from now on."""
        self._algos[record.key] = self._waiting[record.key] = record

    def forget(self, record: Either) -> None:
        """As if it had never been."""
        if isinstance(record, AlgoRecord):
            self._algos.pop(record.key, None)
            self._waiting.pop(record.key, None)
        else:
            self._orders.pop(record.key, None)
            self._live.pop(record.key, None)

    def retire(self, record: Either) -> None:
        """It has ended; the oldest that ended is forgotten when there are too many."""
        algo = isinstance(record, AlgoRecord)
        (self._waiting if algo else self._live).pop(record.key, None)
        self._ended[algo, record.key] = None
        while len(self._ended) > self._remember_ended:
            oldest_algo, oldest = next(iter(self._ended))
            del self._ended[oldest_algo, oldest]
            (self._algos if oldest_algo else self._orders).pop(oldest, None)

    def order(self, key: str) -> OrderRecord | None:
        """By its key inside the venue."""
        return self._orders.get(key)

    def algo(self, key: str) -> AlgoRecord | None:
        """By its key inside the venue."""
        return self._algos.get(key)

    def known(self, key: str) -> bool:
        """Whether the key was used for anything that is remembered."""
        return key in self._orders or key in self._algos

    def live(self) -> list[OrderRecord]:
        """Orders that work, oldest first."""
        return list(self._live.values())

    def waiting(self) -> list[AlgoRecord]:
        """Algo orders that have not ended, oldest first."""
        return list(self._waiting.values())

    def orders(self) -> list[OrderRecord]:
        """All that are remembered, by their number."""
        return sorted(self._orders.values(), key=lambda record: record.number)

    def algos(self) -> list[AlgoRecord]:
        """All that are remembered, by their number."""
        return sorted(self._algos.values(), key=lambda record: record.number)

    def find(self, listing: Listing, number: str, client_id: str) -> OrderRecord | None:
        """By Binance's id, which goes before, or the user's; the newest of those that used the id."""
        found = [
            record
            for record in self._orders.values()
            if record.listing is listing and (str(record.number) == number if number else record.client_id == client_id)
        ]
        return max(found, key=lambda record: (record.live, record.number), default=None)

    def find_algo(self, number: str, client_id: str) -> AlgoRecord | None:
        """The same of algo orders, which are found without a symbol."""
        found = [
            record
            for record in self._algos.values()
            if (str(record.number) == number if number else record.client_id == client_id)
        ]
        return max(found, key=lambda record: (record.live, record.number), default=None)

    def in_use(self, record: Either) -> bool:
        """Whether a working order of the same kind and market has the same client id."""
        others = self._waiting.values() if isinstance(record, AlgoRecord) else self._live.values()
        return any(
            other.client_id == record.client_id and other.listing.spot is record.listing.spot for other in others
        )

    def keys(self, client_id: str, flags: str = "") -> Iterator[str]:
        """Keys an order with this client id could have, the plainest first; those that are remembered are left out."""
        names = (key_of(client_id, flags, use) for use in range(1, _MOST_USES))
        return (name for name in names if not self.known(name))


def key_of(client_id: str, flags: str = "", use: int = 1) -> str:
    """What an order is called inside the venue."""
    marks = f"{use if use > 1 else ''}{flags}"
    return f"~{marks}~{client_id}" if marks else client_id


def possible_keys(client_id: str) -> list[str]:
    """What the first few orders with a client id of the user's may be called inside the venue."""
    if not client_id:
        return []
    uses, flags = range(1, _RECALLED_USES + 1), ("", TAKE_PROFIT, CLOSE, TAKE_PROFIT + CLOSE)
    return [key_of(client_id, marks, use) for use in uses for marks in flags]


def parts_of_key(key: str) -> tuple[str, str]:
    """Flags and client id."""
    if not key.startswith("~"):
        return "", key
    _, marks, client_id = key.split("~", 2)
    return marks.lstrip("0123456789"), client_id


def order_number(venue_order_id: str) -> int:
    """Binance's id of a real order."""
    return _FIRST_ORDER + int(venue_order_id or 0)


def algo_number(venue_order_id: str) -> int:
    """Binance's id of an algo order."""
    return _FIRST_ALGO + int(venue_order_id or 0)


def foreign_number(trade: int) -> int:
    """An id for an order of which the venue does not tell its own, by its first trade."""
    return _FIRST_FOREIGN + trade


def side_of(side: OrderSide) -> str:
    """BUY or SELL."""
    return "BUY" if side is OrderSide.BUY else "SELL"
