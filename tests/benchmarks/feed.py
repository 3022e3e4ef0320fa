"""Five hundred candle streams over stock ccxt, TLS and a loopback WebSocket.

What the process with the feed costs, how late its loop is, and how long it takes until every symbol has been heard of
after a connection and after all streams were reset.  `history_lag` is the loop's lag while a hundred histories of 600
candles are fetched beside the streams.
"""

from tests.benchmarks.frame import Benchmark, Measured, Numbers, ask_child, over_runs, scratch_folder

RUNS = 3


def measure() -> Measured:
    """The feed in a child process, and the venue in another."""
    return over_runs([_run() for _ in range(RUNS)])


def _run() -> Numbers:
    with scratch_folder() as folder:
        return ask_child("tests.benchmarks.feed_process", folder)


BENCHMARK = Benchmark(
    name="feed",
    unit="as each name ends",
    target={
        "core_percent": 20,
        "loop_lag_p99_ms": 15,
        "subscribed_s": 3,
        "subscribed_again_s": 3,
    },
    measure=measure,
)
