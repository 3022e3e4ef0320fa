"""How long a venue's rate limit is waited for."""

import asyncio
from types import SimpleNamespace

import pytest

from livebot.adapters.ccxt_venue.pacing import Pace, Window
from livebot.adapters.ccxt_venue.urgency import Urgency
from livebot.adapters.ccxt_venue.waits import Waits, count_waits
from tests.virtual_loop import run


def test_orders_that_wait_for_their_turn_are_counted():
    async def scenario():
        pace = Pace(Window(2, 1.0))
        await asyncio.gather(*(pace.turn(Urgency.OPENS) for _ in range(5)))
        return pace.waits

    waits = run(scenario())
    assert (waits.count, waits.seconds) == (3, pytest.approx(1 + 1 + 2))


def test_requests_that_wait_for_ccxts_limiter_are_counted():
    async def scenario():
        costs = []

        async def throttle(cost=None):
            costs.append(cost)
            await asyncio.sleep(cost or 0)

        client, waits = SimpleNamespace(throttle=throttle), Waits()
        count_waits(client, waits)
        await client.throttle(0.5)
        await client.throttle()
        await client.throttle(0.001)
        return costs, waits

    costs, waits = run(scenario())
    assert costs == [0.5, None, 0.001]
    assert (waits.count, waits.seconds) == (1, 0.5)  # what is shorter is the way through the loop


def test_who_gives_up_has_waited_all_the_same():
    async def scenario():
        waits = Waits()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await waits.during(asyncio.sleep(60))
        return waits

    waits = run(scenario())
    assert (waits.count, waits.seconds) == (1, 2)
