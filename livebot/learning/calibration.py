"""From scores to probabilities that mean what they say, and how well they do.

A calibrator is Platt's sigmoid (Platt 1999) on the model's log-odds: log-odds of a win = slope * log-odds said + intercept.
It is fitted by the likelihood of the calibration slice with a normal prior of standard deviation 1 around (1, 0), so few
rows leave the model as it is.  The slope is kept above 0: a calibrator may say that a model knows nothing, it never turns
its order round.

Rules of this file: only rows of the calibration slice come in; what is fitted is plain numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from livebot.core.series import Floats
from livebot.learning.dataset import Mask
from livebot.learning.predictors.calibrated import Calibration, logit, sigmoid

LEAST_SLOPE = 0.01
PRIOR_ROWS = 200.0  # a symbol with as many rows in the slice counts half by itself, half as all do
FEWEST_ROWS = 10  # with fewer, or of one class, a symbol's own calibrator is the shared one

Platt = tuple[float, float]
UNCHANGED: Platt = (1.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Rows of like confidence: how sure the model was on average, how many of them won, and how many rows they are."""

    confidence: float
    won: float
    rows: int


def platt(logits: Floats, win: Mask, weight: Floats, prior: float = 1.0) -> Platt:
    """(slope, intercept) of the calibrator of these rows (n,); `prior` is the weight of the prior, 0 for none."""
    won = win.astype(np.float64)

    def loss(point: Floats) -> tuple[float, Floats]:
        said = point[0] * logits + point[1]
        off = weight * (sigmoid(said) - won)
        away = point - np.array(UNCHANGED)
        value = (weight * (np.logaddexp(0.0, said) - won * said)).sum() + prior * (away @ away) / 2
        return float(value), np.array([(off * logits).sum(), off.sum()]) + prior * away

    found = minimize(
        loss,
        np.array(UNCHANGED),
        jac=True,
        method="L-BFGS-B",
        bounds=((LEAST_SLOPE, None), (None, None)),
        options={"ftol": 1e-12, "gtol": 1e-8},
    )
    return float(found.x[0]), float(found.x[1])


def shrunk(own: Platt, shared: Platt, rows: int) -> Platt:
    """A symbol's calibrator, drawn towards the shared one: own counts n / (n + PRIOR_ROWS)."""
    share = rows / (rows + PRIOR_ROWS)
    return share * own[0] + (1 - share) * shared[0], share * own[1] + (1 - share) * shared[1]


def platt_by_symbol(logits: Floats, win: Mask, weight: Floats, symbols: Sequence[str]) -> dict[str, Platt]:
    """The shared calibrator under "", and a shrunk one for each symbol of which there is enough."""
    shared = platt(logits, win, weight)
    found, names = {"": shared}, np.asarray(symbols, dtype=np.str_)
    for symbol in sorted(set(symbols)):
        chosen = names == symbol
        rows = int(chosen.sum())
        if rows >= FEWEST_ROWS and 0 < win[chosen].sum() < rows:
            found[symbol] = shrunk(platt(logits[chosen], win[chosen], weight[chosen]), shared, rows)
    return found


def calibration_of(found: Mapping[str, Platt]) -> Calibration:
    """What is pickled with the model; the one under "" is that of all symbols without their own."""
    own = [symbol for symbol in found if symbol]
    lines = np.array([found[""], *(found[symbol] for symbol in own)])
    return Calibration(
        row_of={symbol: row for row, symbol in enumerate(own, start=1)}, slope=lines[:, 0], intercept=lines[:, 1]
    )


def figures(confidence: Floats, win: Mask, weight: Floats) -> dict[str, float]:
    """log_loss, brier, auc, and the slope and intercept that would calibrate these confidences (1 and 0 if they mean
    what they say: Cox 1958).  There must be wins and losses.
    """
    slope, intercept = platt(logit(confidence), win, weight, prior=0.0)
    return {
        "log_loss": float(log_loss(win, confidence, sample_weight=weight)),
        "brier": float(brier_score_loss(win, confidence, sample_weight=weight)),
        "auc": float(roc_auc_score(win, confidence, sample_weight=weight)),
        "calibration_slope": slope,
        "calibration_intercept": intercept,
    }


def reliability(confidence: Floats, win: Mask, weight: Floats, bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """The reliability curve, in up to `bins` bins of about as many rows each, of rising confidence."""
    order = np.argsort(confidence, kind="stable")
    return tuple(
        ReliabilityBin(
            confidence=float(np.average(confidence[part], weights=weight[part])),
            won=float(np.average(win[part], weights=weight[part])),
            rows=len(part),
        )
        for part in np.array_split(order, min(bins, len(order)))
    )
