"""What nobody tells the daemon it finds out: a late change that has undone a newer one, an event that was lost."""

import asyncio
from dataclasses import replace

from livebot.core.entry import Adjustment, Entry
from livebot.core.inputs import OrderAbsent, OrderAccepted
from livebot.core.market import MINUTE_MS
from livebot.core.order import Leg, OrderStatus
from livebot.core.risk import Approved
from livebot.core.signal import Open
from livebot.errors import Transient
from livebot.runtime.inbox import Ask
from livebot.runtime.venue.venue_watch import APART_S
from livebot.simulator.faults import FaultKind
from livebot.strategies.interface import View
from tests.runtime.harness import BRIEF, BTC, START_MS, Managing, Process, Script, World, entry, once, run


async def with_stop(world: World) -> Process:
    """A daemon with an open position and its stop; its venue's time runs."""
    process = await world.process().until_ready()
    while not world.orders(leg=Leg.STOP):
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    return process


def slow_world(**changes) -> World:
    """A minute lasts half a minute of the loop, so that no candle mends what is looked at here."""
    return World(strategies={"one": lambda: once(0, stop=0.05, target=0.05)}, speed=2.0, volatility=0.1, **changes)


def undo(world: World) -> None:
    """The venue takes in a change that is older than the stop's present form: half the quantity."""
    (record,) = [record for record in world.state("one").orders if record.request.leg is Leg.STOP]
    half = world.venue.instrument(BTC).round_quantity(record.request.quantity / 2)
    world.venue.amend(replace(record.request, quantity=half), world.venue.now_ms)


def stop_quantity(world: World) -> object:
    (stop,) = world.orders(leg=Leg.STOP)
    return stop.quantity


def test_a_stop_that_the_venue_shows_otherwise_than_confirmed_is_put_right_at_the_next_comparison():
    """Nobody told of it: only the look at the whole account can find it."""

    async def main() -> None:
        world = slow_world(execution=replace(BRIEF, reconcile_s=4.0))
        process = await with_stop(world)
        undo(world)
        assert stop_quantity(world) < world.held()
        await asyncio.sleep(9.0)
        assert stop_quantity(world) == world.held()
        await process.end()

    run(main())


def tightens_once() -> Managing:
    """Opens on the first candle, and with the next one has the stop follow a little."""

    def decide(view: View) -> Entry | None:
        return entry(view, stop=0.05, target=0.05) if view.close_ms == START_MS + MINUTE_MS else None

    def manage(view: View, signal: Open) -> Adjustment | None:
        return Adjustment(stop_loss=view.close * 0.96) if view.close_ms == START_MS + 2 * MINUTE_MS else None

    return Managing(Script(decide, manage))


def test_after_a_change_without_an_answer_the_order_is_asked_about_when_it_can_no_longer_arrive():
    """Long before anybody compares."""

    async def main() -> None:
        world = slow_world(execution=replace(BRIEF, reconcile_s=1_000.0))
        world.strategies = {"one": tightens_once}
        process = await with_stop(world)
        process.wire.window_ms = 3_000
        process.faults.arm(FaultKind.LOSE_ANSWER, leg=Leg.STOP)
        while not process.system.observations.counts["orders_asked_for"]:
            await asyncio.sleep(0.05)
        undo(world)
        await asyncio.sleep(1.0)
        assert stop_quantity(world) < world.held()
        await asyncio.sleep(2.5)
        assert stop_quantity(world) == world.held()
        await process.end()

    run(main())


def test_a_comparison_by_the_timer_that_the_venue_did_not_allow_is_repeated_soon():
    """Not only when its time has come again: what it would have found may be a position without a stop."""

    async def main() -> None:
        world = slow_world(execution=replace(BRIEF, reconcile_s=20.0))
        process = await with_stop(world)
        undo(world)
        positions = process.exchange.fetch_positions

        async def silent() -> None:
            raise Transient("no")

        process.exchange.fetch_positions = silent
        while not process.problems.sentences():
            await asyncio.sleep(0.1)
        process.exchange.fetch_positions = positions
        await asyncio.sleep(APART_S + 1.0)
        assert stop_quantity(world) == world.held()
        assert process.problems.sentences() == ()
        await process.end()

    run(main())


