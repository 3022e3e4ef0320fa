"""What is wrong, or only worth a look, in the candles of one file.

Rules of this file: pure, numpy only; nothing is repaired; a finding that would change a backtest is an error, one that
may be the market itself (a real crash, a quiet coin) is a note.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from livebot.core.market import Timeframe
from livebot.core.series import Floats
from livebot.history.soundness import Fault, spacing_faults, time_faults, value_faults
from livebot.history.table import CandleTable, last_of_each

STALE_CANDLES = 5  # so many alike in a row, with trades in them, are one candle that was stored again and again
MEASURE_CANDLES = 500  # a jump is measured against so many changes before it
LEAST_MEASURED = 50
JUMP_RATIO = 30.0  # times the mean change before it ...
JUMP_CHANGE = 0.03  # ... and at least so much of the price


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of thing in one file: how many rows have it, the first of them (from 1) and its time.

    `error`: it would change a backtest.  `text` and `mend` are for people.
    """

    kind: str
    error: bool
    count: int
    row: int
    ts_ms: int
    text: str
    mend: str


def findings(table: CandleTable, timeframe: Timeframe, now_ms: int, *, told: bool = False) -> tuple[Finding, ...]:
    """Everything but gaps, which need the other symbols: see `coverage`.

    `told`: the file itself says which timeframe it holds.
    """
    spacing = () if told else spacing_faults(table.ts_ms, timeframe)
    times = [_of_fault(fault, table) for fault in (*spacing, *time_faults(table.ts_ms, timeframe))]
    values = [_of_fault(fault, table) for fault in value_faults(table.values)]
    found = [*times, *values, *_unfinished(table, timeframe, now_ms), *_stale(table)]
    if not times and not values:
        found += _jumps(table)
    return tuple(found)


def in_order(table: CandleTable) -> CandleTable:
    """Sorted and without repeats, so that gaps can be found in a faulty file too."""
    return table if (np.diff(table.ts_ms) > 0).all() else last_of_each(table)


def _of_fault(fault: Fault, table: CandleTable) -> Finding:
    row = int(fault.rows[0])
    return Finding(fault.kind, True, len(fault.rows), row + 1, int(table.ts_ms[row]), fault.text, fault.mend)


def _unfinished(table: CandleTable, timeframe: Timeframe, now_ms: int) -> Iterator[Finding]:
    rows = np.flatnonzero(table.ts_ms + timeframe.ms > now_ms)
    if len(rows):
        row = int(rows[0])
        text = f"row {row + 1}: the candle of {table.ts_ms[row]} had not closed when it was stored"
        mend = "drop the row; data fetch and data import never store such a candle"
        yield Finding("unfinished", True, len(rows), row + 1, int(table.ts_ms[row]), text, mend)


def _stale(table: CandleTable) -> Iterator[Finding]:
    values = table.values
    if values.shape[1] < STALE_CANDLES:
        return
    moved = (values[1] != values[2]) | (values[4] > 0)  # a candle without trades may well be like the one before
    alike = (values[:, 1:] == values[:, :-1]).all(axis=0) & moved[1:]
    starts, lengths = runs_of(alike)
    long = lengths + 1 >= STALE_CANDLES
    if not long.any():
        return
    row, length = int(starts[long][0]), int(lengths[long][0]) + 1
    text = f"row {row + 1}: the same candle stands there {length} times in a row, volume {values[4, row]:g} included"
    mend = "fetch that time again (data fetch --again): a feed that stood still was recorded"
    yield Finding("stale", True, int((lengths[long] + 1).sum()), row + 1, int(table.ts_ms[row]), text, mend)


def _jumps(table: CandleTable) -> Iterator[Finding]:
    rows, ratios, changes = jumps_in(table.values[3])
    if len(rows):
        worst = int(np.argmax(ratios))
        row = int(rows[worst])
        text = (
            f"row {row + 1}: the close moves by {changes[worst]:+.1%}, {ratios[worst]:.0f} times the usual change "
            f"of the {MEASURE_CANDLES} candles before"
        )
        mend = "compare it with another venue; crashes are real, a single wrong trade is not"
        yield Finding("jump", False, len(rows), row + 1, int(table.ts_ms[row]), text, mend)


def jumps_in(close: Floats) -> tuple[npt.NDArray[np.intp], Floats, Floats]:
    """Candles whose close jumps: their rows, the ratio to the mean change before, and the change as a ratio of the price.

    `close` must be above 0.
    """
    change = np.diff(np.log(close))
    total = np.concatenate([[0.0], np.cumsum(np.abs(change))])
    ends = np.arange(len(change))
    begins = np.maximum(ends - MEASURE_CANDLES, 0)
    measured = ends - begins
    usual = (total[ends] - total[begins]) / np.maximum(measured, 1)
    ratio = np.abs(change) / np.maximum(usual, np.finfo(np.float64).tiny)
    wrong = (measured >= LEAST_MEASURED) & (usual > 0) & (ratio > JUMP_RATIO) & (np.abs(change) > JUMP_CHANGE)
    rows = np.flatnonzero(wrong)
    return rows + 1, ratio[rows], np.expm1(change[rows])


def runs_of(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Starts and lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return edges[::2], edges[1::2] - edges[::2]
