"""How a daemon ends: asked once, asked twice, asked while it starts, from a terminal, and by itself."""

import errno
import fcntl
import os
import pty
import random
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from tests.process import daemons
from tests.process.daemons import SYMBOLS, Daemon, Launcher, Root, VenueProcess
from tests.process.truth import Fact, Looks, Truth, facts_in, read_state
from tests.process.venue_client import VenueClient

pytestmark = [pytest.mark.process, pytest.mark.untraced, pytest.mark.timeout(600)]

SHUTDOWN_S = 60  # a stop that has nothing to wait for takes a second of it, on a machine that is busy a few
CTRL_C = b"\x03"
ENTERING = ("SignalOpening", "SignalScheduled")


def of_venue(venue: VenueProcess, *strategies: str) -> dict[str, Any]:
    """A config for a venue that is a process of its own; by default all on all four symbols trade eagerly."""
    return daemons.config_of(
        exchange={"id": "simulator", "simulator": {"socket": str(venue.socket)}},
        strategies=[{"class": f"tests.process.strategies:{name}"} for name in strategies or ("Eager",)],
        runtime={"history": 60, "shutdown_seconds": SHUTDOWN_S},
        execution={"unknown_poll_seconds": 0.05},
    )


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Trades on a venue of its own, ten market minutes a second."""
    config = daemons.config_of(runtime={"history": 60, "shutdown_seconds": SHUTDOWN_S})
    return Root(tmp_path / "root", config)


def _counted(report: str, what: str) -> int:
    found = re.search(rf"{what}\W+(\d+)", report, re.IGNORECASE)
    assert found, report
    return int(found[1])


def _until_all_have_traded(daemon: Daemon) -> None:
    """Each symbol has opened something, and something has closed."""
    deadline = time.monotonic() + daemons.PATIENCE_S
    while not _all_have_traded(daemon):
        assert daemon.running and time.monotonic() < deadline, daemon.tail()
        time.sleep(0.02)


def _all_have_traded(daemon: Daemon) -> bool:
    opened = {line["symbol"] for line in daemon.happened("signal_opened")}
    return opened == set(SYMBOLS) and bool(daemon.happened("signal_closed"))


def _check_report(root: Root) -> None:
    """What the issue wants of a final report, with something in it."""
    report = root.report.read_text()
    assert _counted(report, "total events") > 0
    assert _counted(report, "closed signals") > 0
    for word in ("Win rate", "Average PnL", "Timestamp", "Symbol", "Action", "Signal", "Side", "PnL", "Reason"):
        assert word.lower() in report.lower(), word
    for symbol in SYMBOLS:
        assert symbol in report


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_in_order(root: Root, number: signal.Signals) -> None:
    with daemons.start(root) as daemon:
        daemon.until_ready()
        _until_all_have_traded(daemon)
        asked = time.monotonic()
        daemon.send(number)
        assert daemon.wait() == 0, daemon.tail()
    assert time.monotonic() - asked < SHUTDOWN_S
    (stop,) = daemon.happened("stop_requested")
    assert (stop["cause"], stop["hurry"]) == (number.name, False)
    assert not daemon.happened("workers_left")
    assert not daemon.happened("not_delivered")
    _check_report(root)
    # what it left is taken up again
    with daemons.start(root) as again:
        again.until_ready()
        again.send(number)
        assert again.wait() == 0, again.tail()


def test_nothing_opens_after_the_gate_has_closed(tmp_path: Path, launcher: Launcher) -> None:
    rng = random.Random(3)
    options = ("--speed", "1200", "--volatility", "3", "--latency-ms", "20", "--wallet", "1000000")
    with VenueProcess(tmp_path / "venue", *options) as venue, VenueClient(venue.socket) as client:
        root = Root(tmp_path / "root", of_venue(venue))
        truth = Truth(Looks(root.folder, venue.memory, "process-test", ("eager",), SYMBOLS), client)
        for _ in range(8):
            with launcher.start(root) as daemon:
                daemon.until_ready()
                time.sleep(rng.uniform(0.05, 0.5))
                daemon.send(signal.SIGTERM)
                daemon.wait_for("stop_requested")
                # What was decided before the gate closed may still be on its way; the venue's time tells it from the rest.
                closed_ms = client.call("hello")["now_ms"]
                assert daemon.wait() == 0, daemon.tail()
            assert [fact for fact in _begun(root) if fact["ts_ms"] > closed_ms] == []
            assert truth.after_death() == []


def _begun(root: Root) -> list[Fact]:
    """All signals that ever began: what the ledger and the files say of it."""
    states = [read_state(path) for path in (root.folder / "signals").glob("*/*.json")]
    facts = [*facts_in(root.ledger), *(fact for state in states for fact in state["outbox"])]
    return [fact for fact in facts if fact["type"] in ENTERING]


def test_a_second_signal_skips_the_drain_and_no_intent(tmp_path: Path, launcher: Launcher) -> None:
    """The venue stops answering with orders on their way, and gets them when their daemon has gone."""
    options = ("--speed", "600", "--volatility", "3", "--latency-ms", "10", "--wallet", "1000000")
    with VenueProcess(tmp_path / "venue", *options) as venue, VenueClient(venue.socket) as client:
        config = of_venue(venue)
        config["execution"]["order_timeout_seconds"] = SHUTDOWN_S  # an order that is given up is not waited for
        root = Root(tmp_path / "root", config)
        truth = Truth(Looks(root.folder, venue.memory, "process-test", ("eager",), SYMBOLS), client)
        with launcher.start(root) as daemon:
            daemon.until_ready()
            _freeze_with_orders_on_their_way(venue, root)
            try:
                daemon.send(signal.SIGINT)
                daemon.wait_for("stop_requested")
                time.sleep(0.5)
                assert daemon.running, "it did not wait for what is on its way"
                asked = time.monotonic()
                daemon.send(signal.SIGINT)
                assert daemon.wait() == 0, daemon.tail()
                assert time.monotonic() - asked < SHUTDOWN_S / 4  # undisturbed, it waits for so long for answers alone
                intended = _intended(root)
            finally:
                venue.thaw()
        assert [line["hurry"] for line in daemon.happened("stop_requested")] == [False, True]
        assert intended
        assert truth.after_death() == []
        time.sleep(0.5)  # what was sent arrives, or is lost with the connection
        assert truth.after_death() == []
        with launcher.start(root) as daemon:
            daemon.until_ready()
            assert truth.alive(daemons.PATIENCE_S) == []
            daemon.kill()
        assert truth.after_death() == []


def _freeze_with_orders_on_their_way(venue: VenueProcess, root: Root) -> None:
    deadline = time.monotonic() + daemons.PATIENCE_S
    while time.monotonic() < deadline:
        venue.freeze()
        time.sleep(0.1)
        if _intended(root):
            time.sleep(0.3)  # answers that had left the venue before arrive meanwhile
            if _intended(root):
                return
        venue.thaw()
        time.sleep(0.013)
    pytest.fail("no order was on its way")


def _intended(root: Root) -> set[str]:
    """Client order ids of what is on disk and not known to have arrived."""
    states = [read_state(path) for path in (root.folder / "signals").glob("*/*.json")]
    records = [record for state in states for record in state["orders"]]
    return {record["request"]["client_order_id"] for record in records if record["status"] in ("intended", "unknown")}


def test_a_signal_while_it_starts(root: Root) -> None:
    """At every moment of the first second: it ends at once, says nothing that frightens, and can be started again."""
    for after_s in (0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9):
        number = signal.SIGTERM if after_s in (0.15, 0.75) else signal.SIGINT
        with daemons.start(root, measured=False) as daemon:
            _until_it_is_livebot(daemon)
            time.sleep(after_s)
            daemon.send(number)
            code = daemon.wait()
        # 130 and 143 are how shells say that a signal ended a program before it had a say in it
        assert code in (0, 128 + number, -number), daemon.tail()
        assert "Traceback" not in root.log.read_text(), daemon.tail()
    with daemons.start(root, "--seconds", "1") as daemon:
        assert daemon.wait() == 0, daemon.tail()


def _until_it_is_livebot(daemon: Daemon) -> None:
    """What the interpreter says of a Ctrl-C before any line of livebot is not livebot's: typer needs pydantic."""
    maps, deadline = Path(f"/proc/{daemon.pid}/maps"), time.monotonic() + daemons.PATIENCE_S
    while "pydantic_core" not in maps.read_text():
        assert daemon.running and time.monotonic() < deadline, daemon.tail()
        time.sleep(0.005)


