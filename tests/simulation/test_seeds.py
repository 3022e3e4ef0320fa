"""The daemon lives through its worst days: no invariant is broken, and the same seed is the same run, bit by bit."""

import os
import subprocess
import sys
from collections import Counter

import pytest

from livebot.core.leaving import DUST
from tests.benchmarks.frame import CHECKOUT
from tests.simulation.__main__ import main
from tests.simulation.run import hash_of, run_seed

TESTS, EACH = 12, 25
SEEDS = [range(first, first + EACH) for first in range(1, TESTS * EACH, EACH)]

pytestmark = pytest.mark.timeout(600)  # a shared machine may be many times slower than a core of one's own


@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
@pytest.mark.untraced
def test_every_invariant_holds(seeds):
    """Crashes, full disks, a bad network, operators; every seed replays with `make simulate SEEDS=1 START=<seed>`."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        outcome = run_seed(seed)
        assert outcome.violation is None, f"make simulate SEEDS=1 START={seed}: {outcome.violation}"
        counts.update(outcome.counts)
    # a simulation in which little happens would show little
    assert counts["closed"] > 10 * EACH
    assert counts["crash"] > EACH
    assert counts["rests"] > EACH
    assert counts["command"] > 0
    assert min(counts[f"network {what}"] for what in ("lost", "late", "doubled", "swapped", "refused", "hidden")) > 0


def test_what_is_too_little_for_the_venue_is_left_there_and_every_invariant_holds():
    """A stop and an exit raced an entry that filled in two parts, and a lot is left."""
    outcome = run_seed(804_717)
    assert outcome.violation is None
    assert DUST in [getattr(event[-1], "code", None) for event in outcome.world.events]


@pytest.mark.untraced
def test_the_same_seed_is_the_same_run_whatever_the_hashes_of_texts():
    """Three runs of two seeds; two of them in processes of their own."""
    seeds = (3, 8)
    here = [hash_of(run_seed(seed).world) for seed in seeds]
    assert len(set(here)) == len(seeds)
    text = "import sys; from tests.simulation.run import *; quiet_logs(); print(*(hash_of(run_seed(s).world) for s in (3, 8)))"
    for number in ("1", "2"):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        environment["PYTHONHASHSEED"] = number
        made = subprocess.run(
            [sys.executable, "-c", text],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        assert made.stdout.split() == here


@pytest.mark.untraced
def test_a_failing_seed_is_told_with_what_happened_and_how_to_replay_it(capsys):
    """And the exit code says so."""
    assert main(["--seeds", "3", "--start", "1", "--sabotage", "no_write_ahead"]) == 1
    told = capsys.readouterr().out
    assert "seed 1: I1: the venue has taken" in told
    assert "again: make simulate SEEDS=1 START=1" in told
    assert "submit" in told
    assert main(["--seeds", "1", "--start", "1"]) == 0
    assert "1 seeds, 0 failed in" in capsys.readouterr().out
