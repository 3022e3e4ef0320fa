"""What the operator does with positions and orders that are not ours, on a whole system."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.facts import SignalClosed
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS
from livebot.core.order import Leg
from livebot.core.signal import CloseReason, Open
from livebot.errors import Rejected
from livebot.runtime.supervision.supervisor import ChildState
from livebot.simulator.faults import FaultKind
from tests.runtime.harness import (
    BRIEF,
    BTC,
    ETH,
    QUICK,
    START_MS,
    Managing,
    Script,
    SteppingLoop,
    World,
    always,
    disagreements,
    entry,
    never,
    once,
    run,
    run_stepping,
    story,
)
from tests.simulator.builders import order

D = Decimal


def near(world: World, ratio: str, symbol: str = BTC) -> Decimal:
    """A price so far from the present one, as a text would have it."""
    return round(world.venue.price(symbol) * D(ratio))


async def until_told(process) -> None:
    """Until what was opened by hand has stood for as long as the venue's list may be behind."""
    while not process.system.foreign.quantity(BTC):
        await asyncio.sleep(0.1)


def with_foreign(test, *, quantity: str = "0.5", side: str = "buy", **changes):
    """Run the test on a daemon that has found a position opened by hand."""

    async def main() -> None:
        world = World(**{"strategies": {"never": never}, "symbols": (BTC, ETH), "speed": 60, **changes})
        process = await world.process().until_ready()
        await asyncio.sleep(1.5)
        world.venue.place_by_hand(order("hand", side, quantity), world.venue.now_ms)
        await until_told(process)
        await test(world, process)
        if not process.task.done():
            await process.end()

    run(main())


def the_blocks(process, symbol: str = BTC) -> tuple[str, ...]:
    (status,) = [each for each in process.control.status().symbols if each.symbol == symbol]
    return status.blocks


# ---------------------------------------------------------------- adopting


@pytest.mark.parametrize(("side", "ratio"), [("buy", "0.9"), ("sell", "1.1")])
def test_an_adopted_position_is_protected_at_once_and_lives_like_any_signal(side, ratio):
    """Its stop rests when the answer comes; it closes when the operator says so, and the files agree with the venue."""

    async def test(world, process) -> None:
        stop = near(world, ratio)
        said = await process.control.adopt([BTC], stop=stop)
        assert f"as never/{BTC}#1: its stop at {stop} stands, no target; it closes after 30 d at the latest" in said
        (resting,) = world.orders(leg=Leg.STOP)
        assert (resting.trigger_price, resting.quantity) == (stop, D("0.5"))
        assert isinstance(world.state("never").signal, Open)
        assert (the_blocks(process), process.problems.sentences()) == ((), ())
        await asyncio.sleep(BRIEF.reconcile_s + 1)
        assert process.problems.sentences() == ()
        await process.control.flatten([BTC])
        await asyncio.sleep(1)
        assert world.held() == 0
        (closed,) = [fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)]
        assert closed.reason is CloseReason.OPERATOR
        assert [] == disagreements(world)

    with_foreign(test, side=side)


def test_a_stop_that_rests_there_says_where_ours_goes():
    """The nearest one that closes the position; orders of somebody else stay and are named."""

    async def test(world, process) -> None:
        near_stop, far_stop = near(world, "0.95"), near(world, "0.9")
        for name, price in (("far", far_stop), ("near", near_stop)):
            world.venue.place_by_hand(order(name, "sell", "0.5", stop=str(price), reduce=True), world.venue.now_ms)
        world.venue.place_by_hand(order("up", "buy", "0.1", stop=str(near(world, "1.2"))), world.venue.now_ms)
        await asyncio.sleep(BRIEF.reconcile_s + 1)
        target = near(world, "1.3")
        said = await process.control.adopt([BTC], target=target)
        assert f"its stop at {near_stop} stands, a target of {target}" in said
        assert "is not ours either and stays: cancel it at the venue, or dismiss it" in said
        assert the_blocks(process) == ("foreign",)
        assert len(world.orders()) == 5

    with_foreign(test)


