"""Classifiers kept as the library made them: one for all symbols, or one for each group of symbols.

Rules of this file: no library is named that the pickled objects do not bring; each prediction runs on one thread, because
OpenMP's others wait for a core that something else has (one row then takes seconds).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from livebot.core.series import Floats
from livebot.errors import BadInput
from livebot.learning.dataset import Signs
from livebot.learning.predictors.calibrated import logit
from livebot.learning.predictors.symbol_rows import SymbolTable, inputs_of, rows_of

_LOOKUP = "_preprocessor"  # what scikit-learn calls it; where it is called otherwise, this changes nothing
_PROBES = 1_000  # rows on which a shortcut is held to what it saves
_SLACK = 1e-6  # probabilities are sums: what they are off by through rounding is far less


@dataclass(frozen=True, kw_only=True, eq=False)
class EstimatorScores:
    """`estimators[model_of[symbol]]` is asked about a symbol, the first one about all that are not named.

    Inputs are the features, the side and the columns of `table`.  `whole` says that the estimator takes each row by
    itself, as trees do; others are asked row by row, since what they say could depend on the batch in the last bits.
    """

    model_of: dict[str, int]
    estimators: tuple[Any, ...]
    table: SymbolTable
    whole: bool

    def logits(self, features: Floats, side: Signs, symbols: Sequence[str]) -> Floats:
        """As `Scores` says.

        Raises:
            BadInput: what an estimator says is no probability.

        """
        inputs = np.column_stack((inputs_of(features, side), self.table.columns(symbols)))
        with _threadpools(type(self.estimators[0]).__module__).limit(limits=1):
            probability = self._probability(inputs, symbols)
        sound = (probability >= -_SLACK) & (probability <= 1 + _SLACK)  # neither is so of what is no number
        if not sound.all():
            wrong = probability[~sound]
            raise BadInput(
                f"the estimator gives {len(wrong)} of {len(sound)} rows what is no probability, such as {wrong[0]:g}"
            )
        return logit(probability)

    def _probability(self, inputs: Floats, symbols: Sequence[str]) -> Floats:
        if len(self.estimators) == 1:
            return self._asked(0, inputs) if len(inputs) else np.empty(0)
        model = rows_of(symbols, self.model_of)
        probability = np.empty(len(inputs))
        for number in np.unique(model).tolist():
            chosen = model == number
            probability[chosen] = self._asked(number, inputs[chosen])
        return probability

    def _asked(self, number: int, inputs: Floats) -> Floats:
        ask = self.estimators[number].predict_proba
        batches = [inputs] if self.whole else [inputs[at : at + 1] for at in range(len(inputs))]
        return np.concatenate([ask(batch)[:, 1] for batch in batches])


class CodesFirst:
    """In place of scikit-learn's lookup of categories: moves the column of codes to the front, as its trees want it."""

    def __init__(self, category: int) -> None:
        """`category` is the column's place."""
        self.category = category

    def transform(self, inputs: Floats) -> Floats:
        """The same numbers (n, m) in the order of the trees."""
        front = self.category
        return np.concatenate((inputs[:, front : front + 1], inputs[:, :front], inputs[:, front + 1 :]), axis=1)


def without_lookup(estimator: Any, inputs: Floats, category: int) -> None:  # noqa: ANN401
    """Spare a fitted gradient boosting the lookup of each code in a table of codes: a third of what one row takes.

    The codes of a `SymbolTable` that was made of these `inputs` (n, m) are their own places in that table, and NaN stays NaN,
    so there is nothing to look up.  That is tried out on rows with each code and with none; where an answer differs in a bit
    (another version of scikit-learn may keep its columns otherwise) the estimator stays as it was.
    """
    codes = np.append(np.unique(inputs[:, category]), np.nan)
    probes = inputs[np.arange(max(len(codes), _PROBES)) % len(inputs)]
    probes[:, category] = np.resize(codes, len(probes))
    before, kept = estimator.predict_proba(probes), getattr(estimator, _LOOKUP, None)
    setattr(estimator, _LOOKUP, CodesFirst(category))
    if not np.array_equal(estimator.predict_proba(probes), before):
        setattr(estimator, _LOOKUP, kept)


@lru_cache(maxsize=8)
def _threadpools(library: str) -> ThreadpoolController:  # noqa: ARG001  a library that is new may have brought its own
    """The thread pools that are loaded, looked up once for each library: that takes a millisecond."""
    return ThreadpoolController()
