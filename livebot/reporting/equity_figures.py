"""Figures of an equity curve: return, Sharpe, Sortino, drawdown; and the curve of a part of the trades.

Rules of this file: returns are of whole UTC days, a year has 365 of them, the riskless rate is 0; a drawdown is measured at
every point; a curve that begins at 0 has no capital, so nothing is divided by it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from livebot.core.market import DAY_MS
from livebot.core.series import CandleSeries, Floats, Times
from livebot.reporting.figure import NO_CAPITAL, Figure, NotAvailable
from livebot.reporting.run_record import ClosedTrade, EquityCurve, day_ends, realised_equity

DAYS_A_YEAR = 365  # crypto markets never close
MINIMUM_DAYS = 30  # with fewer the standard error of a year's Sharpe is above 3.5: it says nothing
MINIMUM_MOVING_DAYS = 10  # one lucky day among hundreds without a position is no deviation
MINIMUM_DOWN_DAYS = 5  # below five the downside deviation is that of one or two days
_NOISE = 1e-9  # a deviation below this share of the largest return is rounding, not risk

_RUINED = NotAvailable("equity fell to 0 or below")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """The deepest fall from a peak: `depth` as a fraction of the peak, in [0, 1]; `amount` in quote currency.

    From the last moment at the peak to the bottom; `recovered_ms` is when the peak was reached again, None if not yet.
    Without capital `depth` is not available and the fall is the deepest by amount.
    """

    depth: Figure
    amount: float
    from_ms: int
    to_ms: int
    recovered_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityFigures:
    """Figures of one curve.  `sharpe_error` is the standard error of `sharpe` (A. Lo 2002, independent returns)."""

    start_equity: Figure
    end_equity: Figure
    total_return: Figure
    sharpe: Figure
    sharpe_error: Figure
    sortino: Figure
    drawdown: Drawdown | NotAvailable


def equity_figures(curve: EquityCurve) -> EquityFigures:
    """The figures of this curve."""
    equity = curve.equity
    start, end = float(equity[0]), float(equity[-1])
    if start <= 0:
        return EquityFigures(
            start_equity=NO_CAPITAL,
            end_equity=NO_CAPITAL,
            total_return=NO_CAPITAL,
            sharpe=NO_CAPITAL,
            sharpe_error=NO_CAPITAL,
            sortino=NO_CAPITAL,
            drawdown=max_drawdown(curve),
        )
    returns = _RUINED if np.any(equity <= 0) else daily_returns(curve)
    ratio, error = (returns, returns) if isinstance(returns, NotAvailable) else sharpe(returns)
    return EquityFigures(
        start_equity=start,
        end_equity=end,
        total_return=end / start - 1,
        sharpe=ratio,
        sharpe_error=error,
        sortino=returns if isinstance(returns, NotAvailable) else sortino(returns),
        drawdown=max_drawdown(curve),
    )


def daily_equity(curve: EquityCurve) -> EquityCurve:
    """The last value at or before the start, each UTC midnight between, and the end."""
    times = day_ends(int(curve.ts_ms[0]), int(curve.ts_ms[-1]))
    places = np.searchsorted(curve.ts_ms, times, side="right") - 1
    return EquityCurve(ts_ms=times, equity=curve.equity[places])


def daily_returns(curve: EquityCurve) -> Floats:
    """Simple returns of whole UTC days, of shape (days,); a day that was begun or ended in between does not count."""
    days = daily_equity(curve)
    equity = days.equity[days.ts_ms % DAY_MS == 0]
    returns: Floats = equity[1:] / equity[:-1] - 1
    return returns


def sharpe(returns: Floats) -> tuple[Figure, Figure]:
    """Mean over sample standard deviation of daily returns times sqrt(365), and its standard error."""
    why = _too_few(returns)
    if why is not None:
        return why, why
    deviation = float(returns.std(ddof=1))
    if deviation <= _NOISE * float(np.abs(returns).max()):
        constant = NotAvailable("every day had the same return")
        return constant, constant
    ratio = float(returns.mean()) / deviation
    error = float(np.sqrt((1 + ratio**2 / 2) / len(returns)))
    year = float(np.sqrt(DAYS_A_YEAR))
    return ratio * year, error * year


def sortino(returns: Floats) -> Figure:
    """Mean over downside deviation (root mean square of returns below 0, over all days) times sqrt(365)."""
    why = _too_few(returns)
    if why is not None:
        return why
    down = np.minimum(returns, 0.0)
    if np.count_nonzero(down) < MINIMUM_DOWN_DAYS:
        return NotAvailable(f"fewer than {MINIMUM_DOWN_DAYS} losing days")
    return float(returns.mean() / np.sqrt(np.mean(down**2)) * np.sqrt(DAYS_A_YEAR))


def _too_few(returns: Floats) -> NotAvailable | None:
    if len(returns) < MINIMUM_DAYS:
        return NotAvailable(f"fewer than {MINIMUM_DAYS} whole days")
    if np.count_nonzero(returns) < MINIMUM_MOVING_DAYS:
        return NotAvailable(f"equity moved on fewer than {MINIMUM_MOVING_DAYS} days")
    return None


def fall(curve: EquityCurve) -> Floats:
    """How far below its peak so far each point is, as a fraction in [0, 1], of shape (points,); starts above 0."""
    peak = np.maximum.accumulate(curve.equity)
    return np.clip(1 - curve.equity / peak, 0.0, 1.0)


def max_drawdown(curve: EquityCurve) -> Drawdown | NotAvailable:
    """The deepest fall of this curve; not available for a single point."""
    if len(curve) < 2:  # noqa: PLR2004 - a fall takes two points
        return NotAvailable("the curve has a single point")
    equity, times = curve.equity, curve.ts_ms
    peak = np.maximum.accumulate(equity)
    capital = bool(equity[0] > 0)
    deep = fall(curve) if capital else peak - equity
    bottom = int(np.argmax(deep))
    top = bottom - int(np.argmax(equity[: bottom + 1][::-1]))
    back = np.flatnonzero(equity[bottom:] >= equity[top])
    return Drawdown(
        depth=float(deep[bottom]) if capital else NO_CAPITAL,
        amount=float(peak[bottom] - equity[bottom]),
        from_ms=int(times[top]),
        to_ms=int(times[bottom]),
        recovered_ms=int(times[bottom + back[0]]) if len(back) else None,
    )


def part_curve(
    trades: Iterable[ClosedTrade], whole: EquityCurve, candles: Mapping[str, CandleSeries], start_ms: int, end_ms: int
) -> EquityCurve:
    """The curve that the account would have had with these trades alone: capital plus their PnL.

    PnL counts from each close; at a UTC day's end within a trade it is marked with the last candle that had closed, before
    fees, where there are candles.
    """
    counted = list(trades)
    curve = realised_equity(counted, start_ms, end_ms, float(whole.equity[0]))
    ends = day_ends(start_ms, end_ms)
    for trade in counted:
        series = candles.get(trade.symbol)
        if series is not None and len(series):
            _mark(trade, series, ends, curve)
    return curve


def _mark(trade: ClosedTrade, series: CandleSeries, ends: Times, curve: EquityCurve) -> None:
    """Add what the trade was worth while it was open, at every point of the curve between its fills."""
    # the first of these times is the start, where there is capital and nothing else
    first, stop = np.searchsorted(ends, (max(trade.opened_ms, int(ends[0])) + 1, trade.closed_ms))
    if stop <= first:
        return
    marked = ends[first:stop]
    before = np.searchsorted(series.ts_ms, marked) - 1
    price = float(trade.entry_price)
    marks = np.where(before >= 0, series.close[np.maximum(before, 0)], price)
    worth = trade.side.sign * float(trade.quantity) * (marks - price)
    # a point between two days' ends (another trade's close) shows the mark of the day before
    begin, end = np.searchsorted(curve.ts_ms, (marked[0], trade.closed_ms))
    curve.equity[begin:end] += worth[np.searchsorted(marked, curve.ts_ms[begin:end], side="right") - 1]
