"""The candle feed against a fake client in virtual time: lost, late, repeated and frozen streams."""

import asyncio
import random

import ccxt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from livebot.adapters.ccxt_venue.feed_settings import FeedSettings
from livebot.adapters.ccxt_venue.feed_watch import VANGUARD
from livebot.core.market import MINUTE_MS, Candle
from tests.adapters.ccxt_venue.fake_stream import START_MS, A, B, C, FakeMarket, live, minute, stop
from tests.virtual_loop import run, settle


def test_closed_candles_go_out_once_in_order_and_the_forming_one_never_does():
    market = FakeMarket([A, B])
    run(live(market, 301))
    assert market.minutes(A) == market.minutes(B) == [0, 1, 2, 3, 4]
    assert market.got[A] == [minute(START_MS + n * MINUTE_MS) for n in range(5)]
    assert all(seconds % 60 == 0 for seconds in market.got_s[A])
    assert market.notices == []
    assert market.data.asked == []


def test_all_symbols_are_subscribed_in_one_request():
    symbols = [f"S{n}/USDT:USDT" for n in range(300)]
    market = FakeMarket(symbols)
    run(live(market, 1))
    assert market.data.requests == [tuple(symbols)]


def test_a_lost_closing_message_costs_seconds():
    market = FakeMarket([A, B])
    market.befall = lambda symbol, candle, closed: () if symbol == A and closed and candle.ts_ms == START_MS else (0,)
    run(live(market, 190))
    assert market.minutes(A) == [0, 1, 2]
    assert market.got[A][0] == minute(START_MS)
    assert 63 <= market.got_s[A][0] < 66
    assert market.feed.counts["refetched"] == 1
    assert market.texts(A) == []


def test_the_next_message_of_the_symbol_shows_what_was_lost_if_it_is_alone():
    market = FakeMarket([A])
    market.befall = lambda symbol, candle, closed: () if closed and candle.ts_ms == START_MS else (0,)
    run(live(market, 100))
    assert market.minutes(A) == [0]
    assert 63 <= market.got_s[A][0] < 66


def test_a_quiet_symbol_whose_closing_message_is_lost_is_noticed_by_the_close_of_others():
    market = FakeMarket([A, B])
    market.quiet.add(A)
    market.befall = lambda symbol, candle, closed: () if symbol == A and candle.ts_ms == START_MS + MINUTE_MS else (0,)
    run(live(market, 190))
    assert market.minutes(A)[-2:] == [1, 2]
    assert 123 <= market.got_s[A][-2] < 126
    assert market.notices == []


def test_a_newer_candle_waits_for_the_one_before_it():
    market = FakeMarket([A], FeedSettings(stale_s=1_000))
    market.data.rest_s = 1.0

    def befall(symbol: str, candle: Candle, closed: bool) -> tuple[float, ...]:
        lost = candle.ts_ms == START_MS + MINUTE_MS or (candle.ts_ms == START_MS + 2 * MINUTE_MS and not closed)
        return () if lost or candle.ts_ms > START_MS + 2 * MINUTE_MS else (0.0,)

    market.befall = befall
    run(live(market, 200))
    assert market.minutes(A) == [0, 1, 2]
    assert market.got_s[A][1] == market.got_s[A][2] == pytest.approx(185, abs=1)


def test_a_candle_does_not_wait_for_ever():
    market = FakeMarket([A, B])
    market.data.rest_error = ccxt.RequestTimeout("none")
    market.befall = lambda symbol, candle, closed: (
        () if symbol == A and closed and candle.ts_ms == START_MS + MINUTE_MS else (0,)
    )
    run(live(market, 260))
    assert market.minutes(A) == [0, 2, 3]
    assert market.got_s[A][1] <= 180 + FeedSettings().hold_s
    assert market.feed.counts["let_go"] == 1


def test_repeated_and_reordered_messages_change_nothing():
    market = FakeMarket([A])
    market.befall = lambda symbol, candle, closed: (0.5, 0.7) if closed else (0.0,)
    run(live(market, 200))
    assert market.minutes(A) == [0, 1, 2]
    assert market.feed.counts["repeated"] == 3
    assert market.feed.counts["differing"] == 0
    assert market.data.asked == []


