"""One task per symbol: failures stay at home, come back after a while, and end in quarantine."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any, Self

import pytest

from livebot.errors import Fatal, Rejected
from livebot.runtime.settings import RestartSettings, RunMode, RuntimeSettings
from livebot.runtime.supervision.supervisor import ChildState, Supervisor
from tests.virtual_loop import run, settle

A, B, C = "A/USDT", "B/USDT", "C/USDT"
RESTARTS = RestartSettings(maximum=2, window_s=100.0, backoff_s=1.0, backoff_maximum_s=8.0)
SETTINGS = RuntimeSettings(restarts=RESTARTS)


class Stage:
    """Plays the workers: `scripts` says what run and guard do for a symbol, `log` what was called and when."""

    def __init__(self, symbols: tuple[str, ...] = (A, B, C), **options: Any) -> None:
        self.log: list[tuple[str, str]] = []
        self.times: dict[str, list[float]] = {}
        self.scripts: dict[str, Callable[[], Awaitable[None]]] = {}
        self.guards: dict[str, Callable[[], Awaitable[None]]] = {}
        self.errors: list[tuple[str, str]] = []
        self.evict: Callable[[str], None] = lambda symbol: self.log.append(("evict", symbol))
        self.report: Callable[[str, BaseException], None] = lambda symbol, error: self.errors.append(
            (symbol, str(error))
        )
        self.on_quarantine: Callable[[str, str], Awaitable[None]] = self.quarantined
        self.reasons: dict[str, str] = {}
        options.setdefault("settings", SETTINGS)
        self.supervisor = Supervisor(
            symbols,
            run=self.run,
            guard=self.guard,
            # looked up when called, because a test may replace them
            evict=lambda symbol: self.evict(symbol),
            on_quarantine=lambda symbol, why: self.on_quarantine(symbol, why),
            report=lambda symbol, error: self.report(symbol, error),
            rng=random.Random(1),
            **options,
        )
        self.task: asyncio.Task[None] | None = None

    async def run(self, symbol: str) -> None:
        self.log.append(("run", symbol))
        self.times.setdefault(symbol, []).append(asyncio.get_running_loop().time())
        await self.scripts.get(symbol, forever)()

    async def guard(self, symbol: str) -> None:
        self.log.append(("guard", symbol))
        await self.guards.get(symbol, forever)()

    async def quarantined(self, symbol: str, why: str) -> None:
        self.reasons[symbol] = why

    def states(self) -> dict[str, ChildState]:
        return {symbol: self.supervisor.status(symbol).state for symbol in (A, B, C)}

    def calls(self, what: str) -> list[str]:
        return [symbol for kind, symbol in self.log if kind == what]

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.supervisor.run(), name="supervisor")
        await settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert () == await self.supervisor.stop(5.0)
        assert self.task is not None
        await self.task


async def forever() -> None:
    await asyncio.Event().wait()


async def nothing() -> None:
    """Return at once."""


async def fail() -> None:
    raise ValueError("broken")


async def fail_fatally() -> None:
    raise Fatal("the disk is full")


def play(scene: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """A test in virtual time."""

    def test() -> None:
        async def main() -> None:
            await scene()

        run(main())

    test.__doc__ = scene.__doc__
    return test


# Failing


@play
async def test_a_failure_reaches_no_sibling():
    """It is reported, the instance is evicted, and the symbol waits to come back; the others run on, undisturbed."""
    stage = Stage()
    stage.scripts[B] = fail
    async with stage:
        assert {A: ChildState.RUNNING, B: ChildState.BACKING_OFF, C: ChildState.RUNNING} == stage.states()
        assert [("run", A), ("run", B), ("evict", B), ("run", C)] == stage.log
        assert [(B, "broken")] == stage.errors
        status = stage.supervisor.status(B)
        assert ("ValueError: broken", 1) == (status.last_error, status.restarts)


@play
async def test_each_symbol_has_a_task_of_its_own_name():
    async with Stage():
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert {f"symbol:{symbol}" for symbol in (A, B, C)} <= names


@play
async def test_a_failed_symbol_comes_back_later_each_time():
    """The wait doubles up to the maximum, and jitter takes away at most half of it."""
    settings = RuntimeSettings(restarts=RestartSettings(maximum=6, window_s=1e6, backoff_s=1.0, backoff_maximum_s=8.0))
    stage = Stage(settings=settings)
    stage.scripts[A] = fail
    async with stage:
        await asyncio.sleep(60)
        times = stage.times[A]
        waits = [later - earlier for earlier, later in pairwise(times)]
        assert 6 == len(waits)
        for wait, longest in zip(waits, [1, 2, 4, 8, 8, 8], strict=True):
            assert longest / 2 <= wait <= longest
        assert ChildState.GUARDED is stage.states()[A]
        assert 6 == stage.supervisor.restarts()


@play
async def test_too_many_failures_in_the_window_end_in_quarantine():
    stage = Stage()
    stage.scripts[A] = fail
    async with stage:
        await asyncio.sleep(20)
        assert 3 == len(stage.calls("run")) - 2
        assert {A: "failed 3 times within 100 s, last: ValueError: broken"} == stage.reasons
        assert [A] == stage.calls("guard")
        assert {A: ChildState.GUARDED, B: ChildState.RUNNING, C: ChildState.RUNNING} == stage.states()
        assert ("evict", A) == stage.log[-2]


@play
async def test_failures_that_are_far_apart_do_not_add_up():
    async def run_a_while_and_fail() -> None:
        await asyncio.sleep(60)
        raise ValueError("again")

    stage = Stage()
    stage.scripts[A] = run_a_while_and_fail
    async with stage:
        await asyncio.sleep(3600)
        assert {} == stage.reasons
        assert 50 < len(stage.times[A])


@play
async def test_a_fatal_failure_is_quarantined_at_once():
    stage = Stage()
    stage.scripts[A] = fail_fatally
    async with stage:
        assert {A: "Fatal: the disk is full"} == stage.reasons
        assert 1 == len(stage.times[A])
        assert 0 == stage.supervisor.status(A).restarts


@play
async def test_a_run_that_fails_before_its_first_await_is_a_failure_like_any_other():
    def fail_at_once(symbol: str) -> Awaitable[None]:
        raise ValueError(symbol)

    stage = Stage()
    stage.supervisor._run = fail_at_once
    async with stage:
        assert ChildState.BACKING_OFF is stage.states()[A]


@play
async def test_what_cannot_be_evicted_does_not_run_again():
    """A restart that keeps the broken instance would restart the failure."""

    def refuse(symbol: str) -> None:
        raise KeyError(symbol)

    stage = Stage()
    stage.scripts[A] = fail
    stage.evict = refuse
    async with stage:
        await asyncio.sleep(50)
        assert 1 == len(stage.times[A])
        assert {A: "cannot be evicted: KeyError: 'A/USDT'"} == stage.reasons
        assert ChildState.GUARDED is stage.states()[A]


@play
async def test_a_reporter_that_raises_stops_nothing():
    def refuse(symbol: str, error: BaseException) -> None:
        raise RuntimeError("no")

    stage = Stage()
    stage.scripts[A] = fail
    stage.report = refuse
    async with stage:
        await asyncio.sleep(1)
        assert 2 == len(stage.times[A])


def test_what_is_no_ordinary_error_ends_everything():
    """KeyboardInterrupt and its like are not a symbol's failure."""

    class Alarm(BaseException):
        pass

    async def ring() -> None:
        raise Alarm

    async def main() -> None:
        stage = Stage()
        stage.scripts[B] = ring
        await stage.supervisor.run()

    with pytest.raises(BaseExceptionGroup) as caught:
        run(main())
    assert [Alarm] == [type(error) for error in caught.value.exceptions]


