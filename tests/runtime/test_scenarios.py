"""Whole systems over a simulated venue: what goes wrong on one side, and what everybody else sees of it."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.denial import TradingState
from livebot.core.facts import OrderFailed, PositionReduced, SignalClosed, SignalClosing, SignalOpened
from livebot.core.inputs import SymbolState
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, OrderSide, Side
from livebot.core.order import Leg, OrderStatus
from livebot.core.rules import FractionOfEquity
from livebot.core.signal import CloseReason, Closing, Idle, Open
from livebot.errors import Rejected
from livebot.runtime.inbox import Ask
from livebot.runtime.settings import LossAction, LossLimit, RunMode
from livebot.runtime.supervision.supervisor import ChildState
from livebot.runtime.symbol import deciding
from livebot.simulator.faults import FaultKind
from livebot.simulator.matching import FillModel
from tests.process.strategies import Averager, Eager, Nothing, Resting
from tests.runtime.harness import (
    BTC,
    ETH,
    QUICK,
    SOL,
    START_MS,
    XRP,
    Managing,
    Script,
    Scripted,
    World,
    always,
    disagreements,
    entry,
    never,
    once,
    run,
    story,
)
from tests.simulator.builders import order
from tests.virtual_loop import settle

D = Decimal
OTHERS = (BTC, ETH, SOL)


def eager() -> Eager:
    return Eager(Nothing())


# ---------------------------------------------------------------- I7: a symbol's failure is its own


def raises_always(view):
    raise ArithmeticError(f"{view.symbol} is too much")


def raises_sometimes(view):
    minute = (view.close_ms - START_MS) // MINUTE_MS
    if minute % 4 == 3:
        raise ArithmeticError("too much")
    return entry(view, stop=0.0005, target=0.0005)


def manages_badly(view, signal):
    raise ArithmeticError("it got out of hand")


def cannot_be_made():
    raise ArithmeticError("it does not even begin")


BAD = {
    "always": lambda: Scripted(Script(raises_always)),
    "sometimes": lambda: Scripted(Script(raises_sometimes)),
    "at start": cannot_be_made,
    "in manage": lambda: Managing(Script(lambda view: entry(view, stop=0.05, target=0.05), manages_badly)),
    "another kind of answer": lambda: Scripted(Script(lambda view: {"side": "long"})),
}


def crowd(bad=None, **changes) -> World:
    """Three symbols with much to do, and, if given, a bad strategy on a fourth."""
    strategies = {"eager": eager, "averager": lambda: Averager(Nothing())}
    runs_on = dict.fromkeys(OTHERS, ("eager", "averager"))
    if bad is not None:
        strategies["bad"] = bad
        runs_on[XRP] = ("bad",)
    return World(strategies=strategies, symbols=(*OTHERS, XRP), runs_on=runs_on, speed=60, latency_ms=20, **changes)


@pytest.mark.untraced
@pytest.mark.parametrize("how", BAD)
def test_a_failing_strategy_changes_no_fact_of_another_symbol(how):
    """The same facts in the same sequence with the same numbers, as if the failing symbol were not there."""

    async def stories(bad) -> dict:
        world = crowd(bad)
        await world.live(25)
        return {symbol: story(world, symbol) for symbol in OTHERS}

    alone, beside = run(stories(None)), run(stories(BAD[how]))
    assert all(len(facts) > 40 for facts in alone.values())
    assert alone == beside


@pytest.mark.parametrize("how", BAD)
def test_a_failing_strategy_is_restarted_evicted_and_at_last_quarantined(how):
    """And the operator is told, by name."""

    async def main() -> None:
        world = crowd(BAD[how])
        process = await world.live(25)
        system = process.system
        status = system.supervisor.status(XRP)
        assert status.restarts == 2
        assert system.workers.instances.counts()["evicted"] >= (0 if how == "at start" else 3)
        assert "quarantined" in process.control.status().symbols[-1].blocks
        assert any(XRP in sentence and "quarantine" in sentence for sentence in process.problems.sentences())
        assert system.observations.counts["failures"] >= 3
        assert XRP in dict(world.portfolio_store.memory.quarantined)

    run(main())


def test_a_failing_strategys_position_keeps_its_stop_and_closes_by_rule():
    """Through restarts and quarantine, with a stop at the venue all the time; at its time it is closed."""

    async def main() -> None:
        bad = Managing(Script(lambda view: entry(view, stop=0.2, target=0.2, minutes=12), manages_badly))
        world = World(strategies={"bad": lambda: bad}, speed=60, latency_ms=20)
        process = await world.process().until_ready()
        bare = 0
        while not (closed := [fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)]):
            await asyncio.sleep(0.05)
            bare += bool(world.held() and not world.orders(leg=Leg.STOP))
        assert process.system.supervisor.status(BTC).state in (ChildState.GUARDED, ChildState.QUARANTINED)
        assert closed[0].reason is CloseReason.TIME_EXPIRED
        assert bare <= 1
        assert world.held() == 0
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_a_strategy_that_cannot_even_be_made_leaves_its_position_guarded():
    """It worked yesterday; a guard needs nothing of it."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1, stop=0.2, target=0.2, minutes=30)}, speed=60)
        await world.live(4)
        world.strategies = {"one": cannot_be_made}
        process = await world.process().until_ready()
        while not (closed := [fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)]):
            await asyncio.sleep(0.5)
        assert closed[0].reason is CloseReason.TIME_EXPIRED
        assert process.system.supervisor.status(BTC).state is ChildState.QUARANTINED
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_a_limit_entry_that_fills_while_its_symbol_is_down_gets_its_stop_at_once():
    """Between a failure and the restart somebody stands by."""

    async def main() -> None:
        def decide(view):
            if (view.close_ms - START_MS) // MINUTE_MS >= 2:
                raise ArithmeticError("not again")

        restarts = replace(QUICK.restarts, backoff_s=600.0, backoff_maximum_s=600.0)
        world = World(
            strategies={
                "bad": lambda: Scripted(Script(decide)),
                "resting": lambda: once(0, limit=0.002, stop=0.2, target=0.2),
            },
            seed=10,
            settings=replace(QUICK, restarts=restarts),
            speed=60,
            latency_ms=20,
        )
        process = await world.process().until_ready()
        while not world.held():
            await asyncio.sleep(0.05)
        assert process.system.supervisor.status(BTC).state is ChildState.BACKING_OFF
        await asyncio.sleep(0.2)
        assert world.orders(leg=Leg.STOP)
        await process.end()

    run(main())


