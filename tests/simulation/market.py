"""Candles of one seed, made once as arrays: a random walk with calm and wild times and jumps.

Rules of this file: `ports` and venue see the same candles; everything is a function of the seed.
"""

from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np

from livebot.core.market import MINUTE_MS, Candle, Instrument
from livebot.core.series import CandleSeries
from livebot.simulator.market import Fees, instrument_for, tick_decimals

PRICES = {"BTC/USDT:USDT": 60_000.0, "ETH/USDT:USDT": 3_000.0, "XRP/USDT:USDT": 0.6}
SYMBOLS = tuple(PRICES)
START_MS = 1_767_225_600_000
BEFORE = 30  # minutes of history before the start
_MINUTE_VOLATILITY = 0.0012


@lru_cache(maxsize=8)
def _instrument(symbol: str) -> Instrument:
    price = PRICES[symbol]
    fees = Fees(taker=Decimal("0.0005"), maker=Decimal("0.0002"))
    return instrument_for(symbol, price, tick_decimals(price), fees)


class PreparedMarket:
    """A Market of so many minutes from START_MS."""

    def __init__(self, seed: int, minutes: int, *, can_short: bool = True) -> None:
        self._can_short = can_short
        self.first_ms = START_MS
        self.symbols = SYMBOLS
        self.end_ms = START_MS + minutes * MINUTE_MS
        self._first = START_MS // MINUTE_MS - BEFORE
        self._series: dict[str, CandleSeries] = {}
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._candles: dict[tuple[str, int], Candle] = {}  # those that were looked at
        generator = np.random.Generator(np.random.PCG64(seed))
        for symbol in SYMBOLS:
            self._make(symbol, generator, minutes + BEFORE)

    def _make(self, symbol: str, generator: np.random.Generator, count: int) -> None:
        price = PRICES[symbol]
        decimals = tick_decimals(price)
        wild = 1.0 + 2.0 * (generator.random(count // 15 + 1).repeat(15)[:count] < 0.25)
        moves = generator.standard_normal(count) * wild
        moves += np.where(generator.random(count) < 0.01, generator.standard_normal(count) * 8.0, 0.0)
        close = np.round(price * np.exp(np.cumsum(moves * _MINUTE_VOLATILITY)), decimals)
        begin = np.concatenate(([price], close[:-1]))
        reach = generator.exponential(0.7 * _MINUTE_VOLATILITY, (2, count)) * wild
        high = np.maximum(np.round(np.maximum(begin, close) * (1.0 + reach[0]), decimals), np.maximum(begin, close))
        low = np.minimum(np.round(np.minimum(begin, close) * (1.0 - reach[1]), decimals), np.minimum(begin, close))
        ts_ms = (np.arange(count, dtype=np.int64) + self._first) * MINUTE_MS
        volume = np.full(count, 10.0)
        self._series[symbol] = CandleSeries(ts_ms=ts_ms, open=begin, high=high, low=low, close=close, volume=volume)
        columns = (ts_ms, begin, high, low, close, volume)
        self._rows[symbol] = list(zip(*(column.tolist() for column in columns), strict=True))

    def add(self, symbols: tuple[str, ...]) -> None:
        """There are no others."""

    def identity(self, symbol: str) -> str:
        return symbol

    def instrument(self, symbol: str) -> Instrument:
        return replace(_instrument(symbol), can_short=self._can_short)

    def price(self, symbol: str, minute_ms: int) -> float:
        begin: float = self._rows[symbol][minute_ms // MINUTE_MS - self._first][1]
        return begin

    def candle(self, symbol: str, minute_ms: int) -> Candle | None:
        key = (symbol, minute_ms)
        candle = self._candles.get(key)
        if candle is None:
            candle = self._candles[key] = Candle(*self._rows[symbol][minute_ms // MINUTE_MS - self._first])
        return candle

    def candles(self, symbol: str, first_ms: int, stop_ms: int) -> CandleSeries:
        first = max(first_ms // MINUTE_MS - self._first, 0)
        return self._series[symbol].part(first, max(stop_ms // MINUTE_MS - self._first, first))

    def latest_close(self, symbol: str, now_ms: int) -> int:
        return now_ms - now_ms % MINUTE_MS
