"""What a histogram is drawn from."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from livebot.core.distribution import Distribution


def test_nothing_was_added():
    empty = Distribution((1.0, 2.0))
    assert (empty.cumulative, empty.total) == ((0, 0, 0), 0.0)


def test_a_value_on_a_bound_is_within_it():
    """As Prometheus has it: `le` is less or equal."""
    made = Distribution((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        made.add(value)
    assert made.cumulative == (2, 4, 5)
    assert made.total == 7.5


@given(st.lists(st.floats(0, 100)), st.lists(st.floats(0, 100), unique=True, max_size=10))
def test_each_bound_counts_what_is_not_above_it(values, bounds):
    made = Distribution(sorted(bounds))
    for value in values:
        made.add(value)
    expected = [sum(value <= bound for value in values) for bound in sorted(bounds)]
    assert made.cumulative == (*expected, len(values))
    assert all(before <= after for before, after in pairwise(made.cumulative))
