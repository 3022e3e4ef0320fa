"""The `universe` section: symbols that are found at the venue instead of listed, and by which filters.

Rules of this file: a bound that members need less of than strangers is written once, with the difference in `hysteresis`;
a filter on what the venue does not tell is refused here, never found out while running.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from livebot.adapters.ccxt_venue.listing_facts import lacking_fact
from livebot.config.problems import Mismatch, Place
from livebot.config.section import Section
from livebot.config.values import (
    Count,
    CountOrZero,
    Minutes,
    MinutesOrZero,
    Quote,
    Ratio,
    RatioOrZero,
    SymbolText,
    filled,
)
from livebot.config.venue import SIMULATOR
from livebot.core.market import DAY_MS, MINUTE_MS
from livebot.core.universe_rules import Threshold, UniverseRules, wanted_facts


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else filled(value)


_Names = Annotated[tuple[SymbolText, ...], BeforeValidator(_listed)]


class HysteresisConfig(Section):
    """What a member needs less than who wants in, so that no symbol comes and goes with every small move.

    `volume`, `price` and `spread` are ratios of the filter's number: with minimum_volume 1000 and volume 0.2, who enters
    needs 1000 and a member 800.  A member stays down to place `top` + `rank`.  Who came or left stays where it is for
    `minimum_stay_minutes`, unless it is denied or can no longer be traded.
    """

    volume: RatioOrZero = Decimal("0.2")
    price: RatioOrZero = Decimal("0.1")
    spread: RatioOrZero = Decimal("0.25")
    rank: CountOrZero = 5
    minimum_stay_minutes: MinutesOrZero = 240


class UniverseConfig(Section):
    """Which of the venue's symbols are traded: the `top` by 24 h volume of those that pass every filter.

    `quote` is their currency, in which the account is counted too.  `minimum_volume` is in quote currency and of 24 hours,
    `maximum_spread` a ratio of the price, `minimum_age_days` since the listing.  `allow` (none: all) and `deny` are
    patterns such as BTC, 1000*, */USDC or a whole symbol; deny goes before all else.  `always` are in as long as they can
    be traded: what a strategy looks at besides its own symbol belongs here.  All of it is looked at anew every
    `refresh_minutes` of the market's time.
    """

    quote: SymbolText = "USDT"
    top: Count = 20
    minimum_volume: Quote | None = None
    minimum_price: Quote | None = None
    maximum_price: Quote | None = None
    maximum_spread: Ratio | None = None
    minimum_age_days: Count | None = None
    always: tuple[SymbolText, ...] = ()
    allow: _Names | None = Field(default=None)
    deny: tuple[SymbolText, ...] = ()
    refresh_minutes: Minutes = 60
    hysteresis: HysteresisConfig = HysteresisConfig()

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        found = []
        low, high = self.minimum_price, self.maximum_price
        if low is not None and high is not None and low > high:
            found.append(("minimum_price", f"{low} is above maximum_price ({high}); lower it"))
        if len(self.always) > self.top:
            found.append(("always", f"{len(self.always)} symbols do not fit into top ({self.top}); raise it"))
        found += [
            ("always", f"{symbol} stands here twice; keep one")
            for position, symbol in enumerate(self.always)
            if symbol in self.always[:position]
        ]
        if found:
            raise Mismatch(*found)
        return self


def universe_rules(section: UniverseConfig, market: str) -> UniverseRules:
    """The rules that core chooses by."""
    hysteresis, age_days = section.hysteresis, section.minimum_age_days
    return UniverseRules(
        market=market,
        top=section.top,
        quotes=(section.quote,),
        rank_band=hysteresis.rank,
        always=section.always,
        allow=section.allow or (),
        deny=section.deny,
        minimum_volume=_bound(section.minimum_volume, -hysteresis.volume),
        minimum_price=_bound(section.minimum_price, -hysteresis.price),
        maximum_price=_bound(section.maximum_price, hysteresis.price),
        maximum_spread=_bound(section.maximum_spread, hysteresis.spread),
        minimum_age_ms=None if age_days is None else age_days * DAY_MS,
        minimum_stay_ms=hysteresis.minimum_stay_minutes * MINUTE_MS,
    )


def _bound(value: Decimal | None, margin: Decimal) -> Threshold | None:
    return None if value is None else Threshold(float(value), float(value * (1 + margin)))


def choice_problems(data: Mapping[str, object], universe: UniverseConfig | None) -> list[tuple[Place, str]]:
    """What of `symbols`, `universe` and `exchange` does not go together, as (place, sentence)."""
    if data.get("universe") is None:
        if "symbols" not in data:
            return [(("symbols",), "is missing; it is a list such as [BTC/USDT:USDT]; or find them with universe: {}")]
        return []
    found: list[tuple[Place, str]] = []
    if "symbols" in data and isinstance(data["universe"], Mapping):
        text = "stands beside symbols; keep one of them (symbols that shall always be in belong under universe.always)"
        found.append((("universe",), text))
    return found + (_told_problems(data, universe) if universe is not None else [])


def _told_problems(data: Mapping[str, object], universe: UniverseConfig) -> list[tuple[Place, str]]:
    exchange, market = data.get("exchange"), data.get("market")
    section = exchange if isinstance(exchange, Mapping) else {}
    venue = section.get("id", SIMULATOR)
    if venue == SIMULATOR:
        simulator = section.get("simulator")
        if isinstance(simulator, Mapping) and simulator.get("socket") is not None:
            text = "a venue in another process does not list its symbols; take exchange.simulator.socket out"
            return [(("universe",), text)]
        return []
    wanted = wanted_facts(universe_rules(universe, str(market)))
    places = {name: _PLACES.get(name, name) for name in wanted}
    return [
        (("universe", places[name]), f"{venue} does not tell the {fact.value} of its {market} symbols; {_MENDS[name]}")
        for name, fact in wanted.items()
        if lacking_fact(str(venue), str(market), (fact,)) is not None
    ]


_PLACES = {"minimum_age_ms": "minimum_age_days"}
_TAKE_OUT = "take this filter out"
_MENDS = dict.fromkeys(
    ("minimum_volume", "minimum_price", "maximum_price", "maximum_spread", "minimum_age_ms"), _TAKE_OUT
) | {"top": "list your symbols under symbols"}


def always_symbols(data: Mapping[str, object]) -> Sequence[object]:
    """What stands under universe.always, whatever it is."""
    section = data.get("universe")
    found = section.get("always") if isinstance(section, Mapping) else None
    return found if isinstance(found, list) else ()
