"""Where blocking file work runs: on threads, or in turn on the event loop itself where nothing may run beside it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import Protocol, TypeVar

from livebot.errors import Fatal

T = TypeVar("T")


class Workers(Protocol):
    """Runs blocking work for the event loop."""

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Start `work`; the future has what it returned or raised.  Work that has begun is always finished."""
        ...

    def spread(self, work: Callable[[], None], share: int) -> None:
        """Call `work` at up to `share` places at once and return when all have; called from within submitted work."""
        ...

    def close(self) -> None:
        """Let the threads go; nothing may be under way."""
        ...


class ThreadWorkers:
    """A pool of threads, all of them made at once: a machine that has none to give says so at start, not under load."""

    def __init__(self, threads: int, name: str) -> None:
        """Start the threads.

        Raises:
            Fatal: the machine gives no more.

        """
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        everyone = Barrier(threads + 1)
        try:
            for _ in range(threads):
                self._pool.submit(everyone.wait)
        except RuntimeError as error:
            everyone.abort()
            self._pool.shutdown(wait=False, cancel_futures=True)
            message = f"cannot start {threads} threads: {error}; raise the limit on tasks (TasksMax in the unit)"
            raise Fatal(message) from error
        everyone.wait()

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work)

    def spread(self, work: Callable[[], None], share: int) -> None:
        others: list[Future[None]] = []
        try:
            # the calling thread is one of the pool's and works too: with a pool of one there is nobody to wait for
            for _ in range(min(share, self._threads) - 1):
                others.append(self._pool.submit(work))  # noqa: PERF401  (those that started count if one does not)
            work()
        finally:
            for other in others:
                if not other.cancel():  # not begun, and nothing is left to do for it
                    other.result()

    def close(self) -> None:
        self._pool.shutdown()


class InlineWorkers:
    """No threads: work runs in the loop's next turn, in the order it came, so that every run of it is the same."""

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        loop.call_soon(self._run, work, future)
        return future

    def spread(self, work: Callable[[], None], share: int) -> None:
        work()

    def close(self) -> None:
        """There is nothing to let go."""

    @staticmethod
    def _run(work: Callable[[], T], future: asyncio.Future[T]) -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  (it belongs to whoever awaits the future)
            if not future.cancelled():
                future.set_exception(error)
        else:
            if not future.cancelled():
                future.set_result(result)
