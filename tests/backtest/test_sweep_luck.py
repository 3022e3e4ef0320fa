"""The deflated Sharpe ratio against the paper, against scipy, and against chance itself."""

import math

import numpy as np
import pytest
from scipy import stats

from livebot.backtest.trials_luck import deflated_sharpe, expected_maximum, probable_sharpe
from livebot.reporting.figure import NotAvailable


def test_the_example_of_the_paper():
    # Bailey and Lopez de Prado 2014, "A numerical example": 100 trials whose yearly Sharpe ratios vary by 1/2, of which
    # the best is 2.5, over 1,250 days (250 a year), skewness -3, kurtosis 10
    benchmark = expected_maximum(0.5 / 250, 100)
    assert benchmark == pytest.approx(0.1132, abs=5e-5)
    assert probable_sharpe(2.5 / math.sqrt(250), benchmark, 1_250, -3.0, 10.0) == pytest.approx(0.9004, abs=5e-5)


def test_a_third_partys_example_of_one_trial():
    # a yearly Sharpe of 1.8 over 504 days, skewness -0.6, excess kurtosis 4.5 (aifinhub.io)
    assert deflated_sharpe(1.8 / math.sqrt(252), 504, -0.6, 7.5, [0.1], 1) == pytest.approx(0.993, abs=1.5e-3)


def test_it_is_what_scipy_makes_of_the_formula():
    random, normal, gamma = np.random.default_rng(3), stats.norm, float(np.euler_gamma)
    for _ in range(300):
        trials, days = int(random.integers(2, 200)), int(random.integers(30, 3_000))
        others = random.normal(random.normal(0, 0.05), 0.05, trials).tolist()
        sharpe, skewness, kurtosis = random.uniform(-0.2, 0.3), random.uniform(-1, 1), random.uniform(2.5, 12)
        quantile = (1 - gamma) * normal.ppf(1 - 1 / trials) + gamma * normal.ppf(1 - 1 / (trials * np.e))
        benchmark = np.std(others, ddof=1) * quantile
        spread = np.sqrt((1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2) / (days - 1))
        expected = normal.cdf((sharpe - benchmark) / spread)
        assert deflated_sharpe(sharpe, days, skewness, kurtosis, others, trials) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("trials", [5, 40, 400])
def test_the_expected_best_is_what_chance_gives(trials):
    random = np.random.default_rng(trials)
    best = random.normal(0, 0.05, (4_000, trials)).max(axis=1).mean()
    assert expected_maximum(0.05**2, trials) == pytest.approx(best, rel=0.04)


def test_the_best_of_many_without_skill_is_rarely_believed():
    random = np.random.default_rng(7)
    believed = 0
    for _ in range(200):
        returns = random.normal(0, 0.01, (25, 250))
        sharpes = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
        believed += deflated_sharpe(float(sharpes.max()), 250, 0.0, 3.0, sharpes.tolist(), 25) > 0.95
    assert believed <= 10  # one in twenty


def test_more_trials_make_the_same_best_less_believable():
    others = [0.0, 0.05, 0.1]
    shares = [deflated_sharpe(0.1, 500, 0.0, 3.0, others, trials) for trials in (1, 3, 10, 1_000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.98
    assert shares[3] < 0.5


def test_one_trial_has_no_luck_to_be_the_best():
    assert expected_maximum(1.0, 1) == 0


def test_what_cannot_be_told_is_not_available():
    assert isinstance(deflated_sharpe(0.1, 500, 0.0, 3.0, [0.1], 5), NotAvailable)
    assert isinstance(probable_sharpe(0.1, 0.0, 1, 0.0, 3.0), NotAvailable)
    assert isinstance(probable_sharpe(1.0, 0.0, 100, 3.0, 1.5), NotAvailable)
