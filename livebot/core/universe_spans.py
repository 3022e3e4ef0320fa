"""A universe as it was at each of many past times: who was a member when.

Rules of this file: a time sees what was known at that time and nothing later; every step is the same choice as
`universe.choose` makes, over arrays of all symbols.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from livebot.core.series import Floats, Times
from livebot.core.universe import Flags, hard_check, pick, places_of
from livebot.core.universe_rules import Listing, Threshold, UniverseRules

NEVER_MS = -(2**62)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CandleFacts:
    """What candles tell of symbols at certain times.

    `symbols` are S names of one market, sorted; `times_ms` are T times, increasing.  `volume` (of the 24 h before, in
    quote currency) and `price` (the last close) are T x S, nan where the symbol was not there; `listed_ms` (S) is the
    opening of its first candle.
    """

    market: str
    symbols: tuple[str, ...]
    times_ms: Times
    volume: Floats
    price: Floats
    listed_ms: Times


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A member in [first_ms, stop_ms)."""

    first_ms: int
    stop_ms: int


def universe_at(rules: UniverseRules, facts: CandleFacts) -> Mapping[str, tuple[Span, ...]]:
    """When each symbol was a member; symbols that never were are left out.

    A choice holds from its time to the next one; the last time ends the last spans and chooses nothing.

    Raises:
        ValueError: a filter looks at the spread, which candles do not know.

    """
    if rules.maximum_spread is not None:
        raise ValueError("maximum_spread: candles do not tell the spread; leave it out where the past is looked at")
    inside = _members(rules, facts)
    found: dict[str, tuple[Span, ...]] = {}
    for column, symbol in enumerate(facts.symbols):
        edges = np.flatnonzero(np.diff(inside[:, column].astype(np.int8), prepend=0, append=0))
        if len(edges):
            pairs = facts.times_ms[edges].reshape(-1, 2).tolist()
            found[symbol] = tuple(Span(first_ms, stop_ms) for first_ms, stop_ms in pairs)
    return found


def _members(rules: UniverseRules, facts: CandleFacts) -> Flags:
    """Who is in from each time (but the last) to the next: (T - 1) x S."""
    steps, width = max(len(facts.times_ms) - 1, 0), len(facts.symbols)
    may = np.array([hard_check(rules, _listing(symbol, facts.market)) is None for symbol in facts.symbols], dtype=bool)
    always = may & np.isin(np.array(facts.symbols), np.array(rules.always))
    enter, stay = _soft(rules, facts)
    inside = np.zeros((steps, width), dtype=np.bool_)
    member = np.zeros(width, dtype=np.bool_)
    since, left = np.full(width, NEVER_MS), np.full(width, NEVER_MS)
    for step in range(steps):
        now_ms = int(facts.times_ms[step])
        staying = member & (now_ms - since < rules.minimum_stay_ms)
        waits = now_ms - left < rules.minimum_stay_ms
        there = may & np.isfinite(facts.price[step])
        fits = there & (always | np.where(member, staying | stay[step], enter[step] & ~waits))
        places = places_of(facts.volume[step], fits)
        chosen = pick(rules, places, always=always & there, member=member, staying=staying)
        since[chosen & ~member], left[member & ~chosen] = now_ms, now_ms
        inside[step] = member = chosen
    return inside


def _soft(rules: UniverseRules, facts: CandleFacts) -> tuple[Flags, Flags]:
    """Whether the numbers would let a stranger in, and a member stay: T x S each."""
    enter = np.ones(facts.price.shape, dtype=np.bool_)
    stay = np.ones(facts.price.shape, dtype=np.bool_)

    def hold(values: Floats, bound: Threshold | None, sign: float) -> None:
        if bound is not None:
            unknown = np.isnan(values)
            np.logical_and(enter, sign * values >= sign * bound.enter, out=enter)  # nothing is as large as nan
            np.logical_and(stay, unknown | (sign * values >= sign * bound.leave), out=stay)

    hold(facts.volume, rules.minimum_volume, 1.0)
    hold(facts.price, rules.minimum_price, 1.0)
    hold(facts.price, rules.maximum_price, -1.0)
    if rules.minimum_age_ms is not None:
        old: npt.NDArray[np.bool_] = facts.times_ms[:, None] - facts.listed_ms[None, :] >= rules.minimum_age_ms
        enter &= old
        stay &= old
    return enter, stay


def _listing(symbol: str, market: str) -> Listing:
    base, _, rest = symbol.partition("/")
    return Listing(symbol=symbol, base=base, quote=rest.partition(":")[0], market=market)
