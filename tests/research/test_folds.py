"""Folds never train on what overlaps their test, and the audit catches each way in which one could."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.market import DAY_MS
from livebot.errors import BadInput
from livebot.research.folds import WalkTerms, audit, day_name, walk_forward
from livebot.research.folds import tested_span as span_of
from tests.research.rows import HOUR_MS, START_MS, dataset_of, day_ms

SHORT = WalkTerms(train_ms=10 * DAY_MS, test_ms=5 * DAY_MS, step_ms=5 * DAY_MS, embargo_ms=DAY_MS)


def daily(days: int, life: float = 0.5, symbols: tuple[str, ...] = ("A", "B")):
    return dataset_of([(symbol, day + 0.25, day + 0.25 + life, 0.01) for day in range(days) for symbol in symbols])


def test_the_usual_folds_train_180_days_test_30_and_step_30():
    folds = walk_forward(daily(730), WalkTerms())
    assert len(folds) == 18  # (730 - 180) / 30 and a bit that is not tested
    assert folds[0].name == "2024-06-29"
    trained = (folds[3].train.min() // 2, folds[3].train.max() // 2)  # days; on the last one outcomes came too late
    assert trained == (3 * 30, 3 * 30 + 178)
    assert folds[0].test_spans == ((day_ms(180), day_ms(210)),)
    assert span_of(folds) == (day_ms(180), day_ms(180 + 18 * 30))
    assert all(later.test_spans[0][0] == fold.test_spans[0][1] for fold, later in zip(folds, folds[1:], strict=False))


def test_rows_are_purged_by_when_their_outcome_was_known_of_every_symbol():
    long_lived = [("A", 7.5, 10.5, 0.01), ("B", 7.75, 8.9, 0.01), ("A", 8.0, 9.0, 0.01), ("B", 8.5, 9.0 + 1e-6, 0.01)]
    dataset = dataset_of([*long_lived, ("A", 10.0, 10.1, 0.01), ("B", 14.99, 16.0, 0.01), ("A", 15.0, 15.5, 0.01)])
    (fold,) = walk_forward(dataset, SHORT, START_MS, day_ms(15))
    assert fold.train.tolist() == [1, 2]  # known on day 9 at the latest: one day before the test
    assert fold.test.tolist() == [4, 5]
    assert fold.purged == 2
    audit(dataset, fold)


def test_folds_begin_at_midnight_and_only_whole_tests_count():
    dataset = daily(30)
    folds = walk_forward(dataset, SHORT, START_MS + 7 * HOUR_MS, day_ms(24.9))
    assert [fold.test_spans[0] for fold in folds] == [(day_ms(10), day_ms(15)), (day_ms(15), day_ms(20))]
    assert [fold.name for fold in folds] == ["2024-01-11", "2024-01-16"]
    assert day_name(day_ms(31)) == "2024-02-01"


@pytest.mark.parametrize(("days", "rows"), [(14, 14), (0, 0)])
def test_too_little_time_for_one_fold_is_refused(days, rows):
    with pytest.raises(BadInput, match=f"{rows * 2} rows over {days} days make no fold"):
        walk_forward(daily(days), SHORT)


@pytest.mark.parametrize("change", [{"train_ms": 0}, {"embargo_ms": -1}, {"step_ms": DAY_MS}])
def test_lengths_that_make_no_folds_are_refused(change):
    with pytest.raises(BadInput):
        replace(SHORT, **change)


@given(
    lives=st.lists(st.tuples(st.sampled_from("ABC"), st.floats(0, 40), st.floats(0.01, 20)), min_size=1, max_size=60),
    embargo=st.sampled_from([0, DAY_MS, 3 * DAY_MS]),
)
def test_no_train_row_overlaps_any_tested_one_whatever_the_rows(lives, embargo):
    dataset = dataset_of([(symbol, day, day + life, 0.01) for symbol, day, life in lives])
    folds = walk_forward(dataset, replace(SHORT, embargo_ms=embargo), START_MS, day_ms(41))
    for fold in folds:
        audit(dataset, fold)
        for row in fold.train:  # by hand, not by the audit
            assert dataset.end_ms[row] + embargo <= fold.test_spans[0][0]
    tested = np.concatenate([fold.test for fold in folds])
    assert len(np.unique(tested)) == len(tested)


# The audit, on a sound fold that is then spoiled


def sound():
    dataset = daily(30)
    return dataset, walk_forward(dataset, SHORT)[0]


def spoilt(what: str):
    dataset, fold = sound()
    first = int(fold.test[0])
    held = replace(fold, held_out=("A",), train=fold.train[dataset.symbol[fold.train] == 1])
    return {
        "both": replace(fold, train=np.append(fold.train, first)),
        "overlaps": replace(fold, train=np.append(fold.train, first - 1)),
        "later": replace(fold, train=np.append(fold.train, fold.test[-1] + 1)),
        "outside": replace(fold, test=np.append(fold.test, fold.test[-1] + 1)),
        "order": replace(fold, train=fold.train[::-1]),
        "negative": replace(fold, train=np.append(-1, fold.train)),
        "range": replace(fold, test=np.append(fold.test, len(dataset))),
        "held out": replace(fold, held_out=("A",)),
        "not held out": replace(held, test=fold.test),
    }[what]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("both", "is trained on and tested"),
        ("overlaps", "overlaps the test or its embargo"),
        ("later", "overlaps the test or its embargo"),
        ("outside", "tested outside of the fold's test spans"),
        ("order", "train rows are not rising"),
        ("negative", "train rows are not rising"),
        ("range", "test rows are not rising"),
        ("held out", "its symbol is held out"),
        ("not held out", "its symbol is not among those held out"),
    ],
)
def test_the_audit_refuses_a_fold_that_is_spoilt(what, said):
    dataset, fold = sound()
    audit(dataset, fold)
    with pytest.raises(BadInput, match=f"fold {fold.name}: .*{said}"):
        audit(dataset, spoilt(what))


def test_the_audit_sees_an_outcome_that_reaches_beyond_its_span():
    """A tested row of day 14 is known on day 18; a train row of day 16 lived at the same time."""
    dataset = dataset_of([("A", 1.0, 1.5, 0.01), ("A", 14.0, 18.0, 0.01), ("B", 16.0, 16.5, 0.01)])
    (fold,) = walk_forward(dataset, replace(SHORT, embargo_ms=0), START_MS, day_ms(15))
    audit(dataset, fold)
    with pytest.raises(BadInput, match=r"1 rows are wrong; row 2 is trained on, though the time until its outcome"):
        audit(dataset, replace(fold, train=np.array([0, 2])))


def test_the_embargo_begins_when_the_last_tested_outcome_is_known():
    """It is known on day 18 though its span ends on day 15; a train row of day 18.5 is within a day of it."""
    dataset = dataset_of(
        [("A", 1.0, 1.5, 0.01), ("A", 14.0, 18.0, 0.01), ("B", 18.5, 18.6, 0.01), ("B", 19.0, 19.5, 0.01)]
    )
    (fold,) = walk_forward(dataset, SHORT, START_MS, day_ms(15))
    audit(dataset, replace(fold, train=np.array([0, 3])))
    with pytest.raises(BadInput, match="overlaps the test or its embargo"):
        audit(dataset, replace(fold, train=np.array([0, 2])))


def test_the_audit_takes_a_fold_without_rows():
    dataset, fold = sound()
    none = np.empty(0, dtype=np.intp)
    audit(dataset, replace(fold, train=none, test=none))
