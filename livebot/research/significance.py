"""Whether differences between arms are more than luck: paired by day, resampled in blocks, deflated by the trials made.

Rules of this file: days are resampled whole, with all symbols of a day together, because symbols move together; the same
seed gives the same interval; nothing is tested that was not said before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from livebot.backtest.sweep.figures import daily_moments
from livebot.backtest.trials_luck import deflated_sharpe
from livebot.core.series import Floats
from livebot.errors import BadInput
from livebot.learning.dataset import Mask
from livebot.reporting.equity_figures import DAYS_A_YEAR, sharpe
from livebot.reporting.figure import Figure, NotAvailable

MINIMUM_DAYS = 60  # fewer hold too few blocks for an interval to mean anything
_LEAST_SPREAD = (
    0.5  # of a draw, against that of all: a column of few days that differ from 0 would widen everybody's interval
)
_CELLS = 4_000_000  # days times columns that are drawn at once


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapTerms:
    """`block_days` is the average length of a block: longer than what days have in common with those before them.

    None: as long as the data ask for (see `joint_intervals`).
    """

    draws: int = 2000
    block_days: float | None = None
    level: float = 0.95
    seed: int = 1

    def __post_init__(self) -> None:
        """Raise BadInput for terms that make no interval."""
        if self.draws < 1 or not 0 < self.level < 1 or (self.block_days is not None and self.block_days < 1):
            raise BadInput("a bootstrap takes at least one draw, a level between 0 and 1 and blocks of at least a day")


def stationary_indices(days: int, terms: BootstrapTerms, block_days: float) -> npt.NDArray[np.intp]:
    """Days drawn, (draws, days): blocks of geometric length that begin anywhere and go on from the last day to the first.

    D. Politis, J. Romano, "The Stationary Bootstrap", Journal of the American Statistical Association 89 (1994).
    """
    random = np.random.default_rng(terms.seed)
    begins = random.random((terms.draws, days)) < 1 / block_days
    begins[:, 0] = True
    places = np.arange(days)
    latest = np.maximum.accumulate(np.where(begins, places, 0), axis=1)  # where the present block began
    starts = np.take_along_axis(random.integers(0, days, size=(terms.draws, days)), latest, axis=1)
    drawn: npt.NDArray[np.intp] = (starts + places - latest) % days
    return drawn


def usual_block(values: Floats) -> float:
    """A block length for this series (days,): the automatic one for the stationary bootstrap, at least 1, at most a fifth.

    D. Politis, H. White, Econometric Reviews 23 (2004), with the correction of A. Patton, D. Politis, H. White (2009).
    """
    days = len(values)
    away = values - values.mean()
    spread = float(away @ away) / days
    if spread <= 0 or days < MINIMUM_DAYS:
        return 1.0
    reach = int(np.ceil(np.sqrt(days))) + max(5, int(np.ceil(np.log10(days))))
    covariance = np.array([float(away[lag:] @ away[: days - lag]) / days for lag in range(reach + 1)])
    quiet = max(5, int(np.ceil(np.log10(days))))
    loud = np.abs(covariance[1:] / spread) > 2 * np.sqrt(np.log10(days) / days)
    runs = [lag for lag in range(1, reach - quiet + 2) if not loud[lag - 1 : lag - 1 + quiet].any()]
    last = runs[0] - 1 if runs else int(np.flatnonzero(loud)[-1]) + 1
    window = min(2 * max(last, 1), reach)
    lags = np.arange(-window, window + 1)
    flat = np.clip(2 * (1 - np.abs(lags) / window), 0.0, 1.0)  # 1 up to half of the window, then down to 0
    both = flat * covariance[np.abs(lags)]
    slope, level = float((both * np.abs(lags)).sum()), float(both.sum())
    tiny = float(np.finfo(np.float64).tiny)
    length = (slope**2 / max(level**2, tiny) * days) ** (1 / 3)  # 2 G^2 / D of the paper, where D = 2 g(0)^2
    return float(np.clip(length, 1.0, days / 5))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointIntervals:
    """Of several columns' means, each (columns,): `low` and `high` of a column alone, `joint_low` and `joint_high` of all at once.

    All joint intervals together hold all true means with probability `level`; each of the others holds its own.
    """

    estimate: Floats
    low: Floats
    high: Floats
    joint_low: Floats
    joint_high: Floats


def joint_intervals(columns: Floats, family: Mask, terms: BootstrapTerms) -> JointIntervals | NotAvailable:
    """Intervals of the means of `columns` (days, columns), the same days drawn for all; for fewer than MINIMUM_DAYS none.

    The joint ones are as many spreads wide as the largest error among `family` (columns,) in all but 1 - level of the draws: a
    single step.  H. White, "A Reality Check for Data Snooping", Econometrica 68 (2000); J. Romano, M. Wolf, "Stepwise Multiple
    Testing as Formalized Data Snooping", Econometrica 73 (2005), whose first step this is.  An error counts in units of the
    spread that its own draw shows (F. Götze, H. Künsch, Annals of Statistics 24, 1996): in units of one spread for all
    draws 10 intervals of 95 % held all 10 truths in 87 to 92 of 100 studies of 250 days of noise, so in 95 (measured).

    Without a block length given it is the longest that a column asks for, and at least the cube root of the days: estimated
    lengths are short on short series.  The interval of one column alone is that of plain percentiles and somewhat narrow: of
    400 days of noise it holds the mean in 92 to 93 %, in 90 % if each day keeps half of the one before (measured).
    """
    days = len(columns)
    if days < MINIMUM_DAYS:
        return NotAvailable(f"fewer than {MINIMUM_DAYS} days")
    block = terms.block_days or max(days ** (1 / 3), *(usual_block(column) for column in columns.T))
    means, own = _means_and_spreads(columns, stationary_indices(days, terms, block))
    estimate, spread = columns.mean(axis=0), means.std(axis=0)
    low, high = np.quantile(means, ((1 - terms.level) / 2, (1 + terms.level) / 2), axis=0)
    moving = family & (spread > np.finfo(np.float64).eps * np.abs(columns).max(axis=0))
    units = np.where(moving, np.maximum(own, _LEAST_SPREAD * spread), np.inf)
    errors = (np.abs(means - estimate) / units).max(axis=1, initial=0.0)
    wide = float(np.quantile(errors, terms.level, method="higher")) * spread
    return JointIntervals(estimate=estimate, low=low, high=high, joint_low=estimate - wide, joint_high=estimate + wide)


def _means_and_spreads(columns: Floats, drawn: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
    """The mean of each column in each draw, (draws, columns), and the spread of that mean by the sums of the draw's own blocks."""
    days, width = columns.shape
    part = max(1, _CELLS // (days * width))
    means, spreads = [], []
    for first in range(0, len(drawn), part):
        places = drawn[first : first + part]
        begins = np.ones(places.shape, dtype=np.bool_)
        begins[:, 1:] = (np.diff(places, axis=1) - 1) % days != 0
        values = columns[places]
        mean = values.mean(axis=1)
        values -= mean[:, None]
        sums = np.add.reduceat(values.reshape(-1, width), np.flatnonzero(begins), axis=0)
        blocks = begins.sum(axis=1)
        squares = np.add.reduceat(sums**2, np.cumsum(blocks) - blocks, axis=0)
        means.append(mean)
        spreads.append(np.sqrt(squares) / days)
    return np.concatenate(means), np.concatenate(spreads)


def deflated(returns: Floats, others: Sequence[float], trials: int) -> Figure:
    """Probability that the true Sharpe of the best arm is above what so many trials would have shown by luck.

    `returns` (days,) are its daily ones; `others` the daily Sharpe ratios of all that was tried, itself included
    (`daily_sharpe`); `trials` how many that were, by the ledger, at least `len(others)`.  Source: `backtest.trials_luck`.
    """
    ratio, _ = sharpe(returns)
    if isinstance(ratio, NotAvailable):
        return ratio
    daily, skewness, kurtosis = daily_moments(returns)
    return deflated_sharpe(daily, len(returns), skewness, kurtosis, others, trials)


def daily_sharpe(returns: Floats) -> float | None:
    """The Sharpe of a day (not of a year) of daily returns (days,); None where there is none to speak of."""
    ratio, _ = sharpe(returns)
    return None if isinstance(ratio, NotAvailable) else float(ratio) / float(np.sqrt(DAYS_A_YEAR))
