"""Waiting for something, but not for ever, and not if something else happens.

Rules of this file: what is given up is cancelled and awaited; whose cancellation it is, is never swallowed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


def first_of(group: BaseExceptionGroup[Any]) -> BaseException:
    """The first error of a group: each task of the system is the daemon itself, and that is why it ends."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class Bell:
    """An event for one who waits for it again and again, and mostly in vain: that it does not come is no exception."""

    def __init__(self) -> None:
        """Silent."""
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def rung(self) -> bool:
        """Whether it has been rung since it was last silenced."""
        return self._rung

    def ring(self) -> None:
        """Wake who waits, or who will."""
        self._rung = True
        _wake(self._waiter)

    def silence(self) -> None:
        """Until it is rung again."""
        self._rung = False

    async def within(self, timeout_s: float) -> bool:
        """Wait until it is rung, but no longer than so long; says whether it is."""
        if not self._rung:
            loop = asyncio.get_running_loop()
            self._waiter = waiter = loop.create_future()
            timer = loop.call_later(timeout_s, _wake, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiter = None
        return self._rung


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def until_done(future: "asyncio.Future[Any]") -> None:
    """What becomes of it is its owner's to see."""
    await asyncio.wait((future,))


async def within(timeout_s: float, work: Callable[[], Awaitable[None]]) -> bool:
    """Do the work, but no longer than so long; says whether it was done."""
    try:
        async with asyncio.timeout(timeout_s):
            await work()
    except TimeoutError:
        return False
    return True


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do the work, unless the event happens first; says whether it was done.  Raises what the work raises."""
    doing, happening = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((doing, happening), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            return False
        await doing
        return True
    finally:
        doing.cancel()
        happening.cancel()
        await asyncio.wait((doing, happening))
