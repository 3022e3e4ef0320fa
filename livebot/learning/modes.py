"""The training modes: which rows make which model, and which symbol asks which.

Each gives scores, not yet calibrated.  In every mode with models of their own (per symbol, clusters) there is a shared one
besides, for all symbols that have none; it is blind to the symbol.

Rules of this file: only training rows come in; a mode knows nothing of calibration, thresholds or files.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from threadpoolctl import threadpool_limits

from livebot.core.series import Floats
from livebot.errors import BadInput
from livebot.learning.dataset import Dataset, Mask
from livebot.learning.encodings import must_take_categories, no_table, present, table_of
from livebot.learning.estimators import Plan, plan_of
from livebot.learning.pooling import partially_pooled, told_lines
from livebot.learning.predictors.calibrated import Scores
from livebot.learning.predictors.estimators import EstimatorScores
from livebot.learning.predictors.linear import LinearScores
from livebot.learning.predictors.symbol_rows import inputs_of
from livebot.learning.spec import HybridForm, SymbolEncoding, TrainingMode, TrainingSpec
from livebot.learning.symbol_clusters import clusters_of

_NAMES_TOLD = 10
_PARTS_A_WORKER = 4  # groups differ in size; smaller parts even that out


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """`own`: the symbols that have a model of their own, or share one that they have enough rows in."""

    scores: Scores
    own: frozenset[str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a mode gets: the training rows, what is wanted, the estimator, and how many processes may fit at once."""

    training: Dataset
    spec: TrainingSpec
    plan: Plan
    jobs: int


def scored(task: Task) -> Scored:
    """Train as the spec's mode says.

    Raises:
        BadInput: the estimator, its parameters, the encoding or the clusters do not fit; the text says which and why.

    """
    return _MODES[task.spec.mode](task)


def enough(training: Dataset, minimum: int) -> frozenset[str]:
    """The symbols with that many training rows, wins and losses among them."""
    rows = np.bincount(training.symbol, minlength=len(training.symbols))
    wins = np.bincount(training.symbol[training.win], minlength=len(training.symbols))
    fit = (rows >= max(minimum, 1)) & (wins > 0) & (wins < rows)
    return frozenset(symbol for symbol, ok in zip(training.symbols, fit.tolist(), strict=True) if ok)


def check_spec(spec: TrainingSpec) -> None:
    """Refuse what no rows whatever could be fitted by.

    Raises:
        BadInput: the estimator, its parameters, the encoding or the form of a hybrid do not fit; as a training would say.

    """
    plan = plan_of(spec.estimator, spec.seed)
    plan.made()
    pooled = spec.mode is TrainingMode.HYBRID and spec.hybrid is HybridForm.PARTIAL_POOLING
    if pooled:
        _must_pool(plan)
    encodes = spec.mode in {TrainingMode.MULTI_SYMBOL, TrainingMode.HYBRID} and not pooled
    if encodes and spec.encoding is SymbolEncoding.INDEX:
        must_take_categories(plan, len(spec.symbols or ()))


def listed(symbols: Sequence[str]) -> str:
    """The first ten of them, and how many more there are."""
    told = ", ".join(sorted(symbols)[:_NAMES_TOLD])
    return told if len(symbols) <= _NAMES_TOLD else f"{told} and {len(symbols) - _NAMES_TOLD} more"


def _single(task: Task) -> Scored:
    return _shared(task, SymbolEncoding.NONE)


def _multi(task: Task) -> Scored:
    return _shared(task, task.spec.encoding)


def _shared(task: Task, encoding: SymbolEncoding) -> Scored:
    training, plan = task.training, task.plan
    table = table_of(training, encoding, plan, task.spec.seed)
    own = enough(training, task.spec.minimum_events)
    told = table.columns(training.symbol_names.tolist())
    inputs = inputs_of(training.features, training.side)
    if plan.linear:
        fit = told_lines(training, plan, table, by_feature=encoding is SymbolEncoding.EMBEDDING)
        return Scored(scores=fit.scores, own=own, notes=() if fit.settled else (_unsettled_text(1),))
    inputs = np.column_stack((inputs, told)) if told.shape[1] else inputs
    category = inputs.shape[1] - 1 if encoding is SymbolEncoding.INDEX else None
    model = plan.fitted(inputs, training.win, training.weight, category)
    scores = EstimatorScores(model_of={}, estimators=(model,), table=table, whole=plan.whole)
    return Scored(scores=scores, own=own)


def _per_symbol(task: Task) -> Scored:
    own = enough(task.training, task.spec.minimum_events)
    return _grouped(task, {symbol: symbol for symbol in own}, own, "their own")


