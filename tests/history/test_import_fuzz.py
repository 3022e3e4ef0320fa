"""Whatever a file holds: its candles come out true, or it is refused with a sentence that names it; nothing else is raised."""

import io
import json

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from pyarrow import feather, parquet

from livebot.errors import BadInput
from livebot.history.candle_file import load_file, read_note
from livebot.history.importing.intake import Given, take_in
from livebot.history.soundness import require_sound
from tests.history.builders import START_MS, table
from tests.history.test_import import LATER_MS, csv_of, rows_of

GIVEN = Given("bybit", "spot", "BTC/USDT")
NAMES = ("x.csv", "x.txt", "x.json", "x.feather", "x.parquet", "x.csv.gz", "x.zip")
CELL = some.one_of(
    some.text(max_size=8),
    some.integers(-(2**70), 2**70),
    some.floats(),
    some.booleans(),
    some.none(),
    some.sampled_from([START_MS, START_MS // 1000, "2023-11-15", "2023-11-15T00:00:00+01:00", "1e400", "nan"]),
    some.lists(some.integers(), max_size=2),
    some.dictionaries(some.text(max_size=3), some.integers(), max_size=2),
)
QUIET = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def taken_or_refused(path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        taken = take_in(path, GIVEN, LATER_MS)
    except BadInput as error:
        assert str(path) in str(error)
    else:
        require_sound(path, taken.table, taken.place.timeframe)


@pytest.mark.untraced
@QUIET
@given(name=some.sampled_from(NAMES), content=some.binary(max_size=300))
def test_any_bytes(tmp_path, name, content):
    taken_or_refused(tmp_path / name, content)


@pytest.mark.untraced
@QUIET
@given(content=some.text(alphabet="0123456789.,;\t\n\r\"'-:TZ|aeé\x00 ", max_size=200))
def test_any_table_of_text(tmp_path, content):
    taken_or_refused(tmp_path / "x.csv", content.encode())


@pytest.mark.untraced
@QUIET
@given(rows=some.lists(some.lists(CELL, min_size=4, max_size=8), max_size=5))
def test_any_rows_of_json(tmp_path, rows):
    taken_or_refused(tmp_path / "x.json", json.dumps(rows).encode())


@pytest.mark.untraced
@QUIET
@given(row=some.integers(0, 8), column=some.integers(0, 5), cell=CELL)
def test_one_cell_that_is_anything(tmp_path, row, column, cell):
    rows = rows_of(table(9))
    rows[row][column] = cell
    taken_or_refused(tmp_path / "x.json", json.dumps(rows).encode())
    lines = [line.split(",") for line in csv_of(table(9)).splitlines()]
    lines[row][column] = str(cell)
    taken_or_refused(tmp_path / "x.csv", "\n".join(",".join(line) for line in lines).encode("utf-8", "replace"))


@pytest.mark.untraced
@QUIET
@given(at=some.floats(0, 1, exclude_max=True), byte=some.integers(0, 255))
@pytest.mark.parametrize("kind", ["feather", "parquet"])
def test_one_byte_that_is_anything(tmp_path, kind, at, byte):
    columns = dict(zip(("open", "high", "low", "close", "volume"), table(9).values, strict=True))
    whole, sink = pa.table({"ts_ms": table(9).ts_ms, **columns}), io.BytesIO()
    (parquet.write_table if kind == "parquet" else feather.write_feather)(whole, sink)
    content = bytearray(sink.getvalue())
    content[int(at * len(content))] = byte
    taken_or_refused(tmp_path / f"x.{kind}", bytes(content))
    if kind == "parquet":
        for read in (load_file, read_note):
            try:
                read(tmp_path / "x.parquet")
            except BadInput as error:
                assert "x.parquet" in str(error)
