"""Turns at something that takes much memory: few at once, and nobody waits for a turn for long.

Who holds a turn may hang for reasons of its own; the others then go on without one, because no symbol may hold up
another.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """`at_once` have a turn; who has waited `patience_s` for one goes on without."""

    def __init__(self, at_once: int, patience_s: float) -> None:
        """All are free."""
        self._free = asyncio.Semaphore(at_once)
        self._patience_s = patience_s

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._free.acquire()
        except TimeoutError:
            yield
            return
        try:
            yield
        finally:
            self._free.release()
