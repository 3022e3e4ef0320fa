"""What a stock ccxt client sees of the local Binance's USD-M futures over REST: conditional orders, and orders of before."""

import ccxt
import pytest

from tests.simulator.binance.desk import local_binance
from tests.simulator.builders import BTC, flat, order

STILL = [flat(100.0)] * 40
FALLS = [flat(100.0), flat(100.0), (100.0, 100.0, 80.0, 80.0), flat(80.0), flat(80.0)]
RISES = [flat(100.0), flat(100.0), (100.0, 125.0, 100.0, 120.0), flat(120.0), flat(120.0)]


async def test_a_stop_lives_among_the_algo_orders_and_makes_a_real_order_when_it_triggers(tmp_path):
    async with local_binance(tmp_path, FALLS) as desk:
        client = desk.futures()
        await client.create_order(BTC, "market", "buy", 1)
        guard = {"stopLossPrice": 90, "reduceOnly": True, "clientOrderId": "stop"}
        made = await client.create_order(BTC, "market", "sell", 1, None, guard)
        assert (made["clientOrderId"], made["status"], made["triggerPrice"]) == ("stop", "open", 90)
        assert (made["type"], made["reduceOnly"], made["symbol"], made["side"]) == ("market", True, BTC, "sell")
        assert made["info"]["orderType"] == "STOP_MARKET"
        assert await client.fetch_open_orders(BTC) == []
        (opened,) = await client.fetch_open_orders(BTC, params={"trigger": True})
        assert (opened["id"], opened["triggerPrice"], opened["amount"]) == (made["id"], 90, 1)
        assert len(await client.fetch_open_orders(params={"trigger": True})) == 1
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order(None, BTC, {"clientOrderId": "stop"})
        assert (await client.fetch_order(None, BTC, {"clientOrderId": "stop", "trigger": True}))["status"] == "open"
        assert (await client.fetch_balance())["USDT"]["used"] == 10
        await desk.step(3)
        assert await client.fetch_positions() == []
        assert await client.fetch_open_orders(BTC, params={"trigger": True}) == []
        algo = await client.fetch_order(None, BTC, {"clientOrderId": "stop", "trigger": True})
        assert (algo["status"], algo["info"]["algoStatus"], algo["info"]["actualPrice"]) == ("closed", "FINISHED", "90")
        child = await client.fetch_order(None, BTC, {"clientOrderId": "stop"})
        assert (child["id"], child["status"], child["average"]) == (algo["info"]["actualOrderId"], "closed", 90)
        assert child["id"] != algo["id"]
        assert (await client.fetch_my_trades(BTC))[-1]["order"] == child["id"]
        assert [each["id"] for each in await client.fetch_orders(BTC, params={"trigger": True})] == [algo["id"]]