@pytest.mark.untraced
@settings(max_examples=40)
@given(seed=some.integers(0, 2**32), odds=some.floats(0.0, 0.6))
def test_whatever_befalls_the_messages_every_minute_arrives_once_in_order(seed, odds):
    chance = random.Random(seed)
    market = FakeMarket([A, B])

    def befall(symbol: str, candle: Candle, closed: bool) -> list[float]:
        if chance.random() > odds:
            return [0.0]
        return [chance.choice((0.0, 0.3, 2.0, 7.0)) for _ in range(chance.randrange(3))]

    market.befall = befall
    run(live(market, 640))
    for symbol in (A, B):
        minutes = market.minutes(symbol)
        assert minutes == list(range(minutes[0], minutes[-1] + 1))
        assert minutes[0] <= 1
        assert minutes[-1] >= 9
        assert market.got[symbol] == [minute(candle.ts_ms) for candle in market.got[symbol]]


def test_a_frozen_stream_is_noticed_within_20_s_and_made_anew():
    market = FakeMarket([A, B, C])

    async def scenario():
        running, trading = asyncio.create_task(market.feed.run()), asyncio.create_task(market.trade())
        await asyncio.sleep(70)
        frozen = market.data.clients["wss"]
        market.silent |= {A, B, C}  # nothing comes any more, and nobody says so
        await asyncio.sleep(20)
        assert market.texts(A) == [
            f"{A}: the candle stream of bybit is silent though the market trades: the connection is made anew"
        ]
        assert market.texts(B) and market.texts(C)
        assert market.data.clients["wss"] is not frozen
        market.silent.clear()
        await asyncio.sleep(6)
        assert market.texts(A)[-1] is None
        await asyncio.sleep(40)
        await stop(running, trading)

    run(scenario())
    assert market.minutes(A) == market.minutes(B) == [0, 1]
    assert market.feed.counts["reconnected"] == 1


def test_when_all_are_silent_a_few_are_asked_about_for_all():
    symbols = [f"S{n}/USDT:USDT" for n in range(60)]
    market = FakeMarket(symbols, FeedSettings(audit_s=1e6))

    async def scenario():
        running, trading = asyncio.create_task(market.feed.run()), asyncio.create_task(market.trade())
        await asyncio.sleep(70)
        market.silent |= set(symbols)
        await asyncio.sleep(20)
        assert market.feed.counts["reconnected"] == 1
        assert all(market.texts(symbol) for symbol in symbols)
        assert len(market.data.asked) == VANGUARD
        await stop(running, trading)

    run(scenario())


def test_a_close_behind_a_frozen_stream_is_fetched_for_all_as_soon_as_it_is_seen():
    symbols = [f"S{n}/USDT:USDT" for n in range(20)]
    market = FakeMarket(symbols)

    async def scenario():
        running, trading = asyncio.create_task(market.feed.run()), asyncio.create_task(market.trade())
        await asyncio.sleep(51)
        market.silent |= set(symbols)
        await asyncio.sleep(25)
        await stop(running, trading)

    run(scenario())
    assert all(market.minutes(symbol) == [0] for symbol in symbols)
    assert max(market.got_s[symbol][0] for symbol in symbols) < 60 + 10


def test_a_venue_that_does_not_answer_is_asked_seldom():
    market = FakeMarket([A, B], FeedSettings(hold_s=10_000))
    market.data.rest_error = ccxt.RequestTimeout("none")
    market.befall = lambda symbol, candle, closed: () if symbol == A and candle.ts_ms == START_MS + MINUTE_MS else (0,)
    run(live(market, 600))
    assert market.minutes(A) == [0]
    assert 20 <= len(market.data.asked) <= 600 / 3
    assert market.minutes(B) == list(range(10))


