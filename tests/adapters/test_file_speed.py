"""How long durable things take: `pytest tests/adapters/test_file_speed.py --benchmark-enable`.

Without that option each runs once, so that it keeps working.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from livebot.adapters.ledger.ledger import SqlLedger
from livebot.adapters.state_files.codec import Codec
from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.adapters.state_files.sealed_json import seal, unseal
from livebot.adapters.state_files.signal_store import FileSignalStore
from livebot.core.inputs import SymbolState
from tests.adapters.states import SYSTEM, a_fact, open_state

STATE: Codec[SymbolState] = Codec(SymbolState)
STATES = [open_state(f"S{number}/USDT:USDT") for number in range(500)]
LAG_TICK_SECONDS = 0.001


async def worst_lag(seconds: list[float]) -> None:
    """Keep the longest that the event loop was late in `seconds[0]`."""
    while True:
        start = time.perf_counter()
        await asyncio.sleep(LAG_TICK_SECONDS)
        seconds[0] = max(seconds[0], time.perf_counter() - start - LAG_TICK_SECONDS)


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for all rounds of a benchmark."""
    with asyncio.Runner() as runner:
        yield runner


def test_encoding_an_open_state(benchmark):
    """At most 60 us."""
    state = open_state()
    benchmark(lambda: seal(STATE.to_tree(state)))


def test_decoding_an_open_state(benchmark):
    """For five hundred at start."""
    data = seal(STATE.to_tree(open_state()))
    assert open_state() == benchmark(lambda: STATE.from_tree(unseal(data)))


@pytest.mark.parametrize("count", [1, 50, 500])
def test_saving_states_at_once(benchmark, tmp_path: Path, loop: asyncio.Runner, count: int):
    """One candle close; the lag is how long the event loop stood still at most."""
    lag = [0.0]

    async def prepare() -> tuple[DurableFiles, FileSignalStore, asyncio.Task[None]]:
        files = DurableFiles()
        return files, FileSignalStore(tmp_path, SYSTEM, files), asyncio.create_task(worst_lag(lag))

    files, store, watcher = loop.run(prepare())

    async def save() -> None:
        await asyncio.gather(*(store.save(state) for state in STATES[:count]))

    async def end() -> None:
        watcher.cancel()
        await files.close()

    benchmark.pedantic(lambda: loop.run(save()), rounds=10, warmup_rounds=1)
    loop.run(end())
    benchmark.extra_info["worst_lag_ms"] = round(lag[0] * 1000, 2)


def test_loading_500_states(benchmark, tmp_path: Path, loop: asyncio.Runner):
    """At most 150 ms."""
    store = FileSignalStore(tmp_path, SYSTEM, DurableFiles())

    async def save() -> None:
        await asyncio.gather(*(store.save(state) for state in STATES))

    loop.run(save())
    loaded: Any = benchmark.pedantic(lambda: loop.run(store.load()), rounds=5)
    assert 500 == len(loaded.states)


def test_recording_100_facts(benchmark, tmp_path: Path, loop: asyncio.Runner):
    """Of a hundred symbols, in one transaction."""
    ledger = SqlLedger(tmp_path / "ledger.sqlite", SYSTEM)
    sequence = itertools.count(1)

    async def record() -> None:
        number = next(sequence)
        await ledger.record([replace(a_fact(f"S{symbol}/USDT"), sequence=number) for symbol in range(100)], ())

    benchmark.pedantic(lambda: loop.run(record()), rounds=20)
    loop.run(ledger.close())
