"""What the service manager is told: ready, how it stands, still going on, stopping; and whether the watchdog is petted.

Rules of this file: the watchdog is petted for progress, never for time that has passed; `why_not` decides that as a pure
function of what was observed; a restart is asked for only where it can help: not for one stale symbol, which the feed
mends by itself, and not for a venue that answers nobody, for which a running daemon waits better than one that starts.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from livebot.runtime.problems import Problems
from livebot.runtime.shutdown import Shutdown
from livebot.runtime.supervision.supervisor import ChildState
from livebot.runtime.system import System
from livebot.runtime.venue.venue_watch import SOURCE as VENUE

BEAT_S = 5.0  # how often it looks at itself; more often if the service manager wants to hear more often
EXTENSION_S = 30.0  # what a start or stop that goes on asks for each time; several beats
RELOAD_TOLD_S = 60.0  # how long the status says what came of a reload
SLACK_S = 30.0  # what a stop may take beyond the time that the config gives it
STALE_S = 600.0  # without any candle of any symbol; the feed tries all it knows several times in this
ALIVE = ("supervisor", "bus", "feed", "housekeeping", "reconcile")  # tasks of the system that have to run
PORTFOLIO = "portfolio"

_log = structlog.get_logger(__name__)


class ServiceManager(Protocol):
    """Who started this process and watches it; telling never waits and never raises."""

    @property
    def watchdog_s(self) -> float | None:
        """How long it waits for a sign of progress; None: it does not."""
        ...

    def ready(self) -> None:
        """First decisions are possible."""
        ...

    def reloading(self) -> None:
        """The config is being reloaded; `ready` says that this is over."""
        ...

    def stopping(self) -> None:
        """The stop has begun."""
        ...

    def status(self, sentence: str) -> None:
        """One line for the operator."""
        ...

    def alive(self) -> None:
        """A sign of progress."""
        ...

    def extend(self, seconds: float) -> None:
        """The present start or stop may take so much longer, counted from now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What is seen at a beat; that there is a beat shows that the loop turns."""

    ended: tuple[str, ...] = ()  # of the tasks that have to run
    portfolio_fault: str | None = None  # why the portfolio hears no facts any more
    expects_candles: bool = True  # it has symbols, and the data have not ended
    venue_answers: bool = True
    candle_age_s: float = 0.0  # since the newest close of all symbols came


def why_not(seen: Observed, stale_s: float) -> str | None:
    """Why the watchdog must not be petted, as a sentence; None: there is progress, or none that a restart would bring."""
    if seen.ended:
        return f"the {' and the '.join(seen.ended)} of this process no longer run"
    if seen.portfolio_fault is not None:
        return f"the portfolio hears no facts: {seen.portfolio_fault}"
    if seen.expects_candles and seen.venue_answers and seen.candle_age_s >= stale_s:
        return f"no symbol has had a candle for {seen.candle_age_s:.0f} s, and the venue answers"
    return None


class ServiceWatch:
    """Tells the service manager of one system."""

    def __init__(
        self,
        system: System,
        shutdown: Shutdown,
        manager: ServiceManager,
        problem_of: Callable[[str], str | None],
        *,
        stale_s: float = STALE_S,
    ) -> None:
        """Nothing is told before `run`.  `problem_of(source)` is what is wrong with that source of problems."""
        self._system = system
        self._shutdown = shutdown
        self._manager = manager
        self._stale_s = stale_s
        self._problem_of = problem_of
        self._tasks: dict[str, asyncio.Task[object]] = {}
        self._newest_ms, self._newest_s = -1, 0.0
        self._reason: str | None = None
        self._told = ""
        self._reload = ""  # what came of the last one,
        self._reload_until_s = 0.0  # and until when it is told

    @property
    def beat_s(self) -> float:
        """Half of what the watchdog waits, at most."""
        watchdog_s = self._manager.watchdog_s
        return BEAT_S if watchdog_s is None else min(BEAT_S, watchdog_s / 2)

    async def run(self) -> None:
        """Until cancelled."""
        stopping = asyncio.create_task(self._shutdown.stopping.wait(), name="service-watch:stopping")
        ready = asyncio.create_task(self._system.ready.wait(), name="service-watch:ready")
        try:
            while not ready.done() and not stopping.done():
                self._manager.extend(EXTENSION_S)
                self._tell(f"starting; {problem_text(self._system.problems) or 'nothing is decided yet'}")
                await asyncio.wait((ready, stopping), timeout=self.beat_s, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                self._begin()
            while not stopping.done():
                self._beat()
                await asyncio.wait((stopping,), timeout=self.beat_s)
            await self._stop()
        finally:
            ready.cancel()
            stopping.cancel()

    def _begin(self) -> None:
        # The system has made all of them by the time it says that it is ready, and makes them once.
        self._tasks = {task.get_name(): task for task in asyncio.all_tasks() if task.get_name() in ALIVE}
        self._newest_s = asyncio.get_running_loop().time()
        self._manager.ready()

    def reloading(self) -> None:
        """The config is being reloaded."""
        self._manager.reloading()
        self._tell(f"reloading the config; {status_line(self._system)}")

    def reloaded(self, sentence: str) -> None:
        """This is what came of it."""
        if self._shutdown.stopping.is_set():
            return
        self._reload, self._reload_until_s = f"{sentence}; ", asyncio.get_running_loop().time() + RELOAD_TOLD_S
        self._tell(self._line())
        self._manager.ready()

    def _line(self) -> str:
        told = asyncio.get_running_loop().time() < self._reload_until_s
        return (self._reload if told else "") + status_line(self._system)

    def _beat(self) -> None:
        seen = self.observe()
        reason = why_not(seen, self._stale_s)
        if reason is None:
            self._manager.alive()
        if reason != self._reason and None in (reason, self._reason):
            self._log_change(reason)
        self._reason = reason
        text = self._line()
        self._tell(text if reason is None else f"NO PROGRESS, a restart is due: {reason}; {text}")

    def _log_change(self, reason: str | None) -> None:
        if reason is None:
            _log.info("progress_again", what="the watchdog is petted again")
        else:
            _log.error("no_progress", why=reason, what="the watchdog is not petted; systemd restarts the service")

    async def _stop(self) -> None:
        """The system bounds its stop; what is asked for here is bounded too, in case it does not."""
        loop, manager = asyncio.get_running_loop(), self._manager
        until_s = loop.time() + self._system.parts.settings.shutdown_s + SLACK_S
        manager.stopping()
        while (left_s := until_s - loop.time()) > 0:
            manager.extend(min(EXTENSION_S, left_s))
            manager.alive()
            self._tell(f"stopping ({self._shutdown.cause}): {status_line(self._system)}")
            await asyncio.sleep(min(self.beat_s, left_s))

    def observe(self) -> Observed:
        """What is seen now."""
        system, now_s = self._system, asyncio.get_running_loop().time()
        newest_ms = system.hub.newest_close_ms if system.hub is not None else 0
        expects = bool(system.workers.strategies) and not system.data_ended
        if newest_ms != self._newest_ms or not expects:
            self._newest_ms, self._newest_s = newest_ms, now_s
        ended = tuple(name for name in ALIVE if name not in self._tasks or self._tasks[name].done())
        return Observed(
            ended=ended,
            portfolio_fault=self._problem_of(PORTFOLIO),
            expects_candles=expects,
            venue_answers=self._problem_of(VENUE) is None,
            candle_age_s=now_s - self._newest_s,
        )

    def _tell(self, sentence: str) -> None:
        if sentence != self._told:
            self._told = sentence
            self._manager.status(sentence)


def problem_text(problems: Problems) -> str:
    """What is wrong, the first of it in full; empty if nothing is."""
    sentences = problems.sentences()
    if not sentences:
        return ""
    return f"{len(sentences)} problem{'s' if len(sentences) > 1 else ''}: {sentences[0]}"


def status_line(system: System) -> str:
    """Am I safe, what is open, what is wrong: in one line."""
    portfolio, supervisor, symbols = system.portfolio, system.supervisor, tuple(system.workers.strategies)
    running = sum(supervisor.status(symbol).state is ChildState.RUNNING for symbol in symbols) if supervisor else 0
    state, why = portfolio.trading_state.value, portfolio.state_reason
    bare = system.observations.unprotected_now
    parts = [
        f"{state} ({why})" if why else state,
        f"{running} of {len(symbols)} symbols run",
        f"{portfolio.open_signals} open" + (f", WITHOUT A STOP: {', '.join(bare)}" if bare else ""),
        problem_text(system.problems) or "nothing is wrong",
    ]
    return "; ".join(parts)
