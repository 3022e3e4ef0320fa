"""What a stock ccxt client sees of the local Bybit over REST: the market, orders, stops, the account."""

import asyncio
import math

import ccxt
import pytest

from livebot.simulator.bybit import ApiKey, BybitSettings, gate
from livebot.simulator.matching import FillModel
from tests.simulator.builders import BTC, ETH, START_MS, D, flat, order
from tests.simulator.bybit.desk import local_bybit
from tests.simulator.local_desk import SPOT

STILL = [flat(100.0)] * 40
FALLS = [flat(100.0), flat(100.0), (100.0, 100.0, 80.0, 80.0), flat(80.0), flat(80.0)]
RISES = [flat(100.0), flat(100.0), (100.0, 125.0, 100.0, 120.0), flat(120.0), flat(120.0)]


async def test_a_stock_client_loads_both_markets_and_tells_them_apart(tmp_path):
    async with local_bybit(tmp_path, {BTC: STILL, SPOT: STILL, ETH: STILL}) as desk:
        client = desk.client()
        markets = await client.load_markets()
        assert set(markets) == {BTC, SPOT, ETH}
        swap, spot = markets[BTC], markets[SPOT]
        assert (swap["id"], swap["swap"], swap["linear"], swap["active"]) == ("BTCUSDT", True, True, True)
        assert (spot["id"], spot["spot"]) == ("BTCUSDT", True)
        assert swap["precision"] == {"amount": 0.001, "price": 0.1} | {
            key: swap["precision"][key] for key in swap["precision"] if key not in {"amount", "price"}
        }
        assert swap["limits"]["cost"]["min"] == 5
        tickers = await client.fetch_tickers([BTC, ETH])
        assert tickers[BTC]["last"] == 100
        assert set(tickers) == {BTC, ETH}
        assert (await client.fetch_ticker(SPOT))["symbol"] == SPOT
        assert abs(await client.fetch_time() - client.milliseconds()) < 2000
        assert abs(await client.load_time_difference()) < 2000


async def test_candles_are_newest_first_with_the_forming_one_at_the_head(tmp_path):
    rising = [(float(100 + n), float(101 + n), float(99 + n), float(100.5 + n)) for n in range(40)]
    async with local_bybit(tmp_path, rising) as desk:
        await desk.step(31)
        client = desk.client()
        raw = await desk.raw("market/kline", category="linear", symbol="BTCUSDT", interval="1", limit="3")
        assert [int(row[0]) for row in raw["result"]["list"]] == [START_MS + n * 60_000 for n in (31, 30, 29)]
        assert raw["result"]["list"][0][1:5] == ["131"] * 4
        got = await client.fetch_ohlcv(BTC, "1m", limit=5)
        assert [row[1] for row in got] == [127, 128, 129, 130, 131]
        since = await client.fetch_ohlcv(BTC, "1m", since=START_MS + 60_000, limit=4)
        assert [row[1] for row in since] == [101, 102, 103, 104]
        until = await client.fetch_ohlcv(BTC, "1m", since=START_MS, limit=3, params={"until": START_MS + 5 * 60_000})
        assert [row[1] for row in until] == [103, 104, 105]
        fives = await client.fetch_ohlcv(BTC, "5m", limit=3)
        assert [row[:5] for row in fives] == [
            [START_MS + 20 * 60_000, 120, 125, 119, 124.5],
            [START_MS + 25 * 60_000, 125, 130, 124, 129.5],
            [START_MS + 30 * 60_000, 130, 131, 129, 131],
        ]
        assert len(await client.fetch_ohlcv(BTC, "1m", limit=1000)) == 32
        ticker = await client.fetch_ticker(BTC)
        assert (ticker["last"], ticker["open"]) == (131, 100)
        with pytest.raises(ccxt.ExchangeError, match="Invalid period"):
            await client.public_get_v5_market_kline({"category": "linear", "symbol": "BTCUSDT", "interval": "7"})


async def test_a_gap_of_the_market_is_left_out_of_its_candles(tmp_path):
    async with local_bybit(tmp_path, [flat(100.0), flat(101.0), None, None, flat(104.0), flat(105.0)]) as desk:
        await desk.step(5)
        got = await desk.client().fetch_ohlcv(BTC, "1m", limit=10)
        assert [row[1] for row in got] == [100, 101, 104, 105]


