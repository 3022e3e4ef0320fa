"""A live daemon that is told a thousand messages a second, and whether its memory grows.

Four of five messages are candles in the making of a hundred symbols, which also trade; the others are of the account's private
streams, about a symbol that is not traded, each with ids that were never seen before.  LIVEBOT_SOAK_MINUTES says how long
(2 by default; caches have filled and what can be told of growth is firm after 30).

What fills a bounded cache is no growth, so those that would take an hour to fill are small here: the events that are kept for
clients of the control API (5,000 by default, which are about 8 MB), and the orders that the adapter remembers.

Rules of this file: growth is that of the second half, from the median of its first fifth to that of its last, so that what is
loaded, compiled or filled once does not count, and neither does a peak.  What is allowed is a megabyte, which after 30 minutes
is one in twelve; of a short run `mb_per_10_minutes` is mostly what trickles into place.
"""

import os
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from tests.benchmarks.configs import write_live_config
from tests.benchmarks.frame import CHILD_S, Benchmark, Measured, Numbers, ask_child, over_runs, scratch_folder
from tests.benchmarks.local_venue import KEYS, served

VARIABLE = "LIVEBOT_SOAK_MINUTES"
MINUTES = 2.0
SYMBOLS = 100
EACH_SECOND = 1000
SPEED = 60.0  # so that signals come and go
STRATEGY = {"class": "tests.benchmarks.strategies:OneAtATime", "params": {"timeframe": "1m"}}
EVENTS_KEPT = 200
FEWEST = 10  # samples

Sample = Mapping[str, Any]


def measure() -> Measured:
    """Once."""
    return over_runs([one_run(float(os.environ.get(VARIABLE, MINUTES)))])


def one_run(minutes: float) -> Numbers:
    """A daemon for so long."""
    seconds = minutes * 60
    with scratch_folder() as folder, served(folder, SYMBOLS, speed=SPEED, each_second=EACH_SECOND) as loopback:
        config = write_live_config(folder, SYMBOLS, STRATEGY, loopback, control={"events_kept": EVENTS_KEPT})
        answer = ask_child(
            "tests.benchmarks.soak_process",
            folder,
            str(config),
            str(seconds),
            environ=KEYS,
            lasts_s=seconds + CHILD_S,
        )
    return numbers_of(answer["samples"], minutes) | {"signals_closed": answer["signals_closed"]}


def numbers_of(samples: Sequence[Sample], minutes: float) -> Numbers:
    """Growth of the second half, in megabytes and objects, and how many caches were above their bounds.

    Raises:
        RuntimeError: too few samples to say anything.

    """
    if len(samples) < FEWEST:
        raise RuntimeError(f"only {len(samples)} samples were taken")
    early, late = _fifths(samples[len(samples) // 2 :])
    passed_s = late[-1]["at_s"] - early[0]["at_s"]
    grown_mb = _median(late, "resident_mb") - _median(early, "resident_mb")
    return {
        "minutes": minutes,
        "messages_per_s": (late[-1]["heard"] - early[0]["heard"]) / passed_s,
        "ready_mb": samples[0]["resident_mb"],
        "halfway_mb": _median(early, "resident_mb"),
        "end_mb": _median(late, "resident_mb"),
        "grown_mb": max(grown_mb, 0.0),
        "mb_per_10_minutes": grown_mb * 600 / passed_s,
        "grown_objects": max(_median(late, "objects") - _median(early, "objects"), 0.0),
        "grown_blocks": _median(late, "blocks") - _median(early, "blocks"),
        "caches_above_bound": max(len(sample["above"]) for sample in samples),
        "largest_cache": max(sample["largest"] for sample in samples),
    }


def _fifths(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    share = max(len(samples) // 5, 1)
    return samples[:share], samples[-share:]


def _median(samples: Sequence[Sample], name: str) -> float:
    return float(median(sample[name] for sample in samples))


BENCHMARK = Benchmark(
    name="soak",
    unit="mb of resident memory gained in the second half",
    target={"grown_mb": 1, "caches_above_bound": 0},
    measure=measure,
)
