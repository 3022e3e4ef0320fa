"""What a trial is judged by, and which trial is better.

Rules of this file: a figure that the sample does not support is never best; figures are those of the reports.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from livebot.backtest.result import BacktestResult
from livebot.backtest.trials import TrialFigures
from livebot.core.series import Floats
from livebot.reporting.equity_figures import daily_returns, equity_figures
from livebot.reporting.figure import Figure, NotAvailable
from livebot.reporting.run_record import trades_of
from livebot.reporting.trade_figures import trade_figures

# By the name an operator writes: the figure, and 1 if more of it is better or -1 if less is.
OBJECTIVES: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "pnl": ("pnl", 1),
        "return": ("total_return", 1),
        "sharpe": ("sharpe", 1),
        "sortino": ("sortino", 1),
        "profit_factor": ("profit_factor", 1),
        "expectancy": ("expectancy", 1),
        "win_rate": ("win_rate", 1),
        "drawdown": ("drawdown", -1),
    }
)


def figures_of(result: BacktestResult) -> TrialFigures:
    """The figures of a run."""
    trades = trade_figures(trades_of(result.facts))
    equity = equity_figures(result.equity)
    supported = not isinstance(equity.sharpe, NotAvailable)
    returns = daily_returns(result.equity) if supported else np.empty(0)
    daily, skewness, kurtosis = daily_moments(returns) if supported else (None, None, None)
    drawdown = equity.drawdown
    return TrialFigures(
        signals=trades.signals,
        win_rate=_number(trades.win_rate),
        pnl=float(trades.pnl_net),
        expectancy=_number(trades.expectancy),
        profit_factor=_number(trades.profit_factor),
        total_return=_number(equity.total_return),
        sharpe=_number(equity.sharpe),
        sortino=_number(equity.sortino),
        drawdown=None if isinstance(drawdown, NotAvailable) else _number(drawdown.depth),
        days=len(returns),
        daily_sharpe=daily,
        skewness=skewness,
        kurtosis=kurtosis,
    )


def worth(figures: TrialFigures, objective: str) -> float | None:
    """How good by this objective: more is better; None: not supported."""
    name, sign = OBJECTIVES[objective]
    value: float | None = getattr(figures, name)
    return None if value is None else sign * value


def daily_moments(returns: Floats) -> tuple[float, float, float]:
    """Sharpe of a day, skewness and kurtosis of the sample."""
    away = returns - returns.mean()
    size = float(np.sqrt(np.mean(away**2)))
    sharpe = float(returns.mean() / returns.std(ddof=1))
    return sharpe, float(np.mean(away**3)) / size**3, float(np.mean(away**4)) / size**4


def _number(figure: Figure) -> float | None:
    return None if isinstance(figure, NotAvailable) else float(figure)
