"""The control API at a port of the loopback: who holds the token is served, nobody else, and no secret is told."""

import contextlib
import socket
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livebot.errors import Fatal
from livebot.ops.control.guard import GuardSettings
from livebot.ops.control.port import ControlPort
from livebot.ops.status_json import decode_status
from tests.ops.fake_control import FakeControl, a_status
from tests.ops.metrics.samples import page, read
from tests.ops.served import TOKEN, Served, ServedPort

HALT = b'{"reason":"now"}'
JSON = "Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def port():
    control = FakeControl()
    with ServedPort(control, metrics=page(control).answer) as port:
        yield port


@pytest.fixture
def served(port):
    port.token = TOKEN
    port.control.asked.clear()
    port.audited.clear()
    return port


def asked(served, host, *, target="/v1/status", method="GET", more="", body=b""):
    """The status of a request with these headers and no other."""
    head = f"{method} {target} HTTP/1.1\r\n{host}{more}Content-Length: {len(body)}\r\n\r\n"
    return int(served.send(head.encode() + body).split()[1])


def own(served):
    return f"Host: 127.0.0.1:{served.server.port}\r\n"


BEARER = f"Authorization: Bearer {TOKEN}\r\n"

# ------------------------------------------------------------------ who is let in


def test_who_holds_the_token_is_served(port):
    with ServedPort(FakeControl()) as served:
        assert decode_status(served.ask("/v1/status")[2]) == a_status()
        assert served.post("/v1/halt", HALT) == (200, {"message": "halt done"})
        assert served.control.asked == [("halt", "now")]
        assert served.audited == [("halt", {"reason": "now"}, "http 127.0.0.1")]


def test_metrics_are_served_there_too_and_want_the_token(served):
    raw = served.send(f"GET /metrics HTTP/1.1\r\n{served.host()}\r\n".encode())
    assert read(raw.partition(b"\r\n\r\n")[2])["livebot_ready",] == 1
    assert asked(served, own(served), target="/metrics") == 401


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Authorization: Bearer\r\n",
        f"Authorization: {TOKEN}\r\n",
        f"Authorization: Basic {TOKEN}\r\n",
        f"Authorization: Bearer {TOKEN[:-1]}\r\n",
        f"Authorization: Bearer {TOKEN}x\r\n",
        f"Authorization: Bearer {TOKEN.upper()}\r\n",
        f"Authorization: Bearer x\r\n{BEARER}",
        f"{BEARER}{BEARER}",
        "Authorization: Bearer \u00e9\r\n",
    ],
)
@pytest.mark.parametrize("target", ["/v1/status", "/v1/events", "/openapi.json", "/v1/nothing"])
def test_who_does_not_hold_it_is_not(said, target):
    """Not even to be told what there is."""
    with ServedPort(FakeControl(), guard=GuardSettings(delay_s=0)) as served:
        served.token = None
        status, head, answer = served.ask(target, more=said)
        assert (status, "WWW-Authenticate: Bearer" in head) == (401, True)
        assert TOKEN[:8] not in head + str(answer)


def test_a_command_without_the_token_changes_nothing(served):
    served.token = None
    assert served.post("/v1/halt", HALT)[0] == 401
    assert (served.control.asked, served.audited) == ([], [])


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer "])
def test_the_scheme_is_read_as_http_says(served, scheme):
    assert asked(served, own(served), more=f"Authorization: {scheme} {TOKEN}\r\n") == 200


@pytest.mark.parametrize("target", [f"/v1/status?token={TOKEN}", f"/v1/status?{TOKEN}", f"/v1/{TOKEN}"])
def test_a_token_in_the_address_is_refused_and_not_repeated(served, target):
    """Also percent-encoded, and also to who holds it; without the header it opens nothing."""
    for each in (target, target.replace("0123", "%30%31%32%33")):
        status, head, answer = served.ask(each)
        assert (status, TOKEN in head + str(answer)) == (400, False)
        assert "no place in an address" in answer["error"]
        assert asked(served, own(served), target=each) == 401


# ------------------------------------------------------------------ browsers


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost", "127.0.0.1:1", "127.0.0.2:{port}", "", "[::1]"],
)
def test_a_foreign_host_is_refused(served, host):
    """A browser that was led here says where it believes to be; the token does not help."""
    line = f"Host: {host.format(port=served.server.port)}\r\n"
    assert asked(served, line, more=BEARER) == 403
    assert asked(served, "", more=BEARER) in (400, 403)
    assert asked(served, own(served) * 2, more=BEARER) in (400, 403)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LocalHost", "[::1]"])
def test_the_loopback_s_names_are_served(served, name):
    host = f"Host: {name}:{served.server.port}\r\n"
    assert asked(served, host, more=BEARER) == 200
    assert asked(served, host, more=f"{BEARER}Origin: http://{name}:{served.server.port}\r\n") == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1:{port}", ""])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_of_somewhere_else_is_refused(served, origin, method):
    more = f"{BEARER}{JSON}Origin: {origin.format(port=served.server.port)}\r\n"
    target = "/v1/status" if method == "GET" else "/v1/halt"
    assert asked(served, own(served), target=target, method=method, more=more, body=HALT) == 403
    assert (served.control.asked, served.audited) == ([], [])


