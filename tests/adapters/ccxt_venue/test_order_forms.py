"""From an order to a call of ccxt, without ccxt: what is built, and what is refused."""

from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.adapters.ccxt_venue.capabilities import PERPETUAL, SPOT, Amendable, capabilities_of
from livebot.adapters.ccxt_venue.order_forms import Call, amend_call, cancel_call, create_call, find_calls, plain
from livebot.core.order import Leg
from livebot.errors import BadInput
from tests.adapters.ccxt_venue.order_cases import BUY, LIMIT, MARKET, SELL, STOP, D, id_of, order

BYBIT = capabilities_of("bybit", PERPETUAL)
BINANCE = capabilities_of("binance", PERPETUAL)
BYBIT_SPOT = capabilities_of("bybit", SPOT)
COINBASE = capabilities_of("coinbase", SPOT)
BTC = "BTC/USDT:USDT"


def test_a_market_entry_is_a_bare_order_under_our_id():
    call = create_call(order(BYBIT, Leg.ENTRY, BUY, MARKET), BYBIT)
    assert call == Call(
        "create_order", (BTC, "market", "buy", "0.012", None), {"clientOrderId": id_of(Leg.ENTRY)}, scan=False
    )


def test_a_stop_has_a_quantity_only_reduces_and_goes_by_the_last_price():
    stop = order(BYBIT, Leg.STOP, SELL, STOP, trigger_price=D("80.5"), reduce_only=True)
    assert create_call(stop, BYBIT) == Call(
        "create_order",
        (BTC, "market", "sell", "0.012", None),
        {
            "clientOrderId": id_of(Leg.STOP),
            "stopLossPrice": "80.5",
            "triggerBy": "LastPrice",
            "reduceOnly": True,
        },
    )
    binance = create_call(stop, BINANCE).params
    assert binance["workingType"] == "CONTRACT_PRICE"
    assert "closePosition" not in binance


def test_an_entry_carries_its_stop_where_the_venue_can_do_that():
    call = create_call(order(BYBIT, Leg.ENTRY, BUY, MARKET), BYBIT, attached_stop=D("85.50"))
    assert call.params["stopLoss"] == {"triggerPrice": "85.50"}
    assert call.params["tpslMode"] == "Partial"


def test_reduce_only_is_not_said_on_spot_where_a_sale_can_do_nothing_else():
    call = create_call(order(BYBIT_SPOT, Leg.EXIT, SELL, MARKET, reduce_only=True), BYBIT_SPOT)
    assert "reduceOnly" not in call.params
    stop = order(BYBIT_SPOT, Leg.STOP, SELL, STOP, trigger_price=D("80.5"))
    assert create_call(stop, BYBIT_SPOT).params["stopLossPrice"] == "80.5"


@pytest.mark.parametrize(
    ("number", "text"),
    [("1E+3", "1000"), ("1E-8", "0.00000001"), ("0.0100", "0.0100"), ("12345678901234567890.123456789", None)],
)
def test_numbers_are_written_out(number, text):
    assert plain(D(number)) == (text or number)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_what_is_not_a_number_is_not_ordered(number):
    with pytest.raises(BadInput, match="not a number that can be ordered"):
        plain(D(number))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (order(BYBIT, Leg.ENTRY, BUY, STOP, trigger_price=D(100)), "only a protective stop is a stop order"),
        (order(BYBIT, Leg.STOP, SELL, MARKET, reduce_only=True), "only a protective stop is a stop order"),
        (order(BYBIT, Leg.STOP, SELL, STOP, trigger_price=D(80)), "does not only reduce could open a position"),
        (order(BYBIT, Leg.ENTRY, BUY, MARKET, post_only=True), "only a limit order can be post-only"),
        (
            replace(order(BYBIT, Leg.ENTRY, BUY, MARKET), leg=Leg.EXIT),
            "the client order id 'lb0123456789abcdef0123e01' does not say leg EXIT",
        ),
        (replace(order(BYBIT, Leg.ENTRY, BUY, MARKET), client_order_id="nonsense"), "not a client order id of livebot"),
        (order(BYBIT, Leg.ENTRY, BUY, MARKET, quantity=D("Infinity")), "not a number that can be ordered"),
    ],
)
def test_an_order_that_does_not_hang_together_is_refused(request_, said):
    with pytest.raises(BadInput, match=said):
        create_call(request_, BYBIT)


@pytest.mark.parametrize(
    ("request_", "known", "said"),
    [
        (order(BYBIT, Leg.EXIT, SELL, MARKET, reduce_only=True), BYBIT, "only an entry can carry a stop"),
        (
            order(BYBIT, Leg.STOP, SELL, STOP, trigger_price=D(80), reduce_only=True),
            BYBIT,
            "only an entry can carry a stop",
        ),
        (order(BYBIT, Leg.ENTRY, BUY, MARKET, reduce_only=True), BYBIT, "only an entry can carry a stop"),
        (order(BINANCE, Leg.ENTRY, BUY, MARKET), BINANCE, "binance perpetual: BTC/USDT:USDT: a stop cannot travel"),
    ],
)
def test_a_stop_travels_with_entries_only_and_only_where_that_is_known(request_, known, said):
    with pytest.raises(BadInput, match=said):
        create_call(request_, known, attached_stop=D(85))


