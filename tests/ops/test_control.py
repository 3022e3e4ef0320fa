"""The control API over a real unix socket, asked by the real client and by strangers."""

import asyncio
import contextlib
import os
import socket
import stat
import threading
import time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from livebot.errors import Fatal, Rejected
from livebot.ops.control import answers as control_answers
from livebot.ops.control import client as control_client
from livebot.ops.control import fields as control_fields
from livebot.ops.control import server as control_server
from livebot.ops.control.client import ControlClient, DaemonNotReached
from livebot.ops.control.server import peer_of
from livebot.ops.status_json import decode_status
from tests.ops.fake_control import REFUSAL, TROUBLE, FakeControl, a_crowd, a_status
from tests.ops.served import Served
from tests.virtual_loop import REAL_WAIT_S


@pytest.fixture
def path(tmp_path):
    return tmp_path / "control.sock"


@pytest.fixture
def served(path):
    with Served(path, FakeControl()) as served:
        yield served


# ------------------------------------------------------------------ what an operator asks


def test_status_arrives_whole(served):
    """The client's status is the daemon's."""
    assert decode_status(served.client().status()) == a_status()
    assert served.audited == []


@pytest.mark.parametrize("name", ["pause", "resume", "restart", "flatten", "dismiss"])
@pytest.mark.parametrize("symbols", [["BTC/USDT", "ETH/USDT"], None])
def test_a_command_on_symbols_reaches_the_control(served, name, symbols):
    """By name, or all of them by an explicit null."""
    assert served.client().command(name, {"symbols": symbols}) == f"{name} done"
    assert served.control.asked == [(name, symbols)]
    assert served.audited == [(name, {"symbols": symbols}, f"uid={os.getuid()} pid={os.getpid()}")]


@pytest.mark.parametrize("name", ["halt", "unhalt"])
def test_a_command_with_a_reason_reaches_the_control(served, name):
    """White space in a reason is made plain, so that it stays on one line of the log."""
    assert served.client().command(name, {"reason": " too  odd\n"}) == f"{name} done"
    assert served.control.asked == [(name, "too odd")]
    assert served.audited[0][:2] == (name, {"reason": "too odd"})


def test_a_symbol_named_twice_counts_once_and_the_reason_is_audited(served):
    """The control gets each symbol once; a reason is for the record only."""
    served.client().command("pause", {"symbols": ["B", "A", "B"], "reason": "news"})
    assert served.control.asked == [("pause", ["B", "A"])]
    assert served.audited[0][1] == {"symbols": ["B", "A"], "reason": "news"}


def test_an_adoption_reaches_the_control_with_exact_prices(served):
    """What is given, and nothing else; all of it is audited."""
    asked = {"symbols": ["BTC/USDT"], "stop": "61000.50", "target": "64000", "strategy": "trend", "reason": " by  hand"}
    assert served.client().command("adopt", asked) == "adopt done"
    wishes = {"stop": Decimal("61000.50"), "target": Decimal(64000), "strategy": "trend"}
    assert served.control.asked == [("adopt", (["BTC/USDT"], wishes))]
    assert served.audited[0][:2] == ("adopt", {**asked, "reason": "by hand"})
    served.client().command("adopt", {"symbols": None})
    assert served.control.asked[1] == ("adopt", (None, {}))
    assert served.audited[1][1] == {"symbols": None}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"stop": 61000.5}, "'stop' must be a price as text"),
        ({"stop": "0"}, "'stop' must be a price as text"),
        ({"target": "NaN"}, "'target' must be a price as text"),
        ({"target": "a lot"}, "'target' must be a price as text"),
        ({"stop": "1" * 41}, "'stop' must be a price as text"),
        ({"strategy": ""}, "'strategy' must be text"),
        ({"strategy": ["trend"]}, "'strategy' must be text"),
        ({"price": "1"}, "unknown key 'price'"),
    ],
)
def test_an_adoption_that_is_not_understood_reaches_nobody(served, wrong, sentence):
    """Nor the audit."""
    with pytest.raises(Rejected, match=sentence):
        served.client().command("adopt", {"symbols": ["BTC/USDT"], **wrong})
    assert (served.control.asked, served.audited) == ([], [])


def test_a_refusal_is_the_daemons_sentence(served):
    """Rejected there is Rejected here."""
    served.control.raises = REFUSAL
    with pytest.raises(Rejected, match="is not traded here"):
        served.client().command("flatten", {"symbols": ["BTC/USDT"]})
    assert served.post("/v1/flatten", b'{"symbols":null}')[0] == 409


def test_the_daemons_own_trouble_is_told_apart_from_a_refusal(served):
    """503, with the sentence."""
    served.control.raises = TROUBLE
    assert served.post("/v1/halt", b'{"reason":"x"}') == (503, {"error": str(TROUBLE)})


