"""Where blocking file work runs: on threads, or in turn on the event loop itself where nothing may run beside it."""

import asyncio
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread, current_thread
from time import monotonic
from typing import Protocol, TypeVar

from livebot.errors import Fatal

T = TypeVar("T")
_Jobs = SimpleQueue[Callable[[], None] | None]  # None: no more


def _nothing() -> None:
    pass


class Workers(Protocol):
    """Runs blocking work for the event loop."""

    def submit(self, work: Callable[[], T], then: Callable[[], None] = _nothing) -> asyncio.Future[T]:
        """Start `work`; the future has what it returned or raised.  Work that has begun is always finished.

        `then` follows it, at the same place; nobody waits for that, and it must not raise.
        """
        ...

    def spread(self, work: Callable[[], None], share: int) -> None:
        """Call `work` at up to `share` places at once and return when all have; called from within submitted work."""
        ...

    def close(self) -> None:
        """Let the threads go; nothing may be under way."""
        ...


class ThreadWorkers:
    """A pool of threads, all of them made at once: a machine that has none to give says so at start, not under load.

    Not the standard library's pool: a future of its own beside the loop's makes each hand-over and its way back take
    0.2 ms instead of 0.1, and an order waits for that.
    """

    def __init__(self, threads: int, name: str) -> None:
        """Start the threads.

        Raises:
            Fatal: the machine gives no more.

        """
        self._threads = threads
        self._jobs: _Jobs = SimpleQueue()
        self._started = started = list[Thread]()
        # also if nobody closes it: what was asked for is done before the program ends
        self._close = weakref.finalize(self, _end, self._jobs, started)
        try:
            for number in range(threads):
                thread = Thread(target=_serve, args=(self._jobs,), name=f"{name}_{number}", daemon=True)
                thread.start()
                started.append(thread)
        except RuntimeError as error:
            self._close()
            message = f"cannot start {threads} threads: {error}; raise the limit on tasks (TasksMax in the unit)"
            raise Fatal(message) from error

    def submit(self, work: Callable[[], T], then: Callable[[], None] = _nothing) -> asyncio.Future[T]:
        if not self._close.alive:
            raise RuntimeError("these threads have been let go")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(partial(_run_for, loop, future, work, then))
        return future

    def spread(self, work: Callable[[], None], share: int) -> None:
        # the calling thread is one of these and works too: with a single one there is nobody to wait for
        others = [_Share(work) for _ in range(min(share, self._threads) - 1)]
        for other in others:
            self._jobs.put(other.run)
        errors: list[BaseException] = []
        try:
            work()
        finally:
            errors += [error for other in others if (error := other.join()) is not None]
        for error in errors:
            raise error

    def close(self) -> None:
        self._close()

    def leave(self, within_s: float) -> bool:
        """Let the threads go as `close` does, but wait no longer than this; whether all have ended.

        One that has not goes on with what it does, and ends with that or with the program: nothing ends a thread from outside.
        """
        if self._close.detach() is not None:
            for _ in self._started:
                self._jobs.put(None)
        until_s = monotonic() + within_s
        for thread in self._started:
            thread.join(max(until_s - monotonic(), 0))
        return self.ended

    @property
    def ended(self) -> bool:
        """Whether no thread is left."""
        return not any(thread.is_alive() for thread in self._started)


class _Share:
    """A call of work beside others; whoever waits for it calls it off if it has not begun."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._state: Future[None] = Future()

    def run(self) -> None:
        if not self._state.set_running_or_notify_cancel():
            return
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  (it belongs to whoever waits)
            self._state.set_exception(error)
        else:
            self._state.set_result(None)

    def join(self) -> BaseException | None:
        """Return its error, if any, when it has ended, or will never begin: then nothing was left to do for it."""
        return None if self._state.cancel() else self._state.exception()


def _serve(jobs: _Jobs) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # or what it holds would live until the next one comes


def _end(jobs: _Jobs, threads: list[Thread]) -> None:
    for _ in threads:
        jobs.put(None)
    for thread in threads:
        if thread is not current_thread():  # it may be the last one to know of these
            thread.join()


def _run_for(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], work: Callable[[], T], then: Callable[[], None]
) -> None:
    """Do what a loop waits for, unless nobody does any more before it has begun."""
    if future.cancelled():
        return
    try:
        tell = partial(_succeed, future, work())
    except BaseException as error:  # noqa: BLE001  (it belongs to whoever awaits the future)
        tell = partial(_fail, future, error)
    with suppress(RuntimeError):  # the loop has ended, and with it everyone who could wait
        loop.call_soon_threadsafe(tell)
    then()


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.cancelled():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.cancelled():
        future.set_exception(error)


class InlineWorkers:
    """No threads: work runs in the loop's next turn, in the order it came, so that every run of it is the same."""

    def submit(self, work: Callable[[], T], then: Callable[[], None] = _nothing) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        loop.call_soon(self._run, work, then, future)
        return future

    def spread(self, work: Callable[[], None], share: int) -> None:
        work()

    def close(self) -> None:
        """There is nothing to let go."""

    @staticmethod
    def _run(work: Callable[[], T], then: Callable[[], None], future: asyncio.Future[T]) -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  (it belongs to whoever awaits the future)
            _fail(future, error)
        else:
            _succeed(future, result)
        then()
