"""Datasets for tests that only look at some of their columns."""

from typing import Any

import numpy as np

from livebot.core.market import Timeframe
from livebot.features.catalogue import rsi
from livebot.features.feature_set import make_feature_set
from livebot.learning.dataset import Dataset


def dataset_of(**given: Any) -> Dataset:
    """As many rows as `close_ms` has; columns that are not given stand still, `symbols` are A, B, C."""
    count = len(given["close_ms"])
    values: dict[str, Any] = {
        "strategy": "tried",
        "timeframe_ms": Timeframe.H1.ms,
        "feature_set": make_feature_set("model_tried", 1, Timeframe.H1, (rsi("model_one", 14),)),
        "names": ("model_one",),
        "symbols": ("A", "B", "C"),
        "features": np.zeros((count, 1)),
        "symbol": np.array(given.pop("symbol", [0] * count), np.int16),
        "side": np.ones(count, np.int8),
        "close_ms": np.array(given.pop("close_ms"), np.int64),
        "end_ms": np.array(given.pop("end_ms"), np.int64),
        "barrier": np.zeros(count, np.int8),
        "gain": np.zeros(count),
        "cost": np.zeros(count),
        "risk": np.full(count, 0.01),
        "weight": np.ones(count),
    }
    return Dataset(**values | given)