def test_a_venue_that_lags_is_asked_again_until_it_knows():
    market = FakeMarket([A, B])
    market.quiet |= {A}
    whole = market.data.rows

    def rows(*asked):
        lags = START_MS + 100_000 < market.clock.now_ms() < START_MS + 400_000
        return whole(*asked)[: -4 if lags else None]

    market.data.rows = rows
    market.befall = lambda symbol, candle, closed: () if symbol == A and candle.ts_ms >= START_MS + MINUTE_MS else (0,)
    run(live(market, 470))
    assert market.minutes(A) == list(range(7))
    assert len(market.data.asked) < 60


def test_a_stream_that_stays_frozen_is_replaced_by_rest_until_it_lives():
    market = FakeMarket([A, B])

    async def scenario():
        running, trading = asyncio.create_task(market.feed.run()), asyncio.create_task(market.trade())
        await asyncio.sleep(70)
        market.silent |= {A, B}
        await asyncio.sleep(300)
        assert market.minutes(A) == market.minutes(B) == list(range(6))
        delays = [seconds - 60 * (index + 1) for index, seconds in enumerate(market.got_s[A])]
        assert max(delays[3:]) <= FeedSettings().poll_s + 4
        assert "by REST every 15 s" in market.texts(A)[-1]
        assert not any(notice.blocks_entries for _, notice in market.notices)
        market.silent.clear()
        await asyncio.sleep(120)
        assert market.texts(A)[-1] is None
        await stop(running, trading)

    run(scenario())
    assert market.minutes(A) == list(range(8))


def test_one_frozen_symbol_is_subscribed_anew_and_the_others_run_on():
    market = FakeMarket([A, B])

    async def scenario():
        running, trading = asyncio.create_task(market.feed.run()), asyncio.create_task(market.trade())
        await asyncio.sleep(70)
        market.silent.add(A)
        await asyncio.sleep(20)
        assert market.data.unsubscribed == [(A,)]
        assert "subscribed anew" in market.texts(A)[-1]
        await settle()
        assert market.data.requests[-1] == (A,)
        market.silent.clear()
        await asyncio.sleep(40)
        await stop(running, trading)

    run(scenario())
    assert market.texts(A)[-1] is None
    assert market.texts(B) == []
    assert market.feed.counts["reconnected"] == 0
    assert market.minutes(A) == [0, 1]


def test_a_symbol_that_stays_frozen_goes_through_every_step():
    market = FakeMarket([A, B])
    market.data.answers_unsubscribe = False

    async def scenario():
        running, trading = asyncio.create_task(market.feed.run()), asyncio.create_task(market.trade())
        await asyncio.sleep(70)
        market.silent.add(A)
        await asyncio.sleep(200)
        await stop(running, trading)

    run(scenario())
    steps = [text.rpartition(": ")[2][:30] for text in market.texts(A) if text]
    assert steps == ["it is subscribed anew", "the connection is made anew", "its candles are fetched by REST"[:30]]
    assert market.texts(B) == []
    assert market.minutes(A) == market.minutes(B) == [0, 1, 2, 3]
    assert market.feed.counts["renewed"] >= 2  # also tried again while it is asked for by REST


def test_a_market_that_does_not_trade_is_not_taken_for_frozen():
    market = FakeMarket([A, B])
    market.quiet.add(A)
    run(live(market, 1_000))
    assert market.notices == []
    assert market.data.unsubscribed == []
    assert len(market.data.asked) < 40


def test_all_markets_asleep_is_not_taken_for_frozen():
    market = FakeMarket([A, B, C])
    market.quiet |= {A, B, C}
    run(live(market, 600))
    assert market.texts(A) == market.texts(B) == []
    assert market.data.clients["wss"].subscriptions
    assert len(market.data.requests) == 1


def test_a_symbol_without_candles_blocks_itself_alone_until_they_come():
    settings = FeedSettings(fresh_s=90)
    market = FakeMarket([A, B], settings)

    async def scenario():
        running, trading = asyncio.create_task(market.feed.run()), asyncio.create_task(market.trade())
        await asyncio.sleep(70)
        market.silent.add(A)
        market.data.rest_error = ccxt.ExchangeNotAvailable("down")
        await asyncio.sleep(200)
        blocking = [(seconds, each.symbol) for seconds, each in market.notices if each.blocks_entries]
        assert {symbol for _, symbol in blocking} == {A}
        assert 70 + 85 <= blocking[0][0] <= 70 + 95
        assert "it opens nothing" in market.texts(A)[-1]
        assert "cannot be reached" in market.texts(A)[-1]
        market.silent.clear()
        market.data.rest_error = None
        await asyncio.sleep(70)
        assert market.notices[-1][1].text is None
        assert not market.notices[-1][1].blocks_entries
        await stop(running, trading)

    run(scenario())
    assert market.minutes(B) == list(range(5))
    assert market.minutes(A) == list(range(5))


