"""One daemon of a run: the real `System` with its real stores, over a disk, a ledger and a line of the world's.

Rules of this file: the daemon's code is as it is; what is put in its place is what measures real time.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from livebot.adapters.state_files.portfolio_store import FilePortfolioStore
from livebot.adapters.state_files.signal_store import FileSignalStore
from livebot.core.candidate import Candidate
from livebot.core.denial import Denied
from livebot.core.entry import NO_EXIT_PLAN
from livebot.core.facts import Exposure
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Instrument
from livebot.core.performance import WinRate
from livebot.core.risk import Approved
from livebot.core.rules import EntryRules, FixedNotional, Rules
from livebot.runtime.inbox import Activity
from livebot.runtime.loop_lag import LoopLag
from livebot.runtime.operator.control import Control
from livebot.runtime.portfolio.exposure_book import NOTHING_CARRIED, Carried
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.problems import Problems
from livebot.runtime.settings import ExecutionSettings, LossLimit, RestartSettings, RuntimeSettings
from livebot.runtime.shutdown import Shutdown
from livebot.runtime.system import System, SystemParts
from tests.simulation.network import Feed, Line
from tests.simulation.plan import NOTIONAL, Plan
from tests.simulation.reloads import Present, watched, without
from tests.simulation.stores import LedgerPort, WatchedFiles
from tests.simulation.strategies import Salt

if TYPE_CHECKING:
    from tests.simulation.world import World

SYSTEM = "simulation"
ROOT = "/disk"
SETTINGS = RuntimeSettings(
    history=10,
    context_deadline_s=2.0,
    shutdown_s=40.0,
    restarts=RestartSettings(maximum=6, window_s=600.0, backoff_s=0.5, backoff_maximum_s=5.0),
)
EXECUTION = ExecutionSettings(
    order_timeout_s=5.0,
    unprotected_s=5.0,
    unknown_poll_s=1.0,
    retries=2,
    retry_backoff_s=0.3,
    retry_backoff_maximum_s=3.0,
    reconcile_s=100.0,
)
# What ends a worker in a run: a brittle strategy, and a full disk.  Anything else is a mistake of the daemon's.
MAY_RAISE = ("ArithmeticError: too much", "Fatal: cannot write")
WIDE = EntryRules(minimum_stop_distance=NOTIONAL / 10**9, minimum_target_distance=NOTIONAL / 10**9)


class WatchedPortfolio(Portfolio):
    """The daemon's portfolio; the checker hears what it approves and what it is told."""

    world: "World"
    in_force: Limits

    def replace_limits(self, limits: Limits, *, loss_limit: LossLimit | None, win_rate: WinRate | None) -> None:
        super().replace_limits(limits, loss_limit=loss_limit, win_rate=win_rate)
        self.in_force = limits

    def admit(self, candidate: Candidate, now_ms: int, *, age_ms: int = 0) -> Approved | Denied:
        verdict = super().admit(candidate, now_ms, age_ms=age_ms)
        if isinstance(verdict, Approved):
            self.world.note("approved", candidate.order.client_order_id)
            self.world.checker.admitted(candidate, self.in_force, self.equity)
        return verdict

    def release(self, strategy: str, symbol: str) -> None:
        self.world.note("released", strategy, symbol)
        self.world.checker.read_again((strategy, symbol))
        super().release(strategy, symbol)

    def recovered(
        self, strategy: str, symbol: str, exposure: Exposure, sequence: int, carried: Carried = NOTHING_CARRIED
    ) -> None:
        self.world.checker.read_again((strategy, symbol))
        super().recovered(strategy, symbol, exposure, sequence, carried)

    def hear(self, items: Iterable[Any]) -> None:
        items = tuple(items)
        self.world.checker.heard(items)
        super().hear(items)


class _Still(LoopLag):
    """Virtual time is never late."""

    async def run(self) -> None:
        await asyncio.get_running_loop().create_future()


class _Clock:
    """The daemon's own."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def now_ms(self) -> int:
        return self._world.now_ms() + self._world.plan.skew_ms


class Process:
    """One daemon."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.alive = True
        self.line = Line(world.network)
        plan, activity, problems = world.plan, Activity(), Problems()
        self.portfolio = WatchedPortfolio(
            world.configured.limits, loss_limit=plan.loss_limit, win_rate=plan.win_rate, report=problems.report
        )
        self.portfolio.world, self.portfolio.in_force = world, world.configured.limits
        self.present = Present(world, without(world.configured, plan.dropped.get(world.processes)))
        files = WatchedFiles(world, self)
        ledger = LedgerPort(world, self)
        salt = Salt(plan.seed, plan.raises, plan.can_short)
        strategies = dict(self.present.configured.strategies)
        self.system = System(
            SystemParts(
                name=SYSTEM,
                market="perpetual",
                mode="paper",
                strategies=strategies,
                watched={symbol: watched(strategies, symbol) for symbol in strategies},
                make_strategy=lambda name: self.present.make(name, salt),
                universe=self.present.universe(),
                rules=partial(_rules, plan),
                clock=_Clock(world),
                exchange=self.line,  # type: ignore[arg-type]
                feed=Feed(self.line),  # type: ignore[arg-type]
                store=FileSignalStore(Path(ROOT, "signals"), SYSTEM, files),
                portfolio_store=FilePortfolioStore(Path(ROOT, "state"), SYSTEM, files),
                ledger=ledger,
                history=ledger,
                portfolio=self.portfolio,
                problems=problems,
                listeners=(),
                settings=replace(SETTINGS, **plan.settings),
                execution_settings=EXECUTION,
                activity=activity,
                random=Random(plan.seed),
                round=plan.round,
                tell_round=lambda told: world.note("round", told.ended, len(told.places)),
            )
        )
        self.system.loop_lag = _Still()
        told = self.system.foreign.position

        def see(symbol: str, quantity: Decimal, **how: bool) -> None:
            world.checker.foreign(symbol, quantity)
            told(symbol, quantity, **how)

        self.system.foreign.position = see  # type: ignore[method-assign]
        failed = self.system.observations.failed

        def note(symbol: str, error: str) -> None:
            world.note("raised", symbol, error)
            if not error.startswith(MAY_RAISE):
                world.checker.wrong("raised", f"{symbol}: {error}")
            failed(symbol, error)

        self.system.observations.failed = note  # type: ignore[method-assign]
        self.activity = activity
        self.control = Control(self.system)
        self.shutdown = Shutdown(close_gate=self.portfolio.close_gate)
        self.reload = self.present.reload(self)
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.task = self.world.loop.create_task(self.system.run(self.shutdown), name="system")
        self.task.add_done_callback(self.world.system_ended)
        self.world.loop.create_task(self._until_ready(), name="ready")
        if self.world.plan.reloads:
            self.world.loop.create_task(self.reload.run(self.shutdown), name="reload")

    async def _until_ready(self) -> None:
        await self.system.ready.wait()
        self.world.note("ready", self.portfolio.trading_state.value)
        self.world.checker.ready(self.portfolio.trading_state)


def _rules(plan: Plan, strategy: str, instrument: Instrument) -> Rules:
    return Rules(
        system=SYSTEM,
        strategy=strategy,
        instrument=instrument,
        sizing=FixedNotional(NOTIONAL),
        entry=WIDE,
        exits=NO_EXIT_PLAN,
        schedule_ms=5 * MINUTE_MS,
        **plan.rules,
    )
