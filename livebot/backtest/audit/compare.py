"""Two runs of one plan, of which one knows another future, held against each other up to the moment at which they part.

Rules of this file: values are the same or they are not, there is no tolerance; of what differs the earliest is told.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import TypeVar

import numpy as np

from livebot.backtest.audit.watch import Columns, Pair, Watched
from livebot.core.facts import (
    EntryCancelled,
    Fact,
    OrderFailed,
    PositionIncreased,
    PositionReduced,
    RemainderGone,
    RemainderKept,
    RemainderTaken,
    SignalClosed,
    SignalOpened,
)
from livebot.ports import Decision

_OF_FILLS = (
    EntryCancelled,
    OrderFailed,
    PositionIncreased,
    PositionReduced,
    RemainderGone,
    RemainderKept,
    RemainderTaken,
    SignalClosed,
    SignalOpened,
)
_NOTHING = "nothing"

Item = TypeVar("Item", Fact, Decision)


class Kind(Enum):
    """What changes.  A failure: the strategy cannot be asked at all without the future."""

    FEATURE = "feature"
    DECISION = "decision"
    VERDICT = "verdict"
    FACT = "fact"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Peek:
    """At `ts_ms` (UTC) `name` (a feature, `decide`, `manage`, an outcome or a kind of fact) was `before` and becomes `after`."""

    kind: Kind
    strategy: str
    symbol: str
    ts_ms: int
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """All that a run did."""

    watched: Watched
    facts: tuple[Fact, ...]
    verdicts: tuple[Decision, ...]
    columns: Mapping[Pair, Columns]


def peeks_of(whole: Seen, other: Seen, moment_ms: int, *, after_open: bool) -> tuple[Peek, ...]:
    """What differs up to the moment: of each feature, answer, verdict and sequence of facts the first.

    `after_open`: both know the open of the candle that begins with the moment, at which orders of its close fill.
    """
    return (
        *_features(whole, other, moment_ms),
        *_answers(whole, other, moment_ms),
        *_verdicts(whole, other, moment_ms),
        *_facts(whole, other, moment_ms, after_open=after_open),
    )


def _features(whole: Seen, other: Seen, moment_ms: int) -> Iterator[Peek]:
    for (strategy, symbol), columns in sorted(other.columns.items()):
        before = whole.columns[strategy, symbol]
        rows = int(np.searchsorted(columns.close_ms, moment_ms, side="right"))
        for name, values in columns.values.items():
            ours, theirs = before.values[name][:rows], values[:rows]
            changed = np.flatnonzero((ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs)))
            if len(changed):
                at = int(changed[0])
                texts = repr(float(ours[at])), repr(float(theirs[at]))
                yield Peek(Kind.FEATURE, strategy, symbol, int(columns.close_ms[at]), name, *texts)


def _answers(whole: Seen, other: Seen, moment_ms: int) -> Iterator[Peek]:
    """Of closes that both were asked about: which those are depends on what had been decided before."""
    for question in sorted(whole.watched.asked.keys() & other.watched.asked.keys()):
        ours, theirs = whole.watched.answers.get(question, {}), other.watched.answers.get(question, {})
        differing = sorted(at for at in {*ours, *theirs} if at <= moment_ms and ours.get(at) != theirs.get(at))
        both = np.isin(differing, whole.watched.asked[question]) & np.isin(differing, other.watched.asked[question])
        if both.any():
            at, (strategy, symbol, method) = differing[int(np.argmax(both))], question
            texts = ours.get(at, _NOTHING), theirs.get(at, _NOTHING)
            yield Peek(Kind.DECISION, strategy, symbol, at, method, *texts)


def _verdicts(whole: Seen, other: Seen, moment_ms: int) -> Iterator[Peek]:
    ours = _by_pair([each for each in whole.verdicts if each.ts_ms <= moment_ms])
    theirs = _by_pair([each for each in other.verdicts if each.ts_ms <= moment_ms])
    yield from _first_differences(Kind.VERDICT, ours, theirs, lambda each: each.outcome)


def _facts(whole: Seen, other: Seen, moment_ms: int, *, after_open: bool) -> Iterator[Peek]:
    ours = _by_pair([each for each in whole.facts if each.ts_ms <= moment_ms])
    theirs = _by_pair([each for each in other.facts if each.ts_ms <= moment_ms])
    if not after_open:
        ours = {pair: _before_fills(facts, moment_ms) for pair, facts in ours.items()}
        theirs = {pair: _before_fills(facts, moment_ms) for pair, facts in theirs.items()}
    yield from _first_differences(Kind.FACT, ours, theirs, lambda each: type(each).__name__)


def _before_fills(facts: Sequence[Fact], moment_ms: int) -> list[Fact]:
    """Without what may follow from the open at which orders of the last close fill."""
    for place, fact in enumerate(facts):
        if fact.ts_ms == moment_ms and isinstance(fact, _OF_FILLS):
            return list(facts[:place])
    return list(facts)


def _by_pair(items: Sequence[Item]) -> dict[Pair, list[Item]]:
    found: dict[Pair, list[Item]] = {}
    for item in items:
        found.setdefault((item.strategy, item.symbol), []).append(item)
    return found


def _first_differences(
    kind: Kind,
    ours: Mapping[Pair, Sequence[Item]],
    theirs: Mapping[Pair, Sequence[Item]],
    name_of: Callable[[Item], str],
) -> Iterator[Peek]:
    for pair in sorted({*ours, *theirs}):
        before, after = ours.get(pair, ()), theirs.get(pair, ())
        for place in range(max(len(before), len(after))):
            left = before[place] if place < len(before) else None
            right = after[place] if place < len(after) else None
            if left != right:
                known = left if left is not None else right
                assert known is not None  # one of them is there, or they were equal
                yield Peek(kind, *pair, known.ts_ms, name_of(known), *_texts(left, right))
                break


def _texts(left: Fact | Decision | None, right: Fact | Decision | None) -> tuple[str, str]:
    """Both, in the parts in which they differ."""
    if left is None or right is None or type(left) is not type(right):
        return (_NOTHING if left is None else str(left)), (_NOTHING if right is None else str(right))
    names = [each.name for each in fields(left) if getattr(left, each.name) != getattr(right, each.name)]
    before = ", ".join(f"{name} {getattr(left, name)}" for name in names)
    after = ", ".join(f"{name} {getattr(right, name)}" for name in names)
    return before, after
