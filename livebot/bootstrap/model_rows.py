"""The entries that a strategy would have wanted since its model was trained, as rows for whoever looks at that model.

Rules of this file: rows are built by what built those it was trained on, and begin after its training ended.
"""

from dataclasses import replace
from pathlib import Path

from livebot.backtest.plan import BacktestPlan
from livebot.bootstrap.backtest import BacktestRequest, candles_of, plan_of
from livebot.bootstrap.training import all_at_once
from livebot.config.load import LoadedConfig
from livebot.config.root import Paths
from livebot.errors import BadInput
from livebot.learning.building import build_dataset
from livebot.learning.dataset import Dataset
from livebot.learning.history_needs import HistoryTerms
from livebot.learning.loaded import LoadedModel
from livebot.learning.training_run import Tell

_ANY_HISTORY = HistoryTerms(minimum_days=0, target_days=0, coverage=0.0)


def plan_until(loaded: LoadedConfig, paths: Paths, candles: Path | None, end_ms: int) -> BacktestPlan:
    """All candles up to a moment.  Raises BadInput: there are none that could be used."""
    asked = BacktestRequest(from_ms=0, to_ms=end_ms, candles=candles)
    loaded = all_at_once(loaded)
    return replace(plan_of(loaded, paths, candles_of(loaded, paths, asked), asked), cache=None)


def rows_since(plan: BacktestPlan, model: LoadedModel, features: str, from_ms: int | None, tell: Tell) -> Dataset:
    """The rows of a model's strategy, in the symbols that it covers, from `from_ms` (None: the end of its training) on.

    Raises:
        BadInput: there are no candles then, or `features` are not those that it was trained on.

    """
    manifest = model.manifest
    begin_ms = manifest.train_end_ms if from_ms is None else from_ms
    start_ms = begin_ms + -begin_ms % plan.base.ms
    if start_ms >= plan.end_ms:
        raise BadInput("there are no candles after its training ended; fetch newer ones")
    runs = tuple(
        replace(run, symbols=tuple(symbol for symbol in run.symbols if symbol in model.covered))
        for run in plan.strategies
        if run.id == manifest.strategy
    )
    built = build_dataset(
        replace(plan, start_ms=max(start_ms, plan.start_ms), strategies=runs),
        manifest.strategy,
        features=features,
        history=_ANY_HISTORY,
        progress=lambda done, whole: tell(f"{manifest.strategy}: looking for its entries", done, whole),
    )
    if built.dataset.feature_set.digest != manifest.feature_digest:
        raise BadInput(f"it was trained on other features than this config's ({features})")
    return built.dataset
