"""What lives per (symbol, strategy): its state, its candles and features, and the view its strategy decides on.

Rules of this file: it is evicted as a whole when its symbol fails; only closed candles enter; a strategy is asked once
for each close of its timeframe, when its own candle and those of the other symbols it looks at are in.
"""

from typing import Any

import numpy as np

from livebot.core.entry import Adjustment, Entry
from livebot.core.inputs import SymbolState
from livebot.core.market import MINUTE_MS, Candle, Timeframe
from livebot.core.rules import Rules
from livebot.core.series import CandleSeries
from livebot.core.signal import Open
from livebot.features.live import LiveFeatures
from livebot.features.timeframes import CandleBuilder, Gap, candle_at
from livebot.features.window import CandleWindow
from livebot.ports import CandleFeed
from livebot.strategies.interface import Strategy, View

BACKFILL_MINUTES = 2_880  # a longer gap is not bridged minute by minute: the symbol warms up anew


class _Track:
    """Candles of one symbol on one timeframe."""

    __slots__ = ("builder", "timeframe", "window")

    def __init__(self, timeframe: Timeframe, capacity: int) -> None:
        self.timeframe = timeframe
        self.window = CandleWindow(capacity)
        self.builder = CandleBuilder(timeframe)

    async def warm_up(self, feed: CandleFeed, symbol: str, count: int) -> tuple[CandleSeries, tuple[Candle, ...]]:
        """Load the last `count` closed candles of the timeframe, and the minutes since.

        Returns:
            The candles, and those that closed while we asked.

        """
        history = await feed.history(symbol, self.timeframe, count)
        self.window.replace(history)
        self.builder = CandleBuilder(self.timeframe)
        if not len(history):
            return history, ()
        self.builder.resume(int(history.ts_ms[-1]) + self.timeframe.ms)
        minutes = await feed.history(symbol, Timeframe.M1, 2 * self.timeframe.ms // MINUTE_MS)
        made = [self.builder.add(candle_at(minutes, index)) for index in range(len(minutes))]
        late = tuple(candle for candle in made if isinstance(candle, Candle))
        for candle in late:
            self.window.append(candle)
        return history, late


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
        "manages",
        "rules",
        "state",
        "strategy_name",
        "symbol",
        "watched",
    )

    def __init__(self, strategy: Strategy[Any], rules: Rules, state: SymbolState, *, history: int) -> None:
        """Cold: `warm_up` comes before the first decision.  `history` is how many candles are kept at least."""
        self._strategy = strategy
        self.rules = rules
        self.state = state
        self.symbol = state.symbol
        self.strategy_name = state.strategy
        self.manages = strategy.manages
        self.due: int | None = None
        self.last_price: float | None = None
        self.last_close_ms: int | None = None
        self._wanted = max(history, strategy.warmup)
        timeframe = strategy.timeframe
        self._own = _Track(timeframe, max(history, strategy.history))
        self._others = {symbol: _Track(timeframe, max(2, strategy.history)) for symbol in strategy.others}
        self.watched = frozenset({self.symbol, *self._others})
        self._features = LiveFeatures(strategy.features, _empty())
        self._view = self._make_view()

    @property
    def ready(self) -> bool:
        """Whether it has seen as many candles as its strategy asks for."""
        return self._features.ready and len(self._own.window) >= self._strategy.history

    async def warm_up(self, feed: CandleFeed) -> None:
        """Load history for all it watches, and open the features on it.  Raises Transient."""
        history, late = await self._own.warm_up(feed, self.symbol, self._wanted)
        for symbol, track in self._others.items():
            await track.warm_up(feed, symbol, self._wanted)
        self._features = LiveFeatures(self._strategy.features, history)
        for candle in late:
            self._features.update(candle)
        self._view = self._make_view()
        self._show()
        self.due = None
        if len(history):
            self.last_price = float(history.close[-1])

    def push(self, symbol: str, candle: Candle) -> Gap | None:
        """Take a closed base candle of a watched symbol; `due` then says whether a decision waits.

        Returns:
            What is missing before this candle; nothing was taken then, and `backfill` is next.

        Raises:
            BadInput: a candle that cannot be true, or contradicts one already taken.

        """
        track = self._own if symbol == self.symbol else self._others[symbol]
        finished = track.builder.add(candle)
        if finished is None:
            return None
        if isinstance(finished, Gap):
            return finished
        track.window.append(finished)
        if track is self._own:
            self._features.update(finished)
            self.due = finished.ts_ms + track.timeframe.ms
        else:
            self._view.others[symbol].move(track.window.end, 0)
        return None

    async def backfill(self, feed: CandleFeed, symbol: str, gap: Gap, candle: Candle) -> tuple[Candle, ...]:
        """Fetch what is missing before `candle` and take it all; a gap too long to bridge warms up anew.

        A minute that the venue does not have is one in which nothing traded: flat at the last close, volume 0.

        Returns:
            The missing candles in order (none if warmed up anew).

        """
        wanted = (candle.ts_ms - gap.from_ms) // MINUTE_MS + 1
        if wanted > BACKFILL_MINUTES:
            await self.warm_up(feed)
            return ()
        minutes = await feed.history(symbol, Timeframe.M1, wanted + 1)
        missing = _filled(minutes, gap, candle)
        for late in (*missing, candle):
            self.push(symbol, late)
        return missing

    def context_complete(self, close_ms: int) -> bool:
        """Whether every other symbol it looks at is at this close."""
        return not self.missing_context(close_ms)

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
        timeframe = self._strategy.timeframe
        history = self._strategy.history
        others = {
            symbol: View(symbol, timeframe, track.window.buffer, {}, history=max(2, history))
            for symbol, track in self._others.items()
        }
        for symbol, track in self._others.items():
            others[symbol].move(track.window.end, 0)
        columns = self._features.columns
        return View(self.symbol, timeframe, self._own.window.buffer, columns, history=history, others=others)


def _filled(minutes: CandleSeries, gap: Gap, candle: Candle) -> tuple[Candle, ...]:
    """The candles from the gap's start to before `candle`, flat where there was none."""
    there = {int(ts_ms): index for index, ts_ms in enumerate(minutes.ts_ms)}
    before = there.get(gap.from_ms - MINUTE_MS)
    last = float(minutes.close[before]) if before is not None else candle.open
    filled = []
    for ts_ms in range(gap.from_ms, candle.ts_ms, MINUTE_MS):
        index = there.get(ts_ms)
        made = candle_at(minutes, index) if index is not None else Candle(ts_ms, last, last, last, last, 0.0)
        filled.append(made)
        last = made.close
    return tuple(filled)


def _empty() -> CandleSeries:
    floats = np.empty(0)
    times = np.empty(0, np.int64)
    return CandleSeries(ts_ms=times, open=floats, high=floats, low=floats, close=floats, volume=floats)
