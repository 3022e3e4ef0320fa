"""A performance report as JSON.

Rules of this file: the comparison of symbols comes first; money is exact text in quote currency, ratios are numbers (0.01 is
1 %), times are UTC ms, durations ms; what is not available is null, and `not_available` beside it says why.
"""

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal

from livebot.core.wording import number
from livebot.reporting.equity_figures import Drawdown
from livebot.reporting.figure import Figure, NotAvailable
from livebot.reporting.performance_blocks import POOLED, missing, reasons
from livebot.reporting.performance_report import Part, PerformanceReport, Slice
from livebot.reporting.run_record import ClosedTrade
from livebot.reporting.trade_figures import TradeFigures

Json = dict[str, object]


def as_json(report: PerformanceReport) -> Json:
    """Plain values; `not_available` beside them says why a null is null."""
    by_regime = report.by_regime
    return {
        "comparison": [_comparison_json(part) for part in (*report.symbols, report.pooled)],
        "title": report.title,
        "system": report.system,
        "source": report.source,
        "start_ms": report.start_ms,
        "end_ms": report.end_ms,
        "pooled": _part_json(report.pooled),
        "symbols": [_part_json(part) for part in report.symbols],
        "strategies": [_part_json(part) for part in report.strategies],
        "by_side": [_slice_json(each) for each in report.by_side],
        "by_close_reason": [_slice_json(each) for each in report.by_reason],
        "by_month": [_slice_json(each) for each in report.by_month],
        "by_volatility": None if isinstance(by_regime, NotAvailable) else [_slice_json(each) for each in by_regime],
        "denials": [{"outcome": each.outcome, "code": each.code, "count": each.count} for each in report.denials],
        "feature_sets": list(report.feature_sets),
        "not_available": list(reasons(report)),
        "notes": list(report.notes),
        "daily_equity": [
            {"ts_ms": int(ts_ms), "equity": float(equity)}
            for ts_ms, equity in zip(report.daily.ts_ms, report.daily.equity, strict=True)
        ],
        "trades": [_trade_json(trade) for trade in report.trades],
    }


def _comparison_json(part: Part) -> Json:
    trades = part.trades
    return {
        "symbol": part.symbol or POOLED,
        "signals": trades.signals,
        "win_rate": _plain(trades.win_rate),
        "average_pnl": _plain(trades.average_pnl),
        "best_pnl": _plain(trades.best_pnl),
        "worst_pnl": _plain(trades.worst_pnl),
    }


_EXACT_DIGITS = 40  # a quotient has all the digits that the context gave it
_MONEY = frozenset({"pnl_net", "fees", "traded", "expectancy"})


def _part_json(part: Part) -> Json:
    values: Json = {"strategy": part.strategy, "symbol": part.symbol, **_trades_json(part.trades)}
    for each in fields(part.equity):
        value = getattr(part.equity, each.name)
        values[each.name] = _drawdown_json(value) if isinstance(value, Drawdown) else _plain(value)
    why = dict(missing(part))
    return {**values, "exposure": _plain(part.exposure), "turnover": _plain(part.turnover), "not_available": why}


def _trades_json(trades: TradeFigures) -> Json:
    values: Json = {}
    for each in fields(trades):
        value = getattr(trades, each.name)
        values[each.name] = _money(value) if each.name in _MONEY else _plain(value)
    return values


def _drawdown_json(drawdown: Drawdown) -> Json:
    return {
        "depth": _plain(drawdown.depth),
        "amount": drawdown.amount,
        "from_ms": drawdown.from_ms,
        "to_ms": drawdown.to_ms,
        "recovered_ms": drawdown.recovered_ms,
    }


def _slice_json(each: Slice) -> Json:
    returned: Mapping[str, object] = {} if each.equity_return is None else {"return": _plain(each.equity_return)}
    return {"name": each.name, **_trades_json(each.trades), **returned}


def _trade_json(trade: ClosedTrade) -> Json:
    return {
        "strategy": trade.strategy,
        "symbol": trade.symbol,
        "signal_id": trade.signal_id,
        "side": trade.side.value,
        "opened_ms": trade.opened_ms,
        "closed_ms": trade.closed_ms,
        "quantity": f"{trade.quantity:f}",
        "entry_price": f"{trade.entry_price:f}",
        "exit_price": f"{trade.exit_price:f}",
        "stop_loss": None if trade.stop_loss is None else f"{trade.stop_loss:f}",
        "take_profit": None if trade.take_profit is None else f"{trade.take_profit:f}",
        "fees": f"{trade.fees:f}",
        "pnl_net": f"{trade.pnl_net:f}",
        "pnl_ratio": f"{trade.pnl_ratio:f}",
        "close_reason": trade.reason.value,
    }


def _money(value: Figure) -> str | None:
    """A sum to its last digit, an average to twelve."""
    if not isinstance(value, Decimal):
        return None
    return number(value) if len(value.as_tuple().digits) > _EXACT_DIGITS else f"{value:f}"


def _plain(value: Figure) -> float | int | None:
    if isinstance(value, NotAvailable):
        return None
    return value if isinstance(value, int) else float(value)
