"""What a user asks for a futures order: Binance's parameters, checked, as a record the account can carry out.

Rules of this file: what Binance would refuse by itself is refused here with its words; steps, minimums, funds and
reduce-only are the engine's business.  What this exchange does not offer is refused with a sentence, never ignored; a
parameter that Binance's futures ignore (an attached `stopLoss`, say) is ignored.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from secrets import token_hex

from livebot.core.market import OrderSide
from livebot.core.order import Leg, OrderKind, OrderRequest
from livebot.simulator.binance.account import BinanceAccount
from livebot.simulator.binance.codes import (
    BAD_CLIENT_ID,
    BAD_POSITION_SIDE,
    BAD_SIDE,
    BAD_TYPE,
    ILLEGAL,
    NOT_A_LIMIT,
    NOTHING_TO_MODIFY,
    PRICE_TOO_HIGH,
    PRICE_TOO_LOW,
    USE_ALGO,
    WOULD_TRIGGER,
    Refused,
    bad_data,
    missing,
    not_offered,
    precision,
    too_precise,
)
from livebot.simulator.binance.records import AlgoRecord, OrderRecord
from livebot.simulator.venue_listings import Listing
from livebot.simulator.venue_listings import text as plain

Params = Mapping[str, str]
UP, DOWN = Decimal("1.05"), Decimal("0.95")  # how far over (under) the market one may buy (sell)
ALGO_TYPES = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
_CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")
_SIDES = {"BUY": OrderSide.BUY, "SELL": OrderSide.SELL}
_EVERYTHING = 1_000_000_000  # lots: more than any position


def number(params: Params, name: str) -> Decimal | None:
    """A price or quantity, None if it is not given.  Raises Refused if it is not one."""
    value = params.get(name, "")
    if not value:
        return None
    try:
        result = Decimal(value)
    except InvalidOperation:
        raise bad_data(name) from None
    if not result.is_finite() or result < 0:
        raise bad_data(name)
    return result


def whole(params: Params, name: str) -> int | None:
    """A time, an id or a count, None if it is not given.  Raises Refused if it is not one."""
    value = params.get(name, "")
    if value and not value.isdigit():
        raise bad_data(name)
    return int(value) if value else None


def needed(params: Params, name: str) -> Decimal:
    """A number that has to be there.  Raises Refused."""
    value = number(params, name)
    if value is None:
        raise missing(name)
    return value


def side_of(params: Params) -> OrderSide:
    """Raises Refused."""
    name = params.get("side", "")
    if not name:
        raise missing("side")
    if name not in _SIDES:
        raise Refused(BAD_SIDE, "Invalid side.")
    return _SIDES[name]


def client_id(params: Params, name: str, *, spot: bool = False) -> str:
    """The user's own id, or one made for it.  Raises Refused."""
    given = params.get(name, "")
    if given and not _CLIENT_ID.fullmatch(given):
        if spot:
            text = f"Illegal characters found in parameter '{name}'; legal range is '^[a-zA-Z0-9-_]{{1,36}}$'."
            raise Refused(ILLEGAL, text)
        raise Refused(BAD_CLIENT_ID, "Client order id is not valid.")
    return given or token_hex(11)


def true(params: Params, name: str) -> bool:
    """Whether it was asked for."""
    return params.get(name, "").lower() == "true"


def check_position_side(params: Params, *, dual_side: bool) -> None:
    """Raises Refused if the order is for another position mode than the account's."""
    if params.get("positionSide", "BOTH") != "BOTH" or dual_side:
        raise Refused(BAD_POSITION_SIDE, "Order's position side does not match user's setting.")


def new_order(params: Params, listing: Listing, account: BinanceAccount) -> OrderRecord:
    """The record of a new order at the market or a limit.  Raises Refused."""
    side, order_type = side_of(params), params.get("type", "")
    if order_type in ALGO_TYPES:
        text = "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
        raise Refused(USE_ALGO, text)
    if order_type not in {"MARKET", "LIMIT"}:
        raise Refused(BAD_TYPE, "Invalid orderType.")
    in_force = params.get("timeInForce") or ("" if order_type == "LIMIT" else "GTC")
    if not in_force:
        raise missing("timeInForce")
    if in_force not in {"GTC", "IOC", "GTX"}:
        raise not_offered(f"timeInForce {in_force} is")
    quantity = _quantity(params, listing)
    price = _price(params, listing, account, side) if order_type == "LIMIT" else None
    reduces = true(params, "reduceOnly")
    request = OrderRequest(
        client_order_id="unnamed",
        symbol=listing.symbol,
        leg=Leg.EXIT if reduces else Leg.ENTRY,
        attempt=0,
        side=side,
        kind=OrderKind.LIMIT if price is not None else OrderKind.MARKET,
        quantity=quantity,
        price=price,
        reduce_only=reduces,
        post_only=in_force == "GTX",
    )
    return OrderRecord(
        listing=listing,
        request=request,
        order_type=order_type,
        client_id=client_id(params, "newClientOrderId"),
        created_ms=account.now_ms(),
        quantity=quantity,
        time_in_force=in_force,
    )


