"""The store: merging is counted and atomic, one writer at a time, and no death or full disk harms what is there."""

import errno
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import BadInput, Fatal
from livebot.history.place import Place
from livebot.history.store import CandleStore, Counts
from livebot.history.table import empty_table
from tests.adapters.layers import FailingFiles, FillingUp, RecordingFiles, ShortWrites
from tests.history.builders import PLACE, START_MS, changed, minutes_of, same, table, timed
from tests.history.candle_writer import version

ROOT = Path(__file__).resolve().parents[2]
KILLS = 12


def store_in(folder, calls=None) -> CandleStore:
    return CandleStore(folder, calls or SystemFiles())


def put(store, candles, place=PLACE, fetched=()):
    with store.writing(place) as writer:
        return writer.merge(candles, fetched)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_candles_are_added_replaced_and_left(tmp_path):
    store = store_in(tmp_path / "candles")
    assert put(store, table(range(5, 10))) == Counts(5, 0, 0)
    assert put(store, table(range(8))) == Counts(5, 0, 3)
    assert put(store, table([2, 3], shift=1.0)) == Counts(0, 2, 0)
    found = store.read(PLACE)
    assert minutes_of(found) == list(range(10))
    assert found.values[3, 2] == table([2], shift=1.0).values[3, 0]
    assert Counts(1, 2, 3) + Counts(1, 1, 1) == Counts(2, 3, 4)


def test_what_the_venue_was_asked_for_is_remembered(tmp_path):
    store = store_in(tmp_path)
    spans = [(START_MS + a * MINUTE_MS, START_MS + b * MINUTE_MS) for a, b in ((0, 5), (8, 12))]
    put(store, table([0, 1, 4]), fetched=(spans[0],))
    put(store, table([20]), fetched=(spans[1],))
    with store.writing(PLACE) as writer:
        assert writer.note.fetched == tuple(spans)
        assert writer.known == (*spans, (START_MS + 20 * MINUTE_MS, START_MS + 21 * MINUTE_MS))


def test_nothing_is_written_that_changes_nothing(tmp_path):
    calls = RecordingFiles()
    store = store_in(tmp_path, calls)
    put(store, table(5))
    written = len(calls.calls)
    assert put(store, table(5)) == Counts(0, 0, 5)
    assert put(store, empty_table()) == Counts()
    assert len(calls.calls) == written


def test_the_order_of_a_replacement(tmp_path):
    calls = RecordingFiles()
    put(store_in(tmp_path, calls), table(5))
    steps = [what for what, _ in calls.calls if what != "write"]
    assert steps[-4:] == ["create", "fsync", "rename", "fsync_folder"]
    assert calls.names("fsync_folder") == [tmp_path.name, "bybit", "perpetual", "1m"]


def test_what_there_is(tmp_path):
    store = store_in(tmp_path)
    hours = Place("binance", "spot", Timeframe.H1, "ETH/USDT")
    put(store, table(5))
    put(store, table(3, step_ms=Timeframe.H1.ms), hours)
    (tmp_path / "binance/spot/1h/notes.txt").write_text("not a candle file")
    (tmp_path / "binance/spot/1h/ADA-USDT.parquet").write_text("broken")
    ada, eth, btc = store.list()
    assert (eth.place, eth.rows, eth.first_ms, eth.stop_ms) == (hours, 3, START_MS, START_MS + 3 * Timeframe.H1.ms)
    assert eth.size == eth.path.stat().st_size
    assert (btc.place, btc.rows, btc.problem) == (PLACE, 5, None)
    assert ada.problem is not None and "ADA-USDT.parquet: is not a whole parquet file" in ada.problem
    with pytest.raises(BadInput, match=re.escape("no candles of XRP/USDT 1m of bybit spot; there are ADA/USDT 1h of")):
        store.read(Place("bybit", "spot", Timeframe.M1, "XRP/USDT"))
    with pytest.raises(BadInput, match="there are none at all"):
        store_in(tmp_path / "none").read(PLACE)


def test_a_candle_that_cannot_be_true_is_refused_and_changes_nothing(tmp_path):
    store = store_in(tmp_path)
    put(store, table(5))
    before = store.path_of(PLACE).read_bytes()
    for wrong in (changed(table(9), 1, 7, 0.5), timed(table(9), 8, START_MS + 9 * MINUTE_MS + 1)):
        with pytest.raises(BadInput, match=r"BTC-USDT_USDT.parquet: row \d"):
            put(store, wrong)
    assert store.path_of(PLACE).read_bytes() == before


def test_a_damaged_file_is_not_written_over(tmp_path):
    store = store_in(tmp_path)
    put(store, table(5))
    path = store.path_of(PLACE)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadInput, match="is not a whole parquet file"):
        put(store, table(9))


