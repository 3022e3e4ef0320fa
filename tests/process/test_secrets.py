"""Secrets planted wherever a daemon may be given one, and then looked for in everything that it says and leaves behind.

Keys of a venue, passwords and tokens in the addresses of alerts, the control port's token; also sent amiss: in an address,
in a broken header, as a wrong guess.
"""

import http.client
import json
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from livebot.ops.control.client import ControlClient
from tests.kept_port import kept_port
from tests.process import daemons
from tests.process.daemons import PATIENCE_S, Daemon, Root

pytestmark = [pytest.mark.process, pytest.mark.untraced, pytest.mark.timeout(600)]

TOKEN = "Pl4ntedControlToken0123456789abcdefgh"
GUESS = "Pl4ntedWrongGuess0123456789abcdefghij"
ALERT = "Pl4ntedAlertT0ken"
KEYS = {"LIVEBOT_API_KEY": "Pl4ntedApiKey0001", "LIVEBOT_API_SECRET": "Pl4ntedApiSecret0002"}
PLANTED = (TOKEN, GUESS, ALERT, *KEYS.values())
READS = ("status", "symbols", "signals", "orders", "portfolio", "limits")


@pytest.fixture
def port() -> Iterator[int]:
    with kept_port() as number:
        yield number


@pytest.fixture
def root(tmp_path: Path, port: int) -> Root:
    """Trades on a venue of its own; nobody answers where its alerts go."""
    alerts = {
        "channels": [{"name": "pager", "url_from": "LIVEBOT_ALERT_PAGER"}],
        "gather_seconds": 0.1,
        "grace_seconds": 0,
        "backoff_seconds": 0.1,
        "timeout_seconds": 2,
        "drain_seconds": 1,
    }
    return Root(tmp_path / "root", daemons.config_of(alerts=alerts, control={"http": {"port": port}}))


