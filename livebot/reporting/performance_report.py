"""How a run went: every figure per symbol, per strategy and pooled, and cut by side, close reason, month and regime.

Rules of this file: the order of symbols, strategies and trades in the record changes nothing; parts of a cut hold each trade
once, so they add up to the whole; words and rounding are the formats' business.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from livebot.reporting.equity_figures import EquityFigures, daily_equity, equity_figures, part_curve
from livebot.reporting.figure import NO_CAPITAL, NO_SIGNALS, Figure, NotAvailable
from livebot.reporting.regimes import Regime, regimes_of
from livebot.reporting.run_record import ClosedTrade, EquityCurve, RunRecord, Source
from livebot.reporting.signals_report import Denial
from livebot.reporting.trade_figures import TradeFigures, exposure, trade_figures

NO_CANDLES = NotAvailable("the record holds no candles of what was traded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The figures of one symbol, of one strategy, or (both None) of all.

    `exposure` is the share of the time with a position; `turnover` what was traded over the mean daily equity.
    """

    strategy: str | None
    symbol: str | None
    trades: TradeFigures
    equity: EquityFigures
    exposure: Figure
    turnover: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The trades that have something in common; `equity_return` is the account's in that month (None: no month)."""

    name: str
    trades: TradeFigures
    equity_return: Figure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceReport:
    """All figures of a run; `daily` is its equity at each UTC day's end, `trades` are in the order of their closes."""

    title: str
    system: str
    source: Source
    start_ms: int
    end_ms: int
    pooled: Part
    symbols: tuple[Part, ...]
    strategies: tuple[Part, ...]
    by_side: tuple[Slice, ...]
    by_reason: tuple[Slice, ...]
    by_month: tuple[Slice, ...]
    by_regime: tuple[Slice, ...] | NotAvailable
    denials: tuple[Denial, ...]
    feature_sets: tuple[str, ...]
    notes: tuple[str, ...]
    trades: tuple[ClosedTrade, ...]
    daily: EquityCurve


def performance(record: RunRecord) -> PerformanceReport:
    """Judge a run."""
    trades = tuple(sorted(record.trades, key=lambda trade: (trade.closed_ms, trade.opened_ms, trade.signal_id)))
    symbols = sorted({*record.symbols, *(trade.symbol for trade in trades)})
    strategies = sorted({trade.strategy for trade in trades})
    months = _monthly_returns(record.equity)
    return PerformanceReport(
        title=record.title,
        system=record.system,
        source=record.source,
        start_ms=record.start_ms,
        end_ms=record.end_ms,
        pooled=_part(record, trades, record.equity),
        symbols=tuple(
            _own_part(record, [trade for trade in trades if trade.symbol == symbol], symbol=symbol)
            for symbol in symbols
        ),
        strategies=tuple(
            _own_part(record, [trade for trade in trades if trade.strategy == strategy], strategy=strategy)
            for strategy in strategies
        ),
        by_side=_slices(trades, lambda trade: trade.side.value),
        by_reason=_slices(trades, lambda trade: trade.reason.value),
        # what closes with the last candle of a month is that month's, as it is in the equity
        by_month=_slices(trades, lambda trade: month_of(trade.closed_ms - 1), months),
        by_regime=_by_regime(trades, record),
        denials=record.denials,
        feature_sets=record.feature_sets,
        notes=record.notes,
        trades=trades,
        daily=daily_equity(record.equity),
    )


def _own_part(
    record: RunRecord, trades: Sequence[ClosedTrade], *, strategy: str | None = None, symbol: str | None = None
) -> Part:
    curve = part_curve(trades, record.equity, record.candles, record.start_ms, record.end_ms)
    return _part(record, trades, curve, strategy=strategy, symbol=symbol)


def _part(
    record: RunRecord,
    trades: Sequence[ClosedTrade],
    curve: EquityCurve,
    *,
    strategy: str | None = None,
    symbol: str | None = None,
) -> Part:
    figures = trade_figures(trades)
    return Part(
        strategy=strategy,
        symbol=symbol,
        trades=figures,
        equity=equity_figures(curve),
        exposure=exposure(trades, record.start_ms, record.end_ms),
        turnover=_turnover(figures, record.equity),
    )


def _turnover(figures: TradeFigures, whole: EquityCurve) -> Figure:
    mean = float(np.mean(daily_equity(whole).equity))
    if whole.equity[0] <= 0:
        return NO_CAPITAL
    return float(figures.traded) / mean if mean > 0 else NotAvailable("equity fell to 0 or below")


def _slices(
    trades: Iterable[ClosedTrade],
    name_of: Callable[[ClosedTrade], str],
    returns: Mapping[str, Figure] | None = None,
) -> tuple[Slice, ...]:
    groups: dict[str, list[ClosedTrade]] = {name: [] for name in returns or ()}
    for trade in trades:
        groups.setdefault(name_of(trade), []).append(trade)
    return tuple(
        Slice(name=name, trades=trade_figures(group), equity_return=None if returns is None else returns.get(name))
        for name, group in sorted(groups.items())
    )


def _by_regime(trades: Sequence[ClosedTrade], record: RunRecord) -> tuple[Slice, ...] | NotAvailable:
    if not trades:
        return NO_SIGNALS
    if not any(trade.symbol in record.candles for trade in trades):
        return NO_CANDLES
    groups: dict[Regime, list[ClosedTrade]] = {regime: [] for regime in Regime if regime is not Regime.UNKNOWN}
    for trade, regime in zip(trades, regimes_of(trades, record.candles, record.start_ms, record.end_ms), strict=True):
        groups.setdefault(regime, []).append(trade)
    return tuple(Slice(name=regime.value, trades=trade_figures(group)) for regime, group in groups.items())


def _monthly_returns(curve: EquityCurve) -> dict[str, Figure]:
    """The account's return in each UTC month that the curve touches."""
    days = daily_equity(curve)
    # the first instant of a month still belongs to the month before it: it is the end of that month's last day
    names = [month_of(int(ts_ms) - 1) for ts_ms in days.ts_ms[1:]]
    returns: dict[str, Figure] = {}
    begun = 0
    for place, name in enumerate(names, start=1):
        if place == len(names) or names[place] != name:
            before, after = float(days.equity[begun]), float(days.equity[place])
            returns[name] = after / before - 1 if days.equity[0] > 0 and before > 0 else NO_CAPITAL
            begun = place
    return returns


def month_of(ts_ms: int) -> str:
    """`2026-01`, in UTC."""
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m")
