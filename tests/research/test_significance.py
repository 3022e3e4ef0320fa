"""Differences between arms: known answers, and how often an interval holds the truth."""

import numpy as np
import pytest

from livebot.backtest.trials_luck import expected_maximum, probable_sharpe
from livebot.errors import BadInput
from livebot.reporting.figure import NotAvailable
from livebot.research.significance import (
    BootstrapTerms,
    daily_sharpe,
    deflated,
    joint_intervals,
    stationary_indices,
    usual_block,
)


def noise(seed: int, days: int, memory: float) -> np.ndarray:
    """AR(1) of mean 0."""
    values = np.random.default_rng(seed).normal(size=days + 50)
    for place in range(1, len(values)):
        values[place] += memory * values[place - 1]
    return values[50:]


def interval_of(values: np.ndarray, terms: BootstrapTerms) -> tuple[float, float]:
    """Of one series alone."""
    made = joint_intervals(values[:, None], np.array([True]), terms)
    return float(made.low[0]), float(made.high[0])


# Blocks


def test_blocks_go_on_day_by_day_and_have_the_length_asked_for():
    drawn = stationary_indices(500, BootstrapTerms(draws=400), 8.0)
    assert drawn.shape == (400, 500)
    goes_on = (np.diff(drawn, axis=1) - 1) % 500 == 0
    # a block ends with chance 1/8 a day, and one in 500 new ones begins where the old one would have gone on
    assert 1 - goes_on.mean() == pytest.approx(1 / 8 * 499 / 500, rel=0.02)
    assert np.bincount(drawn.ravel(), minlength=500) == pytest.approx(np.full(500, 400), rel=0.6)  # no day is favoured
    assert (
        stationary_indices(50, BootstrapTerms(draws=5), 1e9)[:, -1]
        == (stationary_indices(50, BootstrapTerms(draws=5), 1e9)[:, 0] + 49) % 50
    ).all()


def test_the_same_seed_draws_the_same_days():
    terms = BootstrapTerms(draws=5, seed=3)
    np.testing.assert_array_equal(stationary_indices(100, terms, 5.0), stationary_indices(100, terms, 5.0))
    assert (stationary_indices(100, BootstrapTerms(draws=5, seed=4), 5.0) != stationary_indices(100, terms, 5.0)).any()


def test_columns_of_a_day_stay_together():
    """A column and its negative have errors of the same size only if both are of the same days: two are no wider than one."""
    values = noise(1, 200, 0.0)
    both = joint_intervals(np.column_stack((values, -values)), np.array([True, True]), BootstrapTerms(draws=50))
    assert both.low[0] == pytest.approx(-both.high[1])
    alone = joint_intervals(values[:, None], np.array([True]), BootstrapTerms(draws=50))
    assert both.joint_low[0] == pytest.approx(alone.joint_low[0])


@pytest.mark.parametrize(("memory", "least"), [(0.0, 1.0), (0.5, 5.0), (0.8, 12.0)])
def test_blocks_are_longer_the_longer_days_remember(memory, least):
    lengths = [usual_block(noise(seed, 800, memory)) for seed in range(20)]
    assert np.median(lengths) >= least
    assert np.median(lengths) <= 4 * least


def test_a_series_without_anything_in_it_has_blocks_of_a_day():
    assert usual_block(np.zeros(100)) == 1.0
    assert usual_block(noise(1, 20, 0.0)) == 1.0
    assert usual_block(np.tile([1.0, -1.0], 200)) >= 1.0
    assert usual_block(np.sin(np.arange(400) / 60)) <= 80.0


# Intervals


@pytest.mark.parametrize("memory", [0.0, 0.3])
def test_an_interval_holds_the_truth_about_as_often_as_it_says(memory):
    held = []
    for seed in range(150):
        terms = BootstrapTerms(draws=200, seed=seed)
        low, high = interval_of(noise(seed, 365, memory), terms)
        held.append(low <= 0 <= high)
    assert 0.87 <= np.mean(held) <= 0.99


@pytest.mark.parametrize(("level", "errors"), [(0.95, 1.96), (0.8, 1.28)])
def test_the_interval_of_independent_days_is_that_of_the_textbook(level, errors):
    values = noise(2, 400, 0.0)
    low, high = interval_of(values, BootstrapTerms(draws=6000, block_days=1.0, level=level))
    error = values.std() / np.sqrt(400)
    assert low == pytest.approx(values.mean() - errors * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + errors * error, abs=0.1 * error)


