"""Orders go out as fast as the venue takes them, and what protects goes first."""

import asyncio
from typing import ClassVar

from livebot.adapters.ccxt_venue.pacing import Pace, leave_orders_to_pace, pace_config, pace_of
from tests.virtual_loop import run


async def _turns(pace: Pace, *wanted: tuple[str, bool]) -> list[tuple[str, float]]:
    """Who had a turn, and when (seconds, to the hundredth)."""
    loop, had = asyncio.get_running_loop(), []
    started = loop.time()

    async def take(name, urgent):
        await pace.turn(urgent=urgent)
        had.append((name, round(loop.time() - started, 2)))

    await asyncio.gather(*(take(name, urgent) for name, urgent in wanted))
    return had


def test_a_burst_goes_at_once_and_the_rest_as_the_window_moves_on():
    had = run(_turns(Pace(2, 1.0), *((str(n), False) for n in range(5))))
    assert had == [("0", 0.0), ("1", 0.0), ("2", 1.0), ("3", 1.0), ("4", 2.0)]


def test_what_is_urgent_goes_before_what_waits_already():
    had = run(_turns(Pace(1, 1.0), ("a", False), ("b", False), ("c", True), ("d", False), ("e", True)))
    assert [name for name, _ in had] == ["a", "c", "e", "b", "d"]


def test_who_is_cancelled_while_waiting_takes_no_turn():
    async def scenario():
        pace, loop = Pace(1, 1.0), asyncio.get_running_loop()
        await pace.turn(urgent=False)
        gone, left = (asyncio.create_task(pace.turn(urgent=False)) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        await left
        assert loop.time() == 1.0

    run(scenario())


def test_a_venue_that_is_not_in_the_table_keeps_ccxts_pace():
    client = object()
    assert pace_config("kraken", orders=True) == pace_config("bybit", orders=False) == {}
    leave_orders_to_pace(client, "kraken")
    assert run(_turns(pace_of("kraken"), *((str(n), False) for n in range(50))))[-1] == ("49", 0.0)


def test_orders_do_not_count_as_questions_and_do_not_stand_in_their_queue():
    class Client:
        calculate_rate_limiter_cost = None
        waited: ClassVar[list[float]] = []

        async def throttle(self, cost):
            self.waited.append(cost)

    async def ask(client, method, path):
        await client.throttle(client.calculate_rate_limiter_cost(["private"], method, path, {}, {}))

    client = Client()
    leave_orders_to_pace(client, "bybit")
    run(ask(client, "POST", "v5/order/create"))
    assert client.waited == []
    run(ask(client, "GET", "v5/order/realtime"))
    assert client.waited == [1]


def test_orders_of_binance_leave_its_window_of_a_minute_to_the_questions():
    class Client:
        waited: ClassVar[list[float]] = []

        def calculate_rate_limiter_cost(self, _api, _method, _path, _params, config):
            return config["cost"]

        async def throttle(self, cost):
            self.waited.append(cost)

    async def ask(client, method, path, cost):
        await client.throttle(client.calculate_rate_limiter_cost("fapiPrivate", method, path, {}, {"cost": cost}))

    client = Client()
    leave_orders_to_pace(client, "binance")
    for method, path in (("POST", "order"), ("DELETE", "order"), ("POST", "algoOrder"), ("DELETE", "algoOrder")):
        run(ask(client, method, path, 4))
    assert client.waited == []
    run(ask(client, "GET", "order", 1))
    run(ask(client, "GET", "openOrders", 40))
    assert client.waited == [1, 40]
    assert run(_turns(pace_of("binance"), *((str(n), False) for n in range(10))))[-1] == ("9", 1.1)
