"""A daemon that trades is scraped: its metrics agree with its status, and strangers get nothing."""

import json
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from livebot.ops.control.client import ControlClient
from tests.kept_port import kept_port
from tests.ops.metrics.samples import read
from tests.process import daemons
from tests.process.daemons import PATIENCE_S, SYMBOLS, Daemon, Root, config_of, livebot

pytestmark = [pytest.mark.process, pytest.mark.untraced, pytest.mark.timeout(600)]


@pytest.fixture
def port() -> Iterator[int]:
    with kept_port() as number:
        yield number


def ask(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as caller:
        caller.sendall(request)
        answer = b""
        while piece := caller.recv(65536):
            answer += piece
    return answer


def scrape(port: int) -> dict[Any, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as answer:
        return read(answer.read())


def scrape_socket(root: Root) -> dict[Any, float]:
    """The same, on the control socket."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(PATIENCE_S)
        caller.connect(str(root.folder / "state" / "control.sock"))
        caller.sendall(b"GET /metrics HTTP/1.1\r\nHost: livebot\r\n\r\n")
        answer = b""
        while piece := caller.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer
    return read(body)


def until_it_has_traded(port: int, daemon: Daemon) -> dict[Any, float]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = scrape(port)
        if found["livebot_signals_closed_total",] >= 5:
            return found
        assert daemon.running, daemon.tail()
        assert time.monotonic() < deadline, daemon.tail()
        time.sleep(0.1)


def test_a_daemon_that_trades_is_scraped(tmp_path, port) -> None:
    config = config_of(control={"metrics_port": port})
    config["exchange"]["simulator"]["speed"] = 200  # a day, after which its PnL begins anew, lasts seven minutes
    root = Root(tmp_path / "root", config)
    with daemons.start(root) as daemon:
        daemon.until_ready()
        found = until_it_has_traded(port, daemon)
        assert found["livebot_orders_total", ("outcome", "accepted")] >= 10
        assert found["livebot_decision_seconds_count",] >= 5
        assert found["livebot_save_seconds_count",] >= 5
        assert found["livebot_listener_heard_total", ("listener", "journal")] > 0
        assert {key[1][1] for key in found if key[0] == "livebot_symbol_candle_age_seconds"} == set(SYMBOLS)
        _agrees_while_nothing_changes(root, port, daemon)
        _strangers_get_nothing(root, port)
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0, daemon.tail()


def _agrees_while_nothing_changes(root: Root, port: int, daemon: Daemon) -> None:
    """Halted and flat: what counts stands still, so that both can be compared to the digit."""
    control = ControlClient(root.folder / "state" / "control.sock")
    control.command("halt", {"reason": "to compare"})
    control.command("flatten", {"symbols": None})
    deadline = time.monotonic() + PATIENCE_S
    while control.status()["open_signals"]:
        assert time.monotonic() < deadline, daemon.tail()
        time.sleep(0.05)
    time.sleep(1.1)  # what is served may be a second old
    before = json.loads(livebot("status", "--config", str(root.config), "--json", cwd=root.folder).stdout)
    for found in (scrape(port), scrape_socket(root)):
        assert found["livebot_trading_state", ("state", "HALTED")] == 1
        assert found["livebot_trading_state", ("state", "ACTIVE")] == 0
        assert found["livebot_equity",] == pytest.approx(float(before["equity"]), abs=1e-6)
        assert found["livebot_day_pnl",] == pytest.approx(float(before["day_pnl"]), abs=1e-6)
        assert found["livebot_open_signals",] == before["open_signals"] == 0
        assert found["livebot_exposure",] == 0
        assert found["livebot_signals_opened_total",] == before["counts"]["opened"]
        assert found["livebot_signals_closed_total",] == before["counts"]["closed"]
        assert found["livebot_problems",] == len(before["problems"])
        assert found["livebot_symbols", ("state", "running")] == len(before["symbols"])
        assert found["livebot_symbols", ("state", "quarantined")] == 0
        limits = {each["name"]: float(each["used"]) for each in before["limits"]}
        assert "gross_exposure" in limits
        for name, used in limits.items():
            assert found["livebot_limit_used", ("limit", name)] == pytest.approx(used, abs=1e-6)
        realised = found["livebot_realised_pnl", ("strategy", "eager")]
        assert realised == pytest.approx(float(before["day_pnl"]), abs=1e-4)  # it began today, and is flat


def _strangers_get_nothing(root: Root, port: int) -> None:
    local = b"Host: localhost\r\n\r\n"
    for request, status in (
        (b"POST /metrics HTTP/1.1\r\n" + local, b"405"),
        (b"GET /v1/status HTTP/1.1\r\n" + local, b"404"),
        (b"POST /v1/unhalt HTTP/1.1\r\nContent-Length: 17\r\nHost: localhost\r\n\r\n" + b'{"reason": "bad"}', b"404"),
        (b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"403"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n" + local, b"400"),
    ):
        answer = ask(port, request)
        assert answer.split(b" ")[1] == status, answer
        assert b"livebot_" not in answer
    assert ask(port, b"GET /healthz HTTP/1.1\r\n" + local).endswith(b"ready\n")
    assert ControlClient(root.folder / "state" / "control.sock").status()["trading_state"] == "HALTED"
