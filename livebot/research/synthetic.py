"""Datasets whose truth is known, to judge the judge: a comparison that misses a planted winner says nothing of real data.

Rules of this file: the same terms give the same rows to the last bit; what a model could at best know is handed out beside the
rows (`chance`), never among their features.
"""

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

import numpy as np

from livebot.core.market import DAY_MS, MINUTE_MS
from livebot.core.series import Floats, Times
from livebot.errors import BadInput
from livebot.features.feature_set import FeatureSet
from livebot.learning.dataset import STOPPED, TARGET, Codes, Dataset, Mask, Signs

HOUR_MS = 60 * MINUTE_MS
START_MS = 1_704_067_200_000  # 2024-01-01, a midnight
_RISK = 0.01  # distance of the stop in the calmest cluster; each further one has twice that of the one before
_COST = 0.001
_LONGEST_HOURS = 48
_WARMUP = 200  # bars of a walk before its first row: the longest look back of its features
_LOOK_BACKS = (5, 24, 100, _WARMUP)


class Truth(Enum):
    """What a symbol's wins follow."""

    NOISE = "noise"  # nothing
    SHARED = "shared"  # the same of all symbols, whatever `heterogeneity` says
    PER_SYMBOL = "per_symbol"  # something in common, and of its own
    CLUSTERED = "clustered"  # something in common, and of its cluster; clusters differ in volatility


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticTerms:
    """`strength` is the standard deviation of the true log-odds of a win (0.4: no model has an AUC above about 0.61).

    `heterogeneity` (0 to 1) is the share of its variance that is of the symbol's or the cluster's own.  Rows are hourly
    closes over `days` days, `rows` of each symbol.
    """

    truth: Truth
    symbols: int = 10
    rows: int = 500
    features: int = 20
    strength: float = 0.4
    heterogeneity: float = 0.3
    clusters: int = 3
    days: int = 360
    seed: int = 1

    def __post_init__(self) -> None:
        """Raise BadInput for terms that make no dataset."""
        if min(self.symbols, self.rows, self.features, self.clusters) < 1 or self.rows > self.days * 24:
            raise BadInput(
                "a synthetic dataset takes symbols, features, clusters, and 1 to 24 rows a day of each symbol"
            )
        if not 0 <= self.heterogeneity <= 1 or self.strength < 0:
            raise BadInput("heterogeneity lies between 0 and 1, strength is not below 0")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Synthetic:
    """`chance` (n,) is the true probability that each row wins; `cluster` (symbols,) that of each symbol."""

    dataset: Dataset
    chance: Floats
    cluster: Codes


def synthetic(terms: SyntheticTerms) -> Synthetic:
    """Rows whose wins follow `terms.truth`; a win gains its risk, a loss loses it, both less costs."""
    random = np.random.default_rng(terms.seed)
    cluster = (np.arange(terms.symbols) % terms.clusters).astype(np.int16)
    slopes = _slopes(random, terms, cluster)
    count = terms.symbols * terms.rows
    hours = [np.sort(random.choice(terms.days * 24, terms.rows, replace=False)) for _ in range(terms.symbols)]
    symbol = np.repeat(np.arange(terms.symbols, dtype=np.int16), terms.rows)
    close = START_MS + (np.concatenate(hours).astype(np.int64) + 1) * HOUR_MS
    order = np.lexsort((symbol, close))
    symbol, close = symbol[order], close[order]
    features = random.normal(size=(count, terms.features))
    odds = (features * slopes[symbol]).sum(axis=1)
    chance = 1 / (1 + np.exp(-odds))
    dataset = _dataset(
        symbols=tuple(f"S{number:02d}/USDT" for number in range(terms.symbols)),
        features=features,
        symbol=symbol,
        side=np.where(random.random(count) < 0.5, 1, -1).astype(np.int8),  # noqa: PLR2004 - a coin
        times=(close, close + random.integers(1, _LONGEST_HOURS + 1, size=count) * HOUR_MS),
        win=random.random(count) < chance,
        risk=_RISK * 2.0 ** cluster[symbol] * random.uniform(0.9, 1.1, size=count),
    )
    return Synthetic(dataset=dataset, chance=chance, cluster=cluster)


