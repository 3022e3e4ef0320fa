"""The life of a daemon: how it begins, what ends it, and that it ends in order and in time."""

import asyncio
from dataclasses import replace

import pytest

from livebot.core.signal import CloseReason
from livebot.errors import Fatal, Transient
from livebot.runtime import system as system_module
from livebot.runtime.settings import RunMode
from livebot.runtime.venue import venue_watch
from tests.process.strategies import Eager, Nothing
from tests.runtime.harness import (
    BTC,
    ETH,
    QUICK,
    SOL,
    World,
    always,
    disagreements,
    never,
    once,
    run,
)
from tests.simulator.builders import order


def eager() -> Eager:
    return Eager(Nothing())


def holder():
    return once(1, stop=0.2, target=0.2, minutes=900)


def events(logs: list) -> list[str]:
    return [line["event"] for line in logs]


# ---------------------------------------------------------------- beginning


def test_it_says_what_it_found_and_when_it_is_ready(logs):
    """Two lines that scripts wait for."""

    async def main() -> None:
        world = World(strategies={"holder": holder}, symbols=(BTC, ETH))
        await world.live(3)
        logs.clear()
        await world.live(1)

    run(main())
    recovered = next(line for line in logs if line["event"] == "recovered")
    assert (recovered["states"], recovered["busy"]) == (2, [BTC, ETH])
    ready = next(line for line in logs if line["event"] == "ready")
    assert ready["symbols"] == 2
    assert ready["equity"].startswith("999")


def test_what_the_account_is_worth_is_seen_before_the_first_candle():
    """And nothing is admitted before."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, wallet=12_345)
        process = world.process(minutes=0)
        assert process.portfolio.equity == 0
        await process.system.run(process.shutdown)
        assert process.portfolio.equity == 12_345

    run(main())


def test_an_account_that_cannot_be_seen_holds_up_candles_for_a_while_only(logs):
    """Rules go on; nothing opens until it has been seen."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, speed=60)
        process = world.process()
        account = process.exchange.fetch_account

        async def silent():
            raise Transient("the account service is down")

        process.exchange.fetch_account = silent
        await process.until_ready()
        await asyncio.sleep(3)
        assert {each.code for each in world.ledger.decisions.values()} == {"no_equity"}
        process.exchange.fetch_account = account
        await asyncio.sleep(world.execution.reconcile_s + 3)
        assert world.ledger.facts
        await process.end()

    run(main())
    assert "account_not_seen" in events(logs)


def test_a_fact_between_question_and_answer_makes_it_ask_for_the_account_again():
    """The wallet may or may not hold what that fact says."""

    async def main() -> None:
        world = World(strategies={"never": never})
        process = world.process(minutes=0)
        asked = []
        fetch = process.exchange.fetch_account

        async def account():
            asked.append(1)
            if len(asked) < 3:
                process.system.observations.counts["facts"] += 1
            return await fetch()

        process.exchange.fetch_account = account
        await process.system.run(process.shutdown)
        assert len(asked) == 3

        process = world.process(minutes=0)
        fetch = process.exchange.fetch_account
        process.exchange.fetch_account = account
        account_calls = len(asked)

        async def never_quiet():
            asked.append(1)
            process.system.observations.counts["facts"] += 1
            return await fetch()

        process.exchange.fetch_account = never_quiet
        await process.system.run(process.shutdown)
        assert len(asked) - account_calls == 6  # then it is taken as it is

    run(main())


def test_the_account_is_asked_for_when_nothing_is_under_way():
    """Each question weighs at the venue."""

    async def main() -> None:
        world = World(strategies={"never": never})
        process = world.process(minutes=0)
        activity, asked = process.system.parts.activity, []
        fetch = process.exchange.fetch_account

        async def account():
            asked.append(activity.quiet)
            return await fetch()

        process.exchange.fetch_account = account
        activity.begin()
        asyncio.get_running_loop().call_later(0.1, activity.end)
        await process.system.run(process.shutdown)
        assert asked == [True]

    run(main())


def test_a_quarantine_from_before_is_shown_and_one_of_a_symbol_that_is_gone_is_kept():
    """An operator has to look at both."""

    async def main() -> None:
        world = World(strategies={"never": never}, symbols=(BTC, ETH))
        await world.live(1)
        memory = world.portfolio_store.memory
        world.portfolio_store.memory = replace(memory, quarantined=((BTC, "it failed"), (SOL, "long ago")))
        process = await world.live(1)
        assert process.problems.sentences() == (
            f"{BTC} is in quarantine: it failed",
            f"{SOL} is in quarantine: long ago",
        )
        assert process.system.supervisor.status(BTC).restarts == 0

    run(main())


