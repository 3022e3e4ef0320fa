"""How late the event loop is: the one number that says whether some callback holds everybody up."""

import asyncio
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LagStatistics:
    """Milliseconds by which timers came late, over the last `samples` measurements."""

    samples: int
    p50_ms: float
    p99_ms: float
    maximum_ms: float


class LoopLag:
    """Asks for a timer every `interval_s` and keeps how late the last `size` of them were."""

    def __init__(self, *, interval_s: float = 0.1, size: int = 1_024) -> None:
        """Measure nothing yet; `run` does."""
        self._interval_s = interval_s
        self._late_ms: deque[float] = deque(maxlen=size)

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._interval_s
            await asyncio.sleep(self._interval_s)
            self._late_ms.append(max(0.0, (loop.time() - due) * 1_000))

    def statistics(self) -> LagStatistics:
        """All zeros before the first measurement."""
        ordered = sorted(self._late_ms)
        if not ordered:
            return LagStatistics(samples=0, p50_ms=0.0, p99_ms=0.0, maximum_ms=0.0)
        last = len(ordered) - 1
        return LagStatistics(
            samples=len(ordered),
            p50_ms=ordered[round(last * 0.50)],
            p99_ms=ordered[round(last * 0.99)],
            maximum_ms=ordered[-1],
        )
