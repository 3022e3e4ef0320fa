"""What a stock ccxt client sees of the local Binance's USD-M futures over REST: plain orders, the account."""

import ccxt
import pytest

from livebot.core.inputs import OrderRejected
from livebot.simulator.binance import BinanceSettings
from livebot.simulator.binance.codes import refusal_of
from livebot.simulator.matching import FillModel
from tests.simulator.binance.desk import local_binance
from tests.simulator.builders import BTC, ETH, START_MS, D, WrittenMarket, flat, order
from tests.simulator.local_desk import SPOT

STILL = [flat(100.0)] * 40
FALLS = [flat(100.0), flat(100.0), (100.0, 100.0, 80.0, 80.0), flat(80.0), flat(80.0)]
RISES = [flat(100.0), flat(100.0), (100.0, 125.0, 100.0, 120.0), flat(120.0), flat(120.0)]


async def test_a_market_order_trades_and_every_list_says_so(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        made = await client.create_order(BTC, "market", "buy", 0.5, None, {"clientOrderId": "lbabc-1"})
        assert (made["clientOrderId"], made["status"], made["filled"], made["average"]) == (
            "lbabc-1",
            "closed",
            0.5,
            100,
        )
        (position,) = await client.fetch_positions()
        assert (position["symbol"], position["side"], position["contracts"]) == (BTC, "long", 0.5)
        assert (position["entryPrice"], position["unrealizedPnl"], position["hedged"]) == (100, 0, False)
        found = await client.fetch_order(None, BTC, {"clientOrderId": "lbabc-1"})
        assert (found["id"], found["status"], found["remaining"], found["type"]) == (made["id"], "closed", 0, "market")
        assert [each["id"] for each in await client.fetch_closed_orders(BTC)] == [made["id"]]
        assert await client.fetch_open_orders(BTC) == []
        (trade,) = await client.fetch_my_trades(BTC)
        assert (trade["order"], trade["price"], trade["amount"], trade["symbol"]) == (made["id"], 100, 0.5, BTC)
        assert (trade["fee"], trade["takerOrMaker"]) == ({"cost": 0.025, "currency": "USDT"}, "taker")
        assert await client.fetch_my_trades(BTC, params={"orderId": made["id"]}) == [trade]
        assert await client.fetch_my_trades(BTC, params={"orderId": "1"}) == []
        balance = await client.fetch_balance()
        assert (balance["USDT"]["total"], balance["USDT"]["used"]) == (9_999.975, 5)
        sold = await client.create_order(BTC, "market", "sell", 2, None, {"reduceOnly": True})
        assert (sold["status"], sold["filled"], sold["amount"]) == ("expired", 0.5, 2)
        assert await client.fetch_positions() == []


async def test_limit_orders_rest_fill_as_the_maker_are_amended_and_cancelled_by_client_id(tmp_path):
    async with local_binance(tmp_path, FALLS) as desk:
        client = desk.futures()
        made = await client.create_order(BTC, "limit", "buy", 0.5, 90, {"clientOrderId": "a"})
        assert (made["status"], made["info"]["positionSide"]) == ("open", "BOTH")
        post = await client.create_order(BTC, "limit", "buy", 0.5, 70, {"clientOrderId": "b", "postOnly": True})
        assert (post["timeInForce"], post["postOnly"]) == ("PO", True)
        changed = await client.edit_order(made["id"], BTC, "limit", "buy", 0.7, 85)
        assert (changed["id"], changed["price"], changed["amount"]) == (made["id"], 85, 0.7)
        opened = await client.fetch_open_orders(BTC)
        assert [(each["clientOrderId"], each["price"], each["amount"], each["status"]) for each in opened] == [
            ("a", 85, 0.7, "open"),
            ("b", 70, 0.5, "open"),
        ]
        assert len(await client.fetch_open_orders()) == 2
        assert (await client.fetch_balance())["USDT"]["used"] == 9.45
        await desk.step(3)
        (trade,) = await client.fetch_my_trades(BTC)
        assert (trade["price"], trade["amount"], trade["takerOrMaker"]) == (85, 0.7, "maker")
        ended = await client.cancel_order(None, BTC, {"clientOrderId": "b"})
        assert (ended["status"], ended["clientOrderId"]) == ("canceled", "b")
        with pytest.raises(ccxt.OrderNotFound, match="-2011"):
            await client.cancel_order(None, BTC, {"clientOrderId": "b"})
        with pytest.raises(ccxt.OrderNotFound, match="-2013"):
            await client.fetch_order(None, BTC, {"clientOrderId": "nobody"})
        with pytest.raises(ccxt.OrderNotFound, match="-2013"):
            await client.edit_order(post["id"], BTC, "limit", "buy", 1, 60)
        with pytest.raises(ccxt.BadRequest, match="-1102"):
            await client.edit_order(None, BTC, "limit", "buy", 1, 60, {"clientOrderId": "b"})
        for name in "cde":
            await client.create_order(BTC, "limit", "buy", 0.5, 60, {"clientOrderId": name})
        assert [each["clientOrderId"] for each in await client.fetch_orders(BTC, limit=2)] == ["d", "e"]
        await client.cancel_all_orders(BTC)
        assert await client.fetch_open_orders(BTC) == []


async def test_an_amendment_to_what_has_filled_already_cancels_the_order(tmp_path):
    model = FillModel(slippage=D(0), partial_probability=1.0, partial_pieces=2)
    touches = [flat(100.0), (100.0, 100.0, 90.0, 100.0), *[flat(100.0)] * 4]
    async with local_binance(tmp_path, touches, model=model) as desk:
        client = desk.futures()
        made = await client.create_order(BTC, "limit", "buy", 1, 90, {"clientOrderId": "a"})
        await desk.step(2)
        half = await client.fetch_order(None, BTC, {"clientOrderId": "a"})
        assert (half["status"], half["info"]["status"], half["filled"]) == ("open", "PARTIALLY_FILLED", 0.5)
        changed = await client.edit_order(made["id"], BTC, "limit", "buy", 0.8, 91)
        assert (changed["amount"], changed["filled"], changed["status"]) == (0.8, 0.5, "open")
        ended = await client.edit_order(made["id"], BTC, "limit", "buy", 0.5, 91)
        assert (ended["status"], ended["filled"]) == ("canceled", 0.5)


async def test_a_client_id_can_be_used_again_only_when_its_order_has_ended(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        first = await client.create_order(BTC, "limit", "buy", 1, 90, {"clientOrderId": "x"})
        with pytest.raises(ccxt.InvalidOrder, match="-4116"):
            await client.create_order(BTC, "market", "buy", 1, None, {"clientOrderId": "x"})
        await client.cancel_order(None, BTC, {"clientOrderId": "x"})
        for _ in range(2):
            again = await client.create_order(BTC, "market", "buy", 1, None, {"clientOrderId": "x"})
            assert (again["clientOrderId"], again["status"]) == ("x", "closed")
        assert (await client.fetch_order(None, BTC, {"clientOrderId": "x"}))["id"] == again["id"]
        assert (await client.fetch_order(first["id"], BTC))["status"] == "canceled"
        assert (await client.fetch_positions())[0]["contracts"] == 2


async def test_a_resting_reduce_only_limit_expires_when_the_position_is_closed_otherwise(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        await client.create_order(BTC, "market", "buy", 1)
        await client.create_order(BTC, "limit", "sell", 1, 120, {"reduceOnly": True, "clientOrderId": "target"})
        closed = await client.create_order(BTC, "market", "sell", 1, None, {"reduceOnly": True})
        assert closed["status"] == "closed"
        assert await client.fetch_open_orders(BTC) == []
        assert (await client.fetch_order(None, BTC, {"clientOrderId": "target"}))["status"] == "expired"
        await client.create_order(BTC, "market", "sell", 1)
        await client.create_order(BTC, "limit", "buy", 1, 80, {"reduceOnly": True, "clientOrderId": "cover"})
        await client.create_order(BTC, "market", "buy", 3)
        assert (await client.fetch_order(None, BTC, {"clientOrderId": "cover"}))["status"] == "expired"


async def test_reduce_only_limits_share_the_position_and_the_better_price_goes_first(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        await client.create_order(BTC, "market", "buy", 1)

        async def place(name: str, quantity: float, price: float) -> None:
            await client.create_order(
                BTC, "limit", "sell", quantity, price, {"reduceOnly": True, "clientOrderId": name}
            )

        await place("a", 0.5, 120)
        await place("b", 0.5, 125)
        with pytest.raises(ccxt.InvalidOrder, match="-2022"):
            await place("c", 0.5, 130)
        await place("d", 1, 110)
        assert [each["clientOrderId"] for each in await client.fetch_open_orders(BTC)] == ["d"]
        for name in "ab":
            assert (await client.fetch_order(None, BTC, {"clientOrderId": name}))["status"] == "expired"


REFUSALS = [
    ((BTC, "market", "buy", 5_000), ccxt.InsufficientFunds, "-2019"),
    ((BTC, "market", "buy", 0.01), ccxt.InvalidOrder, "-4164"),
    ((BTC, "market", "sell", 1, None, {"reduceOnly": True}), ccxt.InvalidOrder, "-2022"),
    ((BTC, "market", "sell", 1, None, {"reduceOnly": True, "stopLossPrice": 90}), ccxt.InvalidOrder, "-2022"),
    ((BTC, "market", "buy", 1, None, {"clientOrderId": "used"}), ccxt.InvalidOrder, "-4116"),
    ((BTC, "market", "buy", 1, None, {"positionSide": "LONG"}), ccxt.OperationRejected, "-4061"),
    ((BTC, "market", "buy", 1, None, {"quantity": "1.00001"}), ccxt.BadRequest, "-1111"),
    ((BTC, "market", "buy", 1, None, {"quantity": "many"}), ccxt.BadRequest, "-1130"),
    ((BTC, "market", "buy", 1, None, {"quantity": "-1"}), ccxt.BadRequest, "-1130"),
    ((BTC, "market", "buy", 1, None, {"quantity": ""}), ccxt.BadRequest, "-1102"),
    ((BTC, "market", "buy", 1, None, {"quantity": "0"}), ccxt.BadRequest, "-4003"),
    ((BTC, "limit", "buy", 1, 99, {"price": "0"}), ccxt.BadRequest, "-4001"),
    ((BTC, "limit", "buy", 1, 99, {"price": "99.01"}), ccxt.BadRequest, "-1111"),
    ((BTC, "limit", "buy", 1, 106), ccxt.BadRequest, "-4016"),
    ((BTC, "limit", "sell", 1, 94), ccxt.BadRequest, "-4024"),
    ((BTC, "limit", "buy", 1, 101, {"postOnly": True}), ccxt.InvalidOrder, "-5022"),
    ((BTC, "limit", "buy", 1, 99, {"timeInForce": "FOK"}), ccxt.BadRequest, "not offered"),
    ((BTC, "market", "buy", 1, None, {"side": "BOTH"}), ccxt.BadRequest, "-1117"),
    ((BTC, "market", "buy", 1, None, {"side": ""}), ccxt.BadRequest, "-1102"),
    ((BTC, "market", "buy", 1, None, {"clientOrderId": "a b"}), ccxt.ExchangeError, "-4015"),
    ((BTC, "market", "buy", 1, None, {"symbol": "NOUSDT"}), ccxt.BadSymbol, "-1121"),
    ((BTC, "market", "buy", 1, None, {"symbol": ""}), ccxt.BadRequest, "-1102"),
    ((BTC, "market", "sell", 1, None, {"stopLossPrice": 101}), ccxt.OrderImmediatelyFillable, "-2021"),
    ((BTC, "market", "sell", 1, None, {"takeProfitPrice": 99}), ccxt.OrderImmediatelyFillable, "-2021"),
    ((BTC, "market", "buy", 1, None, {"stopLossPrice": 99}), ccxt.OrderImmediatelyFillable, "-2021"),
    ((BTC, "limit", "sell", 1, 98, {"stopLossPrice": 99}), ccxt.BadRequest, "not offered"),
    ((BTC, "market", "sell", 1, None, {"trailingPercent": 1}), ccxt.BadRequest, "not offered"),
]


async def test_a_refusal_has_the_venue_s_code(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        await client.create_order(BTC, "limit", "buy", 1, 50, {"clientOrderId": "used"})
        for arguments, error, code in REFUSALS:
            with pytest.raises(error, match=code):
                await client.create_order(*arguments)
        assert len(await client.fetch_open_orders(BTC)) == 1
        assert await client.fetch_positions() == []
        for changes, error, code in (
            ({"side": "SELL"}, ccxt.BadRequest, "-1130"),
            ({"quantity": "1"}, ccxt.OperationRejected, "-5027"),
            ({"quantity": "2", "price": "50.01"}, ccxt.BadRequest, "-1111"),
            ({"quantity": "5000"}, ccxt.InsufficientFunds, "-2019"),
            ({"origClientOrderId": ""}, ccxt.BadRequest, "-1102"),
        ):
            raw = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "1", "price": "50", "origClientOrderId": "used"}
            with pytest.raises(error, match=code):
                await client.fapiprivate_put_order(raw | changes)
        assert (await client.fetch_open_orders(BTC))[0]["amount"] == 1


async def test_an_order_that_is_immediate_or_cancelled_ends_at_once(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        ended = await client.create_order(BTC, "limit", "buy", 0.5, 99, {"timeInForce": "IOC"})
        assert (ended["status"], ended["filled"]) == ("expired", 0)


async def test_what_somebody_else_does_in_the_account_is_seen(tmp_path):
    async with local_binance(tmp_path, FALLS) as desk:
        client = desk.futures()
        now = desk.venue.now_ms
        desk.venue.place_by_hand(order("h", "buy", "1", limit="90"), now)
        desk.venue.submit(order("named", "buy", "1", limit="85"), now)
        desk.venue.submit(order("guard", "sell", "1", stop="70"), now)
        opened = await client.fetch_open_orders(BTC)
        assert [each["clientOrderId"] for each in opened] == ["web_000000000001", "named"]
        assert [each["clientOrderId"] for each in await client.fetch_open_orders(BTC, params={"trigger": True})] == [
            "guard"
        ]
        await client.cancel_order(None, BTC, {"clientOrderId": "named"})
        await desk.step(3)
        assert (await client.fetch_positions())[0]["contracts"] == 1
        assert [each["price"] for each in await client.fetch_my_trades(BTC)] == [90]
        desk.venue.close_by_hand(BTC, desk.venue.now_ms)
        assert await client.fetch_positions() == []


def test_steps_that_are_not_powers_of_ten_are_refused_with_codes_of_their_own():
    instrument = WrittenMarket({BTC: STILL}).instrument(BTC)
    for code, expected in (("invalid_quantity_step", -4023), ("invalid_price_step", -4014), ("what", -1130)):
        rejected = OrderRejected(client_order_id="x", code=code, text="", ts_ms=0)
        assert refusal_of(rejected, instrument, spot=False).code == expected


async def test_modes_that_are_not_offered_are_refused_and_those_that_are_set_already_say_so(tmp_path):
    async with local_binance(tmp_path, STILL, settings=BinanceSettings(dual_side=True)) as desk:
        client = desk.futures()
        with pytest.raises(ccxt.OperationRejected, match="-4061"):
            await client.create_order(BTC, "market", "buy", 1)
        assert (await client.fetch_position_mode())["hedged"] is True
        await client.set_position_mode(False)
        assert (await client.fetch_position_mode())["hedged"] is False
        with pytest.raises(ccxt.ExchangeError, match="-4059"):
            await client.set_position_mode(False)
        with pytest.raises(ccxt.BadRequest, match="hedge mode"):
            await client.set_position_mode(True)
        assert (await client.set_leverage(10, BTC))["leverage"] == 10
        with pytest.raises(ccxt.ExchangeError, match="-4028"):
            await client.set_leverage(20, BTC)
        with pytest.raises(ccxt.MarginModeAlreadySet):
            await client.set_margin_mode("cross", BTC)
        with pytest.raises(ccxt.BadRequest, match="isolated margin"):
            await client.set_margin_mode("isolated", BTC)
        with pytest.raises(ccxt.BadRequest, match="marginType"):
            await client.fapiprivate_post_margintype({"symbol": "BTCUSDT", "marginType": "X"})
        assert (await client.fetch_trading_fee(BTC))["taker"] == 0.0005
        assert (await client.fetch_leverage(BTC))["longLeverage"] == 10
        assert (await client.fetch_margin_mode(BTC))["marginMode"] == "cross"


async def test_the_account_is_told_in_both_versions(tmp_path):
    async with local_binance(tmp_path, {BTC: STILL, ETH: STILL, SPOT: STILL}) as desk:
        client = desk.futures()
        await client.create_order(BTC, "market", "sell", 1)
        v2 = await client.fapiprivatev2_get_positionrisk()
        assert [(each["symbol"], each["positionAmt"]) for each in v2] == [("BTCUSDT", "-1"), ("ETHUSDT", "0")]
        (v3,) = await client.fapiprivatev3_get_positionrisk()
        assert (v3["positionAmt"], v3["notional"], v3["updateTime"]) == ("-1", "-100", START_MS)
        assert [each["symbol"] for each in await client.fapiprivatev3_get_positionrisk({"symbol": "ETHUSDT"})] == []
        account = await client.fapiprivatev3_get_account()
        assert [each["symbol"] for each in account["positions"]] == ["BTCUSDT"]
        assert (await client.fetch_balance({"useV2": True}))["USDT"]["total"] == 9_999.95
        assert (await client.fapiprivatev3_get_balance())[0]["balance"] == "9999.95"
        assert (await client.fapiprivate_get_openorders()) == []
        assert (await client.fapiprivate_get_multiassetsmargin()) == {"multiAssetsMargin": False}
        assert "brackets" in await client.fapiprivate_get_leveragebracket({"symbol": "BTCUSDT"})
