"""Symbols that are added to a running supervisor, and ended for good."""

import asyncio
from dataclasses import replace

import pytest

from livebot.errors import Rejected
from livebot.runtime.settings import RunMode
from livebot.runtime.supervision.supervisor import ChildState
from tests.runtime.test_supervisor import SETTINGS, A, B, C, Stage, fail, forever, nothing, play
from tests.virtual_loop import settle

D = "D/USDT"


@play
async def test_it_stays_when_all_are_done_and_takes_more():
    stage = Stage(stays=True)
    for symbol in (A, B, C):
        stage.scripts[symbol] = nothing
    async with stage:
        assert set(stage.states().values()) == {ChildState.DONE}
        assert not stage.task.done()
        stage.supervisor.add(D)
        await settle()
        assert stage.supervisor.status(D).state is ChildState.RUNNING
        stage.supervisor.restart((A,))  # also when all others have ended
        await settle()
        assert stage.calls("run").count(A) == 2
    assert stage.task.done()


@play
async def test_without_staying_it_ends_with_the_last():
    stage = Stage()
    for symbol in (A, B, C):
        stage.scripts[symbol] = nothing
    async with stage:
        assert stage.task.done()
        with pytest.raises(Rejected, match="have not been started"):
            stage.supervisor.restart((A,))


@play
async def test_one_is_asked_to_end_and_cancelled_if_it_does_not():
    stage = Stage(stays=True)
    asked, told = [], asyncio.Event()

    async def until_told():
        await told.wait()

    stage.scripts[A] = until_told

    def ask(symbol):
        asked.append(symbol)
        told.set()

    async with stage:
        assert await stage.supervisor.retire(A, ask, 5.0)
        assert asked == [A]
        assert stage.supervisor.status(A).state is ChildState.DONE
        begun = asyncio.get_running_loop().time()
        assert await stage.supervisor.retire(B, lambda _: None, 5.0)  # does not listen
        assert asyncio.get_running_loop().time() - begun == 5.0
        assert await stage.supervisor.retire(A, ask, 5.0)  # has ended already
        stage.supervisor.forget(A)
        stage.supervisor.forget(B)
        for call in (stage.supervisor.ended, stage.supervisor.forget):
            with pytest.raises(Rejected, match="is not one of this system's symbols"):
                call(A)
        assert not stage.supervisor.ended(C)


@play
async def test_one_that_cannot_be_ended_is_said_to_live():
    stage = Stage(stays=True)
    released = asyncio.Event()

    async def stubborn():
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        raise asyncio.CancelledError

    stage.scripts[A] = stubborn
    async with stage:
        assert not await stage.supervisor.retire(A, lambda _: None, 1.0)
        released.set()
        await settle()
        assert stage.supervisor.ended(A)


@play
async def test_one_that_waits_backs_off_or_is_guarded_is_cancelled_at_once():
    stage = Stage(stays=True, quarantined={A: "it failed before"})
    stage.scripts[B] = fail
    async with stage:
        begun = asyncio.get_running_loop().time()
        assert stage.states()[A] is ChildState.GUARDED
        assert stage.states()[B] is ChildState.BACKING_OFF
        for symbol in (A, B):
            assert await stage.supervisor.retire(symbol, lambda _: None, 5.0)
        assert asyncio.get_running_loop().time() == begun


@play
async def test_turns_are_bounded_or_there_is_one_for_each():
    bounded = Stage((A, B), stays=True, settings=replace(SETTINGS, max_concurrent_symbols=2))
    async with bounded:
        bounded.supervisor.add(D)
        await settle()
        assert bounded.supervisor.status(D).state is ChildState.WAITING
        await bounded.supervisor.retire(A, lambda _: None, 1.0)
        await settle()
        assert bounded.supervisor.status(D).state is ChildState.RUNNING
    free = Stage((), stays=True)
    async with free:
        for symbol in (A, B, C):
            free.supervisor.add(symbol)
        await settle()
        assert set(free.states().values()) == {ChildState.RUNNING}
    sequential = Stage((A,), stays=True, settings=replace(SETTINGS, mode=RunMode.SEQUENTIAL))
    async with sequential:
        sequential.supervisor.add(B)
        await settle()
        assert sequential.supervisor.status(B).state is ChildState.WAITING


