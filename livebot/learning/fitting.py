"""Training: rows in, a calibrated predictor with its threshold out.

The last part of the time calibrates and sets the threshold; the rows before it, less those whose outcome was not known by
then, are learned from.  The figures are of the later part: the model has not seen it, its two numbers of calibration and
its threshold have.

Rules of this file: the later part never comes near what is learned; the same rows, spec and seed give the same model to the
last bit, with any number of jobs, on processors of one kind (BLAS sums otherwise on another); whatever is unfit is refused
with a sentence that says what to change.
"""

from dataclasses import replace

import numpy as np
from threadpoolctl import threadpool_limits

from livebot.core.series import Floats
from livebot.errors import BadInput
from livebot.learning.calibration import Platt, calibration_of, figures, platt, platt_by_symbol
from livebot.learning.dataset import Dataset
from livebot.learning.encodings import present
from livebot.learning.estimators import plan_of
from livebot.learning.modes import Scored, Task, listed, scored
from livebot.learning.predictor import Fitted
from livebot.learning.predictors.calibrated import CalibratedPredictor
from livebot.learning.spec import HybridForm, SymbolBalance, TrainingMode, TrainingSpec
from livebot.learning.threshold import best_threshold
from livebot.learning.time_split import split
from livebot.learning.weights import weighted

FEW_TO_CALIBRATE = 30  # with fewer rows the threshold is one of a handful of outcomes, and that is told


def fit(dataset: Dataset, spec: TrainingSpec, jobs: int = 1) -> Fitted:
    """Train on the dataset as the spec says, in up to `jobs` processes, each on one core.

    Raises:
        BadInput: too few rows, wins or losses only, features that are no numbers, a symbol without rows, an estimator or an
            encoding that does not fit; the text says which and what to change.

    """
    chosen, notes = _chosen(dataset, spec)
    _must_be_numbers(chosen)
    if not 0 < spec.calibration_share < 1:
        raise BadInput(f"model.calibration_share {spec.calibration_share} must be above 0 and below 1")
    training, later = (_evenly(part) for part in split(chosen, spec.calibration_share, spec.embargo_ms))
    _must_suffice(training, spec.minimum_events, "to learn from")
    _must_suffice(later, 1, "to calibrate with")
    plan = plan_of(spec.estimator, spec.seed)
    with threadpool_limits(1):  # of what is loaded by now: on more threads sums differ in the last bits
        done = scored(Task(training=training, spec=spec, plan=plan, jobs=jobs))
        return _finished(done, training, later, spec, notes)


def weighed(dataset: Dataset, spec: TrainingSpec, balance: SymbolBalance) -> Dataset:
    """The same rows, of which those that the spec learns from are weighed among themselves (1 on average) and others by 0.

    A row is as unique as it is among the rows that are learned from: what symbols of other models wanted at the same time
    takes nothing from it, nor does another symbol's row where each symbol has its own model.
    """
    learned = np.isin(dataset.symbol, [dataset.symbols.index(symbol) for symbol in _wanted(dataset, spec)[0]])
    across = spec.mode is not TrainingMode.PER_SYMBOL
    weight = np.zeros(len(dataset))
    weight[learned] = weighted(dataset.rows(learned), balance, across_symbols=across).weight
    return replace(dataset, weight=weight)


def _wanted(dataset: Dataset, spec: TrainingSpec) -> tuple[list[str], list[str]]:
    """The symbols to learn from that have rows, and those that have none."""
    there = present(dataset)
    wanted = list(there if spec.symbols is None else spec.symbols)
    if spec.mode is TrainingMode.SINGLE_SYMBOL:
        wanted = wanted[:1]
    return [each for each in wanted if each in set(there)], [each for each in wanted if each not in set(there)]


def _finished(done: Scored, training: Dataset, later: Dataset, spec: TrainingSpec, notes: tuple[str, ...]) -> Fitted:
    names = later.symbol_names.tolist()
    logits = done.scores.logits(later.features, later.side, names)
    by_symbol = spec.mode is TrainingMode.HYBRID and spec.hybrid is HybridForm.SHRUNK_CALIBRATION
    calibrators: dict[str, Platt]
    if by_symbol:
        calibrators = platt_by_symbol(logits, later.win, later.weight, names)
    else:
        calibrators = {"": platt(logits, later.win, later.weight)}
    calibration = calibration_of(calibrators)
    confidence = calibration.probabilities(logits, names)
    threshold = best_threshold(confidence, later.gain, later.weight)
    covered, further = _covered(done, training, spec)
    return Fitted(
        predictor=CalibratedPredictor(scores=done.scores, calibration=calibration),
        covered=covered,
        threshold=threshold,
        metrics=_metrics(training, later, logits, confidence, threshold),
        calibrators=calibrators,
        notes=(*notes, *done.notes, *further, *_scarce(later)),
    )


