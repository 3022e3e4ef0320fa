"""The account compared with the files: on a notice, from time to time, and what is said of it."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.denial import DenialCode
from livebot.core.facts import SignalClosed
from livebot.core.order import Leg
from livebot.core.signal import CloseReason, Idle
from livebot.errors import Fatal, Transient
from livebot.ports import VenueNotice
from livebot.runtime.venue.venue_watch import APART_S
from livebot.simulator.faults import FaultKind
from tests.process.strategies import Averager, Eager, Nothing
from tests.runtime.harness import BRIEF, BTC, ETH, SOL, World, always, disagreements, never, once, run, story
from tests.simulator.builders import order

D = Decimal
SELDOM = replace(BRIEF, reconcile_s=1_000.0)
MISSED = VenueNotice(source="private stream", text=None, reconcile=True)


def holder(**changes) -> World:
    """A position on BTC whose protection is far away; the slow timer never comes."""
    strategies = {"one": lambda: once(1, stop=0.2, target=0.2)}
    return World(**{"strategies": strategies, "speed": 60, "execution": SELDOM, **changes})


async def holding(world: World):
    process = await world.process().until_ready()
    while not world.orders(leg=Leg.TARGET):
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.1)
    return process


def summaries(logs: list) -> list[dict]:
    return [line for line in logs if line["event"] == "compared_with_venue"]


# ---------------------------------------------------------------- a gap in the events is healed by a notice


def test_a_position_that_its_own_stop_closed_while_nobody_told_us(logs):
    """One comparison: the fill is applied by its trade id, the target is taken back, the reason is the stop's."""

    async def main() -> None:
        world = holder()
        process = await holding(world)
        process.faults.hold_events()  # they never come
        (stop,) = world.orders(leg=Leg.STOP)
        world.venue.amend(_at_the_market(world, process, stop), world.venue.now_ms)
        while world.held():
            await asyncio.sleep(0.05)
        assert not isinstance(world.state("one").signal, Idle)
        process.exchange.say(MISSED)
        await asyncio.sleep(1)
        (closed,) = [fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)]
        assert closed.reason is CloseReason.STOP_LOSS
        assert process.system.observations.counts["comparisons"] == 2  # that of the start, and this one
        started, healed = summaries(logs)
        assert (started["occasion"], healed["occasion"]) == ("start", "notice")
        assert (healed["changed_fills"], healed["closed_outside"], healed["symbols"]) == (1, 0, 1)
        assert healed["changed_orders"] >= 1
        assert process.system.observations.counts["fills_reconciled"] == 1
        process.faults.release_events()  # late and for the second time
        await asyncio.sleep(0.5)
        await process.end()
        assert [] == disagreements(world)

    run(main())


def _at_the_market(world, process, stop):
    (record,) = [each for each in world.state("one").orders if each.request.leg is Leg.STOP]
    below = world.venue.price(BTC) * D("0.9999")
    return replace(record.request, trigger_price=below.quantize(record.request.trigger_price))


def test_a_position_that_somebody_closed_while_nobody_told_us():
    """It closes with the reason venue, and its orders are taken back."""

    async def main() -> None:
        world = holder()
        process = await holding(world)
        process.faults.hold_events()
        world.venue.close_by_hand(BTC, world.venue.now_ms)
        await asyncio.sleep(3)
        assert world.orders()
        process.exchange.say(MISSED)
        await asyncio.sleep(1 + BRIEF.positions_lag_s)
        (closed,) = [fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)]
        assert closed.reason is CloseReason.VENUE
        assert world.orders() == []
        assert process.system.observations.counts["closed_outside"] == 1
        await process.end()

    run(main())


def test_an_entry_that_filled_while_nobody_told_us_gets_its_stop():
    """A resting order of ours; the notice names its symbol alone."""

    async def main() -> None:
        world = holder(strategies={"resting": lambda: once(1, limit=0.0002, stop=0.2, target=0.2)})
        process = await world.process().until_ready()
        while not world.orders(leg=Leg.ENTRY):
            await asyncio.sleep(0.05)
        process.faults.hold_events()
        while not world.held():
            await asyncio.sleep(0.05)
        assert not world.orders(leg=Leg.STOP)
        process.exchange.say(replace(MISSED, symbol=ETH))  # nothing of ours is there
        await asyncio.sleep(APART_S + 0.1)
        process.exchange.say(replace(MISSED, symbol=BTC))
        await asyncio.sleep(0.5)
        assert len(world.orders(leg=Leg.STOP)) == 1
        await process.end()

    run(main())


