"""A world that is not as it should be: a second daemon, bad disks, files that others have had their hands on, bad input.

Each gets a sentence that names the file or key and the mend; where nothing can run the exit code says so (2: what the
operator wrote, 3: what was found); and nothing is lost.
"""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from livebot.ops.control.client import ControlClient
from tests.process import daemons
from tests.process.daemons import SYMBOLS, Daemon, Launcher, Root, VenueProcess, problems, until_no_problem
from tests.process.truth import Looks, Truth, read_state
from tests.process.venue_client import VenueClient

pytestmark = [pytest.mark.process, pytest.mark.untraced, pytest.mark.timeout(600)]

BTC, ETH, SOL, XRP = SYMBOLS
EXIT_INPUT = 2
EXIT_FAILED = 3
WALLET = 1_000_000
MINUTE_MS = 60_000
FIRST_MS = 1_767_225_600_000
MEND = "Mend: free some disk space, or raise the quota"


def said(daemon: Daemon) -> list[str]:
    """What it told the operator besides its log, once it has ended."""
    daemon.wait()
    return [line["text"] for line in daemon.look() if line["event"] == "not_a_log_line" and line["text"]]


# ---------------------------------------------------------------- one root, one daemon


def test_a_second_daemon_is_refused(tmp_path: Path) -> None:
    root = Root(tmp_path / "root", daemons.config_of())
    with daemons.start(root) as first:
        first.until_ready()
        root.log = tmp_path / "second.log"  # the first goes on writing its own
        with daemons.start(root) as second:
            assert second.wait() == EXIT_FAILED
        assert said(second) == [
            f"another livebot (pid {first.pid}) runs in {root.folder}: stop it first, "
            "or give this one a root of its own with --root"
        ]
        assert first.running
        other = livebot_status(root)
        assert other["pid"] == first.pid
    # killed: the lock goes with the process, whatever the file says
    with daemons.start(root, "--seconds", "1") as third:
        assert third.wait() == 0, third.tail()


def livebot_status(root: Root) -> dict[str, Any]:
    answer = daemons.livebot("status", "--json", "--config", str(root.config), cwd=root.folder)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


# ---------------------------------------------------------------- disks


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small disk of its own; `options` as mount takes them."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "livebot-test", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            pytest.skip(f"there is no mount: {error}")
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave not a byte."""
    filler = folder / "filler"
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (65536, 4096, 1):
            while True:
                try:
                    os.write(descriptor, b"x" * size)
                except OSError:
                    break
    finally:
        os.close(descriptor)
    return filler


def test_a_root_that_cannot_be_written(tmp_path: Path, launcher: Launcher, disk: Callable[[str], Path]) -> None:
    root = Root(tmp_path / "root", daemons.config_of())
    folder = disk("ro")
    with launcher.start(root, "--root", str(folder)) as daemon:
        assert daemon.wait() == EXIT_FAILED
    (sentence,) = said(daemon)
    assert sentence.startswith(f"cannot lock {folder}/state/livebot.lock: Read-only file system")
    assert "writable" in sentence


def test_a_root_without_the_right_to_write(tmp_path: Path) -> None:
    """Also root is bound by a folder's mode, once it has put down the right not to be."""
    root = Root(tmp_path / "root", daemons.config_of())
    folder = tmp_path / "not-mine"
    folder.mkdir(mode=0o555)
    script = (
        "import ctypes, os, sys; libc = ctypes.CDLL(None)\n"
        "for capability in (1, 2): libc.prctl(24, capability, 0, 0, 0)\n"  # PR_CAPBSET_DROP of the two DAC overrides
        "os.execv(sys.executable, [sys.executable, '-m', 'livebot', *sys.argv[1:]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "run", "--config", str(root.config), "--root", str(folder)],
        capture_output=True,
        text=True,
        env=daemons.environment(measured=False),
        timeout=daemons.PATIENCE_S,
        check=False,
    )
    assert done.returncode == EXIT_FAILED, done.stderr
    assert done.stderr.startswith(f"cannot lock {folder}/state/livebot.lock: Permission denied")


