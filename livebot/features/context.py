"""Features made of other symbols at the same close: what is asked for, how it is worked out, and whole arrays of it.

Rules of this file: a value stands beside the close that it is made of, and of nothing later; a symbol's own candles
never enter what it is told about the others, not even in the last bit; both engines call `reduce`, so their bits are the
same; a hole in a symbol's candles starts its windows anew, nothing is carried over it.

Who counts: a symbol counts at a close if its own value is there, that is, once it has enough candles.  A symbol that
counted at one of the last PATIENCE closes and has no value at this one is missing, and what needs it is not a number
(NaN): a decision is skipped rather than made on a part of the market.  One that is missing for longer (delisted, or the
venue has stopped it) no longer counts until it is back.

    columns = compute_context(strategy.features, candles_by_symbol, strategy.timeframe)
    columns["BTC/USDT:USDT"].values["market"]      float64, one value per candle of that symbol
    columns["BTC/USDT:USDT"].complete              False where a decision is skipped, live as in a backtest
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from livebot.core.market import Timeframe
from livebot.core.series import CandleSeries, Floats, Times
from livebot.features import batch
from livebot.features.declaration import Feature, change, context_features, ratio, sma, standard_deviation
from livebot.features.functions import FEATURE_DEPTH

PATIENCE = 3  # closes for which a symbol that has stopped is waited for
NEARLY = 1 + 1e-9  # above an average means by more than rounding, which depends on where a history starts
ROWS_AT_ONCE = 8_192  # closes worked out together: what lies between stays small however long the candles are

Flags = npt.NDArray[np.bool_]

_BLIND = ("leader_return",)  # look at one symbol only


@dataclass(frozen=True, slots=True)
class Wanted:
    """One context feature: its function, the place of its part among the parts, the leader's place, and the lag."""

    name: str
    function: str
    part: int
    leader: int
    lag: int


@dataclass(frozen=True, slots=True)
class ContextPlan:
    """`parts` are what each member is asked for by itself; `lead` is how many earlier closes a value may look at."""

    members: tuple[str, ...]
    parts: tuple[Feature, ...]
    wanted: tuple[Wanted, ...]
    lead: int

    @property
    def history(self) -> int:
        """Candles of each member after which every value that may be asked for is there."""
        return max((part.warmup for part in self.parts), default=1) + self.lead + FEATURE_DEPTH - 1


@dataclass(frozen=True, slots=True, eq=False)
class ContextColumns:
    """Of one symbol: each context feature by name, and where all of them have a value; one row per candle."""

    values: Mapping[str, Floats]
    complete: Flags


def members_of(features: Iterable[Feature], universe: Sequence[str]) -> tuple[str, ...]:
    """Whose candles these features need: the universe and the leaders, or the leaders alone if that is all."""
    asked = context_features(features)
    leaders = [str(feature.sources[0]) for feature in asked if feature.sources]
    whole = universe if any(feature.function not in _BLIND for feature in asked) else ()
    return tuple(sorted({*whole, *leaders}))


def make_context_plan(features: Iterable[Feature], members: Sequence[str]) -> ContextPlan:
    """What to compute; features that are not made of other symbols are passed over.

    Raises:
        ValueError: a leading symbol is not a member.

    """
    parts: dict[Feature, int] = {}
    wanted = []
    for feature in context_features(features):
        part = parts.setdefault(_part_of(feature), len(parts))
        leader = str(feature.sources[0]) if feature.sources else None
        if leader is not None and leader not in members:
            message = f"feature {feature.name!r} follows {leader}, whose candles are not among {', '.join(members)}"
            raise ValueError(message)
        lag = int(dict(feature.parameters).get("lag", 0))
        place = -1 if leader is None else members.index(leader)
        wanted.append(Wanted(feature.name, feature.function, part, place, lag))
    lead = max((PATIENCE, *(each.lag for each in wanted)))
    named = tuple(replace(part, name=f"part_{place}") for part, place in parts.items())
    return ContextPlan(tuple(members), named, tuple(wanted), lead)


