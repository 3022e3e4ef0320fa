"""Equity over time, read off the facts: what was closed and booked, and open positions at their marks.

Rules of this file: pure, float64; a position is valued at the last close by then; one point an hour, at the start, and at
the end.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from livebot.backtest.result import FundingPaid
from livebot.backtest.tape import Tape
from livebot.core.facts import NO_EXPOSURE, Exposure, Fact, RemainderKept, RemainderTaken, SignalClosed
from livebot.core.market import MINUTE_MS
from livebot.core.order import ZERO
from livebot.core.series import Floats, Times
from livebot.reporting.run_record import EquityCurve

STEP_MS = 60 * MINUTE_MS


@dataclass(frozen=True, slots=True, eq=False)
class Stakes:
    """What one (strategy, symbol) has at some moments, one value for each.

    `money` is closed and booked PnL, `pending` entries not filled yet, both in quote; `quantity` is positive long, and
    holds what closed positions have left.
    """

    money: Floats
    quantity: Floats
    entry_price: Floats
    pending: Floats

    def worth(self, closes: Floats) -> Floats:
        """What it adds to equity at these prices."""
        return np.asarray(self.money + self.quantity * (closes - self.entry_price))

    def bound(self, closes: Floats) -> Floats:
        """What it binds at these prices, whatever the leverage, in quote."""
        return np.asarray(np.abs(self.quantity) * closes + self.pending)


class Course:
    """What one (strategy, symbol) has from fact to fact, which are in order and happened at `ts_ms`."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        """Read off the facts once."""
        closed, last, row = 0.0, NO_EXPOSURE, (0.0, 0.0, 0.0, 0.0)
        carried = carried_cost = ZERO
        rows = [row]
        for fact in facts:
            exposure = fact.exposure
            if type(fact) is SignalClosed:
                closed += float(fact.pnl_net)
            elif isinstance(fact, RemainderKept | RemainderTaken):
                sign = 1 if isinstance(fact, RemainderKept) else -1
                carried, carried_cost = carried + sign * fact.quantity, carried_cost + sign * fact.cost
            elif exposure is last:
                rows.append(row)
                continue
            last = exposure
            if exposure is NO_EXPOSURE and not carried:
                row = (closed, 0.0, 0.0, 0.0)
                rows.append(row)
                continue
            rows.append(row := _row(closed, exposure, carried, carried_cost))
        self._rows = np.array(rows)
        self.ts_ms = np.array([fact.ts_ms for fact in facts], dtype=np.int64)

    def at(self, ts_ms: Times) -> Stakes:
        """At these moments, facts of the same time taken in."""
        last = np.searchsorted(self.ts_ms, ts_ms, side="right")
        money, quantity, entry_price, pending = self._rows[last].T
        return Stakes(money, quantity, entry_price, pending)


def _row(
    closed: float, exposure: Exposure, carried: Decimal, carried_cost: Decimal
) -> tuple[float, float, float, float]:
    """Money, quantity, entry price and pending; what is carried is a part of the quantity."""
    sign = 0 if exposure.side is None else exposure.side.sign
    quantity, price = sign * exposure.quantity, exposure.entry_price
    if carried:
        cost = quantity * price + carried_cost
        quantity += carried
        price = cost / quantity  # only coins are carried, and they are never sold short
    return closed + float(exposure.booked), float(quantity), float(price), float(exposure.pending_notional)


Courses = Mapping[tuple[str, str], Course]  # by strategy and symbol


def courses_of(facts: Iterable[Fact]) -> Courses:
    """The course of each (strategy, symbol)."""
    return {key: Course(each) for key, each in by_key(facts).items()}


def by_key(facts: Iterable[Fact]) -> dict[tuple[str, str], list[Fact]]:
    """The facts of each (strategy, symbol)."""
    found: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in facts:
        found[fact.strategy, fact.symbol].append(fact)
    return found


def equity_curve(
    courses: Courses,
    tapes: Mapping[str, Tape],
    funding: Sequence[FundingPaid],
    *,
    wallet: float,
    start_ms: int,
    end_ms: int,
) -> EquityCurve:
    """Equity in quote currency; every UTC midnight in the range is among the points."""
    ts_ms = _moments(start_ms, end_ms)
    equity = np.full(len(ts_ms), wallet)
    minutes = ts_ms // MINUTE_MS - 1
    for (_, symbol), course in courses.items():
        tape = tapes[symbol]
        closes = tape.close[np.clip(minutes, tape.first, tape.stop - 1) - tape.first]
        equity += course.at(ts_ms).worth(closes)
    paid = sorted((payment.ts_ms, float(payment.amount)) for payment in funding)
    if paid:
        total = np.concatenate(([0.0], np.cumsum([amount for _, amount in paid])))
        equity -= total[np.searchsorted([moment for moment, _ in paid], ts_ms, side="right")]
    return EquityCurve(ts_ms=ts_ms, equity=equity)


def _moments(start_ms: int, end_ms: int) -> Times:
    whole = np.arange((start_ms // STEP_MS + 1) * STEP_MS, end_ms, STEP_MS, dtype=np.int64)
    return np.concatenate(([start_ms], whole, [end_ms])).astype(np.int64)
