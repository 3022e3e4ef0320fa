"""Unseen symbols are unseen in symbol and time; symbols that come and go are traded while they are there."""

import numpy as np
import pytest

from livebot.core.market import DAY_MS
from livebot.errors import BadInput
from livebot.research.folds import WalkTerms, audit, walk_forward
from livebot.research.held_out import staggered_listings, turnover_folds, unseen_folds
from tests.research.rows import START_MS, dataset_of, day_ms

TERMS = WalkTerms(train_ms=10 * DAY_MS, test_ms=5 * DAY_MS, step_ms=5 * DAY_MS, embargo_ms=0)


def daily(days: int = 30, symbols: str = "ABCD"):
    return dataset_of([(symbol, day + 0.25, day + 0.5, 0.01) for day in range(days) for symbol in symbols])


def test_what_is_held_out_is_in_the_test_alone():
    dataset = daily()
    folds = walk_forward(dataset, TERMS)
    for fold, whole in zip(unseen_folds(dataset, folds, ["D", "B"]), folds, strict=True):
        audit(dataset, fold)
        assert set(dataset.symbol_names[fold.train]) == {"A", "C"}
        assert set(dataset.symbol_names[fold.test]) == {"B", "D"}
        assert fold.held_out == ("B", "D")
        assert len(fold.train) == len(whole.train) // 2
        assert dataset.end_ms[fold.train].max() <= fold.test_spans[0][0]  # and in time


@pytest.mark.parametrize("unseen", [[], ["Z"], ["A", "B", "C", "D"]])
def test_symbols_that_cannot_be_held_out_are_refused(unseen):
    dataset = daily()
    with pytest.raises(BadInput, match=r"hold out|held out"):
        unseen_folds(dataset, walk_forward(dataset, TERMS), unseen)


def test_rows_count_while_their_symbol_is_listed():
    dataset = daily()
    folds = walk_forward(dataset, TERMS)
    moved = turnover_folds(dataset, folds, {"A": (day_ms(12), day_ms(100)), "B": (START_MS, day_ms(12))})
    assert "A" not in dataset.symbol_names[moved[0].train]
    tested = dataset.symbol_names[moved[0].test].tolist()
    assert (tested.count("A"), tested.count("B"), tested.count("C")) == (3, 2, 5)
    assert "B" not in dataset.symbol_names[moved[1].test]
    assert "B" in dataset.symbol_names[moved[1].train]  # those that are gone belong to history too
    for fold in moved:
        audit(dataset, fold)


def test_some_join_and_as_many_leave():
    span = (START_MS, day_ms(100))
    listed = staggered_listings("ABCDEFGHIJ", span, share=0.3, seed=2)
    joining = [times for times in listed.values() if times[0] > span[0]]
    leaving = [times for times in listed.values() if times[1] < span[1]]
    assert (len(joining), len(leaving), len(listed)) == (3, 3, 6)
    moves = np.array([times[0] for times in joining] + [times[1] for times in leaving])
    assert (moves % DAY_MS == 0).all()
    assert (moves >= day_ms(19)).all() and (moves <= day_ms(80)).all()
    assert listed == staggered_listings("JIHGFEDCBA", span, share=0.3, seed=2)
    assert len(staggered_listings("ABC", span, share=0.0, seed=2)) == 2
    assert len(staggered_listings("ABCDE", span, share=1.0, seed=2)) == 4
    with pytest.raises(BadInput, match="make no turnover"):
        staggered_listings("AB", span, share=0.5, seed=2)
