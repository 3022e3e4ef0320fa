"""Small studies of synthetic rows for tests, trained by something quick."""

from dataclasses import dataclass, replace

import numpy as np

from livebot.core.market import DAY_MS
from livebot.errors import BadInput
from livebot.learning.predictor import Fitted
from livebot.learning.spec import TrainingMode, TrainingSpec
from livebot.research.arms import arms_named
from livebot.research.rule import JudgingTerms
from livebot.research.study import DailyTurnover, Study
from livebot.research.synthetic import SyntheticTerms, Truth, span_of, synthetic


@dataclass(frozen=True)
class Line:
    """Log-odds by the covariance of features and wins."""

    weights: np.ndarray

    def probabilities(self, features, side, symbols):
        return 1 / (1 + np.exp(-(features * self.weights).sum(axis=1)))


def quick_fit(dataset, spec):
    """A model in a millisecond; covers the symbols that it was trained on, and of `single_symbol` the first."""
    if spec.mode is TrainingMode.SINGLE_SYMBOL:
        dataset = dataset.rows(dataset.symbol_names == spec.symbols[0])
    if len(dataset) < spec.minimum_events:
        raise BadInput(f"{len(dataset)} rows are too few")
    names = dataset.symbol_names
    covered = sorted(set(names.tolist()))
    centred = dataset.win - dataset.win.mean()
    weights = 4 * (dataset.features * centred[:, None]).mean(axis=0)
    said = Line(weights).probabilities(dataset.features, dataset.side, names)
    return Fitted(predictor=Line(weights), covered=tuple(covered), threshold=float(np.median(said)), metrics={})


def study(truth=Truth.SHARED, *, arms=("single_lr", "one_hot_lr"), rows=150, days=240, symbols=5, seed=1, **changes):
    """Five symbols of which the last is unseen, 60 days to train and 30 to test."""
    from livebot.research.combinatorial import CombinatorialTerms
    from livebot.research.folds import WalkTerms

    terms = SyntheticTerms(truth=truth, symbols=symbols, rows=rows, days=days, features=4, strength=1.0, seed=seed)
    dataset = synthetic(terms).dataset
    first_ms, stop_ms = span_of(terms)
    midnights = np.arange(first_ms, stop_ms, DAY_MS)
    amount = np.tile(np.arange(1.0, symbols + 1), (len(midnights), 1))
    made = Study(
        dataset=dataset,
        volatility=np.linspace(0.01, 0.02, len(dataset)),
        unseen=dataset.symbols[-1:],
        span=(first_ms, stop_ms),
        arms=arms_named(arms),
        base=TrainingSpec(minimum_events=20, embargo_ms=DAY_MS),
        fit=quick_fit,
        turnover=DailyTurnover(symbols=dataset.symbols, days=midnights, amount=amount),
        walk=WalkTerms(train_ms=60 * DAY_MS),
        paths=CombinatorialTerms(groups=4, tested=2),
        judging=JudgingTerms(resamples=100, random_draws=200, matched_draws=50),
    )
    return replace(made, **changes)
