"""The rule of the threshold, held against trying every one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.errors import BadInput
from livebot.learning.threshold import KEEP_ALL, MINIMUM_KEPT, best_threshold

ROWS = st.lists(
    st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), st.integers(-4, 4), st.sampled_from([0.5, 1.0, 2.0])),
    min_size=1,
    max_size=30,
)


@given(ROWS)
def test_it_is_the_best_of_all_that_keep_enough(drawn):
    confidence, gain, weight = (np.array(column, dtype=float) for column in zip(*drawn, strict=True))

    def kept(threshold):
        taken = confidence >= threshold
        return (gain * weight)[taken].sum(), taken.mean()

    threshold = best_threshold(confidence, gain, weight)
    ours, share = kept(threshold)
    allowed = [value for value in {KEEP_ALL, *confidence} if kept(value)[1] >= MINIMUM_KEPT]
    assert share >= MINIMUM_KEPT
    assert ours == max(kept(value)[0] for value in allowed)
    assert threshold <= min(value for value in allowed if kept(value)[0] == ours)


def test_when_nothing_beats_keeping_all_all_are_kept_even_those_less_sure_than_any_seen():
    assert KEEP_ALL == best_threshold(np.array([0.4, 0.5, 0.6]), np.ones(3), np.ones(3))
    assert KEEP_ALL == best_threshold(np.full(5, 0.5), -np.ones(5), np.ones(5))


def test_a_few_lucky_rows_are_not_enough():
    confidence, gain = np.linspace(0.1, 1, 10), np.array([-1.0] * 9 + [5.0])
    assert best_threshold(confidence, gain, np.ones(10)) == confidence[7]


def test_weights_count():
    confidence, gain = np.array([0.2, 0.4, 0.6, 0.8]), np.array([1.0, -2.0, 1.0, 1.0])
    assert best_threshold(confidence, gain, np.ones(4)) == 0.6
    assert KEEP_ALL == best_threshold(confidence, gain, np.array([5.0, 1.0, 1.0, 1.0]))


def test_of_equals_the_lowest():
    assert best_threshold(np.array([0.2, 0.4, 0.6, 0.8]), np.array([-1.0, 1.0, -1.0, 1.0]), np.ones(4)) == 0.4


def test_without_rows_there_is_none():
    with pytest.raises(BadInput, match="no rows"):
        best_threshold(np.empty(0), np.empty(0), np.empty(0))
