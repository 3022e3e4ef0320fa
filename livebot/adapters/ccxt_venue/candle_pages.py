"""`history.fetching.CandleSource` over a connection: the candles of a stretch of time, a page at a time, by REST.

Rules of this file: one call is one request, spaced by ccxt's own limiter and never sent during a ban; an answer is used
whole or not at all; which of its candles have closed is the caller's to judge by `now_ms`.
"""

from typing import Any

import numpy as np

from livebot.adapters.ccxt_venue.candle_history import set_candle_pace
from livebot.adapters.ccxt_venue.candle_rows import candles_of
from livebot.adapters.ccxt_venue.connection import Connection
from livebot.adapters.ccxt_venue.failures import VENUE_ERRORS, failure_of
from livebot.adapters.clock import SystemClock
from livebot.core.market import Timeframe
from livebot.errors import BadInput, Transient
from livebot.history.table import VALUES, CandleTable


class CandlePages:
    """Asks one venue."""

    def __init__(self, connection: Connection) -> None:
        """Nothing is asked yet."""
        self._connection = connection
        self._data: Any = connection.data
        self._world = SystemClock()
        set_candle_pace(self._data, connection.exchange_id)

    @property
    def venue(self) -> str:
        """Its name, as ccxt writes it."""
        return self._connection.exchange_id

    @property
    def market(self) -> str:
        """Spot or perpetual."""
        return self._connection.market

    @property
    def pause_s(self) -> float:
        """What is left of a ban, in seconds."""
        return self._connection.bans.left_s

    def now_ms(self) -> int:
        """The venue's clock, as last measured."""
        return self._world.now_ms() + self._connection.skew_ms

    async def page(self, symbol: str, timeframe: Timeframe, first_ms: int, stop_ms: int) -> CandleTable:
        """Candles of [first_ms, stop_ms), oldest first, as many as the venue gives at once.

        Raises:
            BadInput: it does not list the symbol, or has no candles of this length.
            Transient: it cannot be reached, has banned us, or what it answers cannot be used.

        """
        if symbol not in self._data.markets:
            raise BadInput(f"{self.venue} {self.market} does not list {symbol}; take it out, or mend the name")
        if timeframe.value not in self._data.timeframes:
            offered = ", ".join(each.value for each in Timeframe if each.value in self._data.timeframes)
            raise BadInput(f"{self.venue} has no {timeframe.value} candles; it has {offered}")
        if self.pause_s:
            raise Transient(
                f"no candles of {symbol}: {self.venue} has banned this address for {self.pause_s:.0f} s more"
            )
        count = (stop_ms - first_ms) // timeframe.ms
        try:
            rows = await self._data.fetch_ohlcv(symbol, timeframe.value, first_ms, count, {"until": stop_ms - 1})
        except VENUE_ERRORS as error:
            raise Transient(f"no candles of {symbol} from {self.venue}: {failure_of(error).text}") from error
        try:
            candles = candles_of(rows, timeframe)
        except (BadInput, TypeError) as error:
            raise Transient(f"the candles of {symbol} from {self.venue} cannot be used: {error}") from error
        columns = [[getattr(candle, name) for candle in candles] for name in VALUES]
        return CandleTable(
            np.array([candle.ts_ms for candle in candles], dtype=np.int64), np.array(columns, dtype=np.float64)
        )
