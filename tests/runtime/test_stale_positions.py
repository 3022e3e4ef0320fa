"""A venue's list of positions that is behind its trades, or empty for a moment, changes nothing here: a difference counts once it
has stood for as long as that may last, after our last trade.
"""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.facts import PositionReduced, SignalClosed, SignalOpened
from livebot.core.inputs import SymbolState
from livebot.core.market import MINUTE_MS, Candle
from livebot.core.order import Leg
from livebot.core.signal import CloseReason, Idle, Open
from livebot.errors import Rejected
from livebot.runtime.supervision import workers
from livebot.runtime.venue.venue_watch import APART_S
from livebot.simulator.matching import FillModel
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.runtime.harness import (
    BRIEF,
    BTC,
    ETH,
    QUICK,
    START_MS,
    SYSTEM,
    Process,
    Script,
    Scripted,
    World,
    always,
    disagreements,
    entry,
    never,
    once,
    run,
    story,
)
from tests.simulator.builders import WrittenMarket, flat, order

D = Decimal
SPOT = "BTC/USDT"
LAG_S = BRIEF.positions_lag_s
SHORT_OF_IT_S = LAG_S * 0.9


def world_of(**changes) -> World:
    return World(
        **{"strategies": {"one": lambda: once(1, stop=0.2, target=0.2)}, "speed": 60, "latency_ms": 50, **changes}
    )


def listing_late(process: Process, lag_s: float) -> None:
    """Its list shows how things were so long ago."""
    loop, venue = asyncio.get_running_loop(), process.world.venue
    seen = [(-1e9, venue.positions())]
    venue.subscribe(lambda symbol, event: seen.append((loop.time(), venue.positions())))
    fetch = process.wire.fetch_positions

    async def fetch_positions():
        await fetch()
        return next(held for at, held in reversed(seen) if at <= loop.time() - lag_s)

    process.wire.fetch_positions = fetch_positions


async def compared_all_the_time(process: Process, for_s: float) -> None:
    until = asyncio.get_running_loop().time() + for_s
    while asyncio.get_running_loop().time() < until:
        process.system._compare_soon(None)
        await asyncio.sleep(0.05)


def closes(world: World, symbol: str = BTC) -> list[SignalClosed]:
    return [fact for fact in story(world, symbol) if isinstance(fact, SignalClosed)]


async def held_and_protected(world: World, symbol: str = BTC) -> None:
    while not (world.held(symbol) and world.orders(symbol, Leg.STOP)):
        await asyncio.sleep(0.01)


# ---------------------------------------------------------------- what is missing


@pytest.mark.parametrize("lag_s", [0.0, 0.5, SHORT_OF_IT_S])
def test_a_position_that_the_list_does_not_show_yet_keeps_its_stop(lag_s):
    """However often it is compared."""

    async def main() -> None:
        world = world_of()
        process = world.process()
        listing_late(process, lag_s)
        await process.until_ready()
        while not world.held():
            await asyncio.sleep(0.01)
        await compared_all_the_time(process, 4 * LAG_S)
        assert isinstance(world.state("one").signal, Open)
        assert [stop.quantity for stop in world.orders(leg=Leg.STOP)] == [world.held()]
        assert (closes(world), process.problems.sentences()) == ([], ())
        await process.end()
        assert [] == disagreements(world)

    run(main())


@pytest.mark.parametrize("spot", [False, True], ids=["positions", "coins"])
def test_a_list_that_is_empty_for_a_moment_closes_nothing(spot):
    """A long time after the last trade."""

    async def main() -> None:
        symbol = SPOT if spot else BTC
        world = spot_world(once(1, stop=0.2, target=0.2)) if spot else world_of()
        process = world.process()
        fetch, loop, until = process.wire.fetch_positions, asyncio.get_running_loop(), [0.0]

        async def fetch_positions():
            found = await fetch()
            return () if loop.time() < until[0] else found

        process.wire.fetch_positions = fetch_positions
        await process.until_ready()
        await held_and_protected(world, symbol)
        await asyncio.sleep(3 * LAG_S)
        for _ in range(2):
            until[0] = loop.time() + SHORT_OF_IT_S
            await compared_all_the_time(process, 2 * LAG_S)
        assert world.held(symbol)
        assert world.orders(symbol, Leg.STOP)
        assert (closes(world, symbol), process.problems.sentences()) == ([], ())
        await process.end()

    run(main())


