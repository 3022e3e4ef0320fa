"""A whole run: what outlives a daemon, the daemons that live and die in it, and those who look on.

Rules of this file: the daemon is the real `System` with its real stores; what is not of the daemon happens as callbacks
of the world, which go on when a process dies; the first violation ends the run.
"""

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from livebot.core.denial import TradingState
from livebot.core.inputs import OrderEvent
from livebot.core.order import OrderKind, OrderRequest
from livebot.errors import Fatal, Rejected
from livebot.ports import VenueNotice
from livebot.runtime import housekeeping, system
from livebot.simulator.book import FillShape
from livebot.simulator.matching import FillModel
from livebot.simulator.venue import SimulatedVenue, VenueSettings
from tests.simulation import rest
from tests.simulation.checks import Checker
from tests.simulation.disk import SimulatedDisk
from tests.simulation.lagging import LaggingList
from tests.simulation.loop import SimulationLoop
from tests.simulation.market import START_MS, PreparedMarket
from tests.simulation.network import FAIR, Line, Network
from tests.simulation.plan import MINUTE_S, WALLET, Command, CrashPlan, Plan
from tests.simulation.process import ROOT, SYSTEM, Process
from tests.simulation.reloads import ReloadAt, first_of
from tests.simulation.stores import SimulatedLedger

ENDING_MINUTES = 30
LEDGER_BACK_S = 5.0  # until a daemon has tried it again
TAKEN_BACK_S = 30.0  # until what rested is taken back, where nothing is lost
CALM_S = 230.0  # long enough for what was lost before to be found and mended


