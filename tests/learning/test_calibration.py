"""Calibrators are found where the truth is known, few rows move them little, and none turns an order round."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from livebot.learning.calibration import (
    FEWEST_ROWS,
    LEAST_SLOPE,
    PRIOR_ROWS,
    calibration_of,
    figures,
    platt,
    platt_by_symbol,
    reliability,
    shrunk,
)
from livebot.learning.predictors.calibrated import logit, sigmoid


def said_and_won(count=4_000, slope=1.0, intercept=0.0, seed=1):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1, count)
    return logits, random.random(count) < sigmoid(slope * logits + intercept), random.uniform(0.5, 1.5, count)


def test_it_finds_how_over_confident_a_model_is():
    logits, win, weight = said_and_won(20_000, slope=0.4, intercept=0.3)
    slope, intercept = platt(logits, win, weight)
    assert (slope, intercept) == pytest.approx((0.4, 0.3), abs=0.05)


def test_without_a_prior_it_is_logistic_regression():
    logits, win, weight = said_and_won(500, slope=0.7, intercept=-0.2)
    other = LogisticRegression(C=np.inf, tol=1e-10).fit(logits[:, None], win, sample_weight=weight)
    expected = (other.coef_[0, 0], other.intercept_[0])
    assert platt(logits, win, weight, prior=0.0) == pytest.approx(expected, abs=1e-4)


def test_a_few_rows_leave_the_model_as_it_is():
    logits, win, weight = np.array([-1.0, 0.5, 1.0]), np.array([False, True, False]), np.ones(3)
    slope, intercept = platt(logits, win, weight)
    assert 0.3 < slope < 1
    assert abs(intercept) < 0.4


def test_a_model_that_is_wrong_is_made_to_say_nothing_and_its_order_stays():
    logits, win, weight = said_and_won(slope=-1.0)
    slope, _ = platt(logits, win, weight)
    assert slope == LEAST_SLOPE > 0


def test_a_symbols_own_counts_by_its_rows():
    assert shrunk((2.0, 1.0), (1.0, 0.0), int(PRIOR_ROWS)) == (1.5, 0.5)
    assert shrunk((2.0, 1.0), (1.0, 0.0), 0) == (1.0, 0.0)
    assert shrunk((2.0, 1.0), (1.0, 0.0), 10**9) == pytest.approx((2.0, 1.0), abs=1e-6)


def test_symbols_of_which_there_is_too_little_have_the_shared_one():
    logits, win, weight = said_and_won(600)
    names = np.array(["MANY"] * 500 + ["FEW"] * (FEWEST_ROWS - 1) + ["WON"] * (91 - 0), dtype=np.str_)
    win[-91:] = True
    found = platt_by_symbol(logits, win, weight, names.tolist())
    assert {"", "MANY"} == found.keys()
    own = platt(logits[:500], win[:500], weight[:500])
    assert found["MANY"] == shrunk(own, found[""], 500)


def test_what_is_stored_is_what_was_found():
    calibration = calibration_of({"": (1.0, 0.0), "B": (2.0, -1.0), "A": (0.5, 0.25)})
    said = calibration.probabilities(np.array([0.3, 0.3, 0.3]), ["A", "B", "other"])
    assert said.tolist() == sigmoid(np.array([0.5 * 0.3 + 0.25, 2 * 0.3 - 1, 0.3])).tolist()


def test_probabilities_and_log_odds_are_each_others_inverse_and_never_certain():
    odds = np.linspace(-30, 30, 61)
    assert np.allclose(logit(sigmoid(odds)), odds, atol=1e-2)
    assert ((sigmoid(np.array([-1e9, 1e9])) > 0) & (sigmoid(np.array([-1e9, 1e9])) <= 1)).all()
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()
    assert np.array_equal(logit(np.array([-1e-16, 1 + 3e-16])), logit(np.array([0.0, 1.0])))  # sums round


def test_figures_of_a_calibrated_model():
    logits, win, weight = said_and_won(20_000)
    found = figures(sigmoid(logits), win, weight)
    assert (found["calibration_slope"], found["calibration_intercept"]) == pytest.approx((1, 0), abs=0.05)
    assert found["auc"] > 0.7
    assert found["brier"] == pytest.approx(np.average((win - sigmoid(logits)) ** 2, weights=weight))
    wrong = figures(sigmoid(3 * logits), win, weight)
    assert wrong["log_loss"] > found["log_loss"]
    assert wrong["calibration_slope"] == pytest.approx(1 / 3, abs=0.02)


def test_the_reliability_curve_rises_with_the_confidence_and_holds_all_rows():
    logits, win, weight = said_and_won()
    bins = reliability(sigmoid(logits), win, weight)
    assert (10, len(logits)) == (len(bins), sum(part.rows for part in bins))
    assert all(abs(part.won - part.confidence) < 0.08 for part in bins)
    assert sorted(part.confidence for part in bins) == [part.confidence for part in bins]
    assert 3 == len(reliability(sigmoid(logits[:3]), win[:3], weight[:3]))