def test_a_list_that_is_empty_for_a_moment_and_once_more_when_the_time_is_over_closes_nothing():
    """It was looked at in between."""

    async def main() -> None:
        world = world_of()
        process = world.process()
        fetch, loop, begun = process.wire.fetch_positions, asyncio.get_running_loop(), [1e9]

        async def fetch_positions():
            found, since_s = await fetch(), loop.time() - begun[0]
            return () if 0 <= since_s < 0.5 or LAG_S - 0.1 <= since_s < LAG_S + 0.9 else found

        process.wire.fetch_positions = fetch_positions
        await process.until_ready()
        await held_and_protected(world)
        await asyncio.sleep(LAG_S)
        begun[0] = loop.time()
        process.system._compare_soon(None)
        await asyncio.sleep(4 * LAG_S)
        assert world.orders(leg=Leg.STOP)
        assert closes(world) == []
        await process.end()

    run(main())


def test_a_list_that_is_empty_before_and_after_a_time_without_answers_closes_nothing():
    """It may have been right meanwhile."""

    async def main() -> None:
        world = world_of()
        process = world.process()
        fetch, loop, begun = process.wire.fetch_positions, asyncio.get_running_loop(), [1e9]

        async def fetch_positions():
            found, since_s = await fetch(), loop.time() - begun[0]
            if 0.5 <= since_s < LAG_S:
                await asyncio.sleep(60)  # nobody waits for so long
            return () if 0 <= since_s < LAG_S + SHORT_OF_IT_S else found

        process.wire.fetch_positions = fetch_positions
        await process.until_ready()
        await held_and_protected(world)
        await asyncio.sleep(LAG_S)
        begun[0] = loop.time()
        await compared_all_the_time(process, 4 * LAG_S)
        assert world.orders(leg=Leg.STOP)
        assert closes(world) == []
        await process.end()

    run(main())


def test_a_trade_of_ours_begins_the_time_anew():
    """The list is behind the newest one: what is missing of it has not been missing for as long as that of an older one."""

    async def main() -> None:
        world = world_of(strategies={"one": lambda: always(stop=0.2, target=0.2, minutes=1)}, speed=30)
        process = world.process()
        listing_late(process, SHORT_OF_IT_S)
        await process.until_ready()
        await compared_all_the_time(process, 30)
        reasons = [closed.reason for closed in closes(world)]
        assert len(reasons) > 3
        assert CloseReason.VENUE not in reasons
        assert process.problems.sentences() == ()
        await process.end()

    run(main())


def test_what_is_missing_of_a_newer_trade_has_not_been_missing_for_as_long_as_an_older_one():
    """Two strategies of which the list lacks as much at each of two looks: that of the one, then that of the other."""

    async def main() -> None:
        market = WrittenMarket({BTC: [flat(100.0)] * 20})
        minutes = {"a": 1, "b": 2}  # one second apart
        strategies = {name: lambda minute=minute: entering(market, minute) for name, minute in minutes.items()}
        world = World(market=market, settings=replace(QUICK, history=1), strategies=strategies, speed=60, latency_ms=5)
        process = world.process()
        listing_late(process, SHORT_OF_IT_S)
        await process.until_ready()
        while not world.held():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        process.system._compare_soon(None)
        await asyncio.sleep(3 * LAG_S)
        assert [stop.quantity for stop in world.orders(leg=Leg.STOP)] == [world.held() / 2] * 2
        assert (closes(world), process.problems.sentences()) == ([], ())
        await process.end()

    run(main())


def entering(market: WrittenMarket, minute: int) -> Scripted:
    wanted = market.first_ms + (minute + 1) * MINUTE_MS
    return Scripted(Script(lambda view: entry(view, stop=0.2, target=0.2) if view.close_ms == wanted else None))


def test_a_start_does_not_take_the_first_list_for_true_and_has_the_stop_before():
    """What traded just before the process died is not in the list that the next one sees first."""

    async def main() -> None:
        world = world_of()
        process = await world.process().until_ready()
        while not world.held():
            await asyncio.sleep(0.005)
        await process.kill()
        assert world.orders(leg=Leg.STOP) == []
        process, began = world.process(), asyncio.get_running_loop().time()
        fetch = process.wire.fetch_positions

        async def fetch_positions():
            found = await fetch()
            return () if asyncio.get_running_loop().time() < began + SHORT_OF_IT_S else found

        process.wire.fetch_positions = fetch_positions
        process.start()
        while not world.orders(leg=Leg.STOP):
            await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() < began + LAG_S
        await compared_all_the_time(process, 4 * LAG_S)
        assert [stop.quantity for stop in world.orders(leg=Leg.STOP)] == [world.held()]
        assert (closes(world), process.problems.sentences()) == ([], ())
        await process.end()

    run(main())


