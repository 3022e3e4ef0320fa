"""Five hundred symbols close a 5m candle at once, the shipped EMA cross decides: until the last decision, all state durable."""

from tests.benchmarks.closes import one_run
from tests.benchmarks.frame import Benchmark, Measured, over_runs

RUNS = 3
CLOSES = 80


def measure() -> Measured:
    """How many of the symbols open is what the market makes of it."""
    return over_runs([one_run("ema_cross", CLOSES) for _ in range(RUNS)])


BENCHMARK = Benchmark(
    name="candle_to_decision",
    unit="ms",
    target={"decided_p50_ms": 60, "decided_p99_ms": 150, "loop_lag_p99_ms": 15},
    measure=measure,
)
