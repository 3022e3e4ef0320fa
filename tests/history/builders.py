"""Candles for tests of the store, in few words."""

from typing import Any

import numpy as np

from livebot.core.market import MINUTE_MS, Timeframe
from livebot.history.place import Place
from livebot.history.table import CandleTable

START_MS = 1_700_006_400_000  # 2023-11-15 00:00
PLACE = Place("bybit", "perpetual", Timeframe.M1, "BTC/USDT:USDT")


def table(minutes: Any, *, shift: float = 0.0, step_ms: int = MINUTE_MS) -> CandleTable:
    """A table of these minutes since the start (a number: so many); every minute has its own prices."""
    chosen = np.array(range(minutes) if isinstance(minutes, int) else list(minutes), dtype=np.int64)
    close = 100.0 + abs(chosen % 96 - 48) / 4 + shift
    opened = close - 0.25
    values = np.array([opened, close + 1.0, opened - 1.0, close, 3.5 + chosen % 5])
    return CandleTable(START_MS + chosen * step_ms, values)


def minutes_of(found: CandleTable) -> list[int]:
    """Which minutes since the start a table has."""
    return ((found.ts_ms - START_MS) // MINUTE_MS).tolist()


def changed(found: CandleTable, column: int, row: int, value: float) -> CandleTable:
    """The same with one value replaced (column 0 is open)."""
    values = found.values.copy()
    values[column, row] = value
    return CandleTable(found.ts_ms, values)


def timed(found: CandleTable, row: int, ts_ms: int) -> CandleTable:
    """The same with one opening time replaced."""
    times = found.ts_ms.copy()
    times[row] = ts_ms
    return CandleTable(times, found.values)


def same(one: CandleTable, other: CandleTable) -> bool:
    """Whether two tables are equal to the bit."""
    return np.array_equal(one.ts_ms, other.ts_ms) and np.array_equal(one.values, other.values)
