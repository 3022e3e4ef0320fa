"""How often something goes wrong, over all symbols together, and what becomes of trading when that is too often.

Rules of this file: no more times are remembered than are needed to tell; what reduces passes by itself when its cooldown
is over, what halts begins its count anew, since an operator has looked into it.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from livebot.runtime.settings import ErrorBudget, StateAction, TradingStateSettings

ORDER_ERRORS, WORKER_FAILURES = "order_errors", "worker_failures"
WHAT = {ORDER_ERRORS: "orders failed", WORKER_FAILURES: "workers failed"}


class ErrorWatches:
    """Both kinds; see ErrorWatch."""

    def __init__(
        self, settings: TradingStateSettings, cause: Callable[[str, str | None], None], latch: Callable[[str], None]
    ) -> None:
        """Nothing has gone wrong."""
        self.orders = ErrorWatch(ORDER_ERRORS, settings.order_errors, cause, latch)
        self.workers = ErrorWatch(WORKER_FAILURES, settings.worker_failures, cause, latch)

    def close(self) -> None:
        """Nothing passes any more."""
        self.orders.close()
        self.workers.close()


class ErrorWatch:
    """One for each kind of error; None as budget: nothing is counted.

    `cause(source, sentence)` reduces trading and None as sentence lifts that; `latch(reason)` halts it.
    """

    def __init__(
        self,
        source: str,
        budget: ErrorBudget | None,
        cause: Callable[[str, str | None], None],
        latch: Callable[[str], None],
    ) -> None:
        """Nothing has gone wrong."""
        self._source = source
        self._budget = budget
        self._cause = cause
        self._latch = latch
        self._times_s: deque[float] = deque(maxlen=1 if budget is None else budget.maximum + 1)
        self._passing: asyncio.TimerHandle | None = None

    def count(self, example: str) -> None:
        """Something went wrong just now; `example` says what."""
        budget = self._budget
        if budget is None:
            return
        now_s, times_s = asyncio.get_running_loop().time(), self._times_s
        times_s.append(now_s)
        if len(times_s) <= budget.maximum or times_s[0] <= now_s - budget.window_s:
            return
        text = (
            f"more than {budget.maximum} {WHAT[self._source]} within {budget.window_s:g} s (risk.trading_states."
            f"{self._source}), the last: {example}"
        )
        if budget.action is StateAction.HALT:
            times_s.clear()
            self._latch(text)
        else:
            self._reduce(text, budget.cooldown_s)

    def close(self) -> None:
        """Nothing passes any more."""
        if self._passing is not None:
            self._passing.cancel()
            self._passing = None

    def _reduce(self, text: str, cooldown_s: float) -> None:
        self.close()
        self._passing = asyncio.get_running_loop().call_later(cooldown_s, self._passed)
        self._cause(self._source, text)

    def _passed(self) -> None:
        self._passing = None
        self._cause(self._source, None)
