"""A paper account trades through the candles of a market that is not ours, in their time, and over restarts."""

import asyncio
from decimal import Decimal

import numpy as np
import pytest

from livebot.core.inputs import OrderAccepted
from livebot.core.market import MINUTE_MS
from livebot.core.series import CandleSeries
from livebot.errors import BadInput
from livebot.ports import VenueNotice
from livebot.simulator.paper import CATCH_UP_DAYS, PaperVenue
from livebot.simulator.venue import VenueSettings
from tests.simulator.builders import BTC, ETH, EXACT, START_MS, WrittenMarket, candle, order
from tests.virtual_loop import run

D = Decimal
FLAT = (100.0, 101.0, 99.0, 100.0)


class Wall:
    """The real time: that of the loop, from a moment on."""

    def __init__(self, at_ms):
        self._at_ms = at_ms

    def now_ms(self):
        return self._at_ms + round(asyncio.get_running_loop().time() * 1000)


class RealMarket:
    """A feed whose candles come when the test says so."""

    def __init__(self, candles):
        self._candles = candles
        self._listeners = {}
        self.asked = []

    async def history(self, symbol, timeframe, count):
        self.asked.append((symbol, count))
        rows = self._candles[symbol][-count:]
        columns = [
            np.array(column) for column in zip(*((c.open, c.high, c.low, c.close, c.volume) for c in rows), strict=True)
        ]
        names = ("open", "high", "low", "close", "volume")
        return CandleSeries(ts_ms=np.array([c.ts_ms for c in rows]), **dict(zip(names, columns, strict=True)))

    def listen(self, symbol, deliver):
        self._listeners[symbol] = deliver

    def listen_notices(self, deliver):
        deliver(VenueNotice(source="stream", text="silent"))

    async def run(self):
        await asyncio.Event().wait()

    def push(self, symbol, index, prices=FLAT):
        each = candle(index, prices)
        self._candles[symbol].append(each)
        self._listeners[symbol](each)


def market(*symbols):
    return RealMarket({symbol: [candle(-1, FLAT)] for symbol in symbols})


async def paper(folder, feed, *symbols, minutes=0.0, grace_s=2.0):
    written = WrittenMarket({symbol: [FLAT] for symbol in symbols})
    return await PaperVenue.open(
        "bybit",
        feed,
        {symbol: written.instrument(symbol) for symbol in symbols},
        Wall(START_MS + round(minutes * MINUTE_MS)),
        folder=folder,
        account=VenueSettings(wallet=D(10_000), fills=EXACT),
        latency_ms=0,
        grace_s=grace_s,
    )


class Trader:
    """Hears candles and order events in the order in which they come."""

    def __init__(self, venue, *symbols):
        self.heard = []
        for symbol in symbols:
            venue.feed.listen(symbol, lambda each, symbol=symbol: self.heard.append((symbol, each.ts_ms)))
            venue.exchange.listen(symbol, lambda event: self.heard.append(type(event).__name__))


async def turn(seconds=0.001):
    await asyncio.sleep(seconds)


def test_an_order_decided_upon_a_candle_does_not_trade_in_that_candle(tmp_path):
    """The stop is placed after minute 0 was told, and minute 0 had been far below it."""

    async def main():
        feed = market(BTC)
        venue = await paper(tmp_path, feed, BTC)
        trader = Trader(venue, BTC)
        running = asyncio.create_task(venue.feed.run())
        await turn()
        feed.push(BTC, 0, (100.0, 101.0, 90.0, 100.0))
        await turn()
        bought = await venue.exchange.submit_request(order("entry", "buy", "1"))
        assert isinstance(bought, OrderAccepted)
        stop = order("stop", "sell", "1", stop="95", reduce=True)
        assert isinstance(await venue.exchange.submit_request(stop), OrderAccepted)
        assert trader.heard == [(BTC, START_MS), "OrderFilled", "OrderEnded"]
        feed.push(BTC, 1, (100.0, 101.0, 94.0, 96.0))
        await turn()
        assert trader.heard[3:] == ["OrderFilled", "OrderEnded", (BTC, START_MS + MINUTE_MS)]
        (fill,) = await venue.exchange.fetch_fills(BTC, "stop")
        assert (fill.price, fill.ts_ms) == (D("95.0"), START_MS + 2 * MINUTE_MS)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await venue.close()

    run(main())


def test_the_last_symbol_of_a_minute_is_waited_for_within_bounds(tmp_path):
    async def main():
        feed = market(BTC, ETH)
        venue = await paper(tmp_path, feed, BTC, ETH, grace_s=2.0)
        trader = Trader(venue, BTC, ETH)
        running = asyncio.create_task(venue.feed.run())
        await turn()
        feed.push(BTC, 0)
        await turn(1.9)
        assert trader.heard == []
        feed.push(ETH, 0)
        await turn()
        assert trader.heard == [(BTC, START_MS), (ETH, START_MS)]
        feed.push(BTC, 1)
        await turn(2.1)
        assert trader.heard[2:] == [(BTC, START_MS + MINUTE_MS)]
        feed.push(ETH, 1)  # too late to be matched, not too late to be decided upon
        await turn()
        assert trader.heard[3:] == [(ETH, START_MS + MINUTE_MS)]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await venue.close()

    run(main())


