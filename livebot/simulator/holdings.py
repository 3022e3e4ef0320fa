"""What a simulated account holds: one net position per symbol, and the wallet.

Rules of this file: a position is a signed quantity and the signed money it cost, not an average price, so that sums are
exact: wallet = first wallet - money out of all trades + cost of what is open - fees.  A division occurs only where part
of a position closes, and its result is rounded to a fixed step before it is used on both sides.
"""

from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal

from livebot.core.market import Instrument, OrderSide
from livebot.core.order import ZERO

MONEY_STEP = Decimal("1e-10")
COIN_STEP = Decimal("1e-8")  # of fees that are taken in coins


@dataclass(slots=True)
class Holding:
    """A net position: `quantity` is positive long and negative short, `cost` has its sign."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def average_price(self) -> Decimal:
        """What a unit cost; only of a position that is not flat."""
        return self.cost / self.quantity


@dataclass(slots=True)
class Holdings:
    """All positions, and the wallet in quote; `realised` is before `fees`, both since the account began."""

    wallet: Decimal
    positions: dict[str, Holding] = field(default_factory=dict)
    realised: Decimal = ZERO
    fees: Decimal = ZERO

    def quantity(self, symbol: str) -> Decimal:
        """Signed net position, 0 if flat."""
        held = self.positions.get(symbol)
        return held.quantity if held else ZERO

    def trade(self, symbol: str, quantity: Decimal, price: Decimal, fee: Decimal, base_fee: Decimal = ZERO) -> None:
        """Book a trade; `quantity` is signed, positive bought; `base_fee` is kept of what was bought."""
        held = self.positions.setdefault(symbol, Holding())
        closing = _closing_part(held.quantity, quantity)
        if closing:
            share = held.cost * abs(closing) / abs(held.quantity)
            cost = held.cost if closing == -held.quantity else share.quantize(MONEY_STEP, ROUND_HALF_EVEN)
            realised = -closing * price - cost
            held.quantity += closing
            held.cost -= cost
            self.realised += realised
            self.wallet += realised
        opening = quantity - closing
        held.quantity += opening
        held.cost += opening * price
        if base_fee:
            fee += self._cost_of_coins(held, base_fee)
        if not held.quantity:
            del self.positions[symbol]
        self.fees += fee
        self.wallet -= fee

    def _cost_of_coins(self, held: Holding, base_fee: Decimal) -> Decimal:
        """Take a fee off what is held, and what those coins cost off its cost: that is lost like any fee."""
        cost = (held.cost * base_fee / held.quantity).quantize(MONEY_STEP, ROUND_HALF_EVEN)
        held.quantity -= base_fee
        held.cost -= cost
        return cost

    def unrealised(self, symbol: str, price: Decimal) -> Decimal:
        """What closing at `price` would add to the wallet, before fees."""
        held = self.positions[symbol]
        return held.quantity * price - held.cost


def fees_of(
    instrument: Instrument, side: OrderSide, quantity: Decimal, price: Decimal, rate: Decimal
) -> tuple[Decimal, Decimal]:
    """What a trade costs at this rate: in quote, and in coins where those of a purchase are taken from what it buys."""
    if instrument.fee_in_base and side is OrderSide.BUY:
        return ZERO, (quantity * rate).quantize(COIN_STEP, ROUND_HALF_EVEN)
    return (quantity * price * rate).quantize(MONEY_STEP, ROUND_HALF_EVEN), ZERO


def _closing_part(held: Decimal, traded: Decimal) -> Decimal:
    """The part of a signed trade that reduces what is held."""
    if held * traded >= 0:
        return ZERO
    return traded if abs(traded) <= abs(held) else -held
