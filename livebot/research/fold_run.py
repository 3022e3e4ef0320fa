"""One arm on one fold: trained on the fold's train rows, asked about its test rows.

Rules of this file: nothing of a test row but its features, side and symbol is seen before its probability stands; an arm
that cannot be trained on a fold says why and takes nothing there; the same inputs give the same bytes in any process.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from livebot.core.series import Floats
from livebot.errors import BadInput
from livebot.learning.dataset import Dataset, Mask
from livebot.learning.predictor import Fitted
from livebot.learning.spec import TrainingSpec
from livebot.research.fold_cache import Arrays
from livebot.research.versions import libraries_of, source_digest

Fit = Callable[[Dataset, TrainingSpec], Fitted]  # raises BadInput: these rows cannot be trained on

_OURS = ("livebot.learning", "livebot.research")
_NOISE_FLOOR = 1e-6  # a probability is kept this far from 0 and 1 where its logarithm is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldWork:
    """What is to be done: `train` and `test` are rows of one dataset; `importance` also asks which features count.

    `fit` can be pickled.  `untrained`: rows of symbols that the model was not trained on are judged too.
    """

    fit: Fit
    train: Dataset
    test: Dataset
    spec: TrainingSpec
    untrained: bool
    importance: bool
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldScores:
    """What came out, of n test rows: `probability` (n,), nan where the model does not judge; `threshold` what is worth taking.

    `importance` (k,) is by how much the log loss rises when a feature's values are shuffled among the test rows, empty
    if it was not asked for.  `refused` says why there is no model, "" if there is one; then nothing is judged.
    `seconds` is CPU time, and no part of what is compared.
    """

    probability: Floats
    threshold: float
    importance: Floats
    refused: str = ""
    seconds: float = 0.0

    def arrays(self) -> Arrays:
        """As a cache holds it; without the time, which differs each time."""
        return {
            "probability": self.probability,
            "threshold": np.asarray(self.threshold),
            "importance": self.importance,
            "refused": np.asarray(self.refused),
        }

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> "FoldScores":
        """From a cache.  Raises KeyError: it holds something else."""
        return cls(
            probability=np.asarray(arrays["probability"], dtype=np.float64),
            threshold=float(np.asarray(arrays["threshold"], dtype=np.float64)),
            importance=np.asarray(arrays["importance"], dtype=np.float64),
            refused=str(arrays["refused"]),
        )


def run_fold(work: FoldWork) -> FoldScores:
    """Train and ask."""
    began_s = time.thread_time()
    with threadpool_limits(1):  # the workers share the cores among them
        scores = _scores(work)
    return replace(scores, seconds=time.thread_time() - began_s)


def _scores(work: FoldWork) -> FoldScores:
    nothing = np.full(len(work.test), np.nan)
    try:
        fitted = work.fit(work.train, work.spec)
    except BadInput as error:
        return FoldScores(probability=nothing, threshold=1.0, importance=np.empty(0), refused=str(error))
    if not len(work.test):
        return FoldScores(probability=nothing, threshold=fitted.threshold, importance=np.empty(0))
    judged = np.ones(len(work.test), dtype=np.bool_)
    if not work.untrained:
        judged = np.isin(work.test.symbol_names, fitted.covered)
    probability = np.where(judged, _asked(fitted, work.test, work.test.features), np.nan)
    importance = _importance(fitted, work, judged) if work.importance else np.empty(0)
    return FoldScores(probability=probability, threshold=fitted.threshold, importance=importance)


def _asked(fitted: Fitted, rows: Dataset, features: Floats) -> Floats:
    return fitted.predictor.probabilities(features, rows.side, rows.symbol_names.tolist())


def _importance(fitted: Fitted, work: FoldWork, judged: Mask) -> Floats:
    """L. Breiman, "Random Forests" (2001), section 10, with the log loss."""
    rows = work.test.rows(judged)
    if not len(rows):
        return np.empty(0)
    random = np.random.default_rng(work.seed)
    before = _log_loss(rows.win, _asked(fitted, rows, rows.features))
    raised = []
    for place in range(rows.features.shape[1]):
        shuffled = rows.features.copy()
        shuffled[:, place] = random.permutation(shuffled[:, place])
        raised.append(_log_loss(rows.win, _asked(fitted, rows, shuffled)) - before)
    return np.asarray(raised)


def _log_loss(win: Mask, probability: Floats) -> float:
    sure = np.clip(probability, _NOISE_FLOOR, 1 - _NOISE_FLOOR)
    return float(-np.mean(np.where(win, np.log(sure), np.log(1 - sure))))


# What a result depends on


def data_digest(dataset: Dataset) -> str:
    """Of every array and name of a dataset, in hexadecimal."""
    digest = blake2b(digest_size=20)
    digest.update(repr((dataset.strategy, dataset.timeframe_ms, dataset.names, dataset.symbols)).encode())
    digest.update(dataset.feature_set.digest.encode())
    for name in ("features", "symbol", "side", "close_ms", "end_ms", "barrier", "gain", "cost", "risk", "weight"):
        digest.update(np.ascontiguousarray(getattr(dataset, name)).data)
    return digest.hexdigest()


def code_digest(fit: Fit, estimators: Sequence[str] = ()) -> str:
    """Of the source of what trains and asks, and of the versions of the libraries that do, in hexadecimal."""
    text = f"{source_digest((run_fold, fit), _OURS)} {libraries_of(estimators)}"
    return blake2b(text.encode(), digest_size=20).hexdigest()