def _chosen(dataset: Dataset, spec: TrainingSpec) -> tuple[Dataset, tuple[str, ...]]:
    """The rows of the symbols wanted, and what there is to say of those that have none."""
    if not len(dataset):
        raise BadInput(
            "there are no rows to train on: the strategy wanted no entry in this time, or none had an outcome"
        )
    wanted, lacking = _wanted(dataset, spec)
    if not wanted:
        raise BadInput(
            f"there are no rows of {listed(lacking) or 'any symbol'} to train on; there are of {listed(present(dataset))}"
        )
    notes = (f"without any rows, so not covered: {listed(lacking)}",) if lacking else ()
    return dataset.rows(np.isin(dataset.symbol, [dataset.symbols.index(symbol) for symbol in wanted])), notes


def _evenly(part: Dataset) -> Dataset:
    """Weights of average 1 in each part: how strongly the priors hold must not depend on the other part."""
    return replace(part, weight=part.weight / part.weight.mean()) if len(part) else part


def _must_be_numbers(dataset: Dataset) -> None:
    bad = ~np.isfinite(dataset.features)
    if bad.any():
        named = [
            f"{name} ({count} rows)"
            for name, count in zip(dataset.names, bad.sum(axis=0).tolist(), strict=True)
            if count
        ]
        raise BadInput(f"features that are no numbers cannot be learned from: {', '.join(named)}")
    for name, sound in (
        ("gain", np.isfinite(dataset.gain)),
        ("weight", (dataset.weight > 0) & np.isfinite(dataset.weight)),
    ):
        if not sound.all():
            raise BadInput(
                f"{np.count_nonzero(~sound)} of {len(dataset)} rows have a {name} that nothing can be learned from"
            )


def _must_suffice(rows: Dataset, minimum: int, what_for: str) -> None:
    if len(rows) < minimum:
        raise BadInput(
            f"there are {len(rows)} rows {what_for}, model.minimum_events is {minimum}: give a longer history or more symbols"
        )
    wins = int(rows.win.sum())
    if wins in {0, len(rows)}:
        kind = "losses" if wins == 0 else "wins"
        raise BadInput(f"the {len(rows)} rows {what_for} are {kind} only: there is nothing to tell apart")


def _covered(done: Scored, training: Dataset, spec: TrainingSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who may be judged: those with enough rows, and with `fallback_to_shared` whoever had a row in the shared model."""
    there = frozenset(present(training))
    few = sorted(there - done.own)
    if not few:
        return tuple(sorted(there)), ()
    which = f"fewer than {spec.minimum_events} training rows, or wins or losses only: {listed(few)}"
    if spec.fallback_to_shared:
        return tuple(sorted(there)), (f"{which}: judged by what all symbols share",)
    return tuple(sorted(done.own)), (f"{which}: not covered, since model.fallback_to_shared is off",)


def _scarce(later: Dataset) -> tuple[str, ...]:
    if len(later) >= FEW_TO_CALIBRATE:
        return ()
    told = f"only {len(later)} rows calibrate and set the threshold, which says little of the future"
    return (f"{told}: give a longer history, or raise model.calibration_share",)


def _metrics(
    training: Dataset, later: Dataset, logits: Floats, confidence: Floats, threshold: float
) -> dict[str, float]:
    """The figures of the calibrated confidences; the slope and intercept of calibration are of the scores before it.

    `hit_rate` and `mean_gain_taken` are of the rows at or above the threshold, `win_rate` and `mean_gain` of all; gains are
    ratios of the notional.
    """
    taken = confidence >= threshold
    slope, intercept = platt(logits, later.win, later.weight, prior=0.0)
    weight = later.weight
    return {
        **figures(confidence, later.win, weight),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
        "training_rows": float(len(training)),
        "calibration_rows": float(len(later)),
        "win_rate": float(np.average(later.win, weights=weight)),
        "hit_rate": float(np.average(later.win[taken], weights=weight[taken])),
        "taken_share": float(taken.mean()),
        "mean_gain": float(np.average(later.gain, weights=weight)),
        "mean_gain_taken": float(np.average(later.gain[taken], weights=weight[taken])),
    }
