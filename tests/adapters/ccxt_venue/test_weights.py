"""A minute's request weight: questions leave a part of it, and go on through all of the minute."""

import asyncio
from typing import Any

import pytest

from livebot.adapters.ccxt_venue.urgency import PRESENT, Urgency
from livebot.adapters.ccxt_venue.weights import Weights, count_weights, weights_of
from tests.virtual_loop import run

PROTECTS, TAKES_BACK, ASKS, LISTS = Urgency.PROTECTS, Urgency.TAKES_BACK, Urgency.ASKS, Urgency.LISTS
LONG_AGO_S = 600.0


def weights(most: int = 100, share: float = 0.2, *, at_s: float = 0.5) -> Weights:
    """Of a daemon that has run for long; it is so many seconds past a minute."""
    loop = asyncio.get_running_loop()
    began = loop.time() - at_s
    found = Weights(most, share, lambda: loop.time() - began)
    found._began_s -= LONG_AGO_S
    return found


def use(of: Weights, weight: float) -> None:
    """So much has gone out in the present minute."""
    of.used, of._minute = weight, 0


async def asked(of: Weights, *wanted: tuple[str, float, Urgency]) -> list[tuple[str, int]]:
    """Who had a turn, and in which second."""
    loop, had = asyncio.get_running_loop(), []
    started = loop.time()

    async def take(name, weight, urgency):
        await of.turn(weight, urgency)
        had.append((name, int(loop.time() - started)))

    await asyncio.gather(*(take(*each) for each in wanted))
    return had


def test_questions_are_spread_over_the_minute_and_leave_a_part_of_it():
    async def scenario():
        return await asked(weights(), *((str(n), 10, ASKS) for n in range(10)))

    had = run(scenario())
    assert [second for _, second in had[:3]] == [0, 0, 0]  # 40 % of the 80 that they may use
    assert had[7][1] < 59  # the last one of this minute
    assert had[8][1] >= 59  # 20 of 100 were left
    waits = [later - sooner for (_, sooner), (_, later) in zip(had[2:7], had[3:8], strict=True)]
    assert max(waits) <= 8


def test_candles_leave_a_part_of_what_questions_may_use_to_those_about_orders():
    """Histories of many symbols, start after start, are not what the next start has to wait for."""

    async def scenario():
        of = weights(at_s=50.5)
        return await asked(of, *((str(n), 10, Urgency.FEEDS) for n in range(7)), ("orders", 10, LISTS))

    had = run(scenario())
    assert [name for name, second in had if second < 9] == ["0", "1", "2", "3", "4", "5", "orders"]


def test_what_protects_has_what_questions_leave():
    async def scenario():
        of = weights()
        use(of, 33)
        return await asked(
            of, ("list", 40, LISTS), ("order", 1, ASKS), ("cancel", 50, TAKES_BACK), ("stop", 5, PROTECTS)
        )

    had = run(scenario())
    assert had[:2] == [("cancel", 0), ("stop", 0)]
    assert [name for name, _ in had[2:]] == ["order", "list"]  # the more urgent first


def test_beyond_the_limit_nothing_goes_before_the_next_minute_but_what_weighs_nothing():
    async def scenario():
        of = weights(at_s=30.5)
        of.told(100)
        return await asked(of, ("stop", 0, PROTECTS), ("cancel", 1, PROTECTS))

    had = run(scenario())
    assert had[0] == ("stop", 0)
    assert had[1][0] == "cancel"
    assert 29 <= had[1][1] <= 31


def test_what_was_counted_in_the_minute_before_is_not_taken_for_this_one():
    """An answer may come after its minute; the next one says what is true."""

    async def scenario():
        of = weights(at_s=2.0)
        of.told(90)
        told = [of.used]
        of.told(30)
        told.append(of.used)
        await asyncio.sleep(5.0)
        of.told(90)
        return [*told, of.used]

    assert run(scenario()) == [0, 30, 90]


def test_an_answer_that_comes_after_its_minute_does_not_hold_up_the_next_one(counted):
    """It may tell of less than the next one allows at its beginning, and of more than is left then."""

    async def scenario(client, of):
        now_s = [59.9]
        of._now_s = lambda: now_s[0]
        await client.ask("GET", "order", 1)
        now_s[0] = 60.5
        answer = (200, "OK", "", "GET", {"x-mbx-used-weight-1m": "900"}, "")
        client.on_rest_response(*answer)
        assert of.used == 0
        await client.ask("GET", "order", 1)
        client.on_rest_response(*answer)
        assert of.used == 900

    counted(scenario)