def test_a_symbol_that_cannot_begin_holds_up_nobody():
    """Its history never comes: the others start without it, after a while."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, symbols=(BTC, ETH), speed=60)
        process = world.process()
        feed = process.system.parts.feed
        history = feed.history

        async def no_history(symbol, timeframe, count):
            if symbol == ETH:
                await asyncio.Event().wait()
            return await history(symbol, timeframe, count)

        feed.history = no_history
        await process.until_ready()
        await asyncio.sleep(5)
        assert world.ledger.of("eager", BTC)
        assert not world.ledger.of("eager", ETH)
        await process.end()

    run(main())


def test_a_slow_strategy_is_reported_by_name(logs, monkeypatch):
    """A call that blocks 125 ms; all others take no time at all."""
    now_s = [0.0]
    monkeypatch.setattr(deciding, "perf_counter", lambda: now_s[0])

    async def main() -> None:
        def sleepy(view):
            now_s[0] += 0.125

        world = World(strategies={"sleepy": lambda: Scripted(Script(sleepy)), "never": never})
        process = await world.live(1)
        status = process.control.status()
        assert status.slow_calls == {"sleepy": 125.0}
        assert status.counts["slow_calls"] == 1

    run(main())
    slow = [line for line in logs if line["event"] == "strategy_slow"]
    assert [(line["strategy"], line["call"], line["took_ms"]) for line in slow] == [("sleepy", "decide", 125.0)]


# ---------------------------------------------------------------- the venue misbehaves


def test_answers_lost_after_acceptance_are_asked_for_and_nothing_is_sent_twice():
    """Every order's answer is lost for a while."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, symbols=(BTC, ETH), speed=60, latency_ms=5)
        process = world.process(minutes=20)
        process.faults.arm(FaultKind.LOSE_ANSWER, times=60)
        await process.system.run(process.shutdown)
        ids = [sent.client_order_id for sent in process.wire.sent]
        assert len(ids) == len(set(ids)) > 20
        assert process.system.observations.counts["orders_asked_for"] > 20
        assert [fact.code for fact in story(world, BTC) if isinstance(fact, OrderFailed)] == []
        assert [] == disagreements(world)

    run(main())


