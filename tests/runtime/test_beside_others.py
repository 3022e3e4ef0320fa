"""What lies beside a strategy's share of a position: no order of ours may close what is another's, or nobody's of ours.

Each story is one in which the venue has done something, or may have, of which nobody has heard yet.
"""

import asyncio
from decimal import Decimal

import pytest

from livebot.core.entry import Adjustment
from livebot.core.facts import EntryCancelled, OrderFailed, SignalClosing, SignalOpened, SignalOpening
from livebot.core.market import MINUTE_MS, Candle
from livebot.core.order import Leg
from livebot.core.signal import Closing
from livebot.errors import Transient
from livebot.simulator.faults import FaultKind
from livebot.simulator.matching import FillModel
from tests.runtime.harness import BTC, START_MS, Managing, Process, Script, Scripted, World, entry, once, run, story
from tests.simulator.builders import order

FOREIGN = Decimal("0.5")


async def until(condition) -> None:
    """Until it holds; a minute at most."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


def touch(world: World, price: Decimal) -> None:
    """The price goes there for a moment, within the minute."""
    venue, top = world.venue, float(world.venue.price(BTC))
    candle = Candle(ts_ms=venue.now_ms, open=top, high=top, low=float(price), close=top, volume=1.0)
    venue._engine.match(BTC, candle, venue.now_ms)
    venue._keep_and_tell({"do": "minute", "ts_ms": venue.now_ms})


def told(world: World, kind: type, strategy: str) -> list:
    return [fact for fact in story(world, BTC, strategy) if isinstance(fact, kind)]


# ---------------------------------------------------------------- what is not ours


async def beside_a_foreign_position(world: World, *, dismissed: bool) -> Process:
    """Somebody opens by hand, and the only strategy opens beside it (or has, if it is not dismissed)."""
    process = await world.process().until_ready()
    if not dismissed:
        await until(lambda: world.orders(leg=Leg.TARGET))
    await asyncio.sleep(0.5)
    world.venue.place_by_hand(order("hand", "buy", str(FOREIGN)), world.venue.now_ms)
    await until(lambda: process.system.foreign.quantity(BTC))
    if dismissed:
        await process.control.dismiss([BTC])
        await until(lambda: world.orders(leg=Leg.STOP))
    await asyncio.sleep(0.3)
    return process


def alone(at_minute: int) -> World:
    return World(strategies={"one": lambda: once(at_minute, stop=0.2, target=0.2)}, speed=60, latency_ms=20)


def test_an_exit_does_not_sell_what_is_not_ours_when_the_stop_has_closed_our_share_unheard():
    """It waits until the stop's end is known, and then there is nothing that it could close."""

    async def main() -> None:
        world = alone(12)
        process = await beside_a_foreign_position(world, dismissed=True)
        position = world.state("one").signal.position.quantity
        assert world.held() == FOREIGN + position
        process.faults.hold_events()
        touch(world, world.state("one").signal.stop_loss)
        assert world.held() == FOREIGN
        asyncio.get_running_loop().call_later(0.5, process.faults.release_events)
        await asyncio.wait_for(process.control.flatten([BTC]), 60)
        assert world.held() == FOREIGN
        assert process.system.foreign.dismissed_quantity(BTC) == FOREIGN
        assert process.problems.sentences() == ()
        (fact,) = [fact for fact in story(world, BTC) if type(fact).__name__ == "PositionReduced"]
        assert (fact.leg, fact.quantity) == (Leg.STOP, position)
        await process.kill()

    run(main())


def test_an_exit_beside_what_is_not_ours_leaves_once_the_stop_is_gone():
    """It closes our share, and that alone."""

    async def main() -> None:
        world = alone(12)
        process = await beside_a_foreign_position(world, dismissed=True)
        assert world.orders(leg=Leg.TARGET) == []
        await asyncio.wait_for(process.control.flatten([BTC]), 60)
        assert (world.held(), world.orders()) == (FOREIGN, [])
        assert process.problems.sentences() == ()
        await process.end()

    run(main())


def test_while_something_that_is_not_ours_lies_beside_a_position_no_target_rests_beside_its_stop():
    """It goes with the next candle, and comes back when the other is gone."""

    async def main() -> None:
        world = alone(1)
        process = await beside_a_foreign_position(world, dismissed=False)
        await until(lambda: not world.orders(leg=Leg.TARGET))
        assert len(world.orders(leg=Leg.STOP)) == 1
        world.venue.place_by_hand(order("back", "sell", str(FOREIGN), reduce=True), world.venue.now_ms)
        await until(lambda: world.orders(leg=Leg.TARGET))
        assert process.system.foreign.quantity(BTC) == 0
        await process.end()

    run(main())


# ---------------------------------------------------------------- a strategy that comes


def tightening(at_minute: int) -> Managing:
    """Enters at once and tightens its stop at that minute."""
    wanted, moved = START_MS + 2 * MINUTE_MS, START_MS + at_minute * MINUTE_MS
    return Managing(
        Script(
            lambda view: entry(view, stop=0.2, target=0.2) if view.close_ms == wanted else None,
            lambda view, signal: Adjustment(stop_loss=view.close * 0.85) if view.close_ms == moved else None,
        )
    )


