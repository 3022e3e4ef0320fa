"""Files of other programs: recognised as they are, or refused with the file, the row and the mend."""

import gzip
import json
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as some
from pyarrow import feather, parquet

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import BadInput
from livebot.history.importing import sources
from livebot.history.importing.columns import chosen, recognise
from livebot.history.importing.intake import Given, Taken, sources_in, take_in
from livebot.history.importing.moments import of_numbers, of_texts
from livebot.history.importing.names import told_by
from livebot.history.importing.run import import_files
from livebot.history.place import Place
from livebot.history.store import CandleStore, Counts
from livebot.history.table import CandleTable
from tests.history.builders import PLACE, START_MS, changed, minutes_of, same, table

LATER_MS = START_MS + 10**10
SPOT = Given(venue="binance", market="spot")
COUNT = 30


def rows_of(candles: CandleTable) -> list[list[float]]:
    return [[int(ts), *candles.values[:, index].tolist()] for index, ts in enumerate(candles.ts_ms)]


def iso(ts_ms: int, zone: str = "+00:00", between: str = "T") -> str:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime(f"%Y-%m-%d{between}%H:%M:%S") + zone


def csv_of(candles: CandleTable, header: str | None = None, *, comma: str = ",", time=str) -> str:
    lines = [comma.join([time(row[0]), *(repr(value) for value in row[1:])]) for row in rows_of(candles)]
    return "\n".join([*([header] if header else []), *lines]) + "\n"


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def take(path: Path, given: Given = SPOT, now_ms: int = LATER_MS) -> Taken:
    return take_in(path, given, now_ms)


def refused(path: Path, says: str, given: Given = SPOT) -> None:
    with pytest.raises(BadInput, match=says) as refusal:
        take(path, given)
    assert str(refusal.value).startswith(f"{path}: ")


def as_arrow(candles: CandleTable, time: pa.Array, names: str = "date open high low close volume") -> pa.Table:
    return pa.table(dict(zip(names.split(), [time, *candles.values], strict=True)))


