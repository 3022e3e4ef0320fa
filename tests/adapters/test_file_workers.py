"""Where blocking work runs."""

import asyncio
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import ClassVar

import pytest

from livebot.adapters.state_files import file_workers
from livebot.adapters.state_files.file_workers import InlineWorkers, ThreadWorkers
from livebot.errors import Fatal
from tests.virtual_loop import REAL_WAIT_S


async def test_threads_work_side_by_side():
    """As many as were asked for, the caller's included."""
    workers = ThreadWorkers(4, "test")
    together = threading.Barrier(4)

    def work() -> None:
        together.wait(REAL_WAIT_S)

    await workers.submit(lambda: workers.spread(work, share=9))
    workers.close()


async def test_no_more_threads_take_part_than_there_is_work():
    """One file is written by one."""
    workers = ThreadWorkers(4, "test")
    calls: list[int] = []
    await workers.submit(lambda: workers.spread(lambda: calls.append(1), share=1))
    assert [1] == calls
    workers.close()


async def test_a_share_that_has_not_begun_is_called_off():
    """All of the work has been done without it, and nobody waits for a thread that is busy with something else."""
    workers = ThreadWorkers(2, "test")
    free = threading.Event()
    calls: list[int] = []
    busy = workers.submit(lambda: free.wait(REAL_WAIT_S))
    await workers.submit(lambda: workers.spread(lambda: calls.append(1), share=2))
    assert not busy.done()
    free.set()
    assert await busy
    workers.close()
    assert [1] == calls


async def test_an_error_in_spread_work_is_told_when_all_have_ended():
    """Nothing goes on behind the back of whoever is told."""
    workers = ThreadWorkers(3, "test")
    failing, last_in, last_may_end = (threading.Event() for _ in range(3))
    spreading: list[int] = []
    ended: list[str] = []

    def work() -> None:
        if threading.get_ident() in spreading:
            assert last_in.wait(REAL_WAIT_S)
            ended.append("who spreads")
        elif not failing.is_set():
            failing.set()
            assert last_in.wait(REAL_WAIT_S)
            raise ZeroDivisionError
        else:
            last_in.set()
            assert last_may_end.wait(REAL_WAIT_S)
            ended.append("the last")

    def spread() -> None:
        spreading.append(threading.get_ident())
        workers.spread(work, share=3)

    busy = workers.submit(
        lambda: failing.wait(REAL_WAIT_S)
    )  # so the one that is waited for first is the one that fails
    told = workers.submit(spread)
    assert await busy
    await asyncio.sleep(0.05)
    assert not told.done()
    last_may_end.set()
    with pytest.raises(ZeroDivisionError):
        await told
    assert ["who spreads", "the last"] == ended
    workers.close()


def test_a_machine_without_threads_to_give_says_so_at_start(monkeypatch):
    """Not when five hundred files have to be written; those that it gave are let go."""

    class Poor(threading.Thread):
        given: ClassVar[list[threading.Thread]] = []

        def start(self) -> None:
            if self.given:
                raise RuntimeError("can't start new thread")
            self.given.append(self)
            super().start()

    monkeypatch.setattr(file_workers, "Thread", Poor)
    with pytest.raises(Fatal, match="cannot start 3 threads") as caught:
        ThreadWorkers(3, "test")
    assert caught.tb is not None  # which still knows the pool
    assert not Poor.given[0].is_alive()


async def test_what_comes_then_is_done_when_whoever_waits_has_been_told():
    """On a thread, so that neither who waits nor the event loop is held up by it."""
    workers = ThreadWorkers(1, "test")
    told, done = threading.Event(), threading.Event()

    def then() -> None:
        if told.wait(REAL_WAIT_S):
            done.set()

    assert 7 == await workers.submit(lambda: 7, then)
    told.set()
    workers.close()
    assert done.is_set()


async def test_who_leaves_waits_for_what_ends_and_no_longer_than_it_says_for_what_does_not():
    """What had been asked for is done where it can be; nothing is taken afterwards, and nothing is waited for at the end."""
    workers, begun, free, done = ThreadWorkers(1, "test"), threading.Event(), threading.Event(), []
    workers.submit(lambda: (begun.set(), free.wait(REAL_WAIT_S)))
    workers.submit(lambda: done.append(1))
    assert begun.wait(REAL_WAIT_S)
    assert not workers.leave(0.05)
    assert not workers.ended
    with pytest.raises(RuntimeError, match="let go"):
        workers.submit(lambda: None)
    workers.close()  # has nothing left to wait for
    free.set()
    assert workers.leave(REAL_WAIT_S)
    assert (done, workers.ended) == ([1], True)