def _slopes(random: np.random.Generator, terms: SyntheticTerms, cluster: Codes) -> Floats:
    """(symbols, features); features are independent and of variance 1, so a row's length is the spread of the log-odds."""
    shared = _unit(random.normal(size=(1, terms.features)))
    by_cluster = _unit(random.normal(size=(terms.clusters, terms.features)))[cluster]
    by_symbol = _unit(random.normal(size=(terms.symbols, terms.features)))
    own = terms.heterogeneity
    match terms.truth:
        case Truth.NOISE:
            mixed = np.zeros((terms.symbols, terms.features))
        case Truth.SHARED:
            mixed = np.repeat(shared, terms.symbols, axis=0)
        case Truth.PER_SYMBOL:
            mixed = np.sqrt(1 - own) * shared + np.sqrt(own) * by_symbol
        case Truth.CLUSTERED:
            mixed = np.sqrt(1 - own) * shared + np.sqrt(own) * by_cluster
    slopes: Floats = terms.strength * mixed
    return slopes


def _unit(rows: Floats) -> Floats:
    long: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return long


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomWalkTerms:
    """Prices of which nothing can be foretold: `bars` hourly closes of each symbol, a row at each `every`th of them.

    `correlation` is that of the symbols' returns; an outcome is known `horizon` bars after its close.
    """

    symbols: int = 5
    bars: int = 4000
    every: int = 4
    horizon: int = 48
    correlation: float = 0.9
    seed: int = 1


def random_walks(terms: RandomWalkTerms) -> Dataset:
    """Rows of random walks: features are returns over the past, a win is a rise over the next `horizon` bars.

    Features and outcomes of neighbouring rows, and of all symbols at one time, have much in common, as those of real
    candles do: whoever mixes them up in training and test finds skill where there is none.
    """
    random = np.random.default_rng(terms.seed)
    market = random.normal(size=(terms.bars, 1))
    own = random.normal(size=(terms.bars, terms.symbols))
    steps = np.sqrt(terms.correlation) * market + np.sqrt(1 - terms.correlation) * own
    path = 0.005 * np.cumsum(steps, axis=0)  # logarithm of the price
    bars = np.arange(_WARMUP, terms.bars - terms.horizon, terms.every)
    looks = [(path[bars] - path[bars - back]) / np.sqrt(back) for back in _LOOK_BACKS]  # each (rows a symbol, symbols)
    close = START_MS + (bars + 1) * HOUR_MS
    rise = path[bars + terms.horizon] - path[bars]
    count = rise.size
    return _dataset(
        symbols=tuple(f"W{number:02d}/USDT" for number in range(terms.symbols)),
        features=np.stack([look.ravel() for look in looks], axis=1),
        symbol=np.tile(np.arange(terms.symbols, dtype=np.int16), len(bars)),
        side=np.ones(count, dtype=np.int8),
        times=(np.repeat(close, terms.symbols), np.repeat(close + terms.horizon * HOUR_MS, terms.symbols)),
        win=(rise > 0).ravel(),
        risk=np.full(count, _RISK),
    )


def _dataset(
    *,
    symbols: tuple[str, ...],
    features: Floats,
    symbol: Codes,
    side: Signs,
    times: tuple[Times, Times],
    win: Mask,
    risk: Floats,
) -> Dataset:
    """`times` are close_ms and end_ms."""
    names = tuple(f"x{number}" for number in range(features.shape[1]))
    text = "synthetic " + " ".join(names)
    return Dataset(
        strategy="synthetic",
        timeframe_ms=HOUR_MS,
        feature_set=FeatureSet("synthetic", 1, text, sha256(text.encode()).hexdigest()),
        names=names,
        symbols=symbols,
        features=features,
        symbol=symbol,
        side=side,
        close_ms=times[0],
        end_ms=times[1],
        barrier=np.where(win, TARGET, STOPPED).astype(np.int8),
        gain=np.where(win, risk, -risk) - _COST,
        cost=np.full(len(risk), _COST),
        risk=risk,
        weight=np.ones(len(risk)),
    )


def span_of(terms: SyntheticTerms) -> tuple[int, int]:
    """The time of the rows: the first midnight, and that after the last day."""
    return START_MS, START_MS + terms.days * DAY_MS
