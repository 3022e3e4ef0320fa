"""The report as Markdown, as text for a terminal, as one HTML page and as JSON.

Rules of this file: the three that people read have the same titles, columns and figures; a figure without a sample is
`n/a`; text from outside cannot break out of its cell, whatever it holds.
"""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal

from livebot.core.performance import Summary
from livebot.core.wording import number
from livebot.reporting.signals_report import Group, Report, SignalLine

NOT_AVAILABLE = "n/a"
_CENT = Decimal("0.01")
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1c2330}"
    "table{border-collapse:collapse;width:100%;margin:.5rem 0 2rem}"
    "th,td{padding:.3rem .6rem;border-bottom:1px solid #d5dae2;text-align:left;white-space:nowrap}"
    "th{border-bottom:2px solid #8a93a3}.number{text-align:right;font-variant-numeric:tabular-nums}"
    "dl{display:grid;grid-template-columns:max-content auto;gap:.1rem 1rem}dt{color:#5a6475}dd{margin:0}"
    ".wide{overflow-x:auto}"
)

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Table:
    """`numbers` are the columns that stand to the right; `empty` is said when there is no row."""

    title: str
    columns: tuple[str, ...]
    numbers: frozenset[str]
    rows: tuple[tuple[str, ...], ...]
    empty: str


def as_markdown(report: Report) -> str:
    """GitHub's Markdown."""
    blocks = [f"# {_markdown(_title(report))}", "\n".join(f"{name}: {_markdown(v)}  " for name, v in _header(report))]
    for table in _tables(report):
        blocks.append(f"## {table.title}")
        blocks.append(_markdown_table(table) if table.rows else table.empty)
    return "\n\n".join(blocks) + "\n"


def as_text(report: Report) -> str:
    """Aligned columns for a terminal, without colours."""
    header = _header(report)
    width = max(len(name) for name, _ in header)
    blocks = [_title(report), "\n".join(f"{name:<{width}}  {value}" for name, value in header)]
    blocks += [f"{table.title}\n{_text_table(table) if table.rows else table.empty}" for table in _tables(report)]
    return "\n\n".join(blocks) + "\n"


def as_html(report: Report) -> str:
    """One page that needs nothing else: style inside, no script."""
    title = html.escape(_title(report))
    header = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(v)}</dd>" for name, v in _header(report))
    tables = "\n".join(
        f"<h2>{html.escape(table.title)}</h2>\n"
        + (_html_table(table) if table.rows else f"<p>{html.escape(table.empty)}</p>")
        for table in _tables(report)
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n<h1>{title}</h1>\n<dl>{header}</dl>\n{tables}\n</body>\n</html>\n"
    )


def as_json(report: Report) -> Json:
    """Plain values: decimals as text (ratios as fractions, money in quote), times in UTC ms, no sample as null."""
    selection = report.selection
    return {
        "system": report.system,
        "selection": {
            "strategy": selection.strategy,
            "symbol": selection.symbol,
            "since_ms": selection.since_ms,
        },
        "total_events": report.events,
        "symbols": report.symbols,
        **_summary_json(report.summary),
        "groups": [
            {
                "strategy": group.strategy,
                "symbol": group.symbol,
                "total_events": group.events,
                **_summary_json(group.summary),
            }
            for group in report.groups
        ],
        "denials": [
            {"outcome": denial.outcome, "code": denial.code, "count": denial.count} for denial in report.denials
        ],
        "signals": [_signal_json(line) for line in report.signals],
    }


