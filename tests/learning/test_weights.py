"""What each row counts: rows that live at the same time share, symbols are balanced, the average is 1."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.learning.spec import SymbolBalance
from livebot.learning.weights import effective_count, uniqueness, weighted
from tests.learning.rows import dataset_of

LIVES = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12), st.integers(0, 2)), min_size=1, max_size=25)


def rows(*lives: tuple[int, int, int]):
    """Each is when it begins, how long it lives, and the code of its symbol."""
    lives = tuple(sorted(lives))
    return dataset_of(
        symbol=[code for _, _, code in lives],
        close_ms=[begin for begin, _, _ in lives],
        end_ms=[begin + life for begin, life, _ in lives],
    )


def by_counting(dataset, *, across: bool) -> list[float]:
    """As the book has it: at each bar of a life, one over how many are alive; the mean of these."""
    means = []
    for place in range(len(dataset)):
        same = np.ones(len(dataset), bool) if across else dataset.symbol == dataset.symbol[place]
        shares = []
        for bar in range(dataset.close_ms[place], dataset.end_ms[place]):
            shares.append(1 / np.count_nonzero(same & (dataset.close_ms <= bar) & (bar < dataset.end_ms)))
        means.append(sum(shares) / len(shares))
    return means


@given(lives=LIVES, across=st.booleans())
def test_uniqueness_is_that_of_the_book(lives, across) -> None:
    dataset = rows(*lives)
    found = uniqueness(dataset, across_symbols=across)
    assert found == pytest.approx(by_counting(dataset, across=across), rel=1e-12)
    assert ((found > 0) & (found <= 1)).all()
    assert effective_count(dataset, across_symbols=across) == pytest.approx(found.sum())


def test_who_is_alone_counts_whole_and_two_of_the_same_time_share() -> None:
    apart = rows((0, 5, 0), (5, 5, 0), (20, 1, 1))
    assert uniqueness(apart).tolist() == [1.0, 1.0, 1.0]
    together = rows((0, 5, 0), (0, 5, 1))
    assert uniqueness(together).tolist() == [0.5, 0.5]
    assert uniqueness(together, across_symbols=False).tolist() == [1.0, 1.0]
    assert effective_count(together) == 1.0


def test_times_as_they_are_lose_nothing() -> None:
    """Milliseconds of years, where a sum of all before is long."""
    dataset = rows(*((1_700_000_000_000 + 3_600_000 * hour, 7_200_000, hour % 3) for hour in range(20_000)))
    inner = uniqueness(dataset)[1:-1]
    assert inner == pytest.approx(np.full(19_998, 0.5), rel=1e-9)


@pytest.mark.parametrize(
    ("balance", "share"), [(SymbolBalance.EQUAL, 1.0), (SymbolBalance.SQUARE_ROOT, 3.0), (SymbolBalance.NONE, 9.0)]
)
def test_symbols_are_balanced_by_what_their_rows_are_worth(balance, share) -> None:
    """Nine rows of one symbol against one of another; a symbol without rows changes nothing."""
    dataset = rows(*((10 * place, 5, 0) for place in range(9)), (200, 5, 2))
    weight = weighted(dataset, balance).weight
    assert weight.mean() == pytest.approx(1.0)
    assert weight[:9].sum() / weight[9] == pytest.approx(share)
    assert len(set(weight[:9])) == 1


def test_the_weight_is_uniqueness_and_one_on_average() -> None:
    dataset = rows((0, 10, 0), (0, 10, 0), (30, 10, 0), (50, 10, 1))
    assert weighted(dataset).weight == pytest.approx(np.array([0.5, 0.5, 1, 1]) * 4 / 3)


def test_a_part_of_the_rows_is_weighted_by_what_it_holds() -> None:
    """Who trains on a fold asks again: the rows that are not there share nothing any more."""
    dataset = rows((0, 10, 0), (0, 10, 1), (30, 10, 0))
    assert weighted(dataset.rows(np.array([0, 2]))).weight.tolist() == [1.0, 1.0]


def test_no_rows_have_no_weight() -> None:
    nothing = rows((0, 1, 0)).rows(np.zeros(1, bool))
    assert len(weighted(nothing, SymbolBalance.EQUAL).weight) == 0
    assert effective_count(nothing) == 0.0
