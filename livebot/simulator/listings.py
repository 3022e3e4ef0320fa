"""`universe_ports.UniverseSource` over a simulated market: what it lists at a moment of its own time.

Rules of this file: only candles that are closed by then are looked at.  A synthetic market has no beginning: when each of
its symbols was listed is made up from its name, so that a filter on age can be tried.
"""

import asyncio
import zlib
from collections.abc import Callable

import numpy as np

from livebot.core.market import DAY_MS
from livebot.core.universe_rules import Listing
from livebot.simulator.market import Market, parts_of

_NEWEST_MS = 1_767_225_600_000  # 2026-01-01, when the youngest synthetic symbol was listed
_OLDEST_DAYS = 2_000


class SimulatedListings:
    """All symbols of a market; `now_ms` tells its time."""

    def __init__(self, market: Market, now_ms: Callable[[], int], *, name: str = "simulator") -> None:
        self._market = market
        self._now_ms = now_ms
        self._name = name

    @property
    def name(self) -> str:
        """As configured."""
        return self._name

    async def listings(self) -> tuple[Listing, ...]:
        """All, as of the market's present time."""
        now_ms = self._now_ms()
        found = []
        for symbol in self._market.symbols:
            found.append(listing_of(self._market, symbol, now_ms))
            await asyncio.sleep(0)  # a day of candles takes a moment to be made
        return tuple(found)


def listing_of(market: Market, symbol: str, now_ms: int) -> Listing:
    """One symbol as of `now_ms`; the spread is one tick."""
    base, quote, perpetual = parts_of(symbol)
    latest_ms = market.latest_close(symbol, now_ms)
    price = market.price(symbol, latest_ms)
    return Listing(
        symbol=symbol,
        base=base,
        quote=quote,
        market="perpetual" if perpetual else "spot",
        volume=_volume_of_day(market, symbol, now_ms),
        price=price,
        listed_ms=_listed_ms(market, symbol),
        spread=float(market.instrument(symbol).tick_size) / price,
    )


def _volume_of_day(market: Market, symbol: str, now_ms: int) -> float:
    """In quote currency, of the candles that closed in the 24 hours before; a history ends at a gap, so part by part."""
    first_ms, stop_ms, total = now_ms - DAY_MS, market.latest_close(symbol, now_ms), 0.0
    while stop_ms > first_ms:
        part = market.candles(symbol, first_ms, stop_ms)
        if not len(part):
            break
        total += float(np.dot(part.close, part.volume))
        begin_ms = int(part.ts_ms[0])
        earlier_ms = market.latest_close(symbol, begin_ms)
        if earlier_ms >= stop_ms or begin_ms <= first_ms:
            break
        stop_ms = min(earlier_ms, begin_ms)
    return total


def _listed_ms(market: Market, symbol: str) -> int:
    begins_ms = market.begins_ms(symbol)
    return _NEWEST_MS - zlib.crc32(symbol.encode()) % _OLDEST_DAYS * DAY_MS if begins_ms is None else begins_ms
