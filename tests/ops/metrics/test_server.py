"""Metrics at a port of this machine, asked by Prometheus and by strangers."""

import asyncio
import contextlib
import socket
import time

import pytest

from livebot.errors import Fatal
from livebot.ops.metrics.server import MetricsServer, is_own_name
from tests.ops.fake_control import FakeControl
from tests.ops.metrics.samples import page, read
from tests.ops.served import InThread
from tests.virtual_loop import REAL_WAIT_S


class Served(InThread):
    """The metrics at a port."""

    def __init__(self, control=None, **options):
        super().__init__(control or FakeControl(), **options)
        self.ready = True

    def made(self, **options):
        options = {"head_seconds": REAL_WAIT_S} | options
        return MetricsServer(page(self.control).answer, lambda: self.ready, 0, **options)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=REAL_WAIT_S)

    def ask(self, target="/metrics", method="GET", host="localhost:9464", more=""):
        """Status, head and body of one request."""
        hosts = "".join(f"Host: {each}\r\n" for each in ([host] if isinstance(host, str) else host))
        head, _, body = self.send(f"{method} {target} HTTP/1.1\r\n{hosts}{more}\r\n".encode()).partition(b"\r\n\r\n")
        return int(head.split()[1]), head.decode(), body


@pytest.fixture(scope="module")
def served():
    with Served() as served:
        yield served


def test_it_serves_metrics(served):
    status, head, body = served.ask()
    assert status == 200
    assert "Content-Type: text/plain; version=0.0.4; charset=utf-8" in head
    assert "Connection: close" in head
    assert read(body)["livebot_ready",] == 1


def test_it_says_whether_the_daemon_decides(served):
    assert served.ask("/healthz")[::2] == (200, b"ready\n")
    served.ready = False
    assert served.ask("/healthz")[::2] == (503, b"not ready\n")
    served.ready = True


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("target", ["/metrics", "/healthz"])
def test_nothing_but_get_is_taken(served, method, target):
    assert served.ask(target, method)[0] == 405


@pytest.mark.parametrize(
    "target", ["/", "/v1/status", "/v1/halt", "/metrics/", "/metrics/x", "//metrics", "/../metrics"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_there_is_nothing_else(served, method, target):
    assert served.ask(target, method)[0] == 404
    assert served.control.asked == []


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:9464",
        "localhost.evil.example",
        "10.0.0.1:9464",
        "",
        "[::2]",
        [],
        ["localhost"] * 2,
    ],
)
@pytest.mark.parametrize("target", ["/metrics", "/healthz", "/"])
def test_a_foreign_host_is_refused(served, host, target):
    """A browser that was led here says where it believes to be."""
    status, _, body = served.ask(target, host=host)
    assert status in (400, 403)
    assert b"livebot_" not in body
    assert b"ready" not in body


def test_who_says_no_host_at_all_is_refused(served):
    """HTTP/1.0 need not; whoever asks so is no Prometheus."""
    assert served.send(b"GET /metrics HTTP/1.0\r\n\r\n").split(b" ")[1] == b"403"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:9464", "127.9.9.9", "[::1]:9464", "[::1]"])
def test_a_loopback_name_is_let_in(served, host):
    assert served.ask("/healthz", host=host)[0] == 200


@pytest.mark.parametrize(
    ("address", "host", "own"),
    [
        ("10.1.2.3", "10.1.2.3:9464", True),
        ("10.1.2.3", "10.1.2.4:9464", False),
        ("10.1.2.3", "localhost:9464", True),
        ("10.1.2.3", "bot.example:9464", False),
        ("0.0.0.0", "192.168.1.9:9464", True),
        ("0.0.0.0", "bot.example", False),
        ("fd00::1", "[fd00::1]:9464", True),
        ("fd00::1", "[fd00::2]", False),
        ("::", "[fd00::2]:9464", True),
    ],
)
def test_another_address_is_named_by_itself_alone(address, host, own):
    """A name may be made to point anywhere by whoever owns it; an address may not."""
    assert is_own_name(host, address) is own


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x00\xff\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
    ],
)
def test_bytes_that_are_no_sound_request_hurt_nobody(served, raw):
    answer = served.send(raw)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert served.ask()[0] == 200


def test_a_body_changes_nothing(served):
    assert served.ask(more="Content-Length: 5\r\n")[0] == 200


def test_a_caller_that_says_nothing_is_shown_out():
    with Served(head_seconds=0.1) as served:
        assert served.send(b"GET /metrics HTTP/1.1\r\n") == b""


def test_too_many_at_once_are_turned_away():
    """And there is room again when they leave."""
    with Served(connections_max=2) as served, contextlib.ExitStack() as callers:
        for _ in range(2):
            callers.enter_context(served.connect())
        deadline = time.monotonic() + REAL_WAIT_S
        while b"too many metrics connections" not in served.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            assert time.monotonic() < deadline
        callers.close()
        while served.ask()[0] != 200:
            assert time.monotonic() < deadline


def test_a_port_that_is_taken_is_said_plainly():
    with Served() as served:
        other = MetricsServer(page().answer, lambda: True, served.server.port)

        async def scenario():
            await other.start()

        with pytest.raises(Fatal, match=rf"127\.0\.0\.1 port {served.server.port}.*in use.*control\.metrics_port"):
            asyncio.run(scenario())
        assert served.ask()[0] == 200


def test_it_listens_at_loopback_only_unless_told_otherwise(served):
    (bound,) = served.server._server._server.sockets
    assert bound.getsockname()[0] == "127.0.0.1"


def test_it_serves_at_the_other_protocol_too():
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        with (
            Served(address="::1") as served,
            socket.create_connection(("::1", served.server.port), timeout=REAL_WAIT_S) as caller,
        ):
            caller.sendall(b"GET /healthz HTTP/1.1\r\nHost: [::1]\r\n\r\n")
            assert caller.recv(100).startswith(b"HTTP/1.1 200")
    except Fatal:
        pytest.skip("no IPv6 here")


def test_one_that_was_never_started_can_be_closed():
    async def scenario():
        await MetricsServer(page().answer, lambda: True, 0).close()

    asyncio.run(scenario())
