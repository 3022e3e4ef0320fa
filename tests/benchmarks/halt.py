"""How long after a `livebot halt` arrives an entry may still open, with five hundred symbols that all want to.

The request is sent in the midst of a round, when so many entries have been admitted, over the control socket of a real
daemon; what is measured begins with the first byte of the request.  The answer must not come before the halt is on disk.
`last_admitted_cpu_ms` is what the daemon's loop computed from when the operator was told to the last admission: what it
takes where the daemon has a core of its own.
"""

from typing import Any

from tests.benchmarks.configs import write_config
from tests.benchmarks.frame import Benchmark, Measured, Numbers, ask_child, over_runs, scratch_folder

RUNS = 3
SYMBOLS = 500
EAGER: dict[str, Any] = {"class": "tests.benchmarks.halt_process:Eager", "params": {"timeframe": "1m"}}


def measure() -> Measured:
    """A new daemon each time."""
    return over_runs([_run() for _ in range(RUNS)])


def _run() -> Numbers:
    with scratch_folder() as folder:
        config = write_config(folder, SYMBOLS, EAGER, speed=10)
        trials = ask_child("tests.benchmarks.halt_process", folder, str(config))["trials"]
    return {
        "last_admitted_maximum_ms": max(each["admitted_ms"] for each in trials),
        "last_sent_maximum_ms": max(each["sent_ms"] for each in trials),
        "last_admitted_cpu_ms": max(each["cpu_ms"] for each in trials),
        "most_admitted_after": max(each["after"] for each in trials),
        "answered_maximum_ms": max(each["answered_ms"] for each in trials),
        "not_on_disk_when_answered": sum(not each["on_disk"] for each in trials),
        "fewest_denied": min(each["denied"] for each in trials),
        "trials": len(trials),
    }


BENCHMARK = Benchmark(
    name="halt",
    unit="ms",
    target={"last_admitted_maximum_ms": 50, "last_sent_maximum_ms": 50, "not_on_disk_when_answered": 0},
    measure=measure,
)
