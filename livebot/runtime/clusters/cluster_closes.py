"""What the watch over clusters is made of, and the closes that clusters are made of.

Closes are fetched slowly: nothing waits for them, and orders and candles share the venue.

Rules of this file: few requests at once and each some time after the other; a symbol that gives nothing is named and
left out; a venue that gives nothing for many symbols in a row is asked no further.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from livebot.cluster_ports import ClusterStore
from livebot.core.clusters import Closes, Clusters, CorrelationRule
from livebot.errors import BadInput, LivebotError, Transient
from livebot.ports import CandleFeed, Clock
from livebot.runtime.waiting import first_of

AT_ONCE = 4
HISTORY_S = 30.0  # for one attempt
ATTEMPTS = 3
BACKOFF_S = 2.0  # doubled each time
SILENT = 12  # so many symbols in a row without an answer: it is not them, it is the venue


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterParts:
    """`work_out(closes, moment, failed)` gives the clusters, worked out beside the event loop.

    Requests for candles begin `spacing_s` after each other; None: the venue is simulated in this process, is asked at once,
    and waits for us if it can.  `note(kind, fields)` writes into the journal.
    """

    rule: CorrelationRule
    store: ClusterStore
    work_out: Callable[[Mapping[str, Closes], int, Mapping[str, str]], Awaitable[Clusters]]
    note: Callable[[str, Mapping[str, object]], None]
    spacing_s: float | None


class ClosesOf:
    """One look at all symbols; made anew for each."""

    def __init__(self, feed: CandleFeed, clock: Clock, rule: CorrelationRule, at_ms: int, spacing_s: float) -> None:
        """Nothing is asked yet.  Requests begin at least `spacing_s` after each other; closes are as of `at_ms`."""
        self._feed = feed
        self._clock = clock
        self._rule = rule
        self._at_ms = at_ms
        self._spacing_s = spacing_s
        self._in_a_row = 0
        self.found: dict[str, Closes] = {}
        self.failed: dict[str, str] = {}

    async def fetch(self, symbols: Iterable[str]) -> None:
        """Fill `found` and `failed`.

        Raises:
            Transient: the venue gives nothing for many symbols in a row, or for none at all; the text is of the last one.

        """
        free = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.TaskGroup() as tasks:
                for symbol in sorted(symbols):
                    await free.acquire()
                    tasks.create_task(self._fetch(symbol, free), name=f"clusters:{symbol}")
                    await asyncio.sleep(self._spacing_s)
        except BaseExceptionGroup as group:
            raise first_of(group) from None
        if self.failed and not self.found:
            raise Transient(next(reversed(self.failed.values())))

    async def _fetch(self, symbol: str, free: asyncio.Semaphore) -> None:
        try:
            self.found[symbol] = await self._closes(symbol)
            self._in_a_row = 0
        except LivebotError as error:
            self.failed[symbol] = str(error)
            self._in_a_row += not isinstance(error, BadInput)
            if self._in_a_row == SILENT:
                raise Transient(str(error)) from None
        finally:
            free.release()

    async def _closes(self, symbol: str) -> Closes:
        wait_s = BACKOFF_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with asyncio.timeout(HISTORY_S):
                    return await self._asked(symbol)
            except TimeoutError:
                error: Transient = Transient(f"no answer within {HISTORY_S:g} s")
            except Transient as failure:
                error = failure
            if attempt < ATTEMPTS:
                await asyncio.sleep(wait_s)
                wait_s *= 2
        raise error

    async def _asked(self, symbol: str) -> Closes:
        length_ms = self._rule.timeframe.ms
        # the venue counts back from now, and clusters are of a moment before
        since = -(-max(self._clock.now_ms() - self._at_ms, 0) // length_ms)
        series = await self._feed.history(symbol, self._rule.timeframe, self._rule.candles + 1 + since)
        return Closes(ts_ms=series.ts_ms, close=series.close)
