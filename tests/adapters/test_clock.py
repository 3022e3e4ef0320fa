"""The world's time."""

import time

from livebot.adapters.clock import SystemClock
from livebot.ports import Clock


def test_now_is_utc_milliseconds():
    """Whatever the machine's time zone."""
    clock: Clock = SystemClock()
    assert abs(clock.now_ms() - time.time() * 1000) < 1000
    assert isinstance(clock.now_ms(), int)
