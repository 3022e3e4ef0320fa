"""`python -m tests.simulation --seeds N --start M`: run seeds; 1 if an invariant does not hold."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext

from tests.simulation.run import Outcome, quiet_logs, run_seed, text_of
from tests.simulation.sabotage import SABOTAGES

PROGRESS_S = 15.0
SHOWN = 20


def _tell(outcome: Outcome) -> None:
    print(f"seed {outcome.seed}: {outcome.violation} (at {outcome.at_s:.3f} s)")
    for line in outcome.events:
        print(f"  {line[:400]}")
    print(f"  again: make simulate SEEDS=1 START={outcome.seed}")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--start", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--all", action="store_true", help="show every event of each run")
    parser.add_argument("--go-on", action="store_true", help="go on after a failure")
    parser.add_argument("--sabotage", choices=sorted(SABOTAGES), help="leave out what the daemon must not leave out")
    options = parser.parse_args(argv)
    with SABOTAGES[options.sabotage]() if options.sabotage else nullcontext():
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    began = told = time.perf_counter()
    counts: Counter[str] = Counter()
    failed: list[int] = []
    longest, ran = 0.0, 0
    for seed in range(options.start, options.start + options.seeds):
        outcome = run_seed(seed)
        ran += 1
        counts.update(outcome.counts)
        longest = max(longest, outcome.longest_naked_s)
        for event in outcome.world.events if options.all else ():
            print(text_of(event))
        if outcome.violation is not None:
            failed.append(seed)
            _tell(outcome)
            if not options.go_on:
                break
        if time.perf_counter() - told > PROGRESS_S:
            told = time.perf_counter()
            sys.stderr.write(
                f"{ran} of {options.seeds} seeds, {len(failed)} failed, {ran / (told - began):.1f} a second\n"
            )
    took = time.perf_counter() - began
    print(f"{ran} seeds, {len(failed)} failed in {took:.1f} s, {ran / took:.1f} a second")
    print(
        f"longest without a stop: {longest:.1f} s;",
        ", ".join(f"{name} {count}" for name, count in sorted(counts.items())),
    )
    return 1 if failed else 0


if __name__ == "__main__":
    quiet_logs(for_good=True)
    sys.exit(main(sys.argv[1:]))
