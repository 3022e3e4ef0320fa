"""A real daemon of many symbols with a watch at its ports: `python -m tests.benchmarks.closes FOLDER STRATEGY CLOSES`.

Everything is what `livebot run` runs: the composition root, uvloop, state files on disk, the SQLite ledger, the simulated
venue in the same process.  Two ports are wrapped: the feed, which hands over all candles of a minute at once (no venue
is faster) and waits until everybody is done with them; and the store, which notes when a write is durable.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from livebot import bootstrap
from livebot.bootstrap import daemon
from livebot.core.entry import Entry
from livebot.core.inputs import SymbolState
from livebot.core.market import Candle, Timeframe
from livebot.core.order import OrderStatus
from livebot.core.series import CandleSeries
from livebot.core.signal import Opening
from livebot.ports import LoadedStates, SignalStore, VenueNotice
from livebot.runtime.inbox import Activity
from livebot.runtime.system import System, SystemParts
from livebot.simulator.feed import SimulatedFeed
from livebot.simulator.venue import Minute
from livebot.strategies.ema_cross import EmaCross
from livebot.strategies.interface import View
from tests.benchmarks.configs import EMA_CROSS, write_config
from tests.benchmarks.frame import LagProbe, ask_child, quantile, scratch_folder

Decide = Callable[[EmaCross, View], Entry | None]

SYMBOLS = 500
TIMEFRAME = Timeframe.M5
WARM_CLOSES = 3  # not counted
PAUSE_S = 0.02  # between two minutes: what takes a minute in life takes as long as it needs, and this
STRATEGIES: dict[str, dict[str, Any]] = {
    "ema_cross": EMA_CROSS,
    "burst": {"class": "tests.benchmarks.strategies:Burst"},
}


class LastCall:
    """When a strategy was last asked, on the clock of `time.perf_counter`."""

    at = 0.0


class WatchedStore:
    """The daemon's SignalStore, and when it last had a state, or a state with a fresh order intent, on disk."""

    def __init__(self, store: SignalStore) -> None:
        self._store = store
        self.saves = 0
        self.intents = 0
        self.last_intent = 0.0

    async def load(self) -> LoadedStates:
        return await self._store.load()

    async def load_one(self, strategy: str, symbol: str) -> SymbolState | None:
        return await self._store.load_one(strategy, symbol)

    async def save(self, state: SymbolState) -> None:
        await self._store.save(state)
        self.saves += 1
        if isinstance(state.signal, Opening) and state.orders[0].status is OrderStatus.INTENDED:
            self.intents += 1
            self.last_intent = time.perf_counter()


class WatchedFeed:
    """The simulator's CandleFeed, which lets a number of closes of a timeframe pass and keeps the time of each."""

    def __init__(
        self, feed: SimulatedFeed, activity: Activity, store: WatchedStore, closes: int, timeframe: Timeframe
    ) -> None:
        self._feed = feed
        self._activity = activity
        self._store = store
        self._closes = closes
        self._timeframe = timeframe
        self._came = self._came_cpu = self._came_all_cpu = 0.0
        self._close_ms = 0
        self._before = (0, 0)
        self.lag = LagProbe()
        self.rows: list[dict[str, float]] = []

    async def history(self, symbol: str, timeframe: Timeframe, count: int) -> CandleSeries:
        return await self._feed.history(symbol, timeframe, count)

    def listen(self, symbol: str, deliver: Callable[[Candle], None]) -> None:
        self._feed.listen(symbol, deliver)

    def listen_notices(self, deliver: Callable[[VenueNotice], None]) -> None:
        self._feed.listen_notices(deliver)

    async def run(self) -> None:
        watching = asyncio.create_task(self.lag.run())
        minutes = (WARM_CLOSES + self._closes) * self._timeframe.ms // Timeframe.M1.ms
        await self._feed._clock.drive(self._push, quiesce=self._all_done, minutes=minutes)
        watching.cancel()

    async def _push(self, minute: Minute) -> None:
        self._close_ms = minute.close_ms
        self._before = (self._store.saves, self._store.intents)
        self._came_all_cpu = time.process_time()
        self._came, self._came_cpu = time.perf_counter(), time.thread_time()
        await self._feed._push(minute)

    async def _all_done(self) -> None:
        await self._activity.idle()
        done, done_cpu, done_all_cpu = time.perf_counter(), time.thread_time(), time.process_time()
        if self._close_ms % self._timeframe.ms == 0:
            decided = max(LastCall.at, self._store.last_intent, self._came)
            self.rows.append(
                {
                    "all_done": (done - self._came) * 1000,
                    "decided": (decided - self._came) * 1000,
                    "cpu": (done_cpu - self._came_cpu) * 1000,
                    "all_cpu": (done_all_cpu - self._came_all_cpu) * 1000,
                    "saves": self._store.saves - self._before[0],
                    "intents": self._store.intents - self._before[1],
                }
            )
            if len(self.rows) == WARM_CLOSES:
                self.lag.forget()
        await asyncio.sleep(PAUSE_S)


