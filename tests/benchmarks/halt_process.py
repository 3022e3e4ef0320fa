"""A real daemon that is halted in the midst of rounds: `python -m tests.benchmarks.halt_process FOLDER CONFIG`.

Everything is what `livebot run` runs; it notes when an entry is admitted and when one is sent.  The operator is another
process: `python -m tests.benchmarks.halt_process SOCKET PORTFOLIO_FILE operator`.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from livebot import bootstrap
from livebot.bootstrap import daemon
from livebot.core.candidate import Candidate
from livebot.core.denial import Denied
from livebot.core.entry import Entry
from livebot.core.inputs import OrderOutcome
from livebot.core.market import MINUTE_MS, Side
from livebot.core.risk import Approved
from livebot.ops.control.client import ControlClient
from livebot.runtime.operator import control
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.shutdown import Shutdown
from livebot.runtime.system import System
from livebot.simulator.exchange import SimulatedExchange
from livebot.strategies.ema_cross import EmaCross
from livebot.strategies.interface import View
from tests.benchmarks.frame import CHECKOUT, environment

AFTER = (1, 100, 200, 300)  # so many admissions of a round the operator says halt
SEEN_S = 1.5  # how long it is looked on after the answer
PATIENCE_S = 60.0


class Eager(EmaCross):
    """Always wants in, and is out again after a minute."""

    name = "eager"

    def decide(self, view: View) -> Entry | None:
        super().decide(view)
        return Entry(
            side=Side.LONG,
            stop_loss=view.close * 0.8,
            take_profit=view.close * 1.4,
            lifetime_ms=MINUTE_MS,
            reason="the benchmark wants it",
        )


class Noted:
    """When what happened last, by the clock that all processes of a machine share; `at` admissions the operator is told."""

    admitted_s = 0.0
    admitted_cpu_s = 0.0
    told_cpu_s = 0.0
    sent_s = 0.0
    denied = 0
    admissions = 0
    at: ClassVar[tuple[int, int] | None] = None  # admissions, and where to tell it

    @classmethod
    def admit(cls) -> None:
        cls.admitted_s, cls.admitted_cpu_s = time.monotonic(), time.thread_time()
        cls.admissions += 1
        if cls.at is not None and cls.admissions == cls.at[0]:
            cls.told_cpu_s = cls.admitted_cpu_s
            os.write(cls.at[1], b"now\n")


class NotedPortfolio(Portfolio):
    """Notes each verdict on an entry."""

    def admit(self, candidate: Candidate, now_ms: int, **more: Any) -> Approved | Denied:
        verdict = super().admit(candidate, now_ms, **more)
        if isinstance(verdict, Approved):
            Noted.admit()
        else:
            Noted.denied += 1
        return verdict


async def noted_submit(self: SimulatedExchange, approved: Approved) -> OrderOutcome:
    """Notes each order that opens."""
    if approved.order.leg.opens:
        Noted.sent_s = time.monotonic()
    return await _submit(self, approved)


_submit = SimulatedExchange.submit


class Halted(System):
    """Runs as ever, is halted again and again, and stops when that has been measured."""

    folder: Path

    async def run(self, shutdown: Shutdown) -> None:
        measuring = asyncio.create_task(self._measure(shutdown))
        try:
            await super().run(shutdown)
        finally:
            await measuring

    async def _measure(self, shutdown: Shutdown) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.ready.wait()
            state = self.folder / "state"
            trials = [await self._trial(state, after) for after in AFTER]
            (self.folder / "result.json").write_text(json.dumps({"trials": trials}))
        finally:
            shutdown.request("it has been measured, or cannot be")

    async def _trial(self, state: Path, after: int) -> dict[str, Any]:
        told, tell = os.pipe()
        operator = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.benchmarks.halt_process"),
            *(str(state / "control.sock"), str(state / "portfolio.json"), "operator"),
            stdin=told,
            stdout=asyncio.subprocess.PIPE,
            cwd=CHECKOUT,
            env=environment(),
        )
        os.close(told)
        assert operator.stdout is not None
        await operator.stdout.readline()  # it is ready
        while time.monotonic() - Noted.admitted_s < SEEN_S:  # a round goes on
            await asyncio.sleep(0.01)
        Noted.admissions = Noted.denied = 0
        Noted.at = after, tell
        async with asyncio.timeout(PATIENCE_S):
            answer = json.loads(await operator.stdout.readline())
        await asyncio.sleep(SEEN_S)
        Noted.at = None
        os.close(tell)
        await operator.wait()
        await control.Control(self).unhalt("the benchmark goes on")
        return {
            "admitted_ms": max(Noted.admitted_s - answer["asked_s"], 0.0) * 1000,
            "cpu_ms": (Noted.admitted_cpu_s - Noted.told_cpu_s) * 1000,
            "after": Noted.admissions - after,
            "sent_ms": max(Noted.sent_s - answer["asked_s"], 0.0) * 1000,
            "answered_ms": (answer["answered_s"] - answer["asked_s"]) * 1000,
            "on_disk": answer["on_disk"],
            "denied": Noted.denied,
        }


def operate(socket: Path, portfolio: Path) -> None:
    """Say halt when told to, and look at the disk as soon as there is an answer."""
    client = ControlClient(socket)
    print("ready", flush=True)
    sys.stdin.readline()
    asked_s = time.monotonic()
    client.command("halt", {"reason": "the benchmark wants it"})
    answered_s = time.monotonic()
    on_disk = json.loads(portfolio.read_text())["trading_state"] == "HALTED"
    print(json.dumps({"asked_s": asked_s, "answered_s": answered_s, "on_disk": on_disk}), flush=True)


def main(folder: Path, config: Path) -> None:
    """See above."""
    Halted.folder = folder
    vars(daemon)["System"] = Halted
    vars(daemon)["Portfolio"] = NotedPortfolio
    SimulatedExchange.submit = noted_submit  # type: ignore[method-assign]
    bootstrap.run_daemon(config, folder, seconds=None, screen=None, log_level="warning")


if __name__ == "__main__":
    if sys.argv[-1] == "operator":
        operate(Path(sys.argv[1]), Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