@pytest.mark.parametrize("kib_free", [0, 4, 20, 60])
def test_a_root_that_is_full(tmp_path: Path, launcher: Launcher, disk: Callable[[str], Path], kib_free: int) -> None:
    """At whatever write the space ends: it says which file, and ends; once there is room it runs."""
    root = Root(tmp_path / "root", daemons.config_of())
    folder = disk("size=4m")
    filler = fill(folder)
    os.truncate(filler, filler.stat().st_size - kib_free * 1024)
    with launcher.start(root, "--root", str(folder), "--seconds", "30") as daemon:
        assert daemon.wait() == EXIT_FAILED, daemon.tail()
    (sentence,) = said(daemon)
    assert str(folder) in sentence
    assert any(word in sentence for word in ("No space left on device", "full", "disk I/O error")), sentence
    assert any(word in sentence for word in ("Mend:", "must be on", "snapshot")), sentence
    filler.unlink()
    with launcher.start(root, "--root", str(folder), "--seconds", "1") as daemon:
        assert daemon.wait() == 0, daemon.tail()


@dataclass
class Trading:
    """A daemon that trades on a venue of its own: BTC is held all along, the others come and go."""

    root: Root
    folder: Path
    venue: VenueClient
    truth: Truth
    control: ControlClient

    def positions(self) -> dict[str, Decimal]:
        return {each["symbol"]: Decimal(each["quantity"]) for each in self.venue.call("positions")}

    def stops(self) -> dict[str, Decimal]:
        orders = self.venue.call("open_orders")
        return {each["symbol"]: Decimal(each["quantity"]) for each in orders if each["kind"] == "stop_market"}

    def entries(self) -> int:
        """How many orders that open were ever accepted."""
        self.truth.books.refresh()
        return sum(order.leg in ("e", "a") for order in self.truth.books.orders.values())


def trading_config(venue: VenueProcess) -> dict[str, Any]:
    return daemons.config_of(
        exchange={"id": "simulator", "simulator": {"socket": str(venue.socket)}},
        strategies=[
            {"class": "tests.process.strategies:Holder", "symbols": [BTC]},
            {"class": "tests.process.strategies:Eager", "symbols": [ETH, SOL, XRP]},
        ],
        execution={"unknown_poll_seconds": 0.05},
    )


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[VenueProcess]:
    options = ("--speed", "600", "--volatility", "3", "--wallet", str(WALLET))
    with VenueProcess(tmp_path / "venue", *options) as running:
        yield running


@pytest.fixture
def trading(tmp_path: Path, venue: VenueProcess) -> Iterator[Trading]:
    with VenueClient(venue.socket) as client:
        root = Root(tmp_path / "root", trading_config(venue))
        yield trading_in(root, root.folder, venue, client)


def trading_in(root: Root, folder: Path, venue: VenueProcess, client: VenueClient) -> Trading:
    truth = Truth(Looks(folder, venue.memory, "process-test", ("eager", "holder"), SYMBOLS), client)
    return Trading(root, folder, client, truth, ControlClient(folder / "state" / "control.sock"))


