"""OS signals: the first stops, the second hurries, the third does nothing."""

import asyncio
import os
import signal
from collections.abc import Callable

import pytest
import uvloop

from livebot.runtime.shutdown import Shutdown, surviving_hangups
from tests.virtual_loop import REAL_WAIT_S, run

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


async def send(number: signal.Signals, seen: Callable[[], bool] = lambda: True) -> None:
    """To ourselves, really; and let the loop see it, however late it hands over what it was told."""
    os.kill(os.getpid(), number)
    await asyncio.sleep(0.01)
    async with asyncio.timeout(REAL_WAIT_S):
        while not seen():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_the_second_hurries_the_third_does_nothing(loop, first):
    async def main() -> None:
        closed = []
        with Shutdown(close_gate=lambda: closed.append(shutdown.stopping.is_set())) as shutdown:
            await send(first, shutdown.stopping.is_set)
            assert not shutdown.hurry.is_set()
            assert [False] == closed, "the gate closes before anyone hears of the stop"
            assert first.name == shutdown.cause
            await send(signal.SIGTERM, shutdown.hurry.is_set)
            await send(signal.SIGINT)
            assert [False] == closed

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_handlers_are_given_back_as_they_were(loop):
    def mine(*_: object) -> None:
        """A handler from before."""

    async def main() -> None:
        with Shutdown(close_gate=lambda: None, reload=lambda: None):
            assert signal.getsignal(signal.SIGTERM) is not mine

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGTERM, mine)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(main())
        assert mine is signal.getsignal(signal.SIGTERM)
        assert signal.SIG_IGN is signal.getsignal(signal.SIGINT)
        assert before[signal.SIGHUP] is signal.getsignal(signal.SIGHUP)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_sighup_reloads_and_stops_nothing():
    async def main() -> None:
        reloads = []
        with Shutdown(close_gate=lambda: None, reload=lambda: reloads.append(1)) as shutdown:
            await send(signal.SIGHUP, lambda: bool(reloads))
            assert [1] == reloads
            assert not shutdown.stopping.is_set()

    asyncio.run(main())


def noted(*_: object) -> None:
    """Somebody else's handler."""


def test_hang_ups_end_nobody_before_and_after_there_is_somebody_who_reloads():
    async def main() -> None:
        reloads = []
        await send(signal.SIGHUP)
        with Shutdown(close_gate=lambda: None, reload=lambda: reloads.append(1)):
            await send(signal.SIGHUP, lambda: bool(reloads))
        await send(signal.SIGHUP)
        assert [1] == reloads

    present = signal.getsignal(signal.SIGHUP)
    try:
        for before, afterwards in ((signal.SIG_DFL, signal.SIG_IGN), (noted, noted)):
            signal.signal(signal.SIGHUP, before)
            with surviving_hangups():
                asyncio.run(main())
            assert signal.getsignal(signal.SIGHUP) == afterwards  # a process that ends has not been hung up
    finally:
        signal.signal(signal.SIGHUP, present)


def test_a_gate_that_cannot_be_closed_does_not_keep_the_daemon_running():
    async def main() -> None:
        shutdown = Shutdown(close_gate=lambda: 1 / 0)  # type: ignore[arg-type]
        with pytest.raises(ZeroDivisionError):
            shutdown.request("SIGTERM")
        assert shutdown.stopping.is_set()

    run(main())


def test_a_pause_is_cut_short_by_hurry():
    async def main() -> None:
        loop, shutdown = asyncio.get_running_loop(), Shutdown(close_gate=lambda: None)
        assert not await shutdown.pause(5.0)
        assert 5.0 == pytest.approx(loop.time())
        shutdown.request("one")
        loop.call_later(2.0, shutdown.request, "two")
        assert await shutdown.pause(1000.0)
        assert 7.0 == pytest.approx(loop.time())

    run(main())


def test_a_handler_that_was_not_set_from_python_is_left_to_the_default(monkeypatch):
    async def main() -> None:
        with Shutdown(close_gate=lambda: None):
            pass

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    try:
        asyncio.run(main())
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, signal.default_int_handler)
