"""What is missing in each symbol's candles, and whose fault that is: seen across the symbols of one venue.

Rules of this file: pure; a candle that is missing in every symbol that should have it (of two or more), or that the venue
was asked for and does not have, is the venue's outage; any other missing candle is missing here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from livebot.core.series import Times
from livebot.history import spans
from livebot.history.spans import Span

LEAST_WITNESSES = 2


@dataclass(frozen=True, slots=True)
class Gap:
    """Candles that are missing: from the first one's opening to the opening of the next that is there."""

    from_ms: int
    to_ms: int
    candles: int
    venue: bool


@dataclass(frozen=True, slots=True)
class Held:
    """What there is of one symbol: the spans in which it has candles (at least one), how many candles that are, and the
    spans that the venue was asked for.
    """

    runs: tuple[Span, ...]
    rows: int
    fetched: tuple[Span, ...] = ()

    @property
    def whole(self) -> Span:
        """From its first candle's opening to its last one's close."""
        return self.runs[0][0], self.runs[-1][1]


def held_of(ts_ms: Times, step_ms: int, fetched: tuple[Span, ...] = ()) -> Held:
    """What opening times, sorted, each once, at least one, say."""
    return Held(spans.present(ts_ms, step_ms), len(ts_ms), fetched)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How complete a symbol is between its first and its last candle.

    `expected` is how many candles the venue made in that time, `ratio` how many of them are there.
    """

    gaps: tuple[Gap, ...]
    rows: int
    expected: int

    @property
    def ratio(self) -> float:
        """From 0 to 1."""
        return min(self.rows / self.expected, 1.0) if self.expected else 1.0


def coverages(symbols: Mapping[str, Held], step_ms: int) -> dict[str, Coverage]:
    """The coverage of each symbol of one venue, market and timeframe (candles `step_ms` long)."""
    holes = {symbol: spans.without(held.whole, held.runs) for symbol, held in symbols.items()}
    outages = _outages(symbols, holes)
    found: dict[str, Coverage] = {}
    for symbol, held in symbols.items():
        gaps = _gaps(holes[symbol], (*outages, *held.fetched), step_ms)
        whole = (held.whole[1] - held.whole[0]) // step_ms
        found[symbol] = Coverage(gaps, held.rows, whole - sum(gap.candles for gap in gaps if gap.venue))
    return found


def _gaps(holes: Sequence[Span], excused: Sequence[Span], step_ms: int) -> tuple[Gap, ...]:
    own = spans.difference(holes, excused)
    cut = [(*part, False) for part in own] + [(*part, True) for part in spans.difference(holes, own)]
    return tuple(Gap(begin, end, -(-(end - begin) // step_ms), venue) for begin, end, venue in sorted(cut))


def _outages(symbols: Mapping[str, Held], holes: Mapping[str, tuple[Span, ...]]) -> tuple[Span, ...]:
    """When all symbols that had begun and not ended, and at least two, have no candle."""
    missing: Counter[int] = Counter()
    alive: Counter[int] = Counter()
    for symbol, held in symbols.items():
        _count(alive, held.whole)
        for hole in holes[symbol]:
            _count(missing, hole)
    found: list[Span] = []
    lacking = there = 0
    edges = sorted(missing.keys() | alive.keys())
    for begin, end in pairwise(edges):
        lacking += missing[begin]
        there += alive[begin]
        if lacking == there >= LEAST_WITNESSES:
            found.append((begin, end))
    return spans.joined(found)


def _count(edges: Counter[int], span: Span) -> None:
    edges[span[0]] += 1
    edges[span[1]] -= 1