@pytest.mark.parametrize("make", [Eager, Averager])
def test_a_stream_that_drops_and_comes_back_again_and_again_loses_nothing(make):
    """Events between a drop and its notice are gone for good; each fill counts once."""

    async def main() -> None:
        world = holder(strategies={"busy": lambda: make(Nothing())}, latency_ms=5)
        process = await world.process().until_ready()
        for _ in range(12):
            await asyncio.sleep(1.3)
            process.faults.hold_events()
            await asyncio.sleep(1.7)
            process.faults._held.clear()
            process.faults.release_events()
            process.exchange.say(MISSED)
        await asyncio.sleep(APART_S + 1)
        assert process.problems.sentences() == ()
        await process.end()
        assert world.ledger.kinds("busy", BTC).count("SignalClosed") >= 5
        assert CloseReason.VENUE not in {each.reason for each in story(world, BTC) if isinstance(each, SignalClosed)}
        assert [] == disagreements(world)

    run(main())


@pytest.mark.parametrize("heard", [True, False])
def test_a_cancellation_that_succeeds_for_an_entry_that_has_just_filled(heard):
    """The venue says yes to both: what filled gets its stop and is closed, whether events tell of it or a comparison."""

    async def main() -> None:
        world = holder(strategies={"resting": lambda: once(1, limit=0.0002, stop=0.2, target=0.2)})
        process = await world.process().until_ready()
        while not world.orders(leg=Leg.ENTRY):
            await asyncio.sleep(0.05)
        process.faults.hold_events()
        while not world.held():
            await asyncio.sleep(0.05)
        taken_back = []

        async def cancelled(symbol, client_order_id):
            taken_back.append(client_order_id)

        cancel, process.exchange.cancel = process.exchange.cancel, cancelled
        flattening = asyncio.create_task(process.control.flatten([BTC]))
        await asyncio.sleep(0.3)
        assert [order_id[-3:] for order_id in taken_back] == ["e01"]
        process.exchange.cancel = cancel
        if heard:
            process.faults.release_events()
        else:
            process.faults._held.clear()
            process.faults.release_events()
            process.exchange.say(MISSED)
        assert await flattening == "flat: 1 entry taken back, verified at the venue"
        assert world.held() == 0
        await asyncio.sleep(1)
        kinds = world.ledger.kinds("resting", BTC)
        assert (kinds[:2], kinds[-1]) == (["SignalScheduled", "SignalOpened"], "SignalClosed")
        assert process.system.supervisor.restarts() == 0
        await process.end()
        assert [] == disagreements(world)

    run(main())


# ---------------------------------------------------------------- notices


def test_a_notice_of_either_port_is_shown_and_stops_entries():
    """With its own code; what is open is managed on, and all is as before when it has passed."""

    async def main() -> None:
        world = World(strategies={"eager": lambda: always(stop=0.001, target=0.001)}, symbols=(BTC, ETH), speed=60)
        process = world.process()
        process.start()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        clock = VenueNotice(source="clock", text="this machine's clock is 3 s off", blocks_entries=True)
        process.exchange.say(clock)  # before it is ready
        await asyncio.sleep(3)
        assert {each.code for each in world.ledger.decisions.values()} == {"venue"}
        assert process.problems.sentences() == ("this machine's clock is 3 s off",)
        process.exchange.say(replace(clock, text=None))
        stale = VenueNotice(source=ETH, text=f"{ETH}: no candle for 60 s", symbol=ETH, blocks_entries=True)
        process.system.parts.feed.say(stale)
        await asyncio.sleep(4)
        assert world.ledger.kinds("eager", BTC).count("SignalOpening") >= 2
        assert world.ledger.of("eager", ETH) == []
        assert [status.blocks for status in process.control.status().symbols] == [(), (DenialCode.VENUE.value,)]
        process.system.parts.feed.say(replace(stale, text=None))
        await asyncio.sleep(2)
        assert world.ledger.of("eager", ETH)
        await process.end()

    run(main())


def test_an_approved_entry_does_not_leave_once_a_notice_has_come():
    """The last gate hears it too."""

    async def main() -> None:
        world = World(strategies={"one": lambda: once(1)}, speed=60)
        process = await world.process().until_ready()
        save = world.store.save

        async def saved_while_the_line_breaks(state):
            await save(state)
            process.exchange.say(VenueNotice(source="ban", text="we are banned for 60 s", blocks_entries=True))

        world.store.save = saved_while_the_line_breaks
        await asyncio.sleep(3)
        assert world.ledger.kinds("one", BTC) == ["SignalOpening", "EntryCancelled"]
        assert process.wire.sent == []
        assert process.system.observations.counts["withdrawn"] == 1
        await process.end()

    run(main())


