"""A thread for what may never come back: a model is somebody else's code.

Rules of this file: nothing can end a thread from outside, so one that hangs is left behind and another takes its place; they are
daemon threads, so that the program ends without them; of those left behind there are at most LEFT_MAX, then what is asked is
refused at once instead of queueing behind the last, until one of them has come back.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from livebot.adapters.state_files.file_workers import ThreadWorkers
from livebot.errors import Fatal, Rejected

T = TypeVar("T")

LEFT_MAX = 8  # each holds its stack and what it was asked
_ALL_HANG = "every thread that models may be asked on hangs; restart the daemon, unless one of them comes back"


class ModelThread:
    """One place at which work is done beside the event loop, a piece at a time."""

    def __init__(self, name: str) -> None:
        """Start the thread.

        Raises:
            Fatal: the machine gives none.

        """
        self._name = name
        self._workers: ThreadWorkers | None = ThreadWorkers(1, name)
        self._left: list[ThreadWorkers] = []
        self._why_not = ""  # work can be done, as long as there are no workers

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Start `work`; the future has what it returned or raised.

        Raises (in the future):
            Rejected: all threads hang, or the machine gives none.

        """
        if self._workers is None:
            self._begin_anew()
        if self._workers is not None:
            return self._workers.submit(work)
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        future.set_exception(Rejected(self._why_not))
        return future

    def replace(self) -> None:
        """What is done there may never end: leave it, and do what comes next elsewhere."""
        if self._workers is None:
            return
        self._workers.leave(0)
        self._left.append(self._workers)
        self._workers = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._left = [each for each in self._left if not each.ended]
        if len(self._left) > LEFT_MAX:
            self._why_not = _ALL_HANG
            return
        try:
            self._workers = ThreadWorkers(1, self._name)
        except Fatal as error:
            self._why_not = f"there is no thread to ask models on: {error} and restart the daemon, unless one gets free"

    def close(self, within_s: float) -> bool:
        """Wait no longer than this for what is being done; whether it has ended."""
        return self._workers is None or self._workers.leave(within_s)
