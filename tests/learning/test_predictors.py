"""What is pickled: a row's probability is its own to the last bit, whoever else is asked about, and survives the file."""

import importlib.util
import pickle
import threading
from dataclasses import replace

import joblib
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from livebot.learning.estimators import plan_of, snapped
from livebot.learning.fitting import fit
from livebot.learning.predictors import estimators
from livebot.learning.predictors.calibrated import logit
from livebot.learning.predictors.linear import LinearScores
from livebot.learning.predictors.symbol_rows import SymbolTable, inputs_of, rows_of
from livebot.learning.spec import EstimatorSpec, SymbolEncoding, TrainingMode, TrainingSpec
from livebot.learning.time_split import split
from tests.learning.synthetic_rows import asked, rows, truth
from tests.learning.test_fitting import LINEAR, TREES, WITH_TREES, mixed, told

BLIND = TrainingSpec(mode=TrainingMode.MULTI_SYMBOL, encoding=SymbolEncoding.NONE)


LIGHT = EstimatorSpec(name="lightgbm", params={"n_estimators": 10, "min_child_samples": 10, "min_data_per_group": 10})
LIGHTS = [
    pytest.param(
        replace(BLIND, encoding=encoding, estimator=LIGHT),
        marks=pytest.mark.skipif(importlib.util.find_spec("lightgbm") is None, reason="lightgbm is an extra"),
    )
    for encoding in (SymbolEncoding.INDEX, SymbolEncoding.ONE_HOT)
]


@pytest.mark.untraced
@pytest.mark.parametrize("spec", [*LINEAR, *WITH_TREES, *LIGHTS], ids=told)
def test_a_row_is_judged_alike_alone_and_among_five_hundred(spec):
    fitted, batch = fit(mixed(), spec), mixed(125, 9)
    names = [*batch.symbol_names.tolist()[:-9], *["NEW/USDT"] * 9]

    def part(begin, end):
        return fitted.predictor.probabilities(batch.features[begin:end], batch.side[begin:end], names[begin:end])

    together = part(0, 500)
    assert ((together > 0) & (together < 1)).all()
    assert len(set(together.tolist())) > 5
    for size in (1, 2, 3, 7, 8, 64):
        apart = np.concatenate([part(at, at + size) for at in range(0, min(500, size * 40), size)])
        assert np.array_equal(apart, together[: len(apart)])
    order = np.random.default_rng(1).permutation(500)
    shuffled = fitted.predictor.probabilities(batch.features[order], batch.side[order], [names[at] for at in order])
    assert np.array_equal(shuffled, together[order])


def test_a_linear_row_depends_on_neither_the_layout_of_the_batch_nor_its_neighbours():
    random = np.random.default_rng(4)
    scores = LinearScores(row_of={"A": 1}, weights=random.normal(size=(2, 42)), intercept=random.normal(size=2))
    features, side = (
        random.normal(size=(300, 41)) * 10.0 ** random.integers(-6, 6, (300, 41)),
        np.ones(300, dtype=np.int8),
    )
    names = ["A", "B", "C"] * 100
    plain = scores.logits(features, side, names)
    assert np.array_equal(scores.logits(np.asfortranarray(features), side, names), plain)
    assert np.array_equal(scores.logits(np.repeat(features, 2, axis=0)[::2], side, names), plain)
    alone = [scores.logits(features[at : at + 1], side[:1], [names[at]])[0] for at in range(300)]
    assert alone == plain.tolist()


def test_nobody_asked_about_is_nobody_answered():
    for spec in (BLIND, replace(BLIND, estimator=EstimatorSpec(name="hist_gradient_boosting", params={"max_iter": 3}))):
        empty = mixed().rows(np.zeros(600, dtype=bool))
        assert asked(fit(mixed(), spec), empty).shape == (0,)