def test_a_venue_that_does_not_say_what_it_holds_keeps_nobody_from_placing_a_stop():
    """A comparison is asked for, its questions are not answered, and the stop goes: orders are taken all the while."""

    async def main() -> None:
        world = slow_world(execution=replace(BRIEF, reconcile_s=1_000.0))
        process = await with_stop(world)
        positions = process.exchange.fetch_positions

        async def silent() -> None:
            raise Transient("no")

        process.exchange.fetch_positions = silent
        process.system.workers.inboxes[BTC].put(Ask())
        await asyncio.sleep(0.1)
        (stop,) = world.orders(leg=Leg.STOP)
        world.venue.cancel(BTC, stop.client_order_id, world.venue.now_ms)
        await asyncio.sleep(BRIEF.unprotected_s)
        assert stop_quantity(world) == world.held() > 0
        undo(world)
        process.exchange.fetch_positions = positions
        await asyncio.sleep(BRIEF.unprotected_s + 1.0)  # what could not be compared is compared once it can be
        assert stop_quantity(world) == world.held() > 0
        await process.end()

    run(main())


def late_answers(process: Process, leg: Leg, seconds: float) -> None:
    """The venue does what it is asked, and says so only after a while."""
    submit = process.exchange.submit

    async def answers_late(approved: Approved) -> object:
        outcome = await submit(approved)
        if approved.order.leg is leg:
            await asyncio.sleep(seconds)
        return outcome

    process.exchange.submit = answers_late


def test_an_entry_that_trades_gets_its_stop_though_its_own_answer_does_not_come():
    """Its fills are told; nobody waits for the answer as long as a position may be without a stop."""

    async def main() -> None:
        world = slow_world(execution=replace(BRIEF, order_timeout_s=20.0, reconcile_s=1_000.0))
        process = world.process()
        late_answers(process, Leg.ENTRY, 10.0)
        await process.until_ready()
        while not world.held():
            await asyncio.sleep(0.05)
        await asyncio.sleep(BRIEF.unprotected_s)
        assert stop_quantity(world) == world.held()
        await asyncio.sleep(12.0)  # the answer says nothing new
        assert process.system.observations.counts["orders_asked_for"] == 1
        assert stop_quantity(world) == world.held() > 0
        await process.end()

    run(main())


def test_a_stop_that_is_not_answered_for_is_confirmed_by_what_the_venue_tells():
    """However long the answer itself may take."""

    async def main() -> None:
        world = slow_world(execution=replace(BRIEF, order_timeout_s=20.0, reconcile_s=1_000.0))
        process = world.process()
        late_answers(process, Leg.STOP, 10.0)
        await process.until_ready()
        while not world.orders(leg=Leg.STOP):
            await asyncio.sleep(0.05)
        (stop,) = world.orders(leg=Leg.STOP)
        told = OrderAccepted(
            client_order_id=stop.client_order_id,
            venue_order_id=stop.venue_order_id,
            quantity=stop.quantity,
            price=None,
            trigger_price=stop.trigger_price,
            ts_ms=world.venue.now_ms,
        )
        process.system.workers.inboxes[BTC].put(told)
        await asyncio.sleep(BRIEF.unprotected_s)
        (record,) = [record for record in world.state("one").orders if record.request.leg is Leg.STOP]
        assert (record.status, record.confirmed) == (OrderStatus.WORKING, True)
        await asyncio.sleep(12.0)
        assert stop_quantity(world) == world.held() > 0
        await process.end()

    run(main())


def test_a_stop_that_is_sent_again_is_not_called_absent_by_a_question_from_before():
    """Its copy arrives when that question has been answered; it is the position's one stop."""

    async def main() -> None:
        world = slow_world(execution=replace(BRIEF, order_timeout_s=20.0, reconcile_s=1_000.0))
        process = await world.process().until_ready()
        process.faults.arm(FaultKind.LOSE_REQUEST, leg=Leg.STOP)
        while not world.held():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        await process.kill()
        process = world.process()
        process.wire.window_ms = 20_000
        submit = process.exchange.submit

        async def arrives_late(approved: Approved) -> object:
            await asyncio.sleep(0.7 * BRIEF.unprotected_s)
            return await submit(approved)

        process.exchange.submit = arrives_late
        process.start()
        while not process.wire.sent:
            await asyncio.sleep(0.01)
        (stop,) = process.wire.sent
        absent = OrderAbsent(client_order_id=stop.client_order_id, ts_ms=process.clock.now_ms() - 20)
        process.system.workers.inboxes[BTC].put(absent)
        await asyncio.sleep(2 * BRIEF.unprotected_s)
        assert [order.client_order_id for order in world.orders(leg=Leg.STOP)] == [stop.client_order_id]
        (record,) = [record for record in world.state("one").orders if record.request.leg is Leg.STOP]
        assert (record.request.client_order_id, record.confirmed) == (stop.client_order_id, True)
        assert stop_quantity(world) == world.held() > 0
        await process.end()

    run(main())


def test_a_position_of_whose_stop_nothing_is_heard_is_closed_when_its_time_is_over_not_that_of_an_answer():
    """An answer may take longer than a position may be without a stop."""

    async def main() -> None:
        world = slow_world(execution=replace(BRIEF, order_timeout_s=20.0, reconcile_s=1_000.0))
        process = world.process()
        late_answers(process, Leg.STOP, 15.0)
        await process.until_ready()
        while not world.held():
            await asyncio.sleep(0.05)
        await asyncio.sleep(2 * BRIEF.unprotected_s)
        assert world.held() == 0
        await process.end()

    run(main())


