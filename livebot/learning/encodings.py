"""How a shared model is told which symbol a row is of: nothing, a column a symbol, a code, or a learned place among all.

The embedding: for each symbol, how its outcomes in the training rows go with each input (the gradient of its log-likelihood
at a model that knows only the share of wins: the weighted mean of residual x input), shrunk by n / (n + EMBEDDING_ROWS) and
centred over the symbols.  The first three principal directions of these are the symbol's vector, each shrunk by what there
would be of it by chance, which the same rows with their outcomes dealt anew say (parallel analysis: Horn 1965): without
differences between symbols there is nothing left of it.  Symbols whose outcomes answer alike lie near each other; one that
is not known lies in the centre, with the average.

Rules of this file: only training rows come in; the same rows and seed give the same table, to the sign.
"""

from collections.abc import Sequence

import numpy as np

from livebot.core.series import Floats
from livebot.errors import BadInput
from livebot.learning.dataset import Dataset
from livebot.learning.estimators import Plan, moments
from livebot.learning.predictors.symbol_rows import SymbolTable, inputs_of
from livebot.learning.spec import SymbolEncoding

DIMENSIONS = 3
EMBEDDING_ROWS = 200.0
DEALS = 20


def table_of(training: Dataset, encoding: SymbolEncoding, plan: Plan, seed: int) -> SymbolTable:
    """What stands for each symbol that has training rows, and for all others.

    Raises:
        BadInput: the estimator knows no categories, or there are more symbols than it takes.

    """
    known = present(training)
    match encoding:
        case SymbolEncoding.NONE:
            return no_table()
        case SymbolEncoding.ONE_HOT:
            values = np.vstack([np.zeros((1, len(known))), np.eye(len(known))])
        case SymbolEncoding.INDEX:
            must_take_categories(plan, len(known))
            values = np.array([np.nan, *range(len(known))])[:, None]
        case SymbolEncoding.EMBEDDING:
            vectors = _embedding(training, seed)
            values = np.vstack([np.zeros((1, vectors.shape[1])), vectors])
    return SymbolTable(row_of={symbol: row for row, symbol in enumerate(known, start=1)}, values=values)


def no_table() -> SymbolTable:
    """Nothing is told of any symbol."""
    return SymbolTable(row_of={}, values=np.zeros((1, 0)))


def present(training: Dataset) -> Sequence[str]:
    """The symbols that have rows, sorted."""
    return [training.symbols[code] for code in np.unique(training.symbol).tolist()]


def must_take_categories(plan: Plan, symbols: int) -> None:
    """Refuse what could not learn from a column of codes of so many symbols.  Raises BadInput: which says what to use."""
    if not plan.native:
        raise BadInput(
            f"model.symbol_encoding index is a code that {plan.name} would take for a quantity: "
            "use one_hot or embedding, or hist_gradient_boosting or lightgbm, which know categories"
        )
    if plan.params.get("categorical_features") is not None:
        raise BadInput("model.symbol_encoding index sets categorical_features: leave it out of model.estimator.params")
    if symbols > plan.bins:  # more would be thrown together
        raise BadInput(
            f"model.symbol_encoding index takes up to {plan.bins} symbols, these are {symbols}, and {plan.name} tells no more "
            "apart with these params: use one_hot or embedding"
        )


def _embedding(training: Dataset, seed: int) -> Floats:
    """One vector a symbol, (symbols, up to DIMENSIONS); the first direction is of root mean square up to 1, others of less."""
    inputs, weight = inputs_of(training.features, training.side), training.weight
    mean, scale = moments(inputs, weight)
    order = np.argsort(training.symbol, kind="stable")
    starts = np.flatnonzero(np.diff(training.symbol[order], prepend=-1))
    rows = np.diff(np.append(starts, len(order)))
    ready = np.column_stack((np.ones(len(order)), (inputs - mean) / scale))[order]
    residual = (training.win - np.average(training.win, weights=weight))[order]
    counted = weight[order]
    share = (rows / (rows + EMBEDDING_ROWS) / np.add.reduceat(counted, starts))[:, None]

    def directions(outcome: Floats) -> tuple[Floats, Floats, Floats]:
        shrunk = np.add.reduceat((counted * outcome)[:, None] * ready, starts) * share
        return np.linalg.svd(shrunk - shrunk.mean(axis=0), full_matrices=False)

    random = np.random.default_rng(seed)
    chance = np.mean([directions(random.permutation(residual))[1] ** 2 for _ in range(DEALS)], axis=0)
    left, size, right = directions(residual)
    kept = np.flatnonzero((size**2 > chance)[: min(DIMENSIONS, len(rows) - 1)])
    lasting = np.sqrt(1 - chance[kept] / size[kept] ** 2) * size[kept] / size[0]
    sign = np.sign(right[kept, np.abs(right[kept]).argmax(axis=1)])
    vectors: Floats = left[:, kept] * (sign * lasting * np.sqrt(len(rows)))
    return vectors
