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
from livebot.learning.dataset import Signs
from livebot.learning.predictors.calibrated import logit
from livebot.learning.predictors.symbol_rows import SymbolTable, inputs_of, rows_of


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
        """As `Scores` says."""
        inputs = np.column_stack((inputs_of(features, side), self.table.columns(symbols)))
        model = rows_of(symbols, self.model_of)
        probability = np.empty(len(inputs))
        with _threadpools(type(self.estimators[0]).__module__).limit(limits=1):
            for number in np.unique(model).tolist():
                chosen = model == number
                probability[chosen] = self._asked(number, inputs[chosen])
        return logit(probability)

    def _asked(self, number: int, inputs: Floats) -> Floats:
        ask = self.estimators[number].predict_proba
        batches = [inputs] if self.whole else [inputs[at : at + 1] for at in range(len(inputs))]
        return np.concatenate([ask(batch)[:, 1] for batch in batches])


@lru_cache(maxsize=8)
def _threadpools(library: str) -> ThreadpoolController:  # noqa: ARG001  a library that is new may have brought its own
    """The thread pools that are loaded, looked up once for each library: that takes a millisecond."""
    return ThreadpoolController()
