"""The shapes of Binance's messages about a spot account: orders, trades, balances.

Rules of this file: as in `forms`, and no field that only futures have; numbers have eight decimals, as on spot.
"""

from decimal import Decimal
from typing import Any

from livebot.core.order import ZERO, OrderKind
from livebot.simulator.binance.balances import Books, quote_balances, quote_of
from livebot.simulator.binance.forms import STP, money
from livebot.simulator.binance.records import OrderRecord, Trade

Row = dict[str, Any]


def eight(value: Decimal | None) -> str:
    """A number as spot writes it."""
    return f"{value or ZERO:.8f}"


def order_row(record: OrderRecord, *, asked: bool = True) -> Row:
    """An order; `asked` for, or as the answer to what was done with it."""
    row: Row = {
        "symbol": record.listing.name,
        "orderId": record.number,
        "orderListId": -1,
        "clientOrderId": record.client_id,
        "price": eight(_limit(record)),
        "origQty": eight(record.quantity),
        "executedQty": eight(record.filled),
        "origQuoteOrderQty": eight(record.quote_quantity),
        "cummulativeQuoteQty": eight(record.value),
        "status": record.status,
        "timeInForce": record.time_in_force,
        "type": record.order_type,
        "side": record.side,
        "selfTradePreventionMode": STP,
    }
    if record.stop_price is not None or asked:
        row["stopPrice"] = eight(record.stop_price)
    if not asked:
        return row | {"transactTime": record.updated_ms}
    return row | {
        "icebergQty": eight(None),
        "time": record.created_ms,
        "updateTime": record.updated_ms,
        "isWorking": True,
        "workingTime": record.created_ms,
    }


def new_order_row(record: OrderRecord, answer: str) -> Row:
    """The answer to a new order: ACK, RESULT or FULL."""
    row = order_row(record, asked=False) | {"workingTime": record.created_ms}
    if answer == "ACK":
        return {name: row[name] for name in ("symbol", "orderId", "orderListId", "clientOrderId", "transactTime")}
    if answer == "RESULT":
        return row
    return row | {"fills": [_fill_row(record, trade) for trade in record.trades]}


def cancelled_row(record: OrderRecord) -> Row:
    """The answer to a cancellation, which has an id of its own."""
    return order_row(record, asked=False) | {"origClientOrderId": record.client_id, "clientOrderId": record.cancel_id}


def trade_row(record: OrderRecord, trade: Trade) -> Row:
    """One trade of an order."""
    fill = trade.fill
    return {
        "symbol": record.listing.name,
        "id": trade.number,
        "orderId": record.number,
        "orderListId": -1,
        "price": eight(fill.price),
        "qty": eight(fill.quantity),
        "quoteQty": eight(fill.quantity * fill.price),
        "commission": eight(fill.base_fee or fill.fee),
        "commissionAsset": _fee_coin(record),
        "time": fill.ts_ms,
        "isBuyer": record.side == "BUY",
        "isMaker": trade.maker,
        "isBestMatch": True,
    }


def report(record: OrderRecord, execution: str, now_ms: int, sequence: int, trade: Trade | None = None) -> Row:
    """An order as the stream tells it; `execution` is what happened to it."""
    fill = trade.fill if trade else None
    cancelled = execution == "CANCELED"
    new = execution == "NEW"
    return {
        "e": "executionReport",
        "E": now_ms,
        "s": record.listing.name,
        "c": record.cancel_id if cancelled and record.cancel_id else record.client_id,
        "S": record.side,
        "o": record.order_type,
        "f": record.time_in_force,
        "q": eight(record.quantity),
        "p": eight(_limit(record)),
        "P": eight(record.stop_price),
        "F": eight(None),
        "g": -1,
        "C": record.client_id if cancelled and record.cancel_id else "",
        "x": execution,
        "X": "NEW" if new else record.status,
        "r": "NONE",
        "i": record.number,
        "l": eight(fill.quantity if fill else None),
        "z": eight(None if new else record.filled),
        "L": eight(fill.price if fill else None),
        "n": eight(fill.base_fee or fill.fee) if fill else "0",
        "N": _fee_coin(record) if fill else None,
        "T": fill.ts_ms if fill else record.updated_ms,
        "t": trade.number if trade else -1,
        "I": sequence,
        "w": record.live and record.order_type != "MARKET",
        "m": trade.maker if trade else False,
        "M": trade is not None,
        "O": record.created_ms,
        "Z": eight(None if new else record.value),
        "Y": eight(fill.quantity * fill.price if fill else None),
        "Q": eight(record.quote_quantity),
        "W": record.created_ms,
        "V": STP,
    }


def account_message(account: Books) -> Row:
    """Balances after something happened, as the stream tells them."""
    now = account.now_ms()
    rows = [{"a": asset, "f": eight(free), "l": eight(locked)} for asset, free, locked in _coins(account)]
    return {"e": "outboundAccountPosition", "E": now, "u": now, "B": rows}


def account_row(account: Books) -> Row:
    """The whole account."""
    fees = account.listings.of_symbol(account.venue.symbols[0]).instrument
    return {
        "makerCommission": int(fees.maker_fee * 10_000),
        "takerCommission": int(fees.taker_fee * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": eight(fees.maker_fee),
            "taker": eight(fees.taker_fee),
            "buyer": eight(None),
            "seller": eight(None),
        },
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": account.now_ms(),
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": eight(free), "locked": eight(locked)} for asset, free, locked in _coins(account)
        ],
        "permissions": ["SPOT"],
        "uid": 354937868,
    }


def _coins(account: Books) -> list[tuple[str, Decimal, Decimal]]:
    wallet, _ = quote_balances(account)
    locked, sold = ZERO, dict[str, Decimal]()
    for record in account.records.live():
        if record.listing.spot and record.side == "BUY":
            level = record.request.price or record.stop_price or account.venue.price(record.listing.symbol)
            locked += record.left * level
        elif record.listing.spot:
            symbol = record.listing.symbol
            sold[symbol] = sold.get(symbol, ZERO) + record.left
    rows = [(quote_of(account), money(wallet - locked), money(locked))]
    for position in account.venue.positions():
        listing = account.listings.of_symbol(position.symbol)
        if listing.spot:
            taken = min(sold.get(position.symbol, ZERO), position.quantity)
            rows.append((listing.instrument.base, position.quantity - taken, taken))
    return rows


def _fill_row(record: OrderRecord, trade: Trade) -> Row:
    fill = trade.fill
    return {
        "price": eight(fill.price),
        "qty": eight(fill.quantity),
        "commission": eight(fill.base_fee or fill.fee),
        "commissionAsset": _fee_coin(record),
        "tradeId": trade.number,
    }


def _fee_coin(record: OrderRecord) -> str:
    """On spot the fee of a purchase is taken from what it buys."""
    instrument = record.listing.instrument
    return instrument.base if instrument.fee_in_base and record.side == "BUY" else instrument.quote


def _limit(record: OrderRecord) -> Decimal:
    shown = record.request.kind is OrderKind.LIMIT and record.order_type != "TAKE_PROFIT"
    return record.request.price or ZERO if shown else ZERO