# The guard


@play
async def test_a_guard_comes_back_for_ever():
    """It may watch over an open position; it waits longer each time, but never longer than the maximum."""
    failures = 0

    async def fail_to_guard() -> None:
        nonlocal failures
        failures += 1
        raise ValueError("no answer")

    stage = Stage()
    stage.scripts[A] = fail_fatally
    stage.guards[A] = fail_to_guard
    async with stage:
        await asyncio.sleep(800)
        assert 100 <= failures <= 210
        assert "guard: ValueError: no answer" == stage.supervisor.status(A).last_error
        assert ChildState.RUNNING is stage.states()[B]


@play
async def test_a_guard_with_nothing_left_to_guard_ends():
    stage = Stage()
    stage.scripts[A] = fail_fatally
    stage.guards[A] = nothing
    async with stage:
        await asyncio.sleep(60)
        assert [A] == stage.calls("guard")
        assert ChildState.QUARANTINED is stage.states()[A]


@play
async def test_a_quarantine_that_cannot_be_announced_is_guarded_all_the_same():
    async def refuse(symbol: str, why: str) -> None:
        raise OSError("read-only")

    stage = Stage()
    stage.scripts[A] = fail_fatally
    stage.on_quarantine = refuse
    async with stage:
        assert [A] == stage.calls("guard")
        assert [(A, "the disk is full"), (A, "read-only")] == stage.errors


