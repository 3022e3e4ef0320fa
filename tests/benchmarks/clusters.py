"""Clusters of five hundred symbols by 720 returns each, and how late the event loop is while they are worked out.

What has to be imported for it is imported before, as a daemon does while it starts.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import uvloop

from livebot.adapters.correlation import correlated, prepare
from livebot.adapters.state_files.file_workers import ThreadWorkers
from livebot.core.clusters import Closes, CorrelationRule
from livebot.core.market import Timeframe
from tests.benchmarks.frame import Benchmark, LagProbe, Measured, Numbers, ask_child, over_runs, scratch_folder

RUNS = 5
SYMBOLS, FAMILIES, RETURNS = 500, 25, 720
LOOKS = 5
GAPS = 0.02  # of the candles are missing, so that the general way is gone
AT_MS = 1_767_225_600_000
HOUR_MS = 3_600_000
RULE = CorrelationRule(
    timeframe=Timeframe.H1, candles=RETURNS, minimum_candles=200, threshold=0.6, every_ms=24 * HOUR_MS
)


def measure() -> Measured:
    """Each run is a process that works them out several times."""
    with scratch_folder() as folder:
        return over_runs([ask_child("tests.benchmarks.clusters", folder) for _ in range(RUNS)])


def closes_of_many() -> dict[str, Closes]:
    """Symbols of a few families."""
    random = np.random.default_rng(7)
    courses, found = random.normal(0, 0.01, (FAMILIES, RETURNS + 1)), {}
    times = AT_MS - np.arange(RETURNS + 1, 0, -1, dtype=np.int64) * HOUR_MS
    for number in range(SYMBOLS):
        close = 100 * np.exp(np.cumsum(courses[number % FAMILIES] + random.normal(0, 0.006, RETURNS + 1)))
        keep = random.random(RETURNS + 1) >= GAPS
        found[f"S{number:03d}/USDT:USDT"] = Closes(ts_ms=times[keep], close=close[keep])
    return found


async def _run() -> Numbers:
    closes, workers, took = closes_of_many(), ThreadWorkers(1, "clusters"), []
    began = time.perf_counter()
    await workers.submit(prepare)
    imported_s = time.perf_counter() - began
    probe = LagProbe()
    measuring = asyncio.create_task(probe.run())
    for _ in range(LOOKS):
        began = time.perf_counter()
        found = await workers.submit(lambda: correlated(closes, RULE, AT_MS))
        took.append(time.perf_counter() - began)
        assert len(set(dict(found.names).values())) == FAMILIES
    measuring.cancel()
    workers.close()
    return {
        "import_s": imported_s,
        "longest_s": max(took),
        "p50_s": median(took),
        "lag_p99_ms": probe.p99_ms,
        "lag_maximum_ms": probe.maximum_ms,
    }


BENCHMARK = Benchmark(name="clusters", unit="s", target={"longest_s": 3, "lag_p99_ms": 20}, measure=measure)


if __name__ == "__main__":
    (Path(sys.argv[1]) / "result.json").write_text(json.dumps(uvloop.run(_run())))
