"""How often a measured value fell into which span: what a histogram is drawn from.

Rules of this file: adding costs the same however much was added before; nothing is ever taken out.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


class Distribution:
    """Counts by fixed bounds, in the unit that the values have."""

    __slots__ = ("_counts", "bounds", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Nothing was added.  `bounds` ascend; each is the highest value that its span takes."""
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """One more."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def cumulative(self) -> tuple[int, ...]:
        """How many were at most each bound, and last how many there were in all."""
        return tuple(accumulate(self._counts))
