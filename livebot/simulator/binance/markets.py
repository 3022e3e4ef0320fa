"""What Binance says of the market: symbols and their filters, candles, tickers.

Rules of this file: candles go from the oldest to the newest, and the newest is the one that is forming, if the span
asked for reaches so far: it knows only its whole minutes and the present price.  Day figures of a ticker are estimates
from the market's prices, not sums over the day.
"""

from decimal import Decimal
from typing import Any

from livebot.core.market import DAY_MS, MINUTE_MS, Candle, Timeframe, decimal_of
from livebot.simulator.binance import orders, spot_orders
from livebot.simulator.binance.codes import BAD_INTERVAL, Refused
from livebot.simulator.binance.spot_forms import eight
from livebot.simulator.venue import SimulatedVenue
from livebot.simulator.venue_candles import candles, forming
from livebot.simulator.venue_listings import Listing
from livebot.simulator.venue_listings import text as plain

Row = dict[str, Any]
INTERVALS = {frame.value: frame for frame in Timeframe}
MOST_CANDLES = {True: 1000, False: 1500}  # spot, futures
_MINUTES_PER_DAY = DAY_MS // MINUTE_MS
_FUNDING_MS = DAY_MS // 3
_LOTS = 1_000_000  # the largest order
_FOR_EVER_MS = 4133404800000

_SPOT_PART: Row = {
    "status": "TRADING",
    "quoteAssetPrecision": 8,
    "baseCommissionPrecision": 8,
    "quoteCommissionPrecision": 8,
    "orderTypes": list(spot_orders.TYPES),
    "icebergAllowed": True,
    "ocoAllowed": True,
    "otoAllowed": True,
    "opoAllowed": True,
    "quoteOrderQtyMarketAllowed": True,
    "allowTrailingStop": False,
    "cancelReplaceAllowed": False,
    "amendAllowed": False,
    "pegInstructionsAllowed": True,
    "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": False,
    "permissions": [],
    "permissionSets": [["SPOT"]],
    "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
    "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
}


def exchange_info(rows: list[Row], limits: list[Row], now_ms: int, *, spot: bool) -> Row:
    """All symbols."""
    row: Row = {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": limits,
        "exchangeFilters": [],
        "symbols": rows,
    }
    if spot:
        return row | {"sors": []}
    return row | {"futuresType": "U_MARGINED", "assets": []}