def test_of_two_stops_one_goes_before_another_strategy_comes_to_share_the_position():
    """The answer to the next stop was lost, then the daemon, and the config names another strategy beside it since."""

    async def main() -> None:
        world = World(
            strategies={"a": lambda: tightening(4), "b": lambda: once(9, stop=0.3, target=0.3)},
            runs_on={BTC: ("a",)},
            terms=(("replaces_stops", True),),
            speed=60,
            latency_ms=20,
            fills=FillModel(oco=False),
        )
        process = await world.process().until_ready()
        await until(lambda: world.orders(leg=Leg.STOP))
        await asyncio.sleep(0.3)
        process.faults.arm(FaultKind.LOSE_ANSWER, leg=Leg.STOP, times=1)
        process.faults.arm(FaultKind.FAIL_FETCH, times=10_000)
        await until(lambda: len(world.orders(leg=Leg.STOP)) == 2)
        await process.kill()
        world.runs_on = {BTC: ("a", "b")}
        process = await world.process().until_ready()
        await until(lambda: told(world, SignalOpened, "b"))
        await asyncio.sleep(1)
        share, own = world.state("b").signal.position.quantity, world.state("a").orders[0].request.client_order_id[:16]
        (stop,) = [each for each in world.orders(leg=Leg.STOP) if each.client_order_id.startswith(own)]
        touch(world, stop.trigger_price)
        assert world.held() == share
        await asyncio.sleep(5)
        assert world.held() == share
        await process.end()

    run(main())


# ---------------------------------------------------------------- a strategy that was idle


def unanswered_about(process: Process, order_id: str) -> list[bool]:
    """The venue answers nothing about this order, until the list is emptied."""
    away = [True]
    cancel, fetch = process.wire.cancel, process.wire.fetch_order

    async def answer(call, symbol, asked):
        if away and asked == order_id:
            await asyncio.sleep(0.1)
            raise Transient("no answer")
        return await call(symbol, asked)

    process.wire.cancel = lambda symbol, asked: answer(cancel, symbol, asked)
    process.wire.fetch_order = lambda symbol, asked: answer(fetch, symbol, asked)
    return away


def test_nothing_is_opened_while_another_strategys_stop_may_live_beside_its_exit():
    """The exit did not wait, since nobody else held anything; what opened now would be closed by that stop."""

    async def main() -> None:
        later_ms = START_MS + 9 * MINUTE_MS
        tries = Script(lambda view: entry(view, stop=0.2, target=0.2) if view.close_ms > later_ms else None)
        strategies = {"a": lambda: once(1, stop=0.1, target=0.2, minutes=4), "b": lambda: Scripted(tries)}
        world = World(strategies=strategies, speed=30, latency_ms=20)
        process = await world.process().until_ready()
        await until(lambda: world.orders(leg=Leg.STOP))
        await asyncio.sleep(0.3)
        (stop,) = world.orders(leg=Leg.STOP)
        away = unanswered_about(process, stop.client_order_id)
        await until(lambda: told(world, SignalOpening, "b"))
        begun_s = asyncio.get_running_loop().time()
        await until(lambda: told(world, EntryCancelled, "b"))
        assert (
            asyncio.get_running_loop().time() < begun_s + world.execution.unprotected_s
        )  # others' fills wait behind it
        await until(lambda: len(told(world, EntryCancelled, "b")) >= 2)
        signal = world.state("a").signal
        assert (type(signal), signal.position.flat, world.held()) == (Closing, True, 0)
        assert told(world, SignalOpened, "b") == []
        assert process.system.observations.counts["withdrawn"] >= 2
        away.clear()
        await until(lambda: told(world, SignalOpened, "b"))
        await asyncio.sleep(0.3)
        share = world.state("b").signal.position.quantity
        touch(world, stop.trigger_price)
        assert world.held() == share
        await process.end()

    run(main())


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_who_enters_with_the_candle_that_closes_anothers_signal_enters(names):
    """What becomes of the other's stop is known before its exit leaves."""

    async def main() -> None:
        strategies = {"a": lambda: once(1, stop=0.1, target=0.2, minutes=4), "b": lambda: once(6, stop=0.2, target=0.2)}
        world = World(strategies=strategies, runs_on={BTC: names}, speed=60, latency_ms=20)
        process = await world.process().until_ready()
        await until(lambda: told(world, SignalOpened, "b"))
        (closing,), (opening,) = told(world, SignalClosing, "a"), told(world, SignalOpening, "b")
        assert closing.ts_ms == opening.ts_ms
        await until(lambda: not world.state("a").orders)
        assert world.held() == world.state("b").signal.position.quantity
        assert [fact for fact in story(world, BTC) if isinstance(fact, EntryCancelled | OrderFailed)] == []
        await process.end()

    run(main())


def test_an_entry_asks_what_became_of_anothers_stop_of_which_nothing_was_heard():
    """Its end is a moment late, as it may be after any exit; that is no reason to lose an entry."""

    async def main() -> None:
        strategies = {"a": lambda: once(1, stop=0.1, target=0.2, minutes=4), "b": lambda: once(7, stop=0.2, target=0.2)}
        world = World(strategies=strategies, speed=60, latency_ms=20)
        process = await world.process().until_ready()
        await until(lambda: world.orders(leg=Leg.STOP))
        await asyncio.sleep(0.3)
        process.faults.hold_events()
        await until(lambda: told(world, SignalOpening, "b"))
        assert isinstance(world.state("a").signal, Closing)  # as far as anybody has heard
        await asyncio.sleep(0.3)
        process.faults.release_events()
        await until(lambda: told(world, SignalOpened, "b"))
        assert [fact for fact in story(world, BTC) if isinstance(fact, EntryCancelled | OrderFailed)] == []
        assert world.held() == world.state("b").signal.position.quantity
        await process.end()

    run(main())
