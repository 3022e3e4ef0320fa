"""A world whose symbols come and go: who lists them is written down by the test, minute by minute."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from livebot.core.market import MINUTE_MS
from livebot.core.universe_memory import UniverseMemory
from livebot.core.universe_rules import Listing, UniverseRules
from livebot.errors import Fatal, LivebotError
from livebot.runtime.universe.universe_choice import UniverseParts
from tests.runtime.harness import BTC, ETH, SOL, START_MS, XRP, Process, World

ALL = (BTC, ETH, SOL, XRP)


class Only(tuple[str, ...]):
    """Nothing else is listed."""

    __slots__ = ()


class Listed:
    """Lists what `said(minute)` says, the largest first, and then the others (not after Only); an error is raised."""

    name = "the venue"

    def __init__(self, world: World, said: Callable[[int], Iterable[str] | LivebotError]) -> None:
        self._world = world
        self._said = said
        self.asked: list[int] = []

    async def listings(self) -> tuple[Listing, ...]:
        minute = (self._world.venue.now_ms - START_MS) // MINUTE_MS
        self.asked.append(minute)
        await asyncio.sleep(0.01)
        said = self._said(minute)
        if isinstance(said, LivebotError):
            raise said
        if not isinstance(said, Only):
            said = dict.fromkeys((*said, *ALL))
        return tuple(
            Listing(symbol=symbol, base=symbol[:3], quote="USDT", market="perpetual", volume=1000.0 - place, price=1.0)
            for place, symbol in enumerate(said)
        )


class MemoryUniverse:
    """state/universe.json in memory."""

    def __init__(self, members: Iterable[str] = ()) -> None:
        self.memory: UniverseMemory | None = UniverseMemory(
            asked_ms=START_MS, members=tuple((symbol, START_MS) for symbol in sorted(members))
        )
        self.fails = False
        self.saved: list[UniverseMemory] = []

    async def load(self) -> UniverseMemory | None:
        return self.memory

    async def save(self, memory: UniverseMemory) -> None:
        await asyncio.sleep(0)
        if self.fails:
            raise Fatal("cannot write universe.json: No space left on device (ENOSPC)")
        self.memory = memory
        self.saved.append(memory)


async def anyone(_: str) -> None:
    """Every symbol is fine with the venue."""


class Desk:
    """A world, who lists its symbols, what is remembered, and daemons that start with what that is."""

    def __init__(
        self,
        world: World,
        said: Callable[[int], Iterable[str] | LivebotError],
        *,
        members: Iterable[str],
        top: int = 1,
        stay_minutes: int = 0,
        refresh_minutes: int = 10,
        strategies: Callable[[str], tuple[str, ...]] | None = None,
        admit: Callable[[str], Any] = anyone,
        watched: Callable[[str], frozenset[str]] = lambda _: frozenset(),
        fixed: bool = False,
    ) -> None:
        self.world = world
        self.source = Listed(world, said)
        self.store = MemoryUniverse(members)
        self._fixed = fixed
        self._rules = UniverseRules(
            market="perpetual",
            top=top,
            minimum_stay_ms=stay_minutes * MINUTE_MS,
            always=tuple(members) if fixed else (),
        )
        self._refresh_ms = refresh_minutes * MINUTE_MS
        self._strategies = strategies or (lambda _: tuple(world.strategies))
        self._admit = admit
        self._watched = watched

    def process(self, minutes: int | None = None, **changes: Any) -> Process:
        """A daemon that starts with what is remembered."""
        memory = self.store.memory
        assert memory is not None
        parts = UniverseParts(
            rules=self._rules,
            source=self.source,
            store=self.store,
            refresh_ms=self._refresh_ms,
            memory=memory,
            strategies=self._strategies,
            watched=self._watched,
            admit=self._admit,
            fixed=self._fixed,
        )
        runs_on = {symbol: self._strategies(symbol) for symbol in memory.symbols}
        watched = {symbol: self._watched(symbol) for symbol in memory.symbols}
        strategies = {symbol: names for symbol, names in runs_on.items() if names}
        return self.world.process(
            minutes=minutes, universe=parts, **({"strategies": strategies, "watched": watched} | changes)
        )

    async def live(self, minutes: int, **changes: Any) -> Process:
        """One daemon for so many minutes of the market."""
        process = self.process(minutes, **changes)
        await process.system.run(process.shutdown)
        return process

    def minutes_of(self, symbol: str, kind: str, strategy: str | None = None) -> list[int]:
        """In which minutes such facts were of a symbol."""
        return [
            (fact.ts_ms - START_MS) // MINUTE_MS
            for key, fact in sorted(self.world.ledger.facts.items())
            if key[1] == symbol and type(fact).__name__ == kind and strategy in (None, key[0])
        ]
