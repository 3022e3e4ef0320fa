"""How late the event loop is."""

import asyncio

from livebot.runtime.loop_lag import LagStatistics, LoopLag
from tests.virtual_loop import VirtualLoop, run


def test_nothing_measured_is_all_zeros():
    assert LagStatistics(samples=0, p50_ms=0.0, p99_ms=0.0, maximum_ms=0.0) == LoopLag().statistics()


def test_a_callback_that_holds_the_loop_up_shows():
    async def main() -> LagStatistics:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        lag = LoopLag(interval_s=0.1, size=100)
        task = asyncio.create_task(lag.run())
        await asyncio.sleep(5.05)
        loop.advance(0.3)  # as if a callback had taken so long
        await asyncio.sleep(4.9)
        task.cancel()
        return lag.statistics()

    statistics = run(main())
    assert 90 < statistics.samples <= 100
    assert statistics.p50_ms < 1
    assert 240 < statistics.maximum_ms < 260


def test_the_memory_is_bounded():
    async def main() -> int:
        lag = LoopLag(interval_s=0.1, size=10)
        task = asyncio.create_task(lag.run())
        await asyncio.sleep(60)
        task.cancel()
        return lag.statistics().samples

    assert 10 == run(main())
