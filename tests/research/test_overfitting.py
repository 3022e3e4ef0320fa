"""The probability of overfitting: a half on noise, near none for a true winner, and equal to a count by hand."""

from itertools import combinations

import numpy as np
import pytest

from livebot.errors import BadInput
from livebot.research.overfitting import overfitting


def by_hand(returns: np.ndarray, blocks: int) -> np.ndarray:
    """Logits of all splits, split by split, as the paper tells it."""
    parts = np.array_split(returns, blocks)
    logits = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[block] for block in chosen])
        outside = np.concatenate([parts[block] for block in range(blocks) if block not in chosen])
        shown, held = inside.mean(axis=0) / inside.std(axis=0), outside.mean(axis=0) / outside.std(axis=0)
        best = int(np.argmax(shown))
        rank = 1 + np.count_nonzero(held < held[best])
        share = rank / (returns.shape[1] + 1)
        logits.append(np.log(share / (1 - share)))
    return np.array(logits)


def test_it_equals_the_paper_told_step_by_step():
    returns = np.random.default_rng(5).normal(size=(240, 7))
    found = overfitting(returns, 6)
    expected = by_hand(returns, 6)
    np.testing.assert_allclose(found.logits, expected)
    assert found.probability == np.mean(expected <= 0)


def test_it_agrees_with_an_independent_library():
    """What purgedcv 0.1.11 gave for this; it does not count ties with the median (here 11 in a hundred), we do."""
    returns = np.random.default_rng(5).normal(size=(240, 7)) * np.linspace(0.5, 2, 7)
    found = overfitting(returns + np.array([0, 0.02, 0, 0.05, 0, 0, 0.1]))
    assert found.logits.sum() == pytest.approx(8966.616406956764)
    assert found.degradation == pytest.approx(-0.7577507290445683)
    assert np.mean(found.logits < 0) == pytest.approx(0.1501942501942502)
    assert found.probability == np.mean(found.logits <= 0)


def test_without_any_skill_it_is_about_a_half():
    random = np.random.default_rng(6)
    found = [overfitting(random.normal(size=(480, 10)), 10).probability for _ in range(60)]
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


def test_a_true_winner_has_almost_none():
    returns = np.random.default_rng(6).normal(size=(480, 10))
    returns[:, 3] += 0.3
    found = overfitting(returns)
    assert found.probability < 0.02
    assert found.loss < 0.02
    assert len(found.logits) == 12_870


def test_an_arm_that_is_good_in_one_half_only_is_overfitted():
    """Each arm wins in blocks of its own and loses in the others: the best inside is bad outside, always."""
    returns = np.random.default_rng(7).normal(size=(400, 2)) * 0.1
    returns[:200] += [1.0, -1.0]
    returns[200:] += [-1.0, 1.0]
    found = overfitting(returns, 2)
    assert found.probability == 1.0
    assert found.loss == 1.0


def test_days_that_do_not_fill_a_block_are_left_out_at_the_beginning():
    returns = np.random.default_rng(8).normal(size=(243, 4))
    np.testing.assert_allclose(overfitting(returns, 6).logits, overfitting(returns[3:], 6).logits)


def test_arms_that_never_move_rank_as_nothing():
    returns = np.column_stack((np.zeros(100), np.random.default_rng(9).normal(size=100) + 0.5))
    assert overfitting(returns, 4).probability == 0.0
    still = overfitting(np.zeros((100, 3)), 4)
    assert (still.degradation, still.loss) == (0.0, 0.0)


@pytest.mark.parametrize(("shape", "blocks"), [((100, 1), 4), ((100, 3), 5), ((15, 3), 4), ((100, 3), 0)])
def test_what_cannot_be_split_is_refused(shape, blocks):
    with pytest.raises(BadInput, match="cannot be split"):
        overfitting(np.zeros(shape), blocks)