async def test_an_error_is_told_and_what_comes_then_is_done_all_the_same():
    """And the thread is there for the next one."""
    workers = ThreadWorkers(1, "test")
    done: list[int] = []

    def fail() -> None:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await workers.submit(fail, lambda: done.append(1))
    workers.close()
    assert [1, 1] == done


async def test_work_that_nobody_waits_for_is_done_if_it_has_begun_and_left_if_not():
    """Its end is told to nobody, and that is no error."""
    workers = ThreadWorkers(1, "test")
    begun, free = threading.Event(), threading.Event()
    done: list[str] = []
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))

    def work(fails: bool) -> None:
        begun.set()
        free.wait(REAL_WAIT_S)
        done.append("begun")
        if fails:
            raise ZeroDivisionError

    for fails in (False, True):
        begun.clear()
        free.clear()
        under_way = workers.submit(partial(work, fails))
        await asyncio.to_thread(begun.wait, REAL_WAIT_S)
        waiting = workers.submit(lambda: done.append("not begun"))
        assert under_way.cancel()
        assert waiting.cancel()
        free.set()
        await workers.submit(lambda: None)
    workers.close()
    assert ["begun", "begun"] == done
    assert [] == complaints


def test_work_that_outlives_its_loop_is_finished():
    """There is nobody left to be told."""
    workers = ThreadWorkers(1, "test")
    free = threading.Event()
    done: list[int] = []

    async def leave() -> None:
        workers.submit(lambda: (free.wait(REAL_WAIT_S), done.append(1)))

    asyncio.run(leave())
    free.set()
    workers.close()
    assert [1] == done


async def test_what_was_asked_for_is_done_before_threads_are_let_go():
    """By close, and also if they are forgotten; later work is refused."""
    done: list[int] = []
    workers = ThreadWorkers(2, "test")
    for number in range(20):
        workers.submit(partial(done.append, number))
    workers.close()
    assert list(range(20)) == sorted(done)
    with pytest.raises(RuntimeError):
        workers.submit(lambda: None)
    forgotten = ThreadWorkers(2, "forgotten")
    for number in range(20):
        forgotten.submit(partial(done.append, number))
    del forgotten
    assert 40 == len(done)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("forgotten")]


async def test_threads_may_be_forgotten_by_the_work_that_they_do():
    """The last one to know of them is one of them, and it cannot wait for itself."""
    known = [ThreadWorkers(2, "own")]
    free = threading.Event()
    forgetting = known[0].submit(lambda: (free.wait(REAL_WAIT_S), known.clear()))
    free.set()
    await forgetting
    await _until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("own")])


async def test_work_that_is_done_is_not_kept():
    """It holds the content of files."""

    class Content:
        pass

    workers, content = ThreadWorkers(1, "test"), Content()
    left = weakref.ref(content)
    await workers.submit(partial(id, content), partial(id, content))
    del content
    await _until(lambda: left() is None)
    workers.close()


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(REAL_WAIT_S):
        while not true():
            await asyncio.sleep(0.001)


def test_a_program_that_ends_without_letting_go_finishes_what_was_asked_for():
    """No file stays half written because nobody closed."""
    script = """if True:
        import asyncio, time
        from livebot.adapters.state_files.file_workers import ThreadWorkers
        workers = ThreadWorkers(2, "test")
        async def main():
            workers.submit(lambda: (time.sleep(0.2), print("done")))
        asyncio.run(main())
    """
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=REAL_WAIT_S, check=False
    )
    assert ("done\n", "", 0) == (ended.stdout, ended.stderr, ended.returncode)


@pytest.mark.parametrize("fails", [False, True])
async def test_inline_work_runs_on_the_loop_in_its_next_turn(fails):
    """In order, on this thread; an error belongs to whoever waits, if anybody still does."""
    workers = InlineWorkers()
    done: list[int] = []

    def work() -> None:
        done.append(threading.get_ident())
        if fails:
            raise ZeroDivisionError

    afterwards: list[bool] = []
    future = workers.submit(work, lambda: afterwards.append(future.done()))
    workers.submit(work).cancel()
    assert [] == done
    outcome = await asyncio.gather(future, return_exceptions=True)
    assert [threading.get_ident()] * 2 == done
    assert [True] == afterwards
    assert fails is isinstance(outcome[0], ZeroDivisionError)
