"""What a universe of symbols is chosen by: the facts of each listing, and the rules they are held against.

Rules of this file: values only.  Volumes are of the last 24 hours in quote currency, prices in quote currency, spreads
ratios of the price, ages and times UTC milliseconds; None is a fact that nobody gave.  A number that has to be reached to
come in (`enter`) is never easier to reach than the one that lets a member stay (`leave`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import Enum
from fnmatch import fnmatchcase


class FactKind(Enum):
    """What may be known of a listing; where it comes from decides which are."""

    VOLUME = "24 h volume"
    PRICE = "price"
    AGE = "age"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One symbol as a venue lists it; `obstacle` is why it cannot be traded just now, in words."""

    symbol: str
    base: str
    quote: str
    market: str
    obstacle: str | None = None
    volume: float | None = None
    price: float | None = None
    listed_ms: int | None = None
    spread: float | None = None


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound with two sides: `enter` for who is outside, `leave` for members."""

    enter: float
    leave: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseRules:
    """How a universe is chosen.

    `top` is the largest number of members, by volume; a member stays down to place `top + rank_band`.  `always` are members
    whatever the numbers, as long as they can be traded and are not denied.  `allow` (empty: all) and `deny` are patterns
    (see `matches`).  Who came or left less than `minimum_stay_ms` ago stays where it is.

    Raises:
        ValueError: a bound contradicts another one; the text begins with its name.

    """

    market: str
    top: int
    quotes: tuple[str, ...] = ()
    rank_band: int = 0
    always: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    minimum_volume: Threshold | None = None
    minimum_price: Threshold | None = None
    maximum_price: Threshold | None = None
    maximum_spread: Threshold | None = None
    minimum_age_ms: int | None = None
    minimum_stay_ms: int = 0

    def __post_init__(self) -> None:
        """Hold the bounds against each other."""
        for name in ("minimum_volume", "minimum_price"):
            bound: Threshold | None = getattr(self, name)
            if bound is not None and bound.leave > bound.enter:
                raise ValueError(f"{name}: members must not need more ({bound.leave}) than who enters ({bound.enter})")
        for name in ("maximum_price", "maximum_spread"):
            bound = getattr(self, name)
            if bound is not None and bound.leave < bound.enter:
                raise ValueError(f"{name}: members must not need less ({bound.leave}) than who enters ({bound.enter})")
        if self.top < 1:
            raise ValueError(f"top: a universe has at least one member, is {self.top}")
        if len(self.always) > self.top:
            raise ValueError(f"always: {len(self.always)} symbols do not fit into the top {self.top}")


_WANTED = {
    "minimum_volume": FactKind.VOLUME,
    "minimum_price": FactKind.PRICE,
    "maximum_price": FactKind.PRICE,
    "maximum_spread": FactKind.SPREAD,
    "minimum_age_ms": FactKind.AGE,
}


def wanted_facts(rules: UniverseRules) -> dict[str, FactKind]:
    """By the name of each filter that is set: the fact it looks at.  The order by volume is among them as `top`."""
    given = {name: _WANTED[name] for name in _names(rules) if getattr(rules, name) is not None}
    return {**given, "top": FactKind.VOLUME}


def _names(rules: UniverseRules) -> Iterable[str]:
    return (each.name for each in fields(rules) if each.name in _WANTED)


def matches(pattern: str, symbol: str) -> bool:
    """Whether a pattern means the symbol: `*` and `?` as in file names; without a slash it is about the base alone.

    `BTC` is every BTC symbol, `BTC/*` too, `*UP/USDT` one kind of token, `BTC/USDT:USDT` itself.
    """
    return fnmatchcase(symbol if "/" in pattern else symbol.partition("/")[0], pattern)


def first_match(patterns: Iterable[str], symbol: str) -> str | None:
    """The first pattern that means the symbol."""
    return next((pattern for pattern in patterns if matches(pattern, symbol)), None)
