"""A position is a list of entry and exit fills, never a single number.

So partial fills, partial take-profit levels and averaging are one arithmetic.  All of it is Decimal; PnL is net of the
fees in the fills, and slippage needs no term of its own because fills carry the prices that were really paid.  A fee that
was taken in the bought coin costs what that coin cost: it is in the entry's money, and what is held is less by it.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from livebot.core.market import Side
from livebot.core.order import ZERO, Fill
from livebot.core.quick_init import quick_init


@quick_init
@dataclass(frozen=True, slots=True)
class Position:
    """Entry and exit fills of one signal.  Sums are kept beside the fills so that asking is cheap.

    `fees` are those paid in quote; `base_fees` those that the venue kept of the bought coin.  `lot_step` is set where
    that may happen, and where the venue's lots have become coarser since: what is held need not be whole lots then, and
    what is less than one cannot be closed.
    """

    side: Side
    entries: tuple[Fill, ...] = ()
    exits: tuple[Fill, ...] = ()
    entry_quantity: Decimal = ZERO
    entry_notional: Decimal = ZERO
    exit_quantity: Decimal = ZERO
    exit_notional: Decimal = ZERO
    fees: Decimal = ZERO
    base_fees: Decimal = ZERO
    lot_step: Decimal = ZERO

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
            self.base_fees + fill.base_fee,
            self.lot_step,
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
            self.base_fees + fill.base_fee,
            self.lot_step,
        )

    def with_remainder(self, quantity: Decimal, cost: Decimal) -> "Position":
        """The position with what an earlier one had left, in base, and what that cost in all, in quote."""
        return replace(self, entry_quantity=self.entry_quantity + quantity, entry_notional=self.entry_notional + cost)

    def has(self, trade_id: str) -> bool:
        """Whether this trade was applied already (venues repeat themselves)."""
        return any(fill.trade_id == trade_id for fill in (*self.entries, *self.exits))

    @property
    def traded(self) -> Decimal:
        """What its own entries have filled, fees not taken off."""
        return sum((fill.quantity for fill in self.entries), ZERO)

    @property
    def quantity(self) -> Decimal:
        """What is still open, in base; negative only if exits overshot."""
        return self.entry_quantity - self.base_fees - self.exit_quantity

    @property
    def closable(self) -> Decimal:
        """How much of it can be closed: whole lots."""
        return self.whole_lots(self.quantity)

    def whole_lots(self, quantity: Decimal) -> Decimal:
        """As much of a part of it as can be closed."""
        if not self.lot_step or quantity <= 0:
            return quantity
        return quantity - quantity % self.lot_step

    @property
    def flat(self) -> bool:
        """Nothing is open, or only what cannot be closed."""
        return self.closable <= 0

    @property
    def entry_price(self) -> Decimal:
        """Average price of all entries (0 before the first fill)."""
        return self.entry_notional / self.entry_quantity if self.entry_quantity else ZERO

    @property
    def exit_price(self) -> Decimal:
        """Average price of all exits (0 before the first)."""
        return self.exit_notional / self.exit_quantity if self.exit_quantity else ZERO

    @property
    def cost(self) -> Decimal:
        """What is still open cost at the average entry price, in quote."""
        return self.entry_notional - self._cost_of(self.exit_quantity + self.base_fees)

    @property
    def all_fees(self) -> Decimal:
        """All fees paid so far, in quote; those taken in the bought coin at the average entry price."""
        return self.fees + self._cost_of(self.base_fees) if self.base_fees else self.fees

    @property
    def realised(self) -> Decimal:
        """PnL of the closed part against the average entry price, before fees, in quote."""
        return self.side.sign * (self.exit_notional - self._cost_of(self.exit_quantity))

    @property
    def net(self) -> Decimal:
        """Realised PnL less all fees paid so far, in quote."""
        return self.side.sign * (self.exit_notional - self._cost_of(self.exit_quantity + self.base_fees)) - self.fees

    def unrealised(self, price: Decimal) -> Decimal:
        """PnL of the open part if it were closed at `price`, before fees, in quote."""
        return self.side.sign * self.quantity * (price - self.entry_price)

    @property
    def net_ratio(self) -> Decimal:
        """Net PnL over the money put in (0.01 is one percent)."""
        return self.net / self.entry_notional if self.entry_notional else ZERO

    def _cost_of(self, quantity: Decimal) -> Decimal:
        """At the average entry price; exactly what was paid for all of it."""
        return self.entry_notional * quantity / self.entry_quantity if self.entry_quantity else ZERO
