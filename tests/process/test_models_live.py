"""The life of models as their users see it: real daemons, the real command line, candles of a market whose course is planned."""

import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from livebot.cli.app import app
from livebot.core.market import MINUTE_MS
from livebot.learning.coverage import queue_path, read_queue
from livebot.learning.due import read_triggers
from tests.process import daemons, model_scene
from tests.process.daemons import Daemon, Launcher, Root, livebot
from tests.process.model_scene import BTC, DRIFT_MS, ETH, SOL, START_MS
from tests.process.test_reload import status

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

COMMAND_S = 240.0
SLOW, FAST = 600, 14_400  # four minutes until the drift, for what has to be done before it; and seconds
MOVED = "what it looks at has moved away from its training"


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with Launcher() as made:
        yield made


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """The market of three symbols, and of two of them the past, to be trained on."""
    folder = tmp_path / "root"
    folder.mkdir()
    for symbol in (BTC, ETH, SOL):
        course = model_scene.course(symbol)
        course.write(folder / "market")
        if symbol != SOL:
            course.write(folder / "past", START_MS)
    return Root(folder, model_scene.config_of(folder / "market", speed=SLOW))


def until(daemon: Daemon, true: Callable[[], Any]) -> Any:
    """What it says, once it says something."""
    deadline = time.monotonic() + daemons.PATIENCE_S
    while not (found := true()):
        assert daemon.running, daemon.tail()
        assert time.monotonic() < deadline, daemon.tail()
        time.sleep(0.1)  # asking costs the daemon as well
    return found


@contextmanager
def standing(daemon: Daemon) -> Iterator[None]:
    """Its market waits meanwhile: however long a training takes, nothing is missed of what comes after it."""
    daemon.send(signal.SIGSTOP)
    try:
        yield
    finally:
        daemon.send(signal.SIGCONT)


def train(root: Root, *words: str) -> str:
    """`livebot train`, and the version that came of it."""
    done = livebot(
        "train", "--candles", "past", "--to", "2026-01-01", "--json", *words, cwd=root.folder, seconds=COMMAND_S
    )
    assert done.returncode == 0, done.stderr
    return _trained(done.stdout)


def _trained(text: str) -> str:
    (found,) = json.loads(text)["trained"]
    assert found["state"] == "current", text
    return f"{found['scope']}/{found['version']}"


def in_use(root: Root) -> str:
    (model,) = status(root)["models"]
    return f"{model['scope']}/{model['version']}"


def problems(root: Root, word: str) -> list[str]:
    return [each for each in status(root)["problems"] if word in each]


def rows(root: Root, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"file:{root.ledger}?mode=ro", uri=True) as ledger:
        return list(ledger.execute(query))


def openings(root: Root, symbol: str) -> list[dict[str, Any]]:
    """What the ledger has of the signals of a symbol, oldest first."""
    found = rows(root, "select symbol, payload from facts where kind = 'SignalOpening' order by sequence")
    return [json.loads(payload) for of, payload in found if of == symbol]


def held(root: Root) -> dict[str, Any]:
    """The open signal of BTC, as its file has it."""
    signal_state = json.loads(root.signal_file("patient", BTC).read_text())["signal"]
    assert signal_state["type"] == "Open"
    found: dict[str, Any] = signal_state["signal"]
    return found


def test_a_model_lives_through_a_new_symbol_a_kill_and_a_drift(root: Root, launcher: Launcher) -> None:
    first = train(root)
    with launcher.start(root) as daemon:
        daemon.until_ready()
        until(daemon, lambda: openings(root, ETH) and openings(root, BTC))
        second = _a_new_symbol_is_blocked_until_a_training_covers_it(root, daemon, first)
        daemon.kill()
    before = _books(root)
    with launcher.start(root) as daemon:
        daemon.until_ready()
        assert in_use(root) == second
        _nothing_is_lost_and_nothing_doubled(root, daemon, before, first)
        daemon.kill()
    root.configure(model_scene.config_of(root.folder / "market", speed=FAST))
    with launcher.start(root) as daemon:
        daemon.until_ready()
        third = _a_drift_is_told_and_asks_for_a_training(root, daemon, second)
        daemon.send(signal.SIGINT)
        assert daemon.wait() == 0, daemon.tail()
    _every_signal_says_who_judged_it(root, {first, second, third})


