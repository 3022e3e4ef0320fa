"""What all benchmarks share: what a result is, numbers over several runs, and child processes that measure.

Rules of this file: a benchmark measures in processes of its own, several times; what is held against the target is the
median of the runs, and their spread is told beside it; all durations are of the wall clock unless the name says `cpu`.
"""

import asyncio
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
CHILD_S = 150.0  # several times what any child takes on a machine that is otherwise idle
_IDLE_S = 0.5

Numbers = Mapping[str, float]


class NotHere(Exception):
    """What would be measured needs something that this machine does not have; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """`values` are medians over the runs, in the unit that their name ends with; `spread` lowest and highest of the runs."""

    values: Numbers
    spread: Mapping[str, tuple[float, float]]
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """`target` says for some of the measured values how high each may be; `unit` is that of the target."""

    name: str
    unit: str
    target: Numbers
    measure: Callable[[], Measured]


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of all values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * share) - 1, 0)]


def over_runs(runs: Sequence[Numbers]) -> Measured:
    """Median and spread, number by number."""
    columns = {name: [run[name] for run in runs] for name in runs[0]}
    return Measured(
        values={name: _rounded(statistics.median(column)) for name, column in columns.items()},
        spread={name: (_rounded(min(column)), _rounded(max(column))) for name, column in columns.items()},
        runs=len(runs),
    )


def line_of(benchmark: Benchmark, measured: Measured, machine: Mapping[str, object]) -> str:
    """One JSON object."""
    return json.dumps(
        {
            "benchmark": benchmark.name,
            "measured": {**measured.values, "unit": benchmark.unit, "spread": measured.spread},
            "target": benchmark.target,
            "met": is_met(benchmark.target, measured.values),
            "runs": measured.runs,
            "machine": machine,
        }
    )


def is_met(target: Numbers, values: Numbers) -> bool:
    """Whether nothing is above its target."""
    return all(values[name] <= most for name, most in target.items())


def machine() -> dict[str, object]:
    """What it was measured on.

    `load` is the average of the last minute, `idle_lag_p99_ms` how late timers are while we do nothing: what other
    programs on the machine add to every number.
    """
    return {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "idle_lag_p99_ms": _rounded(asyncio.run(_idle_lag())),
    }


async def _idle_lag() -> float:
    probe = LagProbe()
    watching = asyncio.create_task(probe.run())
    await asyncio.sleep(_IDLE_S)
    watching.cancel()
    return probe.p99_ms


class LagProbe:
    """How late the running loop is, every two milliseconds.

    While the loop is held up no timer fires: a delay of 20 ms is one late sample instead of ten.  Those that are missing
    are put back, so that the quantiles are over time.
    """

    EVERY_S = 0.002

    def __init__(self) -> None:
        """Nothing is measured before `run`."""
        self._late_ms: list[float] = []

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(self.EVERY_S)
            late_ms = (time.perf_counter() - began - self.EVERY_S) * 1000
            while late_ms > 0:
                self._late_ms.append(late_ms)
                late_ms -= self.EVERY_S * 1000

    def forget(self) -> None:
        """Begin anew."""
        self._late_ms.clear()

    @property
    def p99_ms(self) -> float:
        """What 99 % of the time stays under."""
        return quantile(self._late_ms, 0.99) if self._late_ms else 0.0

    @property
    def maximum_ms(self) -> float:
        """The longest hold-up."""
        return max(self._late_ms, default=0.0)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for one run, on the disk that temporary files are on."""
    with tempfile.TemporaryDirectory(prefix="livebot-bench-") as folder:
        yield Path(folder)


def ask_child(
    module: str, folder: Path, *arguments: str, environ: Mapping[str, str] | None = None, lasts_s: float = CHILD_S
) -> dict[str, Any]:
    """Run `python -m module folder arguments` and read the JSON that it leaves in `folder/result.json`.

    `environ` is added to the environment; the child is given up after `lasts_s`.

    Raises:
        RuntimeError: it failed; the text is the end of what it said.

    """
    result = folder / "result.json"
    done = subprocess.run(
        [sys.executable, "-m", module, str(folder), *arguments],
        cwd=CHECKOUT,
        env=environment() | dict(environ or {}),
        capture_output=True,
        text=True,
        timeout=lasts_s,
        check=False,
    )
    if not result.exists():
        message = f"{module} {' '.join(arguments)} ended with {done.returncode}: {(done.stdout + done.stderr)[-3000:]}"
        raise RuntimeError(message)
    answer: dict[str, Any] = json.loads(result.read_text())
    result.unlink()
    return answer


def environment() -> dict[str, str]:
    """This one's without what would change a daemon or slow it down."""
    unwanted = ("LIVEBOT_", "STATE_DIRECTORY", "COVERAGE_", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return kept | {"PYTHONPATH": str(CHECKOUT), "OPENBLAS_NUM_THREADS": "1"}


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
