"""The classifiers: named ones, any other by its class path, and what is refused with which sentence."""

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from livebot.errors import BadInput
from livebot.learning.encodings import SymbolEncoding
from livebot.learning.estimators import moments, plan_of, snapped
from livebot.learning.fitting import fit
from livebot.learning.spec import EstimatorSpec, TrainingMode, TrainingSpec
from tests.learning.synthetic_rows import asked, later_auc, rows, truth

BLIND = TrainingSpec(mode=TrainingMode.MULTI_SYMBOL, encoding=SymbolEncoding.NONE)
SHARED = truth("shared", 3, 4)
lightgbm = pytest.mark.skipif(importlib.util.find_spec("lightgbm") is None, reason="lightgbm is an extra")


class Stump:
    """Made for these tests: takes weights, but its answer depends on who else is asked about."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, inputs, won, sample_weight=None):
        self.won_ = won
        return self

    def predict_proba(self, inputs):
        share = 0.5 + 0.1 * np.tanh(inputs[:, 0] - inputs[:, 0].mean()) + 0.001 * len(inputs)
        return np.column_stack((1 - share, share))


class Unweighted(Stump):
    """Made for these tests: cannot count rows by their weight."""

    def fit(self, inputs, won):
        return self


class Backwards(Stump):
    """Made for these tests: the probability of a win comes first, as it says itself."""

    classes_ = (1, 0)


class OneColumn(Stump):
    """Made for these tests: the probability of a win alone."""

    def predict_proba(self, inputs):
        return super().predict_proba(inputs)[:, :1]


class Beyond(Stump):
    """Made for these tests: what it says of the rows of a batch is no probability, or no number."""

    beyond = 1.5

    def predict_proba(self, inputs):
        said = super().predict_proba(inputs)
        return np.column_stack((said[:, 0], np.where(inputs[:, 0] > 7, self.beyond, said[:, 1])))


class Nothing(Beyond):
    """Made for these tests."""

    beyond = np.nan


class RandomForestClassifier(Stump):
    """Made for these tests: no forest."""


class Broken(Stump):
    """Made for these tests: a mistake of the operator's own."""

    def fit(self, inputs, won, sample_weight=None):
        return {}["depth"]


@pytest.mark.untraced
@pytest.mark.parametrize(
    "name",
    [
        "logistic_regression",
        "hist_gradient_boosting",
        "sklearn.ensemble:RandomForestClassifier",
        "sklearn.naive_bayes:GaussianNB",
        pytest.param("lightgbm", marks=lightgbm),
    ],
)
def test_each_kind_learns_what_is_to_be_learned(name):
    params = {"n_estimators": 20, "max_depth": 4} if "Forest" in name else {}
    fitted = fit(rows(SHARED, 200), replace(BLIND, estimator=EstimatorSpec(name=name, params=params)))
    assert later_auc(fitted, SHARED) > 0.6


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        (
            "logistic",
            {},
            "'logistic' is unknown: it is one of logistic_regression, hist_gradient_boosting, lightgbm, or",
        ),
        ("nowhere.to_be:Found", {}, r"cannot be imported \(No module named 'nowhere'\): is its package installed"),
        (":Class", {}, "cannot be imported"),
        ("sklearn.ensemble:NoSuchThing", {}, "there is no class 'NoSuchThing' in sklearn.ensemble"),
        ("sklearn.metrics:log_loss", {}, "there is no class 'log_loss'"),
        ("sklearn.neighbors:KNeighborsClassifier", {}, "does not take sample_weight"),
        (f"{__name__}:Unweighted", {}, "does not take sample_weight"),
        ("sklearn.svm:LinearSVC", {}, "gives no probabilities"),
        (f"{__name__}:Backwards", {}, r"has to give one of class 0 .* its classes_ are \[1, 0\]"),
        (f"{__name__}:OneColumn", {}, r"one of class 1 \(won\); .* it gave an array \(1, 1\)"),
        (f"{__name__}:Beyond", {}, "rows what is no probability, such as 1.5"),
        (f"{__name__}:Nothing", {}, "rows what is no probability, such as nan"),
        (f"{__name__}:Broken", {}, "Broken cannot be trained: KeyError: 'depth'"),
        ("logistic_regression", {"speed": 3}, "logistic_regression cannot be trained: .*speed"),
        ("logistic_regression", {"C": -1.0}, "logistic_regression cannot be trained: .*'C'"),
        ("hist_gradient_boosting", {"max_bins": 0}, "cannot be trained: .*max_bins"),
        ("hist_gradient_boosting", {"max_bins": "many"}, "cannot be trained"),
        ("hist_gradient_boosting", {"max_iter": "many"}, "cannot be trained: .*max_iter"),
        pytest.param("lightgbm", {"num_leaves": 0}, "lightgbm cannot be trained", marks=lightgbm),
    ],
)
def test_what_cannot_be_trained_is_refused_with_a_sentence(name, params, said):
    with pytest.raises(BadInput, match=said):
        fit(rows(SHARED, 60), replace(BLIND, estimator=EstimatorSpec(name=name, params=params)))


def test_an_extra_that_is_not_installed_is_named_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)  # as Python has it for what cannot be imported
    with pytest.raises(BadInput, match=r"it is an extra: pip install 'livebot\[lightgbm\]'"):
        fit(rows(SHARED, 60), replace(BLIND, estimator=EstimatorSpec(name="lightgbm")))


def test_params_of_the_config_go_before_the_defaults():
    plan = plan_of(EstimatorSpec(name="hist_gradient_boosting", params={"max_iter": 7}), 3)
    assert (7, 3, False) == tuple(plan.params[name] for name in ("max_iter", "random_state", "early_stopping"))
    assert (
        1
        == plan_of(EstimatorSpec(name="sklearn.ensemble:RandomForestClassifier", params={"n_jobs": 4}), 3).params[
            "n_jobs"
        ]
    )


