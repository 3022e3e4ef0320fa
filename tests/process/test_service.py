"""A real daemon that believes systemd has started it: what it says on the notification socket, and how it ends."""

import contextlib
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.process import daemons
from tests.process.daemons import Root

pytestmark = [pytest.mark.process, pytest.mark.untraced, pytest.mark.timeout(600)]

WATCHDOG_S = 1.0


class ServiceManager:
    """The socket that a daemon is told of; a thread reads it at once, for it takes but few messages, and then loses them."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self.environ = {"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": f"{WATCHDOG_S * 1e6:.0f}"}
        self._waiting: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()
        self.heard: list[str] = []
        self.heard_s: list[float] = []  # when, in seconds of the epoch
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def listen_until(self, begins: str, seconds: float = daemons.PATIENCE_S) -> str:
        """Hear until something begins so.  Raises AssertionError if nothing does."""
        deadline = time.monotonic() + seconds
        while (left_s := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                at_s, text = self._waiting.get(timeout=left_s)
                self.heard_s.append(at_s)
                self.heard.append(text)
                if text.startswith(begins):
                    return text
        message = f"nothing that begins with {begins!r} in {self.heard[-20:]}"
        raise AssertionError(message)

    def say(self, text: str) -> None:
        """As a service does: it is heard after all that was said before."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), self.address)

    def close(self) -> None:
        self.say("")
        self._thread.join()
        self._socket.close()

    def _read(self) -> None:
        while text := self._socket.recv(65_536).decode():
            self._waiting.put((time.time(), text))


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
        was = datetime.fromisoformat(daemon.wait_for("ready")["ts"]).timestamp()
        assert was <= manager.heard_s[-1], "it said so before it was"
        assert manager.heard[0].startswith("EXTEND_TIMEOUT_USEC=")
        assert not any(each.startswith("WATCHDOG") for each in manager.heard)
        manager.listen_until("STATUS=ACTIVE; 4 of 4 symbols run; ")
        _it_pets_the_watchdog_often_enough(manager)
        _nothing_is_said_by_one_that_hangs(daemon.pid, manager)
        daemon.send(signal.SIGINT)
        manager.listen_until("STOPPING=1")
        manager.listen_until("EXTEND_TIMEOUT_USEC=")
        manager.listen_until("STATUS=stopping (SIGINT): ")
        assert daemon.wait() == 0, daemon.tail()


def _it_pets_the_watchdog_often_enough(manager: ServiceManager) -> None:
    """Four times in a row each within less than systemd waits, as soon as the machine lets it."""
    pets_s: list[float] = []
    for _ in range(60):
        manager.listen_until("WATCHDOG=1")
        pets_s.append(manager.heard_s[-1])
        if len(pets_s) > 4 and pets_s[-1] - pets_s[-5] < 4 * WATCHDOG_S:
            return
    pytest.fail(f"it pets the watchdog too seldom: {pets_s}")


def _nothing_is_said_by_one_that_hangs(pid: int, manager: ServiceManager) -> None:
    os.kill(pid, signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, pid, os.WSTOPPED)
        manager.say("it stands still")
        manager.listen_until("it stands still")  # and all that it had said before
        with pytest.raises(AssertionError, match="nothing that begins"):
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
