"""What a venue's rows mean, and that a row which lacks something is refused by name and never guessed at."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.adapters.ccxt_venue.answers import (
    account_of,
    coins_of,
    fill_of,
    order_of,
    position_of,
    rows_of,
    third_currency_of,
)
from livebot.adapters.ccxt_venue.capabilities import capabilities_of
from livebot.adapters.ccxt_venue.instruments import instruments_of
from livebot.core.market import Instrument, OrderSide
from livebot.core.order import Account, Leg, OrderKind, OrderStatus, VenuePosition, client_order_id
from livebot.errors import BadInput, Fatal, Transient

D = Decimal
BTC = "BTC/USDT:USDT"
BYBIT = capabilities_of("bybit", "perpetual")
OURS = client_order_id("test", "plain", BTC, number=1, leg=Leg.STOP, attempt=0)
INSTRUMENT = Instrument(
    BTC, "BTC", "USDT", D("0.1"), D("0.001"), D("0.001"), D(5), D("0.0005"), D("0.0002"), can_short=True
)
ORDER = {
    "info": {"orderStatus": "New", "stopOrderType": ""},
    "id": "1",
    "clientOrderId": OURS,
    "symbol": BTC,
    "type": "limit",
    "side": "buy",
    "price": "100.5",
    "triggerPrice": None,
    "amount": "0.2",
    "filled": "0",
    "status": "open",
    "reduceOnly": False,
}
TRADE = {
    "id": "t1",
    "order": "1",
    "symbol": BTC,
    "side": "sell",
    "price": "100",
    "amount": "0.2",
    "timestamp": 5,
    "fee": {"cost": "0.01", "currency": "USDT"},
}
POSITION = {
    "symbol": BTC,
    "side": "short",
    "contracts": "0.2",
    "contractSize": "1",
    "entryPrice": "100",
    "hedged": False,
}
MARKET = {
    "symbol": BTC,
    "base": "BTC",
    "quote": "USDT",
    "contract": True,
    "linear": True,
    "contractSize": "1",
    "active": True,
    "precision": {"amount": "0.001", "price": "0.1"},
    "limits": {"amount": {"min": "0.002"}, "cost": {"min": "5"}},
    "taker": "0.0006",
    "maker": "0.0001",
}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, OrderStatus.WORKING),
        ({"status": "canceling"}, OrderStatus.WORKING),
        ({"status": "closed", "filled": "0.2"}, OrderStatus.FILLED),
        ({"status": "closed", "filled": "0.1"}, OrderStatus.CANCELED),  # PartiallyFilledCanceled
        ({"status": "canceled", "filled": "0.1"}, OrderStatus.CANCELED),
        ({"status": "expired"}, OrderStatus.CANCELED),
        ({"status": "rejected"}, OrderStatus.REJECTED),
        ({"status": "rejected", "filled": "0.1"}, OrderStatus.CANCELED),
    ],
)
def test_a_status_is_what_can_still_come_of_the_order(changes, status):
    assert order_of(ORDER | changes, BYBIT).status is status


def test_a_kind_is_told_by_trigger_and_type_and_a_price_only_where_it_is_asked_for():
    limit = order_of(ORDER, BYBIT)
    assert (limit.kind, limit.price, limit.trigger_price) == (OrderKind.LIMIT, D("100.5"), None)
    market = order_of(ORDER | {"type": "market", "price": "99"}, BYBIT)  # ccxt tells what it traded at
    assert (market.kind, market.price, market.trigger_price) == (OrderKind.MARKET, None, None)
    stop = order_of(ORDER | {"type": "market", "triggerPrice": "90", "price": "89"}, BYBIT)
    assert (stop.kind, stop.price, stop.trigger_price) == (OrderKind.STOP_MARKET, None, D(90))


def test_an_order_is_attached_if_the_venue_placed_it_and_foreign_if_somebody_else_did():
    guard = ORDER | {"info": {"stopOrderType": "PartialStopLoss"}, "clientOrderId": None}
    assert order_of(guard, BYBIT).attached
    assert not order_of(guard | {"clientOrderId": "by-hand"}, BYBIT).attached
    assert order_of(ORDER | {"clientOrderId": "by-hand"}, BYBIT).client_order_id == "by-hand"
    assert order_of(ORDER | {"clientOrderId": ""}, BYBIT).client_order_id is None


def test_fees_are_in_quote_whatever_they_were_paid_in():
    assert fill_of(TRADE, OURS, INSTRUMENT).fee == D("0.01")
    assert fill_of(TRADE | {"fee": {"cost": "-0.01", "currency": "USDT"}}, OURS, INSTRUMENT).fee == D("-0.01")
    assert fill_of(TRADE | {"fee": {"cost": "0.0001", "currency": "BTC"}}, OURS, INSTRUMENT).fee == D("0.01")
    assert fill_of(TRADE | {"fee": {"cost": "0", "currency": "BNB"}}, OURS, INSTRUMENT).fee == 0
    other = {"fee": {"cost": "0.00003", "currency": "BNB"}}  # nobody says what that is worth: the usual rate
    assert fill_of(TRADE | other, OURS, INSTRUMENT).fee == D("0.01")
    assert fill_of(TRADE | other | {"takerOrMaker": "maker"}, OURS, INSTRUMENT).fee == D("0.004")
    assert fill_of(TRADE | {"fee": None}, OURS, INSTRUMENT).fee == D("0.01")
    with pytest.raises(Transient, match=f"trade t1 of {BTC}: .* 'fee'"):
        fill_of(TRADE | {"fee": None}, OURS, None)


def test_a_fill_is_exact():
    fill = fill_of(TRADE, OURS, None)
    assert (fill.trade_id, fill.client_order_id, fill.ts_ms, fill.side) == ("t1", OURS, 5, OrderSide.SELL)
    assert (fill.price, fill.quantity) == (D(100), D("0.2"))


def test_a_position_is_net_in_base_currency():
    assert position_of(POSITION, "bybit").quantity == D("-0.2")
    assert position_of(POSITION | {"side": "long", "contractSize": "10"}, "bybit").quantity == D(2)
    assert position_of(POSITION | {"contracts": "0", "side": None}, "bybit") is None
    assert position_of(POSITION | {"contracts": None}, "bybit") is None
    with pytest.raises(Fatal, match="one-way at the venue"):
        position_of(POSITION | {"hedged": True}, "bybit")


ROWS = (
    (ORDER, lambda row: order_of(row, BYBIT)),
    (TRADE, lambda row: fill_of(row, OURS, INSTRUMENT)),
    (POSITION, lambda row: position_of(row, "bybit")),
)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=5),
    st.floats(),
    st.integers(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sampled_from(["NaN", "Infinity", "-1", "0", "1e400", "--", "Buy", "open", "closed"]),
)


@pytest.mark.untraced
@given(st.sampled_from(ROWS), st.data())
def test_an_odd_row_is_read_or_refused_and_nothing_else_happens(case, data):
    row, read = case
    names = data.draw(st.lists(st.sampled_from(sorted(row)), max_size=3))
    changed = {name: value for name, value in row.items() if name not in names}
    changed |= {name: data.draw(ODD) for name in names if data.draw(st.booleans())}
    try:
        read(changed)
    except (Transient, Fatal) as error:
        assert str(error)


@pytest.mark.parametrize("name", ["id", "symbol", "side", "amount", "status", "price"])
def test_what_lacks_in_an_order_is_named_with_its_symbol(name):
    with pytest.raises(Transient, match=name) as caught:
        order_of({**ORDER, name: None}, BYBIT)
    assert (BTC in str(caught.value)) or name == "symbol"


def test_answers_that_are_no_list_are_refused():
    for answer in (None, "", {}, [1], "<html>"):
        with pytest.raises(Transient, match="open orders: the venue's answer is not a list"):
            rows_of(answer, "open orders")


def test_an_account_is_worth_what_the_settlement_coin_says():
    coins = [{"coin": "BTC", "walletBalance": "1"}, {"coin": "USDT", "walletBalance": "10", "equity": "12"}]
    bybit = {"info": {"result": {"list": [{"coin": coins}]}}}
    assert account_of(bybit, "USDT", "bybit") == Account(wallet=D(10), equity=D(12))
    binance = {"info": {"assets": [{"asset": "USDT", "walletBalance": "10", "marginBalance": "12"}]}}
    assert account_of(binance, "USDT", "binance") == Account(wallet=D(10), equity=D(12))
    assert account_of({"USDT": {"total": "7"}}, "USDT", "other") == Account(wallet=D(7), equity=D(7))
    for answer, family in ((bybit, "bybit"), (binance, "binance"), ({}, "other")):
        with pytest.raises(Transient, match="'USDC'"):  # worth nothing: that would halt all trading
            account_of(answer, "USDC", family)
    for broken in (None, "x", {"info": {}}, {"info": {"result": {"list": []}}}):
        with pytest.raises(Transient, match="account balance"):
            account_of(broken, "USDT", "bybit")


def test_an_instrument_has_exact_steps_and_the_accounts_own_fees():
    found = instruments_of({BTC: MARKET}, {BTC: {"taker": "0.0004"}}, [BTC], "bybit")[BTC]
    assert (found.tick_size, found.lot_step, found.minimum_quantity) == (D("0.1"), D("0.001"), D("0.002"))
    assert (found.minimum_notional, found.taker_fee, found.maker_fee) == (D(5), D("0.0004"), D("0.0001"))
    assert found.can_short


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"active": False}, "is not being traded at present"),
        ({"contractSize": "10"}, "counted in contracts"),
        ({"linear": False}, "counted in contracts"),
        ({"precision": {}}, "precision"),
        ({"precision": {"amount": "0", "price": "0.1"}}, "a step of zero"),
        ({"taker": None}, "taker"),
        ({"limits": {"amount": {"min": "x"}}}, "min"),
    ],
)
def test_a_market_that_cannot_be_traded_is_refused_with_all_others_that_cannot(changes, words):
    with pytest.raises(BadInput, match=words) as caught:
        instruments_of({BTC: MARKET | changes}, {}, [BTC, "X/USDT:USDT"], "bybit")
    assert "X/USDT:USDT is not listed" in str(caught.value)
    assert str(caught.value).startswith("bybit: ")


@pytest.mark.parametrize(
    ("side", "fee", "expected", "third"),
    [
        ("buy", {"cost": "0.0002", "currency": "BTC"}, (D(0), D("0.0002")), None),  # so much less is held
        ("sell", {"cost": "0.02", "currency": "USDT"}, (D("0.02"), D(0)), None),
        ("buy", {"cost": "0.02", "currency": "USDT"}, (D("0.02"), D(0)), None),
        ("buy", {"cost": "0.00003", "currency": "BNB"}, (D("0.01"), D(0)), "BNB"),  # nothing of the bought coin is gone
        ("buy", {"cost": "0", "currency": "BNB"}, (D(0), D(0)), None),
        ("buy", None, (D(0), D("0.0001")), None),
        ("sell", None, (D("0.01"), D(0)), None),
    ],
)
def test_the_fee_of_a_purchase_on_spot_is_taken_from_what_was_bought(side, fee, expected, third):
    """In the currency that the venue says; one whose price is not known is reckoned by the usual rate, and named."""
    spot = replace(INSTRUMENT, can_short=False, fee_in_base=True)
    row = TRADE | {"side": side, "fee": fee}
    found = fill_of(row, OURS, spot)
    assert (found.fee, found.base_fee) == expected
    assert found.quantity == D("0.2")
    assert third_currency_of(row, spot) == third
    assert third_currency_of(row, None) is None


def test_coins_are_a_position_without_a_price():
    balance = {"BTC": {"free": "0.1", "used": "0.2", "total": "0.3"}, "ETH": {"total": "0"}}
    held = VenuePosition(symbol="BTC/USDT", quantity=D("0.3"), average_price=D(0))
    assert coins_of(balance, "BTC/USDT", "BTC") == held
    assert coins_of(balance, "ETH/USDT", "ETH") is None
    assert coins_of(balance, "SOL/USDT", "SOL") is None
    for broken in (None, "x", {"BTC": {"total": "many"}}):
        with pytest.raises(Transient, match="account balance in BTC"):
            coins_of(broken, "BTC/USDT", "BTC")
