"""The choice of a universe: which listings are in, and for each one the filter and the numbers that decided.

Rules of this file: the same listings, members and time give the same universe, whatever the order of the listings; what
is denied, or cannot be traded, is out at once, whoever it is; there are never more members than `top`; a fact that nobody
gave keeps a stranger out and a member in, because a venue that is silent for a moment must not empty the universe.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from livebot.core.market import DAY_MS, MINUTE_MS
from livebot.core.universe_rules import Listing, Threshold, UniverseRules, first_match

Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]

_HOUR_MS = 60 * MINUTE_MS
_NOBODY: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Membership:
    """Who is in, and since when; and when those left that may not come back yet (`left_ms`)."""

    since_ms: Mapping[str, int] = field(default_factory=lambda: _NOBODY)
    left_ms: Mapping[str, int] = field(default_factory=lambda: _NOBODY)

    @property
    def symbols(self) -> tuple[str, ...]:
        """The members, sorted."""
        return tuple(sorted(self.since_ms))


@dataclass(frozen=True, slots=True)
class Check:
    """One filter held against one listing; `enter` and `stay` are whether it would let a stranger in, a member stay."""

    name: str
    enter: bool
    stay: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one symbol.

    `decided_by` is the name of the filter as in the config, `text` a sentence with the numbers, `place` the rank by volume
    among those that came so far (None: it did not).  `hard`: it cannot be traded, or must not be.
    """

    symbol: str
    inside: bool
    was_inside: bool
    decided_by: str
    text: str
    hard: bool = False
    place: int | None = None
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """A universe.  `verdicts`: the members by place, then the others by name."""

    membership: Membership
    verdicts: tuple[Verdict, ...]
    entered: tuple[str, ...]
    left: tuple[str, ...]


def choose(rules: UniverseRules, listings: Iterable[Listing], before: Membership, now_ms: int) -> Selection:
    """Choose the universe as of `now_ms`, when `before` was the last one (empty: the first choice)."""
    ordered = [each for _, each in sorted({listing.symbol: listing for listing in listings}.items())]
    drafts = [_Draft(rules, listing, before, now_ms) for listing in ordered]
    volumes = np.array([np.nan if each.volume is None else each.volume for each in ordered], dtype=np.float64)
    fits = np.array([each.fits for each in drafts], dtype=np.bool_)
    places = places_of(volumes, fits)
    chosen = pick(
        rules,
        places,
        always=np.array([each.always for each in drafts], dtype=np.bool_),
        member=np.array([each.member for each in drafts], dtype=np.bool_),
        staying=np.array([each.staying for each in drafts], dtype=np.bool_),
    )
    verdicts = [
        draft.verdict(int(place), inside=bool(inside))
        for draft, place, inside in zip(drafts, places, chosen, strict=True)
    ]
    listed = {each.symbol for each in ordered}
    verdicts += [_unlisted(symbol) for symbol in before.symbols if symbol not in listed]
    return _selection(rules, verdicts, before, now_ms)


def places_of(volumes: npt.NDArray[np.float64], fits: Flags) -> Places:
    """Places by volume (1 is the largest) among those that fit, 0 for the others.

    The arrays are over the symbols in the order of their names, which decides between equals; an unknown volume (nan) is
    the smallest.
    """
    places = np.zeros(len(fits), dtype=np.int64)
    there = np.flatnonzero(fits)
    order = there[np.argsort(-np.nan_to_num(volumes[there], nan=-1.0), kind="stable")]
    places[order] = np.arange(1, len(order) + 1)
    return places


def pick(rules: UniverseRules, places: Places, *, always: Flags, member: Flags, staying: Flags) -> Flags:
    """Who is in, of those with a place: first `always`, then members, then others by place while there is room.

    `staying` are members that came too short ago to leave.
    """
    fits = places > 0
    kept = fits & (always | (member & (staying | (places <= rules.top + rules.rank_band))))
    # who is kept beyond the room goes by this order; it takes a smaller `top`, or more `always`, to get there
    urgency = np.where(always, 0, np.where(staying, 1, 2))
    order = np.lexsort((places, urgency))
    chosen = np.zeros(len(places), dtype=np.bool_)
    chosen[order[kept[order]][: rules.top]] = True
    newcomers = np.flatnonzero(fits & ~kept & ~member)
    room = rules.top - int(chosen.sum())
    chosen[newcomers[np.argsort(places[newcomers], kind="stable")][:room]] = True
    return chosen


