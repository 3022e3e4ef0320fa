"""What is sent to systemd, and that nothing depends on whether anybody listens."""

import os
import socket
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from livebot.adapters.systemd_notify import STATUS_CHARACTERS_MAX, SystemdNotify, runs_as_service


class Listener:
    """A service manager's socket; a name that begins with @ is one in the abstract namespace."""

    def __init__(self, address: str) -> None:
        self.environ = {"NOTIFY_SOCKET": address}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(65_536).decode())
            except BlockingIOError:
                return found


@pytest.fixture(params=["file", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path):
    address = f"@livebot-test-{os.getpid()}-{tmp_path.name}" if request.param == "abstract" else f"{tmp_path}/notify"
    made = Listener(address)
    yield made
    made.socket.close()


def test_everything_is_said_in_the_words_of_the_protocol(listener: Listener) -> None:
    notify = SystemdNotify(listener.environ)
    notify.extend(30.0000015)
    notify.ready()
    notify.status("ACTIVE; all is well")
    notify.alive()
    notify.stopping()
    assert listener.heard() == [
        "EXTEND_TIMEOUT_USEC=30000002",
        "READY=1",
        "STATUS=ACTIVE; all is well",
        "WATCHDOG=1",
        "STOPPING=1",
    ]
    assert notify.listens


def test_a_reload_is_told_with_the_monotonic_time_in_one_datagram(listener: Listener) -> None:
    """By it systemd knows that this is the reload it has asked for, and not one from before."""
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    SystemdNotify(listener.environ).reloading()
    (said,) = listener.heard()
    first, second = said.split("\n")
    assert first == "RELOADING=1"
    name, _, microseconds = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(microseconds) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_a_status_is_one_bounded_line_without_secrets(listener: Listener) -> None:
    notify = SystemdNotify(listener.environ | {"LIVEBOT_API_SECRET": "hush-hush-hush"})
    notify.status("first\nREADY=1\n\tsecond: hush-hush-hush")
    notify.status("x" * 5_000)
    first, second = listener.heard()
    assert first == "STATUS=first READY=1 second: [secret]"
    assert len(second) == len("STATUS=") + STATUS_CHARACTERS_MAX
    assert second.endswith("x...")


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_where_nobody_listens_nothing_is_sent(environ: dict[str, str]) -> None:
    with capture_logs() as logs:
        notify = SystemdNotify(environ)
        notify.ready()
    assert not notify.listens
    assert logs == []


def test_one_who_does_not_listen_any_more_is_told_of_once_and_disturbs_nobody(tmp_path: Path) -> None:
    listener = Listener(f"{tmp_path}/notify")
    notify = SystemdNotify(listener.environ)
    listener.socket.close()
    with capture_logs() as logs:
        for _ in range(3):
            notify.alive()
    assert [(line["event"], line["what"]) for line in logs] == [("service_manager_not_reached", "WATCHDOG")]
    (tmp_path / "notify").unlink()
    again = Listener(f"{tmp_path}/notify")
    notify.alive()
    assert again.heard() == ["WATCHDOG=1"]
    again.socket.close()


def test_one_who_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    listener = Listener(f"{tmp_path}/notify")
    notify = SystemdNotify(listener.environ)
    for _ in range(2_000):  # many more than its queue holds
        notify.alive()
    assert set(listener.heard()) == {"WATCHDOG=1"}
    listener.socket.close()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_long_the_watchdog_waits(environ: dict[str, str], seconds: float | None) -> None:
    assert SystemdNotify(environ).watchdog_s == seconds


def test_what_a_service_is() -> None:
    assert runs_as_service({"NOTIFY_SOCKET": "/run/systemd/notify"})
    assert not runs_as_service({"INVOCATION_ID": "0" * 32})  # terminals of a desktop have that too
