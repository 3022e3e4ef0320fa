"""The candle feed end to end: stock ccxt over TLS and WebSockets to a local venue that misbehaves."""

import asyncio
from dataclasses import replace

import pytest

from livebot.core.market import Candle, Timeframe
from livebot.errors import Transient
from tests.adapters.ccxt_venue.feed_desk import SHORT, FeedDesk, feed_desk
from tests.simulator.builders import BTC, ETH, START_MS

MOVES = [(float(100 + n), float(101 + n), float(99 + n), 100.5 + n) for n in range(60)]
TWO = {BTC: MOVES, ETH: MOVES}
both = pytest.mark.parametrize("venue", ["bybit", "binance"])


async def closes(sitting: FeedDesk, minutes: int) -> None:
    """Let minutes close and wait until every symbol has them all."""
    before = {symbol: len(got) for symbol, got in sitting.got.items()}
    await sitting.step(minutes)
    await sitting.until(lambda: all(len(got) >= before[symbol] + minutes for symbol, got in sitting.got.items()))


@both
async def test_closed_candles_come_and_ccxt_keeps_none_of_them(tmp_path, venue):
    async with feed_desk(tmp_path, TWO, venue=venue) as sitting:
        await sitting.subscribed()
        await closes(sitting, 5)
        assert sitting.minutes(BTC) == sitting.minutes(ETH) == list(range(5))
        assert sitting.got[BTC][2] == Candle(START_MS + 120_000, 102, 103, 101, 102.5, 1)
        assert sitting.data.ohlcvs == {}
        assert sitting.troubled() == set()


@both
@pytest.mark.parametrize("kind", ["drop", "duplicate", "reorder", "unfinished"])
async def test_what_befalls_a_message_is_made_good(tmp_path, kind, venue):
    async with feed_desk(tmp_path, TWO, venue=venue) as sitting:
        await sitting.subscribed()
        await closes(sitting, 1)
        sitting.arm(kind, "kline", symbols=(BTC,))
        await closes(sitting, 1)
        sitting.arm(kind, "kline", symbols=(BTC,), times=2)
        await closes(sitting, 1)
        await closes(sitting, 2)
        assert sitting.minutes(BTC) == sitting.minutes(ETH) == list(range(5))
        assert sitting.got[BTC][1:3] == [
            Candle(START_MS + 60_000 * n, 100 + n, 101 + n, 99 + n, 100.5 + n, 1) for n in (1, 2)
        ]
        assert sitting.texts(BTC) == []


@both
async def test_every_second_message_lost_or_late_loses_no_minute(tmp_path, venue):
    async with feed_desk(tmp_path, TWO, settings=SHORT, venue=venue) as sitting:
        await sitting.subscribed()
        await closes(sitting, 1)
        sitting.arm("drop", "kline", odds=0.3, times=None)
        sitting.arm("delay", "kline", odds=0.3, seconds=0.04, times=None)
        await closes(sitting, 8)
        sitting.desk.server.faults.clear()
        await closes(sitting, 1)
        assert sitting.minutes(BTC) == sitting.minutes(ETH) == list(range(10))


@both
async def test_a_frozen_stream_that_answers_pings_is_made_anew(tmp_path, venue):
    later = replace(SHORT, stale_s=0.6)  # than the first ping, and long before the second one that is missed
    async with feed_desk(tmp_path, TWO, settings=later, venue=venue, keep_alive_s=0.5) as sitting:
        await sitting.subscribed()
        await closes(sitting, 1)
        (client,) = sitting.data.clients.values()
        sitting.arm("freeze", "kline")
        await closes(sitting, 2)  # told by REST
        await sitting.until(lambda: any("made anew" in text for text in sitting.texts(BTC)))
        await sitting.subscribed()
        assert client.lastPong is not None
        await closes(sitting, 2)
        await sitting.until(lambda: not sitting.troubled())
        assert sitting.minutes(BTC) == sitting.minutes(ETH) == list(range(5))
        assert sitting.feed.counts["reconnected"] >= 1


