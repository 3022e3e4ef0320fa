"""What a stock client raises, and what is true at the local Bybit, when things go wrong on demand."""

import asyncio
from typing import Any, get_args

import aiohttp
import ccxt
import pytest

from livebot.errors import BadInput
from livebot.simulator.bybit import Fault, Faults
from livebot.simulator.bybit.faults import PLACES, Place
from tests.simulator.builders import BTC, ETH, flat
from tests.simulator.bybit.desk import local_bybit
from tests.simulator.bybit.test_streams import MOVES, wire
from tests.simulator.local_desk import clocks_differ_by, soon, until

STILL = [flat(100.0)] * 10
CREATE = ("order/create",)
KINDS_OF_LOSS: list[tuple[dict[str, Any], type[Exception] | None]] = [
    ({"kind": "silence"}, ccxt.RequestTimeout),
    ({"kind": "cut"}, ccxt.ExchangeNotAvailable),
    ({"kind": "status"}, ccxt.ExchangeNotAvailable),
    ({"kind": "status", "status": 500}, ccxt.ExchangeNotAvailable),
    ({"kind": "truncate"}, ccxt.ExchangeError),
    ({"kind": "html"}, None),
    ({"kind": "empty"}, None),
]


async def _clients(desk, milliseconds):
    """A patient one, and one that waits only so long, for answers that do not come; what both need before they have."""
    client, hasty = desk.client(), desk.client()
    for each in (client, hasty):
        await each.load_markets()
    hasty.timeout = milliseconds
    return client, hasty


