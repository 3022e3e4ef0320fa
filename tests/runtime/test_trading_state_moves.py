"""A whole system whose trading state moves: what rests is taken back, what is open stays, what causes it is told."""

import asyncio

import pytest

from livebot.core.denial import TradingState
from livebot.core.facts import EntryCancelled, SignalScheduled
from livebot.core.market import MINUTE_MS
from livebot.core.order import Leg
from livebot.core.signal import CancelReason, Open
from livebot.ports import VenueNotice
from livebot.runtime.settings import ErrorBudget, StateAction, TradingStateSettings
from livebot.simulator.faults import FaultKind
from tests.runtime.harness import (
    BTC,
    ETH,
    SOL,
    START_MS,
    XRP,
    Process,
    Script,
    Scripted,
    World,
    always,
    disagreements,
    entry,
    once,
    story,
)
from tests.virtual_loop import run

ACTIVE, REDUCING, HALTED = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED
CLOCK = VenueNotice(source="clock", text="the clock is 3 s off", blocks_entries=True, reduces=True)
WELL = VenueNotice(source="clock", text=None)


def world_of() -> World:
    """A position on BTC, an entry that rests on ETH."""
    strategies = {
        "holder": lambda: once(1, stop=0.2, target=0.2, minutes=900),
        "resting": lambda: once(1, limit=0.05, stop=0.2, target=0.2),
    }
    runs_on = {BTC: ("holder",), ETH: ("resting",)}
    return World(strategies=strategies, symbols=(BTC, ETH), runs_on=runs_on, speed=60, latency_ms=5)


async def with_both(world: World) -> Process:
    """The entry rests, the position is open."""
    process = await world.process().until_ready()
    async with asyncio.timeout(20):
        while not (world.orders(ETH) and world.orders(BTC, Leg.STOP)):
            await asyncio.sleep(0.05)
    return process


def hear(process: Process, notice: VenueNotice) -> None:
    process.system._notices.of("exchange")(notice)


def cancelled(world: World) -> list[CancelReason]:
    return [fact.reason for fact in story(world, ETH) if isinstance(fact, EntryCancelled)]


@pytest.mark.parametrize("how", ["halt", "cause"])
def test_what_rests_is_taken_back_and_what_is_open_keeps_its_stop(how):
    """HALTED by an operator as REDUCING by a cause, within moments."""

    async def main() -> None:
        world = world_of()
        process = await with_both(world)
        if how == "halt":
            await process.control.halt("enough")
        else:
            hear(process, CLOCK)
        await asyncio.sleep(0.2)
        assert world.orders(ETH) == []
        assert world.held(BTC)
        assert len(world.orders(BTC, Leg.STOP)) == 1
        await asyncio.sleep(0.5)
        assert cancelled(world) == [CancelReason.TRADING_STATE]
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_a_daemon_that_died_before_it_took_an_entry_back_does_it_when_it_is_back():
    """HALTED is on disk, and the entry still rests at the venue."""

    async def main() -> None:
        world = world_of()
        process = await with_both(world)
        process.wire.cancel = lambda *_: asyncio.sleep(3_600)  # type: ignore[method-assign]
        await process.control.halt("enough")
        await process.kill()
        assert len(world.orders(ETH)) == 1
        process = await world.process().until_ready()
        await asyncio.sleep(2)
        assert process.portfolio.trading_state is HALTED
        assert world.orders(ETH) == []
        assert world.held(BTC)
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_what_a_connection_says_of_the_whole_account_reduces_until_it_has_passed():
    """The status tells the truth; nothing is written that a restart would take for a loss of the day."""

    async def main() -> None:
        world = World(strategies={"eager": lambda: always(stop=0.001, target=0.001)}, speed=60)
        process = await world.process().until_ready()
        await asyncio.sleep(3)
        hear(process, CLOCK)
        status = process.control.status()
        assert (status.trading_state, status.state_reason) == ("REDUCING", "the clock is 3 s off")
        await asyncio.sleep(1)
        assert "trading is REDUCING: the clock is 3 s off" in process.problems.sentences()
        assert world.portfolio_store.memory.trading_state is ACTIVE
        opened = world.ledger.kinds("eager", BTC).count("SignalOpening")
        await asyncio.sleep(4)
        assert world.ledger.kinds("eager", BTC).count("SignalOpening") == opened
        hear(process, WELL)
        assert process.portfolio.trading_state is ACTIVE
        await asyncio.sleep(4)
        assert world.ledger.kinds("eager", BTC).count("SignalOpening") > opened
        assert process.problems.sentences() == ()
        await process.end()

    run(main())