def test_a_bug_in_the_daemon_sends_the_operator_to_the_log(served, caplog):
    """The answer of an unforeseen failure holds none of its details; the log holds them all."""
    served.control.raises = ZeroDivisionError("deep inside")
    with pytest.raises(Rejected, match="500 without saying why; its log has the details"):
        served.client().status()
    assert "deep inside" in caplog.text


def test_a_halt_does_not_wait_for_a_flatten(served):
    """Commands do not queue behind each other."""
    let_go = served.control.waits = asyncio.Event()
    slow = threading.Thread(target=served.client().command, args=("flatten", {"symbols": None}))
    slow.start()
    until(lambda: served.control.asked)
    assert served.client().command("halt", {"reason": "now"}) == "halt done"
    served.loop.call_soon_threadsafe(let_go.set)
    slow.join()
    assert served.control.finished == ["halt", "flatten"]


def test_a_command_that_takes_long_goes_on(path):
    """The caller is told that it is under way; its end comes, also when the server is closing."""
    let_go = asyncio.Event()
    control = FakeControl(waits=let_go)
    with Served(path, control, command_seconds=0.5) as served:
        with pytest.raises(Rejected, match="still under way"):
            served.client().command("flatten", {"symbols": None})
        served.served_api._desk._command_seconds = REAL_WAIT_S  # a busy machine may take longer than that to close
        served.loop.call_soon_threadsafe(served.loop.call_later, 0.05, let_go.set)
    assert control.finished == ["flatten"]


def test_a_command_that_never_ends_does_not_hold_up_the_end(path):
    """Closing waits a bounded time."""
    control = FakeControl(waits=asyncio.Event())
    with Served(path, control, command_seconds=0.05) as served, pytest.raises(Rejected, match="still under way"):
        served.client().command("flatten", {"symbols": None})
    assert control.finished == []


def test_a_caller_that_hangs_up_does_not_stop_its_command(served):
    """Half a flatten would be worse than either."""
    let_go = served.control.waits = asyncio.Event()
    with served.connect() as caller:
        head = b"POST /v1/flatten HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n"
        caller.sendall(head + b'{"symbols":null}')
        until(lambda: served.control.asked)
    served.loop.call_soon_threadsafe(let_go.set)
    until(lambda: served.control.finished)
    assert served.control.finished == ["flatten"]


def test_a_daemon_that_does_not_answer_is_not_waited_for(served):
    let_go = served.control.waits = asyncio.Event()
    with pytest.raises(DaemonNotReached, match=r"within 0\.1 s"):
        served.client(answer_seconds=0.1).command("flatten", {"symbols": None})
    served.loop.call_soon_threadsafe(let_go.set)


def until(true):
    deadline = time.monotonic() + REAL_WAIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# ------------------------------------------------------------------ requests that are wrong


@pytest.mark.parametrize(
    ("target", "body", "says"),
    [
        ("/v1/pause", b"", "not JSON"),
        ("/v1/pause", b"{", "not JSON"),
        ("/v1/pause", b"\xff\xfe", "not JSON"),
        ("/v1/pause", b"[" * 100_000, "not JSON"),
        ("/v1/pause", b"[]", "must be a JSON object with 'reason', 'symbols'"),
        ("/v1/pause", b"{}", "'symbols' is missing"),
        ("/v1/flatten", b'{"symbols":[]}', "a list of 1 to 10000"),
        ("/v1/flatten", b'{"symbols":"all"}', "a list of 1 to 10000"),
        ("/v1/flatten", b'{"symbols":[1]}', "such as BTC/USDT"),
        ("/v1/flatten", b'{"symbols":[""]}', "such as BTC/USDT"),
        ("/v1/flatten", b'{"symbols":["%s"]}' % (b"x" * 65), "such as BTC/USDT"),
        ("/v1/flatten", b'{"symbols":[%s]}' % b",".join([b'"x"'] * 10_001), "a list of 1 to 10000"),
        ("/v1/flatten", b'{"symbols":null,"all":true}', "unknown key 'all'"),
        ("/v1/pause", b'{"symbols":null,"reason":7}', "'reason' must be text"),
        ("/v1/halt", b"{}", "'reason' is missing: why, in a text of one line"),
        ("/v1/halt", b'{"reason":null}', "'reason' must be text"),
        ("/v1/halt", b'{"reason":" "}', "'reason' must be text"),
        ("/v1/halt", b'{"reason":"\\u001b[2J"}', "printable"),
        ("/v1/halt", b'{"reason":"%s"}' % (b"x" * 501), "1 to 500"),
        ("/v1/unhalt", b'{"reason":"x","symbols":null}', "unknown key 'symbols'; allowed: 'reason'"),
    ],
)
def test_a_body_that_is_wrong_is_refused_with_the_mend(served, target, body, says):
    """400; nothing is done and nothing is audited."""
    status, answer = served.post(target, body)
    assert (status, says in answer["error"]) == (400, True), answer
    assert served.control.asked == served.audited == []