class TestLayouts:
    """Each gives the same candles, at the same place."""

    def check(self, path: Path, symbol: str, timeframe: str = "1m", given: Given = SPOT, notes: int = 0) -> Taken:
        taken = take(path, given)
        assert same(taken.table, table(COUNT))
        assert (taken.place.symbol, taken.place.timeframe.value) == (symbol, timeframe)
        assert len(taken.notes) == notes, taken.notes
        return taken

    def test_freqtrades_json(self, tmp_path):
        path = written(tmp_path, "data/binance/BTC_USDT-1m.json", json.dumps(rows_of(table(COUNT))))
        assert self.check(path, "BTC/USDT", given=Given(market="spot")).place.venue == "binance"

    def test_freqtrades_packed_json_of_futures(self, tmp_path):
        packed = gzip.compress(json.dumps(rows_of(table(COUNT))).encode())
        path = written(tmp_path, "data/bybit/futures/BTC_USDT_USDT-1m-futures.json.gz", packed)
        assert self.check(path, "BTC/USDT:USDT", given=Given()).place == PLACE

    @pytest.mark.parametrize("unit", ["ms", "us", "ns"])
    @pytest.mark.parametrize("zone", ["UTC", None])
    def test_freqtrades_feather(self, tmp_path, unit, zone):
        time = pa.array(table(COUNT).ts_ms, pa.timestamp("ms")).cast(pa.timestamp(unit, zone))
        path = tmp_path / "BTC_USDT-1m.feather"
        feather.write_feather(as_arrow(table(COUNT), time), str(path))
        self.check(path, "BTC/USDT", notes=0 if zone else 1)

    def test_parquet_with_dates_of_a_pandas_index(self, tmp_path):
        time = pa.array(table(COUNT).ts_ms, pa.timestamp("ms")).cast(pa.timestamp("ns", "UTC"))
        path = tmp_path / "BTC-USDT-1m.parquet"
        parquet.write_table(as_arrow(table(COUNT), time, "timestamp Open High Low Close Volume"), path)
        self.check(path, "BTC/USDT")

    def test_ccxts_rows_in_text(self, tmp_path):
        text = [[row[0], *(repr(value) for value in row[1:])] for row in rows_of(table(COUNT))]
        self.check(written(tmp_path, "BTCUSDT_1m.json", json.dumps(text)), "BTC/USDT")

    def test_ccxts_rows_that_mix_numbers_and_text(self, tmp_path):
        mixed = rows_of(table(COUNT))
        mixed[3][2] = repr(mixed[3][2])
        self.check(written(tmp_path, "BTCUSDT_1m.json", json.dumps({"data": mixed})), "BTC/USDT")

    def test_objects(self, tmp_path):
        names = ("t", "o", "h", "l", "c", "v")
        objects = [dict(zip(names, row, strict=True)) for row in rows_of(table(COUNT))]
        self.check(written(tmp_path, "BTCUSDT-1m.json", json.dumps(objects)), "BTC/USDT")

    @pytest.mark.parametrize("per_ms", [1, 1000])
    @pytest.mark.parametrize("header", [False, True])
    def test_binances_monthly_files(self, tmp_path, per_ms, header):
        lines = ["open_time,open,high,low,close,volume,close_time,quote_volume,count,a,b,ignore"] if header else []
        for row in rows_of(table(COUNT)):
            close = (row[0] + MINUTE_MS) * per_ms - 1
            lines.append(",".join([str(row[0] * per_ms), *map(repr, row[1:]), str(close), "1.5", "7", "1", "1", "0"]))
        path = tmp_path / "data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01.zip"
        path.parent.mkdir(parents=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("BTCUSDT-1m-2025-01.csv", "\n".join(lines))
        self.check(path, "BTC/USDT:USDT", given=Given(venue="binance"))

    def test_a_pair_without_its_settlement_in_a_market_that_an_option_calls_perpetual(self, tmp_path):
        given = Given(venue="binance", market="perpetual")
        path = written(tmp_path, "BTCUSDT-1m-2025-01.csv", csv_of(table(COUNT)))
        assert take(path, given).place == Place("binance", "perpetual", Timeframe.M1, "BTC/USDT:USDT")
        spot = written(tmp_path, "spot/BTCUSDT-1m.csv", csv_of(table(COUNT)))
        refused(spot, "'BTC/USDT' is no symbol of a perpetual market", given)

    def test_a_tradingview_export(self, tmp_path):
        content = csv_of(table(COUNT), "time,open,high,low,close,Volume", time=lambda ts: str(int(ts) // 1000))
        taken = self.check(written(tmp_path, "BINANCE_BTCUSDT.P, 1.csv", content), "BTC/USDT:USDT", given=Given())
        assert taken.place == Place("binance", "perpetual", Timeframe.M1, "BTC/USDT:USDT")

    def test_cryptodatadownload_newest_first_below_an_address(self, tmp_path):
        rows = [
            f"{row[0]},{iso(int(row[0]), '', ' ')},BTCUSDT,{','.join(map(repr, row[1:]))},99.5,3"
            for row in reversed(rows_of(table(COUNT)))
        ]
        header = "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT,tradecount"
        content = "\n".join(["https://www.CryptoDataDownload.com", header, *rows])
        taken = self.check(written(tmp_path, "Binance_BTCUSDT_1m.csv", content), "BTC/USDT", notes=1)
        assert "newest first and were turned round" in taken.notes[0]

    @pytest.mark.parametrize("comma", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("header", ["Date,Open,High,Low,Close,Volume", None])
    def test_separators_and_headers(self, tmp_path, comma, header):
        head = header.replace(",", comma) if header else None
        content = csv_of(table(COUNT), head, comma=comma, time=lambda ts: iso(int(ts), "Z"))
        self.check(written(tmp_path, "BTC-USDT-1m.csv", content), "BTC/USDT")

    @pytest.mark.parametrize("zone", ["+00:00", "Z", " UTC", "+0000"])
    def test_times_with_a_zone(self, tmp_path, zone):
        content = csv_of(table(COUNT), "time,open,high,low,close,volume", time=lambda ts: iso(int(ts), zone))
        self.check(written(tmp_path, "BTC-USDT-1m.csv", content), "BTC/USDT")

    def test_times_of_another_zone_are_turned_into_utc(self, tmp_path):
        content = csv_of(
            table(COUNT), "time,open,high,low,close,volume", time=lambda ts: iso(int(ts) + 19_800_000, "+05:30")
        )
        self.check(written(tmp_path, "BTC-USDT-1m.csv", content), "BTC/USDT")

    def test_times_without_a_zone_are_utc_and_that_is_said(self, tmp_path):
        content = csv_of(table(COUNT), "time,open,high,low,close,volume", time=lambda ts: iso(int(ts), ""))
        taken = self.check(written(tmp_path, "BTC-USDT-1m.csv", content), "BTC/USDT", notes=1)
        assert taken.notes == ("its times have no zone and were taken as UTC",)

    @pytest.mark.parametrize("columns", ["moment,a,b,c,d,e", "1,2,3,4,5,6"])
    def test_columns_that_are_named(self, tmp_path, columns):
        path = written(tmp_path, "BTC-USDT-1m.csv", csv_of(table(COUNT), "moment,a,b,c,d,e"))
        refused(path, "no column is known as time, open, .*; it has moment, a, b, c, d, e; name them in the order")
        self.check(path, "BTC/USDT", given=Given(venue="x", market="spot", columns=columns))

    def test_the_stores_own_files(self, tmp_path):
        store = CandleStore(tmp_path, SystemFiles())
        with store.writing(PLACE) as writer:
            writer.merge(table(COUNT))
        assert self.check(store.path_of(PLACE), "BTC/USDT:USDT", given=Given(venue="bybit")).place == PLACE

    def test_decimals_and_whole_numbers(self, tmp_path):
        candles = table(COUNT)
        prices = [pa.array([format(x, "f") for x in column]).cast(pa.decimal128(20, 6)) for column in candles.values]
        columns = [pa.array(candles.ts_ms.astype(np.float64)), *prices]
        path = tmp_path / "BTC-USDT-1m.parquet"
        parquet.write_table(pa.table(dict(zip(("t", "o", "h", "l", "c", "v"), columns, strict=True))), path)
        self.check(path, "BTC/USDT")


class TestRefused:
    @pytest.mark.parametrize(
        ("row", "cell", "text", "says"),
        [
            (
                3,
                0,
                str(START_MS // 1000 + 180),
                r"row 4: the time \d+ is in seconds, and row 3 has \d+, in milliseconds; write one",
            ),
            (3, 0, "soon", r"row 4: the time 'soon' is not a whole number as in the rows before"),
            (3, 0, str(START_MS + 2 * MINUTE_MS), r"row 4: ts_ms \d+ is there twice; keep one"),
            (3, 0, str(START_MS + 1 * MINUTE_MS), r"row 4: ts_ms \d+ follows \d+; sort the rows"),
            (
                3,
                0,
                str(START_MS + 3 * MINUTE_MS + 7_000),
                r"row 4: ts_ms \d+ is not on a minute; mend its time, or drop the row",
            ),
            (3, 0, "", r"row 4: time is empty; drop the row"),
            (3, 2, "", r"row 4: high is empty; drop the row"),
            (3, 2, "1,5", r"is not a whole csv file \(CSV parse error: .*\); export it again"),
            (3, 2, "high", r"row 4: high 'high' is not a number; mend or drop the row"),
            (3, 3, "0", r"row 4: low is 0.0; fetch the candles again, or drop the row"),
            (3, 2, "1", r"row 4: open .* are not between low .* and high 1.0"),
            (3, 5, "-2", r"row 4: volume is -2.0"),
            (3, 4, "inf", r"row 4: close is inf"),
        ],
    )
    def test_a_row_that_cannot_be_true(self, tmp_path, row, cell, text, says):
        lines = [line.split(",") for line in csv_of(table(9)).splitlines()]
        lines[row][cell] = text
        content = "time,open,high,low,close,volume\n" + "\n".join(",".join(line) for line in lines)
        refused(written(tmp_path, "BTC-USDT-1m.csv", content), says)

    def test_zones_that_are_mixed(self, tmp_path):
        zones = iter(["+01:00"] * 4 + ["+02:00"] * 5)
        content = csv_of(table(9), "time,open,high,low,close,volume", time=lambda ts: iso(int(ts), next(zones)))
        says = r"row 5: the time '2023.*\+02:00' has the zone '\+0200', and the rows before have '\+0100'; write all"
        refused(written(tmp_path, "BTC-USDT-1m.csv", content), says)

    def test_a_zone_in_some_rows_only(self, tmp_path):
        zones = iter(["Z"] * 4 + [""] * 5)
        content = csv_of(table(9), "time,open,high,low,close,volume", time=lambda ts: iso(int(ts), next(zones)))
        refused(
            written(tmp_path, "BTC-USDT-1m.csv", content), "row 5: .* has the zone none, and the rows before have 'Z'"
        )

    @pytest.mark.parametrize(
        ("name", "step_ms", "says"),
        [
            ("BTC-USDT-1h.csv", MINUTE_MS, "row 2: opens 1 minutes after the row before, .* says 1h; it looks like 1m"),
            (
                "BTC-USDT-1m.csv",
                60 * MINUTE_MS,
                "row 2: opens 60 minutes after .* says 1m; it looks like 1h: rename it",
            ),
            ("BTC-USDT-5m.csv", 15 * MINUTE_MS, "it looks like 15m: rename it, or say --timeframe 15m"),
        ],
    )
    def test_another_timeframe_than_its_name_says(self, tmp_path, name, step_ms, says):
        refused(written(tmp_path, name, csv_of(table(9, step_ms=step_ms))), says)

    def test_two_words_on_the_timeframe(self, tmp_path):
        path = written(tmp_path, "BTC-USDT-1h.csv", csv_of(table(9)))
        refused(path, "its name says 1h, and --timeframe 1m; leave", Given("x", "spot", timeframe=Timeframe.M1))

    @pytest.mark.parametrize(
        ("name", "given", "says"),
        [
            ("candles-1m.csv", SPOT, "its path does not say the symbol; say it with --symbol"),
            ("BTC-USDT-1m.csv", Given(), "its path does not say the venue; say it with --exchange"),
            ("BTC-USDT-1m.csv", Given(venue="x"), "its path does not say the market; say it with --market"),
            ("BTC-USDT-1m.csv", Given("x", "options"), "'options' is not a market; write spot or perpetual"),
            ("BTC-USDT-1m.csv", Given("x", "spot", "BTC/USDT:USDT"), "is no symbol of a spot market; write BASE/QUOTE"),
        ],
    )
    def test_what_nobody_says(self, tmp_path, name, given, says):
        refused(written(tmp_path, name, csv_of(table(9))), says, given)

    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("a.xls", "x", "xls is no known format; known are .csv"),
            ("a.csv", "", "is empty; export it again"),
            ("a.csv", "time,open,high,low,close,volume\n", "has no rows; export it again"),
            ("a.csv", "1,2,3\n4,5,6\n", "has 3 columns without names, and six are needed"),
            ("a.json", "{", "is not JSON"),
            ("a.json", "[]", "is not a list of candles; expected are"),
            ("a.json", "[[1,2,3,4,5,6],[1]]", "row 2 is not of the form of row 1"),
            ("a.json", '[[1,2,3,4,5,6],{"t":1}]', "row 2 is not of the form of row 1"),
            ("a.feather", "no", "is not a whole feather file"),
            ("a.parquet", "no", "is not a whole parquet file"),
            ("a.csv.gz", "no", "cannot be read"),
            ("a.zip", "no", "cannot be read"),
        ],
    )
    def test_files_that_are_none(self, tmp_path, name, content, says):
        refused(written(tmp_path, name, content), says)

    def test_a_packed_folder(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("1.csv", "x")
            archive.writestr("2.csv", "x")
        refused(tmp_path / "a.zip", "holds 2 files, and one is expected; unpack it")

    def test_files_that_are_too_large(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sources, "MOST_BYTES", 1 << 20)
        refused(written(tmp_path, "a.csv", b"1," * (1 << 20)), "is larger than 1 MiB; split it")
        refused(written(tmp_path, "a.csv.gz", gzip.compress(b"1," * (1 << 20))), "is larger than 1 MiB; split it")

    def test_a_column_of_a_wrong_type(self, tmp_path):
        flags = pa.array([True] * 9)
        for name, says in (("date", "the column of times has type bool"), ("low", "column low has type bool; store")):
            whole = as_arrow(table(9), pa.array(table(9).ts_ms))
            path = tmp_path / "BTC-USDT-1m.parquet"
            parquet.write_table(whole.set_column(whole.column_names.index(name), name, flags), path)
            refused(path, says)


class TestPutRight:
    def test_rows_that_stand_there_twice(self, tmp_path):
        rows = rows_of(table(9))
        path = written(tmp_path, "BTC-USDT-1m.json", json.dumps([*rows[:5], rows[4], *rows[5:]]))
        taken = take(path)
        assert same(taken.table, table(9))
        assert taken.notes == ("1 rows stand there twice, one like the other, and count once",)

    def test_a_last_candle_that_has_not_closed(self, tmp_path):
        path = written(tmp_path, "BTC-USDT-1m.json", json.dumps(rows_of(table(9))))
        taken = take(path, now_ms=START_MS + 8 * MINUTE_MS + 1)
        assert minutes_of(taken.table) == list(range(8))
        assert taken.notes == ("1 candles at its end have not closed yet and were left out",)
        with pytest.raises(BadInput, match="none of its candles has closed yet; check its times"):
            take(path, now_ms=START_MS)

    def test_a_quiet_market_is_of_the_timeframe_of_its_name(self, tmp_path):
        quiet = table([0, 3, 6, 9, 12, 13, 16, 19])
        taken = take(written(tmp_path, "BTC-USDT-1m.json", json.dumps(rows_of(quiet))))
        assert same(taken.table, quiet)
        assert taken.place.timeframe is Timeframe.M1

    def test_the_timeframe_by_spacing_where_nobody_says_it(self, tmp_path):
        path = written(tmp_path, "BTCUSDT.json", json.dumps(rows_of(table(9, step_ms=5 * MINUTE_MS))))
        assert take(path).place.timeframe is Timeframe.M5


@pytest.mark.parametrize(
    ("path", "venue", "market", "symbol", "timeframe"),
    [
        ("user_data/data/binance/BTC_USDT-5m.feather", "binance", None, "BTC/USDT", "5m"),
        ("data/okx/futures/ETH_USDT_USDT-1h-futures.feather", "okx", "perpetual", "ETH/USDT:USDT", "1h"),
        ("data/spot/monthly/klines/ETHBTC/15m/ETHBTC-15m-2024-02.zip", None, "spot", "ETH/BTC", "15m"),
        ("perp_1h/BTCUSDT.parquet", None, "perpetual", "BTC/USDT:USDT", "1h"),
        ("BINANCE_BTCUSDT, 240.csv", "binance", "spot", "BTC/USDT", "4h"),
        ("BYBIT_SOLUSDT.P, 1D_a1b2c.csv", "bybit", "perpetual", "SOL/USDT:USDT", "1d"),
        ("BITSTAMP_BTCUSD, 1W.csv", "bitstamp", "spot", "BTC/USD", None),
        ("bybit/perpetual/1m/BTC-USDT_USDT.parquet", "bybit", "perpetual", "BTC/USDT:USDT", "1m"),
        ("Bybit_BTCUSDT_1h.csv", "bybit", None, "BTC/USDT", "1h"),
        ("1000PEPE-USDT-1d.csv", None, None, "1000PEPE/USDT", "1d"),
        ("XBTUSD_60.csv", None, None, None, None),
        ("candles.csv", None, None, None, None),
        ("a-b-c-d.csv", None, None, None, None),
    ],
)
def test_what_paths_say(path, venue, market, symbol, timeframe):
    told = told_by(Path(path))
    assert (told.venue, told.market, told.symbol) == (venue, market, symbol)
    assert (told.timeframe.value if told.timeframe else None) == timeframe
    assert told.candles


def test_files_that_hold_no_candles_by_their_names(tmp_path):
    names = [
        "BTC_USDT_USDT-8h-funding_rate.feather",
        "BTC_USDT_USDT-1h-mark.feather",
        "BTC_USDT_USDT-1h-futures.feather",
    ]
    for name in names:
        written(tmp_path, name, "x")
    written(tmp_path, "notes.md", "x")
    taken, passed = sources_in([tmp_path])
    assert [path.name for path in taken] == [names[2]]
    assert sorted(path.name for path in passed) == sorted(names[:2])
    assert sources_in([tmp_path / names[0]]) == ((tmp_path / names[0],), ())  # named: the operator wants it
    (tmp_path / "empty").mkdir()
    for name, says in (("empty", "no file in it is of a known format"), ("none", "is not there; name files")):
        with pytest.raises(BadInput, match=says):
            sources_in([tmp_path / name])


@given(some.integers(10**9, 4 * 10**9 - 1), some.sampled_from([1, 10**3, 10**6, 10**9]))
def test_the_unit_of_a_number_is_told_by_its_size(second, unit):
    assert of_numbers(np.array([second * unit])).ts_ms.tolist() == [second * 1000]
    assert of_texts([str(second * unit)]).ts_ms.tolist() == [second * 1000]


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["1700000000.5"], "is not a whole number"),
        (["5"], "row 1: 5 is no time since 1970; name the column of times with --columns"),
        (["1700000000000001"], "row 1: the time 1700000000000001 is not a whole millisecond"),
        (["2023-13-01"], "a time is none of the calendar"),
        (["yesterday"], "row 1: 'yesterday' is not a time; write 2026-01-31T12:00:00Z"),
    ],
)
def test_times_that_are_none(texts, says):
    with pytest.raises(BadInput, match=says):
        of_texts(texts)
    with pytest.raises(BadInput, match=r"row 2: the time 1.5 is not a whole number"):
        of_numbers(np.array([1_700_000_000.0, 1.5]))


def test_dates_alone_are_midnights():
    assert of_texts(["2023-11-15"]).ts_ms.tolist() == [START_MS]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b,c", "name them in the order time,open,high,low,close,volume"),
        ("a,a,b,c,d,e", "name them in the order"),
        ("a,b,c,d,e,f", "there is no column 'f'; it has a, b, c, d, e"),
        ("1,2,3,4,5,6", "there is no column '6'"),
    ],
)
def test_columns_that_are_not_there(text, says):
    with pytest.raises(BadInput, match=says):
        chosen(text, ("a", "b", "c", "d", "e"), 5)
    with pytest.raises(BadInput):
        chosen(text, None, 5)


