"""What the market streams have to tell: when a topic is new to somebody, and when a minute has closed.

Rules of this file: of a candle that has closed, its closed form is told first, then the next one that is forming.
"""

from collections.abc import Callable
from typing import Any

from livebot.core.market import Candle, Timeframe
from livebot.simulator.binance import markets
from livebot.simulator.venue import SimulatedVenue
from livebot.simulator.venue_candles import candles, forming, joined
from livebot.simulator.venue_listings import LINEAR, SPOT, Listing, Listings

ALL_TICKERS = {"!miniTicker@arr": True, "!ticker@arr": False}  # whether it is the short one
_TICKERS = {"miniTicker": True, "ticker": False}


class News:
    """`now_ms` is the venue's time.  Topics this exchange has nothing for are known as little as wrong ones."""

    def __init__(self, venue: SimulatedVenue, listings: Listings, now_ms: Callable[[], int]) -> None:
        self._venue = venue
        self._listings = listings
        self._now_ms = now_ms

    def listing_of(self, market: str, topic: str) -> Listing | None:
        """Whom a topic is about, None if about nobody or all."""
        return self._listings.find(market, topic.partition("@")[0].upper())

    async def greet(self, market: str, topic: str) -> list[Any]:
        """How things stand."""
        if market not in {LINEAR, SPOT}:
            return []
        return self._tickers(market, topic) or await self._klines(market, topic, None, minute_closed=False)

    async def of_minute(self, market: str, topic: str, candle: Candle | None) -> list[Any]:
        """What a minute that has closed brings; `candle` is its own, if it had one."""
        return self._tickers(market, topic) or await self._klines(market, topic, candle, minute_closed=True)

    def _tickers(self, market: str, topic: str) -> list[Any]:
        if topic in ALL_TICKERS:
            listings = self._listings.of_category(market)
            return [[self._ticker(listing, mini=ALL_TICKERS[topic]) for listing in listings]]
        listing, kind = self.listing_of(market, topic), topic.partition("@")[2]
        if listing is None or kind not in _TICKERS:
            return []
        return [self._ticker(listing, mini=_TICKERS[kind])]

    def _ticker(self, listing: Listing, *, mini: bool) -> dict[str, Any]:
        return markets.ticker_message(listing, self._venue, self._now_ms(), mini=mini)

    async def _klines(self, market: str, topic: str, candle: Candle | None, *, minute_closed: bool) -> list[Any]:
        listing, (kind, _, interval) = self.listing_of(market, topic), topic.partition("@")[2].partition("_")
        frame = markets.INTERVALS.get(interval)
        if listing is None or kind != "kline" or frame is None:
            return []
        closed = await self._closed(listing, frame, candle) if minute_closed else None
        present = await forming(listing, self._venue, frame)
        now = self._now_ms()
        last = [markets.kline_message(listing, closed, frame, now, closed=True)] if closed else []
        return [*last, markets.kline_message(listing, present, frame, now, closed=False)]

    async def _closed(self, listing: Listing, frame: Timeframe, candle: Candle | None) -> Candle | None:
        """The candle that has closed with the last minute, if one has."""
        now = self._venue.minute_ms
        if frame is Timeframe.M1 or now % frame.ms:
            return candle if frame is Timeframe.M1 else None
        opened = now - frame.ms
        minutes = [each async for each in candles(listing, self._venue, Timeframe.M1, opened, now)]
        return joined(opened, minutes) if minutes else None
