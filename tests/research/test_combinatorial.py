"""Combinatorial purged folds: every choice of groups, no overlap on either side, and each row once on every path."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.market import DAY_MS
from livebot.errors import BadInput
from livebot.research.combinatorial import CombinatorialTerms, combinatorial, path_confidences
from livebot.research.folds import audit
from tests.research.rows import dataset_of, day_ms


def daily(days: int, life: float = 2.5):
    return dataset_of([(symbol, day + 0.25, day + 0.25 + life, 0.01) for day in range(days) for symbol in "ABC"])


@pytest.mark.parametrize(("groups", "tested"), [(6, 2), (5, 1), (4, 3)])
def test_there_is_a_fold_a_choice_and_a_path_through_them(groups, tested):
    dataset = daily(60)
    plan = combinatorial(dataset, CombinatorialTerms(groups=groups, tested=tested))
    assert len(plan.folds) == comb(groups, tested)
    assert len(plan.paths) == comb(groups - 1, tested - 1)
    for fold in plan.folds:
        audit(dataset, fold)
        assert len(fold.train)
    for group in range(groups):  # each path tests the group by another fold, all of which test it
        used = [path[group] for path in plan.paths]
        assert len(set(used)) == len(used)
        assert all(str(group) in plan.folds[index].name.split("+") for index in used)


def test_train_rows_keep_away_from_both_sides_of_a_test():
    dataset = daily(60)
    plan = combinatorial(dataset, CombinatorialTerms(groups=6, tested=1, embargo_ms=DAY_MS))
    fold = plan.folds[2]
    assert fold.test_spans == ((day_ms(20), day_ms(30)),)
    train_days = (dataset.close_ms[fold.train] - day_ms(0)) // DAY_MS
    # before: closed at 16.25 it is known at 18.75, a day ahead; after: what was tested last is known at 31.75
    assert sorted(set(train_days.tolist())) == [*range(17), *range(33, 60)]
    assert fold.purged == 3 * (3 + 3)


def test_every_row_is_tested_once_on_each_path():
    dataset = daily(40)
    plan = combinatorial(dataset, CombinatorialTerms(groups=4, tested=2))
    said = [np.full(len(fold.test), float(index)) for index, fold in enumerate(plan.folds)]
    values = path_confidences(dataset, plan, said)
    assert values.shape == (3, len(dataset))
    assert np.isfinite(values).all()
    for path, by_group in enumerate(plan.paths):
        for group, index in enumerate(by_group):
            inside = (dataset.close_ms >= plan.edges[group]) & (dataset.close_ms < plan.edges[group + 1])
            assert set(values[path, inside]) == {float(index)}


@given(lives=st.lists(st.tuples(st.floats(0, 30), st.floats(0.01, 15)), min_size=12, max_size=60))
def test_no_fold_leaks_whatever_the_rows(lives):
    dataset = dataset_of([("AB"[place % 2], day, day + life, 0.01) for place, (day, life) in enumerate(lives)])
    try:
        plan = combinatorial(dataset, CombinatorialTerms(groups=3, tested=1, embargo_ms=0))
    except BadInput:
        return  # all on a day or two
    for fold in plan.folds:
        audit(dataset, fold)
        for row in fold.train:  # by hand
            overlap = (dataset.close_ms[row] < dataset.end_ms[fold.test]) & (
                dataset.close_ms[fold.test] < dataset.end_ms[row]
            )
            assert not overlap.any()


@pytest.mark.parametrize(("groups", "tested"), [(3, 0), (3, 3)])
def test_numbers_that_make_no_folds_are_refused(groups, tested):
    with pytest.raises(BadInput, match="groups cannot be tested"):
        CombinatorialTerms(groups=groups, tested=tested)


@pytest.mark.parametrize("days", [0, 1, 3])
def test_too_few_days_are_refused(days):
    with pytest.raises(BadInput, match="are too few"):
        combinatorial(daily(days), CombinatorialTerms(groups=6))