@play
async def test_a_quarantine_from_before_the_restart_of_the_daemon_goes_on():
    stage = Stage(quarantined={B: "failed 6 times"})
    async with stage:
        assert [A, C] == stage.calls("run")
        assert [B] == stage.calls("guard")
        assert {} == stage.reasons
        assert "failed 6 times" == stage.supervisor.status(B).last_error


# By order of the operator


@play
async def test_restart_lifts_a_quarantine_and_forgets_the_failures():
    stage = Stage()
    stage.scripts[A] = fail
    async with stage:
        await asyncio.sleep(20)
        stage.scripts[A] = forever
        stage.supervisor.restart([A])
        await settle()
        assert ChildState.RUNNING is stage.states()[A]
        assert [("evict", A), ("run", A)] == stage.log[-2:]
        assert [A] == stage.calls("guard")


@play
async def test_a_symbol_that_is_quarantined_again_is_announced_again():
    stage = Stage()
    stage.scripts[A] = fail_fatally
    async with stage:
        stage.reasons.clear()
        stage.supervisor.restart([A])
        await settle()
        assert {A: "Fatal: the disk is full"} == stage.reasons


@play
async def test_restart_of_a_running_symbol_evicts_it_and_runs_it_again():
    async with Stage() as stage:
        stage.supervisor.restart([B])
        stage.supervisor.restart([B])
        await settle()
        assert [("evict", B), ("run", B)] == stage.log[3:]
        assert (ChildState.RUNNING, 1) == (stage.states()[B], stage.supervisor.status(B).restarts)


@pytest.mark.parametrize("answer", ["returns", "raises"])
def test_restart_of_a_worker_that_answers_a_cancellation_in_its_own_way(answer):
    """Whatever it does instead of passing the cancellation on, it runs again."""

    async def stubborn() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            if answer == "raises":
                raise ValueError("while cleaning up") from None

    async def main() -> None:
        stage = Stage()
        stage.scripts[A] = stubborn
        async with stage:
            stage.supervisor.restart([A])
            await settle()
            assert 2 == len(stage.times[A])
            assert ChildState.RUNNING is stage.states()[A]
            assert ([] if answer == "returns" else [(A, "while cleaning up")]) == stage.errors
            stage.scripts[A] = forever

    run(main())


@play
async def test_restart_cuts_a_backoff_short():
    stage = Stage()
    stage.scripts[A] = fail
    async with stage:
        stage.scripts[A] = forever
        stage.supervisor.restart([A])
        await settle()
        assert ChildState.RUNNING is stage.states()[A]
        assert [0.0, 0.0] == stage.times[A]


@play
async def test_restart_of_a_symbol_that_is_done_starts_it_again():
    stage = Stage()
    stage.scripts[A] = nothing
    async with stage:
        assert ChildState.DONE is stage.states()[A]
        stage.supervisor.restart([A])
        await settle()
        assert [A, B, C, A] == stage.calls("run")


@play
async def test_restart_of_a_waiting_symbol_changes_nothing():
    async with Stage(settings=RuntimeSettings(max_concurrent_symbols=1)) as stage:
        stage.supervisor.restart([B])
        await settle()
        assert ChildState.WAITING is stage.states()[B]


@play
async def test_restart_is_refused_for_an_unknown_symbol_or_at_the_wrong_time():
    stage = Stage()
    with pytest.raises(Rejected, match="have not been started"):
        stage.supervisor.restart([A])
    async with stage:
        with pytest.raises(Rejected, match="X/USDT is not one"):
            stage.supervisor.restart([A, "X/USDT"])
        assert [A, B, C] == stage.calls("run")
    with pytest.raises(Rejected, match="stopping"):
        stage.supervisor.restart([A])


# Turns


@play
async def test_symbols_with_open_signals_get_the_first_turns():
    stage = Stage(settings=RuntimeSettings(max_concurrent_symbols=2), first={C})
    async with stage:
        assert [C, A] == stage.calls("run")
        assert ChildState.WAITING is stage.states()[B]


@play
async def test_one_after_another_in_sequential_mode():
    async def work() -> None:
        await asyncio.sleep(10)

    stage = Stage(settings=RuntimeSettings(mode=RunMode.SEQUENTIAL, max_concurrent_symbols=3))
    stage.scripts = dict.fromkeys((A, B, C), work)
    await stage.supervisor.run()
    assert {A: [0.0], B: [10.0], C: [20.0]} == stage.times
    assert dict.fromkeys((A, B, C), ChildState.DONE) == stage.states()


