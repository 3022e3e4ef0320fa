"""Records of runs as a backtest leaves them, made from a seed."""

from decimal import Decimal

import numpy as np

from livebot.core.market import DAY_MS, Side
from livebot.core.series import CandleSeries
from livebot.core.signal import CloseReason
from livebot.reporting.run_record import ClosedTrade, EquityCurve, RunRecord, day_ends
from livebot.reporting.signals_report import Denial

START_MS = 1_767_225_600_000  # 2026-01-01
HOUR_MS = 3_600_000
CAPITAL = 10_000.0


def trade(opened_ms=START_MS, closed_ms=START_MS + HOUR_MS, pnl="5", **more):
    """A closed trade of 10 at 100, so that a PnL of 10 is 1 %."""
    values = {
        "strategy": "trend",
        "symbol": "BTC/USDT",
        "signal_id": f"trend/BTC/USDT#{opened_ms}",
        "side": Side.LONG,
        "quantity": Decimal(10),
        "entry_price": Decimal(100),
        "exit_price": Decimal(100) + Decimal(pnl) / 10,
        "fees": Decimal("0.5"),
        "pnl_net": Decimal(pnl),
        "pnl_ratio": Decimal(pnl) / 1000,
        "reason": CloseReason.TAKE_PROFIT if Decimal(pnl) > 0 else CloseReason.STOP_LOSS,
        "stop_loss": Decimal(98),
        "take_profit": Decimal(104),
    }
    return ClosedTrade(opened_ms=opened_ms, closed_ms=closed_ms, **(values | more))


def record(trades=(), days=60, equity=None, candles=None, **more):
    """The record of so many days; without `equity` capital plus realised PnL."""
    end_ms = START_MS + days * DAY_MS
    values = {
        "title": "Backtest: demo",
        "system": "demo",
        "source": "backtest",
        "start_ms": START_MS,
        "end_ms": end_ms,
        "trades": tuple(trades),
        "equity": realised(trades, START_MS, end_ms) if equity is None else equity,
        "symbols": tuple(sorted({each.symbol for each in trades})) or ("BTC/USDT",),
        "denials": (Denial(outcome="denied", code="open_signals", count=7),),
        "candles": candles or {},
    }
    return RunRecord(**(values | more))


def realised(trades, start_ms, end_ms):
    """Capital plus what had closed, at each close and each day's end, added up the slow way."""
    times = np.array(sorted({*day_ends(start_ms, end_ms), *(each.closed_ms for each in trades)}))
    values = [CAPITAL + sum(float(each.pnl_net) for each in trades if each.closed_ms <= ts_ms) for ts_ms in times]
    return EquityCurve(ts_ms=times, equity=np.array(values))


def candles_of(seed, count, price=100.0, step_ms=HOUR_MS, start_ms=START_MS):
    """A random walk whose volatility changes from day to day."""
    random = np.random.default_rng(seed)
    calm = np.repeat(random.uniform(0.001, 0.012, count // 24 + 1), 24)[:count]
    close = price * np.exp(np.cumsum(random.normal(0, calm)))
    opening = np.concatenate(([price], close[:-1]))
    wick = np.abs(random.normal(0, calm / 2)) * close
    return CandleSeries(
        ts_ms=start_ms + step_ms * np.arange(count, dtype=np.int64),
        open=opening,
        high=np.maximum(opening, close) + wick,
        low=np.minimum(opening, close) - wick,
        close=close,
        volume=random.lognormal(3, 1, count),
    )


def run(symbols=("BTC/USDT", "ETH/USDT", "SOL/USDT"), days=120, trades_each=40, seed=7, **more):
    """A run over random candles: entries at opens, exits some hours later, equity marked at each day's end."""
    random = np.random.default_rng(seed)
    candles = {symbol: candles_of(seed + place, days * 24, 10.0 ** (4 - place)) for place, symbol in enumerate(symbols)}
    trades = [each for symbol in symbols for each in _walked(symbol, candles[symbol], trades_each, random)]
    return record(trades, days, candles=candles, symbols=tuple(symbols), **more)


def _walked(symbol, series, count, random):
    starts = np.sort(random.choice(np.arange(30, len(series) - 100), count, replace=False))
    for number, (start, following) in enumerate(zip(starts, [*starts[1:], len(series)], strict=True), start=1):
        stop = min(start + int(random.integers(3, 60)), following)
        if stop <= start:
            continue
        side = Side.LONG if random.random() < 0.6 else Side.SHORT
        entry, leaving = (
            Decimal(repr(round(float(series.open[place]), 4))) for place in (start, min(stop, len(series) - 1))
        )
        quantity = (Decimal(1000) / entry).quantize(Decimal("0.0001"))
        fees = (entry + leaving) * quantity * Decimal("0.001")
        net = side.sign * (leaving - entry) * quantity - fees
        strategy = "trend" if number % 3 else "ema_cross"
        yield trade(
            int(series.ts_ms[start]),
            int(series.ts_ms[stop]) if stop < len(series) else int(series.ts_ms[-1]) + HOUR_MS,
            symbol=symbol,
            strategy=strategy,
            signal_id=f"{strategy}/{symbol}#{number}",
            side=side,
            quantity=quantity,
            entry_price=entry,
            exit_price=leaving,
            fees=fees,
            pnl_net=net,
            pnl_ratio=net / (entry * quantity),
            reason=CloseReason.TAKE_PROFIT if net > 0 else CloseReason.STOP_LOSS,
            stop_loss=entry * (1 - side.sign * Decimal("0.02")),
            take_profit=entry * (1 + side.sign * Decimal("0.03")),
        )
