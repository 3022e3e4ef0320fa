"""A reload of the config: asked for by SIGHUP or a command, made once at a time, and answered in a sentence.

Rules of this file: all or nothing; a file that is wrong, or asks for what takes a restart, leaves everything as it was, and
stays a problem on the operator's screen until a reload has gone well; who asks while one is under way gets the next one,
together with all who ask meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import structlog

from livebot.errors import LivebotError, Rejected
from livebot.runtime.operator.following import Following, ReloadPlan
from livebot.runtime.shutdown import Shutdown
from livebot.runtime.system import System

_log = structlog.get_logger(__name__)

SOURCE = "config"  # of the problem
SHOWN = 12  # changes named in an answer


class Result(Enum):
    """What came of a reload."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`keys` are those of the config that were followed."""

    result: Result
    sentence: str
    keys: tuple[str, ...] = ()


class Witness(Protocol):
    """Who is told of reloads as they are made; must return soon and not raise."""

    def began(self) -> None:
        """One has begun."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """It is over."""
        ...


class Reload:
    """One for the whole system."""

    def __init__(
        self,
        system: System,
        following: Following,
        read: Callable[[], Awaitable[ReloadPlan | None]],
        *,
        file: str,
        witness: Witness,
    ) -> None:
        """Nothing is read before `run`.

        `read` reads the file of this name and says what it asks for, None if that is what holds already; it raises
        LivebotError if that cannot be.
        """
        self._system = system
        self._following = following
        self._read = read
        self._file = file
        self._witness = witness
        self._asked = asyncio.Event()
        self._next: asyncio.Future[Outcome] | None = None

    def request(self) -> "asyncio.Future[Outcome]":
        """Have the config reloaded, after the present reload if there is one."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
            self._asked.set()
        return self._next

    async def ask(self) -> str:
        """The same, and wait for what comes of it.  Raises Rejected if nothing was followed."""
        outcome = await asyncio.shield(self.request())
        if outcome.result is Result.REFUSED:
            raise Rejected(outcome.sentence)
        return outcome.sentence

    async def run(self, shutdown: Shutdown) -> None:
        """Carry out what is asked for, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            answer, self._next = self._next, None
            assert answer is not None
            outcome = Outcome(result=Result.REFUSED, sentence="the reload was cut short: livebot is stopping")
            try:
                outcome = await self._once(shutdown)
            finally:
                answer.set_result(outcome)

    async def _once(self, shutdown: Shutdown) -> Outcome:
        if not self._system.ready.is_set() or shutdown.stopping.is_set():
            doing = "stopping" if shutdown.stopping.is_set() else "starting"
            mend = "" if shutdown.stopping.is_set() else "; reload again once it is ready"
            outcome = Outcome(result=Result.REFUSED, sentence=f"livebot is {doing}, and does not reload now{mend}")
            _log.warning("config_not_reloaded", why=outcome.sentence)
            return outcome
        self._witness.began()
        outcome = await self._carry_out(shutdown)
        self._witness.ended(outcome)
        return outcome

    async def _carry_out(self, shutdown: Shutdown) -> Outcome:
        try:
            plan = await self._read()
            notes = () if plan is None else await self._following.follow(plan, stopping=shutdown.stopping)
        except LivebotError as error:
            return self._refused(str(error))
        self._system.problems.report(SOURCE, None)
        if plan is None:
            return Outcome(result=Result.UNCHANGED, sentence=f"nothing changed: {self._file} says what holds already")
        _log.info("config_reloaded", changes=list(plan.changes), notes=list(notes))
        told = [*plan.changes[:SHOWN], *notes]
        if len(plan.changes) > SHOWN:
            told.insert(SHOWN, f"{len(plan.changes) - SHOWN} more, see the log")
        return Outcome(result=Result.APPLIED, sentence=f"reloaded {self._file}: {'; '.join(told)}", keys=plan.keys)

    def _refused(self, why: str) -> Outcome:
        lines = why.splitlines() or ["nobody says why"]
        _log.warning("config_not_reloaded", file=self._file, why=lines)
        whole = "\n".join(lines)
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        what = f"{self._file} was not reloaded, and what was loaded before holds on"
        self._system.problems.report(SOURCE, f"{what}: {lines[0]}{more}; mend it and reload")
        return Outcome(result=Result.REFUSED, sentence=f"{what}: {whole}")
