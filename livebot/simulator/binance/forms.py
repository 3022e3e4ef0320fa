"""The shapes of Binance's messages about futures orders: plain ones, conditional ones, their trades.

Rules of this file: fields and their types are those of Binance's documented and captured samples; a number is text.
Clients tell futures from spot by which fields are there (`positionSide` on an order, `ps` in a message, `maker` on a
trade), so each of them stands in every row.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from livebot.core.order import ZERO, OrderKind
from livebot.simulator.binance.records import AlgoRecord, OrderRecord, Trade
from livebot.simulator.venue_listings import text as plain

Row = dict[str, Any]
STP = "EXPIRE_MAKER"
_CENT = Decimal("1e-8")


def order_row(record: OrderRecord, *, asked: bool = True) -> Row:
    """An order; `asked` for, or as the answer to what was done with it."""
    request = record.request
    row: Row = {
        "orderId": record.number,
        "symbol": record.listing.name,
        "status": record.status,
        "clientOrderId": record.client_id,
        "price": plain(_limit(record)),
        "avgPrice": plain(money(record.average)),
        "origQty": plain(record.quantity),
        "executedQty": plain(record.filled),
        "cumQuote": plain(record.value),
        "timeInForce": record.time_in_force,
        "type": record.order_type,
        "reduceOnly": request.reduce_only,
        "closePosition": record.close_position,
        "side": record.side,
        "positionSide": "BOTH",
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": record.order_type,
        "priceMatch": "NONE",
        "selfTradePreventionMode": STP,
        "goodTillDate": 0,
        "updateTime": record.updated_ms,
    }
    return row | ({"time": record.created_ms} if asked else {"cumQty": plain(record.filled)})


def order_message(record: OrderRecord, execution: str, now_ms: int, trade: Trade | None = None) -> Row:
    """An order as the stream tells it; `execution` is what happened to it."""
    fill = trade.fill if trade else None
    order: Row = {
        "s": record.listing.name,
        "c": record.client_id,
        "S": record.side,
        "o": record.order_type,
        "f": record.time_in_force,
        "q": plain(record.quantity),
        "p": plain(_limit(record)),
        "ap": plain(money(record.average)),
        "sp": "0",
        "x": execution,
        "X": _status_at(record, execution),
        "i": record.number,
        "l": plain(fill.quantity) if fill else "0",
        "z": plain(record.filled) if execution != "NEW" else "0",
        "L": plain(fill.price) if fill else "0",
        "n": plain(fill.fee) if fill else "0",
        "N": record.listing.instrument.quote,
        "T": fill.ts_ms if fill else record.updated_ms,
        "t": trade.number if trade else 0,
        "b": "0",
        "a": "0",
        "m": trade.maker if trade else False,
        "R": record.request.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": record.order_type,
        "ps": "BOTH",
        "cp": record.close_position,
        "rp": plain(money(trade.realised)) if trade else "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": STP,
        "pm": "NONE",
        "gtd": 0,
    }
    return {"e": "ORDER_TRADE_UPDATE", "T": order["T"], "E": now_ms, "o": order}


def trade_lite(record: OrderRecord, trade: Trade, now_ms: int) -> Row:
    """The short message of a trade, which comes before the long one."""
    fill = trade.fill
    return {
        "e": "TRADE_LITE",
        "E": now_ms,
        "T": fill.ts_ms,
        "s": record.listing.name,
        "q": plain(record.quantity),
        "p": plain(_limit(record)),
        "m": trade.maker,
        "c": record.client_id,
        "S": record.side,
        "L": plain(fill.price),
        "l": plain(fill.quantity),
        "t": trade.number,
        "i": record.number,
    }


def trade_row(record: OrderRecord, trade: Trade) -> Row:
    """One trade of an order."""
    fill = trade.fill
    return {
        "buyer": record.side == "BUY",
        "commission": plain(fill.fee),
        "commissionAsset": record.listing.instrument.quote,
        "id": trade.number,
        "maker": trade.maker,
        "orderId": record.number,
        "price": plain(fill.price),
        "qty": plain(fill.quantity),
        "quoteQty": plain(fill.quantity * fill.price),
        "realizedPnl": plain(money(trade.realised)),
        "side": record.side,
        "positionSide": "BOTH",
        "symbol": record.listing.name,
        "time": fill.ts_ms,
    }


def algo_row(algo: AlgoRecord, *, asked: bool = True) -> Row:
    """A conditional order; `asked` for, it also says what it made."""
    child = algo.child
    row: Row = {
        "algoId": algo.number,
        "clientAlgoId": algo.client_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.order_type,
        "symbol": algo.listing.name,
        "side": algo.side,
        "positionSide": "BOTH",
        "timeInForce": algo.time_in_force,
        "quantity": _asked_quantity(algo),
        "algoStatus": algo.status,
        "triggerPrice": plain(algo.trigger_price),
        "price": "0",
        "icebergQuantity": None,
        "selfTradePreventionMode": STP,
        "workingType": algo.working_type,
        "priceMatch": "NONE",
        "closePosition": algo.close_position,
        "priceProtect": False,
        "reduceOnly": algo.request.reduce_only,
        "createTime": algo.created_ms,
        "updateTime": algo.updated_ms,
        "triggerTime": algo.triggered_ms,
        "goodTillDate": 0,
    }
    if not asked:
        return row | {"activatePrice": "", "callbackRate": ""}
    return row | {
        "actualOrderId": str(child.number) if child else "",
        "actualPrice": plain(money(child.average)) if child else "0",
        "actualQty": plain(child.filled) if child else "0",
        "actualType": child.order_type if child else "",
        "tpTriggerPrice": "0",
        "tpPrice": "0",
        "slTriggerPrice": "0",
        "slPrice": "0",
        "tpOrderType": "",
    }


def algo_message(algo: AlgoRecord, now_ms: int) -> Row:
    """A conditional order as the stream tells it."""
    child = algo.child if algo.status in {"TRIGGERED", "FINISHED"} else None
    done = child is not None and algo.status == "FINISHED"
    order: Row = {
        "caid": algo.client_id,
        "aid": algo.number,
        "at": "CONDITIONAL",
        "o": algo.order_type,
        "s": algo.listing.name,
        "S": algo.side,
        "ps": "BOTH",
        "f": algo.time_in_force,
        "q": _asked_quantity(algo),
        "X": algo.status,
        "ai": str(child.number) if child else "",
        "tp": plain(algo.trigger_price),
        "p": "0",
        "V": STP,
        "wt": algo.working_type,
        "pm": "NONE",
        "cp": algo.close_position,
        "pP": False,
        "R": algo.request.reduce_only,
        "tt": algo.triggered_ms,
        "gtd": 0,
    }
    if child is not None:
        order |= {
            "ap": plain(money(child.average)) if done else "0",
            "aq": plain(child.filled) if done else "0",
            "act": child.order_type,
        }
    if algo.reason:
        order["rm"] = algo.reason
    return {"e": "ALGO_UPDATE", "T": algo.updated_ms, "E": now_ms, "o": order}


def money(value: Decimal) -> Decimal:
    """To the eighth decimal."""
    return value.quantize(_CENT, ROUND_HALF_EVEN)


def _status_at(record: OrderRecord, execution: str) -> str:
    return "NEW" if execution == "NEW" else record.status


def _limit(record: OrderRecord) -> Decimal:
    limit = record.request.kind is OrderKind.LIMIT and record.order_type == "LIMIT"
    return record.request.price or ZERO if limit else ZERO


def _asked_quantity(algo: AlgoRecord) -> str:
    return "0" if algo.close_position else plain(algo.quantity)
