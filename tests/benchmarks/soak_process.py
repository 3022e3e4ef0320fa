"""A live daemon that is looked at now and then: `python -m tests.benchmarks.soak_process FOLDER CONFIG SECONDS`.

Everything is what `livebot run` runs in mode live.  A thread of its own notes resident memory, how many objects the
collector knows (the frozen ones among them) and how many pieces of memory Python has given out, how many messages were
heard, and how full the caches of ccxt, of the adapter and of the control API are, each against the bound that it should have.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

from livebot import bootstrap
from livebot.adapters.ccxt_venue import order_news
from livebot.adapters.ccxt_venue.exchange import CcxtExchange
from livebot.adapters.ccxt_venue.exchange_settings import ExchangeSettings
from livebot.adapters.ccxt_venue.feed import CcxtFeed
from livebot.bootstrap import daemon
from livebot.core.facts import Fact, SignalClosed
from livebot.ops.control.events import Events
from livebot.ports import Decision
from livebot.runtime.system import System, SystemParts

SAMPLES = 100
EVERY_S = 2.0  # at least
WORKING, ENDED = 256, 128  # orders that the adapter remembers; as many as by default would come in an hour
SPARE = 200  # what may be in a queue or a table that empties by itself


class Heard:
    """A listener that counts closed signals; and a count of private messages."""

    name = "soak"

    def __init__(self) -> None:
        self.closed = self.private = 0

    def hear(self, items: Iterable[Fact | Decision]) -> None:
        self.closed += sum(isinstance(item, SignalClosed) for item in items)

    def counted(self, handler: Callable[..., None]) -> Callable[..., None]:
        def counting(*arguments: Any) -> None:
            self.private += 1
            handler(*arguments)

        return counting


class Watch:
    """`run` it on a thread; `samples` is what it saw."""

    def __init__(self, parts: SystemParts, heard: Heard) -> None:
        assert isinstance(parts.exchange, CcxtExchange)
        assert isinstance(parts.feed, CcxtFeed)
        self._exchange, self._feed, self._heard = parts.exchange, parts.feed, heard
        (self._events,) = (each for each in parts.listeners if isinstance(each, Events))
        self._symbols = len(parts.strategies)
        self._began = time.monotonic()
        self.samples: list[dict[str, Any]] = []

    def run(self, ready: Callable[[], bool], stop: Event, every_s: float) -> None:
        """From when the daemon is ready until `stop`."""
        while not ready():
            if stop.wait(0.1):
                return
        while not stop.wait(every_s):
            self.samples.append(self._sample())

    def _sample(self) -> dict[str, Any]:
        sizes = list(self._sizes())
        return {
            "at_s": time.monotonic() - self._began,
            "resident_mb": _resident_mb(),
            "objects": len(gc.get_objects()) + gc.get_freeze_count(),
            "blocks": sys.getallocatedblocks(),
            "heard": self._feed.counts["heard"] + self._heard.private,
            "largest": max(size for _, size, _ in sizes),
            "above": [f"{name} {size}" for name, size, bound in sizes if size > bound],
        }

    def _sizes(self) -> Iterator[tuple[str, int, int]]:
        """Name, size and bound of every cache."""
        connection, news, settings = self._exchange._connection, self._exchange._news, ExchangeSettings()
        for label, client in (("orders", connection.orders), ("data", connection.data)):
            if client is None:
                return  # closed meanwhile
            candles = sum(len(rows) for frames in client.ohlcvs.values() for rows in frames.values())
            yield f"{label}.ohlcvs", candles, self._symbols * connection.settings.candles_cache
            for name, bound in (
                ("orders", connection.settings.orders_cache),
                ("myTrades", connection.settings.trades_cache),
            ):
                yield f"{label}.{name}", len(getattr(client, name) or ()), bound
            for name in ("tickers", "trades", "orderbooks", "positions"):
                yield f"{label}.{name}", len(getattr(client, name) or ()), 0
            yield f"{label}.throttled", len(client.throttler.queue), SPARE
            yield f"{label}.throttler", len(client.throttler.timestamps), SPARE
            for socket in list(client.clients.values()):
                for name in ("futures", "subscriptions", "rejections"):
                    yield f"{label}.{name}", len(getattr(socket, name)), 2 * self._symbols + SPARE
        yield "order ids", len(news.ids), settings.order_ids
        yield "trade ids", len(news.trades), settings.trade_ids
        yield "awaited", len(news._awaited), SPARE
        for name, of, bound in (
            ("working", news.working, WORKING),
            ("venue ids", news.venue_ids, WORKING),
            ("ended", news.ended, ENDED),
            ("fills", news._fills, ENDED),
        ):
            yield name, len(of), bound
        yield "events", sum(each is not None for each in self._events._kept), self._events._settings.kept


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(folder: Path, config: Path, seconds: float) -> None:
    """See above."""
    heard, stop = Heard(), Event()
    watches: list[Watch] = []
    threads: list[Thread] = []

    def watched(parts: SystemParts) -> System:
        system = System(replace(parts, listeners=(*parts.listeners, heard)))
        watches.append(Watch(parts, heard))
        client = parts.exchange._connection.orders  # type: ignore[attr-defined]
        client.handle_order, client.handle_my_trades = (
            heard.counted(client.handle_order),
            heard.counted(client.handle_my_trades),
        )
        every_s = max(seconds / SAMPLES, EVERY_S)
        threads.append(Thread(target=watches[0].run, args=(system.ready.is_set, stop, every_s), daemon=True))
        threads[0].start()
        return system

    vars(daemon)["System"] = watched
    vars(order_news).update(_WORKING=WORKING, _ENDED=ENDED)
    try:
        bootstrap.run_daemon(config, folder, seconds=seconds, screen=None, log_level="warning")
    finally:
        stop.set()
        threads[0].join()
    answer = {"samples": watches[0].samples, "signals_closed": heard.closed}
    (folder / "result.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
