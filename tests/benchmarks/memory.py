"""Resident memory of the real process at 10 symbols, and what each further one adds, with 600 candles of history each."""

import json
import time

from tests.benchmarks.configs import EMA_CROSS, write_config
from tests.benchmarks.frame import Benchmark, Measured, Numbers, over_runs, scratch_folder
from tests.benchmarks.processes import ready_daemon

RUNS = 1  # two differ by less than a hundredth
SYMBOLS = (10, 110, 510)
RUNS_FOR_S = 3.0  # after it has become ready
SPEED = 600  # so that half an hour of the market passes, and whatever is remembered of it is there
UNWANTED = frozenset({"ccxt", "sklearn", "pyarrow"})


def measure() -> Measured:
    """One process for each number of symbols."""
    return over_runs([_run() for _ in range(RUNS)])


def _run() -> Numbers:
    resident_kb, unwanted = {}, 0
    for symbols in SYMBOLS:
        with scratch_folder() as folder:
            config, modules = write_config(folder, symbols, EMA_CROSS, speed=SPEED), folder / "modules.json"
            with ready_daemon(config, modules=modules) as daemon:
                time.sleep(RUNS_FOR_S)
                resident_kb[symbols] = daemon.resident_kb
            unwanted += len(UNWANTED & set(json.loads(modules.read_text())))
    few, some, many = SYMBOLS
    return {
        "ten_symbols_mb": resident_kb[few] / 1024,
        "further_symbol_kb": (resident_kb[many] - resident_kb[few]) / (many - few),
        "from_10_to_110_kb": (resident_kb[some] - resident_kb[few]) / (some - few),
        "from_110_to_510_kb": (resident_kb[many] - resident_kb[some]) / (many - some),
        "ccxt_sklearn_pyarrow_imported": unwanted,
    }


BENCHMARK = Benchmark(
    name="memory",
    unit="mb at ten symbols, kb for each further one",
    target={"ten_symbols_mb": 150, "further_symbol_kb": 60, "ccxt_sklearn_pyarrow_imported": 0},
    measure=measure,
)