def symbol_row(listing: Listing) -> Row:
    """One symbol with its filters."""
    instrument = listing.instrument
    row: Row = {
        "symbol": listing.name,
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "filters": _filters(listing),
    }
    if listing.spot:
        return row | _SPOT_PART
    return row | {
        "pair": listing.name,
        "contractType": "PERPETUAL",
        "deliveryDate": _FOR_EVER_MS,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "marginAsset": instrument.quote,
        "pricePrecision": _decimals(instrument.tick_size),
        "quantityPrecision": _decimals(instrument.lot_step),
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012000",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "orderTypes": ["LIMIT", "MARKET", *orders.ALGO_TYPES],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def ticker_row(listing: Listing, venue: SimulatedVenue) -> Row:
    """The price, and about what a day was like."""
    day, name = _day(listing, venue), eight if listing.spot else plain
    row: Row = {
        "symbol": listing.name,
        "priceChange": name(day["last"] - day["open"]),
        "priceChangePercent": f"{(day['last'] / day['open'] - 1) * 100:.3f}",
        "weightedAvgPrice": name(day["last"]),
        "lastPrice": name(day["last"]),
        "lastQty": name(listing.instrument.minimum_quantity),
        "openPrice": name(day["open"]),
        "highPrice": name(day["high"]),
        "lowPrice": name(day["low"]),
        "volume": name(day["volume"]),
        "quoteVolume": name(day["volume"] * day["last"]),
        "openTime": venue.minute_ms - DAY_MS,
        "closeTime": venue.now_ms,
        "firstId": 0,
        "lastId": 1,
        "count": 1,
    }
    if not listing.spot:
        return row
    return row | {
        "prevClosePrice": eight(day["open"]),
        "bidPrice": eight(day["last"] - listing.instrument.tick_size),
        "bidQty": eight(Decimal(1)),
        "askPrice": eight(day["last"]),
        "askQty": eight(Decimal(1)),
    }


def book_row(listing: Listing, venue: SimulatedVenue) -> Row:
    """The best prices, a tick apart."""
    last, name = venue.price(listing.symbol), eight if listing.spot else plain
    row: Row = {
        "symbol": listing.name,
        "bidPrice": name(last - listing.instrument.tick_size),
        "bidQty": name(Decimal(1)),
        "askPrice": name(last),
        "askQty": name(Decimal(1)),
    }
    return row if listing.spot else row | {"time": venue.now_ms, "lastUpdateId": 1}


def funding_row(listing: Listing, venue: SimulatedVenue) -> Row:
    """The mark price, which is the price, and a funding rate that never changes."""
    price = plain(venue.price(listing.symbol))
    return {
        "symbol": listing.name,
        "markPrice": price,
        "indexPrice": price,
        "estimatedSettlePrice": price,
        "lastFundingRate": "0.00010000",
        "interestRate": "0.00010000",
        "nextFundingTime": (venue.minute_ms // _FUNDING_MS + 1) * _FUNDING_MS,
        "time": venue.now_ms,
    }


def ticker_message(listing: Listing, venue: SimulatedVenue, now_ms: int, *, mini: bool) -> Row:
    """The same as a stream tells it, in full or short."""
    day, name = _day(listing, venue), eight if listing.spot else plain
    row: Row = {
        "e": "24hrMiniTicker" if mini else "24hrTicker",
        "E": now_ms,
        "s": listing.name,
        "c": name(day["last"]),
        "o": name(day["open"]),
        "h": name(day["high"]),
        "l": name(day["low"]),
        "v": name(day["volume"]),
        "q": name(day["volume"] * day["last"]),
    }
    if mini:
        return row
    row |= {
        "p": name(day["last"] - day["open"]),
        "P": f"{(day['last'] / day['open'] - 1) * 100:.3f}",
        "w": name(day["last"]),
        "Q": name(listing.instrument.minimum_quantity),
        "O": venue.minute_ms - DAY_MS,
        "C": now_ms,
        "F": 0,
        "L": 1,
        "n": 1,
    }
    if not listing.spot:
        return row
    best = {"b": eight(day["last"] - listing.instrument.tick_size), "B": "1.00000000", "a": row["c"], "A": "1.00000000"}
    return row | {"x": row["o"]} | best


def interval_of(name: str) -> Timeframe:
    """Raises Refused for one Binance does not have, or this exchange does not keep."""
    frame = INTERVALS.get(name)
    if frame is None:
        raise Refused(BAD_INTERVAL, "Invalid interval.")
    return frame


async def kline_rows(
    listing: Listing, venue: SimulatedVenue, frame: Timeframe, span: tuple[int | None, int | None], limit: int
) -> list[list[Any]]:
    """As klines lists them; `span` are the first and the last opening time asked for."""
    start, end = span
    present = frame.open_of(venue.minute_ms)
    last = present if end is None else min(present, frame.open_of(end))
    first = last - (limit - 1) * frame.ms
    if start is not None:
        first = -(-start // frame.ms) * frame.ms
        last = min(last, first + (limit - 1) * frame.ms)
    rows = [_row(each, frame, listing) async for each in candles(listing, venue, frame, first, last + frame.ms)]
    if first <= present <= last:
        rows.append(_row(await forming(listing, venue, frame), frame, listing))
    return rows


def kline_message(listing: Listing, candle: Candle, frame: Timeframe, now_ms: int, *, closed: bool) -> Row:
    """As a stream tells it."""
    row = _row(candle, frame, listing)
    kline = {
        "t": row[0],
        "T": row[6],
        "s": listing.name,
        "i": frame.value,
        "f": 0,
        "L": row[8],
        "o": row[1],
        "c": row[4],
        "h": row[2],
        "l": row[3],
        "v": row[5],
        "n": row[8],
        "x": closed,
        "q": row[7],
        "V": row[9],
        "Q": row[10],
        "B": "0",
    }
    return {"e": "kline", "E": now_ms, "s": listing.name, "k": kline}


def half_formed(row: list[Any]) -> list[Any]:
    """The same candle as it could have been seen half way."""
    first, close = Decimal(row[1]), Decimal(row[4])
    low, high = sorted((first, (first + close) / 2))
    half = [plain(Decimal(row[index]) / 2) for index in (5, 7, 9, 10)]
    prices = [row[1], plain(high), plain(low), plain((first + close) / 2)]
    return [row[0], *prices, half[0], row[6], half[1], row[8], half[2], half[3], row[11]]


def _row(candle: Candle, frame: Timeframe, listing: Listing) -> list[Any]:
    name = eight if listing.spot else plain
    prices = [name(decimal_of(value)) for value in (candle.open, candle.high, candle.low, candle.close)]
    volume, turnover = decimal_of(candle.volume), decimal_of(candle.volume * candle.close)
    ends = candle.ts_ms + frame.ms - 1
    halves = (name(volume / 2), name(turnover / 2))
    return [candle.ts_ms, *prices, name(volume), ends, name(turnover), int(bool(volume)), *halves, "0"]


def _filters(listing: Listing) -> list[Row]:
    instrument = listing.instrument
    tick, step = plain(instrument.tick_size), plain(instrument.lot_step)
    largest = plain(instrument.minimum_quantity * _LOTS)
    lot = {"stepSize": step, "maxQty": largest, "minQty": plain(instrument.minimum_quantity)}
    at_market = lot | {"maxQty": plain(instrument.fitting(instrument.minimum_quantity * _LOTS))}
    price = {"minPrice": tick, "maxPrice": plain(instrument.tick_size * _LOTS * 100), "tickSize": tick}
    least = plain(instrument.minimum_notional)
    shared = [{"filterType": "PRICE_FILTER", **price}, {"filterType": "LOT_SIZE", **lot}]
    if listing.spot:
        up, down = plain(spot_orders.UP), plain(spot_orders.DOWN)
        sides = {"bidMultiplierUp": up, "bidMultiplierDown": down, "askMultiplierUp": up, "askMultiplierDown": down}
        notional = {"minNotional": least, "applyMinToMarket": True, "maxNotional": "9000000", "applyMaxToMarket": False}
        return [
            *shared,
            {"filterType": "MARKET_LOT_SIZE", **at_market, "minQty": "0", "stepSize": "0"},
            {"filterType": "NOTIONAL", **notional, "avgPriceMins": 5},
            {"filterType": "PERCENT_PRICE_BY_SIDE", **sides, "avgPriceMins": 5},
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ]
    percent = {"multiplierUp": plain(orders.UP), "multiplierDown": plain(orders.DOWN), "multiplierDecimal": "4"}
    return [
        *shared,
        {"filterType": "MARKET_LOT_SIZE", **at_market},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": least},
        {"filterType": "PERCENT_PRICE", **percent},
    ]


def _day(listing: Listing, venue: SimulatedVenue) -> dict[str, Decimal]:
    symbol = listing.symbol
    last = venue.price(symbol)
    first = decimal_of(venue.market.price(symbol, max(venue.market.first_ms, venue.minute_ms - DAY_MS)))
    candle = None
    if venue.minute_ms > venue.market.first_ms:
        candle = venue.market.candle(symbol, venue.minute_ms - MINUTE_MS)
    high, low = (decimal_of(candle.high), decimal_of(candle.low)) if candle else (last, last)
    volume = decimal_of(candle.volume if candle else 0.0) * _MINUTES_PER_DAY
    return {"last": last, "open": first, "high": max(high, last, first), "low": min(low, last, first), "volume": volume}


def _decimals(step: Decimal) -> int:
    return len(plain(step).partition(".")[2])
