"""The whole command line against the real daemon, as a service and on a terminal."""

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from livebot.ops.control.client import ControlClient, DaemonNotReached

CHECKOUT = Path(__file__).parents[2]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SECRET = "a-secret-that-nobody-may-see"
PATIENCE_S = 90.0  # for what takes a second or two, on a machine that is busy
pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def root(tmp_path):
    shutil.copy(CHECKOUT / "config.yaml", tmp_path)
    return tmp_path


@pytest.fixture
def environment():
    mine = {name: value for name, value in os.environ.items() if name not in {"STATE_DIRECTORY", "LIVEBOT_LOG"}}
    return {**mine, "TERM": "xterm-256color", "LIVEBOT_API_SECRET": SECRET}


def livebot(root, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "livebot", *arguments, "--config", str(root / "config.yaml")],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd=CHECKOUT,
    )


def until_ready(root):
    """What the command line says then; it is not asked before, since each time is a process of its own."""
    client = ControlClient(root / "state" / "control.sock")
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(DaemonNotReached):
            if client.status()["ready"]:
                return json.loads(livebot(root, "status", "--json").stdout)
        time.sleep(0.05)
    pytest.fail("not ready in time")


def test_a_service_logs_json_and_obeys(root, environment):
    """Every line of stdout is JSON, commands reach it, SIGTERM ends it with 0."""
    said, wrong = root / "stdout", root / "stderr"  # files: a pipe that nobody reads for so long is soon full
    with said.open("wb") as stdout, wrong.open("wb") as stderr:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "livebot", "run", "--config", str(root / "config.yaml"), "--log-level", "debug"],
            stdout=stdout,
            stderr=stderr,
            cwd=CHECKOUT,
            env=environment,
        )
    try:
        status = until_ready(root)
        assert (status["system"], status["pid"], len(status["symbols"])) == ("demo", daemon.pid, 10)
        assert (root / "state" / "control.sock").stat().st_mode & 0o777 == 0o600
        assert livebot(root, "pause", "BTC/USDT:USDT").returncode == 0
        assert livebot(root, "pause", "NOT/THERE").returncode == 3
        assert livebot(root, "halt", "--reason", "a test").returncode == 0
        status = json.loads(livebot(root, "status", "--json").stdout)
        assert (status["trading_state"], "paused" in status["symbols"][0]["blocks"]) == ("HALTED", True)
        second = livebot(root, "run", "--seconds", "1")
        assert (second.returncode, "Traceback" in second.stderr) == (3, False)
        assert livebot(root, "unhalt", "--reason", "it was a test").returncode == 0
        for name in ("resume", "restart", "flatten"):
            assert livebot(root, name, "--all").returncode == 0
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(PATIENCE_S)
    except BaseException:
        daemon.kill()
        daemon.wait()
        print(said.read_text(), wrong.read_text())
        raise
    out, err = said.read_bytes(), wrong.read_bytes()
    events = [json.loads(line) for line in out.splitlines()]
    assert (daemon.returncode, err) == (0, b"")
    assert "ready" in [event["event"] for event in events]
    assert SECRET.encode() not in out
    assert livebot(root, "status").returncode == 4
    report = livebot(root, "report", "--json")
    assert json.loads(report.stdout)["system"] == "demo"
    journal = "".join(path.read_text() for path in (root / "state" / "journal").iterdir())
    assert re.search(r'"command": ?"halt"', journal)
    assert "a test" in journal


def test_a_terminal_shows_the_log_the_table_and_at_the_end_the_report(root, environment):
    """As `make run` does; SIGINT, which Ctrl-C sends, is the way out, and the cursor comes back."""
    terminal, inside = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    daemon = subprocess.Popen(
        [sys.executable, "-m", "livebot", "run", "--config", str(root / "config.yaml")],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        cwd=CHECKOUT,
        env=environment,
    )
    os.close(inside)
    try:
        drawn = read_until(terminal, b"ready")
        drawn += read_until(terminal, b"Equity")  # a line of the log may name a symbol before the table is there
        drawn += read_until(terminal, b"BTC/USDT:USDT")
        daemon.send_signal(signal.SIGINT)
        drawn += read_until(terminal, None)
        assert daemon.wait(PATIENCE_S) == 0
    finally:
        daemon.kill()
        daemon.wait()
        os.close(terminal)
    text = ESCAPES.sub("", drawn.decode())
    assert text.index("starting ...") < text.index("Equity") < text.index("Live Trading Report: demo")
    assert "ready" in text
    assert drawn.rindex(b"\x1b[?25h") > drawn.rindex(b"\x1b[?25l")


def read_until(terminal, wanted):
    """What the terminal shows until it shows this, or until the program ends."""
    seen, deadline = b"", time.monotonic() + PATIENCE_S
    with contextlib.suppress(OSError):  # the program has ended
        while wanted is None or wanted not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([terminal], [], [], 1.0)[0]:
                seen += os.read(terminal, 65536)
    return seen
