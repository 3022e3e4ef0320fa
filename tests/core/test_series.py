"""Series of candles."""

import numpy as np

from livebot.core.series import CandleSeries


def test_a_part_of_a_series_shares_its_arrays():
    ramp = np.arange(10.0)
    series = CandleSeries(ts_ms=np.arange(10), open=ramp, high=ramp, low=ramp, close=ramp, volume=ramp)
    part = series.part(3, 7)
    assert len(series) == 10
    assert len(part) == 4
    assert part.ts_ms.tolist() == part.volume.tolist() == [3, 4, 5, 6]
    assert all(np.shares_memory(getattr(part, column), ramp) for column in ("open", "high", "low", "close", "volume"))