def budget(action: StateAction, maximum: int = 3) -> ErrorBudget:
    return ErrorBudget(maximum=maximum, window_s=600.0, cooldown_s=5.0, action=action)


def test_orders_that_fail_time_and_again_reduce_trading_until_the_cooldown_is_over():
    """Over all symbols together."""

    async def main() -> None:
        world = World(
            strategies={"eager": lambda: always(stop=0.2, target=0.2)}, symbols=(BTC, ETH, SOL), speed=60, latency_ms=5
        )
        settings = TradingStateSettings(order_errors=budget(StateAction.REDUCE))
        process = await world.process(trading_states=settings).until_ready()
        process.faults.arm(FaultKind.REFUSE, times=5, leg=Leg.ENTRY, code="no", text="not today")
        await asyncio.sleep(2.5)
        assert process.portfolio.trading_state is REDUCING
        assert "more than 3 orders failed within 600 s" in process.portfolio.state_reason
        assert "not today" in process.portfolio.state_reason
        await asyncio.sleep(6)
        assert process.portfolio.trading_state is ACTIVE
        assert world.held(BTC) and world.held(ETH) and world.held(SOL)
        await process.end()

    run(main())


def test_a_refusal_that_is_to_be_expected_is_no_error():
    """An entry that must not take, refused because the price was there already."""

    async def main() -> None:
        wanted = Scripted(Script(lambda view: entry(view, limit=0.0, stop=0.2, target=0.2)))
        world = World(strategies={"eager": lambda: wanted}, speed=60, latency_ms=5, terms=(("post_only", True),))
        settings = TradingStateSettings(order_errors=budget(StateAction.HALT, maximum=1))
        process = world.process(minutes=8, trading_states=settings)
        await process.system.run(process.shutdown)
        assert process.system.execution.outcomes["rejected"] > 2
        assert any(isinstance(fact, SignalScheduled) for fact in story(world, BTC))
        assert process.portfolio.trading_state is ACTIVE

    run(main())


def test_workers_that_fail_beyond_the_budget_of_all_halt_trading_for_good():
    """Each symbol by itself would only be in quarantine; HALTED is on disk and outlives the process."""

    async def main() -> None:
        def fails(view):
            if view.close_ms > START_MS + 3 * MINUTE_MS:
                raise ArithmeticError("too much")

        strategies = {"bad": lambda: Scripted(Script(fails)), "good": lambda: once(1, stop=0.2, target=0.2)}
        runs_on = {BTC: ("bad",), ETH: ("bad",), SOL: ("bad",), XRP: ("good",)}
        world = World(strategies=strategies, symbols=(BTC, ETH, SOL, XRP), runs_on=runs_on, speed=60)
        settings = TradingStateSettings(worker_failures=budget(StateAction.HALT, maximum=5))
        process = await world.process(trading_states=settings).until_ready()
        await asyncio.sleep(8)
        assert process.portfolio.trading_state is HALTED
        assert "more than 5 workers failed within 600 s" in process.portfolio.state_reason
        assert world.portfolio_store.memory.trading_state is HALTED
        assert world.held(XRP)  # what is open is managed on
        await process.end()

    run(main())


def test_an_entry_that_has_filled_by_the_time_it_is_its_turn_costs_no_question():
    """A halt in the midst of a round finds many of those, and their stops must not stand in line behind cancels."""

    async def main() -> None:
        world = World(strategies={"holder": lambda: once(1, stop=0.2, target=0.2)}, speed=60, latency_ms=5)
        process = await world.process().until_ready()
        process.faults.hold_events()
        cancels: list[str] = []
        cancel = process.wire.cancel

        async def noted(symbol: str, order_id: str) -> None:
            cancels.append(order_id)
            await cancel(symbol, order_id)

        process.wire.cancel = noted  # type: ignore[method-assign]
        async with asyncio.timeout(20):
            while not world.held(BTC):
                await asyncio.sleep(0.01)
        process.system.workers.withdraw(BTC)
        process.faults.release_events()
        await asyncio.sleep(0.5)
        assert cancels == []
        assert isinstance(world.state("holder").signal, Open)
        assert len(world.orders(BTC, Leg.STOP)) == 1
        await process.end()

    run(main())