def test_an_adopted_position_beyond_a_limit_is_adopted_named_and_counted():
    """It is there whether we allow it or not; while it is, nothing else opens."""

    async def test(world, process) -> None:
        said = await process.control.adopt([BTC], stop=near(world, "0.9"))
        assert f"as never/{BTC}#1" in said
        for words in (
            "more is open than allowed",
            "risk.limits.open_signals (open signals: 0 used and 1 asked, 0 allowed)",
            "risk.limits.gross_exposure (gross exposure: 0 used and ",
            "(0.1 % of equity ",
        ):
            assert words in said, (words, said)
        assert "symbol_exposure" not in said
        uses = {each.name: each.used for each in process.control.status().limits}
        assert uses["open_signals"] == 1
        assert uses["gross_exposure"] > D("0.001")

    with_foreign(test, limits=Limits(open_signals=0, gross_exposure=D("0.001"), symbol_exposure=D(1000)))


@pytest.mark.parametrize(
    ("changes", "arguments", "sentence"),
    [
        ({}, {}, "no stop rests there and none was given"),
        ({}, {"stop": D(1)}, "from the entry price"),
        ({}, {"stop": D(10_000_000)}, "must be below"),
        ({}, {"stop": D(1), "strategy": "other"}, "other does not run on"),
        ({"strategies": {"one": never, "two": never}}, {"stop": D(1)}, "one, two run on .* say with --strategy"),
        ({"strategies": {"busy": lambda: once(0, stop=0.3, target=0.3)}}, {"ratio": "0.9"}, "busy has a signal on"),
        ({"runs_on": {ETH: ("never",)}}, {"stop": D(1)}, "not a symbol of this system"),
    ],
)
def test_what_cannot_be_done_safely_is_refused_and_changes_nothing(changes, arguments, sentence):
    """With a sentence that says what is missing."""

    async def test(world, process) -> None:
        wishes = dict(arguments)
        if "ratio" in wishes:
            wishes["stop"] = near(world, wishes.pop("ratio"))
        files, sent = dict(world.store.files), len(process.wire.sent)
        with pytest.raises(Rejected, match=sentence):
            await process.control.adopt([BTC], **wishes)
        assert {key: state.signal for key, state in world.store.files.items()} == {
            key: state.signal for key, state in files.items()
        }
        assert len(process.wire.sent) == sent
        assert process.system.foreign.quantity(BTC) == D("0.5")

    with_foreign(test, **changes)


def test_beside_a_signal_of_another_strategy_only_the_rest_is_adopted():
    """At the price that the rest was bought at, told from the venue's average."""

    async def test(world, process) -> None:
        held = world.state("one").signal.position.quantity
        before = world.venue.positions()[0].average_price
        assert world.held() == held + D("0.5")
        await process.control.adopt([BTC], stop=near(world, "0.9"), strategy="two")
        adopted = world.state("two").signal.position
        assert adopted.quantity == D("0.5")
        cost = held * world.state("one").signal.position.entry_price + adopted.quantity * adopted.entry_price
        assert abs(cost / (held + D("0.5")) - before) < D("0.01")
        assert (the_blocks(process), process.problems.sentences()) == ((), ())

    with_foreign(test, strategies={"one": lambda: once(0, stop=0.3, target=0.3), "two": never})


def test_all_that_is_there_is_adopted_where_it_can_be():
    """What was not is said, and so is what was."""

    async def test(world, process) -> None:
        world.venue.place_by_hand(order("hand2", "buy", "3", symbol=ETH), world.venue.now_ms)
        stop = order("hand3", "sell", "3", symbol=ETH, stop=str(near(world, "0.9", ETH)), reduce=True)
        world.venue.place_by_hand(stop, world.venue.now_ms)
        await asyncio.sleep(BRIEF.reconcile_s + 1)
        with pytest.raises(Rejected, match="for one symbol alone"):
            await process.control.adopt(None, stop=D(1))
        with pytest.raises(Rejected, match=f"{BTC}: no stop rests there .*; adopted 3 {ETH}"):
            await process.control.adopt(None)
        assert isinstance(world.state("never", ETH).signal, Open)
        await process.control.adopt(None, stop=near(world, "0.9"))
        with pytest.raises(Rejected, match="the venue holds nothing that is not ours"):
            await process.control.adopt(None)
        with pytest.raises(Rejected, match="the venue holds nothing that is not ours"):
            await process.control.adopt([ETH])

    with_foreign(test)


