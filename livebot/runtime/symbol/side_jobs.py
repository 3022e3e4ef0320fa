"""What a worker lets others wait for: questions to the venue, histories.

Rules of this file: the worker never waits for a side job, what comes of it arrives in its inbox like everything else; a
job that fails, fails its worker; all of them count as the symbol's work and end with the worker.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from livebot.runtime.inbox import Failed, Inbox, Item

Work = Callable[[], Awaitable[Iterable[Item]]]


class SideJobs:
    """One task for each key at a time."""

    def __init__(self, symbol: str, inbox: Inbox) -> None:
        """None is running."""
        self._symbol = symbol
        self._inbox = inbox
        self._running: dict[str, asyncio.Task[None]] = {}

    def runs(self, key: str) -> bool:
        """Whether the job of this name is under way."""
        return key in self._running

    def start(self, key: str, work: Work) -> None:
        """Begin, unless a job of that name is under way; what `work` returns is put into the inbox."""
        if key in self._running:
            return
        self._inbox.begin_work()
        task = asyncio.create_task(self._do(key, work), name=f"{key}:{self._symbol}")
        self._running[key] = task
        task.add_done_callback(lambda _: self._inbox.end_work())

    def close(self) -> None:
        """End them all."""
        running, self._running = self._running, {}
        for task in running.values():
            task.cancel()

    async def _do(self, key: str, work: Work) -> None:
        items: Iterable[Item]
        try:
            items = await work()
        except Exception as error:  # noqa: BLE001 - it is the worker's, which raises it again
            items = (Failed(error),)
        # Before anyone reads the items: what follows from them may be the same job again.
        del self._running[key]
        for item in items:
            self._inbox.put(item)