def test_requests_that_never_arrive_are_found_absent_and_the_stop_is_placed_again():
    """The entry is given up, the stop is sent anew under its next id."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1, stop=0.2, target=0.2)}, speed=60, latency_ms=5)
        process = await world.process().until_ready()
        process.faults.arm(FaultKind.LOSE_REQUEST, leg=Leg.STOP)
        while not world.orders(leg=Leg.STOP):
            await asyncio.sleep(0.05)
        (failed,) = [fact for fact in story(world, BTC) if isinstance(fact, OrderFailed)]
        assert (failed.leg, failed.code) == (Leg.STOP, "absent")
        assert world.orders(leg=Leg.STOP)[0].client_order_id.endswith("s02")
        await process.end()
        assert [] == disagreements(world)

    run(main())


@pytest.mark.parametrize("fate", [FaultKind.LOSE_REQUEST, FaultKind.LOSE_ANSWER])
def test_a_stop_that_perhaps_never_left_is_sent_again_under_its_own_id_when_its_daemon_comes_back(fate):
    """Once; a venue that has it says so, and the position is not closed for want of a stop."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1, stop=0.2, target=0.2)}, speed=60, latency_ms=5)
        process = await world.process().until_ready()
        process.faults.arm(fate, leg=Leg.STOP)
        while not world.held():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        await process.kill()
        process = world.process()
        process.wire.window_ms = 20_000
        process.start()
        await asyncio.sleep(world.execution.unprotected_s / 4)
        assert [order.client_order_id[-3:] for order in world.orders(leg=Leg.STOP)] == ["s01"]
        again = [order.leg for order in process.wire.sent]
        assert again.count(Leg.STOP) == (1 if fate is FaultKind.LOSE_REQUEST else 0)
        assert Leg.ENTRY not in again
        await asyncio.sleep(world.execution.unprotected_s * 2)
        assert world.held()
        assert not [fact for fact in story(world, BTC) if isinstance(fact, SignalClosing)]
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_a_stop_that_did_its_work_while_nobody_watched_is_not_sent_again_though_a_position_is_there():
    """The position is somebody else's: a venue that takes an id again once its order has ended would have it stopped."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1, stop=0.001, target=0.2)}, speed=60, latency_ms=5)
        process = await world.process().until_ready()
        process.faults.arm(FaultKind.LOSE_ANSWER, leg=Leg.STOP)
        while not world.orders(leg=Leg.STOP):
            await asyncio.sleep(0.01)
        (stop,) = world.orders(leg=Leg.STOP)
        await process.kill()
        while world.held():
            world.venue.step()
        side = "sell" if stop.side is OrderSide.BUY else "buy"
        world.venue.place_by_hand(order("hand", side, str(stop.quantity)), world.venue.now_ms)
        process = world.process()
        process.wire.window_ms = 20_000
        process.start()
        while not [fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)]:
            await asyncio.sleep(0.05)
        (closed,) = [fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)]
        assert closed.reason is CloseReason.STOP_LOSS
        assert process.wire.sent == []
        assert abs(world.held()) == stop.quantity
        await process.end()

    run(main())


@pytest.mark.parametrize("killed", [False, True], ids=["while-comparing", "killed"])
def test_the_clock_of_an_unprotected_position_runs_while_the_venue_is_not_certain_yet(killed):
    """A venue's window for orders under way is longer than a position may be without a stop: nobody waits it out.

    The stop is not sent again at a venue that might take it twice.
    """

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1, stop=0.2, target=0.2)}, speed=60, latency_ms=5)
        process = await world.process().until_ready()
        process.wire.window_ms, process.wire.refuses_repeated_ids = 20_000, False
        process.faults.arm(FaultKind.LOSE_REQUEST, leg=Leg.STOP)
        while not world.held():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        if killed:
            await process.kill()
            process = world.process()
            process.wire.window_ms, process.wire.refuses_repeated_ids = 20_000, False
            process.start()
        else:
            process.system.workers.inboxes[BTC].put(Ask())
        await asyncio.sleep(world.execution.unprotected_s * 2)
        assert world.held() == 0
        assert CloseReason.UNPROTECTED in {fact.reason for fact in story(world, BTC) if isinstance(fact, SignalClosing)}
        while not isinstance(world.state("one").signal, Idle):
            await asyncio.sleep(0.5)
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_an_entry_that_never_arrives_is_cancelled():
    """As absent, and its symbol goes on."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1)})
        process = world.process(minutes=4)
        process.faults.arm(FaultKind.LOSE_REQUEST, leg=Leg.ENTRY)
        await process.system.run(process.shutdown)
        assert world.ledger.kinds("one", BTC) == ["SignalOpening", "EntryCancelled"]
        assert isinstance(world.state("one").signal, Idle)

    run(main())


def test_no_answer_to_any_question_for_a_while_is_outlived():
    """Start, reconciliation and orders asked for: all wait and none gives up."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, symbols=(BTC, ETH), speed=60, latency_ms=5)
        process = world.process(minutes=15)
        process.faults.arm(FaultKind.FAIL_FETCH, times=20)
        process.start()
        while not process.system.ready.is_set():
            await asyncio.sleep(0.05)
        process.faults.arm(FaultKind.LOSE_ANSWER, times=10)
        process.faults.arm(FaultKind.FAIL_FETCH, times=40)
        await process.task
        assert process.system.supervisor.restarts() == 0
        assert [] == disagreements(world)

    run(main())


def test_a_history_that_fails_for_a_while_costs_no_restart():
    """The symbol warms up when it can; until then rules manage what is open."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1, minutes=6, stop=0.2, target=0.2)}, speed=60)
        await world.live(3)
        assert isinstance(world.state("one").signal, Open)
        process = world.process()
        feed = process.system.parts.feed

        async def no_history(symbol, timeframe, count):
            from livebot.errors import Transient

            raise Transient("the venue does not answer")

        feed.history = no_history
        process.start()
        while not isinstance(world.state("one").signal, Idle):
            await asyncio.sleep(0.5)
        (closed,) = [fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)]
        assert closed.reason is CloseReason.TIME_EXPIRED
        assert process.system.supervisor.restarts() == 0
        await process.end()

    run(main())