def wait_until(happened: Callable[[], object], what: str, seconds: float = daemons.PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_a_disk_that_fills_while_it_trades(
    tmp_path: Path, launcher: Launcher, disk: Callable[[str], Path], venue: VenueProcess
) -> None:
    """Entries stop, the position that is held keeps its stop, nothing is lost.

    What could not be saved puts its symbol in quarantine, and there it stays when there is room again: the operator's
    `livebot restart` brings it back.
    """
    folder = disk("size=16m")
    with VenueClient(venue.socket) as client:
        trading = trading_in(Root(tmp_path / "root", trading_config(venue)), folder, venue, client)
        with launcher.start(trading.root, "--root", str(folder)) as daemon:
            daemon.until_ready()
            wait_until(lambda: BTC in trading.stops() and trading.entries() > 10, "nothing is traded")
            filler = fill(folder)
            wait_until(lambda: len(_quarantined(trading)) == 3, "the full disk is not noticed")
            _check_full(trading)
            filler.unlink()
            wait_until(lambda: not any("portfolio.json" in each for each in problems(folder)), "it still complains")
            time.sleep(0.5)
            assert sorted(_quarantined(trading)) == sorted([ETH, SOL, XRP])
            entries = trading.entries()
            trading.control.command("restart", {"symbols": [ETH, SOL, XRP]})
            wait_until(lambda: trading.entries() > entries + 5, "it does not go on")
            until_no_problem(folder)
            assert trading.truth.alive(daemons.PATIENCE_S) == []
            daemon.send(signal.SIGTERM)
            assert daemon.wait() == 0, daemon.tail()
        assert trading.truth.after_death() == []


def _quarantined(trading: Trading) -> list[str]:
    symbols = trading.control.status()["symbols"]
    return [each["symbol"] for each in symbols if each["worker"] in ("guarded", "quarantined")]


def _check_full(trading: Trading) -> None:
    told = problems(trading.folder)
    for symbol in (ETH, SOL, XRP):
        file = trading.folder / "signals" / "eager" / f"{symbol.replace('/', '-').replace(':', '_')}.json"
        begin = f"{symbol} is in quarantine: Fatal: cannot write {file}: No space left on device (ENOSPC). {MEND}"
        assert begin in told, told
    entries = trading.entries()
    for _ in range(10):
        time.sleep(0.1)
        held = trading.positions()[BTC]
        assert trading.stops()[BTC] == held > 0
    assert trading.entries() == entries
    assert trading.control.status()["trading_state"] == "ACTIVE"


# ---------------------------------------------------------------- files that others have had their hands on


def killed_with_positions(trading: Trading, launcher: Launcher) -> None:
    """Trade until all four symbols have a protected position, then be killed."""
    with launcher.start(trading.root) as daemon:
        daemon.until_ready()
        wait_until(lambda: trading.stops().keys() == trading.positions().keys() == set(SYMBOLS), "not all are held")
        daemon.kill()


def of_holder(trading: Trading) -> Path:
    return trading.root.signal_file("holder", BTC)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "zeroed": lambda data: b"\0" * len(data),
    "edited": lambda data: data.replace(b'"Open"', b'"Idle"'),
    "garbage": lambda data: bytes(range(256)) * 8,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_file(trading: Trading, launcher: Launcher, damage: str) -> None:
    """Its symbol alone is quarantined; its position is guarded with what the venue knows; the rest trade on."""
    killed_with_positions(trading, launcher)
    file = of_holder(trading)
    content = DAMAGES[damage](file.read_bytes())
    file.write_bytes(content)
    held, stops = trading.positions()[BTC], trading.stops()[BTC]
    with launcher.start(trading.root) as daemon:
        daemon.until_ready()
        status = trading.control.status()
        (btc,) = (each for each in status["symbols"] if each["symbol"] == BTC)
        assert "quarantined" in btc["blocks"]
        assert btc["signals"][0]["state"] == "Open"
        assert Decimal(btc["signals"][0]["quantity"]) == held
        assert trading.positions()[BTC] == held
        assert trading.stops()[BTC] == stops
        kept = file.with_name(f"{file.name}.damaged-1")
        assert kept.read_bytes() == content
        (told,) = (each for each in status["problems"] if BTC in each)
        assert f"{file} was damaged" in told
        assert f"set aside as {kept}" in told
        assert f"livebot restart {BTC}" in told
        entries = trading.entries()
        wait_until(lambda: trading.entries() > entries + 5, "the others do not trade on")
        trading.control.command("flatten", {"symbols": [BTC]})
        wait_until(lambda: BTC not in trading.positions(), "it cannot be closed")
        daemon.kill()
    # the file is whole again, and still the operator has to say that all is well
    read_state(file)
    with launcher.start(trading.root) as daemon:
        daemon.until_ready()
        assert BTC in _quarantined(trading)
        trading.control.command("restart", {"symbols": [BTC]})
        wait_until(lambda: BTC in trading.positions(), "it does not trade again")
        until_no_problem(trading.folder)


def test_a_state_file_removed_while_flat(trading: Trading, launcher: Launcher) -> None:
    """It goes on above all numbers that were ever used, so no id and no fact comes twice."""
    killed_with_positions(trading, launcher)
    with launcher.start(trading.root) as daemon:
        daemon.until_ready()
        trading.control.command("pause", {"symbols": None})
        trading.control.command("flatten", {"symbols": None})
        wait_until(lambda: not trading.control.status()["open_signals"], "signals do not close")
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0
    before = {symbol: read_state(trading.root.signal_file("eager", symbol)) for symbol in (ETH, SOL, XRP)}
    trading.root.signal_file("eager", ETH).unlink()
    shutil.rmtree(trading.root.folder / "signals" / "holder")
    with launcher.start(trading.root) as daemon:
        daemon.until_ready()
        trading.control.command("resume", {"symbols": None})
        wait_until(lambda: trading.root.signal_file("eager", ETH).exists(), "it does not trade")
        wait_until(lambda: read_state(trading.root.signal_file("eager", ETH))["number"] > before[ETH]["number"] + 1, "")
        until_no_problem(trading.folder)
        assert trading.truth.alive(daemons.PATIENCE_S) == []
        daemon.kill()
    assert trading.truth.after_death() == []


def test_a_state_file_removed_while_open(trading: Trading, launcher: Launcher) -> None:
    """The venue's position is then nobody's: it is reported, left alone with its stop, and the symbol opens nothing."""
    killed_with_positions(trading, launcher)
    of_holder(trading).unlink()
    held, stops = trading.positions()[BTC], trading.stops()[BTC]
    with launcher.start(trading.root) as daemon:
        daemon.until_ready()
        wait_until(lambda: any("is not ours" in each for each in problems(trading.folder)), "nobody tells of it")
        time.sleep(1)
        status = trading.control.status()
        told = [each for each in status["problems"] if BTC in each]
        assert any("is left alone and the symbol opens nothing" in each for each in told), told
        assert any(f"the venue holds {held} that is not ours" in each for each in told), told
        (btc,) = (each for each in status["symbols"] if each["symbol"] == BTC)
        assert "foreign" in btc["blocks"]
        assert trading.positions()[BTC] == held
        assert trading.stops()[BTC] == stops
        assert not of_holder(trading).exists()


# What stands in the state folder: how it is spoilt, and what a start says then


def _sql(root: Root, command: str) -> None:
    connection = sqlite3.connect(root.ledger)
    with connection:
        connection.execute(command)
    connection.close()


def _spoil_ledger(root: Root) -> None:
    root.ledger.write_bytes(os.urandom(8192))


def _spoil_inside_of_ledger(root: Root) -> None:
    _sql(root, "PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(root.ledger.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    root.ledger.write_bytes(bytes(data))


def _ledger_of_another(root: Root) -> None:
    _sql(root, "UPDATE meta SET value = 'other' WHERE name = 'system'")


def _spoil_portfolio(root: Root) -> None:
    file = root.folder / "state" / "portfolio.json"
    file.write_bytes(file.read_bytes().replace(b'"HALTED"', b'"ACTIVE"'))


def _signals_of_another(root: Root) -> None:
    root.ledger.unlink()
    (root.folder / "state" / "portfolio.json").unlink()
    root.configure({**daemons.config_of(), "system": "other"})


REFUSALS: dict[Callable[[Root], None], str] = {
    _spoil_ledger: (
        "the ledger {root}/state/ledger.sqlite is broken or not a ledger: file is not a database. Mend: stop livebot, "
        "move it away, and put a backup there or start with an empty one (only reports, win rates and streaks depend "
        "on it)"
    ),
    _spoil_inside_of_ledger: (
        "the ledger {root}/state/ledger.sqlite is broken or not a ledger: database disk image is malformed. Mend: stop "
        "livebot, move it away, and put a backup there or start with an empty one (only reports, win rates and streaks "
        "depend on it)"
    ),
    _ledger_of_another: (
        "the ledger {root}/state/ledger.sqlite belongs to system other, and this is process-test: "
        "give each system a ledger of its own"
    ),
    _spoil_portfolio: (
        "{root}/state/portfolio.json is damaged: the checksum does not fit: the file was cut, torn or edited by hand. It "
        "would say whether trading is halted and why, and the equity that daily loss and drawdown count from. Read it "
        "(cat {root}/state/portfolio.json). If trading may go on, move it away (mv {root}/state/portfolio.json "
        "{root}/state/portfolio.json.damaged) and start again: livebot then starts ACTIVE and counts both from that "
        "moment. If it was halted, start it and `livebot halt` at once, or leave it stopped"
    ),
    _signals_of_another: (
        "{root}/signals belongs to system process-test, and this is other: give each system a root of its own (--root), "
        "or name the system in the config as it was; nothing was moved"
    ),
}


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory, launcher: Launcher) -> Root:
    """A root in which a daemon has traded, was halted, and has stopped."""
    root = Root(tmp_path_factory.mktemp("used") / "root", daemons.config_of())
    with launcher.start(root) as daemon:
        daemon.until_ready()
        wait_until(lambda: len(daemon.happened("signal_closed")) > 3, "nothing closes")
        ControlClient(root.folder / "state" / "control.sock").command("halt", {"reason": "a test"})
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0, daemon.tail()
    return root


@pytest.fixture
def copy(used: Root, tmp_path: Path) -> Root:
    root = Root(tmp_path / "copy", daemons.config_of())
    for name in ("signals", "state"):
        shutil.copytree(used.folder / name, root.folder / name)
    return root


def files_of(root: Root) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted((root.folder / "signals").rglob("*.json"))}


