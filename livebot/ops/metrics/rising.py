"""Counters out of sums over what comes and goes.

Rules of this file: what is told never falls, for Prometheus takes a fall for a restart and counts everything again.
"""


class Rising:
    """By key: how much a number has risen in all since it was first seen, and what it was then."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._risen: dict[str, int] = {}

    def to(self, key: str, now: int) -> int:
        """It is so much now; what left the sum is not taken off."""
        self._risen[key] = self._risen.get(key, 0) + max(now - self._seen.get(key, 0), 0)
        self._seen[key] = now
        return self._risen[key]
