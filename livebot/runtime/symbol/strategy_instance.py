"""What lives per (symbol, strategy): its state, its candles and features, and the view its strategy decides on.

Rules of this file: it is evicted as a whole when its symbol fails; only closed candles enter, in order and without a
gap; nothing in here waits: what has to be fetched is named (`load`, a Gap) and handed in when it has come, and candles
that come meanwhile stand aside; a strategy is asked about a close when its own candle and those of the other symbols it
looks at are in, and never before its warm-up.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isnan
from typing import Any

import numpy as np

from livebot.core.entry import Adjustment, Entry
from livebot.core.inputs import SymbolState
from livebot.core.market import Candle, Instrument
from livebot.core.rules import Rules, VolatilityParity, sharing_a_position
from livebot.core.series import CandleSeries
from livebot.core.signal import Idle, Open
from livebot.features.declaration import own_features
from livebot.features.live import LiveFeatures
from livebot.features.true_range import average_true_range, candles_for
from livebot.runtime.symbol.candle_track import (
    LONGEST_GAP_MINUTES,
    CandleTrack,
    FetchHistory,
    Histories,
    Taken,
    TrackHistory,
)
from livebot.runtime.symbol.context_reader import ContextReader
from livebot.strategies.interface import Strategy, View, feature_set_of

__all__ = ["LONGEST_GAP_MINUTES", "FetchHistory", "Histories", "StrategyInstance", "Taken", "TrackHistory"]


class StrategyInstance:
    """One strategy on one symbol, as the worker drives it."""

    __slots__ = (
        "_context",
        "_features",
        "_foreign_beside",
        "_next_rules",
        "_others",
        "_own",
        "_retired",
        "_rules_beside",
        "_strategy",
        "_view",
        "_wanted",
        "_warmup",
        "due",
        "feature_set",
        "last_close_ms",
        "last_price",
        "managed_ms",
        "manages",
        "own_rules",
        "state",
        "strategy_name",
        "symbol",
        "warm",
        "watched",
    )

    def __init__(
        self,
        strategy: Strategy[Any],
        rules: Rules,
        state: SymbolState,
        *,
        history: int,
        context: ContextReader | None = None,
        foreign_beside: Callable[[], bool] = lambda: False,
    ) -> None:
        """Cold: `warm_up` comes before the first decision.  `history` is how many candles are kept at least.

        `due` is the close that waits for a decision; `managed_ms` the last close that the kernel has been told of;
        `context` shows what its strategy's features say of other symbols, None if there are none; `feature_set` names
        all of its features in records; `foreign_beside`: whether the venue's position is not all ours; `own_rules` are those
        that hold if it is.
        """
        self._strategy = strategy
        self._foreign_beside = foreign_beside
        self._obey(rules)
        self.state = state
        self.symbol = state.symbol
        self._next_rules: Rules | None = None
        self._retired = False
        self.strategy_name = state.strategy
        self.manages = strategy.manages
        self.warm = False
        self.due: int | None = None
        self.last_price: float | None = None
        self.last_close_ms: int | None = None
        self.managed_ms = 0
        self.feature_set = str(feature_set_of(strategy))
        self._warmup = strategy.warmup
        self._wanted = max(history, self._warmup)
        self._context = context
        self._own = self._track_of(self.symbol, max(history, strategy.history))
        self._others = {symbol: self._track_of(symbol, max(2, strategy.history)) for symbol in strategy.others}
        self.watched = frozenset({self.symbol, *self._others})
        self._features = LiveFeatures(own_features(strategy.features), _empty())
        self._view = self._make_view()

    def _track_of(self, symbol: str, capacity: int) -> CandleTrack:
        return CandleTrack(symbol, self._strategy.timeframe, capacity, self._finished)

    @property
    def ready(self) -> bool:
        """Whether it has seen as many candles as its strategy asks for, of every symbol it looks at."""
        history = self._strategy.history
        return (
            self.warm
            and not self._retired
            and self._features.seen >= self._warmup
            and all(len(track.window) >= history for track in self._others.values())
        )

    # Terms

    @property
    def rules(self) -> Rules:
        """Those that hold now: nothing of ours may close what lies there and is not ours, as if a strategy held it."""
        return self._rules_beside if self._foreign_beside() else self.own_rules

    def _obey(self, rules: Rules) -> None:
        self.own_rules, self._rules_beside = rules, sharing_a_position(rules)

    def work_under(self, rules: Rules) -> None:
        """Work under these rules from the next signal on; the present one keeps its own."""
        self._next_rules = rules
        self.take_next_rules()

    def take_next_rules(self) -> None:
        """Between two signals."""
        if self._next_rules is not None and isinstance(self.state.signal, Idle):
            self._obey(self._next_rules)
            self._next_rules = None

    def follow_venue(self, instrument: Instrument) -> None:
        """Work with what the venue says of the symbol by now, at once: it takes nothing else."""
        self._obey(replace(self.own_rules, instrument=instrument))
        if self._next_rules is not None:
            self._next_rules = replace(self._next_rules, instrument=instrument)

    def retire(self) -> None:
        """Ask the strategy nothing more: another instance takes its place."""
        self._retired = True

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
        self._features = LiveFeatures(own_features(self._strategy.features), own.candles)
        for candle in late:
            self._features.update(candle)
        self._view = self._make_view()
        self._show()
        self.warm, self.due = True, None
        if self.last_price is None:
            self.last_price = self._own.last_close
        return {track.symbol: track.take_aside() for track in (self._own, *self._others.values())}

    @property
    def timeframe_ms(self) -> int:
        """How long its candles are."""
        return self._strategy.timeframe.ms

    # Candles

    def push(self, symbol: str, candle: Candle) -> Taken:
        """Take a closed base candle of a watched symbol; `due` then says whether a decision waits.

        While something is being fetched the candle stands aside.  Where a gap is told, its minutes have to be fetched
        (`around` says which) and handed to `fill`.
        """
        return self._track(symbol).push(candle, warm=self.warm)

    def around(self, symbol: str, now_ms: int) -> int:
        """How many of the latest minutes have to be fetched to see what is missing of the symbol, 0 if nothing is."""
        return self._track(symbol).around(now_ms)

    def shows_gap(self, symbol: str, minutes: CandleSeries, asked: int) -> bool:
        """Whether these minutes, of which so many were asked for, tell all about the gap (see CandleTrack)."""
        return self._track(symbol).shows_gap(minutes, asked)

    def fill(self, symbol: str, minutes: CandleSeries) -> tuple[tuple[Candle, ...], Taken]:
        """Take the minutes that were missing, and after them what stood aside (see CandleTrack)."""
        return self._track(symbol).fill(minutes)

    def standing_aside(self, symbol: str) -> tuple[Candle, ...]:
        """Candles of the symbol that wait for others to be fetched."""
        return tuple(self._track(symbol).aside)

    def _track(self, symbol: str) -> CandleTrack:
        return self._own if symbol == self.symbol else self._others[symbol]

    def _finished(self, track: CandleTrack, candle: Candle) -> None:
        if track is self._own:
            self._features.update(candle)
            self.due = candle.ts_ms + track.timeframe.ms
        else:
            self._view.others[track.symbol].move(track.window.end, 0)

    # Deciding

    def missing_context(self, close_ms: int) -> tuple[str, ...]:
        """The other symbols that are not at this close."""
        others = tuple(symbol for symbol, view in self._view.others.items() if view.close_ms != close_ms)
        return others if self._context is None else (*others, *self._context.lacking(close_ms))

    def when_context_is_complete(self, close_ms: int, call: Callable[[], None]) -> None:
        """Call once all symbols that the features are made of are in at this close; those of `others` not counted."""
        if self._context is not None:
            self._context.when_complete(close_ms, call)

    @property
    def without_value(self) -> tuple[str, ...]:
        """Features made of other symbols that say nothing at the present close."""
        if self._context is None:
            return ()
        self._show()
        return tuple(name for name in self._context.columns if isnan(self._view.feature(name)))

    def decide(self) -> Entry | None:
        """Ask the strategy whether it wants to enter."""
        self._show()
        return self._strategy.decide(self._view)

    @property
    def atr(self) -> float | None:
        """The average true range of its own candles, in quote, if its sizes follow from that and it is known."""
        sizing, window = self.rules.sizing, self._own.window
        if not isinstance(sizing, VolatilityParity):
            return None
        count = min(len(window), candles_for(sizing.period))
        return average_true_range(window.buffer.part(window.end - count, window.end), sizing.period)

    def manage(self, signal: Open) -> Adjustment | None:
        """Ask the strategy whether it wants to change its open signal."""
        self._show()
        return self._strategy.manage(self._view, signal)

    def _show(self) -> None:
        if self._context is None:
            self._view.move(self._own.window.end, self._features.end)
            return
        last_ms = self._own.window.last_ms
        end = 0 if last_ms is None else self._context.settle(last_ms + self._own.timeframe.ms)
        self._view.move(self._own.window.end, self._features.end, end)

    def _make_view(self) -> View:
        timeframe, history = self._strategy.timeframe, self._strategy.history
        others = {
            symbol: View(symbol, timeframe, track.window.buffer, {}, history=max(2, history))
            for symbol, track in self._others.items()
        }
        for symbol, track in self._others.items():
            others[symbol].move(track.window.end, 0)
        columns = self._features.columns
        return View(
            self.symbol,
            timeframe,
            self._own.window.buffer,
            columns,
            history=history,
            others=others,
            context={} if self._context is None else self._context.columns,
        )


def _empty() -> CandleSeries:
    floats = np.empty(0)
    times = np.empty(0, np.int64)
    return CandleSeries(ts_ms=times, open=floats, high=floats, low=floats, close=floats, volume=floats)
