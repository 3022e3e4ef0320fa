"""A universe in real processes: it changes while the daemon runs, is killed, and when a venue takes a symbol off its list."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from livebot.ops.control.client import ControlClient
from tests.process import daemons
from tests.process.daemons import Daemon, Launcher, Root, environment, livebot
from tests.process.truth import facts_in

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.untraced, pytest.mark.timeout(600)]


def config_of(**changes: Any) -> dict[str, Any]:
    config = daemons.config_of(**changes)
    del config["symbols"]
    return config


def until(true: Any, daemon: Daemon, seconds: float = 2 * daemons.PATIENCE_S) -> Any:
    """What it says, once it says something."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert daemon.running, daemon.tail()
        assert time.monotonic() < deadline, daemon.tail()
        time.sleep(0.02)
    return found


def changes_of(daemon: Daemon) -> list[dict[str, Any]]:
    return daemon.happened("universe")


def remembered(root: Root) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root.folder / "state" / "universe.json").read_text())
    return found


def _openings(root: Root) -> list[dict]:
    return [fact for fact in facts_in(root.ledger) if fact["type"] == "SignalOpening"]


def test_it_changes_while_the_daemon_runs_and_goes_on_after_a_kill(tmp_path: Path, launcher: Launcher) -> None:
    config = config_of(
        exchange={
            "id": "simulator",
            # as fast as it goes, and waiting while the daemon looks: nobody opens anything meanwhile
            "simulator": {"speed": 0, "seed": 3, "volatility": 3, "wallet": 1_000_000, "symbols": 16},
        },
        universe={
            "top": 4,
            "refresh_minutes": 60,
            "minimum_volume": 1000,
            "hysteresis": {"rank": 0, "minimum_stay_minutes": 60},
        },
        strategies=[{"class": "tests.process.strategies:Seldom"}],
    )
    root = Root(tmp_path / "root", config)
    spans: list[tuple[int, frozenset[str]]] = []  # from when on, and who was in
    with launcher.start(root) as daemon:
        daemon.until_ready()
        seen = remembered(root)
        first = livebot("universe", "--config", str(root.config), "--json", cwd=tmp_path)
        assert first.returncode == 0, first.stderr
        until(lambda: len(_after(seen, changes_of(daemon))) >= 3, daemon)
        daemon.kill()
        spans += _spans(0, seen, changes_of(daemon))
    before = remembered(root)
    spans.append((before["asked_ms"], _members(before)))  # if it was killed before it could log that
    with launcher.start(root) as daemon:
        daemon.until_ready()
        seen = remembered(root)
        assert seen["asked_ms"] >= before["asked_ms"]
        until(lambda: len(_after(seen, changes_of(daemon))) >= 2, daemon)
        control = ControlClient(root.folder / "state" / "control.sock")
        began_ms = control.status()["started_ms"]
        assert len(control.status()["universe"]["members"]) == 4
        until(lambda: _all_run(control.status()), daemon)  # not while one is being taken on
        until(lambda: len(_openings(root)) > 50, daemon)
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0, daemon.tail()
        spans += _spans(began_ms, seen, changes_of(daemon))
    assert len({members for _, members in spans}) >= 5
    opened = _openings(root)
    assert len(opened) > 50
    for fact in opened:  # nobody opens anything who is not a member at that time; at a look's own close both may be
        before_it = [who for from_ms, who in spans if from_ms < fact["ts_ms"]][-1]
        at_it = [who for from_ms, who in spans if from_ms == fact["ts_ms"]]
        assert fact["symbol"] in before_it.union(*at_it), (fact, spans)
    traded = {fact["symbol"] for fact in opened}
    assert len(traded) > 4


def _all_run(status: dict[str, Any]) -> bool:
    return {each["symbol"] for each in status["symbols"]} >= set(status["universe"]["members"])


def _members(memory: dict[str, Any]) -> frozenset[str]:
    return frozenset(symbol for symbol, _ in memory["members"])


