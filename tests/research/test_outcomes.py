"""Which rows are traded and what that makes of an account, against sums done by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.market import DAY_MS
from livebot.errors import BadInput
from livebot.research.outcomes import ALL, book, days_of, equal_fraction, matching_threshold, outcome, take
from tests.research.rows import START_MS, dataset_of, day_ms

ROWS = [
    ("A", 0.25, 1.5, 0.10),
    ("B", 0.50, 0.75, -0.02),
    ("A", 1.0, 3.0, 0.50),  # A is in a trade
    ("A", 1.5, 1.75, 0.40),  # and still, at the very moment its outcome was known
    ("A", 1.6, 2.5, -0.04),
    ("B", 2.0, 2.25, 0.06),
]


def every(dataset):
    return np.arange(len(dataset))


def test_a_symbol_has_one_trade_at_a_time():
    dataset = dataset_of(ROWS)
    taken = take(dataset, every(dataset), np.ones(6), ALL)
    assert taken.tolist() == [0, 1, 4, 5]


def test_a_row_that_is_not_taken_leaves_its_symbol_free():
    dataset = dataset_of(ROWS)
    confidences = np.array([0.5, 0.7, 0.6, 0.9, 0.9, 0.6])
    assert take(dataset, every(dataset), confidences, 0.6).tolist() == [1, 2, 5]


def test_a_confidence_at_the_threshold_is_enough_and_each_row_may_have_its_own():
    dataset = dataset_of(ROWS)
    confidences = np.full(6, 0.6)
    thresholds = np.array([0.7, 0.6, 0.7, 0.6, 0.6, 0.61])
    assert take(dataset, every(dataset), confidences, 0.6).tolist() == [0, 1, 4, 5]
    assert take(dataset, every(dataset), confidences, thresholds).tolist() == [1, 3]


def test_only_the_rows_given_are_traded():
    dataset = dataset_of(ROWS)
    assert take(dataset, np.array([2, 5]), np.array([1.0, 1.0]), ALL).tolist() == [2, 5]
    assert take(dataset, np.array([], dtype=np.intp), np.array([]), ALL).tolist() == []


@pytest.mark.parametrize(
    ("rows", "confidences", "threshold", "said"),
    [
        ([0, 1], [0.5], 0.5, "confidences of shape"),
        ([0, 1], [0.5, 0.5], [0.5], "thresholds of"),
        ([1, 0], [0.5, 0.5], 0.5, "do not rise"),
        ([0, 1], [0.5, np.nan], 0.5, "row 1 has no number"),
    ],
)
def test_what_fits_not_together_is_refused(rows, confidences, threshold, said):
    with pytest.raises(BadInput, match=said):
        take(dataset_of(ROWS), np.array(rows), np.array(confidences), np.asarray(threshold)[()])


def test_gains_are_booked_on_the_day_they_were_known():
    dataset = dataset_of(ROWS)
    done = outcome(dataset, every(dataset), np.ones(6), ALL, (START_MS, day_ms(3)))
    assert done.fraction == 0.5  # of two symbols
    # one of the rows is known at the beginning of the fourth day, so that all arms have four
    assert done.days.tolist() == [day_ms(0), day_ms(1), day_ms(2), day_ms(3)]
    np.testing.assert_allclose(done.returns, [-0.01, 0.05, 0.03 - 0.02, 0.0])
    np.testing.assert_allclose(done.equity.equity, [1, 0.99, 0.99 * 1.05, 0.99 * 1.05 * 1.01, 0.99 * 1.05 * 1.01])
    assert done.equity.ts_ms[-1] == day_ms(4)
    assert done.symbol.tolist() == ["A", "B", "A", "B"]


def test_double_costs_take_them_once_more_and_change_no_trade():
    dataset = dataset_of(ROWS, cost=0.002)
    once = outcome(dataset, every(dataset), np.ones(6), ALL, (START_MS, day_ms(3)))
    twice = outcome(dataset, every(dataset), np.ones(6), ALL, (START_MS, day_ms(3)), cost_multiple=2.0)
    np.testing.assert_allclose(twice.gain, once.gain - 0.002)
    assert twice.rows.tolist() == once.rows.tolist()
    np.testing.assert_allclose(once.returns.sum() - twice.returns.sum(), 4 * 0.5 * 0.002)


def test_days_are_those_of_all_rows_that_could_be_traded():
    dataset = dataset_of(ROWS)
    span = (START_MS, day_ms(2))
    few = outcome(dataset, every(dataset), np.array([1.0, 0, 0, 0, 0, 0]), 0.5, span)
    none = outcome(dataset, every(dataset), np.zeros(6), 0.5, span)
    assert few.days.tolist() == none.days.tolist()
    assert len(none) == 0
    assert none.returns.tolist() == [0.0] * 4
    assert days_of(dataset, np.array([], dtype=np.intp), span).tolist() == [day_ms(0), day_ms(1)]
    assert equal_fraction(dataset, np.array([], dtype=np.intp)) == 1.0


def test_what_cannot_be_booked_is_refused():
    dataset = dataset_of(ROWS)
    days = np.array([day_ms(0), day_ms(1)])
    for taken in ([0, 5], [4]):
        with pytest.raises(BadInput, match="outside of the days"):
            book(dataset, np.array(taken), days, 0.5)
    with pytest.raises(BadInput, match="outside of the days"):
        book(dataset, np.array([0]), days[:0], 0.5)
    with pytest.raises(BadInput, match="outside of the days"):
        book(dataset, np.array([1]), days[1:], 0.5)
    for fraction in (0.0, 1.1):
        with pytest.raises(BadInput, match="of the equity is not possible"):
            book(dataset, np.array([0]), days, fraction)


@given(
    lives=st.lists(
        st.tuples(st.sampled_from("ABC"), st.floats(0, 9), st.floats(0.01, 5), st.floats(0, 1)), min_size=1, max_size=40
    ),
    threshold=st.floats(0, 1),
)
def test_what_is_taken_is_what_a_slow_account_would_take(lives, threshold):
    dataset = dataset_of([(symbol, day, day + life, 0.01) for symbol, day, life, _ in lives])
    confidences = np.array([said for *_, said in lives])
    expected = []
    for row in range(len(dataset)):
        others = [other for other in expected if dataset.symbol[other] == dataset.symbol[row]]
        if confidences[row] >= threshold and all(dataset.end_ms[other] < dataset.close_ms[row] for other in others):
            expected.append(row)
    assert take(dataset, every(dataset), confidences, threshold).tolist() == expected


def test_the_threshold_for_a_number_of_trades():
    random = np.random.default_rng(3)
    dataset = dataset_of(
        [("AB"[hour % 2], hour / 24, hour / 24 + random.uniform(0.01, 0.3), 0.01) for hour in range(400)]
    )
    confidences = random.random(400)
    for wanted in (1, 25, 100):
        threshold = matching_threshold(dataset, every(dataset), confidences, wanted)
        assert abs(len(take(dataset, every(dataset), confidences, threshold)) - wanted) <= 1
    assert matching_threshold(dataset, every(dataset), confidences, 0) > confidences.max()
    everything = len(take(dataset, every(dataset), confidences, ALL))
    most = matching_threshold(dataset, every(dataset), confidences, 10**6)
    assert len(take(dataset, every(dataset), confidences, most)) >= everything
    assert (
        len(take(dataset, every(dataset), np.ones(400), matching_threshold(dataset, every(dataset), np.ones(400), 9)))
        == 0
    )


def test_a_day_of_an_outcome_is_that_of_utc():
    dataset = dataset_of([("A", 0.5, 1.0, 0.2), ("A", 1.5, 2.0 - 1 / DAY_MS, 0.1)])
    done = outcome(dataset, every(dataset), np.ones(2), ALL, (START_MS, day_ms(2)))
    np.testing.assert_allclose(done.returns, [0.0, 0.3])
