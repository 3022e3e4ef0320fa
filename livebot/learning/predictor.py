"""What a trained model is to those who ask it, whatever it was trained as.

Rules of this file: no estimator is named here; a row's probability depends on that row alone, to the last bit, whoever
else is asked about in the same batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from livebot.core.series import Floats
from livebot.learning.dataset import Signs


class Predictor(Protocol):
    """A picklable object; it holds its calibration."""

    def probabilities(self, features: Floats, side: Signs, symbols: Sequence[str]) -> Floats:
        """How likely each row is to win, (n,): features (n, k) in the order trained, side (n,), one symbol a row.

        Of a symbol it was not trained on it says what it can (the shared part, the average); who asks decides by
        `Fitted.covered` whether to use that.  Features must be finite.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """What training gives: the predictor, the symbols it was trained on, and what is to be known of it.

    `threshold` is the least confidence worth taking, found in the calibration slice; `metrics` are of that slice (log_loss,
    brier, auc, calibration_slope, hit_rate, ...); `calibrators` by symbol (slope, intercept), "" the shared one; `notes` are
    sentences.
    """

    predictor: Predictor
    covered: tuple[str, ...]
    threshold: float
    metrics: dict[str, float]
    calibrators: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