@pytest.mark.parametrize(
    ("leg", "times", "reasons"),
    [
        (Leg.ENTRY, 1, []),
        (Leg.STOP, 3, [CloseReason.UNPROTECTED]),
        (Leg.STOP, 1, []),
        (Leg.TARGET, 1, []),
    ],
)
def test_refused_orders(leg, times, reasons):
    """An entry is given up; a stop is tried three times and then the position is closed; a target waits for a candle."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1, stop=0.2, target=0.2)}, speed=60, latency_ms=5)
        process = world.process(minutes=6)
        process.faults.arm(FaultKind.REFUSE, times=times, leg=leg, code="no", text="not today")
        await process.system.run(process.shutdown)
        closes = [fact.reason for fact in story(world, BTC) if isinstance(fact, SignalClosed)]
        assert closes == reasons
        if leg is Leg.ENTRY:
            assert world.ledger.kinds("one", BTC) == ["SignalOpening", "EntryCancelled"]
        else:
            failed = [fact for fact in story(world, BTC) if isinstance(fact, OrderFailed)]
            assert [(fact.leg, fact.code) for fact in failed] == [(leg, "no")] * times
            assert [len(world.orders(leg=each)) for each in (Leg.STOP, Leg.TARGET)] == ([0, 0] if reasons else [1, 1])
        assert [] == disagreements(world)

    run(main())


def test_a_refused_exit_is_asked_for_again_with_the_next_candle():
    """The stop stays meanwhile."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1, stop=0.2, target=0.2, minutes=2)}, speed=60, latency_ms=5)
        process = await world.process().until_ready()
        process.faults.arm(FaultKind.REFUSE, times=2, leg=Leg.EXIT)
        while not isinstance(world.store.files.get(("one", BTC)) and world.state("one").signal, Closing):
            await asyncio.sleep(0.05)
        assert world.orders(leg=Leg.STOP)
        while not isinstance(world.state("one").signal, Idle):
            await asyncio.sleep(0.05)
        assert world.ledger.kinds("one", BTC).count("OrderFailed") == 2
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_a_position_without_a_confirmed_stop_for_too_long_is_closed():
    """The stop's answer never comes, and no question about it is answered: the clock runs out."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1, stop=0.2, target=0.2)}, speed=60, latency_ms=5)
        process = await world.process().until_ready()
        process.faults.arm(FaultKind.LOSE_REQUEST, leg=Leg.STOP, times=1)
        while not world.held():
            await asyncio.sleep(0.02)
        process.faults.arm(FaultKind.FAIL_FETCH, times=10_000, symbol=BTC)
        await asyncio.sleep(0.5)
        assert process.control.status().unprotected == (f"one/{BTC}#1",)
        await asyncio.sleep(1.5)
        assert world.held() == 0
        assert isinstance(world.state("one").signal, Closing)
        assert world.state("one").signal.reason is CloseReason.UNPROTECTED
        assert process.system.observations.counts["unprotected_overdue"] >= 1
        process.faults._armed.clear()
        await asyncio.sleep(2)
        assert isinstance(world.state("one").signal, Idle)
        assert process.control.status().unprotected == ()
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_partial_fills_keep_the_stop_at_the_size_of_the_position():
    """Whatever has filled so far is what the venue protects."""

    async def main() -> None:
        fills = FillModel(partial_probability=1.0, partial_pieces=3, seed=2)
        world = World(strategies={"eager": eager}, speed=60, latency_ms=5, fills=fills)
        process = await world.process().until_ready()
        wrong = seen = 0
        await asyncio.sleep(0.03)
        for _ in range(400):
            await asyncio.sleep(0.05)
            signal = world.store.files.get(("eager", BTC))
            stops = world.orders(leg=Leg.STOP)
            if signal is not None and isinstance(signal.signal, Open) and stops:
                seen += 1
                wrong += stops[0].quantity - stops[0].filled < abs(world.held())
        assert seen > 50
        assert wrong <= 3
        await process.end()
        reduced = [fact for fact in story(world, BTC) if isinstance(fact, PositionReduced)]
        assert len(reduced) > len([fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)])

    run(main())


def test_delayed_fills_change_nothing_in_the_end():
    """Events held back for minutes and then told all at once."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, speed=60, latency_ms=5)
        process = await world.process().until_ready()
        for _ in range(4):
            process.faults.hold_events()
            await asyncio.sleep(2.5)
            process.faults.release_events()
            await asyncio.sleep(1.5)
        await process.end()
        assert world.ledger.kinds("eager", BTC).count("SignalClosed") >= 2
        assert [] == disagreements(world)

    run(main())


def test_events_that_never_come_are_found_out_by_comparison():
    """Every event is lost: the venue is asked from time to time, and files and venue agree again."""

    async def main() -> None:
        execution = replace(World.execution, reconcile_s=0.7)
        world = World(strategies={"eager": eager}, speed=60, latency_ms=5, execution=execution)
        process = await world.process().until_ready()
        process.faults.hold_events()
        await asyncio.sleep(20)
        await process.end()
        assert world.ledger.kinds("eager", BTC).count("SignalClosed") >= 2
        closes = [fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)]
        assert CloseReason.VENUE not in {fact.reason for fact in closes}

    run(main())


