"""Who hears what happened: the portfolio first and at once, the ledger without loss, all others at their own pace.

Rules of this file: publishing never waits and never raises; a listener that fails or is slow harms itself only: it
has a queue and a task of its own, and when the queue is full its oldest publication is dropped and counted.
"""

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Protocol

import structlog

from livebot.core.facts import Fact
from livebot.ports import Decision, Listener
from livebot.runtime.ledger_writer import LedgerWriter
from livebot.runtime.problems import Report
from livebot.runtime.settings import ListenerSettings

_log = structlog.get_logger(__name__)

Publication = tuple[Fact | Decision, ...]
# How many turns of the loop later a listener begins: an order that follows from what it hears is signed in one and
# written to its socket in the next.
TURNS_LATER = 2


class AsyncListener(Protocol):
    """A listener that waits for something outside, e.g. an alert's network."""

    @property
    def name(self) -> str:
        """For messages about it."""
        ...

    async def hear(self, items: Iterable[Fact | Decision]) -> None:
        """Cancelled after the configured time; may raise, which hurts nobody else."""
        ...


class Bus:
    """Give `publish` to the workers and let `run` live as long as they do."""

    def __init__(
        self,
        portfolio: Listener,
        writer: LedgerWriter,
        listeners: Sequence[Listener | AsyncListener],
        *,
        settings: ListenerSettings,
        report: Report,
    ) -> None:
        """`report` hears of a listener that keeps failing or that misses publications, and when that has passed."""
        self._portfolio = portfolio
        self._writer = writer
        self._lanes = [_Lane(listener, settings, report) for listener in listeners]

    def publish(self, items: Sequence[Fact | Decision]) -> None:
        """Tell everyone.  The portfolio has heard it when this returns."""
        publication = tuple(items)
        if not publication:
            return
        try:
            self._portfolio.hear(publication)
        except Exception as error:  # noqa: BLE001 - it has closed its gate itself; the others must hear all the same
            _log.error("portfolio_raised", exc_info=error)
        self._writer.put(publication)
        for lane in self._lanes:
            lane.put(publication)

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._writer.run(), name="ledger")
            for lane in self._lanes:
                group.create_task(lane.run(), name=f"listener:{lane.name}")

    async def drain(self, timeout_s: float) -> tuple[str, ...]:
        """Wait, at most so long, until all is delivered (`run` must be running); names of those that lack something."""
        rows, *emptied = await asyncio.gather(
            self._writer.drain(timeout_s), *(lane.drain(timeout_s) for lane in self._lanes)
        )
        late = [lane.name for lane, done in zip(self._lanes, emptied, strict=True) if not done]
        return (*(["ledger"] if rows else []), *late)

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """By listener: publications heard, dropped, and failed in."""
        return {
            lane.name: {"heard": lane.heard, "dropped": lane.dropped, "failed": lane.failed} for lane in self._lanes
        }


class _Lane:
    """One listener's queue and task."""

    def __init__(self, listener: Listener | AsyncListener, settings: ListenerSettings, report: Report) -> None:
        self._listener = listener
        self._settings = settings
        self._report = report
        self._queue: deque[Publication] = deque()
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._failures = 0  # in a row
        self.name = listener.name
        self.heard = 0
        self.dropped = 0
        self.failed = 0

    def put(self, publication: Publication) -> None:
        if len(self._queue) >= self._settings.queue_size:
            self._queue.popleft()
            self.dropped += 1
            self._report(f"listener:{self.name}:slow", f"listener {self.name} is too slow and missed what happened")
        self._queue.append(publication)
        self._filled.set()
        self._emptied.clear()

    async def run(self) -> None:
        while True:
            if not self._queue:
                await self._filled.wait()
                for _ in range(TURNS_LATER):
                    await asyncio.sleep(0)
            await self._deliver(self._queue.popleft())
            if not self._queue:
                self._filled.clear()
                self._emptied.set()
                self._report(f"listener:{self.name}:slow", None)
            await asyncio.sleep(0)  # a synchronous listener with much to hear must not hold everybody up

    async def drain(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    async def _deliver(self, publication: Publication) -> None:
        try:
            pending: Awaitable[None] | None = self._listener.hear(publication)
            if inspect.isawaitable(pending):
                async with asyncio.timeout(self._settings.deadline_s):
                    await pending
        except Exception as error:  # noqa: BLE001 - a listener harms itself only
            self._note_failure(error)
        else:
            self.heard += 1
            self._failures = 0
            self._report(f"listener:{self.name}", None)

    def _note_failure(self, error: Exception) -> None:
        self.failed += 1
        self._failures += 1
        _log.warning("listener_failed", listener=self.name, failures=self._failures, exc_info=error)
        if self._failures >= self._settings.failures:
            text = f"listener {self.name} has failed {self._failures} times in a row, last: {error!r}"
            self._report(f"listener:{self.name}", text)
