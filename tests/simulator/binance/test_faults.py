"""What a stock client raises, and what is true at the local Binance, when things go wrong on demand."""

import asyncio
from contextlib import contextmanager
from typing import Any

import ccxt
import pytest

from livebot.simulator.binance import Fault
from livebot.simulator.binance.streams import endpoint_of
from tests.simulator.binance.desk import local_binance
from tests.simulator.builders import BTC, ETH, flat
from tests.simulator.local_desk import SPOT, clocks_differ_by, soon, until

STILL = [flat(100.0)] * 10
MOVES = [(float(100 + n), float(101 + n), float(99 + n), float(100.5 + n)) for n in range(30)]
CREATE = ("order/create",)
ALGO = ("algoOrder/create",)
STREAM = "wss://fstream.binance.com/market/ws/0"
KINDS_OF_LOSS: list[tuple[dict[str, Any], type[Exception] | None]] = [
    ({"kind": "silence"}, ccxt.RequestTimeout),
    ({"kind": "cut"}, ccxt.ExchangeNotAvailable),
    ({"kind": "status"}, ccxt.ExchangeNotAvailable),
    ({"kind": "status", "status": 504}, ccxt.RequestTimeout),
    ({"kind": "truncate"}, ccxt.ExchangeError),
    ({"kind": "html"}, None),
    ({"kind": "empty"}, None),
]


@contextmanager
def impatient(client):
    """It waits for answers but a moment."""
    usual, client.timeout = client.timeout, 300
    try:
        yield
    finally:
        client.timeout = usual


