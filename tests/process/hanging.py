"""Models that answer well until a file is there, and never again after that: somebody else's code."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from livebot.learning.dataset import Dataset
from livebot.learning.description import Description
from livebot.learning.predictor import Fitted
from livebot.learning.registry import Registry
from tests.trained_models import END_MS, SHARED

ESTIMATOR = "tests.process.hanging:Hanging"  # in the config: whose package a model's file may name


@dataclass
class Hanging:
    """`how`: sleep (it waits for something outside) or spin (it never gets ready, and wants the interpreter all the time)."""

    file: str
    how: str

    def probabilities(self, features: Any, side: Any, symbols: Sequence[str]) -> Any:
        while Path(self.file).exists():
            if self.how == "sleep":
                time.sleep(3_600)
            else:
                sum(range(1_000))
        return np.full(len(features), 0.75)


def save(models: Path, dataset: Dataset, file: Path, how: str) -> str:
    """Have such a model decide; its name (`scope/version`)."""
    registry = Registry(models, packages=("tests",))
    fitted = Fitted(predictor=Hanging(str(file), how), covered=dataset.symbols, threshold=0.5, metrics={})
    description = Description(scope=dataset.strategy, created_ms=END_MS, spec=SHARED)
    version = registry.save(fitted, dataset, description)
    registry.promote(dataset.strategy, version)
    return f"{dataset.strategy}/{version}"
