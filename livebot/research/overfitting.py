"""How likely it is that the best arm of a comparison was chosen by luck: combinatorially symmetric cross-validation.

D. Bailey, J. Borwein, M. Lopez de Prado, Q. Zhu, "The Probability of Backtest Overfitting", Journal of Computational
Finance 20 (4), 2017 (preprint 2015).  Rules of this file: whatever was compared is a column, also what looked bad; the
Sharpe here is of days and only ever ranks columns.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import rankdata

from livebot.core.series import Floats
from livebot.errors import BadInput

BLOCKS = 16  # 12,870 ways to choose half of them, as in the paper
_LEAST_DAYS_A_BLOCK = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overfitting:
    """`probability` that the best of the one half is not above the median in the other half.

    `logits` (splits,) is the log-odds of its relative rank there, 0 for the median; `loss` the share of splits in which
    it lost money there; `degradation` the slope of its Sharpe out of sample over that in sample: below 0, the better it
    looked the worse it did.
    """

    probability: float
    loss: float
    degradation: float
    logits: Floats


def overfitting(returns: Floats, blocks: int = BLOCKS) -> Overfitting:
    """Of daily returns (days, arms): all ways to choose on one half of the time and to test on the other half.

    Days beyond a multiple of `blocks` are left out at the beginning.

    Raises:
        BadInput: fewer than 2 arms, an odd number of blocks, or too few days for them.

    """
    days, arms = returns.shape
    if arms < 2 or blocks < 2 or blocks % 2 or days < blocks * _LEAST_DAYS_A_BLOCK:  # noqa: PLR2004 - best of two
        raise BadInput(
            f"{arms} arms over {days} days cannot be split into {blocks} blocks: at least 2 arms, an even number of blocks, "
            f"{_LEAST_DAYS_A_BLOCK} days in each"
        )
    size = days // blocks
    parts = returns[days - size * blocks :].reshape(blocks, size, arms)
    places = np.array(list(combinations(range(blocks), blocks // 2)))
    chosen = np.zeros((len(places), blocks))
    np.put_along_axis(chosen, places, 1.0, axis=1)
    inside = _sharpes(chosen, parts)
    outside = _sharpes(1 - chosen, parts)
    best = np.argmax(inside, axis=1)[:, None]
    ranks = np.take_along_axis(rankdata(outside, axis=1), best, axis=1)[:, 0] / (arms + 1)
    logits: Floats = np.log(ranks / (1 - ranks))
    shown = np.take_along_axis(inside, best, axis=1)[:, 0]
    held = np.take_along_axis(outside, best, axis=1)[:, 0]
    return Overfitting(
        probability=float(np.mean(logits <= 0)),
        loss=float(np.mean(held < 0)),
        degradation=_slope(shown, held),
        logits=logits,
    )


def _sharpes(chosen: Floats, parts: Floats) -> Floats:
    """Sharpe of a day of each arm over the blocks chosen, (splits, arms); `chosen` (splits, blocks) is 0 or 1.

    From sums of blocks: 12,870 splits would otherwise each add up half of all days.
    """
    count = chosen.sum(axis=1, keepdims=True) * parts.shape[1]
    means = chosen @ parts.sum(axis=1) / count
    squares = chosen @ (parts**2).sum(axis=1) / count
    deviation = np.sqrt(np.maximum(squares - means**2, 0.0))
    ratios: Floats = np.divide(means, deviation, out=np.zeros_like(means), where=deviation > 0)
    return ratios


def _slope(first: Floats, second: Floats) -> float:
    """Of the least-squares line; 0 where `first` is constant."""
    away = first - first.mean()
    spread = float(away @ away)
    return float(away @ (second - second.mean())) / spread if spread > 0 else 0.0
