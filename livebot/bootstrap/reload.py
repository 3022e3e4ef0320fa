"""A reload, put together: the config in force, the file read anew beside the event loop, and what follows from it.

Rules of this file: `plan_of` is pure and decides by the table of `config.reloading` alone; a user's strategy that fails
while it is looked at refuses the reload and nothing else; nothing is in force before everything of it is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from livebot.adapters.ledger.journal import Journal
from livebot.bootstrap.choice import Choice
from livebot.bootstrap.loading import load
from livebot.bootstrap.service import Service
from livebot.bootstrap.strategies import judged_plans, strategies_of, strategy_maker, with_models
from livebot.config import terms
from livebot.config.load import LoadedConfig
from livebot.config.reloading import Takes, changes_of, made_anew, takes
from livebot.core.market import Instrument
from livebot.core.rules import Rules
from livebot.errors import BadInput, LivebotError, Rejected
from livebot.features.declaration import context_features
from livebot.runtime.operator.following import Following, ReloadPlan
from livebot.runtime.operator.reload import Outcome, Reload
from livebot.runtime.problems import Report
from livebot.runtime.system import System
from livebot.strategies.interface import Strategy

READ_S = 30.0  # for file, strategies and checks; a strategy's module may do anything while it is imported

T = TypeVar("T")


def lacking_source(symbol: str) -> str:
    """Of the problem that the venue does not have a symbol of the config."""
    return f"candles:{symbol}"


class Present:
    """The config in force; what the system makes its parts from follows it."""

    def __init__(self, loaded: LoadedConfig) -> None:
        """This one, as of the start."""
        self.loaded = loaded
        self._make = strategy_maker(loaded)

    def follow(self, loaded: LoadedConfig) -> None:
        """Another one from now on."""
        self.loaded = loaded
        self._make = strategy_maker(loaded)

    def make_strategy(self, strategy: str) -> Strategy[Any] | None:
        """A fresh one of this id, None if there is none."""
        return self._make(strategy)

    def rules(self, strategy: str, instrument: Instrument) -> Rules:
        """The fixed terms of a strategy on an instrument."""
        return terms.rules(self.loaded.config, strategy, instrument)


@dataclass(frozen=True, slots=True)
class Refused:
    """These keys differ, and take a restart."""

    keys: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """For the operator."""
        return f"needs a restart: {', '.join(self.keys)}; nothing else of it was taken over either"


def plan_of(
    old: LoadedConfig, new: LoadedConfig, lacking: Collection[str], switch: Callable[[], None]
) -> ReloadPlan | Refused | None:
    """What another config asks of a daemon that runs under the old one; None: nothing.

    `lacking` are symbols that the venue did not have at the start, which nobody tries anew; `switch` puts the new config
    in force.
    """
    changes = changes_of(old, new)
    stops = tuple(change.key for change in changes if takes(change.key) is Takes.RESTART)
    stops += tuple(f"strategies.{name} (features made of other symbols)" for name in _other_context(old, new))
    stops += tuple(f"strategies.{name} (a model judges it)" for name in _newly_judged(old, new))
    if stops:
        return Refused(stops)
    followed = [change for change in changes if takes(change.key) is Takes.RELOAD]
    if not followed:
        return None
    config, others = new.config, {plan.id: frozenset(plan.make().others) for plan in new.strategies}
    symbols = tuple(symbol for symbol in config.symbols if symbol not in lacking)

    def watched(symbol: str) -> frozenset[str]:
        return frozenset().union(*(others[name] for name in strategies_of(new, symbol)))

    return ReloadPlan(
        keys=tuple(change.key for change in followed),
        changes=tuple(map(str, followed)),
        limits=terms.limits(config.risk.limits),
        loss_limit=terms.loss_limit(config.risk.loss_limit),
        win_rate=terms.win_rate(config.risk.win_rate),
        made_anew=made_anew(old, new),
        contextual=frozenset(plan.id for plan in new.strategies if _context_of(plan.make())[1]),
        strategies=lambda symbol: strategies_of(new, symbol),
        watched=watched,
        added=tuple(each for each in symbols if strategies_of(new, each) and not _ran(old, each)),
        symbols=None if config.universe is not None else symbols,
        switch=switch,
    )


def _ran(loaded: LoadedConfig, symbol: str) -> bool:
    return symbol in loaded.config.symbols and bool(strategies_of(loaded, symbol))


def _context_of(strategy: Strategy[Any]) -> tuple[object, object]:
    return strategy.timeframe, context_features(strategy.features)


def _other_context(old: LoadedConfig, new: LoadedConfig) -> list[str]:
    """Strategies that need other features made of other symbols than those that are kept since the start."""
    before = {plan.id: _context_of(plan.make()) for plan in old.strategies}
    found = []
    for plan in new.strategies:
        wanted = _context_of(plan.make())
        if wanted[1] and wanted != before.get(plan.id):
            found.append(plan.id)
    return found


def _newly_judged(old: LoadedConfig, new: LoadedConfig) -> list[str]:
    """Strategies whose entries nobody was asked about since the start, or about other candles: models are loaded for them then."""
    before = {(plan.id, plan.make().timeframe) for plan in judged_plans(old)}
    return [plan.id for plan in judged_plans(new) if (plan.id, plan.make().timeframe) not in before]


class ConfigFile:
    """The file that the daemon was started with."""

    def __init__(self, path: Path, present: Present, choice: Choice, lacking: Collection[str], report: Report) -> None:
        """`lacking` are symbols of the config that the venue did not have at the start, as `report` was told of each."""
        self._report = report
        self._path = path
        self._present = present
        self._choice = choice
        self._lacking = set(lacking)

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._path)

    async def read(self) -> ReloadPlan | None:
        """What the file asks for now, None if that is what holds.

        Raises:
            ConfigErrors: it is wrong; all that was found, with its lines.
            Rejected: it takes a restart.
            BadInput: it is not read in time, or a strategy cannot be made.

        """
        try:
            async with asyncio.timeout(READ_S):
                plan = await _on_a_thread(self._plan)
        except TimeoutError:
            raise BadInput(f"{self._path} and its strategies were not read within {READ_S:g} s") from None
        if isinstance(plan, Refused):
            raise Rejected(plan.sentence)
        return plan

    def _plan(self) -> ReloadPlan | Refused | None:
        new, old, lacking = with_models(load(self._path)), self._present.loaded, self._lacking

        def switch() -> None:
            self._present.follow(new)
            self._choice.follow(new)
            # one that is taken out, and comes back, is asked for again
            self._lacking = lacking & set(new.config.symbols)
            for symbol in lacking - self._lacking:
                self._report(lacking_source(symbol), None)

        try:
            return plan_of(old, new, lacking, switch)
        except LivebotError:
            raise
        except Exception as error:  # a user's strategy may raise anything while it is made
            raise BadInput(f"{self._path}: a strategy cannot be made: {type(error).__name__}: {error}") from error


async def _on_a_thread(work: Callable[[], T]) -> T:
    """Done on a thread that nobody waits for at the end of the process: what hangs must not hang that too."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def run() -> None:
        result, failed = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            failed = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, result, failed)

    Thread(target=run, name="config", daemon=True).start()
    return await future


@dataclass(frozen=True, slots=True)
class _Witnesses:
    """The service manager and the journal."""

    service: Service
    journal: Journal

    def began(self) -> None:
        self.service.reloading()

    def ended(self, outcome: Outcome) -> None:
        self.journal.note("reload", {"result": outcome.result.value, "keys": list(outcome.keys)})
        self.service.reloaded(outcome.sentence)


def reload_of(
    system: System,
    file: ConfigFile,
    admit: Callable[[str], Awaitable[None]],
    service: Service,
    journal: Journal,
) -> Reload:
    """How this daemon's config is reloaded; `admit` makes the venue ready for a new symbol."""
    return Reload(system, Following(system, admit), file.read, file=file.name, witness=_Witnesses(service, journal))
