"""Two backtests of one plan: `python -m tests.benchmarks.backtest_process FOLDER SYMBOLS MINUTES`."""

import json
import resource
import sys
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np

from livebot.backtest.plan import BacktestPlan, StrategyRun
from livebot.backtest.run import run
from livebot.core.entry import NO_EXIT_PLAN
from livebot.core.facts import SignalClosed
from livebot.core.market import MINUTE_MS
from livebot.core.rules import EntryRules, FixedNotional, Rules
from livebot.core.series import CandleSeries
from livebot.simulator.market import Fees, instrument_for
from livebot.simulator.synthetic import symbol_names
from livebot.strategies.ema_cross import EmaCross, EmaCrossParams

START_MS = 1_704_067_200_000  # 2024-01-01
DAILY_VOLATILITY = 0.04  # of a large coin that is no Bitcoin
DECIMALS = 3
CACHE_BYTES = 10**9


def candles(seed: int, minutes: int) -> CandleSeries:
    """A random walk in minutes, with highs and lows, on ticks."""
    random = np.random.default_rng(seed)
    size = DAILY_VOLATILITY / 1440**0.5
    closes = np.round(100 * np.exp(np.cumsum(random.normal(0, size, minutes))), DECIMALS)
    opens = np.concatenate(([100.0], closes[:-1]))
    reach = np.abs(random.normal(0, size / 2, (2, minutes)))
    return CandleSeries(
        ts_ms=START_MS + np.arange(minutes, dtype=np.int64) * MINUTE_MS,
        open=opens,
        high=np.round(np.maximum(opens, closes) * (1 + reach[0]), DECIMALS),
        low=np.round(np.minimum(opens, closes) * (1 - reach[1]), DECIMALS),
        close=closes,
        volume=np.round(random.uniform(1, 100, minutes), 1),
    )


def plan_of(symbols: int, minutes: int) -> BacktestPlan:
    """The shipped strategy with its own parameters on 5m, a fixed size, no limits."""
    names = symbol_names(symbols)
    instruments = {name: instrument_for(name, 100.0, DECIMALS, Fees()) for name in names}
    rules = Rules(
        system="bench",
        strategy="",
        instrument=instruments[names[0]],
        sizing=FixedNotional(Decimal(1000)),
        entry=EntryRules(),
        exits=NO_EXIT_PLAN,
        schedule_ms=60 * MINUTE_MS,
    )
    return BacktestPlan(
        system="bench",
        strategies=(StrategyRun(id="ema_cross", strategy_class=EmaCross, params=EmaCrossParams(), symbols=names),),
        symbols=names,
        instruments=instruments,
        candles={name: candles(seed, minutes) for seed, name in enumerate(names)},
        start_ms=START_MS,
        end_ms=START_MS + minutes * MINUTE_MS,
        wallet=Decimal(1_000_000),
        rules=rules,
        cache_bytes=CACHE_BYTES,
    )


def main(folder: Path, symbols: int, minutes: int) -> None:
    """Run it twice and leave what it cost."""
    plan = replace(plan_of(symbols, minutes), cache=folder / "features")
    took, closed = [], 0
    for _ in range(2):
        began = time.process_time()
        result = run(plan)
        took.append((time.process_time() - began) * 1e6 / (symbols * minutes))
        closed = sum(isinstance(fact, SignalClosed) for fact in result.facts)
        del result
    answer = {
        "first_us": took[0],
        "second_us": took[1],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "signals": closed,
    }
    (folder / "result.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
