"""What a user asks for an order: Bybit's parameters, checked, as a record the account can carry out.

Rules of this file: what Bybit would refuse by itself is refused here with its words; steps, minimums, funds and
reduce-only are the engine's business.  What this exchange does not offer is refused with a sentence, never ignored.
"""

import re
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from livebot.core.market import OrderSide
from livebot.core.order import Leg, OrderKind, OrderRequest
from livebot.simulator.bybit.account import BybitAccount, at_level
from livebot.simulator.bybit.codes import (
    EXPECT_FALLING,
    EXPECT_RISING,
    NOT_MODIFIED,
    REDUCE_ONLY,
    Refused,
    bad_parameter,
)
from livebot.simulator.bybit.records import STOP_LOSS, TAKE_PROFIT, Attached, OrderRecord
from livebot.simulator.venue_listings import Listing

Params = dict[str, str]
_LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_SIDES = {"Buy": OrderSide.BUY, "Sell": OrderSide.SELL}
HEDGE = 3
RISES, FALLS = 1, 2


def number(params: Params, name: str) -> Decimal | None:
    """A price or quantity, None if it is not given.  Raises Refused if it is not one."""
    value = params.get(name, "")
    if not value:
        return None
    try:
        result = Decimal(value)
    except InvalidOperation:
        raise bad_parameter(f"params error: {name} invalid") from None
    if not result.is_finite() or result < 0:
        raise bad_parameter(f"params error: {name} invalid")
    return result


def check_position_mode(params: Params, mode: int) -> None:
    """Raises Refused if the order is for another position mode than the account's."""
    if params.get("positionIdx", "0") != "0" or mode == HEDGE:
        raise bad_parameter("position idx not match position mode")


def new_order(params: Params, listing: Listing, account: BybitAccount) -> OrderRecord:
    """The record of a new order.  Raises Refused."""
    side, order_type, link_id = _words(params)
    in_force = params.get("timeInForce") or "GTC"
    if in_force not in {"GTC", "IOC", "PostOnly"}:
        raise bad_parameter(f"timeInForce {in_force} is not offered by this local exchange")
    trigger = number(params, "triggerPrice") or None
    quantity = _quantity(params, listing, account, side, order_type)
    last = account.venue.price(listing.symbol)
    direction = _direction(params, listing, trigger, last)
    if trigger is not None and order_type == "Limit":
        raise bad_parameter("conditional limit orders are not offered by this local exchange")
    kind, price = _kind(side, order_type, direction, trigger), number(params, "price")
    if order_type == "Limit" and not price:
        raise bad_parameter("Price invalid")
    level = trigger if trigger is not None else price
    return OrderRecord(
        listing=listing,
        request=OrderRequest(
            client_order_id=link_id or account.fresh_key("o"),
            symbol=listing.symbol,
            leg=Leg.EXIT if _true(params, "reduceOnly") else Leg.ENTRY,
            attempt=0,
            side=side,
            kind=kind,
            quantity=quantity,
            price=level if kind is OrderKind.LIMIT else None,
            trigger_price=trigger if kind is OrderKind.STOP_MARKET else None,
            reduce_only=_true(params, "reduceOnly") and not listing.spot,
            post_only=in_force == "PostOnly",
        ),
        order_type=order_type,
        created_ms=account.now_ms(),
        last_price=last,
        time_in_force=in_force,
        conditional=trigger is not None,
        stop_order_type=_stop_name(params, listing, trigger),
        trigger_price=trigger,
        trigger_direction=direction,
        attached=attached(params, listing, side, _reference(order_type, price, last)),
        quote_quantity=number(params, "qty") if _in_quote(params, listing, side, order_type) else None,
    )


def amended(params: Params, record: OrderRecord) -> OrderRequest:
    """The order as it is to be; attached stops are changed on the record.  Raises Refused."""
    request, quantity = record.request, number(params, "qty")
    if quantity is not None:
        if not quantity:
            raise bad_parameter("Qty invalid")
        request = replace(request, quantity=quantity)
    level = number(params, "triggerPrice") if record.conditional else number(params, "price")
    if level:
        if record.request.kind is OrderKind.MARKET:
            raise bad_parameter("a triggered order cannot be changed")
        request = replace(at_level(record, level), quantity=request.quantity)
    if "stopLoss" in params or "takeProfit" in params:
        present = record.attached
        wanted = attached(params, record.listing, request.side, level or record.last_price)
        record.attached = Attached(
            stop_loss=wanted.stop_loss if "stopLoss" in params else present.stop_loss,
            take_profit=wanted.take_profit if "takeProfit" in params else present.take_profit,
            partial=present.partial or wanted.partial,
        )
    elif request == record.request:
        raise bad_parameter("The order remains unchanged as the parameters entered match the existing ones.")
    return request


def attached(params: Params, listing: Listing, side: OrderSide, price: Decimal) -> Attached:
    """Stop loss and take profit that come with an order.  Raises Refused if one is on the wrong side of `price`."""
    if params.get("slOrderType") == "Limit" or params.get("slLimitPrice", "0") not in {"", "0"}:
        raise bad_parameter("stop losses at a limit are not offered by this local exchange")
    found = Attached(
        stop_loss=number(params, "stopLoss") or None,
        take_profit=number(params, "takeProfit") or None,
        partial=params.get("tpslMode") == "Partial" or listing.spot,
    )
    _check_levels(found, listing, price, buys=side is OrderSide.BUY)
    return found


