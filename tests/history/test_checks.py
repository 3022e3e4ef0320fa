"""What is found in the candles of a file, in those of a venue together, and what is not found in sound ones."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import BadInput
from livebot.history.candle_file import FileNote, encode
from livebot.history.checks import JUMP_RATIO, STALE_CANDLES, findings, in_order, jumps_in, runs_of
from livebot.history.coverage import Coverage, Gap, Held, coverages, held_of
from livebot.history.inspection import files_of, inspect, spacing_of
from livebot.history.place import Place
from livebot.history.table import CandleTable
from tests.history.builders import PLACE, START_MS, changed, minutes_of, table, timed

LATER_MS = START_MS + 10**9
REAL = Path(__file__).resolve().parents[3] / "shared" / "data"


def kinds(
    candles: CandleTable, timeframe: Timeframe = Timeframe.M1, now_ms: int = LATER_MS
) -> list[tuple[str, int, int]]:
    return [(each.kind, each.count, each.row) for each in findings(candles, timeframe, now_ms) if each.error]


def minute(number: int) -> int:
    return START_MS + number * MINUTE_MS


def test_sound_candles_have_no_findings():
    assert findings(table(2_000), Timeframe.M1, LATER_MS) == ()
    assert findings(table(3), Timeframe.M1, LATER_MS) == ()


@pytest.mark.parametrize(
    ("candles", "wanted"),
    [
        (timed(table(9), 4, minute(3)), [("duplicate", 1, 5)]),
        (timed(table(9), 4, minute(1)), [("order", 1, 5)]),
        (timed(table(9), 4, minute(4) + 500), [("grid", 1, 5)]),
        (changed(table(9), 2, 3, 0.0), [("zero", 1, 4)]),
        (changed(table(9), 2, 3, -1.0), [("zero", 1, 4)]),
        (changed(table(9), 4, 3, -1.0), [("zero", 1, 4)]),
        (changed(table(9), 4, 3, np.nan), [("number", 1, 4)]),
        (changed(table(9), 1, 3, 1.0), [("outside", 1, 4)]),
        (changed(table(9), 3, 3, 900.0), [("outside", 1, 4)]),
        (table(20, step_ms=60 * MINUTE_MS), [("timeframe", 1, 2)]),
        (CandleTable(table(9).ts_ms // 1000, table(9).values), [("unit", 9, 1), ("grid", 9, 1)]),
        (CandleTable(table(9).ts_ms * 1000, table(9).values), [("unit", 9, 1)]),
    ],
)
def test_what_is_wrong_is_named_with_its_row(candles, wanted):
    found = [each for each in kinds(candles, now_ms=10**18) if each[0] != "unfinished"]
    assert [each for each in found if each[0] != "stale"] == wanted


def test_a_candle_that_had_not_closed():
    assert kinds(table(10), now_ms=minute(10)) == []
    assert kinds(table(10), now_ms=minute(10) - 1) == [("unfinished", 1, 10)]
    assert kinds(table(10), now_ms=minute(4)) == [("unfinished", 6, 5)]


def repeated(times: int, *, volume: float = 3.0, flat: bool = False) -> CandleTable:
    values = table(30).values.copy()
    values[:, 10 : 10 + times] = values[:, 10:11]
    values[4, 10 : 10 + times] = volume
    if flat:
        values[:4, 10 : 10 + times] = values[3, 10]
    return CandleTable(table(30).ts_ms, values)


def test_a_feed_that_stood_still():
    assert kinds(repeated(STALE_CANDLES - 1)) == []
    assert kinds(repeated(STALE_CANDLES)) == [("stale", STALE_CANDLES, 11)]
    [found] = findings(repeated(8), Timeframe.M1, LATER_MS)
    assert "the same candle stands there 8 times in a row, volume 3 included" in found.text


def test_a_market_without_trades_is_no_fault():
    assert kinds(repeated(12, volume=0.0, flat=True)) == []
    assert kinds(repeated(12, volume=0.0)) == [("stale", 12, 11)]  # it moved, and nobody traded


def jumping(by: float) -> CandleTable:
    """A walk in which candles change by a thousandth, but for one."""
    change = np.resize([0.001, -0.001], 600)
    change[300] = by
    close = 100.0 * np.exp(np.cumsum(change))
    opened = np.concatenate([[100.0], close[:-1]])
    values = np.array([opened, np.maximum(opened, close), np.minimum(opened, close), close, np.arange(600.0)])
    return CandleTable(table(600).ts_ms, values)


def test_a_jump_is_a_note():
    assert findings(jumping(0.9 * JUMP_RATIO * 0.001), Timeframe.M1, LATER_MS) == ()
    [found] = findings(jumping(-0.2), Timeframe.M1, LATER_MS)
    assert (found.kind, found.error, found.count, found.row, found.ts_ms) == ("jump", False, 1, 301, minute(300))
    assert "the close moves by -18.1%, 200 times the usual change" in found.text


def test_a_jump_at_the_start_has_nothing_to_be_measured_by():
    rows, _, _ = jumps_in(np.array([100.0] * 3 + [200.0] * 3))
    assert rows.tolist() == []


@given(some.lists(some.booleans(), max_size=20))
def test_runs(flags):
    mask = np.array(flags, dtype=bool)
    starts, lengths = runs_of(mask)
    found = {index for start, length in zip(starts, lengths, strict=True) for index in range(start, start + length)}
    assert found == set(np.flatnonzero(mask))
    assert all(start == 0 or not mask[start - 1] for start in starts)


def held(minutes, fetched=()) -> Held:
    return held_of(table(minutes).ts_ms, MINUTE_MS, tuple((minute(a), minute(b)) for a, b in fetched))


def covered(**symbols: Held) -> dict[str, Coverage]:
    return coverages(symbols, MINUTE_MS)


def test_what_all_symbols_lack_is_the_venues_outage():
    found = covered(a=held([0, 1, 4, 5, 8]), b=held([0, 1, 4, 5, 6, 7, 8]), c=held([4, 5, 6, 7, 8]))
    assert found["a"].gaps == (Gap(minute(2), minute(4), 2, venue=True), Gap(minute(6), minute(8), 2, venue=False))
    assert (found["a"].rows, found["a"].expected) == (5, 7)
    assert found["a"].ratio == 5 / 7
    assert found["b"].ratio == found["c"].ratio == 1.0


def test_a_symbol_that_was_not_there_yet_or_any_more_is_no_witness():
    found = covered(a=held([0, 3, 4]), b=held([2, 3, 4]))
    assert found["a"].gaps == (Gap(minute(1), minute(3), 2, venue=False),)


def test_a_gap_that_only_partly_is_the_venues_is_told_in_parts():
    found = covered(a=held([0, 9]), b=held([0, 1, 2, 5, 6, 7, 8, 9]))
    assert [(gap.from_ms, gap.candles, gap.venue) for gap in found["a"].gaps] == [
        (minute(1), 2, False),
        (minute(3), 2, True),
        (minute(5), 4, False),
    ]


def test_one_symbol_alone_cannot_tell_an_outage_but_the_venues_answer_can():
    assert covered(a=held([0, 3]))["a"].gaps == (Gap(minute(1), minute(3), 2, venue=False),)
    found = covered(a=held([0, 3], fetched=[(0, 3)]))["a"]
    assert found.gaps == (Gap(minute(1), minute(3), 2, venue=True),)
    assert found.ratio == 1.0


@given(some.lists(some.sets(some.integers(0, 12), min_size=1), min_size=2, max_size=4))
def test_outages_against_the_plainest_model(chosen):
    symbols = {str(number): held(sorted(minutes)) for number, minutes in enumerate(chosen)}
    found = coverages(symbols, MINUTE_MS)
    for number, minutes in enumerate(chosen):
        for at in range(min(minutes), max(minutes)):
            if at in minutes:
                continue
            alive = [each for each in chosen if min(each) <= at <= max(each)]
            venues = len(alive) >= 2 and not any(at in each for each in alive)
            gap = next(gap for gap in found[str(number)].gaps if gap.from_ms <= minute(at) < gap.to_ms)
            assert gap.venue is venues
        assert found[str(number)].expected >= len(minutes)


def stored(folder: Path, place: Place, candles: CandleTable, fetched=()) -> Path:
    path = place.path_in(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(candles, FileNote(place, fetched)))
    return path


class TestInspection:
    def test_files_of_one_folder_witness_for_each_other(self, tmp_path):
        eth = Place("bybit", "perpetual", Timeframe.M1, "ETH/USDT:USDT")
        other = Place("binance", "perpetual", Timeframe.M1, "ETH/USDT:USDT")
        paths = [stored(tmp_path, PLACE, table([0, 1, 5])), stored(tmp_path, eth, table([0, 1, 2, 5]))]
        paths.append(stored(tmp_path, other, table([0, 5])))
        btc, ether, alone = inspect(paths, LATER_MS)
        assert [(gap.candles, gap.venue) for gap in btc.gaps] == [(1, False), (2, True)]
        assert (btc.symbol, btc.timeframe, btc.rows, btc.sound) == ("BTC/USDT:USDT", "1m", 3, False)
        assert (ether.sound, ether.first_ms, ether.stop_ms) == (True, minute(0), minute(6))
        assert not alone.sound

    def test_a_faulty_file_is_looked_at_as_far_as_it_can_be(self, tmp_path):
        place = Place("bybit", "perpetual", Timeframe.M1, "ETH/USDT:USDT")
        sound = stored(tmp_path, PLACE, table(20))
        mixed = stored(tmp_path, place, timed(table(20), 5, minute(2)))
        broken = tmp_path / "bybit/perpetual/1m/XRP-USDT_USDT.parquet"
        broken.write_bytes(b"no")
        told: list[Path] = []
        reports = inspect([sound, mixed, broken], LATER_MS, told.append)
        assert told == [sound, mixed, broken]
        assert [report.sound for report in reports] == [True, False, False]
        assert [each.kind for each in reports[1].findings] == ["order"]
        assert [gap.candles for gap in reports[1].gaps] == [1]
        assert reports[2].coverage is None
        assert reports[2].findings[0].text.startswith("is not a whole parquet file")
        assert (reports[2].symbol, reports[2].timeframe, reports[2].gaps) == ("XRP/USDT:USDT", "1m", ())

    def test_gaps_are_not_told_of_times_that_are_none(self, tmp_path):
        path = stored(tmp_path, PLACE, CandleTable(table(20).ts_ms // 1000, table(20).values))
        [report] = inspect([path], LATER_MS)
        assert not report.sound
        assert report.coverage is None

    def test_a_file_that_was_written_while_its_last_candle_formed(self, tmp_path):
        path = stored(tmp_path, PLACE, table(20))
        for written_ms, sound in ((minute(19), False), (minute(20) - 1, False), (minute(20), True), (0, True)):
            os.utime(path, ns=(0, written_ms * 1_000_000))
            [report] = inspect([path], LATER_MS)
            assert report.sound is sound
            assert [(each.kind, each.row) for each in report.findings] == ([] if sound else [("unfinished", 20)])

    def test_files_and_folders_by_name(self, tmp_path):
        path = stored(tmp_path, PLACE, table(3))
        assert files_of([tmp_path, path]) == (path,)
        (tmp_path / "empty").mkdir()
        for given_path, says in (("empty", "no parquet file is in it"), ("none", "is not there")):
            with pytest.raises(BadInput, match=says):
                files_of([tmp_path / given_path])


def test_a_timeframe_by_its_spacing():
    assert spacing_of(table([0, 60, 120, 121]).ts_ms) is Timeframe.H1
    assert spacing_of(table([0]).ts_ms) is Timeframe.M1
    assert spacing_of(table([0, 7, 14]).ts_ms) is Timeframe.M1


def test_a_table_in_order():
    assert minutes_of(in_order(timed(table(4), 3, minute(1)))) == [0, 1, 2]


@pytest.mark.skipif(not REAL.is_dir(), reason="the candles of the project's data folder are not here")
@pytest.mark.parametrize(("folder", "outages"), [("spot_1h", 122), ("perp_1h", 0), ("perp_1m", 0)])
def test_real_files_are_sound_and_their_outages_are_the_venues(folder, outages):
    reports = inspect(files_of([REAL / folder]), 2 * 10**12)
    assert all(report.sound for report in reports)
    assert all(report.coverage is not None and report.coverage.ratio == 1.0 for report in reports)
    assert max(sum(gap.candles for gap in report.gaps) for report in reports) == outages
    assert {finding.kind for report in reports for finding in report.findings} <= {"jump"}
