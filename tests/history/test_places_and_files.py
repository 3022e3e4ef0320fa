"""Where candle files lie, what they say of themselves, and how one that is not as it should be is refused."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import BadInput
from livebot.history.candle_file import FileNote, encode, load_file, read_candles, read_note
from livebot.history.place import Place, file_name, place_of, symbol_of, timeframe_of
from livebot.simulator.replay import ReplayMarket
from tests.history.builders import PLACE, START_MS, same, table

SYMBOLS = ["BTC/USDT:USDT", "BTC/USDT", "1000PEPE/USDT:USDT", "ETH/BTC"]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_a_path_says_what_lies_there(symbol):
    market = "perpetual" if ":" in symbol else "spot"
    place = Place("binance", market, Timeframe.H4, symbol)
    path = place.path_in(Path("candles"))
    assert place_of(path) == place
    assert symbol_of(path.stem) == symbol
    assert path.parts[:4] == ("candles", "binance", market, "4h")
    assert str(place) == f"{symbol} 4h of binance {market}"


def test_the_name_is_the_one_of_signals():
    assert file_name("BTC/USDT:USDT") == "BTC-USDT_USDT.parquet"


@pytest.mark.parametrize(
    "path",
    [
        "BTC-USDT.parquet",
        "a/spot/1h/BTCUSDT.parquet",
        "a/option/1h/BTC-USDT.parquet",
        "a/spot/7h/BTC-USDT.parquet",
        "a/spot/1h/BTC-USDT.csv",
        "A B/spot/1h/BTC-USDT.parquet",
    ],
)
def test_other_paths_say_nothing(path):
    assert place_of(Path(path)) is None


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (Place("../../etc", "spot", Timeframe.M1, "BTC/USDT"), "cannot be a venue's name"),
        (Place("bybit", "options", Timeframe.M1, "BTC/USDT"), "is not a market; write spot or perpetual"),
        (Place("bybit", "spot", Timeframe.M1, "../USDT"), "is no symbol of a spot market"),
        (Place("bybit", "spot", Timeframe.M1, "BTC/USDT:USDT"), "write BASE/QUOTE, such as BTC/USDT"),
        (Place("bybit", "perpetual", Timeframe.M1, "BTC/USDT"), "write BASE/QUOTE:SETTLE"),
        (Place("bybit", "perpetual", Timeframe.M1, "BTCUSDT"), "is no symbol"),
    ],
)
def test_a_name_that_cannot_be_a_files_is_refused(place, says):
    with pytest.raises(BadInput, match=re.escape(says)):
        place.path_in(Path("candles"))


def test_a_timeframe_by_its_text():
    assert timeframe_of("15m") is Timeframe.M15
    with pytest.raises(BadInput, match="'7m' is not a timeframe; known are 1m, 3m"):
        timeframe_of("7m")


def test_a_file_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "x.parquet"
    note = FileNote(PLACE, ((START_MS, START_MS + MINUTE_MS),))
    path.write_bytes(encode(table(500), note))
    found, told = load_file(path)
    assert same(found, table(500))
    assert told == note
    assert read_note(path) == (note, 500, START_MS, START_MS + 499 * MINUTE_MS)
    assert same(read_candles(path), table(500))
    written = parquet.ParquetFile(path)
    assert written.schema_arrow.names == ["ts_ms", "open", "high", "low", "close", "volume"]
    assert written.metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_file_of_another_timeframe_is_refused_by_its_note(tmp_path):
    path = tmp_path / "x.parquet"
    hours = Place("bybit", "perpetual", Timeframe.H1, "BTC/USDT:USDT")
    path.write_bytes(encode(table(5, step_ms=Timeframe.H1.ms), FileNote(hours)))
    with pytest.raises(BadInput, match=r"x.parquet: holds 1h candles; name a folder of 1m candles"):
        read_candles(path)
    assert len(read_candles(path, Timeframe.H1)) == 5


def test_a_file_of_another_timeframe_is_refused_by_its_spacing(tmp_path):
    """Files without a note are as other programs write them."""
    hours = table(24, step_ms=Timeframe.H1.ms)
    columns = dict(zip(("open", "high", "low", "close", "volume"), hours.values, strict=True))
    parquet.write_table(pa.table({"ts_ms": hours.ts_ms, **columns}), tmp_path / "BTCUSDT.parquet")
    with pytest.raises(BadInput, match=r"row 2: by their times these are 1h candles, and 1m ones are wanted; store 1m"):
        ReplayMarket(tmp_path, ["BTC/USDT"])
    with pytest.raises(BadInput, match=r"row 2: ts_ms .* is not on a whole 4h of UTC .*; store 4h candles"):
        read_candles(tmp_path / "BTCUSDT.parquet", Timeframe.H4)


@pytest.mark.parametrize(
    ("note", "says"),
    [
        (b"{", "says of itself what cannot be read"),
        (b'{"schema": 99}', "has schema 99, and this livebot reads 1; update livebot"),
        (b'{"schema": 1, "venue": "bybit"}', "says of itself what cannot be read"),
        (
            b'{"schema": 1, "venue": "b", "market": "spot", "symbol": "A/B", "timeframe": "9x", "fetched": []}',
            "cannot be",
        ),
    ],
)
def test_a_note_that_cannot_be_read(tmp_path, note, says):
    columns = dict(zip(("open", "high", "low", "close", "volume"), table(3).values, strict=True))
    whole = pa.table({"ts_ms": table(3).ts_ms, **columns}).replace_schema_metadata({b"livebot": note})
    parquet.write_table(whole, tmp_path / "x.parquet")
    for read in (load_file, read_note):
        with pytest.raises(BadInput, match=says):
            read(tmp_path / "x.parquet")


def test_a_file_that_is_cut_off(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(encode(table(50), FileNote(PLACE))[:-40])
    with pytest.raises(BadInput, match=r"x.parquet: is not a whole parquet file \(.+\); fetch or export it again"):
        read_note(path)


def test_a_footer_without_times(tmp_path):
    parquet.write_table(pa.table({"price": np.arange(3)}), tmp_path / "x.parquet")
    assert read_note(tmp_path / "x.parquet") == (None, 3, None, None)


def test_a_folder_of_the_store_can_be_replayed(tmp_path):
    path = PLACE.path_in(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(encode(table(30), FileNote(PLACE)))
    market = ReplayMarket(path.parent, ["BTC/USDT:USDT"])
    assert (market.first_ms, market.end_ms) == (START_MS, START_MS + 30 * MINUTE_MS)
