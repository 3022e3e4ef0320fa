"""What a stock ccxt.pro client sees of an account at the local Binance: user streams, listen keys, subscriptions."""

import asyncio
from typing import Any

import ccxt
import pytest

from livebot.simulator.binance import ApiKey, BinanceSettings
from livebot.simulator.binance.listen_keys import ListenKeys
from livebot.simulator.matching import FillModel
from tests.simulator.binance.desk import Desk, Wire, local_binance, overhear
from tests.simulator.builders import BTC, START_MS, D, flat
from tests.simulator.local_desk import SPOT, soon, until

STILL = [flat(100.0)] * 20
FALLS = [flat(100.0), flat(100.0), (100.0, 100.0, 80.0, 80.0), flat(80.0), flat(80.0)]
PRIVATE = "wss://fstream.binance.com/private/ws?listenKey="
GUARD = {"stopLossPrice": 90, "reduceOnly": True, "clientOrderId": "stop"}


async def user_wire(desk: Desk, client: Any) -> Wire:
    """A futures user stream without ccxt."""
    key = (await client.fapiprivate_post_listenkey())["listenKey"]
    return await desk.wire(PRIVATE + key)


def told(message: Any) -> tuple[str, ...]:
    """What happened, in few words."""
    inner = message.get("o", {})
    return tuple(str(each) for each in (message["e"], inner.get("x"), inner.get("X")) if each)


