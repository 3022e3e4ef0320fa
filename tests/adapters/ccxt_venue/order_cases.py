"""The orders livebot sends, one of each kind."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from livebot.adapters.ccxt_venue.capabilities import PERPETUAL, VenueCapabilities
from livebot.core.market import OrderSide
from livebot.core.order import Leg, OrderKind, OrderRequest
from tests.adapters.ccxt_venue.capture import symbol_of

D = Decimal
BUY, SELL = OrderSide.BUY, OrderSide.SELL
MARKET, LIMIT, STOP = OrderKind.MARKET, OrderKind.LIMIT, OrderKind.STOP_MARKET
HEAD = "lb0123456789abcdef0123"


def id_of(leg: Leg) -> str:
    """A client order id as livebot makes them."""
    return f"{HEAD}{leg.value}01"


def order(known: VenueCapabilities, leg: Leg, side: OrderSide, kind: OrderKind, **terms: Any) -> OrderRequest:
    """An order of 0.012 BTC."""
    return OrderRequest(
        client_order_id=id_of(leg),
        symbol=symbol_of(known),
        leg=leg,
        attempt=1,
        side=side,
        kind=kind,
        **{"quantity": D("0.012"), **terms},
    )


def orders(known: VenueCapabilities) -> Iterator[tuple[str, OrderRequest]]:
    """All kinds, by what they are called in `documented`, whether the venue can or not."""
    yield "purchase", order(known, Leg.ENTRY, BUY, MARKET)
    yield "limit", order(known, Leg.ENTRY, BUY, LIMIT, price=D("90.5"))
    yield "post only", order(known, Leg.ENTRY, BUY, LIMIT, price=D("90.5"), post_only=True)
    yield "exit", order(known, Leg.EXIT, SELL, MARKET, reduce_only=True)
    yield "target", order(known, Leg.TARGET, SELL, LIMIT, price=D("110.5"), reduce_only=True)
    yield "stop", order(known, Leg.STOP, SELL, STOP, trigger_price=D("80.5"), reduce_only=True)
    if known.market == PERPETUAL:
        yield "short", order(known, Leg.ENTRY, SELL, MARKET)
        yield "short's stop", order(known, Leg.STOP, BUY, STOP, trigger_price=D("99.5"), reduce_only=True)
