"""How little a start asks the venue: each look weighs, and a daemon that is started again and again has one address."""

import asyncio

from livebot.core.order import Leg
from livebot.runtime.settings import RunMode, RuntimeSettings
from livebot.runtime.supervision import workers
from tests.runtime.harness import BTC, ETH, Process, World, never, once, run
from tests.simulator.builders import order

BOTH = frozenset({BTC, ETH})


def overheard(process: Process) -> list[frozenset[str] | None]:
    """Whose orders are asked for."""
    seen, exchange = [], process.exchange
    fetch = exchange.fetch_open_orders

    async def fetching(symbols=None):
        seen.append(symbols)
        return await fetch(symbols)

    exchange.fetch_open_orders = fetching
    return seen


def world_with_a_position(**changes) -> World:
    return World(
        strategies={"one": lambda: once(1, stop=0.2, target=0.2, minutes=900), "never": never},
        symbols=(BTC, ETH),
        speed=60,
        latency_ms=5,
        runs_on={BTC: ("one",), ETH: ("never",)},
        **changes,
    )


async def until_open(world: World, process: Process) -> None:
    await process.until_ready()
    while not world.orders(leg=Leg.TARGET):
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)


def test_a_start_looks_at_its_own_symbols_and_then_only_at_those_where_something_goes_on():
    async def main() -> None:
        world = world_with_a_position()
        process = world.process()
        looks = overheard(process)
        await until_open(world, process)
        assert looks == [BOTH]
        await process.kill()
        process = world.process()
        looks = overheard(process)
        await process.until_ready()
        assert looks == [BOTH, {BTC}]
        assert process.problems.sentences() == ()
        await process.end()

    run(main())


def test_what_somebody_else_holds_is_looked_at_again_before_its_symbol_begins():
    async def main() -> None:
        world = world_with_a_position()
        world.venue.place_by_hand(order("hand", "buy", "1", symbol=ETH), world.venue.now_ms)
        process = world.process()
        looks = overheard(process)
        await process.until_ready()
        assert looks[0] == BOTH
        assert {ETH} in looks[1:]
        await process.end()

    run(main())


def test_what_was_seen_long_ago_counts_no_more(monkeypatch):
    """In sequential mode a symbol may have its turn much later."""
    monkeypatch.setattr(workers, "FRESH_S", -1.0)

    async def main() -> None:
        world = world_with_a_position(settings=RuntimeSettings(mode=RunMode.SEQUENTIAL, signals_per_symbol=1))
        process = world.process()
        looks = overheard(process)
        await process.until_ready()
        assert looks == [BOTH, {BTC}]
        await process.end()

    run(main())
