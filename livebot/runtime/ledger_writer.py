"""The way from the bus to the ledger: nothing is lost, and nobody waits for it.

Rules of this file: a fact leaves memory only when the ledger has it, and its worker's outbox only after that; what no
longer fits in memory stays in the outboxes and is fetched from there later, in order; as long as that lasts nothing
new is opened, and exits go on; a failing ledger is tried for ever, at bounded intervals.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import structlog

from livebot.core.facts import Fact
from livebot.errors import Transient
from livebot.ports import Decision, Ledger
from livebot.runtime.problems import Report
from livebot.runtime.settings import LedgerSettings
from livebot.runtime.waiting import Bell

_log = structlog.get_logger(__name__)

NAME = "ledger"
# Facts are written this much later than they come: an order that follows from them leaves meanwhile and has the processor
# for itself, and what happens to other symbols at the same close shares the transaction.
GATHER_S = 0.01


class LedgerWriter:
    """A queue, and the task that empties it into the ledger in batches."""

    def __init__(
        self,
        ledger: Ledger,
        settings: LedgerSettings,
        *,
        acknowledged: Callable[[Sequence[Fact]], None],
        outstanding: Callable[[], Iterable[Fact]],
        block: Report,
        report: Report,
    ) -> None:
        """`acknowledged` hears which facts are durable, so that outboxes can drop them.

        `outstanding` gives all facts in all outboxes, each (strategy, symbol) in order.  `block(source, sentence)`
        stops new entries and with None allows them again; `report` is for the operator.
        """
        self._ledger = ledger
        self._settings = settings
        self._acknowledged = acknowledged
        self._outstanding = outstanding
        self._block = block
        self._report = report
        self._queue: deque[Fact | Decision] = deque()
        self._recorded: dict[tuple[str, str], int] = {}  # the last sequence that the ledger has
        self._missed: dict[tuple[str, str], int] = {}  # the last sequence that did not fit
        self._overflowed = False
        self._failures = 0
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._hurried = Bell()
        self._emptied.set()
        self.decisions_dropped = 0

    def put(self, items: Iterable[Fact | Decision]) -> None:
        """Take these for the ledger, at once."""
        for item in items:
            if not self._overflowed and len(self._queue) < self._settings.queue_size:
                self._queue.append(item)
            elif isinstance(item, Fact):
                self._missed[item.strategy, item.symbol] = item.sequence
                self._overflow()
            else:
                self.decisions_dropped += 1
                self._overflow()
        if self._queue:
            self._filled.set()
            self._emptied.clear()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._filled.wait()
            await self._gather()
            if not await self._write_batch() or (self._overflowed and not self._queue and not self._fetch_missed()):
                await self._wait_before_retry()
                continue
            # not as soon as everything fits again, or entries would be stopped and let go by turns
            if not self._overflowed and len(self._queue) <= self._settings.queue_size // 2:
                self._report(NAME, None)
                self._block(NAME, None)
            if not self._queue:
                self._filled.clear()
                self._emptied.set()

    async def drain(self, timeout_s: float) -> int:
        """Wait, at most so long, until the ledger has everything (`run` must be running); how many rows it lacks.

        What it lacks of facts is in the outboxes and will be recorded after the next start.
        """
        self._hurried.ring()
        try:
            async with asyncio.timeout(timeout_s):
                await self._emptied.wait()
        except TimeoutError:
            _log.warning("ledger_not_drained", rows=len(self._queue))
        finally:
            self._hurried.silence()
        return len(self._queue)

    def __len__(self) -> int:
        """Rows that wait in memory."""
        return len(self._queue)

    async def _gather(self) -> None:
        if len(self._queue) < self._settings.batch_size and not self._failures:
            await self._hurried.within(GATHER_S)

    async def _write_batch(self) -> bool:
        if not self._queue:
            return True
        batch = tuple(islice(self._queue, self._settings.batch_size))
        facts = [item for item in batch if isinstance(item, Fact)]
        decisions = [item for item in batch if isinstance(item, Decision)]
        try:
            await self._ledger.record(facts, decisions)
        except Exception as error:  # noqa: BLE001 - a listener; it is tried again whatever it was
            self._failed(error)
            return False
        for _ in batch:
            self._queue.popleft()
        for fact in facts:
            self._recorded[fact.strategy, fact.symbol] = fact.sequence
        self._failures = 0
        if facts:
            self._tell_acknowledged(facts)
        return True

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        _log.warning("ledger_failed", failures=self._failures, rows=len(self._queue), exc_info=error)
        passing = isinstance(error, Transient)
        if not passing or self._failures >= self._settings.retries:
            self._report(NAME, f"the ledger has failed {self._failures} times in a row, last: {error}")
        if not passing:
            self._block(NAME, f"the ledger cannot be written ({error}); nothing opens until it can")

    def _tell_acknowledged(self, facts: Sequence[Fact]) -> None:
        try:
            self._acknowledged(facts)
        except Exception as error:  # noqa: BLE001 - it stays in an outbox, and the ledger ignores it when it comes again
            _log.error("acknowledging_failed", exc_info=error)

    def _overflow(self) -> None:
        if self._overflowed:
            return
        self._overflowed = True
        text = f"{len(self._queue)} rows wait for the ledger; nothing opens until it has them"
        self._report(NAME, text)
        self._block(NAME, text)

    def _fetch_missed(self) -> bool:
        """Go on with what did not fit, as much as fits now; False if the outboxes cannot be read."""
        try:
            missed = (fact for fact in self._outstanding() if self._is_missed(fact))
            self._queue.extend(islice(missed, self._settings.queue_size))
            self._overflowed = next(missed, None) is not None
        except Exception as error:  # noqa: BLE001 - whatever an outbox says, it is asked again
            self._queue.clear()
            self._failed(error)
            return False
        if not self._overflowed:
            self._missed.clear()
        return True

    def _is_missed(self, fact: Fact) -> bool:
        # Only what was published: an outbox may hold a fact whose file is still being written.
        key = (fact.strategy, fact.symbol)
        return self._recorded.get(key, 0) < fact.sequence <= self._missed.get(key, 0)

    async def _wait_before_retry(self) -> None:
        settings = self._settings
        # the exponent is bounded so that an outage of days does not overflow
        delay_s = min(settings.backoff_maximum_s, settings.backoff_s * 2.0 ** min(self._failures - 1, 30))
        if await self._hurried.within(delay_s):
            # in a hurry the wait is short, but never so short that it spins
            await asyncio.sleep(settings.backoff_s)