async def test_an_order_whose_answer_is_lost_is_live_and_found_by_its_link_id(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client, hasty = await _clients(desk, 1000)
        for index, (fault, error) in enumerate(KINDS_OF_LOSS):
            status, _ = await desk.control("POST", fault | {"endpoints": CREATE, "symbols": ["BTCUSDT"]})
            assert status == 200
            name = f"lost{index}"
            sender = hasty if fault["kind"] == "silence" else client
            if error is None:
                assert (await sender.create_order(BTC, "limit", "buy", 1, 90, {"clientOrderId": name}))["id"] is None
            else:
                with pytest.raises(error):
                    await sender.create_order(BTC, "limit", "buy", 1, 90, {"clientOrderId": name})
            found = await client.fetch_open_orders(BTC, params={"orderLinkId": name})
            assert [each["clientOrderId"] for each in found] == [name], fault
        assert desk.server.faults.armed == []


async def test_a_request_can_be_lost_refused_or_carried_out_late(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client, hasty = await _clients(desk, 300)
        await desk.control(
            "POST",
            [
                {"kind": "lose", "endpoints": CREATE},
                {"kind": "refuse", "endpoints": CREATE, "code": 110007, "text": "ab not enough for new order"},
                {"kind": "late", "endpoints": CREATE, "seconds": 0.5},
                {"kind": "late", "endpoints": CREATE, "seconds": 0.5},
            ],
        )
        with pytest.raises(ccxt.RequestTimeout):
            await hasty.create_order(BTC, "limit", "buy", 1, 90, {"clientOrderId": "lost"})
        with pytest.raises(ccxt.InsufficientFunds):
            await client.create_order(BTC, "limit", "buy", 1, 90, {"clientOrderId": "no"})
        for name, quantity in (("late", 1), ("late-and-refused", 100_000)):
            with pytest.raises(ccxt.RequestTimeout):
                await hasty.create_order(BTC, "limit", "buy", quantity, 90, {"clientOrderId": name})
        await until(lambda: not desk.server._tasks)
        assert [each["clientOrderId"] for each in await client.fetch_open_orders(BTC)] == ["late"]


async def test_an_order_that_is_under_way_when_the_exchange_closes_is_gone(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        _, hasty = await _clients(desk, 200)
        desk.server.faults.arm(Fault(kind="late", seconds=60))
        with pytest.raises(ccxt.RequestTimeout):
            await hasty.create_order(BTC, "limit", "buy", 1, 90)


async def test_an_answer_can_be_late_and_a_ban_lasts(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client = desk.client()
        await client.load_markets()
        loop = asyncio.get_running_loop()
        desk.server.faults.arm(Fault(kind="delay", seconds=0.2, endpoints=("market/time",)))
        began = loop.time()
        await client.fetch_time()
        assert loop.time() - began >= 0.2
        for status, error in ((403, ccxt.RateLimitExceeded), (429, ccxt.NetworkError)):
            desk.server.faults.arm(Fault(kind="ban", seconds=60, status=status))
            for _ in range(2):
                with pytest.raises(error):
                    await client.fetch_time()
            desk.server._banned_until = 0.0
            desk.server.faults.arm(Fault(kind="ban", seconds=0.1, status=status))
            with pytest.raises(error):
                await client.fetch_time()
            await asyncio.sleep(0.1)
            await client.fetch_time()


async def test_the_clock_can_be_wrong(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        client = desk.client()
        await desk.control("POST", {"kind": "skew", "seconds": 8})
        told = {"armed": [], "struck": {"skew": 1}, "idle": [], "remarks": [], "skew_ms": 8000}
        assert (await desk.control("GET"))[1] == told
        with pytest.raises(ccxt.InvalidNonce):
            await client.fetch_balance()
        assert await clocks_differ_by(client, -8_000)
        assert (await client.fetch_balance())["USDT"]["total"] == 10_000
        await desk.control("DELETE")
        assert await clocks_differ_by(client, 0)


async def test_the_last_closed_candle_can_be_half_formed(tmp_path):
    async with local_bybit(tmp_path, MOVES) as desk:
        await desk.step(5)
        client = desk.client()
        right = await client.fetch_ohlcv(BTC, limit=5)
        desk.server.faults.arm(Fault(kind="unfinished", endpoints=("market/kline",)))
        wrong = await client.fetch_ohlcv(BTC, limit=5)
        assert wrong[:3] == right[:3]
        assert wrong[4] == right[4]
        assert wrong[3][:5] == [right[3][0], 104, 104.25, 104, 104.25]
        assert await client.fetch_ohlcv(BTC, limit=5) == right


async def test_what_is_pushed_can_be_dropped_doubled_swapped_delayed_or_never_confirmed(tmp_path):
    async with local_bybit(tmp_path, MOVES) as desk:
        socket, faults = await wire(desk), desk.server.faults
        await socket.ask("subscribe", "kline.1.BTCUSDT")
        await socket.hear()

        async def told(kind: str, count: int, **more) -> list[tuple[int, bool]]:
            faults.arm(Fault.model_validate({"kind": kind, "endpoints": ("kline",), "symbols": (BTC,)} | more))
            begin = desk.venue.minute_ms
            await desk.step()
            rows = [(await socket.hear())["data"][0] for _ in range(count)]
            assert await socket.quiet()
            return [((row["start"] - begin) // 60_000, row["confirm"]) for row in rows]

        assert await told("drop", 1) == [(1, False)]
        assert await told("duplicate", 3) == [(0, True), (0, True), (1, False)]
        assert await told("reorder", 2) == [(1, False), (0, True)]
        assert await told("delay", 2, seconds=0.05) == [(1, False), (0, True)]
        assert await told("unfinished", 2) == [(0, False), (1, False)]
        assert await told("freeze", 0, seconds=0.05) == []
        assert await told("freeze", 0) == []
        assert (await socket.ask("ping"))["ret_msg"] == "pong"


async def test_a_socket_can_be_reset_and_the_stock_client_comes_back(tmp_path):
    async with local_bybit(tmp_path, MOVES) as desk:
        client = desk.client()
        await client.watch_ohlcv(BTC)
        desk.server.faults.arm(Fault(kind="disconnect", endpoints=("kline",)))
        waiting = asyncio.ensure_future(client.watch_ohlcv(BTC))
        await asyncio.sleep(0.05)
        await desk.step()
        with pytest.raises(ccxt.NetworkError):
            await soon(waiting)
        assert (await soon(client.watch_ohlcv(BTC)))[-1][1] == 101


async def test_a_client_that_does_not_read_is_thrown_out(tmp_path, monkeypatch):
    monkeypatch.setattr("livebot.simulator.stream_session._MOST_WAITING", 2)
    async with local_bybit(tmp_path, {BTC: MOVES, ETH: MOVES}) as desk:
        socket = await wire(desk)
        await socket.ask("subscribe", "kline.1.BTCUSDT")
        await socket.hear()
        desk.server.faults.arm(Fault(kind="reorder", times=2))
        await desk.step()
        assert await socket.quiet()
        await desk.step()
        assert await socket.gone()


def test_a_fault_strikes_where_and_as_often_as_it_is_armed_for(tmp_path):
    faults = Faults(seed=3)
    faults.arm(Fault(kind="drop", odds=0.5, times=None))
    struck = [faults.take(Place.PUSH, "kline.1.BTCUSDT", (BTC, "BTCUSDT")) is not None for _ in range(200)]
    assert 70 < sum(struck) < 130
    assert faults.take(Place.ANSWER, "/v5/order/create") is None
    faults.clear()
    faults.arm(Fault(kind="cut", symbols=("ETHUSDT",), endpoints=("order/create",), times=2))
    assert faults.take(Place.ANSWER, "/v5/order/create", (BTC, "BTCUSDT")) is None
    assert faults.take(Place.ANSWER, "/v5/order/cancel", (ETH, "ETHUSDT")) is None
    assert [faults.take(Place.ANSWER, "/v5/order/create", (ETH, "ETHUSDT")) is not None for _ in "123"] == [
        True,
        True,
        False,
    ]
    assert set(PLACES) == set(get_args(Fault.model_fields["kind"].annotation))
    file = tmp_path / "faults.json"
    file.write_text('[{"kind": "drop"}, {"kind": "skew", "seconds": 2}]')
    faults.arm_file(file)
    assert ([each.kind for each in faults.armed], faults.skew_ms) == (["drop"], 2000)
    with pytest.raises(BadInput, match="cannot be read"):
        faults.arm_file(tmp_path / "none.json")


async def test_a_fault_that_makes_no_sense_is_refused(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        for body, text in (({"kind": "wish"}, "kind"), ({"kind": "drop", "odds": 2}, "odds"), ({"much": 1}, "")):
            status, answer = await desk.control("POST", body)
            assert status == 400
            assert text in answer["error"]
        url = f"http://127.0.0.1:{desk.server.control_port}/_faults"
        async with aiohttp.ClientSession() as session, session.post(url, data="{") as answer:
            assert answer.status == 400