def measure(folder: Path, strategy: str, closes: int) -> dict[str, Any]:
    """Run the daemon in this process."""
    config = write_config(folder, SYMBOLS, STRATEGIES[strategy], speed=0, latency_ms=0)
    return watch(config, folder, closes, TIMEFRAME)


def watch(config: Path, folder: Path, closes: int, timeframe: Timeframe) -> dict[str, Any]:
    """Run the daemon of a config in this process, for so many closes of this timeframe."""
    feeds: list[WatchedFeed] = []

    def watched(parts: SystemParts) -> System:
        store = WatchedStore(parts.store)
        assert isinstance(parts.feed, SimulatedFeed)
        feeds.append(WatchedFeed(parts.feed, parts.activity, store, closes, timeframe))
        return System(replace(parts, store=store, feed=feeds[0]))

    vars(daemon)["System"] = watched
    setattr(EmaCross, "decide", _noted(EmaCross.decide))  # noqa: B010 - mypy forbids the plain way
    bootstrap.run_daemon(config, folder, seconds=None, screen=None, log_level="error")
    (feed,) = feeds
    rows = feed.rows[WARM_CLOSES:]
    return {"rows": rows, "lag_p99": feed.lag.p99_ms, "lag_maximum": feed.lag.maximum_ms}


def _noted(decide: Decide) -> Decide:
    def noted(strategy: EmaCross, view: View) -> Entry | None:
        entry = decide(strategy, view)
        LastCall.at = time.perf_counter()
        return entry

    return noted


def one_run(strategy: str, closes: int) -> dict[str, float]:
    """In a child process; milliseconds from the arrival of a close's candles.

    `decided`: all strategies asked and all order intents durable.  `all_done`: also all orders placed and filled, all
    stops and targets accepted, all states durable.
    """
    with scratch_folder() as folder:
        answer = ask_child("tests.benchmarks.closes", folder, strategy, str(closes))
    if len(answer["rows"]) < closes:
        raise RuntimeError(f"the daemon was stopped after {len(answer['rows'])} of {closes} closes")
    columns = {name: [row[name] for row in answer["rows"]] for name in answer["rows"][0]}
    return {
        "decided_p50_ms": quantile(columns["decided"], 0.5),
        "decided_p99_ms": quantile(columns["decided"], 0.99),
        "all_done_p50_ms": quantile(columns["all_done"], 0.5),
        "all_done_p99_ms": quantile(columns["all_done"], 0.99),
        "loop_cpu_p50_ms": quantile(columns["cpu"], 0.5),
        "loop_lag_p99_ms": answer["lag_p99"],
        "loop_lag_maximum_ms": answer["lag_maximum"],
        "closes": len(answer["rows"]),
        "intents_per_close": sum(columns["intents"]) / len(answer["rows"]),
        "saves_per_close": sum(columns["saves"]) / len(answer["rows"]),
    }


def main(arguments: list[str]) -> None:
    """See above."""
    folder = Path(arguments[0])
    answer = measure(folder, arguments[1], int(arguments[2]))
    (folder / "result.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
