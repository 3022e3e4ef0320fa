"""Linear models in which a symbol differs from all others by a little.

Partial pooling: log-odds = x . (w + d_symbol) + b + c_symbol, with a normal prior on w (that of the estimator) and one on d
and c of which the standard deviation is `freedom` times that (Gelman and Hill 2007, chapter 13, with fixed variances).  It is
fitted as an ordinary penalised logistic regression on an augmented design: the inputs, and for each symbol the inputs and a
1 once more, times `freedom`, 0 in the rows of other symbols.  `freedom` is the one of FREEDOMS with the lowest log-loss in
the last fifth of the training time, after a purge; of equals the smaller one.  0 is complete pooling.

Told lines: log-odds = x . (w + U t) + b + v . t, where t is what the model is told of the symbol (its columns in a table).
U is there for an embedding, whose few numbers then say how the symbol answers to each input; without it t is a matter of the
level alone.

Rules of this file: only training rows come in; whatever is fitted ends as one row of weights a symbol.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.metrics import log_loss

from livebot.core.series import Floats
from livebot.learning.dataset import Dataset
from livebot.learning.encodings import present
from livebot.learning.estimators import Plan, moments, settled
from livebot.learning.predictors.calibrated import sigmoid
from livebot.learning.predictors.linear import LinearScores
from livebot.learning.predictors.symbol_rows import Rows, SymbolTable, inputs_of
from livebot.learning.time_split import split

FREEDOMS = (0.0, 0.25, 0.5, 1.0)
INNER_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Linear scores, and whether the fit of them converged."""

    scores: LinearScores
    settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scaled:
    """The inputs of the training rows, standardised (n, m), with the numbers to undo it."""

    ready: Floats
    mean: Floats
    scale: Floats

    def unscaled(self, row_of: dict[str, int], weights: Floats, intercept: Floats) -> LinearScores:
        """Scores in the units of the features, of weights (models, m) and intercepts (models,) of standardised ones."""
        folded = weights / self.scale
        return LinearScores(row_of=row_of, weights=folded, intercept=intercept - (folded * self.mean).sum(axis=1))


def told_lines(training: Dataset, plan: Plan, table: SymbolTable, *, by_feature: bool) -> Lines:
    """One model told of the symbols by the table; `by_feature`: that also changes how they answer to each input.

    Raises:
        BadInput: as `Plan.fitted`.

    """
    scaled = _scaled(training)
    told, width = table.columns(training.symbol_names.tolist()), scaled.ready.shape[1]
    crossed = [scaled.ready * column[:, None] for column in told.T] if by_feature else []
    estimator = plan.fitted(np.column_stack((scaled.ready, told, *crossed)), training.win, training.weight)
    found = np.asarray(estimator.coef_[0], dtype=np.float64)
    level, answers = found[width : width + told.shape[1]], found[width + told.shape[1] :].reshape(-1, width)
    weights = np.tile(found[:width], (len(table.values), 1))
    for column, answer in zip(table.values.T, answers, strict=False):  # no answers unless by_feature
        weights += column[:, None] * answer
    intercept = estimator.intercept_[0] + (table.values * level).sum(axis=1)
    return Lines(scores=scaled.unscaled(table.row_of, weights, intercept), settled=settled(estimator))


def partially_pooled(training: Dataset, plan: Plan, embargo_ms: int) -> tuple[Lines, float]:
    """The models, and the freedom that was chosen for them.

    Raises:
        BadInput: as `Plan.fitted`.

    """
    freedom = _best_freedom(training, plan, embargo_ms)
    return _pooled(training, plan, freedom), freedom


def _best_freedom(training: Dataset, plan: Plan, embargo_ms: int) -> float:
    earlier, later = split(training, INNER_SHARE, embargo_ms)
    if not all(_both(part) for part in (earlier, later)):
        return FREEDOMS[0]
    losses = [_loss(_pooled(earlier, plan, freedom).scores, later) for freedom in FREEDOMS]
    return FREEDOMS[int(np.argmin(losses))]


def _both(part: Dataset) -> bool:
    return len(part) > 0 and bool(part.win.any()) and not bool(part.win.all())


def _loss(scores: LinearScores, later: Dataset) -> float:
    said = sigmoid(scores.logits(later.features, later.side, later.symbol_names.tolist()))
    return float(log_loss(later.win, said, sample_weight=later.weight))


def _pooled(training: Dataset, plan: Plan, freedom: float) -> Lines:
    known, scaled = present(training), _scaled(training)
    place = np.searchsorted(np.unique(training.symbol), training.symbol)
    design = _augmented(scaled.ready, place, len(known), freedom) if freedom else scaled.ready
    estimator = plan.fitted(design, training.win, training.weight)
    width = scaled.ready.shape[1]
    found = np.asarray(estimator.coef_[0], dtype=np.float64)
    own = np.zeros((len(known) + 1, width + 1))
    if freedom:
        own[1:] = freedom * found[width:].reshape(len(known), width + 1)
    row_of = {symbol: row for row, symbol in enumerate(known, start=1)}
    scores = scaled.unscaled(row_of, found[:width] + own[:, :-1], estimator.intercept_[0] + own[:, -1])
    return Lines(scores=scores, settled=settled(estimator))


def _scaled(training: Dataset) -> _Scaled:
    inputs = inputs_of(training.features, training.side)
    mean, scale = moments(inputs, training.weight)
    return _Scaled(ready=(inputs - mean) / scale, mean=mean, scale=scale)


def _augmented(ready: Floats, place: Rows, symbols: int, freedom: float) -> csr_matrix:
    rows, width = ready.shape
    own = freedom * np.column_stack((ready, np.ones(rows)))
    columns = np.empty((rows, 2 * width + 1), dtype=np.int32)
    columns[:, :width] = np.arange(width)
    columns[:, width:] = width + place[:, None] * (width + 1) + np.arange(width + 1)
    ends = np.arange(rows + 1, dtype=np.int32) * (2 * width + 1)
    shape = (rows, width + symbols * (width + 1))
    return csr_matrix((np.column_stack((ready, own)).ravel(), columns.ravel(), ends), shape=shape)
