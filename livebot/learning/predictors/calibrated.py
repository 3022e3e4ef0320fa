"""Raw scores made into probabilities: what every trained model is in the end.

Rules of this file: numpy only; each step is done element by element, so a row's probability cannot depend on its batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from livebot.core.series import Floats
from livebot.learning.dataset import Signs
from livebot.learning.predictors.symbol_rows import rows_of

LARGEST_LOGIT = 35.0  # beyond it a float64 probability is 1 or as good as 0


class Scores(Protocol):
    """A picklable model before its calibration."""

    def logits(self, features: Floats, side: Signs, symbols: Sequence[str]) -> Floats:
        """Log-odds of a win, (n,), by features (n, k), side (n,) and one symbol a row."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Platt's sigmoid on the log-odds by symbol: `slope` and `intercept` (rows,), row 0 of all without their own."""

    row_of: dict[str, int]
    slope: Floats
    intercept: Floats

    def probabilities(self, logits: Floats, symbols: Sequence[str]) -> Floats:
        """The calibrated probability of each row, (n,)."""
        row = rows_of(symbols, self.row_of)
        return sigmoid(self.slope[row] * logits + self.intercept[row])


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibratedPredictor:
    """Scores and their calibration: the `Predictor` that training gives, whatever the mode."""

    scores: Scores
    calibration: Calibration

    def probabilities(self, features: Floats, side: Signs, symbols: Sequence[str]) -> Floats:
        """As `Predictor` says."""
        return self.calibration.probabilities(self.scores.logits(features, side, symbols), symbols)


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + e^-x), never quite 0 or 1."""
    bounded = np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)
    probability: Floats = 1.0 / (1.0 + np.exp(-bounded))
    return probability


def logit(probability: Floats) -> Floats:
    """The log-odds, bounded as in `sigmoid`; of what is above 1 by a rounding, as of 1."""
    within = np.clip(probability, 0.0, 1.0)
    with np.errstate(divide="ignore"):
        odds = np.log(within) - np.log1p(-within)
    bounded: Floats = np.clip(odds, -LARGEST_LOGIT, LARGEST_LOGIT)
    return bounded
