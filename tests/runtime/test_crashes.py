"""A daemon killed at any step, and started again over the same files and the same venue, has lost and doubled nothing."""

import asyncio
from random import Random

import pytest

from livebot.core.signal import Closing, Open
from livebot.simulator.faults import FaultKind
from livebot.simulator.matching import FillModel
from tests.process.strategies import Averager, Eager, Nothing, Resting
from tests.runtime.harness import (
    BTC,
    ETH,
    Process,
    SteppingLoop,
    World,
    disagreements,
    once,
    run_stepping,
)


def busy_world(**changes) -> World:
    strategies = {
        "eager": lambda: Eager(Nothing()),
        "resting": lambda: Resting(Nothing()),
        "averager": lambda: Averager(Nothing()),
    }
    return World(**{"strategies": strategies, "symbols": (BTC, ETH), **changes})


async def run_until_killed(loop: SteppingLoop, process: Process, steps: int) -> bool:
    """Whether it was killed, or ended before that many steps."""
    dead = asyncio.Event()

    def die() -> None:
        process.die()
        dead.set()

    loop.stop_at, loop.at_step = loop.steps + steps, die
    process.start()
    dying = asyncio.create_task(dead.wait())
    await asyncio.wait({process.task, dying}, return_when=asyncio.FIRST_COMPLETED)
    loop.stop_at = None
    dying.cancel()
    if not dead.is_set():
        await process.task
        return False
    await process.kill()
    while process.world.outside:  # what was on the wire arrives
        await asyncio.wait(set(process.world.outside))
    return True


def unprotected(world: World) -> list[str]:
    """Positions of ours without a stop at the venue."""
    return [
        f"{strategy}/{symbol}"
        for (strategy, symbol), state in world.store.files.items()
        if isinstance(state.signal, Open | Closing)
        and state.signal.position.quantity > 0
        and not any(
            order.client_order_id == record.request.client_order_id
            for order in world.venue.open_orders()
            for record in state.orders
            if record.request.leg.protects and order.trigger_price is not None
        )
        and not isinstance(state.signal, Closing)
    ]


async def recover_and_look(world: World) -> list[str]:
    """What is wrong once the next daemon is ready."""
    process = await world.process(minutes=0).until_ready()
    await process.task
    return disagreements(world) + [f"I3: {name} has no stop" for name in unprotected(world)]


@pytest.mark.untraced
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_again_and_again_nothing_is_lost_or_doubled(seed):
    """At random steps, with partial fills, lost answers and lost requests, and with time passing while nobody runs."""

    async def main(loop: SteppingLoop) -> None:
        chance = Random(seed)
        world = busy_world(seed=seed, fills=FillModel(partial_probability=0.3, seed=seed))
        killed = 0
        for _ in range(40):
            process = world.process(minutes=60)
            for kind in (FaultKind.LOSE_ANSWER, FaultKind.LOSE_REQUEST):
                if chance.random() < 0.3:
                    process.faults.arm(kind, times=chance.randrange(1, 4))
            killed += await run_until_killed(loop, process, chance.randrange(20, 1000))
            for _ in range(chance.choice((0, 0, 1, 3))):
                world.venue.step()
            assert [] == await recover_and_look(world)
        await world.live(3)
        assert [] == disagreements(world)
        assert killed > 30
        assert len(world.ledger.facts) > 100

    run_stepping(main)


def one_signal() -> World:
    """A market entry, its stop and target, a trailing stop on the way."""
    return World(strategies={"one": lambda: once(1, stop=0.001, target=0.001, minutes=4)}, volatility=2.0)


