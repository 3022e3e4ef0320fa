"""The report of a daemon's ledger: how it performed, and what happened to every signal.

Rules of this file: the same code judges a ledger and a backtest; nobody kept marks, so equity is what had been realised.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from livebot.reporting.performance_report import PerformanceReport, performance
from livebot.reporting.run_record import ClosedTrade, RunRecord, realised_equity
from livebot.reporting.signals_report import Report

REALISED = (
    "The ledger holds no marks: equity is the capital plus what closed signals had realised, by UTC day for returns; what is "
    "open does not count, and falls within a trade are not seen."
)
CAPITAL = (
    "The capital at the start is the account's equity of the last day's start less what was realised between; deposits and "
    "withdrawals are not known."
)
NO_CAPITAL = (
    "Nobody knows the capital at the start (state/portfolio.json does not tell), so nothing is measured against it."
)


@dataclass(frozen=True, slots=True)
class LiveReport:
    """`ledger` is every signal and denial, `performance` how the closed ones did, `record` what both were made from."""

    ledger: Report
    record: RunRecord
    performance: PerformanceReport


def live_report(
    ledger: Report,
    trades: Sequence[ClosedTrade],
    *,
    capital_at: Callable[[int], float | None] = lambda _: None,
) -> LiveReport:
    """The report over a ledger's rows and its closed trades, both of the same selection.

    `capital_at` says what the account's equity was at a UTC ms, in quote; None if nobody knows.  The period is from the
    selection's start, or the first thing that happened, to the last one.  It has no candles yet.
    """
    start_ms, end_ms = _period(ledger, trades)
    capital = capital_at(start_ms) or 0.0
    record = RunRecord(
        title=f"Live Trading Report: {ledger.selection.strategy or ledger.system}",
        system=ledger.system,
        source="ledger",
        start_ms=start_ms,
        end_ms=end_ms,
        trades=tuple(trades),
        equity=realised_equity(trades, start_ms, end_ms, max(capital, 0.0)),
        symbols=tuple(sorted({line.symbol for line in ledger.signals})),
        denials=ledger.denials,
        candles={},
        notes=(REALISED, CAPITAL if capital > 0 else NO_CAPITAL),
    )
    return LiveReport(ledger, record, performance(record))


def _period(ledger: Report, trades: Sequence[ClosedTrade]) -> tuple[int, int]:
    """From the selection's start, or the first thing that is known of, to the last one."""
    since_ms = ledger.selection.since_ms
    lasts = [line.ts_ms for line in ledger.signals]
    end_ms = max(lasts, default=since_ms or 0)
    if since_ms is not None:
        return since_ms, end_ms
    return min([*lasts, *(trade.opened_ms for trade in trades)], default=end_ms), end_ms
