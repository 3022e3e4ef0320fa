"""What makes a column of candles unfit: the first row at fault, what is wrong with it, and the mend.

Rules of this file: pure, numpy only; rows are counted from 0 here and told from 1; nothing is repaired; a missing candle
is no fault (the venue was down).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from livebot.core.market import Timeframe
from livebot.core.series import Floats
from livebot.errors import BadInput
from livebot.history.table import VALUES, CandleTable

LATEST_SECONDS = 10**11  # as milliseconds this is March 1973
EARLIEST_MICROSECONDS = 10**14  # as milliseconds this is the year 5138
TELLING_ROWS = 10  # so many, all of them on the grid of a longer timeframe, are of that one

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Fault:
    """One kind of fault: the rows that have it, and what to say of a row."""

    kind: str
    rows: npt.NDArray[np.intp]
    what: Callable[[int], str]
    mend: str

    @property
    def text(self) -> str:
        """The first row, what is wrong with it, and how many more there are."""
        more = f" (and {len(self.rows) - 1} more rows)" if len(self.rows) > 1 and self.kind != "unit" else ""
        return f"row {self.rows[0] + 1}: {self.what(int(self.rows[0]))}{more}"


def require_sound(path: Path, table: CandleTable, timeframe: Timeframe) -> None:
    """Raises BadInput: naming the file, the first row at fault (the first row is 1) and the mend."""
    require_no_fault(path, time_faults(table.ts_ms, timeframe))
    require_no_fault(path, value_faults(table.values))


def require_no_fault(path: Path, faults: Iterator[Fault]) -> None:
    """Raises BadInput: the first fault there is, as a sentence."""
    fault = next(faults, None)
    if fault is not None:
        raise bad_file(path, fault.text, fault.mend)


def bad_file(path: Path, what: str, mend: str) -> BadInput:
    """A refusal of a file."""
    return BadInput(f"{path}: {what}; {mend}")


def time_faults(ts_ms: npt.NDArray[Any], timeframe: Timeframe) -> Iterator[Fault]:
    """What is wrong with opening times, the cause before its consequences."""
    yield from _found("unit", (ts_ms > 0) & (ts_ms < LATEST_SECONDS), *_seconds(ts_ms))
    yield from _found("unit", ts_ms > EARLIEST_MICROSECONDS, *_microseconds(ts_ms))
    off = ts_ms % timeframe.ms != 0
    mend = "mend its time, or drop the row" if 2 * np.count_nonzero(off) < len(off) else _store(timeframe)
    yield from _found("grid", off, lambda row: _off_grid(int(ts_ms[row]), timeframe), mend)
    change = np.diff(ts_ms, prepend=ts_ms[:1] - 1)
    yield from _found(
        "duplicate",
        change == 0,
        lambda row: f"ts_ms {ts_ms[row]} is there twice",
        "keep one of the two (the final candle)",
    )
    yield from _found(
        "order", change < 0, lambda row: f"ts_ms {ts_ms[row]} follows {ts_ms[row - 1]}", "sort the rows by ts_ms"
    )


def value_faults(values: Floats) -> Iterator[Fault]:
    """What is wrong with prices and volumes (5 x candles)."""
    for name, column in zip(VALUES, values, strict=True):
        yield from _found(
            "number",
            ~np.isfinite(column),
            lambda row, name=name, column=column: f"{name} is {column[row]}",
            "drop the row; a missing minute is no fault",
        )
        yield from _found(
            "zero",
            column < 0 if name == "volume" else column <= 0,
            lambda row, name=name, column=column: f"{name} is {column[row]}",
            "fetch the candles again, or drop the row",
        )
    begin, high, low, end, _ = values
    yield from _found(
        "outside",
        (high < np.maximum(begin, end)) | (low > np.minimum(begin, end)),
        lambda row: f"open {begin[row]} and close {end[row]} are not between low {low[row]} and high {high[row]}",
        "check which column is which, or drop the row",
    )


def _found(kind: str, wrong: Mask, what: Callable[..., str], mend: str) -> Iterator[Fault]:
    rows = np.flatnonzero(wrong)
    if len(rows):
        yield Fault(kind, rows, what, mend)


def _seconds(ts_ms: npt.NDArray[Any]) -> tuple[Callable[[int], str], str]:
    return lambda row: f"ts_ms {ts_ms[row]} looks like seconds", "multiply the column by 1000"


def _microseconds(ts_ms: npt.NDArray[Any]) -> tuple[Callable[[int], str], str]:
    return lambda row: f"ts_ms {ts_ms[row]} looks like micro- or nanoseconds", "divide down to milliseconds"


def _off_grid(ts_ms: int, timeframe: Timeframe) -> str:
    return f"ts_ms {ts_ms} is not on a {'minute' if timeframe is Timeframe.M1 else f'whole {timeframe.value} of UTC'}"


def _store(timeframe: Timeframe) -> str:
    return f"store {timeframe.value} candles"


def spacing_faults(ts_ms: npt.NDArray[Any], timeframe: Timeframe) -> Iterator[Fault]:
    """Rows that are of a longer timeframe throughout, by their times; for files that do not say what they hold."""
    steps = np.abs(np.diff(ts_ms))
    steps = steps[steps > 0]
    if len(steps) < TELLING_ROWS or int(steps.min()) <= timeframe.ms:
        return
    longer = [each for each in Timeframe if timeframe.ms < each.ms <= int(steps.min()) and not (ts_ms % each.ms).any()]
    if longer:
        yield Fault(
            "timeframe",
            np.array([1]),
            lambda _: f"by their times these are {longer[-1].value} candles, and {timeframe.value} ones are wanted",
            f"{_store(timeframe)}, or name the file by its own timeframe",
        )