class World:
    """Made once for each run; `events` is all that happened, as tuples that begin with the time."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = Random(f"world {plan.seed}")
        self.loop = SimulationLoop(Random(f"loop {plan.seed}"), shuffled=plan.shuffled)
        self.events: list[tuple[Any, ...]] = []
        self.venue = SimulatedVenue(
            PreparedMarket(plan.seed, plan.minutes + ENDING_MINUTES + 10, can_short=plan.can_short),  # type: ignore[arg-type]
            VenueSettings(
                start_ms=START_MS,
                wallet=WALLET,
                fills=FillModel(partial_probability=plan.partial_fills, seed=plan.seed, oco=plan.oco),
            ),
        )
        self.positions = LaggingList(self.venue, plan.seed, plan.positions_lag_s)
        self.disk = SimulatedDisk((Path("/"), Path(ROOT)))
        self.ledger = SimulatedLedger()
        self.network = Network(self, Random(f"network {plan.seed}"), plan.weather)
        self.checker = Checker(self, SYSTEM, ROOT)
        self.process: Process | None = None
        self.configured = first_of(plan)
        self.alive_since = 0.0
        self.stopping = False
        self.ending = False
        self.crashes = 0
        self.processes = 0
        self._crash: CrashPlan | None = None
        self._armed = False
        self._calm_from = 0.0
        self._minute = 0
        self.reduced = False  # whether something stands that reduces trading
        self._moved_s = 0.0  # since when
        self._disturbed = 0  # looks at rest that found the daemon at work
        self.rests = 0
        self.venue.subscribe(self._venue_told)
        self.venue.shape_fills = self._shape

    @property
    def line(self) -> Line | None:
        """The connection of the process that lives."""
        return self.process.line if self.process is not None else None

    @property
    def waits_for_ledger(self) -> bool:
        """A daemon reads and writes the ledger before it looks after anything."""
        return self._ledger_is_away and self.process is not None and not self.process.system.ready.is_set()

    @property
    def _ledger_is_away(self) -> bool:
        from_s, until_s = self.plan.ledger_away
        return from_s <= self.loop.time() < until_s + LEDGER_BACK_S

    def now_ms(self) -> int:
        return START_MS + int(self.loop.now_s * 1000)

    def note(self, *what: Any) -> None:
        self.events.append((self.loop.now_s, *what))

    def _shape(self, request: OrderRequest) -> FillShape | None:
        """What trades at any price trades at once, in a piece or more."""
        if request.kind is OrderKind.LIMIT or self.plan.slow_fills:
            return None
        return FillShape(self.random.choice((1, 1, 2, 3)) if self.plan.partial_fills else 1, at_once=True)

    # The run

    def run(self) -> None:
        """Until everything is closed in order, or something is wrong."""
        loop, plan = self.loop, self.plan
        loop.world_at(MINUTE_S, self._next_minute)
        for crash in plan.crashes:
            loop.world_at(crash.at_s, self._arm, crash)
        for command in plan.commands:
            loop.world_at(command.at_s, self._command, command)
        for change in plan.reloads:
            loop.world_at(change.at_s, self._reload, change)
        for from_s, until_s in plan.disk_full:
            loop.world_at(from_s, self._fill_disk, True)
            loop.world_at(until_s, self._fill_disk, False)
        for from_s, until_s in plan.causes:
            loop.world_at(from_s, self._cause, True)
            loop.world_at(until_s, self._cause, False)
        loop.world_at(plan.ledger_away[1] + LEDGER_BACK_S, self._ledger_back)
        loop.world_at(0.0, self._start)
        with patch.object(housekeeping, "PERIOD_S", 60.0), patch.object(system, "POLL_S", 0.25):
            while not loop.run():
                self._die()
                if self.checker.violation is not None:
                    break
        if self.process is not None and self.checker.violation is None:
            self.checker.wrong("end", "the run was stopped with a process alive")
        self._end_process()
        for problem in loop.problems:
            self.checker.wrong("unhandled", problem)

    def _end_process(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.alive = process.line.alive = False
        self.loop.end_tasks()

    # Processes

    def _start(self) -> None:
        if self.process is not None:
            return
        self.note("start")
        self.stopping = False
        self.alive_since = self.loop.time()
        self.processes += 1
        self.process = Process(self)
        self.process.start()
        crash, self._crash = self._crash, None
        if crash is not None and crash.again is not None and not self.ending:
            self._crash = replace(crash, again=None)
            self.loop.crash_after = crash.again
            self._armed = True
        else:
            # a while in bad weather, a while in fair weather, then a look at rest
            self.calm_soon(self.random.choice((0.0, 0.0, 20.0, 120.0)))

    def calm_soon(self, after_s: float) -> None:
        self.loop.world_at(self.loop.time() + after_s, self._become_calm)

    def _become_calm(self) -> None:
        self.note("calm")
        self.network.calm = True
        self._calm_from = self.loop.time()
        self._disturbed = 0

    def _arm(self, crash: CrashPlan) -> None:
        if self.process is None or self._armed or self.ending:
            return
        self._crash = crash
        self._armed = self.network.dying = True
        self.network.calm = False
        self.loop.crash_after, self.disk.crash_after = crash.steps, crash.operations

    def _die(self) -> None:
        crash, self._armed, self.network.dying = self._crash, False, False
        assert crash is not None
        self.crashes += 1
        self.note("crash", "power" if crash.power else "kill")
        self.loop.crash_after = self.disk.crash_after = None
        self._end_process()
        if crash.power:
            self.disk.cut_power(self.random)
        else:
            self.disk.end_process()
        self.checker.after_crash()
        self.loop.world_at(self.loop.time() + crash.down_s, self._start)

    def system_ended(self, task: "asyncio.Task[None]") -> None:
        """A process has returned by itself."""
        if self.process is None or task is not self.process.task or not self.process.alive or task.cancelled():
            return
        error, asked = task.exception(), self.stopping
        self.note("ended", repr(error))
        self.loop.crash_after = self.disk.crash_after = None
        self._armed = self.network.dying = False
        excused = self.disk.full or self._ledger_is_away
        if error is not None and not (isinstance(error, Fatal) and excused):
            self.checker.wrong("alive", f"the daemon ended by itself: {type(error).__name__}: {error}")
        elif error is None and not asked:
            self.checker.wrong("alive", f"the daemon stopped by itself: {self.process.shutdown.cause}")
        self._end_process()
        self.disk.end_process()
        if self.ending and error is None:
            rest.look_at_end(self, WALLET)
            self.loop.stop()
        else:
            self.loop.world_at(self.loop.time() + 3.0, self._start)

    # What happens anyway

    def _venue_told(self, symbol: str, event: OrderEvent) -> None:
        self.note("venue", event)
        self.positions.changed(self.loop.time())
        self.checker.event(symbol, event)
        self.network.event(symbol, event)

    def _next_minute(self) -> None:
        self._minute += 1
        minute = self.venue.step()
        self.checker.minute()
        if self.reduced and self.plan.weather == FAIR and self.loop.time() - self._moved_s > TAKEN_BACK_S:
            rest.look_at_entries(self)
        self.network.minute()
        self.network.candles(minute)
        opened = self._minute * MINUTE_S
        if self._minute >= self.plan.minutes:
            self._close_down(opened)
        elif self.network.calm and opened - self._calm_from > CALM_S:
            self.loop.world_at(opened + MINUTE_S - 1.5, self._look_at_rest)
        self.loop.world_at(opened + MINUTE_S, self._next_minute)

    def _look_at_rest(self) -> None:
        """Nothing was lost for long; just before the next candle nothing should be going on."""
        if self.process is None or not self.network.calm or self.disk.full:
            return
        if not self.process.activity.quiet or self.network.under_way or not self.process.system.ready.is_set():
            self._disturbed += 1
            if self._disturbed > 5:
                self.checker.wrong("rest", "the daemon does not come to rest in fair weather")
            return
        self.rests += 1
        rest.look(self)
        if not self.ending:
            self.network.calm = False

    def _ledger_back(self) -> None:
        if self.process is not None and not self.process.system.ready.is_set():
            self.alive_since = self.loop.time()

    def _fill_disk(self, full: bool) -> None:
        self.note("disk full" if full else "disk has room")
        self.disk.full = full
        self.alive_since = self._calm_from = self.loop.time()

    def _cause(self, stands: bool) -> None:
        self.note("cause" if stands else "cause passed")
        self.reduced, self._moved_s = stands, self.loop.time()
        if self.line is not None:
            self.tell_cause(self.line)

    def tell_cause(self, line: Line) -> None:
        """What the connection says to who listens: nothing, before it has anything to say."""
        if line.notice is not None and self.plan.causes:
            text = "the clock is off" if self.reduced else None
            line.notice(VenueNotice(source="clock", text=text, reduces=self.reduced))

    # Somebody steps in

    def _command(self, command: Command) -> None:
        if self.process is not None and not self.ending:
            self.loop.create_task(self._carry_out(self.process, command), name=f"command:{command.name}")

    def _reload(self, change: ReloadAt) -> None:
        self.configured = change.configured
        self.note("config", change.configured)
        if self.process is not None and not self.ending:
            for _ in range(3 if change.storm else 1):
                self.process.reload.request()

    async def _carry_out(self, process: Process, command: Command) -> None:
        control, checker = process.control, self.checker
        symbols = None if command.symbol is None else [command.symbol]
        self.note("command", command.name, command.symbol)
        try:
            match command.name:
                case "pause":
                    await control.pause(symbols)
                    checker.paused |= set(symbols or ())
                case "resume":
                    checker.paused -= set(symbols or ())
                    await control.resume(symbols)
                case "flatten" | "kill":
                    await self._flatten(process, symbols)
                case "restart":
                    await control.restart(symbols)
                case "halt":
                    await control.halt("the simulation wants it")
                    checker.halted = True
                case "unhalt":
                    if process.portfolio.trading_state is TradingState.HALTED:
                        checker.halted = False
                        await control.unhalt("the simulation wants it")
                case "deploy" | "hurry":
                    self._stop(process, hurry=command.name == "hurry")
        except Rejected as error:
            self.note("command rejected", command.name, str(error))

    async def _flatten(self, process: Process, symbols: list[str] | None) -> None:
        """One symbol; or all of them after a halt, and whoever is told then that they are flat finds them so."""
        if symbols is not None:
            await process.control.flatten(symbols)
            return
        await process.control.halt("the simulation wants it")
        self.checker.halted = True
        said = await process.control.flatten(None)
        self.note("told", said)
        if said.startswith(("flat", "nothing is open")):
            rest.look_flat(self)

    def _stop(self, process: Process, *, hurry: bool) -> None:
        self.stopping = True
        process.shutdown.request("a new version")
        if hurry:
            process.shutdown.request("and quickly")

    # The end

    def _close_down(self, opened: float) -> None:
        """Close everything, and stop in order when nothing is left."""
        self.ending = True
        self.loop.crash_after = self.disk.crash_after = None
        if not self.network.calm:
            self._become_calm()
        if self._minute > self.plan.minutes + ENDING_MINUTES:
            self.checker.wrong(
                "end", f"not everything can be closed: {self.venue.positions()} {self.venue.open_orders()}"
            )
            return
        process = self.process
        if process is None or not process.system.ready.is_set():
            return
        self.loop.create_task(self._close_all(process), name="close down")
        self.loop.world_at(opened + MINUTE_S - 1.0, self._stop_if_closed)

    async def _close_all(self, process: Process) -> None:
        try:
            await process.control.pause(None)
            await process.control.flatten(None)
        except Rejected as error:
            self.note("command rejected", "close down", str(error))

    def _stop_if_closed(self) -> None:
        process = self.process
        if process is None or self.stopping or self.loop.time() - self._calm_from < CALM_S:
            return
        if not process.activity.quiet or self.network.under_way:
            return
        if any(state.orders for state in process.system.workers.last_states()):
            return
        self.stopping = True
        process.shutdown.request("the run ends")
