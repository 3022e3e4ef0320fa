"""A daemon whose config a test replaces while it runs."""

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from livebot.core.entry import ExitPlan
from livebot.core.market import MINUTE_MS
from livebot.core.rules import FixedNotional
from livebot.core.universe_memory import UniverseMemory
from livebot.core.universe_rules import UniverseRules
from livebot.runtime.operator.following import Following, ReloadPlan
from livebot.runtime.operator.reload import Outcome, Reload
from livebot.runtime.universe.universe_choice import Forgetful, UniverseParts, Unlisted
from tests.runtime.harness import (
    BTC,
    ETH,
    SOL,
    START_MS,
    XRP,
    Process,
    Script,
    Scripted,
    World,
    always,
    disagreements,
    entry,
)

D = Decimal
ALL = (BTC, ETH, SOL, XRP)
Makers = Mapping[str, Callable[[], Any]]


async def anyone(_: str) -> None:
    """Every symbol is fine with the venue."""


class Witness:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Outcome | str] = []

    def began(self) -> None:
        self.told.append("began")

    def ended(self, outcome: Outcome) -> None:
        self.told.append(outcome)


class Office:
    """A world, the config of its daemons, and reloads of it; the market of the world lists all four symbols."""

    def __init__(self, runs_on: Mapping[str, tuple[str, ...]], makers: Makers, **world: Any) -> None:
        self.world = World(**({"strategies": makers, "symbols": ALL, "speed": 60} | world))
        self.runs_on, self.makers = dict(runs_on), dict(makers)
        self.limits, self.win_rate = self.world.limits, None
        self.witness = Witness()
        self.admitted: list[str] = []
        self.refuses: dict[str, Exception] = {}
        self.reads: list[Any] = []  # what the file asks for, one reading after another
        self.read_s = 0.0

    def process(self, **changes: Any) -> Process:
        """A daemon under the present config."""
        members = tuple((symbol, START_MS) for symbol in sorted(self.runs_on))
        parts = UniverseParts(
            rules=UniverseRules(market="perpetual", top=9, always=tuple(sorted(self.runs_on))),
            source=Unlisted(),
            store=Forgetful(),
            refresh_ms=2**62,
            memory=UniverseMemory(asked_ms=START_MS, members=members),
            strategies=lambda symbol: self.runs_on.get(symbol, ()),
            watched=lambda symbol: self.watched(symbol),
            admit=anyone,
            fixed=True,
        )
        process = self.world.process(
            **(
                {
                    "strategies": dict(self.runs_on),
                    "watched": {symbol: self.watched(symbol) for symbol in self.runs_on},
                    "make_strategy": lambda name: self.makers[name]() if name in self.makers else None,
                    "universe": parts,
                }
                | changes
            )
        )
        self.following = Following(process.system, self.admit)
        self.reload = Reload(process.system, self.following, self.read, file="config.yaml", witness=self.witness)
        self.system, self.daemon = process.system, process
        return process

    async def start(self, **changes: Any) -> Process:
        """A daemon that is ready, and reloads."""
        process = await self.process(**changes).until_ready()
        self.task = asyncio.create_task(self.reload.run(process.shutdown))
        return process

    async def end(self) -> None:
        """In order; and nothing is left that contradicts the venue."""
        await self.daemon.end()
        self.task.cancel()
        assert disagreements(self.world) == []

    async def admit(self, symbol: str) -> None:
        await asyncio.sleep(0.01)
        if symbol in self.refuses:
            raise self.refuses[symbol]
        self.admitted.append(symbol)

    async def read(self) -> ReloadPlan | None:
        await asyncio.sleep(self.read_s)
        wanted = self.reads.pop(0) if self.reads else None
        if isinstance(wanted, Exception):
            raise wanted
        return wanted

    def watched(self, symbol: str) -> frozenset[str]:
        made = (self.makers[name]() for name in self.runs_on.get(symbol, ()))
        return frozenset(other for strategy in made for other in strategy.others)

    def plan(
        self,
        runs_on: Mapping[str, tuple[str, ...]] | None = None,
        makers: Makers | None = None,
        *,
        made_anew: tuple[str, ...] = (),
        sizing: FixedNotional | None = None,
        exits: ExitPlan | None = None,
        **changes: Any,
    ) -> ReloadPlan:
        """Of a config that differs in this."""
        runs = dict(self.runs_on if runs_on is None else runs_on)
        after = {**self.makers, **(makers or {})}

        def switch() -> None:
            self.runs_on, self.makers = runs, after
            self.world.sizing, self.world.exits = sizing or self.world.sizing, exits or self.world.exits

        def watched(symbol: str) -> frozenset[str]:
            return frozenset(other for name in runs.get(symbol, ()) for other in after[name]().others)

        usual: dict[str, Any] = {
            "keys": ("a.key",),
            "changes": ("a.key 1 -> 2",),
            "limits": self.limits,
            "loss_limit": None,
            "win_rate": self.win_rate,
            "made_anew": frozenset(made_anew),
            "contextual": frozenset(),
            "strategies": lambda symbol: runs.get(symbol, ()),
            "watched": watched,
            "added": tuple(symbol for symbol in runs if symbol not in self.runs_on),
            "symbols": tuple(runs),
            "switch": switch,
        }
        return ReloadPlan(**(usual | changes))

    async def follow(self, plan: ReloadPlan) -> str:
        """Reload with this; the sentence.  Raises Rejected."""
        self.reads.append(plan)
        return await self.reload.ask()

    def opened(self, symbol: str, strategy: str | None = None) -> list[int]:
        """In which minutes signals opened there."""
        return self.minutes("SignalOpened", symbol, strategy)

    def minutes(self, kind: str, symbol: str, strategy: str | None = None) -> list[int]:
        facts = sorted(self.world.ledger.facts.items())
        return [
            (fact.ts_ms - START_MS) // MINUTE_MS
            for key, fact in facts
            if key[1] == symbol and type(fact).__name__ == kind and strategy in (None, key[0])
        ]

    @property
    def minute(self) -> int:
        return (self.world.venue.now_ms - START_MS) // MINUTE_MS


async def until(true: Callable[[], object]) -> None:
    """Wait for it; a minute of the market is a second."""
    async with asyncio.timeout(600):
        while not true():
            await asyncio.sleep(0.05)


def busy(minutes: int = 2) -> Callable[[], Any]:
    return lambda: always(minutes=minutes)


def holder(symbol: str = BTC, minutes: int = 60) -> Callable[[], Any]:
    """One position on one symbol, early, with stops far away."""

    def decide(view: Any) -> Any:
        wanted = view.symbol == symbol and view.close_ms == START_MS + 3 * MINUTE_MS
        return entry(view, stop=0.3, target=0.3, minutes=minutes) if wanted else None

    return lambda: Scripted(Script(decide))
