"""What is fitted is fitted inside of the fold, and calibrated on a later part of it that shares no outcome with the rest.

Each check is shown to have teeth: with the leak planted it finds it.
"""

from dataclasses import replace

import numpy as np
import pytest

from livebot.core.market import DAY_MS
from livebot.learning import fitting
from livebot.learning.fitting import fit
from livebot.learning.spec import TrainingSpec
from livebot.learning.time_split import split
from livebot.research.arms import LINEAR, arms_named
from livebot.research.fold_run import FoldWork, run_fold
from livebot.research.folds import WalkTerms, walk_forward
from livebot.research.synthetic import START_MS, SyntheticTerms, Truth, synthetic

pytestmark = pytest.mark.untraced

DATASET = synthetic(SyntheticTerms(truth=Truth.CLUSTERED, symbols=4, rows=150, features=5, days=120)).dataset
TERMS = WalkTerms(train_ms=90 * DAY_MS, test_ms=30 * DAY_MS, step_ms=30 * DAY_MS)
(FOLD,) = walk_forward(DATASET, TERMS, START_MS, START_MS + 120 * DAY_MS)
BASE = TrainingSpec(minimum_events=20, embargo_ms=DAY_MS)
TRAINED = [arm for arm in arms_named(None) if arm.trained and arm.estimator == LINEAR]
every_arm = pytest.mark.parametrize("arm", TRAINED, ids=lambda arm: arm.name)


def other(dataset, chosen):
    """The same rows, of which the chosen ones tell another story: features, outcomes, volatility."""
    turned = np.where(chosen, -1.0, 1.0)
    return replace(
        dataset,
        features=np.where(chosen[:, None], 50 - 9 * dataset.features, dataset.features),
        gain=dataset.gain * turned,
        risk=np.where(chosen, dataset.risk[::-1] * 5, dataset.risk),
    )


def asked(fitted):
    """The probabilities of rows that nobody was trained on."""
    test = DATASET.rows(FOLD.test)
    return fitted.predictor.probabilities(test.features, test.side, test.symbol_names.tolist())


def scored(fitted):
    """The same before calibration."""
    test = DATASET.rows(FOLD.test)
    return fitted.predictor.scores.logits(test.features, test.side, test.symbol_names.tolist())


def later_part(train):
    """Whether each train row calibrates."""
    return train.close_ms >= split(train, BASE.calibration_share, BASE.embargo_ms)[1].close_ms[0]


@every_arm
def test_what_is_tested_is_seen_by_no_fit(arm):
    """Other test rows, other outcomes, the same answers about those that stayed."""
    changed = np.zeros(len(DATASET), dtype=bool)
    changed[FOLD.test[::2]] = True
    answers = []
    for dataset in (DATASET, other(DATASET, changed)):
        work = FoldWork(
            fit=fit,
            train=dataset.rows(FOLD.train),
            test=dataset.rows(FOLD.test),
            spec=arm.spec(BASE),
            untrained=True,
            importance=False,
            seed=1,
        )
        answers.append(run_fold(work))
    one, two = answers
    assert not one.refused
    np.testing.assert_array_equal(one.probability[1::2], two.probability[1::2])
    assert one.threshold == two.threshold
    assert (one.probability[::2] != two.probability[::2]).any()


@every_arm
def test_scaler_encoding_clusters_and_weights_know_nothing_of_the_rows_that_calibrate(arm):
    train = DATASET.rows(FOLD.train)
    later = later_part(train)
    np.testing.assert_array_equal(scored(fit(train, arm.spec(BASE))), scored(fit(other(train, later), arm.spec(BASE))))


@every_arm
def test_a_fit_that_saw_the_rows_that_calibrate_is_caught(monkeypatch, arm):
    def leaky(dataset, share, embargo_ms):
        return dataset, split(dataset, share, embargo_ms)[1]

    monkeypatch.setattr(fitting, "split", leaky)
    with pytest.raises(AssertionError):
        test_scaler_encoding_clusters_and_weights_know_nothing_of_the_rows_that_calibrate(arm)


@every_arm
def test_rows_whose_outcome_reaches_into_the_calibration_teach_nothing(arm):
    train = DATASET.rows(FOLD.train)
    later = later_part(train)
    begins_ms = int(train.close_ms[later][0])
    between = ~later & (train.end_ms + BASE.embargo_ms > begins_ms)
    assert between.any()
    spec = arm.spec(BASE)
    np.testing.assert_array_equal(asked(fit(train, spec)), asked(fit(other(train, between), spec)))


def test_a_fit_on_rows_whose_outcome_reaches_into_the_calibration_is_caught(monkeypatch):
    def unpurged(dataset, share, embargo_ms):
        later = split(dataset, share, embargo_ms)[1]
        return dataset.rows(dataset.close_ms < later.close_ms[0]), later

    monkeypatch.setattr(fitting, "split", unpurged)
    with pytest.raises(AssertionError):
        test_rows_whose_outcome_reaches_into_the_calibration_teach_nothing(TRAINED[1])


@every_arm
def test_calibrators_and_threshold_are_those_of_the_rows_that_calibrate(arm):
    """They change with these, so the checks above do not pass for want of any influence."""
    train = DATASET.rows(FOLD.train)
    later = later_part(train)
    one, two = fit(train, arm.spec(BASE)), fit(other(train, later), arm.spec(BASE))
    assert one.calibrators != two.calibrators
    assert (asked(one) != asked(two)).any()
