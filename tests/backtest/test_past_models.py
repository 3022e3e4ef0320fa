"""`livebot backtest` of a config that has a model: who is judged by what, and what no model may be judged on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livebot.backtest.run import run
from livebot.bootstrap.backtest import NOBODY_JUDGED, BacktestRequest, prepare
from livebot.core.facts import SignalOpening
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import BadInput
from livebot.features.feature_set import make_feature_set
from livebot.features.model_features import MODEL_FEATURES_VERSION, model_feature_set_name, model_features
from livebot.learning.dataset import STOPPED, TARGET, Dataset
from livebot.learning.description import Description
from livebot.learning.fitting import fit
from livebot.learning.registry import Registry
from livebot.learning.spec import TrainingMode, TrainingSpec
from tests.backtest.files import SYMBOLS, write_candles, write_config
from tests.backtest.plans import START_MS, candles
from tests.backtest.test_command import refused
from tests.backtest.whims import Whim

MINUTES, FROM = 1_000, START_MS + 800 * MINUTE_MS
MODEL: dict[str, Any] = {"training_mode": "multi_symbol", "minimum_events": 20}


def rows(end_ms: int, features: str = "own", count: int = 400) -> Dataset:
    """Wins where the first feature is high; the last outcome was known at `end_ms`."""
    random, declared = np.random.default_rng(3), model_features(features)
    values = random.normal(0, 1, (count, len(declared)))
    won = random.random(count) < 1 / (1 + np.exp(-2 * values[:, 0]))
    known_ms = end_ms - MINUTE_MS * np.arange(count, dtype=np.int64)[::-1]
    name = model_feature_set_name(features)
    return Dataset(
        strategy="whim",
        timeframe_ms=MINUTE_MS,
        feature_set=make_feature_set(name, MODEL_FEATURES_VERSION, Timeframe.M1, declared),
        names=tuple(feature.name for feature in declared),
        symbols=tuple(SYMBOLS),
        features=values,
        symbol=(np.arange(count) % len(SYMBOLS)).astype(np.int16),
        side=np.where(random.random(count) < 0.5, 1, -1).astype(np.int8),
        close_ms=known_ms - 5 * MINUTE_MS,
        end_ms=known_ms,
        barrier=np.where(won, TARGET, STOPPED).astype(np.int8),
        gain=np.where(won, 0.006, -0.004),
        cost=np.full(count, 0.001),
        risk=np.full(count, 0.004),
        weight=np.ones(count),
    )


def trained(root: Path, end_ms: int = FROM - MINUTE_MS, features: str = "own") -> str:
    """A model in use, and its name."""
    dataset, spec = rows(end_ms, features), TrainingSpec(mode=TrainingMode.MULTI_SYMBOL, minimum_events=20)
    models = Registry(root / "models")
    version = models.save(fit(dataset, spec), dataset, Description(scope="whim", created_ms=end_ms, spec=spec))
    models.promote("whim", version)
    return f"whim/{version}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Candles of two symbols, in a folder that is a root too."""
    for place, symbol in enumerate(SYMBOLS):
        write_candles(tmp_path / "candles" / f"{symbol[:3]}USDT.parquet", candles(place, MINUTES))
    return tmp_path


def plan_of(folder: Path, model: dict[str, Any] | None = MODEL, **changes: Any) -> Any:
    config = write_config(folder, **({} if model is None else {"model": model}) | changes)
    return prepare(config, None, BacktestRequest(candles=folder / "candles", from_ms=FROM)).plan


@pytest.mark.parametrize("model", [None, {**MODEL, "enabled": False}])
def test_without_a_model_everything_is_as_it_was(folder: Path, model: dict[str, Any] | None) -> None:
    plan = plan_of(folder, model)
    assert plan.confidences is None
    assert plan.strategies[0].strategy_class is Whim
    assert {each.model for each in run(plan).verdicts} == {None}


