"""Which rows a fold trains on and which it tests: walk-forward folds, and the audit that every kind of fold must pass.

Combinatorial purged folds are in `combinatorial.py`, unseen symbols and symbol turnover in `held_out.py`; all give the same
`Fold`.  Rules of this file: a fold is index sets into one Dataset and never copies it; purging goes by the times at which
outcomes were known, over all symbols, never by row counts; the audit shares no arithmetic with what it audits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from livebot.core.market import DAY_MS
from livebot.core.series import Times
from livebot.errors import BadInput
from livebot.learning.dataset import Dataset, Mask

Rows = npt.NDArray[np.intp]
Span = tuple[int, int]  # first UTC ms, and the first after it


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkTerms:
    """Lengths of a walk-forward fold in ms; windows begin at UTC midnights.

    `embargo_ms` is how long before a test window the last outcome of a train row must have been known.
    """

    train_ms: int = 180 * DAY_MS
    test_ms: int = 30 * DAY_MS
    step_ms: int = 30 * DAY_MS
    embargo_ms: int = DAY_MS

    def __post_init__(self) -> None:
        """Raise BadInput for lengths that make no folds."""
        if min(self.train_ms, self.test_ms, self.step_ms) < DAY_MS or self.embargo_ms < 0:
            raise BadInput("a fold's train, test and step must be at least one day, its embargo not below 0")
        if self.step_ms < self.test_ms:
            raise BadInput("the step of the folds is below the length of a test: days would be tested twice; raise it")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """Rows to train on and rows to test, as rising indices into a Dataset.

    `test_spans` are the times from which test rows may come (close_ms in [first, stop)), in order and apart; every kind of
    fold names them, also where a span has no row.  `held_out` are symbols kept out of the train rows on purpose; `purged`
    says how many rows were left out because their outcomes were not known early enough, or too soon after a test.
    """

    name: str
    train: Rows
    test: Rows
    test_spans: tuple[Span, ...]
    embargo_ms: int
    held_out: tuple[str, ...] = ()
    purged: int = 0


def walk_forward(
    dataset: Dataset, terms: WalkTerms, from_ms: int | None = None, to_ms: int | None = None
) -> tuple[Fold, ...]:
    """The folds as a model would be deployed: train on the last so many days, test on the next, step on.

    `from_ms` and `to_ms` say which time there was data for (default: that of the rows); whole test windows only, so up
    to one step at the end is not tested.  A train row closed within `train_ms` before the test and its outcome was known
    `embargo_ms` before it.  A fold may have no rows to train on or to test, who uses it decides what that means.  Names are
    the first days tested, `2025-03-01`.

    Raises:
        BadInput: there is no time for a single fold.

    """
    first, stop = _whole_days(dataset, from_ms, to_ms)
    starts = range(first + terms.train_ms, stop - terms.test_ms + 1, terms.step_ms)
    if not len(dataset) or not starts:
        raise BadInput(
            f"{len(dataset)} rows over {max(0, stop - first) // DAY_MS} days make no fold of {terms.train_ms // DAY_MS} days "
            f"to train and {terms.test_ms // DAY_MS} to test; give more history, or shorter lengths"
        )
    return tuple(_walk_fold(dataset, terms, start) for start in starts)


def _whole_days(dataset: Dataset, from_ms: int | None, to_ms: int | None) -> Span:
    if from_ms is None:
        from_ms = int(dataset.close_ms[0]) if len(dataset) else 0
    if to_ms is None:
        to_ms = -(-(int(dataset.close_ms[-1]) + 1) // DAY_MS) * DAY_MS if len(dataset) else 0
    return from_ms // DAY_MS * DAY_MS, to_ms


def _walk_fold(dataset: Dataset, terms: WalkTerms, start_ms: int) -> Fold:
    closed = dataset.close_ms
    window = (closed >= start_ms - terms.train_ms) & (closed < start_ms)
    known = dataset.end_ms <= start_ms - terms.embargo_ms
    span = (start_ms, start_ms + terms.test_ms)
    return Fold(
        name=day_name(start_ms),
        train=np.flatnonzero(window & known),
        test=np.flatnonzero((closed >= span[0]) & (closed < span[1])),
        test_spans=(span,),
        embargo_ms=terms.embargo_ms,
        purged=int(np.count_nonzero(window & ~known)),
    )


def day_name(ts_ms: int) -> str:
    """The UTC day of this time, as `2025-03-01`."""
    return str(np.datetime64(ts_ms, "ms").astype("datetime64[D]"))


def tested_span(folds: Sequence[Fold]) -> Span:
    """From the first moment that any of these folds tests to the first after the last."""
    spans = [span for fold in folds for span in fold.test_spans]
    return min(first for first, _ in spans), max(stop for _, stop in spans)


def audit(dataset: Dataset, fold: Fold) -> None:
    """Hold a fold to what makes its test a test.

    No train row's [close_ms, end_ms) overlaps a test span or the [close_ms, end_ms) of any test row of any symbol; none
    closes within the embargo after the last outcome of a test span; where training comes first, its outcomes are known an
    embargo before the test; no row is both; test rows come from the spans; a held-out symbol is in no train row, and the
    only ones tested.

    Raises:
        BadInput: naming the fold, the fault and the first row with it.

    """
    train, test = fold.train, fold.test
    _audit_indices(dataset, fold)
    closed = dataset.close_ms[test]
    inside = np.zeros(len(test), dtype=np.bool_)
    for first, stop in fold.test_spans:
        inside |= (closed >= first) & (closed < stop)
    _refuse(fold, test, ~inside, "is tested outside of the fold's test spans")
    names = dataset.symbol_names
    if fold.held_out:
        _refuse(fold, train, np.isin(names[train], fold.held_out), "is trained on, though its symbol is held out")
        _refuse(
            fold, test, ~np.isin(names[test], fold.held_out), "is tested, though its symbol is not among those held out"
        )
    starts, stops = _forbidden(dataset, fold)
    _refuse(
        fold,
        train,
        _overlaps(dataset.close_ms[train], dataset.end_ms[train], starts, stops),
        "is trained on, though the time until its outcome overlaps the test or its embargo",
    )


def _audit_indices(dataset: Dataset, fold: Fold) -> None:
    for rows, name in ((fold.train, "train"), (fold.test, "test")):
        if len(rows) and (rows[0] < 0 or rows[-1] >= len(dataset) or (np.diff(rows) <= 0).any()):
            raise BadInput(f"fold {fold.name}: its {name} rows are not rising indices into {len(dataset)} rows")
    _refuse(fold, fold.train, np.isin(fold.train, fold.test), "is trained on and tested")


def _forbidden(dataset: Dataset, fold: Fold) -> tuple[Times, Times]:
    """Intervals in which no train row may live, sorted and apart, each of shape (intervals,).

    The embargo stands before each test span and after the last outcome that came of it.
    """
    closed, ended = dataset.close_ms[fold.test], dataset.end_ms[fold.test]
    intervals = [(int(a), int(b)) for a, b in zip(closed, ended, strict=True)]
    for first, stop in fold.test_spans:
        own = ended[(closed >= first) & (closed < stop)]
        last = max(int(own.max()), stop) if len(own) else stop
        intervals.append((first - fold.embargo_ms, last + fold.embargo_ms))
    merged: list[list[int]] = []
    for first, stop in sorted(intervals):
        if merged and first <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], stop)
        else:
            merged.append([first, stop])
    piled = np.array(merged, dtype=np.int64).reshape(-1, 2)
    return piled[:, 0], piled[:, 1]


def _overlaps(first: Times, stop: Times, starts: Times, stops: Times) -> Mask:
    """Whether each [first, stop) meets any of the intervals [starts, stops), which are sorted and apart."""
    after = np.searchsorted(stops, first, side="right")  # the first interval that ends after `first`
    reached = np.append(starts, np.iinfo(np.int64).max)[after]
    hit: Mask = reached < stop
    return hit


def _refuse(fold: Fold, rows: Rows, bad: Mask, why: str) -> None:
    if bad.any():
        raise BadInput(
            f"fold {fold.name}: {int(np.count_nonzero(bad))} rows are wrong; row {int(rows[np.argmax(bad)])} {why}"
        )
