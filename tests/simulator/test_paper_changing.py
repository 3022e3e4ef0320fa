"""A paper account takes up symbols that were not there at its start, and waits for none that nobody wants any more."""

import asyncio

from livebot.core.inputs import OrderAccepted, OrderRejected
from livebot.core.market import MINUTE_MS
from tests.simulator.builders import BTC, ETH, START_MS, WrittenMarket, candle, order
from tests.simulator.test_paper import FLAT, RealMarket, Trader, market, paper, turn
from tests.virtual_loop import run


class Changing(RealMarket):
    """Says whose candles nobody wants."""

    def __init__(self, candles):
        super().__init__(candles)
        self.ignored = []

    def ignore(self, symbol):
        self.ignored.append(symbol)
        self._listeners.pop(symbol, None)


def test_a_symbol_is_included_while_the_account_trades(tmp_path):
    async def main():
        feed = Changing(market(BTC, ETH)._candles)
        venue = await paper(tmp_path, feed, BTC, grace_s=2.0)
        trader = Trader(venue, BTC)
        running = asyncio.create_task(venue.feed.run())
        await turn()
        feed.push(BTC, 0)
        await turn()
        await venue.include(ETH, WrittenMarket({ETH: [FLAT]}).instrument(ETH))
        assert (await venue.exchange.instruments([ETH]))[ETH].symbol == ETH
        venue.feed.listen(ETH, lambda each: trader.heard.append((ETH, each.ts_ms)))
        # it has a price at once, and its minutes are waited for from now on
        bought = await venue.exchange.submit_request(order("entry", "buy", "1", symbol=ETH))
        assert isinstance(bought, OrderAccepted)
        feed.push(BTC, 1)
        await turn(1.0)
        assert trader.heard == [(BTC, START_MS)]
        feed.push(ETH, 1)
        await turn()
        assert trader.heard[1:] == [(BTC, START_MS + MINUTE_MS), (ETH, START_MS + MINUTE_MS)]
        assert [each.symbol for each in await venue.exchange.fetch_positions()] == [ETH]
        # nobody wants it any more: no minute waits for it
        venue.feed.ignore(ETH)
        assert feed.ignored == [ETH]
        feed.push(BTC, 2)
        await turn()
        assert trader.heard[3:] == [(BTC, START_MS + 2 * MINUTE_MS)]
        # and it comes back
        venue.feed.listen(ETH, lambda each: trader.heard.append((ETH, each.ts_ms)))
        feed.push(ETH, 3)
        feed.push(BTC, 3)
        await turn()
        assert trader.heard[4:] == [(BTC, START_MS + 3 * MINUTE_MS), (ETH, START_MS + 3 * MINUTE_MS)]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await venue.close()

    run(main())


def test_a_minute_that_waits_for_a_symbol_goes_on_when_nobody_wants_that(tmp_path):
    async def main():
        feed = Changing(market(BTC, ETH)._candles)
        venue = await paper(tmp_path, feed, BTC, ETH, grace_s=600.0)
        trader = Trader(venue, BTC, ETH)
        running = asyncio.create_task(venue.feed.run())
        await turn()
        feed.push(BTC, 0)
        await turn()
        assert trader.heard == []
        venue.feed.ignore(ETH)
        await turn()
        assert trader.heard == [(BTC, START_MS)]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await venue.close()

    run(main())


def test_an_order_of_a_symbol_that_was_not_included_is_refused(tmp_path):
    async def main():
        feed = Changing({BTC: [candle(-1, FLAT)]})
        venue = await paper(tmp_path, feed, BTC)
        outcome = await venue.exchange.submit_request(order("entry", "buy", "1", symbol=ETH))
        assert isinstance(outcome, OrderRejected)
        await venue.close()

    run(main())
