"""Where the truth is set, the arms come out in the order that the truth sets: who cannot find these winners finds none.

A row's AUC is that expected of its true chance, so that a test of a few thousand rows tells differences of a hundredth.
"""

from functools import cache

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from livebot.core.market import DAY_MS
from livebot.learning.fitting import fit
from livebot.learning.spec import TrainingSpec
from livebot.research.arms import arms_named
from livebot.research.fold_run import FoldWork, run_fold
from livebot.research.folds import WalkTerms, audit, walk_forward
from livebot.research.synthetic import START_MS, SyntheticTerms, Truth, synthetic

pytestmark = pytest.mark.untraced

SHARING = ("blind", "one_hot", "embedding", "partial_pooling", "shrunk_calibration", "clustered")
ARMS = arms_named(f"{name}_lr" for name in ("single", *SHARING, "per_symbol"))
TESTED = 200  # rows of a symbol, about
DAYS = 400
TRUTHS = (Truth.SHARED, Truth.PER_SYMBOL, Truth.CLUSTERED)
EVENTS = (130, 500, 2000)  # of a symbol, to train on


def expected_auc(chance: np.ndarray, said: np.ndarray) -> float:
    """Each row once as won, with its chance as weight, and once as lost, with the rest."""
    both = np.concatenate((chance, 1 - chance))
    return float(roc_auc_score(np.repeat([1, 0], len(said)), np.tile(said, 2), sample_weight=both))


@cache
def scores(truth: Truth, events: int) -> dict[str, float]:
    """The AUC of each arm, its `_lr` left out, on average over the seeds."""
    found: dict[str, list[float]] = {}
    for seed in range(10, 11 if events > 1000 else 12):
        terms = SyntheticTerms(truth=truth, rows=events + TESTED, heterogeneity=0.5, days=DAYS, seed=seed)
        made = synthetic(terms)
        train = DAYS * events // (events + TESTED)
        lengths = WalkTerms(train_ms=train * DAY_MS, test_ms=(DAYS - train) * DAY_MS, step_ms=DAYS * DAY_MS)
        (fold,) = walk_forward(made.dataset, lengths, START_MS, START_MS + DAYS * DAY_MS)
        audit(made.dataset, fold)
        for arm in ARMS:
            if arm.trained:
                work = FoldWork(
                    fit=fit,
                    train=made.dataset.rows(fold.train),
                    test=made.dataset.rows(fold.test),
                    spec=arm.spec(TrainingSpec(minimum_events=30)),
                    untrained=True,
                    importance=False,
                    seed=seed,
                )
                auc = expected_auc(made.chance[fold.test], run_fold(work).probability)
                found.setdefault(arm.name.removesuffix("_lr"), []).append(auc)
    return {name: float(np.mean(aucs)) for name, aucs in found.items()}


@pytest.mark.parametrize("events", EVENTS)
@pytest.mark.parametrize("truth", TRUTHS)
def test_partial_pooling_is_near_the_best_everywhere(truth, events):
    found = scores(truth, events)
    assert found["partial_pooling"] > max(found.values()) - 0.012


@pytest.mark.parametrize("events", EVENTS)
@pytest.mark.parametrize("truth", TRUTHS)
def test_one_symbol_alone_is_worse_than_whatever_learns_from_all(truth, events):
    found = scores(truth, events)
    for name in SHARING:
        assert found["single"] < found[name]


@pytest.mark.parametrize("events", EVENTS)
def test_where_symbols_differ_one_symbol_alone_is_the_worst_of_all(events):
    found = scores(Truth.PER_SYMBOL, events)
    assert min(found, key=found.get) == "single"


@pytest.mark.parametrize("events", EVENTS)
def test_where_symbols_are_alike_nothing_beats_one_model_of_all(events):
    found = scores(Truth.SHARED, events)
    assert found["blind"] > max(found.values()) - 0.005
    assert found["per_symbol"] < found["blind"] - 0.01


def test_where_symbols_differ_models_of_their_own_pay_once_there_is_enough_to_learn_from():
    few, many = scores(Truth.PER_SYMBOL, 130), scores(Truth.PER_SYMBOL, 2000)
    assert few["per_symbol"] < few["blind"] - 0.01
    assert many["per_symbol"] > many["blind"] + 0.005
    assert many["partial_pooling"] > many["blind"] + 0.005


def test_where_clusters_differ_clusters_win():
    found = scores(Truth.CLUSTERED, 2000)
    assert found["clustered"] > max(found.values()) - 0.003
    assert found["clustered"] > found["blind"] + 0.005
    assert found["clustered"] > found["per_symbol"]
