"""Whether a model still says what is true: how far its inputs have moved, and whether it wins as often as it says.

Rules of this file: values in, values out; every bound that a chance could pass is widened by what chance alone would
give, so that few rows accuse nobody; what is held is bounded by the terms.
"""

from dataclasses import dataclass
from math import log, pi, sqrt
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from livebot.core.series import Floats

Counts = npt.NDArray[np.int64]

_FLOOR = 1e-4  # of a bin's share, so that one that was empty in training gives no infinite index
_HALF = 0.5
_LEAST, _MOST = 0.02, 0.98  # of a probability whose logarithm is taken
_FALSE_ALARM = 1e-5  # of one comparison that chance alone passes a widened bound
_ROWS_A_BIN, _BINS_MOST = 100, 10
_DEVIATIONS = 4.0
_BEYOND_USUAL = 2.0  # times as far as any stretch of the training, of which there are few


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftTerms:
    """When a model counts as worn out: the config's `model.drift`."""

    trades: int = 500
    minimum_trades: int = 50
    stability: float = 0.25
    cusum: float = 5.0
    hit_rate_fall: float = 0.1
    calibration_error: float = 0.15
    symbols: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the last trades of a pool say.

    `seen` all trades, of which the last `trades` are judged; `said` the mean confidence and `won` the share that won of
    those (None: no trade); `error` the calibration error; `cusum` the sum of log-likelihoods; `worn` says in sentences
    what passes its bound.
    """

    seen: int
    trades: int
    said: float | None
    won: float | None
    error: float | None
    cusum: float
    worn: tuple[str, ...] = ()


# How values are spread


def binned(values: Floats, edges: Floats) -> Counts:
    """How many values lie in each bin, (edges + 1,); a bin ends with its upper edge, itself included.  NaN: last bin."""
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)


def stability_index(expected: Floats, counts: Counts) -> float:
    """Population stability index: sum of (a - e) * ln(a / e) over bins, e the shares in training, a those seen.

    Source: Siddiqi, Credit Risk Scorecards, 2006; 0.1 is often read as a slight and 0.25 as a large move.  Half a row is
    added to each bin seen (Jeffreys), so that an empty one among few rows is no proof of anything.

    Raises:
        ValueError: nothing was seen.

    """
    rows = int(counts.sum())
    if rows == 0:
        raise ValueError("counts: there is no row")
    seen = (counts + _HALF) / (rows + _HALF * len(counts))
    wanted = np.maximum(expected, _FLOOR)
    return float(((seen - wanted) * np.log(seen / wanted)).sum())


def stability_bound(bins: int, rows: int, index: float, comparisons: int = 1) -> float:
    """The index from which a move is told: `index`, or what chance gives with so few rows if that is more.

    Without any move rows * PSI follows chi-squared with bins - 1 degrees of freedom (Yurdakul & Naranjo 2020); its
    quantile is Wilson and Hilferty's.  `comparisons` are made at once (one a feature).
    """
    freedom = bins - 1
    deviate = NormalDist().inv_cdf(1 - _FALSE_ALARM / comparisons)
    spread = 2 / (9 * freedom)
    return max(index, freedom * (1 - spread + deviate * sqrt(spread)) ** 3 / rows)


# Whether it wins as often as it says


def step_cusum(total: float, confidence: float, won: bool, fall: float) -> float:  # noqa: FBT001 - a value, not an option
    """The one-sided CUSUM after one more trade (Page 1954): how much likelier a hit rate lower by `fall` has become.

    max(0, total + ln(P(outcome | confidence - fall) / P(outcome | confidence))).
    """
    before = min(max(confidence, _LEAST), _MOST)
    after = max(before - fall, _LEAST / 2)
    likelier = log(after / before) if won else log((1 - after) / (1 - before))
    return max(0.0, total + likelier)


def calibration_error(confidences: Floats, won: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """The expected calibration error, and the one that chance alone would hardly pass.

    Rows in the order of confidence are cut into bins of equal count, at least 100 each (1 to 10 of them); the error is
    the mean over bins of |mean confidence - share that won|, weighted by rows.  By chance each bin's is the absolute
    value of a normal deviate of variance mean(p(1-p))/rows; the bound is the mean of their sum and four deviations.

    Raises:
        ValueError: there is no row.

    """
    rows = len(confidences)
    if rows == 0:
        raise ValueError("confidences: there is no row")
    order = np.argsort(confidences, kind="stable")
    error = mean = variance = 0.0
    for part in np.array_split(order, min(max(rows // _ROWS_A_BIN, 1), _BINS_MOST)):
        said, share = confidences[part], len(part) / rows
        error += share * abs(float(said.mean() - won[part].mean()))
        chance = float((said * (1 - said)).mean()) / len(part)
        mean += share * sqrt(2 / pi * chance)
        variance += share * share * chance * (1 - 2 / pi)
    return error, mean + _DEVIATIONS * sqrt(variance)


class TradePool:
    """The last trades of a model, or of one symbol of it: fed trade by trade, of a fixed size."""

    __slots__ = ("_confidences", "_terms", "_won", "cusum", "seen")

    def __init__(self, terms: DriftTerms) -> None:
        """Without a trade."""
        self._terms = terms
        self._confidences = np.zeros(terms.trades)
        self._won = np.zeros(terms.trades, dtype=np.bool_)
        self.seen = 0
        self.cusum = 0.0

    def add(self, confidence: float, won: bool) -> None:  # noqa: FBT001 - a value, not an option
        """One trade that ended."""
        place = self.seen % self._terms.trades
        self._confidences[place], self._won[place] = confidence, won
        self.seen += 1
        self.cusum = step_cusum(self.cusum, confidence, won, self._terms.hit_rate_fall)

    def standing(self) -> Standing:
        """What they say."""
        trades = min(self.seen, self._terms.trades)
        if not trades:
            return Standing(seen=0, trades=0, said=None, won=None, error=None, cusum=0.0)
        confidences, won = self._confidences[:trades], self._won[:trades]
        error, chance = calibration_error(confidences, won)
        said, share = float(confidences.mean()), float(won.mean())
        worn = self._worn(said, share, error, chance) if trades >= self._terms.minimum_trades else ()
        return Standing(seen=self.seen, trades=trades, said=said, won=share, error=error, cusum=self.cusum, worn=worn)

    def _worn(self, said: float, share: float, error: float, chance: float) -> tuple[str, ...]:
        terms, found = self._terms, []
        if self.cusum > terms.cusum:
            found.append(f"it wins less often than it says: {share:.0%} of the last trades where it said {said:.0%}")
        if error > max(terms.calibration_error, chance):
            found.append(f"its confidence is off by {error:.0%} on average")
        return tuple(found)


class SpreadPool:
    """How the last rows of one model were spread over the bins of its training: features, and the score last."""

    __slots__ = ("_counts", "_edges", "_held", "_shares", "_terms", "_usual", "seen")

    def __init__(self, edges: Floats, shares: Floats, usual: Floats, terms: DriftTerms) -> None:
        """`edges` (k, bins - 1), `shares` (k, bins) and `usual` (k,) of k columns, as in training (manifest.Bins)."""
        self._edges, self._shares, self._usual, self._terms = edges, shares, usual, terms
        self._held = np.zeros((terms.trades, len(edges)), dtype=np.uint8)
        self._counts = np.zeros(shares.shape, dtype=np.int64)
        self.seen = 0

    def add(self, row: Floats) -> None:
        """One row of k values, finite."""
        columns = np.arange(len(self._edges))
        place = self.seen % self._terms.trades
        if self.seen >= self._terms.trades:
            self._counts[columns, self._held[place]] -= 1
        bins = (self._edges < row[:, None]).sum(axis=1)
        self._held[place] = bins
        self._counts[columns, bins] += 1
        self.seen += 1

    @property
    def columns(self) -> int:
        """How many values a row has."""
        return len(self._edges)

    @property
    def rows(self) -> int:
        """How many are held."""
        return min(self.seen, self._terms.trades)

    def indexes(self) -> Floats:
        """The stability index of each column, (k,); zeros below `minimum_trades` rows."""
        if self.rows < max(self._terms.minimum_trades, 1):
            return np.zeros(len(self._edges))
        pairs = zip(self._shares, self._counts, strict=True)
        return np.array([stability_index(shares, counts) for shares, counts in pairs])

    def bounds(self) -> Floats:
        """The index from which each column has moved, (k,): beyond chance, and beyond what it did in training."""
        columns, bins = self._shares.shape
        by_chance = stability_bound(bins, max(self.rows, 1), self._terms.stability, columns)
        bounds: Floats = np.maximum(by_chance, _BEYOND_USUAL * self._usual)
        return bounds
