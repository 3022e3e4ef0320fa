"""The local Bybit in a process of its own: `python -m tests.benchmarks.local_venue FOLDER OPTIONS`, until SIGTERM.

It notes when each new order's request had been read, on the machine's monotonic clock, and leaves that in
FOLDER/arrivals.json.  If it is asked to it also chatters: candles in the making of all symbols, and private messages about a
symbol that the daemon does not trade, each with ids of its own, evenly spread over the second.

Rules of this file: the market, the account and what is asked of it are the local exchange's own; nothing here answers.
"""

import asyncio
import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import Any

import orjson
import uvloop
from aiohttp import web

from livebot.core.market import Candle
from livebot.simulator import bybit
from livebot.simulator.bybit import BybitServer
from livebot.simulator.bybit.streams import PRIVATE
from livebot.simulator.local_exchange import KEY, SECRET, ExchangeOptions, Listening, run_exchange
from livebot.simulator.venue import Minute
from tests.benchmarks.configs import WALLET, symbols_of
from tests.benchmarks.frame import CHECKOUT, environment

PATIENCE_S = 60.0
CREATE = "/v5/order/create"
STRANGER = "STRANGERUSDT"
STREAM = "linear"
_EVERY_S = 0.02
KEYS = {"LIVEBOT_API_KEY": KEY, "LIVEBOT_API_SECRET": SECRET}


class NotedServer(BybitServer):
    """`arrivals` has by client order id when its request had been read, in nanoseconds; `writes` how many there were."""

    arrivals: dict[str, int] = {}  # noqa: RUF012 - one server in one process
    writes: dict[str, int] = {}  # noqa: RUF012

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            text = await request.read()
            arrived = time.monotonic_ns()
            self.writes[request.path] = self.writes.get(request.path, 0) + 1
            if request.path == CREATE:
                self.arrivals.setdefault(orjson.loads(text)["orderLinkId"], arrived)
        return await super()._handle(request)


class ChattyServer(NotedServer):
    """Also sends so many messages a second, four of five about candles."""

    each_second = 0
    sent: dict[str, int] = {"candles": 0, "private": 0}  # noqa: RUF012

    async def start(self, *, port: int = 0, control_port: int = 0) -> None:
        await super().start(port=port, control_port=control_port)
        self._chatting = asyncio.create_task(self._chat())

    async def push(self, minute: Minute) -> None:
        self._candles = {self._listings.of_symbol(symbol).name: candle for symbol, candle in minute.candles}
        await super().push(minute)

    async def close(self) -> None:
        self._chatting.cancel()
        await super().close()

    async def _chat(self) -> None:
        self._candles: dict[str, Candle] = {}
        while not self._candles:
            await asyncio.sleep(_EVERY_S)
        loop, number = asyncio.get_running_loop(), 0
        names, began = cycle(sorted(set(self._candles) - {STRANGER})), loop.time()
        while True:
            while number < (loop.time() - began) * self.each_second:
                number += 1
                if number % 5:
                    self._tell_candle(next(names))
                else:
                    self._tell_stranger(number)
            await asyncio.sleep(_EVERY_S)

    def _tell_candle(self, name: str) -> None:
        topic = f"kline.1.{name}"
        opened = dataclasses.replace(self._candles[name], ts_ms=self._venue.minute_ms)
        self._streams.push(STREAM, topic, self._kline(topic, opened, closed=False), ())
        self.sent["candles"] += 1

    def _tell_stranger(self, number: int) -> None:
        """An order with a new id, or a trade with one."""
        topic, row = ("order", _order(number)) if number % 2 else ("execution", _trade(number))
        message = {"topic": topic, "id": f"{number}", "creationTime": self.now_ms(), "data": [row]}
        self._streams.push(PRIVATE, topic, message, ())
        self.sent["private"] += 1


def _order(number: int) -> Mapping[str, Any]:
    zeros = dict.fromkeys(("stopLoss", "takeProfit", "triggerPrice", "leavesValue", "blockTradeId", "positionIdx"), "")
    return zeros | {
        "category": "linear",
        "symbol": STRANGER,
        "orderId": f"stranger-order-{number}",
        "orderLinkId": f"somebody-{number}",
        "side": "Buy",
        "orderType": "Limit",
        "orderStatus": "New",
        "price": "100",
        "qty": "1",
        "cumExecQty": "0",
        "cumExecValue": "0",
        "cumExecFee": "0",
        "leavesQty": "1",
        "avgPrice": "",
        "timeInForce": "GTC",
        "reduceOnly": False,
        "closeOnTrigger": False,
        "tpslMode": "UNKNOWN",
        "createdTime": "1767225600000",
        "updatedTime": "1767225600000",
    }


def _trade(number: int) -> Mapping[str, Any]:
    return {
        "category": "linear",
        "symbol": STRANGER,
        "execId": f"stranger-trade-{number}",
        "execType": "Trade",
        "orderId": f"stranger-order-{number}",
        "orderLinkId": f"somebody-{number}",
        "side": "Buy",
        "orderType": "Limit",
        "execPrice": "100",
        "execQty": "1",
        "execValue": "100",
        "execFee": "0.02",
        "feeRate": "0.0002",
        "isMaker": True,
        "leavesQty": "0",
        "closedSize": "0",
        "execTime": "1767225600000",
    }


@contextmanager
def served(folder: Path, symbols: int, *, speed: float, each_second: int = 0) -> Iterator[dict[str, Any]]:
    """One in a process of its own: `port`, `control_port`, `ca_file`.  At its end `arrivals.json` is there.

    Raises:
        RuntimeError: it did not start.

    """
    options = {"symbols": symbols, "speed": speed, "each_second": each_second}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.local_venue", str(folder), json.dumps(options)],
        cwd=CHECKOUT,
        env=environment(),
    )
    listening = folder / "listening.json"
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not listening.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the local exchange did not start (exit code {process.poll()})")
            time.sleep(0.05)
        yield json.loads(listening.read_text())
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()


def main(folder: Path, symbols: int, speed: float, each_second: int) -> None:
    """See above."""
    ChattyServer.each_second = each_second
    vars(bybit)["BybitServer"] = ChattyServer if each_second else NotedServer
    options = ExchangeOptions(
        symbols=(*symbols_of(symbols), "STRANGER/USDT:USDT"),
        ca_file=folder / "ca.pem",
        seed=7,
        volatility=3,
        speed=speed,
        wallet=Decimal(WALLET),
    )

    def ready(listening: Listening) -> None:
        found = {"port": listening.port, "control_port": listening.control_port, "ca_file": str(options.ca_file)}
        _put(folder / "listening.json", found)

    uvloop.run(run_exchange(options, ready))
    _put(
        folder / "arrivals.json",
        {"arrivals": NotedServer.arrivals, "writes": NotedServer.writes, "sent": ChattyServer.sent},
    )


def _put(path: Path, found: object) -> None:
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(found))
    scratch.rename(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), **json.loads(sys.argv[2]))
