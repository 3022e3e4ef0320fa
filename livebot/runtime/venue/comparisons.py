"""Who was asked to compare itself with the venue, who has, and what all of them changed.

Rules of this file: it counts and waits, nothing more; a wait is bounded, because a worker may end before it has compared.
"""

import asyncio

from livebot.runtime.venue.reconcile import Changes


class Comparisons:
    """One for the whole system."""

    def __init__(self) -> None:
        """Nobody was asked."""
        self._awaited: set[str] = set()
        self._all_there = asyncio.Event()
        self._changes = Changes()

    def begin(self) -> None:
        """Whoever was asked before and has not compared itself is waited for no longer."""
        self._awaited.clear()
        self._all_there.set()

    def expect(self, symbol: str) -> None:
        """This one is about to be asked."""
        self._awaited.add(symbol)
        self._all_there.clear()

    def compared(self, symbol: str, changes: Changes) -> None:
        """A symbol has compared itself, asked for or not."""
        self._changes += changes
        self._awaited.discard(symbol)
        if not self._awaited:
            self._all_there.set()

    async def finished(self, timeout_s: float) -> None:
        """Wait until all that were asked have compared themselves, but no longer than so long."""
        if self._all_there.is_set():
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self._all_there.wait()
        except TimeoutError:
            self.begin()

    def take(self) -> Changes:
        """What was changed since this was last asked."""
        changes, self._changes = self._changes, Changes()
        return changes