def _after(seen: dict[str, Any], changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The changes that are later than what was remembered then."""
    return [change for change in changes if change["asked_ms"] > seen["asked_ms"]]


def _spans(began_ms: int, seen: dict[str, Any], changes: list[dict[str, Any]]) -> list[tuple[int, frozenset[str]]]:
    """From when on and who was in, of a run during which so much was remembered at some moment."""
    members = _members(seen)
    for change in reversed(changes[: len(changes) - len(_after(seen, changes))]):
        members = (members - set(change["entered"])) | set(change["left"])
    found = [(began_ms, members)]
    for change in changes:
        members = (members | set(change["entered"])) - set(change["left"])
        found.append((change["asked_ms"], members))
    return found


# ---------------------------------------------------------------- a venue takes a symbol off its list

LISTED = ("BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT")


@contextmanager
def exchange(folder: Path, *options: str) -> Iterator[dict[str, Any]]:
    """`livebot exchange` in a process of its own, and where it listens."""
    command = [sys.executable, "-m", "livebot", "exchange", "--json", "--symbols", ",".join(LISTED)]
    command += ["--ca-file", str(folder / "ca.pem"), *options]
    with (folder / "exchange.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment(measured=False),
            text=True,
        )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(daemons.PATIENCE_S)
        process.stdout.close()


def arm(there: dict[str, Any], **fault: Any) -> None:
    """A fault, at once."""
    address = f"http://127.0.0.1:{there['control_port']}/_faults"
    request = urllib.request.Request(address, json.dumps([fault]).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=daemons.PATIENCE_S) as answer:
        assert answer.status == 200


def _open(control: ControlClient, symbol: str) -> bool:
    """Whether a signal of the symbol is open."""
    found = next((each for each in control.status()["symbols"] if each["symbol"] == symbol), {"signals": []})
    return any(signal["state"] == "Open" for signal in found["signals"])


def test_a_symbol_that_a_venue_takes_off_its_list_is_left_alone(tmp_path: Path) -> None:
    """Through the real client, with orders: its position is settled there, and nothing is asked about it any more."""
    with exchange(tmp_path, "--speed", "60", "--volatility", "3", "--wallet", "1000000") as there:
        keys = {"LIVEBOT_API_KEY": there["key"], "LIVEBOT_API_SECRET": there["secret"]}
        config = config_of(
            mode="live",
            exchange={
                "id": "bybit",
                "loopback": {"port": there["port"], "control_port": there["control_port"], "ca_file": there["ca_file"]},
            },
            universe={"refresh_minutes": 5, "hysteresis": {"minimum_stay_minutes": 0}},
            strategies=[{"class": "tests.process.strategies:Eager"}],
        )
        root = Root(tmp_path / "root", config)
        with daemons.start(root, extra=keys) as daemon:
            daemon.until_ready()
            control = ControlClient(root.folder / "state" / "control.sock")
            assert control.status()["universe"]["members"] == sorted(LISTED)
            until(lambda: _open(control, "ETH/USDT:USDT"), daemon)
            arm(there, kind="delist", symbols=["ETH/USDT:USDT"])
            gone = until(lambda: [each for each in changes_of(daemon) if "ETH/USDT:USDT" in each["left"]], daemon)
            assert gone[0]["left"]["ETH/USDT:USDT"] == "is not listed any more"
            until(lambda: not control.status()["universe"]["departing"], daemon)
            until(lambda: not control.status()["universe"]["resting"], daemon)
            status = control.status()
            assert {each["symbol"] for each in status["symbols"]} == {"BTC/USDT:USDT", "SOL/USDT:USDT"}
            assert not [each for each in control.status()["problems"] if "ETH" in each]
            until(lambda: sum(each["symbol"] != "ETH/USDT:USDT" for each in _openings(root)) > 3, daemon)
            daemon.send(signal.SIGTERM)
            assert daemon.wait() == 0, daemon.tail()
    state = json.loads(root.signal_file("eager", "ETH/USDT:USDT").read_text())
    assert state["signal"]["type"] == "Idle"
