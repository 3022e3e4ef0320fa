"""Where blocking work runs."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from livebot.adapters import file_workers
from livebot.adapters.file_workers import InlineWorkers, ThreadWorkers
from livebot.errors import Fatal


async def test_threads_work_side_by_side():
    """As many as were asked for, the caller's included."""
    workers = ThreadWorkers(4, "test")
    together = threading.Barrier(4)

    def work() -> None:
        together.wait(5)

    await workers.submit(lambda: workers.spread(work, share=9))
    workers.close()


async def test_no_more_threads_take_part_than_there_is_work():
    """One file is written by one."""
    workers = ThreadWorkers(4, "test")
    calls: list[int] = []
    await workers.submit(lambda: workers.spread(lambda: calls.append(1), share=1))
    assert [1] == calls
    workers.close()


async def test_an_error_in_spread_work_is_told_when_all_have_ended():
    """Nothing goes on behind the back of whoever is told."""
    workers = ThreadWorkers(3, "test")
    ended: list[int] = []
    together = threading.Barrier(3)

    def work() -> None:
        if together.wait(5) == 0:
            raise ZeroDivisionError
        ended.append(1)

    with pytest.raises(ZeroDivisionError):
        await workers.submit(lambda: workers.spread(work, share=3))
    assert [1, 1] == ended
    workers.close()


def test_a_machine_without_threads_to_give_says_so_at_start(monkeypatch):
    """Not when five hundred files have to be written."""

    class Poor(ThreadPoolExecutor):
        def submit(self, *arguments, **named):
            if len(self._threads) == 1:
                raise RuntimeError("can't start new thread")
            return super().submit(*arguments, **named)

    monkeypatch.setattr(file_workers, "ThreadPoolExecutor", Poor)
    with pytest.raises(Fatal, match="cannot start 3 threads"):
        ThreadWorkers(3, "test")


@pytest.mark.parametrize("fails", [False, True])
async def test_inline_work_runs_on_the_loop_in_its_next_turn(fails):
    """In order, on this thread; an error belongs to whoever waits, if anybody still does."""
    workers = InlineWorkers()
    done: list[int] = []

    def work() -> None:
        done.append(threading.get_ident())
        if fails:
            raise ZeroDivisionError

    future = workers.submit(work)
    workers.submit(work).cancel()
    assert [] == done
    outcome = await asyncio.gather(future, return_exceptions=True)
    assert [threading.get_ident()] * 2 == done
    assert fails is isinstance(outcome[0], ZeroDivisionError)
