"""The text that Prometheus reads, made when somebody asks.

Rules of this file: it is made in pieces between which the event loop goes on; who asks again within `FRESH_S`, or while it
is being made, gets the same text, so that any number of scrapers costs what one does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter

from aiohttp import web
from prometheus_client import Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from livebot.ops.metrics.families import Families
from livebot.ops.metrics.measurements import Measure
from livebot.ops.metrics.process import process_families
from livebot.ops.metrics.shapes import labelled
from livebot.ports import SystemStatus

Look = Callable[[], Awaitable[SystemStatus]]

FRESH_S = 1.0
PIECE_S = 0.002  # then everybody else has a turn


class MetricsPage:
    """One for a daemon; `answer` is an aiohttp handler."""

    def __init__(self, look: Look, measure: Measure, families: Families, *, fresh_s: float = FRESH_S) -> None:
        """Nothing is read before somebody asks; `look` gives the status as of then."""
        self._look = look
        self._measure = measure
        self._families = families
        self._fresh_s = fresh_s
        self._making: asyncio.Task[bytes] | None = None
        self._since_s = 0.0  # of the text that is being made, or is made

    async def answer(self, request: web.Request) -> web.Response:
        """The text as of now, or of a moment ago."""
        return web.Response(body=await self.text(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def text(self) -> bytes:
        """In Prometheus' text format 0.0.4."""
        now_s, making = asyncio.get_running_loop().time(), self._making
        if making is None or (making.done() and (_failed(making) or now_s - self._since_s >= self._fresh_s)):
            self._since_s = now_s
            self._making = making = asyncio.create_task(self._make(), name="metrics")
        return await asyncio.shield(making)  # who hangs up takes it from nobody

    async def _make(self) -> bytes:
        status = await self._look()
        measured = self._measure()
        pieces: list[bytes] = []
        since = perf_counter()
        for family in self._families.of(status, measured):
            pieces.append(generate_latest(_Only(family)))
            if perf_counter() - since > PIECE_S:
                await asyncio.sleep(0)
                since = perf_counter()
        pieces += [generate_latest(_Only(labelled(each, status.system))) for each in process_families()]
        return b"".join(pieces)


class _Only:
    """What `generate_latest` takes for a registry: one family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return (self._family,)


def _failed(task: asyncio.Task[bytes]) -> bool:
    return task.cancelled() or task.exception() is not None