def test_a_stop_that_vanished_is_found_out_and_placed_again():
    """Somebody cancelled it by hand and the venue told nobody."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1, stop=0.2, target=0.2)}, speed=60, latency_ms=5)
        process = await world.process().until_ready()
        while not world.orders(leg=Leg.TARGET):
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)
        process.faults.hold_events()
        (stop,) = world.orders(leg=Leg.STOP)
        world.venue.cancel(BTC, stop.client_order_id, world.venue.now_ms)
        await asyncio.sleep(world.execution.reconcile_s + 0.5)
        assert [each.client_order_id[-3:] for each in world.orders(leg=Leg.STOP)] == ["s02"]
        await process.end()

    run(main())


def test_a_position_closed_by_hand_is_taken_as_it_is():
    """The signal closes with the reason venue, and its stop and target are taken back."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1, stop=0.2, target=0.2)}, speed=60, latency_ms=5)
        process = await world.process().until_ready()
        while not world.orders(leg=Leg.TARGET):
            await asyncio.sleep(0.05)
        world.venue.close_by_hand(BTC, world.venue.now_ms)
        await asyncio.sleep(1 + world.execution.positions_lag_s)
        (closed,) = [fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)]
        assert closed.reason is CloseReason.VENUE
        assert world.orders() == []
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_a_foreign_order_blocks_its_symbol_for_as_long_as_it_is_there():
    """It is left alone and reported; the other symbols trade."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, symbols=(BTC, ETH), speed=60)
        by_hand = order("not-ours", "buy", "0.01", limit=str(int(world.venue.price(BTC) * D("0.5"))))
        world.venue.place_by_hand(by_hand, world.venue.now_ms)
        process = await world.process().until_ready()
        await asyncio.sleep(3)
        assert {each.code for each in world.ledger.decisions.values() if each.symbol == BTC} == {"foreign"}
        assert world.ledger.of("eager", ETH)
        assert any("no client order id" in sentence for sentence in process.problems.sentences())
        assert len(world.orders()) == 1
        world.venue.cancel(BTC, "not-ours", world.venue.now_ms)
        await asyncio.sleep(world.execution.reconcile_s + 2)
        assert world.ledger.of("eager", BTC)
        assert process.problems.sentences() == ()
        await process.end()

    run(main())


def test_a_foreign_position_blocks_its_symbol_for_as_long_as_it_is_there():
    """Opened by hand while the daemon runs."""

    async def main() -> None:
        world = World(strategies={"never": never}, symbols=(BTC,), speed=60)
        process = await world.process().until_ready()
        world.venue.place_by_hand(order("mine", "buy", "0.5"), world.venue.now_ms)
        await asyncio.sleep(0.2 + world.execution.positions_lag_s)
        assert "foreign" in process.control.status().symbols[0].blocks
        assert any("0.5" in sentence and "not ours" in sentence for sentence in process.problems.sentences())
        process.faults.hold_events()  # nobody is told
        world.venue.close_by_hand(BTC, world.venue.now_ms)
        await asyncio.sleep(world.execution.reconcile_s + 0.5)
        assert process.control.status().symbols[0].blocks == ()
        await process.end()

    run(main())


# ---------------------------------------------------------------- operators and limits


def test_halted_survives_a_restart_and_only_an_operator_lifts_it():
    """Nothing opens, exits go on."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, speed=60)
        process = await world.process().until_ready()
        await asyncio.sleep(2)
        await process.control.halt("the operator is worried")
        assert world.portfolio_store.memory.trading_state is TradingState.HALTED
        await process.kill()
        opened = world.ledger.kinds("eager", BTC).count("SignalOpening")
        process = await world.live(10)
        assert process.control.status().state_reason == "the operator is worried"
        assert any("HALTED" in sentence for sentence in process.problems.sentences())
        assert world.ledger.kinds("eager", BTC).count("SignalOpening") <= opened + 1
        assert isinstance(world.state("eager").signal, Idle)
        process = await world.process().until_ready()
        with pytest.raises(Rejected, match="reason"):
            await process.control.unhalt(" ")
        await process.control.unhalt("all is well")
        await asyncio.sleep(3)
        assert world.ledger.kinds("eager", BTC).count("SignalOpening") > opened + 1
        assert not any("HALTED" in sentence for sentence in process.problems.sentences())
        await process.end()

    run(main())


def test_flatten_closes_everything_and_cancels_entries():
    """At the market, with the operator as the reason."""

    async def main() -> None:
        strategies = {
            "holder": lambda: once(1, stop=0.2, target=0.2),
            "resting": lambda: once(1, limit=0.05, stop=0.2, target=0.2),
        }
        runs_on = {BTC: ("holder",), ETH: ("resting",), SOL: ("holder",)}
        world = World(strategies=strategies, symbols=(BTC, ETH, SOL), runs_on=runs_on, speed=60, latency_ms=5)
        process = await world.process().until_ready()
        await asyncio.sleep(4)
        assert world.held(BTC) and world.held(SOL) and len(world.orders(ETH)) == 1
        said = await process.control.flatten(None)
        assert said == "flat: 2 positions closed, 1 entry taken back, verified at the venue"
        assert world.venue.positions() == ()
        assert world.venue.open_orders() == ()
        closes = [fact.reason for fact in world.ledger.facts.values() if isinstance(fact, SignalClosed)]
        assert closes == [CloseReason.OPERATOR] * 2
        await asyncio.sleep(0.5)
        assert await process.control.flatten([BTC]) == f"nothing is open on {BTC}, verified at the venue"
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_flatten_reaches_a_symbol_that_is_being_restarted():
    """The wish waits for whoever runs it next."""

    async def main() -> None:
        def decide(view):
            minute = (view.close_ms - START_MS) // MINUTE_MS
            if minute == 2:
                return entry(view, stop=0.2, target=0.2)
            return None

        bad = Managing(Script(decide, manages_badly))
        restarts = replace(QUICK.restarts, backoff_s=3.0, backoff_maximum_s=3.0, maximum=5)
        world = World(strategies={"bad": lambda: bad}, settings=replace(QUICK, restarts=restarts), speed=60)
        process = await world.process().until_ready()
        while process.system.supervisor.status(BTC).state is not ChildState.BACKING_OFF:
            await asyncio.sleep(0.05)
        assert world.held()
        assert await process.control.flatten([BTC]) == "flat: 1 position closed, verified at the venue"
        assert world.held() == 0
        await process.end()

    run(main())


