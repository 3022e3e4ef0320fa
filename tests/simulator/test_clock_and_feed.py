"""Venue time, and candles as it passes."""

import asyncio

import numpy as np
import pytest

from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import BadInput
from livebot.features.timeframes import aggregate
from livebot.simulator.clock import VenueClock
from livebot.simulator.exchange import SimulatedExchange
from livebot.simulator.feed import SLICE, SimulatedFeed
from livebot.simulator.matching import FillModel
from livebot.simulator.synthetic import SyntheticMarket, SyntheticSettings, symbol_names
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.simulator.builders import BTC, ETH, START_MS, D, WrittenMarket, flat, order
from tests.virtual_loop import run

FIVE = {BTC: [flat(100.0 + minute) for minute in range(5)], ETH: [flat(10.0)] * 5}


def venue_of(candles=None, **settings) -> SimulatedVenue:
    return SimulatedVenue(WrittenMarket(candles or FIVE), VenueSettings(**settings))


class TestSpeed:
    """Venue time runs with the wall, faster."""

    def test_it_passes_smoothly_within_a_minute(self):
        async def main():
            clock = VenueClock(venue := venue_of(), speed=60)
            assert clock.now_ms() == START_MS
            running = asyncio.create_task(clock.drive(lambda _: asyncio.sleep(0)))
            await asyncio.sleep(0)
            seen = []
            for _ in range(40):
                seen.append(clock.now_ms() - START_MS)
                await asyncio.sleep(0.1)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            stopped = clock.now_ms()
            await asyncio.sleep(5)
            assert clock.now_ms() == stopped
            assert venue.minute_ms <= stopped < venue.minute_ms + MINUTE_MS
            return seen

        seen = run(main())
        assert seen == sorted(seen)
        assert all(abs(now - 6_000 * index) <= 60 for index, now in enumerate(seen))

    def test_it_never_reaches_the_next_minute_before_its_step(self):
        async def main():
            clock = VenueClock(venue := venue_of(), speed=60)

            async def dawdle(_):
                await asyncio.sleep(3)
                assert clock.now_ms() == venue.minute_ms + MINUTE_MS - 1

            await clock.drive(dawdle, minutes=3)
            return asyncio.get_running_loop().time()

        # Each minute takes 3 s to tell; a late loop catches up with less than a minute.
        assert run(main()) == pytest.approx(10.0)

    def test_it_goes_on_where_it_was_inside_the_minute(self):
        async def main():
            venue = venue_of()
            venue.submit(order("a", "buy", "1"), START_MS + 45_000)
            clock = VenueClock(venue, speed=60)
            assert clock.now_ms() == START_MS + 45_000
            await clock.drive(lambda _: asyncio.sleep(0), minutes=1)
            return asyncio.get_running_loop().time()

        assert run(main()) == pytest.approx(0.25)

    def test_it_ends_with_the_data(self):
        async def main():
            venue = venue_of()
            await VenueClock(venue, speed=60).drive(lambda _: asyncio.sleep(0))
            return venue.minute_ms

        assert run(main()) == START_MS + 5 * MINUTE_MS

    @pytest.mark.parametrize("speed", [-1.0, float("nan")])
    def test_a_speed_that_is_none(self, speed):
        with pytest.raises(BadInput, match="speed"):
            VenueClock(venue_of(), speed=speed)


class TestLockstep:
    """With speed 0 a minute follows when everybody is done."""

    def test_minutes_wait_for_everybody(self):
        async def main():
            venue = venue_of()
            clock = VenueClock(venue, speed=0)
            done = asyncio.Event()
            seen = []

            async def quiesce():
                await done.wait()
                done.clear()

            feed = SimulatedFeed(venue, clock, quiesce=quiesce, minutes=2)
            feed.listen(BTC, lambda candle: seen.append(candle.close))
            running = asyncio.create_task(feed.run())
            await asyncio.sleep(1_000)
            assert (seen, clock.now_ms()) == ([100.0], START_MS + MINUTE_MS)
            done.set()
            await asyncio.sleep(1_000)
            assert (seen, clock.now_ms()) == ([100.0, 101.0], START_MS + 2 * MINUTE_MS)
            done.set()
            await running

        run(main())

    def test_nobody_to_wait_for(self):
        async def main():
            venue = venue_of()
            await SimulatedFeed(venue, VenueClock(venue, speed=0)).run()
            assert venue.ended

        run(main())

    def test_two_runs_with_different_delays_are_the_same(self):
        """Who takes how long within a minute changes nothing: the workers' order does not reach the venue."""

        def one(delays: list[float]) -> list:
            async def main():
                symbols = symbol_names(4)
                market = SyntheticMarket(symbols, SyntheticSettings(volatility=8), first_ms=START_MS)
                model = FillModel(partial_probability=0.5)
                venue = SimulatedVenue(market, VenueSettings(fills=model, wallet=D(1_000_000)))
                clock = VenueClock(venue, speed=0)
                exchange = SimulatedExchange(venue, clock, latency_ms=50)
                queues: dict[str, asyncio.Queue] = {symbol: asyncio.Queue() for symbol in symbols}
                told: dict[str, list] = {symbol: [] for symbol in symbols}

                async def worker(symbol, delay):
                    while True:
                        candle = await queues[symbol].get()
                        await asyncio.sleep(delay)
                        number = len(told[symbol])
                        quantity = "0.01" if candle.close > 1000 else "10"
                        side = "buy" if candle.close < candle.open else "sell"
                        request = order(f"{symbol}{number}{candle.ts_ms}", side, quantity, symbol=symbol)
                        told[symbol].append(await exchange.submit_request(request))
                        queues[symbol].task_done()

                async def quiesce():
                    for queue in queues.values():
                        await queue.join()

                feed = SimulatedFeed(venue, clock, quiesce=quiesce, minutes=60)
                for symbol in symbols:
                    feed.listen(symbol, queues[symbol].put_nowait)
                    exchange.listen(symbol, told[symbol].append)
                workers = [asyncio.create_task(worker(*pair)) for pair in zip(symbols, delays, strict=True)]
                await feed.run()
                for each in workers:
                    each.cancel()
                account = await exchange.fetch_account()
                return account, [
                    [repr(event).split("venue_order_id")[0] for event in told[symbol] if "trade_id" not in repr(event)]
                    for symbol in symbols
                ]

            return run(main())

        assert one([0, 0, 0, 0]) == one([0, 0, 0, 0])
        assert len(one([1, 2, 3, 4])[1][0]) > 60


