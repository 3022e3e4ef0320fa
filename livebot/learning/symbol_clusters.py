"""Which symbols are alike: by sector from the config, or by turnover or volatility in the training rows.

Measured clusters are k-means on the logarithm of one number a symbol: its turnover a day, or the median distance of its
stops, which strategies set by volatility.  A symbol without training rows joins the cluster whose centre is nearest, if its
turnover or sector is known.

Rules of this file: only training rows come in, and what is known of symbols by the end of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans

from livebot.errors import BadInput
from livebot.learning.dataset import Dataset
from livebot.learning.encodings import present
from livebot.learning.spec import ClusterBasis, TrainingSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolClusters:
    """The cluster of each symbol by its name; `unknown` are symbols with rows of which there is nothing to go by."""

    cluster_of: Mapping[str, str]
    unknown: tuple[str, ...]


def clusters_of(training: Dataset, spec: TrainingSpec) -> SymbolClusters:
    """The clusters of the symbols with training rows, and of those that can be added to them.

    Raises:
        BadInput: nothing is known of any symbol, or fewer than one cluster is wanted.

    """
    known = present(training)
    if spec.cluster_basis is ClusterBasis.SECTOR:
        found = dict(spec.sectors)
    else:
        measure = _turnover(spec) if spec.cluster_basis is ClusterBasis.LIQUIDITY else _volatility(training)
        found = _nearest(measure, [symbol for symbol in known if symbol in measure], spec)
    unknown = tuple(symbol for symbol in known if symbol not in found)
    if len(unknown) == len(known):
        raise BadInput(f"model.clusters by {spec.cluster_basis.value}: nothing is known of any of {len(known)} symbols")
    return SymbolClusters(cluster_of=found, unknown=unknown)


def _turnover(spec: TrainingSpec) -> Mapping[str, float]:
    return {symbol: float(np.log(value)) for symbol, value in spec.turnover.items() if 0 < value < np.inf}


def _volatility(training: Dataset) -> Mapping[str, float]:
    names = [(code, training.symbols[code]) for code in np.unique(training.symbol).tolist()]
    usual = {name: float(np.median(training.risk[training.symbol == code])) for code, name in names}
    return {name: float(np.log(value)) for name, value in usual.items() if 0 < value < np.inf}


def _nearest(measure: Mapping[str, float], fitted_on: list[str], spec: TrainingSpec) -> dict[str, str]:
    if spec.cluster_count < 1:
        raise BadInput(f"model.clusters.count {spec.cluster_count} must be 1 or more")
    if not fitted_on:
        return {}
    points = np.array([[measure[symbol]] for symbol in fitted_on])
    count = min(spec.cluster_count, len(np.unique(points)))
    centres = np.sort(KMeans(count, random_state=spec.seed, n_init=10).fit(points).cluster_centers_[:, 0])
    kind = spec.cluster_basis.value
    return {
        symbol: f"{kind} {int(np.abs(centres - value).argmin()) + 1} of {count}" for symbol, value in measure.items()
    }
