"""The moments at which an audit changes the future: few, seeded, where a peek would show.

Rules of this file: the same run and seed give the same moments; most stand right at decisions and fills, the others
anywhere; none is before every strategy's first decision.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from livebot.backtest.audit.watch import Pair, Watched
from livebot.backtest.plan import BacktestPlan
from livebot.core.facts import Fact, PositionIncreased, PositionReduced, SignalOpened

DEFAULT_POINTS = 16
MOST_POINTS = 512
DECISIONS_SHARE = 0.5  # of all points, right at the close of a decision
FILLS_SHARE = 0.25  # right at a fill, or one candle before it; the rest are anywhere

_GOLDEN = (5**0.5 - 1) / 2  # steps of this part of the range fill it evenly, however many there are
_PATIENCE = 3  # steps for each moment that is wanted: some fall where one is already

_FILLS = (SignalOpened, PositionIncreased, PositionReduced)
Candidates = Mapping[Pair, Sequence[int]]


def points_of(plan: BacktestPlan, watched: Watched, facts: Iterable[Fact], count: int, seed: int) -> tuple[int, ...]:
    """At most `count` different moments, UTC ms, oldest first: opening times of candles of the plan's timeframe.

    None if no strategy was ever asked.
    """
    base = plan.base.ms
    first = -(-min(watched.first_ms().values(), default=plan.end_ms) // base) * base
    if first >= plan.end_ms:
        return ()
    random = np.random.default_rng(seed)
    decisions = _within(watched.entries(), first, plan.end_ms, base)
    fills = _within(_fills(facts, base, random), first, plan.end_ms, base)
    chosen: set[int] = set()
    for candidates, share in ((decisions, DECISIONS_SHARE), (fills, FILLS_SHARE)):
        wanted = round(count * share)
        chosen.update(_spread(candidates, wanted, (first, plan.end_ms), random))
    chosen.update(_anywhere(chosen, count, (first, plan.end_ms), base, random.random()))
    return tuple(sorted(chosen)[:count])


def _anywhere(chosen: set[int], count: int, span: tuple[int, int], base: int, begin: float) -> set[int]:
    """What is missing to `count`, evenly over the range; fewer if it is short."""
    slots, found = -(-(span[1] - span[0]) // base), set(chosen)
    for place in range(_PATIENCE * count):
        if len(found) >= count:
            break
        found.add(span[0] + int((begin + place * _GOLDEN) % 1 * slots) * base)
    return found


def _fills(facts: Iterable[Fact], base: int, random: np.random.Generator) -> dict[Pair, list[int]]:
    found: dict[Pair, list[int]] = {}
    for fact in facts:
        if isinstance(fact, _FILLS):
            before = base * int(random.integers(0, 2))
            found.setdefault((fact.strategy, fact.symbol), []).append(fact.ts_ms - before)
    return found


def _within(candidates: Candidates, first: int, end: int, base: int) -> dict[Pair, list[int]]:
    """On the grid of the candles, and inside the range."""
    found = {}
    for pair, times in sorted(candidates.items()):
        aligned = sorted({-(-each // base) * base for each in times})
        inside = [each for each in aligned if first <= each < end]
        if inside:
            found[pair] = inside
    return found


def _spread(candidates: Candidates, wanted: int, span: tuple[int, int], random: np.random.Generator) -> list[int]:
    """One in each stretch of the range where there is one, of strategies and symbols in turn."""
    if not candidates:
        return []
    used = dict.fromkeys(candidates, 0)
    chosen: list[int] = []
    edges = np.linspace(span[0], span[1], wanted + 1)
    for begin, end in pairwise(edges):
        near = {pair: [at for at in times if begin <= at < end] for pair, times in candidates.items()}
        there = [pair for pair, times in near.items() if times]
        pair = min(there or candidates, key=lambda each: (used[each], random.random()))
        used[pair] += 1
        times = near[pair] or candidates[pair]
        chosen.append(times[int(random.integers(0, len(times)))])
    return chosen