def test_minutes_that_come_at_once_are_traded_one_after_another(tmp_path):
    async def main():
        feed = market(BTC)
        venue = await paper(tmp_path, feed, BTC)
        trader = Trader(venue, BTC)
        running = asyncio.create_task(venue.feed.run())
        await turn()
        for index in range(3):
            feed.push(BTC, index)
        await turn()
        assert [ts_ms for _, ts_ms in trader.heard] == [START_MS + index * MINUTE_MS for index in range(3)]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await venue.close()

    run(main())


def test_a_gap_that_is_filled_at_once_is_traded_through_however_long_it_was(tmp_path):
    """The stop is hit in the first of many minutes that the stream had lost."""

    async def main():
        feed = market(BTC)
        venue = await paper(tmp_path, feed, BTC)
        trader = Trader(venue, BTC)
        running = asyncio.create_task(venue.feed.run())
        await turn()
        assert isinstance(await venue.exchange.submit_request(order("entry", "buy", "1")), OrderAccepted)
        await venue.exchange.submit_request(order("stop", "sell", "1", stop="95", reduce=True))
        feed.push(BTC, 0, (100.0, 101.0, 94.0, 96.0))
        for index in range(1, 60):
            feed.push(BTC, index)
        await turn(0.1)
        (fill,) = await venue.exchange.fetch_fills(BTC, "stop")
        assert (fill.price, fill.ts_ms) == (D("95.0"), START_MS + MINUTE_MS)
        told = [heard[1] for heard in trader.heard if isinstance(heard, tuple)]
        assert told == [START_MS + index * MINUTE_MS for index in range(60)]
        feed.push(BTC, 60)
        await turn(0.1)
        assert len(venue.feed._market._candles[BTC]) == 5
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await venue.close()

    run(main())


def test_a_restarted_account_is_caught_up_with_what_the_market_did(tmp_path):
    """The stop is hit while nobody runs; the next start finds the position closed there."""
    feed = market(BTC)

    async def before():
        venue = await paper(tmp_path, feed, BTC)
        await venue.exchange.submit_request(order("entry", "buy", "1"))
        stop = order("stop", "sell", "1", stop="95", reduce=True)
        await venue.exchange.submit_request(stop)
        await venue.close()

    async def after():
        feed._candles[BTC] += [
            candle(0, FLAT),
            candle(1, (100.0, 100.0, 90.0, 92.0)),
            candle(2, (92.0, 93.0, 91.0, 92.0)),
        ]
        venue = await paper(tmp_path, feed, BTC, minutes=3.2)
        assert feed.asked[-1] == (BTC, 4)
        assert await venue.exchange.fetch_positions() == ()
        (fill,) = await venue.exchange.fetch_fills(BTC, "stop")
        assert (fill.price, fill.ts_ms) == (D("95.0"), START_MS + 2 * MINUTE_MS)
        assert await venue.exchange.fetch_open_orders() == ()
        await venue.close()

    run(before())
    run(after())


def test_a_market_order_takes_the_last_close(tmp_path):
    async def main():
        feed = RealMarket({BTC: [candle(-1, (100.0, 110.0, 90.0, 105.0))]})
        venue = await paper(tmp_path, feed, BTC)
        await venue.exchange.submit_request(order("entry", "buy", "1"))
        (fill,) = await venue.exchange.fetch_fills(BTC, "entry")
        assert fill.price == D("105.0")
        await venue.close()

    run(main())


def test_a_symbol_that_the_account_still_holds_must_be_configured(tmp_path):
    async def main():
        feed = market(BTC, ETH)
        venue = await paper(tmp_path, feed, BTC, ETH)
        await venue.exchange.submit_request(order("entry", "buy", "1"))
        await venue.close()
        with pytest.raises(BadInput, match=r"still uses BTC/USDT:USDT.*until its position is closed"):
            await paper(tmp_path, feed, ETH)

    run(main())


def test_an_account_left_alone_for_weeks_is_begun_anew_by_hand(tmp_path):
    async def main():
        feed = market(BTC)
        await (await paper(tmp_path, feed, BTC)).close()
        with pytest.raises(BadInput, match=r"left alone for more than 14 days.*remove the folder"):
            await paper(tmp_path, feed, BTC, minutes=CATCH_UP_DAYS * 1_440 + 2)
        await (await paper(tmp_path, feed, BTC, minutes=1)).close()  # the folder was let go of

    run(main())


def test_what_the_connection_says_is_passed_on(tmp_path):
    async def main():
        venue = await paper(tmp_path, market(BTC), BTC)
        heard = []
        venue.feed.listen_notices(heard.append)
        assert [notice.text for notice in heard] == ["silent"]
        assert venue.exchange.name == "bybit"
        series = await venue.feed.history(BTC, None, 1)
        assert len(series) == 1
        await venue.close()

    run(main())
