"""The report as one HTML file that opens from disk: tables, and charts that a trader can zoom into.

Rules of this file: nothing is fetched and nothing but our own script runs (the page's policy names its digest); without
a script every table still stands; what is drawn in part says so; the same bytes for the same record.  The charts are plotly's:
its script is read from the installed package when a page is made, and makes a page about 5 MB.
"""

import html
from collections.abc import Sequence

from livebot.reporting import formats
from livebot.reporting.document import Block, Table, html_of, html_table
from livebot.reporting.live_report import LiveReport
from livebot.reporting.page_data import TRADES_EXTREME, Drawn, drawn_trades, page_data
from livebot.reporting.performance_blocks import comparison, details, length, remarks, summary
from livebot.reporting.performance_report import Part, PerformanceReport
from livebot.reporting.run_record import ClosedTrade, RunRecord
from livebot.reporting.script_page import FOOTER, script_page
from livebot.reporting.shown import clean, minute, price, signed_money, signed_percent, span

BARS_MAX = 40  # symbols; of more the largest gains and losses
_SCRIPTS = ("charts.js", "page.js")


def as_html(record: RunRecord, report: PerformanceReport) -> str:
    """The page of a run; `report` is of this record."""
    return _page(record, report, before=(), after=())


def live_page(live: LiveReport) -> str:
    """The same of a ledger, with a line for each signal."""
    before = (formats.events(live.ledger),)
    return _page(live.record, live.performance, before, (formats.groups(live.ledger), formats.signals(live.ledger)))


def _page(record: RunRecord, report: PerformanceReport, before: Sequence[Block], after: Sequence[Block]) -> str:
    drawn = drawn_trades(report.trades)
    data = page_data(record, report.trades, drawn)
    body = "\n".join(
        (
            f"<header><h1>{_html(report.title)}</h1><p>{_html(_subtitle(report))}</p></header>",
            html_of(comparison(report)),
            *map(html_of, before),
            f'<div class="tiles">{html_of(summary(report))}</div>',
            _equity_section(),
            _bars_section(report.symbols),
            _trades_section(drawn, candles=bool(data["symbols"])),
            *map(html_of, details(report)),
            *map(html_of, after),
            *map(html_of, remarks(report)),
            FOOTER,
        )
    )
    return script_page(report.title, body, data, _SCRIPTS)


def _html(text: str) -> str:
    return html.escape(clean(text))


def _subtitle(report: PerformanceReport) -> str:
    period = f"{minute(report.start_ms)} to {minute(report.end_ms)} UTC"
    return f"{report.system}, {report.source}: {period}, {length(report)}"


# ------------------------------------------------------------------ equity and symbols


def _equity_section() -> str:
    return (
        '<section class="drawn"><h2>Equity and drawdown</h2>\n<p class="reading" id="equity-reading">&nbsp;</p>\n'
        '<div class="chart" id="equity-chart" role="img" aria-label="Equity over time, and below it the fall from its peak"></div>'
        '\n<p class="hint">Wheel, two fingers or + and - zoom, dragging moves, a double click shows all again.</p></section>'
    )


def _bars_section(parts: Sequence[Part]) -> str:
    """Net PNL of each symbol as a bar to the right of zero or to its left."""
    traded = sorted((part for part in parts if part.trades.signals), key=lambda part: -part.trades.pnl_net)
    if not traded:
        return ""
    shown = traded if len(traded) <= BARS_MAX else [*traded[: BARS_MAX // 2], *traded[-BARS_MAX // 2 :]]
    largest = max(abs(part.trades.pnl_net) for part in shown) or 1
    left = max([-part.trades.pnl_net for part in shown] + [0 * largest]) / largest
    right = max([part.trades.pnl_net for part in shown] + [0 * largest]) / largest
    rows = "\n".join(_bar(part, float(part.trades.pnl_net / largest), float(left), float(right)) for part in shown)
    partly = f"<p>The {BARS_MAX} largest of {len(traded)} symbols.</p>" if len(traded) > BARS_MAX else ""
    return f'<section><h2>Net PNL by symbol (quote currency)</h2>{partly}\n<div class="bars">\n{rows}\n</div></section>'


def _bar(part: Part, share: float, left: float, right: float) -> str:
    whole = left + right or 1.0
    begin = (left + min(share, 0.0)) / whole * 100
    style = f"margin-left:{begin:.2f}%;width:{abs(share) / whole * 100:.2f}%"
    kind = "gain" if share > 0 else "loss"
    value = signed_money(part.trades.pnl_net)
    return (
        f'<span class="name">{_html(part.symbol or "")}</span><span class="track"><i class="{kind}" style="{style}"></i></span>'
        f'<span class="number {kind}">{value}</span>'
    )


# ------------------------------------------------------------------ trades

_COLUMNS = ("Closed", "Symbol", "Side", "Opened", "Entry", "Exit", "PNL %", "PNL (net)", "Held", "Close reason")
_NUMBERS = frozenset({"Entry", "Exit", "PNL %", "PNL (net)", "Held"})


def _trades_section(drawn: Drawn, *, candles: bool) -> str:
    if not drawn.trades:
        return ""
    listed = (
        f"All {drawn.total:,} trades."
        if len(drawn.trades) == drawn.total
        else f"{len(drawn.trades)} of {drawn.total:,} trades: the {TRADES_EXTREME} best, the {TRADES_EXTREME} worst and the newest "
        "(the JSON report has all)."
    )
    chart = _CHART if candles else _NO_CANDLES
    how = " Choose one to see it on its candles." if candles else ""
    table = Table("", _COLUMNS, _NUMBERS, tuple(map(_trade_row, reversed(drawn.trades))))
    return f'<section id="trades"><h2>Trades</h2>\n{chart}\n<p>{listed}{how}</p>\n{html_table(table)}\n</section>'


_NO_CANDLES = (
    "<p>There are no candles of these symbols here, so trades are listed and not drawn; <code>livebot data fetch</code> "
    "gets them.</p>"
)
_CHART = (
    '<div class="drawn"><div class="controls"><label>Symbol <select id="symbol"></select></label>'
    '<button type="button" id="older">Older trade</button><button type="button" id="newer">Newer trade</button>'
    '<button type="button" id="whole">Whole range</button></div>\n'
    '<p class="reading" id="trade-reading">&nbsp;</p>\n<p class="reading hint" id="candle-reading">&nbsp;</p>\n'
    '<div class="chart" id="trade-chart" role="img" aria-label="Candles with entries and exits"></div>\n'
    '<p class="hint" id="trade-hint">&nbsp;</p></div>'
)


def _trade_row(trade: ClosedTrade) -> tuple[str, ...]:
    return (
        minute(trade.closed_ms),
        trade.symbol,
        trade.side.value.upper(),
        minute(trade.opened_ms),
        price(trade.entry_price),
        price(trade.exit_price),
        signed_percent(trade.pnl_ratio),
        signed_money(trade.pnl_net),
        span(float(trade.closed_ms - trade.opened_ms)),
        trade.reason.value,
    )