@play
async def test_a_quarantined_symbol_does_not_keep_the_others_waiting():
    """A failing one keeps its turn while it backs off; in quarantine it gives it to the next."""
    stage = Stage(settings=RuntimeSettings(mode=RunMode.SEQUENTIAL, restarts=RESTARTS))
    stage.scripts[A] = fail
    async with stage:
        assert ChildState.WAITING is stage.states()[B]
        await asyncio.sleep(20)
        assert {A: ChildState.GUARDED, B: ChildState.RUNNING, C: ChildState.WAITING} == stage.states()


@play
async def test_the_guard_watches_on_until_the_restarted_symbol_has_its_turn():
    stage = Stage(settings=RuntimeSettings(mode=RunMode.SEQUENTIAL, restarts=RESTARTS))
    leave = asyncio.Event()
    stage.scripts[A] = fail_fatally

    async def until_told() -> None:
        await leave.wait()

    stage.scripts[B] = stage.scripts[C] = until_told
    async with stage:
        stage.scripts[A] = forever
        stage.supervisor.restart([A])
        await settle()
        assert ChildState.GUARDED is stage.states()[A]
        leave.set()
        await settle()
        assert ChildState.RUNNING is stage.states()[A]


# Stopping


@play
async def test_stop_cancels_all_in_order():
    stopped: list[str] = []
    stage = Stage(settings=RuntimeSettings(max_concurrent_symbols=2))

    def until_cancelled(symbol: str) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            try:
                await forever()
            finally:
                stopped.append(symbol)

        return work

    stage.scripts = {symbol: until_cancelled(symbol) for symbol in (A, B, C)}
    async with stage:
        assert () == await stage.supervisor.stop(1.0)
        assert [A, B] == stopped
        assert dict.fromkeys((A, B, C), ChildState.STOPPED) == stage.states()


@play
async def test_stop_asks_those_that_run_and_cancels_the_rest():
    """Quarantined, waiting and failing ones have nothing to finish."""
    leave = asyncio.Event()
    finished: list[str] = []
    stage = Stage(quarantined={B: "so"})

    async def until_asked() -> None:
        await leave.wait()
        await asyncio.sleep(3)
        finished.append(A)

    stage.scripts = {A: until_asked, C: fail}
    asked: list[str] = []
    async with stage:

        def ask(symbol: str) -> None:
            asked.append(symbol)
            leave.set()

        assert () == await stage.supervisor.stop(5.0, ask=ask)
        assert ([A], [A]) == (asked, finished)
        assert dict.fromkeys((A, B, C), ChildState.STOPPED) == stage.states()


@play
async def test_who_does_not_answer_in_time_is_cancelled():
    def ask(symbol: str) -> None:
        if symbol == B:
            raise RuntimeError("no inbox")

    async with Stage() as stage:
        loop = asyncio.get_running_loop()
        assert () == await stage.supervisor.stop(5.0, ask=ask)
        assert 5.0 == pytest.approx(loop.time())


@play
async def test_cancel_cuts_a_stop_short():
    async with Stage() as stage:
        stopping = asyncio.create_task(stage.supervisor.stop(1000.0, ask=lambda _: None))
        await settle()
        stage.supervisor.cancel()
        assert () == await stopping
        assert 0.0 == asyncio.get_running_loop().time()


@play
async def test_who_does_not_end_at_all_is_named():
    release = asyncio.Event()

    async def swallow() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    stage = Stage()
    stage.scripts[B] = swallow
    async with stage:
        assert (B,) == await stage.supervisor.stop(5.0)
        release.set()
        await settle()
        assert ChildState.STOPPED is stage.states()[B]


@play
async def test_a_cancellation_answered_with_an_error_is_a_cancellation():
    """The error is in the log; the symbol is not restarted into a stopping daemon."""

    async def fail_when_cancelled() -> None:
        try:
            await forever()
        finally:
            raise ValueError("cannot save")

    stage = Stage()
    stage.scripts[A] = fail_when_cancelled
    async with stage:
        pass
    assert [] == stage.errors
    assert ChildState.STOPPED is stage.states()[A]


@play
async def test_a_restart_and_a_stop_at_once_stop():
    async with Stage() as stage:
        stage.supervisor.restart([A])
        assert () == await stage.supervisor.stop(5.0)
        assert [A, B, C] == stage.calls("run")


@play
async def test_a_symbol_that_was_never_run_is_stopped():
    stage = Stage()
    task = asyncio.create_task(stage.supervisor.run())
    await asyncio.sleep(0)
    assert () == await stage.supervisor.stop(5.0)
    await task
    assert [] == stage.log
    assert dict.fromkeys((A, B, C), ChildState.STOPPED) == stage.states()


@play
async def test_with_no_symbol_it_is_over_at_once():
    stage = Stage(())
    await stage.supervisor.run()
    assert () == await stage.supervisor.stop(1.0)