def _summary_json(summary: Summary) -> Json:
    return {
        "closed_signals": summary.count,
        "wins": summary.wins,
        "losses": summary.losses,
        "win_rate": _rounded(summary.win_rate),
        "average_pnl_ratio": _rounded(summary.average_pnl_ratio),
        "best_pnl_ratio": _exact(summary.best_pnl_ratio),
        "worst_pnl_ratio": _exact(summary.worst_pnl_ratio),
        "pnl_net": _exact(summary.pnl_net),
        "profit_factor": _rounded(summary.profit_factor),
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


# what stands in it


def _title(report: Report) -> str:
    return _clean(f"Live Trading Report: {report.selection.strategy or report.system}")


def _header(report: Report) -> list[tuple[str, str]]:
    summary, selection = report.summary, report.selection
    lines = [
        ("System", report.system),
        ("Strategy", selection.strategy),
        ("Symbol", selection.symbol),
        ("Since", None if selection.since_ms is None else f"{_time(selection.since_ms)} UTC"),
        ("Total events", f"{report.events} ({report.symbols} symbol{'' if report.symbols == 1 else 's'})"),
        ("Closed signals", str(summary.count)),
        ("Win rate", f"{_percent(summary.win_rate)} ({summary.wins}W / {summary.losses}L)"),
        ("Average PNL", _signed_percent(summary.average_pnl_ratio)),
        ("Total PNL (net)", _money(summary.pnl_net if summary.count else None)),
        ("Profit factor", _ratio(summary.profit_factor)),
    ]
    return [(name, _clean(value)) for name, value in lines if value is not None]


def _tables(report: Report) -> Iterator[_Table]:
    yield _Table(
        "Strategies and symbols",
        ("Strategy", "Symbol", "Events", "Closed", "Win rate", "W/L", "Avg PNL", "Best PNL", "Worst PNL", "PNL (net)"),
        frozenset({"Events", "Closed", "Win rate", "W/L", "Avg PNL", "Best PNL", "Worst PNL", "PNL (net)"}),
        tuple(_group_row(group) for group in report.groups),
        "Nothing has happened yet.",
    )
    yield _Table(
        "Entries that were not approved",
        ("Outcome", "Code", "Count"),
        frozenset({"Count"}),
        tuple((_clean(denial.outcome), _clean(denial.code), str(denial.count)) for denial in report.denials),
        "None.",
    )
    yield _Table(
        "Signals (times in UTC)",
        ("Timestamp", "Symbol", "Action", "Signal ID", "Side", "PNL (net) %", "PNL (net)", "Close Reason"),
        frozenset({"PNL (net) %", "PNL (net)"}),
        tuple(_signal_row(line) for line in report.signals),
        "None.",
    )


def _group_row(group: Group) -> tuple[str, ...]:
    summary = group.summary
    return (
        _clean(group.strategy),
        _clean(group.symbol),
        str(group.events),
        str(summary.count),
        _percent(summary.win_rate),
        f"{summary.wins}/{summary.losses}",
        _signed_percent(summary.average_pnl_ratio),
        _signed_percent(summary.best_pnl_ratio),
        _signed_percent(summary.worst_pnl_ratio),
        _money(summary.pnl_net if summary.count else None),
    )


def _signal_row(line: SignalLine) -> tuple[str, ...]:
    return (
        _time(line.ts_ms),
        _clean(line.symbol),
        _clean(line.action),
        _clean(line.signal_id),
        _clean(line.side.upper()),
        _signed_percent(line.pnl_ratio),
        _money(line.pnl_net),
        _clean(line.reason or NOT_AVAILABLE),
    )


# how a value looks


def _exact(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _rounded(value: Decimal | None) -> str | None:
    return None if value is None else number(value)


def _percent(ratio: Decimal | None) -> str:
    return NOT_AVAILABLE if ratio is None else f"{_to_cent(ratio * 100)}%"


def _signed_percent(ratio: Decimal | None) -> str:
    return NOT_AVAILABLE if ratio is None else f"{_to_cent(ratio * 100):+}%"


def _money(amount: Decimal | None) -> str:
    return NOT_AVAILABLE if amount is None else f"{_to_cent(amount):+}"


def _ratio(value: Decimal | None) -> str:
    return NOT_AVAILABLE if value is None else str(_to_cent(value))


def _to_cent(value: Decimal) -> Decimal:
    return value.quantize(_CENT, context=_WIDE) + 0  # + 0: no negative zero


def _time(ts_ms: int) -> str:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _clean(text: str) -> str:
    """Without line breaks and other control characters, which could move a terminal's cursor or end a table's row."""
    return "".join(character if character.isprintable() else "?" for character in text)


# how a table looks


def _markdown(text: str) -> str:
    # an HTML entity shows the character in every Markdown reader, also inside a table
    escaped = html.escape(text, quote=False).replace("|", "&#124;")
    return "".join(f"\\{character}" if character in "\\`*[]" else character for character in escaped)


def _markdown_table(table: _Table) -> str:
    rules = ["---:" if column in table.numbers else "---" for column in table.columns]
    rows = [[_markdown(cell) for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (table.columns, rules, *rows))


def _text_table(table: _Table) -> str:
    lines = (table.columns, *table.rows)
    widths = [max(len(line[place]) for line in lines) for place in range(len(table.columns))]
    return "\n".join(_text_row(table, line, widths) for line in lines)


def _text_row(table: _Table, cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if column in table.numbers else cell.ljust(width)
        for column, cell, width in zip(table.columns, cells, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _html_table(table: _Table) -> str:
    classes = [' class="number"' if column in table.numbers else "" for column in table.columns]
    head = "".join(
        f"<th{style}>{html.escape(column)}</th>" for style, column in zip(classes, table.columns, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{style}>{html.escape(cell)}</td>" for style, cell in zip(classes, row, strict=True))
        + "</tr>"
        for row in table.rows
    )
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