def _clustered(task: Task) -> Scored:
    training, found = task.training, clusters_of(task.training, task.spec)
    cluster_of = np.array([found.cluster_of.get(symbol, "") for symbol in training.symbols], dtype=np.str_)
    fit = set()
    for name in sorted(set(found.cluster_of.values())):
        chosen = (cluster_of == name)[training.symbol]
        if chosen.sum() >= task.spec.minimum_events and 0 < training.win[chosen].sum() < chosen.sum():
            fit.add(name)
    group_of = {symbol: name for symbol, name in found.cluster_of.items() if name in fit}
    done = _grouped(task, group_of, enough(training, task.spec.minimum_events) & group_of.keys(), "their cluster")
    sizes = [f"{name}: {listed([symbol for symbol in group_of if group_of[symbol] == name])}" for name in sorted(fit)]
    return Scored(scores=done.scores, own=done.own, notes=(*done.notes, *sizes))


def _hybrid(task: Task) -> Scored:
    spec, plan = task.spec, task.plan
    if spec.hybrid is HybridForm.SHRUNK_CALIBRATION:
        return _multi(task)
    _must_pool(plan)
    fit, freedom = partially_pooled(task.training, plan, spec.embargo_ms)
    notes = [f"partial pooling: deviations of symbols are {freedom:g} times as free as the shared coefficients"]
    if not fit.settled:
        notes.append(_unsettled_text(1))
    return Scored(scores=fit.scores, own=enough(task.training, spec.minimum_events), notes=tuple(notes))


def _must_pool(plan: Plan) -> None:
    if not plan.linear:
        raise BadInput(
            f"model.hybrid.form partial_pooling is a linear model, {plan.name} is none: "
            "use the estimator logistic_regression, or the form shrunk_calibration"
        )


def _grouped(task: Task, group_of: Mapping[str, str], own: frozenset[str], whose: str) -> Scored:
    """The shared model first, then one for each group of symbols, each of the rows of its symbols alone."""
    training, plan = task.training, task.plan
    groups = sorted(set(group_of.values()))
    number_of = {symbol: groups.index(group) + 1 for symbol, group in sorted(group_of.items())}
    numbers = np.array([number_of.get(symbol, 0) for symbol in training.symbols])[training.symbol]
    chosen = [np.ones(len(training), dtype=np.bool_), *(numbers == number for number in range(1, len(groups) + 1))]
    models = _each(plan, training, chosen, task.jobs)
    notes = _unsettled(plan, models)
    without = sorted(set(present(training)) - group_of.keys())
    if without:
        notes = (*notes, f"judged by the shared model, for want of rows in one of {whose}: {listed(without)}")
    if plan.linear:
        scores: Scores = LinearScores(
            row_of=number_of,
            weights=np.array([model.weights for model in models]),
            intercept=np.array([model.intercept for model in models]),
        )
    else:
        scores = EstimatorScores(model_of=number_of, estimators=tuple(models), table=no_table(), whole=plan.whole)
    return Scored(scores=scores, own=own, notes=notes)


def _each(plan: Plan, training: Dataset, chosen: Sequence[Mask], jobs: int) -> list[Any]:
    inputs = inputs_of(training.features, training.side)
    workers = effective_n_jobs(jobs)
    parts = np.array_split(np.arange(len(chosen)), min(len(chosen), workers * _PARTS_A_WORKER if workers > 1 else 1))
    tasks = (
        delayed(_fitted)(
            plan, [(inputs[chosen[at]], training.win[chosen[at]], training.weight[chosen[at]]) for at in part]
        )
        for part in parts
    )
    return [model for some in Parallel(n_jobs=jobs)(tasks) for model in some]


def _fitted(plan: Plan, groups: Sequence[tuple[Floats, Mask, Floats]]) -> list[Any]:
    """One model a group; in a process of its own when there are several jobs, each on one core."""
    with threadpool_limits(1):
        if plan.linear:
            return [plan.line(inputs, win, weight) for inputs, win, weight in groups]
        return [plan.fitted(inputs, win, weight) for inputs, win, weight in groups]


def _unsettled(plan: Plan, models: Sequence[Any]) -> tuple[str, ...]:
    count = sum(not model.settled for model in models) if plan.linear else 0
    return (_unsettled_text(count),) if count else ()


def _unsettled_text(models: int) -> str:
    return f"{models} linear fit(s) did not converge: raise max_iter in model.estimator.params"


_MODES: Mapping[TrainingMode, Callable[[Task], Scored]] = {
    TrainingMode.SINGLE_SYMBOL: _single,
    TrainingMode.MULTI_SYMBOL: _multi,
    TrainingMode.PER_SYMBOL: _per_symbol,
    TrainingMode.CLUSTERED: _clustered,
    TrainingMode.HYBRID: _hybrid,
}
