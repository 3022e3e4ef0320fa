"""What one symbol's strategy does to itself is nothing to the others: their facts are the same with it and without."""

from pathlib import Path
from typing import Any

import pytest

from tests.process import daemons
from tests.process.daemons import SYMBOLS, Daemon, Launcher, Root
from tests.process.truth import Fact, facts_in

pytestmark = [pytest.mark.process, pytest.mark.untraced, pytest.mark.timeout(600)]

MINUTES = 240
BROKEN = SYMBOLS[1]


def config(strategies: list[dict[str, Any]], minutes: int = MINUTES) -> dict[str, Any]:
    simulator = {"speed": 0, "minutes": minutes, "seed": 11, "volatility": 3, "wallet": 1_000_000}
    return daemons.config_of(
        exchange={"id": "simulator", "simulator": simulator},
        strategies=strategies,
        execution={"unknown_poll_seconds": 0.01},
        runtime={"history": 60, "restarts": {"maximum": 3, "backoff_seconds": 0.05, "backoff_maximum_seconds": 0.2}},
    )


def run(launcher: Launcher, root: Root) -> tuple[Daemon, list[Fact]]:
    with launcher.start(root) as daemon:
        assert daemon.wait(240) == 0, daemon.tail()
    return daemon, facts_in(root.ledger)


def of_others(facts: list[Fact]) -> list[Fact]:
    return [fact for fact in facts if fact["symbol"] != BROKEN]


def brittle(raises_on: str) -> dict[str, Any]:
    return {"class": "tests.process.strategies:Brittle", "params": {"raises_on": raises_on}}


def test_a_strategy_that_raises_on_one_symbol(tmp_path: Path, launcher: Launcher) -> None:
    _, sound = run(launcher, Root(tmp_path / "sound", config([brittle("")])))
    daemon, broken = run(launcher, Root(tmp_path / "broken", config([brittle(BROKEN)])))
    assert len(of_others(sound)) > 1000
    assert of_others(broken) == of_others(sound)
    mine = [fact for fact in broken if fact["symbol"] == BROKEN]
    assert len(mine) < len(sound) - len(of_others(sound))
    # it failed as often as is allowed, then it was quarantined with the reason, and whatever it held was closed by rule
    failed = daemon.happened("symbol_failed")
    assert {line["symbol"] for line in failed} == {BROKEN}
    assert len(failed) == 4
    (told,) = (line["what"] for line in daemon.happened("problem") if "quarantine" in line["source"])
    assert told.startswith(f"{BROKEN} is in quarantine: failed 4 times within 600 s, last: ArithmeticError: ")
    assert sum(fact["type"] in ("SignalOpening", "SignalScheduled") for fact in mine) == sum(
        fact["type"] in ("SignalClosed", "EntryCancelled") for fact in mine
    )


def test_the_same_run_twice(tmp_path: Path, launcher: Launcher) -> None:
    """Otherwise the test above proves nothing."""
    strategies = [{"class": f"tests.process.strategies:{name}"} for name in ("Resting", "Averager")]
    _, first = run(launcher, Root(tmp_path / "first", config(strategies, 90)))
    _, second = run(launcher, Root(tmp_path / "second", config(strategies, 90)))
    assert len(first) > 500
    assert first == second