def _part_of(feature: Feature) -> Feature:
    """What a member contributes, from its own candles."""
    period = int(dict(feature.parameters)["timeperiod"])
    if feature.function == "breadth_above":
        return ratio("part", "close", sma("average", period))
    if feature.function == "volatility_index":
        return standard_deviation("part", period, change("step", 1))
    return change("part", period)


# One block of closes


def reduce(plan: ContextPlan, values: Floats, targets: Sequence[int]) -> Floats:
    """What the members' values say to each target.

    `values` is parts x members x closes and begins `plan.lead` closes before the first one that is asked for; a place
    of -1 among the targets is a symbol that is no member.

    Returns:
        Wanted features x targets x closes.

    """
    closes = values.shape[2] - plan.lead
    results = np.full((len(plan.wanted), len(targets), closes), np.nan)
    if not len(targets):
        return results
    for wanted, result in zip(plan.wanted, results, strict=True):
        part = values[wanted.part]
        if wanted.leader >= 0:
            start = plan.lead - wanted.lag
            result[:] = part[wanted.leader, start : start + closes]
        else:
            result[:] = _of_the_others(wanted.function, part, plan.lead, targets)
    return results


def _of_the_others(function: str, part: Floats, lead: int, targets: Sequence[int]) -> Floats:
    present = part[:, lead:]
    there = ~np.isnan(present)
    before = ~np.isnan(part)
    counted = np.zeros_like(there)
    for back in range(1, PATIENCE + 1):
        counted |= before[:, lead - back : part.shape[1] - back]
    missing = _without_each(np.where(counted & ~there, 1.0, 0.0), targets)
    count = _without_each(there.astype(np.float64), targets)
    said = np.where(there, present, 0.0)
    own = np.array([present[target] if target >= 0 else np.full(present.shape[1], np.nan) for target in targets])
    value = _REDUCED[function](said, there, count, targets, own)
    return np.where((missing == 0) & (count >= _LEAST.get(function, 1)), value, np.nan)


def _without_each(values: Floats, targets: Sequence[int]) -> Floats:
    """For each target the sum over all members but itself; added up in the same order whatever the target is worth."""
    zero = np.zeros((1, values.shape[1]))
    upward = np.concatenate([zero, np.cumsum(values, axis=0)])
    downward = np.concatenate([np.cumsum(values[::-1], axis=0)[::-1], zero])
    return np.array([upward[place] + downward[place + 1] if place >= 0 else upward[-1] for place in targets])


def _share(total: Floats, count: Floats) -> Floats:
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0)


def _mean(said: Floats, _there: Flags, count: Floats, targets: Sequence[int], _own: Floats) -> Floats:
    return _share(_without_each(said, targets), count)


def _excess(said: Floats, there: Flags, count: Floats, targets: Sequence[int], own: Floats) -> Floats:
    return np.subtract(own, _mean(said, there, count, targets, own))


def _rising(said: Floats, _there: Flags, count: Floats, targets: Sequence[int], _own: Floats) -> Floats:
    return _share(_without_each((said > 0).astype(np.float64), targets), count)


def _above(said: Floats, _there: Flags, count: Floats, targets: Sequence[int], _own: Floats) -> Floats:
    return _share(_without_each((said > NEARLY).astype(np.float64), targets), count)


def _spread(said: Floats, _there: Flags, count: Floats, targets: Sequence[int], _own: Floats) -> Floats:
    mean = _share(_without_each(said, targets), count)
    square = _share(_without_each(np.multiply(said, said), targets), count)
    return np.sqrt(np.maximum(np.subtract(square, np.multiply(mean, mean)), 0.0))


_REDUCED = {
    "market_return": _mean,
    "volatility_index": _mean,
    "excess_return": _excess,
    "breadth_up": _rising,
    "breadth_above": _above,
    "dispersion": _spread,
}
_LEAST = {"dispersion": 2}  # members without which there is nothing to say; 1 for the others


# Whole arrays


