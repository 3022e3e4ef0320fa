"""Figures that closed trades alone decide: win rate, PnL, profit factor, streaks, and the shares of time and capital.

Rules of this file: only closed trades count; a win is a net PnL above 0, everything else a loss; the order in which trades
are given changes nothing; what the sample cannot support is not available, and the minimum has a name and a reason.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from math import sqrt
from statistics import NormalDist

from livebot.core.order import ZERO
from livebot.core.performance import summarise
from livebot.reporting.figure import NO_SIGNALS, Figure, NotAvailable
from livebot.reporting.run_record import ClosedTrade

MINIMUM_TRADES = 10  # below ten one trade alone decides a ratio of sums: the profit factor, and the average in risks
CONFIDENCE = 0.95  # of the interval around a win rate
TOO_FEW = NotAvailable(f"fewer than {MINIMUM_TRADES} signals have closed")
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)  # sums do not depend on their order


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeFigures:
    """Figures over closed trades; ratios are fractions of the money put in, money is quote currency.

    `traded` is what entries and exits were worth together; `expectancy` the average net PnL of a signal, `expectancy_r` the
    same in multiples of what it would have lost at its first stop; `losing_streak` the most losses in a row.
    """

    signals: int
    wins: int
    losses: int
    win_rate: Figure
    win_rate_low: Figure
    win_rate_high: Figure
    average_pnl: Figure
    best_pnl: Figure
    worst_pnl: Figure
    pnl_net: Decimal
    fees: Decimal
    traded: Decimal
    expectancy: Figure
    expectancy_r: Figure
    profit_factor: Figure
    losing_streak: int
    holding_ms: Figure


def trade_figures(trades: Iterable[ClosedTrade]) -> TradeFigures:
    """The figures of these trades."""
    ordered = sorted(trades, key=lambda trade: (trade.closed_ms, trade.opened_ms, trade.signal_id))
    with localcontext(_WIDE):
        return _figures(ordered)


def _figures(trades: Sequence[ClosedTrade]) -> TradeFigures:
    summary = summarise(trades)
    low, high = wilson_interval(summary.wins, summary.count) if trades else (NO_SIGNALS, NO_SIGNALS)
    return TradeFigures(
        signals=summary.count,
        wins=summary.wins,
        losses=summary.losses,
        win_rate=_known(summary.win_rate),
        win_rate_low=low,
        win_rate_high=high,
        average_pnl=_known(summary.average_pnl_ratio),
        best_pnl=_known(summary.best_pnl_ratio),
        worst_pnl=_known(summary.worst_pnl_ratio),
        pnl_net=summary.pnl_net,
        fees=sum((trade.fees for trade in trades), ZERO),
        traded=sum((_traded(trade) for trade in trades), ZERO),
        expectancy=summary.pnl_net / summary.count if trades else NO_SIGNALS,
        expectancy_r=_expectancy_r(trades),
        profit_factor=_profit_factor(summary.count, summary.profit_factor),
        losing_streak=_losing_streak(trades),
        holding_ms=sum(trade.closed_ms - trade.opened_ms for trade in trades) / len(trades) if trades else NO_SIGNALS,
    )


def _known(value: Decimal | None) -> Figure:
    return NO_SIGNALS if value is None else value


def wilson_interval(wins: int, count: int) -> tuple[float, float]:
    """Wilson's score interval of a share (E. B. Wilson 1927): honest also for few trades and near 0 and 1.

    `count` is above 0.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, weight = wins / count, z * z / count
    centre = (share + weight / 2) / (1 + weight)
    half = z * sqrt(share * (1 - share) / count + weight / (4 * count)) / (1 + weight)
    return centre - half if wins else 0.0, centre + half if wins < count else 1.0


def _traded(trade: ClosedTrade) -> Decimal:
    return trade.quantity * (trade.entry_price + trade.exit_price)


def _profit_factor(count: int, profit_factor: Decimal | None) -> Figure:
    if count < MINIMUM_TRADES:
        return TOO_FEW
    return NotAvailable("nothing was lost") if profit_factor is None else profit_factor


def _expectancy_r(trades: Sequence[ClosedTrade]) -> Figure:
    multiples = [trade.pnl_net / risk for trade in trades if (risk := _risk(trade)) > 0]
    if len(multiples) < MINIMUM_TRADES:
        return NotAvailable(f"fewer than {MINIMUM_TRADES} signals have closed with a stop on record")
    return sum(multiples, ZERO) / len(multiples)


def _risk(trade: ClosedTrade) -> Decimal:
    """What the first stop would have lost, before fees; not above 0 if there is none or the entry was beyond it."""
    if trade.stop_loss is None:
        return ZERO
    return trade.side.sign * (trade.entry_price - trade.stop_loss) * trade.quantity


def _losing_streak(trades: Sequence[ClosedTrade]) -> int:
    longest = present = 0
    for trade in trades:
        present = 0 if trade.pnl_net > 0 else present + 1
        longest = max(longest, present)
    return longest


def exposure(trades: Iterable[ClosedTrade], start_ms: int, end_ms: int) -> Figure:
    """Share of the time from `start_ms` to `end_ms` in which at least one of these trades was open."""
    return open_share(((trade.opened_ms, trade.closed_ms) for trade in trades), start_ms, end_ms)


def open_share(lives: Iterable[tuple[int, int]], start_ms: int, end_ms: int) -> Figure:
    """The same of anything that was open from one time to another."""
    if end_ms <= start_ms:
        return NotAvailable("no time has passed")
    covered, reached = 0, start_ms
    for opened_ms, closed_ms in sorted(lives):
        begin, end = max(opened_ms, reached), min(closed_ms, end_ms)
        if end > begin:
            covered += end - begin
            reached = end
    return covered / (end_ms - start_ms)
