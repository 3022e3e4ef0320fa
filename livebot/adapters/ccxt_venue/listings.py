"""`universe_ports.UniverseSource` over a connection: every market of the venue, with the numbers that its tickers tell.

Rules of this file: markets are loaded anew for each look, so that what was listed or taken off since is seen; a market
that livebot cannot trade is listed with the reason; a number that is not there, or is none, is a fact that nobody told; an
answer without any is no answer.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from livebot.adapters.ccxt_venue.answers import Row, optional_number
from livebot.adapters.ccxt_venue.capabilities import SPOT
from livebot.adapters.ccxt_venue.connection import Connection
from livebot.adapters.ccxt_venue.failures import VENUE_ERRORS, failure_of
from livebot.adapters.ccxt_venue.instruments import instrument_of
from livebot.core.universe_rules import Listing
from livebot.errors import BadInput, Transient

Tickers = Mapping[str, Row]


class CcxtSymbols:
    """Says only what is listed, whatever its numbers and whether it trades just now: one question for each look."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def name(self) -> str:
        """As configured."""
        return self._connection.exchange_id

    async def listings(self) -> tuple[Listing, ...]:
        """All markets of the connection.  Raises Transient (not reached) or Fatal (it refuses us)."""
        await self._connection.reload_markets()
        data: Any = self._connection.data
        return tuple(
            Listing(
                symbol=str(row.get("symbol")),
                base=str(row.get("base")),
                quote=str(row.get("quote")),
                market=self._connection.market,
            )
            for row in data.markets.values()
        )


class CcxtListings:
    """Asks one venue, two or three times for each look."""

    def __init__(self, connection: Connection, *, spreads: bool) -> None:
        """`spreads`: somebody wants to know them, which takes another question at some venues."""
        self._connection = connection
        self._spreads = spreads

    @property
    def name(self) -> str:
        """As configured."""
        return self._connection.exchange_id

    async def listings(self) -> tuple[Listing, ...]:
        """All markets of the connection's kind.

        Raises:
            Transient: the venue is not reached, has banned us, or its answer is not usable.
            Fatal: it refuses us.

        """
        await self._connection.reload_markets()
        data: Any = self._connection.data
        tickers = await self._asked(data.fetch_tickers)
        books: Tickers = {}
        if self._spreads and self._connection.family == "binance" and self._connection.market != SPOT:
            books = await self._asked(data.fetch_bids_asks)
        spot = self._connection.market == SPOT
        wanted = [row for row in data.markets.values() if row.get("spot" if spot else "swap") is True]
        return tuple(_listing(row, tickers, books, self._connection.market) for row in wanted)

    async def _asked(self, question: Callable[[], Awaitable[object]]) -> Tickers:
        if left_s := self._connection.bans.left_s:
            raise Transient(f"{self.name} has banned this address for {left_s:.0f} s more")
        try:
            answer = await question()
        except VENUE_ERRORS as error:
            raise Transient(f"{self.name} does not tell its tickers: {failure_of(error).text}") from error
        if not isinstance(answer, dict) or not any(isinstance(row, dict) for row in answer.values()):
            raise Transient(f"{self.name} tells no tickers")
        return {symbol: row for symbol, row in answer.items() if isinstance(row, dict)}


def _listing(row: Row, tickers: Tickers, books: Tickers, market: str) -> Listing:
    symbol = str(row.get("symbol"))
    ticker = tickers.get(symbol) or {}
    price = _number(ticker, "last")
    created = row.get("created")
    return Listing(
        symbol=symbol,
        base=str(row.get("base")),
        quote=str(row.get("quote")),
        market=market,
        obstacle=_obstacle(row),
        volume=_volume(ticker, price),
        price=price,
        listed_ms=created if isinstance(created, int) and created > 0 else None,
        spread=_spread(books.get(symbol) or ticker),
    )


def _obstacle(row: Row) -> str | None:
    if row.get("active") is False:
        return "is not being traded at present"
    try:
        instrument_of(row, {})
    except (BadInput, Transient) as error:
        text = str(error)
        return text.removeprefix(f"{row.get('symbol')} ")
    return None


def _volume(ticker: Row, price: float | None) -> float | None:
    quote = _number(ticker, "quoteVolume")
    base = _number(ticker, "baseVolume")
    if quote is not None:
        return quote
    return None if base is None or price is None else base * price


def _spread(row: Row) -> float | None:
    bid, ask = _number(row, "bid"), _number(row, "ask")
    if not bid or not ask or ask < bid:
        return None
    return (ask - bid) / ((ask + bid) / 2)


def _number(row: Row, name: str) -> float | None:
    try:
        value = optional_number(row, name, "ticker")
    except Transient:
        return None
    return None if value is None or value < 0 else float(value)
