"""A live daemon with a watch on the way of its entries: `python -m tests.benchmarks.wire FOLDER CONFIG SECONDS`.

Everything is what `livebot run` runs in mode live: the composition root, uvloop, state files on disk, the SQLite ledger,
stock ccxt over TLS.  Noted, on the machine's monotonic clock, is when the strategy had answered, when the state with the
intent was handed to the store and was durable, when the exchange was asked to send, when ccxt handed the signed
request to its HTTP client, when that had given it to the socket, and when the answer had been read.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from aiohttp.http_writer import StreamWriter

from livebot import bootstrap
from livebot.adapters.ccxt_venue.exchange import CcxtExchange
from livebot.bootstrap import daemon
from livebot.core.entry import Entry
from livebot.core.inputs import OrderOutcome, SymbolState
from livebot.core.order import Leg, OrderStatus
from livebot.core.risk import Approved
from livebot.core.signal import Opening
from livebot.ports import LoadedStates, SignalStore
from livebot.runtime.system import System, SystemParts
from livebot.strategies.interface import View
from tests.benchmarks.strategies import OneAtATime, TenAtOnce

NOTES: dict[str, dict[str, int]] = defaultdict(dict)  # by client order id: what happened, and when
_DECIDED: dict[str, int] = {}  # by symbol
_SENDING: ContextVar[str] = ContextVar("sending", default="")  # the client order id of what is being written


def note(client_order_id: str, what: str) -> None:
    """Now, the first time."""
    NOTES[client_order_id].setdefault(what, time.monotonic_ns())


class NotedStore:
    """The daemon's SignalStore; notes intents of entries."""

    def __init__(self, store: SignalStore) -> None:
        self._store = store

    async def load(self) -> LoadedStates:
        return await self._store.load()

    async def load_one(self, strategy: str, symbol: str) -> SymbolState | None:
        return await self._store.load_one(strategy, symbol)

    async def save(self, state: SymbolState) -> None:
        fresh = [record for record in state.orders if record.status is OrderStatus.INTENDED]
        if not (isinstance(state.signal, Opening) and fresh and fresh[0].request.leg is Leg.ENTRY):
            await self._store.save(state)
            return
        order_id = fresh[0].request.client_order_id
        NOTES[order_id].setdefault("decided", _DECIDED[state.symbol])
        note(order_id, "saving")
        await self._store.save(state)
        note(order_id, "durable")


def watch(exchange: CcxtExchange) -> None:
    """Note what goes out of this one."""
    submit, client = exchange.submit, exchange._connection.orders
    fetch = client.fetch

    async def noted_submit(approved: Approved) -> OrderOutcome:
        note(approved.order.client_order_id, "submitted")
        outcome = await submit(approved)
        note(approved.order.client_order_id, "answered")
        return outcome

    async def noted_fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        if url.endswith("/v5/order/create"):
            order_id = orjson.loads(body)["orderLinkId"]
            note(order_id, "signed")
            _SENDING.set(order_id)
        return await fetch(url, method, headers, body)

    exchange.submit, client.fetch = noted_submit, noted_fetch  # type: ignore[method-assign]


def watch_sockets() -> None:
    """Note when a request is out: uvloop gives what was written to the socket at the end of the loop's turn."""
    write = StreamWriter._writelines

    def noted_write(writer: StreamWriter, chunks: Any) -> None:
        write(writer, chunks)
        if order_id := _SENDING.get():
            asyncio.get_running_loop().call_soon(note, order_id, "sent")

    setattr(StreamWriter, "_writelines", noted_write)  # noqa: B010 - mypy forbids the plain way


def main(folder: Path, config: Path, seconds: float) -> None:
    """See above."""

    def watched(parts: SystemParts) -> System:
        assert isinstance(parts.exchange, CcxtExchange)
        watch(parts.exchange)
        return System(replace(parts, store=NotedStore(parts.store)))

    vars(daemon)["System"] = watched
    watch_sockets()
    for strategy in (OneAtATime, TenAtOnce):
        setattr(strategy, "decide", _noted(strategy.decide))  # noqa: B010 - mypy forbids the plain way
    bootstrap.run_daemon(config, folder, seconds=seconds, screen=None, log_level="info")
    (folder / "result.json").write_text(json.dumps(NOTES))


def _noted(decide: Callable[[Any, View], Entry | None]) -> Callable[[Any, View], Entry | None]:
    def noted(strategy: Any, view: View) -> Entry | None:
        entry = decide(strategy, view)
        if entry is not None:
            _DECIDED[view.symbol] = time.monotonic_ns()
        return entry

    return noted


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
