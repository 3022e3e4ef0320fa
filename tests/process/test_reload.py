"""A daemon whose config changes under it: real processes, real files, real SIGHUP."""

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from livebot.ops.control.client import ControlClient
from tests.process import daemons
from tests.process.daemons import SYMBOLS, Daemon, Launcher, Root, VenueProcess, until_no_problem
from tests.process.test_signals import Terminal
from tests.process.truth import Looks, Truth
from tests.process.venue_client import VenueClient

pytestmark = [pytest.mark.process, pytest.mark.untraced, pytest.mark.timeout(600)]

BTC, ETH, SOL, XRP = SYMBOLS


def limits(config: dict[str, Any], **changes: object) -> dict[str, Any]:
    risk = config["risk"]
    return config | {"risk": risk | {"limits": risk["limits"] | changes}}


def hang_up(daemon: Daemon, event: str, count: int) -> dict[str, Any]:
    """SIGHUP, and the log line of this name that follows: the `count`th of the run."""
    daemon.send(signal.SIGHUP)
    deadline = time.monotonic() + daemons.PATIENCE_S
    while len(daemon.happened(event)) < count:
        assert daemon.running, daemon.tail()
        assert time.monotonic() < deadline, daemon.tail()
        time.sleep(0.01)
    return daemon.happened(event)[count - 1]


def status(root: Root) -> dict[str, Any]:
    return ControlClient(root.folder / "state" / "control.sock").status()


def opened(daemon: Daemon, symbol: str) -> int:
    return sum(line["symbol"] == symbol for line in daemon.happened("signal_opened"))


def until_opened(daemon: Daemon, symbol: str, more: int = 1) -> None:
    known, deadline = opened(daemon, symbol), time.monotonic() + daemons.PATIENCE_S
    while opened(daemon, symbol) < known + more:
        assert time.monotonic() < deadline, daemon.tail()
        time.sleep(0.01)


def test_good_bad_and_good_again(tmp_path: Path, launcher: Launcher) -> None:
    """Limits, symbols and strategies change; a wrong file and one that takes a restart leave all as it was."""
    options = ("--speed", "600", "--volatility", "3", "--wallet", "1000000")
    with VenueProcess(tmp_path / "venue", *options) as venue, VenueClient(venue.socket) as client:
        config = daemons.config_of(
            exchange={"id": "simulator", "simulator": {"socket": str(venue.socket)}},
            symbols=[BTC, ETH],
            runtime={"history": 60, "shutdown_seconds": 6},
            execution={"unknown_poll_seconds": 0.05},
        )
        root = Root(tmp_path / "root", config)
        truth = Truth(Looks(root.folder, venue.memory, "process-test", ("eager", "resting"), SYMBOLS), client)
        with launcher.start(root) as daemon:
            daemon.until_ready()
            until_opened(daemon, BTC)
            # good: a limit, a symbol more, one less, another strategy
            good = limits(config, open_signals=50) | {
                "symbols": [ETH, SOL],
                "strategies": [*config["strategies"], {"class": "tests.process.strategies:Resting", "symbols": [SOL]}],
            }
            root.configure(good)
            line = hang_up(daemon, "config_reloaded", 1)
            assert "risk.limits.open_signals null -> 50" in line["changes"]
            assert f"symbols +{SOL} -{BTC}" in line["changes"]
            until_opened(daemon, SOL)
            until_opened(daemon, ETH)
            found = status(root)
            assert {each["name"]: each["allowed"] for each in found["limits"]}["open_signals"] == "50"
            assert found["config_loaded_ms"] > found["started_ms"]
            assert {each["symbol"] for each in found["symbols"]} >= {ETH, SOL}
            # bad: lines and keys are told, everything stays
            root.config.write_text(root.config.read_text().replace("history: 60", "history: sixty"))
            line = hang_up(daemon, "config_not_reloaded", 1)
            assert any(
                re.search(r"config\.yaml:\d+: runtime\.history: must be a whole number", each) for each in line["why"]
            )
            found = status(root)
            assert any("config.yaml was not reloaded" in each for each in found["problems"])
            until_opened(daemon, SOL)
            # one that takes a restart, and one with a symbol that the venue lacks
            root.configure(limits(good, open_signals=60) | {"runtime": {"history": 61, "shutdown_seconds": 6}})
            line = hang_up(daemon, "config_not_reloaded", 2)
            assert "needs a restart: runtime.history" in line["why"][0]
            root.configure(limits(good, open_signals=60) | {"symbols": [ETH, SOL, "DOGE/USDT:USDT"]})
            line = hang_up(daemon, "config_not_reloaded", 3)
            assert "no symbol DOGE/USDT:USDT" in line["why"][0]
            # good again
            root.configure(good | {"symbols": [ETH, SOL, XRP]})
            hang_up(daemon, "config_reloaded", 2)
            until_opened(daemon, XRP)
            until_no_problem(root.folder)
            assert BTC not in {each["symbol"] for each in status(root)["symbols"]}
            assert truth.alive(daemons.PATIENCE_S) == []
            daemon.send(signal.SIGTERM)
            assert daemon.wait() == 0, daemon.tail()
        assert truth.after_death() == []
        assert not daemon.happened("symbol_failed")
        with launcher.start(root) as daemon:  # the file is what the next start reads
            daemon.until_ready()
            until_opened(daemon, XRP)
            assert truth.alive(daemons.PATIENCE_S) == []
            daemon.kill()
        assert truth.after_death() == []
    notes = [line for path in (root.folder / "state/journal").iterdir() for line in path.read_text().splitlines()]
    assert sum('"type":"reload"' in line and '"result":"applied"' in line for line in notes) == 2
    assert sum('"type":"reload"' in line and '"result":"refused"' in line for line in notes) == 3