def compute_context(
    features: Iterable[Feature],
    candles: Mapping[str, CandleSeries],
    timeframe: Timeframe,
    *,
    universe: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
) -> dict[str, ContextColumns]:
    """The context features of each target, one row per candle of it; features of other kinds are passed over.

    `candles` by symbol are closed ones of the timeframe, oldest first; holes are allowed and restart a symbol's
    windows.  `universe` (all symbols of `candles`) and `targets` (the universe) are among them.  Memory beside the
    results is 8 bytes a symbol and close for each part, and blocks of ROWS_AT_ONCE closes.

    Raises:
        ValueError: a leader, a member of the universe or a target has no candles.

    """
    asked = context_features(features)
    whole = tuple(candles) if universe is None else tuple(universe)
    wanted = whole if targets is None else tuple(targets)
    members = members_of(asked, whole)
    lacking = sorted({*members, *wanted} - candles.keys())
    if lacking:
        message = f"there are no candles of {', '.join(lacking)}; context features need those of every symbol"
        raise ValueError(message)
    plan = make_context_plan(asked, members)
    grid = _Grid({symbol: candles[symbol].ts_ms for symbol in {*members, *wanted}}, timeframe)
    columns: dict[str, dict[str, Floats]] = {symbol: {} for symbol in wanted}
    for part, feature in enumerate(plan.parts):
        values = np.full((1, len(members), plan.lead + grid.closes), np.nan)
        for row, symbol in zip(values[0], members, strict=True):
            row[plan.lead + grid.rows[symbol]] = part_values(feature, candles[symbol], timeframe)
        _fill(columns, _only(plan, part), values, grid)
    return {symbol: _finished(asked, columns[symbol], len(candles[symbol])) for symbol in wanted}


def part_values(feature: Feature, candles: CandleSeries, timeframe: Timeframe) -> Floats:
    """One value per candle of a member; a hole starts the windows anew."""
    values = np.full(len(candles), np.nan)
    for start, stop in unbroken(candles.ts_ms, timeframe):
        values[start:stop] = batch.compute((feature,), candles.part(start, stop))[feature.name]
    return values


def unbroken(ts_ms: Times, timeframe: Timeframe) -> Iterator[tuple[int, int]]:
    """Start and stop of each stretch without a hole."""
    holes = np.flatnonzero(np.diff(ts_ms) != timeframe.ms) + 1
    edges = [0, *(int(hole) for hole in holes), len(ts_ms)]
    return ((start, stop) for start, stop in pairwise(edges) if start < stop)


class _Grid:
    """Every close from the first to the last of any symbol, and where each symbol's candles stand on it."""

    def __init__(self, times: Mapping[str, Times], timeframe: Timeframe) -> None:
        edges = [int(ts_ms[place]) for ts_ms in times.values() if len(ts_ms) for place in (0, -1)]
        first_ms = min(edges, default=0)
        self.closes = (max(edges, default=-timeframe.ms) - first_ms) // timeframe.ms + 1
        self.rows = {symbol: (ts_ms - first_ms) // timeframe.ms for symbol, ts_ms in times.items()}


def _only(plan: ContextPlan, part: int) -> ContextPlan:
    wanted = tuple(
        Wanted(each.name, each.function, 0, each.leader, each.lag) for each in plan.wanted if each.part == part
    )
    return ContextPlan(plan.members, (plan.parts[part],), wanted, plan.lead)


def _fill(columns: Mapping[str, dict[str, Floats]], plan: ContextPlan, values: Floats, grid: _Grid) -> None:
    places = [plan.members.index(symbol) if symbol in plan.members else -1 for symbol in columns]
    results = np.empty((len(plan.wanted), len(places), grid.closes))
    for start in range(0, grid.closes, ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, grid.closes)
        results[:, :, start:stop] = reduce(plan, values[:, :, start : stop + plan.lead], places)
    for wanted, of_targets in zip(plan.wanted, results, strict=True):
        for symbol, row in zip(columns, of_targets, strict=True):
            columns[symbol][wanted.name] = row[grid.rows[symbol]]


def _finished(asked: Sequence[Feature], columns: Mapping[str, Floats], count: int) -> ContextColumns:
    complete = np.ones(count, np.bool_)
    for column in columns.values():
        complete &= ~np.isnan(column)
    return ContextColumns({feature.name: columns[feature.name] for feature in asked}, complete)
