"""A venue that only tells candles: `python -m tests.benchmarks.candle_server FOLDER SYMBOLS`, until it is killed.

It speaks as much of Bybit's protocol over TLS as a candle feed uses.  Each subscribed symbol is told twice a second, evenly
spread over the second, and each minute's closing message comes at its end.  It leaves its port in FOLDER/port; a
GET of /drop resets all streams.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import uvloop
from aiohttp import WSMsgType, web

from livebot.core.market import MINUTE_MS
from livebot.simulator.bybit.server import HOSTS
from livebot.simulator.certificates import make_context

CA_FILE = "ca.pem"
EVERY_S = 0.5
SLICES = 25  # of a half second


def _instrument(name: str) -> dict[str, Any]:
    sizes = {"maxOrderQty": "1000", "minOrderQty": "0.001", "qtyStep": "0.001", "minNotionalValue": "5"}
    return {
        "symbol": name,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": name.removesuffix("USDT"),
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "1",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": "0.1", "maxPrice": "1000000", "tickSize": "0.1"},
        "lotSizeFilter": sizes | {"postOnlyMaxOrderQty": "1000", "maxMktOrderQty": "1000"},
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
    }


class CandleServer:
    """All of it."""

    def __init__(self, symbols: int) -> None:
        self._names = [f"C{n}USDT" for n in range(symbols)]
        self._streams: dict[web.WebSocketResponse, tuple[set[str], web.Request]] = {}

    def app(self) -> web.Application:
        """Its routes."""
        app = web.Application()
        app.router.add_get("/v5/market/time", self._time)
        app.router.add_get("/v5/market/instruments-info", self._instruments)
        app.router.add_get("/v5/market/kline", self._klines)
        app.router.add_get("/v5/public/linear", self._stream)
        app.router.add_get("/drop", self._drop)
        return app

    async def tell(self) -> None:
        """Candles, for ever."""
        loop, opened = asyncio.get_running_loop(), _opened_ms()
        while True:
            began = loop.time()
            for part in range(SLICES):
                closed, opened = opened if _opened_ms() > opened else None, _opened_ms()
                for stream, (topics, _) in list(self._streams.items()):
                    if closed is not None:
                        await self._send(stream, sorted(topics), closed, confirm=True)
                    await self._send(stream, sorted(topics)[part::SLICES], opened, confirm=False)
                await asyncio.sleep(max(began + EVERY_S * (part + 1) / SLICES - loop.time(), 0))

    async def _send(self, stream: web.WebSocketResponse, topics: list[str], opened: int, *, confirm: bool) -> None:
        for topic in topics:
            try:
                await stream.send_bytes(_message(topic, opened, confirm=confirm), compress=0)
            except (ConnectionError, RuntimeError):
                return

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        stream = web.WebSocketResponse(compress=False)
        await stream.prepare(request)
        topics: set[str] = set()
        self._streams[stream] = (topics, request)
        try:
            async for message in stream:
                if message.type is WSMsgType.TEXT:
                    asked = orjson.loads(message.data)
                    answer = {"success": True, "ret_msg": "", "op": asked["op"], "req_id": asked.get("req_id", "")}
                    await stream.send_str(orjson.dumps(answer).decode())
                    if asked["op"] == "subscribe":
                        topics.update(asked["args"])
                        await self._send(stream, asked["args"], _opened_ms(), confirm=False)
        finally:
            del self._streams[stream]
        return stream

    async def _drop(self, _: web.Request) -> web.Response:
        for _, request in list(self._streams.values()):
            if request.transport is not None:
                request.transport.abort()
        return web.Response()

    async def _time(self, _: web.Request) -> web.Response:
        now = time.time_ns()
        return _answer({"timeSecond": str(now // 10**9), "timeNano": str(now)})

    async def _instruments(self, request: web.Request) -> web.Response:
        rows = [_instrument(name) for name in self._names] if request.query.get("category") == "linear" else []
        return _answer({"category": request.query.get("category"), "list": rows, "nextPageCursor": ""})

    async def _klines(self, request: web.Request) -> web.Response:
        opened = _opened_ms()
        times = range(opened, opened - int(request.query.get("limit", "200")) * MINUTE_MS, -MINUTE_MS)
        rows = [[str(ts_ms), "100", "101", "99", "100.5", "1", "100"] for ts_ms in times]
        return _answer({"category": "linear", "symbol": request.query["symbol"], "list": rows})


def _message(topic: str, opened: int, *, confirm: bool) -> bytes:
    row = {"start": opened, "end": opened + MINUTE_MS - 1, "interval": "1", "open": "100", "close": "100.5"}
    row |= {"high": "101", "low": "99", "volume": "1", "turnover": "100", "confirm": confirm, "timestamp": opened}
    return orjson.dumps({"topic": topic, "data": [row], "ts": opened, "type": "snapshot"})


def _answer(result: dict[str, Any]) -> web.Response:
    body = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": time.time_ns() // 10**6}
    return web.Response(body=orjson.dumps(body), content_type="application/json")


def _opened_ms() -> int:
    now = time.time_ns() // 10**6
    return now - now % MINUTE_MS


async def serve(folder: Path, symbols: int) -> None:
    """Until killed."""
    server = CandleServer(symbols)
    runner = web.AppRunner(server.app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=make_context(folder / CA_FILE, HOSTS)).start()
    scratch = folder / "port.part"
    scratch.write_text(str(runner.addresses[0][1]))
    scratch.rename(folder / "port")
    await server.tell()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
