"""What a model lets pass and what it refuses is the same in the backtest as in `livebot run` on the simulator."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from livebot.adapters.ledger.ledger_reader import LedgerReader
from livebot.core.market import MINUTE_MS
from livebot.learning.description import Description
from livebot.learning.predictor import Fitted
from livebot.learning.registry import Registry
from livebot.learning.spec import TrainingMode, TrainingSpec
from livebot.ports import Decision
from tests.backtest.files import write_candles
from tests.backtest.models import NotInPairs
from tests.backtest.plans import START_MS, candles
from tests.backtest.test_past_models import MODEL, rows, trained
from tests.backtest.test_same_as_daemon import OFF, SYMBOLS, compare_all, small_config
from tests.process.daemons import Launcher, Root

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


def _root(folder: Path, risk: dict[str, Any], model: dict[str, Any]) -> Root:
    """Candles and a config of two strategies, of which one is judged."""
    config = small_config(folder / "data", "limits")
    for place, symbol in enumerate(SYMBOLS):
        write_candles(folder / "data" / f"{symbol.partition('/')[0]}USDT.parquet", candles(40 + place, 1_100))
    config["strategies"] = [
        {"class": "tests.backtest.whims:Whim", "params": {"rarity": 3, "limits": True}},
        {"class": "tests.backtest.whims:Restless", "params": {"rarity": 2, "seed": 5}},
    ]
    config["exchange"]["simulator"]["start"] = "2026-01-01T12:30Z"
    config["risk"] = {**OFF, "sizing": SIZING} | risk
    config["model"] = {**MODEL, "strategies": ["whim"]} | model
    return Root(folder / "root", config)


def _decisions(root: Root, launcher: Launcher) -> dict[tuple[int, str, str], Decision]:
    """What became of each wish, which is the same in both."""
    result = compare_all(root, launcher)
    with LedgerReader(root.ledger) as reader:
        told = {(each.close_ms, each.symbol, each.strategy): each for each in reader.decisions()}
    ours = {(each.close_ms, each.symbol, each.strategy): each for each in result.verdicts}
    assert told == ours
    return ours


@pytest.mark.untraced
@pytest.mark.parametrize("scene", SCENES)
def test_the_same_entries_are_judged_the_same(tmp_path: Path, launcher: Launcher, scene: str) -> None:
    """Decision by decision with its confidence and its model, and so fact by fact."""
    model = {"threshold": Decimal("0.45"), "serving": {"untrained": "fallback"}}
    root = _root(tmp_path, SCENES[scene], model)
    name = trained(root.folder, LATER - MINUTE_MS)
    ours = _decisions(root, launcher)
    assert {each.model for each in ours.values() if each.strategy == "whim"} == {name}
    assert {"approved", "model_threshold"} <= {each.code for each in ours.values()}


@pytest.mark.untraced
def test_every_refusal_is_the_same(tmp_path: Path, launcher: Launcher) -> None:
    """A symbol without training, features unlike it, a model that fails, one that is not sure, one that grows stale at once."""
    model = {
        "estimator": {"name": "tests.backtest.models:NotInPairs"},
        "threshold": 0.5,
        "serving": {"untrained": "block", "out_of_distribution": 0.1, "expiration_hours": 3},
    }
    root = _root(tmp_path, SCENES["alone"], model)
    dataset, models = rows(LATER - MINUTE_MS), Registry(root.folder / "models", packages=("tests",))
    wide = replace(dataset, features=dataset.features * 3)
    fitted = Fitted(predictor=NotInPairs(), covered=dataset.symbols, threshold=0.5, metrics={})
    told = Description(scope="whim", created_ms=LATER, spec=TrainingSpec(mode=TrainingMode.MULTI_SYMBOL))
    models.promote("whim", models.save(fitted, wide, told))
    refused = {
        each.code
        for each in _decisions(root, launcher).values()
        if each.strategy == "whim" and each.outcome == "refused"
    }
    assert refused >= {"model_uncovered", "model_unlike", "model_failed", "model_threshold", "model_stale"}
