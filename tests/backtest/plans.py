"""Small plans for tests: candles by chance, and everything else with a default that can be changed."""

from decimal import Decimal
from typing import Any

import numpy as np

from livebot.backtest.plan import BacktestPlan, StrategyRun
from livebot.core.entry import NO_EXIT_PLAN
from livebot.core.market import MINUTE_MS, Instrument
from livebot.core.rules import EntryRules, FixedNotional, Rules
from livebot.core.series import CandleSeries
from livebot.simulator.matching import FillModel
from tests.backtest.whims import Whim, WhimParams

START_MS = 1_767_225_600_000  # 2026-01-01
SYMBOLS = ("AAA/USDT:USDT", "BBB/USDT:USDT", "CCC/USDT:USDT")


def candles(
    seed: int, count: int, *, volatility: float = 0.001, first_ms: int = START_MS, step: int = 1
) -> CandleSeries:
    """A random walk with high and low around it, on ticks of 0.01."""
    random = np.random.default_rng(seed)
    closes = np.round(100 * np.exp(np.cumsum(random.normal(0, volatility, count))), 2)
    opens = np.concatenate(([100.0], closes[:-1] + np.round(random.normal(0, volatility * 20, count - 1), 2)))
    opens = np.round(np.maximum(opens, 1.0), 2)
    above, below = (np.round(np.abs(random.normal(0, volatility * 60, count)), 2) for _ in range(2))
    return CandleSeries(
        ts_ms=first_ms + np.arange(count, dtype=np.int64) * MINUTE_MS * step,
        open=opens,
        high=np.round(np.maximum(opens, closes) + above, 2),
        low=np.round(np.maximum(np.minimum(opens, closes) - below, 0.5), 2),
        close=closes,
        volume=random.integers(0, 1000, count).astype(np.float64),
    )


def without(series: CandleSeries, lacking: set[int]) -> CandleSeries:
    """The series without the candles at these places."""
    keep = np.array([place for place in range(len(series)) if place not in lacking])
    return CandleSeries(
        ts_ms=series.ts_ms[keep],
        open=series.open[keep],
        high=series.high[keep],
        low=series.low[keep],
        close=series.close[keep],
        volume=series.volume[keep],
    )


def instrument(symbol: str, **changes: Any) -> Instrument:
    """Ticks of 0.01, lots of 0.001."""
    values: dict[str, Any] = {
        "symbol": symbol,
        "base": symbol.partition("/")[0],
        "quote": "USDT",
        "tick_size": Decimal("0.01"),
        "lot_step": Decimal("0.001"),
        "minimum_quantity": Decimal("0.001"),
        "minimum_notional": Decimal(5),
        "taker_fee": Decimal("0.0005"),
        "maker_fee": Decimal("0.0002"),
        "can_short": True,
    }
    return Instrument(**values | changes)


def rules(**changes: Any) -> Rules:
    """Fixed size, no plan for exits."""
    values: dict[str, Any] = {
        "system": "test",
        "strategy": "",
        "instrument": instrument(SYMBOLS[0]),
        "sizing": FixedNotional(Decimal(1000)),
        "entry": EntryRules(),
        "exits": NO_EXIT_PLAN,
        "schedule_ms": 5 * MINUTE_MS,
    }
    return Rules(**values | changes)


def strategy(
    kind: type[Any] = Whim, params: object = None, symbols: tuple[str, ...] = SYMBOLS, name: str = ""
) -> StrategyRun:
    """One strategy on all symbols."""
    return StrategyRun(id=name or kind.name, strategy_class=kind, params=params or WhimParams(), symbols=symbols)


def plan(minutes: int = 300, seed: int = 1, **changes: Any) -> BacktestPlan:
    """Three symbols, from the 31st minute on."""
    values: dict[str, Any] = {
        "system": "test",
        "strategies": (strategy(),),
        "symbols": SYMBOLS,
        "instruments": {symbol: instrument(symbol) for symbol in SYMBOLS},
        "candles": {symbol: candles(seed + place, minutes) for place, symbol in enumerate(SYMBOLS)},
        "start_ms": START_MS + 100 * MINUTE_MS,
        "end_ms": START_MS + minutes * MINUTE_MS,
        "wallet": Decimal(10_000),
        "rules": rules(),
        "fills": FillModel(),
        "history": 20,
    }
    return BacktestPlan(**values | changes)