def test_a_damaged_file_of_a_symbol_that_the_config_no_longer_names_is_told():
    """It is nobody's to restart."""

    async def main() -> None:
        world = World(strategies={"resting": lambda: once(1, limit=0.05, stop=0.2, target=0.2)}, symbols=(BTC, ETH))
        await world.live(3)
        world.store.damage("resting", ETH)
        world.runs_on = {BTC: ("resting",)}
        process = await world.live(1)
        assert any(f"livebot restart {ETH}" in sentence for sentence in process.problems.sentences())
        assert process.portfolio.blocks.quarantined == {}

    run(main())


def test_a_position_that_nobody_looks_after_is_told():
    """On a symbol that this system does not trade."""

    async def main() -> None:
        world = World(strategies={"never": never}, symbols=(BTC, ETH), runs_on={BTC: ("never",)})
        world.venue.place_by_hand(order("hand", "buy", "0.5", symbol=ETH), world.venue.now_ms)
        process = await world.live(1)
        assert any(
            ETH in sentence and "nobody runs the symbol" in sentence for sentence in process.problems.sentences()
        )

    run(main())


def test_in_sequential_mode_several_open_signals_are_told():
    """Who waits for its turn has its venue stop and no more."""

    async def main() -> None:
        world = World(strategies={"holder": holder}, symbols=(BTC, ETH))
        await world.live(3)
        world.settings = replace(QUICK, mode=RunMode.SEQUENTIAL)
        process = await world.live(1)
        assert any("run one after another" in sentence for sentence in process.problems.sentences())

    run(main())


# ---------------------------------------------------------------- what ends it


def test_the_end_of_the_data_ends_it_when_everybody_is_done():
    """Nothing of the last minute is lost."""

    async def main() -> None:
        world = World(strategies={"eager": eager})
        process = await world.live(10)
        assert process.system.data_ended
        assert process.shutdown.cause == "the data has ended"
        assert process.system.hub.newest_close_ms == world.venue.now_ms
        assert [] == disagreements(world)

    run(main())


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Fatal("the simulated venue is gone"), "the simulated venue is gone"),
        (Transient("the socket broke"), "candles have stopped: the socket broke"),
    ],
)
def test_candles_that_stop_end_it_in_order_and_it_says_why(error, text):
    """Workers finish, facts reach the ledger, and the exit tells."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, speed=60, latency_ms=5)
        process = world.process()
        feed = process.system.parts.feed
        going = feed.run

        async def breaking():
            task = asyncio.ensure_future(going())
            await asyncio.sleep(4.5)
            task.cancel()
            raise error

        feed.run = breaking
        with pytest.raises(Fatal, match=text):
            await process.system.run(process.shutdown)
        assert world.ledger.facts
        assert [] == disagreements(world)

    run(main())


def test_a_failure_of_its_own_tasks_ends_it_with_that_error():
    """Not with a group of errors; what is open stays as it is on disk."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, speed=60)
        process = await world.process().until_ready()
        await asyncio.sleep(2.5)

        def broken():
            raise ZeroDivisionError("a bug in the daemon")

        process.portfolio.memory = broken
        with pytest.raises(ZeroDivisionError, match="a bug in the daemon"):
            await process.task
        del process.portfolio.memory
        await world.live(1)
        assert [] == disagreements(world)

    run(main())


def test_what_cannot_even_start_raises():
    """Such as a portfolio file that is damaged: a halt must not be lost by accident."""

    async def main() -> None:
        world = World(strategies={"never": never})

        async def damaged():
            raise Fatal("portfolio.json is damaged: read it, then move it away")

        world.portfolio_store.load = damaged
        process = world.process()
        with pytest.raises(Fatal, match="read it, then move it away"):
            await process.system.run(process.shutdown)
        assert world.portfolio_store.memory is None

    run(main())


def test_a_memory_that_cannot_be_saved_at_the_end_fails_nothing_else(logs):
    """It is told; exchange and ledger are let go."""

    async def main() -> None:
        world = World(strategies={"never": never}, speed=60)
        process = await world.process().until_ready()
        closed = []
        close = process.exchange.close

        async def noted():
            closed.append(1)
            await close()

        process.exchange.close = noted
        world.portfolio_store.fails = True
        process.portfolio.blocks.pause(BTC)
        await process.end()
        assert closed == [1]

    run(main())
    assert "memory_not_saved" in events(logs)