async def test_where_nobody_sends_orders_the_audit_compares_the_clocks(tmp_path):
    """In paper mode a clock that drifts would make the daemon take open candles for closed; a failure is tried again."""
    quick = replace(SHORT, audit_s=0.1)
    async with feed_desk(tmp_path, TWO, settings=quick) as sitting:
        measure, under_way = sitting.connection.measure_skew, 0

        async def counted():
            nonlocal under_way
            under_way += 1
            try:
                return await measure()
            finally:
                under_way -= 1

        sitting.connection.measure_skew = counted
        await sitting.subscribed()
        sitting.desk.server.faults.skew_ms = 40_000
        await sitting.until(lambda: abs(sitting.connection.skew_ms - 40_000) < 1_000)
        sitting.arm("status", "market/time", times=3, status=500)
        sitting.desk.server.faults.skew_ms = 0
        await sitting.until(lambda: abs(sitting.connection.skew_ms) < 1_000)
        sitting.connection.orders = object()  # then the orders' side does it
        await sitting.until(lambda: not under_way)
        sitting.desk.server.faults.skew_ms = 40_000
        await asyncio.sleep(0.5)
        assert abs(sitting.connection.skew_ms) < 1_000
        sitting.connection.orders = None


@both
async def test_one_symbol_that_falls_silent_is_subscribed_anew(tmp_path, venue):
    async with feed_desk(tmp_path, TWO, settings=SHORT, venue=venue) as sitting:
        await sitting.subscribed()
        await closes(sitting, 1)
        sitting.arm("drop", "kline", symbols=(BTC,), times=None)
        for _ in range(40):
            await sitting.step()
            await asyncio.sleep(0.1)
            if any("subscribed anew" in text for text in sitting.texts(BTC)):
                break
        assert any("subscribed anew" in text for text in sitting.texts(BTC))
        sitting.desk.server.faults.clear()
        await closes(sitting, 2)
        await sitting.until(lambda: BTC not in sitting.troubled() and len(sitting.got[BTC]) == len(sitting.got[ETH]))
        assert sitting.minutes(BTC) == list(range(len(sitting.got[BTC])))
        assert sitting.texts(ETH) == []


@both
async def test_a_reset_connection_is_made_again_and_the_gap_filled(tmp_path, venue):
    async with feed_desk(tmp_path, TWO, venue=venue) as sitting:
        await sitting.subscribed()
        await closes(sitting, 2)
        sitting.arm("disconnect", "kline", symbols=(ETH,))
        await sitting.step(3)
        await sitting.subscribed()
        await closes(sitting, 1)
        assert sitting.minutes(BTC) == sitting.minutes(ETH) == list(range(6))
        assert "has ended" in sitting.texts(None, "candle stream")[0]
        assert sitting.troubled() == set()


@pytest.mark.parametrize("kind", ["html", "truncate", "empty", "status", "cut", "unfinished"])
async def test_a_bad_answer_to_the_question_for_a_lost_candle_only_delays_it(tmp_path, kind):
    async with feed_desk(tmp_path, TWO) as sitting:
        await sitting.subscribed()
        await closes(sitting, 1)
        sitting.arm(kind, "market/kline", times=1 if kind == "unfinished" else 2)
        sitting.arm("drop", "kline", symbols=(BTC,))
        await sitting.step()
        await sitting.until(lambda: len(sitting.got[BTC]) == 2)
        await closes(sitting, 1)
        assert sitting.minutes(BTC) == sitting.minutes(ETH) == [0, 1, 2]
        assert sitting.got[BTC] == sitting.got[ETH]


async def test_a_ban_is_waited_out(tmp_path):
    async with feed_desk(tmp_path, TWO) as sitting:
        await sitting.subscribed()
        await closes(sitting, 1)
        sitting.arm("ban", "market/kline", seconds=0.3)
        with pytest.raises(Transient, match="bybit"):
            await sitting.feed.history(BTC, Timeframe.M1, 3)
        with pytest.raises(Transient, match="has banned this address"):
            await sitting.feed.history(BTC, Timeframe.M1, 3)
        sitting.arm("drop", "kline", symbols=(BTC,))
        await sitting.step()
        await sitting.until(lambda: len(sitting.got[BTC]) == 2)
        assert len(await sitting.feed.history(BTC, Timeframe.M1, 3)) == 2
        assert sitting.minutes(BTC) == [0, 1]