class _Draft:
    """One listing on its way to a verdict."""

    def __init__(self, rules: UniverseRules, listing: Listing, before: Membership, now_ms: int) -> None:
        self._rules = rules
        self._symbol = listing.symbol
        since_ms, left_ms = before.since_ms.get(listing.symbol), before.left_ms.get(listing.symbol)
        self.member = since_ms is not None
        self.staying = since_ms is not None and now_ms - since_ms < rules.minimum_stay_ms
        self._waits_ms = 0 if left_ms is None else max(rules.minimum_stay_ms - (now_ms - left_ms), 0)
        self._stays_ms = 0 if since_ms is None else max(rules.minimum_stay_ms - (now_ms - since_ms), 0)
        self.hard = hard_check(rules, listing)
        self.always = self.hard is None and listing.symbol in rules.always
        self.checks = () if self.hard is not None else soft_checks(rules, listing, now_ms)
        self._fact = _volume_text(listing.volume)
        self.fits = self.hard is None and (self.always or self._passes())

    def _passes(self) -> bool:
        if self.member:
            return self.staying or all(check.stay for check in self.checks)
        return not self._waits_ms and all(check.enter for check in self.checks)

    def verdict(self, place: int, *, inside: bool) -> Verdict:
        decided_by, text = self._why(place, inside=inside)
        return Verdict(
            symbol=self._symbol,
            inside=inside,
            was_inside=self.member,
            decided_by=decided_by,
            text=text,
            hard=self.hard is not None,
            place=place or None,
            checks=self.checks if self.hard is None else (self.hard,),
        )

    def _why(self, place: int, *, inside: bool) -> tuple[str, str]:
        if self.hard is not None:
            return self.hard.name, self.hard.text
        if self.always:
            return "always", "is always in"
        return self._why_in(place) if inside else self._why_out(place)

    def _why_in(self, place: int) -> tuple[str, str]:
        top = self._rules.top
        held = min((each for each in self.checks if not each.enter), key=lambda each: each.stay, default=None)
        stands = f"is number {place} by volume ({self._fact})"
        if held is not None and not held.stay:
            return "minimum_stay", f"{held.text}; came a short time ago and stays for {_span(self._stays_ms)} more"
        if held is not None:
            return "hysteresis", f"{held.text}; enough for a member to stay"
        if place > top + self._rules.rank_band:
            return "minimum_stay", f"{stands}; came a short time ago and stays for {_span(self._stays_ms)} more"
        if place > top:
            return "rank_band", f"{stands}; members stay down to place {top + self._rules.rank_band}"
        return "top", f"{stands}, inside the top {top}"

    def _why_out(self, place: int) -> tuple[str, str]:
        failed = next((each for each in self.checks if not (each.stay if self.member else each.enter)), None)
        if failed is not None and not self.fits:
            return failed.name, failed.text
        if not self.fits:
            return "minimum_stay", f"left a short time ago and may come back in {_span(self._waits_ms)}"
        top, limit = self._rules.top, self._rules.top + self._rules.rank_band
        bound = f"top {top}, and members stay down to place {limit}" if self.member else f"top {top}"
        return "top", f"is number {place} by volume ({self._fact}), outside the {bound}"


def hard_check(rules: UniverseRules, listing: Listing) -> Check | None:
    """What keeps a listing out whatever its numbers, None if nothing does."""
    symbol = listing.symbol
    denied = first_match(rules.deny, symbol)
    if denied is not None:
        return _out("deny", "is denied" if denied == symbol else f"is denied by {denied}")
    if listing.market != rules.market:
        return _out("market", f"is a {listing.market} symbol, wanted are those of {rules.market}")
    if rules.quotes and listing.quote not in rules.quotes:
        return _out("quote", f"is quoted in {listing.quote}, wanted is {' or '.join(rules.quotes)}")
    if listing.obstacle is not None:
        return _out("status", listing.obstacle)
    if rules.allow and symbol not in rules.always and first_match(rules.allow, symbol) is None:
        return _out("allow", "is not among what is allowed")
    return None


