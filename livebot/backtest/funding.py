"""Funding of perpetuals: what positions pay and receive between their fills.

Rules of this file: it moves the wallet and so equity, never a fact: a venue pays it apart from any order; a position is
valued at the close by then.
"""

from decimal import Decimal

import numpy as np

from livebot.backtest.account import Account
from livebot.backtest.plan import BacktestPlan
from livebot.backtest.result import FundingPaid
from livebot.core.market import MINUTE_MS, decimal_of
from livebot.core.order import ZERO
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.simulator.holdings import MONEY_STEP


class Funding:
    """The rates of a plan, as time passes."""

    def __init__(self, plan: BacktestPlan, account: Account, portfolio: Portfolio) -> None:
        """Nothing was paid yet."""
        self._account = account
        self._portfolio = portfolio
        self._rates: dict[int, list[tuple[str, Decimal]]] = {}  # by the minute at whose close they are due
        for symbol, rates in plan.funding.items():
            inside = (rates.ts_ms > plan.start_ms) & (rates.ts_ms <= plan.end_ms)
            for ts_ms, rate in zip(rates.ts_ms[inside].tolist(), rates.rate[inside].tolist(), strict=True):
                minute = -(-ts_ms // MINUTE_MS) - 1
                self._rates.setdefault(minute, []).append((symbol, decimal_of(rate)))
        self._minutes = np.array(sorted(self._rates), dtype=np.int64)
        self.paid: list[FundingPaid] = []
        self.total = ZERO

    def next_minute(self, after: int, nearest: int) -> int:
        """The first minute later than `after` at whose close something is due, if that is before `nearest`."""
        index = int(np.searchsorted(self._minutes, after, side="right"))
        return min(nearest, int(self._minutes[index])) if index < len(self._minutes) else nearest

    def pay(self, minute: int) -> None:
        """Move the wallet by what is due at the close of this minute."""
        holdings = self._account.engine.holdings
        for symbol, rate in self._rates.get(minute, ()):
            quantity = holdings.quantity(symbol)
            if quantity:
                price = decimal_of(self._account.last_close(symbol, minute))
                amount = (quantity * price * rate).quantize(MONEY_STEP)
                holdings.wallet -= amount
                self.total += amount
                self.paid.append(FundingPaid(ts_ms=(minute + 1) * MINUTE_MS, symbol=symbol, amount=amount))
                self._portfolio.move_cash(-amount)
