"""What a config says of clusters, as the parts of a daemon."""

import sys
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.bootstrap.clusters import clusters_of
from livebot.config.load import check
from livebot.config.model import Config
from livebot.config.root import Paths, resolve
from livebot.core.clusters import Closes
from livebot.runtime.clusters.cluster_closes import ClusterParts

HOUR_MS = 3_600_000
TEXT = """\
system: demo
market: perpetual
symbols: [BTC/USDT:USDT, ETH/USDT:USDT]
strategies: [{name: ema_cross}]
"""


def of(folder: Path, more: str) -> tuple[Config, Paths]:
    config = check(TEXT + more, "config.yaml").config
    return config, resolve(config, folder / "config.yaml", None, {})


def nothing(_kind: str, _fields: object) -> None:
    """No journal."""


async def test_they_are_worked_out_on_a_thread_and_kept(tmp_path: Path) -> None:
    config, paths = of(tmp_path, "risk: {clusters: {correlation: {candles: 60, minimum_candles: 30}}}\n")
    files = DurableFiles()
    async with AsyncExitStack() as opened:
        opened.push_async_callback(files.close)
        parts = clusters_of(config, paths, files, nothing, opened)
        assert isinstance(parts, ClusterParts)
        assert parts.spacing_s is None  # the simulated venue is asked at once
        closes = Closes(
            ts_ms=np.arange(61, dtype=np.int64) * HOUR_MS, close=np.exp(np.sin(np.arange(61, dtype=np.float64)))
        )
        found = await parts.work_out({"A": closes, "B": closes}, 61 * HOUR_MS, {"C": "no candles"})
        assert dict(found.names) == {"A": "A", "B": "A", "C": "C"}
        await parts.store.save(found)
        assert await parts.store.load() == found
    assert (tmp_path / "state" / "clusters.json").is_file()
    assert "scipy.cluster.hierarchy" in sys.modules


@pytest.mark.parametrize(("more", "spacing_s"), [("", 0.25), (", requests_per_second: 2", 0.5)])
async def test_a_real_venue_is_asked_at_the_configured_pace(tmp_path: Path, more: str, spacing_s: float) -> None:
    venue = "exchange: {id: bybit}\n"
    config, paths = of(tmp_path, f"{venue}risk: {{clusters: {{correlation: {{threshold: 0.7{more}}}}}}}\n")
    async with AsyncExitStack() as opened:
        files = DurableFiles()
        opened.push_async_callback(files.close)
        parts = clusters_of(config, paths, files, nothing, opened)
        assert isinstance(parts, ClusterParts)
        assert parts.spacing_s == spacing_s


async def test_named_ones_and_none_take_no_thread(tmp_path: Path) -> None:
    files = DurableFiles()
    async with AsyncExitStack() as opened:
        opened.push_async_callback(files.close)
        config, paths = of(tmp_path, "risk: {clusters: {named: {majors: [BTC/USDT:USDT]}}}\n")
        assert clusters_of(config, paths, files, nothing, opened) == {"BTC/USDT:USDT": "majors"}
        config, paths = of(tmp_path, "")
        assert clusters_of(config, paths, files, nothing, opened) is None