def test_what_was_closed_by_hand_is_found_within_the_time_named():
    """Not before the list can be trusted, and its stop stays until then."""

    async def main() -> None:
        world = world_of()
        process = await world.process().until_ready()
        await held_and_protected(world)
        await asyncio.sleep(0.5)
        process.faults.hold_events()
        began = asyncio.get_running_loop().time()
        world.venue.close_by_hand(BTC, world.venue.now_ms)
        while not closes(world):
            await asyncio.sleep(0.05)
        took_s = asyncio.get_running_loop().time() - began
        assert LAG_S < took_s < BRIEF.reconcile_s + LAG_S + 1
        assert closes(world)[0].reason is CloseReason.VENUE
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_a_venue_whose_list_is_never_behind_is_believed_at_once():
    """As the simulated one's is not."""

    async def main() -> None:
        world = world_of()
        process = world.process()
        process.wire.positions_may_lag = False
        await process.until_ready()
        await held_and_protected(world)
        world.venue.close_by_hand(BTC, world.venue.now_ms)
        await asyncio.sleep(SHORT_OF_IT_S / 2)
        assert [closed.reason for closed in closes(world)] == [CloseReason.VENUE]
        await process.end()

    run(main())


# ---------------------------------------------------------------- what is there still


def test_what_we_have_just_closed_is_not_taken_for_somebody_elses():
    """The list shows it for a while; it is not reported, not adopted, and the symbol is not blocked."""

    async def main() -> None:
        world = world_of()
        process = world.process()
        listing_late(process, SHORT_OF_IT_S)
        await process.until_ready()
        await held_and_protected(world)
        await asyncio.sleep(2 * LAG_S)
        flattening = asyncio.ensure_future(process.control.flatten([BTC]))
        while not closes(world):
            await asyncio.sleep(0.01)
        with pytest.raises(Rejected, match="try again"):
            await process.control.adopt([BTC], stop=D(40_000))
        said = set()
        for _ in range(40):
            process.system._compare_soon(None)
            await asyncio.sleep(0.1)
            said |= {process.system.foreign.quantity(BTC), process.problems.sentences()}
            assert "foreign" not in process.control.status().symbols[0].blocks
        assert said == {0, ()}
        assert world.orders() == []
        assert (await flattening).startswith("flat: 1 position closed")
        await process.end()

    run(main())


def test_a_list_that_is_empty_for_a_moment_does_not_end_a_dismissal():
    """What may stay there may stay."""

    async def main() -> None:
        world = world_of(strategies={"never": never})
        world.venue.place_by_hand(order("hand", "buy", "0.5"), world.venue.now_ms)
        process = world.process()
        fetch, empty = process.wire.fetch_positions, [False]

        async def fetch_positions():
            found = await fetch()
            return () if empty[0] else found

        process.wire.fetch_positions = fetch_positions
        await process.until_ready()
        while not process.system.foreign.quantity(BTC):
            await asyncio.sleep(0.1)
        await process.control.dismiss([BTC])
        empty[0] = True
        await compared_all_the_time(process, SHORT_OF_IT_S)
        empty[0] = False
        await compared_all_the_time(process, 2 * LAG_S)
        assert process.system.foreign.dismissed_quantity(BTC) == D("0.5")
        assert process.problems.sentences() == ()
        await process.end()

    run(main())


def test_where_nobody_runs_any_more_what_was_just_closed_is_not_reported():
    """The worker has gone with the last signal; what stays there is told after the time named, and looked at no more often."""

    async def main() -> None:
        lag_s = 6.0
        world = world_of(runs_on={BTC: ("one",)}, symbols=(BTC, ETH))
        world.execution = replace(BRIEF, positions_lag_s=lag_s, reconcile_s=100.0)
        process = await world.process().until_ready()
        await held_and_protected(world)
        await process.kill()
        world.runs_on = {ETH: ("one",)}  # a guard closes it on BTC
        process = world.process()
        listing_late(process, lag_s * 0.9)
        await process.until_ready()
        process.system.workers.leave(BTC, CloseReason.OPERATOR)
        while process.system.workers.inboxes[BTC].is_open:
            await asyncio.sleep(0.01)
        shown = set()
        for _ in range(100):
            process.system._compare_soon(None)
            await asyncio.sleep(0.1)
            shown |= {each.quantity for each in await process.wire.fetch_positions()}
            assert not process.system.foreign.quantity(BTC)
        assert shown
        world.venue.place_by_hand(order("hand", "buy", "0.5"), world.venue.now_ms)
        await asyncio.sleep(lag_s)
        process.system._compare_soon(None)
        await asyncio.sleep(lag_s + APART_S + 1)
        assert process.system.foreign.quantity(BTC) == D("0.5")
        before = process.system.observations.counts["comparisons"]
        await asyncio.sleep(3 * world.execution.reconcile_s)
        assert process.system.observations.counts["comparisons"] <= before + 3
        await process.end()

    run(main())


