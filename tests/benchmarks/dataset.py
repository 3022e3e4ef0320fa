"""The dataset of a model: five symbols, two years of real hours, two shipped strategies, both sets of features.

Durations are of the CPU of one process, from candles in memory to weighted rows; the reading of the files is not in them.
"""

from tests.benchmarks.frame import Benchmark, Measured, NotHere, Numbers, ask_child, over_runs, scratch_folder
from tests.learning.labelled import SPOT_1H

RUNS = 3
DAYS = 730


def measure() -> Measured:
    """Each run in a process of its own.  Raises NotHere: there are no real candles."""
    if not SPOT_1H.is_dir():
        raise NotHere("the folder shared/data/spot_1h is not there")
    return over_runs([_run() for _ in range(RUNS)])


def _run() -> Numbers:
    with scratch_folder() as folder:
        return ask_child("tests.benchmarks.dataset_process", folder, str(DAYS))


BENCHMARK = Benchmark(
    name="dataset",
    unit="s of CPU, MB of memory",
    target={
        "mean_reversion_own_cpu_s": 10,
        "mean_reversion_market_cpu_s": 10,
        "breakout_own_cpu_s": 10,
        "breakout_market_cpu_s": 10,
        "peak_mb": 2_000,
    },
    measure=measure,
)
