"""What a venue says of orders, trades, positions and the account, in livebot's words.

Rules of this file: rows are those that ccxt has parsed, and nothing in them is believed to be there: a missing or odd
field is refused with the symbol and the field in the text, and never guessed.  The venue's own status goes before ccxt's
where ccxt's says less.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from livebot.adapters.ccxt_venue.capabilities import VenueCapabilities, from_venue_id
from livebot.core.market import Instrument, OrderSide
from livebot.core.order import ZERO, Account, Fill, OrderKind, OrderStatus, VenueOrder, VenuePosition
from livebot.errors import Fatal, Transient

Row = Mapping[str, Any]

# ccxt's statuses; what it does not know it passes on in the venue's words
_STATUS = {
    "open": OrderStatus.WORKING,
    "canceling": OrderStatus.WORKING,
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "expired": OrderStatus.CANCELED,
    "rejected": OrderStatus.REJECTED,
}
_TRIGGERED = frozenset({"TRIGGERING", "TRIGGERED"})  # Binance's word on a conditional order; FINISHED is no open one
# Bybit's kinds of stop that belong to a position: they only reduce it, and vanish with it.
_GUARDS = frozenset(
    {
        "StopLoss",
        "PartialStopLoss",
        "TakeProfit",
        "PartialTakeProfit",
        "TrailingStop",
        "tpslOrder",
        "BidirectionalTpslOrder",
    }
)
ATTACHED_STOP = "PartialStopLoss"


def number(row: Row, name: str, what: str) -> Decimal:
    """A number of a row.  Raises Transient naming the field if it is missing or not finite."""
    found = optional_number(row, name, what)
    if found is None:
        raise missing(what, name)
    return found


def optional_number(row: Row, name: str, what: str) -> Decimal | None:
    """A number, None if the row has none.  Raises Transient if it has something else there."""
    value = row.get(name)
    if value is None or value == "":
        return None
    try:
        result = Decimal(str(value))
    except InvalidOperation:
        raise missing(what, name) from None
    if not result.is_finite():
        raise missing(what, name)
    return result


def word(row: Row, name: str, what: str) -> str:
    """A text that is not empty.  Raises Transient."""
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise missing(what, name)
    return value


def missing(what: str, name: str) -> Transient:
    """The answer came and is not usable."""
    return Transient(f"{what}: the venue's answer has no usable {name!r}")


def rows_of(answer: object, what: str) -> list[Row]:
    """The rows of a list.  Raises Transient if the answer is none."""
    if not isinstance(answer, list) or not all(isinstance(each, dict) for each in answer):
        raise Transient(f"{what}: the venue's answer is not a list")
    return answer


def was_triggered(row: Row) -> bool:
    """Whether it is a conditional order that goes on as a plain one: what it says of itself is the past."""
    return info_of(row).get("algoStatus") in _TRIGGERED


def info_of(row: Row) -> Row:
    """What the venue itself wrote."""
    info = row.get("info")
    return info if isinstance(info, dict) else {}


def client_id_of(row: Row, capabilities: VenueCapabilities) -> str | None:
    """Our client order id, None if no livebot gave it."""
    value = row.get("clientOrderId")
    return from_venue_id(value, capabilities) if isinstance(value, str) and value else None


def foreign_id_of(row: Row) -> str | None:
    """Somebody else's client order id, None if the order has none."""
    value = row.get("clientOrderId")
    return value if isinstance(value, str) and value else None


def guard_of(row: Row) -> str:
    """Which kind of stop of a position this order or trade is of, empty if it is not."""
    kind = info_of(row).get("stopOrderType")
    return kind if isinstance(kind, str) and kind in _GUARDS else ""


def side_of(row: Row, what: str) -> OrderSide:
    """Raises Transient."""
    try:
        return OrderSide(row.get("side"))
    except ValueError:
        raise missing(what, "side") from None


def order_of(row: Row, capabilities: VenueCapabilities) -> VenueOrder:
    """An order.  Raises Transient naming symbol and field if something needed is missing."""
    what = f"order {row.get('id')} of {row.get('symbol')}"
    kind, ours = _kind_of(row), client_id_of(row, capabilities)
    filled = optional_number(row, "filled", what) or ZERO
    quantity = optional_number(row, "amount", what)
    if quantity is None:
        if ours is not None:
            raise missing(what, "amount")
        quantity = ZERO  # a stop set by hand for whatever is held has none, and ours always has
    return VenueOrder(
        client_order_id=ours or foreign_id_of(row),
        venue_order_id=word(row, "id", what),
        symbol=word(row, "symbol", what),
        side=side_of(row, what),
        kind=kind,
        quantity=quantity,
        filled=filled,
        status=_status_of(row, quantity, filled, what),
        # of an order at the market ccxt reports what it traded at
        price=number(row, "price", what) if kind is OrderKind.LIMIT else None,
        trigger_price=number(row, "triggerPrice", what) if kind is OrderKind.STOP_MARKET else None,
        reduce_only=row.get("reduceOnly") is True,
        attached=bool(guard_of(row)) and foreign_id_of(row) is None,
    )


def _kind_of(row: Row) -> OrderKind:
    if row.get("triggerPrice") not in (None, "", "0"):
        return OrderKind.STOP_MARKET
    return OrderKind.LIMIT if row.get("type") == "limit" else OrderKind.MARKET