# ---------------------------------------------------------------- a trade that is counted before it is listed


def touch(world: World, price: Decimal) -> None:
    """The price goes there and back."""
    engine, now_ms, top = world.venue._engine, world.venue.now_ms, float(world.venue.price(BTC))
    engine.match(BTC, Candle(ts_ms=now_ms, open=top, high=top, low=float(price), close=top, volume=1.0), now_ms)
    world.venue._keep_and_tell({"do": "minute", "ts_ms": now_ms})


@pytest.mark.parametrize("unprotected_s", [1.0, 30.0])
def test_a_trade_that_is_listed_long_after_it_is_counted_is_booked_once(unprotected_s):
    """However long the venue takes, and whether a worker would wait for as long as that or not."""

    async def main() -> None:
        execution = replace(BRIEF, unprotected_s=unprotected_s)
        world = World(
            strategies={"one": lambda: once(1, stop=0.1, target=0.2)}, speed=1, latency_ms=20, execution=execution
        )
        process = await world.process().until_ready()
        process.wire.window_ms = 8_000
        while not world.orders(leg=Leg.STOP):
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        stop_loss, fetch = world.state("one").signal.stop_loss, process.wire.fetch_fills
        until = asyncio.get_running_loop().time() + 60

        async def fetch_fills(symbol, order_id):
            found = await fetch(symbol, order_id)
            return () if asyncio.get_running_loop().time() < until else found

        process.wire.fetch_fills = fetch_fills
        process.faults.hold_events()
        touch(world, stop_loss)
        await asyncio.sleep(90)
        process.faults.release_events()
        await asyncio.sleep(20)
        assert len([fact for fact in story(world, BTC) if isinstance(fact, PositionReduced)]) == 1
        (closed,) = closes(world)
        assert closed.reason is CloseReason.STOP_LOSS
        assert abs(closed.pnl_net - (world.venue.account().wallet - 1_000_000)) < D("0.01")
        await process.end()
        assert [] == disagreements(world)

    run(main())


# ---------------------------------------------------------------- coins that a strategy has left which does not run any more


def spot_world(strategy) -> World:
    world = World(
        strategies={"one": lambda: strategy},
        symbols=(SPOT,),
        terms=(("resting_target", False),),
        speed=60,
        latency_ms=10,
    )
    settings = VenueSettings(start_ms=START_MS, wallet=D(100_000), fills=FillModel(), fees_in_base=True)
    world.venue = SimulatedVenue(world.venue.market, settings)
    return world


def test_what_a_strategy_has_left_that_was_taken_out_is_not_foreign(monkeypatch):
    """At the start and later; it shares the symbol with nobody; and when somebody takes it away its file says so."""
    monkeypatch.setattr(workers, "sharing_a_position", lambda _: pytest.fail("nobody else trades there"))

    async def main() -> None:
        world = spot_world(once(6, stop=0.2, target=0.2))
        part = world.venue.instrument(SPOT).lot_step * 3  # more than a lot, and less than can be sold
        world.venue._engine.holdings.trade(SPOT, part, world.venue.price(SPOT), D(0), D(0))
        left = SymbolState(system=SYSTEM, strategy="gone", symbol=SPOT, sequence=3, number=1, signal=Idle())
        world.store.files["gone", SPOT] = replace(left, remainder=part, remainder_cost=part * 50_000)
        process = await world.process().until_ready()
        seen = set()
        for _ in range(100):
            await asyncio.sleep(0.1)
            process.system._compare_soon(None)
            seen |= {process.system.foreign.quantity(SPOT), *process.problems.sentences()}
        assert seen == {0}
        assert any(isinstance(fact, SignalOpened) for fact in story(world, SPOT, "one"))
        process.system.workers.line_up(SPOT, ("one",))  # as a reload does
        assert process.system.workers.strategies[SPOT] == ("one", "gone")
        world.venue._engine.holdings.trade(SPOT, -part, world.venue.price(SPOT), D(0), D(0))
        await asyncio.sleep(BRIEF.reconcile_s + 2 * LAG_S)
        assert world.state("gone", SPOT).remainder == 0
        assert process.problems.sentences() == ()
        await process.end()

    run(main())
