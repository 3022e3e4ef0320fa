"""What nobody tells the daemon it finds out: a late change that has undone a newer one, an event that was lost."""

import asyncio
from dataclasses import replace

from livebot.core.entry import Adjustment, Entry
from livebot.core.market import MINUTE_MS
from livebot.core.order import Leg
from livebot.core.signal import Open
from livebot.errors import Transient
from livebot.runtime.venue_watch import APART_S
from livebot.simulator.faults import FaultKind
from livebot.strategies.interface import View
from tests.runtime.harness import BRIEF, BTC, START_MS, Managing, Process, Script, World, entry, once, run


async def with_stop(world: World) -> Process:
    """A daemon with an open position and its stop; its venue's time runs."""
    process = await world.process().until_ready()
    while not world.orders(leg=Leg.STOP):
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    return process


def slow_world(**changes) -> World:
    """A minute lasts half a minute of the loop, so that no candle mends what is looked at here."""
    return World(strategies={"one": lambda: once(0, stop=0.05, target=0.05)}, speed=2.0, volatility=0.1, **changes)


def undo(world: World) -> None:
    """The venue takes in a change that is older than the stop's present form: half the quantity."""
    (record,) = [record for record in world.state("one").orders if record.request.leg is Leg.STOP]
    half = world.venue.instrument(BTC).round_quantity(record.request.quantity / 2)
    world.venue.amend(replace(record.request, quantity=half), world.venue.now_ms)


def stop_quantity(world: World) -> object:
    (stop,) = world.orders(leg=Leg.STOP)
    return stop.quantity


def test_a_stop_that_the_venue_shows_otherwise_than_confirmed_is_put_right_at_the_next_comparison():
    """Nobody told of it: only the look at the whole account can find it."""

    async def main() -> None:
        world = slow_world(execution=replace(BRIEF, reconcile_s=4.0))
        process = await with_stop(world)
        undo(world)
        assert stop_quantity(world) < world.held()
        await asyncio.sleep(9.0)
        assert stop_quantity(world) == world.held()
        await process.end()

    run(main())


def tightens_once() -> Managing:
    """Opens on the first candle, and with the next one has the stop follow a little."""

    def decide(view: View) -> Entry | None:
        return entry(view, stop=0.05, target=0.05) if view.close_ms == START_MS + MINUTE_MS else None

    def manage(view: View, signal: Open) -> Adjustment | None:
        return Adjustment(stop_loss=view.close * 0.96) if view.close_ms == START_MS + 2 * MINUTE_MS else None

    return Managing(Script(decide, manage))


def test_after_a_change_without_an_answer_the_order_is_asked_about_when_it_can_no_longer_arrive():
    """Long before anybody compares."""

    async def main() -> None:
        world = slow_world(execution=replace(BRIEF, reconcile_s=1_000.0))
        world.strategies = {"one": tightens_once}
        process = await with_stop(world)
        process.wire.window_ms = 3_000
        process.faults.arm(FaultKind.LOSE_ANSWER, leg=Leg.STOP)
        while not process.system.observations.counts["orders_asked_for"]:
            await asyncio.sleep(0.05)
        undo(world)
        await asyncio.sleep(1.0)
        assert stop_quantity(world) < world.held()
        await asyncio.sleep(2.5)
        assert stop_quantity(world) == world.held()
        await process.end()

    run(main())


def test_a_comparison_by_the_timer_that_the_venue_did_not_allow_is_repeated_soon():
    """Not only when its time has come again: what it would have found may be a position without a stop."""

    async def main() -> None:
        world = slow_world(execution=replace(BRIEF, reconcile_s=20.0))
        process = await with_stop(world)
        undo(world)
        positions = process.exchange.fetch_positions

        async def silent() -> None:
            raise Transient("no")

        process.exchange.fetch_positions = silent
        while not process.problems.sentences():
            await asyncio.sleep(0.1)
        process.exchange.fetch_positions = positions
        await asyncio.sleep(APART_S + 1.0)
        assert stop_quantity(world) == world.held()
        assert process.problems.sentences() == ()
        await process.end()

    run(main())
