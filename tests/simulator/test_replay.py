"""Recorded candles are replayed as they are; a file that is not as it should be is refused with the mend."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import BadInput
from livebot.simulator.feed import history_of
from livebot.simulator.replay import ReplayMarket, has_candles
from livebot.simulator.venue import SimulatedVenue, VenueSettings

START_MS = 1_700_000_040_000
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT"
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "perp_1m"


def columns(count: int = 10, start_ms: int = START_MS) -> dict[str, Any]:
    close = 100.0 + np.arange(count) / 4
    return {
        "ts_ms": start_ms + np.arange(count, dtype=np.int64) * MINUTE_MS,
        "open": close - 0.25,
        "high": close + 1.0,
        "low": close - 1.0,
        "close": close,
        "volume": np.full(count, 3.5),
    }


def stored(folder: Path, name: str = "BTCUSDT.parquet", without: tuple[int, ...] = (), **changed: Any) -> Path:
    """Write a good file, less some rows, with some columns replaced (None: left out)."""
    data = {**columns(), **changed}
    table = pa.table({column: values for column, values in data.items() if values is not None})
    keep = [row for row in range(table.num_rows) if row not in without]
    parquet.write_table(table.take(keep) if without else table, folder / name)
    return folder / name


def with_row(column: str, row: int, value: float) -> dict[str, Any]:
    values = columns()[column].copy()
    values[row] = value
    return {column: values}


def test_candles_come_as_they_were_stored(tmp_path):
    stored(tmp_path)
    market = ReplayMarket(tmp_path, [BTC])
    expected = columns()
    series = market.candles(BTC, START_MS, START_MS + 10 * MINUTE_MS)
    for name, values in expected.items():
        assert np.array_equal(getattr(series, name), values)
    candle = market.candle(BTC, START_MS + 3 * MINUTE_MS)
    assert candle is not None
    assert (candle.open, candle.close, candle.volume) == (100.5, 100.75, 3.5)
    assert market.price(BTC, START_MS + 3 * MINUTE_MS) == 100.5
    assert market.price(BTC, START_MS + 99 * MINUTE_MS) == expected["close"][-1]
    assert market.price(BTC, START_MS - MINUTE_MS) == expected["open"][0]
    assert (market.first_ms, market.end_ms) == (START_MS, START_MS + 10 * MINUTE_MS)
    assert market.messages == ()
    assert str(market.instrument(BTC).tick_size) == "0.01"


def test_both_forms_of_a_file_name(tmp_path):
    stored(tmp_path, "ETH-USDT.parquet")
    stored(tmp_path, "ETHUSDT.parquet", volume=np.full(10, 7.0))
    stored(tmp_path, "BTC-USDT_USDT.parquet")
    market = ReplayMarket(tmp_path, [ETH, BTC])
    assert market.candles(ETH, START_MS, market.end_ms).volume[0] == 3.5
    assert market.symbols == (ETH, BTC)
    market.add([BTC])
    assert [has_candles(tmp_path, symbol) for symbol in (ETH, BTC, "XRP/USDT")] == [True, True, False]


def test_the_market_lasts_as_long_as_all_symbols(tmp_path):
    stored(tmp_path)
    stored(tmp_path, "ETHUSDT.parquet", **columns(start_ms=START_MS + 4 * MINUTE_MS))
    market = ReplayMarket(tmp_path, [BTC, ETH])
    assert market.first_ms == START_MS + 4 * MINUTE_MS
    assert market.end_ms == START_MS + 10 * MINUTE_MS
    assert len(market.candles(BTC, 0, market.first_ms)) == 4
    assert market.latest_close(ETH, START_MS) == market.first_ms


def test_symbols_without_a_minute_in_common(tmp_path):
    stored(tmp_path)
    stored(tmp_path, "ETHUSDT.parquet", **columns(start_ms=START_MS + 10 * MINUTE_MS))
    with pytest.raises(BadInput, match=r"no minute in common: BTC.* leave one of them out"):
        ReplayMarket(tmp_path, [BTC, ETH])


def test_no_symbol(tmp_path):
    with pytest.raises(BadInput, match="no symbol"):
        ReplayMarket(tmp_path, [])


def test_a_missing_file_is_named_and_what_is_there(tmp_path):
    with pytest.raises(BadInput, match=r"no candles for BTC/USDT:USDT.*found no parquet file"):
        ReplayMarket(tmp_path, [BTC])
    for number in range(14):
        stored(tmp_path, f"C{number:02d}USDT.parquet")
    with pytest.raises(BadInput, match=r"BTC-USDT_USDT.parquet or BTCUSDT.parquet, found C00USDT.* \.\.\."):
        ReplayMarket(tmp_path, [BTC])


def test_other_candles_have_another_identity(tmp_path):
    stored(tmp_path)
    before = ReplayMarket(tmp_path, [BTC]).identity(BTC)
    assert ReplayMarket(tmp_path, [BTC]).identity(BTC) == before
    stored(tmp_path, **with_row("close", 5, 101.5))
    assert ReplayMarket(tmp_path, [BTC]).identity(BTC) != before


def test_prices_of_any_number_of_decimals_lie_on_the_tick(tmp_path):
    thirds = columns()["close"] + 1 / 3
    stored(tmp_path, close=thirds)
    assert str(ReplayMarket(tmp_path, [BTC]).instrument(BTC).tick_size) == "1E-10"


class TestGaps:
    """A minute that is missing is missing."""

    @pytest.fixture
    def market(self, tmp_path):
        stored(tmp_path, without=(3, 4, 7))
        return ReplayMarket(tmp_path, [BTC])

    def test_no_candle_and_the_last_price(self, market):
        assert market.candle(BTC, START_MS + 3 * MINUTE_MS) is None
        assert market.price(BTC, START_MS + 3 * MINUTE_MS) == 100.5
        assert market.price(BTC, START_MS + 5 * MINUTE_MS) == 101.0
        assert market.messages == ("BTC/USDT:USDT: 3 minutes are missing in 2 gaps and have no candle",)

    def test_a_history_never_reaches_over_one(self, market):
        def minutes(stop: int) -> list[int]:
            series = market.candles(BTC, START_MS, START_MS + stop * MINUTE_MS)
            return [int(ts - START_MS) // MINUTE_MS for ts in series.ts_ms]

        assert minutes(3) == [0, 1, 2]
        assert minutes(5) == [0, 1, 2]
        assert minutes(7) == [5, 6]
        assert minutes(10) == [8, 9]
        assert market.latest_close(BTC, START_MS + 5 * MINUTE_MS) == START_MS + 3 * MINUTE_MS

    async def test_the_venue_pushes_what_there_is(self, market):
        venue = SimulatedVenue(market, VenueSettings())
        pushed, latest = [], []
        while not venue.ended:
            pushed += [candle.ts_ms for _, candle in venue.step().candles]
            latest.append((await history_of(venue, BTC, Timeframe.M1, 1)).ts_ms[-1])
            assert latest[-1] == pushed[-1]
        assert [(ts - START_MS) // MINUTE_MS for ts in pushed] == [0, 1, 2, 5, 6, 8, 9]


class TestRefused:
    """Each way in which a file can be wrong."""

    @pytest.mark.parametrize(
        ("changed", "says"),
        [
            ({"close": None}, r"lacks the column\(s\) close; it has ts_ms, open.*; name the columns"),
            (dict.fromkeys(columns(), None) | {"time": np.arange(3)}, r"lacks .*ts_ms.*; it has time"),
            (
                {"close": [str(value) for value in columns()["close"]]},
                r"column close has type string; store it as float64",
            ),
            (
                {"ts_ms": columns()["ts_ms"].astype("datetime64[ms]")},
                r"column ts_ms has type timestamp.*int64, UTC milliseconds",
            ),
            ({"ts_ms": columns()["ts_ms"].astype(float)}, r"column ts_ms has type double"),
            ({"open": pa.array([1.0, None, *[1.0] * 8])}, r"row 2: open is empty; drop the row"),
            (with_row("close", 4, np.nan), r"row 5: close is nan; drop the row"),
            (with_row("high", 4, np.inf), r"row 5: high is inf"),
            (with_row("low", 4, 0.0), r"row 5: low is 0.0; fetch"),
            (with_row("open", 0, -1.0), r"row 1: open is -1.0"),
            (with_row("volume", 4, -1.0), r"row 5: volume is -1.0"),
            (
                with_row("high", 4, 99.0),
                r"row 5: open 100.75 and close 101.0 are not between low 100.0 and high 99.0",
            ),
            (with_row("close", 9, 200.0), r"row 10: open .* and close 200.0 are not between"),
            (with_row("ts_ms", 4, START_MS + 3 * MINUTE_MS), r"row 5: ts_ms \d+ is there twice; keep one"),
            (
                with_row("ts_ms", 4, START_MS + MINUTE_MS),
                r"row 5: ts_ms \d+ follows \d+; sort the rows",
            ),
            (
                with_row("ts_ms", 4, START_MS + 4 * MINUTE_MS + 1),
                r"row 5: .* is not on a minute; mend its time, or drop",
            ),
            (
                {"ts_ms": columns()["ts_ms"] // 1000},
                r"row 1: ts_ms 1700000040 looks like seconds; multiply the column by 1000",
            ),
            ({"ts_ms": columns()["ts_ms"] * 1000}, r"looks like micro- or nanoseconds; divide"),
            ({"low": columns()["low"] * 0, "volume": None}, r"lacks the column\(s\) volume"),
            ({"low": columns()["low"] * 0}, r"row 1: low is 0.0 \(and 9 more rows\)"),
        ],
    )
    def test_bad_columns_and_rows(self, tmp_path, changed, says):
        path = stored(tmp_path, **changed)
        with pytest.raises(BadInput, match=says) as refusal:
            ReplayMarket(tmp_path, [BTC])
        assert str(refusal.value).startswith(f"{path}: ")

    def test_no_rows(self, tmp_path):
        stored(tmp_path, **{name: values[:0] for name, values in columns().items()})
        with pytest.raises(BadInput, match="has no rows; fetch the candles again"):
            ReplayMarket(tmp_path, [BTC])

    @pytest.mark.parametrize("length", [0, 3, 100, 500])
    def test_a_truncated_file(self, tmp_path, length):
        path = stored(tmp_path)
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(BadInput, match="is not a whole parquet file"):
            ReplayMarket(tmp_path, [BTC])

    def test_another_kind_of_file(self, tmp_path):
        (tmp_path / "BTCUSDT.parquet").write_text("ts_ms,open\n" * 50)
        with pytest.raises(BadInput, match=r"BTCUSDT.parquet: is not a whole parquet file .*; fetch or export"):
            ReplayMarket(tmp_path, [BTC])


def test_whole_numbers_are_prices_too(tmp_path):
    whole = np.full(10, 100)
    stored(tmp_path, open=whole, high=whole, low=whole, close=whole)
    market = ReplayMarket(tmp_path, [BTC])
    assert market.candles(BTC, START_MS, market.end_ms).close[0] == 100.0
    assert str(market.instrument(BTC).tick_size) == "1"


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the recorded candles in shared/data/perp_1m beside the checkout")
async def test_real_candles():
    """Ten days that eight perpetuals have in common."""
    symbols = [f"{path.stem.removesuffix('USDT')}/USDT:USDT" for path in sorted(REAL.glob("*USDT.parquet"))]
    market = ReplayMarket(REAL, symbols)
    assert market.messages == ()
    assert (market.end_ms - market.first_ms) // MINUTE_MS > 10_000
    venue = SimulatedVenue(market, VenueSettings())
    minute = venue.step()
    assert [symbol for symbol, _ in minute.candles] == symbols
    hours = await history_of(venue, "BTC/USDT:USDT", Timeframe.H1, 24)
    assert len(hours) == 24
    assert np.all(np.diff(hours.ts_ms) == Timeframe.H1.ms)
    assert market.instrument("BTC/USDT:USDT").tick_size <= 1
