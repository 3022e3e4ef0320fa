"""What a stock ccxt client sees of the local Binance's spot market over REST: orders and balances."""

import ccxt
import pytest

from livebot.simulator.matching import FillModel
from tests.simulator.binance.desk import local_binance
from tests.simulator.builders import BTC, D, flat
from tests.simulator.local_desk import SPOT

STILL = [flat(100.0)] * 40
FALLS = [flat(100.0), flat(100.0), (100.0, 100.0, 80.0, 80.0), flat(80.0), flat(80.0)]
RISES = [flat(100.0), flat(100.0), (100.0, 125.0, 100.0, 120.0), flat(120.0), flat(120.0)]


async def test_coins_are_bought_and_every_list_says_so(tmp_path):
    async with local_binance(tmp_path, {BTC: STILL, SPOT: STILL}) as desk:
        client = desk.spot()
        made = await client.create_order(SPOT, "market", "buy", 2, None, {"clientOrderId": "lbabc-1"})
        assert (made["clientOrderId"], made["status"], made["filled"], made["symbol"]) == ("lbabc-1", "closed", 2, SPOT)
        assert [(each["price"], each["amount"]) for each in made["trades"]] == [(100, 2)]
        by_cost = await client.create_market_buy_order_with_cost(SPOT, 100)
        assert (by_cost["filled"], by_cost["cost"]) == (1, 100)
        found = await client.fetch_order(None, SPOT, {"clientOrderId": "lbabc-1"})
        assert (found["id"], found["status"], found["average"]) == (made["id"], "closed", 100)
        trades = await client.fetch_my_trades(SPOT, params={"orderId": made["id"]})
        assert [(each["amount"], each["symbol"], each["takerOrMaker"], each["fee"]["cost"]) for each in trades] == [
            (2, SPOT, "taker", 0.001)
        ]
        balance = await client.fetch_balance()
        assert (balance["BTC"]["free"], balance["USDT"]["free"]) == (2.9985, 9_700)
        assert [each["id"] for each in await client.fetch_closed_orders(SPOT)] == [made["id"], by_cost["id"]]
        await client.create_order(SPOT, "market", "sell", 2.998)
        assert (await client.fetch_balance())["BTC"]["total"] == 0.0005
        assert (await client.fetch_open_orders(SPOT)) == []


async def test_limit_orders_rest_lock_fill_and_are_cancelled_by_client_id(tmp_path):
    async with local_binance(tmp_path, {SPOT: FALLS, BTC: FALLS}) as desk:
        client = desk.spot()
        made = await client.create_order(SPOT, "limit", "buy", 1, 90, {"clientOrderId": "a"})
        await client.create_order(SPOT, "limit", "buy", 1, 70, {"clientOrderId": "b", "postOnly": True})
        opened = await client.fetch_open_orders(SPOT)
        assert [(each["clientOrderId"], each["price"], each["status"], each["symbol"]) for each in opened] == [
            ("a", 90, "open", SPOT),
            ("b", 70, "open", SPOT),
        ]
        assert opened[1]["postOnly"] is True
        assert len(await client.fetch_open_orders()) == 2
        balance = (await client.fetch_balance())["USDT"]
        assert (balance["used"], balance["free"]) == (160, 9_840)
        ended = await client.cancel_order(None, SPOT, {"clientOrderId": "b"})
        assert (ended["status"], ended["info"]["origClientOrderId"]) == ("canceled", "b")
        with pytest.raises(ccxt.OrderNotFound, match="-2011"):
            await client.cancel_order(None, SPOT, {"clientOrderId": "b"})
        with pytest.raises(ccxt.OrderNotFound, match="-2013"):
            await client.fetch_order(None, SPOT, {"clientOrderId": "nobody"})
        await desk.step(3)
        (trade,) = await client.fetch_my_trades(SPOT)
        assert (trade["order"], trade["price"], trade["takerOrMaker"]) == (made["id"], 90, "maker")
        with pytest.raises(ccxt.InsufficientFunds):  # a fee was taken from it
            await client.create_order(SPOT, "limit", "sell", 1, 200, {"clientOrderId": "c"})
        await client.create_order(SPOT, "limit", "sell", 0.999, 200, {"clientOrderId": "c"})
        assert (await client.fetch_balance())["BTC"]["used"] == 0.999
        assert [each["status"] for each in await client.cancel_all_orders(SPOT)] == ["canceled"]
        with pytest.raises(ccxt.OrderNotFound, match="-2011"):
            await client.cancel_all_orders(SPOT)
        ioc = await client.create_order(SPOT, "limit", "buy", 1, 70, {"timeInForce": "IOC"})
        assert ioc["status"] == "expired"


async def test_a_stop_is_an_order_like_any_other(tmp_path):
    async with local_binance(tmp_path, {SPOT: FALLS, BTC: FALLS}) as desk:
        client = desk.spot()
        await client.create_order(SPOT, "market", "buy", 1)
        made = await client.create_order(
            SPOT, "market", "sell", 0.999, None, {"stopLossPrice": 90, "clientOrderId": "s"}
        )
        assert made["clientOrderId"] == "s"
        (opened,) = await client.fetch_open_orders(SPOT)
        assert (opened["triggerPrice"], opened["info"]["type"], opened["clientOrderId"]) == (90, "STOP_LOSS", "s")
        await desk.step(3)
        done = await client.fetch_order(None, SPOT, {"clientOrderId": "s"})
        assert (done["status"], done["average"]) == ("closed", 90)


