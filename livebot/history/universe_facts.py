"""What stored candles tell of symbols at past times, so that a universe can be chosen as it would have been.

Rules of this file: at a time only candles that had closed by then are looked at; a symbol is there from the close of its
first candle to a day after that of its last one; volume is that of the 24 hours before, in quote currency (each candle's
volume at its close, as venues' own day figures very nearly are).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from livebot.core.market import DAY_MS, Timeframe
from livebot.core.series import Times
from livebot.core.universe_rules import Listing, UniverseRules
from livebot.core.universe_spans import CandleFacts, Span, universe_at
from livebot.errors import BadInput, Transient
from livebot.history.place import Place
from livebot.history.store import CandleStore
from livebot.history.table import VALUES, CandleTable

_CLOSE, _VOLUME = VALUES.index("close"), VALUES.index("volume")


def candle_facts(candles: Mapping[str, CandleTable], timeframe: Timeframe, times_ms: Times, market: str) -> CandleFacts:
    """The facts of all symbols at `times_ms` (increasing).

    Raises:
        BadInput: the times do not increase.

    """
    if len(times_ms) > 1 and not (np.diff(times_ms) > 0).all():
        raise BadInput("the times at which a universe is chosen must increase")
    symbols = tuple(sorted(candles))
    shape = (len(times_ms), len(symbols))
    volume, price = np.full(shape, np.nan), np.full(shape, np.nan)
    listed = np.zeros(len(symbols), dtype=np.int64)
    for column, symbol in enumerate(symbols):
        table = candles[symbol]
        if len(table):
            listed[column] = table.ts_ms[0]
            volume[:, column], price[:, column] = _of_one(table, timeframe.ms, times_ms)
    return CandleFacts(market=market, symbols=symbols, times_ms=times_ms, volume=volume, price=price, listed_ms=listed)


def _of_one(table: CandleTable, length_ms: int, times_ms: Times) -> tuple[np.ndarray, np.ndarray]:
    """24 h volume and last price at each time, nan where the symbol was not there."""
    closes_ms = table.ts_ms + length_ms
    stop = np.searchsorted(closes_ms, times_ms, side="right")  # candles closed by then
    begin = np.searchsorted(table.ts_ms, times_ms - DAY_MS, side="left")
    turnover = np.concatenate([[0.0], np.cumsum(table.values[_CLOSE] * table.values[_VOLUME])])
    there = (stop > 0) & (times_ms < closes_ms[-1] + DAY_MS)
    volume = np.where(there, turnover[stop] - turnover[np.minimum(begin, stop)], np.nan)
    price = np.where(there, table.values[_CLOSE][np.maximum(stop - 1, 0)], np.nan)
    return volume, price


@dataclass(frozen=True, slots=True)
class PastUniverse:
    """Who was a member when; `notes` are sentences on what candles could not tell."""

    spans: Mapping[str, tuple[Span, ...]]
    notes: tuple[str, ...]


def past_universe(
    rules: UniverseRules,
    candles: Mapping[str, CandleTable],
    timeframe: Timeframe,
    first_ms: int,
    stop_ms: int,
    refresh_ms: int,
) -> PastUniverse:
    """The universe of [first_ms, stop_ms), chosen at its start and every `refresh_ms` from then on.

    Each choice knows the candles that had closed by then; give those of a day before `first_ms` too (and older ones, if the
    rules ask for an age).  A filter on the spread is left out, and that is noted.

    Raises:
        BadInput: there is no time between the two.

    """
    if stop_ms <= first_ms:
        raise BadInput("a universe of the past needs a beginning before its end")
    notes: tuple[str, ...] = ()
    if rules.maximum_spread is not None:
        rules = replace(rules, maximum_spread=None)
        notes = ("universe: candles do not tell the spread, so maximum_spread kept nobody out",)
    times_ms = np.append(np.arange(first_ms, stop_ms, refresh_ms, dtype=np.int64), stop_ms)
    return PastUniverse(universe_at(rules, candle_facts(candles, timeframe, times_ms, rules.market)), notes)


class StoredListings:
    """`universe_ports.UniverseSource` over a candle store, at one past time."""

    def __init__(self, store: CandleStore, places: Iterable[Place], at_ms: int) -> None:
        """`places` are of one venue, market and timeframe."""
        self._store = store
        self._places = tuple(places)
        self._at_ms = at_ms

    @property
    def name(self) -> str:
        """Where it lies."""
        return str(self._store.folder)

    async def listings(self) -> tuple[Listing, ...]:
        """All symbols that were there at that time.

        Raises:
            Transient: none was.
            BadInput: a file is not as it should be.

        """
        found: list[Listing] = []
        for place in self._places:
            facts = candle_facts(
                {place.symbol: self._store.read(place)},
                place.timeframe,
                np.array([self._at_ms], dtype=np.int64),
                place.market,
            )
            if np.isfinite(facts.price[0, 0]):
                found.append(_listing(facts))
        if not found:
            raise Transient(f"{self.name} holds no candles of that time; see livebot data list")
        return tuple(found)


def _listing(facts: CandleFacts) -> Listing:
    symbol = facts.symbols[0]
    base, _, rest = symbol.partition("/")
    return Listing(
        symbol=symbol,
        base=base,
        quote=rest.partition(":")[0],
        market=facts.market,
        volume=float(facts.volume[0, 0]),
        price=float(facts.price[0, 0]),
        listed_ms=int(facts.listed_ms[0]),
    )
