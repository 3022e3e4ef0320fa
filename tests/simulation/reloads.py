"""Somebody changes the config and has it reloaded: limits, who runs where, which symbols, params.

Rules of this file: what the file says outlives a daemon, as on a disk that was synced; what holds in a daemon is what it has
read last.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from livebot.core.limits import Limits
from livebot.core.universe_memory import UniverseMemory
from livebot.core.universe_rules import UniverseRules
from livebot.runtime.operator.following import Following, ReloadPlan
from livebot.runtime.operator.reload import Outcome, Reload
from livebot.runtime.universe.universe_choice import Forgetful, UniverseParts, Unlisted
from livebot.strategies.interface import Strategy
from tests.simulation.market import SYMBOLS
from tests.simulation.strategies import FOLLOWED, KINDS, Salt

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

Strategies = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Configured:
    """What the file says of what can be reloaded; `version` counts changes of params."""

    strategies: Strategies
    limits: Limits
    version: int = 0


@dataclass(frozen=True, kw_only=True)
class ReloadAt:
    """From `at_s` on the file says this; the daemon is told to read it, a few times in a row if `storm`."""

    at_s: float
    configured: Configured
    storm: bool = False


def draw(random: Random, first: Configured, limits: Any, *, same_strategies: bool) -> tuple[ReloadAt, ...]:
    """Some changes, each from the one before; `limits(random)` draws limits."""
    if random.random() < 0.65:
        return ()
    found: list[ReloadAt] = []
    now = first
    for minute in sorted(random.randrange(2, 110) for _ in range(random.choice((1, 2, 4, 8)))):
        # mostly when something is going on
        at_s = minute * 60.0 + (random.uniform(0.0, 60.0) if random.random() < 0.3 else random.expovariate(2.0))
        now = _changed(random, now, first, limits, same_strategies)
        found.append(ReloadAt(at_s=at_s, configured=now, storm=random.random() < 0.2))
    return tuple(found)


def _changed(random: Random, now: Configured, first: Configured, limits: Any, same_strategies: bool) -> Configured:
    what = random.choice(("limits", "symbols", "symbols", "params", "strategies", "all"))
    strategies = dict(now.strategies)
    if what in ("symbols", "all"):
        symbol = random.choice(SYMBOLS)
        if symbol in strategies and len(strategies) > 1:
            del strategies[symbol]
        else:
            strategies[symbol] = first.strategies[symbol]
    if what in ("strategies", "all") and not same_strategies:
        symbol = random.choice(sorted(strategies))
        names = sorted(KINDS.keys() - ({"follower"} if symbol == FOLLOWED else set()))
        strategies[symbol] = tuple(random.sample(names, random.choice((1, 1, 2))))
    return Configured(
        strategies=strategies,
        limits=limits(random) if what in ("limits", "all") else now.limits,
        version=now.version + (what in ("params", "all")),
    )


def watched(strategies: Strategies, symbol: str) -> frozenset[str]:
    return frozenset(other for name in strategies.get(symbol, ()) for other in KINDS[name](Salt()).others)


class Present:
    """What holds in one process."""

    def __init__(self, world: "World", configured: Configured) -> None:
        self._world = world
        self.configured = configured

    def make(self, name: str, salt: Salt) -> Strategy[Any] | None:
        named = any(name in names for names in self.configured.strategies.values())
        return KINDS[name](salt) if named else None

    def universe(self) -> UniverseParts | None:
        """Who comes and goes by reloads; None in a run without any, which is as it was before there were reloads."""
        if not self._world.plan.reloads:
            return None
        members = tuple((symbol, 0) for symbol in sorted(self.configured.strategies))
        return UniverseParts(
            rules=UniverseRules(market="perpetual", top=len(SYMBOLS), always=tuple(symbol for symbol, _ in members)),
            source=Unlisted(),
            store=Forgetful(),
            refresh_ms=2**62,
            memory=UniverseMemory(members=members),
            strategies=lambda symbol: self.configured.strategies.get(symbol, ()),
            watched=lambda symbol: watched(self.configured.strategies, symbol),
            admit=_anyone,
            fixed=True,
        )

    def reload(self, process: "Process") -> Reload:
        return Reload(process.system, Following(process.system, _anyone), self._read, file="config.yaml", witness=self)

    def began(self) -> None:
        self._world.note("reload began")

    def ended(self, outcome: Outcome) -> None:
        self._world.note("reload ended", outcome.result.value, outcome.sentence)

    async def _read(self) -> ReloadPlan | None:
        await asyncio.sleep(self._world.random.choice((0.0, 0.0, 0.2, 3.0)))
        old, new = self.configured, self._world.configured
        if old == new:
            return None

        def switch() -> None:
            self.configured = new

        return ReloadPlan(
            keys=("strategies",),
            changes=("something changed",),
            limits=new.limits,
            loss_limit=self._world.plan.loss_limit,
            win_rate=self._world.plan.win_rate,
            made_anew=frozenset(KINDS) if old.version != new.version else frozenset(),
            contextual=frozenset(),
            strategies=lambda symbol: new.strategies.get(symbol, ()),
            watched=lambda symbol: watched(new.strategies, symbol),
            added=tuple(symbol for symbol in new.strategies if symbol not in old.strategies),
            symbols=tuple(new.strategies),
            switch=switch,
        )


async def _anyone(_: str) -> None:
    """Every symbol is fine with the venue."""


def first_of(plan: Any) -> Configured:
    """What the file says before anything of it has changed."""
    return Configured(strategies=plan.strategies, limits=plan.limits)


def without(configured: Configured, dropped: str | None) -> Configured:
    """The same where a config leaves a symbol out."""
    kept = {symbol: names for symbol, names in configured.strategies.items() if symbol != dropped}
    return replace(configured, strategies=kept)
