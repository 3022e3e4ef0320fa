"""A halt outlives everything; a damaged memory of it stops the start."""

import errno
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.file_workers import InlineWorkers
from livebot.adapters.state_files.json_text import json_of
from livebot.adapters.state_files.portfolio_store import MEMORY, FilePortfolioStore, seen_memory
from livebot.adapters.state_files.sealed_json import _seal_of, seal
from livebot.core.denial import TradingState
from livebot.core.market import OrderSide
from livebot.core.order import OrderKind, OrderStatus, VenueOrder
from livebot.errors import Fatal
from livebot.ports import Dismissed, PortfolioMemory, PortfolioStore
from tests.adapters.layers import FailingFiles, RecordingFiles

HALTED = PortfolioMemory(
    trading_state=TradingState.HALTED,
    state_reason="drawdown of 20.1 % reached",
    day_start_ms=1_750_000_000_000,
    day_start_equity=Decimal("10000.00"),
    peak_equity=Decimal("12500.5"),
    paused=("BTC/USDT",),
    quarantined=(("ETH/USDT", "restarted too often"),),
    switched_off=(("XRP/USDT", 5),),
    switched_on=(("SOL/USDT", 6),),
    dismissed=(
        Dismissed(
            symbol="XRP/USDT",
            quantity=Decimal("-3.50"),
            orders=(
                VenueOrder(
                    client_order_id=None,
                    venue_order_id="v1",
                    symbol="XRP/USDT",
                    side=OrderSide.SELL,
                    kind=OrderKind.STOP_MARKET,
                    quantity=Decimal("3.50"),
                    filled=Decimal(0),
                    status=OrderStatus.WORKING,
                    trigger_price=Decimal("0.4"),
                    reduce_only=True,
                ),
            ),
        ),
    ),
)


def store_on(folder: Path, layer: RecordingFiles | None = None, system: str = "spot") -> FilePortfolioStore:
    """A store without threads."""
    return FilePortfolioStore(folder, system, DurableFiles(layer or RecordingFiles(), InlineWorkers()))


async def test_who_only_looks_sees_what_was_saved_or_nothing(tmp_path):
    """A report must not fail over it, and moves nothing."""
    path = tmp_path / "portfolio.json"
    assert seen_memory(path) is None
    await store_on(tmp_path).save(HALTED)
    assert seen_memory(path) == HALTED
    path.write_bytes(path.read_bytes().replace(b"HALTED", b"ACTIVE"))
    assert seen_memory(path) is None
    assert [file.name for file in tmp_path.iterdir()] == ["portfolio.json"]


async def test_what_was_saved_is_loaded(tmp_path):
    """Exactly, the halt and its reason above all."""
    store: PortfolioStore = store_on(tmp_path)
    await store.save(HALTED)
    assert HALTED == await store_on(tmp_path).load()
    await store.save(replace(HALTED, trading_state=TradingState.ACTIVE))
    assert replace(HALTED, trading_state=TradingState.ACTIVE) == await store.load()


async def test_a_halt_that_was_read_is_there_to_stay(tmp_path):
    """Its writer may have been killed between the rename and the folder's fsync."""
    await store_on(tmp_path).save(HALTED)
    layer = RecordingFiles()
    await store_on(tmp_path, layer).load()
    assert layer.names("fsync_folder") == [tmp_path.name]


async def test_the_first_start_has_no_memory(tmp_path):
    """None, not a default: the portfolio decides what a first day is."""
    assert await store_on(tmp_path / "state").load() is None


async def test_scratch_files_of_an_earlier_life_are_removed(tmp_path):
    """Whether or not there is a file."""
    scratch = tmp_path / "portfolio.json.scratch"
    scratch.write_bytes(b"half")
    assert await store_on(tmp_path).load() is None
    assert not scratch.exists()
    await store_on(tmp_path).save(HALTED)
    scratch.write_bytes(b"half")
    await store_on(tmp_path).load()
    assert not scratch.exists()


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
async def test_a_damaged_file_stops_the_start_and_stays_where_it_is(tmp_path, cut):
    """The operator is told what it held, how to look at it and what to move away."""
    await store_on(tmp_path).save(HALTED)
    path = tmp_path / "portfolio.json"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(Fatal) as stopped:
        await store_on(tmp_path).load()
    assert f"{path} is damaged: " in str(stopped.value)
    assert f"cat {path}" in str(stopped.value)
    assert f"mv {path} {path}.damaged" in str(stopped.value)
    assert ["portfolio.json"] == [file.name for file in tmp_path.iterdir()]


async def test_a_file_from_before_anything_could_be_dismissed_is_read(tmp_path):
    """A halt must not be lost by an update."""
    tree = MEMORY.to_tree(HALTED)
    del tree["dismissed"]
    body = json_of({"schema": 1, "system": "spot", **tree}, indent=True).removesuffix(b"\n}")
    (tmp_path / "portfolio.json").write_bytes(body + _seal_of(body))
    assert replace(HALTED, dismissed=()) == await store_on(tmp_path).load()


async def test_a_whole_file_with_a_wrong_content_is_damaged(tmp_path):
    """Sealed by something else than this class."""
    tree = {**MEMORY.to_tree(HALTED), "trading_state": "HALT"}
    (tmp_path / "portfolio.json").write_bytes(seal({"system": "spot", **tree}))
    with pytest.raises(Fatal, match=r"is damaged: .*trading_state: one of ACTIVE, REDUCING, HALTED is needed"):
        await store_on(tmp_path).load()


async def test_another_systems_memory_is_refused(tmp_path):
    """Its halt is not ours, nor is its equity."""
    await store_on(tmp_path, system="perpetual").save(HALTED)
    with pytest.raises(Fatal, match=r"portfolio\.json: it is of system perpetual, and this is spot"):
        await store_on(tmp_path).load()


async def test_another_versions_memory_is_refused(tmp_path):
    """It is whole, and the version that wrote it reads it."""
    (tmp_path / "portfolio.json").write_bytes(seal({"schema": 9}))
    with pytest.raises(Fatal, match=r"portfolio\.json: written with schema 9"):
        await store_on(tmp_path).load()


async def test_a_file_that_cannot_be_read_stops_the_start(tmp_path):
    """Unknown is not ACTIVE."""
    with pytest.raises(Fatal, match=r"cannot read .*portfolio\.json: Input/output error"):
        await store_on(tmp_path, FailingFiles("read", errno.EIO)).load()


async def test_a_failed_save_leaves_the_halt(tmp_path):
    """The old file still stands."""
    layer = FailingFiles("rename", errno.ENOSPC, "never")
    store = store_on(tmp_path, layer)
    await store.save(HALTED)
    layer.within = ""
    with pytest.raises(Fatal, match="ENOSPC"):
        await store.save(PortfolioMemory())
    assert HALTED == await store.load()