def test_nobody_is_told_that_other_pages_may_ask(served):
    """A browser asks first whether it may; it is not told so."""
    raw = served.send(
        f"OPTIONS /v1/halt HTTP/1.1\r\n{served.host()}Access-Control-Request-Method: POST\r\n\r\n".encode()
    )
    assert raw.split()[1] == b"405"
    assert b"Access-Control" not in raw


def test_a_page_may_not_ask_the_socket_either(tmp_path):
    with Served(tmp_path / "control.sock", FakeControl()) as served:
        assert served.ask("/v1/status", more="Origin: http://localhost\r\n")[0] == 403


@pytest.mark.parametrize(
    "kind", ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"]
)
def test_a_body_that_a_form_can_send_is_refused(served, kind):
    """Only JSON, and only if it is said to be JSON: what a page may send without asking is none."""
    assert asked(served, own(served), target="/v1/halt", method="POST", more=BEARER + kind, body=HALT) == 415
    assert (served.control.asked, served.audited) == ([], [])


# ------------------------------------------------------------------ guessing


def test_guesses_are_slow_and_bounded_and_the_right_token_is_let_in_all_the_same():
    guard = GuardSettings(delay_s=0.2, attempts=3, waiting=2)
    with ServedPort(FakeControl(), guard=guard) as served:
        served.token = "x" * 40
        begun = time.monotonic()
        assert served.ask("/v1/status")[0] == 401
        assert time.monotonic() - begun >= 0.2
        statuses = []
        guesses = [threading.Thread(target=lambda: statuses.append(served.ask("/v1/status")[0])) for _ in range(6)]
        for guess in guesses:
            guess.start()
        for guess in guesses:
            guess.join()
        assert sorted(statuses) == [401, 401, 429, 429, 429, 429]
        status, head, _ = served.ask("/v1/status")
        assert (status, "Retry-After: " in head) == (429, True)
        served.token = TOKEN
        assert served.ask("/v1/status")[0] == 200


def test_wrong_tokens_are_told_once_a_minute_and_never_shown(capsys):
    with ServedPort(FakeControl(), guard=GuardSettings(delay_s=0)) as served:
        served.token = "Pl4nted" * 6
        for _ in range(5):
            served.ask("/v1/status")
    said = capsys.readouterr().out
    assert said.count("control_token_wrong") == 1
    assert "Pl4nted" not in said


# ------------------------------------------------------------------ strangers' bytes

PIECES = [
    b"GET /v1/status HTTP/1.1\r\n",
    b"POST /v1/halt HTTP/1.1\r\n",
    b"POST /v1/flatten HTTP/1.0\r\n",
    BEARER.encode(),
    b"Host: localhost\r\n",
    b"Content-Length: 20\r\n",
    b"Content-Length: -1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Type: application/json\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
    b"\r\n",
    b"ffffffffffffffffffff\r\n",
    b'{"reason":"x","symbols":null}',
    b"\x00\xff",
]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(pieces=st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=40)), max_size=12))
def test_bytes_that_are_no_sound_request_hurt_nobody(served, pieces):
    """No 5xx, nothing done, and the next one is served.  (None of the pieces names a Host that is served.)"""
    with served.connect() as caller:
        answer = b""
        with contextlib.suppress(OSError):  # it may have been answered, and shown out, before it has said all
            caller.sendall(b"".join(pieces))
            caller.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while got := caller.recv(65536):
                answer += got
    assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/1.1 100")), answer
    assert (served.control.asked, served.audited) == ([], [])
    assert served.ask("/v1/portfolio")[0] == 200


def test_bytes_that_are_no_http_are_in_no_log(served, caplog):
    """They may be anything, also a token that was sent amiss."""
    served.send(f"GET /v1/status HTTP/1.1\r\nAuthorization: Bearer Pl4nted\x00\r\n{own(served)}\r\n".encode())
    served.send(b"Pl4nted /v1/status HTTP/9\r\n\r\n")
    assert "Pl4nted" not in caplog.text


# ------------------------------------------------------------------ where it listens


def test_the_other_loopback_is_served_by_its_own_name():
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")

    class OnSix(ServedPort):
        def connect(self):
            return socket.create_connection(("::1", self.server.port), timeout=15)

        def host(self):
            return f"Host: [::1]:{self.server.port}\r\n{BEARER}"

    with OnSix(FakeControl(), address="::1") as served:
        assert served.ask("/v1/status")[0] == 200
        served.post("/v1/halt", HALT)
        assert served.audited[0][2] == "http ::1"


def test_a_port_that_is_taken_is_said_plainly(served):
    api = served.api()
    with pytest.raises(
        Fatal, match=r"at 127\.0\.0\.1 port \d+: Address already in use; free the port, or change control"
    ):
        served.run(ControlPort(api, TOKEN, served.server.port).start())


def test_what_never_started_can_be_closed(served):
    served.run(ControlPort(served.api(), TOKEN, 0).close())