async def test_a_market_order_trades_and_every_list_says_so(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client = desk.client()
        made = await client.create_order(BTC, "market", "buy", 0.5, None, {"clientOrderId": "lbabc-1"})
        assert made["clientOrderId"] == "lbabc-1"
        assert made["status"] is None
        position = (await client.fetch_positions())[0]
        assert (position["symbol"], position["side"], position["contracts"]) == (BTC, "long", 0.5)
        assert (position["entryPrice"], position["leverage"]) == (100, 10)
        closed = await client.fetch_canceled_and_closed_orders(BTC, params={"orderLinkId": "lbabc-1"})
        assert [(each["id"], each["status"], each["filled"], each["average"]) for each in closed] == [
            (made["id"], "closed", 0.5, 100)
        ]
        assert closed[0]["fee"] == {"cost": 0.025, "currency": "USDT"}
        assert (await client.fetch_open_orders(BTC, params={"orderLinkId": "lbabc-1"}))[0]["status"] == "closed"
        assert await client.fetch_open_orders(BTC) == []
        got = await client.fetch_order(made["id"], BTC, {"acknowledged": True})
        assert (got["status"], got["remaining"], got["type"]) == ("closed", 0, "market")
        trades = await client.fetch_my_trades(BTC)
        assert [(each["order"], each["price"], each["amount"], each["symbol"]) for each in trades] == [
            (made["id"], 100, 0.5, BTC)
        ]
        assert trades[0]["fee"] == {"cost": 0.025, "currency": "USDT", "rate": 0.0005}
        assert trades[0]["takerOrMaker"] == "taker"
        assert (await client.fetch_my_trades(BTC, params={"orderLinkId": "nobody"})) == []
        balance = await client.fetch_balance()
        assert balance["USDT"]["total"] == 9_999.975
        assert balance["USDT"]["used"] == 5
        assert (await client.fetch_position(BTC))["contracts"] == 0.5
        await client.create_order(BTC, "market", "sell", 2, None, {"reduceOnly": True})
        assert await client.fetch_positions() == []
        raw = await client.private_get_v5_execution_list({"category": "linear"})
        assert [each["closedSize"] for each in raw["result"]["list"]] == ["0.5", "0"]


async def test_limit_orders_rest_fill_as_the_maker_are_amended_and_cancelled(tmp_path):
    async with local_bybit(tmp_path, FALLS) as desk:
        client = desk.client()
        await client.create_order(BTC, "limit", "buy", 0.5, 90, {"clientOrderId": "a"})
        await client.create_order(BTC, "limit", "buy", 0.5, 70, {"clientOrderId": "b", "postOnly": True})
        await client.edit_order("", BTC, "limit", "buy", 0.7, 85, {"clientOrderId": "a"})
        opened = await client.fetch_open_orders(BTC)
        assert [(each["clientOrderId"], each["price"], each["amount"], each["status"]) for each in opened] == [
            ("b", 70, 0.5, "open"),
            ("a", 85, 0.7, "open"),
        ]
        assert (await client.fetch_balance())["USDT"]["used"] == 9.45
        await desk.step(3)
        trade = (await client.fetch_my_trades(BTC))[0]
        assert (trade["price"], trade["amount"], trade["takerOrMaker"]) == (85, 0.7, "maker")
        await client.cancel_order("", BTC, {"orderLinkId": "b"})
        assert [each["status"] for each in await client.fetch_canceled_orders(BTC)] == ["canceled"]
        with pytest.raises(ccxt.OrderNotFound, match="110001"):
            await client.cancel_order("", BTC, {"orderLinkId": "b"})
        with pytest.raises(ccxt.OrderNotFound, match="too late to replace"):
            await client.edit_order("", BTC, "limit", "buy", 1, 60, {"clientOrderId": "b"})
        for name in "cde":
            await client.create_order(BTC, "limit", "buy", 0.5, 60, {"clientOrderId": name})
        page = await client.private_get_v5_order_realtime({"category": "linear", "settleCoin": "USDT", "limit": 2})
        assert [each["orderLinkId"] for each in page["result"]["list"]] == ["e", "d"]
        rest = await client.private_get_v5_order_realtime(
            {"category": "linear", "settleCoin": "USDT", "limit": 2, "cursor": page["result"]["nextPageCursor"]}
        )
        assert [each["orderLinkId"] for each in rest["result"]["list"]] == ["c"]
        assert len(await client.cancel_all_orders(BTC)) == 3


async def test_a_post_only_order_that_would_trade_is_accepted_and_cancelled(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client = desk.client()
        made = await client.create_order(BTC, "limit", "buy", 0.5, 101, {"postOnly": True, "clientOrderId": "p"})
        got = await client.fetch_order(made["id"], BTC, {"acknowledged": True})
        assert (got["status"], got["info"]["rejectReason"]) == ("canceled", "EC_PostOnlyWillTakeLiquidity")
        with pytest.raises(ccxt.InvalidOrder, match="110072"):
            await client.create_order(BTC, "market", "buy", 0.5, None, {"clientOrderId": "p"})
        made = await client.create_order(BTC, "limit", "buy", 0.5, 99, {"timeInForce": "IOC"})
        assert (await client.fetch_order(made["id"], BTC, {"acknowledged": True}))["status"] == "canceled"


REFUSALS = [
    ((BTC, "market", "buy", 5_000), ccxt.InsufficientFunds, "110007"),
    ((BTC, "market", "buy", 0.01), ccxt.InvalidOrder, "110094"),
    ((BTC, "market", "sell", 1, None, {"reduceOnly": True}), ccxt.InvalidOrder, "110017"),
    ((BTC, "market", "buy", 0, None, {"reduceOnly": True, "qty": "0"}), ccxt.InvalidOrder, "110017"),
    ((BTC, "market", "buy", 1, None, {"clientOrderId": "used"}), ccxt.InvalidOrder, "110072"),
    ((BTC, "market", "buy", 1, None, {"positionIdx": 1}), ccxt.BadRequest, "position idx not match"),
    ((BTC, "market", "buy", 1, None, {"qty": "1.00001"}), ccxt.BadRequest, "Qty invalid"),
    ((BTC, "market", "buy", 1, None, {"qty": "many"}), ccxt.BadRequest, "qty invalid"),
    ((BTC, "market", "buy", 1, None, {"qty": "-1"}), ccxt.BadRequest, "qty invalid"),
    ((BTC, "market", "buy", 1, None, {"qty": ""}), ccxt.BadRequest, "Qty invalid"),
    ((BTC, "market", "buy", 1, None, {"qty": "0"}), ccxt.BadRequest, "Qty invalid"),
    ((BTC, "limit", "buy", 1, 99, {"price": "0"}), ccxt.BadRequest, "Price invalid"),
    ((BTC, "limit", "buy", 1, 99, {"price": "99.01"}), ccxt.BadRequest, "Price invalid"),
    ((BTC, "limit", "buy", 1, 99, {"timeInForce": "FOK"}), ccxt.BadRequest, "not offered"),
    ((BTC, "market", "buy", 1, None, {"side": "Both"}), ccxt.BadRequest, "Side invalid"),
    ((BTC, "market", "buy", 1, None, {"orderType": "Stop"}), ccxt.BadRequest, "OrderType invalid"),
    ((BTC, "market", "buy", 1, None, {"clientOrderId": "a b"}), ccxt.BadRequest, "orderLinkId"),
    ((BTC, "market", "buy", 1, None, {"symbol": "NOUSDT"}), ccxt.BadSymbol, "Not supported symbols"),
    ((BTC, "market", "buy", 1, None, {"symbol": ""}), ccxt.BadRequest, "symbol invalid"),
    ((BTC, "market", "buy", 1, None, {"category": "what"}), ccxt.BadRequest, "Illegal category"),
    ((BTC, "market", "buy", 1, None, {"stopLoss": 101}), ccxt.BadRequest, "should lower than base_price"),
    ((BTC, "market", "sell", 1, None, {"takeProfit": 101}), ccxt.BadRequest, "should lower than base_price"),
    ((BTC, "market", "sell", 1, None, {"stopLoss": {"triggerPrice": 99}}), ccxt.BadRequest, "should higher than"),
    ((BTC, "market", "buy", 1, None, {"stopLoss": {"triggerPrice": 90, "price": 89}}), ccxt.BadRequest, "offered"),
    (
        (BTC, "market", "sell", 1, None, {"triggerPrice": 99, "triggerDirection": "above"}),
        ccxt.InvalidOrder,
        "110092",
    ),
    (
        (BTC, "market", "sell", 1, None, {"triggerPrice": 101, "triggerDirection": "below"}),
        ccxt.InvalidOrder,
        "110093",
    ),
    ((BTC, "limit", "sell", 1, 98, {"triggerPrice": 99, "triggerDirection": "below"}), ccxt.BadRequest, "offered"),
    ((SPOT, "market", "sell", 1), ccxt.InsufficientFunds, "170131"),
    ((SPOT, "limit", "buy", 500, 99), ccxt.InsufficientFunds, "170131"),
    ((SPOT, "market", "buy", 1, None, {"qty": "0"}), ccxt.InvalidOrder, "170136"),
    ((SPOT, "limit", "buy", 0.01, 99), ccxt.InvalidOrder, "170140"),
]


async def test_a_refusal_has_the_venue_s_code(tmp_path):
    settings = BybitSettings(rates={("/v5/order/create", "linear"): 1_000, ("/v5/order/create", "spot"): 1_000})
    async with local_bybit(tmp_path, {BTC: STILL, SPOT: STILL}, settings=settings) as desk:
        client = desk.client()
        await client.create_order(BTC, "limit", "buy", 1, 50, {"clientOrderId": "used"})
        for arguments, error, code in REFUSALS:
            with pytest.raises(error, match=code):
                await client.create_order(*arguments)
        assert len(await client.fetch_open_orders(BTC)) == 1
        assert await client.fetch_positions() == []


async def test_a_trigger_without_a_direction_and_an_order_without_a_name_are_refused(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client = desk.client()
        raw = {"category": "linear", "symbol": "BTCUSDT"}
        full = raw | {"side": "Buy", "orderType": "Market", "qty": "1", "triggerPrice": "110"}
        with pytest.raises(ccxt.BadRequest, match="TriggerDirection"):
            await client.private_post_v5_order_create(full)
        with pytest.raises(ccxt.BadRequest, match="is required"):
            await client.private_post_v5_order_cancel(raw)
        with pytest.raises(ccxt.BadRequest, match="limit invalid"):
            await client.private_get_v5_order_realtime(raw | {"limit": "x"})
        with pytest.raises(ccxt.BadRequest, match="start invalid"):
            await client.public_get_v5_market_kline(raw | {"interval": "1", "start": "x"})
        with pytest.raises(ccxt.BadRequest, match="Illegal category"):
            await client.private_get_v5_position_list({"category": "spot"})


async def test_the_stop_that_comes_with_an_entry_rests_follows_and_closes_the_position(tmp_path):
    async with local_bybit(tmp_path, FALLS) as desk:
        client = desk.client()
        attached = {"stopLoss": {"triggerPrice": 90}, "takeProfit": {"triggerPrice": 120}, "clientOrderId": "entry"}
        await client.create_order(BTC, "market", "buy", 1, None, attached)
        await client.create_order(BTC, "market", "buy", 0.5)
        stops = {each["info"]["stopOrderType"]: each for each in await client.fetch_open_orders(BTC)}
        assert {name: (each["triggerPrice"], each["amount"]) for name, each in stops.items()} == {
            "StopLoss": (90, 1.5),
            "TakeProfit": (120, 1.5),
        }
        stop = stops["StopLoss"]
        assert (stop["reduceOnly"], stop["side"], stop["status"], stop["clientOrderId"]) == (True, "sell", "open", None)
        assert (stop["info"]["orderStatus"], stop["info"]["closeOnTrigger"]) == ("Untriggered", True)
        assert stop["info"]["triggerDirection"] == 2
        position = await client.fetch_position(BTC)
        assert (position["stopLossPrice"], position["takeProfitPrice"]) == (90, 120)
        move = {"stopLossPrice": 95, "tradingStopEndpoint": True}
        await client.create_order(BTC, "market", "sell", 0, None, move)
        assert (await client.fetch_position(BTC))["stopLossPrice"] == 95
        with pytest.raises(ccxt.ExchangeError, match="34040"):
            await client.create_order(BTC, "market", "sell", 0, None, move)
        await client.create_order(BTC, "market", "sell", 0.5, None, {"reduceOnly": True})
        (stop,) = await client.fetch_open_orders(BTC, params={"orderId": stop["id"]})
        assert (stop["amount"], stop["triggerPrice"]) == (1, 95)
        await desk.step(3)
        assert await client.fetch_positions() == []
        assert await client.fetch_open_orders(BTC) == []
        history = {each["info"]["stopOrderType"]: each for each in await client.fetch_canceled_and_closed_orders(BTC)}
        assert (history["StopLoss"]["status"], history["StopLoss"]["average"]) == ("closed", 95)
        taken = history["TakeProfit"]["info"]
        assert (taken["orderStatus"], taken["cancelType"]) == ("Deactivated", "CancelByTpSlTsClear")


async def test_a_take_profit_closes_the_position_and_the_stop_goes_with_it(tmp_path):
    async with local_bybit(tmp_path, RISES) as desk:
        client = desk.client()
        await client.create_order(
            BTC, "limit", "buy", 1, 99, {"stopLoss": {"triggerPrice": 90}, "takeProfit": {"triggerPrice": 120}}
        )
        (waiting,) = await client.fetch_open_orders(BTC)
        assert (waiting["stopLossPrice"], waiting["takeProfitPrice"]) == (90, 120)
        await client.edit_order(waiting["id"], BTC, "limit", "buy", 1, 100, {"stopLoss": "91"})
        stops = await client.fetch_open_orders(BTC)
        assert sorted(each["triggerPrice"] for each in stops) == [91, 120]
        await desk.step(3)
        assert await client.fetch_positions() == []
        assert await client.fetch_open_orders(BTC) == []
        assert (await client.fetch_my_trades(BTC))[-1]["price"] == 120


async def test_cancelling_a_stop_takes_it_from_the_position_and_amending_it_moves_it(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client = desk.client()
        await client.create_order(BTC, "market", "sell", 1, None, {"stopLoss": {"triggerPrice": 110}})
        (stop,) = await client.fetch_open_orders(BTC)
        await client.edit_order(stop["id"], BTC, "market", "buy", None, None, {"stopLossPrice": 105})
        assert (await client.fetch_position(BTC))["stopLossPrice"] == 105
        await client.cancel_order(stop["id"], BTC)
        assert (await client.fetch_position(BTC))["stopLossPrice"] is None
        assert await client.fetch_open_orders(BTC) == []
        await client.private_post_v5_position_trading_stop(
            {"category": "linear", "symbol": "BTCUSDT", "tpslMode": "Full", "takeProfit": "90", "positionIdx": 0}
        )
        assert (await client.fetch_position(BTC))["takeProfitPrice"] == 90
        await client.private_post_v5_position_trading_stop(
            {"category": "linear", "symbol": "BTCUSDT", "tpslMode": "Full", "takeProfit": "0", "positionIdx": 0}
        )
        assert await client.fetch_open_orders(BTC) == []


async def test_partial_stops_cover_a_fixed_quantity_and_take_from_each_other(tmp_path):
    falls_then_rises = [flat(100.0), (100.0, 100.0, 80.0, 80.0), (80.0, 125.0, 80.0, 125.0), flat(125.0), flat(125.0)]
    async with local_bybit(tmp_path, falls_then_rises) as desk:
        client = desk.client()
        await client.create_order(BTC, "market", "buy", 2)
        await client.create_order(
            BTC, "market", "buy", 1, None, {"stopLoss": {"triggerPrice": 90}, "takeProfit": 120, "tpslMode": "Partial"}
        )
        await client.create_order(BTC, "market", "sell", 0.5, None, {"stopLossPrice": 70, "tradingStopEndpoint": True})
        stops = await client.fetch_open_orders(BTC)
        assert sorted((each["info"]["stopOrderType"], each["amount"]) for each in stops) == [
            ("PartialStopLoss", 0.5),
            ("PartialStopLoss", 1),
            ("PartialTakeProfit", 1),
        ]
        assert (await client.fetch_position(BTC))["info"]["tpslMode"] == "Partial"
        await desk.step(3)
        assert (await client.fetch_position(BTC))["contracts"] == 2
        assert [each["amount"] for each in await client.fetch_open_orders(BTC)] == [0.5]


async def test_a_stop_the_price_has_jumped_over_is_traded_at_once(tmp_path):
    gap = [flat(100.0), (100.0, 100.0, 100.0, 100.0), (98.0, 98.0, 97.0, 97.0), flat(80.0), flat(80.0)]
    async with local_bybit(tmp_path, gap) as desk:
        client = desk.client()
        await client.create_order(BTC, "limit", "buy", 1, 97, {"stopLoss": {"triggerPrice": 90}})
        await desk.step(3)
        assert await client.fetch_positions() == []
        assert [each["price"] for each in await client.fetch_my_trades(BTC)] == [97, 80]


async def test_conditional_orders_of_both_kinds_wait_and_trade(tmp_path):
    async with local_bybit(tmp_path, RISES) as desk:
        client = desk.client()
        await client.create_order(BTC, "market", "buy", 1, None, {"triggerPrice": 110, "triggerDirection": "above"})
        (waiting,) = await client.fetch_open_orders(BTC)
        assert (waiting["info"]["stopOrderType"], waiting["triggerPrice"]) == ("Stop", 110)
        await client.edit_order(waiting["id"], BTC, "market", "buy", 2, None, {"triggerPrice": 105})
        await desk.step(3)
        assert (await client.fetch_position(BTC))["entryPrice"] == 105
        await client.create_order(BTC, "market", "sell", 1, None, {"stopLossPrice": 90})
        await client.create_order(BTC, "market", "sell", 1, None, {"takeProfitPrice": 130})
        opened = await client.fetch_open_orders(BTC)
        assert [(each["stopLossPrice"], each["takeProfitPrice"]) for each in opened] == [(None, 130), (90, None)]
        assert await client.fetch_open_orders(BTC, params={"orderFilter": "Order"}) == []
        assert len(await client.fetch_open_orders(BTC, params={"trigger": True})) == 2
        with pytest.raises(ccxt.BadRequest, match="remains unchanged"):
            await client.edit_order(opened[0]["id"], BTC, "market", "sell", 1)
        await client.cancel_order(opened[0]["id"], BTC)
        ended = await client.fetch_canceled_and_closed_orders(BTC, params={"orderId": opened[0]["id"]})
        assert (ended[0]["status"], ended[0]["info"]["orderStatus"]) == ("canceled", "Deactivated")


async def test_a_position_that_turns_loses_its_stops(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client = desk.client()
        await client.create_order(BTC, "market", "buy", 1, None, {"stopLoss": 90})
        await client.create_order(BTC, "market", "sell", 3, None, {"stopLoss": 110})
        (stop,) = await client.fetch_open_orders(BTC)
        assert (stop["side"], stop["amount"], stop["triggerPrice"]) == ("buy", 2, 110)


async def test_what_trading_stop_cannot_do_is_refused(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client = desk.client()
        raw = {"category": "linear", "symbol": "BTCUSDT", "tpslMode": "Full"}
        for extra, text in (
            ({"stopLoss": "90"}, "zero position"),
            ({"trailingStop": "5"}, "trailing stops"),
            ({"stopLoss": "90.01"}, "StopLoss invalid"),
        ):
            with pytest.raises(ccxt.BadRequest, match=text):
                await client.private_post_v5_position_trading_stop(raw | extra)
            if not await client.fetch_positions():
                await client.create_order(BTC, "market", "buy", 1)


async def test_spot_trades_coins_and_the_wallet_shows_them(tmp_path):
    async with local_bybit(tmp_path, {BTC: RISES, SPOT: RISES}) as desk:
        client = desk.client()
        await client.create_order(SPOT, "market", "buy", 2)
        await client.create_order(SPOT, "market", "buy", 1, None, {"cost": 100})
        await client.create_order(SPOT, "limit", "buy", 1, 99, {"clientOrderId": "s"})
        await client.create_order(BTC, "market", "buy", 1)
        balance = await client.fetch_balance()
        # fees of purchases are taken from what was bought
        assert (balance["BTC"]["total"], balance["USDT"]["total"]) == (2.9985, 9_699.95)
        assert balance["USDT"]["used"] == 109
        assert [each["symbol"] for each in await client.fetch_positions()] == [BTC]
        (opened,) = await client.fetch_open_orders(SPOT)
        assert (opened["symbol"], opened["clientOrderId"], opened["amount"]) == (SPOT, "s", 1)
        await client.cancel_order("", SPOT, {"orderLinkId": "s"})
        with pytest.raises(ccxt.OrderNotFound, match="170213"):
            await client.cancel_order("", SPOT, {"orderLinkId": "s"})
        trades = await client.fetch_my_trades(SPOT)
        assert {each["symbol"] for each in trades} == {SPOT}
        assert trades[0]["id"].isdigit()
        bought = await client.fetch_closed_orders(SPOT)
        assert sorted((each["amount"], each["filled"]) for each in bought) == [(1, 1), (2, 2)]
        await client.create_order(SPOT, "market", "sell", 1, None, {"stopLossPrice": 90})
        await client.create_order(
            SPOT, "limit", "buy", 1, 100, {"stopLoss": {"triggerPrice": 90}, "takeProfit": {"triggerPrice": 120}}
        )
        stops = await client.fetch_open_orders(SPOT, params={"trigger": True})
        assert sorted((each["triggerPrice"], each["amount"]) for each in stops) == [(90, 1), (90, 1), (120, 1)]
        await desk.step(3)
        assert [each["triggerPrice"] for each in await client.fetch_open_orders(SPOT)] == [90]
        assert (await client.fetch_balance())["BTC"]["total"] == pytest.approx(2.998)


async def test_keys_windows_and_signatures_are_checked(tmp_path):
    keys = {"key": ApiKey("secret"), "reader": ApiKey("r", "read_only"), "old": ApiKey("o", "expired")}
    async with local_bybit(tmp_path, STILL, settings=BybitSettings(keys=keys)) as desk:
        for config, error, code in (
            ({"apiKey": "nobody"}, ccxt.AuthenticationError, "10003"),
            ({"secret": "other"}, ccxt.AuthenticationError, "10004"),
            ({"apiKey": "old", "secret": "o"}, ccxt.AuthenticationError, "33004"),
        ):
            with pytest.raises(error, match=code):
                await desk.client(**config).fetch_balance()
        reader = desk.client(apiKey="reader", secret="r")
        assert (await reader.fetch_balance())["USDT"]["total"] == 10_000
        with pytest.raises(ccxt.PermissionDenied, match="10005"):
            await reader.create_order(BTC, "market", "buy", 1)
        assert (await reader.private_get_v5_user_query_api())["result"]["readOnly"] == 1
        client = desk.client()
        await client.load_markets()
        desk.server.faults.skew_ms = 20_000
        with pytest.raises(ccxt.InvalidNonce, match="10002"):
            await client.fetch_balance()
        desk.server.faults.skew_ms = -2_000
        with pytest.raises(ccxt.InvalidNonce, match="10002"):
            await client.fetch_balance()
        await client.load_time_difference()
        client.options["timeDifference"] += 500
        assert (await client.fetch_balance())["USDT"]["total"] == 10_000
        async with desk.session().get("https://api.bybit.com/v5/account/info") as answer:
            assert (await answer.json())["retCode"] == 10001
        async with desk.session().post("https://api.bybit.com/v5/order/create", data="{") as answer:
            assert "not JSON" in (await answer.json())["retMsg"]
        async with desk.session().post("https://api.bybit.com/v5/order/create", data="[]") as answer:
            assert "not an object" in (await answer.json())["retMsg"]
        async with desk.session().get("https://api.bybit.com/v5/nothing") as answer:
            assert (answer.status, (await answer.json())["retCode"]) == (404, 10017)


async def test_too_many_requests_are_refused_with_the_venue_s_code_and_headers(tmp_path, monkeypatch):
    """All at one moment of the limits, however long it takes: they forget what is older than a second."""
    count = gate._count
    monkeypatch.setattr(gate, "_count", lambda window, now, seconds, most: count(window, 0.0, seconds, most))
    settings = BybitSettings(requests_per_five_seconds=40, rates={("/v5/order/create", "linear"): 3})
    async with local_bybit(tmp_path, STILL, settings=settings) as desk:
        client = desk.client()
        await client.load_markets()
        for left in "210":
            await client.create_order(BTC, "limit", "buy", 1, 90)
            assert client.last_response_headers["X-Bapi-Limit-Status"] == left
        with pytest.raises(ccxt.RateLimitExceeded, match="10006"):
            await client.create_order(BTC, "limit", "buy", 1, 90)
        calls = await asyncio.gather(*(client.fetch_time() for _ in range(40)), return_exceptions=True)
        banned = [each for each in calls if isinstance(each, ccxt.RateLimitExceeded)]
        assert len(banned) > 1
        assert "403" in str(banned[0])


async def test_position_mode_and_leverage_are_what_the_account_has(tmp_path):
    async with local_bybit(tmp_path, STILL, settings=BybitSettings(position_mode=3)) as desk:
        client = desk.client()
        with pytest.raises(ccxt.BadRequest, match="position idx not match"):
            await client.create_order(BTC, "market", "buy", 1)
        await client.set_position_mode(False, BTC)
        with pytest.raises(ccxt.NoChange, match="110025"):
            await client.set_position_mode(False, BTC)
        with pytest.raises(ccxt.BadRequest, match="hedge mode"):
            await client.set_position_mode(True, BTC)
        await client.create_order(BTC, "market", "buy", 1)
        with pytest.raises(ccxt.BadRequest, match="110043"):
            await client.set_leverage(10, BTC)
        with pytest.raises(ccxt.BadRequest, match="cannot be changed"):
            await client.set_leverage(20, BTC)
        assert (await client.fetch_trading_fee(BTC))["taker"] == 0.0005


async def test_what_somebody_else_does_in_the_account_is_seen(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client, venue = desk.client(), desk.venue
        await client.create_order(BTC, "market", "buy", 1, None, {"stopLoss": 90})
        venue.place_by_hand(order("hand-1", "buy", "1", limit="80"), venue.now_ms)
        venue.place_by_hand(order("hand-2", "buy", "1", stop="130"), venue.now_ms, anonymous=False)
        opened = await client.fetch_open_orders(BTC)
        assert {(each["clientOrderId"], each["info"]["stopOrderType"]) for each in opened} == {
            (None, ""), ("hand-2", "Stop"), (None, "StopLoss")
        }  # fmt: skip
        venue.place_by_hand(order("hand-3", "buy", "1"), venue.now_ms, anonymous=False)
        assert (await client.fetch_position(BTC))["contracts"] == 2
        venue.close_by_hand(BTC, venue.now_ms)
        await asyncio.sleep(0)
        assert await client.fetch_positions() == []
        assert {each["info"]["stopOrderType"] for each in await client.fetch_open_orders(BTC)} == {"Stop", ""}
        trades = await client.fetch_my_trades(BTC)
        assert sorted((each["side"], each["amount"]) for each in trades) == [("buy", 1), ("buy", 1), ("sell", 2)]


async def test_an_exchange_that_is_started_again_has_its_orders_positions_and_stops(tmp_path):
    memory = tmp_path / "venue"
    async with local_bybit(tmp_path, FALLS, memory=memory) as desk:
        client = desk.client()
        await client.create_order(BTC, "market", "buy", 1, None, {"stopLoss": 90, "takeProfit": 130})
        await client.create_order(BTC, "limit", "buy", 1, 70, {"clientOrderId": "rest"})
        before = {each["id"] for each in await client.fetch_open_orders(BTC)}
    async with local_bybit(tmp_path, FALLS, memory=memory) as desk:
        client = desk.client()
        opened = await client.fetch_open_orders(BTC)
        assert {each["id"] for each in opened} == before
        position = await client.fetch_position(BTC)
        assert (position["contracts"], position["stopLossPrice"], position["takeProfitPrice"]) == (1, 90, 130)
        await desk.step(3)
        assert await client.fetch_positions() == []
        assert [each["clientOrderId"] for each in await client.fetch_open_orders(BTC)] == ["rest"]


async def test_fills_in_pieces_are_told_one_by_one_and_the_stop_grows_with_them(tmp_path):
    pieces = FillModel(slippage=D(0), partial_probability=1.0, partial_pieces=2)
    async with local_bybit(tmp_path, STILL, model=pieces) as desk:
        client = desk.client()
        made = await client.create_order(BTC, "market", "buy", 1, None, {"stopLoss": 90})
        got = await client.fetch_order(made["id"], BTC, {"acknowledged": True})
        assert (got["status"], got["filled"], got["remaining"]) == ("open", 0.5, 0.5)
        (stop,) = await client.fetch_open_orders(BTC, params={"trigger": True})
        assert stop["amount"] == 0.5
        await desk.step()
        (stop,) = await client.fetch_open_orders(BTC, params={"trigger": True})
        assert stop["amount"] == 1
        assert len(await client.fetch_my_trades(BTC)) == 2
        assert math.isclose((await client.fetch_balance())["USDT"]["total"], 9_999.95)


async def test_a_partial_stop_grows_with_the_fills_of_its_entry_and_trades_in_pieces_too(tmp_path):
    pieces = FillModel(slippage=D(0), partial_probability=1.0, partial_pieces=2)
    falls = [flat(100.0), flat(100.0), (100.0, 100.0, 80.0, 80.0), flat(80.0), flat(80.0), flat(80.0)]
    async with local_bybit(tmp_path, falls, model=pieces) as desk:
        client = desk.client()
        await client.create_order(BTC, "market", "buy", 1, None, {"stopLoss": 90, "tpslMode": "Partial"})
        (stop,) = await client.fetch_open_orders(BTC, params={"trigger": True})
        assert stop["amount"] == 0.5
        await desk.step(2)
        (stop,) = await client.fetch_open_orders(BTC, params={"trigger": True})
        assert stop["amount"] == 1
        await desk.step()
        assert (await client.fetch_position(BTC))["contracts"] == 0.5
        await client.create_order(BTC, "market", "buy", 1)
        await desk.step()
        position = await client.fetch_position(BTC)
        assert position["contracts"] == 1
        assert await client.fetch_open_orders(BTC) == []