def new_algo(params: Params, listing: Listing, account: BinanceAccount) -> AlgoRecord:
    """The record of a new conditional order.  Raises Refused."""
    side, order_type = side_of(params), params.get("type", "")
    if params.get("algoType") != "CONDITIONAL":
        raise missing("algoType")
    if order_type not in ALGO_TYPES:
        raise Refused(BAD_TYPE, "Invalid orderType.")
    if not order_type.endswith("MARKET") or order_type.startswith("TRAILING"):
        raise not_offered(f"{order_type} orders are")
    trigger, closes = needed(params, "triggerPrice"), true(params, "closePosition")
    _check_step(trigger, listing.instrument.tick_size, "triggerPrice")
    takes_profit = order_type.startswith("TAKE_PROFIT")
    last = account.venue.price(listing.symbol)
    rises = (side is OrderSide.BUY) is not takes_profit
    if trigger <= last if rises else trigger >= last:
        raise Refused(WOULD_TRIGGER, "Order would immediately trigger.")
    if closes and (params.get("quantity") or params.get("reduceOnly")):
        raise Refused(-4136 if params.get("quantity") else -4137, "Target strategy invalid for closePosition.")
    quantity = listing.instrument.lot_step * _EVERYTHING if closes else _quantity(params, listing)
    return AlgoRecord(
        listing=listing,
        request=OrderRequest(
            client_order_id="unnamed",
            symbol=listing.symbol,
            leg=Leg.TARGET if takes_profit else Leg.STOP,
            attempt=0,
            side=side,
            kind=OrderKind.LIMIT if takes_profit else OrderKind.STOP_MARKET,
            quantity=quantity,
            price=trigger if takes_profit else None,
            trigger_price=None if takes_profit else trigger,
            reduce_only=closes or true(params, "reduceOnly"),
        ),
        order_type=order_type,
        client_id=client_id(params, "clientAlgoId"),
        created_ms=account.now_ms(),
        trigger_price=trigger,
        quantity=quantity,
        close_position=closes,
        time_in_force="GTE_GTC" if closes else params.get("timeInForce") or "GTC",
        working_type=params.get("workingType") or "CONTRACT_PRICE",
    )


def amend(params: Params, record: OrderRecord, account: BinanceAccount) -> None:
    """Change quantity and price of a working limit order.  Raises Refused.

    As at Binance, an order that has filled as much as the new quantity is cancelled.
    """
    if record.order_type != "LIMIT":
        raise Refused(NOT_A_LIMIT, "Only limit order is supported.")
    if side_of(params) is not record.request.side:
        raise bad_data("side")
    quantity = needed(params, "quantity")
    _check_step(quantity, record.listing.instrument.lot_step, "quantity")
    price = _price(params, record.listing, account, record.request.side)
    if (quantity, price) == (record.quantity, record.request.price):
        raise Refused(NOTHING_TO_MODIFY, "No need to modify the order.")
    if quantity <= record.filled:
        account.cancel(record)
    else:
        account.amend(record, quantity, price)


def _quantity(params: Params, listing: Listing) -> Decimal:
    quantity = needed(params, "quantity")
    if not quantity:
        raise Refused(-4003, "Quantity less than or equal to zero.")
    _check_step(quantity, listing.instrument.lot_step, "quantity")
    return quantity


def _price(params: Params, listing: Listing, account: BinanceAccount, side: OrderSide) -> Decimal:
    price = needed(params, "price")
    if not price:
        raise Refused(-4001, "Price less than 0.")
    _check_step(price, listing.instrument.tick_size, "price")
    last = account.venue.price(listing.symbol)
    if side is OrderSide.BUY and price > last * UP:
        raise Refused(PRICE_TOO_HIGH, f"Limit price can't be higher than {plain(last * UP)}.")
    if side is OrderSide.SELL and price < last * DOWN:
        raise Refused(PRICE_TOO_LOW, f"Limit price can't be lower than {plain(last * DOWN)}.")
    return price


def _check_step(value: Decimal, step: Decimal, name: str) -> None:
    if too_precise(plain(value), plain(step)):
        raise precision()
    if not value and name == "triggerPrice":
        raise missing(name)