# ---------------------------------------------------------------- in time


def test_a_worker_that_does_not_end_is_left_behind_in_time(logs):
    """Its file is as last saved."""

    async def main() -> None:
        world = World(strategies={"never": never}, symbols=(BTC, ETH), speed=60)
        process = await world.process().until_ready()
        stuck = asyncio.Event()

        async def stubborn(symbol):
            while not stuck.is_set():
                try:
                    await stuck.wait()
                except asyncio.CancelledError:
                    continue

        process.system.workers.run = stubborn
        process.system.supervisor._run = stubborn
        process.system.supervisor.restart([BTC])
        await asyncio.sleep(0.1)
        process.shutdown.request("stop")
        begun = asyncio.get_running_loop().time()
        waiting = asyncio.ensure_future(asyncio.sleep(world.settings.shutdown_s))
        await waiting
        stuck.set()
        await process.task
        assert asyncio.get_running_loop().time() - begun <= world.settings.shutdown_s + 0.1

    run(main())
    left = [line for line in logs if line["event"] == "workers_left"]
    assert [line["symbols"] for line in left] == [(BTC,)]


def test_a_listener_that_never_hears_does_not_hold_up_the_end(logs):
    """It is named."""

    class Deaf:
        name = "deaf"

        def hear(self, items):
            return asyncio.sleep(10_000)

    async def main() -> None:
        world = World(strategies={"eager": eager}, speed=60, listeners=(Deaf(),))
        process = await world.process().until_ready()
        await asyncio.sleep(3)
        begun = asyncio.get_running_loop().time()
        await process.end()
        assert asyncio.get_running_loop().time() - begun <= world.settings.shutdown_s / 4 + 0.5

    run(main())
    late = [line for line in logs if line["event"] == "not_delivered"]
    assert late[0]["listeners"] == ["deaf"]


def test_an_order_that_is_not_answered_does_not_hold_up_the_end(logs):
    """It is on disk as an intent, and the next start asks for it."""

    async def main() -> None:
        execution = replace(World.execution, order_timeout_s=500.0)
        world = World(strategies={"one": lambda: once(1)}, speed=60, execution=execution)
        process = await world.process().until_ready()
        submit = process.exchange.submit

        async def slow(approved):
            await asyncio.sleep(300)
            return await submit(approved)

        process.exchange.submit = slow
        while not process.system.execution.in_flight:
            await asyncio.sleep(0.01)
        begun = asyncio.get_running_loop().time()
        await process.end()
        assert asyncio.get_running_loop().time() - begun <= world.settings.shutdown_s

    run(main())
    assert "not_answered" in events(logs)