@pytest.mark.parametrize(
    ("method", "target", "status", "says"),
    [
        ("GET", "/v1/nothing", 404, "there is no /v1/nothing here"),
        ("GET", "/", 404, "there is no / here"),
        ("POST", "/v1/../../etc/passwd", 404, "there is no"),
        ("GET", "/v1/flatten", 405, "/v1/flatten takes POST, not GET"),
        ("DELETE", "/v1/status", 405, "/v1/status takes GET, not DELETE"),
    ],
)
def test_a_wrong_address_is_refused(served, method, target, status, says):
    """The sentence names the address."""
    got, answer = served.post(target, b"{}", method)
    assert (got, says in answer["error"]) == (status, True), answer


def test_a_body_too_large_is_refused(served):
    """Neither announced nor sent in pieces does it fill the memory."""
    large = b" " * (control_answers.BODY_BYTES_MAX + 1)
    assert served.post("/v1/pause", large) == (413, {"error": "the body is larger than 262144 bytes"})
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    chunked = (
        b"POST /v1/pause HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        + piece * 5
        + b"0\r\n\r\n"
    )
    assert served.send(chunked).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"POST /v1/pause HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_bytes_that_are_not_http_hurt_nobody(served, raw):
    """They get a 400 or nothing, and the next one is served."""
    assert served.send(raw)[:12] in {b"HTTP/1.1 400", b"HTTP/1.0 400", b""}
    assert served.client().status()["system"] == "demo"


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        b"Content-Encoding: deflate\r\nContent-Length: 4\r\n\r\n\xff\xff\xff\xff",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"Expect: nonsense\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_a_body_that_cannot_be_decoded_is_refused(served, raw):
    """It is the caller's mistake, not a failure of ours, and its details stay out of the answer."""
    answer = served.send(b"POST /v1/pause HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + raw)
    assert answer[9:12] in {b"400", b"417"}, answer


def test_a_caller_that_hangs_up_within_its_body_hurts_nobody(served, caplog):
    """No error of ours, nothing done, and the next one is served."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(served.path))
        caller.sendall(
            b"POST /v1/pause HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        time.sleep(0.05)
    time.sleep(0.05)
    assert served.client().status()["system"] == "demo"
    assert served.control.asked == served.audited == []
    assert caplog.text == ""


# ------------------------------------------------------------------ callers that take up room


def test_a_caller_that_says_nothing_is_shown_out(path):
    """Half a request head does not hold a place for ever."""
    with Served(path, FakeControl(), head_seconds=0.1) as served:
        assert (
            served.send(b"GET /v1/status HTT") == b""
        )  # and it has not been waited for until the socket's time was over


def test_a_caller_whose_body_does_not_come_is_told(served, monkeypatch):
    """408 after a bounded time."""
    monkeypatch.setattr(control_fields, "BODY_SECONDS", 0.1)
    raw = b"POST /v1/pause HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    assert b'{"error":"the body did not arrive within 0.1 s"}' in served.send(raw)


def test_too_many_at_once_are_turned_away(path):
    """The others keep their places, and there is room again when they leave."""
    with Served(path, FakeControl(), connections_max=2) as served, contextlib.ExitStack() as callers:
        for _ in range(2):
            caller = callers.enter_context(socket.socket(socket.AF_UNIX))
            caller.connect(str(path))
        deadline = time.monotonic() + REAL_WAIT_S
        said = ""
        while not said:  # until both are inside
            try:
                served.client().status()
            except Rejected as refusal:
                said = str(refusal)
            assert time.monotonic() < deadline
        assert said == "too many control connections at once; try again"
        callers.close()
        while True:
            with contextlib.suppress(Rejected):
                served.client().status()
                break
            assert time.monotonic() < deadline


def test_500_symbols_are_served_soon(path):
    """In 50 ms at the most, without holding up the loop for more than 10; of the processor's time, which a busy machine shares."""
    status = a_status(symbols=a_crowd(500, open_every=1))
    with Served(path, FakeControl(present=status)) as served:
        took, held = [], []

        async def tick():
            while True:
                begun = time.thread_time()
                await asyncio.sleep(0)
                held.append(time.thread_time() - begun)

        ticking = asyncio.run_coroutine_threadsafe(tick(), served.loop)
        for _ in range(10):
            begun = time.process_time()
            raw = served.send(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
            took.append(time.process_time() - begun)
            assert len(orjson.loads(raw.partition(b"\r\n\r\n")[2])["symbols"]) == 500
        ticking.cancel()
    # the best of ten: what the code takes, not what a busy machine adds
    assert min(took) < 0.050
    assert sorted(held)[-3] < 0.050


# ------------------------------------------------------------------ the socket itself


def test_only_the_owner_may_open_it(served):
    """0600, whatever the umask of the process was."""
    assert stat.S_IMODE(served.path.lstat().st_mode) == 0o600
    assert stat.S_ISSOCK(served.path.lstat().st_mode)


def test_it_is_never_wider_than_that(path, monkeypatch):
    """From its first instant: nothing narrows it afterwards."""
    monkeypatch.setattr(os, "chmod", lambda *_: pytest.fail("narrowed after it was made"))
    before = os.umask(0)
    try:
        control_server.bind_private(path).close()
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_it_is_gone_when_the_server_closes(path):
    """And closing twice, or after somebody removed it, is no trouble."""
    with Served(path, FakeControl()) as served:
        served.run(served.server.close())
        assert not path.exists()


def test_a_socket_that_took_our_place_is_left_alone(path):
    """Another daemon's socket is not ours to remove."""
    with Served(path, FakeControl()):
        path.unlink()
        path.write_text("somebody else's")
    assert path.read_text() == "somebody else's"


def test_the_socket_of_a_killed_daemon_is_replaced(path):
    """Nobody answers there."""
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    with Served(path, FakeControl()) as served:
        assert served.client().status()["pid"] == 4242


def test_a_second_server_is_told_about_the_first(served):
    """And the first goes on."""
    with pytest.raises(Fatal, match="another daemon answers"):
        control_server.bind_private(served.path)
    assert served.client().status()["system"] == "demo"


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_something_that_is_no_socket_is_never_removed(path, tmp_path, kind):
    """The operator is asked to move it."""
    match kind:
        case "file":
            path.write_text("precious")
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Fatal, match="is not a socket; move it away"), Served(path, FakeControl()):
        pass
    assert path.lstat()


def test_a_socket_of_another_user_is_never_removed(path, monkeypatch):
    """Whether or not that daemon lives."""
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(Fatal, match="belongs to user id"):
        control_server.bind_private(path)
    assert path.exists()


def test_a_path_too_long_for_a_socket_is_said_plainly(tmp_path):
    """Before the system says something less clear."""
    with pytest.raises(Fatal, match=r"longer than the 107 bytes.*--root"):
        control_server.bind_private(tmp_path / ("x" * 100) / "control.sock")


def test_a_folder_that_is_not_there_is_said_plainly(tmp_path):
    """With the path and the mend."""
    with pytest.raises(Fatal, match="No such file or directory; see that its folder exists"):
        control_server.bind_private(tmp_path / "absent" / "control.sock")


def test_a_folder_that_is_a_file_is_said_plainly(tmp_path):
    """With the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Fatal, match="cannot be looked at: Not a directory"):
        control_server.bind_private(tmp_path / "file" / "control.sock")


def test_a_caller_that_is_gone_is_unknown():
    """The audit gets a word for it."""

    class HungUp:
        def get_extra_info(self, _):
            return self

        def getsockopt(self, *_):
            raise OSError

    gone: Any = SimpleNamespace(transport=None)
    hung_up: Any = SimpleNamespace(transport=HungUp())
    assert peer_of(gone) == peer_of(hung_up) == "unknown"


# ------------------------------------------------------------------ nobody there


def test_no_socket_means_no_daemon(path):
    """The sentence names the path."""
    with pytest.raises(DaemonNotReached, match="no daemon runs here: there is no"):
        ControlClient(path).status()


def test_a_dead_socket_means_a_killed_daemon(path):
    """Told apart from never started."""
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    with pytest.raises(DaemonNotReached, match="it was killed"):
        ControlClient(path).status()


def test_a_daemon_that_hangs_is_said_to_hang(path):
    """It accepts and says nothing."""
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen(1)
        with pytest.raises(DaemonNotReached, match="overloaded or hangs"):
            ControlClient(path, answer_seconds=0.05).status()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(), "as the user that the daemon runs as"),
        (OSError("AF_UNIX path too long"), "AF_UNIX path too long"),
        (ConnectionAbortedError(), "ConnectionAbortedError"),
    ],
)
def test_other_reasons_are_named(path, monkeypatch, error, says):
    """Each with what can be done, as far as one can know."""

    def refuse(_):
        raise error

    monkeypatch.setattr(control_client._UnixConnection, "connect", refuse)
    with pytest.raises(DaemonNotReached, match=says):
        ControlClient(path).status()


@pytest.mark.parametrize(
    ("status", "raw", "says"),
    [(200, b"[]", "without saying why"), (502, b"<html>", "502"), (418, b"{}", "the daemon answered 418")],
)
def test_an_answer_of_somebody_else_is_refused(status, raw, says):
    """Whoever sits on that socket, it is not our daemon."""
    with pytest.raises(Rejected, match=says):
        control_client._read_answer(status, raw)
