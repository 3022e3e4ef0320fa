"""Drift: how many trades until a planted fall of the hit rate is told, how many between false alarms, and what hearing costs.

The fall is from 0.55 to 0.45, by which published figures go; features move by half a deviation, one of thirty.
"""

import time

import numpy as np

from livebot.learning.drift import DriftTerms, SpreadPool, TradePool, step_cusum
from tests.benchmarks.frame import Benchmark, Measured, Numbers, over_runs

RUNS = 3
TERMS = DriftTerms()
BEFORE, AFTER = 0.55, 0.45
FALLS, PEACES = 300, 30
FEATURES = 30
MOVES, ROWS_MOST = 30, 500
CALLS = 20_000


def measure() -> Measured:
    """Each run with seeds of its own."""
    return over_runs([_run(seed) for seed in range(1, RUNS + 1)])


def _run(seed: int) -> Numbers:
    random = np.random.default_rng(seed)
    falls = [_until_alarm(random, AFTER) for _ in range(FALLS)]
    peaces = [_until_alarm(random, BEFORE) for _ in range(PEACES)]
    moved = [_until_moved(random, 0.5) for _ in range(MOVES)]
    still = [_until_moved(random, 0.0) for _ in range(MOVES)]
    return {
        "fall_told_after_trades": float(np.median(falls)),
        "false_alarm_every_trades": float(np.mean(peaces)),
        "move_told_after_rows": float(np.median(moved)),
        "false_moves_percent": 100.0 * sum(each < ROWS_MOST for each in still) / MOVES,
        "trade_us": _trade_us(),
        "row_us": _row_us(random),
    }


def _until_alarm(random: np.random.Generator, hit_rate: float) -> int:
    total, trades = 0.0, 0
    while total <= TERMS.cusum:
        total = step_cusum(total, BEFORE, bool(random.random() < hit_rate), TERMS.hit_rate_fall)
        trades += 1
    return trades


def _pool(random: np.random.Generator) -> SpreadPool:
    edges = np.quantile(random.normal(size=20_000), np.arange(1, 10) / 10)
    return SpreadPool(np.tile(edges, (FEATURES, 1)), np.full((FEATURES, 10), 0.1), np.zeros(FEATURES), TERMS)


def _until_moved(random: np.random.Generator, by: float) -> int:
    """Looked at every ten rows; ROWS_MOST if nothing is told."""
    pool = _pool(random)
    for number in range(ROWS_MOST):
        row = random.normal(size=FEATURES)
        row[0] += by
        pool.add(row)
        if number % 10 == 9 and bool((pool.indexes() > pool.bounds()).any()):
            return number + 1
    return ROWS_MOST


def _trade_us() -> float:
    pool = TradePool(TERMS)
    began = time.process_time()
    for number in range(CALLS):
        pool.add(0.6, won=number % 2 == 0)
    return (time.process_time() - began) / CALLS * 1e6


def _row_us(random: np.random.Generator) -> float:
    pool, rows = _pool(random), random.normal(size=(CALLS, FEATURES))
    began = time.process_time()
    for row in rows:
        pool.add(row)
    return (time.process_time() - began) / CALLS * 1e6


BENCHMARK = Benchmark(
    name="drift",
    unit="trades, rows, percent, microseconds of CPU",
    target={"fall_told_after_trades": 200, "false_moves_percent": 5, "trade_us": 20, "row_us": 100},
    measure=measure,
)