def test_where_no_strategy_of_the_config_runs_nothing_is_adopted():
    """Only a signal from before is guarded there."""

    async def main() -> None:
        strategies = {"old": lambda: once(0, stop=0.3, target=0.3), "never": never}
        world = World(strategies=strategies, symbols=(BTC, ETH), runs_on={BTC: ("old",), ETH: ("never",)})
        await world.live(2)
        assert world.held()
        world.runs_on = {ETH: ("never",)}
        world.speed = 60
        process = await world.process().until_ready()
        world.venue.place_by_hand(order("hand", "buy", "0.5"), world.venue.now_ms)
        with pytest.raises(Rejected, match=f"no strategy of the config runs on {BTC}; nothing was adopted"):
            await process.control.adopt([BTC], stop=near(world, "0.9"))
        await process.end()

    run(main())


def test_where_nobody_runs_nothing_is_adopted():
    """A symbol in quarantine is restarted first."""

    async def test(world, process) -> None:
        process.system.supervisor._children[BTC].quarantine = "because"
        process.system.supervisor.restart([BTC])
        process.system.workers.inboxes[BTC].close()
        with pytest.raises(Rejected, match=f"nobody runs {BTC} just now"):
            await process.control.adopt([BTC], stop=near(world, "0.9"))

    with_foreign(test)


def test_a_venue_that_does_not_answer_leaves_the_operator_with_a_sentence():
    """And adopts when it answers again, or not at all."""

    async def test(world, process) -> None:
        process.faults.arm(FaultKind.FAIL_FETCH, times=10_000)
        with pytest.raises(Rejected, match="the venue does not say what it holds"):
            await process.control.adopt([BTC], stop=near(world, "0.5"))

    with_foreign(test)


def test_a_refused_stop_closes_what_was_adopted():
    """What cannot be protected is not kept."""

    async def test(world, process) -> None:
        process.faults.arm(FaultKind.REFUSE, times=3, symbol=BTC, leg=Leg.STOP)
        said = await process.control.adopt([BTC], stop=near(world, "0.9"))
        assert "is being closed" in said
        await asyncio.sleep(1)
        assert world.held() == 0
        assert [] == disagreements(world)

    with_foreign(test)


def test_an_adopted_position_survives_a_kill():
    """Its file and its stop are there; the next daemon manages it on."""

    async def main() -> None:
        world = World(strategies={"never": never}, speed=60)
        process = await world.process().until_ready()
        await asyncio.sleep(1.5)
        world.venue.place_by_hand(order("hand", "buy", "0.5"), world.venue.now_ms)
        await until_told(process)
        await process.control.adopt([BTC], stop=near(world, "0.9"))
        await process.kill()
        process = await world.process().until_ready()
        assert process.problems.sentences() == ()
        assert process.control.status().symbols[0].signals[0].protected
        await process.end()
        assert [] == disagreements(world)

    run(main())


@pytest.mark.untraced
def test_killed_at_any_step_of_an_adoption_it_is_ours_with_a_stop_or_nobodys():
    """Never anything between; what the next daemon finds can be adopted again."""

    async def adopted_until(loop: SteppingLoop, steps: int) -> bool:
        """Whether the answer came before the kill."""
        world = World(strategies={"never": never}, speed=60)
        process = await world.process().until_ready()
        await asyncio.sleep(1.5)
        world.venue.place_by_hand(order("hand", "buy", "0.5"), world.venue.now_ms)
        await until_told(process)
        dead = asyncio.Event()
        loop.stop_at = loop.steps + steps
        loop.at_step = lambda: (process.die(), dead.set())
        adopting = asyncio.create_task(process.control.adopt([BTC], stop=near(world, "0.9")))
        dying = asyncio.create_task(dead.wait())
        await asyncio.wait({adopting, dying}, return_when=asyncio.FIRST_COMPLETED)
        loop.stop_at, answered = None, adopting.done() and not dead.is_set()
        await process.kill()
        while world.outside:
            await asyncio.wait(set(world.outside))
        process = await world.process().until_ready()
        state = world.store.files.get(("never", BTC))
        if state is None or not isinstance(state.signal, Open):
            assert not answered
            await until_told(process)
            assert (the_blocks(process), world.orders()) == (("foreign",), [])
            await process.control.adopt([BTC], stop=near(world, "0.9"))
        assert len(world.orders(leg=Leg.STOP)) == 1
        assert (the_blocks(process), process.control.status().symbols[0].signals[0].protected) == ((), True)
        await process.end()
        assert [] == disagreements(world)
        return answered

    async def main(loop: SteppingLoop) -> None:
        steps = 1
        while not await adopted_until(loop, steps):
            steps += 1
        assert steps > 20

    run_stepping(main)


