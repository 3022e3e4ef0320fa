"""The fault simulation: how many days of trouble, each of two hours and three symbols, a core lives through in a second.

`SIMULATION_SEEDS=5000 make bench ARGS=simulation` takes so many seeds instead, and fails if one of them breaks an invariant.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from tests.benchmarks.frame import CHECKOUT, Benchmark, Measured, Numbers, over_runs
from tests.simulation.run import quiet_logs, run_seed

RUNS = 3
SEEDS = 40
SEED_S = 5.0  # several times what a seed takes on a machine that is otherwise idle
FIRST = 900_001  # none that any test looks at


def measure() -> Measured:
    """Each run has seeds of its own, and a process of its own."""
    seeds = int(os.environ.get("SIMULATION_SEEDS", RUNS * SEEDS)) // RUNS
    return over_runs([_in_child(FIRST + number * seeds, seeds) for number in range(RUNS)])


def _in_child(first: int, seeds: int) -> Numbers:
    command = [sys.executable, "-m", "tests.benchmarks.simulation", str(first), str(seeds)]
    child = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60 + SEED_S * seeds
    )
    numbers: dict[str, float] = json.loads(child.stdout)
    return numbers


def main(arguments: Sequence[str]) -> int:
    """Run so many seeds from the first one; the first is run once before, so that all modules are there."""
    first, seeds = map(int, arguments)
    quiet_logs(for_good=True)
    run_seed(first)
    began, began_cpu = time.perf_counter(), time.process_time()
    steps = signals = crashes = 0
    for seed in range(first, first + seeds):
        outcome = run_seed(seed)
        if outcome.violation is not None:
            raise outcome.violation
        steps += outcome.steps
        signals += outcome.counts["closed"]
        crashes += outcome.counts["crash"]
    took, took_cpu = time.perf_counter() - began, time.process_time() - began_cpu
    numbers = {
        "run_ms": took * 1000 / seeds,
        "run_cpu_ms": took_cpu * 1000 / seeds,
        "runs_per_s": seeds / took,
        "runs_per_cpu_s": seeds / took_cpu,
        "steps_per_run": steps / seeds,
        "signals_per_run": signals / seeds,
        "crashes_per_run": crashes / seeds,
        "seeds": seeds,
    }
    sys.stdout.write(json.dumps(numbers))
    return 0


BENCHMARK = Benchmark(name="simulation", unit="ms", target={"run_cpu_ms": 40}, measure=measure)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
