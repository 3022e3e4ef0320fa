"""The same five hundred symbols, of which fifty open on the candle: until all have decided and all intents are durable."""

from tests.benchmarks.closes import one_run
from tests.benchmarks.frame import Benchmark, Measured, over_runs

RUNS = 3
CLOSES = 50


def measure() -> Measured:
    """Fifty others at each close."""
    return over_runs([one_run("burst", CLOSES) for _ in range(RUNS)])


BENCHMARK = Benchmark(
    name="opening_burst",
    unit="ms",
    target={"decided_p99_ms": 250, "loop_lag_p99_ms": 15},
    measure=measure,
)
