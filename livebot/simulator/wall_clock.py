"""Venue time that is the wall's: minutes close when the wall clock's do.

Rules of this file: the venue lives whether or not somebody hosts it: minutes that passed meanwhile (with a memory) are
made up for at once, without waiting.
"""

import asyncio
import time
from collections.abc import Callable

from livebot.core.market import MINUTE_MS
from livebot.simulator.clock import Push, Quiesce, VenueClock
from livebot.simulator.venue import SimulatedVenue


def wall_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000


class WallClock(VenueClock):
    """`ports.Clock` of a venue that began at the wall clock's present minute, or before."""

    def __init__(self, venue: SimulatedVenue, *, wall_ms: Callable[[], int] = wall_ms) -> None:
        super().__init__(venue, speed=1.0)
        self._wall_ms = wall_ms

    def now_ms(self) -> int:
        """UTC milliseconds; the next minute is not reached before the venue's step."""
        return max(min(self._wall_ms(), self._venue.minute_ms + MINUTE_MS - 1), self._venue.now_ms)

    async def drive(self, push: Push, *, quiesce: Quiesce | None = None, minutes: int | None = None) -> None:
        """Let minutes pass, handing each to `push`, until cancelled, or the data or `minutes` are used up."""
        passed = 0
        while not self._venue.ended and (minutes is None or passed < minutes):
            wait_ms = self._venue.minute_ms + MINUTE_MS - self._wall_ms()
            if wait_ms > 0:
                await asyncio.sleep(wait_ms / 1000.0)
                continue  # a timer may ring early
            minute = self._venue.step()
            self._tell()
            await push(minute)
            await asyncio.sleep(0)
            passed += 1
