"""What a stock ccxt.pro client sees of the local Bybit over WebSockets."""

import asyncio
from contextlib import suppress
from typing import Any

import ccxt
import orjson
import pytest

from tests.simulator.builders import BTC, ETH, START_MS, flat
from tests.simulator.bybit.desk import Desk, local_bybit
from tests.simulator.local_desk import SPOT, soon, until

MOVES = [(float(100 + n), float(101 + n), float(99 + n), float(100.5 + n)) for n in range(30)]
STILL = [flat(100.0)] * 10
FALLS = [flat(100.0), flat(100.0), (100.0, 100.0, 80.0, 80.0), flat(80.0), flat(80.0)]


def overhear(client, name: str) -> list[Any]:
    """All rows that a handler of ccxt's is given from now on."""
    seen: list[Any] = []
    handle = getattr(client, name)

    def hear(socket, message):
        seen.extend(message["data"])
        handle(socket, message)

    setattr(client, name, hear)
    return seen


class Wire:
    """A socket to the server without ccxt between."""

    def __init__(self, socket) -> None:
        self._socket = socket

    async def ask(self, operation: str, *args: str, **more: Any) -> Any:
        await self._socket.send_str(orjson.dumps({"op": operation, "args": list(args)} | more).decode())
        return await self.hear()

    async def say(self, text: str) -> Any:
        await self._socket.send_str(text)
        return await self.hear()

    async def hear(self) -> Any:
        return (await soon(self._socket.receive())).json()

    async def quiet(self) -> bool:
        """Whether nothing comes for a moment."""
        with suppress(TimeoutError):
            await self._socket.receive(timeout=0.1)
            return False
        return True

    async def gone(self) -> bool:
        return (await soon(self._socket.receive())).type.name in {"CLOSED", "ERROR", "CLOSE"}


async def wire(desk: Desk, path: str = "public/linear") -> Wire:
    return Wire(await desk.socket(path))


async def test_candles_are_pushed_closed_ones_with_confirm(tmp_path):
    async with local_bybit(tmp_path, {BTC: MOVES, ETH: MOVES, SPOT: MOVES}) as desk:
        client = desk.client()
        first = await soon(client.watch_ohlcv(BTC))
        assert first[-1][:5] == [START_MS, 100, 100, 100, 100]
        seen = overhear(client, "handle_ohlcv")
        waiting = asyncio.ensure_future(client.watch_ohlcv(BTC))
        await asyncio.sleep(0)
        await desk.step()
        await soon(waiting)
        while len(seen) < 2:
            await asyncio.sleep(0.01)
        assert [(row["start"], row["confirm"], row["close"]) for row in seen] == [
            (START_MS, True, "100.5"),
            (START_MS + 60_000, False, "101"),
        ]
        assert (await soon(client.watch_ohlcv(SPOT)))[-1][1] == 101
        bulk = await soon(client.watch_ohlcv_for_symbols([[BTC, "5m"], [ETH, "5m"]]))
        assert next(iter(bulk.values()))["5m"][-1][1] == 100


async def test_higher_frames_close_when_their_last_minute_does(tmp_path):
    async with local_bybit(tmp_path, [*MOVES[:6], None, *MOVES[7:]]) as desk:
        socket = await wire(desk)
        assert (await socket.ask("subscribe", "kline.5.BTCUSDT", "kline.1.BTCUSDT"))["success"]
        assert [(await socket.hear())["topic"] for _ in "12"] == ["kline.5.BTCUSDT", "kline.1.BTCUSDT"]
        await desk.step(5)
        told = [await socket.hear() for _ in range(16)]
        closed = [each["data"][0] for each in told if each["data"][0]["confirm"]]
        five = next(row for row in closed if row["interval"] == "5")
        assert len(closed) == 6
        assert (five["open"], five["high"], five["low"], five["close"], five["volume"]) == (
            "100",
            "105",
            "99",
            "104.5",
            "5",
        )
        assert five["end"] == START_MS + 5 * 60_000 - 1
        await socket.ask("unsubscribe", "kline.5.BTCUSDT")
        await desk.step(2)
        told = [await socket.hear() for _ in range(3)]
        assert [each["data"][0]["confirm"] for each in told] == [True, False, False]  # no candle in a gap


async def test_tickers_are_pushed_and_typed(tmp_path):
    async with local_bybit(tmp_path, {BTC: MOVES, SPOT: MOVES}) as desk:
        client = desk.client()
        assert (await soon(client.watch_ticker(BTC)))["last"] == 100
        waiting = asyncio.ensure_future(client.watch_ticker(BTC))
        await asyncio.sleep(0.01)
        await desk.step()
        ticker = await soon(waiting)
        assert (ticker["symbol"], ticker["last"]) == (BTC, 101)
        assert (await soon(client.watch_tickers([SPOT])))[SPOT]["last"] == 101