def soft_checks(rules: UniverseRules, listing: Listing, now_ms: int) -> tuple[Check, ...]:
    """The filters by number that are set, in the order in which they are held against a listing."""
    age_ms = None if listing.listed_ms is None else now_ms - listing.listed_ms
    found = [
        _at_least("minimum_volume", "a 24 h volume", listing.volume, rules.minimum_volume),
        _at_least("minimum_price", "a price", listing.price, rules.minimum_price),
        _at_most("maximum_price", "a price", listing.price, rules.maximum_price),
        _old_enough(age_ms, rules.minimum_age_ms),
        _at_most("maximum_spread", "a spread", listing.spread, rules.maximum_spread),
    ]
    return tuple(check for check in found if check is not None)


def _at_least(name: str, what: str, value: float | None, bound: Threshold | None) -> Check | None:
    if bound is None:
        return None
    if value is None:
        return _unknown(name, what)
    text = f"has {what} of {_number(value)}, {_number(bound.enter)} lets in and {_number(bound.leave)} lets stay"
    return Check(name, value >= bound.enter, value >= bound.leave, text)


def _at_most(name: str, what: str, value: float | None, bound: Threshold | None) -> Check | None:
    if bound is None:
        return None
    if value is None:
        return _unknown(name, what)
    text = f"has {what} of {_number(value)}, up to {_number(bound.enter)} lets in and {_number(bound.leave)} lets stay"
    return Check(name, value <= bound.enter, value <= bound.leave, text)


def _old_enough(age_ms: int | None, least_ms: int | None) -> Check | None:
    if least_ms is None:
        return None
    if age_ms is None:
        return _unknown("minimum_age", "an age")
    enough = age_ms >= least_ms
    return Check("minimum_age", enough, enough, f"has been listed for {_span(age_ms)}, wanted are {_span(least_ms)}")


def _unknown(name: str, what: str) -> Check:
    return Check(name, enter=False, stay=True, text=f"nobody tells {what} of it just now")


def _out(name: str, text: str) -> Check:
    return Check(name, enter=False, stay=False, text=text)


def _unlisted(symbol: str) -> Verdict:
    text = "is not listed any more"
    checks = (_out("status", text),)
    return Verdict(
        symbol=symbol, inside=False, was_inside=True, decided_by="status", text=text, hard=True, checks=checks
    )


def _selection(rules: UniverseRules, verdicts: list[Verdict], before: Membership, now_ms: int) -> Selection:
    inside = sorted(each.symbol for each in verdicts if each.inside)
    left = tuple(symbol for symbol in before.symbols if symbol not in set(inside))
    gone = {symbol: at for symbol, at in before.left_ms.items() if now_ms - at < rules.minimum_stay_ms}
    gone |= {symbol: now_ms for symbol in left if rules.minimum_stay_ms}
    since = {symbol: before.since_ms.get(symbol, now_ms) for symbol in inside}
    membership = Membership(since, {symbol: at for symbol, at in sorted(gone.items()) if symbol not in since})
    ordered = sorted(verdicts, key=lambda each: (not each.inside, each.place or 0 if each.inside else 0, each.symbol))
    entered = tuple(symbol for symbol in inside if symbol not in before.since_ms)
    return Selection(membership, tuple(ordered), entered, left)


def _volume_text(volume: float | None) -> str:
    return "of unknown size" if volume is None else _number(volume)


def _number(value: float) -> str:
    """Four digits, and words for what is long."""
    for limit, unit in ((1e9, " billion"), (1e6, " million")):
        if abs(value) >= limit:
            return f"{value / limit:.4g}{unit}"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"  # noqa: PLR2004


def _span(milliseconds: int) -> str:
    if milliseconds >= DAY_MS:
        return f"{milliseconds / DAY_MS:.3g} days"
    if milliseconds >= _HOUR_MS:
        return f"{milliseconds / _HOUR_MS:.3g} hours"
    return f"{milliseconds / MINUTE_MS:.3g} minutes"
