"""Rows as a ledger gives them."""

from dataclasses import replace
from decimal import Decimal

from livebot.core.market import Side
from livebot.core.signal import CloseReason
from livebot.reporting.live_report import live_report
from livebot.reporting.run_record import ClosedTrade
from livebot.reporting.signals_report import DecisionRow, FactRow, make_report

NOON_MS = 1_769_860_800_000  # 2026-01-31 12:00:00 UTC
MINUTE_MS = 60_000


def fact(kind, minute, symbol="BTC/USDT", strategy="trend", number=1, **more):
    """A fact so many minutes after noon."""
    row = FactRow(
        ts_ms=NOON_MS + minute * MINUTE_MS,
        kind=kind,
        strategy=strategy,
        symbol=symbol,
        signal_id=f"{strategy}/{symbol}#{number}",
        side="long",
    )
    return replace(row, **more)


def closed(minute, ratio, net, reason="take_profit", **more):
    """A closed signal with its PnL."""
    return fact("SignalClosed", minute, pnl_ratio=Decimal(ratio), pnl_net=Decimal(net), reason=reason, **more)


def decision(outcome, code, minute=0, symbol="BTC/USDT", strategy="trend"):
    """A decision so many minutes after noon."""
    return DecisionRow(ts_ms=NOON_MS + minute * MINUTE_MS, strategy=strategy, symbol=symbol, outcome=outcome, code=code)


def traded(row):
    """The closed trade that such a row is the end of: a minute long, of 5 at 100."""
    return ClosedTrade(
        strategy=row.strategy,
        symbol=row.symbol,
        signal_id=row.signal_id,
        side=Side(row.side),
        opened_ms=row.ts_ms - MINUTE_MS,
        closed_ms=row.ts_ms,
        quantity=Decimal(5),
        entry_price=Decimal(100),
        exit_price=Decimal(101),
        fees=Decimal("0.25"),
        pnl_net=row.pnl_net,
        pnl_ratio=row.pnl_ratio,
        reason=CloseReason(row.reason),
    )


def live(system, facts, decisions, selection=None, capital=10_000.0):
    """The live report over such rows."""
    ledger = make_report(system, facts, decisions, selection)
    reasons = {reason.value for reason in CloseReason}
    closes = [row for row in facts if row.kind == "SignalClosed" and ledger.selection.takes(row)]
    trades = [traded(row if row.reason in reasons else replace(row, reason="venue")) for row in closes]
    return live_report(ledger, trades, capital_at=lambda _: capital)


FACTS = [
    fact("SignalOpening", 0),
    fact("SignalOpened", 0),
    fact("StopMoved", 1),
    closed(2, "0.021", "10.5"),
    fact("SignalOpening", 3, symbol="ETH/USDT", side="short"),
    closed(5, "-0.008", "-4", "stop_loss", symbol="ETH/USDT", side="short"),
    fact("SignalScheduled", 6, strategy="other"),
    fact("EntryCancelled", 7, strategy="other", reason="expired"),
    closed(8, "0.015", "7.25", "trailing_stop", number=2),
    fact("SignalOpened", 9, number=3),
]
DECISIONS = [
    decision("approved", ""),
    decision("denied", "open_signals"),
    decision("denied", "open_signals", symbol="ETH/USDT"),
    decision("refused", "minimum_notional", strategy="other"),
    decision("denied", "drawdown", minute=9),
]