def test_in_a_hurry_what_the_ledger_lacks_is_in_the_state_files(logs):
    """And reaches it with the next start."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, speed=60)
        process = await world.process().until_ready()
        world.ledger.fails = True
        await asyncio.sleep(4)
        process.shutdown.request("stop")
        process.shutdown.request("at once")
        begun = asyncio.get_running_loop().time()
        await process.task
        assert asyncio.get_running_loop().time() - begun < 0.1
        facts = [fact for state in world.store.files.values() for fact in state.outbox]
        assert facts
        world.ledger.fails = False
        await world.live(0)
        assert [fact.sequence for fact in world.ledger.of("eager", BTC)] == [fact.sequence for fact in facts]

    run(main())
    assert "not_delivered" in events(logs)


def test_facts_that_nobody_was_told_of_are_told_after_the_next_start_and_no_others():
    """A crash between saving and publishing: an alert must come, and come once."""

    class Ear:
        name = "ear"

        def __init__(self):
            self.heard = []

        def hear(self, items):
            self.heard += [item for item in items if hasattr(item, "sequence")]

    async def main() -> None:
        ear = Ear()
        world = World(strategies={"holder": holder}, listeners=(ear,), speed=60)
        process = await world.process().until_ready()
        process.system.bus.publish = lambda items: None  # saved, and then the process dies
        while "holder" not in {key[0] for key in world.store.files}:
            await asyncio.sleep(0.01)
        await process.kill()
        assert ear.heard == []
        saved = [fact.sequence for fact in world.state("holder").outbox]
        process = await world.process().until_ready()
        await asyncio.sleep(0.1)
        assert [fact.sequence for fact in ear.heard][: len(saved)] == saved
        heard = len(ear.heard)
        await process.control.restart([BTC])
        await asyncio.sleep(0.3)
        await process.kill()
        process = await world.process().until_ready()
        await asyncio.sleep(0.1)
        assert len(ear.heard) == heard
        await process.end()

    run(main())


def test_a_symbol_that_takes_long_is_waited_for_no_longer_than_a_bound(logs, monkeypatch):
    """The log names it."""
    monkeypatch.setattr(system_module, "PATIENCE_S", 2.0)

    async def main() -> None:
        world = World(strategies={"eager": eager}, symbols=(BTC, ETH), speed=60)
        process = world.process()
        feed = process.system.parts.feed
        history = feed.history

        async def slow(symbol, timeframe, count):
            if symbol == ETH:
                await asyncio.sleep(5)
            return await history(symbol, timeframe, count)

        feed.history = slow
        await process.until_ready()
        account_s = venue_watch.ATTEMPTS * venue_watch.QUIET_S  # what waits for the history is no quiet moment
        assert asyncio.get_running_loop().time() == pytest.approx(2.0 + account_s, abs=0.1)
        await asyncio.sleep(14)
        assert world.ledger.of("eager", ETH)
        await process.end()

    run(main())
    (cold,) = [line for line in logs if line["event"] == "not_all_ready"]
    assert cold["symbols"] == [ETH]


# ---------------------------------------------------------------- the account, looked at from time to time


def test_a_venue_that_does_not_answer_is_a_problem_until_it_does():
    """Files and venue cannot be compared meanwhile."""

    async def main() -> None:
        world = World(strategies={"never": never}, speed=60)
        process = await world.process().until_ready()
        positions = process.exchange.fetch_positions

        async def silent():
            raise Transient("no")

        async def broken():
            raise Fatal("the key was revoked")

        process.exchange.fetch_positions = silent
        await asyncio.sleep(world.execution.reconcile_s + world.execution.order_timeout_s + 0.1)
        assert process.problems.sentences() == ("the venue does not answer: files and venue cannot be compared",)
        process.exchange.fetch_positions = broken
        await asyncio.sleep(world.execution.reconcile_s + 0.2)
        assert process.problems.sentences() == (
            "the venue refuses us: the key was revoked; nothing opens until it answers again",
        )
        process.exchange.fetch_positions = positions
        await asyncio.sleep(world.execution.reconcile_s + 0.2)
        assert process.problems.sentences() == ()
        await process.end()

    run(main())


def test_a_position_that_differs_on_a_symbol_that_nobody_runs_is_told():
    """Its worker waits to be started again."""

    async def main() -> None:
        def decide(view):
            raise ArithmeticError("no")

        from tests.runtime.harness import Script, Scripted

        restarts = replace(QUICK.restarts, backoff_s=900.0, backoff_maximum_s=900.0)
        world = World(
            strategies={"bad": lambda: Scripted(Script(decide))}, settings=replace(QUICK, restarts=restarts), speed=60
        )
        process = await world.process().until_ready()
        await asyncio.sleep(1.5)
        world.venue.place_by_hand(order("hand", "buy", "0.5"), world.venue.now_ms)
        await asyncio.sleep(world.execution.reconcile_s + world.execution.positions_lag_s + 0.1)
        assert any("nobody runs the symbol" in sentence for sentence in process.problems.sentences())
        world.venue.close_by_hand(BTC, world.venue.now_ms)
        await asyncio.sleep(world.execution.reconcile_s + 0.5)
        assert process.problems.sentences() == ()
        await process.end()

    run(main())


def test_flatten_by_the_loss_limit_reaches_what_comes_to_light_after_a_restart():
    """Halted and flattening, it died; the position is closed by the next daemon."""

    async def main() -> None:
        from decimal import Decimal

        from livebot.core.denial import TradingState
        from livebot.core.facts import SignalClosed
        from livebot.runtime.settings import LossAction, LossLimit

        world = World(strategies={"always": lambda: always(stop=0.2, target=0.2, minutes=900)}, speed=60)
        await world.live(4)
        assert world.held()
        world.loss_limit = LossLimit(ratio=Decimal("0.5"), action=LossAction.FLATTEN)
        world.portfolio_store.memory = replace(
            world.portfolio_store.memory, trading_state=TradingState.HALTED, state_reason="loss limit: half of it"
        )
        process = await world.process().until_ready()
        await asyncio.sleep(2)
        assert world.held() == 0
        closes = [fact.reason for fact in world.ledger.facts.values() if isinstance(fact, SignalClosed)]
        assert closes == [CloseReason.PORTFOLIO_HALT]
        await process.end()

    run(main())