def test_days_that_are_drawn_one_by_one_promise_too_much():
    """What the blocks are for: it holds the truth in about two of three."""
    held = []
    for seed in range(100):
        terms = BootstrapTerms(draws=200, seed=seed, block_days=1.0)
        low, high = interval_of(noise(seed, 365, 0.6), terms)
        held.append(low <= 0 <= high)
    assert np.mean(held) < 0.8


@pytest.mark.parametrize(("columns", "errors"), [(1, 1.96), (18, 2.99)])
def test_the_joint_interval_of_independent_columns_is_that_of_the_textbook(columns, errors):
    """Of 18 independent normal errors the largest is below 2.99 in 95 of 100 cases: (1 - 2 * (1 - Phi(2.99)))^18 = .95."""
    values = np.random.default_rng(2).normal(size=(1_000, columns)) * np.geomspace(1, 100, columns)
    made = joint_intervals(values, np.ones(columns, dtype=bool), BootstrapTerms(draws=3000, block_days=1.0))
    error = values.std(axis=0) / np.sqrt(1_000)
    np.testing.assert_allclose(made.estimate, values.mean(axis=0))
    np.testing.assert_allclose((made.joint_high - made.estimate) / error, np.full(columns, errors), atol=0.15)
    np.testing.assert_allclose(made.joint_high - made.estimate, made.estimate - made.joint_low)


def test_joint_intervals_hold_all_truths_at_once_about_as_often_as_they_say_and_single_ones_do_not():
    together, alone = [], []
    for seed in range(120):
        values = np.random.default_rng(seed).normal(size=(250, 10))
        made = joint_intervals(values, np.ones(10, dtype=bool), BootstrapTerms(draws=300, seed=seed))
        together.append(((made.joint_low <= 0) & (made.joint_high >= 0)).all())
        alone.append(((made.low <= 0) & (made.high >= 0)).all())
    assert 0.9 <= np.mean(together) <= 0.99  # within 2.5 standard errors of .95
    assert np.mean(alone) < 0.75


def test_who_may_not_win_and_who_never_moves_widens_nobodys_interval():
    values = np.random.default_rng(4).normal(size=(200, 3))
    values[:, 2] = 0.0
    terms = BootstrapTerms(draws=300, block_days=5.0)
    one = joint_intervals(values[:, :1], np.array([True]), terms)
    all_three = joint_intervals(values, np.array([True, False, True]), terms)
    assert all_three.joint_low[0] == pytest.approx(one.joint_low[0])
    assert all_three.joint_low[2] == all_three.joint_high[2] == 0.0
    assert all_three.joint_low[1] < all_three.joint_high[1]


def test_few_days_have_no_interval():
    assert joint_intervals(np.zeros((59, 2)), np.array([True, True]), BootstrapTerms()) == NotAvailable(
        "fewer than 60 days"
    )


@pytest.mark.parametrize("change", [{"draws": 0}, {"level": 1.0}, {"block_days": 0.5}])
def test_terms_that_make_no_interval_are_refused(change):
    with pytest.raises(BadInput, match="a bootstrap takes"):
        BootstrapTerms(**change)


# Luck


def test_the_worked_example_of_a_probable_sharpe():
    """Yearly Sharpe 1.8 over 504 days, skewness -0.6, excess kurtosis 4.5, one trial: .993."""
    assert probable_sharpe(1.8 / np.sqrt(252), 0.0, 504, -0.6, 7.5) == pytest.approx(0.993, abs=5e-4)


def test_the_best_of_trials_without_skill_is_as_good_as_was_expected():
    best = np.random.default_rng(2).normal(size=(20_000, 40)).max(axis=1).mean() * 0.06
    assert expected_maximum(0.06**2, 40) == pytest.approx(best, rel=0.02)


def test_the_best_of_many_trials_without_skill_is_not_believed():
    random = np.random.default_rng(8)
    trials = random.normal(size=(400, 60)) * 0.01
    ratios = [daily_sharpe(column) for column in trials.T]
    best = trials[:, int(np.argmax(ratios))]
    alone = deflated(best, ratios, 1)
    among = deflated(best, ratios, 60)
    assert alone > 0.97
    assert among < 0.9
    assert deflated(best + 0.003, [*ratios, daily_sharpe(best + 0.003)], 61) > 0.99


def test_what_has_no_sharpe_is_not_deflated():
    assert isinstance(deflated(np.zeros(100), [0.1, 0.2], 2), NotAvailable)
    assert daily_sharpe(np.zeros(100)) is None
    values = noise(1, 100, 0.0)
    assert daily_sharpe(values) == pytest.approx(values.mean() / values.std(ddof=1))