def test_a_notice_has_those_with_a_signal_ask_or_the_named_one_alone():
    """Who has none has missed nothing."""

    async def main() -> None:
        strategies = {"one": lambda: once(1, stop=0.2, target=0.2), "never": never}
        runs_on = {BTC: ("one",), ETH: ("one",), SOL: ("never",)}
        world = holder(strategies=strategies, symbols=(BTC, ETH, SOL), runs_on=runs_on)
        process = await holding(world)
        asked = []
        compared = process.system.observations._comparisons.compared

        def heard(symbol, changes):
            asked.append(symbol)
            compared(symbol, changes)

        process.system.observations._comparisons.compared = heard
        for notice, expected in ((MISSED, [BTC, ETH]), (replace(MISSED, symbol=ETH), [ETH])):
            asked.clear()
            process.exchange.say(notice)
            await asyncio.sleep(APART_S + 0.5)
            assert sorted(asked) == expected
        asked.clear()
        process.exchange.say(replace(MISSED, symbol=SOL))
        await asyncio.sleep(APART_S + 0.5)
        assert asked == []
        await process.end()

    run(main())


def test_many_notices_in_a_row_are_one_comparison(logs):
    """Those that come during it are one more, a while later."""

    async def main() -> None:
        world = holder(symbols=(BTC, ETH, SOL))
        process = await holding(world)
        looks = []
        fetch = process.exchange.fetch_positions

        async def positions():
            looks.append(asyncio.get_running_loop().time())
            if len(looks) == 1:
                for _ in range(50):
                    process.exchange.say(MISSED)
            return await fetch()

        process.exchange.fetch_positions = positions
        for _ in range(50):
            process.exchange.say(MISSED)
            process.system.parts.feed.say(replace(MISSED, symbol=ETH))
        await asyncio.sleep(APART_S / 2)
        assert len(looks) <= 2  # the account's and the workers', who share one where they can
        assert [line["occasion"] for line in summaries(logs)] == ["start", "notice"]
        await asyncio.sleep(APART_S)
        assert [line["occasion"] for line in summaries(logs)] == ["start", "notice", "notice"]
        await asyncio.sleep(20)
        assert len(looks) <= 4
        await process.end()

    run(main())


def test_a_comparison_that_the_venue_did_not_allow_is_repeated(logs):
    """The events that were missed are still missed."""

    async def main() -> None:
        world = holder()
        process = await holding(world)
        process.faults.hold_events()
        world.venue.close_by_hand(BTC, world.venue.now_ms)
        positions = process.exchange.fetch_positions

        async def silent():
            raise Transient("no")

        process.exchange.fetch_positions = silent
        process.exchange.say(MISSED)
        await asyncio.sleep(BRIEF.order_timeout_s + 0.1)
        assert process.problems.sentences() == ("the venue does not answer: files and venue cannot be compared",)
        process.exchange.fetch_positions = positions
        await asyncio.sleep(BRIEF.order_timeout_s + APART_S + 1)
        assert process.problems.sentences() == ()
        assert isinstance(world.state("one").signal, Idle)
        await process.end()

    run(main())


# ---------------------------------------------------------------- what is said


def test_each_comparison_is_one_line_that_says_what_was_found(logs):
    """Also of what is not ours, and of a position without its stop."""

    async def main() -> None:
        strategies = {"one": lambda: once(1, stop=0.2, target=0.2), "never": never}
        runs_on = {BTC: ("one",), ETH: ("never",)}
        world = holder(strategies=strategies, symbols=(BTC, ETH), runs_on=runs_on, execution=BRIEF)
        process = await holding(world)
        world.venue.place_by_hand(order("hand", "buy", "1", symbol=ETH), world.venue.now_ms)
        await asyncio.sleep(2 * BRIEF.reconcile_s)
        line = summaries(logs)[-1]
        assert (line["occasion"], line["symbols"], line["signals"], line["orders"]) == ("timer", 2, 1, 2)
        assert (line["positions"], line["foreign"], line["missing_stops"]) == (2, (ETH,), [])
        assert process.control.status().counts["comparisons"] == len(summaries(logs))
        process.faults.hold_events()
        process.faults.arm(FaultKind.REFUSE, times=2, leg=Leg.STOP)
        (stop,) = world.orders(leg=Leg.STOP)
        world.venue.cancel(BTC, stop.client_order_id, world.venue.now_ms)
        await asyncio.sleep(BRIEF.reconcile_s)
        assert [BTC] in [line["missing_stops"] for line in summaries(logs)]
        await process.end()

    run(main())


