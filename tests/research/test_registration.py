"""What is registered: everything that a figure or the decision depends on, and what makes two trials the same."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from livebot.backtest.trials import TrialKey, TrialLedger
from livebot.learning.spec import ClusterBasis, EstimatorSpec, SymbolBalance
from livebot.research import registration
from livebot.research.arms import BOOSTING
from livebot.research.fold_cache import plain
from livebot.research.registration import registration_of, trial_of
from livebot.research.rule import JudgingTerms
from livebot.research.trial_entries import enter
from tests.research.studies import quick_fit, study
from tests.research.told_arms import arm

KEY = TrialKey(
    strategy="pkg:Class",
    code="all of livebot",
    symbols=("AAA", "BBB"),
    from_ms=1_000,
    to_ms=2_000,
    candles="abc",
    config="def",
    features="x@1 123",
    params=json.dumps({"ema": {"fast": 3}}),
)
STUDY = study(arms=("single_lr", "one_hot_gb"))


def registered(made=STUDY, key=KEY):
    return registration_of(made, key, "ema")


def other_fit(dataset, spec):
    return quick_fit(dataset, spec)


def based(**changes):
    return replace(STUDY, base=replace(STUDY.base, **changes))


OTHER_TRIALS = {
    "features": lambda: registered(replace(STUDY, dataset=replace(STUDY.dataset, features=STUDY.dataset.features + 1))),
    "labels": lambda: registered(replace(STUDY, dataset=replace(STUDY.dataset, gain=STUDY.dataset.gain * 2))),
    "strategy params": lambda: registered(key=replace(KEY, params=json.dumps({"ema": {"fast": 4}}))),
    "candles": lambda: registered(key=replace(KEY, candles="other")),
    "settings": lambda: registered(key=replace(KEY, config="other")),
    "estimator params": lambda: registered(based(estimator=EstimatorSpec(name=BOOSTING, params={"max_iter": 9}))),
    "sectors": lambda: registered(based(sectors={"AAA": "one"})),
    "what clusters go by": lambda: registered(based(cluster_basis=ClusterBasis.SECTOR)),
    "clusters": lambda: registered(based(cluster_count=2)),
    "calibration": lambda: registered(based(calibration_share=0.3)),
    "minimum events": lambda: registered(based(minimum_events=21)),
    "weights": lambda: registered(replace(STUDY, balance=SymbolBalance.EQUAL)),
    "unseen": lambda: registered(replace(STUDY, unseen=())),
    "folds": lambda: registered(replace(STUDY, walk=replace(STUDY.walk, train_ms=STUDY.walk.train_ms * 2))),
    "seed": lambda: registered(replace(STUDY, seed=2)),
    "code": lambda: registered(replace(STUDY, fit=other_fit)),
}
SAME_TRIALS = {
    "the same again": registered,
    "another margin": lambda: registered(replace(STUDY, judging=JudgingTerms(margin=0.5))),
    "more arms": lambda: registered(study(arms=("single_lr", "one_hot_gb", "blind_lr"))),
    "no paths": lambda: registered(replace(STUDY, paths=None)),
}


@pytest.mark.parametrize("name", OTHER_TRIALS)
def test_whatever_changes_an_arms_trades_is_registered_and_makes_another_trial(name):
    assert trial_of(OTHER_TRIALS[name](), "one_hot_gb") != trial_of(registered(), "one_hot_gb")


@pytest.mark.parametrize("name", SAME_TRIALS)
def test_who_else_is_compared_and_how_all_are_judged_is_registered_and_makes_no_other_trial(name):
    assert trial_of(SAME_TRIALS[name](), "one_hot_gb") == trial_of(registered(), "one_hot_gb")
    assert (SAME_TRIALS[name]() == registered()) == (name == "the same again")


def test_parameters_of_one_estimator_make_no_other_trial_of_the_arms_of_another():
    assert trial_of(OTHER_TRIALS["estimator params"](), "single_lr") == trial_of(registered(), "single_lr")


def test_the_rule_and_all_its_numbers_are_registered():
    found = registered()
    assert any("2 arms may win" in sentence for sentence in found["rule"])
    assert found["judging"] == {each.name: getattr(STUDY.judging, each.name) for each in fields(JudgingTerms)}
    assert found["strategy_params"] == {"fast": 3}
    assert found["arms"]["random"] == {"special": "random"}
    assert set(found["libraries"]) == {"numpy", "scipy", "scikit-learn"}
    json.dumps(found, allow_nan=False)


def test_other_code_that_judges_is_another_registration(monkeypatch):
    before = registered()["judge"]
    monkeypatch.setattr(registration, "decide", other_fit)
    assert registered()["judge"] != before


def test_values_that_json_does_not_know_are_registered_by_their_text():
    assert plain({"b": [1, None, (2.5,)], "a": {"x": SymbolBalance.EQUAL, "y": frozenset()}}) == {
        "a": {"x": "equal", "y": "frozenset()"},
        "b": [1, None, [2.5]],
    }


def test_each_distinct_trial_counts_once_and_a_rerun_not_again(tmp_path):
    """Ten studies that differ in strategy params and one rerun of each with another margin."""
    arms = (arm("no_filter"), arm("single_lr"), arm("one_hot_gb"))
    random = np.random.default_rng(1)
    with TrialLedger(tmp_path / "trials.sqlite") as ledger:
        for fast in range(10):
            key = replace(KEY, params=json.dumps({"ema": {"fast": fast}}))
            returns = random.normal(size=(100, 3)) * 0.01 + np.array([0.0, 0.0, 0.004 if fast == 9 else 0.0])
            for margin in (0.02, 0.05):
                made = registered(replace(STUDY, judging=JudgingTerms(margin=margin)), key)
                entered, trials = enter(ledger, key, arms, returns, lambda name, of=made: trial_of(of, name), lambda: 5)
                assert trials == 3 * (fast + 1)
                if fast == 0:
                    few = entered
        assert len(ledger.made_on(KEY)) == 30
    assert all(0 <= each.deflated <= 1 for each in (*few, *entered))
    assert entered[2].deflated > entered[1].deflated
