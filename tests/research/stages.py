"""Stages of entries by chance, and arms that say something of them."""

import numpy as np

from livebot.core.market import DAY_MS
from livebot.research.accounts import Confident, Stage
from livebot.research.outcomes import days_of
from tests.research.rows import START_MS, dataset_of

FOLDS = 6


def remembering(random: np.random.Generator, shape: tuple[int, int], memory: float) -> np.ndarray:
    """Normal values (rows, columns) that keep a part of those before them."""
    values = random.normal(size=shape)
    for place in range(1, len(values)):
        values[place] = memory * values[place - 1] + np.sqrt(1 - memory**2) * values[place]
    return values


def stage(seed: int, *, days: int = 240, a_day: float = 1.5, drift: float = 0.0, symbols: int = 4) -> Stage:
    """Entries whose gains share a market a day; `drift` is what each gains on average."""
    random = np.random.default_rng(seed)
    count = int(days * a_day)
    day = np.sort(random.uniform(0, days - 3, count))
    gain = drift + 0.02 * (0.5 * random.normal(size=days)[day.astype(int)] + random.normal(size=count))
    named = [f"S{code}" for code in random.integers(0, symbols, count)]
    dataset = dataset_of(list(zip(named, day, day + random.uniform(0.1, 2, count), gain, strict=True)))
    rows, span = np.arange(count), (START_MS, START_MS + days * DAY_MS)
    fold = (day * FOLDS / days).astype(np.intp)
    return Stage(
        dataset=dataset,
        rows=rows,
        fold=fold,
        chosen=tuple(np.flatnonzero(fold == place) for place in range(FOLDS)),
        names=tuple(str(place) for place in range(FOLDS)),
        days=days_of(dataset, rows, span),
        fraction=1 / symbols,
        span=span,
    )


def saying(confidence: np.ndarray, threshold: float = 0.0) -> Confident:
    """An arm with one threshold for all folds."""
    return Confident(confidence=confidence, threshold=np.full(FOLDS, threshold))