async def test_conditional_orders_are_cancelled_by_client_id_and_only_once(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        await client.create_order(BTC, "market", "buy", 1)
        for name, params in (
            ("s", {"stopLossPrice": 90}),
            ("t", {"takeProfitPrice": 120}),
            ("u", {"triggerPrice": 80}),
        ):
            more = {"reduceOnly": True, "clientOrderId": name}
            await client.create_order(BTC, "market", "sell", 1, None, params | more)
        opened = await client.fetch_open_orders(BTC, params={"trigger": True})
        assert [(each["clientOrderId"], each["info"]["orderType"]) for each in opened] == [
            ("s", "STOP_MARKET"),
            ("t", "TAKE_PROFIT_MARKET"),
            ("u", "STOP_MARKET"),
        ]
        with pytest.raises(ccxt.InvalidOrder, match="-4116"):
            await client.create_order(BTC, "market", "sell", 1, None, {"stopLossPrice": 70, "clientOrderId": "s"})
        ended = await client.cancel_order(None, BTC, {"clientOrderId": "s", "trigger": True})
        assert (ended["id"], ended["info"]["msg"]) == (opened[0]["id"], "success")
        with pytest.raises(ccxt.OrderNotFound, match="-2011"):
            await client.cancel_order(None, BTC, {"clientOrderId": "s", "trigger": True})
        with pytest.raises(ccxt.OrderNotFound, match="-2011"):
            await client.cancel_order(None, BTC, {"clientOrderId": "t"})
        await client.create_order(BTC, "market", "sell", 1, None, {"stopLossPrice": 70, "clientOrderId": "s"})
        await client.cancel_all_orders(BTC, {"trigger": True})
        assert await client.fetch_open_orders(BTC, params={"trigger": True}) == []
        with pytest.raises(ccxt.BadRequest, match="-1102"):
            await client.fapiprivate_get_algoorder()


async def test_a_take_profit_trades_and_the_stop_stays_until_it_is_cancelled(tmp_path):
    async with local_binance(tmp_path, RISES) as desk:
        client = desk.futures()
        await client.create_order(BTC, "market", "buy", 1)
        for params in ({"stopLossPrice": 90, "clientOrderId": "s"}, {"takeProfitPrice": 120, "clientOrderId": "t"}):
            await client.create_order(BTC, "market", "sell", 1, None, params | {"reduceOnly": True})
        await desk.step(3)
        assert await client.fetch_positions() == []
        assert (await client.fetch_my_trades(BTC))[-1]["price"] == 120
        (left,) = await client.fetch_open_orders(BTC, params={"trigger": True})
        assert left["clientOrderId"] == "s"


async def test_a_reduce_only_stop_that_triggers_without_a_position_is_rejected(tmp_path):
    async with local_binance(tmp_path, FALLS) as desk:
        client = desk.futures()
        await client.create_order(BTC, "market", "buy", 1)
        guard = {"stopLossPrice": 90, "reduceOnly": True, "clientOrderId": "s"}
        await client.create_order(BTC, "market", "sell", 1, None, guard)
        await client.create_order(BTC, "market", "sell", 1, None, {"reduceOnly": True})
        await desk.step(3)
        algo = await client.fetch_order(None, BTC, {"clientOrderId": "s", "trigger": True})
        assert (algo["status"], algo["info"]["actualOrderId"]) == ("rejected", "")
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order(None, BTC, {"clientOrderId": "s"})


async def test_an_order_that_closes_the_position_closes_all_of_it_and_ends_with_it(tmp_path):
    async with local_binance(tmp_path, FALLS) as desk:
        client = desk.futures()
        whole = {"closePosition": True}
        with pytest.raises(ccxt.ExchangeError, match="-4509"):
            await client.create_order(BTC, "market", "sell", 1, None, whole | {"stopLossPrice": 90})
        await client.create_order(BTC, "market", "buy", 1)
        await client.create_order(BTC, "market", "sell", 1, None, whole | {"stopLossPrice": 90, "clientOrderId": "s"})
        await client.create_order(
            BTC, "market", "sell", 1, None, whole | {"takeProfitPrice": 120, "clientOrderId": "t"}
        )
        with pytest.raises(ccxt.ExchangeError, match="-4130"):
            await client.create_order(BTC, "market", "sell", 1, None, whole | {"stopLossPrice": 80})
        await client.create_order(BTC, "market", "buy", 0.5)
        await desk.step(3)
        assert await client.fetch_positions() == []
        child = await client.fetch_order(None, BTC, {"clientOrderId": "s"})
        assert (child["status"], child["filled"], child["info"]["closePosition"]) == ("closed", 1.5, True)
        target = await client.fetch_order(None, BTC, {"clientOrderId": "t", "trigger": True})
        assert (target["status"], target["info"]["quantity"]) == ("expired", "0")


async def test_an_attached_stop_is_ignored_as_by_the_venue(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        await client.create_order(BTC, "market", "buy", 1, None, {"stopLoss": {"triggerPrice": 90}})
        assert await client.fetch_open_orders(BTC, params={"trigger": True}) == []


async def test_a_conditional_order_on_the_plain_endpoint_is_sent_to_the_algo_service(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        raw = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "stopPrice": "90", "quantity": "1"}
        with pytest.raises(ccxt.InvalidOrder, match="Algo Order API"):
            await client.fapiprivate_post_order(raw)
        for more, code in (({"type": "DANCE"}, "-1116"), ({"type": "LIMIT", "price": "90"}, "-1102")):
            with pytest.raises(ccxt.BadRequest, match=code):
                await client.fapiprivate_post_order(raw | more)
        algo = raw | {"algoType": "CONDITIONAL", "triggerPrice": "90"}
        for more, code in (
            ({"triggerPrice": ""}, "-1102"),
            ({"triggerPrice": "0"}, "-1102"),
            ({"triggerPrice": "90.01"}, "-1111"),
            ({"algoType": "VP"}, "-1102"),
            ({"type": "MARKET"}, "-1116"),
            ({"closePosition": "true"}, "-4136"),
        ):
            with pytest.raises(ccxt.ExchangeError, match=code):
                await client.fapiprivate_post_algoorder(algo | more)
        answer = await client.fapiprivate_post_order(raw | {"type": "MARKET"})
        assert (answer["status"], answer["executedQty"]) == ("NEW", "0")


async def test_orders_that_nobody_asked_about_are_known_once_they_trade(tmp_path):
    async with local_binance(tmp_path, FALLS) as desk:
        client = desk.futures()
        now = desk.venue.now_ms
        desk.venue.submit(order("named", "buy", "1", limit="90"), now)
        desk.venue.submit(order("guard", "sell", "1", stop="85"), now)
        desk.venue.submit(order("gone", "sell", "1", stop="70"), now)
        desk.venue.cancel(BTC, "gone", now)
        await desk.step(3)
        await client.load_markets()
        assert [each["clientOrderId"] for each in await client.fetch_closed_orders(BTC)] == ["named", "guard"]
        algo = await client.fetch_order(None, BTC, {"clientOrderId": "guard", "trigger": True})
        assert algo["info"]["algoStatus"] == "FINISHED"
        desk.venue.submit(order("other", "sell", "1", stop="70"), desk.venue.now_ms)
        assert len(await client.fetch_open_orders(BTC, params={"trigger": True})) == 1
        desk.venue.cancel(BTC, "other", desk.venue.now_ms)
        algo = await client.fetch_order(None, BTC, {"clientOrderId": "other", "trigger": True})
        assert algo["status"] == "canceled"


async def test_an_exchange_that_starts_again_knows_positions_orders_and_stops(tmp_path):
    memory = tmp_path / "memory"
    memory.mkdir()
    async with local_binance(tmp_path, RISES, memory=memory) as desk:
        client = desk.futures()
        await client.create_order(BTC, "market", "buy", 1)
        await client.create_order(BTC, "limit", "buy", 1, 90, {"clientOrderId": "l"})
        for params in ({"stopLossPrice": 80, "clientOrderId": "s"}, {"takeProfitPrice": 120, "clientOrderId": "t"}):
            await client.create_order(BTC, "market", "sell", 1, None, params | {"reduceOnly": True})
        before = await client.fetch_open_orders(BTC) + await client.fetch_open_orders(BTC, params={"trigger": True})
    async with local_binance(tmp_path, RISES, memory=memory) as desk:
        client = desk.futures()
        after = await client.fetch_open_orders(BTC) + await client.fetch_open_orders(BTC, params={"trigger": True})
        shown = [[(each["id"], each["clientOrderId"], each["type"]) for each in orders] for orders in (before, after)]
        assert shown[0] == shown[1]
        assert [each["takeProfitPrice"] for each in after] == [None, None, 120]
        (position,) = await client.fetch_positions()
        assert (position["contracts"], position["entryPrice"]) == (1, 100)
        await desk.step(3)
        assert (await client.fetch_my_trades(BTC))[-1]["price"] == 120


async def test_an_exchange_that_starts_again_finds_ended_orders_by_their_client_ids(tmp_path):
    memory = tmp_path / "memory"
    memory.mkdir()
    async with local_binance(tmp_path, FALLS, memory=memory) as desk:
        client = desk.futures()
        await client.create_order(BTC, "market", "buy", 1, None, {"clientOrderId": "m"})
        for name, price in (("u", 70), ("s", 90)):
            guard = {"stopLossPrice": price, "closePosition": True, "clientOrderId": name}
            await client.create_order(BTC, "market", "sell", 1, None, guard)
            if name == "u":
                await client.cancel_order(None, BTC, {"clientOrderId": name, "trigger": True})
        await client.create_order(BTC, "limit", "buy", 1, 60, {"clientOrderId": "l"})
        await client.cancel_order(None, BTC, {"clientOrderId": "l"})
        await client.create_order(BTC, "limit", "buy", 1, 50, {"clientOrderId": "l"})
        await client.cancel_order(None, BTC, {"clientOrderId": "l"})
        await desk.step(3)
        asked = [("m", {}), ("s", {}), ("s", {"trigger": True}), ("u", {"trigger": True}), ("l", {})]
        before = [await client.fetch_order(None, BTC, {"clientOrderId": name} | more) for name, more in asked]
    async with local_binance(tmp_path, FALLS, memory=memory) as desk:
        client = desk.futures()
        after = [await client.fetch_order(None, BTC, {"clientOrderId": name} | more) for name, more in asked]
        told = ("id", "clientOrderId", "status", "filled", "average", "amount")
        assert [[each[name] for name in told] for each in after] == [[each[name] for name in told] for each in before]
        (trade,) = await client.fetch_my_trades(BTC, params={"orderId": after[1]["id"]})
        assert (trade["price"], trade["amount"]) == (90, 1)
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order(None, BTC, {"clientOrderId": "nobody"})