def test_pause_and_resume():
    """No entries while paused, over a restart too; what is open is managed on."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, symbols=(BTC, ETH), speed=60)
        process = await world.process().until_ready()
        await asyncio.sleep(2)
        await process.control.pause([BTC])
        await asyncio.sleep(0.1)
        before = world.ledger.kinds("eager", BTC).count("SignalOpening")
        await asyncio.sleep(8)
        assert world.ledger.kinds("eager", BTC).count("SignalOpening") == before
        assert isinstance(world.state("eager", BTC).signal, Idle)
        await process.kill()
        process = await world.process().until_ready()
        await asyncio.sleep(3)
        assert world.ledger.kinds("eager", BTC).count("SignalOpening") == before
        assert await process.control.resume([BTC, ETH]) == f"resumed {BTC}"
        await asyncio.sleep(3)
        assert world.ledger.kinds("eager", BTC).count("SignalOpening") > before
        assert "nothing was paused" in await process.control.resume([ETH])
        await process.end()

    run(main())


def test_the_loss_limit_halts_and_flattens():
    """Everything is closed with the portfolio's halt as the reason, and it stays so over a restart."""

    async def main() -> None:
        strategies = {"eager": eager, "holder": lambda: once(1, stop=0.2, target=0.2, minutes=900)}
        runs_on = {BTC: ("eager",), ETH: ("holder",), SOL: ("eager",)}
        world = World(
            strategies=strategies,
            symbols=(BTC, ETH, SOL),
            runs_on=runs_on,
            loss_limit=LossLimit(ratio=D("0.00002"), action=LossAction.FLATTEN),
            wallet=100_000,
            speed=60,
            latency_ms=5,
        )
        process = await world.process().until_ready()
        for _ in range(400):
            await asyncio.sleep(0.1)
            if process.portfolio.trading_state is TradingState.HALTED:
                break
        await asyncio.sleep(2)
        assert process.portfolio.trading_state is TradingState.HALTED
        assert world.venue.positions() == ()
        reasons = {fact.reason for fact in story(world, ETH) if isinstance(fact, SignalClosed)}
        assert reasons == {CloseReason.PORTFOLIO_HALT}
        assert world.portfolio_store.memory.trading_state is TradingState.HALTED
        await process.kill()
        process = await world.live(3)
        assert process.portfolio.flatten_wanted
        assert world.venue.positions() == ()
        assert [] == disagreements(world)

    run(main())


def test_a_loss_that_comes_to_light_at_a_restart_counts_once():
    """The stop was hit while nobody ran: the venue's wallet has it already when the file learns of it."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1, stop=0.004, target=0.2, minutes=9_000)})
        await world.live(3)
        assert world.held()
        while world.held():
            world.venue.step()
        process = await world.live(1)
        assert world.ledger.kinds("one", BTC)[-1] == "SignalClosed"
        assert process.portfolio.equity == pytest.approx(world.venue.account().equity, abs=D("1e-6"))

    run(main())


def test_sequential_mode_moves_on_after_so_many_closed_signals():
    """One symbol at a time; when all have had their turn, the daemon ends by itself."""

    async def main() -> None:
        settings = replace(QUICK, mode=RunMode.SEQUENTIAL, signals_per_symbol=2)
        world = World(strategies={"eager": eager}, symbols=(BTC, ETH, SOL), settings=settings)
        process = await world.live(500)
        assert [world.ledger.kinds("eager", each).count("SignalClosed") for each in (BTC, ETH, SOL)] == [2, 2, 2]
        spans = [[fact.ts_ms for fact in story(world, each)] for each in (BTC, ETH, SOL)]
        assert max(spans[0]) <= min(spans[1])
        assert max(spans[1]) <= min(spans[2])
        assert process.shutdown.cause == "every symbol has done its part"
        assert not process.system.data_ended

    run(main())


def test_no_more_symbols_at_once_than_configured():
    """But those with an open signal always."""

    async def main() -> None:
        settings = replace(QUICK, max_concurrent_symbols=2)
        world = World(strategies={"eager": lambda: always(stop=0.2, target=0.2)}, symbols=OTHERS)
        await world.live(3)
        assert all(world.held(each) for each in OTHERS)
        world.settings = settings
        process = await world.live(1)
        assert len(process.system.workers.warm) == 3

        fresh = World(strategies={"eager": eager}, symbols=OTHERS, settings=settings)
        process = await fresh.live(3)
        assert sorted(process.system.workers.warm) == sorted((BTC, ETH))

    run(main())


def test_limits_bind_over_all_symbols_at_once():
    """With two signals allowed and four symbols wanting one on the same candle, two get it (I5)."""

    async def main() -> None:
        world = World(
            strategies={"eager": lambda: always(stop=0.2, target=0.2)},
            symbols=(*OTHERS, XRP),
            limits=Limits(open_signals=2),
            sizing=FractionOfEquity(D("0.1")),
        )
        process = await world.live(4)
        assert process.portfolio.open_signals == 2
        assert {each.code for each in world.ledger.decisions.values() if each.outcome == "denied"} == {"open_signals"}
        assert sum(bool(world.held(each)) for each in (*OTHERS, XRP)) == 2

    run(main())


# ---------------------------------------------------------------- damaged, old, strange files


def test_a_damaged_file_with_an_open_position_is_rebuilt_quarantined_and_guarded():
    """The others run on; a restart by the operator lifts it."""

    async def main() -> None:
        world = World(
            strategies={"holder": lambda: once(1, stop=0.2, target=0.2)}, symbols=(BTC, ETH), speed=60, latency_ms=5
        )
        await world.live(4)
        position, stop = world.held(BTC), world.orders(BTC, Leg.STOP)[0]
        number = world.state("holder", BTC).number
        world.store.damage("holder", BTC)
        process = await world.process().until_ready()
        state: SymbolState = world.state("holder", BTC)
        assert isinstance(state.signal, Open)
        assert state.signal.position.quantity == position
        assert state.signal.stop_loss == stop.trigger_price
        assert state.number > number
        assert process.system.supervisor.status(BTC).state is ChildState.GUARDED
        assert process.system.supervisor.status(ETH).state is ChildState.RUNNING
        assert any("damaged" in sentence and "livebot restart" in sentence for sentence in process.problems.sentences())
        assert [stop] == world.orders(BTC, Leg.STOP)
        await process.control.restart([BTC])
        await asyncio.sleep(1)
        assert process.system.supervisor.status(BTC).state is ChildState.RUNNING
        assert process.problems.sentences() == ()
        await process.control.flatten([BTC])
        await asyncio.sleep(1)
        assert world.held(BTC) == 0
        await process.end()

    run(main())


def test_a_damaged_file_with_a_resting_entry_takes_the_entry_back():
    """It would fill with nobody to protect what it opens."""

    async def main() -> None:
        world = World(strategies={"resting": lambda: once(1, limit=0.05, stop=0.2, target=0.2)})
        await world.live(3)
        assert len(world.orders(leg=Leg.ENTRY)) == 1
        world.store.damage("resting", BTC)
        process = await world.live(1)
        assert world.orders() == []
        assert isinstance(world.state("resting").signal, Idle)
        assert "quarantined" in process.control.status().symbols[0].blocks

    run(main())


def test_a_file_damaged_while_the_daemon_runs_is_written_anew_and_its_symbol_quarantined():
    """What was last saved is known, and better than what the venue shows."""

    async def main() -> None:
        world = World(strategies={"holder": lambda: once(1, stop=0.2, target=0.2)}, speed=60, latency_ms=5)
        process = await world.process().until_ready()
        await asyncio.sleep(3)
        before = world.state("holder")
        world.store.damage("holder", BTC)
        await process.control.restart([BTC])
        await asyncio.sleep(1)
        after = world.state("holder")
        assert (after.signal, after.orders, after.number) == (before.signal, before.orders, before.number)
        assert process.system.supervisor.status(BTC).state is ChildState.GUARDED
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_a_file_older_than_the_ledger_uses_no_number_again():
    """A backup was put back: the symbol is quarantined and goes on above what the ledger has."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, symbols=(BTC, ETH))
        await world.live(5)
        old = world.state("eager", BTC)
        await world.live(20)
        last = world.ledger.of("eager", BTC)[-1]
        world.store.files["eager", BTC] = old
        process = await world.live(5)
        assert any("older than the ledger" in sentence for sentence in process.problems.sentences())
        assert world.state("eager", BTC).sequence >= last.sequence
        assert world.state("eager", BTC).number >= int(last.signal_id.rpartition("#")[2])
        assert ETH not in process.portfolio.blocks.quarantined

    run(main())


