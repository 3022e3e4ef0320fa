"""Which entries are traded, of those that somebody wants: a symbol has one trade at a time.

Rules of this file: values in, values out; the one rule by which arms of a comparison, and champion and challenger, are given
their trades.
"""

import numpy as np
import numpy.typing as npt

from livebot.core.series import Floats
from livebot.errors import BadInput
from livebot.learning.dataset import Dataset

Rows = npt.NDArray[np.intp]  # which of a Dataset, rising


def take(dataset: Dataset, rows: Rows, confidences: Floats, threshold: float | Floats) -> Rows:
    """The rows that are traded, rising: confident enough, while their symbol had no open trade.

    `rows` rise; `confidences` (len(rows),); `threshold` is one for all or one a row (each fold has its own).  A trade is open
    from its close_ms to its end_ms, both included.

    Raises:
        BadInput: shapes differ, rows do not rise, or a confidence is no number.

    """
    if confidences.shape != rows.shape or np.shape(threshold) not in {(), rows.shape}:
        raise BadInput(
            f"{len(rows)} rows were given with confidences of shape {confidences.shape} and thresholds of {np.shape(threshold)}"
        )
    if len(rows) and (np.diff(rows) <= 0).any():
        raise BadInput("the rows to trade do not rise: an account lives them in the order of time")
    if not np.isfinite(confidences).all():
        raise BadInput(f"row {int(rows[np.argmin(np.isfinite(confidences))])} has no number as its confidence")
    wanted = rows[confidences >= threshold]
    free_ms = [-1] * len(dataset.symbols)  # each symbol's trade was open up to and including this
    taken = []
    lives = zip(
        wanted.tolist(),
        dataset.symbol[wanted].tolist(),
        dataset.close_ms[wanted].tolist(),
        dataset.end_ms[wanted].tolist(),
        strict=True,
    )
    for row, symbol, close_ms, end_ms in lives:
        if close_ms > free_ms[symbol]:
            free_ms[symbol] = end_ms
            taken.append(row)
    return np.array(taken, dtype=np.intp)