def test_a_disconnect_is_made_good_and_what_passed_meanwhile_is_fetched():
    market = FakeMarket([A, B])

    async def scenario():
        running, trading = asyncio.create_task(market.feed.run()), asyncio.create_task(market.trade())
        await asyncio.sleep(70)
        market.data.dial_error = ccxt.NetworkError("refused")
        market.data.clients["wss"].on_error(ccxt.NetworkError("closing code 1006"))
        await asyncio.sleep(130)
        assert "has ended" in market.texts(source="candle stream")[-1]
        market.data.dial_error = None
        await asyncio.sleep(40)
        assert market.texts(source="candle stream")[-1] is None
        assert market.data.subscribed == {A, B}
        await stop(running, trading)

    run(scenario())
    assert market.minutes(A) == market.minutes(B) == [0, 1, 2]


def test_what_ccxt_cancels_when_it_is_closed_is_no_cancellation_of_ours():
    market = FakeMarket([A])

    async def scenario():
        running, trading = asyncio.create_task(market.feed.run()), asyncio.create_task(market.trade())
        await asyncio.sleep(30)
        client = market.data.clients.pop("wss")
        for future in client.futures.values():
            future.cancel()
        await asyncio.sleep(60)
        assert not running.done()
        assert market.data.subscribed == {A}
        await stop(running, trading)

    run(scenario())
    assert market.minutes(A) == [0]


def test_a_refused_symbol_is_found_and_told_and_the_others_run():
    symbols = [f"S{n}/USDT:USDT" for n in range(20)]
    market = FakeMarket(symbols)
    market.data.refused = {symbols[13]}

    async def scenario():
        running, trading = asyncio.create_task(market.feed.run()), asyncio.create_task(market.trade())
        await asyncio.sleep(30)
        assert market.data.subscribed == set(symbols) - {symbols[13]}
        (notice,) = [each for _, each in market.notices if each.source.startswith("candles")]
        assert (notice.symbol, notice.blocks_entries) == (symbols[13], True)
        assert "Invalid topic" in notice.text
        market.data.refused.clear()
        await asyncio.sleep(100)
        assert market.texts(symbols[13])[-1] is None
        await stop(running, trading)

    run(scenario())
    assert market.minutes(symbols[0]) == [0, 1]
    assert len(market.data.requests) < 40


def test_trouble_that_is_told_to_all_divides_no_request():
    symbols = [f"S{n}/USDT:USDT" for n in range(8)]
    market = FakeMarket(symbols)

    async def scenario():
        running, trading = asyncio.create_task(market.feed.run()), asyncio.create_task(market.trade())
        for _ in range(4):
            await asyncio.sleep(40)
            for name in list(market.data.clients["wss"].futures):
                market.data.clients["wss"].reject(ccxt.ExchangeError("binance 503"), name)
        await asyncio.sleep(40)
        await stop(running, trading)

    run(scenario())
    assert market.data.requests == [tuple(symbols)] * 5


def test_a_symbol_that_the_venue_does_not_list_is_told_and_taken_up_when_it_does():
    market = FakeMarket([A, B])
    listed = market.data.markets.pop(B)

    async def scenario():
        running, trading = asyncio.create_task(market.feed.run()), asyncio.create_task(market.trade())
        await asyncio.sleep(30)
        assert market.texts(B) == [
            f"{B}: bybit does not list it; take it out of the symbols; no candles, it opens nothing"
        ]
        market.data.markets[B] = listed
        await asyncio.sleep(100)
        await stop(running, trading)

    run(scenario())
    assert market.texts(B)[-1] is None
    assert market.minutes(B) == [0, 1]
    assert market.minutes(A) == [0, 1]


