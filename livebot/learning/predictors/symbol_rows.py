"""What a model is given: the numbers of a row, and which row of a table its symbol has; row 0 is everybody else's.

Rules of this file: numpy only, plain values, because it is pickled with a model and read by the daemon.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from livebot.core.series import Floats
from livebot.learning.dataset import Signs

Rows = npt.NDArray[np.intp]


def rows_of(symbols: Sequence[str], row_of: Mapping[str, int]) -> Rows:
    """The row of each symbol, (n,); 0 for those not named."""
    return np.fromiter((row_of.get(symbol, 0) for symbol in symbols), np.intp, len(symbols))


def inputs_of(features: Floats, side: Signs) -> Floats:
    """The features with the side as the last column, (n, k + 1)."""
    inputs: Floats = np.column_stack((features, side)).astype(np.float64, copy=False)
    return inputs


@dataclass(frozen=True, kw_only=True, eq=False)
class SymbolTable:
    """What a shared model is told of a symbol: `values` (rows, columns), row 0 for a symbol that is not in `row_of`."""

    row_of: dict[str, int]
    values: Floats

    def columns(self, symbols: Sequence[str]) -> Floats:
        """The inputs that stand for the symbols, (n, columns)."""
        told: Floats = self.values[rows_of(symbols, self.row_of)]
        return told
