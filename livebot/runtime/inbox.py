"""A symbol's inbox: one bounded queue of everything that happens to it.

Rules of this file: putting never waits and never raises; a full inbox drops candles (the gap is found by timestamps and
filled from history) and never silently drops an order event: it raises the flag that makes the worker ask the venue.
`Activity` counts what is waiting or being worked on over all inboxes, so that a simulated market can wait for it.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from livebot.core.inputs import OrderEvent
from livebot.core.market import Candle
from livebot.core.signal import CloseReason


@dataclass(frozen=True, slots=True)
class CandleOf:
    """A closed base candle of the worker's own symbol or of one its strategies look at."""

    symbol: str
    candle: Candle


@dataclass(frozen=True, slots=True)
class ContextDeadline:
    """The time to wait for the other symbols of this close is over."""

    strategy: str
    close_ms: int


@dataclass(frozen=True, slots=True)
class UnprotectedDeadline:
    """A position has been without a confirmed stop for as long as is allowed."""

    strategy: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Someone with the right to do so wants the symbol's signals ended."""

    reason: CloseReason


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the venue about everything unsettled of this symbol."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish what is at hand and return."""


Item = CandleOf | OrderEvent | ContextDeadline | UnprotectedDeadline | Leave | Ask | Stop


class Activity:
    """How many items wait or are being worked on, and who waits for none."""

    def __init__(self) -> None:
        """Nothing is going on."""
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self, count: int = 1) -> None:
        """Some more."""
        self._count += count
        self._idle.clear()

    def end(self, count: int = 1) -> None:
        """Some less."""
        self._count -= count
        if self._count <= 0:
            self._idle.set()

    async def idle(self) -> None:
        """Return when nothing waits and nothing is being worked on."""
        await self._idle.wait()


class Inbox:
    """Closed until its worker opens it: what arrives before that is left to recovery."""

    def __init__(self, size: int, activity: Activity) -> None:
        """`size` bounds candles and, apart from them, all other items."""
        self._size = size
        self._activity = activity
        self._items: deque[Item] = deque()
        self._candles = 0
        self._working = 0
        self._open = False
        self._arrived = asyncio.Event()
        self.dropped_candles = 0
        self.dropped_events = 0
        self.must_ask = False

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._items)

    def open(self) -> None:
        """Take items from now on, starting empty."""
        self.close()
        self._open = True
        self.must_ask = False

    def close(self) -> None:
        """Take no more and forget what waits or was being worked on."""
        self._activity.end(len(self._items) + self._working)
        self._items.clear()
        self._candles = self._working = 0
        self._open = False
        self._arrived.clear()

    def put(self, item: Item) -> None:
        """Queue an item, or drop it as the rules above say."""
        if not self._open:
            return
        if isinstance(item, CandleOf):
            if self._candles >= self._size:
                self.dropped_candles += 1
                return
            self._candles += 1
        elif len(self._items) - self._candles >= self._size:
            self.dropped_events += 1
            self.must_ask = True
            return
        self._items.append(item)
        self._activity.begin()
        self._arrived.set()

    async def take(self) -> list[Item]:
        """All that waits, at least one item, in order of arrival; they count as work until `done`."""
        while not self._items:
            self._arrived.clear()
            await self._arrived.wait()
        taken = list(self._items)
        self._items.clear()
        self._candles = 0
        self._working += len(taken)
        return taken

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count something done on the side as work of this symbol."""
        self._activity.begin()
        try:
            yield
        finally:
            self._activity.end()

    def done(self) -> None:
        """What was taken is worked off."""
        self._activity.end(self._working)
        self._working = 0
