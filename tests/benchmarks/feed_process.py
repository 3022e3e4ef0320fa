"""A candle feed in this process, on a venue in another: `python -m tests.benchmarks.feed_process FOLDER`.

The venue is a process of its own (`candle_server`) and tells each symbol twice a second.  Counted is what the process with
the feed costs, how late its loop is, and how long it takes until every symbol has been heard of after a connection and
after all streams were reset.  The listeners do nothing.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import uvloop

from livebot.adapters.ccxt_venue.connection import Connection, Loopback
from livebot.adapters.ccxt_venue.feed import CcxtFeed
from livebot.core.market import Timeframe
from tests.benchmarks.candle_server import CA_FILE
from tests.benchmarks.frame import (
    CHECKOUT,
    LagProbe,
    Numbers,
    environment,
)

SYMBOLS = 500
LASTS_S = 15.0
HISTORIES, CANDLES = 100, 600
PATIENCE_S = 30.0


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """A venue in a process of its own; its port."""
    module = "tests.benchmarks.candle_server"
    process = subprocess.Popen(
        [sys.executable, "-m", module, str(folder), str(SYMBOLS)], cwd=CHECKOUT, env=environment()
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (folder / "port").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the venue did not start (exit code {process.poll()})")
            time.sleep(0.05)
        yield int((folder / "port").read_text())
    finally:
        process.kill()
        process.wait()


async def _until(true: Callable[[], bool]) -> float:
    """Seconds until it is so."""
    began = time.perf_counter()
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.005)
    return time.perf_counter() - began


async def _history_lag(feed: CcxtFeed) -> float:
    """How late the loop is while histories are fetched for many symbols at once, and the streams go on."""
    probe = LagProbe()
    watching = asyncio.create_task(probe.run())
    symbols = [f"C{n}/USDT:USDT" for n in range(HISTORIES)]
    await asyncio.gather(*(feed.history(symbol, Timeframe.M1, CANDLES) for symbol in symbols))
    watching.cancel()
    return probe.p99_ms


async def _measured(folder: Path, port: int) -> Numbers:
    connection = await Connection.open("bybit", "perpetual", None, loopback=Loopback(port, folder / CA_FILE))
    feed = CcxtFeed(connection)
    for n in range(SYMBOLS):
        feed.listen(f"C{n}/USDT:USDT", lambda _: None)
    loop = asyncio.get_running_loop()
    since_s = loop.time()

    def all_heard() -> bool:
        return len(feed._symbols) == SYMBOLS and all(each.heard_s > since_s for each in feed._symbols.values())

    running = asyncio.create_task(feed.run())
    subscribed_s = await _until(all_heard)
    probe = LagProbe()
    watching = asyncio.create_task(probe.run())
    began, began_cpu, before = time.perf_counter(), time.process_time(), feed.counts["heard"]
    await asyncio.sleep(LASTS_S)
    lasted_s = time.perf_counter() - began
    share, heard = (time.process_time() - began_cpu) / lasted_s, feed.counts["heard"] - before
    watching.cancel()
    async with aiohttp.ClientSession() as session:
        await session.get(f"https://127.0.0.1:{port}/drop", ssl=False)
    since_s = loop.time()
    again_s = await _until(all_heard)
    history_lag_ms = await _history_lag(feed)
    running.cancel()
    await asyncio.wait((running,))
    counts = feed.counts
    await connection.close()
    return {
        "messages_per_s": heard / lasted_s,
        "core_percent": share * 100,
        "loop_lag_p99_ms": probe.p99_ms,
        "loop_lag_maximum_ms": probe.maximum_ms,
        "subscribed_s": subscribed_s,
        "subscribed_again_s": again_s,
        "history_lag_p99_ms": history_lag_ms,
        "asked_by_rest": counts["asked"],
        "unreadable": counts["unreadable"],
    }


def main(folder: Path) -> None:
    """See above."""
    with served(folder) as port:
        answer = uvloop.run(_measured(folder, port))
    (folder / "result.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