def test_a_stop_whose_change_is_not_answered_is_confirmed_by_what_the_venue_tells():
    """It does not take as long as an answer may take."""

    async def main() -> None:
        world = slow_world(execution=replace(BRIEF, order_timeout_s=20.0, reconcile_s=1_000.0))
        world.strategies = {"one": tightens_once}
        process = await with_stop(world)
        (before,) = world.orders(leg=Leg.STOP)
        amend = process.exchange.amend

        async def answers_late(approved: Approved) -> object:
            outcome = await amend(approved)
            await asyncio.sleep(10.0)
            return outcome

        process.exchange.amend = answers_late
        while world.orders(leg=Leg.STOP) == [before]:
            await asyncio.sleep(0.05)
        (stop,) = world.orders(leg=Leg.STOP)
        told = OrderAccepted(
            client_order_id=stop.client_order_id,
            venue_order_id=stop.venue_order_id,
            quantity=stop.quantity,
            price=None,
            trigger_price=stop.trigger_price,
            ts_ms=world.venue.now_ms,
        )
        process.system.workers.inboxes[BTC].put(told)
        await asyncio.sleep(BRIEF.unprotected_s)
        (record,) = [record for record in world.state("one").orders if record.request.leg is Leg.STOP]
        assert record.confirmed
        await asyncio.sleep(12.0)
        assert stop_quantity(world) == world.held() > 0
        await process.end()

    run(main())


def test_a_save_that_nobody_waited_for_any_more_is_known_once_the_file_is_read_again():
    """Else all who look at the last saved states would go on with an older one until the next save."""

    async def main() -> None:
        world = slow_world()
        process = await with_stop(world)
        newer = replace(world.state("one"), decided_ms=world.state("one").decided_ms + 1)
        world.store.files["one", BTC] = newer
        await process.control.restart([BTC])
        await asyncio.sleep(1.0)
        assert newer.decided_ms in {state.decided_ms for state in process.system.workers.last_states()}
        await process.end()

    run(main())


def test_a_position_whose_stop_stands_is_kept_while_nobody_answers_for_a_change_of_it():
    """The line is down, or the venue has banned us: the stop is there as it was, and moves when there are answers again."""

    async def main() -> None:
        world = slow_world(execution=replace(BRIEF, reconcile_s=1_000.0))
        world.strategies = {"one": tightens_once}
        process = await with_stop(world)
        (before,) = world.orders(leg=Leg.STOP)
        process.faults.arm(FaultKind.LOSE_REQUEST, times=1_000, leg=Leg.STOP)
        process.faults.arm(FaultKind.FAIL_FETCH, times=10_000, symbol=BTC)
        while process.system.observations.counts["orders_asked_for"] == 0:
            await asyncio.sleep(0.05)
        await asyncio.sleep(3 * BRIEF.unprotected_s)
        assert isinstance(world.state("one").signal, Open)
        assert process.control.status().unprotected == ()
        assert world.orders(leg=Leg.STOP) == [before]
        process.faults._armed.clear()
        await asyncio.sleep(process.wire.window_ms / 1000 + 3.0)
        (moved,) = world.orders(leg=Leg.STOP)
        assert moved.trigger_price == world.state("one").signal.stop_loss > before.trigger_price
        assert stop_quantity(world) == world.held() > 0
        await process.end()

    run(main())


def test_a_position_is_closed_when_nobody_answers_for_the_change_that_makes_its_stop_large_enough():
    """What stood is for less than there is by now."""

    async def main() -> None:
        world = slow_world(execution=replace(BRIEF, reconcile_s=1_000.0))
        process = await with_stop(world)
        process.faults.arm(FaultKind.LOSE_REQUEST, times=1_000, leg=Leg.STOP)
        process.faults.arm(FaultKind.FAIL_FETCH, times=10_000, symbol=BTC)
        (record,) = [record for record in world.state("one").orders if record.request.leg is Leg.STOP]
        half = world.venue.instrument(BTC).round_quantity(record.request.quantity / 2)
        undo(world)
        told = OrderAccepted(
            client_order_id=record.request.client_order_id,
            venue_order_id=str(record.venue_order_id),
            quantity=half,
            price=None,
            trigger_price=record.request.trigger_price,
            ts_ms=process.clock.now_ms() + 2_000,
        )
        process.system.workers.inboxes[BTC].put(told)
        await asyncio.sleep(3 * BRIEF.unprotected_s)
        assert world.held() == 0
        await process.end()

    run(main())
