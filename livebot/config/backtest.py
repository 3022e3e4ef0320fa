"""The `backtest` section: what a backtest assumes beside the simulated venue's account and fees.

Rules of this file: without it a backtest gives what the daemon on the simulator gives.
"""

from livebot.config.section import Section
from livebot.config.values import CountOrZero, Milliseconds, PathText


class BacktestConfig(Section):
    """How `livebot backtest` runs.

    A market order arrives `latency_ms` late (below a minute), at a price that has moved against it by that share of the
    candle's range; `funding` is a folder of funding rates, one parquet file a symbol with columns ts_ms and rate; at most
    `cache_megabytes` of computed features are kept for the next run (0: none).
    """

    latency_ms: Milliseconds = 0
    funding: PathText | None = None
    cache_megabytes: CountOrZero = 2_000
