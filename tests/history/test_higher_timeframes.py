"""Hours that are built from closed minutes are the venue's own hours: real candles of both, the same symbol and time.

Prices are equal to the bit.  Volumes are equal to the venue's last digit, not to the bit: a venue adds its trades as
decimals and rounds once, and adding sixty floats of one decimal fraction each rounds sixty times (at most 9e-16 of the
volume in these files).  Where the lot is a whole number (ADA, DOGE) float addition is exact, and volumes are bitwise equal too.
"""

from pathlib import Path

import numpy as np
import pytest

from livebot.core.market import MINUTE_MS, Timeframe
from livebot.features.timeframes import aggregate
from livebot.history.candle_file import read_candles
from livebot.history.spans import present

REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
LEAST_HOURS = 700
LOT_DECIMALS = {"BTC": 3, "ETH": 3, "LTC": 3, "SOL": 2, "LINK": 2, "XRP": 1, "ADA": 0, "DOGE": 0}
ROUNDING = 1e-15  # of the volume


@pytest.mark.parametrize("base", sorted(LOT_DECIMALS))
def test_hours_of_minutes_are_the_venues_hours(base):
    minutes, hours = REAL / "perp_1m" / f"{base}USDT.parquet", REAL / "perp_1h" / f"{base}USDT.parquet"
    if not (minutes.is_file() and hours.is_file()):
        pytest.skip(f"real candles of {base} are not here: {minutes} and {hours}")
    held = read_candles(minutes)
    assert len(present(held.ts_ms, MINUTE_MS)) == 1
    built = aggregate(held.series(), Timeframe.H1)
    table = read_candles(hours, Timeframe.H1).between(int(built.ts_ms[0]), int(built.ts_ms[-1]) + Timeframe.H1.ms)
    theirs = table.series()
    shared = np.isin(built.ts_ms, theirs.ts_ms)
    assert shared.sum() >= LEAST_HOURS
    assert np.array_equal(built.ts_ms[shared], theirs.ts_ms)
    for column in ("open", "high", "low", "close"):
        assert np.array_equal(getattr(built, column)[shared], getattr(theirs, column)), column
    volume, decimals = built.volume[shared], LOT_DECIMALS[base]
    assert np.array_equal(np.round(volume, decimals), np.round(theirs.volume, decimals))
    assert (np.abs(volume - theirs.volume) <= ROUNDING * theirs.volume).all()
    if decimals == 0:
        assert np.array_equal(volume, theirs.volume)
