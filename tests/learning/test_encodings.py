"""What a shared model is told of a symbol, and what stands for one that it never saw."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

from livebot.errors import BadInput
from livebot.learning.encodings import DIMENSIONS, no_table, present, table_of
from livebot.learning.estimators import plan_of
from livebot.learning.fitting import fit
from livebot.learning.spec import EstimatorSpec, SymbolEncoding, TrainingMode, TrainingSpec
from tests.learning.synthetic_rows import asked, rows, truth

LINEAR = plan_of(EstimatorSpec(), 1)
TREES = plan_of(EstimatorSpec(name="hist_gradient_boosting"), 1)
ONE_HOT = TrainingSpec(mode=TrainingMode.MULTI_SYMBOL)
lightgbm = pytest.mark.skipif(importlib.util.find_spec("lightgbm") is None, reason="lightgbm is an extra")


def embedded(data, seed=1):
    table = table_of(data, SymbolEncoding.EMBEDDING, LINEAR, seed)
    return table.columns([f"S{number:02}/USDT" for number in range(len(data.symbols))])


def test_only_symbols_with_rows_are_known():
    data = rows(truth("noise", 3, 2), 20)
    assert ["S00/USDT", "S02/USDT"] == present(data.rows(data.symbol != 1))


def test_blind_is_told_nothing():
    table = table_of(rows(truth("noise", 3, 2), 20), SymbolEncoding.NONE, LINEAR, 1)
    assert table.columns(["S00/USDT", "NEW"]).shape == (2, 0) == no_table().columns(["A", "B"]).shape


def test_one_hot_is_a_column_a_symbol_and_none_for_a_new_one():
    table = table_of(rows(truth("noise", 3, 2), 20), SymbolEncoding.ONE_HOT, LINEAR, 1)
    assert [[0, 0, 1], [1, 0, 0], [0, 0, 0]] == table.columns(["S02/USDT", "S00/USDT", "NEW"]).tolist()


def test_index_is_a_code_and_missing_for_a_new_one():
    table = table_of(rows(truth("noise", 3, 2), 20), SymbolEncoding.INDEX, TREES, 1)
    told = table.columns(["S02/USDT", "S00/USDT", "NEW"])
    assert [2.0, 0.0] == told[:2, 0].tolist()
    assert np.isnan(told[2, 0])


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("hist_gradient_boosting", {"max_bins": 3}),
        pytest.param("lightgbm", {"max_bin": 3}, marks=lightgbm),
    ],
)
def test_symbols_are_never_thrown_together_for_want_of_bins(name, params):
    """What the estimator cannot tell apart is refused, and not merged into as many as it can."""
    data = rows(truth("shared", 4, 3), 40)
    spec = replace(ONE_HOT, encoding=SymbolEncoding.INDEX, estimator=EstimatorSpec(name=name, params=params))
    with pytest.raises(BadInput, match=f"up to 3 symbols, these are 4, and {name} tells no more apart"):
        fit(data, spec)
    assert fit(data.rows(data.symbol != 3), spec).covered


def test_categories_of_the_operator_do_not_go_with_an_index():
    trees = EstimatorSpec(name="hist_gradient_boosting", params={"categorical_features": [0]})
    with pytest.raises(BadInput, match="leave it out of model"):
        fit(rows(truth("shared", 2, 3), 60), replace(ONE_HOT, encoding=SymbolEncoding.INDEX, estimator=trees))


def test_one_hot_and_index_learn_that_one_symbol_wins_more_often():
    data = rows(truth("shared", 4, 3), 300, level=(0, 0, 0, 2.0))
    trees = EstimatorSpec(name="hist_gradient_boosting")
    for spec in (
        ONE_HOT,
        replace(ONE_HOT, estimator=trees, encoding=SymbolEncoding.INDEX),
        replace(ONE_HOT, estimator=trees),
    ):
        fitted = fit(data, spec)
        fresh = data.rows(np.arange(200))
        said = [
            fitted.predictor.probabilities(fresh.features, fresh.side, [name] * 200).mean()
            for name in ("S03/USDT", "S00/USDT", "NEW/USDT")
        ]
        assert said[0] > said[1] + 0.1
        assert said[0] > said[2] - 0.05


def test_symbols_that_answer_alike_lie_near_each_other():
    vectors = embedded(rows(truth("clusters", 6, 5, 0.5), 400))
    away = np.linalg.norm(vectors[:, None] - vectors[None, :], axis=2)
    alike = [away[first, first + 3] for first in range(3)]
    apart = [away[first, second] for first in range(6) for second in range(first) if (first - second) % 3]
    assert max(alike) < 0.5 * min(apart)
    assert vectors.shape[1] <= DIMENSIONS


def test_a_new_symbol_lies_in_the_centre():
    data = rows(truth("own", 6, 5, 0.5), 400)
    table = table_of(data, SymbolEncoding.EMBEDDING, LINEAR, 1)
    assert np.allclose(table.columns(list(data.symbols)).mean(axis=0), 0, atol=1e-9)
    assert not table.columns(["NEW"]).any()


def test_without_differences_there_is_next_to_nothing_of_an_embedding():
    strong, weak = (np.abs(embedded(rows(truth(kind, 8, 6, 0.4), 400))).sum() for kind in ("own", "shared"))
    assert weak < 0.3 * strong


def test_one_symbol_has_nobody_to_differ_from():
    assert embedded(rows(truth("shared", 1, 3), 100)).shape == (1, 0)
    assert fit(rows(truth("shared", 1, 3), 100), replace(ONE_HOT, encoding=SymbolEncoding.EMBEDDING)).covered


def test_an_embedding_is_the_same_to_the_sign():
    data = rows(truth("own", 6, 5, 0.5), 200)
    assert np.array_equal(embedded(data), embedded(data))


def test_a_symbol_with_few_rows_is_drawn_to_the_centre():
    data = rows(truth("own", 6, 5, 0.5), 400)
    of_it = np.flatnonzero(data.symbol == 2)
    gone = np.isin(np.arange(len(data)), of_it[15:])
    full, scarce = embedded(data), embedded(data.rows(~gone))
    assert np.linalg.norm(scarce[2]) < 0.5 * np.linalg.norm(full[2])


@pytest.mark.parametrize("encoding", [SymbolEncoding.ONE_HOT, SymbolEncoding.EMBEDDING])
def test_a_linear_model_of_an_encoding_is_folded_into_rows_of_weights(encoding):
    """As scikit-learn would say it of the same design, column by column."""
    data = rows(truth("own", 4, 3), 200)
    fitted = fit(data, replace(ONE_HOT, encoding=encoding))
    scores = fitted.predictor.scores
    assert scores.weights.shape == (5, 4)
    same = (scores.weights == scores.weights[0]).all()
    assert same == (encoding is SymbolEncoding.ONE_HOT)
    assert len(set(scores.intercept.tolist())) == 5
    assert asked(fitted, data).shape == (800,)