def test_a_file_under_a_foreign_name_is_refused(tmp_path):
    store = store_in(tmp_path)
    put(store, table(5))
    path = store.path_of(PLACE)
    path.rename(path.with_name("ETH-USDT_USDT.parquet"))
    with pytest.raises(BadInput, match=r"holds BTC/USDT:USDT 1m of bybit perpetual, not what its name says"):
        store.read(Place("bybit", "perpetual", Timeframe.M1, "ETH/USDT:USDT"))


class TestOneWriter:
    def test_a_second_one_is_told_who_the_first_is(self, tmp_path):
        store = store_in(tmp_path)
        other = Place("bybit", "perpetual", Timeframe.M1, "ETH/USDT:USDT")
        with store.writing(PLACE):
            with pytest.raises(Fatal, match=rf"another livebot \(pid {os.getpid()}\) is writing it; wait until"):
                put(store, table(1))
            assert put(store, table(1), other).added == 1
        assert put(store, table(1)).added == 1

    def test_a_lock_that_cannot_be_made(self, tmp_path):
        store = store_in(tmp_path)
        store.path_of(PLACE).parent.mkdir(parents=True)
        (store.path_of(PLACE).parent / "BTC-USDT_USDT.parquet.lock").mkdir()
        with pytest.raises(Fatal, match=r"cannot lock .*BTC-USDT_USDT.parquet: Is a directory"):
            put(store, table(1))


class TestADiskThatFails:
    @pytest.mark.parametrize("call", ["create", "write", "fsync", "rename"])
    def test_the_file_stands_as_it_was(self, tmp_path, call):
        put(store_in(tmp_path), table(5))
        before = store_in(tmp_path).path_of(PLACE).read_bytes()
        with pytest.raises(Fatal, match=r"cannot write .*BTC-USDT_USDT.parquet: Input/output error \(EIO\); what was"):
            put(store_in(tmp_path, FailingFiles(call, errno.EIO)), table(9))
        assert store_in(tmp_path).path_of(PLACE).read_bytes() == before
        assert names_in(tmp_path) == ["BTC-USDT_USDT.parquet"]

    @pytest.mark.parametrize("free", [0, 1, 1_000])
    def test_a_full_disk(self, tmp_path, free):
        put(store_in(tmp_path), table(5))
        with pytest.raises(Fatal, match=r"No space left on device \(ENOSPC\).*Mend: free some disk space"):
            put(store_in(tmp_path, FillingUp(free)), table(500))
        assert same(store_in(tmp_path).read(PLACE), table(5))
        assert names_in(tmp_path) == ["BTC-USDT_USDT.parquet"]
        assert put(store_in(tmp_path), table(500)).added == 495

    def test_a_disk_that_takes_a_few_bytes_at_a_time(self, tmp_path):
        put(store_in(tmp_path, ShortWrites(100)), table(50))
        assert same(store_in(tmp_path).read(PLACE), table(50))

    def test_a_disk_that_takes_nothing_and_does_not_say_why(self, tmp_path):
        with pytest.raises(Fatal, match=r"Input/output error|EIO"):
            put(store_in(tmp_path, ShortWrites(0)), table(50))

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        with pytest.raises(Fatal, match=r"cannot make .*bybit: Permission denied .*give the user that livebot runs as"):
            put(store_in(tmp_path, FailingFiles("make_folder", errno.EACCES)), table(5))

    def test_a_real_limit_on_file_sizes(self, tmp_path):
        """A child with RLIMIT_FSIZE: the kernel itself refuses the rest of the file."""
        put(store_in(tmp_path), table(5))
        code = (
            "import signal, sys; from pathlib import Path; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "from livebot.adapters.state_files.file_layer import SystemFiles\n"
            "from livebot.history.store import CandleStore\n"
            "from tests.history.builders import PLACE, table\n"
            "with CandleStore(Path(sys.argv[1]), SystemFiles()).writing(PLACE) as writer:\n"
            "    writer.merge(table(50_000))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
        )
        assert "File too large (EFBIG)" in done.stderr, done.stderr
        assert same(store_in(tmp_path).read(PLACE), table(5))
        assert names_in(tmp_path) == ["BTC-USDT_USDT.parquet"]


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_kill_at_any_moment_leaves_one_merge_whole(tmp_path):
    """SIGKILL at random moments: the file is the last acknowledged merge, or the one that was under way."""
    chance = random.Random(7)
    acknowledged = 0
    for _ in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.history.candle_writer", str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        acknowledged = int(child.stdout.readline())
        time.sleep(chance.uniform(0.0, 0.05))
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
        child.wait()
        child.stdout.close()
        acknowledged = int(rest[-1]) if rest else acknowledged
        found = store_in(tmp_path).read(PLACE)
        assert any(same(found, version(number)) for number in (acknowledged, acknowledged + 1)), acknowledged
