"""What chance makes of the same entries: random filters, and how arms stand against them, all arms at once.

Rules of this file: a random filter chooses among all entries, as an arm does, for to pass one over frees the symbol for another;
the same seed draws the same filters; draws are worked on in parts, so that memory does not grow with their number.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from livebot.core.series import Floats
from livebot.learning.dataset import Dataset
from livebot.research.accounts import Confident, Stage
from livebot.research.folds import Rows
from livebot.research.outcomes import daily_sums

_CELLS = 128_000_000  # rows times filters that are worked on at once: bytes, about
_LEAST_SPREAD = 0.5  # of a filter's trades, against that of all entries: few trades may all have gained the same
_HALVINGS = 14  # a share of the entries to less than a ten-thousandth

Counts = npt.NDArray[np.intp]
Masks = npt.NDArray[np.bool_]  # of any shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """How an arm stands against random filters with as many entries.

    `beats` is the share of its own ones whose gain a trade is smaller; `p` how likely the best of all arms would be as good
    without any skill, in units of each arm's spread by chance: 1 / (draws + 1) at the least.
    """

    beats: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UsualChance:
    """The average of many random filters: `returns` (days,) at each cost multiple, and how many `trades` they make."""

    returns: tuple[Floats, ...]
    trades: float


def against_chance(
    stage: Stage, arms: Mapping[str, Confident], family: frozenset[str], draws: int, seed: int
) -> Mapping[str, Chance | None]:
    """Each arm against random filters; None where there is nothing to draw: it takes every entry, or none.

    A random filter is the arm's choices moved along the entries of each fold by a random number of places, round and round:
    as many entries in as long runs, so that an arm that takes many at once is held against what takes many at once.  All
    arms are moved alike.  A gain a trade counts in units of the standard error of those very trades, so that to choose
    wild entries is no skill (E. Chung, J. Romano, Annals of Statistics 41, 2013).  `p` is of the largest of `family`, the
    arms that may win (single-step maxT: P. Westfall, S. Young, "Resampling-Based Multiple Testing", 1993).
    """
    names = list(arms)
    chosen = np.column_stack([arms[name].confidence >= arms[name].threshold[stage.fold] for name in names])
    mine, my_error = (part[0] for part in _means(stage, chosen[:, None, :]))
    drawn = list(_moved_means(stage, chosen, draws, seed))
    means, errors = (np.concatenate([part[place] for part in drawn]) for place in (0, 1))
    known = np.ptp(means, axis=0) > 0  # not so for nan either
    usual = means.mean(axis=0)
    standing, by_chance = (mine - usual) / my_error, (means - usual) / errors
    away = np.where(known, by_chance.std(axis=0), 1.0)
    counted = known & np.isin(names, sorted(family))
    best = np.where(counted, by_chance / away, -np.inf).max(axis=1, initial=-np.inf)
    return {
        name: Chance(
            beats=float(np.mean(means[:, place] < mine[place])),
            p=(1 + int(np.count_nonzero(best >= standing[place] / away[place]))) / (draws + 1),
        )
        if known[place]
        else None
        for place, name in enumerate(names)
    }


def _moved_means(stage: Stage, chosen: Masks, draws: int, seed: int) -> Iterator[tuple[Floats, Floats]]:
    """As `_means`, of moved choices, in parts of (some draws, arms); `chosen` (n, arms)."""
    random = np.random.default_rng(seed)
    sizes = np.bincount(stage.fold, minlength=stage.folds)
    starts = (np.cumsum(sizes) - sizes)[stage.fold][:, None]
    within, size = np.arange(len(stage.rows))[:, None] - starts, sizes[stage.fold][:, None]
    part = max(1, _CELLS // max(1, chosen.size))
    for first in range(0, draws, part):
        steps = random.integers(0, np.maximum(sizes, 1), size=(min(part, draws - first), stage.folds))
        yield _means(stage, chosen[starts + (within + steps.T[stage.fold]) % size])


def _means(stage: Stage, wanted: Masks) -> tuple[Floats, Floats]:
    """The gain a trade and its standard error, nan without one; `wanted` (n, draws, arms) gives (draws, arms)."""
    gain, shape = stage.dataset.gain, wanted.shape[1:]
    total, squares, trades = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for row, took in take_many(stage.dataset, stage.rows, wanted):
        total += gain[row] * took
        squares += gain[row] ** 2 * took
        trades += took
    count = np.where(trades > 0, trades, np.nan)
    mean = total / count
    all_of_them = float(gain[stage.rows].std()) if len(stage.rows) else 0.0
    spread = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    return mean, np.maximum(spread, _LEAST_SPREAD * all_of_them) / np.sqrt(count)


def take_many(dataset: Dataset, rows: Rows, wanted: Masks) -> Iterator[tuple[int, Masks]]:
    """What many filters trade of the same rows: each row with who takes it, in the order of time; the rule is that of `take`.

    `rows` (n,) rise; `wanted` (n, ...) says who would take a row, and what comes with each row has the shape of the rest.
    """
    free_ms = np.full((len(dataset.symbols), *wanted.shape[1:]), -1, dtype=np.int64)
    for place, row in enumerate(rows.tolist()):
        free = free_ms[dataset.symbol[row]]
        took = wanted[place] & (free < dataset.close_ms[row])
        free[took] = dataset.end_ms[row]
        yield row, took


def usual_chance(stage: Stage, wanted: Counts, cost_multiples: tuple[float, ...], draws: int, seed: int) -> UsualChance:
    """The average of filters that take each entry by chance, so often that they trade `wanted` (folds,) on average."""
    draws = max(1, min(draws, _CELLS // 4 // max(1, len(stage.rows))))
    luck = np.random.default_rng(seed).uniform(size=(len(stage.rows), draws)).astype(np.float32)
    low, high = np.zeros(stage.folds), np.ones(stage.folds)
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        made = np.bincount(stage.fold, weights=_taken_share(stage, luck, share), minlength=stage.folds)
        many = made > wanted
        high, low = np.where(many, share, high), np.where(many, low, share)
    taken = _taken_share(stage, luck, (low + high) / 2)
    data, rows = stage.dataset, stage.rows
    returns = tuple(
        daily_sums(
            data.end_ms[rows],
            stage.fraction * taken * (data.gain[rows] - (multiple - 1) * data.cost[rows]),
            stage.days,
        )
        for multiple in cost_multiples
    )
    return UsualChance(returns=returns, trades=float(taken.sum()))


def _taken_share(stage: Stage, luck: npt.NDArray[np.float32], share: Floats) -> Floats:
    """How many of the filters take each row, (n,), as a share, if each asks for `share` (folds,) of the entries."""
    wanted = luck < share[stage.fold][:, None]
    return np.array([took.mean() for _, took in take_many(stage.dataset, stage.rows, wanted)], dtype=np.float64)
