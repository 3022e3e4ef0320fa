"""What was seen from outside: the venue by a stock client, livebot by its files.

Rules of this file: plain values; quantities are signed where they are positions and positive where they are orders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from livebot.core.inputs import SymbolState
from livebot.core.order import ZERO, Leg, client_order_id, owner_prefix

Key = tuple[str, str]  # (strategy, symbol)
_OWNER_LENGTH = 16  # what all ids of a (strategy, symbol) begin with
_NUMBER_END = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenOrder:
    """An order as the venue lists it; `stop` if it waits to close a position at a loss, `client_id` None if not told."""

    client_id: str | None
    symbol: str
    side: str  # buy or sell
    live: bool
    quantity: Decimal
    filled: Decimal
    stop: bool = False
    reduces: bool = False
    price: Decimal | None = None

    @property
    def left(self) -> Decimal:
        """What may still trade."""
        return self.quantity - self.filled if self.live else ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPosition:
    """A position that is not flat; `price` is the average of its entries, `lot_step` the least of it that can be sold."""

    symbol: str
    quantity: Decimal
    price: Decimal
    lot_step: Decimal = ZERO

    @property
    def closable(self) -> Decimal:
        """How much of it can be closed: fees that are taken in coins leave less than a lot."""
        return self.quantity - self.quantity % self.lot_step if self.lot_step else self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTrade:
    """A trade of the account."""

    trade_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The venue at one moment (seconds of some clock); `orders` are the open ones."""

    at_s: float
    orders: tuple[SeenOrder, ...]
    positions: tuple[SeenPosition, ...]
    equity: Decimal

    def held(self, symbol: str) -> Decimal:
        """The signed position."""
        return sum((each.quantity for each in self.positions if each.symbol == symbol), ZERO)

    def lot_step(self, symbol: str) -> Decimal:
        """The least of coins that can be sold; 0 of contracts, which are held in whole lots."""
        return max((each.lot_step for each in self.positions if each.symbol == symbol), default=ZERO)

    def of_symbol(self, symbol: str) -> tuple[SeenOrder, ...]:
        """Its open orders."""
        return tuple(order for order in self.orders if order.symbol == symbol)

    def same_as(self, other: "Sight") -> bool:
        """Whether nothing but prices changed between the two."""
        return sorted(map(repr, self.orders)) == sorted(map(repr, other.orders)) and self.positions == other.positions


@dataclass(frozen=True, slots=True)
class Ours:
    """What one of our client order ids says."""

    owner: str
    number: int
    leg: Leg
    attempt: int


@dataclass(frozen=True, slots=True)
class System:
    """Which orders are ours, and which (strategy, symbol) each belongs to."""

    name: str
    keys: Sequence[Key]
    owners: Mapping[str, Key] = field(init=False)

    def __post_init__(self) -> None:
        """Learn what the ids of each begin with."""
        owners = {
            client_order_id(self.name, *key, number=0, leg=Leg.ENTRY, attempt=0)[:_OWNER_LENGTH]: key
            for key in self.keys
        }
        object.__setattr__(self, "owners", owners)

    def is_ours(self, order: SeenOrder) -> bool:
        """Whether this system made the order's id."""
        return order.client_id is not None and order.client_id.startswith(owner_prefix(self.name))

    def read(self, order: SeenOrder) -> Ours | None:
        """What the id says, None if it is not one of ours."""
        text = order.client_id
        if text is None or not self.is_ours(order):
            return None
        try:
            number, leg = int(text[_OWNER_LENGTH:_NUMBER_END], 16), Leg(text[_NUMBER_END : _NUMBER_END + 1])
            return Ours(text[:_OWNER_LENGTH], number, leg, int(text[_NUMBER_END + 1 :], 16))
        except ValueError:
            return None


States = Mapping[Key, SymbolState]


def quantity_of(state: SymbolState) -> Decimal:
    """The signed position that a state knows of, with what earlier ones have left."""
    position = getattr(state.signal, "position", None)
    return state.remainder + (ZERO if position is None else position.side.sign * position.quantity)


def symbol_quantity(states: States, symbol: str) -> Decimal:
    """What the files say of a symbol, over all strategies."""
    return sum((quantity_of(state) for (_, of), state in states.items() if of == symbol), ZERO)