def test_what_is_asked_at_the_start_may_use_a_part_of_what_is_kept():
    """Another start in the same minute finds the rest of it."""

    async def scenario(urgency):
        of = weights(200)
        use(of, 165)
        of._began_s = of._now_s()
        return await asked(of, *((str(n), 10, urgency) for n in range(3)))

    assert [second for _, second in run(scenario(ASKS))[:2]] == [0, 0]
    assert run(scenario(ASKS))[2][1] > 50
    assert run(scenario(Urgency.FEEDS))[0][1] > 50


def test_who_is_cancelled_while_waiting_uses_nothing():
    async def scenario():
        of = weights()
        use(of, 80)
        gone = asyncio.create_task(of.turn(40, ASKS))
        await asyncio.sleep(0.1)
        gone.cancel()
        await asyncio.sleep(70.0)
        return of.used

    assert run(scenario()) == 80  # nobody asked in the next minute


class Client:
    """What of ccxt's client counts."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def calculate_rate_limiter_cost(self, _api: object, _method: str, _path: str, _params: object, config: Any) -> Any:
        return config["cost"]

    def on_rest_response(self, code: int, *_: object) -> None:
        self.heard.append(code)

    async def throttle(self, _cost: float | None) -> None:
        raise AssertionError("ccxt's own limiter")

    async def ask(self, method: str, path: str, cost: float, section: Any = ("fapiPrivate", "x")) -> None:
        await self.throttle(self.calculate_rate_limiter_cost(list(section), method, path, {}, {"cost": cost}))


@pytest.fixture
def counted():
    async def make(scenario):
        client: Any = Client()
        of = weights_of("binance", "perpetual", 0.25, lambda: 30.0)
        assert of is not None
        count_weights(client, of)
        return await scenario(client, of)

    return lambda scenario: run(make(scenario))


def test_orders_weigh_nothing_and_all_else_what_ccxt_says(counted):
    async def scenario(client, of):
        for method, path in (("POST", "order"), ("PUT", "order"), ("POST", "algoOrder")):
            await client.ask(method, path, 4)
        assert of.used == 0
        await client.ask("DELETE", "algoOrder", 1)
        await client.ask("GET", "openOrders", 40)
        assert of.used == 41
        await client.ask("GET", "klines", 0.2, ["public"])  # spot
        await client.ask("POST", "order", 0.2, ["private"])
        assert of.used == 43
        await client.throttle()
        assert of.used == 44

    counted(scenario)


@pytest.mark.parametrize("section", ["fapiPrivateV2", "fapiPrivateV3"])
def test_what_ccxt_takes_for_less_than_it_is_weighs_what_the_venue_says(counted, section):
    async def scenario(client, of):
        for path in ("account", "positionRisk", "balance"):
            await client.ask("GET", path, 1, [section, "x"])
        assert of.used == 15

    counted(scenario)


def test_what_the_venue_has_counted_is_right(counted):
    async def scenario(client, of):
        client.on_rest_response(200, "OK", "", "GET", {"x-mbx-used-weight-1m": "1700"}, "")
        assert of.used == 1700
        client.on_rest_response(200, "OK", "", "GET", {"X-MBX-USED-WEIGHT-1M": "90"}, "")  # older
        client.on_rest_response(200, "OK", "", "GET", {}, "")
        assert (of.used, client.heard) == (1700, [200, 200, 200])

    counted(scenario)


def test_the_urgency_is_that_of_the_present_task(counted):
    async def scenario(client, of):
        of._began_s -= LONG_AGO_S
        of.told(1800)
        PRESENT.set(PROTECTS)
        await client.ask("DELETE", "algoOrder", 1)
        PRESENT.set(ASKS)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await client.ask("GET", "order", 1)

    counted(scenario)


def test_a_venue_that_is_not_in_the_table_keeps_ccxts_limiter():
    assert weights_of("bybit", "perpetual", 0.25, lambda: 0.0) is None
