"""How good the probabilities given to test rows were: log-loss, Brier score, AUC, calibration.

The curve of it is `reliability` of livebot.learning.calibration.  A calibrator there has a slope above 0, since it must not turn a
model round; the line here is not, because it has to tell when a model was wrong way round.
Rules of this file: of test rows only, each counting once; probabilities are clipped to [CLIP, 1 - CLIP] where a logarithm is
taken; a sample of one class has no AUC and no slope.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from livebot.core.series import Floats
from livebot.learning.dataset import Mask
from livebot.reporting.figure import Figure, NotAvailable

CLIP = 1e-6
_STEPS = 50  # Newton's method takes fewer than ten where there is an answer
_CLOSE = 1e-10
_STEEP = 100.0  # a steeper line runs away: the classes can be told apart without an error
_HIGHEST = 500.0  # log-odds: more would overflow and say nothing new
_RIDGE = 1e-12  # keeps the matrix of a runaway line solvable

NO_ROWS = NotAvailable("no row was tested")
ONE_CLASS = NotAvailable("all rows had the same outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastFigures:
    """`base_rate` is the share of wins, `confidence` the average probability given.

    `slope` and `intercept` are those of a logistic regression of the win on the log-odds given (D. R. Cox 1958): 1 and 0
    where confidences mean what they say, a slope below 1 where they are too bold.
    """

    rows: int
    base_rate: Figure
    confidence: Figure
    log_loss: Figure
    brier: Figure
    auc: Figure
    slope: Figure
    intercept: Figure


def forecast_figures(confidences: Floats, win: Mask) -> ForecastFigures:
    """The figures of these probabilities (n,), given what became of the rows."""
    both = bool(win.any() and not win.all())
    safe = np.clip(confidences, CLIP, 1 - CLIP)
    slope, intercept = calibration_line(confidences, win)
    return ForecastFigures(
        rows=len(win),
        base_rate=float(win.mean()) if len(win) else NO_ROWS,
        confidence=float(confidences.mean()) if len(win) else NO_ROWS,
        log_loss=float(log_loss(win, safe, labels=[False, True])) if len(win) else NO_ROWS,
        brier=float(np.mean((confidences - win) ** 2)) if len(win) else NO_ROWS,
        auc=float(roc_auc_score(win, confidences)) if both else ONE_CLASS,
        slope=slope,
        intercept=intercept,
    )


def calibration_line(confidences: Floats, win: Mask) -> tuple[Figure, Figure]:
    """Slope and intercept of the win's log-odds over the log-odds given, by Newton's method (no shrinking)."""
    if not win.any() or win.all():
        return ONE_CLASS, ONE_CLASS
    safe = np.clip(confidences, CLIP, 1 - CLIP)
    inputs = np.column_stack((np.log(safe / (1 - safe)), np.ones(len(safe))))
    if np.ptp(inputs[:, 0]) < _CLOSE:
        constant = NotAvailable("every row was given the same probability")
        return constant, constant
    line = np.zeros(2)
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(inputs @ line, -_HIGHEST, _HIGHEST)))
        bend = inputs.T @ (inputs * (chance * (1 - chance))[:, None])
        step = np.linalg.solve(bend + _RIDGE * np.eye(2), inputs.T @ (win - chance))
        line = line + step
        if np.abs(step).max() < _CLOSE and np.abs(line).max() < _STEEP:
            return float(line[0]), float(line[1])
    apart = NotAvailable("wins and losses can be told apart without an error: no line fits")
    return apart, apart
