"""Which symbols move together: returns on one grid, correlations against a plain reference, names, and who moved."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebot.core.clusters import (
    Closes,
    CorrelationRule,
    correlations,
    cut_of,
    moved,
    named_by,
    returns_of,
    status_of_clusters,
    unfit,
)
from livebot.core.market import Timeframe

HOUR_MS = 3_600_000
AT_MS = 1_767_225_600_000
RULE = CorrelationRule(timeframe=Timeframe.H1, candles=5, minimum_candles=2, threshold=0.6, every_ms=24 * HOUR_MS)


def closes(values: dict[int, float], off_ms: int = 0) -> Closes:
    """A close so many hours after the first one of the grid; 0 closes five hours before AT_MS, 5 at AT_MS."""
    places = sorted(values)
    times = [AT_MS - (6 - place) * HOUR_MS + off_ms for place in places]
    return Closes(ts_ms=np.array(times, dtype=np.int64), close=np.array([values[place] for place in places]))


def test_returns_are_those_between_closes_of_the_grid() -> None:
    found = returns_of(closes({place: math.exp(place**2) for place in range(6)}), RULE, AT_MS)
    assert found == pytest.approx([1, 3, 5, 7, 9])


def test_what_closes_later_or_earlier_or_off_the_grid_is_not_looked_at() -> None:
    whole = closes({place: math.exp(place**2) for place in range(-3, 9)})
    assert returns_of(whole, RULE, AT_MS) == pytest.approx([1, 3, 5, 7, 9])
    assert np.isnan(returns_of(closes(dict.fromkeys(range(6), 2.0), off_ms=60_000), RULE, AT_MS)).all()


def test_a_missing_close_takes_both_of_its_returns_and_nothing_is_carried_forward() -> None:
    found = returns_of(closes({0: 1.0, 1: math.e, 3: math.e, 4: math.e**2, 5: math.e**4}), RULE, AT_MS)
    assert found[[0, 3, 4]] == pytest.approx([1, 1, 2])
    assert np.isnan(found[[1, 2]]).all()


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_a_close_that_cannot_be_true_is_none(bad: float) -> None:
    found = returns_of(closes({0: 1.0, 1: bad, 2: 1.0, 3: 1.0, 4: 1.0, 5: 1.0}), RULE, AT_MS)
    assert np.isnan(found).tolist() == [True, True, False, False, False]


def test_too_few_returns_and_none_that_moves_are_said() -> None:
    assert unfit(np.array([0.1, np.nan, np.nan, np.nan, np.nan]), RULE) == "only 1 of its last 5 1h returns are known"
    assert unfit(np.zeros(5), RULE) == "its price did not move in the last 5 1h candles"
    assert unfit(np.array([0.1, 0.0, np.nan, np.nan, np.nan]), RULE) is None


def plain(one: np.ndarray, other: np.ndarray, minimum: int) -> float:
    """As in a textbook, value by value."""
    both = [(x, y) for x, y in zip(one.tolist(), other.tolist(), strict=True) if not (math.isnan(x) or math.isnan(y))]
    if len(both) < minimum:
        return 0.0
    mean_x, mean_y = (math.fsum(column) / len(both) for column in zip(*both, strict=True))
    xx = math.fsum((x - mean_x) ** 2 for x, _ in both)
    yy = math.fsum((y - mean_y) ** 2 for _, y in both)
    if xx < 1e-25 or yy < 1e-25:
        return 0.0
    return math.fsum((x - mean_x) * (y - mean_y) for x, y in both) / math.sqrt(xx * yy)


@pytest.mark.untraced
@given(
    st.integers(2, 7),
    st.integers(3, 40),
    st.floats(0, 0.6),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=150, deadline=None)
def test_correlations_are_those_of_a_plain_reference(count: int, columns: int, share: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    common = random.normal(0, 0.01, columns)
    returns = common * random.normal(0, 1, (count, 1)) + random.normal(0, 0.005, (count, columns)) + 0.001
    returns[random.random(returns.shape) < share] = np.nan
    found = correlations(returns, 3)
    assert (found == found.T).all()
    assert (np.diag(found) == 1).all()
    for one, other in combinations(range(count), 2):
        assert found[one, other] == pytest.approx(plain(returns[one], returns[other], 3), abs=2e-9)


def test_a_pair_that_has_little_in_common_or_does_not_move_in_it_does_not_correlate() -> None:
    nan = np.nan
    moving = [0.01, -0.02, 0.03, -0.01, 0.02, 0.04]
    apart = correlations(np.array([[*moving, nan, nan], [nan, nan, nan, nan, *moving[:4]]]), 3)
    assert apart[0, 1] == 0
    for seed in range(50):  # what is left of nothing differs from case to case
        random = np.random.default_rng(seed)
        one, other = np.zeros(40), random.normal(0, 0.01, 40)
        one[33:], other[33:] = random.normal(0, 0.3, 7), nan
        assert correlations(np.stack([one, other]), 3)[0, 1] == 0


def test_a_cluster_has_the_name_of_its_first_symbol_whatever_the_labels() -> None:
    assert named_by(["C", "A", "B", "D"], [7, 3, 7, 1]) == {"A": "A", "B": "B", "C": "B", "D": "D"}
    assert named_by(["A", "B", "C", "D"], [1, 9, 9, 2]) == {"A": "A", "B": "B", "C": "B", "D": "D"}


def test_a_correlation_of_exactly_the_threshold_joins() -> None:
    for threshold in (0.6, 0.7, 0.1, 0.45):
        rule = CorrelationRule(
            timeframe=Timeframe.H1, candles=5, minimum_candles=2, threshold=threshold, every_ms=HOUR_MS
        )
        assert 1 - round(threshold, 9) <= cut_of(rule) < 1 - round(threshold - 1e-9, 9)


def test_who_moved_is_who_is_no_longer_with_most_of_its_cluster() -> None:
    before = {"A": "A", "B": "A", "C": "A", "D": "D", "E": "D"}
    assert moved(before, before) == ()
    assert moved(before, {"A": "A", "B": "B", "C": "B", "D": "D", "E": "D"}) == ("A",)  # the rest is called B now
    assert moved(before, {"A": "A", "B": "A", "C": "C", "D": "C", "E": "C"}) == ("C",)
    assert moved(before, {"A": "A", "B": "B", "C": "C", "D": "D", "E": "D"}) == ("B", "C")
    assert moved(before, dict.fromkeys("ABCDE", "A")) == ("D", "E")
    assert moved({}, before) == ()
    assert moved({"A": "A", "B": "A"}, {"B": "B", "X": "X"}) == ()


def test_the_moment_is_the_newest_utc_multiple() -> None:
    assert RULE.moment(AT_MS) == AT_MS
    assert RULE.moment(AT_MS - 1) == AT_MS - 24 * HOUR_MS
    assert RULE.moment(AT_MS + 23 * HOUR_MS) == AT_MS


def test_a_status_names_the_largest_and_counts_the_rest() -> None:
    names = {
        f"{cluster}{place}": cluster
        for cluster, size in zip("abcdefgh", (2, 9, 3, 4, 5, 6, 1, 1), strict=True)
        for place in range(size)
    }
    status = status_of_clusters(names, at_ms=1, next_ms=2, unmeasured=1)
    assert status.largest == (("b", 9), ("f", 6), ("e", 5), ("d", 4), ("c", 3))
    assert (status.shared, status.alone, status.unmeasured, status.known) == (6, 2, 1, True)
