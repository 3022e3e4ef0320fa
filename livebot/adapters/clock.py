"""The world's time."""

import time


class SystemClock:
    """The Clock of a live daemon."""

    def now_ms(self) -> int:
        """UTC milliseconds, as the machine believes them to be."""
        return time.time_ns() // 1_000_000
