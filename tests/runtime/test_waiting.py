"""A bell: who waits for it hears whether it came, and hears it also if it was rung before."""

import asyncio

import pytest

from livebot.runtime.waiting import Bell
from tests.virtual_loop import run


def test_who_waits_is_woken_when_it_rings_and_otherwise_when_the_time_is_over():
    """It stays rung until somebody silences it."""

    async def main() -> None:
        bell, loop = Bell(), asyncio.get_running_loop()
        assert not await bell.within(5.0)
        assert loop.time() == pytest.approx(5.0)
        loop.call_later(2.0, bell.ring)
        assert await bell.within(5.0)
        assert loop.time() == pytest.approx(7.0)
        assert await bell.within(5.0)
        assert bell.rung
        assert loop.time() == pytest.approx(7.0)
        bell.silence()
        assert not await bell.within(1.0)
        bell.ring()
        bell.ring()
        assert await bell.within(1.0)
        assert loop.time() == pytest.approx(8.0)

    run(main())


def test_who_is_cancelled_leaves_nothing_behind():
    """Neither a timer nor a wait: the next one waits as long as it says."""

    async def main() -> None:
        bell, loop = Bell(), asyncio.get_running_loop()
        waiting = asyncio.create_task(bell.within(3.0))
        await asyncio.sleep(1.0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not await bell.within(10.0)
        assert loop.time() == pytest.approx(11.0)

    run(main())