async def test_a_take_profit_trades_at_its_trigger(tmp_path):
    async with local_binance(tmp_path, {SPOT: RISES}) as desk:
        client = desk.spot()
        await client.create_order(SPOT, "market", "buy", 1)
        await client.create_order(SPOT, "market", "sell", 0.999, None, {"takeProfitPrice": 120, "clientOrderId": "t"})
        assert (await client.fetch_open_orders(SPOT))[0]["takeProfitPrice"] == 120
        await desk.step(3)
        assert (await client.fetch_order(None, SPOT, {"clientOrderId": "t"}))["average"] == 120


REFUSALS = [
    (("market", "buy", 500), ccxt.InsufficientFunds, "insufficient balance"),
    (("market", "sell", 1), ccxt.InsufficientFunds, "insufficient balance"),
    (("limit", "buy", 0.01, 99), ccxt.BadRequest, "NOTIONAL"),
    (("market", "buy", 1, None, {"clientOrderId": "used"}), ccxt.InvalidOrder, "Duplicate order sent"),
    (("market", "buy", 1, None, {"quantity": "1.0001"}), ccxt.InvalidOrder, "LOT_SIZE"),
    (("market", "buy", 1, None, {"quantity": "0"}), ccxt.InvalidOrder, "LOT_SIZE"),
    (("market", "buy", 1, None, {"quantity": "1.000000001"}), ccxt.BadRequest, "-1111"),
    (("limit", "buy", 1, 99, {"price": "99.01"}), ccxt.InvalidOrder, "PRICE_FILTER"),
    (("limit", "buy", 1, 99, {"price": "0"}), ccxt.InvalidOrder, "PRICE_FILTER"),
    (("limit", "buy", 1, 99, {"price": "99.000000001"}), ccxt.BadRequest, "-1111"),
    (("limit", "buy", 1, 501), ccxt.InvalidOrder, "PERCENT_PRICE_BY_SIDE"),
    (("limit", "buy", 1, 19), ccxt.InvalidOrder, "PERCENT_PRICE_BY_SIDE"),
    (("limit", "buy", 1, 101, {"postOnly": True}), ccxt.OrderImmediatelyFillable, "immediately match"),
    (("limit", "buy", 1, 99, {"timeInForce": "FOK"}), ccxt.BadRequest, "not offered"),
    (("market", "buy", 1, None, {"stopLossPrice": 90}), ccxt.OrderImmediatelyFillable, "trigger immediately"),
    (("market", "sell", 1, None, {"takeProfitPrice": 90}), ccxt.OrderImmediatelyFillable, "trigger immediately"),
    (("market", "buy", 1, None, {"side": "UP"}), ccxt.BadRequest, "-1117"),
    (("limit", "sell", 1, 89, {"stopLossPrice": 90}), ccxt.BadRequest, "not offered"),
    (("market", "buy", 1, None, {"stopLoss": {"triggerPrice": 90}}), ccxt.BadRequest, "-1104"),
    (("market", "buy", 1, None, {"symbol": "NOUSDT"}), ccxt.BadSymbol, "-1121"),
    (("market", "buy", 1, None, {"clientOrderId": "a b"}), ccxt.BadRequest, "-1100"),
]


async def test_a_refusal_has_the_venue_s_code_or_words(tmp_path):
    async with local_binance(tmp_path, {SPOT: STILL, BTC: STILL}) as desk:
        client = desk.spot()
        await client.create_order(SPOT, "limit", "buy", 1, 50, {"clientOrderId": "used"})
        for arguments, error, code in REFUSALS:
            with pytest.raises(error, match=code):
                await client.create_order(SPOT, *arguments)
        raw = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "1"}
        for more, code in (({"type": "DANCE"}, "-1116"), ({"type": "LIMIT", "price": "99"}, "-1102")):
            with pytest.raises(ccxt.BadRequest, match=code):
                await client.private_post_order(raw | more)
        for trigger in ("90.01", "0"):
            with pytest.raises(ccxt.InvalidOrder, match="PRICE_FILTER"):
                await client.private_post_order(raw | {"side": "SELL", "type": "STOP_LOSS", "stopPrice": trigger})
        assert len(await client.fetch_open_orders(SPOT)) == 1


async def test_answers_to_new_orders_are_as_long_as_asked_for(tmp_path):
    async with local_binance(tmp_path, {SPOT: STILL}) as desk:
        client = desk.spot()
        raw = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "1", "type": "MARKET"}
        lengths = [
            len(await client.private_post_order(raw | {"newOrderRespType": kind})) for kind in ("ACK", "RESULT", "FULL")
        ]
        assert lengths == sorted(set(lengths))
        assert "fills" in await client.private_post_order(raw)


async def test_one_exchange_has_both_markets_of_one_symbol_name(tmp_path):
    async with local_binance(tmp_path, {SPOT: STILL, BTC: STILL}) as desk:
        client = desk.spot()
        for symbol in (SPOT, BTC):
            await client.create_order(symbol, "limit", "buy", 1, 90, {"clientOrderId": "same"})
        for symbol in (SPOT, BTC):
            assert [each["symbol"] for each in await client.fetch_open_orders(symbol)] == [symbol]
            await client.cancel_order(None, symbol, {"clientOrderId": "same"})
        assert [each["symbol"] for each in await client.fetch_orders(BTC)] == [BTC]


async def test_an_order_in_pieces_is_partially_filled_between(tmp_path):
    model = FillModel(slippage=D(0), partial_probability=1.0, partial_pieces=2)
    async with local_binance(tmp_path, {SPOT: STILL}, model=model) as desk:
        client = desk.spot()
        made = await client.create_order(SPOT, "market", "buy", 1)
        assert (made["status"], made["filled"], made["info"]["status"]) == ("open", 0.5, "PARTIALLY_FILLED")
        await desk.step()
        assert (await client.fetch_order(made["id"], SPOT))["status"] == "closed"
