"""`python -m tests.benchmarks [NAME ...]`: measure, and print one JSON object a line.

The exit code says whether everything could be measured, not whether it was fast enough: that is `met` in each line.  What
needs something that is not here (real candles, say) is left out by name.
"""

import sys
from collections.abc import Sequence

from tests.benchmarks import (
    admit,
    backtest,
    candle_to_decision,
    clusters,
    dataset,
    drift,
    features,
    feed,
    flatten,
    halt,
    memory,
    model_closes,
    opening_burst,
    order_wire,
    ranked_round,
    rehearsal,
    scrape,
    serving,
    simulation,
    soak,
    start,
    start_with_files,
    step,
    training,
)
from tests.benchmarks.frame import Benchmark, NotHere, line_of, machine

ALL: tuple[Benchmark, ...] = (
    step.BENCHMARK,
    backtest.BENCHMARK,
    dataset.BENCHMARK,
    drift.BENCHMARK,
    admit.BENCHMARK,
    ranked_round.BENCHMARK,
    clusters.BENCHMARK,
    candle_to_decision.BENCHMARK,
    opening_burst.BENCHMARK,
    features.BENCHMARK,
    feed.BENCHMARK,
    order_wire.BENCHMARK,
    memory.BENCHMARK,
    start.BENCHMARK,
    start_with_files.BENCHMARK,
    simulation.BENCHMARK,
    rehearsal.BENCHMARK,
    halt.BENCHMARK,
    scrape.BENCHMARK,
    serving.BENCHMARK,
    model_closes.BENCHMARK,
    flatten.BENCHMARK,
    training.BENCHMARK,
    soak.BENCHMARK,
)
EXIT_USAGE = 2


def main(names: Sequence[str]) -> int:
    """0 if all were measured, 1 if one could not be, 2 for a name that there is not."""
    known = {benchmark.name: benchmark for benchmark in ALL}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.stderr.write(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}\n")
        return EXIT_USAGE
    failed = 0
    for name in names or known:
        try:
            line = line_of(known[name], known[name].measure(), machine())
        except NotHere as error:
            sys.stderr.write(f"{name}: left out, {error}\n")
        except Exception as error:
            failed += 1
            sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")
        else:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
