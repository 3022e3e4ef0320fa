"""Small datasets, told row by row."""

from collections.abc import Sequence

import numpy as np

from livebot.core.market import DAY_MS
from livebot.features.feature_set import FeatureSet
from livebot.learning.dataset import STOPPED, TARGET, Dataset

START_MS = 1_704_067_200_000  # 2024-01-01, a midnight
HOUR_MS = 3_600_000


def dataset_of(rows: Sequence[tuple[str, float, float, float]], cost: float = 0.001) -> Dataset:
    """Each row is (symbol, day it closed, day its outcome was known, gain), days from START_MS, possibly in parts."""
    symbols = tuple(sorted({symbol for symbol, *_ in rows}))
    ordered = sorted(rows, key=lambda row: (row[1], row[0]))
    gain = np.array([row[3] for row in ordered], dtype=np.float64)
    return Dataset(
        strategy="told",
        timeframe_ms=HOUR_MS,
        feature_set=FeatureSet("told", 1, "", ""),
        names=("x",),
        symbols=symbols,
        features=np.zeros((len(ordered), 1)),
        symbol=np.array([symbols.index(row[0]) for row in ordered], dtype=np.int16),
        side=np.ones(len(ordered), dtype=np.int8),
        close_ms=np.array([START_MS + round(row[1] * DAY_MS) for row in ordered], dtype=np.int64),
        end_ms=np.array([START_MS + round(row[2] * DAY_MS) for row in ordered], dtype=np.int64),
        barrier=np.where(gain > 0, TARGET, STOPPED).astype(np.int8),
        gain=gain,
        cost=np.full(len(ordered), cost),
        risk=np.full(len(ordered), 0.01),
        weight=np.ones(len(ordered)),
    )


def day_ms(day: float) -> int:
    """So many days after START_MS."""
    return START_MS + round(day * DAY_MS)