def test_it_stops_by_itself_after_so_many_seconds(root: Root) -> None:
    """More of them where so few were not enough to trade, or its end was held up by others."""
    for seconds in (3, 6, 12, 24):
        with daemons.start(root, "--seconds", str(seconds)) as daemon:
            daemon.until_ready()
            ready = time.monotonic()
            assert daemon.wait() == 0, daemon.tail()
            took_s = time.monotonic() - ready
        (stop,) = daemon.happened("stop_requested")
        assert stop["cause"] == f"{seconds} seconds have passed"
        if took_s < seconds + 3 and _all_have_traded(daemon):
            break
    assert took_s < seconds + 3
    _check_report(root)


def test_it_stops_where_its_data_end(root: Root) -> None:
    config = daemons.config_of()
    config["exchange"]["simulator"] |= {"minutes": 90, "speed": 0}
    root.configure(config)
    with daemons.start(root) as daemon:
        assert daemon.wait() == 0, daemon.tail()
    (stop,) = daemon.happened("stop_requested")
    assert stop["cause"] == "the data has ended"
    _check_report(root)


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
        self._process = subprocess.Popen(
            # it has to be the terminal's own program for Ctrl-C to reach it
            [sys.executable, "-c", _TAKE_TERMINAL, *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env=daemons.environment(extra={"TERM": "xterm-256color"}),
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def read_until(self, pattern: str, seconds: float) -> None:
        """Read what it shows, colours apart, until such a text is there.  Raises AssertionError if it does not come."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, _plain(self.shown)):
            assert self._read(deadline), f"no {pattern!r} in\n{self.shown[-3000:]}"

    def read_to_end(self, seconds: float) -> int:
        """Read until it has ended; its exit code.  Raises AssertionError if it does not end."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        assert time.monotonic() < deadline, f"still runs\n{self.shown[-3000:]}"
        return self._process.wait(daemons.PATIENCE_S)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)

    def _read(self, deadline: float) -> bool:
        readable, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            return False
        try:
            part = os.read(self._ours, 65536)
        except OSError as error:  # how Linux says that nobody holds the other end any more
            assert error.errno == errno.EIO
            return False
        self.shown += part.decode("utf-8", "replace")
        return bool(part)


def _plain(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_ctrl_c_on_a_terminal(root: Root) -> None:
    terminal = Terminal(["-m", "livebot", "run", "--config", str(root.config)], root.folder)
    try:
        terminal.read_until("Limits", daemons.PATIENCE_S)  # the live table
        for symbol in SYMBOLS:
            terminal.read_until(rf"signal_opened +{symbol} ", daemons.PATIENCE_S)
        terminal.read_until("signal_closed", daemons.PATIENCE_S)
        begun = time.monotonic()
        terminal.type(CTRL_C)
        code = terminal.read_to_end(daemons.PATIENCE_S)
        took_s = time.monotonic() - begun
    finally:
        terminal.close()
    assert code == 0, terminal.shown[-3000:]
    assert took_s < SHUTDOWN_S
    assert "workers_left" not in terminal.shown and "not_delivered" not in terminal.shown, terminal.shown[-3000:]
    end = _plain(terminal.shown).rpartition("stop_requested")[2]
    assert _counted(end, "total events") > 0
    assert _counted(end, "closed signals") > 0
    assert "CLOSED" in end
    assert "Traceback" not in terminal.shown
    assert "\x1b[?25h" in terminal.shown, "the cursor must be shown again"
    _check_report(root)


def test_ctrl_c_on_a_terminal_while_it_starts(root: Root) -> None:
    """It leaves at once, and leaves the terminal as it was."""
    terminal = Terminal(["-m", "livebot", "run", "--config", str(root.config)], root.folder)
    try:
        terminal.read_until("starting", daemons.PATIENCE_S)
        terminal.type(CTRL_C)
        code = terminal.read_to_end(daemons.PATIENCE_S)
    finally:
        terminal.close()
    assert code in (0, 128 + signal.SIGINT), terminal.shown
    assert "Traceback" not in terminal.shown
    assert terminal.shown.rfind("\x1b[?25h") > terminal.shown.rfind("\x1b[?25l")


def test_hanging_up_on_a_daemon_that_waits_for_nobody(tmp_path: Path, launcher: Launcher) -> None:
    """The venue dies: the daemon ends by itself, says so, and its files are as they were."""
    with VenueProcess(tmp_path / "venue", "--speed", "600", "--wallet", "1000000") as venue:
        root = Root(tmp_path / "root", of_venue(venue))
        with launcher.start(root) as daemon:
            daemon.until_ready()
            time.sleep(0.5)
            venue.close()
            code = daemon.wait()
    assert code == 3, daemon.tail()
    assert "is gone" in daemon.tail()
    assert "Traceback" not in _last_words(daemon)


def _last_words(daemon: Daemon) -> str:
    return "\n".join(line["text"] for line in daemon.look() if line["event"] == "not_a_log_line")
