"""What the supervisor keeps of each symbol's task.

Rules of this file: values and flags only; who runs what is decided by `supervisor`.
"""

import asyncio
from dataclasses import dataclass
from enum import Enum


class ChildState(Enum):
    """What a symbol's task is doing."""

    WAITING = "waiting"  # for its turn
    RUNNING = "running"
    BACKING_OFF = "backing_off"  # it failed and comes back
    QUARANTINED = "quarantined"  # it failed too often, and its guard has nothing (more) to guard
    GUARDED = "guarded"  # quarantined, and its guard runs
    STOPPED = "stopped"
    DONE = "done"  # it returned by itself


class Outcome(Enum):
    """How one run of a symbol ended, when it was not cancelled."""

    RETURNED = "returned"
    FAILED = "failed"
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildStatus:
    """One symbol's task as an operator sees it; `restarts` counts all since the start of the daemon."""

    state: ChildState
    restarts: int
    last_error: str | None


class Child:
    """What the supervisor keeps of one symbol."""

    def __init__(self, symbol: str, quarantine: str | None) -> None:
        """It has not been started; `quarantine` is why it begins in one."""
        self.symbol = symbol
        self.quarantine = quarantine  # why, or None
        self.announced = quarantine is not None  # one from before the daemon's restart is known already
        self.state = ChildState.WAITING
        self.task: asyncio.Task[None] | None = None
        self.failures: list[float] = []  # loop times of the restarts within the window
        self.restarts = 0
        self.last_error = quarantine
        self.release: asyncio.Event | None = None  # of the present quarantine; the operator lifts it
        self.renewal: asyncio.Event | None = None  # set once a run that was asked to return for another one has ended
        self.interrupted = False  # `restart` cancelled the run and wants it again
        self.has_turn = False

    @property
    def ended(self) -> bool:
        """Whether no task of it is left."""
        return self.task is None or self.task.done()

    def cancel(self) -> None:
        """End its task, or its present run if it was interrupted."""
        assert self.task is not None
        self.task.cancel()

    def interrupt(self) -> None:
        """Cancel the present run, for another one."""
        if not self.interrupted:
            self.interrupted = True
            self.cancel()

    def take_renewal(self) -> bool:
        """Whether another run was wanted once the last had ended; who waits for that end is told."""
        renewal, self.renewal = self.renewal, None
        if renewal is not None:
            renewal.set()
        return renewal is not None

    def lift(self) -> None:
        """End the present quarantine."""
        if self.release is not None:
            self.release.set()