class Caller:
    """Asks at the port, and keeps every answer with its head."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.said: dict[str, str] = {}
        self.listens = threading.Event()

    def ask(
        self, target: str, *, body: object = None, token: str | None = TOKEN, more: Mapping[str, str] | None = None
    ) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        headers = dict(more or {}) | ({} if token is None else {"Authorization": f"Bearer {token}"})
        data = None if body is None else json.dumps(body)
        headers |= {} if body is None else {"Content-Type": "application/json"}
        connection.request("GET" if body is None else "POST", target, data, headers)
        response = connection.getresponse()
        text = response.read().decode()
        name = f"{len(self.said)} {target.replace(TOKEN, 'TOKEN')}"
        self.said[name] = f"{response.status} {response.getheaders()} {text}"
        connection.close()
        return response.status

    def send(self, raw: bytes) -> None:
        """Bytes that are no request."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as caller:
            caller.sendall(raw)
            self.said[f"{len(self.said)} raw"] = caller.recv(65536).decode()

    def listen(self, until: str) -> None:
        """Events, until one holds this text; begun before anything happens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request("GET", "/v1/events", headers={"Authorization": f"Bearer {TOKEN}"})
        response = connection.getresponse()
        text = ""
        while until not in text:
            line = response.readline().decode()
            assert line, "the stream has ended"
            text += line
            self.listens.set()  # it says something at once
        self.said["events"] = text
        connection.close()


def written(root: Root) -> Iterator[tuple[str, str]]:
    """Everything that the daemon left behind: its log, state files, ledger, journal, report."""
    for path in root.folder.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(root.folder)), path.read_bytes().decode("utf-8", "replace")


def refused(caller: Caller) -> None:
    """Whatever may be said to who asks amiss."""
    assert caller.ask("/v1/status", token=None) == 401
    assert caller.ask("/v1/status", token=GUESS) == 401
    assert caller.ask(f"/v1/status?token={TOKEN}", token=None) == 401
    assert caller.ask(f"/v1/status?token={TOKEN}") == 400
    assert caller.ask(f"/v1/{TOKEN}") == 400
    assert caller.ask("/v1/halt", body={"reason": 7}) == 400
    assert caller.ask("/v1/pause", body={"symbols": ["DOGE/USDT"]}) == 409
    assert caller.ask("/v1/unhalt", body={}) == 400
    assert caller.ask("/v1/unhalt", body={"reason": "it is not halted"}) == 409
    assert caller.ask("/v1/nothing") == 404
    assert caller.ask("/v1/status", more={"Origin": "http://evil.example"}) == 403
    assert caller.ask("/v1/status", more={"Host": "evil.example"}) == 403
    caller.send(f"GET /v1/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {GUESS}\x00\r\n\r\n".encode())
    caller.said.popitem()  # its own bytes are shown to who sent them, and to nobody else


def asked_for_everything(root: Root, caller: Caller, daemon: Daemon) -> None:
    for name in READS:
        assert caller.ask(f"/v1/{name}") == 200, daemon.tail()
    for target in ("/openapi.json", "/metrics"):
        assert caller.ask(target) == 200
    assert caller.ask("/v1/log-level", body={"level": "debug", "reason": "to look for secrets"}) == 200
    assert caller.ask("/v1/reload", body={}) in (200, 409)
    refused(caller)
    listening = threading.Thread(target=caller.listen, args=("trading is HALTED",))
    listening.start()
    assert caller.listens.wait(PATIENCE_S)
    assert caller.ask("/v1/halt", body={"reason": "enough"}, more={"Idempotency-Key": "halt-1"}) == 200
    assert caller.ask("/v1/halt", body={"reason": "enough"}, more={"Idempotency-Key": "halt-1"}) == 200
    listening.join()
    caller.said["socket"] = json.dumps(ControlClient(root.folder / "state" / "control.sock").status())


def test_no_secret_stands_in_anything_that_a_daemon_says_or_leaves_behind(root: Root, port: int) -> None:
    extra = {
        **KEYS,
        "LIVEBOT_CONTROL_TOKEN": TOKEN,
        "LIVEBOT_ALERT_PAGER": f"json://user:{ALERT}@127.0.0.1:1/{ALERT}?x={ALERT}",
        "LIVEBOT_LOG_LEVEL": "debug",
    }
    caller = Caller(port)
    with daemons.start(root, extra=extra, measured=False) as daemon:
        daemon.until_ready()
        asked_for_everything(root, caller, daemon)
        daemon.wait_for("alert_failed")
        for arguments in (("status",), ("check",)):
            told = daemons.livebot(*arguments, cwd=root.folder, extra=extra)
            caller.said[" ".join(arguments)] = told.stdout + told.stderr
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0, daemon.tail()
    left = dict(written(root))
    assert {"state/ledger.sqlite", "daemon.log", "state/report.md"} <= left.keys()
    assert any(name.startswith("state/journal/") for name in left)
    leaks = [(name, secret) for name, text in (left | caller.said).items() for secret in PLANTED if secret in text]
    assert leaks == []
    _the_audit_is_whole(left)


def _the_audit_is_whole(left: Mapping[str, str]) -> None:
    """Each command with who asked and why, and what came of it; what was refused before it began is no command."""
    journal = "".join(text for name, text in left.items() if name.startswith("state/journal/"))
    lines = [json.loads(line) for line in journal.splitlines()]
    begun = [(each["command"], each.get("reason")) for each in lines if each["type"] == "command"]
    assert begun == [
        ("log-level", "to look for secrets"),
        ("reload", None),
        ("pause", None),
        ("unhalt", "it is not halted"),
        ("halt", "enough"),
    ]
    assert {each["who"] for each in lines if each["type"] == "command"} == {"http 127.0.0.1"}
    ended = [each["outcome"] for each in lines if each["type"] == "command_outcome"]
    assert (ended[0], ended[2:]) == ("done", ["refused", "refused", "done"])
    assert [each["command"] for each in lines if each["type"] == "command_repeated"] == ["halt"]


def test_without_a_sound_token_the_start_is_refused(root: Root) -> None:
    """With a sentence that does not show it."""
    extra = {"LIVEBOT_ALERT_PAGER": "json://127.0.0.1:1", "LIVEBOT_CONTROL_TOKEN": "Pl4nted-too-short"}
    told = daemons.livebot("run", "--config", str(root.config), cwd=root.folder, extra=extra)
    assert told.returncode == 2, told.stdout + told.stderr
    assert "LIVEBOT_CONTROL_TOKEN must have 32 to 1024 of the characters" in told.stdout + told.stderr
    assert "Pl4nted" not in told.stdout + told.stderr