def test_the_lookup_of_categories_is_spared_and_every_answer_stays():
    spec = replace(BLIND, encoding=SymbolEncoding.INDEX, estimator=TREES)
    data = rows(truth("shared", 4, 5), 150, level=(0, 0, 1, 2.0))
    scores, batch = fit(data, spec).predictor.scores, mixed(50, 9)
    assert isinstance(scores.estimators[0]._preprocessor, estimators.CodesFirst)
    plan, (training, _) = plan_of(spec.estimator, spec.seed), split(data, 0.2, 0)
    inputs = inputs_of(training.features, training.side)
    codes = snapped(np.column_stack((inputs, training.symbol)), 255, 6)
    weight = training.weight / training.weight.mean()
    with threadpool_limits(1):
        own = plan.kind(**plan.params, categorical_features=[6]).fit(codes, training.win, sample_weight=weight)
    said = []
    for name, code in (("S00/USDT", 0), ("S03/USDT", 3), ("NEW/USDT", np.nan)):
        asked_as = np.column_stack((inputs_of(batch.features, batch.side), np.full(len(batch), code)))
        said.append(scores.logits(batch.features, batch.side, [name] * len(batch)))
        assert np.array_equal(said[-1], logit(own.predict_proba(asked_as)[:, 1]))
    assert (said[1] > said[0] + 0.1).mean() > 0.3  # so codes count


def test_where_sparing_the_lookup_would_change_an_answer_it_is_kept(monkeypatch):
    """Another version of the library may keep its columns otherwise."""
    spec = replace(BLIND, encoding=SymbolEncoding.INDEX, estimator=TREES)
    usual = asked(fit(mixed(), spec), mixed(50, 9))
    monkeypatch.setattr(estimators.CodesFirst, "transform", lambda _self, inputs: np.array(inputs))
    kept = fit(mixed(), spec)
    assert not isinstance(kept.predictor.scores.estimators[0]._preprocessor, estimators.CodesFirst)
    assert np.array_equal(asked(kept, mixed(50, 9)), usual)


@pytest.mark.parametrize("spec", [*LINEAR, *WITH_TREES], ids=told)
def test_it_is_the_same_after_the_file(spec, tmp_path):
    fitted, batch = fit(mixed(), spec), mixed(20, 9)
    joblib.dump(fitted.predictor, tmp_path / "model.joblib")
    for again in (pickle.loads(pickle.dumps(fitted.predictor)), joblib.load(tmp_path / "model.joblib")):
        assert np.array_equal(asked(replace(fitted, predictor=again), batch), asked(fitted, batch))


def test_the_side_is_an_input():
    data = mixed(400)
    won = np.where(data.side > 0, np.abs(data.gain), -np.abs(data.gain))
    fitted = fit(replace(data, gain=np.where(np.arange(len(data)) % 4, won, data.gain)), BLIND)
    long, short = (
        fitted.predictor.probabilities(data.features[:50], np.full(50, side, dtype=np.int8), ["S"] * 50)
        for side in (1, -1)
    )
    assert (long > short + 0.2).all()


def test_trees_predict_on_one_thread_and_give_the_others_back(monkeypatch):
    batch = mixed(20, 9)
    fitted = fit(
        mixed(), replace(BLIND, estimator=EstimatorSpec(name="hist_gradient_boosting", params={"max_iter": 3}))
    )
    seen, asked_before = [], HistGradientBoostingClassifier.predict_proba
    estimators._threadpools.cache_clear()  # another test's library may have brought pools that trees never use

    def spying(self, inputs):
        seen.extend(pool["num_threads"] for pool in threadpool_info())
        return asked_before(self, inputs)

    monkeypatch.setattr(HistGradientBoostingClassifier, "predict_proba", spying)
    before = [pool["num_threads"] for pool in threadpool_info()]
    other = threading.Thread(target=asked, args=(fitted, batch))
    other.start()
    other.join()
    asked(fitted, batch)
    assert {1} == set(seen)
    assert before == [pool["num_threads"] for pool in threadpool_info()]


def test_a_symbol_has_its_row_and_all_others_the_first():
    assert [0, 2, 1, 0] == rows_of(["X", "B", "A", ""], {"A": 1, "B": 2}).tolist()
    table = SymbolTable(row_of={"A": 1}, values=np.array([[0.0, 0.5], [1.0, 2.0]]))
    assert [[1.0, 2.0], [0.0, 0.5]] == table.columns(["A", "NEW"]).tolist()


def test_the_side_comes_last():
    inputs = inputs_of(np.array([[1.5, 2.5]]), np.array([-1], dtype=np.int8))
    assert (inputs.tolist(), inputs.dtype) == ([[1.5, 2.5, -1.0]], np.float64)


def test_five_hundred_models_are_one_matrix():
    nothing = truth("noise", 40, 3)
    fitted = fit(rows(nothing, 70), replace(BLIND, mode=TrainingMode.PER_SYMBOL, minimum_events=20))
    assert fitted.predictor.scores.weights.shape == (41, 4)
    assert len(fitted.predictor.scores.row_of) == 40