@pytest.mark.parametrize("spoil", REFUSALS, ids=lambda spoil: spoil.__name__.strip("_"))
def test_a_state_folder_that_cannot_be_used(copy: Root, launcher: Launcher, spoil: Callable[[Root], None]) -> None:
    """Nothing runs, nothing is moved."""
    spoil(copy)
    before = files_of(copy)
    with launcher.start(copy, "--seconds", "1") as daemon:
        assert daemon.wait() == EXIT_FAILED, daemon.tail()
    assert said(daemon) == [REFUSALS[spoil].format(root=copy.folder)]
    assert files_of(copy) == before


def test_a_ledger_that_was_deleted(copy: Root, launcher: Launcher) -> None:
    """History is gone, and nothing else: positions, numbers and the halt stand elsewhere."""
    numbers = {path: read_state(Path(path))["number"] for path in files_of(copy)}
    for path in (copy.folder / "state").glob("ledger.sqlite*"):
        path.unlink()
    with launcher.start(copy) as daemon:
        daemon.until_ready()
        control = ControlClient(copy.folder / "state" / "control.sock")
        assert control.status()["trading_state"] == "HALTED"
        control.command("unhalt", {"reason": "a test"})
        wait_until(
            lambda: all(read_state(Path(path))["number"] > number for path, number in numbers.items()),
            "it does not go on",
        )
        until_no_problem(copy.folder)
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0, daemon.tail()


