"""Small predictors that pickle, a dataset that they could have been trained on, and what a registry is told of both."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from livebot.core.market import DAY_MS, Side, Timeframe
from livebot.features.declaration import rsi
from livebot.features.feature_set import FeatureSet, make_feature_set
from livebot.learning.dataset import STOPPED, TARGET, Dataset
from livebot.learning.description import Description
from livebot.learning.predictor import Fitted
from livebot.learning.spec import TrainingMode, TrainingSpec
from livebot.model_ports import Question

HOUR_MS = 3_600_000
START_MS = 1_700_000_000_000 // HOUR_MS * HOUR_MS
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
PACKAGES = ("tests.learning",)
FEATURES = tuple(rsi(f"model_rsi_{length}", length) for length in (3, 5, 8))


def feature_set(version: int = 1, timeframe: Timeframe = Timeframe.H1, features=FEATURES) -> FeatureSet:
    """The set that everything here is trained on."""
    return make_feature_set("model_own", version, timeframe, features)


@dataclass
class Linear:
    """A line through the features, plus something for each symbol; `asked` counts calls and rows."""

    weights: tuple[float, ...] = (1.0, -0.5, 0.25)
    by_symbol: dict[str, float] = field(default_factory=dict)
    intercept: float = 0.0

    def probabilities(self, features: Any, side: Any, symbols: Sequence[str]) -> Any:
        shift = np.array([self.by_symbol.get(symbol, 0.0) for symbol in symbols])
        logits = (features * np.array(self.weights)).sum(axis=1) + 0.1 * side + shift + self.intercept
        return 1 / (1 + np.exp(-logits))


class ForeignError(Exception):
    """As libraries have them that derive from nothing narrower."""


@dataclass
class Failing:
    """Answers while `healthy`, for as many rows as golden rows have at most, and else does what `how` says."""

    how: str = "raise"

    def probabilities(self, features: Any, side: Any, symbols: Sequence[str]) -> Any:
        rows = len(features)
        if "BAD/USDT" not in symbols:
            return np.full(rows, 0.5)
        if self.how == "raise":
            raise ValueError("no such shape")
        if self.how == "foreign":
            raise ForeignError("no such shape")
        return {"nan": np.full(rows, np.nan), "short": np.full(rows + 1, 0.5), "above": np.full(rows, 1.5)}[self.how]


def dataset(rows: int = 300, seed: int = 1, symbols: Sequence[str] = SYMBOLS) -> Dataset:
    """Rows of features between -1 and 1, an hour apart; who has more of the first feature wins more often."""
    random = np.random.default_rng(seed)
    features = random.uniform(-1, 1, (rows, len(FEATURES)))
    won = random.random(rows) < 1 / (1 + np.exp(-2 * features[:, 0]))
    close_ms = START_MS + np.arange(rows, dtype=np.int64) * HOUR_MS
    return Dataset(
        strategy="ema_cross",
        timeframe_ms=HOUR_MS,
        feature_set=feature_set(),
        names=tuple(feature.name for feature in FEATURES),
        symbols=tuple(symbols),
        features=features,
        symbol=(np.arange(rows) % len(symbols)).astype(np.int16),
        side=np.where(random.random(rows) < 0.5, 1, -1).astype(np.int8),
        close_ms=close_ms,
        end_ms=close_ms + 3 * HOUR_MS,
        barrier=np.where(won, TARGET, STOPPED).astype(np.int8),
        gain=np.where(won, 0.02, -0.01),
        cost=np.full(rows, 0.001),
        risk=np.full(rows, 0.01),
        weight=np.ones(rows),
    )


def fitted(predictor: Any = None, covered: Sequence[str] = SYMBOLS, **changes: Any) -> Fitted:
    """What a training would give."""
    given = {"threshold": 0.5, "metrics": {"auc": 0.7}, "calibrators": {"": (1.0, 0.0)}, "notes": ("a note",)}
    return Fitted(predictor=predictor or Linear(), covered=tuple(covered), **(given | changes))


def description(created_ms: int = START_MS + 100 * DAY_MS, scope: str = "ema_cross", **changes: Any) -> Description:
    """A version of that moment."""
    spec = changes.pop("spec", TrainingSpec(mode=TrainingMode.MULTI_SYMBOL))
    return Description(scope=scope, created_ms=created_ms, spec=spec, **changes)


def question(symbol: str = "BTC/USDT", evidence: Sequence[float] = (0.1, 0.2, 0.3), **changes: Any) -> Question:
    """An entry that wants to be judged."""
    given = {"strategy": "ema_cross", "side": Side.LONG, "close_ms": START_MS}
    return Question(symbol=symbol, evidence=tuple(evidence), **(given | changes))
