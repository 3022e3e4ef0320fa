"""What a user asks for a spot order, as a record the account can carry out.

Rules of this file: as in `orders`; but spot refuses parameters it does not know (-1104), and a conditional order is an
order like any other.
"""

from decimal import Decimal

from livebot.core.market import OrderSide
from livebot.core.order import Leg, OrderKind, OrderRequest
from livebot.simulator.binance.account import BinanceAccount
from livebot.simulator.binance.codes import (
    BAD_TYPE,
    FILTER,
    ORDER_REJECTED,
    UNREAD,
    Refused,
    missing,
    not_offered,
    precision,
    too_precise,
)
from livebot.simulator.binance.orders import Params, client_id, needed, number, side_of
from livebot.simulator.binance.records import OrderRecord
from livebot.simulator.venue_listings import Listing
from livebot.simulator.venue_listings import text as plain

UP, DOWN = Decimal(5), Decimal("0.2")
TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
KNOWN = frozenset(
    {
        "symbol", "side", "type", "timeInForce", "quantity", "quoteOrderQty", "price", "newClientOrderId", "strategyId",
        "strategyType", "stopPrice", "trailingDelta", "icebergQty", "newOrderRespType", "selfTradePreventionMode",
        "recvWindow", "timestamp", "signature",
    }
)  # fmt: skip
_PRECISION = Decimal("1e-8")


def new_order(params: Params, listing: Listing, account: BinanceAccount) -> OrderRecord:
    """The record of a new order.  Raises Refused."""
    unread = [name for name in params if name not in KNOWN]
    if unread:
        read = len(params) - len(unread)
        text = f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{len(params)}'."
        raise Refused(UNREAD, text)
    side, order_type = side_of(params), params.get("type", "")
    if order_type not in TYPES:
        raise Refused(BAD_TYPE, "Invalid orderType.")
    if order_type in {"STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"} or params.get("trailingDelta"):
        raise not_offered(f"{order_type} orders with a limit or a trail are")
    limited = order_type in {"LIMIT", "LIMIT_MAKER"}
    in_force = _in_force(params, order_type)
    stop = _stop(params, listing, account, side, order_type) if order_type in {"STOP_LOSS", "TAKE_PROFIT"} else None
    price = _price(params, listing, account) if limited else None
    quoted = number(params, "quoteOrderQty") if order_type == "MARKET" else None
    quantity = _quantity(params, listing, account, quoted)
    kind = OrderKind.LIMIT if limited or order_type == "TAKE_PROFIT" else OrderKind.MARKET
    kind = OrderKind.STOP_MARKET if order_type == "STOP_LOSS" else kind
    return OrderRecord(
        listing=listing,
        request=OrderRequest(
            client_order_id="unnamed",
            symbol=listing.symbol,
            leg=Leg.ENTRY if side is OrderSide.BUY else Leg.EXIT,
            attempt=0,
            side=side,
            kind=kind,
            quantity=quantity,
            price=(price or stop) if kind is OrderKind.LIMIT else None,
            trigger_price=stop if kind is OrderKind.STOP_MARKET else None,
            post_only=order_type == "LIMIT_MAKER",
        ),
        order_type=order_type,
        client_id=client_id(params, "newClientOrderId", spot=True),
        created_ms=account.now_ms(),
        quantity=quantity,
        time_in_force=in_force,
        stop_price=stop,
        quote_quantity=quoted,
    )


def _in_force(params: Params, order_type: str) -> str:
    given = params.get("timeInForce", "")
    if order_type == "LIMIT" and not given:
        raise missing("timeInForce")
    if given not in {"", "GTC", "IOC"}:
        raise not_offered(f"timeInForce {given} is")
    return given or "GTC"


def _stop(params: Params, listing: Listing, account: BinanceAccount, side: OrderSide, order_type: str) -> Decimal:
    stop = needed(params, "stopPrice")
    if not stop or stop % listing.instrument.tick_size:
        raise Refused(FILTER, "Filter failure: PRICE_FILTER")
    rises = (side is OrderSide.BUY) is (order_type == "STOP_LOSS")
    last = account.venue.price(listing.symbol)
    if stop <= last if rises else stop >= last:
        raise Refused(ORDER_REJECTED, "Stop price would trigger immediately.")
    return stop


def _price(params: Params, listing: Listing, account: BinanceAccount) -> Decimal:
    price = needed(params, "price")
    if too_precise(plain(price), plain(_PRECISION)):
        raise precision()
    if not price or price % listing.instrument.tick_size:
        raise Refused(FILTER, "Filter failure: PRICE_FILTER")
    last = account.venue.price(listing.symbol)
    if not last * DOWN <= price <= last * UP:
        raise Refused(FILTER, "Filter failure: PERCENT_PRICE_BY_SIDE")
    return price


def _quantity(params: Params, listing: Listing, account: BinanceAccount, quoted: Decimal | None) -> Decimal:
    if quoted is not None:
        quantity = listing.instrument.round_quantity(quoted / account.venue.price(listing.symbol))
    else:
        quantity = needed(params, "quantity")
    if too_precise(plain(quantity), plain(_PRECISION)):
        raise precision()
    if not quantity:
        raise Refused(FILTER, "Filter failure: LOT_SIZE")
    return quantity