def test_the_base_assets_volume_is_meant():
    names = ("unix", "open", "high", "low", "close", "Volume USDT", "Volume BTC")
    assert recognise(names, "BTC")[5] == 6
    with pytest.raises(BadInput, match="no column is known as volume"):
        recognise(names, None)


def test_an_import_merges_files_and_stops_at_no_bad_one(tmp_path):
    first = written(tmp_path, "in/BTC-USDT-1m-2023-11.json", json.dumps(rows_of(table(range(10)))))
    second = written(tmp_path, "in/BTC-USDT-1m-2023-12.json", json.dumps(rows_of(table(range(8, 20), shift=1.0))))
    bad = written(
        tmp_path, "in/BTC-USDT-1m-2024-01.json", json.dumps(rows_of(changed(table(range(20, 30)), 1, 3, 0.5)))
    )
    ether = written(tmp_path, "in/ETH-USDT-1m.csv", csv_of(table(5), time=lambda ts: iso(int(ts), "")))
    store = CandleStore(tmp_path / "candles", SystemFiles())
    told: list[Path] = []
    report = import_files(store, [first, second, bad, ether], SPOT, LATER_MS, told.append)
    assert told == [first, second, bad, ether]
    btc, eth = report.imported
    assert (btc.files, btc.counts, btc.first_ms, btc.stop_ms) == (
        2,
        Counts(20, 0, 0),
        START_MS,
        START_MS + 20 * MINUTE_MS,
    )
    assert eth.counts == Counts(5, 0, 0)
    found = store.read(btc.place)
    assert minutes_of(found) == list(range(20))
    assert found.values[3, 8] == table([8], shift=1.0).values[3, 0]
    assert re.fullmatch(rf"{bad}: row 4: open .*; check which column is which, or drop the row", report.refused[0])
    assert report.notes == (f"{ether}: its times have no zone and were taken as UTC",)
    again = import_files(store, [first, second], SPOT, LATER_MS, told.append)
    assert again.imported[0].counts == Counts(0, 0, 20)


def test_an_import_into_a_damaged_file_is_refused(tmp_path):
    source = written(tmp_path, "in/BTC-USDT-1m.json", json.dumps(rows_of(table(10))))
    store = CandleStore(tmp_path / "candles", SystemFiles())
    place = Place("binance", "spot", Timeframe.M1, "BTC/USDT")
    written(tmp_path, "candles/binance/spot/1m/BTC-USDT.parquet", "broken")
    report = import_files(store, [source], SPOT, LATER_MS, lambda _: None)
    assert report.imported == ()
    assert f"{store.path_of(place)}: is not a whole parquet file" in report.refused[0]