def test_a_halt_outlives_everything(copy: Root, launcher: Launcher) -> None:
    for number in (signal.SIGKILL, signal.SIGTERM):
        with launcher.start(copy) as daemon:
            daemon.until_ready()
            time.sleep(0.5)
            status = ControlClient(copy.folder / "state" / "control.sock").status()
            assert (status["trading_state"], status["state_reason"]) == ("HALTED", "a test")
            assert not daemon.happened("signal_opening")
            daemon.send(number)
            daemon.wait()


# ---------------------------------------------------------------- what the operator wrote


def candles() -> dict[str, Any]:
    count = 300
    close = 100 + np.sin(np.arange(count) / 5)
    return {
        "ts_ms": FIRST_MS + np.arange(count) * MINUTE_MS,
        "open": close.copy(),
        "high": close + 1,
        "low": close - 1,
        "close": close,
        "volume": np.ones(count),
    }


def _set(name: str, row: int, value: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(table: dict[str, Any]) -> dict[str, Any]:
        table[name][row] = value
        return table

    return change


BAD_CANDLES: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "lacks a column": (
        lambda table: {name: column for name, column in table.items() if name != "volume"},
        "lacks the column(s) volume; it has ts_ms, open, high, low, close; "
        "name the columns ts_ms, open, high, low, close, volume",
    ),
    "a wrong type": (
        lambda table: {**table, "close": pa.array([str(price) for price in table["close"]])},
        "column close has type string; store it as float64",
    ),
    "twice": (
        _set("ts_ms", 10, FIRST_MS + 9 * MINUTE_MS),
        "row 11: ts_ms 1767226140000 is there twice; keep one of the two (the final candle)",
    ),
    "out of order": (
        _set("ts_ms", 10, FIRST_MS + 5 * MINUTE_MS),
        "row 11: ts_ms 1767225900000 follows 1767226140000; sort the rows by ts_ms",
    ),
    "NaN": (_set("close", 20, np.nan), "row 21: close is nan; drop the row; a missing minute is no fault"),
    "infinite": (_set("volume", 20, np.inf), "row 21: volume is inf; drop the row; a missing minute is no fault"),
    "zero": (_set("low", 30, 0.0), "row 31: low is 0.0; fetch the candles again, or drop the row"),
    "negative": (_set("open", 30, -1.0), "row 31: open is -1.0; fetch the candles again, or drop the row"),
    "seconds": (
        lambda table: {**table, "ts_ms": table["ts_ms"] // 1000},
        "row 1: ts_ms 1767225600 looks like seconds; multiply the column by 1000",
    ),
    "empty": (
        lambda table: {name: column[:0] for name, column in table.items()},
        "has no rows; fetch the candles again, or take the file out of the folder",
    ),
}


@pytest.fixture
def replay(tmp_path: Path) -> Root:
    """A config that replays two symbols from a folder of good candles."""
    folder = tmp_path / "candles"
    folder.mkdir()
    for name in ("BTCUSDT", "ETHUSDT"):
        parquet.write_table(pa.table(candles()), folder / f"{name}.parquet")
    simulator = {"candles": str(folder), "speed": 0, "minutes": 120, "wallet": WALLET}
    config = daemons.config_of(exchange={"id": "simulator", "simulator": simulator}, symbols=[BTC, ETH])
    return Root(tmp_path / "root", config)


def eth_file(root: Root) -> Path:
    return root.folder.parent / "candles" / "ETHUSDT.parquet"


@pytest.mark.parametrize("fault", BAD_CANDLES)
def test_bad_candles(replay: Root, launcher: Launcher, fault: str) -> None:
    spoil, sentence = BAD_CANDLES[fault]
    parquet.write_table(pa.table(spoil(candles())), eth_file(replay))
    with launcher.start(replay) as daemon:
        assert daemon.wait() == EXIT_INPUT
    assert said(daemon) == [f"{eth_file(replay)}: {sentence}"]


def test_candle_files_that_are_not_there_or_not_whole(replay: Root, launcher: Launcher) -> None:
    content = eth_file(replay).read_bytes()
    eth_file(replay).write_bytes(content[: len(content) // 2])
    with launcher.start(replay) as daemon:
        assert daemon.wait() == EXIT_INPUT
    (sentence,) = said(daemon)
    assert sentence.startswith(f"{eth_file(replay)}: is not a whole parquet file (")
    assert sentence.endswith("; fetch or export it again")
    # one that is not there is left out, and the operator told; with none at all nothing can run
    folder = eth_file(replay).parent
    eth_file(replay).unlink()
    with launcher.start(replay) as daemon:
        assert daemon.wait() == 0, daemon.tail()
    told = [line["what"] for line in daemon.happened("problem")]
    assert told == [f"ETH/USDT:USDT is not traded: {folder} has no candles of it"]
    assert {line["symbol"] for line in daemon.happened("signal_closed")} == {BTC}
    (folder / "BTCUSDT.parquet").unlink()
    with launcher.start(replay) as daemon:
        assert daemon.wait() == EXIT_INPUT
    (sentence,) = said(daemon)
    assert sentence.startswith(f"{folder}: no candles for ")


def test_gaps_between_candles_are_no_fault(replay: Root, launcher: Launcher) -> None:
    table = {name: np.delete(column, slice(50, 60)) for name, column in candles().items()}
    parquet.write_table(pa.table(table), eth_file(replay))
    with launcher.start(replay) as daemon:
        assert daemon.wait() == 0, daemon.tail()
    assert daemon.happened("gap_filled")
    assert daemon.happened("signal_closed")


def test_all_that_is_wrong_with_a_config_is_told_at_once(tmp_path: Path, launcher: Launcher) -> None:
    config = daemons.config_of()
    config["risk"]["limits"]["open_signal"] = 3
    config["risk"]["limits"]["drawdown"] = 2
    config["runtime"] = {"history": "many"}
    config["symbls"] = ["BTC/USDT:USDT"]
    root = Root(tmp_path / "root", config)
    lines = {line.strip(): number for number, line in enumerate(root.config.read_text().splitlines(), 1)}
    with launcher.start(root) as daemon:
        assert daemon.wait() == EXIT_INPUT
    assert said(daemon) == [
        f"{root.config}:{lines['drawdown: 2']}: risk.limits.drawdown: "
        "must be a ratio above 0 and below 1 (0.05 is 5 %), is 2",
        f"{root.config}:{lines['open_signal: 3']}: risk.limits.open_signal: unknown key; did you mean open_signals?",
        f"{root.config}:{lines['history: many']}: runtime.history: must be a whole number from 1 to 1000000, is 'many'",
        f"{root.config}:{lines['symbls:']}: symbls: unknown key; did you mean symbols?",
    ]
    assert not (root.folder / "state").exists()
    checked = daemons.livebot("check", "--config", str(root.config), cwd=tmp_path)
    assert checked.returncode == EXIT_INPUT
    assert checked.stdout.splitlines() == said(daemon)


STRATEGIES = {
    "needs what is not there": (
        "import nothing_like_this",
        "mine needs nothing_like_this, which is not installed; install it",
    ),
    "raises": ("raise RuntimeError('not today')", "mine does not import, mend it: RuntimeError: not today"),
    "is no Python": ("def decide(:", "mine does not import, mend it: SyntaxError: invalid syntax (mine.py, line 1)"),
    "is no strategy": (
        "class Mine: pass",
        "Mine is not a strategy; derive it from livebot.strategies.interface.Strategy",
    ),
    "is not in it": ("", "mine has no Mine; strategies in it: none"),
}


@pytest.mark.parametrize("fault", STRATEGIES)
def test_a_strategy_of_ones_own_that_does_not_load(tmp_path: Path, launcher: Launcher, fault: str) -> None:
    code, sentence = STRATEGIES[fault]
    root = Root(tmp_path / "root", daemons.config_of(strategies=[{"class": "mine:Mine"}]))
    (root.folder / "mine.py").write_text(code + "\n")
    lines = root.config.read_text().splitlines()
    with launcher.start(root) as daemon:
        assert daemon.wait() == EXIT_INPUT
    line = lines.index("- class: mine:Mine") + 1
    assert said(daemon) == [f"{root.config}:{line}: strategies[0].class: strategy 'mine:Mine': {sentence}"]


def test_a_strategy_of_ones_own_beside_the_config(tmp_path: Path) -> None:
    root = Root(tmp_path / "root", daemons.config_of(strategies=[{"class": "mine:Mine"}]))
    (root.folder / "mine.py").write_text(
        "from tests.process.strategies import Eager\n\nclass Mine(Eager):\n    name = 'mine'\n"
    )
    with daemons.start(root) as daemon:
        daemon.until_ready()
        wait_until(lambda: daemon.happened("signal_closed"), "it does not trade")
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0, daemon.tail()
    assert root.signal_file("mine", BTC).exists()
