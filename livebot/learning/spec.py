"""What is to be trained and how, as one value: the config's `model` section without its names.

Rules of this file: values only; the defaults are those of the config.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class TrainingMode(Enum):
    """Which symbols share a model."""

    SINGLE_SYMBOL = "single_symbol"  # trained on one symbol, used for all that it covers by `untrained: fallback`
    MULTI_SYMBOL = "multi_symbol"
    PER_SYMBOL = "per_symbol"
    CLUSTERED = "clustered"
    HYBRID = "hybrid"


class SymbolEncoding(Enum):
    """How a shared model is told the symbol; NONE: not at all (pooled blind)."""

    NONE = "none"
    ONE_HOT = "one_hot"
    INDEX = "index"  # a native category
    EMBEDDING = "embedding"


class HybridForm(Enum):
    """How a symbol differs from the shared model."""

    PARTIAL_POOLING = "partial_pooling"
    SHRUNK_CALIBRATION = "shrunk_calibration"


class ClusterBasis(Enum):
    """What makes symbols alike: a sector from the config, or what is measured in the training rows."""

    SECTOR = "sector"
    LIQUIDITY = "liquidity"
    VOLATILITY = "volatility"


class SymbolBalance(Enum):
    """How much symbols with many rows count against those with few."""

    NONE = "none"
    EQUAL = "equal"
    SQUARE_ROOT = "square_root"


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatorSpec:
    """`name`: logistic_regression, hist_gradient_boosting, lightgbm, or package.module:Class of a scikit-learn classifier.

    `params` go to its constructor.
    """

    name: str = "logistic_regression"
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """`symbols` to train on (None: all that have rows); of `single_symbol` the first one.

    `sectors` and `turnover` by symbol are what clusters by SECTOR and LIQUIDITY go by (turnover: quote a day, of the
    training window).  The last `calibration_share` of the time calibrates and sets the threshold, after a purge and
    `embargo_ms`.  A symbol with fewer than `minimum_events` rows is not covered by a model of its own.
    """

    mode: TrainingMode = TrainingMode.SINGLE_SYMBOL
    encoding: SymbolEncoding = SymbolEncoding.ONE_HOT
    estimator: EstimatorSpec = field(default_factory=EstimatorSpec)
    symbols: tuple[str, ...] | None = None
    hybrid: HybridForm = HybridForm.PARTIAL_POOLING
    cluster_basis: ClusterBasis = ClusterBasis.VOLATILITY
    cluster_count: int = 3
    sectors: Mapping[str, str] = field(default_factory=dict)
    turnover: Mapping[str, float] = field(default_factory=dict)
    fallback_to_shared: bool = True
    minimum_events: int = 50
    calibration_share: float = 0.2
    embargo_ms: int = 0
    seed: int = 1
