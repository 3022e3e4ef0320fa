"""Arms at the same trade count: held against chance that trades as many, and told where they cannot."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.learning.predictor import Fitted
from livebot.research.accounts import tied_share
from livebot.research.comparison import compute
from livebot.research.fold_cache import FoldCache
from livebot.research.measuring import measure
from livebot.research.study import DailyTurnover, Kind, folds_of, spec_of
from tests.research.stages import saying, stage
from tests.research.studies import quick_fit, study


@dataclass(frozen=True)
class Step:
    """Two probabilities for all rows, as a tree of one cut gives: one row in twenty has the higher one, which is wanted."""

    def probabilities(self, features, side, symbols):
        return np.where(features[:, 0] > 1.64, 0.6, 0.4)


def step_fit(dataset, spec):
    """Ties everywhere where the encoding is one-hot; something quick for the others."""
    if spec.encoding.value != "one_hot":
        return quick_fit(dataset, spec)
    covered = tuple(sorted(set(dataset.symbol_names.tolist())))
    return Fitted(predictor=Step(), covered=covered, threshold=0.5, metrics={})


def measured(made, folder):
    plan = folds_of(made)
    done = compute(made, plan, FoldCache(folder, SystemFiles()), lambda _: None, lambda: 0.0, backend="threading")
    return measure(made, plan, done.scores, lambda _: None)


def test_a_matched_count_is_held_against_random_filters_with_as_many(tmp_path):
    found = {arm.name: arm for arm in measured(study(rows=300, paths=None), tmp_path).arms}
    (against,) = found["one_hot_lr"].matched.differences
    assert against.against == "random" and against.yearly > 0.1 and against.joint_low > 0
    assert found["no_filter"].matched.differences == found["random"].matched.differences == ()
    assert [each.against for each in found["one_hot_lr"].threshold.differences] == ["no_filter", "single_lr"]
    (doubled,) = found["one_hot_lr"].matched.doubled_differences  # as many trades cost as much
    assert abs(doubled.yearly - against.yearly) < 0.05


def test_an_arm_whose_ties_make_another_count_is_told_and_held_against_nothing(tmp_path):
    made = study(rows=300, fit=step_fit, paths=None)
    found = measured(made, tmp_path)
    tied = {arm.name: arm for arm in found.arms}["one_hot_lr"]
    assert tied.matched.differences == tied.matched.doubled_differences == ()
    assert tied.threshold.differences  # by its own threshold it is an arm as any other
    off, ties = found.notes
    assert off.startswith("one_hot_lr trades ") and "more than 10% off" in off and "held against nothing" in off
    assert ties.startswith("one_hot_lr gives 100% of the entries that it wants the very same probability as others")
    assert f"({tied.threshold.figures.trades:,} by its own threshold" in ties


def test_only_ties_at_the_cut_make_a_trade_count():
    made = stage(1)
    rising = np.linspace(0.1, 0.9, len(made.rows))
    assert tied_share(made, saying(rising, 0.5)) == 0.0
    assert tied_share(made, saying(rising, 2.0)) == 0.0  # it wants nothing
    below = np.where(rising < 0.5, 0.2, rising)
    assert tied_share(made, saying(below, 0.5)) == 0.0
    assert tied_share(made, saying(np.ones(len(made.rows)), 0.5)) == 1.0
    half = np.where(made.fold == 0, 0.6, rising + 1)
    assert tied_share(made, saying(half, 0.5)) == pytest.approx(np.mean(made.fold == 0))


def test_clusters_go_by_nothing_of_the_days_that_a_fold_tests():
    """Where training surrounds a test its window does too, but what is tested in between stays out."""
    made = study()
    for fold in folds_of(made).folds[Kind.PATHS]:
        days, amount = made.turnover.days, made.turnover.amount.copy()
        for first, stop in fold.test_spans:
            amount[(days >= first) & (days < stop)] *= 1_000
        louder = replace(made, turnover=DailyTurnover(symbols=made.turnover.symbols, days=days, amount=amount))
        for arm in made.trained_arms:
            assert spec_of(louder, fold, arm).turnover == spec_of(made, fold, arm).turnover
