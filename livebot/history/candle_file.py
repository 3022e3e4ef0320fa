"""Candle files: reading one, and refusing it with a sentence that names the file, the row and the mend; writing one.

Rules of this file: a file is as it should be or it is refused; nothing is repaired silently.  Missing minutes are no
fault (the venue was down); everything else that is unusual is.  pyarrow is imported when a file is read or written.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from livebot.core.market import Timeframe
from livebot.history.place import Place
from livebot.history.soundness import bad_file, require_no_fault, require_sound, spacing_faults
from livebot.history.spans import Span, joined
from livebot.history.table import COLUMNS, VALUES, CandleTable

SCHEMA = 1
_KEY = b"livebot"


@dataclass(frozen=True, slots=True)
class FileNote:
    """What a file of the store says of itself: whose candles it holds, and which spans the venue was asked for.

    In a fetched span, a candle that is not there does not exist at the venue.
    """

    place: Place
    fetched: tuple[Span, ...] = ()


def read_candles(path: Path, timeframe: Timeframe = Timeframe.M1) -> CandleTable:
    """A file's candles, checked.

    Raises:
        BadInput: naming the file, the row (the first is row 1) and the mend.

    """
    table, note = load_file(path)
    if note is not None and note.place.timeframe is not timeframe:
        has = note.place.timeframe.value
        raise bad_file(path, f"holds {has} candles", f"name a folder of {timeframe.value} candles")
    if note is None:
        require_no_fault(path, spacing_faults(table.ts_ms, timeframe))
    require_sound(path, table, timeframe)
    return table


def load_file(path: Path) -> tuple[CandleTable, FileNote | None]:
    """A file's rows as they stand, in the right types but otherwise unchecked, and its note if it has one.

    Raises:
        BadInput: it is no parquet file, has no rows, or lacks a column; or a column is of a wrong type or has holes.

    """
    table, metadata = _load(path)
    lacking = [name for name in COLUMNS if name not in table.column_names]
    if lacking:
        raise bad_file(
            path,
            f"lacks the column(s) {', '.join(lacking)}; it has {', '.join(table.column_names) or 'none'}",
            f"name the columns {', '.join(COLUMNS)}",
        )
    if not table.num_rows:
        raise bad_file(path, "has no rows", "fetch the candles again, or take the file out of the folder")
    ts_ms = _column(path, table, "ts_ms", "i", "int64, UTC milliseconds of the candle's opening")
    values = np.empty((5, table.num_rows))
    for row, name in enumerate(VALUES):
        values[row] = _column(path, table, name, "fiu", "float64")
    return CandleTable(ts_ms.astype(np.int64), values), _note(path, metadata)


def read_note(path: Path) -> tuple[FileNote | None, int, int | None, int | None]:
    """Without its rows: the note, how many rows there are, and the first and last opening time (None: not told).

    Raises:
        BadInput: it is no parquet file.

    """
    pq, arrow = _parquet()
    try:
        metadata = pq.read_metadata(path)
        names = metadata.schema.names
    except (OSError, arrow.ArrowException, UnicodeDecodeError) as error:
        raise _not_whole(path, error) from error
    first = last = None
    if "ts_ms" in names and metadata.num_rows:
        groups = [
            metadata.row_group(index).column(names.index("ts_ms")).statistics
            for index in range(metadata.num_row_groups)
        ]
        if all(each is not None and each.has_min_max for each in groups):
            first, last = int(min(each.min for each in groups)), int(max(each.max for each in groups))
    return _note(path, metadata.metadata or {}), metadata.num_rows, first, last


def encode(table: CandleTable, note: FileNote) -> bytes:
    """A file's content: columns COLUMNS (int64 and float64), zstd, with the note in its metadata."""
    pq, arrow = _parquet()
    place = note.place
    said = {
        "schema": SCHEMA,
        "venue": place.venue,
        "market": place.market,
        "symbol": place.symbol,
        "timeframe": place.timeframe.value,
        "fetched": [list(span) for span in note.fetched],
    }
    columns = {"ts_ms": table.ts_ms, **dict(zip(VALUES, table.values, strict=True))}
    whole = arrow.table({name: np.ascontiguousarray(column) for name, column in columns.items()})
    whole = whole.replace_schema_metadata({_KEY: json.dumps(said).encode()})
    sink = arrow.BufferOutputStream()
    pq.write_table(whole, sink, compression="zstd")
    return bytes(sink.getvalue())


def _note(path: Path, metadata: Mapping[bytes, bytes]) -> FileNote | None:
    if _KEY not in metadata:
        return None
    try:
        said = json.loads(metadata[_KEY])
        if said["schema"] != SCHEMA:
            raise bad_file(
                path,
                f"has schema {said['schema']}, and this livebot reads {SCHEMA}",
                "update livebot, or fetch it anew",
            )
        place = Place(str(said["venue"]), str(said["market"]), Timeframe(said["timeframe"]), str(said["symbol"]))
        spans = [(int(begin), int(end)) for begin, end in said["fetched"]]
    except (ValueError, KeyError, TypeError) as error:
        raise bad_file(path, "says of itself what cannot be read", "fetch or import it again") from error
    return FileNote(place, joined(spans))


def _parquet() -> tuple[Any, Any]:
    # Imported here: pyarrow costs a quarter of a second and 60 MB, which only who reads candle files needs.
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    return parquet, pa


def _load(path: Path) -> tuple[Any, Mapping[bytes, bytes]]:
    pq, arrow = _parquet()
    try:
        file = pq.ParquetFile(path, memory_map=True)
        wanted = [name for name in file.schema_arrow.names if name in COLUMNS]
        table = file.read(columns=wanted, use_threads=False)
    except (OSError, arrow.ArrowException, UnicodeDecodeError) as error:
        raise _not_whole(path, error) from error
    # for the names of what it has instead
    return table if wanted else file.schema_arrow.empty_table(), file.schema_arrow.metadata or {}


def _not_whole(path: Path, error: Exception) -> Exception:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return bad_file(path, f"is not a whole parquet file ({text})", "fetch or export it again")


def _column(path: Path, table: Any, name: str, kinds: str, wanted: str) -> npt.NDArray[Any]:  # noqa: ANN401
    column = table.column(name)
    if column.null_count:
        row = int(np.flatnonzero(np.asarray(column.is_null()))[0])
        raise bad_file(path, f"row {row + 1}: {name} is empty", "drop the row; a missing minute is no fault")
    array: npt.NDArray[Any] = column.to_numpy()
    if array.dtype.kind not in kinds:
        raise bad_file(path, f"column {name} has type {column.type}", f"store it as {wanted}")
    return array
