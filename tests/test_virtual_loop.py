"""The loop that tests run on: it jumps, it waits for threads, and it says when a test cannot go on."""

import asyncio
import time

import pytest

from tests.virtual_loop import Deadlock, TooLong, VirtualClock, run, settle


def test_time_jumps_to_the_next_timer_and_stands_still_otherwise():
    async def main() -> list[float]:
        loop, clock = asyncio.get_running_loop(), VirtualClock(start_ms=1_000)
        seen = [loop.time()]
        await asyncio.sleep(3600)
        seen.append(loop.time())
        await settle()
        sum(range(100_000))
        seen.append(loop.time())
        assert 3_601_000 == clock.now_ms()
        return seen

    started = time.monotonic()
    assert [0.0, 3600.0, 3600.0] == run(main())
    assert time.monotonic() - started < 3600  # it has jumped


def test_timers_fire_in_order_also_at_large_times():
    async def main() -> list[int]:
        order: list[int] = []
        await asyncio.sleep(1e7)
        loop = asyncio.get_running_loop()
        for delay_ms in (3, 1, 2):
            loop.call_later(delay_ms / 1000, order.append, delay_ms)
        await asyncio.sleep(0.01)
        return order

    assert [1, 2, 3] == run(main())


def test_work_in_a_thread_takes_no_virtual_time():
    async def main() -> float:
        asyncio.get_running_loop().call_later(1, lambda: None)
        await asyncio.to_thread(time.sleep, 0.05)
        return asyncio.get_running_loop().time()

    assert 0.0 == run(main())


def test_real_sockets_work():
    async def main() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            answered = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answered

    assert b"hello\n" == run(main())


def test_a_test_that_waits_for_nothing_says_so():
    async def main() -> None:
        await asyncio.create_task(asyncio.Event().wait(), name="waits for nothing")

    with pytest.raises(Deadlock, match="waits for nothing"):
        run(main())


def test_a_test_that_never_ends_says_so():
    async def main() -> None:
        for _ in range(100):
            await asyncio.sleep(60)

    with pytest.raises(TooLong):
        run(main(), limit_s=3600)


def test_an_error_that_nobody_saw_fails_the_test():
    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await settle()

    with pytest.raises(AssertionError, match="Exception in callback"):
        run(main())
