"""Runs a plan: the public face of the backtest.

Rules of this file: whichever way it is run, and by however many processes, the result is the same.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from livebot.backtest.apart import run_apart
from livebot.backtest.engine import Progress, run_whole
from livebot.backtest.plain_lives import run_plain
from livebot.backtest.plan import BacktestPlan
from livebot.backtest.result import BacktestResult

__all__ = ["Progress", "run"]


def run(plan: BacktestPlan, progress: Progress | None = None, *, jobs: int = 1) -> BacktestResult:
    """All facts of the plan.  `progress` hears of minutes done and minutes in all.

    `jobs` is how many processes may work on it; more than one are used where symbols do not depend on each other.

    Raises:
        BadInput: a strategy fails or asks for more candles than there are, or candles are unfit; naming it and the mend.
        Fatal: one of the processes was ended from outside.

    """
    tell = progress or _nobody
    with _uncollected():
        result = run_apart(plan, _run_here, tell, jobs) if jobs > 1 else None
        return _run_here(plan, tell) if result is None else result


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles: facts are values, there are none among them, and each search looks at all of them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _run_here(plan: BacktestPlan, progress: Progress) -> BacktestResult:
    result = run_plain(plan, progress)
    return run_whole(plan, progress) if result is None else result


def _nobody(_done: int, _all: int) -> None:
    """Told to nobody."""
