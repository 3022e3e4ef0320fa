"""Orders as we ask for them, as the venue answers, and as we remember them.

Rules of this file: a client order id is a function of (system, strategy, symbol, signal number, leg, attempt) and of
nothing else, so that a restarted daemon makes the same one; an order is settled only when the venue has called it ended
and every fill it reported has been applied.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from hashlib import blake2s

from livebot.core.market import OrderSide
from livebot.core.quick_init import quick_init

PREFIX = "lb"
MOST_ATTEMPTS = 0xFF  # of one leg in one signal: two digits in the id
REPEATED_FROM = 0x80  # from this attempt on an order that the venue never had is sent again under its own id
OWNERS_REMEMBERED = 4_096  # beyond that the beginning of an id is worked out again
ZERO = Decimal(0)


class Leg(Enum):
    """What an order does for its signal; the value is the one letter in the client order id."""

    ENTRY = "e"
    AVERAGE = "a"
    STOP = "s"
    TARGET = "t"
    PARTIAL = "p"
    EXIT = "x"

    def __init__(self, letter: str) -> None:
        """`opens`: it adds exposure and so needs the portfolio's approval; `protects`: it rests at the venue to close."""
        self.opens = letter in "ea"
        self.protects = letter in "st"


class OrderKind(Enum):
    """How an order executes."""

    MARKET = "market"
    LIMIT = "limit"
    STOP_MARKET = "stop_market"


class OrderStatus(Enum):
    """Where an order of ours is, as far as we know; `live` if it may still trade."""

    INTENDED = "intended"  # on our disk; the venue may or may not have seen it
    UNKNOWN = "unknown"  # sent, answer lost; reconcile
    WORKING = "working"  # the venue has it
    FILLED = "filled"
    CANCELED = "canceled"  # canceled or expired at the venue, whatever part had filled before
    REJECTED = "rejected"
    ABSENT = "absent"  # the venue proved that it never got it

    def __init__(self, text: str) -> None:
        """Tell once whether it is live: that is asked of every order in every step."""
        self.live = text in ("intended", "unknown", "working")


def owner_prefix(system: str) -> str:
    """What every client order id of a system starts with (8 characters, [a-z0-9])."""
    return PREFIX + _digest(system, 3)


def client_order_id(system: str, strategy: str, symbol: str, *, number: int, leg: Leg, attempt: int) -> str:
    """The id the venue sees: 25 characters of [a-z0-9], legal at every venue in the capability table."""
    return f"{_owner(system, strategy, symbol)}{number:06x}{leg.value}{attempt:02x}"


def leg_of(client_order_id: str) -> Leg:
    """What an order of ours is for, told by its id alone.

    Raises:
        ValueError: not an id that `client_order_id` made.

    """
    return Leg(client_order_id[-3:-2])


@lru_cache(maxsize=OWNERS_REMEMBERED)
def _owner(system: str, strategy: str, symbol: str) -> str:
    return owner_prefix(system) + _digest(f"{strategy}|{symbol}", 4)


def _digest(text: str, size: int) -> str:
    return blake2s(text.encode(), digest_size=size).hexdigest()


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order we want.  `price` is for LIMIT, `trigger_price` for STOP_MARKET; `oco_group` ties a stop to a target.

    `attached_stop` (entries only) is the trigger of a stop that the venue itself places, for what the entry fills.
    """

    client_order_id: str
    symbol: str
    leg: Leg
    attempt: int
    side: OrderSide
    kind: OrderKind
    quantity: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    reduce_only: bool = False
    post_only: bool = False
    oco_group: str | None = None
    attached_stop: Decimal | None = None

    def __post_init__(self) -> None:
        """Refuse a shape no venue could execute.

        Raises:
            ValueError: quantity not positive, or a price that is missing, not positive or of another kind.

        """
        if self.quantity <= 0:
            message = f"order {self.client_order_id}: quantity {self.quantity} is not positive"
            raise ValueError(message)
        for needed, value in (
            (self.kind is OrderKind.LIMIT, self.price),
            (self.kind is OrderKind.STOP_MARKET, self.trigger_price),
        ):
            if needed != (value is not None) or (value is not None and value <= 0):
                message = f"order {self.client_order_id}: a {self.kind.value} order cannot have price {value}"
                raise ValueError(message)


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One trade of one of our orders.

    `fee` is in quote currency, positive when paid; `base_fee` is what the venue kept of the bought coin itself, and is no
    part of `fee`: so much less is held than `quantity`, which is what traded.
    """

    trade_id: str
    client_order_id: str
    ts_ms: int
    side: OrderSide
    price: Decimal
    quantity: Decimal
    fee: Decimal
    base_fee: Decimal = ZERO


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecord:
    """What we remember of an order of the current signal; saved before the order leaves.

    `reported_filled` is what the venue says has filled; `filled` the sum of the fills we applied.  `confirmed` is false
    from an intent or amendment until the venue has acknowledged exactly `request`.  `admitted_price` is what the
    portfolio counts each unfilled unit of an opening order at, None for others; `amended_ms` is when a change was last
    asked for.
    """

    request: OrderRequest
    status: OrderStatus
    sent_ms: int
    venue_order_id: str | None = None
    filled: Decimal = ZERO
    reported_filled: Decimal = ZERO
    confirmed: bool = False
    cancel_requested: bool = False
    admitted_price: Decimal | None = None
    amended_ms: int | None = None

    @property
    def left(self) -> Decimal:
        """What of it has not filled, as far as we have heard."""
        return self.request.quantity - self.filled

    @property
    def settled(self) -> bool:
        """Nothing more can come of it: ended at the venue and all its fills are applied."""
        return not self.status.live and self.filled >= self.reported_filled


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class VenueOrder:
    """An order as the venue reports it when asked.  `status` is WORKING, FILLED, CANCELED or REJECTED.

    `attached`: the venue placed it itself, because an order carried it; it is nobody's own.
    """

    client_order_id: str | None
    venue_order_id: str
    symbol: str
    side: OrderSide
    kind: OrderKind
    quantity: Decimal
    filled: Decimal
    status: OrderStatus
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    reduce_only: bool = False
    attached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VenuePosition:
    """A net position as the venue reports it: positive quantity long, negative short.

    `average_price` is 0 where the venue does not know it: of coins on spot it knows how many there are, and no more.
    """

    symbol: str
    quantity: Decimal
    average_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the account is worth: `wallet` without and `equity` with unrealised PnL, in quote currency.

    `paid`: positions were paid for out of the wallet (coins on spot), which is so much less while they are held.
    """

    wallet: Decimal
    equity: Decimal
    paid: bool = False
