"""Files of other programs as columns, whatever their format: CSV, feather, parquet, JSON; plain, gzipped or zipped.

Rules of this file: the format is told by the suffix; nothing is interpreted but what is a column; sizes are bounded;
pyarrow is imported when a file is read.
"""

import csv
import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from livebot.errors import BadInput

FORMATS = (".csv", ".txt", ".json", ".feather", ".arrow", ".parquet")
PACKED = (".gz", ".zip")
MOST_BYTES = 1 << 30
_SNIFFED = 1 << 16
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Columns as pyarrow arrays of one length, and their names (None if the file has no header).

    `first_line` is the line of a text file in which row 1 stands (0: it has no lines).
    """

    names: tuple[str, ...] | None
    columns: tuple[Any, ...]
    first_line: int = 0


def is_source(path: Path) -> bool:
    """Whether the suffix is of a known format."""
    return _format_of(path) in FORMATS


def read_source(path: Path) -> Source:
    """A file's columns.

    Raises:
        BadInput: without the file's name: what is wrong with it, and the mend.

    """
    import pyarrow as pa  # noqa: PLC0415 - a quarter of a second, for who imports only

    kind = _format_of(path)
    if kind not in FORMATS:
        raise BadInput(
            f"{path.suffix or 'no suffix'} is no known format; known are {', '.join(FORMATS)}, also packed ({', '.join(PACKED)})"
        )
    data = _unpacked(path)
    if not data.strip():
        raise BadInput("is empty; export it again")
    try:
        if kind in {".csv", ".txt"}:
            return _of_csv(data)
        if kind == ".json":
            return _of_json(data)
        return _of_arrow(data, kind)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last: names of columns
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"is not a whole {kind[1:]} file ({text}); export it again") from error


def _format_of(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
        return suffixes[-1] if suffixes and suffixes[-1] in FORMATS else ".csv"
    return suffixes[-1] if suffixes else ""


def _unpacked(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _too_large()
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as packed:
                return _bounded(packed)
        if path.suffix.lower() == ".zip":
            return _of_zip(path)
        return path.read_bytes()
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadInput(f"cannot be read ({error}); export it again") from error


def _of_zip(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        if len(members) != 1:
            raise BadInput(f"holds {len(members)} files, and one is expected; unpack it")
        with archive.open(members[0]) as packed:
            return _bounded(packed)


def _bounded(packed: Any) -> bytes:  # noqa: ANN401 - a gzip or zip stream
    data: bytes = packed.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise _too_large()
    return data


def _too_large() -> BadInput:
    return BadInput(f"is larger than {MOST_BYTES >> 20} MiB; split it")


def _of_csv(data: bytes) -> Source:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import csv as arrow_csv  # noqa: PLC0415

    try:
        head = data[:_SNIFFED].decode("utf-8-sig", "replace")
        first = head.splitlines()
        # an address or a comment above the header, as CryptoDataDownload has it
        skipped = next((at for at, line in enumerate(first) if len(_cells(line, head)) > 1), 0)
        cells = _cells(first[skipped], head) if first else []
    except csv.Error as error:
        raise BadInput(f"is not a table of text ({error}); export it again") from error
    if not cells:
        raise BadInput("is not a table of text; export it again")
    header = not _is_number(cells[-2] if len(cells) > 1 else cells[0])
    names = tuple(cell.strip() for cell in cells) if header else None
    columns = (
        list(names) if names and len(set(names)) == len(names) else [f"column {n}" for n in range(1, len(cells) + 1)]
    )
    table = arrow_csv.read_csv(
        io.BytesIO(data),
        read_options=arrow_csv.ReadOptions(column_names=columns, skip_rows=skipped + header, use_threads=False),
        parse_options=arrow_csv.ParseOptions(delimiter=_delimiter(head)),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            strings_can_be_null=True,
            null_values=["", "nan", "NaN", "null"],
        ),
    )
    return Source(names, tuple(table.columns), skipped + header + 1)


def _cells(line: str, head: str) -> list[str]:
    return next(csv.reader([line], delimiter=_delimiter(head)), [])


def _delimiter(head: str) -> str:
    return max(_DELIMITERS, key=head.count)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _of_json(data: bytes) -> Source:
    try:
        rows = orjson.loads(data)
    except ValueError as error:
        raise BadInput(f"is not JSON ({error}); export it again") from error
    if isinstance(rows, dict) and len(lists := [each for each in rows.values() if isinstance(each, list)]) == 1:
        rows = lists[0]  # {"data": [...]}
    if not isinstance(rows, list) or not rows:
        raise BadInput("is not a list of candles; expected are [[time, open, high, low, close, volume], ...]")
    names = tuple(rows[0]) if isinstance(rows[0], dict) else None
    width = len(rows[0]) if isinstance(rows[0], dict | list) else 0
    kind = dict if names else list
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, kind) or (names is None and len(row) != width):
            raise BadInput(f"row {number} is not of the form of row 1; mend it")
    keys = names if names is not None else range(width)
    if names is not None:
        return Source(names, tuple(_column([row.get(key) for row in rows]) for key in keys))
    return Source(None, tuple(_column([row[key] for row in rows]) for key in keys))


def _column(cells: list[Any]) -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa  # noqa: PLC0415

    try:
        return pa.array(cells)
    except pa.ArrowException:  # numbers and text in one column
        return pa.array([None if cell is None else str(cell) for cell in cells])


def _of_arrow(data: bytes, kind: str) -> Source:
    from pyarrow import feather, parquet  # noqa: PLC0415

    stream = io.BytesIO(data)
    table = parquet.read_table(stream, use_threads=False) if kind == ".parquet" else feather.read_table(stream)
    return Source(tuple(table.column_names), tuple(table.columns))
