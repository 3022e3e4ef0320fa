"""Real models, trained on rows by chance in a moment, saved where a daemon finds them."""

from pathlib import Path

import numpy as np

from livebot.core.market import Timeframe
from livebot.features.feature_set import FeatureSet, make_feature_set
from livebot.features.model_features import MODEL_FEATURES_VERSION, model_feature_set_name, model_features
from livebot.learning.dataset import Dataset
from livebot.learning.description import Description
from livebot.learning.fitting import fit
from livebot.learning.registry import Registry
from livebot.learning.spec import EstimatorSpec, SymbolEncoding, TrainingMode, TrainingSpec

HOUR_MS = 3_600_000
END_MS = 1_767_225_600_000 - HOUR_MS  # before the simulated market begins


def evidence_of(timeframe: Timeframe, name: str = "own") -> FeatureSet:
    return make_feature_set(model_feature_set_name(name), MODEL_FEATURES_VERSION, timeframe, model_features(name))


def rows(
    symbols: tuple[str, ...],
    *,
    strategy: str,
    timeframe: Timeframe = Timeframe.M1,
    count: int = 400,
    seed: int = 1,
    end_ms: int = END_MS,
    feature_set: FeatureSet | None = None,
    width: int | None = None,
) -> Dataset:
    """Rows by chance, of which the first feature says a little."""
    rng = np.random.default_rng(seed)
    names = (
        tuple(feature.name for feature in model_features("own"))
        if width is None
        else tuple(f"f{n}" for n in range(width))
    )
    features = rng.normal(size=(count, len(names)))
    gain = 0.01 * np.sign(features[:, 0] + rng.normal(scale=1.0, size=count))
    close_ms = np.sort(end_ms - HOUR_MS * rng.integers(2, 24 * 200, size=count))
    codes = rng.integers(0, len(symbols), size=count).astype(np.int16)
    order = np.lexsort((codes, close_ms))
    return Dataset(
        strategy=strategy,
        timeframe_ms=timeframe.ms,
        feature_set=feature_set or evidence_of(timeframe),
        names=names,
        symbols=tuple(sorted(symbols)),
        features=features[order],
        symbol=codes[order],
        side=rng.choice(np.array([-1, 1], dtype=np.int8), size=count),
        close_ms=close_ms[order],
        end_ms=close_ms[order] + HOUR_MS,
        barrier=np.where(gain[order] > 0, 1, -1).astype(np.int8),
        gain=gain[order],
        cost=np.full(count, 0.001),
        risk=np.full(count, 0.01),
        weight=np.ones(count),
    )


SHARED = TrainingSpec(mode=TrainingMode.MULTI_SYMBOL, encoding=SymbolEncoding.ONE_HOT, minimum_events=20)


def save(
    models: Path,
    dataset: Dataset,
    *,
    spec: TrainingSpec = SHARED,
    number: int = 1,
    promote: bool = True,
    scope: str | None = None,
) -> str:
    """Train and save a version, and have it used; its name (`scope/version`)."""
    registry, scope = Registry(models), scope or dataset.strategy
    description = Description(scope=scope, created_ms=END_MS + number * 60_000, spec=spec)
    version = registry.save(fit(dataset, spec), dataset, description)
    if promote:
        registry.promote(scope, version)
    return f"{scope}/{version}"


def boosting(iterations: int = 200) -> TrainingSpec:
    """A shared gradient boosting of so many trees."""
    return TrainingSpec(
        mode=TrainingMode.MULTI_SYMBOL,
        encoding=SymbolEncoding.INDEX,
        estimator=EstimatorSpec(
            name="hist_gradient_boosting", params={"max_iter": iterations, "early_stopping": False}
        ),
    )
