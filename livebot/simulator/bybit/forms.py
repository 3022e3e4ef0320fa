"""The shapes of Bybit's messages about an account: orders, executions, positions, the wallet.

Rules of this file: fields and their types are those of Bybit's documented samples; a number is text.  Clients tell spot
from contracts by which fields are there (`tpslMode` on an order), so a spot row lacks what only contracts have.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Protocol

from livebot.core.order import ZERO, OrderKind
from livebot.simulator.bybit.guards import Guards
from livebot.simulator.bybit.records import (
    STOP_LOSS,
    TAKE_PROFIT,
    Execution,
    OrderRecord,
    Records,
    fee_coin,
    fee_of,
    identifier,
    side_of,
)
from livebot.simulator.bybit.settings import BybitSettings
from livebot.simulator.holdings import Holding
from livebot.simulator.venue import SimulatedVenue
from livebot.simulator.venue_listings import SPOT, Listing, Listings, text

Row = dict[str, Any]
_CENT = Decimal("1e-8")
_MAINTENANCE = Decimal("0.005")


class Books(Protocol):
    """What the rows about an account are made of."""

    guards: Guards
    listings: Listings
    records: Records
    settings: BybitSettings
    venue: SimulatedVenue
    sequence: int

    def now_ms(self) -> int:
        """The venue's time."""
        ...

    def holding(self, symbol: str) -> Holding | None:
        """A position with its cost."""
        ...

    def realised(self, symbol: str) -> Decimal:
        """What the symbol has earned."""
        ...

    def since(self, symbol: str) -> int:
        """When its position was last opened."""
        ...


def order_row(record: OrderRecord, *, message: bool = False) -> Row:
    """An order; `message` as the stream tells it, which says the category with it."""
    request, spot = record.request, record.listing.spot
    left = record.left
    shown = record.quote_quantity or request.quantity
    price = request.price if record.order_type == "Limit" else None
    row: Row = {
        "orderId": record.order_id,
        "orderLinkId": record.link_id,
        "blockTradeId": "",
        "symbol": record.listing.name,
        "price": text(price) or "0",
        "qty": text(shown),
        "side": record.side,
        "isLeverage": "0" if spot else "",
        "positionIdx": 0,
        "orderStatus": record.status,
        "cancelType": record.cancel_type or "UNKNOWN",
        "rejectReason": record.reject_reason,
        "avgPrice": text(_money(record.value / record.filled)) if record.filled else "",
        "leavesQty": text(left),
        "leavesValue": text(left * (price or record.trigger_price or record.last_price)),
        "cumExecQty": text(record.filled),
        "cumExecValue": text(record.value),
        "cumExecFee": text(record.fee),
        "cumFeeDetail": {fee_coin(record): text(record.fee)} if record.fee else {},
        "timeInForce": "IOC" if record.order_type == "Market" else record.time_in_force,
        "orderType": record.order_type,
        "stopOrderType": record.stop_order_type,
        "orderIv": "",
        "triggerPrice": text(record.trigger_price),
        "triggerDirection": record.trigger_direction,
        "triggerBy": "LastPrice" if record.conditional else "",
        "lastPriceOnCreated": text(record.last_price),
        "reduceOnly": request.reduce_only,
        "closeOnTrigger": record.stop_order_type.endswith((STOP_LOSS, TAKE_PROFIT)),
        "smpType": "None",
        "smpGroup": 0,
        "smpOrderId": "",
        "placeType": "",
        "createdTime": str(record.created_ms),
        "updatedTime": str(record.updated_ms),
    }
    return row | _attached(record) | (_of_message(record) if message else {})


