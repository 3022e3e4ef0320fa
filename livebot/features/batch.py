"""The batch engine: features over whole arrays of candles."""

from collections.abc import Sequence

import numpy as np

from livebot.core.series import CandleSeries, Floats
from livebot.features.declaration import COLUMNS, Feature
from livebot.features.plan import compute_plan, make_plan


def compute(features: Sequence[Feature], candles: CandleSeries) -> dict[str, Floats]:
    """Each feature by name, one value per candle, NaN where a window is not full yet.

    Bitwise what the live engine gives if its candles start at the same one.  Values before a feature's warm-up are
    there but have not settled.

    Raises:
        ValueError: two features have the same name.

    """
    plan = make_plan(features)
    columns = [np.ascontiguousarray(getattr(candles, column), np.float64) for column in COLUMNS]
    registers = compute_plan(plan, columns)
    return {name: registers[register] for name, register in zip(plan.names, plan.registers, strict=True)}
