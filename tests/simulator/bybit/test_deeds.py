"""What a stock client sees when orders fill in pieces, a symbol is delisted, and somebody closes a position by hand."""

import asyncio
from decimal import Decimal

import ccxt
import pytest

from livebot.simulator.bybit import ApiKey, BybitSettings, Fault
from livebot.simulator.memory import VenueMemory
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.simulator.binance.desk import local_binance
from tests.simulator.builders import BTC, ETH, EXACT, flat
from tests.simulator.bybit.desk import local_bybit
from tests.simulator.local_desk import TwoMarkets, soon, until

STILL = {BTC: [flat(100.0)] * 10, ETH: [flat(10.0)] * 10}


async def test_an_order_fills_in_pieces_a_minute_apart(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client = desk.client()
        await desk.control("POST", {"kind": "partial", "symbols": [BTC], "pieces": 3})
        await client.create_order(ETH, "market", "buy", 3, None, {"clientOrderId": "other"})
        await client.create_order(BTC, "market", "buy", 3, None, {"clientOrderId": "pieces"})
        await client.create_order(BTC, "market", "buy", 1, None, {"clientOrderId": "whole"})
        (order,) = await client.fetch_open_orders(BTC, params={"orderLinkId": "pieces"})
        assert (order["status"], order["filled"], order["remaining"]) == ("open", 1, 2)
        await desk.step(2)
        trades = await client.fetch_my_trades(BTC, params={"orderLinkId": "pieces"})
        assert [trade["amount"] for trade in trades] == [1, 1, 1]
        assert len({trade["timestamp"] for trade in trades}) == 3
        assert [each["clientOrderId"] for each in await client.fetch_open_orders(BTC)] == []
        assert (await desk.control("GET"))[1]["struck"] == {"partial": 1}


@pytest.mark.parametrize("opened", [local_bybit, local_binance])
async def test_a_fault_for_a_symbol_that_is_not_there_is_refused_and_none_of_its_fellows_armed(tmp_path, opened):
    async with opened(tmp_path, STILL) as desk:
        two = [{"kind": "drop"}, {"kind": "freeze", "symbols": ["FOO/USDT:USDT"], "seconds": 5}]
        assert await desk.control("POST", two) == (400, {"error": "this exchange does not trade FOO/USDT:USDT"})
        assert (await desk.control("GET"))[1]["armed"] == []
        named = {"kind": "freeze", "symbols": ["BTCUSDT", ETH], "seconds": 5}
        assert (await desk.control("POST", named))[0] == 200


async def test_an_order_fills_in_many_pieces_at_once_and_each_is_told(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client = desk.client()
        await client.load_markets()
        watching = asyncio.ensure_future(client.watch_my_trades(BTC))
        await until(lambda: "execution" in desk.server._streams.wanted("private"))
        desk.server.faults.arm(Fault(kind="burst", symbols=("BTCUSDT",), pieces=5))
        await client.create_order(BTC, "market", "sell", 1, None, {"stopLoss": {"triggerPrice": 120}})
        await soon(watching)
        trades = list(client.myTrades)  # all came before anybody could ask again
        assert [trade["amount"] for trade in trades] == [0.2] * 5
        assert len({trade["timestamp"] for trade in trades}) == 1
        (stop,) = await client.fetch_open_orders(BTC)
        assert (stop["amount"], stop["triggerPrice"]) == (1, 120)


async def test_a_resting_order_bursts_when_its_price_comes(tmp_path):
    async with local_bybit(tmp_path, {BTC: [flat(100.0), (100.0, 100.0, 90.0, 95.0), flat(95.0)]}) as desk:
        client = desk.client()
        desk.server.faults.arm(Fault(kind="burst", pieces=4))
        await client.create_order(BTC, "limit", "buy", 1, 91)
        await desk.step(2)
        assert [trade["amount"] for trade in await client.fetch_my_trades(BTC)] == [0.25] * 4


async def test_what_was_to_fill_in_pieces_still_does_after_the_exchange_was_killed(tmp_path):
    async with local_bybit(tmp_path, STILL, memory=tmp_path / "memory") as desk:
        desk.server.faults.arm(Fault(kind="partial", pieces=3))
        await desk.client().create_order(BTC, "market", "buy", 3, None, {"clientOrderId": "pieces"})
    # the log holds the order: it is carried out again as it was, not as the fill model has it
    venue = SimulatedVenue(TwoMarkets(STILL), VenueSettings(fills=EXACT), VenueMemory(tmp_path / "memory"))
    assert [position.quantity for position in venue.positions()] == [1]
    venue.step()
    venue.step()
    assert [position.quantity for position in venue.positions()] == [3]
    venue.close()


async def test_a_delisted_symbol_is_gone_until_it_is_listed_again(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client = desk.client()
        await client.load_markets()
        await client.watch_ohlcv(BTC)
        await client.create_order(BTC, "market", "buy", 1, None, {"stopLoss": {"triggerPrice": 80}})
        await client.create_order(BTC, "limit", "buy", 1, 90)
        await client.create_order(ETH, "limit", "buy", 1, 9)
        assert (await desk.control("POST", {"kind": "delist", "symbols": ["BTCUSDT"]}))[0] == 200
        assert await client.fetch_positions() == []
        assert [each["symbol"] for each in await client.fetch_open_orders(None, params={"settleCoin": "USDT"})] == [ETH]
        await desk.step()  # somebody still follows its candles
        with pytest.raises(ccxt.BadRequest):
            await client.create_order(BTC, "limit", "buy", 1, 90)
        assert BTC not in await client.load_markets(reload=True)
        await desk.control("DELETE")
        assert BTC in await client.load_markets(reload=True)
        await client.create_order(BTC, "limit", "buy", 1, 90)


async def test_somebody_closes_positions_by_hand(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client = desk.client()
        await client.create_order(BTC, "market", "buy", 1, None, {"stopLoss": {"triggerPrice": 80}})
        await client.create_order(ETH, "market", "sell", 2)
        assert (await desk.control("POST", {"kind": "close_position", "symbols": [BTC]}))[0] == 200
        assert [each["symbol"] for each in await client.fetch_positions()] == [ETH]
        assert await client.fetch_open_orders(BTC) == []
        (own, other) = await client.fetch_my_trades(BTC)
        assert (own["side"], other["side"], other["amount"]) == ("buy", "sell", 1)
        await desk.control("POST", {"kind": "close_position"})
        assert await client.fetch_positions() == []


async def test_what_bybit_lacks_is_said(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        status, answer = await desk.control("POST", {"kind": "expire_listen_key"})
        assert (status, answer["struck"]) == (200, {"expire_listen_key": 1})
        assert "no listen key" in answer["remarks"][0]
        for kind in ("delist", "close_position"):
            status, answer = await desk.control("POST", {"kind": kind, "symbols": ["XRPUSDT"]})
            assert (status, "does not trade XRPUSDT" in answer["error"]) == (400, True)


async def test_a_ban_says_how_long_it_lasts_unless_it_is_bybits_own(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        session = desk.session()
        for status, tells in ((429, True), (418, True), (403, False)):
            desk.server.faults.arm(Fault(kind="ban", seconds=59.2, status=status))
            told = []
            for _ in range(2):
                async with session.get("https://api.bybit.com/v5/market/time") as answer:
                    assert answer.status == status
                    assert "too frequent" in await answer.text()
                    told.append(answer.headers.get("Retry-After"))
            if tells:
                assert told[0] == "60"
                assert 0 < int(told[1]) <= 60
            else:
                assert told == [None, None]
            desk.server._banned_until = asyncio.get_running_loop().time()
            async with session.get("https://api.bybit.com/v5/market/time") as answer:
                assert answer.status == 200
        client = desk.client()
        desk.server.faults.arm(Fault(kind="ban", seconds=0.2, status=418))
        with pytest.raises(ccxt.NetworkError):
            await client.fetch_time()


@pytest.mark.slow
async def test_an_order_can_appear_long_after_its_timeout(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        hasty, client = desk.client(), desk.client()
        for each in (hasty, client):
            await each.load_markets()
        hasty.timeout = 400
        await desk.control("POST", {"kind": "late", "seconds": 8, "endpoints": "order/create"})
        loop = asyncio.get_running_loop()
        sent = loop.time()
        with pytest.raises(ccxt.RequestTimeout):
            await hasty.create_order(BTC, "limit", "buy", 1, 90, {"clientOrderId": "late"})
        while not await client.fetch_open_orders(BTC, params={"orderLinkId": "late"}):
            assert loop.time() - sent < 60
            await asyncio.sleep(0.1)
        assert loop.time() - sent > 7.5


async def test_an_observer_meets_no_fault_no_limit_and_no_ban(tmp_path):
    settings = BybitSettings(
        keys={"key": ApiKey("secret"), "witness": ApiKey("secret", observer=True)},
        rates={("/v5/position/list", "linear"): 1},
        requests_per_five_seconds=30,
    )
    async with local_bybit(tmp_path, STILL, settings=settings) as desk:
        witness, client = desk.client(apiKey="witness"), desk.client()
        for each in (witness, client):
            await each.load_markets()
        await client.create_order(BTC, "market", "buy", 1)
        desk.server.faults.arm(Fault(kind="status", times=None))
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await client.fetch_positions()
        desk.server.faults.arm(Fault(kind="ban", seconds=60))
        with pytest.raises(ccxt.RateLimitExceeded):
            await client.fetch_balance()
        for _ in range(40):
            (position,) = await witness.fetch_positions()
        assert Decimal(str(position["contracts"])) == 1
        assert [fault.kind for fault in desk.server.faults.armed] == ["status"]
