"""A daemon that systemd runs: who tells it how things stand, and for how long a silent feed is bearable.

Rules of this file: where no service manager listens there is nothing to do and nothing in the way; what the unit gives is
checked before anything is opened.
"""

import asyncio
import math
from collections.abc import Mapping

import structlog

from livebot.adapters.systemd_notify import SystemdNotify
from livebot.errors import BadInput
from livebot.runtime.operator.service_watch import STALE_S, ServiceWatch
from livebot.runtime.shutdown import Shutdown
from livebot.runtime.system import System

STALE = "LIVEBOT_STALE_RESTART_SECONDS"
CONNECTING_S = 300.0  # what a start may take until there is a system to watch: the venue's tries, the choice of symbols

_log = structlog.get_logger(__name__)


class Service:
    """What the environment says of a service manager."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Tell that it starts.  Raises BadInput if what the unit gives makes no sense."""
        self._manager = SystemdNotify(environ)
        self._stale_s = _seconds(environ.get(STALE, ""))
        self._manager.extend(CONNECTING_S)
        self._manager.status("starting; connecting to the venue")
        self._watch: ServiceWatch | None = None

    def watch(self, system: System, shutdown: Shutdown) -> "list[asyncio.Task[None]]":
        """Tell it from now on, in a task that is to be cancelled in the end; none if nobody listens."""
        if not self._manager.listens:
            return []
        self._watch = ServiceWatch(system, shutdown, self._manager, system.problems.of, stale_s=self._stale_s)
        task = asyncio.create_task(self._watch.run(), name="service-watch")
        task.add_done_callback(_tell_failure)
        return [task]

    def reloading(self) -> None:
        """The config is being reloaded."""
        if self._watch is not None:
            self._watch.reloading()

    def reloaded(self, sentence: str) -> None:
        """This is what came of it."""
        if self._watch is not None:
            self._watch.reloaded(sentence)


def _tell_failure(task: "asyncio.Task[None]") -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("service_watch_failed", what="nobody pets the watchdog any more", exc_info=error)


def _seconds(text: str) -> float:
    if not text.strip():
        return STALE_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise BadInput(
            f"{STALE} is {text!r}: give it seconds above 0, such as {STALE_S:.0f}, or take it out of the unit"
        )
    return seconds
