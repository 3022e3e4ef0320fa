"""Symbols that are added to a running supervisor, and ended for good."""

import asyncio
from dataclasses import replace

import pytest

from livebot.errors import Rejected
from livebot.runtime.settings import RunMode
from livebot.runtime.supervisor import ChildState
from tests.runtime.test_supervisor import SETTINGS, A, B, C, Stage, fail, nothing, play
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
