"""An event loop of virtual time whose scheduler is a function of a seed.

Nothing waits: when nothing is ready, time jumps to the next timer.  Tasks that are ready in the same turn run in an order
drawn from the seed, because no task may rely on running before another one; callbacks keep theirs, because asyncio
promises that.  There are no threads, no sockets and no signals.

Rules of this file: the order of everything is a function of the seed and of what is run, never of an address or a hash.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from heapq import heapify, heappop, heappush
from random import Random
from typing import Any

MOST_STEPS = 2_000_000  # of one run; then some task repeats for ever
_DEATHS = 20  # how often a task is cancelled until it must have ended
WHEN, CALLBACK, OF_WORLD = 0, 2, 5  # places in a handle


class Crash(BaseException):
    """The daemon's process ends here and now."""


class TooManySteps(RuntimeError):
    """Some task repeats for ever."""


class _Handle(list[Any]):
    """[when, number, callback, arguments, context, of the world]: sorts by time and then by age; None is not called.

    A list, because a run makes ten thousand of them, and a list is made and compared without a line of Python.
    """

    __slots__ = ()

    def cancel(self) -> None:
        self[CALLBACK] = None

    def cancelled(self) -> bool:
        return self[CALLBACK] is None

    def when(self) -> float:
        when: float = self[WHEN]
        return when


class SimulationLoop(asyncio.AbstractEventLoop):
    """`crash_after` counts steps (calls) down to a crash; `problems` are exceptions that nobody else will see."""

    def __init__(self, random: Random, *, shuffled: bool) -> None:
        self._random = random
        self._shuffled = shuffled
        self.now_s = 0.0
        self._ready: deque[_Handle] = deque()
        self._timers: list[_Handle] = []
        self._made = 0
        self._outside = copy_context()
        self._tasks: list[asyncio.Task[Any]] = []
        self.steps = 0
        self.crash_after: int | None = None
        self.stopped = False
        self.problems: list[str] = []
        self.create_future = partial(asyncio.Future, loop=self)  # type: ignore[method-assign]

    # What asyncio asks of a loop

    def time(self) -> float:
        return self.now_s

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Any = None) -> _Handle:  # type: ignore[override]
        handle = _Handle((0.0, 0, callback, args, context or copy_context(), False))
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Any = None) -> _Handle:  # type: ignore[override]
        self._made += 1
        handle = _Handle((when, self._made, callback, args, context or copy_context(), False))
        heappush(self._timers, handle)
        return handle

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None) -> _Handle:  # type: ignore[override]
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def create_task(self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Any = None):  # type: ignore[override]
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        if len(self._tasks) > 512:
            self._tasks = [each for each in self._tasks if not each.done()]
        return task

    get_debug = staticmethod(bool)  # False, for every future that is made

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.problems.append(f"{context.get('message', '')}: {type(error).__name__}: {error}")

    # Running

    def run(self) -> bool:
        """Run until `stop` (then true) or until the daemon crashes (false)."""
        self.stopped = False
        asyncio._set_running_loop(self)
        try:
            while not self.stopped:
                self._work_off(self._make_ready())
        except Crash:
            return False
        finally:
            asyncio._set_running_loop(None)
            self.crash_after = None
        return True

    def stop(self) -> None:
        self.stopped = True

    def world_at(self, when: float, callback: Callable[..., object], *args: Any) -> None:
        """Something that happens whether a daemon lives or not."""
        self._made += 1
        heappush(self._timers, _Handle((when, self._made, callback, args, self._outside, True)))

    def end_tasks(self) -> None:
        """What a dead process leaves in memory: every task is cancelled and runs to its end, while time stands still."""
        ready = self._ready
        of_world = [handle for handle in ready if handle[OF_WORLD]]
        of_process = [handle for handle in ready if not handle[OF_WORLD]]
        ready.clear()  # the same deque: whoever works it off has nothing left of the dead
        ready.extend(of_process)
        running = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            for _ in range(_DEATHS):
                self._tasks = [task for task in self._tasks if not task.done()]
                for task in self._tasks:
                    task.cancel()
                while ready:
                    _, _, callback, args, context, _ = ready.popleft()
                    if callback is not None:
                        context.run(callback, *args)
                if not self._tasks:
                    break
        finally:
            asyncio._set_running_loop(running)
        left = [task.get_name() for task in self._tasks if not task.done()]
        if left:
            self.problems.append(f"tasks do not end when they are cancelled: {', '.join(left)}")
        self._timers = [timer for timer in self._timers if timer[OF_WORLD]]
        heapify(self._timers)
        ready.extend(of_world)

    def _make_ready(self) -> int:
        """Move what is due from the timers; if nothing is ready, let time jump; how much is ready then."""
        ready, timers, now = self._ready, self._timers, self.now_s
        while not ready or (timers and timers[0][WHEN] <= now):
            if not timers:
                raise RuntimeError("nothing is ready and no timer is set")
            handle = heappop(timers)
            if handle[CALLBACK] is not None:
                if handle[WHEN] > now:
                    self.now_s = now = handle[WHEN]
                ready.append(handle)
        return len(ready)

    def _work_off(self, count: int) -> None:
        ready = self._ready
        if count > 1 and self._shuffled:
            self._shuffle(count)
        self.steps += count
        if self.steps > MOST_STEPS:
            raise TooManySteps(f"after {self.steps} steps at {self.now_s:.3f} s")
        while count and ready:
            count -= 1
            handle = ready.popleft()
            _, _, callback, args, context, _ = handle
            if callback is None:
                continue
            if self.crash_after is not None:
                self._count_down(handle)
            try:
                context.run(callback, *args)
            except Exception as error:
                self.call_exception_handler({"message": f"exception in {callback}", "exception": error})
            if self.stopped:
                return

    def _count_down(self, handle: _Handle) -> None:
        assert self.crash_after is not None
        self.crash_after -= 1
        if self.crash_after <= 0:
            self._ready.appendleft(handle)
            raise Crash

    def _shuffle(self, count: int) -> None:
        """Change the order of the steps of tasks that have begun: tasks begin in the order in which they were made."""
        ready = self._ready
        places = []
        for index in range(count):
            task = getattr(ready[index][CALLBACK], "__self__", None)
            if type(task) is asyncio.Task and getattr(task.get_coro(), "cr_suspended", False):
                places.append(index)
        if len(places) < 2:
            return
        handles = [ready[index] for index in places]
        self._random.shuffle(handles)
        for index, handle in zip(places, handles, strict=True):
            ready[index] = handle
