"""One symbol's candles of one timeframe as they come: closed minutes in, finished candles out, in order and without a gap.

Rules of this file: nothing in here waits: what has to be fetched is named (`load`, a Gap) and handed in when it has
come, and candles that come meanwhile stand aside; a minute that the venue does not have is one in which nothing traded.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from livebot.core.market import MINUTE_MS, Candle, Timeframe
from livebot.core.series import CandleSeries
from livebot.errors import BadInput
from livebot.features.timeframes import CandleBuilder, Gap, candle_at
from livebot.features.window import CandleWindow

LONGEST_GAP_MINUTES = 2_880  # a longer one is not bridged minute by minute: the history is loaded anew
ASIDE = 256  # candles kept while something is fetched; more are a gap again

FetchHistory = Callable[[str, Timeframe, int], Awaitable[CandleSeries]]


@dataclass(frozen=True, slots=True, eq=False)
class TrackHistory:
    """Closed candles of one symbol on the strategy's timeframe, and the minutes up to later than the last of them."""

    candles: CandleSeries
    minutes: CandleSeries


Histories = Mapping[str, TrackHistory]  # by symbol


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of candles: the first gap found among them, and why others were refused, in words."""

    gap: Gap | None = None
    refused: tuple[str, ...] = ()


_TAKEN = Taken()


class CandleTrack:
    """Candles of one symbol on one timeframe; `finished` is told each as it closes."""

    __slots__ = ("_finished", "aside", "builder", "gap", "last_close", "symbol", "timeframe", "window")

    def __init__(
        self, symbol: str, timeframe: Timeframe, capacity: int, finished: Callable[["CandleTrack", Candle], None]
    ) -> None:
        """Keep the last `capacity` candles."""
        self.symbol = symbol
        self.timeframe = timeframe
        self.window = CandleWindow(capacity)
        self.builder = CandleBuilder(timeframe)
        self.gap: Gap | None = None
        self.aside: list[Candle] = []
        self.last_close: float | None = None
        self._finished = finished

    async def load(self, fetch: FetchHistory, count: int) -> TrackHistory:
        """History from outside; nothing of it is taken yet."""
        candles = await fetch(self.symbol, self.timeframe, count)
        # A candle of the timeframe may close between the two calls: its minutes are among these.
        return TrackHistory(candles, await fetch(self.symbol, Timeframe.M1, 2 * self.timeframe.ms // MINUTE_MS))

    def begin(self, history: TrackHistory) -> tuple[Candle, ...]:
        """Take a history instead of all there was; the candles that closed after its last one.  Raises BadInput."""
        self.window.replace(history.candles)
        self.builder = CandleBuilder(self.timeframe)
        self.gap = self.last_close = None
        if not len(history.candles):
            return ()
        self.last_close = float(history.candles.close[-1])
        self.builder.resume(int(history.candles.ts_ms[-1]) + self.timeframe.ms)
        made = [self._add(candle_at(history.minutes, index)) for index in range(len(history.minutes))]
        return tuple(candle for candle in made if isinstance(candle, Candle))

    def push(self, candle: Candle, *, warm: bool) -> Taken:
        """Take a closed minute; before it is `warm`, and behind a gap, it stands aside.

        Where a gap is told, its minutes have to be fetched (`around` says which) and handed to `fill`.
        """
        self.aside = [*self.aside[1 - ASIDE :], candle]
        return self.take_aside() if warm and self.gap is None else _TAKEN

    def take_aside(self, first: tuple[Candle, ...] = ()) -> Taken:
        """Take these, and after them what stood aside, up to the next gap."""
        refused: list[str] = []
        waiting, self.aside = [*first, *self.aside], []
        for taken, candle in enumerate(waiting):
            try:
                made = self._add(candle)
            except BadInput as error:
                refused.append(str(error))
                made = None
            if isinstance(made, Gap):
                self.gap = made
                self.aside = waiting[taken:][-ASIDE:]
                return Taken(made, tuple(refused))
            if made is not None:
                self._finished(self, made)
        return Taken(None, tuple(refused)) if refused else _TAKEN

    @property
    def gap_is_long(self) -> bool:
        """Whether its gap is too long to be bridged minute by minute."""
        return self.gap is not None and self.gap.to_ms - self.gap.from_ms > LONGEST_GAP_MINUTES * MINUTE_MS

    def forget_gap(self) -> None:
        """Let go of what stands aside behind a gap; the next candle shows whether it is there."""
        self.gap = None
        self.aside = []

    def around(self, now_ms: int) -> int:
        """How many of the latest minutes have to be fetched to see what is missing, 0 if nothing is."""
        gap = self.gap
        return 0 if gap is None else (max(now_ms, gap.to_ms) - gap.from_ms) // MINUTE_MS + 2

    def shows_gap(self, minutes: CandleSeries, asked: int) -> bool:
        """Whether these minutes, of which so many were asked for, tell all about the gap.

        They must reach from before the gap (or hold all there is) to the candle that revealed it: a venue that has not
        got that far yet cannot say that there was no trade.
        """
        gap = self.gap
        if gap is None:
            return True
        if not len(minutes) or int(minutes.ts_ms[-1]) < gap.to_ms:
            return False
        return len(minutes) < asked or int(minutes.ts_ms[0]) <= gap.from_ms

    def fill(self, minutes: CandleSeries) -> tuple[tuple[Candle, ...], Taken]:
        """Take the minutes that were missing, and after them what stood aside.

        A minute that the venue does not have is one in which nothing traded: flat at the last close, volume 0.

        Returns:
            The missing candles in order, and what became of those that stood aside.

        """
        gap, self.gap = self.gap, None
        missing = () if gap is None else _filled(minutes, gap, self.last_close)
        return missing, self.take_aside(missing)

    def _add(self, candle: Candle) -> Candle | Gap | None:
        """The finished candle of the timeframe, a gap before this minute, or nothing.  Raises BadInput."""
        made = self.builder.add(candle)
        if isinstance(made, Candle):
            self.window.append(made)
        if self.builder.next_ms == candle.ts_ms + MINUTE_MS:  # it was taken, not passed over
            self.last_close = candle.close
        return made


def _filled(minutes: CandleSeries, gap: Gap, last_close: float | None) -> tuple[Candle, ...]:
    """The candles of the gap, flat at the close before where the venue has none."""
    there = {int(ts_ms): index for index, ts_ms in enumerate(minutes.ts_ms)}
    last = float(minutes.open[0]) if last_close is None else last_close
    filled = []
    for ts_ms in range(gap.from_ms, gap.to_ms, MINUTE_MS):
        index = there.get(ts_ms)
        made = Candle(ts_ms, last, last, last, last, 0.0) if index is None else candle_at(minutes, index)
        filled.append(made)
        last = made.close
    return tuple(filled)
