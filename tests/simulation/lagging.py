"""The venue's list of positions, which is behind its trades by up to so much, and empty now and then for as long.

Rules of this file: how it is behind comes from a generator of its own, so that nothing else of a seed depends on it; what is
listed was so once, or is nothing.
"""

from collections import deque
from math import inf
from random import Random

from livebot.core.order import VenuePosition
from livebot.simulator.venue import SimulatedVenue

BLANK = 0.01  # share of the looks with which a time begins in which nothing is listed


class LaggingList:
    """One for the whole run."""

    def __init__(self, venue: SimulatedVenue, seed: int, lag_s: float) -> None:
        self._venue = venue
        self._random = Random(f"positions {seed}")
        self._lag_s = lag_s
        self._past: deque[tuple[float, tuple[VenuePosition, ...]]] = deque([(-inf, ())])
        self._blank_until = -1.0
        self.stale = 0  # looks that showed what was not so any more

    def changed(self, now_s: float) -> None:
        """Something was told of an order."""
        if self._lag_s:
            self._past.append((now_s, self._venue.positions()))
            while self._past[1][0] <= now_s - self._lag_s:  # else the first may still be shown
                self._past.popleft()

    def look(self, now_s: float) -> tuple[VenuePosition, ...]:
        present = self._venue.positions()
        if not self._lag_s:
            return present
        at = now_s - self._random.uniform(0.0, self._lag_s)
        if self._random.random() < BLANK:
            self._blank_until = now_s + self._random.uniform(0.0, self._lag_s)
        shown = () if now_s < self._blank_until else next(held for time, held in reversed(self._past) if time <= at)
        self.stale += shown != present
        return shown
