"""What a venue trades: the candles of a set of symbols, seen minute by minute, and the instruments that fit them.

Rules of this file: a market knows the whole past and future of its prices and shows only what is asked for; whoever
asks decides what "now" is.  Times are UTC milliseconds, minutes are whole.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from livebot.core.market import Candle, Instrument
from livebot.core.series import CandleSeries
from livebot.errors import BadInput

MINIMUM_NOTIONAL = Decimal(5)
_TICK_SHARE = 1e-5  # a tick is at most this share of the price
_LOT_VALUE = 1.0  # a lot is worth at most this much quote
_MOST_DECIMALS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """Ratios of the notional."""

    taker: Decimal = Decimal("0.0005")
    maker: Decimal = Decimal("0.0002")


class Market(Protocol):
    """Candles of one minute for several symbols."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """In the order in which candles are pushed."""
        ...

    @property
    def first_ms(self) -> int:
        """Opening time of the first minute a venue may start at."""
        ...

    @property
    def end_ms(self) -> int | None:
        """Close of the last candle, None if there is no end."""
        ...

    def add(self, symbols: Sequence[str]) -> None:
        """Trade these too.  Raises BadInput for one it cannot have."""
        ...

    def identity(self, symbol: str) -> str:
        """What the candles of a symbol depend on; another text means another market."""
        ...

    def instrument(self, symbol: str) -> Instrument:
        """Steps, minimums and fees."""
        ...

    def price(self, symbol: str, minute_ms: int) -> float:
        """The open of the candle that begins at `minute_ms`, or the last price if there is none (a gap)."""
        ...

    def candle(self, symbol: str, minute_ms: int) -> Candle | None:
        """The candle that begins at `minute_ms`, None in a gap."""
        ...

    def candles(self, symbol: str, first_ms: int, stop_ms: int) -> CandleSeries:
        """The candles that begin in [first_ms, stop_ms), without those before a gap; fewer if the market is younger."""
        ...

    def latest_close(self, symbol: str, now_ms: int) -> int:
        """When the last candle that is closed at `now_ms` closed."""
        ...

    def begins_ms(self, symbol: str) -> int | None:
        """The opening of its first candle, None if it has been there for ever."""
        ...


def parts_of(symbol: str) -> tuple[str, str, bool]:
    """Base, quote, and whether it is a perpetual: `BTC/USDT:USDT` is one, `BTC/USDT` is spot.

    Raises:
        BadInput: the symbol has another form.

    """
    pair, colon, settle = symbol.partition(":")
    base, slash, quote = pair.partition("/")
    if not (base and slash and quote) or (colon and not settle):
        message = f"symbol {symbol!r}: write BASE/QUOTE for spot, BASE/QUOTE:SETTLE for a perpetual (BTC/USDT:USDT)"
        raise BadInput(message)
    return base, quote, bool(colon)


def tick_decimals(price: float) -> int:
    """How many decimals a price of this size is quoted with."""
    return min(max(-math.floor(math.log10(price * _TICK_SHARE)), 0), _MOST_DECIMALS)


def lot_decimals(price: float) -> int:
    """How many decimals a quantity has at a price of this size."""
    return min(max(-math.floor(math.log10(_LOT_VALUE / price)), 0), _MOST_DECIMALS)


def instrument_for(symbol: str, price: float, decimals: int, fees: Fees) -> Instrument:
    """An instrument whose steps fit a price of this size, quoted with that many decimals."""
    base, quote, perpetual = parts_of(symbol)
    lot = Decimal(1).scaleb(-lot_decimals(price))
    return Instrument(
        symbol=symbol,
        base=base,
        quote=quote,
        tick_size=Decimal(1).scaleb(-decimals),
        lot_step=lot,
        minimum_quantity=lot,
        minimum_notional=MINIMUM_NOTIONAL,
        taker_fee=fees.taker,
        maker_fee=fees.maker,
        can_short=perpetual,
    )
