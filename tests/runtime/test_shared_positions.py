"""Strategies that share a symbol's position: no order of one may close what is the other's."""

import asyncio
from decimal import Decimal

from livebot.core.entry import ExitPlan, PartialLevel
from livebot.core.facts import OrderFailed, SignalClosed
from livebot.core.inputs import OrderEnded, OrderFilled
from livebot.core.market import Candle
from livebot.core.order import ZERO, Fill, Leg, OrderStatus
from livebot.core.rules import sharing_a_position
from livebot.core.signal import CloseReason
from livebot.runtime.inbox import CandleOf
from livebot.simulator.faults import FaultKind
from tests.core.kernel_driver import RULES
from tests.runtime.harness import BTC, World, once, run, story


def two(**changes) -> World:
    """Both buy with the same candle and hold for long."""
    strategies = {name: lambda: once(1, stop=0.2, target=0.2) for name in ("a", "b")}
    return World(**{"strategies": strategies, "speed": 60, "latency_ms": 5, **changes})


async def both_protected(world: World):
    process = await world.process().until_ready()
    while len(world.orders(leg=Leg.STOP)) < 2:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    return process


def test_no_two_orders_that_could_close_the_same_share_rest_at_once():
    rules = sharing_a_position(RULES)
    assert (rules.resting_target, rules.attached_stop, rules.replaces_stops) == (False, False, False)

    async def main() -> None:
        world = two()
        process = await both_protected(world)
        assert world.orders(leg=Leg.TARGET) == []
        await process.end()
        alone = World(strategies={"one": lambda: once(1, stop=0.2, target=0.2)}, speed=60)
        process = await alone.process().until_ready()
        while not alone.orders(leg=Leg.TARGET):
            await asyncio.sleep(0.02)
        await process.end()

    run(main())


def test_an_exit_leaves_when_it_is_certain_that_the_stop_is_gone():
    """It is asked for by its id; the other strategy's share stays."""

    async def main() -> None:
        world = two()
        process = await both_protected(world)
        share = world.state("a").signal.position.quantity
        await process.control.flatten([BTC])
        await asyncio.sleep(1)
        assert world.held() == 0
        closes = {
            fact.strategy: (fact.reason, fact.quantity) for fact in story(world, BTC) if isinstance(fact, SignalClosed)
        }
        assert closes == dict.fromkeys(("a", "b"), (CloseReason.OPERATOR, share))
        await process.end()

    run(main())


def test_while_nobody_knows_what_became_of_the_stop_no_exit_leaves():
    """It may have closed the share already; the exit comes again, and the other's share is never touched."""

    async def main() -> None:
        world = two()
        process = await both_protected(world)
        held, sent = world.held(), len(process.wire.sent)
        process.faults.arm(FaultKind.FAIL_FETCH, times=10_000)
        flattening = asyncio.create_task(process.control.flatten([BTC]))
        await asyncio.sleep(world.execution.unprotected_s * 1.4)
        assert [order for order in process.wire.sent[sent:] if order.leg is Leg.EXIT] == []
        assert world.held() == held
        assert [fact.leg for fact in story(world, BTC) if isinstance(fact, OrderFailed)].count(Leg.EXIT) >= 1
        assert not flattening.done()
        await process.kill()
        process = await world.process().until_ready()
        await process.control.flatten([BTC])
        while world.held():
            await asyncio.sleep(0.1)
        assert world.held() == 0
        await process.kill()

    run(main())


def test_an_exit_that_has_become_larger_than_its_share_does_not_leave():
    """The stop had closed a part of it before it was gone; the next exit is for the rest, and the other's share stays."""

    async def main() -> None:
        world = two()
        process = await both_protected(world)
        state, execution = world.state("a"), process.system.execution
        share, part = state.signal.position.quantity, world.venue.instrument(BTC).lot_step
        stop = next(record.request for record in state.orders if record.request.leg is Leg.STOP)
        ask, sent = execution.ask, len(process.wire.sent)

        async def traded_before(request):
            if request.client_order_id != stop.client_order_id:
                return await ask(request)
            name, ts_ms = stop.client_order_id, world.venue.now_ms
            price = stop.trigger_price
            fill = Fill(
                trade_id="late", client_order_id=name, ts_ms=ts_ms, side=stop.side, price=price, quantity=part, fee=ZERO
            )
            ended = OrderEnded(client_order_id=name, status=OrderStatus.CANCELED, filled=part, ts_ms=ts_ms)
            return OrderFilled(fill, ts_ms), ended

        execution.ask = traded_before
        await process.control.flatten([BTC])
        await asyncio.sleep(2.5)
        ours = stop.client_order_id[:16]
        exits = [order for order in process.wire.sent[sent:] if order.leg is Leg.EXIT]
        assert [order.quantity for order in exits if order.client_order_id.startswith(ours)] == [share - part]
        await process.kill()

    run(main())


def test_a_part_of_a_share_does_not_leave_if_the_stop_has_closed_all_of_it_meanwhile():
    """The stop's fills were heard right behind the candle that asked for the part: what was left is the other's."""

    async def main() -> None:
        exits = ExitPlan(partial_levels=(PartialLevel(gain=Decimal("0.0005"), fraction=Decimal("0.5")),))
        world = two(
            strategies={
                "a": lambda: once(1, stop=0.2, target=0.2, exits=exits),
                "b": lambda: once(1, stop=0.2, target=0.2),
            }
        )
        process = await both_protected(world)
        state = world.state("a")
        stop = next(record.request for record in state.orders if record.request.leg is Leg.STOP)
        position, ts_ms = state.signal.position, world.venue.now_ms
        price = float(position.entry_price)
        one, _ = process.system.workers.instances.of(BTC)
        while (last_ms := one.last_close_ms) < state.signal.opened_ms:  # a candle counts if it began after that
            await asyncio.sleep(0.01)
        touched = Candle(ts_ms=last_ms, open=price, high=price * 1.01, low=price, close=price, volume=1.0)
        fill = Fill(
            trade_id="all",
            client_order_id=stop.client_order_id,
            ts_ms=ts_ms,
            side=stop.side,
            price=stop.trigger_price,
            quantity=position.quantity,
            fee=ZERO,
        )
        ended = OrderEnded(
            client_order_id=stop.client_order_id, status=OrderStatus.FILLED, filled=position.quantity, ts_ms=ts_ms
        )
        sent, inbox = len(process.wire.sent), process.system.workers.inboxes[BTC]
        for item in (CandleOf(BTC, touched), OrderFilled(fill, ts_ms), ended):
            inbox.put(item)
        await asyncio.sleep(0.5)
        assert any(isinstance(fact, SignalClosed) and fact.strategy == "a" for fact in story(world, BTC))
        assert [order.leg for order in process.wire.sent[sent:]] == []
        await process.kill()

    run(main())
