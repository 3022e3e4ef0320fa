"""Higher timeframes from closed one-minute candles, and what makes a candle or a history unfit for use.

Rules of this file: a candle of a higher timeframe comes out when its last minute has closed and all its minutes were
there; a missing minute is named, never bridged; frames are aligned to UTC.  The array form gives the same candles to
the last bit, which is why it sums volumes in order.
"""

import math
from dataclasses import dataclass

import numpy as np

from livebot.core.market import MINUTE_MS, Candle, Timeframe
from livebot.core.series import CandleSeries, Floats, Times
from livebot.errors import BadInput

REMEMBERED = 8  # minutes a repeated candle is compared with; each costs a quarter of a kilobyte for every symbol


@dataclass(frozen=True, slots=True)
class Gap:
    """Candles that are missing: opening time of the first one, and of the first one that is there again."""

    from_ms: int
    to_ms: int


def check_candle(candle: Candle, timeframe: Timeframe = Timeframe.M1) -> None:
    """Let a candle pass that can be true.

    Raises:
        BadInput: naming the candle and the cause.

    """
    if (
        0 < candle.low <= candle.open <= candle.high < math.inf
        and candle.low <= candle.close <= candle.high
        and 0 <= candle.volume < math.inf
        and candle.ts_ms % timeframe.ms == 0
        and candle.ts_ms >= 0
    ):
        return
    message = f"candle {candle.ts_ms} is refused: {_cause(candle, timeframe)}"
    raise BadInput(message)


def _cause(candle: Candle, timeframe: Timeframe) -> str:
    if candle.ts_ms < 0 or candle.ts_ms % timeframe.ms:
        return f"its opening time is not a whole {timeframe.value} of UTC"
    values = {name: getattr(candle, name) for name in ("open", "high", "low", "close", "volume")}
    for name, value in values.items():
        if not math.isfinite(value):
            return f"{name} {value} is not a number"
        if value < 0 or (value == 0 and name != "volume"):
            return f"{name} {value} is {'below' if name == 'volume' else 'not above'} 0"
    if candle.high < candle.low:
        return f"high {candle.high} is below low {candle.low}"
    return f"open {candle.open} or close {candle.close} is outside low {candle.low} to high {candle.high}"


def check_series(series: CandleSeries, timeframe: Timeframe) -> None:
    """Let a history pass: every candle can be true, oldest first, none twice, none missing.

    Raises:
        BadInput: naming the first candle or gap at fault.

    """
    low, high = series.low, series.high
    prices = (low > 0) & (low <= series.open) & (series.open <= high) & (high < math.inf)
    rest = (low <= series.close) & (series.close <= high) & (series.volume >= 0) & (series.volume < math.inf)
    times = (series.ts_ms >= 0) & (series.ts_ms % timeframe.ms == 0)
    wrong = np.flatnonzero(~(prices & rest & times))
    if wrong.size:
        check_candle(candle_at(series, int(wrong[0])), timeframe)
    backward = np.flatnonzero(np.diff(series.ts_ms) <= 0)
    if backward.size:
        message = f"candle {series.ts_ms[backward[0] + 1]} stands after {series.ts_ms[backward[0]]}; sort the history"
        raise BadInput(message)
    gaps = find_gaps(series.ts_ms, timeframe)
    if gaps:
        message = f"{len(gaps)} gap(s), the first from {gaps[0].from_ms} to {gaps[0].to_ms}; fetch what is missing"
        raise BadInput(message)


def find_gaps(ts_ms: Times, timeframe: Timeframe) -> tuple[Gap, ...]:
    """Where opening times, oldest first, leave candles out."""
    return tuple(
        Gap(int(ts_ms[index]) + timeframe.ms, int(ts_ms[index + 1]))
        for index in np.flatnonzero(np.diff(ts_ms) > timeframe.ms)
    )


def candle_at(series: CandleSeries, index: int) -> Candle:
    """One candle of a series, as Python numbers."""
    return Candle(
        int(series.ts_ms[index]),
        float(series.open[index]),
        float(series.high[index]),
        float(series.low[index]),
        float(series.close[index]),
        float(series.volume[index]),
    )


