"""Linear models as plain numbers: one row of weights for each model, all symbols in a few numpy operations.

Rules of this file: numpy only; scalers and encodings are folded into the weights when trained.  No matrix product: how a
BLAS sums depends on the shape of the batch.  The products of a row are summed from left to right by `accumulate`, which has
to give every partial sum, so the order is the same for one row as for many.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from livebot.core.series import Floats
from livebot.learning.dataset import Signs
from livebot.learning.predictors.symbol_rows import inputs_of, rows_of


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearScores:
    """`weights` (models, k + 1), the last column for the side, and `intercept` (models,); `row_of` says whose is which.

    Row 0 is the shared model: for all symbols that are not named.
    """

    row_of: dict[str, int]
    weights: Floats
    intercept: Floats

    def logits(self, features: Floats, side: Signs, symbols: Sequence[str]) -> Floats:
        """As `Scores` says."""
        row = rows_of(symbols, self.row_of)
        products = inputs_of(features, side) * self.weights[row]
        total: Floats = np.add.accumulate(products, axis=1)[:, -1] + self.intercept[row]
        return total
