"""Orders go out as fast as the venue takes them, and what protects goes first."""

import asyncio
from typing import ClassVar

from livebot.adapters.ccxt_venue.pacing import Pace, Window, leave_orders_to_pace, pace_config, pace_of
from livebot.adapters.ccxt_venue.urgency import Urgency
from tests.virtual_loop import run

PROTECTS, TAKES_BACK, OPENS = Urgency.PROTECTS, Urgency.TAKES_BACK, Urgency.OPENS


async def _turns(pace: Pace, *wanted: tuple[str, Urgency]) -> list[tuple[str, float]]:
    """Who had a turn, and when (seconds, to the hundredth)."""
    loop, had = asyncio.get_running_loop(), []
    started = loop.time()

    async def take(name, urgency):
        await pace.turn(urgency)
        had.append((name, round(loop.time() - started, 2)))

    await asyncio.gather(*(take(name, urgency) for name, urgency in wanted))
    return had


def test_a_burst_goes_at_once_and_the_rest_as_the_window_moves_on():
    had = run(_turns(Pace(Window(2, 1.0)), *((str(n), OPENS) for n in range(5))))
    assert had == [("0", 0.0), ("1", 0.0), ("2", 1.0), ("3", 1.0), ("4", 2.0)]


def test_each_of_several_windows_holds():
    had = run(_turns(Pace(Window(2, 1.0), Window(3, 10.0)), *((str(n), OPENS) for n in range(4))))
    assert had == [("0", 0.0), ("1", 0.0), ("2", 1.0), ("3", 10.0)]


def test_what_protects_goes_before_what_waits_already_and_what_takes_back_before_what_opens():
    had = run(
        _turns(
            Pace(Window(1, 1.0)),
            *(("a", OPENS), ("b", OPENS), ("c", TAKES_BACK), ("d", OPENS), ("e", PROTECTS), ("f", PROTECTS)),
        )
    )
    assert [name for name, _ in had] == ["a", "e", "f", "c", "b", "d"]


def test_a_part_of_the_window_is_left_to_what_protects():
    had = run(_turns(Pace(Window(4, 1.0), kept=0.5), *((str(n), OPENS) for n in range(4)), ("stop", PROTECTS)))
    assert had == [("0", 0.0), ("1", 0.0), ("stop", 0.0), ("2", 1.0), ("3", 1.0)]


def test_who_is_cancelled_while_waiting_takes_no_turn():
    async def scenario():
        pace, loop = Pace(Window(1, 1.0)), asyncio.get_running_loop()
        await pace.turn(OPENS)
        gone, left = (asyncio.create_task(pace.turn(OPENS)) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        await left
        assert loop.time() == 1.0

    run(scenario())


def test_a_venue_that_is_not_in_the_table_keeps_ccxts_pace():
    client = object()
    assert pace_config("kraken", orders=True) == pace_config("bybit", orders=False) == {}
    leave_orders_to_pace(client, "kraken")
    assert run(_turns(pace_of("kraken", "spot"), *((str(n), OPENS) for n in range(50))))[-1] == ("49", 0.0)


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


def test_binance_takes_hundreds_of_orders_in_ten_seconds_and_counts_no_cancellation_among_them():
    pace = pace_of("binance", "perpetual")
    had = run(_turns(pace, *((str(n), OPENS) for n in range(210)), ("one more", OPENS), ("stop", PROTECTS)))
    assert had[209:] == [("209", 0.0), ("stop", 0.0), ("one more", 10.0)]
    cancellations = [(str(n), TAKES_BACK) for n in range(500)]
    assert run(_turns(pace_of("binance", "perpetual"), *cancellations))[-1] == ("499", 0.0)


def test_its_spot_market_takes_fewer():
    had = run(_turns(pace_of("binance", "spot"), *((str(n), OPENS) for n in range(71)), ("stop", PROTECTS)))
    assert had[69:] == [("69", 0.0), ("stop", 0.0), ("70", 10.0)]
