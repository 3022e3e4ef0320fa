"""What an arm would have traded, and what that made: from the confidences of folds to accounts.

Rules of this file: all arms of a stage have the same rows, days and fraction of the equity; a row that a model does not judge
is never traded; whoever takes a given share takes it fold by fold, for no fold knows of another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from livebot.core.series import Floats, Times
from livebot.learning.dataset import Dataset
from livebot.research.arms import Arm, Special
from livebot.research.fold_run import FoldScores
from livebot.research.folds import Fold, Rows, Span, tested_span
from livebot.research.outcomes import ALL, Outcome, book, days_of, equal_fraction, matching_threshold, take

NOT_JUDGED = -1.0  # below every threshold
NONE = float("inf")  # a threshold that takes nothing

Codes = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """Rows that are tested together: `rows` (n,) rise, `fold` (n,) which fold tests each, `chosen` which of a fold's test rows.

    `names` are those of the folds;
    `days` and `fraction` are those of all accounts on this stage.
    """

    dataset: Dataset
    rows: Rows
    fold: Codes
    chosen: tuple[Rows, ...]
    names: tuple[str, ...]
    days: Times
    fraction: float
    span: Span

    @property
    def folds(self) -> int:
        """How many."""
        return len(self.chosen)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Confident:
    """An arm on a stage: `confidence` (n,) of each row, NOT_JUDGED where there is none; `threshold` of each fold."""

    confidence: Floats
    threshold: Floats


def stage_of(dataset: Dataset, folds: Sequence[Fold], symbols: Sequence[str]) -> Stage:
    """The test rows of these symbols; the tests of the folds do not overlap and come in the order of time."""
    wanted = np.isin(dataset.symbol_names, tuple(symbols))
    chosen = tuple(np.flatnonzero(wanted[fold.test]) for fold in folds)
    parts = [fold.test[places] for fold, places in zip(folds, chosen, strict=True)]
    rows = np.concatenate(parts) if parts else np.empty(0, dtype=np.intp)
    span = tested_span(folds)
    return Stage(
        dataset=dataset,
        rows=rows,
        fold=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        chosen=chosen,
        names=tuple(fold.name for fold in folds),
        days=days_of(dataset, rows, span),
        fraction=equal_fraction(dataset, rows),
        span=span,
    )


def confident(stage: Stage, scores: Sequence[FoldScores]) -> Confident:
    """What a trained arm said, its results in the order of the folds."""
    said = [each.probability[places] for each, places in zip(scores, stage.chosen, strict=True)]
    confidence = np.concatenate(said) if said else np.empty(0)
    return Confident(
        confidence=np.where(np.isnan(confidence), NOT_JUDGED, confidence),
        threshold=np.array([each.threshold for each in scores], dtype=np.float64),
    )


def special(stage: Stage, arm: Arm, seed: int) -> Confident:
    """An arm without a model: everything, or by chance (whose thresholds are to be matched with `by_count`)."""
    if arm.special is Special.UNFILTERED:
        confidence = np.ones(len(stage.rows))
    else:
        confidence = np.random.default_rng(seed).uniform(size=len(stage.rows))
    return Confident(confidence=confidence, threshold=np.full(stage.folds, ALL))


def taken(stage: Stage, arm: Confident) -> Rows:
    """The rows that an arm trades, by the threshold of each fold."""
    return take(stage.dataset, stage.rows, arm.confidence, arm.threshold[stage.fold])


def counts(stage: Stage, rows: Rows) -> npt.NDArray[np.intp]:
    """How many of these rows are in each fold, (folds,)."""
    return np.bincount(fold_of(stage, rows), minlength=stage.folds)


def fold_of(stage: Stage, rows: Rows) -> Codes:
    """Which fold tests each of these rows of the stage."""
    return stage.fold[np.searchsorted(stage.rows, rows)]


def by_count(stage: Stage, arm: Confident, wanted: npt.NDArray[np.intp]) -> Confident:
    """The same confidences with thresholds that take so many trades in each fold, as nearly as can be; ties go together."""
    judged = arm.confidence != NOT_JUDGED
    thresholds = []
    for place, trades in enumerate(wanted.tolist()):
        inside = judged & (stage.fold == place)
        none = not inside.any() or trades == 0
        thresholds.append(
            NONE if none else matching_threshold(stage.dataset, stage.rows[inside], arm.confidence[inside], trades)
        )
    return Confident(confidence=arm.confidence, threshold=np.array(thresholds))


def tied_share(stage: Stage, arm: Confident) -> float:
    """Of the rows wanted by the thresholds, the share that stands in a tie at the lowest confidence wanted in its fold.

    A threshold takes such rows all or none; a row that is alone there is in no tie.  0 where none is wanted.
    """
    wanted = arm.confidence >= arm.threshold[stage.fold]
    if not wanted.any():
        return 0.0
    tied = 0
    for place in range(stage.folds):
        said = arm.confidence[wanted & (stage.fold == place)]
        lowest = int(np.count_nonzero(said == said.min(initial=np.inf)))
        tied += lowest if lowest > 1 else 0
    return tied / int(np.count_nonzero(wanted))


def account(stage: Stage, rows: Rows, cost_multiple: float) -> Outcome:
    """What these trades made."""
    return book(stage.dataset, rows, stage.days, stage.fraction, cost_multiple)


def added(outcome: Outcome, keys: npt.NDArray[np.generic]) -> Mapping[str, float]:
    """What the trades of each key added to the equity, as a simple sum."""
    return {str(key): float(outcome.fraction * outcome.gain[keys == key].sum()) for key in np.unique(keys)}
