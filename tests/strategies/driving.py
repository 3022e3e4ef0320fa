"""Runs a strategy over candles in the two ways there are: over whole arrays, and candle by candle."""

from collections.abc import Mapping
from typing import Any

from livebot.core.entry import Entry
from livebot.core.series import CandleSeries
from livebot.features import batch
from livebot.features.live import LiveFeatures
from livebot.features.window import CandleWindow
from livebot.strategies.interface import Strategy, View
from tests.features.candles import candles

SYMBOL = "BTC/USDT:USDT"


def view_over_arrays(
    strategy: Strategy[Any], series: CandleSeries, others: Mapping[str, CandleSeries] | None = None
) -> View:
    """A view over all the candles, at the last one; the other symbols' candles have the same times."""
    other_views = {
        symbol: View(symbol, strategy.timeframe, beside, {}, history=strategy.history)
        for symbol, beside in (others or {}).items()
    }
    features = batch.compute(strategy.features, series)
    view = View(SYMBOL, strategy.timeframe, series, features, history=strategy.history, others=other_views)
    move(view, len(series))
    return view


def move(view: View, end: int) -> None:
    """Move a view over arrays, and the others with it."""
    view.move(end, end)
    for other in view.others.values():
        other.move(end, end)


def decide_over_arrays(
    strategy: Strategy[Any], series: CandleSeries, others: Mapping[str, CandleSeries] | None = None
) -> dict[int, Entry]:
    """Close time -> entry, from the first candle that is warm."""
    view = view_over_arrays(strategy, series, others)
    found = {}
    for end in range(strategy.warmup, len(series) + 1):
        move(view, end)
        entry = strategy.decide(view)
        if entry is not None:
            found[view.close_ms] = entry
    return found


def decide_candle_by_candle(
    strategy: Strategy[Any], series: CandleSeries, others: Mapping[str, CandleSeries] | None = None
) -> dict[int, Entry]:
    """The same as the daemon does it: a window, live features, and a view that moves with them."""
    opened_on = strategy.warmup - 1
    windows = {symbol: CandleWindow(strategy.history) for symbol in (SYMBOL, *(others or {}))}
    every = {SYMBOL: series, **(others or {})}
    for symbol, window in windows.items():
        window.replace(every[symbol].part(0, opened_on))
    live = LiveFeatures(strategy.features, series.part(0, opened_on))
    views = {
        symbol: View(symbol, strategy.timeframe, window.buffer, {}, history=strategy.history)
        for symbol, window in windows.items()
        if symbol != SYMBOL
    }
    buffer = windows[SYMBOL].buffer
    view = View(SYMBOL, strategy.timeframe, buffer, live.columns, history=strategy.history, others=views)
    found = {}
    coming = {symbol: list(candles(one.part(opened_on, len(one)))) for symbol, one in every.items()}
    for place, candle in enumerate(coming[SYMBOL]):
        for symbol, other in views.items():
            windows[symbol].append(coming[symbol][place])
            other.move(windows[symbol].end, 0)
        windows[SYMBOL].append(candle)
        live.update(candle)
        view.move(windows[SYMBOL].end, live.end)
        entry = strategy.decide(view) if live.ready and view.complete else None
        if entry is not None:
            found[view.close_ms] = entry
    return found