def test_a_signal_of_a_strategy_that_the_config_no_longer_names_is_guarded_to_its_end():
    """Its symbol may be gone from the config as well."""

    async def main() -> None:
        strategies = {"holder": lambda: once(1, stop=0.2, target=0.2, minutes=6), "never": never}
        world = World(strategies=strategies, runs_on={BTC: ("holder",), ETH: ("holder", "never")}, symbols=(BTC, ETH))
        await world.live(3)
        world.strategies = {"never": never}
        world.runs_on = {ETH: ("never",)}
        process = await world.live(1)
        told = [sentence for sentence in process.problems.sentences() if "no longer runs it" in sentence]
        assert len(told) == 2
        await world.live(6)
        assert world.venue.positions() == ()
        for symbol in (BTC, ETH):
            assert world.ledger.of("holder", symbol)[-1].reason is CloseReason.TIME_EXPIRED
        process = await world.live(2)
        assert process.problems.sentences() == ()
        assert list(process.system.workers.strategies) == [ETH]

    run(main())


def test_a_symbol_that_the_venue_lacks_is_left_out():
    """Delisted over night, with an open signal in its file: told, and the others run."""

    async def main() -> None:
        world = World(strategies={"holder": lambda: once(1, stop=0.2, target=0.2)}, symbols=(BTC, ETH))
        await world.live(3)
        process = world.process(minutes=2)
        instruments = process.exchange.instruments

        async def delisted(symbols):
            from livebot.errors import BadInput

            if ETH in symbols:
                raise BadInput(f"the simulated venue has no symbol {ETH}")
            return await instruments(symbols)

        process.exchange.instruments = delisted
        await process.system.run(process.shutdown)
        assert any(ETH in sentence and "nobody looks after" in sentence for sentence in process.problems.sentences())
        assert list(process.system.workers.strategies) == [BTC]

    run(main())


