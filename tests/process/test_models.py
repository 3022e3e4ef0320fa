"""A daemon that asks a model, while versions come and go: real processes, real models, real files."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from livebot.learning.registry import Registry
from livebot.ops.control.client import ControlClient
from tests import trained_models
from tests.process import daemons
from tests.process.daemons import SYMBOLS, Daemon, Launcher, Root
from tests.process.test_reload import hang_up, limits, until_opened

pytestmark = [pytest.mark.process, pytest.mark.untraced, pytest.mark.timeout(600)]

BTC, ETH, SOL, XRP = SYMBOLS


def until(daemon: Daemon, what: Callable[[], object]) -> None:
    deadline = time.monotonic() + daemons.PATIENCE_S
    while not what():
        assert daemon.running, daemon.tail()
        assert time.monotonic() < deadline, daemon.tail()
        time.sleep(0.02)


def saved(root: Root, symbols: tuple[str, ...], number: int, *, promote: bool = True) -> str:
    dataset = trained_models.rows(symbols, strategy="eager", seed=number)
    return trained_models.save(root.folder / "models", dataset, number=number, promote=promote)


def versions_by_symbol(root: Root) -> dict[str, set[str | None]]:
    """Which versions signals were opened by."""
    found: dict[str, set[str | None]] = {}
    with sqlite3.connect(f"file:{root.ledger}?mode=ro", uri=True) as ledger:
        rows = ledger.execute(
            "select symbol, json_extract(payload, '$.model') from facts where kind in ('SignalOpening', 'SignalScheduled')"
        )
        for symbol, model in rows:
            found.setdefault(symbol, set()).add(model)
    return found


def test_versions_come_and_go_while_it_trades(tmp_path: Path, launcher: Launcher) -> None:
    """A symbol is blocked until a version covers it; one that is damaged changes nothing; what opened keeps its version."""
    config: dict[str, Any] = daemons.config_of(
        symbols=[BTC, SOL],
        model={
            "threshold": 0.01,
            "serving": {"poll_seconds": 0.5, "deadline_ms": 20_000},
        },
    )
    root = Root(tmp_path / "root", config)
    first = saved(root, (BTC, ETH), 1)
    with launcher.start(root) as daemon:
        daemon.until_ready()
        until_opened(daemon, BTC)
        client = ControlClient(root.folder / "state" / "control.sock")
        until(daemon, lambda: any(SOL in each for each in client.status()["problems"]))
        (model,) = client.status()["models"]
        assert (f"{model['scope']}/{model['version']}", model["covered"], model["uncovered"]) == (first, 2, [SOL])
        # a version of which one byte is another
        damaged = saved(root, (BTC, SOL), 2, promote=False)
        file = root.folder / "models" / damaged / "model.joblib"
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.chmod(0o600)
        file.write_bytes(data)
        (root.folder / "models" / "eager" / "current").write_text(damaged.rpartition("/")[2])
        until(daemon, lambda: any(damaged in each for each in client.status()["problems"]))
        until_opened(daemon, BTC)
        # a sound one
        third = saved(root, (BTC, SOL), 3)
        until_opened(daemon, SOL)
        until_opened(daemon, BTC)
        assert not [each for each in client.status()["problems"] if "model" in each]
        assert not daemon.happened("model_failed")
        root.configure(limits(config, open_signals=50))
        assert hang_up(daemon, "config_reloaded", 1)  # and a reload keeps it
        until_opened(daemon, SOL)
        stopped = client.status()
        until(daemon, lambda: versions_by_symbol(root).keys() == {BTC, SOL})  # the ledger's writer has come so far
        until(daemon, lambda: len(versions_by_symbol(root)[BTC]) > 1)
    found = versions_by_symbol(root)
    assert found[SOL] == {third}
    assert found[BTC] == {first, third}
    assert stopped["counts"]["refused"] > 0
    assert Registry(root.folder / "models").current("eager") == third.rpartition("/")[2]