async def test_an_order_whose_answer_is_lost_is_live_and_found_by_its_client_id(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        await client.load_markets()
        await client.create_order(BTC, "market", "buy", 10)
        for index, (fault, error) in enumerate(KINDS_OF_LOSS):
            for endpoints, name, extra in ((CREATE, "o", {}), (ALGO, "a", {"stopLossPrice": 90 - index})):
                status, _ = await desk.control("POST", fault | {"endpoints": endpoints, "symbols": ["BTCUSDT"]})
                assert status == 200
                params = extra | {"clientOrderId": f"{name}{index}", "reduceOnly": True}
                arguments = (BTC, "market" if extra else "limit", "sell", 1, None if extra else 110 + index, params)
                if error is None:
                    assert (await client.create_order(*arguments))["id"] is None
                elif fault["kind"] == "silence":
                    with pytest.raises(error), impatient(client):
                        await client.create_order(*arguments)
                else:
                    with pytest.raises(error):
                        await client.create_order(*arguments)
                asked = {"clientOrderId": f"{name}{index}"} | ({"trigger": True} if extra else {})
                assert (await client.fetch_order(None, BTC, asked))["status"] == "open", fault
        assert desk.server.faults.armed == []


async def test_a_cancellation_whose_answer_is_cut_off_looks_as_if_there_had_been_no_order(tmp_path):
    """Why an adapter asks for an order that it was told is not there: the HTTP client sends a DELETE twice."""
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        await client.load_markets()
        await client.create_order(BTC, "limit", "buy", 1, 90, {"clientOrderId": "a"})
        desk.server.faults.arm(Fault(kind="cut", endpoints=("order/cancel",)))
        with pytest.raises(ccxt.OrderNotFound, match="-2011"):
            await client.cancel_order(None, BTC, {"clientOrderId": "a"})
        assert (await client.fetch_order(None, BTC, {"clientOrderId": "a"}))["status"] == "canceled"


async def test_a_request_can_be_lost_refused_or_carried_out_late(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        await client.load_markets()
        await desk.control(
            "POST",
            [
                {"kind": "lose", "endpoints": CREATE},
                {"kind": "refuse", "endpoints": CREATE, "code": -2019, "text": "Margin is insufficient."},
                {"kind": "refuse", "endpoints": CREATE},
                {"kind": "late", "endpoints": CREATE, "seconds": 0.5},
                {"kind": "late", "endpoints": CREATE, "seconds": 0.5},
            ],
        )
        with pytest.raises(ccxt.RequestTimeout), impatient(client):
            await client.create_order(BTC, "limit", "buy", 1, 90, {"clientOrderId": "lost"})
        with pytest.raises(ccxt.InsufficientFunds):
            await client.create_order(BTC, "limit", "buy", 1, 90, {"clientOrderId": "no"})
        with pytest.raises(ccxt.OperationFailed, match="-1001"):
            await client.create_order(BTC, "limit", "buy", 1, 90, {"clientOrderId": "unknown"})
        for name, quantity in (("late", 1), ("late-and-refused", 100_000)):
            with pytest.raises(ccxt.RequestTimeout), impatient(client):
                await client.create_order(BTC, "limit", "buy", quantity, 90, {"clientOrderId": name})
        await until(lambda: not desk.server._tasks)
        assert [each["clientOrderId"] for each in await client.fetch_open_orders(BTC)] == ["late"]


async def test_an_order_that_is_under_way_when_the_exchange_closes_is_gone(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        await client.load_markets()
        desk.server.faults.arm(Fault(kind="late", seconds=60))
        with pytest.raises(ccxt.RequestTimeout), impatient(client):
            await client.create_order(BTC, "limit", "buy", 1, 90)


async def test_an_answer_can_be_late_and_a_ban_lasts_and_says_for_how_long(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        await client.load_markets()
        loop = asyncio.get_running_loop()
        desk.server.faults.arm(Fault(kind="delay", seconds=0.2, endpoints=("v1/time",)))
        began = loop.time()
        await client.fetch_time()
        assert loop.time() - began >= 0.2
        for status, error in ((403, ccxt.ExchangeNotAvailable), (429, ccxt.DDoSProtection), (418, ccxt.DDoSProtection)):
            desk.server.faults.arm(Fault(kind="ban", seconds=60, status=status))
            for _ in range(2):
                with pytest.raises(error):
                    await client.fetch_time()
            told = client.last_response_headers.get("Retry-After")
            assert told is None if status == 403 else 50 < int(told) <= 60
            desk.server._banned_until = 0.0
            await client.fetch_time()
        desk.server.faults.arm(Fault(kind="ban", seconds=0.1, status=418))
        with pytest.raises(ccxt.DDoSProtection):
            await client.fetch_time()
        await asyncio.sleep(0.1)
        await client.fetch_time()


async def test_the_clock_can_be_wrong(tmp_path):
    async with local_binance(tmp_path, STILL) as desk:
        client = desk.futures()
        await client.load_markets()
        await desk.control("POST", {"kind": "skew", "seconds": 15})
        with pytest.raises(ccxt.InvalidNonce, match="-1021"):
            await client.fetch_balance()
        assert await clocks_differ_by(client, -15_000)
        assert (await client.fetch_balance())["USDT"]["total"] == 10_000
        await desk.control("DELETE")
        assert await clocks_differ_by(client, 0)


async def test_the_last_closed_candle_can_be_half_formed(tmp_path):
    async with local_binance(tmp_path, MOVES) as desk:
        await desk.step(5)
        client = desk.futures()
        right = await client.fetch_ohlcv(BTC, limit=5)
        desk.server.faults.arm(Fault(kind="unfinished", endpoints=("klines",)))
        wrong = await client.fetch_ohlcv(BTC, limit=5)
        assert (wrong[:3], wrong[4]) == (right[:3], right[4])
        assert wrong[3][:5] == [right[3][0], 104, 104.25, 104, 104.25]
        assert await client.fetch_ohlcv(BTC, limit=5) == right


async def test_what_is_pushed_can_be_dropped_doubled_swapped_delayed_or_never_confirmed(tmp_path):
    async with local_binance(tmp_path, MOVES) as desk:
        wire, faults = await desk.wire(STREAM), desk.server.faults
        await wire.ask("SUBSCRIBE", ["btcusdt@kline_1m", "btcusdt@miniTicker"])
        assert [(await wire.hear())["e"] for _ in "12"] == ["kline", "24hrMiniTicker"]
        await wire.ask("UNSUBSCRIBE", ["btcusdt@miniTicker"])

        async def told(kind: str, count: int, **more) -> list[tuple[int, bool]]:
            faults.arm(Fault.model_validate({"kind": kind, "endpoints": ("kline",), "symbols": (BTC,)} | more))
            begin = desk.venue.minute_ms
            await desk.step()
            rows = [(await wire.hear())["k"] for _ in range(count)]
            assert await wire.quiet()
            return [((row["t"] - begin) // 60_000, row["x"]) for row in rows]

        assert await told("drop", 1) == [(1, False)]
        assert await told("duplicate", 3) == [(0, True), (0, True), (1, False)]
        assert await told("reorder", 2) == [(1, False), (0, True)]
        assert await told("delay", 2, seconds=0.05) == [(1, False), (0, True)]
        assert await told("unfinished", 2) == [(0, False), (1, False)]
        assert await told("freeze", 0, seconds=0.05) == []
        assert await told("freeze", 0) == []
        assert (await wire.ask("LIST_SUBSCRIPTIONS"))["result"] == ["btcusdt@kline_1m"]


async def test_account_messages_can_be_befallen_by_what_they_are_about(tmp_path):
    async with local_binance(tmp_path, {BTC: STILL, ETH: STILL}) as desk:
        client = desk.futures()
        key = (await client.fapiprivate_post_listenkey())["listenKey"]
        wire = await desk.wire(f"wss://fstream.binance.com/private/ws?listenKey={key}")
        desk.server.faults.arm(Fault(kind="drop", endpoints=("order",), symbols=("BTCUSDT",), times=2))
        desk.server.faults.arm(Fault(kind="drop", endpoints=("position",)))
        desk.server.faults.arm(Fault(kind="unfinished", endpoints=("execution",)))
        await client.create_order(BTC, "market", "buy", 1)
        assert (await wire.hear())["e"] == "TRADE_LITE"
        await client.create_order(ETH, "limit", "buy", 1, 90)
        assert (await wire.hear())["o"]["s"] == "ETHUSDT"


async def test_a_socket_can_be_reset_and_the_stock_client_comes_back(tmp_path):
    async with local_binance(tmp_path, MOVES) as desk:
        client = desk.futures()
        await client.watch_ohlcv(BTC)
        desk.server.faults.arm(Fault(kind="disconnect", endpoints=("kline",)))
        waiting = asyncio.ensure_future(client.watch_ohlcv(BTC))
        await asyncio.sleep(0.05)
        await desk.step()
        with pytest.raises(ccxt.NetworkError):
            await soon(waiting)
        assert (await soon(client.watch_ohlcv(BTC)))[-1][1] == 101


async def test_a_symbol_can_be_delisted_and_listed_again(tmp_path):
    async with local_binance(tmp_path, {BTC: STILL, SPOT: STILL}) as desk:
        client = desk.futures()
        await client.create_order(BTC, "market", "buy", 1)
        await client.create_order(BTC, "limit", "buy", 1, 90, {"clientOrderId": "l"})
        await client.create_order(BTC, "market", "sell", 1, None, {"stopLossPrice": 90, "reduceOnly": True})
        wire = await desk.wire(STREAM)
        await wire.ask("SUBSCRIBE", ["btcusdt@kline_1m"])
        await wire.hear()
        assert (await desk.control("POST", {"kind": "delist", "symbols": [BTC]}))[0] == 200
        assert await client.fetch_positions() == []
        assert await client.fetch_open_orders() == await client.fetch_open_orders(params={"trigger": True}) == []
        with pytest.raises(ccxt.BadSymbol, match="-1121"):
            await client.create_order(BTC, "market", "buy", 1)
        await desk.step()
        assert await wire.quiet()
        with pytest.raises(ccxt.BadSymbol):
            await desk.futures().fetch_ticker(BTC)
        await desk.control("DELETE")
        await client.create_order(BTC, "market", "buy", 1)
        assert (await desk.control("POST", {"kind": "delist", "symbols": ["NO"]}))[0] == 400


def test_topics_have_names_that_faults_can_be_meant_for():
    assert endpoint_of("btcusdt@kline_1m") == "kline.1m.btcusdt"
    assert endpoint_of("btcusdt@miniTicker") == "tickers.btcusdt"
    assert endpoint_of("!miniTicker@arr") == "tickers.miniTicker"
    assert endpoint_of("btcusdt@aggTrade") == "aggTrade.btcusdt"