def test_a_message_that_cannot_be_read_ends_nothing():
    market = FakeMarket([A])

    async def scenario():
        running, trading = asyncio.create_task(market.feed.run()), asyncio.create_task(market.trade())
        await asyncio.sleep(30)
        for message in ({}, {"topic": 1, "data": [{}]}, {"topic": "kline.1.AUSDT", "data": [{"start": "x"}]}):
            market.data.handle_ohlcv(None, message)
        market.data.handle_ohlcv(None, {"topic": "kline.1.OTHER", "data": []})
        await asyncio.sleep(100)
        await stop(running, trading)

    run(scenario())
    assert market.feed.counts["unreadable"] == 3
    assert market.minutes(A) == [0, 1]


def test_a_candle_that_is_another_one_later_is_told_with_its_time_and_loaded_anew():
    market = FakeMarket([A, B], FeedSettings(audit_s=100))
    market.revised[START_MS] = Candle(START_MS, 100, 103, 99, 101, 6)
    run(live(market, 190))
    (text,) = [text for text in market.texts(A, "candle audit") if text]
    assert text.startswith(f"{A}: the candle of 2023-11-14 22:14 UTC is another one at bybit now: 100/103/99/101")
    assert text.endswith("the history is loaded anew")
    assert sorted(notice.symbol for _, notice in market.notices if notice.reload) == [A, B]  # each once
    assert market.feed.counts["differing"] >= 1
    assert market.minutes(A) == [0, 1, 2]


def test_what_differed_is_told_until_the_next_audit_finds_it_right():
    market = FakeMarket([A], FeedSettings(audit_s=100, audit_candles=2))
    market.revised[START_MS] = Candle(START_MS, 100, 103, 99, 101, 6)
    run(live(market, 390))
    assert [text is None for text in market.texts(A, "candle audit")] == [False, True]


def test_between_two_words_of_the_stream_rest_decides():
    market = FakeMarket([A], FeedSettings(audit_s=30))

    async def scenario():
        running, trading = asyncio.create_task(market.feed.run()), asyncio.create_task(market.trade())
        await asyncio.sleep(61)
        market.tell(A, Candle(START_MS, 100, 110, 99, 101, 6), closed=True)
        await asyncio.sleep(100)
        await stop(running, trading)

    run(scenario())
    assert market.feed.counts["revised"] == 1
    assert market.texts(A, "candle audit") == []


def test_a_failed_audit_is_made_up_for_later():
    market = FakeMarket([A], FeedSettings(audit_s=50))
    market.data.rest_error = ccxt.RequestTimeout("no")
    run(live(market, 190))
    assert market.texts(A, "candle audit") == []
    assert market.minutes(A) == [0, 1, 2]


def test_questions_at_once_are_bounded():
    symbols = [f"S{n}/USDT:USDT" for n in range(60)]
    market = FakeMarket(symbols, FeedSettings(asks_at_once=5))
    market.data.rest_s = 0.5
    market.befall = lambda symbol, candle, closed: () if closed and symbol != symbols[0] else (0,)
    run(live(market, 119))
    assert market.data.rest_most == 5
    assert all(market.minutes(symbol) == [0] for symbol in symbols)


def test_a_feed_without_symbols_waits_to_be_ended():
    run(live(FakeMarket([]), 50))


@pytest.mark.parametrize("seconds", [0.0, 0.1, 15.0, 61.0])
def test_the_feed_ends_when_it_is_cancelled_whatever_it_does(seconds):
    market = FakeMarket([A, B])
    market.silent.add(A)
    market.data.rest_s = 30
    run(live(market, seconds))


def test_symbols_may_come_and_go_while_the_feed_ends():
    """Whoever lets go of a symbol as the daemon stops must not fail over it."""

    async def main():
        market = FakeMarket([A, B])
        running = asyncio.create_task(market.feed.run())
        await asyncio.sleep(1.0)
        running.cancel()
        while not running.done():
            market.feed.ignore(B)
            market.feed.listen(B, lambda _: None)
            await asyncio.sleep(0)

    run(main())