def test_killed_while_it_reloads(tmp_path: Path, launcher: Launcher) -> None:
    """At whatever moment: the next start finds files that it reads, and the venue agrees with them."""
    options = ("--speed", "600", "--volatility", "3", "--wallet", "1000000", "--latency-ms", "5")
    with VenueProcess(tmp_path / "venue", *options) as venue, VenueClient(venue.socket) as client:
        config = daemons.config_of(
            exchange={"id": "simulator", "simulator": {"socket": str(venue.socket)}},
            runtime={"history": 60, "shutdown_seconds": 6},
            execution={"unknown_poll_seconds": 0.05},
        )
        other = config | {"symbols": [BTC, SOL], "strategies": [{"class": "tests.process.strategies:Resting"}]}
        root = Root(tmp_path / "root", config)
        truth = Truth(Looks(root.folder, venue.memory, "process-test", ("eager", "resting"), SYMBOLS), client)
        for number in range(6):
            with launcher.start(root) as daemon:
                daemon.until_ready()
                time.sleep(0.4)
                root.configure(other if number % 2 == 0 else config)
                daemon.send(signal.SIGHUP)
                time.sleep(0.01 * number)
                daemon.kill()
            assert truth.after_death() == []
        with launcher.start(root) as daemon:
            daemon.until_ready()
            assert truth.alive(daemons.PATIENCE_S) == []
            daemon.send(signal.SIGTERM)
            assert daemon.wait() == 0, daemon.tail()


def test_hang_ups_end_nobody(tmp_path: Path) -> None:
    """While it starts, in a storm, while it stops."""
    root = Root(tmp_path / "root", daemons.config_of(runtime={"history": 60, "shutdown_seconds": 6}))
    with daemons.start(root) as daemon:
        deadline = time.monotonic() + daemons.PATIENCE_S
        while not root.log.read_bytes() and time.monotonic() < deadline:
            time.sleep(0.005)
        while not daemon.happened("ready"):
            daemon.send(signal.SIGHUP)
            assert daemon.running, daemon.tail()
            assert time.monotonic() < deadline, daemon.tail()
            time.sleep(0.02)
        for _ in range(500):
            daemon.send(signal.SIGHUP)
        until_opened(daemon, BTC, 2)
        daemon.send(signal.SIGTERM)
        for _ in range(20):
            daemon.send(signal.SIGHUP)
            time.sleep(0.01)
        assert daemon.wait() == 0, daemon.tail()
    assert not daemon.happened("config_reloaded"), "nothing changed"
    assert "Traceback" not in daemon.tail()


def test_a_terminal_that_is_closed_takes_no_daemon_with_it(tmp_path: Path) -> None:
    root = Root(tmp_path / "root", daemons.config_of(runtime={"history": 60, "shutdown_seconds": 6}))
    terminal = Terminal(["-m", "livebot", "run", "--config", str(root.config)], root.folder)
    process = terminal._process
    try:
        terminal.read_until("Limits", daemons.PATIENCE_S)
        os.close(terminal._ours)
        time.sleep(1.0)
        assert process.poll() is None
        before, deadline = status(root)["now_ms"], time.monotonic() + daemons.PATIENCE_S
        while status(root)["now_ms"] <= before:
            assert time.monotonic() < deadline, "its time stands still"
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(daemons.PATIENCE_S) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert root.report.exists()
