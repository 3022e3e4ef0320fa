"""Fetching: only what is missing, whatever the venue does in between, and never a candle that has not closed."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from livebot.adapters.state_files.file_layer import SystemFiles
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import BadInput, Transient
from livebot.history.fetching import Fetched, FetchSettings, Progress, Wanted, fetch
from livebot.history.place import Place
from livebot.history.store import CandleStore, Counts
from livebot.history.table import CandleTable
from tests.adapters.layers import FillingUp
from tests.history.builders import PLACE, START_MS, minutes_of, same, table
from tests.history.fake_source import FakeSource, minute_of
from tests.virtual_loop import run

A, B = "BTC/USDT:USDT", "ETH/USDT:USDT"
SMALL = FetchSettings(page=10, store_candles=25)


def store_in(folder: Path) -> CandleStore:
    return CandleStore(folder, SystemFiles())


def wanted(since: float = 0, until: float = 10**6, *symbols: str, again: bool = False) -> Wanted:
    chosen = symbols or (A,)
    return Wanted(chosen, Timeframe.M1, START_MS + round(since * MINUTE_MS), START_MS + round(until * MINUTE_MS), again)


def fetched(source: FakeSource, folder: Path, what: Wanted | None = None, how: FetchSettings = SMALL) -> Fetched:
    [result] = run(fetch(source, store_in(folder), what or wanted(), lambda _: None, how))
    return result


def held(folder: Path, place: Place = PLACE) -> list[int]:
    return minutes_of(store_in(folder).read(place))


def test_a_history_comes_in_pages_and_the_forming_candle_stays_out(tmp_path):
    source = FakeSource(range(48), now=47.5)
    result = fetched(source, tmp_path)
    assert (result.problem, result.counts, result.gaps, result.revised) == (None, Counts(47, 0, 0), (), 0)
    assert same(store_in(tmp_path).read(PLACE), table(47))
    assert source.pages() == [(0, 10), (8, 18), (16, 26), (24, 34), (32, 42), (40, 47), (45, 48)]


def test_what_is_there_is_not_asked_for_again(tmp_path):
    fetched(FakeSource(range(48), now=47.5), tmp_path)
    source = FakeSource(range(48), now=47.5)
    assert fetched(source, tmp_path).counts == Counts()
    assert source.asked == []
    source = FakeSource(range(56), now=55.2)
    assert fetched(source, tmp_path).counts.added == 8
    assert source.pages() == [(45, 55), (53, 56)]
    assert held(tmp_path) == list(range(55))


def test_an_earlier_beginning_is_filled_in_before(tmp_path):
    fetched(FakeSource(range(48), now=40), tmp_path, wanted(30))
    assert fetched(FakeSource(range(48), now=40), tmp_path, wanted(20)).counts.added == 10
    assert held(tmp_path) == list(range(20, 40))[: len(held(tmp_path))]


def test_holes_in_the_middle_are_filled(tmp_path):
    with store_in(tmp_path).writing(PLACE) as writer:
        writer.merge(table([*range(10), *range(15, 30)]))
    source = FakeSource(range(31), now=30.5)
    assert fetched(source, tmp_path).counts.added == 5
    assert source.pages() == [(8, 15)]
    assert held(tmp_path) == list(range(30))


def test_a_gap_of_the_venue_stays_one_and_is_asked_for_once_more_only(tmp_path):
    there = [*range(13), *range(17, 40)]
    source = FakeSource(there, now=39.5)
    result = fetched(source, tmp_path)
    assert held(tmp_path) == there[:-1]
    assert result.gaps == ((START_MS + 13 * MINUTE_MS, START_MS + 17 * MINUTE_MS),)
    assert source.pages().count((13, 17)) == 1
    again = FakeSource(there, now=39.5)
    assert fetched(again, tmp_path).gaps == result.gaps
    assert again.asked == []


def test_a_gap_at_the_end_of_what_was_stored_in_between_is_remembered(tmp_path):
    there = [*range(8), *range(15, 60)]
    how = FetchSettings(page=10, store_candles=8)
    fetched(FakeSource(there, now=59.5), tmp_path, how=how)
    source = FakeSource(there, now=59.5)
    fetched(source, tmp_path, how=how)
    assert source.asked == []


def test_again_asks_for_everything_and_new_candles_win(tmp_path):
    with store_in(tmp_path).writing(PLACE) as writer:
        writer.merge(table(30, shift=1.0))
    source = FakeSource(range(31), now=30.5)
    assert fetched(source, tmp_path, wanted(again=True)).counts == Counts(0, 30, 0)
    assert same(store_in(tmp_path).read(PLACE), table(30))


def test_an_answer_without_its_tail_or_middle_is_completed(tmp_path):
    cut = {2: lambda found: CandleTable(found.ts_ms[:4], found.values[:, :4])}
    cut[4] = lambda found: CandleTable(np.delete(found.ts_ms, [3, 5]), np.delete(found.values, [3, 5], axis=1))
    source = FakeSource(range(48), now=47.5, spoils=cut)
    result = fetched(source, tmp_path)
    assert held(tmp_path) == list(range(47))
    assert result.gaps == ()
    assert (12, 18) in source.pages()


@pytest.mark.parametrize("newest", [False, True])
def test_a_venue_that_gives_less_at_once_than_was_asked_for(tmp_path, newest):
    source = FakeSource(range(48), now=47.5)

    def cut(found: CandleTable) -> CandleTable:
        part = slice(-3, None) if newest else slice(None, 3)
        return CandleTable(found.ts_ms[part], found.values[:, part])

    source.spoils = dict.fromkeys(range(1, 100), cut)
    result = fetched(source, tmp_path)
    assert (result.problem, result.gaps) == (None, ())
    assert held(tmp_path) == list(range(47))


def test_rows_that_were_not_asked_for_are_left(tmp_path):
    source = FakeSource(range(21), now=20.5, spoils={1: lambda _: table(40)})
    fetched(source, tmp_path)
    assert held(tmp_path) == list(range(20))


def half_formed(minute: int):
    def spoil(found: CandleTable) -> CandleTable:
        values = found.values.copy()
        values[3, found.ts_ms == START_MS + minute * MINUTE_MS] += 0.01
        return CandleTable(found.ts_ms, values)

    return spoil


@pytest.mark.parametrize("requests", [(2,), (3,), (4,)])
def test_a_candle_told_half_formed_is_told_right_later(tmp_path, requests):
    """The newest ones are asked for until two answers agree; 2 is the last page, 3 and 4 are looks at its end."""
    source = FakeSource(range(18), now=17.3, spoils=dict.fromkeys(requests, half_formed(16)))
    result = fetched(source, tmp_path)
    assert same(store_in(tmp_path).read(PLACE), table(17))
    assert result.revised == (0 if requests == (4,) else 2 if requests == (3,) else 1)


def test_a_candle_at_a_border_of_pages_that_differs_is_replaced(tmp_path):
    source = FakeSource(range(28), now=27.3, spoils={1: half_formed(9)})
    assert fetched(source, tmp_path).revised == 1
    assert same(store_in(tmp_path).read(PLACE), table(27))


def test_a_stored_candle_before_a_hole_is_compared_too(tmp_path):
    with store_in(tmp_path).writing(PLACE) as writer:
        writer.merge(half_formed(9)(table(10)))
    assert fetched(FakeSource(range(21), now=20.5), tmp_path).counts == Counts(10, 1, 1)
    assert same(store_in(tmp_path).read(PLACE), table(20))


@pytest.mark.parametrize("ahead", [0.0, 5.0, 90.0, 10.0**6])
def test_a_clock_that_is_ahead_lets_no_forming_candle_in(tmp_path, ahead):
    """20 is forming, whatever the clock says; what lies beyond it counts as not asked for."""
    fetched(FakeSource(range(21), now=20.5 + ahead), tmp_path)
    assert held(tmp_path) == list(range(20))
    fetched(FakeSource(range(41), now=40.5), tmp_path)
    assert held(tmp_path) == list(range(40))


def test_a_clock_that_is_behind_only_makes_it_shorter(tmp_path):
    fetched(FakeSource(range(21), now=12.5), tmp_path)
    assert held(tmp_path) == list(range(12))


def test_a_past_end_is_taken_to_the_candle(tmp_path):
    source = FakeSource(range(100), now=90.0)
    fetched(source, tmp_path, wanted(3.5, 20))
    assert held(tmp_path) == list(range(4, 20))


def test_years_before_the_listing_are_skipped_by_days(tmp_path):
    listed = 3_000 * 1_440 + 700
    source = FakeSource(range(listed, listed + 30), now=listed + 29.5)
    settings = FetchSettings()
    fetched(source, tmp_path, wanted(0, 10**7), settings)
    assert held(tmp_path) == list(range(listed, listed + 29))
    assert len(source.asked) < 180
    source = FakeSource(range(listed, listed + 30), now=listed + 29.5)
    fetched(source, tmp_path, wanted(0, 10**7), settings)
    assert source.asked == []


def test_a_market_without_candles(tmp_path):
    result = fetched(FakeSource([], now=50), tmp_path)
    assert (result.problem, result.counts, result.gaps) == (None, Counts(), ())
    assert store_in(tmp_path).list() == ()


class TestFailures:
    def test_a_request_is_tried_again(self, tmp_path):
        source = FakeSource(range(21), now=20.5, errors={1: Transient("no"), 2: Transient("no"), 4: Transient("no")})
        result = fetched(source, tmp_path)
        assert (result.problem, held(tmp_path)) == (None, list(range(20)))

    def test_the_end_of_trying_is_told_and_what_came_is_stored(self, tmp_path):
        source = FakeSource(range(31), now=30.5, errors={n: Transient("gone") for n in range(3, 20)})
        result = fetched(source, tmp_path)
        assert result.problem == "gone"
        assert len(source.asked) == 2 + SMALL.attempts
        # the newest of what came is not proven to have closed by a later one
        assert held(tmp_path) == list(range(17))
        assert fetched(FakeSource(range(31), now=30.5), tmp_path).counts.added == 13
        assert same(store_in(tmp_path).read(PLACE), table(30))

    def test_a_ban_is_waited_for_and_does_not_count(self, tmp_path):
        source = FakeSource(range(21), now=20.5)

        async def scenario() -> tuple[Fetched, float]:
            loop = asyncio.get_running_loop()
            source.pause_s = 60.0
            source.errors = dict.fromkeys(range(1, 9), Transient("banned"))
            loop.call_later(400.0, setattr, source, "pause_s", 0.0)
            [result] = await fetch(source, store_in(tmp_path), wanted(), lambda _: None, SMALL)
            return result, loop.time()

        result, seconds = run(scenario())
        assert (result.problem, held(tmp_path)) == (None, list(range(20)))
        assert 400 < seconds < 600

    def test_a_ban_that_does_not_end(self, tmp_path):
        source = FakeSource(range(21), pause_s=300.0, errors=dict.fromkeys(range(1, 99), Transient("banned")))
        assert fetched(source, tmp_path).problem == "banned"
        assert len(source.asked) == 4

    def test_one_symbol_stops_no_other(self, tmp_path):
        source = FakeSource(range(21), now=20.5, unlisted=(A,))
        first, second = run(fetch(source, store_in(tmp_path), wanted(0, 10**6, A, B), lambda _: None, SMALL))
        assert (first.symbol, first.problem) == (A, f"{A} is not listed")
        assert (second.symbol, second.problem, second.counts.added) == (B, None, 20)

    def test_a_file_that_is_being_written(self, tmp_path):
        with store_in(tmp_path).writing(PLACE):
            result = fetched(FakeSource(range(21), now=20.5), tmp_path)
        assert result.problem is not None and "is writing it; wait until" in result.problem

    def test_a_stored_file_that_is_damaged_is_left_alone(self, tmp_path):
        fetched(FakeSource(range(21), now=20.5), tmp_path)
        path = store_in(tmp_path).path_of(PLACE)
        path.write_bytes(path.read_bytes()[:-7])
        result = fetched(FakeSource(range(31), now=30.5), tmp_path)
        assert result.problem is not None and "is not a whole parquet file" in result.problem

    @settings(max_examples=25)
    @given(some.integers(1, 40), some.integers(0, 2**20))
    def test_cancelled_at_any_moment_the_next_run_goes_on(self, tmp_path_factory, steps, seed):
        folder = tmp_path_factory.mktemp("candles")
        there = [n for n in range(60) if (seed >> n % 20) & 1 or n in (0, 59)]
        source = FakeSource(there, now=59.5)

        async def cut() -> None:
            task = asyncio.create_task(fetch(source, store_in(folder), wanted(), lambda _: None, SMALL))
            await asyncio.sleep(steps * 0.05 + 0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        run(cut())
        known = held(folder) if store_in(folder).list() else []
        assert known == there[: len(known)]
        assert known == [] or known[-1] < max(first for _, _, first, _ in source.asked) + 10
        fetched(FakeSource(there, now=59.5), folder)
        assert held(folder) == there[:-1]


def test_a_full_disk_hides_no_cancellation(tmp_path):
    store = CandleStore(tmp_path, FillingUp(0))

    async def cut() -> asyncio.Task[object]:
        task = asyncio.create_task(fetch(FakeSource(range(60), now=59.5), store, wanted(), lambda _: None, SMALL))
        await asyncio.sleep(0.12)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task

    assert run(cut()).cancelled()
    [result] = run(fetch(FakeSource(range(60), now=59.5), store, wanted(), lambda _: None, SMALL))
    assert result.problem is not None and "No space left on device" in result.problem
    assert fetched(FakeSource(range(60), now=59.5), tmp_path).counts.added == 59


def test_candles_go_to_disk_while_more_come(tmp_path):
    seen: list[int] = []

    def look(progress: Progress) -> None:
        stored = store_in(tmp_path).list()
        seen.append(stored[0].rows if stored else 0)

    source = FakeSource(range(91), now=90.5)
    run(fetch(source, store_in(tmp_path), wanted(), look, SMALL))
    assert [rows for rows in dict.fromkeys(seen) if rows] == [25, 49, 73]
    slow = FakeSource(range(91), now=90.5, seconds=20.0)
    seen.clear()
    run(fetch(slow, store_in(tmp_path / "slow"), wanted(), look, FetchSettings(page=50, store_s=30.0)))
    assert held(tmp_path / "slow") == list(range(90))


def test_many_symbols_at_once_but_not_too_many(tmp_path):
    symbols = [f"C{number}/USDT:USDT" for number in range(20)]
    source = FakeSource(range(21), now=20.5)
    results = run(fetch(source, store_in(tmp_path), wanted(0, 10**6, *symbols), lambda _: None, FetchSettings(page=10)))
    assert [result.symbol for result in results] == symbols
    assert source.most_at_once == FetchSettings().symbols_at_once
    assert len(store_in(tmp_path).list()) == 20


def test_progress_is_told_to_its_end(tmp_path):
    told: list[Progress] = []
    run(fetch(FakeSource(range(48), now=47.5), store_in(tmp_path), wanted(), told.append, SMALL))
    assert told[0].done_ms == 0
    assert told[-1].done_ms == told[-1].wanted_ms == 47 * MINUTE_MS
    assert [each.done_ms for each in told] == sorted(each.done_ms for each in told)


def test_hours_and_days_too(tmp_path):
    class Hours(FakeSource):
        def _rows(self, timeframe, first_ms, stop_ms):
            return table(range(30), step_ms=timeframe.ms).between(first_ms, stop_ms)

    for timeframe in (Timeframe.H1, Timeframe.D1):
        source = Hours([], now=29.5 * timeframe.ms / MINUTE_MS)
        what = Wanted((A,), timeframe, START_MS - 90 * timeframe.ms, 10**14)
        assert fetched(source, tmp_path, what).problem is None
        place = Place("bybit", "perpetual", timeframe, A)
        assert same(store_in(tmp_path).read(place), table(29, step_ms=timeframe.ms))


def test_a_symbol_that_cannot_be_a_file(tmp_path):
    result = fetched(FakeSource(range(5)), tmp_path, wanted(0, 99, "../../x"))
    assert result.problem is not None and "is no symbol of a perpetual market" in result.problem
    with pytest.raises(BadInput):
        store_in(tmp_path).path_of(Place("bybit", "perpetual", Timeframe.M1, "x"))


def test_minutes_since_the_start():
    assert minute_of(START_MS + 3 * MINUTE_MS) == 3
