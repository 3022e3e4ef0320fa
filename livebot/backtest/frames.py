"""The candles that a strategy decides on, with its features, over a whole run.

Rules of this file: they begin with the same candle as the history that a live daemon loads when it starts at the same
time, so that features are the same to the last bit; a candle is shown when its last minute has closed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from livebot.backtest.feature_cache import FeatureCache
from livebot.backtest.tape import Flags, Tape
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.series import CandleSeries, Floats
from livebot.features.context import PATIENCE, ContextColumns, compute_context, members_of
from livebot.features.declaration import Feature, context_features, own_features


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """Closed candles of one timeframe.  Candle `index` is complete with the close of minute `close_minute(index)`."""

    series: CandleSeries
    features: Mapping[str, Floats]
    tape: Tape
    first: int  # the minute with which candle 0 opens
    minutes: int  # of each candle
    context: tuple[str, ...] = ()  # the features that are made of other symbols
    awaited: Mapping[str, Flags] = field(default_factory=dict)  # by symbol: at which candles they lack it, for a while

    @property
    def broken(self) -> bool:
        """Whether minutes are missing anywhere."""
        return self.tape.missing is not None

    def shows(self, minute: int) -> bool:
        """Whether a candle closes with this minute, and in its time."""
        return self.index_at(minute) is not None and self.tape.has(minute)

    def late(self, minute: int) -> tuple[str, ...]:
        """The symbols that features are made of which were there lately and are not at this close."""
        index = self.index_at(minute)
        return () if index is None else tuple(symbol for symbol, flags in self.awaited.items() if flags[index])

    def without_value(self, minute: int) -> tuple[str, ...]:
        """The features made of other symbols that say nothing at this close."""
        index = self.index_at(minute)
        return () if index is None else tuple(name for name in self.context if np.isnan(self.features[name][index]))

    def close_minute(self, index: int) -> int:
        """The last minute of a candle."""
        return self.first + (index + 1) * self.minutes - 1

    def index_from(self, minute: int) -> int:
        """The first candle whose last minute is this one or a later one."""
        return max(-(-(minute - self.first + 1) // self.minutes) - 1, 0)

    def index_at(self, minute: int) -> int | None:
        """The candle that closes with this minute, if any does."""
        after = minute + 1 - self.first
        index = after // self.minutes - 1
        return index if after % self.minutes == 0 and 0 <= index < len(self.series) else None


class Frames:
    """Makes each frame once."""

    def __init__(self, tapes: Mapping[str, Tape], start: int, end: int, cache: FeatureCache) -> None:
        """`start` is the first minute of trading, `end` the one after the last."""
        self._tapes = tapes
        self._start = start
        self._end = end
        self._cache = cache
        self._contexts: dict[tuple[Timeframe, int, tuple[Feature, ...]], Mapping[str, ContextColumns]] = {}
        self._made: dict[tuple[str, Timeframe, int, tuple[Feature, ...]], Frame] = {}

    def frame(self, symbol: str, timeframe: Timeframe, wanted: int, features: Sequence[Feature] = ()) -> Frame:
        """The frame of a symbol that begins `wanted` candles before trading does, or with the data if that is younger."""
        key = (symbol, timeframe, wanted, tuple(features))
        if key not in self._made:
            self._made[key] = self._make(symbol, timeframe, wanted, features)
        return self._made[key]

    def _make(self, symbol: str, timeframe: Timeframe, wanted: int, features: Sequence[Feature]) -> Frame:
        tape, minutes = self._tapes[symbol], timeframe.ms // MINUTE_MS
        first = self._first(tape, minutes, wanted)
        series = _candles(tape, first, self._end, minutes)
        values = dict(self._cache.features(own_features(features), timeframe, series))
        frame = Frame(series=series, features=values, tape=tape, first=first, minutes=minutes)
        if not context_features(features):
            return frame
        context = self._context_of(timeframe, wanted, tuple(features))[symbol].values
        awaited = self._awaited(frame, members_of(features, tuple(self._tapes)))
        return replace(frame, features={**values, **context}, context=tuple(context), awaited=awaited)

    def _awaited(self, frame: Frame, members: Sequence[str]) -> Mapping[str, Flags]:
        """At which candles of a frame each member is waited for; those that never are left out."""
        closes = frame.first + np.arange(1 - PATIENCE, len(frame.series) + 1) * frame.minutes - 1
        found = {}
        for symbol in members:
            there = self._tapes[symbol].present(closes)
            lately = np.logical_or.reduce([there[back : len(there) - PATIENCE + back] for back in range(PATIENCE)])
            flags = lately & ~there[PATIENCE:]
            if flags.any():
                found[symbol] = flags
        return found

    def _context_of(
        self, timeframe: Timeframe, wanted: int, features: tuple[Feature, ...]
    ) -> Mapping[str, ContextColumns]:
        """What features say of the other symbols, for each symbol; worked out once for all."""
        key = (timeframe, wanted, features)
        if key not in self._contexts:
            candles = {symbol: self.frame(symbol, timeframe, wanted).series for symbol in self._tapes}
            self._contexts[key] = compute_context(features, candles, timeframe)
        return self._contexts[key]

    def _first(self, tape: Tape, minutes: int, wanted: int) -> int:
        present = max(self._start, tape.first)
        now = present - present % minutes
        since = max(tape.unbroken_since(now), now - wanted * minutes)
        return min(since + -since % minutes, now)


def _candles(tape: Tape, first: int, end: int, minutes: int) -> CandleSeries:
    """Candles from minute `first` to the last that is complete; minutes before the tape stand still at its first open."""
    count = max(min(end, tape.stop) - first, 0) // minutes
    before = max(tape.first - first, 0)
    begin = max(first - tape.first, 0)
    shape = (count, minutes)

    def rows(column: Floats) -> Floats:
        part = column[begin : begin + count * minutes - before]
        if before:
            part = np.concatenate([np.full(before, tape.open[0] if column is not tape.volume else 0.0), part])
        return part.reshape(shape)

    volume = rows(tape.volume)
    total = volume[:, 0].copy()
    for column in range(1, minutes):
        total += volume[:, column]  # in order: numpy's own sum adds in pairs, which rounds otherwise
    return CandleSeries(
        ts_ms=(first + np.arange(count, dtype=np.int64) * minutes) * MINUTE_MS,
        open=rows(tape.open)[:, 0].copy(),
        high=rows(tape.high).max(axis=1),
        low=rows(tape.low).min(axis=1),
        close=rows(tape.close)[:, -1].copy(),
        volume=total,
    )