@both
async def test_a_history_holds_the_closed_candles_of_the_venue(tmp_path, venue):
    async with feed_desk(tmp_path, {BTC: [*MOVES[:10], None, *MOVES[11:]]}, venue=venue) as sitting:
        await sitting.subscribed()
        await sitting.step(20)
        series = await sitting.feed.history(BTC, Timeframe.M1, 12)
        assert [(int(ts_ms) - START_MS) // 60_000 for ts_ms in series.ts_ms] == [7, 8, 9, *range(11, 20)]
        assert series.close[-1] == 119.5
        sitting.arm("unfinished", "market/kline", "klines")
        assert (await sitting.feed.history(BTC, Timeframe.M1, 12)).close[-1] == 119.5
        five = await sitting.feed.history(BTC, Timeframe.M5, 2)
        assert [(int(ts_ms) - START_MS) // 60_000 for ts_ms in five.ts_ms] == [5, 15]


async def test_a_symbol_that_is_not_listed_disturbs_no_other(tmp_path):
    async with feed_desk(tmp_path, TWO, symbols=(BTC, "GONE/USDT:USDT", ETH)) as sitting:
        await sitting.subscribed(count=2)
        await sitting.until(lambda: sitting.texts("GONE/USDT:USDT"))
        assert sitting.notices[0].blocks_entries
        sitting.got.pop("GONE/USDT:USDT")
        await closes(sitting, 2)
        assert sitting.troubled() == {"GONE/USDT:USDT"}


async def test_a_topic_that_the_venue_refuses_disturbs_no_other(tmp_path):
    many = [f"C{n}/USDT:USDT" for n in range(12)]
    gone = "GONE/USDT:USDT"

    def list_it(connection):
        markets = connection.data.markets
        markets[gone] = markets[many[0]] | {"symbol": gone, "id": "GONEUSDT"}

    symbols = (*many[:5], gone, *many[5:])
    async with feed_desk(tmp_path, dict.fromkeys(many, MOVES), symbols=symbols, before=list_it) as sitting:
        await sitting.subscribed(count=12)
        await sitting.until(lambda: sitting.texts(gone))
        assert "Invalid topic: kline.1.GONEUSDT" in sitting.texts(gone)[0]
        sitting.got.pop(gone)
        await closes(sitting, 2)
        assert sitting.troubled() == {gone}
        assert all(sitting.minutes(symbol) == [0, 1] for symbol in many)


async def test_many_symbols_are_subscribed_again_after_a_reset(tmp_path):
    many = {f"C{n}/USDT:USDT": MOVES for n in range(60)}
    async with feed_desk(tmp_path, many) as sitting:
        await sitting.subscribed()
        await closes(sitting, 1)
        sitting.arm("disconnect", "kline")
        await sitting.step(2)
        await sitting.subscribed()
        await closes(sitting, 1)
        assert all(sitting.minutes(symbol) == [0, 1, 2, 3] for symbol in many)
        assert sitting.troubled() == set()


async def test_spot_takes_ten_topics_in_a_request(tmp_path):
    many = [f"C{n}/USDT" for n in range(25)]
    async with feed_desk(tmp_path, dict.fromkeys(many, MOVES), market="spot") as sitting:
        await sitting.subscribed("spot")
        await closes(sitting, 2)
        sitting.arm("disconnect", "kline")
        await sitting.step(2)
        await sitting.subscribed("spot")
        await closes(sitting, 1)
        assert all(sitting.minutes(symbol)[-1] == 4 for symbol in many)
        assert sitting.troubled() == set()


async def test_a_venue_that_is_gone_is_told_for_every_symbol(tmp_path):
    async def gone():
        return None

    async with feed_desk(tmp_path, TWO, settings=SHORT) as sitting:
        await sitting.subscribed()
        await closes(sitting, 1)
        await sitting.desk.server.close()
        sitting.desk.server.close = gone
        await sitting.until(lambda: {each.symbol for each in sitting.notices if each.blocks_entries} == {BTC, ETH})
        assert "it opens nothing" in sitting.texts(BTC)[-1]
        assert "has ended" in sitting.texts(None, "candle stream")[-1]


@both
async def test_a_symbol_that_is_delisted_blocks_itself_alone(tmp_path, venue):
    settings = replace(SHORT, fresh_s=2.5)  # a moment in which the machine is busy blocks nobody
    async with feed_desk(tmp_path, TWO, settings=settings, venue=venue) as sitting:
        await sitting.subscribed()
        await closes(sitting, 1)
        sitting.arm("delist", symbols=(ETH,))
        for _ in range(50):
            await sitting.step()
            await asyncio.sleep(0.1)
            if any(each.blocks_entries for each in sitting.notices):
                break
        assert {each.symbol for each in sitting.notices if each.blocks_entries} == {ETH}
        assert f"no candles of {ETH} from {venue}" in sitting.texts(ETH)[-1]
        assert sitting.minutes(ETH) == [0]
        sitting.got.pop(ETH)
        await closes(sitting, 2)
        assert sitting.minutes(BTC) == list(range(len(sitting.got[BTC])))
