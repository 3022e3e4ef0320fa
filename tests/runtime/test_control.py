"""The operator's commands: durable before they are answered, refused with a sentence where they cannot be carried out."""

import asyncio

import pytest

from livebot.adapters.log.logs import log_level
from livebot.core.denial import TradingState
from livebot.errors import Rejected
from livebot.runtime.operator.control import Control
from livebot.runtime.supervision.supervisor import ChildState
from livebot.simulator.faults import FaultKind
from livebot.simulator.synthetic import symbol_names
from tests.runtime.harness import BTC, ETH, SOL, World, always, never, once, run
from tests.virtual_loop import settle


def quiet(**changes) -> World:
    return World(**{"strategies": {"never": never}, "symbols": (BTC, ETH), "speed": 60, **changes})


def with_control(test, **changes):
    """Run the test with a daemon that is ready."""

    async def main() -> None:
        world = quiet(**changes)
        process = await world.process().until_ready()
        await test(world, process.control, process)
        if not process.task.done():
            await process.end()

    run(main())


def test_what_must_outlive_a_crash_is_durable_when_the_answer_comes():
    """Pause, resume, halt, unhalt, restart."""

    async def test(world, control: Control, process) -> None:
        memory = lambda: world.portfolio_store.memory  # noqa: E731 - read anew each time
        assert await control.pause([BTC, BTC]) == (
            f"paused {BTC}: nothing new opens there, open signals are managed on"
        )
        assert memory().paused == (BTC,)
        assert await control.resume(None) == f"resumed {BTC}"
        assert memory().paused == ()
        await control.halt("  ")
        assert (memory().trading_state, memory().state_reason) == (TradingState.HALTED, "by the operator")
        assert await control.unhalt("looked into") == "trading is ACTIVE: looked into"
        assert (memory().trading_state, memory().state_reason) == (TradingState.ACTIVE, "looked into")
        process.portfolio.blocks.quarantine(BTC, "it failed")
        assert await control.restart([BTC]) == f"restarting {BTC} from the state files"
        assert memory().quarantined == ()

    with_control(test)


