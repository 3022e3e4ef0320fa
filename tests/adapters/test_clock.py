"""The world's time."""

import time

from livebot.adapters.clock import SystemClock
from livebot.ports import Clock


def test_now_is_utc_milliseconds():
    """Whatever the machine's time zone."""
    clock: Clock = SystemClock()
    before, now_ms, after = time.time_ns(), clock.now_ms(), time.time_ns()
    assert before // 1_000_000 <= now_ms <= after // 1_000_000
    assert isinstance(clock.now_ms(), int)
