"""The last closed candles of one timeframe, ready for numpy.

Candles are appended to arrays with some room behind them; when the room is used up the last ones move to the front,
once in a while instead of each time.  So slices are contiguous and cost no copy, but a slice shows other candles after
the next append: whoever wants to keep one copies it.
"""

from typing import Any

import numpy as np

from livebot.core.market import Candle
from livebot.core.series import CandleSeries, Floats, Times
from livebot.errors import BadInput

_ROOM_MIN = 16
_ROOM_SHARE = 32  # the room is this part of the capacity, a balance of memory (48 bytes a candle) and moving


class CandleWindow:
    """The last `capacity` closed candles.

    `buffer` shows the arrays, read only and kept up to date, of which the last `len(window)` candles before index `end`
    are the window; it stays the same object for ever, so a view may hold on to it.
    """

    __slots__ = ("_floats", "_numbers", "_times", "buffer", "capacity", "end")

    def __init__(self, capacity: int) -> None:
        """Begin empty.

        Raises:
            ValueError: capacity is not positive.

        """
        if capacity <= 0:
            message = f"a window of {capacity} candles is of no use; its capacity must be above 0"
            raise ValueError(message)
        size = capacity + max(_ROOM_MIN, capacity // _ROOM_SHARE)
        self.capacity = capacity
        self.end = 0
        self._times: Times = np.zeros(size, np.int64)
        self._floats: Floats = np.full((5, size), np.nan)
        self._numbers: Any = self._floats.data  # through it a number is stored several times faster
        times, floats = self._times.view(), self._floats.view()
        times.flags.writeable = floats.flags.writeable = False
        self.buffer = _series(times, floats)

    def __len__(self) -> int:
        """How many candles, at most the capacity."""
        return min(self.end, self.capacity)

    @property
    def last_ms(self) -> int | None:
        """Opening time of the newest candle, None while empty."""
        return int(self._times[self.end - 1]) if self.end else None

    def append(self, candle: Candle) -> None:
        """Take the next closed candle.

        Raises:
            BadInput: it is not newer than the last one.

        """
        last_ms = self.last_ms
        if last_ms is not None and candle.ts_ms <= last_ms:
            message = f"candle {candle.ts_ms} is not newer than the last one, {last_ms}; nothing was changed"
            raise BadInput(message)
        if self.end == len(self._times):
            self._move()
        end, numbers = self.end, self._numbers
        self._times[end] = candle.ts_ms
        numbers[0, end], numbers[1, end], numbers[2, end] = candle.open, candle.high, candle.low
        numbers[3, end], numbers[4, end] = candle.close, candle.volume
        self.end = end + 1

    def replace(self, series: CandleSeries) -> None:
        """Hold the last candles of a history instead of what was there; `buffer` stays the same object."""
        count = min(len(series), self.capacity)
        self._times[:count] = series.ts_ms[len(series) - count :]
        columns = (series.open, series.high, series.low, series.close, series.volume)
        for row, column in zip(self._floats, columns, strict=True):
            row[:count] = column[len(series) - count :]
        self.end = count

    def series(self) -> CandleSeries:
        """The candles of the window, read only, without copying."""
        return self.buffer.part(self.end - len(self), self.end)

    def _move(self) -> None:
        start = self.end - self.capacity
        self._times[: self.capacity] = self._times[start:].copy()
        self._floats[:, : self.capacity] = self._floats[:, start:].copy()
        self.end = self.capacity


def _series(times: Times, floats: Floats) -> CandleSeries:
    opens, highs, lows, closes, volumes = floats
    return CandleSeries(ts_ms=times, open=opens, high=highs, low=lows, close=closes, volume=volumes)
