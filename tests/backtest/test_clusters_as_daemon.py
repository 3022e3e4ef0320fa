"""Clusters in a daemon on the simulator and in a backtest: fact by fact the same, and the limit holds in both."""

import json
from pathlib import Path
from typing import Any

import pytest

from livebot.adapters.ledger.ledger_reader import LedgerReader
from livebot.core.denial import DenialCode
from tests.backtest.files import write_candles
from tests.backtest.plans import SYMBOLS
from tests.backtest.test_clusters import turning
from tests.backtest.test_same_as_daemon import OFF, compare
from tests.process.daemons import Launcher, Root

pytestmark = [pytest.mark.process, pytest.mark.timeout(300), pytest.mark.untraced]

FIRST, SECOND, THIRD = SYMBOLS
SCENES: dict[str, dict[str, Any]] = {
    "named": {"named": {"pair": [FIRST, THIRD]}},
    "correlation": {"correlation": {"timeframe": "1m", "candles": 50, "minimum_candles": 30, "every_hours": 1}},
}


def config_of(folder: Path, scene: str) -> dict[str, Any]:
    for symbol, series in turning().items():
        write_candles(folder / f"{symbol.partition('/')[0]}USDT.parquet", series)
    return {
        "system": "same",
        "market": "perpetual",
        "exchange": {
            "id": "simulator",
            "simulator": {"candles": str(folder), "speed": 0, "start": "2026-01-01T02:10Z"},
        },
        "symbols": list(SYMBOLS),
        "strategies": [
            {"class": "tests.backtest.whims:Whim", "params": {"rarity": 1, "minutes": 9}},
            {"class": "tests.backtest.whims:Restless", "params": {"rarity": 3, "timeframe": "5m"}},
        ],
        "runtime": {"history": 30},
        "risk": {
            **OFF,
            "sizing": {"kind": "fixed", "notional": 500},
            "limits": {"open_signals": None, "open_signals_per_cluster": 2},
            "clusters": SCENES[scene],
        },
    }


@pytest.mark.parametrize("scene", SCENES)
def test_the_same_facts(tmp_path: Path, scene: str, launcher: Launcher) -> None:
    root = Root(tmp_path / "root", config_of(tmp_path / "data", scene))
    facts = compare(root, launcher)
    assert len(facts) > 200
    with LedgerReader(root.ledger) as reader:
        codes = [decision.code for decision in reader.decisions()]
    assert codes.count(DenialCode.OPEN_SIGNALS_CLUSTER.value) > 30
    notes = [
        json.loads(line)
        for path in sorted((root.folder / "state" / "journal").iterdir())
        for line in path.read_text().splitlines()
        if json.loads(line)["type"] == "clusters"
    ]
    if scene == "named":
        assert notes == []
        return
    assert len(notes) == 8
    assert [note["as_of_ms"] % 3_600_000 for note in notes] == [0] * 8
    assert notes[0]["largest"] == {FIRST: 2}
    assert notes[-1]["largest"] == {SECOND: 2}
    assert any(note["who_moved"] for note in notes[1:])
    assert (root.folder / "state" / "clusters.json").is_file()
