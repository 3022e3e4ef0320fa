"""Training a model on 175,200 rows of 40 features, ten symbols of two years of hours; CPU time on one core.

`own_cpu_s` is what scikit-learn's fit takes on the rows that are learned from, without weights: with them its binning alone
takes several times as long, which is left out of ours (`snapped`), so `beyond_own` is against the faster of the two.  Ours and
its own are trained in turn, and the ratio is of neighbours: a machine that does more or less meanwhile does so to both.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from livebot.learning.dataset import Dataset
from livebot.learning.estimators import plan_of
from livebot.learning.fitting import fit
from livebot.learning.predictors.symbol_rows import inputs_of
from livebot.learning.spec import EstimatorSpec, SymbolEncoding, TrainingMode, TrainingSpec
from livebot.learning.time_split import split
from tests.benchmarks.frame import Benchmark, Measured, Numbers, ask_child, over_runs, scratch_folder
from tests.learning.synthetic_rows import rows, truth

RUNS = 3
SYMBOLS, HOURS, FEATURES = 10, 17_520, 40
TREES = EstimatorSpec(name="hist_gradient_boosting", params={"max_iter": 200})
SHARED = TrainingSpec(mode=TrainingMode.MULTI_SYMBOL, encoding=SymbolEncoding.NONE, estimator=TREES)
POOLED = TrainingSpec(mode=TrainingMode.HYBRID)
PAIRS = 3  # in each run
CHILD_S = 600.0


def measure() -> Measured:
    """Each run is a process that trains `PAIRS` times, and scikit-learn alone as often."""
    with scratch_folder() as folder:
        return over_runs([ask_child("tests.benchmarks.training", folder, lasts_s=CHILD_S) for _ in range(RUNS)])


def _run() -> Numbers:
    data = rows(truth("shared", SYMBOLS, FEATURES, 0.05), HOURS)
    fit(data.rows(np.arange(2_000)), SHARED)  # imports
    pairs = [(_cpu_s(lambda: fit(data, SHARED)), _own_s(data)) for _ in range(PAIRS)]
    return {
        "cpu_s": statistics.median(ours for ours, _ in pairs),
        "own_cpu_s": statistics.median(own for _, own in pairs),
        "beyond_own": statistics.median(ours / own for ours, own in pairs) - 1,
        "partial_pooling_cpu_s": _cpu_s(lambda: fit(data, POOLED)),
    }


def _own_s(data: Dataset) -> float:
    learned = split(data, SHARED.calibration_share, SHARED.embargo_ms)[0]
    plan, inputs = plan_of(TREES, SHARED.seed), inputs_of(learned.features, learned.side)
    with threadpool_limits(1):
        return _cpu_s(lambda: plan.kind(**plan.params).fit(inputs, learned.win))


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


BENCHMARK = Benchmark(name="training", unit="s", target={"cpu_s": 12, "beyond_own": 0.2}, measure=measure)


if __name__ == "__main__":
    (Path(sys.argv[1]) / "result.json").write_text(json.dumps(_run()))
