"""Candles of a simulated venue in any timeframe: those that are closed, and the one that is forming.

Rules of this file: a span is read in pieces, and others have their turn between two of them.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator

from livebot.core.market import MINUTE_MS, Candle, Timeframe
from livebot.core.series import CandleSeries
from livebot.features.timeframes import aggregate
from livebot.simulator.venue import SimulatedVenue
from livebot.simulator.venue_listings import Listing

_CHUNK_MINUTES = 10_080


async def candles(
    listing: Listing, venue: SimulatedVenue, frame: Timeframe, first: int, stop: int
) -> AsyncIterator[Candle]:
    """Closed candles that open in [first, stop), oldest first; a gap of the market is left out."""
    stop = min(stop, frame.open_of(venue.minute_ms))
    most = max(_CHUNK_MINUTES * MINUTE_MS // frame.ms, 1) * frame.ms
    parts: list[CandleSeries] = []
    while stop > first:
        begin = max(first, frame.open_of(stop - 1) + frame.ms - most)
        part = venue.market.candles(listing.symbol, begin, stop)
        if not len(part):
            earlier = venue.market.latest_close(listing.symbol, stop)
        else:
            parts.append(part if frame is Timeframe.M1 else aggregate(part, frame))
            opened = int(part.ts_ms[0])
            earlier = begin if opened <= begin else venue.market.latest_close(listing.symbol, opened)
        if earlier >= stop:
            break  # the market is younger
        stop = earlier
        await asyncio.sleep(0)
    for part in reversed(parts):
        for candle in _of_series(part):
            yield candle


async def forming(listing: Listing, venue: SimulatedVenue, frame: Timeframe) -> Candle:
    """The candle that is not closed yet: its whole minutes so far, and the present price."""
    opened, price = frame.open_of(venue.minute_ms), float(venue.price(listing.symbol))
    minutes = [each async for each in candles(listing, venue, Timeframe.M1, opened, venue.minute_ms)]
    return joined(opened, [*minutes, Candle(venue.minute_ms, price, price, price, price, 0.0)])


def joined(opened: int, minutes: list[Candle]) -> Candle:
    """Minutes of one candle in one."""
    return Candle(
        opened,
        minutes[0].open,
        max(each.high for each in minutes),
        min(each.low for each in minutes),
        minutes[-1].close,
        math.fsum(each.volume for each in minutes),
    )


def _of_series(series: CandleSeries) -> Iterator[Candle]:
    columns = (series.ts_ms, series.open, series.high, series.low, series.close, series.volume)
    for ts_ms, *values in zip(*(column.tolist() for column in columns), strict=True):
        yield Candle(ts_ms, *values)
