"""How much of the best of many trials is luck: the deflated Sharpe ratio.

D. Bailey, M. Lopez de Prado, "The Deflated Sharpe Ratio", Journal of Portfolio Management 40 (5), 2014.

Rules of this file: Sharpe ratios are of one day (not of a year) and kurtosis is the whole one (3 for a normal
distribution), as in the paper.
"""

from collections.abc import Sequence
from math import e, sqrt
from statistics import NormalDist, variance

from livebot.reporting.figure import Figure, NotAvailable

EULER = 0.5772156649015329  # Euler and Mascheroni's constant
BELIEVABLE = 0.95  # the usual bar for the probability that more than luck is there
_NORMAL = NormalDist()
_LEAST_SHARPES = 2  # a variance takes two
_LEAST_DAYS = 2


def expected_maximum(sharpe_variance: float, trials: int) -> float:
    """The best Sharpe that so many trials without any skill would show (the paper's equation for E[max]).

    `sharpe_variance` is that of the trials' Sharpe ratios; one trial has no luck to be the best: 0.
    """
    if trials <= 1:
        return 0.0
    usual = _NORMAL.inv_cdf(1 - 1 / trials)
    further = _NORMAL.inv_cdf(1 - 1 / (trials * e))
    return sqrt(sharpe_variance) * ((1 - EULER) * usual + EULER * further)


def probable_sharpe(sharpe: float, benchmark: float, days: int, skewness: float, kurtosis: float) -> Figure:
    """Probability that the true Sharpe is above `benchmark`, given the one measured over so many days."""
    spread = 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if days < _LEAST_DAYS or spread <= 0:
        return NotAvailable("the daily returns are too few or too skewed")
    return _NORMAL.cdf((sharpe - benchmark) * sqrt(days - 1) / sqrt(spread))


def deflated_sharpe(
    sharpe: float, days: int, skewness: float, kurtosis: float, others: Sequence[float], trials: int
) -> Figure:
    """Probability that the best of `trials` has a true Sharpe above what luck alone would have made the best.

    `others` are the Sharpe ratios of the trials, the best included; those of trials that have none are left out, though
    they count among `trials`.
    """
    if trials <= 1:
        return probable_sharpe(sharpe, 0.0, days, skewness, kurtosis)
    if len(others) < _LEAST_SHARPES:
        return NotAvailable(f"fewer than {_LEAST_SHARPES} of the trials have a Sharpe ratio")
    benchmark = expected_maximum(variance(others), trials)
    return probable_sharpe(sharpe, benchmark, days, skewness, kurtosis)
