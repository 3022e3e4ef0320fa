"""An event loop whose time jumps to the next timer instead of waiting, so that no test sleeps.

`run(coroutine)` is `asyncio.run` on such a loop.  Time starts at 0 and moves only when nothing is ready to run; work
handed to threads (`asyncio.to_thread`) takes no virtual time: the loop really waits for it before time moves on.
Real sockets and pipes work; they are polled before each jump, not waited for, unless no timer is set at all.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")

DAY_S = 86_400.0
REAL_WAIT_S = 60.0  # how long a thread or a socket may really take before the test is given up


class Deadlock(RuntimeError):
    """Every task waits for something that nothing will bring."""


class TooLong(RuntimeError):
    """Virtual time went past the limit of the test: some task repeats for ever."""


class _JumpingSelector(selectors.BaseSelector):
    """Polls the real selector; instead of waiting it moves the loop's time."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.loop: VirtualLoop | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert self.loop is not None
        ready = self._real.select(0)
        if ready or timeout == 0:
            return ready
        if self.loop.threads_busy or (timeout is None and len(self.get_map()) > 1):  # 1: the loop's own wake-up pipe
            ready = self._real.select(REAL_WAIT_S)
            if not ready:
                raise Deadlock(f"nothing happened for {REAL_WAIT_S} real seconds; {self.loop.describe()}")
            return ready
        if timeout is None:
            raise Deadlock(f"no timer is set and nothing is ready; {self.loop.describe()}")
        self.loop.advance(timeout)
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.get_key(fileobj)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is virtual seconds since the start; `limit_s` is when a test counts as running away."""

    def __init__(self, *, limit_s: float = 400 * DAY_S) -> None:
        self._virtual_s = 0.0
        self._limit_s = limit_s
        self.threads_busy = 0
        self.errors: list[Mapping[str, Any]] = []  # what reached the exception handler: nobody else will see it
        selector = _JumpingSelector()
        super().__init__(selector)
        selector.loop = self
        # Without this, float rounding of large times could leave a timer just out of reach for ever.
        self._clock_resolution = 1e-6
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        return self._virtual_s

    def advance(self, seconds: float) -> None:
        self._virtual_s += max(seconds, 0.0)
        if self._virtual_s > self._limit_s:
            raise TooLong(f"virtual time passed {self._limit_s} s; {self.describe()}")

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        self.threads_busy += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_done)
        return future

    async def shutdown_default_executor(self) -> None:
        self.threads_busy += 1  # it waits for a thread that it starts itself
        try:
            await super().shutdown_default_executor()
        finally:
            self.threads_busy -= 1

    def describe(self) -> str:
        waiting = sorted(task.get_name() for task in asyncio.all_tasks(self) if not task.done())
        return f"at {self._virtual_s:.3f} s waiting: {', '.join(waiting) or 'no task'}"

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self.threads_busy -= 1


class VirtualClock:
    """The market's time of a virtual loop: `start_ms` plus the loop's time.  Fits `ports.Clock`."""

    def __init__(self, start_ms: int = 1_700_000_000_000, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._start_ms = start_ms
        self._loop = loop

    def now_ms(self) -> int:
        loop = self._loop or asyncio.get_running_loop()
        return self._start_ms + round(loop.time() * 1_000)


def run(main: Coroutine[Any, Any, T], *, limit_s: float = 400 * DAY_S) -> T:
    """Run to the end in virtual time, cancel what is left, and fail if a callback or a forgotten task had an error."""
    made: list[VirtualLoop] = []

    def make() -> VirtualLoop:
        made.append(VirtualLoop(limit_s=limit_s))
        return made[0]

    with asyncio.Runner(loop_factory=make) as runner:
        result = runner.run(main)
    for context in made[0].errors:
        raise AssertionError(context.get("message", "")) from context.get("exception")
    return result


async def settle(rounds: int = 20) -> None:
    """Let everything that is ready run, without time moving."""
    for _ in range(rounds):
        await asyncio.sleep(0)
