"""What the page draws: equity and fall, and candles around trades, small enough for one file.

Rules of this file: everything is bounded and the bounds have names; what is left out is counted, so that the page can say so;
candles are made coarser, never thinned: each drawn one has the first open, the extremes and the last close of what it holds.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil, floor, log10

import numpy as np

from livebot.core.market import MINUTE_MS, Side
from livebot.core.series import CandleSeries, Floats, Times
from livebot.reporting.equity_figures import fall
from livebot.reporting.regimes import candle_ms
from livebot.reporting.run_record import ClosedTrade, EquityCurve, RunRecord
from livebot.reporting.shown import clean, price, signed_money, signed_percent, span

EQUITY_POINTS_MAX = 1_500  # more than a screen has columns
TRADES_DRAWN_MAX = 300  # with candles around each; about a megabyte
TRADES_EXTREME = 50  # so many of the best and of the worst are always among them
CANDLES_BEFORE = 60  # what a trader looks at to judge an entry
CANDLES_AFTER = 40  # and an exit
CANDLES_PER_TRADE_MAX = 400
OVERVIEW_CANDLES_MAX = 1_500  # of one symbol
OVERVIEW_CANDLES_ALL_MAX = 30_000  # of all symbols together
MARKS_PER_SYMBOL_MAX = (
    1_000  # newest trades on the candles of a whole range; a browser zooms twice as many marks at ease
)
MARKS_MAX = 6_000  # trades marked on the candles of whole ranges, of all symbols together: 50 bytes each
_PRICE_DIGITS = 6  # significant ones, where the candles' own prices have more
_STEPS = (1, 3, 5, 15, 30, 60, 120, 240, 480, 720, 1_440, 2_880, 5_760, 10_080, 20_160, 43_200)  # minutes

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Drawn:
    """`trades` have candles of their own around them; `total` is how many trades there are.  Both by their closes."""

    trades: tuple[ClosedTrade, ...]
    total: int


def drawn_trades(trades: Sequence[ClosedTrade]) -> Drawn:
    """All of them, or the best, the worst and the newest."""
    if len(trades) <= TRADES_DRAWN_MAX:
        return Drawn(tuple(trades), len(trades))
    ranked = sorted(range(len(trades)), key=lambda place: (trades[place].pnl_ratio, place))
    chosen = {*ranked[:TRADES_EXTREME], *ranked[-TRADES_EXTREME:]}
    newest = (place for place in reversed(range(len(trades))) if place not in chosen)
    chosen.update(islice(newest, TRADES_DRAWN_MAX - len(chosen)))
    return Drawn(tuple(trades[place] for place in sorted(chosen)), len(trades))


def page_data(record: RunRecord, trades: Sequence[ClosedTrade], drawn: Drawn) -> Json:
    """What the page's script reads; `trades` are all of them in the order of their closes."""
    groups: dict[str, list[ClosedTrade]] = {}
    for trade in trades:
        if len(record.candles.get(trade.symbol, ())) > 1:
            groups.setdefault(trade.symbol, []).append(trade)
    count = max(1, len(groups))
    room = min(OVERVIEW_CANDLES_MAX, OVERVIEW_CANDLES_ALL_MAX // count)
    marks = min(MARKS_PER_SYMBOL_MAX, max(1, MARKS_MAX // count))
    return {
        "equity": _equity(record.equity),
        "symbols": {
            symbol: _candles(_during(record, symbol), room)
            | {"marks": [_mark(trade) for trade in group[-marks:]], "total": len(group)}
            for symbol, group in sorted(groups.items())
        },
        "trades": [
            _trade(trade, record.candles[trade.symbol] if trade.symbol in groups else None) for trade in drawn.trades
        ],
    }


# ------------------------------------------------------------------ equity


def _equity(curve: EquityCurve) -> Json:
    """Seconds, equity, and how far below the peak: in percent, or in money where the capital is not known."""
    capital = bool(curve.equity[0] > 0)
    below = fall(curve) * 100 if capital else np.maximum.accumulate(curve.equity) - curve.equity
    times = curve.ts_ms // 1000
    if len(times) > EQUITY_POINTS_MAX:
        span_s = max(1, int(times[-1] - times[0]))
        width_s = next(
            (step * 60 for step in _STEPS if span_s / (step * 60) < EQUITY_POINTS_MAX), ceil(span_s / EQUITY_POINTS_MAX)
        )
        groups = times // width_s
    else:
        groups = times
    starts = np.flatnonzero(np.concatenate(([True], groups[1:] != groups[:-1])))
    lasts = np.concatenate((starts[1:], [len(times)])) - 1
    return {
        "t": [int(each) for each in times[lasts]],
        "equity": [round(float(each), 2) for each in curve.equity[lasts]],
        "fall": [0.0 - round(float(each), 4) for each in np.maximum.reduceat(below, starts)],  # no -0.0
        "unit": "%" if capital else "quote currency",
    }


# ------------------------------------------------------------------ candles


def _during(record: RunRecord, symbol: str) -> CandleSeries:
    """The candles of the run; all there are if it has not as many as two."""
    series = record.candles[symbol]
    part = series.part(*(int(place) for place in np.searchsorted(series.ts_ms, (record.start_ms, record.end_ms))))
    return part if len(part) > 1 else series


def _candles(series: CandleSeries, room: int) -> Json:
    step_ms = candle_ms(series)
    span = int(series.ts_ms[-1] - series.ts_ms[0]) + step_ms
    usual = (step * MINUTE_MS for step in _STEPS)
    least = step_ms * ceil(span / (step_ms * room))
    width_ms = next((width for width in usual if width >= least and width % step_ms == 0), least)
    merged = coarser(series, width_ms) if width_ms > step_ms else series
    return {"digits": digits_of(series.close), "step": width_ms // 1000, "candles": encoded(merged)}


def coarser(series: CandleSeries, width_ms: int) -> CandleSeries:
    """Candles of `width_ms`, aligned with UTC; one that begins or ends in between holds what there is."""
    if not len(series):
        return series
    groups = series.ts_ms // width_ms
    starts = np.flatnonzero(np.concatenate(([True], groups[1:] != groups[:-1])))
    lasts = np.concatenate((starts[1:], [len(groups)])) - 1
    return CandleSeries(
        ts_ms=groups[starts] * width_ms,
        open=series.open[starts],
        high=np.maximum.reduceat(series.high, starts),
        low=np.minimum.reduceat(series.low, starts),
        close=series.close[lasts],
        volume=np.add.reduceat(series.volume, starts),
    )


def encoded(series: CandleSeries) -> Json:
    """Base64 of little-endian uint32 seconds and of float32 open, high, low, close one after the other."""
    prices = np.concatenate((series.open, series.high, series.low, series.close)).astype("<f4")
    return {"t": _base64((series.ts_ms // 1000).astype("<u4")), "p": _base64(prices)}


def _base64(values: Times | Floats) -> str:
    return b64encode(values.tobytes()).decode("ascii")


def digits_of(close: Floats) -> int:
    """Decimals that show these prices: those that they have, or as many as give six significant ones."""
    typical = float(np.median(close))
    most = min(12, max(2, _PRICE_DIGITS - 1 - floor(log10(typical)))) if typical > 0 else 2
    return next(
        (digits for digits in range(1, most) if np.allclose(close, np.round(close, digits), rtol=1e-9, atol=0)), most
    )


# ------------------------------------------------------------------ trades


def _mark(trade: ClosedTrade) -> list[object]:
    prices = float(trade.entry_price), float(trade.exit_price)
    opened, closed = trade.opened_ms // 1000, trade.closed_ms // 1000
    return [opened, prices[0], closed, prices[1], trade.side is Side.LONG, trade.pnl_net > 0]


def _trade(trade: ClosedTrade, series: CandleSeries | None) -> Json:
    made: Json = {
        "symbol": trade.symbol,
        "long": trade.side is Side.LONG,
        "win": trade.pnl_net > 0,
        "entry": float(trade.entry_price),
        "exit": float(trade.exit_price),
        "stop": None if trade.stop_loss is None else float(trade.stop_loss),
        "target": None if trade.take_profit is None else float(trade.take_profit),
        "label": _label(trade),
    }
    return made if series is None else made | _window(trade, series)


def _label(trade: ClosedTrade) -> str:
    path = f"{price(trade.entry_price)} \u2192 {price(trade.exit_price)}"
    result = f"{signed_percent(trade.pnl_ratio)} ({signed_money(trade.pnl_net)})"
    held = span(float(trade.closed_ms - trade.opened_ms))
    return f"{clean(trade.signal_id)}: {trade.side.value.upper()} {path}, {result}, {trade.reason.value} after {held}"


def _window(trade: ClosedTrade, series: CandleSeries) -> Json:
    """The candles around a trade, and which of them hold its entry and its exit; nothing if there are none there."""
    step_ms = candle_ms(series)
    first, last = np.searchsorted(series.ts_ms, (trade.opened_ms, trade.closed_ms), side="right") - 1
    if last < 0 or trade.opened_ms >= int(series.ts_ms[-1]) + step_ms:
        return {}
    part = series.part(max(0, int(first) - CANDLES_BEFORE), int(last) + CANDLES_AFTER + 1)
    width_ms = step_ms
    if len(part) > CANDLES_PER_TRADE_MAX:
        width_ms = step_ms * ceil(len(part) / (CANDLES_PER_TRADE_MAX - 1))
        part = coarser(part, width_ms)
    return {
        "candles": encoded(part),
        "step": width_ms // 1000,
        "in": _candle_of(part, trade.opened_ms, float(trade.entry_price)),
        "out": _candle_of(part, trade.closed_ms, float(trade.exit_price)),
    }


def _candle_of(part: CandleSeries, ts_ms: int, fill_price: float) -> int:
    """Opening second of the candle in which it filled: that of the time, or the one just closed if only that traded there."""
    place = max(0, int(np.searchsorted(part.ts_ms, ts_ms, side="right")) - 1)
    if (
        place
        and ts_ms == part.ts_ms[place]
        and not _traded_at(part, place, fill_price)
        and _traded_at(part, place - 1, fill_price)
    ):
        place -= 1
    return int(part.ts_ms[place]) // 1000


def _traded_at(part: CandleSeries, place: int, fill_price: float) -> bool:
    return bool(part.low[place] <= fill_price <= part.high[place])
