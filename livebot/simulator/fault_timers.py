"""Arms and withdraws faults as time passes, so that a rehearsal can follow a script.

Rules of this file: seconds are those of the running loop, counted from `start`, or from `add` if that is later.  Each
time a fault is armed it is a fresh copy, so that one that was used up strikes again the next time.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar


class Timed(Protocol):
    """What this file needs of a fault."""

    after_s: float
    every_s: float | None
    for_s: float | None

    def model_copy(self) -> Self:
        """A fresh one."""
        ...


T = TypeVar("T", bound=Timed)


class FaultTimers(Generic[T]):
    """`arm` and `withdraw` are told when it is time."""

    def __init__(self, arm: Callable[[T], None], withdraw: Callable[[T], None]) -> None:
        self._arm = arm
        self._withdraw = withdraw
        self._waiting: list[T] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handles: set[asyncio.TimerHandle] = set()

    def start(self) -> None:
        """Time begins."""
        self._loop = asyncio.get_running_loop()
        waiting, self._waiting = self._waiting, []
        for fault in waiting:
            self.add(fault)

    def stop(self) -> None:
        """Nothing more happens."""
        self.clear()
        self._loop = None

    def add(self, fault: T) -> None:
        """Arm it when its time comes."""
        if self._loop is None:
            self._waiting.append(fault)
        else:
            self._later(fault.after_s, lambda: self._due(fault))

    def clear(self) -> None:
        """Forget all that was to come."""
        self._waiting.clear()
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()

    def _due(self, fault: T) -> None:
        armed = fault.model_copy()
        if fault.every_s is not None:
            self._later(fault.every_s, lambda: self._due(fault))
        if fault.for_s is not None:
            self._later(fault.for_s, lambda: self._withdraw(armed))
        self._arm(armed)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        assert self._loop is not None  # nothing is timed before the start

        def ring() -> None:
            self._handles.discard(handle)
            call()

        handle = self._loop.call_later(seconds, ring)
        self._handles.add(handle)