def test_a_wallet_that_our_trades_do_not_explain_is_told_once():
    """A deposit; equity follows the venue, and trading goes on."""

    async def main() -> None:
        world = World(strategies={"eager": lambda: always(stop=0.001, target=0.001)}, symbols=(BTC, ETH), speed=60)
        world.execution = replace(BRIEF, reconcile_s=1.0)
        process = await world.process().until_ready()
        told = []
        process.problems._changed = lambda source, sentence: told.append((source, sentence))
        await asyncio.sleep(10)
        assert told == []  # profits, losses and fees of our own are explained
        before = process.portfolio.equity
        world.venue._engine.holdings.wallet += 5_000
        await asyncio.sleep(20)
        (first, *_, last) = told
        assert first[0] == last[0] == "wallet"
        assert "5000 of it is not explained by our trades: a deposit" in first[1]
        assert (len(told), last[1]) == (2, None)
        assert process.portfolio.equity > before + 4_000
        assert process.portfolio.blocks.of(BTC) == ()
        await process.end()

    run(main())


def test_strategies_that_the_venue_nets_do_not_look_like_a_deposit():
    """It counts their profits another way than we do; the sum is the same."""

    async def main() -> None:
        strategies = {
            "long": lambda: once(1, stop=0.3, target=0.3),
            "quick": lambda: always(stop=0.001, target=0.001),
        }
        world = World(strategies=strategies, speed=60, execution=replace(BRIEF, reconcile_s=1.0), wallet=10_000)
        world.execution = replace(world.execution, wallet_tolerance=D("0.00001"))
        process = await world.process().until_ready()
        told = []
        process.problems._changed = lambda source, sentence: told.append((source, sentence))
        await asyncio.sleep(40)
        assert world.ledger.kinds("quick", BTC).count("SignalClosed") > 5
        assert told == []
        await process.end()

    run(main())


# ---------------------------------------------------------------- a venue that will not deal with us


def test_a_venue_that_refuses_us_stops_entries_and_not_the_workers():
    """The key was revoked: nobody is quarantined, nothing opens; when it is mended all goes on."""

    async def main() -> None:
        world = World(strategies={"eager": lambda: always(stop=0.001, target=0.001)}, symbols=(BTC, ETH), speed=60)
        process = await world.process().until_ready()
        await asyncio.sleep(2)
        calls = ("fetch_positions", "fetch_open_orders", "fetch_order", "fetch_fills", "fetch_account")
        real = {name: getattr(process.exchange, name) for name in calls}

        async def refused(*_):
            raise Fatal("the key was revoked")

        for name in calls:
            setattr(process.exchange, name, refused)
        process.exchange.say(MISSED)
        await asyncio.sleep(BRIEF.reconcile_s + 2)
        assert process.problems.sentences() == (
            "the venue refuses us: the key was revoked; nothing opens until it answers again",
        )
        status = process.control.status()
        assert [each.blocks for each in status.symbols] == [("venue",), ("venue",)]
        assert [each.worker for each in status.symbols] == ["running", "running"]
        for name, call in real.items():
            setattr(process.exchange, name, call)
        await asyncio.sleep(BRIEF.reconcile_s + 2)
        assert (process.problems.sentences(), process.portfolio.blocks.of(BTC)) == ((), ())
        assert process.system.supervisor.restarts() == 0
        assert process.portfolio.blocks.quarantined == {}
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_an_account_that_is_refused_at_the_start_ends_nothing():
    """Nothing opens before it was seen; the daemon stays and says so."""

    async def main() -> None:
        world = World(strategies={"eager": always}, speed=60)
        process = world.process()
        account = process.exchange.fetch_account

        async def refused():
            raise Fatal("the key may not read the account")

        process.exchange.fetch_account = refused
        process.start()
        await asyncio.sleep(40)
        assert process.system.ready.is_set()
        assert process.wire.sent == []
        assert "the key may not read the account" in process.problems.sentences()[0]
        process.exchange.fetch_account = account
        await asyncio.sleep(BRIEF.reconcile_s * 2)
        assert process.wire.sent
        await process.end()

    run(main())


def test_never_is_quiet():
    """Nothing happens, and nothing is said but the summaries."""

    async def main() -> None:
        world = World(strategies={"never": never}, speed=60)
        process = await world.process().until_ready()
        await asyncio.sleep(4 * BRIEF.reconcile_s)
        assert process.problems.sentences() == ()
        await process.end()

    run(main())
