"""Guards a symbol for which nobody acts: between a failure of its worker and its next run, or while it waits for its turn.

A limit entry may fill while its symbol waits to be started again: then the position must have its stop at once, and not
when the wait is over.

Rules of this file: one guard for a symbol at a time, and none beside a worker; a guard that fails leaves everything to
the next run, unless somebody wants another one.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

_log = structlog.get_logger(__name__)


class Standby:
    """`guard(symbol)` is what watches over it."""

    def __init__(self, guard: Callable[[str], Awaitable[None]]) -> None:
        """Nobody is guarded."""
        self._guard = guard
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    def begin(self, symbol: str) -> None:
        """Nobody acts for the symbol, which has something open; a guard that does is left to it."""
        present = self._tasks.get(symbol)
        if not self._closed and (present is None or present.done()):
            self._tasks[symbol] = asyncio.create_task(self._keep(symbol), name=f"standby:{symbol}")

    async def end(self, symbol: str) -> None:
        """The symbol is about to be run; returns when nobody else acts for it any more."""
        task = self._tasks.pop(symbol, None)
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def close(self) -> None:
        """End them all, and begin no more."""
        self._closed = True
        for symbol in tuple(self._tasks):
            await self.end(symbol)

    async def _keep(self, symbol: str) -> None:
        try:
            await self._guard(symbol)
        except Exception as error:  # noqa: BLE001 - the symbol is being restarted as it is
            _log.warning("standby_failed", symbol=symbol, exc_info=error)
