"""From the start of the process to "ready" with the config as it is shipped: ten symbols, three strategies, an empty root."""

import shutil

from tests.benchmarks.frame import CHECKOUT, Benchmark, Measured, over_runs, scratch_folder
from tests.benchmarks.processes import ready_daemon

RUNS = 5


def measure() -> Measured:
    """A new root each time."""
    return over_runs([{"ready_s": _run()} for _ in range(RUNS)])


def _run() -> float:
    with scratch_folder() as folder:
        config = folder / "config.yaml"
        shutil.copy(CHECKOUT / "config.yaml", config)
        with ready_daemon(config) as daemon:
            return daemon.ready_s


BENCHMARK = Benchmark(name="start", unit="s", target={"ready_s": 2.5}, measure=measure)
