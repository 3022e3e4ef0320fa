"""Many pieces of work on one thing, in processes that are copies of this one.

Rules of this file: what all work on is sent once, by the fork itself, candles and all; Ctrl-C is for whoever
asked, who ends the copies at once; in which order pieces end is told, and nothing else depends on it.
"""

import multiprocessing
import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import ForkProcess
from typing import Any, TypeVar

from livebot.errors import Fatal

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")

_shared: list[Any] = []  # the work and what it works on, as the copies find them


def results_of(work: Callable[[S, T], R], shared: S, pieces: Sequence[T], jobs: int) -> Generator[tuple[int, R]]:
    """What `work(shared, piece)` gives, with the piece's place, as soon as it is there.

    One job, or one piece, is done in this process.  Who stops asking leaves the rest undone.

    Raises:
        Fatal: a copy was killed from outside; and whatever `work` raises.

    """
    if min(jobs, len(pieces)) <= 1:
        for place, piece in enumerate(pieces):
            yield place, work(shared, piece)
        return
    _shared[:] = (work, shared)
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(min(jobs, len(pieces)), mp_context=context, initializer=_leave_ctrl_c)
    try:
        running: dict[Future[R], int] = {pool.submit(_work_on, piece): place for place, piece in enumerate(pieces)}
        for done in as_completed(running):
            yield running[done], done.result()
    except BrokenProcessPool as error:
        raise Fatal(
            "a process that worked on this was ended from outside, most likely because memory ran out; "
            "try fewer with --jobs, or fewer candles"
        ) from error
    finally:
        _shared.clear()
        _end(pool)


def _leave_ctrl_c() -> None:
    """A Ctrl-C reaches the copies too; it is for whoever asked, who ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work_on(piece: Any) -> Any:  # noqa: ANN401 - whatever the work takes and gives
    work, shared = _shared
    return work(shared, piece)


def _end(pool: ProcessPoolExecutor) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    copies = [
        each for each in multiprocessing.active_children() if isinstance(each, ForkProcess)
    ]  # others are not ours
    for copy in copies:
        copy.kill()  # there is nothing that they would have to tidy up
    for copy in copies:
        copy.join()