def test_seed_and_threads_are_not_the_operators_under_any_name():
    """LightGBM takes them under names of its own, which would go before those that are set here."""
    pytest.importorskip("lightgbm")
    given = dict.fromkeys(("num_threads", "nthread", "n_jobs", "seed", "random_state"), 7) | {"num_leaves": 5}
    params = plan_of(EstimatorSpec(name="lightgbm", params=given), 3).params
    assert (3, 1, 5) == (params["random_state"], params["n_jobs"], params["num_leaves"])
    assert not params.keys() & {"num_threads", "nthread", "seed"}


def test_a_class_of_a_known_name_from_elsewhere_is_asked_row_by_row():
    assert not plan_of(EstimatorSpec(name=f"{__name__}:RandomForestClassifier"), 1).whole
    assert plan_of(EstimatorSpec(name="sklearn.ensemble:RandomForestClassifier"), 1).whole


def test_one_that_looks_at_the_whole_batch_is_asked_row_by_row():
    estimator = EstimatorSpec(name=f"{__name__}:Stump")
    data = rows(SHARED, 60)
    fitted = fit(data, replace(BLIND, estimator=estimator))
    assert np.array_equal(asked(fitted, data)[:7], asked(fitted, data.rows(np.arange(7))))


def test_weights_count_in_the_fit():
    data = rows(SHARED, 200)
    heavy = replace(data, weight=np.where(data.win, 10.0, 1.0))
    for name in ("logistic_regression", "hist_gradient_boosting"):
        spec = replace(BLIND, estimator=EstimatorSpec(name=name))
        light, leaning = (
            fit(one, spec).predictor.scores.logits(data.features, data.side, ["S"] * len(data)) for one in (data, heavy)
        )
        assert leaning.mean() > light.mean() + 1


def test_the_folded_line_is_what_scikit_learn_says():
    data = rows(SHARED, 300)
    weight = data.weight
    mean, scale = moments(data.features, weight)
    ready = (data.features - mean) / scale
    other = LogisticRegression(C=0.01, max_iter=1000).fit(ready, data.win, sample_weight=weight)
    line = plan_of(EstimatorSpec(), 1).line(data.features, data.win, weight)
    assert np.allclose(data.features @ line.weights + line.intercept, other.decision_function(ready), atol=1e-9)


def test_moments_of_a_column_that_does_not_vary_leave_it():
    inputs = np.column_stack((np.full(50, 1e9), np.full(50, 0.1), np.arange(50.0)))
    mean, scale = moments(inputs, np.ones(50))
    assert [1.0, 1.0] == scale[:2].tolist()
    assert scale[2] == pytest.approx(np.arange(50).std())
    assert mean.tolist() == pytest.approx([1e9, 0.1, 24.5])


@pytest.mark.parametrize("size", [1e160, 1e308])
def test_numbers_too_large_to_be_standardised_are_refused(size):
    inputs = np.column_stack((np.arange(50.0), np.arange(50.0)))
    inputs[3, 1] = size
    with pytest.raises(BadInput, match="inputs number 2 hold what is too large to be standardised"):
        moments(inputs, np.ones(50))


@pytest.mark.parametrize("distinct", [3, 255, 256, 5_000])
def test_snapped_values_are_cut_where_the_values_themselves_are(distinct):
    """Trees of snapped rows say the same of the snapped and of the raw ones; columns of few values stay as they are."""
    random = np.random.default_rng(2)
    raw = np.column_stack((random.choice(random.standard_t(2, distinct), 4_000), random.integers(0, 5, 4_000)))
    near = snapped(raw, 255)
    assert len(np.unique(near[:, 0])) <= 255
    assert np.array_equal(near[:, 1], raw[:, 1])
    assert np.array_equal(near, raw) == (distinct <= 255)
    won = random.random(4_000) < 1 / (1 + np.exp(-raw[:, 0]))
    with threadpool_limits(1):  # where other processes want the cores, OpenMP's threads wait for each other
        trees = HistGradientBoostingClassifier(max_iter=20, early_stopping=False).fit(
            near, won, sample_weight=np.ones(4_000)
        )
        assert np.array_equal(trees.predict_proba(near), trees.predict_proba(raw))


def test_codes_of_categories_are_never_snapped_together():
    raw = np.random.default_rng(2).integers(0, 40, (2_000, 2)).astype(np.float64)
    near = snapped(raw, 8, category=1)
    assert len(np.unique(near[:, 0])) <= 8
    assert np.array_equal(near[:, 1], raw[:, 1])


def test_columns_that_the_operator_names_as_categories_are_left_as_they_are():
    """As many codes as bins are told apart, more are refused; neither is snapped into fewer."""
    data = rows(SHARED, 200)
    features = np.array(data.features)
    features[:, 0] = np.arange(len(data)) % 20
    coded = replace(data, features=features, gain=np.where(features[:, 0] % 2, 0.01, -0.01))
    params = {"max_iter": 20, "categorical_features": [0]}
    spec = replace(BLIND, estimator=EstimatorSpec(name="hist_gradient_boosting", params=params | {"max_bins": 20}))
    assert fit(coded, spec).metrics["auc"] == 1
    spec = replace(BLIND, estimator=EstimatorSpec(name="hist_gradient_boosting", params=params | {"max_bins": 10}))
    with pytest.raises(BadInput, match="cardinality"):
        fit(coded, spec)


def test_snapping_leaves_what_came_in_as_it_was():
    raw = np.random.default_rng(1).normal(size=(1_000, 2))
    before = raw.copy()
    snapped(raw, 255)
    assert np.array_equal(raw, before)
