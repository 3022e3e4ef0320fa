"""Candles by REST: histories for a start, and the last few of a symbol to see what its stream has not told.

Rules of this file: an unfinished candle never leaves it as a closed one.  The newest row of a venue's answer is taken for
the unfinished one unless the venue's clock says that its time is over; older rows are closed whatever any clock says.  A
candle that has only just closed may still be told half formed: two answers have to agree on it.  A gap stays a gap.
How many requests wait in ccxt's queue (which has no priorities) is bounded, histories apart from the rest, so that a
start of hundreds of symbols delays no fetching of a lost candle.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from livebot.adapters.ccxt_venue.candle_rows import candles_of
from livebot.adapters.ccxt_venue.connection import Connection
from livebot.adapters.ccxt_venue.failures import VENUE_ERRORS, failure_of
from livebot.adapters.ccxt_venue.feed_settings import FeedSettings
from livebot.core.market import MINUTE_MS, Candle, Timeframe
from livebot.core.series import CandleSeries
from livebot.errors import BadInput, Transient

PAGE = 1_000  # rows in one answer: Bybit's most, and ccxt's for Binance
LEAST_PAGE = 99  # Binance weighs it as it does one candle
EMPTY_PAGES = 2  # one after the other: the market is younger, and this is no gap
PAGES_BEYOND = 8  # more pages than a history without gaps needs, before it is taken as it is
SLICE = 250  # rows made into candles before the loop may do something else
# REST may tell a candle half formed for a moment after its time: until then it is left to the stream.  So long after its
# time a candle is closed, also if no later one is there.
SETTLED_MS = 1_000
# A row that is further from the clock than this: then the clock is not the venue's (or the market sleeps), and only
# later rows say what is closed.
CLOCK_TRUSTED_MS = 3_600_000

FRESH_MS = 10_000  # so long after its time a candle is asked for twice
CONFIRM_ROWS = 5
CONFIRM_TRIES = 3  # then the candle is left out, as if it had not closed

NowMs = Callable[[], int]
# Bybit allows an address 120 requests a second in all.  ccxt spaces candles to 10 a second (a cost of 5), so that five
# hundred symbols would wait a minute for what one outage left out; a cost of 1.5 is 33 a second.
_COSTS = {("bybit", "v5/market/kline"): 1.5}


@dataclass(frozen=True, slots=True)
class Recent:
    """The last rows of a symbol, oldest first, at least one.

    Every minute that opened before `settled_ms` has closed: one that is not among the rows does not exist.
    """

    rows: tuple[Candle, ...]
    settled_ms: int

    @property
    def closed(self) -> tuple[Candle, ...]:
        """Without the forming one."""
        return tuple(candle for candle in self.rows if candle.ts_ms < self.settled_ms)


class CandleHistory:
    """Asks one venue.  `now_ms` is the venue's clock."""

    def __init__(self, connection: Connection, settings: FeedSettings, now_ms: NowMs) -> None:
        """Nothing is asked yet."""
        self._connection = connection
        self._data: Any = connection.data
        self._now_ms = now_ms
        self._venue = connection.exchange_id
        self._confirm_s = settings.confirm_s
        self._histories = asyncio.Semaphore(settings.histories_at_once)
        self._asks = asyncio.Semaphore(settings.asks_at_once)
        set_candle_pace(self._data, self._venue)

    async def last(self, symbol: str, timeframe: Timeframe, count: int) -> CandleSeries:
        """The last `count` closed candles, fewer if the venue has no more.

        Raises:
            BadInput: the venue has no candles of this length.
            Transient: it does not list the symbol, cannot be reached, or what it answers cannot be used.

        """
        if timeframe.value not in self._data.timeframes:
            offered = ", ".join(each.value for each in Timeframe if each.value in self._data.timeframes)
            raise BadInput(f"{self._venue} has no {timeframe.value} candles of {symbol}; it has {offered}")
        async with self._histories:
            asked_ms = self._now_ms()
            # besides those that are wanted the forming one, and one that may have to be left out
            rows = await self._page(symbol, timeframe, min(count + 2, PAGE))
            newest = await self._confirmed(symbol, timeframe, self._recent(rows, timeframe, asked_ms), asked_ms)
            found = {candle.ts_ms: candle for candle in newest.closed}
            oldest, empty = rows[0].ts_ms, 0
            for _ in range(count // PAGE + PAGES_BEYOND):
                if len(found) >= count or empty == EMPTY_PAGES:
                    break
                size = PAGE if empty else min(max(count - len(found), LEAST_PAGE), PAGE)
                before, oldest = oldest, max(oldest - size * timeframe.ms, 0)
                page = await self._page(symbol, timeframe, size, since=oldest)
                older = {candle.ts_ms: candle for candle in page if candle.ts_ms < before}
                empty = 0 if older else empty + 1
                found |= older
        return await _series([found[ts_ms] for ts_ms in sorted(found)][-count:])

    async def recent(self, symbol: str, count: int) -> Recent:
        """The last `count` minutes (at most `PAGE` - 1) and the forming one.  Raises Transient."""
        async with self._asks:
            asked_ms = self._now_ms()
            rows = await self._page(symbol, Timeframe.M1, min(count + 1, PAGE))
            return await self._confirmed(symbol, Timeframe.M1, self._recent(rows, Timeframe.M1, asked_ms), asked_ms)

    def _recent(self, rows: tuple[Candle, ...], timeframe: Timeframe, asked_ms: int) -> Recent:
        """What an answer settles; `asked_ms` is the venue's time before the question, since answers take their time."""
        settled_ms = rows[-1].ts_ms
        if len(rows) > 1 and settled_ms - rows[-2].ts_ms > timeframe.ms:
            # Right before the newest row one may be missing because the minute turned while the venue wrote the answer.
            return Recent(rows, rows[-2].ts_ms + timeframe.ms)
        if SETTLED_MS <= asked_ms - settled_ms - timeframe.ms <= max(CLOCK_TRUSTED_MS, timeframe.ms):
            settled_ms += timeframe.ms
        elif -MINUTE_MS < asked_ms - settled_ms < SETTLED_MS:
            settled_ms -= timeframe.ms
        return Recent(rows, settled_ms)

    async def _confirmed(self, symbol: str, timeframe: Timeframe, recent: Recent, asked_ms: int) -> Recent:
        """The same with its newest closed candle as two answers tell it, or without that one."""
        closed, trusted_ms = recent.closed, max(CLOCK_TRUSTED_MS, timeframe.ms)
        if not closed or FRESH_MS <= asked_ms - closed[-1].ts_ms - timeframe.ms <= trusted_ms:
            return recent
        newest = closed[-1]
        for _ in range(CONFIRM_TRIES):
            await asyncio.sleep(self._confirm_s)
            before = newest
            rows = await self._page(symbol, timeframe, CONFIRM_ROWS)
            newest = next((row for row in rows if row.ts_ms == before.ts_ms), before)
            if newest in rows and newest == before:
                kept = tuple(newest if row.ts_ms == newest.ts_ms else row for row in recent.rows)
                return Recent(kept, recent.settled_ms)
        return Recent(recent.rows, newest.ts_ms)

    async def _page(
        self, symbol: str, timeframe: Timeframe, limit: int, *, since: int | None = None
    ) -> tuple[Candle, ...]:
        """One answer, oldest first; never empty if it asks for the newest ones."""
        banned_s = self._connection.bans.left_s
        if banned_s:
            raise Transient(f"no candles of {symbol}: {self._venue} has banned this address for {banned_s:.0f} s more")
        if symbol not in self._data.markets:
            raise Transient(f"no candles of {symbol}: {self._venue} does not list it; take it out of the symbols")
        try:
            rows = await self._data.fetch_ohlcv(symbol, timeframe.value, since, limit)
        except VENUE_ERRORS as error:
            raise Transient(f"no candles of {symbol} from {self._venue}: {failure_of(error).text}") from error
        candles: list[Candle] = []
        try:
            for start in range(0, len(rows), SLICE):
                candles += candles_of(rows[start : start + SLICE], timeframe)
                await asyncio.sleep(0)
        except (BadInput, TypeError) as error:
            raise Transient(f"the candles of {symbol} from {self._venue} cannot be used: {error}") from error
        if not candles and since is None:
            raise Transient(f"no candles of {symbol} from {self._venue}: the answer is empty")
        found = {candle.ts_ms: candle for candle in candles}
        return tuple(found[ts_ms] for ts_ms in sorted(found))


def set_candle_pace(client: Any, venue: str) -> None:  # noqa: ANN401 - ccxt ships no types
    """Let ccxt space requests for candles as the venue demands, where its own spacing is far wider."""
    original = client.calculate_rate_limiter_cost

    def cost(api: object, method: str, path: str, *rest: Any) -> float:  # noqa: ANN401 - ccxt's own form
        known = _COSTS.get((venue, path))
        return float(original(api, method, path, *rest)) if known is None else known

    client.calculate_rate_limiter_cost = cost


async def _series(candles: list[Candle]) -> CandleSeries:
    columns = ("open", "high", "low", "close", "volume")
    arrays = {}
    for name in columns:
        arrays[name] = np.array([getattr(candle, name) for candle in candles], dtype=np.float64)
        await asyncio.sleep(0)
    return CandleSeries(ts_ms=np.array([candle.ts_ms for candle in candles], dtype=np.int64), **arrays)
