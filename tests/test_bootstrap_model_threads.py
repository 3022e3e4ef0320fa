"""Threads for what may never come back: given up, replaced, bounded, and not waited for at the end."""

import asyncio
import threading
import time
from functools import partial

import pytest

from livebot.bootstrap.model_threads import LEFT_MAX, ModelThread
from livebot.errors import Fatal, Rejected
from tests.virtual_loop import REAL_WAIT_S


class Hanging:
    """Work that goes on until `go`."""

    def __init__(self) -> None:
        self.go, self.inside, self.ended = threading.Event(), threading.Event(), threading.Event()

    def __call__(self) -> int:
        self.inside.set()
        self.go.wait(REAL_WAIT_S)
        self.ended.set()
        return 1


def none(*_: object) -> None:
    raise Fatal("no more")


async def begun(thread: ModelThread) -> "tuple[Hanging, asyncio.Future[int]]":
    work = Hanging()
    future = thread.submit(work)
    assert await asyncio.to_thread(work.inside.wait, REAL_WAIT_S)
    return work, future


async def test_what_hangs_is_left_behind_and_the_next_is_done_elsewhere() -> None:
    """And should it come back after all, its answer is there for who still wants it."""
    thread = ModelThread("test")
    work, future = await begun(thread)
    thread.replace()
    assert await thread.submit(lambda: 2) == 2
    assert not future.done()
    work.go.set()
    assert await future == 1
    assert thread.close(REAL_WAIT_S)


async def test_the_end_waits_for_what_ends_and_no_longer_than_the_bound_for_what_does_not() -> None:
    thread = ModelThread("test")
    done: list[int] = []
    thread.submit(partial(time.sleep, 0.2))
    thread.submit(lambda: done.append(1))
    assert thread.close(REAL_WAIT_S)
    assert done == [1]
    stuck = ModelThread("test")
    work, _ = await begun(stuck)
    assert not stuck.close(0.1)
    assert not work.ended.is_set()
    work.go.set()
    assert stuck.close(REAL_WAIT_S)


async def test_threads_that_hang_are_bounded_and_then_what_is_asked_is_refused_at_once() -> None:
    """Nothing queues behind the last."""
    thread, works = ModelThread("hangs-for-a-test"), []
    for _ in range(LEFT_MAX + 1):
        work, _ = await begun(thread)
        works.append(work)
        thread.replace()
    names = [each.name for each in threading.enumerate() if each.name.startswith("hangs-for-a-test")]
    assert len(names) == LEFT_MAX + 1
    for _ in range(2):
        with pytest.raises(Rejected, match="every thread that models may be asked on hangs"):
            await thread.submit(lambda: 2)
        thread.replace()
    assert thread.close(0)
    for work in works:
        work.go.set()


async def test_one_that_has_come_back_makes_room() -> None:
    thread = ModelThread("test")
    for _ in range(LEFT_MAX + 3):
        work, future = await begun(thread)
        work.go.set()
        await future
        thread.replace()
        await ended(thread, len(thread._left))
    assert await thread.submit(lambda: 2) == 2
    assert thread.close(REAL_WAIT_S)


async def test_work_is_done_again_once_those_that_hung_have_come_back() -> None:
    """Also after all of them hung at once: nobody restarts the daemon for it.  The bound holds as before."""
    thread, begins = ModelThread("test"), []
    for _ in range(LEFT_MAX + 1):
        begins.append(await begun(thread))
        thread.replace()
    with pytest.raises(Rejected):
        await thread.submit(lambda: 2)
    work, future = begins.pop()
    work.go.set()
    assert await future == 1
    await ended(thread, 1)
    assert await thread.submit(lambda: 2) == 2
    begins.append(await begun(thread))
    thread.replace()
    with pytest.raises(Rejected):
        await thread.submit(lambda: 2)
    for work, _ in begins:
        work.go.set()
    await ended(thread, LEFT_MAX + 1)
    assert await thread.submit(lambda: 3) == 3
    assert thread._left == []
    assert thread.close(REAL_WAIT_S)


async def ended(thread: ModelThread, count: int) -> None:
    while sum(each.ended for each in thread._left) < count:
        await asyncio.sleep(0.005)


async def test_a_machine_that_has_threads_again_answers_again(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = ModelThread("test")
    with monkeypatch.context() as bare:
        bare.setattr("livebot.bootstrap.model_threads.ThreadWorkers", none)
        thread.replace()
        with pytest.raises(Rejected):
            await thread.submit(lambda: 2)
    assert await thread.submit(lambda: 2) == 2
    assert thread.close(REAL_WAIT_S)


async def test_a_machine_without_threads_refuses_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = ModelThread("test")
    monkeypatch.setattr("livebot.bootstrap.model_threads.ThreadWorkers", none)
    thread.replace()
    with pytest.raises(Rejected, match="restart the daemon"):
        await thread.submit(lambda: 2)
