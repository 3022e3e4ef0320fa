"""What a market is made of: sides, timeframes, candles, instruments.

Rules of this file: prices inside features are float64, everything that meets a venue is Decimal and rounded to the
instrument's steps; times are UTC milliseconds; a candle's `ts_ms` is its opening time.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from enum import Enum

from livebot.core.quick_init import quick_init

MINUTE_MS = 60_000
DAY_MS = 86_400_000
_NOTHING = Decimal(0)


class OrderSide(Enum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"


class Side(Enum):
    """Which way a signal bets."""

    LONG = "long"
    SHORT = "short"

    def __init__(self, text: str) -> None:
        """`sign` is +1 or -1; `entry_order` is the order side that opens or adds, `exit_order` the one that closes."""
        long = text == "long"
        self.sign = 1 if long else -1
        self.entry_order = OrderSide.BUY if long else OrderSide.SELL
        self.exit_order = OrderSide.SELL if long else OrderSide.BUY


_UNIT_MS = {"m": MINUTE_MS, "h": 60 * MINUTE_MS, "d": DAY_MS}


class Timeframe(Enum):
    """A candle's length; the value is the usual text, `ms` the same in milliseconds."""

    M1 = "1m"
    M3 = "3m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H2 = "2h"
    H4 = "4h"
    H6 = "6h"
    H8 = "8h"
    H12 = "12h"
    D1 = "1d"

    def __init__(self, text: str) -> None:
        """Work the length out once: it is asked for with every candle."""
        self.ms = int(text[:-1]) * _UNIT_MS[text[-1]]

    def open_of(self, ts_ms: int) -> int:
        """Opening time of the candle that holds `ts_ms` (UTC aligned)."""
        return ts_ms - ts_ms % self.ms


@quick_init
@dataclass(frozen=True, slots=True)
class Candle:
    """One closed candle; `ts_ms` is its opening time, prices in quote currency, volume in base."""

    ts_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a venue says of a symbol.  Steps and minimums are in price, base quantity and quote notional.

    `fee_in_base`: the fee of a purchase may be taken from the bought coin, so that less is held than was filled.
    `maximum_quantity`: the most of one order of any kind that is used here, None if the venue names no bound.
    """

    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    lot_step: Decimal
    minimum_quantity: Decimal
    minimum_notional: Decimal
    taker_fee: Decimal
    maker_fee: Decimal
    can_short: bool
    fee_in_base: bool = False
    maximum_quantity: Decimal | None = None

    def round_price(self, price: Decimal) -> Decimal:
        """Nearest tick."""
        return _to_step(price, self.tick_size, ROUND_HALF_EVEN)

    def round_price_down(self, price: Decimal) -> Decimal:
        """Next tick at or below."""
        return _to_step(price, self.tick_size, ROUND_FLOOR)

    def round_price_up(self, price: Decimal) -> Decimal:
        """Next tick at or above."""
        return _to_step(price, self.tick_size, ROUND_CEILING)

    def takes(self, quantity: Decimal, price: Decimal) -> bool:
        """Whether a quantity at about this price is as much as the venue takes; less is dust."""
        return quantity >= self.minimum_quantity and quantity * price >= self.minimum_notional

    def fitting(self, quantity: Decimal, held: Decimal = _NOTHING) -> Decimal:
        """As much of a quantity as one order can close together with what is held, so that a stop can cover it all."""
        most = self.maximum_quantity
        return quantity if most is None else max(min(quantity, most - held), _NOTHING)

    def round_quantity(self, quantity: Decimal) -> Decimal:
        """Towards zero, so that a rounded order never exceeds what was allowed."""
        return _to_step(quantity, self.lot_step, ROUND_DOWN)


# Wide enough that the quotient itself is not rounded onto a step it has not reached.
_WIDE = Context(prec=60)


def _to_step(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    return _WIDE.divide(value, step).to_integral_value(rounding=rounding) * step


def base_asset(symbol: str) -> str:
    """What is bought and sold under a symbol: BTC of BTC/USDT and of BTC/USDT:USDT."""
    return symbol.partition("/")[0]


def decimal_of(value: float) -> Decimal:
    """A float as the shortest decimal that reads back as the same float (what a person would write)."""
    return Decimal(repr(float(value)))
