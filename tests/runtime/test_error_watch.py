"""Errors of all symbols together: how many move trading, and how it comes back."""

import asyncio

from livebot.runtime.portfolio.error_watch import ORDER_ERRORS, WORKER_FAILURES, ErrorWatch, ErrorWatches
from livebot.runtime.settings import ErrorBudget, StateAction, TradingStateSettings
from tests.virtual_loop import run


class Desk:
    """A watch, and what it did."""

    def __init__(self, *, maximum: int = 3, action: StateAction = StateAction.REDUCE) -> None:
        self.causes: list[tuple[str, str | None]] = []
        self.halts: list[str] = []
        budget = ErrorBudget(maximum=maximum, window_s=60.0, cooldown_s=100.0, action=action)
        self.watch = ErrorWatch(ORDER_ERRORS, budget, lambda *each: self.causes.append(each), self.halts.append)

    def fail(self, count: int) -> None:
        for _ in range(count):
            self.watch.count("BTC/USDT: no answer")


def test_one_error_more_than_allowed_within_the_window_reduces():
    """So many are allowed; the sentence says which setting it was and what failed last."""

    async def main() -> None:
        desk = Desk()
        desk.fail(3)
        assert desk.causes == []
        desk.fail(1)
        assert desk.causes == [
            (
                "order_errors",
                "more than 3 orders failed within 60 s (risk.trading_states.order_errors), "
                "the last: BTC/USDT: no answer",
            )
        ]
        desk.watch.close()

    run(main())


def test_errors_further_apart_than_the_window_are_fine():
    async def main() -> None:
        desk = Desk()
        for _ in range(20):
            desk.fail(1)
            await asyncio.sleep(20.0)  # three within any minute
        assert desk.causes == []

    run(main())


def test_it_passes_so_long_after_the_last_error_that_was_too_many():
    """Errors that go on put it off."""

    async def main() -> None:
        desk = Desk()
        desk.fail(4)
        await asyncio.sleep(50)
        desk.fail(1)
        await asyncio.sleep(99)
        assert all(sentence is not None for _, sentence in desk.causes)
        await asyncio.sleep(2)
        assert desk.causes[-1] == ("order_errors", None)
        count = len(desk.causes)
        await asyncio.sleep(1_000)
        assert len(desk.causes) == count
        desk.watch.close()

    run(main())


def test_what_halts_is_left_to_the_operator_and_counts_anew():
    """Else the first error after a lifted halt would halt it again."""

    async def main() -> None:
        desk = Desk(action=StateAction.HALT)
        desk.fail(4)
        assert len(desk.halts) == 1
        assert desk.causes == []
        desk.fail(3)
        assert len(desk.halts) == 1
        desk.fail(1)
        assert len(desk.halts) == 2

    run(main())


def test_without_a_budget_nothing_is_counted():
    async def main() -> None:
        causes: list[tuple[str, str | None]] = []
        watches = ErrorWatches(TradingStateSettings(), lambda *each: causes.append(each), lambda _: None)
        for _ in range(1_000):
            watches.orders.count("x")
            watches.workers.count("x")
        watches.close()
        assert causes == []

    run(main())


def test_failures_of_workers_are_told_by_their_own_name():
    async def main() -> None:
        halts: list[str] = []
        budget = ErrorBudget(maximum=1, window_s=600.0, cooldown_s=600.0, action=StateAction.HALT)
        watches = ErrorWatches(TradingStateSettings(worker_failures=budget), lambda *_: None, halts.append)
        watches.workers.count("BTC: RuntimeError: x")
        watches.workers.count("ETH: RuntimeError: y")
        assert halts == [
            f"more than 1 workers failed within 600 s (risk.trading_states.{WORKER_FAILURES}), "
            "the last: ETH: RuntimeError: y"
        ]

    run(main())
