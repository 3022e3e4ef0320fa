"""When losses could move the trading state: the portfolio is asked then, and its answer is the exact one.

Rules of this file: between two closes at which something happens equity follows prices alone, so it is looked through as
an array of float64, with bounds wider than the exact ones by `SLACK`; the highest equity of a stretch is asked about too,
because a drawdown counts from it.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal

import numpy as np

from livebot.backtest.horizon import SLACK
from livebot.backtest.plan import BacktestPlan
from livebot.backtest.symbol_run import SymbolRun
from livebot.core.denial import TradingState
from livebot.core.market import DAY_MS, MINUTE_MS
from livebot.core.series import Floats
from livebot.ports import PortfolioMemory
from livebot.runtime.portfolio.loss_watch import LOSS_LIMIT
from livebot.runtime.portfolio.portfolio import Portfolio

_MINUTES_A_DAY = DAY_MS // MINUTE_MS


class Losses:
    """`active` says whether there is any limit on losses."""

    def __init__(self, plan: BacktestPlan, portfolio: Portfolio, capital: Callable[[], Decimal]) -> None:
        """Looks at nothing yet.  `capital` is what the account would hold without any signal, in quote."""
        limits = plan.limits
        self._daily = None if limits.daily_loss is None else float(limits.daily_loss)
        self._drawdown = None if limits.drawdown is None else float(limits.drawdown)
        self._ratio = None if plan.loss_limit is None else float(plan.loss_limit.ratio)
        self._portfolio = portfolio
        self._capital = capital
        self._skip = plan.skip
        self.active = any(each is not None for each in (self._daily, self._drawdown, self._ratio))

    def next_minute(self, after: int, nearest: int, symbols: Sequence[SymbolRun]) -> int:
        """The first minute later than `after` at whose close losses must be looked at; `nearest` if none is before it.

        At the close of a minute equity is what it was at the close before, as live: new candles have not been taken yet.
        """
        if not self.active or after + 1 >= nearest:
            return nearest
        if not self._skip:
            return after + 1
        if self._daily is not None:  # the day's first equity counts
            nearest = min(nearest, after + 1 + (-(after + 2)) % _MINUTES_A_DAY)
            if after + 1 >= nearest:
                return nearest
        holding = [each for each in symbols if each.holds]
        for each in holding:
            each.mark(after)
        equity = self._equity(after, nearest if holding else after + 2, holding)
        found = self._first(equity, self._portfolio.memory())
        return nearest if found is None else min(after + 1 + found, nearest)

    def _equity(self, after: int, nearest: int, holding: Sequence[SymbolRun]) -> Floats:
        """Equity at the closes of the minutes `after` up to, not including, `nearest` - 1."""
        equity = np.full(nearest - after - 1, float(self._portfolio.equity))
        for each in holding:
            closes = each.tape.closes(after, nearest - 1)
            equity += each.quantity * (closes - closes[0])
        return equity

    def _first(self, equity: Floats, memory: PortfolioMemory) -> int | None:
        """Where a limit may be reached, or before that the highest equity so far."""
        bound = self._bounds(equity, memory)
        reached = equity <= bound * (1 + SLACK)
        breach = int(np.argmax(reached)) if reached.any() else None
        if self._drawdown is None:
            return breach
        before = equity[:breach]
        peak = -np.inf if memory.peak_equity is None else float(memory.peak_equity)
        if len(before) and before.max() > peak * (1 + 1e-15):
            return int(np.argmax(before))
        return breach

    def _bounds(self, equity: Floats, memory: PortfolioMemory) -> Floats:
        """Below which equity a limit is reached that would still change something."""
        bounds = np.full(len(equity), -np.inf)
        state = memory.trading_state
        if self._ratio is not None and not memory.state_reason.startswith(LOSS_LIMIT):
            bounds = np.maximum(bounds, float(self._capital()) * (1 - self._ratio))
        if state is TradingState.HALTED:
            return bounds
        if self._daily is not None and state is TradingState.ACTIVE and memory.day_start_equity is not None:
            bounds = np.maximum(bounds, float(memory.day_start_equity) * (1 - self._daily))
        if self._drawdown is not None:
            peak = -np.inf if memory.peak_equity is None else float(memory.peak_equity)
            bounds = np.maximum(bounds, np.maximum(np.maximum.accumulate(equity), peak) * (1 - self._drawdown))
        return bounds