def test_a_refusal_names_venue_symbol_and_all_that_is_missing():
    known = replace(BYBIT, forms=frozenset())
    with pytest.raises(BadInput) as refusal:
        create_call(order(known, Leg.ENTRY, BUY, LIMIT, price=D(90), post_only=True), known)
    assert str(refusal.value) == (
        "bybit perpetual: BTC/USDT:USDT: livebot knows no proven way to place a limit order or a post-only order there"
    )


def test_an_averaging_order_may_carry_a_stop_too():
    assert "stopLoss" in create_call(order(BYBIT, Leg.AVERAGE, BUY, MARKET), BYBIT, attached_stop=D(85)).params


def test_stops_are_asked_for_where_they_are_kept():
    entry, stop = find_calls(BTC, id_of(Leg.ENTRY), BINANCE), find_calls(BTC, id_of(Leg.STOP), BINANCE)
    assert entry == (Call("fetch_order", (None, BTC), {"clientOrderId": id_of(Leg.ENTRY)}),)
    assert stop == (
        Call("fetch_order", (None, BTC), {"clientOrderId": id_of(Leg.STOP), "trigger": True}),
        Call("fetch_order", (None, BTC), {"clientOrderId": id_of(Leg.STOP)}),
    )
    assert cancel_call(BTC, id_of(Leg.STOP), BINANCE).params["trigger"] is True
    assert "trigger" not in cancel_call(BTC, id_of(Leg.TARGET), BINANCE).params


def test_open_orders_are_asked_before_closed_ones():
    """One that ends in between is then found in the second; the other way round it would be missed."""
    assert [call.method for call in find_calls(BTC, id_of(Leg.ENTRY), BYBIT)] == [
        "fetch_open_orders",
        "fetch_canceled_and_closed_orders",
    ]


def test_a_venue_that_cannot_be_asked_by_our_id_is_scanned_and_cannot_be_cancelled_by_it():
    (call,) = find_calls("BTC/USDC", id_of(Leg.ENTRY), COINBASE)
    assert (call.method, call.arguments, call.params, call.scan) == ("fetch_orders", ("BTC/USDC",), {}, True)
    with pytest.raises(BadInput, match="orders there cannot be taken back by our id"):
        cancel_call("BTC/USDC", id_of(Leg.ENTRY), COINBASE)


def test_an_id_may_be_the_first_argument():
    gate = capabilities_of("gate", SPOT)
    call = cancel_call("BTC/USDT", id_of(Leg.ENTRY), gate)
    assert call == Call("cancel_order", ("t-" + id_of(Leg.ENTRY), "BTC/USDT"), {})


@pytest.mark.parametrize("ask", [find_calls, cancel_call])
def test_questions_about_ids_that_are_not_ours_are_refused(ask):
    with pytest.raises(BadInput, match="'web_1' is not a client order id of livebot"):
        ask(BTC, "web_1", BYBIT)


@pytest.mark.parametrize("ask", [find_calls, cancel_call])
def test_stops_are_not_looked_for_where_none_can_be_placed(ask):
    with pytest.raises(BadInput, match="gate spot: livebot knows no proven way to place, find or take back a stop"):
        ask("BTC/USDT", id_of(Leg.STOP), capabilities_of("gate", SPOT))


def test_a_limit_order_is_changed_in_place_by_the_venues_id():
    request = order(BINANCE, Leg.TARGET, SELL, LIMIT, price=D("111"), reduce_only=True)
    assert amend_call(request, "55", BINANCE) == Call("edit_order", ("55", BTC, "limit", "sell", "0.012", "111"), {})


def test_a_stop_is_moved_in_place_where_the_venue_can():
    request = order(BYBIT, Leg.STOP, SELL, STOP, trigger_price=D("91"), reduce_only=True)
    assert amend_call(request, "55", BYBIT) == Call(
        "edit_order",
        ("55", BTC, "market", "sell", "0.012", None),
        {"triggerPrice": "91", "triggerBy": "LastPrice"},
    )
    assert amend_call(request, "55", BINANCE) is None


def test_an_order_whose_venue_id_is_not_known_is_changed_by_ours_if_the_venue_takes_that():
    request = order(BYBIT, Leg.TARGET, SELL, LIMIT, price=D("111"), reduce_only=True)
    call = amend_call(request, None, BYBIT)
    assert call is not None
    assert (call.arguments[0], call.params) == (None, {"orderLinkId": id_of(Leg.TARGET)})
    assert amend_call(request, None, BINANCE) is None


@pytest.mark.parametrize("lost", [Amendable.PRICE, Amendable.QUANTITY])
def test_what_can_be_changed_only_in_part_is_placed_anew(lost):
    known = replace(BYBIT, amend=BYBIT.amend - {lost})
    assert amend_call(order(known, Leg.ENTRY, BUY, LIMIT, price=D(90)), "55", known) is None


def test_a_market_order_is_never_changed():
    assert amend_call(order(BYBIT, Leg.EXIT, SELL, MARKET, reduce_only=True), "55", BYBIT) is None


def test_exact_decimals_reach_the_call():
    request = order(BYBIT, Leg.ENTRY, BUY, LIMIT, price=Decimal("1E+2"), quantity=Decimal("5E-7"))
    assert create_call(request, BYBIT).arguments[3:] == ("0.0000005", "100")
