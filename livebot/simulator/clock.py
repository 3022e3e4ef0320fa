"""The time of a simulated venue, and what makes it pass.

Rules of this file: venue time moves from minute to minute by `step`; between two steps `now_ms` runs with the wall
clock, `speed` times as fast, and never reaches the next minute before its step.  A loop that is late slows venue time
down: it catches up with less than a minute.  With speed 0 there is no wall: a minute follows when everybody is done with the
one before.
"""

import asyncio
from collections.abc import Awaitable, Callable

from livebot.core.market import MINUTE_MS
from livebot.errors import BadInput
from livebot.simulator.venue import Minute, SimulatedVenue

Push = Callable[[Minute], Awaitable[None]]
Quiesce = Callable[[], Awaitable[None]]


class RunningTime:
    """Milliseconds that pass `speed` times as fast as the running loop's clock, up to the end of a minute."""

    def __init__(self, speed: float) -> None:
        """Stands still at 0 until told where it is."""
        self._speed = speed
        self._base_ms = 0
        self._limit_ms = 0
        self._wall: Callable[[], float] | None = None
        self._since = 0.0

    def begin(self, base_ms: int, minute_ms: int, *, at: float | None = None) -> None:
        """Run from `base_ms`, inside the minute of `minute_ms`, where it was at loop time `at` (default: now)."""
        self._wall = asyncio.get_running_loop().time
        self._since = self._wall() if at is None else at
        self._base_ms, self._limit_ms = base_ms, minute_ms + MINUTE_MS - 1

    def stop(self) -> None:
        """Stand still from now on."""
        self._base_ms, self._wall = self.now_ms(), None

    def now_ms(self) -> int:
        """UTC milliseconds of the market."""
        if self._wall is None:
            return self._base_ms
        passed = (self._wall() - self._since) * 1000.0 * self._speed
        return min(self._base_ms + max(int(passed), 0), self._limit_ms)


class VenueClock:
    """`ports.Clock` of a venue in this process; `speed` 60 makes a minute last a second, 0 is lockstep."""

    def __init__(self, venue: SimulatedVenue, *, speed: float) -> None:
        """Stand still until driven.

        Raises:
            BadInput: the speed is negative.

        """
        if not speed >= 0:
            message = f"speed {speed} of the simulated venue: use 0 (as fast as possible) or a positive number"
            raise BadInput(message)
        self._venue = venue
        self._time = RunningTime(speed)
        self._told: list[Callable[[], None]] = []
        self.speed = speed

    @property
    def lockstep(self) -> bool:
        """Whether venue time waits for everybody."""
        return not self.speed

    def now_ms(self) -> int:
        """UTC milliseconds of the venue's time."""
        return max(self._time.now_ms(), self._venue.now_ms)

    def subscribe(self, minute_closed: Callable[[], None]) -> Callable[[], None]:
        """Call it whenever a minute has closed, before anybody is told of its candles; returns what ends that."""
        self._told.append(minute_closed)
        return lambda: self._told.remove(minute_closed)

    async def drive(self, push: Push, *, quiesce: Quiesce | None = None, minutes: int | None = None) -> None:
        """Let minutes pass, handing each to `push`, until cancelled, or the data or `minutes` are used up.

        `quiesce` returns when everybody has finished with the minute; it is asked in lockstep only.
        """
        loop = asyncio.get_running_loop()
        opened = loop.time()
        if not self.lockstep:
            self._time.begin(self._venue.now_ms, self._venue.minute_ms)
            opened -= (self._venue.now_ms - self._venue.minute_ms) / 1000.0 / self.speed
        passed = 0
        try:
            while not self._venue.ended and (minutes is None or passed < minutes):
                if not self.lockstep:
                    opened = await self._end_of_minute(opened)
                minute = self._venue.step()
                if not self.lockstep:
                    self._time.begin(minute.close_ms, minute.close_ms, at=opened)
                self._tell()
                await push(minute)
                if self.lockstep:
                    await (quiesce() if quiesce else asyncio.sleep(0))
                passed += 1
        finally:
            self._time.stop()

    def _tell(self) -> None:
        for minute_closed in self._told:
            minute_closed()

    async def _end_of_minute(self, opened: float) -> float:
        """Wait for it; the loop time at which the next minute opens."""
        loop = asyncio.get_running_loop()
        lasts = MINUTE_MS / 1000.0 / self.speed
        await asyncio.sleep(max(opened + lasts - loop.time(), 0.0))
        return max(opened + lasts, loop.time() - lasts)