class CandleBuilder:
    """Builds the candles of one timeframe from closed one-minute candles, fed one at a time.

    `next_ms` is the opening time of the minute it waits for, None before the first candle.
    """

    __slots__ = ("_forming", "_recent", "_since_ms", "next_ms", "timeframe")

    def __init__(self, timeframe: Timeframe, next_ms: int | None = None) -> None:
        """Wait for the minute that opens at `next_ms` (see `resume`), or take up the first one that comes.

        Raises:
            ValueError: no candle of the timeframe opens at `next_ms`.

        """
        self.timeframe = timeframe
        self._recent: list[Candle] = []
        self._forming: Candle | None = None
        self._since_ms = 0
        self.next_ms: int | None = None
        if next_ms is not None:
            self.resume(next_ms)

    def resume(self, next_ms: int) -> None:
        """Forget what was forming and wait for the minute that opens at `next_ms`; earlier ones are passed over.

        For a caller who has the candles before from elsewhere: a history, or the venue's own after an outage in which
        there were no minutes.

        Raises:
            ValueError: no candle of the timeframe opens at `next_ms`.

        """
        if next_ms < 0 or next_ms % self.timeframe.ms:
            message = f"no {self.timeframe.value} candle opens at {next_ms}"
            raise ValueError(message)
        self._forming = None
        self._recent.clear()
        self._since_ms = self.next_ms = next_ms

    def add(self, candle: Candle) -> Candle | Gap | None:
        """Take the next closed minute.

        Returns the finished candle if this minute was its last one, else None.  Returns a Gap if minutes before this
        one are missing; then nothing was taken: add the missing ones in order, then this one again.  A minute that was
        taken before is passed over (None).

        Raises:
            BadInput: the candle cannot be true, differs from the one taken before for the same minute, or is older than
                can be compared; nothing was changed.

        """
        check_candle(candle)
        ts_ms = candle.ts_ms
        expected_ms = self.next_ms if self.next_ms is not None else self.timeframe.open_of(ts_ms)
        if ts_ms > expected_ms:
            return Gap(expected_ms, ts_ms)
        if ts_ms < expected_ms:
            self._pass_over(candle)
            return None
        self.next_ms = ts_ms + MINUTE_MS
        self._recent = [*self._recent[1 - REMEMBERED :], candle]
        formed = candle if self._forming is None else _joined(self._forming, candle)
        finished = self.next_ms % self.timeframe.ms == 0
        self._forming = None if finished else formed
        return formed if finished else None

    def _pass_over(self, candle: Candle) -> None:
        taken = next((taken for taken in self._recent if taken.ts_ms == candle.ts_ms), None)
        if candle.ts_ms < self._since_ms or candle == taken:
            return
        if taken is None:
            message = f"candle {candle.ts_ms} comes out of order: the next one is {self.next_ms}"
        else:
            message = f"candle {candle.ts_ms} comes again and differs: {candle}, taken was {taken}"
        raise BadInput(message)


def _joined(first: Candle, second: Candle) -> Candle:
    return Candle(
        first.ts_ms,
        first.open,
        max(first.high, second.high),
        min(first.low, second.low),
        second.close,
        first.volume + second.volume,
    )


def aggregate(minutes: CandleSeries, timeframe: Timeframe) -> CandleSeries:
    """The candles of a timeframe whose minutes are all there; unfinished ones at both ends are left out.

    The same bits as a CandleBuilder gives.

    Raises:
        BadInput: the minutes cannot be true, or one is missing in between.

    """
    check_series(minutes, Timeframe.M1)
    per_candle = timeframe.ms // MINUTE_MS
    starts = np.flatnonzero(minutes.ts_ms % timeframe.ms == 0)
    start = int(starts[0]) if starts.size else len(minutes)
    count = (len(minutes) - start) // per_candle
    part = minutes.part(start, start + count * per_candle)
    shape = (count, per_candle)
    return CandleSeries(
        ts_ms=part.ts_ms.reshape(shape)[:, 0].copy(),
        open=part.open.reshape(shape)[:, 0].copy(),
        high=part.high.reshape(shape).max(axis=1),
        low=part.low.reshape(shape).min(axis=1),
        close=part.close.reshape(shape)[:, -1].copy(),
        volume=_sum_in_order(part.volume.reshape(shape)),
    )


def _sum_in_order(rows: Floats) -> Floats:
    # numpy's own sum adds in pairs, which rounds differently from adding minute by minute
    total = rows[:, 0].copy()
    for column in range(1, rows.shape[1]):
        total += rows[:, column]
    return total
