"""Garbage is collected, but not while there is work."""

import asyncio
import gc
import weakref

import pytest

from livebot.adapters import collector
from livebot.adapters.collector import EVERY_S, Collector
from tests.virtual_loop import run


class Cyclic:
    def __init__(self) -> None:
        self.self = self


@pytest.fixture(autouse=True)
def easily_worth_it(monkeypatch):
    """A quiet test makes few objects of its own."""
    monkeypatch.setattr(collector, "WORTH", 50)
    monkeypatch.setattr(collector, "MOST", 5_000)


def garbage(count: int) -> "list[weakref.ref[Cyclic]]":
    return [weakref.ref(Cyclic()) for _ in range(count)]


def alive(references: "list[weakref.ref[Cyclic]]") -> int:
    return sum(reference() is not None for reference in references)


async def while_collecting(quiet, scenario) -> Collector:
    made = Collector(quiet)
    task = asyncio.create_task(made.run())
    await asyncio.sleep(0)
    try:
        await scenario(made)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return made


def test_at_a_quiet_moment_garbage_goes():
    async def scenario(_):
        left = garbage(200)
        assert alive(left) == 200
        await asyncio.sleep(EVERY_S * 1.5)
        assert alive(left) == 0

    run(while_collecting(lambda: True, scenario))


def test_nothing_is_collected_while_there_is_work():
    async def scenario(made):
        left = garbage(200)
        await asyncio.sleep(EVERY_S * 5)
        assert alive(left) == 200
        assert made.brief == 0

    run(while_collecting(lambda: False, scenario))


def test_much_garbage_goes_at_any_moment():
    async def scenario(_):
        left = garbage(6_000)
        await asyncio.sleep(EVERY_S * 1.5)
        assert alive(left) == 0

    run(while_collecting(lambda: False, scenario))


def test_cycles_among_what_lived_long_go_when_there_is_much_of_it(monkeypatch):
    monkeypatch.setattr(collector, "GROWTH", 0.1)

    async def scenario(made):
        kept = [Cyclic() for _ in range(500)]
        left = [weakref.ref(each) for each in kept]
        await asyncio.sleep(EVERY_S * 1.5)
        assert made.brief == 1
        kept.clear()
        more = [Cyclic() for _ in range(100)]
        await asyncio.sleep(EVERY_S)
        assert alive(left) == 500
        more += [Cyclic() for _ in range(gc.get_freeze_count() // 5)]
        await asyncio.sleep(EVERY_S)
        assert made.thorough == 2
        assert alive(left) == 0

    run(while_collecting(lambda: True, scenario))


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_it_was_afterwards(enabled):
    async def scenario(_):
        assert not gc.isenabled()

    was, frozen = gc.isenabled(), gc.get_freeze_count()
    (gc.enable if enabled else gc.disable)()
    try:
        run(while_collecting(lambda: True, scenario))
        assert gc.isenabled() is enabled
        assert gc.get_freeze_count() <= frozen
    finally:
        (gc.enable if was else gc.disable)()
