"""A position is a list of entry and exit fills, never a single number.

So partial fills, partial take-profit levels and averaging are one arithmetic.  All of it is Decimal; PnL is net of the
fees in the fills, and slippage needs no term of its own because fills carry the prices that were really paid.
"""

from dataclasses import dataclass
from decimal import Decimal

from livebot.core.market import Side
from livebot.core.order import ZERO, Fill


@dataclass(frozen=True, slots=True)
class Position:
    """Entry and exit fills of one signal.  Sums are kept beside the fills so that asking is cheap."""

    side: Side
    entries: tuple[Fill, ...] = ()
    exits: tuple[Fill, ...] = ()
    entry_quantity: Decimal = ZERO
    entry_notional: Decimal = ZERO
    exit_quantity: Decimal = ZERO
    exit_notional: Decimal = ZERO
    fees: Decimal = ZERO

    def with_entry(self, fill: Fill) -> "Position":
        """The position after one more entry fill."""
        return Position(
            self.side,
            (*self.entries, fill),
            self.exits,
            self.entry_quantity + fill.quantity,
            self.entry_notional + fill.quantity * fill.price,
            self.exit_quantity,
            self.exit_notional,
            self.fees + fill.fee,
        )

    def with_exit(self, fill: Fill) -> "Position":
        """The position after one more exit fill."""
        return Position(
            self.side,
            self.entries,
            (*self.exits, fill),
            self.entry_quantity,
            self.entry_notional,
            self.exit_quantity + fill.quantity,
            self.exit_notional + fill.quantity * fill.price,
            self.fees + fill.fee,
        )

    def has(self, trade_id: str) -> bool:
        """Whether this trade was applied already (venues repeat themselves)."""
        return any(fill.trade_id == trade_id for fill in (*self.entries, *self.exits))

    @property
    def quantity(self) -> Decimal:
        """What is still open, in base; negative only if exits overshot."""
        return self.entry_quantity - self.exit_quantity

    @property
    def flat(self) -> bool:
        """Nothing is open."""
        return self.quantity <= 0

    @property
    def entry_price(self) -> Decimal:
        """Average price of all entries (0 before the first fill)."""
        return self.entry_notional / self.entry_quantity if self.entry_quantity else ZERO

    @property
    def exit_price(self) -> Decimal:
        """Average price of all exits (0 before the first)."""
        return self.exit_notional / self.exit_quantity if self.exit_quantity else ZERO

    @property
    def realised(self) -> Decimal:
        """PnL of the closed part against the average entry price, before fees, in quote."""
        if not self.entry_quantity:
            return ZERO
        cost = self.entry_notional * self.exit_quantity / self.entry_quantity
        return self.side.sign * (self.exit_notional - cost)

    @property
    def net(self) -> Decimal:
        """Realised PnL less all fees paid so far, in quote."""
        return self.realised - self.fees

    def unrealised(self, price: Decimal) -> Decimal:
        """PnL of the open part if it were closed at `price`, before fees, in quote."""
        return self.side.sign * self.quantity * (price - self.entry_price)

    @property
    def net_ratio(self) -> Decimal:
        """Net PnL over the money put in (0.01 is one percent)."""
        return self.net / self.entry_notional if self.entry_notional else ZERO