@play
async def test_one_that_is_added_in_quarantine_is_guarded():
    stage = Stage(stays=True)
    async with stage:
        stage.supervisor.add(D, "its file was damaged")
        await settle()
        assert stage.supervisor.status(D).state is ChildState.GUARDED
        assert stage.supervisor.status(D).last_error == "its file was damaged"
        assert stage.reasons == {}  # it is known already


@play
async def test_one_that_is_added_before_the_start_or_after_the_end_is_not_started_by_that():
    stage = Stage((A,), stays=True)
    stage.supervisor.add(B)
    assert stage.calls("run") == []
    async with stage:
        assert stage.calls("run") == [A, B]
    stage.supervisor.add(C)
    await settle()
    assert stage.calls("run") == [A, B]
    assert stage.supervisor.ended(C)


# ---------------------------------------------------------------- another run, by order


@play
async def test_a_run_is_renewed_once_it_has_returned_and_nobody_else_is():
    stage = Stage()
    told = asyncio.Event()

    async def until_told():
        await told.wait()
        await asyncio.sleep(2)  # it finishes what is at hand

    stage.scripts[A] = until_told
    async with stage:
        begun = asyncio.get_running_loop().time()
        await stage.supervisor.renew(A, lambda _: told.set(), 5.0)
        assert asyncio.get_running_loop().time() - begun == 2.0
        stage.scripts[A] = forever
        told.clear()
        await settle()
        assert stage.log[-2:] == [("evict", A), ("run", A)]
        assert stage.calls("run") == [A, B, C, A]
        assert stage.supervisor.status(A).state is ChildState.RUNNING
        assert stage.supervisor.restarts() == 0, "nothing has failed, and nobody has to look"
        assert not stage.task.done(), "it was never over"


@play
async def test_a_run_that_does_not_return_is_cancelled_for_the_next_one():
    stage = Stage()
    async with stage:
        begun = asyncio.get_running_loop().time()
        await stage.supervisor.renew(A, lambda _: None, 5.0)
        assert asyncio.get_running_loop().time() - begun == 5.0
        await settle()
        assert stage.calls("run") == [A, B, C, A]
        assert stage.calls("evict") == [A]


@play
async def test_a_run_that_cannot_be_asked_is_cancelled_at_once():
    def broken(_):
        raise KeyError(A)

    stage = Stage()
    async with stage:
        await stage.supervisor.renew(A, broken, 5.0)
        assert asyncio.get_running_loop().time() == 0.0
        await settle()
        assert stage.calls("run") == [A, B, C, A]


@play
async def test_a_run_that_fails_when_it_is_asked_comes_back_after_its_backoff():
    stage, told = Stage(), asyncio.Event()

    async def until_told():
        await told.wait()
        raise ValueError("broken")

    stage.scripts[A] = until_told
    async with stage:
        await stage.supervisor.renew(A, lambda _: told.set(), 5.0)
        assert stage.supervisor.status(A).state is ChildState.BACKING_OFF
        stage.scripts[A] = forever
        await asyncio.sleep(10)
        assert stage.calls("run") == [A, B, C, A]
        assert [symbol for symbol, _ in stage.errors] == [A]


@play
async def test_who_waits_or_sits_out_is_not_started_by_a_renewal():
    settings = replace(SETTINGS, max_concurrent_symbols=1)
    stage = Stage(settings=settings, quarantined={C: "bad"})
    async with stage:
        for symbol in (B, C):
            await stage.supervisor.renew(symbol, lambda _: None, 5.0)
        assert stage.calls("run") == [A]
        assert stage.calls("evict") == [B], "its guard works on with what it has"
        assert stage.supervisor.status(C).state is ChildState.GUARDED
        with pytest.raises(Rejected, match="is not one"):
            await stage.supervisor.renew(D, lambda _: None, 5.0)


@play
async def test_one_that_is_done_stays_done_and_begins_afresh_when_it_is_restarted():
    stage = Stage(stays=True)
    stage.scripts[A] = nothing
    async with stage:
        await stage.supervisor.renew(A, lambda _: None, 5.0)
        assert stage.supervisor.status(A).state is ChildState.DONE
        assert stage.calls("evict") == [A]


@play
async def test_a_stop_during_a_renewal_ends_both():
    stage = Stage()
    async with stage:
        renewing = asyncio.create_task(stage.supervisor.renew(A, lambda _: None, 60.0))
        await asyncio.sleep(1)
        await stage.supervisor.stop(5.0)
        await renewing
        assert asyncio.get_running_loop().time() < 20
        assert stage.calls("run") == [A, B, C]
