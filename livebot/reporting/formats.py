"""The live report as Markdown, as text for a terminal and as JSON.

Rules of this file: how it performed comes first, then what happened to every signal; JSON keeps every digit of the ledger.
"""

from collections.abc import Iterator
from decimal import Decimal

from livebot.core.performance import Summary
from livebot.core.wording import number
from livebot.reporting import document
from livebot.reporting.document import Block, Document, Pairs, Table
from livebot.reporting.live_report import LiveReport
from livebot.reporting.performance_blocks import comparison, details, remarks, summary
from livebot.reporting.performance_json import as_json as performance_json
from livebot.reporting.shown import ABSENT, moment, percent, signed_money, signed_percent
from livebot.reporting.signals_report import Group, Report, SignalLine

Json = dict[str, object]


def as_markdown(report: LiveReport) -> str:
    """GitHub's Markdown."""
    return document.as_markdown(_document(report))


def as_text(report: LiveReport) -> str:
    """Aligned columns for a terminal, without colours."""
    return document.as_text(_document(report))


def as_json(report: LiveReport) -> Json:
    """Plain values: decimals as text (ratios as fractions, money in quote), times in UTC ms, no sample as null.

    `performance` is as in `performance_json`.
    """
    ledger, selection = report.ledger, report.ledger.selection
    performed = performance_json(report.performance)
    return {
        "comparison": performed.pop("comparison"),
        "system": ledger.system,
        "selection": {
            "strategy": selection.strategy,
            "symbol": selection.symbol,
            "since_ms": selection.since_ms,
        },
        "total_events": ledger.events,
        "symbols": ledger.symbols,
        **_summary_json(ledger.summary),
        "groups": [
            {
                "strategy": group.strategy,
                "symbol": group.symbol,
                "total_events": group.events,
                **_summary_json(group.summary),
            }
            for group in ledger.groups
        ],
        "denials": performed.pop("denials"),
        "signals": [_signal_json(line) for line in ledger.signals],
        "performance": performed,
    }


def _summary_json(figures: Summary) -> Json:
    return {
        "closed_signals": figures.count,
        "wins": figures.wins,
        "losses": figures.losses,
        "win_rate": _rounded(figures.win_rate),
        "average_pnl_ratio": _rounded(figures.average_pnl_ratio),
        "best_pnl_ratio": _exact(figures.best_pnl_ratio),
        "worst_pnl_ratio": _exact(figures.worst_pnl_ratio),
        "pnl_net": _exact(figures.pnl_net),
        "profit_factor": _rounded(figures.profit_factor),
    }


def _signal_json(line: SignalLine) -> Json:
    return {
        "ts_ms": line.ts_ms,
        "strategy": line.strategy,
        "symbol": line.symbol,
        "action": line.action,
        "signal_id": line.signal_id,
        "side": line.side,
        "pnl_ratio": _exact(line.pnl_ratio),
        "pnl_net": _exact(line.pnl_net),
        "close_reason": line.reason,
    }


def _exact(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _rounded(value: Decimal | None) -> str | None:
    return None if value is None else number(value)


# what stands in it


def _document(report: LiveReport) -> Document:
    return Document(report.record.title, tuple(blocks(report)))


def blocks(report: LiveReport) -> Iterator[Block]:
    """All of it, in the order in which it is read."""
    yield comparison(report.performance)
    yield events(report.ledger)
    yield summary(report.performance)
    yield from details(report.performance)
    yield groups(report.ledger)
    yield signals(report.ledger)
    yield from remarks(report.performance)


def events(ledger: Report) -> Pairs:
    """What was asked for, and how much there is."""
    figures, selection = ledger.summary, ledger.selection
    lines = [
        ("Strategy", selection.strategy),
        ("Symbol", selection.symbol),
        ("Since", None if selection.since_ms is None else f"{moment(selection.since_ms)} UTC"),
        ("Total events", f"{ledger.events} ({ledger.symbols} symbol{'' if ledger.symbols == 1 else 's'})"),
        ("Closed signals", str(figures.count)),
        ("Win rate", f"{percent(figures.win_rate)} ({figures.wins}W / {figures.losses}L)"),
        ("Average PNL", signed_percent(figures.average_pnl_ratio)),
    ]
    return Pairs("What happened", tuple((name, value) for name, value in lines if value is not None))


def groups(ledger: Report) -> Table:
    """One line for each (strategy, symbol)."""
    columns = ("Events", "Closed", "Win rate", "W/L", "Avg PNL", "Best PNL", "Worst PNL", "PNL (net)")
    return Table(
        "Strategies and symbols",
        ("Strategy", "Symbol", *columns),
        frozenset(columns),
        tuple(_group_row(group) for group in ledger.groups),
        "Nothing has happened yet.",
    )


def signals(ledger: Report) -> Table:
    """One line for each signal, as of its last change."""
    return Table(
        "Signals (times in UTC)",
        ("Timestamp", "Symbol", "Action", "Signal ID", "Side", "PNL %", "PNL (net)", "Close Reason"),
        frozenset({"PNL %", "PNL (net)"}),
        tuple(_signal_row(line) for line in ledger.signals),
    )


def _group_row(group: Group) -> tuple[str, ...]:
    figures = group.summary
    return (
        group.strategy,
        group.symbol,
        str(group.events),
        str(figures.count),
        percent(figures.win_rate, 1),
        f"{figures.wins}/{figures.losses}",
        signed_percent(figures.average_pnl_ratio),
        signed_percent(figures.best_pnl_ratio),
        signed_percent(figures.worst_pnl_ratio),
        signed_money(figures.pnl_net if figures.count else None),
    )


def _signal_row(line: SignalLine) -> tuple[str, ...]:
    return (
        moment(line.ts_ms),
        line.symbol,
        line.action,
        line.signal_id,
        line.side.upper(),
        signed_percent(line.pnl_ratio),
        signed_money(line.pnl_net),
        line.reason or ABSENT,
    )