class TestFeed:
    """History and pushes tell the same story."""

    def test_history_is_what_was_pushed(self):
        async def main():
            symbols = symbol_names(SLICE + 3)
            market = SyntheticMarket(symbols, SyntheticSettings(), first_ms=START_MS)
            venue = SimulatedVenue(market, VenueSettings())
            clock = VenueClock(venue, speed=600)
            feed = SimulatedFeed(venue, clock, minutes=130)
            pushed: dict[str, list] = {symbol: [] for symbol in symbols}
            for symbol in symbols[1:]:
                feed.listen(symbol, pushed[symbol].append)
            await feed.run()
            for symbol in symbols[1:]:
                series = await feed.history(symbol, Timeframe.M1, 130)
                assert [candle.close for candle in pushed[symbol]] == series.close.tolist()
                assert series.ts_ms[-1] == venue.minute_ms - MINUTE_MS
            assert pushed[symbols[0]] == []

        run(main())

    @pytest.mark.parametrize("timeframe", [Timeframe.M5, Timeframe.H1, Timeframe.D1])
    def test_higher_timeframes_are_complete_and_end_before_now(self, timeframe):
        async def main():
            market = SyntheticMarket([BTC], SyntheticSettings(), first_ms=START_MS)
            venue = SimulatedVenue(market, VenueSettings(start_ms=START_MS + 77 * MINUTE_MS))
            feed = SimulatedFeed(venue, VenueClock(venue, speed=1))
            series = await feed.history(BTC, timeframe, 20)
            assert len(series) == 20
            assert series.ts_ms[-1] + timeframe.ms == timeframe.open_of(venue.minute_ms)
            minutes = market.candles(BTC, int(series.ts_ms[0]), int(series.ts_ms[-1]) + timeframe.ms)
            whole = aggregate(minutes, timeframe)
            for name in ("ts_ms", "open", "high", "low", "close", "volume"):
                assert np.array_equal(getattr(series, name), getattr(whole, name))

        run(main())

    def test_fewer_candles_if_the_market_is_younger(self):
        async def main():
            venue = venue_of()
            feed = SimulatedFeed(venue, VenueClock(venue, speed=0), minutes=3)
            assert len(await feed.history(BTC, Timeframe.M1, 10)) == 0
            await feed.run()
            assert (await feed.history(BTC, Timeframe.M1, 10)).close.tolist() == [100.0, 101.0, 102.0]
            assert (await feed.history(BTC, Timeframe.M1, 2)).close.tolist() == [101.0, 102.0]
            assert (await feed.history(BTC, Timeframe.M3, 2)).close.tolist() == [102.0]
            assert len(await feed.history(BTC, Timeframe.M1, 0)) == 0

        run(main())

    def test_an_unknown_symbol(self):
        async def main():
            venue = venue_of()
            with pytest.raises(BadInput, match="XRP"):
                await SimulatedFeed(venue, VenueClock(venue, speed=0)).history("XRP/USDT", Timeframe.M1, 1)

        run(main())

    def test_a_burst_leaves_room_for_others(self):
        async def main():
            symbols = symbol_names(5 * SLICE)
            market = SyntheticMarket(symbols, SyntheticSettings(), first_ms=START_MS)
            venue = SimulatedVenue(market, VenueSettings())
            feed = SimulatedFeed(venue, VenueClock(venue, speed=0), minutes=1)
            pushed, seen = [], []
            for symbol in symbols:
                feed.listen(symbol, lambda candle: pushed.append(candle.ts_ms))

            async def other():
                while len(pushed) < len(symbols):
                    seen.append(len(pushed))
                    await asyncio.sleep(0)

            await asyncio.gather(feed.run(), other())
            assert {SLICE, 2 * SLICE, 3 * SLICE, 4 * SLICE} <= set(seen)

        run(main())