def _attached(record: OrderRecord) -> Row:
    attached = record.attached
    row: Row = {
        "takeProfit": text(attached.take_profit),
        "stopLoss": text(attached.stop_loss),
        "tpTriggerBy": "LastPrice" if attached.take_profit is not None else "",
        "slTriggerBy": "LastPrice" if attached.stop_loss is not None else "",
        "tpLimitPrice": "0",
        "slLimitPrice": "0",
    }
    if record.listing.spot:
        quoted = record.quote_quantity is not None
        return row | {"marketUnit": "quoteCoin" if quoted else "baseCoin" if record.order_type == "Market" else ""}
    partial = attached.partial or record.stop_order_type.startswith("Partial")
    concerned = bool(attached) or record.stop_order_type.endswith((STOP_LOSS, TAKE_PROFIT))
    return row | {"tpslMode": ("Partial" if partial else "Full") if concerned else ""}


def _of_message(record: OrderRecord) -> Row:
    return {
        "category": record.listing.category,
        "feeCurrency": fee_coin(record),
        "createType": record.create_type,
    }


def execution_row(record: OrderRecord, execution: Execution, *, message: bool = False) -> Row:
    """One trade of an order."""
    fill, spot = execution.fill, record.listing.spot
    value = fill.quantity * fill.price
    maker = record.request.kind is OrderKind.LIMIT and fill.price == record.request.price
    instrument = record.listing.instrument
    rate = fee_of(fill) / (fill.quantity if fill.base_fee else value)
    row: Row = {
        "symbol": record.listing.name,
        "orderId": record.order_id,
        "orderLinkId": record.link_id,
        "side": side_of(fill.side),
        "orderPrice": text(record.request.price or fill.price),
        "orderQty": text(record.request.quantity),
        "leavesQty": text(execution.left),
        "createType": "" if spot else record.create_type,
        "orderType": record.order_type,
        "stopOrderType": record.stop_order_type or ("" if spot else "UNKNOWN"),
        "execFee": text(fee_of(fill)),
        "execId": identifier("execution", fill.trade_id, spot=spot),
        "execPrice": text(fill.price),
        "execQty": text(fill.quantity),
        "execType": "BustTrade" if record.liquidates else "Trade",
        "execValue": text(value),
        "execTime": str(fill.ts_ms),
        "feeCurrency": fee_coin(record),
        "isMaker": maker and rate < instrument.taker_fee,
        "feeRate": text(rate.quantize(_CENT, ROUND_HALF_EVEN)),
        "tradeIv": "",
        "markIv": "",
        "markPrice": text(fill.price),
        "indexPrice": "",
        "underlyingPrice": "",
        "blockTradeId": "",
        "closedSize": text(execution.closed),
        "seq": execution.sequence,
    }
    return row | {"category": record.listing.category, "isLeverage": "0"} if message else row


def position_row(account: Books, listing: Listing) -> Row:
    """The position in one contract, size 0 if flat."""
    symbol = listing.symbol
    held, mark = account.holding(symbol), account.venue.price(symbol)
    size = held.quantity if held else ZERO
    value = abs(size) * mark
    leverage = account.settings.leverage
    side = "Buy" if size > 0 else "Sell" if size < 0 else ""
    return {
        "positionIdx": 0,
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": listing.name,
        "side": side,
        "size": text(abs(size)),
        "avgPrice": text(_money(held.average_price)) if held else "0",
        "positionValue": text(abs(held.cost)) if held else "",
        "tradeMode": 0,
        "positionStatus": "Normal",
        "autoAddMargin": 0,
        "adlRankIndicator": 0,
        "leverage": text(leverage),
        "positionBalance": "0",
        "markPrice": text(mark),
        "liqPrice": "",
        "bustPrice": "",
        "positionMM": text(_money(value * _MAINTENANCE)),
        "positionIM": text(_money(value / leverage)),
        "tpslMode": "Partial" if account.guards.partial(symbol) else "Full",
        "takeProfit": text(account.guards.level(symbol, TAKE_PROFIT)),
        "stopLoss": text(account.guards.level(symbol, STOP_LOSS)),
        "trailingStop": "0",
        "unrealisedPnl": text(_money(size * mark - held.cost)) if held else "",
        "curRealisedPnl": text(_money(account.realised(symbol))),
        "cumRealisedPnl": text(_money(account.realised(symbol))),
        "seq": account.sequence,
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "createdTime": str(account.since(symbol)),
        "updatedTime": str(account.now_ms()),
    }


