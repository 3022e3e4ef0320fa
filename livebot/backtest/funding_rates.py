"""Funding rates from a parquet file: one row a payment, columns ts_ms (UTC) and rate (0.0001 is 0.01 % of the notional).

Rules of this file: what cannot be true is refused, with the file and the mend.
"""

from pathlib import Path

import numpy as np

from livebot.backtest.plan import FundingRates
from livebot.errors import BadInput


def read_rates(path: Path) -> FundingRates:
    """Raises BadInput: it cannot be read, or its times do not rise."""
    from pyarrow import ArrowException, parquet  # noqa: PLC0415 - heavy, and few runs need it

    try:
        table = parquet.read_table(path, columns=["ts_ms", "rate"])
        ts_ms = table.column("ts_ms").to_numpy().astype(np.int64)
        rate = table.column("rate").to_numpy().astype(np.float64)
    except (OSError, ArrowException, ValueError, KeyError) as error:
        raise BadInput(f"{path}: no funding rates can be read ({error}); it needs columns ts_ms and rate") from error
    if (np.diff(ts_ms) <= 0).any() or not np.isfinite(rate).all():
        raise BadInput(f"{path}: ts_ms must rise and every rate be a number; export the file again")
    return FundingRates(ts_ms=ts_ms, rate=rate)
