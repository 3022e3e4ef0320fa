"""What a model lets pass and what it refuses is the same in the backtest as in `livebot run` on the simulator."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from livebot.adapters.ledger.ledger_reader import LedgerReader
from livebot.core.market import MINUTE_MS
from tests.backtest.files import write_candles
from tests.backtest.plans import START_MS, candles
from tests.backtest.test_past_models import MODEL, trained
from tests.backtest.test_same_as_daemon import OFF, SYMBOLS, compare_all, small_config
from tests.process.daemons import Root

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

LATER = START_MS + 750 * MINUTE_MS  # when trading begins: the model's features have settled
SIZING = {"kind": "fraction", "fraction": Decimal("0.3")}
SCENES: dict[str, dict[str, Any]] = {
    "alone": {"limits": {"open_signals": None, "gross_exposure": None}},
    "first come": {"limits": {"open_signals": 2, "gross_exposure": Decimal("0.7")}},
    "ranked": {"limits": {"open_signals": 2, "gross_exposure": Decimal("0.7")}, "round": {"policy": "ranked"}},
    "losses": {
        "limits": {"open_signals": 3, "gross_exposure": Decimal("0.9"), "daily_loss": Decimal("0.02")},
        "win_rate": {"minimum": Decimal("0.5"), "trades": 3, "off_hours": 1},
    },
}


@pytest.mark.untraced
@pytest.mark.parametrize("scene", SCENES)
def test_the_same_entries_are_judged_the_same(tmp_path: Path, scene: str) -> None:
    """Decision by decision with its confidence and its model, and so fact by fact."""
    config = small_config(tmp_path / "data", "limits")
    for place, symbol in enumerate(SYMBOLS):
        write_candles(tmp_path / "data" / f"{symbol.partition('/')[0]}USDT.parquet", candles(40 + place, 1_100))
    config["strategies"] = [
        {"class": "tests.backtest.whims:Whim", "params": {"rarity": 3, "limits": True}},
        {"class": "tests.backtest.whims:Restless", "params": {"rarity": 2, "seed": 5}},
    ]
    config["exchange"]["simulator"]["start"] = "2026-01-01T12:30Z"
    config["risk"] = {**OFF, "sizing": SIZING} | SCENES[scene]
    config["model"] = {
        **MODEL,
        "strategies": ["whim"],
        "threshold": Decimal("0.45"),
        "serving": {"untrained": "fallback"},
    }
    root = Root(tmp_path / "root", config)
    name = trained(root.folder, LATER - MINUTE_MS)
    result = compare_all(root)
    with LedgerReader(root.ledger) as reader:
        told = {(each.close_ms, each.symbol, each.strategy): each for each in reader.decisions()}
    ours = {(each.close_ms, each.symbol, each.strategy): each for each in result.verdicts}
    assert told == ours
    assert {each.model for each in ours.values() if each.strategy == "whim"} == {name}
    assert {"approved", "model_threshold"} <= {each.code for each in ours.values()}
