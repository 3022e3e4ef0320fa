"""The venue changes a symbol's lots, ticks, minimum or largest order while a position of ours is open."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.facts import OrderFailed, SignalClosed
from livebot.core.inputs import OrderRejected
from livebot.core.order import Leg, OrderKind
from livebot.core.signal import CloseReason
from livebot.errors import Rejected
from livebot.runtime.symbol.symbol_states import SymbolStates
from tests.runtime.harness import BTC, World, disagreements, once, run, story
from tests.runtime.universe_desk import Desk

D = Decimal


def buying(*names: str, **values) -> World:
    """Each buys with the same candle and holds for long."""
    terms = {"stop": 0.2, "target": 0.2} | values
    return World(strategies={name: lambda: once(1, **terms) for name in names}, speed=60, latency_ms=20)


def changes(world: World, **values) -> None:
    """The venue says something else of the symbol from now on."""
    world.venue._instruments[BTC] = replace(world.venue.instrument(BTC), **values)


COARSE = {"lot_step": D("0.001"), "minimum_quantity": D("0.001")}


async def held(world: World, shares: int = 1) -> None:
    """A daemon has opened it, protected it and stopped."""
    process = await world.process().until_ready()
    while len(world.orders(leg=Leg.STOP)) < shares:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    assert world.held()
    await process.end()


async def flattened(world: World):
    """Another daemon closes it; how that came to pass, and what is left."""
    process = await world.process().until_ready()
    async with asyncio.timeout(60):
        await process.control.flatten([BTC])
        while any(state.orders for state in world.store.files.values()):
            await asyncio.sleep(0.1)
    await process.end()
    return story(world, BTC)


def failures(facts) -> list[OrderFailed]:
    return [fact for fact in facts if isinstance(fact, OrderFailed)]


@pytest.mark.parametrize("strategies", [("one",), ("a", "b")], ids=["alone", "shared"])
def test_after_a_restart_a_position_is_closed_in_the_lots_of_today(strategies):
    """What is less than a lot is told as dust, of each share, and is no position of ours any more."""

    async def main():
        world = buying(*strategies)
        await held(world, len(strategies))
        before = world.held()
        changes(world, **COARSE)
        facts = await flattened(world)
        dust = before / len(strategies) % D("0.001")
        assert dust
        assert world.held() == dust * len(strategies)
        assert [fact.code for fact in failures(facts)] == ["dust"] * len(strategies)
        assert {fact.reason for fact in facts if isinstance(fact, SignalClosed)} == {CloseReason.OPERATOR}
        assert disagreements(world, settled=False) == []

    run(main())


def test_after_a_restart_the_stop_is_brought_to_the_lots_and_ticks_of_today():
    async def main():
        world = buying("one")
        await held(world)
        (before,) = world.orders(leg=Leg.STOP)
        changes(world, **COARSE, tick_size=D(10))
        assert before.quantity % D("0.001")
        assert before.trigger_price % 10
        process = await world.process().until_ready()
        await asyncio.sleep(3)
        (stop,) = world.orders(leg=Leg.STOP)
        assert (stop.quantity, stop.trigger_price) == (
            before.quantity - before.quantity % D("0.001"),
            before.trigger_price - before.trigger_price % 10 + 10,
        )
        assert failures(story(world, BTC)) == []
        await process.kill()

    run(main())


def test_a_daemon_that_runs_hears_of_it_with_the_next_look_at_what_is_listed():
    async def main():
        world = buying("one")
        desk = Desk(world, lambda _: (BTC,), members=(BTC,), refresh_minutes=2, fixed=True)
        process = await desk.process().until_ready()
        while not world.orders(leg=Leg.TARGET):
            await asyncio.sleep(0.02)
        changes(world, **COARSE)
        await asyncio.sleep(4)
        before = world.held()
        assert [each.quantity for each in world.orders(leg=Leg.STOP)] == [before - before % D("0.001")]
        assert process.system.workers.instrument(BTC).lot_step == D("0.001")
        async with asyncio.timeout(30):
            await process.control.flatten([BTC])
        assert world.held() == before % D("0.001")
        await process.kill()

    run(main())


def test_a_venue_that_does_not_tell_leaves_all_as_it_was():
    """The look at what is listed goes on."""

    async def main():
        world = buying("one")
        desk = Desk(world, lambda _: (BTC,), members=(BTC,), refresh_minutes=2, fixed=True)
        process = await desk.process().until_ready()
        before = process.system.workers.instrument(BTC)

        async def refused(symbols):
            raise Rejected(f"{symbols} are nobody's business")

        process.wire.instruments = refused
        changes(world, **COARSE)
        looks = len(desk.source.asked)
        await asyncio.sleep(6)
        assert len(desk.source.asked) >= looks + 2
        assert process.system.workers.instrument(BTC) == before
        await process.kill()

    run(main())


@pytest.mark.parametrize("strategies", [("one",), ("a", "b")], ids=["alone", "shared"])
def test_a_position_that_has_become_larger_than_one_order_is_closed_in_pieces(monkeypatch, strategies):
    """It has no stop that covers it, and is closed as what cannot be protected is, one order after the other."""
    most_beside: list[int] = []
    apply = SymbolStates.apply

    def watched(states, instance, event):
        apply(states, instance, event)
        exits = [record for record in instance.state.orders if record.request.leg is Leg.EXIT and record.status.live]
        most_beside.append(len(exits))

    monkeypatch.setattr(SymbolStates, "apply", watched)

    async def main():
        world, shares = buying(*strategies), len(strategies)
        await held(world, shares)
        changes(world, maximum_quantity=world.held() / shares / 3 + D("0.0001"))
        process = await world.process().until_ready()
        async with asyncio.timeout(30):
            while world.held():
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        facts = story(world, BTC)
        assert [fact.code for fact in failures(facts)] == ["position_too_large"] * shares
        assert [fact.reason for fact in facts if isinstance(fact, SignalClosed)] == [CloseReason.UNPROTECTED] * shares
        assert 3 * shares == sum(order.leg is Leg.EXIT for order in process.wire.sent)
        assert max(most_beside) == 1
        await process.end()
        assert disagreements(world) == []

    run(main())


def test_a_venue_that_takes_less_than_it_says_is_left_in_halves():
    """The exit is refused for its size, and nothing tells what would be taken."""
    most = D("0.015")

    def limited(process):
        def refusing(call):
            async def asked(approved):
                order = approved.order
                if order.kind is OrderKind.LIMIT or order.quantity <= most:
                    return await call(approved)
                await asyncio.sleep(0.02)
                ts_ms = process.clock.now_ms()
                return OrderRejected(
                    client_order_id=order.client_order_id, code="too_large", text="too large", ts_ms=ts_ms
                )

            return asked

        process.wire.submit, process.wire.amend = refusing(process.wire.submit), refusing(process.wire.amend)

    async def main():
        world = buying("one", limit=0.0001)
        process = world.process()
        limited(process)
        await process.until_ready()
        async with asyncio.timeout(60):
            while not world.held():
                await asyncio.sleep(0.02)
            assert world.held() > most
            while world.held():
                await asyncio.sleep(0.02)
        await asyncio.sleep(1)
        assert [fact.reason for fact in story(world, BTC) if isinstance(fact, SignalClosed)] == [
            CloseReason.UNPROTECTED
        ]
        await process.end()
        assert disagreements(world) == []

    run(main())
