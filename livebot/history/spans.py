"""Stretches of time, half open in UTC milliseconds: joined, subtracted, and read off a column of opening times.

Rules of this file: pure; lists of spans are sorted and no two of them touch.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from livebot.core.series import Times

Span = tuple[int, int]  # from, to


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time in as few spans as possible, sorted; empty ones are left out."""
    found: list[Span] = []
    for begin, end in sorted(span for span in spans if span[0] < span[1]):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return tuple(found)


def difference(spans: Iterable[Span], taken: Iterable[Span]) -> tuple[Span, ...]:
    """What of `spans` is in none of `taken`."""
    left: list[Span] = []
    blocks, at = joined(taken), 0
    for span in joined(spans):
        begin, stop = span
        while at < len(blocks) and blocks[at][1] <= begin:
            at += 1
        for first, end in (blocks[index] for index in range(at, len(blocks))):
            if first >= stop:
                break
            if first > begin:
                left.append((begin, first))
            begin = max(begin, end)
        if begin < stop:
            left.append((begin, stop))
    return tuple(left)


def without(span: Span, taken: Iterable[Span]) -> tuple[Span, ...]:
    """What of `span` is in none of `taken`."""
    return difference((span,), taken)


def present(ts_ms: Times, step_ms: int) -> tuple[Span, ...]:
    """The spans in which candles of `step_ms` are there, one after the other; `ts_ms` is sorted, each once."""
    if not len(ts_ms):
        return ()
    breaks = np.flatnonzero(np.diff(ts_ms) != step_ms)
    begins = ts_ms[np.concatenate([[0], breaks + 1])]
    ends = ts_ms[np.concatenate([breaks, [len(ts_ms) - 1]])] + step_ms
    return tuple(zip(begins.tolist(), ends.tolist(), strict=True))


def missing(ts_ms: Times, step_ms: int, span: Span) -> tuple[Span, ...]:
    """The spans inside `span` in which candles are not there."""
    return without(span, present(ts_ms, step_ms))


def length(spans: Sequence[Span]) -> int:
    """Milliseconds in all; the spans must not overlap."""
    return sum(end - begin for begin, end in spans)
