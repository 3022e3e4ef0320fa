"""`kernel.step`, over all that really happens to signals; idle symbols, of which nearly all steps are, are counted apart."""

import time
from collections import defaultdict
from statistics import median

from livebot.core.inputs import CandleClosed
from livebot.core.kernel import step
from livebot.core.signal import Idle
from tests.benchmarks.frame import Benchmark, Measured, Numbers, over_runs, quantile
from tests.benchmarks.lives import StepTaken, steps_of_lives

RUNS = 7
SYMBOLS = 20
MINUTES = 720


def measure() -> Measured:
    """The same steps in each run; each step is timed by itself."""
    taken = steps_of_lives(SYMBOLS, MINUTES)
    busy = [each for each in taken if not _is_idle(each)]
    idle = [each for each in taken if _is_idle(each)]
    return over_runs([_run(busy, idle) for _ in range(RUNS)])


def _is_idle(taken: StepTaken) -> bool:
    return isinstance(taken.event, CandleClosed) and isinstance(taken.state.signal, Idle)


def _run(busy: list[StepTaken], idle: list[StepTaken]) -> Numbers:
    took, kinds = [], defaultdict(list)
    for each in busy:
        us = _us(each)
        took.append(us)
        kinds[type(each.event).__name__].append(us)
    medians = {f"{name}_p50_us": median(times) for name, times in sorted(kinds.items())}
    return {
        "p50_us": median(took),
        "p99_us": quantile(took, 0.99),
        "mean_us": sum(took) / len(took),
        **medians,
        "idle_candle_p50_us": median([_us(each) for each in idle]),
        "steps": len(busy),
    }


def _us(taken: StepTaken) -> float:
    state, event, rules = taken.state, taken.event, taken.rules
    began = time.perf_counter_ns()
    step(state, event, rules)
    return (time.perf_counter_ns() - began) / 1000


BENCHMARK = Benchmark(name="step", unit="us", target={"p50_us": 15}, measure=measure)
