"""What a version would have been worth on candles after its training.

Rules of this file: a range that its training reaches into is refused; nothing is written and nothing is promoted.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from livebot.bootstrap.loading import load
from livebot.bootstrap.model_rows import plan_until, rows_since
from livebot.bootstrap.training import registry_of
from livebot.config.models import ModelConfig
from livebot.config.root import resolve
from livebot.errors import BadInput, Rejected
from livebot.learning.calibration import figures
from livebot.learning.champion import Showing, showing, unfiltered
from livebot.learning.dataset import Dataset
from livebot.learning.loaded import LoadedModel
from livebot.learning.manifest import Manifest
from livebot.learning.registry import Registry
from livebot.learning.scopes import is_version
from livebot.learning.training_run import WINDOW_END, WINDOW_START, Tell


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest:
    """`model` is scope/version, or a scope for the version in use in it.  Times are UTC ms; None is all there is."""

    now_ms: int
    model: str
    candles: Path | None = None
    from_ms: int | None = None
    to_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What the model and the strategy without it would have gained; ratios of the notional, at so many times the costs."""

    times: int
    model: Showing
    without: Showing


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How much of the rows lies in the window by which it was decided whether the version is used; times UTC ms.

    `exact` is false for a version whose manifest does not say so: then it ends no later than when the version was made.
    """

    start_ms: int
    end_ms: int
    rows: int
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A version on the rows from `start_ms` to `end_ms` (the first and last close); `metrics` are of its confidences.

    `rows` are all entries that the strategy wanted, also those that overlap; what was gained, and `hit_rate`, are of those
    that could have been traded.  `judged` None: no row lies in the window by which it was judged when it was trained.
    """

    model: str
    threshold: float
    start_ms: int
    end_ms: int
    rows: int
    hit_rate: float | None
    hit_rate_without: float
    metrics: Mapping[str, float]
    costs: tuple[Costs, ...]
    judged: Judged | None


def evaluate(config_path: Path, root: Path | None, request: EvaluationRequest, tell: Tell) -> Evaluation:
    """What a version would have been worth.

    Raises:
        ConfigErrors, BadInput: the config has no model section, or candles cannot be used.
        Rejected: the version cannot be loaded, was trained on the range, or there is too little in it.

    """
    loaded = load(config_path)
    section = loaded.config.model
    if section is None:
        raise BadInput(f"{config_path}: has no model section, so there is no model to evaluate")
    paths = resolve(loaded.config, config_path, root, os.environ)
    model = _loaded(registry_of(section, paths, os.environ), request)
    end_ms = request.now_ms if request.to_ms is None else request.to_ms
    plan = plan_until(loaded, paths, request.candles, end_ms)
    rows = rows_since(plan, model, section.features, request.from_ms, tell)
    if not len(rows) or rows.win.all() or not rows.win.any():
        raise Rejected(f"the range holds {len(rows)} entries, wins and losses are needed; choose a longer one")
    return _evaluated(model, rows, section)


def _loaded(registry: Registry, request: EvaluationRequest) -> LoadedModel:
    scope, _, version = request.model.rpartition("/")
    try:
        if not is_version(version):
            scope, version = request.model, registry.current(request.model) or ""
        if not version:
            raise Rejected(f"no version is in use in {scope}; `livebot models list` shows all")
        return registry.load(scope, version, judged_from_ms=request.from_ms)
    except BadInput as error:
        raise Rejected(str(error)) from error


def _evaluated(model: LoadedModel, rows: Dataset, section: ModelConfig) -> Evaluation:
    confidences = model.probabilities(rows.features, rows.side, rows.symbol_names.tolist())
    threshold = model.manifest.threshold if section.threshold is None else float(section.threshold)
    share_won = float(rows.win.mean())
    shown, without = showing(rows, confidences, threshold), unfiltered(rows, share_won)
    doubled = replace(rows, gain=rows.gain - rows.cost)
    return Evaluation(
        model=model.name,
        threshold=threshold,
        start_ms=int(rows.close_ms[0]),
        end_ms=int(rows.close_ms[-1]),
        rows=len(rows),
        hit_rate=float(rows.win[shown.taken].mean()) if shown.trades else None,
        hit_rate_without=float(rows.win[without.taken].mean()),
        metrics=figures(confidences, rows.win, np.ones(len(rows))),
        costs=(
            Costs(times=1, model=shown, without=without),
            Costs(times=2, model=showing(doubled, confidences, threshold), without=unfiltered(doubled, share_won)),
        ),
        judged=judged_of(model.manifest, rows),
    )


def judged_of(manifest: Manifest, rows: Dataset) -> Judged | None:
    """What of these rows was in the window that decided on a version's use; None if nothing was."""
    start_ms, end_ms = (manifest.label.get(name) for name in (WINDOW_START, WINDOW_END))
    exact = type(start_ms) is int and type(end_ms) is int
    if type(start_ms) is not int or type(end_ms) is not int:  # of a livebot before it was written down
        start_ms, end_ms = manifest.train_end_ms, manifest.created_ms
    inside = int(((rows.close_ms >= start_ms) & (rows.close_ms < end_ms)).sum())
    return Judged(start_ms=start_ms, end_ms=end_ms, rows=inside, exact=exact) if inside else None
