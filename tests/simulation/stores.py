"""What is durable: the state files, written by the daemon's own code, and a ledger in memory that keeps its contract.

Rules of this file: file work happens at one moment, a seeded while after it was asked for, and may end in a crash in
between two operations; a transaction of the ledger is there whole or not at all, whatever its writer has heard of it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from livebot.adapters.state_files.durable_files import DurableFiles
from livebot.core.facts import ORDER_KINDS, Fact, SignalClosed
from livebot.errors import Fatal, Transient
from livebot.ports import Decision
from livebot.runtime.portfolio.order_history import in_order

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

T = TypeVar("T")
Key = tuple[str, str]


class SeededWorkers:
    """Does file work a moment later."""

    def __init__(self, world: "World", process: "Process") -> None:
        self._world = world
        self._process = process

    def submit(self, work: Callable[[], T], then: Callable[[], None] = lambda: None) -> asyncio.Future[T]:
        world = self._world
        future: asyncio.Future[T] = world.loop.create_future()
        roll = world.random.random()
        took = (0.004 * roll + (0.05 if roll > 0.98 else 0.0)) * world.plan.jitter
        world.loop.call_later(0.0005 + took, self._run, work, then, future)
        return future

    def spread(self, work: Callable[[], None], share: int) -> None:
        work()

    def close(self) -> None:
        """There is nothing to let go."""

    def _run(self, work: Callable[[], T], then: Callable[[], None], future: asyncio.Future[T]) -> None:
        if not self._process.alive:
            return
        try:
            result = work()
        except Exception as error:
            if not future.cancelled():
                future.set_exception(error)
        else:
            if not future.cancelled():
                future.set_result(result)
        then()


class WatchedFiles(DurableFiles):
    """The daemon's files; the checker hears what was asked for and what was promised."""

    def __init__(self, world: "World", process: "Process") -> None:
        super().__init__(world.disk, SeededWorkers(world, process))
        self._world = world
        self._process = process

    def write(self, path: Path, data: bytes) -> asyncio.Future[None]:
        if not self._process.alive:
            raise asyncio.CancelledError
        future = super().write(path, data)
        name = str(path)
        self._world.checker.promises.asked(name, data)
        future.add_done_callback(lambda done: self._promised(name, data, done))
        return future

    def _promised(self, name: str, data: bytes, done: "asyncio.Future[None]") -> None:
        if self._process.alive and not done.cancelled() and done.exception() is None:
            self._world.checker.promises.promised(name, data)


class SimulatedLedger:
    """What outlives a process."""

    def __init__(self) -> None:
        self.facts: dict[tuple[str, str, int], Fact] = {}
        self.closed: list[SignalClosed] = []
        self.last: dict[Key, tuple[int, int]] = {}
        self.decisions: dict[tuple[str, str, int], Decision] = {}


class LedgerPort:
    """A process's Ledger and LedgerHistory."""

    def __init__(self, world: "World", process: "Process") -> None:
        self._world = world
        self._process = process
        self._ledger = world.ledger

    async def record(self, facts: Sequence[Fact], decisions: Sequence[Decision]) -> None:
        await self._later(lambda: self._record(facts, decisions))

    async def closes(self) -> Sequence[SignalClosed]:
        return await self._later(lambda: tuple(self._ledger.closed))

    async def entries(self, since_ms: int) -> Sequence[Fact]:
        def wanted(fact: Fact) -> bool:
            return isinstance(fact, ORDER_KINDS) and fact.ts_ms >= since_ms

        return await self._later(lambda: in_order(filter(wanted, self._ledger.facts.values())))

    async def last_numbers(self) -> Mapping[Key, tuple[int, int]]:
        return await self._later(lambda: dict(self._ledger.last))

    async def close(self) -> None:
        """Nothing to let go."""

    def _record(self, facts: Iterable[Fact], decisions: Iterable[Decision]) -> None:
        world, ledger = self._world, self._ledger
        from_s, until_s = world.plan.ledger_away
        if from_s <= world.loop.time() < until_s:
            raise Transient("the database is away")
        if world.plan.ledger_fails and not world.network.calm and world.random.random() < world.plan.ledger_fails:
            raise Transient("the database is locked")
        for fact in facts:
            key = (fact.strategy, fact.symbol, fact.sequence)
            known = ledger.facts.get(key)
            if known is not None:
                if known != fact:
                    world.checker.wrong("I8", f"the ledger holds another fact under {key}: {known}, now {fact}")
                    raise Fatal(f"the ledger holds another fact under {key}")
                continue
            world.checker.recorded(fact, ledger.last.get(key[:2], (0, 0))[0])
            ledger.facts[key] = fact
            ledger.last[key[:2]] = (fact.sequence, int(fact.signal_id.rpartition("#")[2]))
            if isinstance(fact, SignalClosed):
                ledger.closed.append(fact)
        for decision in decisions:
            ledger.decisions.setdefault((decision.strategy, decision.symbol, decision.close_ms), decision)

    async def _later(self, work: Callable[[], T]) -> T:
        loop, random = self._world.loop, self._world.random
        if not self._process.alive:
            raise asyncio.CancelledError
        future: asyncio.Future[Any] = loop.create_future()
        loop.call_later(0.001 + 0.004 * random.random(), self._do, work, future)
        return await future

    def _do(self, work: Callable[[], Any], future: "asyncio.Future[Any]") -> None:
        if not self._process.alive:
            return
        try:
            value, failed = work(), None
        except (Transient, Fatal) as error:
            value, failed = None, error
        tell = future.set_result if failed is None else future.set_exception
        told = value if failed is None else failed
        delay = 0.001 + 0.004 * self._world.random.random()
        self._world.loop.call_later(delay, lambda: None if future.done() else tell(told))