def _status_of(row: Row, quantity: Decimal, filled: Decimal, what: str) -> OrderStatus:
    found = _STATUS.get(str(row.get("status")))
    if found is None:
        raise missing(what, "status")
    if found is OrderStatus.FILLED and filled < quantity:
        return OrderStatus.CANCELED  # ended with a part filled: ccxt calls that closed as well
    if found is OrderStatus.REJECTED and filled:
        return OrderStatus.CANCELED  # a refusal leaves nothing behind, and this one did
    return found


def fill_of(row: Row, client_order_id: str, instrument: Instrument | None) -> Fill:
    """A trade of one of our orders.  Raises Transient naming symbol and field if something needed is missing."""
    what = f"trade {row.get('id')} of {row.get('symbol')}"
    price, quantity = number(row, "price", what), number(row, "amount", what)
    if price <= 0 or quantity <= 0:
        raise missing(what, "amount")
    ts_ms = row.get("timestamp")
    if not isinstance(ts_ms, int):
        raise missing(what, "timestamp")
    fee, base_fee = _fee_of(row, price, quantity, instrument, what)
    return Fill(
        trade_id=word(row, "id", what),
        client_order_id=client_order_id,
        ts_ms=ts_ms,
        side=side_of(row, what),
        price=price,
        quantity=quantity,
        fee=fee,
        base_fee=base_fee,
    )


def _fee_of(
    row: Row, price: Decimal, quantity: Decimal, instrument: Instrument | None, what: str
) -> tuple[Decimal, Decimal]:
    """In quote currency, and in coins of the base currency where the venue keeps those.

    One in a third currency, whose price is not known here, and one that is not told are reckoned by the usual rate.
    """
    fee = row.get("fee")
    cost = optional_number(fee, "cost", what) if isinstance(fee, dict) else None
    currency = fee.get("currency") if isinstance(fee, dict) else None
    if cost is not None and (not cost or instrument is None or currency in (None, instrument.quote)):
        return cost, ZERO
    if instrument is None:
        raise missing(what, "fee")
    if cost is not None and currency == instrument.base:
        return (ZERO, cost) if instrument.fee_in_base else (cost * price, ZERO)
    maker = row.get("takerOrMaker") == "maker"
    rate = instrument.maker_fee if maker else instrument.taker_fee
    if cost is None and instrument.fee_in_base and row.get("side") == OrderSide.BUY.value:
        return ZERO, quantity * rate
    return price * quantity * rate, ZERO


def third_currency_of(row: Row, instrument: Instrument | None) -> str | None:
    """The currency of a trade's fee, if it is neither of the two that are traded."""
    fee = row.get("fee")
    if not isinstance(fee, dict) or instrument is None or not optional_number(fee, "cost", "the fee of a trade"):
        return None
    currency = fee.get("currency")
    return currency if isinstance(currency, str) and currency not in (instrument.base, instrument.quote) else None


def coins_of(balance: object, symbol: str, base: str) -> VenuePosition | None:
    """The coins of a spot symbol as a position, None if there are none.  Raises Transient."""
    what = f"account balance in {base}"
    if not isinstance(balance, dict):
        raise Transient(f"{what}: the venue's answer is not a balance")
    own = balance.get(base)
    total = optional_number(own, "total", what) if isinstance(own, dict) else None
    return VenuePosition(symbol=symbol, quantity=total, average_price=ZERO) if total else None


def position_of(row: Row, venue: str) -> VenuePosition | None:
    """A position, None if it is flat.  Raises Transient; Fatal if the account is in hedge mode."""
    what = f"position of {row.get('symbol')}"
    symbol = word(row, "symbol", what)
    if row.get("hedged") is True:
        raise hedged(venue, symbol)
    contracts = optional_number(row, "contracts", what) or ZERO
    if not contracts:
        return None
    quantity = contracts * (optional_number(row, "contractSize", what) or Decimal(1))
    side = row.get("side")
    if side not in ("long", "short"):
        raise missing(what, "side")
    average_price = number(row, "entryPrice", what)
    return VenuePosition(symbol=symbol, quantity=quantity if side == "long" else -quantity, average_price=average_price)


def hedged(venue: str, symbol: str) -> Fatal:
    """What is wrong with an account in hedge mode."""
    return Fatal(
        f"{venue}: {symbol} is in hedge position mode, where long and short stand side by side; livebot trades one net "
        "position for each symbol: set the position mode to one-way at the venue"
    )


def account_of(balance: object, currency: str, family: str) -> Account:
    """Wallet and equity in the settlement currency.

    Raises Transient; also if the currency is not there, since an account that seems worth nothing halts all trading.
    """
    what = f"account balance in {currency}"
    if not isinstance(balance, dict):
        raise Transient(f"{what}: the venue's answer is not a balance")
    info = info_of(balance)
    if family == "bybit":
        for coin in _coins(info):
            if coin.get("coin") == currency:
                return Account(wallet=number(coin, "walletBalance", what), equity=number(coin, "equity", what))
        raise missing(what, currency)
    if family == "binance" and "assets" in info:
        for coin in info["assets"]:
            if coin.get("asset") == currency:
                return Account(wallet=number(coin, "walletBalance", what), equity=number(coin, "marginBalance", what))
        raise missing(what, currency)
    own = balance.get(currency)
    if not isinstance(own, dict):
        raise missing(what, currency)
    total = number(own, "total", what)
    return Account(wallet=total, equity=total)


def _coins(info: Row) -> list[Row]:
    result = info.get("result")
    accounts = result.get("list") if isinstance(result, dict) else None
    if not isinstance(accounts, list) or not accounts or not isinstance(accounts[0], dict):
        raise Transient("account balance: the venue's answer holds no account")
    coins = accounts[0].get("coin")
    return [each for each in coins if isinstance(each, dict)] if isinstance(coins, list) else []
