"""Synthetic datasets follow the truth that was set, and hand none of it to a model."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from livebot.errors import BadInput
from livebot.research.synthetic import RandomWalkTerms, SyntheticTerms, Truth, random_walks, span_of, synthetic


@pytest.mark.parametrize("truth", Truth)
def test_the_same_terms_give_the_same_rows(truth):
    terms = SyntheticTerms(truth=truth, symbols=4, rows=50)
    one, two = synthetic(terms), synthetic(terms)
    for name in ("features", "symbol", "side", "close_ms", "end_ms", "gain", "risk"):
        np.testing.assert_array_equal(getattr(one.dataset, name), getattr(two.dataset, name))
    assert len(one.dataset) == 200
    first, stop = span_of(terms)
    assert first < one.dataset.close_ms.min() <= one.dataset.close_ms.max() <= stop
    order = list(zip(one.dataset.close_ms.tolist(), one.dataset.symbol.tolist(), strict=True))
    assert order == sorted(set(order))  # a symbol closes once at a time


def test_wins_come_as_often_as_they_were_said_to():
    made = synthetic(SyntheticTerms(truth=Truth.PER_SYMBOL, rows=3000, strength=1.0))
    for low in (0.1, 0.4, 0.7):
        chosen = (made.chance >= low) & (made.chance < low + 0.2)
        assert made.dataset.win[chosen].mean() == pytest.approx(made.chance[chosen].mean(), abs=0.02)
    assert (made.dataset.win == (made.dataset.barrier == 1)).all()


def slopes(made, chosen):
    found = LogisticRegression(C=100).fit(made.dataset.features[chosen], made.dataset.win[chosen]).coef_[0]
    return found / np.linalg.norm(found)


@pytest.mark.parametrize(
    ("truth", "same", "other"),
    [(Truth.SHARED, 0.9, 0.9), (Truth.CLUSTERED, 0.9, 0.0), (Truth.PER_SYMBOL, 0.0, 0.0)],
)
def test_symbols_share_what_they_are_set_to_share(truth, same, other):
    """With nothing in common but by the truth: symbols 0 and 2 are of one cluster, 0 and 1 are not."""
    terms = SyntheticTerms(truth=truth, symbols=4, clusters=2, rows=4000, strength=1.5, heterogeneity=1.0)
    made = synthetic(terms)
    own = [slopes(made, made.dataset.symbol == symbol) for symbol in range(3)]
    assert own[0] @ own[2] == pytest.approx(same, abs=0.6 if same == 0 else 0.1)
    assert own[0] @ own[1] == pytest.approx(other, abs=0.6 if other == 0 else 0.1)


def test_noise_has_nothing_in_it():
    made = synthetic(SyntheticTerms(truth=Truth.NOISE))
    assert set(made.chance) == {0.5}


def test_clusters_differ_in_volatility():
    made = synthetic(SyntheticTerms(truth=Truth.CLUSTERED, clusters=2, symbols=4))
    risk = [np.median(made.dataset.risk[made.dataset.symbol == symbol]) for symbol in range(4)]
    assert risk[1] / risk[0] == pytest.approx(2.0, rel=0.05)
    assert risk[2] / risk[0] == pytest.approx(1.0, rel=0.05)


def test_the_strength_sets_how_much_can_be_known():
    made = synthetic(SyntheticTerms(truth=Truth.SHARED, rows=2000, strength=0.4))
    assert roc_auc_score(made.dataset.win, made.chance) == pytest.approx(0.61, abs=0.01)


@pytest.mark.parametrize(
    "change", [{"symbols": 0}, {"rows": 25, "days": 1}, {"heterogeneity": 1.1}, {"strength": -0.1}]
)
def test_terms_that_make_no_dataset_are_refused(change):
    with pytest.raises(BadInput):
        SyntheticTerms(truth=Truth.SHARED, **change)


def test_random_walks_have_the_correlation_asked_for_and_no_future():
    dataset = random_walks(RandomWalkTerms(symbols=2, every=1, correlation=0.9))
    last_bars = dataset.features[:, 0].reshape(-1, 2)
    assert np.corrcoef(last_bars.T)[0, 1] == pytest.approx(0.9, abs=0.03)
    made = [random_walks(RandomWalkTerms(seed=seed)) for seed in range(6)]
    told = [[roc_auc_score(each.win, column) for column in each.features.T] for each in made]
    np.testing.assert_allclose(np.mean(told, axis=0), 0.5, atol=0.1)
    assert (dataset.end_ms - dataset.close_ms == 48 * 3_600_000).all()
