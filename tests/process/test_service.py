"""A real daemon that believes systemd has started it: what it says on the notification socket, and how it ends."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process import daemons
from tests.process.daemons import Root

pytestmark = [pytest.mark.process, pytest.mark.untraced, pytest.mark.timeout(120)]

WATCHDOG_S = 1.0


class ServiceManager:
    """The socket that a daemon is told of."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.settimeout(0.1)
        self.environ = {"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": f"{WATCHDOG_S * 1e6:.0f}"}
        self.heard: list[str] = []

    def listen_until(self, begins: str, seconds: float = daemons.PATIENCE_S) -> str:
        """Hear until something begins so.  Raises AssertionError if nothing does."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self.heard.append(self._socket.recv(65_536).decode())
            except TimeoutError:
                continue
            if self.heard[-1].startswith(begins):
                return self.heard[-1]
        message = f"nothing that begins with {begins!r} in {self.heard[-20:]}"
        raise AssertionError(message)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    made = ServiceManager(tmp_path)
    yield made
    made.close()


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root", daemons.config_of())


def test_a_life_as_a_service(root: Root, manager: ServiceManager) -> None:
    with daemons.start(root, extra=manager.environ) as daemon:
        manager.listen_until("READY=1")
        assert daemon.happened("ready"), "it said so before it was"
        assert manager.heard[0].startswith("EXTEND_TIMEOUT_USEC=")
        assert not any(each.startswith("WATCHDOG") for each in manager.heard)
        manager.listen_until("STATUS=ACTIVE; 4 of 4 symbols run; ")
        began = time.monotonic()
        for _ in range(4):
            manager.listen_until("WATCHDOG=1")
        assert time.monotonic() - began < 4 * WATCHDOG_S  # each within half of that, on a machine that is busy
        _nothing_is_said_by_one_that_hangs(daemon.pid, manager)
        daemon.send(signal.SIGINT)
        manager.listen_until("STOPPING=1")
        manager.listen_until("EXTEND_TIMEOUT_USEC=")
        manager.listen_until("STATUS=stopping (SIGINT): ")
        assert daemon.wait() == 0, daemon.tail()


def _nothing_is_said_by_one_that_hangs(pid: int, manager: ServiceManager) -> None:
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(0.1)
        with pytest.raises(AssertionError, match="nothing that begins"):
            for _ in range(3):  # what it had said before
                manager.listen_until("WATCHDOG=1", 2 * WATCHDOG_S)
    finally:
        os.kill(pid, signal.SIGCONT)
    manager.listen_until("WATCHDOG=1")


def test_a_wrong_config_ends_a_service_with_78(root: Root, manager: ServiceManager) -> None:
    root.configure(daemons.config_of(runtime={"history": "sixty"}))
    done = daemons.livebot("run", "--config", str(root.config), cwd=root.folder, extra=manager.environ)
    assert done.returncode == 78, done
    assert "history" in done.stderr
    assert "Traceback" not in done.stderr
    assert "history" in manager.listen_until("STATUS=ended: ")