# ---------------------------------------------------------------- dismissing


def test_what_is_dismissed_stays_and_the_symbol_trades_again_also_after_a_restart():
    """Ours plus what was dismissed is what the venue holds; nothing of it is closed or reported."""

    async def main() -> None:
        world = World(strategies={"eager": lambda: always(stop=0.001, target=0.001)}, speed=60)
        world.venue.place_by_hand(order("hand", "buy", "0.5"), world.venue.now_ms)
        resting = order("resting", "buy", "0.1", limit=str(near(world, "0.5")))
        world.venue.place_by_hand(resting, world.venue.now_ms)
        process = await world.process().until_ready()
        await asyncio.sleep(2)
        assert world.ledger.of("eager", BTC) == []
        said = await process.control.dismiss([BTC])
        assert said.startswith(f"left alone while it stays as it is: {BTC}: a position of 0.5, order ")
        (dismissed,) = world.portfolio_store.memory.dismissed
        assert (dismissed.symbol, dismissed.quantity, len(dismissed.orders)) == (BTC, D("0.5"), 1)
        await asyncio.sleep(8)
        closed = world.ledger.kinds("eager", BTC).count("SignalClosed")
        assert closed >= 2
        assert process.problems.sentences() == ()
        await process.kill()
        process = await world.process().until_ready()
        await asyncio.sleep(8)
        assert world.ledger.kinds("eager", BTC).count("SignalClosed") > closed
        assert (the_blocks(process), process.problems.sentences()) == ((), ())
        reasons = {fact.reason for fact in story(world, BTC) if isinstance(fact, SignalClosed)}
        assert CloseReason.VENUE not in reasons
        await process.control.pause(None)
        await process.control.flatten(None)
        await asyncio.sleep(1)
        assert world.held() == D("0.5")
        assert [each.client_order_id for each in world.orders()] == [None]
        await process.end()

    run(main())


def test_a_dismissed_position_that_changes_blocks_again():
    """Whether our events tell of it or only the next comparison."""

    async def test(world, process) -> None:
        await process.control.dismiss([BTC])
        assert the_blocks(process) == ()
        process.faults.hold_events()
        world.venue.place_by_hand(order("more", "buy", "0.1"), world.venue.now_ms)
        await asyncio.sleep(BRIEF.reconcile_s + 1)
        assert the_blocks(process) == ("foreign",)
        assert "holds 0.6 that is not ours" in process.problems.sentences()[0]
        await asyncio.sleep(1)
        assert world.portfolio_store.memory.dismissed == ()

    with_foreign(test)


def test_what_was_dismissed_counts_as_explained():
    """It costs no further question, and what else moves the wallet is still told."""

    async def test(world, process) -> None:
        await process.control.dismiss([BTC])
        await asyncio.sleep(2 * BRIEF.reconcile_s)
        looks = []
        fetch = process.exchange.fetch_positions

        async def positions():
            looks.append(1)
            return await fetch()

        process.exchange.fetch_positions = positions
        await asyncio.sleep(BRIEF.reconcile_s)
        assert len(looks) == 1
        await process.control.restart([BTC])
        await asyncio.sleep(0.5)
        assert len(looks) == 2
        world.venue._engine.holdings.wallet += 20_000
        await asyncio.sleep(3 * BRIEF.reconcile_s)
        assert process.system.observations.counts["comparisons"] > 4
        assert process.system._watch._wallet.told == 1

    with_foreign(test)


