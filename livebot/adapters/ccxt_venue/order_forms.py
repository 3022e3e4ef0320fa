"""From an order livebot wants to the call of ccxt that asks the venue for exactly that.

Rules of this file: pure, ccxt is not imported; numbers go out as the text of the exact Decimal; only what the venue's row
in the capability table holds is built, everything else is refused before anything is sent, because ccxt drops or
reinterprets what it does not know without a word.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from livebot.adapters.ccxt_venue.capabilities import (
    SPOT,
    Amendable,
    Ask,
    AttachedStop,
    Form,
    VenueCapabilities,
    to_venue_id,
)
from livebot.core.market import OrderSide
from livebot.core.order import Leg, OrderKind, OrderRequest, leg_of
from livebot.errors import BadInput


@dataclass(frozen=True, slots=True)
class Call:
    """A call of ccxt's client: `await getattr(client, method)(*arguments, params=params)`.

    `scan`: the answer is a list of orders of anybody, among which ours is to be looked for by its client id.
    """

    method: str
    arguments: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)
    scan: bool = False


def create_call(
    request: OrderRequest, capabilities: VenueCapabilities, *, attached_stop: Decimal | None = None
) -> Call:
    """Place an order; `attached_stop` is the trigger price of a stop that is to travel with an entry.

    Raises:
        BadInput: the venue cannot do this, or livebot has no proven form for it.

    """
    _check(request, capabilities)
    params: dict[str, Any] = {capabilities.client_id.key: to_venue_id(request.client_order_id, capabilities)}
    if request.kind is OrderKind.STOP_MARKET:
        params |= {"stopLossPrice": plain(_given(request.trigger_price)), **capabilities.stop_extra}
    if request.post_only:
        params["postOnly"] = True
    if request.reduce_only and capabilities.market != SPOT:
        params["reduceOnly"] = True
    if attached_stop is not None:
        params |= _attached(request, attached_stop, capabilities)
    limit = request.kind is OrderKind.LIMIT
    price = plain(_given(request.price)) if limit else None
    kind = "limit" if limit else "market"
    return Call("create_order", (request.symbol, kind, request.side.value, plain(request.quantity), price), params)


def cancel_call(symbol: str, client_order_id: str, capabilities: VenueCapabilities) -> Call:
    """Take an order back by our id.  Raises BadInput if the id is not one of ours, or the venue cannot be told by it."""
    leg = _known_leg(client_order_id, capabilities)
    ask = capabilities.cancelling(leg)
    if ask is None:
        raise BadInput(f"{capabilities.name}: {symbol}: orders there cannot be taken back by our id")
    venue_id = to_venue_id(client_order_id, capabilities)
    if ask.key is None:
        return Call(ask.method, (venue_id, symbol), dict(ask.extra))
    return Call(ask.method, (None, symbol), {ask.key: venue_id, **ask.extra})


def find_calls(symbol: str, client_order_id: str, capabilities: VenueCapabilities) -> tuple[Call, ...]:
    """What to ask, in turn, until one answer holds the order.  Raises BadInput if the id is not one of ours."""
    leg = _known_leg(client_order_id, capabilities)
    venue_id = to_venue_id(client_order_id, capabilities)
    return tuple(_asking(ask, symbol, venue_id) for ask in capabilities.finding(leg))


def amend_call(request: OrderRequest, venue_order_id: str | None, capabilities: VenueCapabilities) -> Call | None:
    """Make the working order look like `request` (its quantity is the total, filled included).

    Returns:
        None if it takes a cancel and a new order.

    """
    can = capabilities.amendable(request.leg)
    needed = {
        OrderKind.LIMIT: {Amendable.PRICE, Amendable.QUANTITY},
        OrderKind.STOP_MARKET: {Amendable.TRIGGER_PRICE, Amendable.QUANTITY},
    }.get(request.kind)
    if needed is None or not needed <= can:
        return None
    params: dict[str, Any] = {}
    if venue_order_id is None:
        if capabilities.amend_key is None:
            return None
        params[capabilities.amend_key] = to_venue_id(request.client_order_id, capabilities)
    price = None
    if request.kind is OrderKind.STOP_MARKET:
        params |= {"triggerPrice": plain(_given(request.trigger_price)), **capabilities.stop_extra}
    else:
        price = plain(_given(request.price))
    kind = "limit" if request.kind is OrderKind.LIMIT else "market"
    arguments = (venue_order_id, request.symbol, kind, request.side.value, plain(request.quantity), price)
    return Call("edit_order", arguments, params)


def plain(number: Decimal) -> str:
    """A number as text, exact and without an exponent.  Raises BadInput if it is not finite."""
    if not number.is_finite():
        raise BadInput(f"{number} is not a number that can be ordered")
    return f"{number:f}"


def _asking(ask: Ask, symbol: str, venue_id: str) -> Call:
    if ask.key is None:
        return Call(ask.method, (symbol,), dict(ask.extra), scan=True)
    one = ask.method == "fetch_order"  # whose first argument is the venue's id; the others list
    return Call(ask.method, (None, symbol) if one else (symbol,), {ask.key: venue_id, **ask.extra})


def _forms(request: OrderRequest, capabilities: VenueCapabilities) -> set[Form]:
    """What the order asks of the venue."""
    needed = set()
    if request.kind is OrderKind.MARKET:
        needed.add(Form.MARKET_BUY if request.side is OrderSide.BUY else Form.MARKET_SELL)
    elif request.kind is OrderKind.STOP_MARKET:
        needed.add(Form.STOP_MARKET)
    else:
        needed.add(Form.LIMIT)
    if request.post_only:
        needed.add(Form.POST_ONLY)
    if request.reduce_only and capabilities.market != SPOT:
        needed.add(Form.REDUCE_ONLY)  # a sale of coins that are held can only reduce
    return needed


def _check(request: OrderRequest, capabilities: VenueCapabilities) -> None:
    at = f"{capabilities.name}: {request.symbol}"
    if capabilities.counts_contracts:
        raise BadInput(f"{at}: quantities there are numbers of contracts, which livebot does not convert yet")
    missing = sorted(form.value for form in _forms(request, capabilities) - capabilities.forms)
    if missing:
        raise BadInput(f"{at}: livebot knows no proven way to place a {' or a '.join(missing)} there")
    if _known_leg(request.client_order_id, capabilities) is not request.leg:
        raise BadInput(f"{at}: the client order id {request.client_order_id!r} does not say leg {request.leg.name}")
    if (request.kind is OrderKind.STOP_MARKET) != (request.leg is Leg.STOP):
        raise BadInput(f"{at}: only a protective stop is a stop order, and it is nothing else")
    if request.kind is OrderKind.STOP_MARKET and not request.reduce_only and capabilities.market != SPOT:
        raise BadInput(f"{at}: a stop that does not only reduce could open a position")
    if request.post_only and request.kind is not OrderKind.LIMIT:
        raise BadInput(f"{at}: only a limit order can be post-only")
    if request.leg is Leg.TARGET and not capabilities.resting_target:
        raise BadInput(f"{at}: a target cannot rest beside the stop, both would lock the same coins")


def _attached(request: OrderRequest, stop: Decimal, capabilities: VenueCapabilities) -> dict[str, Any]:
    at = f"{capabilities.name}: {request.symbol}"
    if capabilities.attached_stop is not AttachedStop.BYBIT_PARTIAL:
        raise BadInput(f"{at}: a stop cannot travel with an entry there; place it as an order of its own")
    if not request.leg.opens or request.reduce_only:
        raise BadInput(f"{at}: only an entry can carry a stop")
    # Partial: a stop for what this entry fills, whatever else is held; it has no size of its own.
    return {
        "stopLoss": {"triggerPrice": plain(stop)},
        "tpslMode": "Partial",
        "slOrderType": "Market",
        "slTriggerBy": "LastPrice",
    }


def _known_leg(client_order_id: str, capabilities: VenueCapabilities) -> Leg:
    try:
        leg = leg_of(client_order_id)
    except ValueError:
        raise BadInput(f"{client_order_id!r} is not a client order id of livebot") from None
    if leg is Leg.STOP and Form.STOP_MARKET not in capabilities.forms:
        raise BadInput(f"{capabilities.name}: livebot knows no proven way to place, find or take back a stop there")
    return leg


def _given(value: Decimal | None) -> Decimal:
    assert value is not None, "OrderRequest refuses an order without its price"
    return value
