"""Venue time that is the wall's, and a daemon's clock that follows a venue in another process."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from livebot.core.market import MINUTE_MS
from livebot.errors import Transient
from livebot.simulator.clock import VenueClock
from livebot.simulator.control_port import ControlPort
from livebot.simulator.loopback_clock import LoopbackClock
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from livebot.simulator.venue_faults import Faults
from livebot.simulator.wall_clock import WallClock, wall_ms
from tests.kept_port import kept_port
from tests.simulator.builders import BTC, START_MS, WrittenMarket, flat
from tests.simulator.local_desk import PATIENCE_S, until
from tests.virtual_loop import run


def venue_of(minutes: int) -> SimulatedVenue:
    return SimulatedVenue(WrittenMarket({BTC: [flat(100.0)] * minutes}), VenueSettings())


class TestWallClock:
    """Minutes close when the wall's do."""

    def test_minutes_close_with_the_walls_minutes(self):
        async def main():
            loop = asyncio.get_running_loop()
            venue = venue_of(3)
            clock = WallClock(venue, wall_ms=lambda: START_MS + 45_000 + round(loop.time() * 1000))
            closes, told = [], []
            clock.subscribe(lambda: told.append(venue.minute_ms))

            async def push(minute):
                closes.append((minute.close_ms - START_MS, loop.time()))
                assert clock.now_ms() >= minute.close_ms

            assert clock.now_ms() == START_MS + 45_000
            await clock.drive(push)
            assert told == [START_MS + MINUTE_MS * number for number in (1, 2, 3)]
            return closes

        assert run(main()) == [(60_000, 15.0), (120_000, 75.0), (180_000, 135.0)]

    def test_minutes_that_passed_while_nobody_hosted_it_are_made_up_for_at_once(self):
        async def main():
            loop = asyncio.get_running_loop()
            venue = venue_of(6)
            clock = WallClock(venue, wall_ms=lambda: START_MS + 4 * MINUTE_MS + round(loop.time() * 1000))
            assert clock.now_ms() == START_MS + MINUTE_MS - 1  # the step comes first
            times = []

            async def push(_):
                times.append(loop.time())

            await clock.drive(push, minutes=5)
            assert clock.speed == 1
            return times

        assert run(main()) == [0.0, 0.0, 0.0, 0.0, 60.0]

    def test_the_wall_is_the_worlds(self):
        assert wall_ms() > 1_700_000_000_000


async def serve(app: web.Application, port: int = 0) -> tuple[web.AppRunner, int]:
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner, runner.addresses[0][1]


class TestLoopbackClock:
    """Over a real socket."""

    @pytest.fixture(autouse=True)
    def patient(self, monkeypatch):
        monkeypatch.setattr("livebot.simulator.loopback_clock._CONNECT_S", PATIENCE_S)

    async def test_it_follows_the_venue_minute_by_minute_and_never_runs_ahead(self):
        venue = venue_of(400)
        clock = VenueClock(venue, speed=1200)
        runner, port = await serve(ControlPort(venue, clock, Faults()).app)
        driving = asyncio.create_task(clock.drive(lambda _: asyncio.sleep(0)))
        follower = await LoopbackClock.connect(port)
        seen = []
        for _ in range(40):
            await asyncio.sleep(0.01)
            now = follower.now_ms()
            assert now < venue.minute_ms + MINUTE_MS
            assert abs(now - clock.now_ms()) <= 3 * MINUTE_MS
            seen.append(now)
        assert seen == sorted(seen)
        assert seen[-1] - seen[0] > 3 * MINUTE_MS
        driving.cancel()
        await asyncio.gather(driving, return_exceptions=True)
        await asyncio.sleep(0.1)
        assert follower.now_ms() < venue.minute_ms + MINUTE_MS
        await follower.close()
        await runner.cleanup()

    async def test_it_stands_still_while_the_exchange_is_away_and_goes_on_with_the_next(self):
        venue = venue_of(10)
        clock = VenueClock(venue, speed=60)
        with kept_port() as port:
            runner, _ = await serve(ControlPort(venue, clock, Faults()).app, port)
            follower = await LoopbackClock.connect(port)
            await runner.cleanup()
            await asyncio.sleep(0.05)
            assert follower.now_ms() <= START_MS + MINUTE_MS
            for _ in range(3):
                venue.step()
            runner, _ = await serve(ControlPort(venue, VenueClock(venue, speed=30), Faults()).app, port)
        await until(lambda: follower.now_ms() >= START_MS + 3 * MINUTE_MS)
        await follower.close()
        await runner.cleanup()

    async def test_nobody_there_is_told(self, monkeypatch):
        monkeypatch.setattr("livebot.simulator.loopback_clock._CONNECT_S", 0.3)
        with kept_port() as port, pytest.raises(Transient, match=f"{port}.*livebot exchange"):
            await LoopbackClock.connect(port)

    async def test_nonsense_is_no_time(self, monkeypatch):
        monkeypatch.setattr("livebot.simulator.loopback_clock._CONNECT_S", 0.3)
        app = web.Application()

        async def nonsense(_):
            return web.Response(text='{"now_ms": "soon"}\nmore\n')

        app.router.add_get("/_clock", nonsense)
        runner, port = await serve(app)
        with pytest.raises(Transient):
            await LoopbackClock.connect(port)
        await runner.cleanup()

    async def test_who_listened_and_goes_is_forgotten(self):
        venue = venue_of(10)
        clock = VenueClock(venue, speed=60)
        runner, port = await serve(ControlPort(venue, clock, Faults()).app)
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/_clock") as answer:
            await answer.content.readline()
            assert len(clock._told) == 1
        await until(lambda: clock._tell() or not clock._told)
        await runner.cleanup()
