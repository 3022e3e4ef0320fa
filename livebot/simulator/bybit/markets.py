"""What Bybit says of the market: instruments, candles, tickers.

Rules of this file: the candle that is forming is always the newest of an answer, as it is at Bybit, and knows only its
open; all others are closed.  Day figures of a ticker are estimates from the market's prices, not sums over the day.
"""

from decimal import Decimal
from typing import Any

from livebot.core.market import DAY_MS, MINUTE_MS, Candle, Timeframe, decimal_of
from livebot.simulator.bybit.codes import bad_parameter
from livebot.simulator.venue import SimulatedVenue
from livebot.simulator.venue_candles import candles, forming
from livebot.simulator.venue_listings import Listing, Listings, text

Row = dict[str, Any]
INTERVALS = {"D": Timeframe.D1} | {
    str(frame.ms // MINUTE_MS): frame for frame in Timeframe if frame is not Timeframe.D1
}
MOST_CANDLES = 1000
_FUNDING_MS = 8 * 60 * MINUTE_MS
_MINUTES_PER_DAY = DAY_MS // MINUTE_MS
_LOTS = 1_000_000  # the largest order


def listing_of(listings: Listings, category: str, name: str) -> Listing:
    """By category and Bybit's name.  Raises Refused if there is none."""
    found = listings.find(category, name)
    if found is None:
        raise bad_parameter("Not supported symbols" if name else "params error: symbol invalid")
    return found


def instrument_row(listing: Listing) -> Row:
    """As market/instruments-info lists it."""
    instrument = listing.instrument
    largest = text(instrument.minimum_quantity * _LOTS)
    at_market = text(instrument.fitting(instrument.minimum_quantity * _LOTS))
    if listing.spot:
        return _spot_row(listing, largest, at_market)
    return {
        "symbol": listing.name,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(_decimals(instrument.tick_size)),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100", "leverageStep": "0.01"},
        "priceFilter": {
            "minPrice": text(instrument.tick_size),
            "maxPrice": text(instrument.tick_size * _LOTS * 100),
            "tickSize": text(instrument.tick_size),
        },
        "lotSizeFilter": {
            "maxOrderQty": largest,
            "minOrderQty": text(instrument.minimum_quantity),
            "qtyStep": text(instrument.lot_step),
            "postOnlyMaxOrderQty": largest,
            "maxMktOrderQty": at_market,
            "minNotionalValue": text(instrument.minimum_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": instrument.quote,
    }


def _spot_row(listing: Listing, largest: str, at_market: str) -> Row:
    instrument = listing.instrument
    return {
        "symbol": listing.name,
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "none",
        "lotSizeFilter": {
            "basePrecision": text(instrument.lot_step),
            "quotePrecision": "0.0000001",
            "minOrderQty": text(instrument.minimum_quantity),
            "maxOrderQty": largest,
            "maxLimitOrderQty": largest,
            "maxMarketOrderQty": at_market,
            "minOrderAmt": text(instrument.minimum_notional),
            "maxOrderAmt": "4000000",
        },
        "priceFilter": {"tickSize": text(instrument.tick_size)},
    }


def ticker_row(listing: Listing, venue: SimulatedVenue) -> Row:
    """The price, and about what a day was like."""
    symbol, tick = listing.symbol, listing.instrument.tick_size
    last = venue.price(symbol)
    before = decimal_of(venue.market.price(symbol, max(venue.market.first_ms, venue.minute_ms - DAY_MS)))
    candle = _last_closed(listing, venue)
    high, low = (decimal_of(candle.high), decimal_of(candle.low)) if candle else (last, last)
    volume = decimal_of(candle.volume if candle else 0.0) * _MINUTES_PER_DAY
    row: Row = {
        "symbol": listing.name,
        "bid1Price": text(last - tick),
        "bid1Size": "1",
        "ask1Price": text(last),
        "ask1Size": "1",
        "lastPrice": text(last),
        "prevPrice24h": text(before),
        "price24hPcnt": text(((last - before) / before).quantize(Decimal("1e-6"))),
        "highPrice24h": text(max(high, last, before)),
        "lowPrice24h": text(min(low, last, before)),
        "turnover24h": text((volume * last).quantize(Decimal("1e-4"))),
        "volume24h": text(volume.quantize(Decimal("1e-4"))),
    }
    if listing.spot:
        return row | {"usdIndexPrice": text(last)}
    funding = (venue.minute_ms // _FUNDING_MS + 1) * _FUNDING_MS
    return row | {
        "tickDirection": "ZeroPlusTick",
        "prevPrice1h": text(last),
        "markPrice": text(last),
        "indexPrice": text(last),
        "openInterest": "100000",
        "openInterestValue": text(last * 100_000),
        "nextFundingTime": str(funding),
        "fundingRate": "0.0001",
        "fundingIntervalHour": "8",
    }


def interval_of(name: str) -> Timeframe:
    """Raises Refused for one Bybit does not have, or this exchange does not keep."""
    frame = INTERVALS.get(name)
    if frame is None:
        raise bad_parameter("Invalid period!")
    return frame


async def kline_rows(
    listing: Listing, venue: SimulatedVenue, frame: Timeframe, params: dict[str, str]
) -> list[list[str]]:
    """As market/kline lists them: newest first, the forming one among them."""
    start, end, limit = _number(params, "start"), _number(params, "end"), _number(params, "limit") or 200
    span = (max(1, min(limit, MOST_CANDLES)) - 1) * frame.ms
    present = frame.open_of(venue.minute_ms)
    last = present if end is None else min(present, frame.open_of(end))
    first = last - span
    if start is not None:
        wanted = -(-start // frame.ms) * frame.ms
        first = wanted if end is None else max(wanted, first)
        last = min(last, first + span)
    rows = [_row(candle) async for candle in candles(listing, venue, frame, first, last + frame.ms)]
    if first <= present <= last:
        rows.append(_row(await forming(listing, venue, frame)))
    return rows[::-1]


def kline_row(candle: Candle, interval: str, *, closed: bool, now_ms: int) -> Row:
    """As a stream tells it."""
    row = _row(candle)
    return {
        "start": candle.ts_ms,
        "end": candle.ts_ms + INTERVALS[interval].ms - 1,
        "interval": interval,
        "open": row[1],
        "close": row[4],
        "high": row[2],
        "low": row[3],
        "volume": row[5],
        "turnover": row[6],
        "confirm": closed,
        "timestamp": now_ms,
    }


def half_formed(row: list[str]) -> list[str]:
    """The same candle as it could have been seen half way."""
    middle = text((Decimal(row[1]) + Decimal(row[4])) / 2)
    low, high = sorted((Decimal(row[1]), Decimal(middle)))
    half = [text(Decimal(value) / 2) for value in row[5:7]]
    return [row[0], row[1], text(high), text(low), middle, *half]


def _row(candle: Candle) -> list[str]:
    prices = [text(decimal_of(value)) for value in (candle.open, candle.high, candle.low, candle.close)]
    return [str(candle.ts_ms), *prices, text(decimal_of(candle.volume)), text(decimal_of(candle.volume * candle.close))]


def _last_closed(listing: Listing, venue: SimulatedVenue) -> Candle | None:
    if venue.minute_ms <= venue.market.first_ms:
        return None
    return venue.market.candle(listing.symbol, venue.minute_ms - MINUTE_MS)


def _number(params: dict[str, str], name: str) -> int | None:
    value = params.get(name, "")
    if value and not value.isdigit():
        raise bad_parameter(f"params error: {name} invalid")
    return int(value) if value else None


def _decimals(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0
