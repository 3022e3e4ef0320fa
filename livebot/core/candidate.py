"""A candidate: an order that would add exposure, sized and valid, asking the portfolio for leave."""

from dataclasses import dataclass
from decimal import Decimal

from livebot.core.market import Side
from livebot.core.order import OrderRequest
from livebot.core.signal import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """`notional` and `risk` (loss at the stop, before fees) are in quote; `price` is what it was sized at.

    `signal` is the new signal for an entry and None for averaging an open one.
    """

    strategy: str
    symbol: str
    side: Side
    order: OrderRequest
    signal: Signal | None
    price: Decimal
    notional: Decimal
    risk: Decimal
    confidence: float | None
    ts_ms: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Our own validation or sizing said no before the portfolio was asked; `text` tells the operator why."""

    code: str
    text: str
