"""What lives per (symbol, strategy): its state, its candles and features, and the view its strategy decides on.

Rules of this file: it is evicted as a whole when its symbol fails; only closed candles enter, in order and without a
gap; nothing in here waits: what has to be fetched is named (`load`, a Gap) and handed in when it has come, and candles
that come meanwhile stand aside; a strategy is asked about a close when its own candle and those of the other symbols it
looks at are in.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from livebot.core.entry import Adjustment, Entry
from livebot.core.inputs import SymbolState
from livebot.core.market import MINUTE_MS, Candle, Timeframe
from livebot.core.rules import Rules
from livebot.core.series import CandleSeries
from livebot.core.signal import Open
from livebot.errors import BadInput
from livebot.features.live import LiveFeatures
from livebot.features.timeframes import CandleBuilder, Gap, candle_at
from livebot.features.window import CandleWindow
from livebot.strategies.interface import Strategy, View

LONGEST_GAP_MINUTES = 2_880  # a longer one is not bridged minute by minute: the instance warms up anew
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


class _Track:
    """Candles of one symbol on one timeframe."""

    __slots__ = ("aside", "builder", "gap", "last_close", "symbol", "timeframe", "window")

    def __init__(self, symbol: str, timeframe: Timeframe, capacity: int) -> None:
        self.symbol = symbol
        self.timeframe = timeframe
        self.window = CandleWindow(capacity)
        self.builder = CandleBuilder(timeframe)
        self.gap: Gap | None = None
        self.aside: list[Candle] = []
        self.last_close: float | None = None

    async def load(self, fetch: FetchHistory, count: int) -> TrackHistory:
        """History from outside; nothing of it is taken yet."""
        candles = await fetch(self.symbol, self.timeframe, count)
        # A candle of the timeframe may close between the two calls: its minutes are among these.
        return TrackHistory(candles, await fetch(self.symbol, Timeframe.M1, 2 * self.timeframe.ms // MINUTE_MS))

    def begin(self, history: TrackHistory) -> tuple[Candle, ...]:
        """Take a history instead of all there was; the candles that closed after its last one."""
        self.window.replace(history.candles)
        self.builder = CandleBuilder(self.timeframe)
        self.gap = self.last_close = None
        if not len(history.candles):
            return ()
        self.last_close = float(history.candles.close[-1])
        self.builder.resume(int(history.candles.ts_ms[-1]) + self.timeframe.ms)
        made = [self.add(candle_at(history.minutes, index)) for index in range(len(history.minutes))]
        return tuple(candle for candle in made if isinstance(candle, Candle))

    def add(self, candle: Candle) -> Candle | Gap | None:
        """The finished candle of the timeframe, a gap before this minute, or nothing.  Raises BadInput."""
        made = self.builder.add(candle)
        if isinstance(made, Candle):
            self.window.append(made)
        if self.builder.next_ms == candle.ts_ms + MINUTE_MS:  # it was taken, not passed over
            self.last_close = candle.close
        return made


class StrategyInstance:
    """One strategy on one symbol, as the worker drives it."""

    __slots__ = (
        "_features",
        "_others",
        "_own",
        "_strategy",
        "_view",
        "_wanted",
        "due",
        "last_close_ms",
        "last_price",
        "managed_ms",
        "manages",
        "rules",
        "state",
        "strategy_name",
        "symbol",
        "warm",
        "watched",
    )

    def __init__(self, strategy: Strategy[Any], rules: Rules, state: SymbolState, *, history: int) -> None:
        """Cold: `warm_up` comes before the first decision.  `history` is how many candles are kept at least.

        `due` is the close that waits for a decision; `managed_ms` the last close that the kernel has been told of.
        """
        self._strategy = strategy
        self.rules = rules
        self.state = state
        self.symbol = state.symbol
        self.strategy_name = state.strategy
        self.manages = strategy.manages
        self.warm = False
        self.due: int | None = None
        self.last_price: float | None = None
        self.last_close_ms: int | None = None
        self.managed_ms = 0
        self._wanted = max(history, strategy.warmup)
        timeframe = strategy.timeframe
        self._own = _Track(self.symbol, timeframe, max(history, strategy.history))
        self._others = {symbol: _Track(symbol, timeframe, max(2, strategy.history)) for symbol in strategy.others}
        self.watched = frozenset({self.symbol, *self._others})
        self._features = LiveFeatures(strategy.features, _empty())
        self._view = self._make_view()

    @property
    def ready(self) -> bool:
        """Whether it has seen as many candles as its strategy asks for, of every symbol it looks at."""
        history = self._strategy.history
        tracks = (self._own, *self._others.values())
        return self.warm and self._features.ready and all(len(track.window) >= history for track in tracks)

    # Beginning

    async def load(self, fetch: FetchHistory) -> Histories:
        """All that `warm_up` needs; changes nothing here."""
        tracks = (self._own, *self._others.values())
        return {track.symbol: await track.load(fetch, self._wanted) for track in tracks}

    def cool(self) -> None:
        """Let candles stand aside until it is warmed up anew."""
        self.warm = False
        self.due = None

    def warm_up(self, histories: Histories) -> Mapping[str, Taken]:
        """Open features and views on the history, and take the candles that came meanwhile.

        Returns:
            For each symbol, what became of those candles.

        Raises:
            BadInput: the history is unfit for use.

        """
        own = histories[self.symbol]
        late = self._own.begin(own)
        for symbol, track in self._others.items():
            track.begin(histories[symbol])
        self._features = LiveFeatures(self._strategy.features, own.candles)
        for candle in late:
            self._features.update(candle)
        self._view = self._make_view()
        self._show()
        self.warm, self.due = True, None
        if self.last_price is None:
            self.last_price = self._own.last_close
        return {track.symbol: self._take_aside(track) for track in (self._own, *self._others.values())}

    # Candles

    def push(self, symbol: str, candle: Candle) -> Taken:
        """Take a closed base candle of a watched symbol; `due` then says whether a decision waits.

        While something is being fetched the candle stands aside.  Where a gap is told, its minutes have to be fetched
        (`around` says which) and handed to `fill`.
        """
        track = self._track(symbol)
        track.aside = [*track.aside[1 - ASIDE :], candle]
        return self._take_aside(track) if self.warm and track.gap is None else _TAKEN

    def around(self, symbol: str, now_ms: int) -> int:
        """How many of the latest minutes have to be fetched to see what is missing of the symbol, 0 if nothing is."""
        gap = self._track(symbol).gap
        return 0 if gap is None else (max(now_ms, gap.to_ms) - gap.from_ms) // MINUTE_MS + 2

    def shows_gap(self, symbol: str, minutes: CandleSeries, asked: int) -> bool:
        """Whether these minutes, of which so many were asked for, tell all about the gap.

        They must reach from before the gap (or hold all there is) to the candle that revealed it: a venue that has not
        got that far yet cannot say that there was no trade.
        """
        gap = self._track(symbol).gap
        if gap is None:
            return True
        if not len(minutes) or int(minutes.ts_ms[-1]) < gap.to_ms:
            return False
        return len(minutes) < asked or int(minutes.ts_ms[0]) <= gap.from_ms

    def fill(self, symbol: str, minutes: CandleSeries) -> tuple[tuple[Candle, ...], Taken]:
        """Take the minutes that were missing, and after them what stood aside.

        A minute that the venue does not have is one in which nothing traded: flat at the last close, volume 0.

        Returns:
            The missing candles in order, and what became of those that stood aside.

        """
        track = self._track(symbol)
        gap, track.gap = track.gap, None
        missing = () if gap is None else _filled(minutes, gap, track.last_close)
        return missing, self._take_aside(track, missing)

    def standing_aside(self, symbol: str) -> tuple[Candle, ...]:
        """Candles of the symbol that wait for others to be fetched."""
        return tuple(self._track(symbol).aside)

    def _track(self, symbol: str) -> _Track:
        return self._own if symbol == self.symbol else self._others[symbol]

    def _take_aside(self, track: _Track, first: tuple[Candle, ...] = ()) -> Taken:
        refused: list[str] = []
        waiting, track.aside = [*first, *track.aside], []
        for taken, candle in enumerate(waiting):
            try:
                made = track.add(candle)
            except BadInput as error:
                refused.append(str(error))
                made = None
            if isinstance(made, Gap):
                track.gap = made
                track.aside = waiting[taken:][-ASIDE:]
                return Taken(made, tuple(refused))
            if made is not None:
                self._finished(track, made)
        return Taken(None, tuple(refused)) if refused else _TAKEN

    def _finished(self, track: _Track, candle: Candle) -> None:
        if track is self._own:
            self._features.update(candle)
            self.due = candle.ts_ms + track.timeframe.ms
        else:
            self._view.others[track.symbol].move(track.window.end, 0)

    # Deciding

    def missing_context(self, close_ms: int) -> tuple[str, ...]:
        """The other symbols that are not at this close."""
        return tuple(symbol for symbol, view in self._view.others.items() if view.close_ms != close_ms)

    def decide(self) -> Entry | None:
        """Ask the strategy whether it wants to enter."""
        self._show()
        return self._strategy.decide(self._view)

    def manage(self, signal: Open) -> Adjustment | None:
        """Ask the strategy whether it wants to change its open signal."""
        self._show()
        return self._strategy.manage(self._view, signal)

    def _show(self) -> None:
        self._view.move(self._own.window.end, self._features.end)

    def _make_view(self) -> View:
        timeframe, history = self._strategy.timeframe, self._strategy.history
        others = {
            symbol: View(symbol, timeframe, track.window.buffer, {}, history=max(2, history))
            for symbol, track in self._others.items()
        }
        for symbol, track in self._others.items():
            others[symbol].move(track.window.end, 0)
        columns = self._features.columns
        return View(self.symbol, timeframe, self._own.window.buffer, columns, history=history, others=others)


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


def _empty() -> CandleSeries:
    floats = np.empty(0)
    times = np.empty(0, np.int64)
    return CandleSeries(ts_ms=times, open=floats, high=floats, low=floats, close=floats, volume=floats)