async def test_orders_trades_positions_and_the_balance_are_pushed(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures(options={"watchPositions": {"fetchPositionsSnapshot": False}})
        seen = overhear(client, "handle_order")
        await client.load_markets()
        waiting = [
            asyncio.ensure_future(each)
            for each in (
                client.watch_orders(BTC),
                client.watch_my_trades(BTC),
                client.watch_positions([BTC]),
                client.watch_balance(),
            )
        ]
        await until(lambda: desk.server._streams.listeners(spot=False))
        await client.create_order(BTC, "market", "buy", 1, None, {"clientOrderId": "mine"})
        orders, trades, positions, balance = [await soon(each) for each in waiting]
        assert (orders[-1]["clientOrderId"], orders[-1]["symbol"]) == ("mine", BTC)
        assert (trades[-1]["price"], trades[-1]["amount"], trades[-1]["symbol"]) == (100, 1, BTC)
        assert (positions[-1]["side"], positions[-1]["contracts"], positions[-1]["entryPrice"]) == ("long", 1, 100)
        assert balance["USDT"]["total"] == 9_999.95
        await until(lambda: len(seen) == 2)
        assert [(each["x"], each["X"], each["z"]) for each in seen] == [("NEW", "NEW", "0"), ("TRADE", "FILLED", "1")]
        assert [(each["id"], each["status"]) for each in client.orders] == [(orders[-1]["id"], "closed")]


async def test_a_stop_tells_its_whole_story_in_the_venue_s_order(tmp_path):
    async with local_binance(tmp_path, FALLS) as desk:
        client = desk.futures()
        wire = await user_wire(desk, client)
        await client.create_order(BTC, "market", "buy", 1, None, {"clientOrderId": "entry"})
        assert [told(await wire.hear()) for _ in range(4)] == [
            ("ORDER_TRADE_UPDATE", "NEW", "NEW"),
            ("ACCOUNT_UPDATE",),
            ("TRADE_LITE",),
            ("ORDER_TRADE_UPDATE", "TRADE", "FILLED"),
        ]
        await client.create_order(BTC, "market", "sell", 1, None, GUARD)
        new = await wire.hear()
        assert told(new) == ("ALGO_UPDATE", "NEW")
        assert (new["o"]["caid"], new["o"]["tp"], new["o"]["ai"], new["o"]["R"]) == ("stop", "90", "", True)
        await desk.step(3)
        story = [await wire.hear() for _ in range(7)]
        assert [told(each) for each in story] == [
            ("ALGO_UPDATE", "TRIGGERING"),
            ("ORDER_TRADE_UPDATE", "NEW", "NEW"),
            ("ACCOUNT_UPDATE",),
            ("TRADE_LITE",),
            ("ORDER_TRADE_UPDATE", "TRADE", "FILLED"),
            ("ALGO_UPDATE", "TRIGGERED"),
            ("ALGO_UPDATE", "FINISHED"),
        ]
        trade, finished = story[4]["o"], story[6]["o"]
        assert (trade["c"], trade["o"], trade["rp"], trade["ps"], trade["R"]) == ("stop", "MARKET", "-10", "BOTH", True)
        assert (finished["ai"], finished["ap"], finished["aq"]) == (str(trade["i"]), "90", "1")
        assert story[2]["a"]["P"][0]["pa"] == "0"
        assert trade["T"] == START_MS + 3 * 60_000


async def test_a_stock_client_reads_the_story_of_a_stop_as_two_orders_with_one_client_id(tmp_path):
    async with local_binance(tmp_path, FALLS) as desk:
        client = desk.futures()
        waiting = asyncio.ensure_future(client.watch_orders(BTC))
        await until(lambda: desk.server._streams.listeners(spot=False))
        await client.create_order(BTC, "market", "buy", 1, None, {"clientOrderId": "entry"})
        await soon(waiting)
        await client.create_order(BTC, "market", "sell", 1, None, GUARD)
        await desk.step(3)
        await until(lambda: len(client.orders) == 3 and client.orders[-1]["status"] == "closed")
        mine = {each["id"]: each for each in client.orders if each["clientOrderId"] == "stop"}
        assert len(mine) == 2
        assert {each["status"] for each in mine.values()} == {"closed"}
        assert [each["filled"] for each in mine.values()] == [1, 1]  # counting both would be counting twice


async def test_cancelling_amending_and_expiring_are_told(tmp_path):
    async with local_binance(tmp_path, FALLS) as desk:
        client = desk.futures()
        wire = await user_wire(desk, client)
        made = await client.create_order(BTC, "limit", "buy", 1, 60, {"clientOrderId": "a"})
        await client.edit_order(made["id"], BTC, "limit", "buy", 2, 50)
        await client.cancel_order(made["id"], BTC)
        await client.create_order(BTC, "limit", "buy", 1, 60, {"timeInForce": "IOC"})
        assert [told(await wire.hear()) for _ in range(5)] == [
            ("ORDER_TRADE_UPDATE", "NEW", "NEW"),
            ("ORDER_TRADE_UPDATE", "AMENDMENT", "NEW"),
            ("ORDER_TRADE_UPDATE", "CANCELED", "CANCELED"),
            ("ORDER_TRADE_UPDATE", "NEW", "NEW"),
            ("ORDER_TRADE_UPDATE", "EXPIRED", "EXPIRED"),
        ]
        made = await client.create_order(BTC, "limit", "buy", 1, 90)
        await client.edit_order(made["id"], BTC, "limit", "buy", 1, 101)
        assert [told(each)[1:] for each in [await wire.hear() for _ in range(5)]] == [
            ("NEW", "NEW"),
            ("AMENDMENT", "NEW"),
            (),
            (),
            ("TRADE", "FILLED"),
        ]
        await client.create_order(BTC, "market", "sell", 1, None, GUARD)
        await client.create_order(BTC, "market", "sell", 1, None, GUARD | {"clientOrderId": "second"})
        await client.cancel_order(None, BTC, {"clientOrderId": "second", "trigger": True})
        await client.create_order(BTC, "market", "sell", 2, None, {"reduceOnly": True})
        rest = [await wire.hear() for _ in range(8)]
        assert [told(each) for each in (*rest[:3], rest[-2], rest[-1])] == [
            ("ALGO_UPDATE", "NEW"),
            ("ALGO_UPDATE", "NEW"),
            ("ALGO_UPDATE", "CANCELED"),
            ("ORDER_TRADE_UPDATE", "TRADE", "PARTIALLY_FILLED"),
            ("ORDER_TRADE_UPDATE", "EXPIRED", "EXPIRED"),
        ]
        await desk.step(3)
        last = [await wire.hear() for _ in range(2)]
        assert [told(each) for each in last] == [("ALGO_UPDATE", "TRIGGERING"), ("ALGO_UPDATE", "REJECTED")]
        assert last[-1]["o"]["rm"] == "Reduce Only reject"


async def test_partial_fills_are_told_one_by_one(tmp_path):
    model = FillModel(slippage=D(0), partial_probability=1.0, partial_pieces=2)
    async with local_binance(tmp_path, STILL, model=model) as desk:
        client = desk.futures()
        wire = await user_wire(desk, client)
        made = await client.create_order(BTC, "market", "buy", 1, None, {"clientOrderId": "p"})
        assert (made["status"], made["filled"]) == ("open", 0.5)
        await desk.step()
        trades = [each["o"] for each in [await wire.hear() for _ in range(7)] if told(each)[1:2] == ("TRADE",)]
        assert [(each["X"], each["l"], each["z"]) for each in trades] == [
            ("PARTIALLY_FILLED", "0.5", "0.5"),
            ("FILLED", "0.5", "1"),
        ]
        await desk.control("POST", {"kind": "burst", "pieces": 3})
        await client.create_order(BTC, "market", "sell", 0.9)
        trades = [each["o"] for each in [await wire.hear() for _ in range(10)] if told(each)[1:2] == ("TRADE",)]
        assert [(each["X"], each["z"]) for each in trades] == [
            ("PARTIALLY_FILLED", "0.3"),
            ("PARTIALLY_FILLED", "0.6"),
            ("FILLED", "0.9"),
        ]


async def test_what_somebody_else_does_is_told(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        wire = await user_wire(desk, client)
        await client.create_order(BTC, "market", "buy", 1)
        assert len([await wire.hear() for _ in range(4)]) == 4
        await desk.control("POST", [{"kind": "partial", "pieces": 2}, {"kind": "close_position"}])
        half = [await wire.hear() for _ in range(4)]
        (opened,) = await client.fetch_open_orders(BTC)
        assert (opened["clientOrderId"], opened["filled"]) == ("web_000000000002", 0.5)
        await desk.step()
        rest = [await wire.hear() for _ in range(3)]
        assert [(each["o"]["c"], each["o"]["i"], each["o"]["X"]) for each in (half[-1], rest[-1])] == [
            ("web_000000000002", int(opened["id"]), "PARTIALLY_FILLED"),
            ("web_000000000002", int(opened["id"]), "FILLED"),
        ]
        assert rest[0]["a"]["P"][0]["pa"] == "0"
        await client.create_order(BTC, "market", "buy", 1)
        assert len([await wire.hear() for _ in range(4)]) == 4
        await desk.control("POST", {"kind": "close_position"})
        assert [await wire.hear() for _ in range(4)][-1]["o"]["c"] == "web_000000000004"


async def test_a_listen_key_expires_says_so_once_and_tells_nothing_more(tmp_path):
    async with local_binance(tmp_path, STILL, settings=BinanceSettings(listen_key_seconds=600)) as desk:
        client = desk.futures()
        first = (await client.fapiprivate_post_listenkey())["listenKey"]
        wire = await desk.wire(PRIVATE + first)
        assert (await client.fapiprivate_put_listenkey())["listenKey"] == first
        await client.create_order(BTC, "limit", "buy", 1, 90, {"clientOrderId": "a"})
        assert (await wire.hear())["e"] == "ORDER_TRADE_UPDATE"
        desk.server._keys._lasts_s = 0.05
        await client.fapiprivate_put_listenkey()
        expired = await wire.hear()
        assert (expired["e"], expired["listenKey"]) == ("listenKeyExpired", first)
        with pytest.raises(ccxt.AuthenticationError, match="-1125"):
            await client.fapiprivate_put_listenkey()
        desk.server._keys._lasts_s = 600
        second = (await client.fapiprivate_post_listenkey())["listenKey"]
        assert second != first
        other = await desk.wire(PRIVATE + second)
        await client.cancel_order(None, BTC, {"clientOrderId": "a"})
        assert (await other.hear())["o"]["X"] == "CANCELED"
        assert await wire.quiet()
        await client.fapiprivate_delete_listenkey()
        await client.create_order(BTC, "limit", "buy", 1, 90)
        assert await other.quiet()


async def test_user_streams_can_be_made_to_expire(tmp_path):
    async with local_binance(tmp_path, {BTC: STILL, SPOT: STILL}) as desk:
        futures, spot = desk.futures(), desk.spot()
        wire = await user_wire(desk, futures)
        waiting = asyncio.ensure_future(spot.watch_orders(SPOT))
        await until(lambda: desk.server._streams.listeners(spot=True))
        status, answer = await desk.control("POST", {"kind": "expire_listen_key"})
        assert (status, answer["remarks"]) == (200, ["expire_listen_key: 2 user streams have ended"])
        assert (await wire.hear())["e"] == "listenKeyExpired"
        await until(lambda: not desk.server._streams.listeners(spot=True))
        await futures.create_order(BTC, "limit", "buy", 1, 90)
        assert await wire.quiet()
        waiting.cancel()


async def test_a_stock_futures_client_is_not_told_by_its_library_that_its_listen_key_expired(tmp_path):
    """Why an adapter has to look for `listenKeyExpired` itself."""
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        messages = overhear(client, "handle_message")
        waiting = asyncio.ensure_future(client.watch_orders(BTC))
        await until(lambda: desk.server._streams.listeners(spot=False))
        await desk.control("POST", {"kind": "expire_listen_key"})
        await until(lambda: messages)
        assert messages[-1]["e"] == "listenKeyExpired"
        await client.create_order(BTC, "market", "buy", 1)
        await asyncio.sleep(0.1)
        assert not waiting.done()
        assert len(messages) == 1
        waiting.cancel()
        # the cure: forget the key, close the socket, and watch again
        client.options["linear"] = {}
        for socket in list(client.clients.values()):
            await socket.close()
        waiting = asyncio.ensure_future(client.watch_orders(BTC))
        await until(lambda: desk.server._streams.listeners(spot=False))
        await client.create_order(BTC, "market", "buy", 1, None, {"clientOrderId": "again"})
        assert (await soon(waiting))[-1]["clientOrderId"] == "again"


async def test_a_user_stream_needs_a_key(tmp_path):
    keys = {"key": ApiKey("secret"), "old": ApiKey("o", "expired")}
    async with local_binance(tmp_path, {BTC: STILL, SPOT: STILL}, settings=BinanceSettings(keys=keys)) as desk:
        for config in ({"apiKey": "nobody"}, {"apiKey": "old", "secret": "o"}):
            with pytest.raises(ccxt.AuthenticationError, match="-2015"):
                await soon(desk.futures(options={"fetchCurrencies": False}, **config).watch_orders())
        public = {"fetchCurrencies": False, "fetchMargins": False}
        for config, code in (({"apiKey": "nobody"}, "-2015"), ({"secret": "other"}, "-1022")):
            with pytest.raises(KeyError) as caught:  # ccxt 4.5.90 stumbles over the refusal
                await soon(desk.spot(options=public, **config).watch_orders())
            assert code in str(caught.value.__context__)
        client = desk.futures()
        silent = await desk.wire(PRIVATE + "wrong")
        await client.create_order(BTC, "market", "buy", 1)
        assert await silent.quiet()


async def test_spot_orders_and_balances_are_pushed(tmp_path):
    async with local_binance(tmp_path, {SPOT: FALLS, BTC: FALLS}) as desk:
        client = desk.spot()
        seen = overhear(client, "handle_order_update")
        await client.load_markets()
        orders, trades, balance = [
            asyncio.ensure_future(each)
            for each in (client.watch_orders(SPOT), client.watch_my_trades(SPOT), client.watch_balance())
        ]
        await until(lambda: desk.server._streams.listeners(spot=True))
        await client.create_order(SPOT, "market", "buy", 2, None, {"clientOrderId": "coin"})
        assert (await soon(orders))[-1]["clientOrderId"] == "coin"
        trade = (await soon(trades))[-1]
        assert (trade["symbol"], trade["amount"], trade["cost"]) == (SPOT, 2, 200)
        await soon(balance)
        await until(lambda: client.balance["spot"].get("BTC", {}).get("free", 2) < 2)  # the fee is taken from it
        held = float(client.amount_to_precision(SPOT, client.balance["spot"]["BTC"]["free"]))
        stop = await client.create_order(
            SPOT, "market", "sell", held, None, {"stopLossPrice": 90, "clientOrderId": "s"}
        )
        await client.cancel_order(None, SPOT, {"clientOrderId": "s"})
        await client.create_order(SPOT, "market", "sell", held, None, {"stopLossPrice": 85, "clientOrderId": "t"})
        await desk.step(3)
        await until(lambda: len(seen) == 6)
        assert [(each["x"], each["X"], each["C"] or each["c"]) for each in seen] == [
            ("NEW", "NEW", "coin"),
            ("TRADE", "FILLED", "coin"),
            ("NEW", "NEW", "s"),
            ("CANCELED", "CANCELED", "s"),
            ("NEW", "NEW", "t"),
            ("TRADE", "FILLED", "t"),
        ]
        assert stop["symbol"] == SPOT


async def test_the_request_socket_answers_what_it_knows(tmp_path):
    async with local_binance(tmp_path, {SPOT: STILL}) as desk:
        wire = await desk.wire("wss://ws-api.binance.com/ws-api/v3")
        assert (await wire.ask("ping"))["result"] == {}
        before = desk.server.now_ms()
        assert before <= (await wire.ask("time"))["result"]["serverTime"] <= desk.server.now_ms()
        refused = await wire.ask("order.place", {})
        assert (refused["status"], refused["error"]["code"]) == (400, -1000)
        assert (await wire.ask("userDataStream.subscribe.signature", {}))["error"]["code"] == -2014
        assert (await wire.ask("userDataStream.unsubscribe"))["status"] == 200


def test_a_listen_key_lives_as_long_as_it_is_asked_for():
    now, expired, later = [0.0], [], []
    keys = ListenKeys(60, lambda: now[0], lambda seconds, call: later.append((seconds, call)), expired.append)
    name = keys.make("me")
    assert keys.make("you") != name
    now[0] = 50
    assert keys.make("me") == name
    now[0] = 61
    assert [seconds for seconds, _ in later] == [60, 60, 60]
    later[0][1]()
    assert len(expired) == 1
    assert keys.valid(name)
    assert keys.expire(everything=True) == 1
    assert not keys.valid(name)
    keys.drop("nobody")
