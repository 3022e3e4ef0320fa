"""`python -m tests.sequences --count N --start M`: run sequences; 1 if a limit is exceeded in one.

10^6 take about an hour and a half of a core: `--jobs` uses several.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence as Several
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.sequences.asking import Outcome
from tests.sequences.run import Sequence
from tests.simulation.run import quiet_logs

PORTION = 500
PROGRESS_S = 15.0


def run_portion(count: int, start: int) -> tuple[Counter[str], str | None, float]:
    """So many from this seed on: what happened, what was wrong first, and the CPU seconds that it took."""
    quiet_logs()
    outcome, began, wrong = Outcome(), time.process_time(), None
    for seed in range(start, start + count):
        try:
            Sequence(seed, outcome).run()
        except AssertionError as error:
            wrong = str(error)
            break
    return outcome.counts, wrong, time.process_time() - began


def main(argv: Several[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sequences", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--start", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes (default 1)")
    options = parser.parse_args(argv)
    starts = range(options.start, options.start + options.count, PORTION)
    counts: Counter[str] = Counter()
    took_s, failed, ran, told = 0.0, 0, 0, time.perf_counter()
    with ProcessPoolExecutor(options.jobs) as pool:
        for done, wrong, cpu_s in pool.map(partial(run_portion, min(PORTION, options.count)), starts):
            counts.update(done)
            took_s += cpu_s
            ran += min(PORTION, options.count)
            if time.perf_counter() - told > PROGRESS_S:
                told = time.perf_counter()
                sys.stderr.write(
                    f"{ran} of {options.count} sequences, {failed} portions failed, {ran / took_s:.0f} a CPU second\n"
                )
            if wrong is not None:
                failed += 1
                print(wrong)
    print(f"{ran} sequences, {failed} portions failed, {took_s:.1f} CPU s; verdicts:")
    print(", ".join(f"{code} {count}" for code, count in counts.most_common()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
