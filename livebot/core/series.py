"""Many closed candles as arrays: one float64 array per column, as features and histories want them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CandleSeries:
    """Closed candles, oldest first, no gap; all arrays have the same length."""

    ts_ms: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        """How many candles."""
        return len(self.ts_ms)

    def part(self, start: int, stop: int) -> "CandleSeries":
        """Candles from index `start` up to, not including, `stop`; without copying."""
        return CandleSeries(
            ts_ms=self.ts_ms[start:stop],
            open=self.open[start:stop],
            high=self.high[start:stop],
            low=self.low[start:stop],
            close=self.close[start:stop],
            volume=self.volume[start:stop],
        )
