"""The batch engine: features over whole arrays of candles.

Rules of this file: no loop over candles; `compute` keeps its meaning, the backtest and its caches are built on it.
"""

from collections.abc import Sequence

import numpy as np

from livebot.core.series import CandleSeries, Floats
from livebot.features.declaration import COLUMNS, Feature
from livebot.features.plan import compute_plan, make_plan


def compute(features: Sequence[Feature], candles: CandleSeries) -> dict[str, Floats]:
    """Each feature by name, one value per candle, NaN where a window is not full yet.

    Bitwise what the live engine gives if its candles start at the same one.  Values before a feature's warm-up are
    there but have not settled: nobody decides before `Strategy.warmup` candles.  Columns are float64 of the length of
    the candles; features that share a stage or an output share its array.

    Raises:
        ValueError: two features have the same name, or one is made of other symbols' candles (see `own_features` in
            `declaration`, and `context`).

    """
    plan = make_plan(features)
    columns = [np.ascontiguousarray(getattr(candles, column), np.float64) for column in COLUMNS]
    registers = compute_plan(plan, columns, candles.ts_ms)
    return {name: registers[register] for name, register in zip(plan.names, plan.registers, strict=True)}
