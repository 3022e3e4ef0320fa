"""Joining tables and stretches of time, against the plainest models of both."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from livebot.core.market import MINUTE_MS
from livebot.history import spans
from livebot.history.table import CandleTable, empty_table, last_of_each, merge
from tests.history.builders import START_MS, changed, minutes_of, same, table

MINUTES = some.lists(some.integers(0, 12), max_size=12)
SPANS = some.lists(some.tuples(some.integers(0, 30), some.integers(0, 30)), max_size=6)


def as_rows(found: CandleTable) -> dict[int, tuple[float, ...]]:
    return {int(ts): tuple(found.values[:, index]) for index, ts in enumerate(found.ts_ms)}


@given(old=MINUTES, new=MINUTES, moved=some.sets(some.integers(0, 12)))
def test_merging_is_what_a_dict_does(old, new, moved):
    before = last_of_each(table(old))
    rows = [table([minute], shift=1.0 if minute in moved else 0.0) for minute in new]
    after = CandleTable(
        np.concatenate([each.ts_ms for each in rows] or [np.empty(0, dtype=np.int64)]),
        np.concatenate([each.values for each in rows] or [np.empty((5, 0))], axis=1),
    )
    merged = merge(before, after)
    known, told = as_rows(before), as_rows(after)
    wanted = known | told
    assert as_rows(merged.table) == wanted
    assert merged.table.ts_ms.tolist() == sorted(wanted)
    assert merged.added == len(told.keys() - known.keys())
    assert merged.replaced == sum(known[ts] != row for ts, row in told.items() if ts in known)
    assert merged.unchanged == sum(known[ts] == row for ts, row in told.items() if ts in known)


def test_the_last_of_several_rows_of_one_minute_wins():
    twice = CandleTable(
        np.array([START_MS, START_MS], dtype=np.int64),
        np.concatenate([table(1).values, table(1, shift=2.0).values], axis=1),
    )
    assert same(merge(empty_table(), twice).table, table(1, shift=2.0))


def test_a_merge_leaves_what_it_was_given_as_it_was():
    old, new = table(3), changed(table(3), 4, 1, 99.0)
    merged = merge(old, new)
    assert same(old, table(3))
    assert merged.table.values[4, 1] == 99.0
    assert (merged.added, merged.replaced, merged.unchanged) == (0, 1, 2)


def test_a_part_by_time():
    assert minutes_of(table(10).between(START_MS + MINUTE_MS, START_MS + 3 * MINUTE_MS)) == [1, 2]
    assert len(empty_table().between(0, 10**15)) == 0
    series = table(2).series()
    assert series.close[1] == table(2).values[3, 1]


def in_spans(found: tuple[spans.Span, ...]) -> set[int]:
    return {moment for begin, end in found for moment in range(begin, end)}


@given(SPANS)
def test_joined_spans_are_the_same_time_in_few_sorted_spans(given_spans):
    found = spans.joined(given_spans)
    assert in_spans(found) == in_spans(tuple(given_spans))
    assert all(one[1] < other[0] for one, other in zip(found, found[1:], strict=False))
    assert spans.length(found) == len(in_spans(found))


@given(some.tuples(some.integers(0, 30), some.integers(0, 30)), SPANS)
def test_what_is_left_of_a_span(span, taken):
    assert in_spans(spans.without(span, taken)) == in_spans((span,)) - in_spans(tuple(taken))


@given(SPANS, SPANS)
def test_the_difference_of_spans(chosen, taken):
    assert in_spans(spans.difference(chosen, taken)) == in_spans(tuple(chosen)) - in_spans(tuple(taken))


@given(some.sets(some.integers(0, 20)))
def test_present_and_missing_are_each_others_rest(minutes):
    times = np.array(sorted(minutes), dtype=np.int64) * 10
    assert {ts for begin, end in spans.present(times, 10) for ts in range(begin, end, 10)} == {m * 10 for m in minutes}
    missing = spans.missing(times, 10, (0, 210))
    assert {ts for begin, end in missing for ts in range(begin, end, 10)} == {m * 10 for m in set(range(21)) - minutes}
