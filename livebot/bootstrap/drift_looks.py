"""Who has the drift watch recall and look, on a thread of its own, and tells what came of it.

Rules of this file: one piece of work is out at a time, and nobody waits for it longer than a bound: what takes longer is a
problem until it has come back, nothing queues behind it, and what it found counts then.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import structlog

from livebot.bootstrap.model_drift import ModelDrift
from livebot.bootstrap.model_threads import ModelThread
from livebot.errors import LivebotError
from livebot.runtime.problems import Report

OVERDUE = "drift-look"

_log = structlog.get_logger(__name__)

Found = Mapping[str, str | None]  # source of a problem, sentence


class DriftLooks:
    """One for a daemon that watches its models; everything but the work happens on the event loop."""

    def __init__(self, drift: ModelDrift, report: Report) -> None:
        """Start the thread.

        Raises:
            Fatal: the machine gives none.

        """
        self._drift = drift
        self._report = report
        self._thread = ModelThread("models-drift")
        self._under_way: asyncio.Future[Found] | None = None
        self._what = ""  # is under way

    async def recall(self, ledger: Path, models: Mapping[str, int], now_ms: int, within_s: float) -> None:
        """Have it read what became of signals before this process; as ModelDrift.recall."""
        await self._have(partial(self._recalled, ledger, models, now_ms), f"reading the ledger {ledger.name}", within_s)

    async def look(self, now_ms: int, within_s: float) -> None:
        """Have it look, and tell what it found; as ModelDrift.look."""
        await self._have(partial(self._drift.look, now_ms), "a look at whether models wear out", within_s)

    def close(self, within_s: float) -> bool:
        """Wait no longer than this for what is being done; whether it has ended."""
        return self._thread.close(within_s)

    async def _have(self, work: Callable[[], Found], what: str, within_s: float) -> None:
        await self._take(0)  # what was out before
        if self._under_way is None:
            self._under_way, self._what = self._thread.submit(work), what
            await self._take(within_s)

    async def _take(self, within_s: float) -> None:
        future = self._under_way
        if future is None:
            return
        await asyncio.wait((future,), timeout=within_s)
        if not future.done():
            self._tell_overdue(within_s)
            return
        self._under_way = None
        self._report(OVERDUE, None)
        try:
            found = future.result()
        except LivebotError as error:
            _log.warning("drift_not_watched", what=self._what, why=str(error))
            return
        for source, sentence in found.items():
            self._report(source, sentence)

    def _tell_overdue(self, within_s: float) -> None:
        if within_s:  # else it was told before
            _log.error("drift_overdue", what=self._what, within_s=within_s)
            self._report(
                OVERDUE,
                f"{self._what} takes longer than {within_s:g} s (it is large, or a disk does not answer): trading goes on "
                "and new versions are taken up, but until it is done nobody hears that a model wears out; restart the "
                "daemon if that lasts",
            )

    def _recalled(self, ledger: Path, models: Mapping[str, int], now_ms: int) -> Found:
        self._drift.recall(ledger, models, now_ms)
        return {}
