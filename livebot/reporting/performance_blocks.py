"""A performance report as blocks: tables, pairs and sentences, the same for every form that people read.

Rules of this file: the comparison of symbols comes first; a figure that is not available says why, once for all that share
the reason; nothing is calculated here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import groupby

from livebot.core.market import DAY_MS
from livebot.reporting.document import Block, Pairs, Sentences, Table
from livebot.reporting.equity_figures import Drawdown, EquityFigures
from livebot.reporting.figure import NotAvailable
from livebot.reporting.performance_report import Part, PerformanceReport, Slice
from livebot.reporting.shown import (
    ABSENT,
    day,
    minute,
    money,
    percent,
    ratio,
    signed_money,
    signed_percent,
    signed_ratio,
    span,
)
from livebot.reporting.trade_figures import CONFIDENCE, MINIMUM_TRADES, TradeFigures

POOLED = "All"
NAMED_MAX = 4  # of those who share a reason for n/a; the others are counted


def blocks(report: PerformanceReport) -> Iterator[Block]:
    """All of it, in the order in which it is read."""
    yield comparison(report)
    yield summary(report)
    yield from details(report)
    yield from remarks(report)


def comparison(report: PerformanceReport) -> Table:
    """Symbol by symbol and pooled: the table of the source document."""
    parts = [*((part.symbol or "", part) for part in report.symbols), (POOLED, report.pooled)]
    return Table(
        "Comparison of symbols",
        ("Symbol", "Signals", "Win rate", "Avg PNL", "Best PNL", "Worst PNL"),
        frozenset({"Signals", "Win rate", "Avg PNL", "Best PNL", "Worst PNL"}),
        tuple(
            (
                name,
                str(part.trades.signals),
                percent(part.trades.win_rate, 1),
                signed_percent(part.trades.average_pnl),
                signed_percent(part.trades.best_pnl),
                signed_percent(part.trades.worst_pnl),
            )
            for name, part in parts
        ),
        total=True,
    )


def summary(report: PerformanceReport) -> Pairs:
    """The pooled figures, one a line."""
    part, trades, equity = report.pooled, report.pooled.trades, report.pooled.equity
    items = [
        ("System", f"{report.system}, {report.source}"),
        ("Period", f"{minute(report.start_ms)} to {minute(report.end_ms)} UTC ({length(report)})"),
        ("Equity", _equity_line(equity)),
        ("Net PNL", f"{signed_money(trades.pnl_net)} after fees of {money(trades.fees)}"),
        ("Win rate", f"{percent(trades.win_rate, 1)} ({trades.wins}W / {trades.losses}L){_interval(trades)}"),
        ("Expectancy", _expectancy_line(trades)),
        ("Profit factor", ratio(trades.profit_factor)),
        ("Sharpe", _sharpe_line(equity)),
        ("Sortino", signed_ratio(equity.sortino)),
        ("Maximum drawdown", _drawdown_line(equity.drawdown)),
        ("Time in the market", percent(part.exposure, 1)),
        ("Turnover", ABSENT if isinstance(part.turnover, NotAvailable) else f"{ratio(part.turnover)} x equity"),
        ("Longest losing streak", f"{trades.losing_streak}"),
        ("Average holding time", span(trades.holding_ms)),
    ]
    if report.feature_sets:
        items.append(("Features", ", ".join(report.feature_sets)))
    return Pairs("All symbols together", tuple(items))


def length(report: PerformanceReport) -> str:
    """How long it ran: in days, or for less than two in what fits."""
    duration_ms = report.end_ms - report.start_ms
    return f"{duration_ms / DAY_MS:,.1f} days" if duration_ms >= 2 * DAY_MS else span(float(duration_ms))


def _equity_line(equity: EquityFigures) -> str:
    if isinstance(equity.start_equity, NotAvailable):
        return ABSENT
    return f"{money(equity.start_equity)} -> {money(equity.end_equity)} ({signed_percent(equity.total_return)})"


def _interval(trades: TradeFigures) -> str:
    if isinstance(trades.win_rate_low, NotAvailable):
        return ""
    return f", {CONFIDENCE:.0%} interval {_interval_cell(trades)}"


def _interval_cell(trades: TradeFigures) -> str:
    if isinstance(trades.win_rate_low, NotAvailable):
        return ABSENT
    return f"{percent(trades.win_rate_low, 1)} to {percent(trades.win_rate_high, 1)}"


def _expectancy_line(trades: TradeFigures) -> str:
    if isinstance(trades.expectancy, NotAvailable):
        return ABSENT
    in_risks = trades.expectancy_r
    more = "" if isinstance(in_risks, NotAvailable) else f", {signed_ratio(in_risks)} times the risk to its first stop"
    return f"{signed_money(trades.expectancy)} a signal{more}"


def _sharpe_line(equity: EquityFigures) -> str:
    if isinstance(equity.sharpe, NotAvailable):
        return ABSENT
    return f"{signed_ratio(equity.sharpe)} (standard error {ratio(equity.sharpe_error)})"


def _drawdown_line(drawdown: Drawdown | NotAvailable) -> str:
    if isinstance(drawdown, NotAvailable):
        return ABSENT
    if not drawdown.amount:
        return "none"
    depth = "" if isinstance(drawdown.depth, NotAvailable) else f"{percent(drawdown.depth)} "
    shown = minute if day(drawdown.from_ms) == day(drawdown.to_ms) else day
    back = "not recovered" if drawdown.recovered_ms is None else f"recovered {shown(drawdown.recovered_ms)}"
    return f"{depth}({money(drawdown.amount)}) from {shown(drawdown.from_ms)} to {shown(drawdown.to_ms)}, {back}"


def details(report: PerformanceReport) -> Iterator[Table]:
    """Symbol by symbol, strategy by strategy, and the cuts."""
    pooled = (POOLED, report.pooled)
    yield _part_table("Symbols", "Symbol", [*((part.symbol or "", part) for part in report.symbols), pooled])
    yield _part_table("Strategies", "Strategy", [(part.strategy or "", part) for part in report.strategies])
    yield _slice_table("By side", "Side", report.by_side)
    yield _slice_table("By close reason", "Close reason", report.by_reason)
    yield _slice_table("By month", "Month", tuple(_months(report.by_month)), months=True)
    if not isinstance(report.by_regime, NotAvailable):
        yield _slice_table("By volatility at entry", "Volatility", report.by_regime)


def _part_table(title: str, name: str, parts: Sequence[tuple[str, Part]]) -> Table:
    columns = ("PNL (net)", "PF", "Expect.", "Sharpe", "Sortino", "Max DD", "In market", "Turnover", "Streak", "Fees")
    return Table(
        title,
        (name, *columns),
        frozenset(columns),
        tuple((name, *_part_cells(part)) for name, part in parts),
        "No signal has closed.",
        total=name == "Symbol",
    )


def _part_cells(part: Part) -> tuple[str, ...]:
    trades, equity = part.trades, part.equity
    drawdown = equity.drawdown
    return (
        signed_money(trades.pnl_net) if trades.signals else ABSENT,
        ratio(trades.profit_factor),
        signed_money(trades.expectancy),
        signed_ratio(equity.sharpe),
        signed_ratio(equity.sortino),
        ABSENT if isinstance(drawdown, NotAvailable) else percent(drawdown.depth),
        percent(part.exposure, 1),
        ratio(part.turnover),
        str(trades.losing_streak),
        money(trades.fees),
    )


def _months(months: Sequence[Slice]) -> Iterator[Slice]:
    """Months in a row in which nothing happened are one line."""
    for quiet, group in groupby(months, key=lambda month: not month.trades.signals and month.equity_return == 0):
        listed = list(group)
        if quiet and len(listed) > 1:
            yield replace(listed[0], name=f"{listed[0].name} to {listed[-1].name}")
        else:
            yield from listed


def _slice_table(title: str, name: str, slices: Sequence[Slice], *, months: bool = False) -> Table:
    columns = ["Signals", "Win rate", "95% interval", "Avg PNL", "Best PNL", "Worst PNL", "PNL (net)", "PF"]
    if months:
        columns.append("Return")
    return Table(
        title,
        (name, *columns),
        frozenset(columns),
        tuple((*_slice_cells(each), *([signed_percent(each.equity_return)] if months else [])) for each in slices),
        "No signal has closed.",
    )


def _slice_cells(each: Slice) -> tuple[str, ...]:
    trades = each.trades
    return (
        each.name,
        str(trades.signals),
        percent(trades.win_rate, 1),
        _interval_cell(trades),
        signed_percent(trades.average_pnl),
        signed_percent(trades.best_pnl),
        signed_percent(trades.worst_pnl),
        signed_money(trades.pnl_net) if trades.signals else ABSENT,
        ratio(trades.profit_factor),
    )


def remarks(report: PerformanceReport) -> Iterator[Block]:
    """Entries that were not approved, why figures are missing, and what the figures mean."""
    yield Table(
        "Entries that were not approved",
        ("Outcome", "Code", "Count"),
        frozenset({"Count"}),
        tuple((denial.outcome, denial.code, f"{denial.count:,}") for denial in report.denials),
    )
    why = tuple(reasons(report))
    if why:
        yield Sentences("Why figures are n/a", why)
    yield Sentences("Notes", (*report.notes, *_meanings(report)))


def _meanings(report: PerformanceReport) -> Iterator[str]:
    yield (
        "PNL is net of fees; in percent it is of the money put in. A win is a net PNL above 0. The interval of a win rate is "
        f"Wilson's at {CONFIDENCE:.0%}. PF is the profit factor: what winners won over what losers lost, n/a below "
        f"{MINIMUM_TRADES} signals or without a loss."
    )
    yield (
        "Sharpe and Sortino are of the daily returns of equity over whole UTC days, a year of 365 days, riskless rate 0. Those "
        "of a symbol or a strategy, and its drawdown, are of the capital plus its own PNL."
    )
    yield (
        "In market is the share of the time with a position open, turnover what was bought and sold over the mean equity, "
        "streak the longest run of losses."
    )
    if not isinstance(report.by_regime, NotAvailable):
        yield (
            "Volatility at entry is that of a day's candles before it, against the terciles of the same symbol over the "
            "whole run: a description, known only afterwards."
        )


def reasons(report: PerformanceReport) -> Iterator[str]:
    """Why figures are not available: `Sharpe of BTC/USDT and All: 12 whole days, it takes 30`."""
    groups: dict[tuple[str, str], list[str]] = {}
    parts: list[tuple[str, Part]] = [(part.symbol or "", part) for part in report.symbols]
    parts += [(part.strategy or "", part) for part in report.strategies]
    parts.append((POOLED, report.pooled))
    for name, part in parts:
        for figure, why in missing(part):
            if figure in _NAMES:
                groups.setdefault((_NAMES[figure], why), []).append(name)
    figures: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (figure, why), names in groups.items():
        figures.setdefault((why, tuple(names)), []).append(figure)
    for (why, sharing), listed in figures.items():
        named = ", ".join(listed)
        yield f"{named[0].upper()}{named[1:]} of {_listed(sharing)}: {why}."
    if isinstance(report.by_regime, NotAvailable):
        yield f"Volatility regimes: {report.by_regime.why}."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return f"{', '.join(names[:NAMED_MAX])}{more}"


_NAMES = {
    "win_rate": "win rate",
    "average_pnl": "average, best and worst PNL",
    "expectancy": "expectancy",
    "expectancy_r": "expectancy in risks",
    "profit_factor": "profit factor",
    "holding_ms": "holding time",
    "total_return": "return",
    "sharpe": "Sharpe",
    "sortino": "Sortino",
    "drawdown": "drawdown",
    "exposure": "time in the market",
    "turnover": "turnover",
}


def missing(part: Part) -> Iterator[tuple[str, str]]:
    """The names of the fields without a number, and why."""
    for holder in (part.trades, part.equity, part):
        for each in fields(holder):
            value = getattr(holder, each.name)
            if isinstance(value, Drawdown):
                value = value.depth
            if isinstance(value, NotAvailable):
                yield each.name, value.why