@pytest.mark.untraced
def test_killed_at_every_step_of_a_signals_life_it_has_one_end():
    """From before the first candle until after the close."""

    async def steps_of_a_life(loop: SteppingLoop) -> int:
        world = one_signal()
        before = loop.steps
        await world.live(8)
        assert world.ledger.kinds("one", BTC)[-1] == "SignalClosed"
        return loop.steps - before

    async def killed_at(step: int) -> tuple[World, bool]:
        world = one_signal()
        killed = await run_until_killed(asyncio.get_running_loop(), world.process(minutes=8), step)
        assert [] == await recover_and_look(world), step
        await world.live(8)
        return world, killed

    async def main(loop: SteppingLoop) -> None:
        whole = await steps_of_a_life(loop)
        signals = set()
        for step in range(1, whole, max(1, whole // 100)):
            world, _ = await killed_at(step)
            kinds = world.ledger.kinds("one", BTC)
            assert [] == disagreements(world), step
            assert kinds[-1:] in ([], ["SignalClosed"], ["EntryCancelled"]), (step, kinds)
            signals.add((kinds.count("SignalOpening"), kinds.count("SignalClosed"), kinds.count("EntryCancelled")))
        assert signals <= {(0, 0, 0), (1, 1, 0), (1, 0, 1)}
        assert (1, 1, 0) in signals

    run_stepping(main)


def at_steps(loop: SteppingLoop, steps: list[int], do) -> None:
    """Do something at each of these steps from now."""
    rest = iter(steps)

    def next_one() -> None:
        step = next(rest, None)
        if step is not None:
            loop.stop_at = loop.steps + step

    def at_step() -> None:
        do()
        next_one()

    loop.at_step = at_step
    next_one()


@pytest.mark.untraced
@pytest.mark.parametrize("seed", [1, 2])
def test_restarted_at_any_moment_a_symbol_goes_on_from_its_file(seed):
    """By the operator, between any two steps of the loop; its facts stay one story, and the other symbols' too."""

    async def main(loop: SteppingLoop) -> None:
        chance = Random(seed)
        world = busy_world(seed=seed)
        process = await world.process(minutes=40).until_ready()

        def restart() -> None:
            if not (process.system.parts.activity.quiet or process.shutdown.stopping.is_set()):
                process.system.supervisor.restart([chance.choice((BTC, ETH))])

        at_steps(loop, [chance.randrange(1, 120) for _ in range(80)], restart)
        await process.task
        assert process.system.supervisor.restarts() > 30
        assert process.system.observations.counts["failures"] == 0
        assert [] == await recover_and_look(world)
        assert len(world.ledger.facts) > 100

    run_stepping(main)


@pytest.mark.untraced
def test_stopped_at_any_step_it_opens_nothing_more_and_leaves_nothing_open():
    """The gate closes first; what is at hand is finished, saved and told."""

    async def main(loop: SteppingLoop) -> None:
        chance = Random(7)
        for _ in range(60):
            world = busy_world()
            process = world.process(minutes=60)
            sent: list[int] = []

            def stop(process=process, sent=sent) -> None:
                process.shutdown.request("now")
                sent.append(len(process.wire.sent))

            at_steps(loop, [chance.randrange(1, 600)], stop)
            process.start()
            await process.task
            loop.stop_at = None
            assert [] == [each.leg for each in process.wire.sent[sent[0] :] if each.leg.opens]
            assert [] == disagreements(world)
            assert world.ledger.told == len(world.ledger.facts)
            outboxes = [fact for state in world.store.files.values() for fact in state.outbox]
            assert all((fact.strategy, fact.symbol, fact.sequence) in world.ledger.facts for fact in outboxes)

    run_stepping(main)


@pytest.mark.untraced
def test_in_a_hurry_it_ends_at_once_and_the_next_start_finds_everything():
    """Twice asked to stop, at any step: nothing is waited for, and nothing is lost by that."""

    async def main(loop: SteppingLoop) -> None:
        chance = Random(8)
        for _ in range(40):
            world = busy_world()
            process = world.process(minutes=60)

            def stop(process=process) -> None:
                process.shutdown.request("now")
                process.shutdown.request("at once")

            at_steps(loop, [chance.randrange(1, 600)], stop)
            begun = loop.time()
            process.start()
            await process.task
            loop.stop_at = None
            assert loop.time() - begun < 0.1
            while world.outside:
                await asyncio.wait(set(world.outside))
            assert [] == await recover_and_look(world)

    run_stepping(main)
