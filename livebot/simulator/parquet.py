"""Candle files: reading one, and refusing it with a sentence that names the file, the row and the mend.

Rules of this file: a file is as it should be or it is refused; nothing is repaired silently.  Missing minutes are no
fault (the venue was down); everything else that is unusual is.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from livebot.core.market import MINUTE_MS
from livebot.core.series import Floats, Times
from livebot.errors import BadInput

PRICES = ("open", "high", "low", "close")
COLUMNS = ("ts_ms", *PRICES, "volume")

_LATEST_SECONDS = 10**11  # as milliseconds this is March 1973
_EARLIEST_MICROSECONDS = 10**14  # as milliseconds this is the year 5138


@dataclass(frozen=True, slots=True, eq=False)
class CandleTable:
    """One file's candles: opening times, and rows open, high, low, close, volume."""

    ts_ms: Times
    values: Floats


def read_candles(path: Path) -> CandleTable:
    """A file's candles, checked.

    Raises:
        BadInput: naming the file, the row (the first is row 1) and the mend.

    """
    table = _load(path)
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise _bad(
            path,
            f"lacks the column(s) {', '.join(missing)}; it has {', '.join(table.column_names) or 'none'}",
            f"name the columns {', '.join(COLUMNS)}",
        )
    if not table.num_rows:
        raise _bad(path, "has no rows", "fetch the candles again, or take the file out of the folder")
    ts_ms = _column(path, table, "ts_ms", "i", "int64, UTC milliseconds of the candle's opening")
    values = np.empty((5, table.num_rows))
    for row, name in enumerate(COLUMNS[1:]):
        values[row] = _column(path, table, name, "fiu", "float64")
    _check_times(path, ts_ms)
    _check_values(path, values)
    return CandleTable(ts_ms.astype(np.int64), values)


def _load(path: Path) -> Any:  # noqa: ANN401 - pyarrow has no types
    # Imported here: pyarrow costs a quarter of a second and 60 MB, which only a replay needs.
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    try:
        file = parquet.ParquetFile(path, memory_map=True)
        wanted = [name for name in file.schema_arrow.names if name in COLUMNS]
        table = file.read(columns=wanted, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise _bad(path, f"is not a whole parquet file ({text})", "fetch or export it again") from error
    if not wanted:
        return file.schema_arrow.empty_table()  # for the names of what it has instead
    return table


def _column(path: Path, table: Any, name: str, kinds: str, wanted: str) -> npt.NDArray[Any]:  # noqa: ANN401
    column = table.column(name)
    if column.null_count:
        row = int(np.flatnonzero(np.asarray(column.is_null()))[0])
        raise _bad(path, f"row {row + 1}: {name} is empty", "drop the row; a missing minute is no fault")
    array: npt.NDArray[Any] = column.to_numpy()
    if array.dtype.kind not in kinds:
        raise _bad(path, f"column {name} has type {column.type}", f"store it as {wanted}")
    return array


def _check_times(path: Path, ts_ms: npt.NDArray[Any]) -> None:
    first = int(ts_ms[0])
    if 0 < first < _LATEST_SECONDS:
        raise _bad(path, f"row 1: ts_ms {first} looks like seconds", "multiply the column by 1000")
    if first > _EARLIEST_MICROSECONDS:
        raise _bad(path, f"row 1: ts_ms {first} looks like micro- or nanoseconds", "divide down to milliseconds")
    _refuse(path, ts_ms % MINUTE_MS != 0, lambda row: f"ts_ms {ts_ms[row]} is not on a minute", "store 1m candles")
    change = np.diff(ts_ms, prepend=first - 1)
    _refuse(
        path,
        change == 0,
        lambda row: f"ts_ms {ts_ms[row]} is there twice",
        "keep one of the two (the final candle)",
    )
    _refuse(
        path,
        change < 0,
        lambda row: f"ts_ms {ts_ms[row]} follows {ts_ms[row - 1]}",
        "sort the rows by ts_ms",
    )


def _check_values(path: Path, values: Floats) -> None:
    for name, column in zip(COLUMNS[1:], values, strict=True):
        _refuse(
            path,
            ~np.isfinite(column),
            lambda row, name=name, column=column: f"{name} is {column[row]}",
            "drop the row; a missing minute is no fault",
        )
        _refuse(
            path,
            column < 0 if name == "volume" else column <= 0,
            lambda row, name=name, column=column: f"{name} is {column[row]}",
            "fetch the candles again, or drop the row",
        )
    begin, high, low, end, _ = values
    outside = (high < np.maximum(begin, end)) | (low > np.minimum(begin, end))
    _refuse(
        path,
        outside,
        lambda row: f"open {begin[row]} and close {end[row]} are not between low {low[row]} and high {high[row]}",
        "check which column is which, or drop the row",
    )


def _refuse(path: Path, wrong: npt.NDArray[np.bool_], what: Any, mend: str) -> None:  # noqa: ANN401
    """Name the first wrong row, if there is one; `what` describes the row of an index."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        more = f" (and {len(rows) - 1} more rows)" if len(rows) > 1 else ""
        raise _bad(path, f"row {rows[0] + 1}: {what(int(rows[0]))}{more}", mend)


def _bad(path: Path, what: str, mend: str) -> BadInput:
    return BadInput(f"{path}: {what}; {mend}")