def trading_stop(params: Params, listing: Listing, account: BybitAccount) -> None:
    """Set, move or clear the stops of a position.  Raises Refused."""
    held, symbol = account.held(listing.symbol), listing.symbol
    if not held:
        raise bad_parameter("can not set tp/sl/ts for zero position")
    if params.get("trailingStop", "0") not in {"", "0"}:
        raise bad_parameter("trailing stops are not offered by this local exchange")
    side = OrderSide.BUY if held > 0 else OrderSide.SELL
    wanted = attached(params, listing, side, account.venue.price(symbol))
    before = [account.guards.level(symbol, kind) for kind in (STOP_LOSS, TAKE_PROFIT)]
    levels = {
        STOP_LOSS: ("stopLoss", "slSize", wanted.stop_loss),
        TAKE_PROFIT: ("takeProfit", "tpSize", wanted.take_profit),
    }
    for kind, (name, size, level) in levels.items():
        if not params.get(name):
            continue
        if not wanted.partial:
            account.guards.set_full(symbol, kind, level)
        elif level is not None:
            account.guards.add_partial(symbol, kind, level, number(params, size) or abs(held))
    if not wanted.partial and before == [account.guards.level(symbol, kind) for kind in (STOP_LOSS, TAKE_PROFIT)]:
        raise Refused(NOT_MODIFIED, "not modified")
    account.touch(symbol)
    account.settle()


def _words(params: Params) -> tuple[OrderSide, str, str]:
    side, order_type, link_id = params.get("side", ""), params.get("orderType", ""), params.get("orderLinkId", "")
    if side not in _SIDES:
        raise bad_parameter("Side invalid")
    if order_type not in {"Market", "Limit"}:
        raise bad_parameter("OrderType invalid")
    if link_id and not _LINK_ID.fullmatch(link_id):
        raise bad_parameter("params error: orderLinkId invalid")
    return _SIDES[side], order_type, link_id


def _in_quote(params: Params, listing: Listing, side: OrderSide, order_type: str) -> bool:
    """A spot purchase at the market is measured in quote coin unless said otherwise."""
    if not listing.spot or order_type != "Market":
        return False
    unit = params.get("marketUnit") or ("quoteCoin" if side is OrderSide.BUY else "baseCoin")
    return unit == "quoteCoin"


def _quantity(params: Params, listing: Listing, account: BybitAccount, side: OrderSide, order_type: str) -> Decimal:
    quantity = number(params, "qty")
    if quantity is None:
        raise bad_parameter("Qty invalid")
    if _in_quote(params, listing, side, order_type):
        quantity = listing.instrument.round_quantity(quantity / account.venue.price(listing.symbol))
    if not quantity and _true(params, "reduceOnly"):  # the whole position, whatever it is
        quantity = abs(account.held(listing.symbol))
        if not quantity:
            raise Refused(REDUCE_ONLY, "current position is zero, cannot fix reduce-only order qty")
    if not quantity:
        raise (
            Refused(170136, "Order quantity lower than the minimum.") if listing.spot else bad_parameter("Qty invalid")
        )
    return quantity


def _direction(params: Params, listing: Listing, trigger: Decimal | None, last: Decimal) -> int:
    if trigger is None:
        return 0
    natural = RISES if trigger > last else FALLS
    if listing.spot:
        return natural
    name = params.get("triggerDirection", "")
    if name not in {"1", "2"}:
        raise bad_parameter("TriggerDirection invalid")
    if int(name) == natural and trigger != last:
        return natural
    if int(name) == RISES:
        raise Refused(EXPECT_RISING, f"expect Rising, but trigger_price[{trigger}] <= current[{last}]")
    raise Refused(EXPECT_FALLING, f"expect Falling, but trigger_price[{trigger}] >= current[{last}]")


def _kind(side: OrderSide, order_type: str, direction: int, trigger: Decimal | None) -> OrderKind:
    if trigger is None:
        return OrderKind.MARKET if order_type == "Market" else OrderKind.LIMIT
    stop = (side is OrderSide.BUY) is (direction == RISES)
    return OrderKind.STOP_MARKET if stop else OrderKind.LIMIT


def _stop_name(params: Params, listing: Listing, trigger: Decimal | None) -> str:
    if trigger is None:
        return ""
    return params.get("orderFilter", "Stop") if listing.spot else "Stop"


def _reference(order_type: str, price: Decimal | None, last: Decimal) -> Decimal:
    return price if order_type == "Limit" and price else last


def _check_levels(found: Attached, listing: Listing, price: Decimal, *, buys: bool) -> None:
    side = "Buy" if buys else "Sell"
    for name, level, below in (("StopLoss", found.stop_loss, buys), ("TakeProfit", found.take_profit, not buys)):
        if level is None:
            continue
        if level % listing.instrument.tick_size:
            raise bad_parameter(f"{name} invalid")
        if level >= price if below else level <= price:
            rule = "lower" if below else "higher"
            raise bad_parameter(
                f"{name}:{level} set for {side} position should {rule} than base_price:{price}??LastPrice"
            )


def _true(params: Params, name: str) -> bool:
    return params.get(name, "").lower() == "true"