def test_entries_are_judged_by_the_model_in_use(folder: Path) -> None:
    """As far as it knows the symbols; and the report says which it was."""
    name = trained(folder)
    usual = float(np.median([each.confidence for each in run(plan_of(folder)).verdicts]))
    plan = plan_of(folder, {**MODEL, "threshold": round(usual, 9)})
    assert f"entries were judged by {name}" in plan.notes
    assert plan.strategies[0].make().warmup == 715
    result = run(plan)
    assert {each.model for each in result.verdicts} == {name}
    assert all(each.confidence is not None for each in result.verdicts)
    assert {"approved", "model_threshold"} <= {each.code for each in result.verdicts}
    opened = [fact for fact in result.facts if isinstance(fact, SignalOpening)]
    assert {fact.model for fact in opened} == {name}
    alone = run(plan_of(folder, None))
    assert {(each.symbol, each.close_ms) for each in alone.verdicts} != {
        (each.symbol, each.close_ms) for each in result.verdicts
    }


def test_a_model_that_has_seen_what_it_would_be_judged_by_is_refused(folder: Path) -> None:
    name = trained(folder, FROM)
    said = (
        rf"strategy whim: model {name} was trained on what happened up to 2026-01-01 13:20 UTC, and the backtest begins "
        "2026-01-01 13:20 UTC: a model is never judged on what it was trained on; choose --from after its training"
    )
    with pytest.raises(BadInput, match=said):
        plan_of(folder)
    config = write_config(folder, model=MODEL)
    told = refused("--config", config, "--candles", folder / "candles", "--from", "2026-01-01T10:00Z")
    assert (
        "was trained on what happened up to 2026-01-01 13:20 UTC, and the backtest begins 2026-01-01 10:00 UTC" in told
    )


def test_a_strategy_whose_model_is_not_there_is_refused_or_passes(folder: Path) -> None:
    with pytest.raises(BadInput, match="strategy whim: there is no model in use to judge its entries; make one with"):
        plan_of(folder)
    passing = plan_of(folder, {**MODEL, "serving": {"untrained": "pass"}})
    assert NOBODY_JUDGED in passing.notes
    assert {each.model for each in run(passing).verdicts} == {None}


def test_a_model_that_fails_its_checks_is_refused_with_the_cause(folder: Path) -> None:
    """The daemon would go on and open nothing; figures of that would be of nothing."""
    trained(folder, features="market")
    with pytest.raises(BadInput, match=r"strategy whim: model whim/.*: it was trained on the features model_market@1"):
        plan_of(folder)


def test_a_strategy_that_is_not_judged_needs_no_model(folder: Path) -> None:
    strategies = [{"class": "tests.backtest.whims:Whim"}, {"class": "tests.backtest.whims:Restless"}]
    name = trained(folder)
    plan = plan_of(folder, {**MODEL, "strategies": ["whim"]}, strategies=strategies)
    found = {(each.strategy, each.model) for each in run(plan).verdicts}
    assert found == {("whim", name), ("restless", None)}
    elsewhere = [strategies[1], {**strategies[0], "symbols": ["CCC/USDT:USDT"]}]
    symbols = [*SYMBOLS, "CCC/USDT:USDT"]
    config = write_config(folder, model={**MODEL, "strategies": ["whim"]}, strategies=elsewhere, symbols=symbols)
    request = BacktestRequest(candles=folder / "candles", from_ms=FROM, symbols=(SYMBOLS[0],))
    assert prepare(config, None, request).plan.confidences is None


def test_trials_of_the_same_model_are_the_same_trials(folder: Path) -> None:
    """What a sweep compares is its text: it names the version and the terms, and no address."""
    name = trained(folder)
    one, two = plan_of(folder), plan_of(folder)
    assert repr(one.confidences) == repr(two.confidences)
    assert name in repr(one.confidences)
    stricter = plan_of(folder, {**MODEL, "threshold": 0.9})
    assert repr(stricter.confidences) != repr(one.confidences)
    assert "approved" not in {each.code for each in run(replace(stricter, end_ms=FROM + 60 * MINUTE_MS)).verdicts}