def test_a_full_disk_quarantines_the_symbol_and_sends_nothing():
    """What cannot be saved must not leave."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, symbols=(BTC, ETH), speed=60)
        world.store.fail = lambda state: state.symbol == BTC
        process = await world.process().until_ready()
        await asyncio.sleep(4)
        assert process.system.supervisor.status(BTC).state in (ChildState.GUARDED, ChildState.QUARANTINED)
        assert world.venue.fills(BTC, "") == ()
        assert not [sent for sent in process.wire.sent if sent.symbol == BTC]
        assert world.ledger.of("eager", BTC) == []
        assert world.ledger.of("eager", ETH)
        assert process.portfolio.open_signals <= 1
        world.store.fail = lambda _: False
        await process.control.restart([BTC])
        await asyncio.sleep(3)
        assert world.ledger.of("eager", BTC)
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_several_strategies_of_a_symbol_and_one_whose_file_cannot_be_written():
    """The one that was saved is told later, exactly once; the other has sent nothing."""

    async def main() -> None:
        strategies = {"good": lambda: once(1, stop=0.2, target=0.2), "poor": lambda: once(1, stop=0.2, target=0.2)}
        world = World(strategies=strategies, speed=60)
        world.store.fail = lambda state: state.strategy == "poor"
        process = await world.process().until_ready()
        await asyncio.sleep(4)
        world.store.fail = lambda _: False
        await asyncio.sleep(4)
        await process.end()
        assert {sent.client_order_id for sent in process.wire.sent} == set()
        assert world.ledger.kinds("good", BTC) == ["SignalOpening", "EntryCancelled"]
        assert world.ledger.kinds("poor", BTC) == []
        assert [] == disagreements(world)

    run(main())


# ---------------------------------------------------------------- determinism, listeners, the end


@pytest.mark.untraced
def test_two_identical_runs_give_identical_facts():
    """Fact by fact, over three busy strategies and three symbols, with limits that bind and pieces that fill (I9)."""

    def facts():
        strategies = {"eager": eager, "resting": lambda: Resting(Nothing()), "averager": lambda: Averager(Nothing())}
        world = World(
            strategies=strategies,
            symbols=OTHERS,
            limits=Limits(open_signals=5, gross_exposure=D("0.5"), orders_per_minute=4),
            sizing=FractionOfEquity(D("0.07")),
            fills=FillModel(partial_probability=0.3),
        )
        run(world.live(30))
        return world.ledger.facts, world.ledger.decisions

    first, second = facts(), facts()
    assert len(first[0]) > 250
    assert first == second


class Slow:
    """A listener that takes its time, or raises."""

    def __init__(self, name, *, raises=False):
        self.name = name
        self.raises = raises

    def hear(self, items):
        if self.raises:
            raise RuntimeError("I will not listen")
        return asyncio.sleep(30)


def test_a_slow_or_raising_listener_changes_nothing():
    """But the operator is told of it."""

    async def facts(*listeners):
        world = World(strategies={"eager": eager}, symbols=(BTC, ETH), listeners=listeners, speed=60, latency_ms=5)
        process = await world.live(20)
        return world.ledger.facts, process.problems.sentences()

    alone = run(facts())
    beside = run(facts(Slow("slow"), Slow("bad", raises=True)))
    assert alone[0] == beside[0]
    assert any("listener bad has failed" in sentence for sentence in beside[1])


def test_a_ledger_that_is_down_stops_no_exit_and_loses_no_fact():
    """It has everything once it is back, each fact once."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, symbols=(BTC, ETH), speed=60)
        process = await world.process().until_ready()
        world.ledger.fails = True
        await asyncio.sleep(8)
        assert any("ledger" in sentence for sentence in process.problems.sentences())
        world.ledger.fails = False
        await asyncio.sleep(20)
        await process.end()
        assert world.ledger.told == len(world.ledger.facts)
        assert [] == disagreements(world)

    run(main())


@pytest.mark.parametrize("at_s", [0.0, 0.011, 0.5, 1.003, 1.013, 1.5, 2.021, 3.005, 3.5])
def test_no_order_opens_anything_once_the_gate_has_closed(at_s):
    """Whenever the stop comes; it ends within its time, and files and venue agree."""

    async def main() -> None:
        world = World(strategies={"eager": eager}, symbols=(*OTHERS, XRP), speed=60, latency_ms=20)
        process = world.process()
        process.start()
        await asyncio.sleep(at_s)
        process.shutdown.request("now")
        sent = len(process.wire.sent)
        begun = asyncio.get_running_loop().time()
        await process.task
        assert asyncio.get_running_loop().time() - begun < world.settings.shutdown_s
        assert [each.leg for each in process.wire.sent[sent:] if each.leg.opens] == []
        assert [] == disagreements(world)

    run(main())


def test_a_stop_waits_for_an_order_on_its_way_and_a_hurry_does_not():
    """The answer of an order in flight is waited for; in a hurry it is left as an intent on disk."""

    async def main() -> None:
        for hurry in (False, True):
            world = World(strategies={"one": lambda: once(1)}, speed=60, latency_ms=1000)
            process = await world.process().until_ready()
            while not process.system.execution.in_flight:
                await asyncio.sleep(0.01)
            process.shutdown.request("stop")
            if hurry:
                await settle()
                process.shutdown.request("hurry")
            begun = asyncio.get_running_loop().time()
            await process.task
            took_s = asyncio.get_running_loop().time() - begun
            statuses = {record.status for record in world.state("one").orders}
            assert (took_s < 0.1) is hurry
            assert (statuses == {OrderStatus.INTENDED}) is hurry
            await asyncio.sleep(2)
            await world.live(1)
            assert [] == disagreements(world)

    run(main())


def test_a_stop_during_recovery_ends_it():
    """The venue does not answer, and the operator does not want to wait for it."""

    async def main() -> None:
        world = World(strategies={"eager": eager})
        process = world.process()
        process.faults.arm(FaultKind.FAIL_FETCH, times=1_000_000)
        process.start()
        await asyncio.sleep(5)
        assert not process.task.done()
        process.shutdown.request("enough")
        await process.task

    run(main())


def test_short_side_signals_are_guarded_like_long_ones():
    """A short that is closed by its stop, by its target and by time."""

    async def main() -> None:
        world = World(strategies={"short": lambda: always(side=Side.SHORT, stop=0.002, target=0.002, minutes=4)})
        await world.live(60)
        closes = {fact.reason for fact in story(world, BTC) if isinstance(fact, SignalClosed)}
        assert {CloseReason.STOP_LOSS, CloseReason.TAKE_PROFIT} <= closes
        opened = [fact for fact in story(world, BTC) if isinstance(fact, SignalOpened)]
        assert all(fact.side is Side.SHORT for fact in opened)
        assert [] == disagreements(world)

    run(main())