async def test_orders_trades_positions_and_the_wallet_are_pushed(tmp_path):
    async with local_bybit(tmp_path, {BTC: STILL, SPOT: STILL}) as desk:
        client = desk.client(options={"watchPositions": {"fetchPositionsSnapshot": False}})
        seen = overhear(client, "handle_order")
        await client.load_markets()
        waiting = [
            asyncio.ensure_future(each)
            for each in (client.watch_orders(BTC), client.watch_my_trades(BTC), client.watch_positions([BTC]))
        ]
        balance = asyncio.ensure_future(client.watch_balance())
        await until(lambda: desk.server._streams.wanted("private") >= {"order", "execution", "position", "wallet"})
        await client.create_order(BTC, "market", "buy", 1, None, {"clientOrderId": "mine", "stopLoss": 90})
        orders, trades, positions = [await soon(each) for each in waiting]
        assert ("mine", "closed", BTC) in [(each["clientOrderId"], each["status"], each["symbol"]) for each in orders]
        assert (trades[-1]["price"], trades[-1]["amount"], trades[-1]["symbol"]) == (100, 1, BTC)
        assert (positions[-1]["side"], positions[-1]["contracts"], positions[-1]["stopLossPrice"]) == ("long", 1, 90)
        assert (await soon(balance))["USDT"]["total"] == 9_999.95
        await client.create_order(SPOT, "limit", "buy", 1, 90, {"clientOrderId": "coin"})
        while len(seen) < 3:
            await asyncio.sleep(0.01)
        assert [(row["orderLinkId"], row["orderStatus"], row["category"]) for row in seen] == [
            ("mine", "Filled", "linear"),
            ("", "Untriggered", "linear"),
            ("coin", "New", "spot"),
        ]
        assert [each["symbol"] for each in client.orders] == [BTC, BTC, SPOT]


async def test_a_stream_needs_the_right_key(tmp_path):
    async with local_bybit(tmp_path, STILL) as desk:
        for config in ({"apiKey": "nobody"}, {"secret": "other"}):
            client = desk.client(options={"enableUnifiedMargin": False, "enableUnifiedAccount": True}, **config)
            with pytest.raises(ccxt.AuthenticationError):
                await soon(client.watch_orders())
        socket = await wire(desk, "private")
        assert (await socket.ask("subscribe", "order"))["ret_msg"] == "Request not authorized"
        assert (await socket.ask("auth", "key"))["retCode"] == 10001
        assert "expired" in (await socket.ask("auth", "key", "1", "x"))["retMsg"]


async def test_pings_and_wrong_requests_are_answered(tmp_path):
    async with local_bybit(tmp_path, {BTC: STILL, SPOT: STILL}) as desk:
        socket = await wire(desk)
        pong = await socket.ask("ping", req_id="7")
        assert (pong["ret_msg"], pong["op"], pong["req_id"]) == ("pong", "ping", "7")
        assert "invalid op" in (await socket.ask("dance"))["ret_msg"]
        assert "invalid request" in (await socket.say("[]"))["ret_msg"]
        for topic in ("kline.1.NOUSDT", "kline.7.BTCUSDT", "orderbook.1.BTCUSDT", "tickers", "tickers.1.BTCUSDT"):
            assert (await socket.ask("subscribe", topic))["ret_msg"] == f"Invalid topic: {topic}"
        assert (await socket.ask("subscribe", *(["tickers.BTCUSDT"] * 1_500)))["ret_msg"] == "args size too long"
        spot = await wire(desk, "public/spot")
        assert (await spot.ask("subscribe", *(["tickers.BTCUSDT"] * 11)))["ret_msg"] == "args size >10"
        private = await wire(desk, "private")
        pong = await private.ask("ping", req_id=8)
        assert (pong["op"], pong["req_id"]) == ("pong", "8")
        client = desk.client(streaming={"keepAlive": 100, "maxPingPongMisses": 1_000})
        await soon(client.watch_ticker(BTC))
        (connection,) = client.clients.values()
        pongs = []
        handle = client.handle_pong
        client.handle_pong = lambda socket, message: (pongs.append(message), handle(socket, message))
        await until(lambda: len(pongs) > 1)
        assert connection.connected.done()


async def test_many_topics_are_told_without_holding_the_loop(tmp_path):
    symbols = [f"C{n}/USDT:USDT" for n in range(40)]
    async with local_bybit(tmp_path, dict.fromkeys(symbols, STILL)) as desk:
        socket = await wire(desk)
        await socket.ask("subscribe", *(f"kline.1.C{n}USDT" for n in range(40)))
        await desk.step()
        told = [await socket.hear() for _ in range(120)]
        assert sum(each["data"][0]["confirm"] for each in told) == 40


async def test_the_server_lets_time_pass_by_itself(tmp_path):
    async with local_bybit(tmp_path, FALLS) as desk:
        client = desk.client()
        await client.create_order(BTC, "market", "buy", 1, None, {"stopLoss": 90})
        socket = await wire(desk)
        await socket.ask("subscribe", "kline.1.BTCUSDT")
        await socket.hear()
        await desk.server.run(minutes=3)
        assert [(await socket.hear())["data"][0]["confirm"] for _ in range(6)] == [True, False] * 3
        assert await client.fetch_positions() == []
        assert (await client.fetch_my_trades(BTC))[-1]["timestamp"] == START_MS + 3 * 60_000
