"""Histories by REST against a fake client."""

import asyncio
from types import SimpleNamespace
from typing import Any

import ccxt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from livebot.adapters.ccxt_venue.candle_history import CLOCK_TRUSTED_MS, FRESH_MS, PAGE, PAGES_BEYOND
from livebot.adapters.ccxt_venue.feed import CcxtFeed
from livebot.adapters.ccxt_venue.feed_settings import FeedSettings
from livebot.core.market import MINUTE_MS, Candle, Timeframe
from livebot.core.series import CandleSeries
from livebot.errors import BadInput, Transient
from livebot.features.timeframes import check_series
from livebot.ports import VenueNotice
from tests.adapters.ccxt_venue.fake_stream import START_MS, A, B, FakeData, minute, row_of
from tests.virtual_loop import run

NOW_MS = START_MS + 30_000  # in the middle of a minute


class Venue:
    """Rows as a test wrote them, newest last; the last one is forming unless the clock says otherwise."""

    def __init__(self, minutes: list[int], *, now_ms: int = NOW_MS, settings: FeedSettings | None = None) -> None:
        self.minutes = sorted(minutes)
        self.now_ms = now_ms
        self.by_span = False  # as Bybit: so many minutes, however many of them there are
        self.calls: list[tuple[int | None, int]] = []
        self.data = FakeData([A, B])
        self.data.rows = self.rows
        self.connection: Any = SimpleNamespace(
            data=self.data,
            exchange_id="bybit",
            market="perpetual",
            skew_ms=0,
            bans=SimpleNamespace(left_s=0.0),
        )
        self.feed = CcxtFeed(self.connection, settings, clock=SimpleNamespace(now_ms=lambda: self.now_ms))
        self.notices: list[VenueNotice] = []
        self.feed.listen_notices(self.notices.append)

    def rows(self, symbol: str, timeframe: str, since: int | None, limit: int) -> list[Any]:
        self.calls.append((since, limit))
        times = [START_MS + n * MINUTE_MS for n in self.minutes]
        if since is None:
            first = times[-1] - (limit - 1) * MINUTE_MS if self.by_span else 0
            chosen = [ts_ms for ts_ms in times if ts_ms >= first][-limit:]
        else:
            chosen = [ts_ms for ts_ms in times if since <= ts_ms < since + limit * MINUTE_MS]
        return [row_of(minute(ts_ms)) for ts_ms in reversed(chosen)]

    def ask(self, count: int) -> list[int]:
        """Minutes of the history."""
        series = run(self.feed.history(A, Timeframe.M1, count))
        return [(int(ts_ms) - START_MS) // MINUTE_MS for ts_ms in series.ts_ms]


def test_the_unfinished_candle_is_left_out():
    venue = Venue([-3, -2, -1, 0])
    assert venue.ask(2) == [-2, -1]
    assert venue.ask(9) == [-3, -2, -1]


def test_numbers_are_what_the_venue_said():
    series: CandleSeries = run(Venue([-1, 0]).feed.history(A, Timeframe.M1, 1))
    wanted = minute(START_MS - MINUTE_MS)
    assert [float(getattr(series, name)[0]) for name in ("open", "high", "low", "close", "volume")] == [
        wanted.open,
        wanted.high,
        wanted.low,
        wanted.close,
        wanted.volume,
    ]
    assert series.ts_ms.dtype == np.int64
    check_series(series, Timeframe.M1)


@pytest.mark.parametrize(
    ("after_ms", "wanted"),
    [
        (-500, [-2]),  # our clock is a little behind: the minute has just ended
        (300, [-2]),  # REST may still tell the last one half formed
        (1_000, [-2, -1]),
        (59_000, [-2, -1]),
        (60_900, [-2, -1]),  # the next row is not there yet
        (61_000, [-2, -1, 0]),  # no later row, but its time is over
        (60_000 + CLOCK_TRUSTED_MS, [-2, -1, 0]),
        (60_001 + CLOCK_TRUSTED_MS, [-2, -1]),  # the clock is not the venue's
        (-90_000_000, [-2, -1]),
    ],
)
def test_what_is_closed_by_the_venues_clock(after_ms, wanted):
    assert Venue([-2, -1, 0], now_ms=START_MS + after_ms).ask(9) == wanted


def test_an_answer_that_comes_after_the_turn_of_the_minute_was_written_before_it():
    venue = Venue([-2, -1, 0], now_ms=START_MS + 59_000)
    whole = venue.data.rows

    def rows(*asked):
        venue.now_ms = START_MS + 62_000
        return whole(*asked)

    venue.data.rows = rows
    assert venue.ask(9) == [-2, -1]


def test_a_minute_that_is_missing_right_before_the_newest_may_still_come():
    venue = Venue([-4, -3, -1])
    assert venue.ask(9) == [-4, -3]
    recent = run(venue.feed._history.recent(A, 9))
    assert recent.settled_ms == START_MS - 2 * MINUTE_MS
    assert run(Venue([-4, -3, -1, 0]).feed._history.recent(A, 9)).settled_ms == START_MS


class Halving(Venue):
    """Tells the newest closed minute half formed for so many answers."""

    def __init__(self, answers: int, *, after_ms: int = 3_000) -> None:
        super().__init__([-2, -1, 0], now_ms=START_MS + after_ms)
        self.answers = answers
        self.data.rows = self.halved

    def halved(self, *asked) -> list[Any]:
        rows = self.rows(*asked)
        if len(self.calls) <= self.answers:
            half = Candle(START_MS - MINUTE_MS, 1.0, 2.0 + len(self.calls), 1.0, 1.5, 1.0)
            return [row_of(half) if row[0] == half.ts_ms else row for row in rows]
        return rows

    def newest(self) -> tuple[int, float, int]:
        """Minute and volume of the newest candle of a history, and how often was asked."""
        series = run(self.feed.history(A, Timeframe.M1, 2))
        return (int(series.ts_ms[-1]) - START_MS) // MINUTE_MS, float(series.volume[-1]), len(self.calls)


def test_a_candle_that_has_just_closed_is_what_two_answers_say():
    whole = minute(START_MS - MINUTE_MS).volume
    assert Halving(0).newest() == (-1, whole, 2)
    assert Halving(1).newest() == (-1, whole, 3)
    assert Halving(2).newest() == (-1, whole, 4)


def test_a_candle_about_which_no_two_answers_agree_is_left_out():
    assert Halving(9).newest()[0] == -2


def test_a_candle_that_has_to_be_left_out_costs_no_second_page():
    """The minute has only just begun, and REST may tell the one before it half formed."""
    venue = Venue(list(range(-99, 1)), now_ms=START_MS + 500)
    assert venue.ask(60) == list(range(-61, -1))
    assert venue.calls == [(None, 62)]


def test_a_candle_that_closed_a_while_ago_is_asked_for_once():
    assert Halving(0, after_ms=FRESH_MS).newest()[::2] == (-1, 1)


def test_the_venues_clock_is_ours_and_the_skew():
    venue = Venue([-1, 0])
    feed = CcxtFeed(venue.connection)
    world = feed._world.now_ms()
    venue.connection.skew_ms = 5_000
    assert 5_000 <= feed._now_ms() - world < 6_000


def test_a_long_history_comes_in_pages_sorted_and_once():
    venue = Venue(list(range(-2_600, 1)))
    assert venue.ask(2_500) == list(range(-2_500, 0))
    assert [limit for _, limit in venue.calls] == [PAGE, PAGE, 501]
    assert max(limit for _, limit in venue.calls) <= PAGE


def test_a_young_market_gives_what_there_is():
    assert Venue(list(range(-1_200, 1))).ask(5_000) == list(range(-1_200, 0))


@pytest.mark.untraced
@given(missing=some.sets(some.integers(-40, -1)), count=some.integers(1, 60), by_span=some.booleans())
def test_gaps_stay_gaps_and_nothing_is_told_twice(missing, count, by_span):
    present = sorted(set(range(-40, 1)) - missing)
    venue = Venue(present)
    venue.by_span = by_span
    assert venue.ask(count) == present[:-1][-count:]


@pytest.mark.parametrize("hours", [1, 20])
def test_an_outage_of_the_venue_does_not_end_the_history(hours):
    present = [*range(-3_000, -2_000), *range(-2_000 + hours * 60, 1)]
    venue = Venue(present)
    venue.by_span = True
    assert venue.ask(2_500) == present[:-1][-2_500:]


def test_a_market_full_of_gaps_ends_the_search():
    venue = Venue([-n * 900 for n in range(60)])
    assert len(venue.ask(1_500)) < 60
    assert len(venue.calls) <= 1_500 // PAGE + PAGES_BEYOND + 1


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ccxt.RequestTimeout("x"), "no candles of A/USDT:USDT from bybit: no answer in time"),
        (ccxt.RateLimitExceeded("x"), "no candles of A/USDT:USDT from bybit: it wants fewer requests"),
        (ccxt.ExchangeError("bybit <html>"), "no candles of A/USDT:USDT from bybit: the answer is not usable"),
        (KeyError("result"), "no candles of A/USDT:USDT from bybit"),
        (OSError("reset"), "no candles of A/USDT:USDT from bybit"),
    ],
)
def test_a_venue_that_does_not_answer_is_transient_and_told_until_it_does(error, text):
    venue = Venue([-1, 0])
    venue.data.rest_error = error
    with pytest.raises(Transient, match=text):
        venue.ask(1)
    assert [(notice.symbol, notice.blocks_entries) for notice in venue.notices] == [(A, False)]
    assert text in str(venue.notices[0].text)
    venue.data.rest_error = None
    assert venue.ask(1) == [-1]
    assert venue.notices[-1].text is None


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "the answer is empty"),
        ([[START_MS, "1", "2", "3", "1", "1"]], "cannot be used: candle"),
        ([[START_MS, "1", "nan", "1", "1", "1"]], "cannot be used: candle"),
        ([["x"]], "is not six numbers"),
        (None, "cannot be used"),
    ],
)
def test_an_answer_that_cannot_be_used_is_transient(rows, text):
    venue = Venue([])
    venue.data.rows = lambda *_: rows
    with pytest.raises(Transient, match=text):
        venue.ask(1)


