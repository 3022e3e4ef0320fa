"""The simulation's loop: virtual time, an order of tasks drawn from the seed, and deaths."""

import asyncio
from random import Random

import pytest

from tests.simulation.loop import SimulationLoop


def order_of(seed: int, *, shuffled: bool) -> list[str]:
    """In which order tasks and callbacks run that are all ready at once."""
    loop, said = SimulationLoop(Random(seed), shuffled=shuffled), []
    gate = loop.create_future()

    async def wait(name: str) -> None:
        said.append(f"begins {name}")
        await asyncio.shield(gate)
        said.append(name)

    for name in "abcdefgh":
        loop.create_task(wait(name))
    loop.call_later(5.0, gate.set_result, None)
    for number in range(4):
        loop.call_later(5.0, said.append, number)
    loop.call_later(6.0, loop.stop)
    assert loop.run()
    assert loop.time() == 6.0
    return said


def test_tasks_take_turns_as_the_seed_says_and_callbacks_as_they_were_asked_for():
    """Tasks begin in the order in which they were made, too."""
    plain = order_of(1, shuffled=False)
    assert plain == [*(f"begins {name}" for name in "abcdefgh"), 0, 1, 2, 3, *"abcdefgh"]
    orders = [order_of(seed, shuffled=True) for seed in range(5)]
    assert all(order[:12] == plain[:12] for order in orders)
    assert all(sorted(order[12:]) == list("abcdefgh") for order in orders)
    assert len({tuple(order) for order in orders}) == 5
    assert order_of(3, shuffled=True) == orders[3]


def test_a_process_dies_at_a_step_and_its_tasks_and_timers_with_it_but_not_the_worlds():
    """Whatever its tasks do when they are cancelled takes no time."""
    loop, said = SimulationLoop(Random(1), shuffled=True), []

    async def live() -> None:
        try:
            while True:
                await asyncio.sleep(1.0)
                said.append(round(loop.time()))
        finally:
            await asyncio.sleep(0)
            said.append("the end")

    loop.create_task(live())
    loop.call_later(3.5, said.append, "never said")
    loop.world_at(2.9, setattr, loop, "crash_after", 1)
    loop.world_at(7.0, said.append, "the world goes on")
    loop.world_at(8.0, loop.stop)
    assert not loop.run()
    loop.end_tasks()
    assert loop.time() < 3.1
    assert loop.run()
    assert said == [1, 2, "the end", "the world goes on"]
    assert loop.problems == []


def test_who_dies_in_the_middle_of_a_turn_runs_to_its_end_in_it_and_the_rest_of_the_turn_happens_once():
    """As when a daemon returns at the moment of the next candle."""
    loop, said = SimulationLoop(Random(1), shuffled=False), []
    loop.world_at(1.0, loop.end_tasks)
    loop.call_later(1.0, said.append, "the end")
    loop.world_at(1.0, said.append, "the world goes on")
    loop.world_at(2.0, loop.stop)
    assert loop.run()
    assert said == ["the end", "the world goes on"]


def test_an_error_that_nobody_hears_and_a_loop_with_nothing_to_do_are_told():
    """As asyncio tells of a callback's exception; and a wait for what never comes is no silence."""
    loop = SimulationLoop(Random(1), shuffled=False)
    loop.call_soon(lambda: 1 / 0)
    with pytest.raises(RuntimeError, match="no timer is set"):
        loop.run()
    assert "ZeroDivisionError" in loop.problems[0]