def position_message(account: Books, symbol: str) -> Row:
    """A position as the stream tells it."""
    row = position_row(account, account.listings.of_symbol(symbol))
    entry = row.pop("avgPrice")
    return row | {
        "entryPrice": entry,
        "sessionAvgPrice": "",
        "positionIMByMp": row["positionIM"],
        "positionMMByMp": row["positionMM"],
        "category": "linear",
    }


def wallet_row(account: Books) -> Row:
    """The whole account: the quote coin, and what spot purchases brought."""
    total = account.venue.account()
    coins, spot_cost, spot_worth, margin = [], ZERO, ZERO, ZERO
    for position in account.venue.positions():
        listing = account.listings.of_symbol(position.symbol)
        worth = position.quantity * account.venue.price(position.symbol)
        if listing.category == SPOT:
            spot_cost += position.quantity * position.average_price
            spot_worth += worth
            coins.append(_coin(listing.instrument.base, position.quantity, position.quantity, worth, ZERO, ZERO))
        else:
            margin += abs(worth) / account.settings.leverage
    quote = next((account.listings.of_symbol(symbol).instrument.quote for symbol in account.venue.symbols), "USDT")
    wallet, equity = _money(total.wallet - spot_cost), _money(total.equity - spot_worth)
    ordered, locked = _reserved(account)
    available = _money(equity - margin - ordered - locked)
    coins.append(_coin(quote, wallet, equity, equity, margin, ordered, locked))
    ratio = text((margin / total.equity).quantize(_CENT)) if total.equity > 0 else "0"
    return {
        "totalEquity": text(_money(total.equity)),
        "accountIMRate": ratio,
        "totalMarginBalance": text(_money(total.equity)),
        "totalInitialMargin": text(_money(margin + ordered)),
        "accountType": "UNIFIED",
        "totalAvailableBalance": text(available),
        "accountMMRate": "0",
        "totalPerpUPL": text(_money(equity - wallet)),
        "totalWalletBalance": text(_money(wallet + spot_worth)),
        "accountLTV": "0",
        "totalMaintenanceMargin": text(_money(margin * account.settings.leverage * _MAINTENANCE)),
        "coin": coins,
    }


def _reserved(account: Books) -> tuple[Decimal, Decimal]:
    """Margin of open orders in contracts, and quote coin locked by open spot purchases."""
    ordered = locked = ZERO
    for record in account.records.live():
        request = record.request
        level = request.price or request.trigger_price or record.last_price
        if record.listing.spot and record.side == "Buy":
            locked += record.left * level
        elif not record.listing.spot and not request.reduce_only:
            ordered += record.left * level / account.settings.leverage
    return ordered, locked


def _coin(
    coin: str,
    wallet: Decimal,
    equity: Decimal,
    worth: Decimal,
    position_margin: Decimal,
    order_margin: Decimal,
    locked: Decimal = ZERO,
) -> Row:
    return {
        "availableToBorrow": "",
        "bonus": "0",
        "accruedInterest": "0",
        "availableToWithdraw": "",
        "totalOrderIM": text(_money(order_margin)),
        "equity": text(equity),
        "totalPositionMM": "0",
        "usdValue": text(_money(worth)),
        "unrealisedPnl": text(equity - wallet),
        "borrowAmount": "0",
        "totalPositionIM": text(_money(position_margin)),
        "walletBalance": text(wallet),
        "cumRealisedPnl": "0",
        "locked": text(_money(locked)),
        "collateralSwitch": True,
        "marginCollateral": True,
        "coin": coin,
        "spotBorrow": "0",
    }


def _money(value: Decimal) -> Decimal:
    return value.quantize(_CENT, ROUND_HALF_EVEN)
