"""Combinatorial purged cross-validation: the same history tested along many paths, to see how much one path was luck.

M. Lopez de Prado, "Advances in Financial Machine Learning" (2018), chapters 7 and 12.
Rules of this file: groups are cut at UTC midnights and never by symbol, so that all symbols of a moment are on the same side;
a train row may come after a test, so that the embargo stands on both sides of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from livebot.core.market import DAY_MS
from livebot.core.series import Floats, Times
from livebot.errors import BadInput
from livebot.learning.dataset import Dataset
from livebot.research.folds import Fold, Rows, Span


@dataclass(frozen=True, slots=True, kw_only=True)
class CombinatorialTerms:
    """So many groups of time, of which each choice of `tested` is tested by a model trained on the others."""

    groups: int = 6
    tested: int = 2
    embargo_ms: int = DAY_MS

    def __post_init__(self) -> None:
        """Raise BadInput for numbers that make no folds."""
        if not 1 <= self.tested < self.groups or self.embargo_ms < 0:
            raise BadInput(
                f"{self.tested} of {self.groups} groups cannot be tested: at least 1 and fewer than all; the embargo is not below 0"
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Combinatorial:
    """All folds, and the paths through them.

    `edges` (groups + 1,) are UTC midnights: group g has the rows with close_ms in [edges[g], edges[g + 1]).  `paths` has
    one row a path: `paths[p][g]` is the index into `folds` of the fold whose test covers group g on that path.
    """

    folds: tuple[Fold, ...]
    edges: Times
    paths: tuple[tuple[int, ...], ...]


def combinatorial(dataset: Dataset, terms: CombinatorialTerms) -> Combinatorial:
    """Purged and embargoed folds of every choice of groups; their names are those of the groups, `0+3`.

    Groups have about the same number of rows.  There are (groups choose tested) folds and (groups - 1 choose tested - 1)
    paths.

    Raises:
        BadInput: there are not enough days with rows for so many groups.

    """
    edges = _edges(dataset, terms.groups)
    chosen = tuple(combinations(range(terms.groups), terms.tested))
    folds = tuple(_fold(dataset, edges, groups, terms.embargo_ms) for groups in chosen)
    covering = [[index for index, groups in enumerate(chosen) if group in groups] for group in range(terms.groups)]
    return Combinatorial(folds=folds, edges=edges, paths=tuple(zip(*covering, strict=True)))


def _edges(dataset: Dataset, groups: int) -> Times:
    days = dataset.close_ms // DAY_MS
    cuts = [int(days[len(days) * group // groups]) for group in range(1, groups)] if len(days) else []
    edges = [int(days[0]), *cuts, int(days[-1]) + 1] if cuts else []
    if len(edges) != groups + 1 or any(first >= stop for first, stop in pairwise(edges)):
        raise BadInput(
            f"{len(dataset)} rows are too few, or of too few days, for {groups} groups; give more history or fewer groups"
        )
    return np.array(edges, dtype=np.int64) * DAY_MS


def _fold(dataset: Dataset, edges: Times, groups: Sequence[int], embargo_ms: int) -> Fold:
    spans = tuple((int(edges[group]), int(edges[group + 1])) for group in groups)
    tested = np.zeros(len(dataset), dtype=np.bool_)
    barred = np.zeros(len(dataset), dtype=np.bool_)
    for span in spans:
        inside = (dataset.close_ms >= span[0]) & (dataset.close_ms < span[1])
        tested |= inside
        last = max(span[1], int(dataset.end_ms[inside].max()))
        barred |= (dataset.close_ms < last + embargo_ms) & (dataset.end_ms > span[0] - embargo_ms)
    return Fold(
        name="+".join(str(group) for group in groups),
        train=np.flatnonzero(~tested & ~barred),
        test=np.flatnonzero(tested),
        test_spans=spans,
        embargo_ms=embargo_ms,
        purged=int(np.count_nonzero(barred & ~tested)),
    )


def path_confidences(dataset: Dataset, plan: Combinatorial, by_fold: Sequence[Floats]) -> Floats:
    """The confidences along each path, of shape (paths, n): every row is tested once a path.

    `by_fold[f]` are those that the model of fold f gave for the rows of `plan.folds[f].test`, in that order.
    """
    values = np.full((len(plan.paths), len(dataset)), np.nan)
    for path, by_group in enumerate(plan.paths):
        for group, index in enumerate(by_group):
            rows, chosen = _rows_of_group(dataset, plan, index, (int(plan.edges[group]), int(plan.edges[group + 1])))
            values[path, rows] = by_fold[index][chosen]
    return values


def _rows_of_group(dataset: Dataset, plan: Combinatorial, index: int, span: Span) -> tuple[Rows, Rows]:
    """Rows of a fold's test that lie in this span, and their places among the rows of that test."""
    test = plan.folds[index].test
    closed = dataset.close_ms[test]
    chosen = np.flatnonzero((closed >= span[0]) & (closed < span[1]))
    return test[chosen], chosen
