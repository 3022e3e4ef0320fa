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
