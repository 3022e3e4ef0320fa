"""Which symbols move together: by name, or by how their returns correlate.

Rules of this file: values in, values out.  Closes are laid on one grid of times that ends at the moment the clusters are
of; a return is there where both of its closes are, and a pair of symbols is compared over the returns that both have
(nothing is carried forward over a missing candle: that would make a return of nothing and one of too much).  A symbol of
which too little is known is a cluster of its own, and it is said why.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from livebot.core.market import Timeframe
from livebot.core.series import Floats, Times

_DECIMALS = 9  # finer than this, correlations are the rounding of whoever adds; coarser than any threshold
_LARGEST = 5  # clusters named in a status
_STILL = 1e-9  # a variance below this part of the mean square is what rounding leaves of none


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelationRule:
    """Clusters of the last `candles` log returns of a timeframe, made anew at each UTC multiple of `every_ms`.

    Symbols, or clusters, are joined while the average correlation between them is at least `threshold`.  Less than
    `minimum_candles` returns say nothing, of a symbol or of a pair.  `every_ms` is a multiple of the timeframe's length.
    """

    timeframe: Timeframe
    candles: int
    minimum_candles: int
    threshold: float
    every_ms: int

    def moment(self, now_ms: int) -> int:
        """The newest UTC multiple of `every_ms` up to now."""
        return now_ms - now_ms % self.every_ms

    @property
    def text(self) -> str:
        """What clusters depend on besides candles, for whoever keeps some."""
        return f"{self.candles} of {self.timeframe.value}, at least {self.minimum_candles}, {self.threshold!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Closes:
    """Closes of one symbol, oldest first; `ts_ms` are the opening times of their candles."""

    ts_ms: Times
    close: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Clusters as of `at_ms`: `names` are (symbol, cluster), sorted; a cluster has the name of its first symbol.

    `unmeasured` are (symbol, why) of those that are clusters of their own because too little is known of them.  `rule` is
    the `text` of what they were made by.
    """

    at_ms: int
    rule: str
    names: tuple[tuple[str, str], ...] = ()
    unmeasured: tuple[tuple[str, str], ...] = ()

    @property
    def symbols(self) -> frozenset[str]:
        """All that were looked at."""
        return frozenset(symbol for symbol, _ in self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """Clusters as an operator sees them.

    `shared` counts clusters of two or more symbols, `largest` are (name, symbols) of a few of them, `alone` counts symbols
    that are clusters of their own, `unmeasured` those among them of which too little is known.  `at_ms` and `next_ms` are
    None for clusters of the config; `known` is false as long as there are none yet, and then nothing opens.
    """

    known: bool
    at_ms: int | None
    next_ms: int | None
    shared: int
    largest: tuple[tuple[str, int], ...]
    alone: int
    unmeasured: int
    problem: str | None


def status_of_clusters(
    names: Mapping[str, str],
    *,
    known: bool = True,
    at_ms: int | None = None,
    next_ms: int | None = None,
    unmeasured: int = 0,
    problem: str | None = None,
) -> ClusterStatus:
    """What is told of clusters; `names` is the cluster of each symbol."""
    sizes = Counter(names.values())
    shared = sorted((pair for pair in sizes.items() if pair[1] > 1), key=lambda pair: (-pair[1], pair[0]))
    return ClusterStatus(
        known=known,
        at_ms=at_ms,
        next_ms=next_ms,
        shared=len(shared),
        largest=tuple(shared[:_LARGEST]),
        alone=len(sizes) - len(shared),
        unmeasured=unmeasured,
        problem=problem,
    )


# From closes to correlations


def returns_of(closes: Closes, rule: CorrelationRule, at_ms: int) -> Floats:
    """The last log returns up to the close at `at_ms`, `rule.candles` of them, NaN where one is not known.

    Candles that close later, or open off the grid, are not looked at.
    """
    length_ms = rule.timeframe.ms
    first_ms = at_ms - (rule.candles + 1) * length_ms
    places, off = np.divmod(closes.ts_ms - first_ms, length_ms)
    known = (off == 0) & (places >= 0) & (places <= rule.candles) & (closes.close > 0) & np.isfinite(closes.close)
    logs = np.full(rule.candles + 1, np.nan)
    logs[places[known]] = np.log(closes.close[known])
    return np.diff(logs)


def unfit(returns: Floats, rule: CorrelationRule) -> str | None:
    """Why nothing can be said of a symbol by its returns; None if something can."""
    known = returns[np.isfinite(returns)]
    if len(known) < rule.minimum_candles:
        return f"only {len(known)} of its last {rule.candles} {rule.timeframe.value} returns are known"
    if not known.any():
        return f"its price did not move in the last {rule.candles} {rule.timeframe.value} candles"
    return None


def correlations(returns: Floats, minimum: int) -> Floats:
    """Pearson's correlation of each two rows over the columns that both have; (n, n), rounded to nine decimals.

    0 for a pair that has fewer than `minimum` columns in common, or one of which does not move in them.

    Each sum over the common columns is an element of a product of two matrices, so that the loop over pairs is that of
    the linear algebra library.
    """
    there = np.isfinite(returns)
    mask = there.astype(np.float64)
    counts = np.maximum(mask.sum(axis=1), 1.0)
    known = np.where(there, returns, 0.0)
    # about each row's own mean: then what is subtracted below is small, and nothing is lost in it
    centred = np.where(there, returns - (known.sum(axis=1) / counts)[:, None], 0.0)
    common = mask @ mask.T
    sums = centred @ mask.T  # of row i over the columns of row j
    squares = (centred * centred) @ mask.T
    scale = squares * common
    spread = scale - sums * sums
    spread[spread <= _STILL * scale] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        found = ((centred @ centred.T) * common - sums * sums.T) / np.sqrt(spread * spread.T)
    found[(common < minimum) | ~np.isfinite(found)] = 0.0
    found = np.clip(np.round((found + found.T) / 2, _DECIMALS), -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return found


def cut_of(rule: CorrelationRule) -> float:
    """The greatest average distance (1 - correlation) at which clusters are joined; half a rounding step is added."""
    return round(1 - rule.threshold, _DECIMALS) + 0.5 * 10.0**-_DECIMALS


def named_by(symbols: Sequence[str], labels: Sequence[int]) -> dict[str, str]:
    """The cluster of each symbol by the labels, which say who belongs together; its name is that of its first symbol."""
    first: dict[int, str] = {}
    for symbol, label in sorted(zip(symbols, labels, strict=True)):
        first.setdefault(label, symbol)
    return {symbol: first[label] for symbol, label in zip(symbols, labels, strict=True)}


def moved(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """The symbols of both that are with others now, sorted.

    A cluster goes on as the one that takes most of its symbols over, whatever that is called; who is not with them moved.
    """
    both = [symbol for symbol in after if symbol in before]
    shares = Counter((before[symbol], after[symbol]) for symbol in both)
    heirs: dict[str, str] = {}
    taken: set[str] = set()
    for (old, new), _ in sorted(shares.items(), key=lambda item: (-item[1], item[0])):
        if old not in heirs and new not in taken:
            heirs[old] = new
            taken.add(new)
    return tuple(sorted(symbol for symbol in both if heirs.get(before[symbol]) != after[symbol]))
