"""Figures of an arm's trades, how evenly they are spread, and what cuts by quarter, side, volatility and liquidity go by.

How good its probabilities are is in `forecast.py`.  Rules of this file: Sharpe, drawdown, profit factor, win rate and exposure are
those of the reports, by their code; what a sample does not support is not available, never 0; a cut's limits come from
train rows only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from livebot.core.market import DAY_MS
from livebot.core.performance import summarise
from livebot.core.series import Floats, Times
from livebot.errors import BadInput
from livebot.learning.dataset import Signs
from livebot.reporting.equity_figures import DAYS_A_YEAR, max_drawdown, sharpe, sortino
from livebot.reporting.figure import NO_SIGNALS, Figure, NotAvailable
from livebot.reporting.trade_figures import MINIMUM_TRADES, TOO_FEW, open_share
from livebot.research.folds import Fold
from livebot.research.outcomes import Outcome

Names = npt.NDArray[np.str_]

UNTESTED = -1  # code of a row that no fold tests


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeFigures:
    """Ratios are fractions; `sharpe` and `sortino` are of daily returns, times sqrt(365).

    `total_return` compounds the days; `mean_gain` is the average net return of a trade on its own notional; `drawdown` the
    deepest fall of the daily equity as a fraction of its peak; `exposure` the share of the time with at least one trade
    open; `invested` the average share of the equity that was in trades; `turnover` how often a year the equity was bought
    and sold (entries and exits together, at their entry value, over the equity).
    """

    trades: int
    win_rate: Figure
    mean_gain: Figure
    profit_factor: Figure
    total_return: float
    sharpe: Figure
    sharpe_error: Figure
    sortino: Figure
    drawdown: Figure
    exposure: Figure
    invested: Figure
    turnover: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How evenly something is spread over parts (symbols, quarters): their number, the worst, the median, the share above 0."""

    parts: int
    worst_name: str
    worst: float
    median: float
    above_zero: float


@dataclass(frozen=True, slots=True)
class _Closed:
    """A trade as `core.performance` counts it; money is per 1 of equity."""

    ts_ms: int
    pnl_net: Decimal
    pnl_ratio: Decimal


def outcome_figures(outcome: Outcome) -> OutcomeFigures:
    """The figures of these trades."""
    gains = [Decimal(gain) for gain in outcome.gain.tolist()]
    summary = summarise(_Closed(end, gain, gain) for end, gain in zip(outcome.end_ms.tolist(), gains, strict=True))
    drawdown = max_drawdown(outcome.equity)
    ratio, error = sharpe(outcome.returns)
    start, end = int(outcome.days[0]), int(outcome.days[-1]) + DAY_MS
    lives = zip(outcome.open_ms.tolist(), outcome.end_ms.tolist(), strict=True)
    invested = outcome.fraction * float((outcome.end_ms - outcome.open_ms).sum()) / (end - start)
    return OutcomeFigures(
        trades=summary.count,
        win_rate=NO_SIGNALS if summary.win_rate is None else float(summary.win_rate),
        mean_gain=NO_SIGNALS if summary.average_pnl_ratio is None else float(summary.average_pnl_ratio),
        profit_factor=_profit_factor(summary.count, summary.profit_factor),
        total_return=float(outcome.equity.equity[-1]) - 1,
        sharpe=ratio,
        sharpe_error=error,
        sortino=sortino(outcome.returns),
        drawdown=drawdown if isinstance(drawdown, NotAvailable) else drawdown.depth,
        exposure=open_share(lives, start, end),
        invested=invested,
        turnover=2 * outcome.fraction * len(outcome) / len(outcome.days) * DAYS_A_YEAR,
    )


def _profit_factor(count: int, profit_factor: Decimal | None) -> Figure:
    if count < MINIMUM_TRADES:
        return TOO_FEW
    return NotAvailable("nothing was lost") if profit_factor is None else float(profit_factor)


def returns_by(outcome: Outcome, keys: Names, names: Sequence[str]) -> dict[str, float]:
    """What the trades of each of `names` added to the equity, as a simple sum; 0 for a name without trades."""
    return {name: float(outcome.fraction * outcome.gain[keys == name].sum()) for name in names}


def spread(values: Mapping[str, float]) -> Spread:
    """How evenly these are spread.  Raises BadInput: there is none."""
    if not values:
        raise BadInput("there is no part whose figures could be spread")
    worst = min(values, key=lambda name: (values[name], name))
    numbers = np.array(list(values.values()))
    return Spread(
        parts=len(values),
        worst_name=worst,
        worst=values[worst],
        median=float(np.median(numbers)),
        above_zero=float(np.mean(numbers > 0)),
    )


def symbol_spread(outcome: Outcome, symbols: Sequence[str]) -> Spread:
    """Of what each of these symbols added; one that had no trade added 0 and counts."""
    return spread(returns_by(outcome, outcome.symbol, symbols))


def quarter_spread(outcome: Outcome) -> Spread:
    """Of what each quarter of a year added: by the day on which gains were booked, so it is complete without trades too."""
    keys = quarters(outcome.days)
    return spread({str(key): float(outcome.returns[keys == key].sum()) for key in np.unique(keys)})


def quarters(times: Times) -> Names:
    """The quarter of each UTC ms, as `2025Q1`."""
    months = times.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)  # since January 1970
    return np.array([f"{1970 + month // 12}Q{month % 12 // 3 + 1}" for month in months.tolist()], dtype=np.str_)


def sides(side: Signs) -> Names:
    """`long` or `short` for each."""
    return np.where(side > 0, "long", "short")


def tercile_limits(values: Floats) -> tuple[float, float]:
    """Below the first a third of these values lies, above the second another.  Raises BadInput: there is no value."""
    if not len(values):
        raise BadInput("terciles of no value; a fold without train rows has none")
    low, high = np.quantile(values, (1 / 3, 2 / 3))
    return float(low), float(high)


def fold_terciles(values: Floats, folds: Sequence[Fold]) -> Signs:
    """For each row 0 (low), 1 or 2 (high), by limits of the train rows of the fold that tests it; UNTESTED if none does.

    `values` (n,) is the volatility, say, of every row of the dataset at its close.  Folds with nothing to train on leave
    their rows UNTESTED; where several folds test a row the last one counts.
    """
    codes = np.full(len(values), UNTESTED, dtype=np.int8)
    for fold in folds:
        if len(fold.train):
            limits = tercile_limits(values[fold.train])
            codes[fold.test] = np.searchsorted(limits, values[fold.test], side="left")
    return codes


def buckets(amount: Mapping[str, float], names: Sequence[str] = ("low", "middle", "high")) -> dict[str, str]:
    """The bucket of each symbol by this amount (turnover a day in train windows, say): about as many symbols in each."""
    ordered = sorted(amount, key=lambda symbol: (amount[symbol], symbol))
    return {symbol: names[place * len(names) // len(ordered)] for place, symbol in enumerate(ordered)}
