"""From a strategy's decision to the order request at the venue, the intent durable before it leaves.

A live daemon over stock ccxt and TLS, the local Bybit in another process.  What counts is one order at a time; ten on one
candle are told beside it, and so is the time until the request was given to the socket: what the exchange takes to read
it is not the daemon's.  Each entry is followed by a target, its cancellation and an exit, and Bybit takes ten orders a
second: more than two entries a second would measure its limit.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.configs import write_live_config
from tests.benchmarks.frame import CHILD_S, Benchmark, Measured, Numbers, ask_child, over_runs, quantile, scratch_folder
from tests.benchmarks.local_venue import KEYS, served

RUNS = 1
SYMBOLS = 10
SPEED = 120.0  # a minute of the market lasts half a second
FORERUN = 10  # orders that are not counted: everything has to have been used once
SINGLY_S, AT_ONCE_S = 120.0, 90.0
SAVES, SAVE_EVERY_S = 50, 0.05
SHARES = (0.5, 0.99)
# what lies between two notes
PARTS: Mapping[str, tuple[str, str]] = {
    "deciding": ("decided", "saving"),
    "saving": ("saving", "durable"),
    "releasing": ("durable", "submitted"),
    "signing": ("submitted", "signed"),
    "sending": ("signed", "sent"),
    "arriving": ("sent", "arrived"),
}

Notes = Mapping[str, Mapping[str, int]]


def measure() -> Measured:
    """One at a time, then ten at once."""
    return over_runs([_run() for _ in range(RUNS)])


def _run() -> Numbers:
    singly, at_once = one_run("OneAtATime", SINGLY_S), one_run("TenAtOnce", AT_ONCE_S)
    return singly | {f"burst_{name}": at_once[name] for name in ("p50_ms", "p99_ms", "orders")}


def one_run(strategy: str, seconds: float) -> dict[str, float]:
    """A daemon for so long; what `numbers_of` makes of it."""
    how = {"class": f"tests.benchmarks.strategies:{strategy}", "params": {"timeframe": "1m"}}
    with scratch_folder() as folder:
        with served(folder, SYMBOLS, speed=SPEED) as loopback:
            config = write_live_config(folder, SYMBOLS, how, loopback)
            told = (str(config), str(seconds))
            notes = ask_child("tests.benchmarks.wire", folder, *told, environ=KEYS, lasts_s=seconds + CHILD_S)
        arrivals = json.loads((folder / "arrivals.json").read_text())["arrivals"]
        bare = bare_saves(folder / "bare")
    numbers = numbers_of(
        {name: {**made, "arrived": arrivals[name]} for name, made in notes.items() if name in arrivals}
    )
    return numbers | {"bare_save_p50_ms": quantile(bare, 0.5), "bare_save_p99_ms": quantile(bare, 0.99)}


def bare_saves(folder: Path) -> list[float]:
    """Milliseconds that a file of two kilobytes, written as a state is, takes without any of our code."""
    folder.mkdir()
    took = []
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(SAVES):
        began = time.perf_counter()
        with (folder / "state.scratch").open("wb") as file:
            file.write(bytes(2048))
            file.flush()
            os.fsync(file.fileno())
        (folder / "state.scratch").rename(folder / "state.json")
        os.fsync(descriptor)
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(SAVE_EVERY_S)
    os.close(descriptor)
    return took


def numbers_of(notes: Notes) -> dict[str, float]:
    """`p50_ms` and `p99_ms` from decision to arrival, `out_...` to the socket, each part of the way, all but the disk.

    Raises:
        RuntimeError: too few orders arrived to say anything.

    """
    # What followed from an entry was not decided.  That a request is out is noted a turn of the loop later.
    entries = [
        {**made, "sent": min(made["sent"], made["arrived"])}
        for made in notes.values()
        if "decided" in made and "arrived" in made
    ]
    ways = sorted(entries, key=lambda made: made["decided"])[FORERUN:]
    if len(ways) < FORERUN:
        raise RuntimeError(f"only {len(entries)} entries arrived")
    whole = [_ms(made, "decided", "arrived") for made in ways]
    beside = [_ms(made, "decided", "arrived") - _ms(made, "saving", "durable") for made in ways]
    out = [_ms(made, "decided", "sent") for made in ways]
    columns = {"": whole, "out_": out, "but_saving_": beside}
    columns |= {f"{part}_": [_ms(made, *ends) for made in ways] for part, ends in PARTS.items()}
    quantiles = {
        f"{name}p{round(share * 100)}_ms": quantile(took, share) for name, took in columns.items() for share in SHARES
    }
    return {**quantiles, "orders": float(len(ways))}


def _ms(made: Mapping[str, int], begin: str, end: str) -> float:
    return (made[end] - made[begin]) / 1e6


BENCHMARK = Benchmark(
    name="order_wire",
    unit="ms",
    target={"p50_ms": 4, "p99_ms": 20},
    measure=measure,
)