def test_a_dismissal_outlives_a_trade_that_a_failed_worker_has_not_heard_of():
    """Its stop fills while nobody runs the symbol; the next worker finds that all is explained."""

    async def test(world, process) -> None:
        await process.control.dismiss([BTC])
        while not world.orders(leg=Leg.STOP):
            await asyncio.sleep(0.05)
        child = process.system.supervisor._children[BTC]
        while child.state is not ChildState.BACKING_OFF:
            await asyncio.sleep(0.05)
        await process.system.workers.close()  # nor does a guard stand by
        (stop,) = world.orders(leg=Leg.STOP)
        world.venue.cancel(BTC, stop.client_order_id, world.venue.now_ms)
        held = world.state("bad").signal.position.quantity
        world.venue.place_by_hand(order("part", "sell", str(held)), world.venue.now_ms)
        await asyncio.sleep(BRIEF.reconcile_s + 0.5)
        assert the_blocks(process) == ("foreign",)
        assert world.portfolio_store.memory.dismissed[0].quantity == D("0.5")

    def decide(view):
        minute = (view.close_ms - START_MS) // MINUTE_MS
        return entry(view, stop=0.3, target=0.3) if minute >= 12 else None

    def fails(view, signal):
        raise ArithmeticError("it got out of hand")

    restarts = replace(QUICK.restarts, backoff_s=900.0, backoff_maximum_s=900.0)
    bad = Managing(Script(decide, fails))
    with_foreign(test, strategies={"bad": lambda: bad}, settings=replace(QUICK, restarts=restarts))


def test_beside_a_dismissed_position_nothing_opens_on_the_other_side():
    """The venue would net them, and neither would be what we take it for."""

    async def test(world, process) -> None:
        await process.control.dismiss([BTC])
        await asyncio.sleep(3)
        assert "opposite_side" in {each.code for each in world.ledger.decisions.values() if each.symbol == BTC}
        assert world.held() == D("-0.5")

    with_foreign(test, side="sell", strategies={"eager": lambda: once(3, stop=0.3, target=0.3)})


def test_nothing_foreign_is_nothing_to_dismiss():
    """Refused with a sentence, and nothing is changed on the others."""

    async def test(world, process) -> None:
        with pytest.raises(Rejected, match=f"nothing that is not ours on {ETH}; nothing was changed"):
            await process.control.dismiss([BTC, ETH])
        assert the_blocks(process) == ("foreign",)
        await process.control.dismiss(None)
        assert the_blocks(process) == ()
        world.venue.close_by_hand(BTC, world.venue.now_ms)
        await asyncio.sleep(1 + BRIEF.positions_lag_s)
        with pytest.raises(Rejected, match="shows nothing that is not ours; nothing was changed"):
            await process.control.dismiss(None)

    with_foreign(test)


def test_what_is_on_a_symbol_that_nobody_runs_can_be_dismissed_too():
    """Its sentence goes, and comes back when it changes; it is forgotten when it is gone."""

    async def main() -> None:
        world = World(strategies={"never": never}, symbols=(BTC, ETH), runs_on={BTC: ("never",)}, speed=60)
        world.venue.place_by_hand(order("hand", "buy", "0.5", symbol=ETH), world.venue.now_ms)
        process = await world.process().until_ready()
        assert "nobody runs the symbol" in process.problems.sentences()[0]
        await process.control.dismiss([ETH])
        await asyncio.sleep(BRIEF.reconcile_s + 1)
        assert process.problems.sentences() == ()
        world.venue.place_by_hand(order("more", "buy", "0.5", symbol=ETH), world.venue.now_ms)
        await asyncio.sleep(BRIEF.reconcile_s + 1)
        assert "holds 1.0 that is not ours" in process.problems.sentences()[0]
        world.venue.close_by_hand(ETH, world.venue.now_ms)
        await asyncio.sleep(BRIEF.reconcile_s + 1)
        assert process.problems.sentences() == ()
        await process.end()

    run(main())