def test_a_symbol_that_is_not_listed_is_told():
    venue = Venue([-1, 0])
    del venue.data.markets[A]
    with pytest.raises(Transient, match=f"no candles of {A}: bybit does not list it; take it out of the symbols"):
        venue.ask(1)


def test_a_ban_is_kept_without_a_request():
    venue = Venue([-1, 0])
    venue.connection.bans.left_s = 61.2
    with pytest.raises(Transient, match="bybit has banned this address for 61 s more"):
        venue.ask(1)
    assert venue.data.asked == []


def test_a_timeframe_that_the_venue_lacks_is_refused_with_those_it_has():
    with pytest.raises(BadInput, match="bybit has no 8h candles of A/USDT:USDT; it has 1m, 5m"):
        run(Venue([-1, 0]).feed.history(A, Timeframe.H8, 5))


def test_many_at_once_are_bounded():
    venue = Venue([-1, 0], settings=FeedSettings(histories_at_once=3))

    async def many():
        await asyncio.gather(*(venue.feed.history(A, Timeframe.M1, 1) for _ in range(20)))

    run(many())
    assert venue.data.rest_most == 3
    assert len(venue.data.asked) == 20


def test_a_cancelled_history_makes_room_for_the_next():
    venue = Venue([-1, 0], settings=FeedSettings(histories_at_once=1))

    async def scenario():
        first = asyncio.create_task(venue.feed.history(A, Timeframe.M1, 1))
        await asyncio.sleep(0.01)
        first.cancel()
        return await venue.feed.history(A, Timeframe.M1, 1)

    assert len(run(scenario())) == 1


def test_bybits_candles_are_asked_for_faster_than_ccxt_does_and_nothing_else_is():
    cost = Venue([-1, 0]).data.calculate_rate_limiter_cost
    assert cost("public", "GET", "v5/market/kline", {}, {}) == 1.5
    assert cost("public", "GET", "v5/market/tickers", {}, {}) == 5.0