def _a_new_symbol_is_blocked_until_a_training_covers_it(root: Root, daemon: Daemon, first: str) -> str:
    (told,) = until(daemon, lambda: problems(root, SOL))
    assert f"trained on {SOL}, so patient opens nothing there" in told and "`livebot train --if-due`" in told
    until(daemon, lambda: rows(root, "select 1 from decisions where code = 'model_uncovered'"))
    refused = rows(root, "select distinct symbol, outcome from decisions where code = 'model_uncovered'")
    assert refused == [(SOL, "refused")]
    shown = livebot("status", cwd=root.folder)
    assert f"not covered: {SOL}" in " ".join(shown.stdout.split()), shown.stdout
    (waiting,) = read_queue(queue_path(root.folder / "state"), "process-test")
    assert (waiting.strategy, waiting.symbol) == ("patient", SOL)
    assert waiting.since_ms > model_scene.JOINS_MS
    model_scene.course(SOL).write(root.folder / "past", START_MS)
    with standing(daemon):
        second = train(root, "--if-due")
    until(daemon, lambda: in_use(root) == second)
    until(daemon, lambda: openings(root, SOL))
    assert {each["model"] for each in openings(root, SOL)} == {second}
    assert problems(root, SOL) == []
    assert held(root)["model"] == first  # it was open all the while
    return second


def _books(root: Root) -> list[tuple[Any, ...]]:
    return rows(root, "select strategy, symbol, sequence, kind, payload from facts")


def _nothing_is_lost_and_nothing_doubled(root: Root, daemon: Daemon, before: list[tuple[Any, ...]], first: str) -> None:
    assert (held(root)["model"], held(root)["number"]) == (first, 1)
    assert held(root)["confidence"] == openings(root, BTC)[0]["confidence"]
    until(daemon, lambda: openings(root, SOL)[-1]["ts_ms"] > max(json.loads(each[4])["ts_ms"] for each in before))
    after = _books(root)
    assert set(before) <= set(after)
    for symbol in (BTC, ETH, SOL):
        sequences = sorted(each[2] for each in after if each[1] == symbol)
        assert sequences == list(range(1, len(sequences) + 1)), symbol
    assert len(openings(root, BTC)) == 1


def _a_drift_is_told_and_asks_for_a_training(root: Root, daemon: Daemon, second: str) -> str:
    told = until(daemon, lambda: problems(root, "model_atr_percent_14"))
    assert f"model {second} wears out: {MOVED}: " in told[0]
    (trigger,) = until(daemon, lambda: read_triggers(root.folder / "state", "process-test"))
    assert (trigger.strategy, trigger.model) == ("patient", second)
    assert trigger.since_ms > DRIFT_MS + MINUTE_MS
    words = ["train", "--config", str(root.config), "--candles", str(root.folder / "past"), "--to", "2026-01-01"]
    with standing(daemon):
        done = CliRunner().invoke(app, [*words, "--if-due", "--json"])
    assert done.exit_code == 0, done.output
    assert "wears out" in json.loads(done.stdout)["due"]["patient"][0]
    third = _trained(done.stdout)
    until(daemon, lambda: in_use(root) == third)
    until(daemon, lambda: not problems(root, f"model {second} wears out"))
    until(daemon, lambda: any(each["model"] == third for each in openings(root, ETH)))
    return third


def _every_signal_says_who_judged_it(root: Root, versions: set[str]) -> None:
    opened = [each for symbol in (BTC, ETH, SOL) for each in openings(root, symbol)]
    assert {each["model"] for each in opened} == versions
    assert all(0 < each["confidence"] < 1 for each in opened)
    decided = rows(root, "select distinct model from decisions where outcome = 'approved'")
    assert {model for (model,) in decided} == versions
