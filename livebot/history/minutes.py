"""Longer candles played minute by minute.

Rules of this file: nothing is known before its candle has closed: all minutes of a candle but its last stand still at
its open, and the last one holds the whole candle.  So the candles built from these minutes are the same to the last bit.
"""

import re
from pathlib import Path

import numpy as np

from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.series import CandleSeries, Floats

_NAMED = re.compile(r"(?:.*_)?([0-9]+[mhd])")


def named_timeframe(folder: Path) -> Timeframe | None:
    """What a folder such as `1h` or `spot_1h` says that its files hold; None if its name says nothing."""
    named = _NAMED.fullmatch(folder.name)
    return next((each for each in Timeframe if named is not None and each.value == named[1]), None)


def as_minutes(candles: CandleSeries, timeframe: Timeframe) -> CandleSeries:
    """The minutes of candles of this timeframe; those of one minute are given back as they are."""
    count = timeframe.ms // MINUTE_MS
    if count == 1:
        return candles
    last = slice(count - 1, None, count)
    offsets = np.tile(np.arange(count, dtype=np.int64) * MINUTE_MS, len(candles))
    opens = np.repeat(candles.open, count)
    volume = np.zeros(len(opens))
    volume[last] = candles.volume

    def with_last(values: Floats) -> Floats:
        column = opens.copy()
        column[last] = values
        return column

    return CandleSeries(
        ts_ms=np.repeat(candles.ts_ms, count) + offsets,
        open=opens,
        high=with_last(candles.high),
        low=with_last(candles.low),
        close=with_last(candles.close),
        volume=volume,
    )
