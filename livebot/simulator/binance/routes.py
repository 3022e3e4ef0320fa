"""What a path of Binance's REST interface is: its call, who may ask, what it weighs; and what calls of both markets share.

Rules of this file: a call takes parameters as text, as in a query, and returns the answer's JSON or raises Refused.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from livebot.simulator.binance import markets
from livebot.simulator.binance.account import BinanceAccount
from livebot.simulator.binance.codes import BAD_SYMBOL, MISSING, Refused, missing
from livebot.simulator.binance.orders import Params, whole
from livebot.simulator.binance.records import OrderRecord, Trade
from livebot.simulator.venue_listings import LINEAR, SPOT, Listing

Json = Any
Call = Callable[[Params], Json] | Callable[[Params], Awaitable[Json]]
MOST_ROWS = 1000
_USUAL_ROWS = 500


@dataclass(frozen=True, slots=True)
class Route:
    """A path's call.

    `signed` needs a key and a signature, `keyed` a key only; `writes` needs more than a key that may only read;
    `counts` as a new order.  `weight` is by its parameters.
    """

    call: Call
    weight: Callable[[Params], int]
    signed: bool = False
    keyed: bool = False
    writes: bool = False
    counts: bool = False


Routes = dict[tuple[str, str], Route]


def public(call: Call, weight: int | Callable[[Params], int] = 1) -> Route:
    """Anybody may ask."""
    return Route(call, _weight(weight))


def private(call: Call, weight: int | Callable[[Params], int] = 1) -> Route:
    """A key that may read."""
    return Route(call, _weight(weight), signed=True)


def trading(call: Call, weight: int = 1, *, counts: bool = False) -> Route:
    """A key that may trade."""
    return Route(call, _weight(weight), signed=True, writes=True, counts=counts)


def with_symbol(one: int, all_of_them: int) -> Callable[[Params], int]:
    """A question about everything weighs more."""
    return lambda params: one if params.get("symbol") else all_of_them


class Calls:
    """What both markets' calls are made of; `now_ms` is the exchange's clock, `limits` what exchangeInfo tells of them."""

    def __init__(self, account: BinanceAccount, now_ms: Callable[[], int], *, spot: bool, limits: list[Json]) -> None:
        self.account = account
        self.listings = account.listings
        self.now_ms = now_ms
        self._spot = spot
        self._category = SPOT if spot else LINEAR
        self._limits = limits

    def time(self, _: Params) -> Json:
        """The exchange's clock."""
        return {"serverTime": self.now_ms()}

    def nothing(self, _: Params) -> Json:
        """Something clients ask about that this exchange has none of."""
        return []

    def exchange_info(self, _: Params) -> Json:
        """All symbols."""
        found = self.listings.of_category(self._category)
        rows = [markets.symbol_row(listing) for listing in found]
        return markets.exchange_info(rows, self._limits, self.now_ms(), spot=self._spot)

    async def klines(self, params: Params) -> Json:
        """Candles, the forming one among them."""
        listing = self.listing(params)
        if not params.get("interval"):
            raise missing("interval")
        frame = markets.interval_of(params["interval"])
        span = whole(params, "startTime"), whole(params, "endTime")
        limit = min(whole(params, "limit") or _USUAL_ROWS, markets.MOST_CANDLES[self._spot])
        return await markets.kline_rows(listing, self.account.venue, frame, span, limit)

    def tickers(self, params: Params) -> Json:
        """One, those named, or all."""
        if params.get("symbol"):
            return markets.ticker_row(self.listing(params), self.account.venue)
        named = params.get("symbols", "")
        names = [each.strip('" ') for each in named.strip("[]").split(",")] if named else []
        found = [self.named(name) for name in names] or self.listings.of_category(self._category)
        return [markets.ticker_row(listing, self.account.venue) for listing in found]

    def prices(self, params: Params) -> Json:
        """The present price of one, or of all."""
        one = bool(params.get("symbol"))
        found = [self.listing(params)] if one else self.listings.of_category(self._category)
        rows = [
            {"symbol": each.name, "price": str(self.account.venue.price(each.symbol)), "time": self.account.now_ms()}
            for each in found
        ]
        return rows[0] if one else rows

    def books(self, params: Params) -> Json:
        """The best bid and ask of one, or of all."""
        one = bool(params.get("symbol"))
        found = [self.listing(params)] if one else self.listings.of_category(self._category)
        rows = [markets.book_row(listing, self.account.venue) for listing in found]
        return rows[0] if one else rows

    # What parameters name

    def named(self, name: str) -> Listing:
        """By Binance's name.  Raises Refused."""
        found = self.listings.find(self._category, name)
        if found is None:
            raise Refused(BAD_SYMBOL, "Invalid symbol.")
        return found

    def listing(self, params: Params) -> Listing:
        """The one that has to be named.  Raises Refused."""
        if not params.get("symbol"):
            raise missing("symbol")
        return self.named(params["symbol"])

    def listing_or_none(self, params: Params) -> Listing | None:
        """The one that may be named.  Raises Refused."""
        return self.named(params["symbol"]) if params.get("symbol") else None

    def known(self, params: Params, refusal: Refused, *, live: bool = False) -> OrderRecord:
        """The order that is meant.  Raises `refusal` if there is none (with `live`: none that works)."""
        listing = self.listing(params)
        number, client_id = params.get("orderId", ""), params.get("origClientOrderId", "")
        if not (number or client_id):
            text = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
            raise Refused(MISSING, text)
        if "orderId" in params and not number.isdigit():  # `None`, say: the client id beside it does not help
            raise missing("orderId")
        self.account.look_around()
        record = self.account.records.find(listing, number, client_id)
        if record is None and not number:
            self.account.recall(listing, client_id)
            record = self.account.records.find(listing, number, client_id)
        if record is None or (live and not record.live):
            raise refusal
        return record

    def all_orders(self, params: Params) -> list[OrderRecord]:
        """Those of a symbol, by their number.  Raises Refused."""
        listing = self.listing(params)
        self.account.look_around()
        begin = whole(params, "orderId") or 0
        found = [
            record
            for record in self.account.records.orders()
            if record.listing is listing and record.number >= begin and _inside(record.created_ms, params)
        ]
        return _page(found, params, from_start=bool(begin))

    def all_trades(self, params: Params) -> list[tuple[OrderRecord, Trade]]:
        """Those of a symbol or an order, oldest first.  Raises Refused."""
        listing = self.listing(params)
        number, begin = whole(params, "orderId"), whole(params, "fromId")
        found = [
            (record, trade)
            for record in self.account.records.orders()
            for trade in record.trades
            if record.listing is listing
            and number in {None, record.number}
            and trade.number >= (begin or 0)
            and _inside(trade.fill.ts_ms, params)
        ]
        found.sort(key=lambda pair: pair[1].sequence)
        return _page(found, params, from_start=begin is not None)


def _weight(weight: int | Callable[[Params], int]) -> Callable[[Params], int]:
    return weight if callable(weight) else lambda _: weight


def _inside(ts_ms: int, params: Params) -> bool:
    start, end = whole(params, "startTime"), whole(params, "endTime")
    return (start is None or ts_ms >= start) and (end is None or ts_ms <= end)


def _page(rows: list[Any], params: Params, *, from_start: bool) -> list[Any]:
    """The newest, unless the first ones were asked for."""
    limit = min(whole(params, "limit") or _USUAL_ROWS, MOST_ROWS)
    first = from_start or bool(params.get("startTime"))
    return rows[:limit] if first else rows[-limit:]