@pytest.mark.parametrize(
    ("command", "arguments", "sentence"),
    [
        ("pause", (["XXX"],), f"XXX: not a symbol of this system; it has {BTC}, {ETH}"),
        ("resume", ([],), "name a symbol, or say --all"),
        ("flatten", ([BTC, "Y", "Z"],), "Y, Z: not a symbol"),
        ("restart", (["XXX"],), "XXX: not a symbol"),
        ("unhalt", ("why not",), "trading is ACTIVE, not HALTED"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_with_a_sentence(command, arguments, sentence):
    """And changes nothing."""

    async def test(world, control, _) -> None:
        before = world.portfolio_store.memory
        with pytest.raises(Rejected, match=sentence):
            await getattr(control, command)(*arguments)
        assert world.portfolio_store.memory == before

    with_control(test)


def test_a_lifted_halt_says_what_still_reduces_trading():
    """Else the operator believes that entries begin again."""

    async def main() -> None:
        world = World(strategies={"eager": lambda: always()}, speed=60)
        process = await world.process().until_ready()
        process.system.housekeeping.cause("clock", "the clock is off")
        await process.control.halt("enough")
        assert await process.control.unhalt("looked into") == "trading is REDUCING: the clock is off"
        await process.end()

    run(main())


def test_unknown_symbols_are_named_and_not_all_of_them():
    """Nor are all that there are: an answer is a sentence."""

    async def test(world, control, _) -> None:
        with pytest.raises(Rejected, match=r"^S0, .*, S9 and 9990 more: not a symbol of this system"):
            await control.pause([f"S{number}" for number in range(10_000)])

    with_control(test)


def test_the_log_level_changes_where_somebody_listens():
    async def main() -> None:
        process = quiet().process()
        asked: list[str] = []
        control = Control(process.system, set_log_level=asked.append)
        assert await control.log_level("debug") == "the log tells debug and above until livebot is restarted"
        assert asked == ["debug"]
        with pytest.raises(Rejected, match="is not livebot's to change"):
            await process.control.log_level("debug")
        with pytest.raises(Rejected, match="'loud' is unknown"):
            await Control(process.system, set_log_level=log_level).log_level("loud")

    run(main())


@pytest.mark.parametrize(
    ("command", "arguments"), [("pause", (None,)), ("resume", (None,)), ("halt", ("x",)), ("unhalt", ("x",))]
)
def test_what_holds_but_is_not_on_disk_is_said(command, arguments):
    """It would not outlive this process, and the operator has to know."""

    async def test(world, control, process) -> None:
        if command == "unhalt":
            await control.halt("first")
        world.portfolio_store.fails = True
        with pytest.raises(Rejected, match="is not on disk and would not outlive this process: cannot write"):
            await getattr(control, command)(*arguments)
        if command == "halt":
            assert process.portfolio.trading_state is TradingState.HALTED
        world.portfolio_store.fails = False

    with_control(test)


def test_while_it_starts_nothing_is_overwritten_that_has_not_been_read():
    """A halt from before survives an impatient operator."""

    async def main() -> None:
        world = quiet()
        first = await world.process().until_ready()
        await first.control.halt("before")
        await first.kill()
        process = world.process()
        assert process.control.status().symbols[0].worker == "waiting"
        for command in (
            process.control.pause(None),
            process.control.resume(None),
            process.control.halt("now"),
            process.control.unhalt("now"),
        ):
            with pytest.raises(Rejected, match="has not read its memory yet"):
                await command
        for command in (process.control.flatten(None), process.control.restart(None)):
            with pytest.raises(Rejected, match="its workers do not run yet"):
                await command
        assert world.portfolio_store.memory.state_reason == "before"

    run(main())


def test_a_halt_during_a_long_recovery_is_latched():
    """The venue does not answer, and the operator wants nothing to open when it does."""

    async def main() -> None:
        world = quiet(strategies={"eager": always})
        process = world.process()
        process.faults.arm(FaultKind.FAIL_FETCH, times=30)
        process.start()
        await settle()
        await process.control.halt("not today")
        await process.control.pause([ETH])
        while not process.system.ready.is_set():
            await asyncio.sleep(0.05)
        await asyncio.sleep(3)
        assert process.portfolio.trading_state is TradingState.HALTED
        assert process.portfolio.blocks.paused == (ETH,)
        assert world.portfolio_store.memory.trading_state is TradingState.HALTED
        assert process.wire.sent == []
        await process.end()

    run(main())


def test_a_restart_evicts_and_begins_from_the_file():
    """A new object decides; what was open is managed on."""

    async def test(world, control, process) -> None:
        while not world.held(SOL):
            await asyncio.sleep(0.05)
        (before,) = process.system.workers.instances.of(SOL)
        await control.restart([SOL])
        await asyncio.sleep(0.5)
        (after,) = process.system.workers.instances.of(SOL)
        assert after is not before
        assert after.warm
        assert process.system.supervisor.status(SOL).state is ChildState.RUNNING
        assert process.system.supervisor.restarts() == 1
        assert world.held(SOL)

    with_control(test, strategies={"one": lambda: once(1, stop=0.2, target=0.2)}, symbols=(SOL,))


def test_long_lists_are_shortened():
    """An operator of hundreds of symbols wants one line."""

    async def test(world, control, _) -> None:
        assert (await control.pause(None)).startswith("paused ")
        assert " and 2 more: nothing new opens" in await control.pause(None)

    with_control(test, symbols=symbol_names(12))


def test_when_it_is_stopping_nothing_is_restarted():
    """Refused with a sentence."""

    async def test(world, control, process) -> None:
        await process.end()
        with pytest.raises(Rejected, match="stopping"):
            await control.restart([BTC])

    with_control(test)
