"""One symbol's minutes as columns without a gap, so that a minute's place is a subtraction.

Rules of this file: minutes are numbered from 1970 (opening time over 60,000 ms); a minute that is missing stands still at
the last close with volume 0 and is marked as missing: nothing trades in it; no candle is an object before it is asked for.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from livebot.core.market import MINUTE_MS, Candle, Timeframe
from livebot.core.series import CandleSeries, Floats
from livebot.errors import BadInput
from livebot.history.minutes import as_minutes

LONGEST_GAP_MINUTES = 2_880  # a live strategy warms up anew after a longer one
_NAMES = ("open", "high", "low", "close", "volume")

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tape:
    """Columns of float64, one value a minute; `first` is the first minute's number, `stop` the one after the last."""

    symbol: str
    first: int
    stop: int
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    missing: Flags | None

    def candle(self, minute: int) -> Candle:
        """The candle of a minute of the tape."""
        at = minute - self.first
        return Candle(
            minute * MINUTE_MS,
            self.open.item(at),
            self.high.item(at),
            self.low.item(at),
            self.close.item(at),
            self.volume.item(at),
        )

    def has(self, minute: int) -> bool:
        """Whether there is a candle of this minute."""
        return self.first <= minute < self.stop and (self.missing is None or not self.missing[minute - self.first])

    def present(self, minutes: npt.NDArray[np.int64]) -> Flags:
        """`has` of each of these minutes."""
        there: Flags = (minutes >= self.first) & (minutes < self.stop)
        if self.missing is not None:
            there[there] = ~self.missing[minutes[there] - self.first]
        return there

    def price(self, minute: int) -> float:
        """The price as this minute begins: its open, or the last close where it has none."""
        at = minute - self.first
        if at >= self.stop - self.first:
            return self.close.item(-1)
        return self.open.item(max(at, 0))

    def last_close(self, minute: int) -> float:
        """The close of this minute or of the last one before it; of the first one before there was any."""
        return self.close.item(min(max(minute, self.first), self.stop - 1) - self.first)

    def closes(self, begin: int, end: int) -> Floats:
        """`last_close` of each minute from `begin` up to, not including, `end`."""
        if self.first <= begin and end <= self.stop:
            return self.close[begin - self.first : end - self.first]
        places = np.clip(np.arange(begin, end), self.first, self.stop - 1) - self.first
        return np.asarray(self.close[places])

    def unbroken_since(self, minute: int) -> int:
        """The first minute from which on none is missing before `minute`."""
        if self.missing is None:
            return self.first
        before = np.flatnonzero(self.missing[: max(minute - self.first, 0)])
        return self.first + int(before[-1]) + 1 if len(before) else self.first


def tape_of(symbol: str, candles: CandleSeries, base: Timeframe) -> Tape:
    """The candles of one symbol, minute by minute; columns are shared where nothing is missing.

    Raises:
        BadInput: there are none, or they are out of order, repeated or off the grid of `base`.

    """
    _check(symbol, candles, base)
    minutes = as_minutes(candles, base)
    times = minutes.ts_ms // MINUTE_MS
    first, stop = int(times[0]), int(times[-1]) + 1
    columns = {name: np.ascontiguousarray(getattr(minutes, name), np.float64) for name in _NAMES}
    missing = None
    if stop - first != len(times):
        missing = np.ones(stop - first, dtype=np.bool_)
        missing[times - first] = False
        columns = _spread(columns, missing)
    return Tape(symbol=symbol, first=first, stop=stop, missing=missing, **columns)


def check_gaps(tape: Tape, start: int, end: int) -> None:
    """Raises BadInput: between the minutes `start` and `end` so many are missing in a row that nothing follows from them."""
    if tape.missing is None:
        return
    inside = tape.missing[max(start - tape.first, 0) : max(end - tape.first, 0)]
    edges = np.flatnonzero(np.diff(np.concatenate(([False], inside, [False])).astype(np.int8)))
    for begin, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if stop - begin > LONGEST_GAP_MINUTES:
            since = max(start, tape.first) + begin
            raise BadInput(
                f"{tape.symbol}: no candles from {moment(since)} for {stop - begin:,} minutes; fetch them, "
                "or choose a range without that gap (--from, --to)"
            )


def moment(minute: int) -> str:
    """The time at which a minute opens, for people."""
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _check(symbol: str, candles: CandleSeries, base: Timeframe) -> None:
    if not len(candles):
        raise BadInput(f"{symbol}: no candles in the range; fetch or import them, or leave the symbol out")
    steps = np.diff(candles.ts_ms)
    if (steps <= 0).any() or (candles.ts_ms % base.ms).any():
        raise BadInput(
            f"{symbol}: its candles are not {base.value} candles in the order of time, each once; "
            "`livebot data check` says which"
        )


def _spread(columns: dict[str, Floats], missing: Flags) -> dict[str, Floats]:
    """The columns with a place for each missing minute, which stands still at the close before it."""
    latest = np.cumsum(~missing) - 1  # of each minute, the last candle that there is
    spread = {name: column[latest] for name, column in columns.items()}
    for name in ("open", "high", "low"):
        spread[name][missing] = spread["close"][missing]
    spread["volume"][missing] = 0.0
    return spread
