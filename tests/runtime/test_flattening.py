"""Everything of ours is closed and seen to be closed, whoever runs the symbol, and nothing that is not ours is touched."""

import asyncio
from dataclasses import replace

import pytest

from livebot.core.denial import DenialCode, TradingState
from livebot.core.facts import EntryCancelled, SignalClosed
from livebot.core.market import OrderSide
from livebot.core.order import Leg, OrderKind, OrderRequest, client_order_id
from livebot.core.signal import CancelReason, CloseReason
from livebot.errors import BadInput, Fatal, Rejected, Transient
from livebot.runtime.flattening import flattening
from livebot.runtime.flattening.flattening import ASK_AGAIN_S, LOOK_AGAIN_S, SOURCE
from livebot.runtime.portfolio.loss_watch import StateChange
from livebot.runtime.settings import RunMode
from livebot.runtime.supervision.supervisor import ChildState
from livebot.simulator.faults import FaultKind
from tests.runtime.harness import (
    BRIEF,
    BTC,
    ETH,
    QUICK,
    SOL,
    SYSTEM,
    D,
    World,
    disagreements,
    once,
    run,
    story,
)

FLAT = "flat: 1 position closed, verified at the venue"
SLOWLY = 1.0  # a candle takes a minute, so that what happens sooner was not done by one


@pytest.fixture(autouse=True)
def told_soon(monkeypatch):
    for name in ("TOLD_AFTER_S", "TOLD_EVERY_S"):
        monkeypatch.setattr(flattening, name, 1.0)


def holder(**changes) -> World:
    """Positions whose protection is far away."""
    strategies = {"one": lambda: once(1, stop=0.2, target=0.2)}
    return World(**{"strategies": strategies, "speed": SLOWLY, "latency_ms": 5, **changes})


async def holding(world: World, **changes):
    """A process with its positions behind stop and target."""
    process = await world.process(**changes).until_ready()
    await protected(world)
    return process


async def protected(world: World) -> None:
    while any(not world.orders(symbol, Leg.TARGET) for symbol in world.symbols):
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.1)


def exits(process, symbol: str = BTC) -> list[OrderRequest]:
    return [order for order in process.wire.sent if order.leg is Leg.EXIT and order.symbol == symbol]


async def timed(command) -> tuple[str, float]:
    began = asyncio.get_running_loop().time()
    return await command, asyncio.get_running_loop().time() - began


def refuse_exits(process, times: int) -> None:
    process.faults.arm(FaultKind.REFUSE, leg=Leg.EXIT, times=times)


# ---------------------------------------------------------------- what the venue does


def test_a_refused_exit_is_tried_again_soon_and_less_and_less_often():
    async def main() -> None:
        world = holder()
        process = await holding(world)
        held = world.held()
        refuse_exits(process, 3)
        said, took_s = await timed(process.control.flatten([BTC]))
        assert (said, world.held()) == (FLAT, 0)
        assert [order.quantity for order in exits(process)] == [held] * 3 + [held / 2] * 2
        assert 5 * ASK_AGAIN_S <= took_s <= 10 * ASK_AGAIN_S
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_what_a_candle_has_tried_again_is_not_wished_for_beside_it():
    """With a candle each second a second exit each second would be two."""

    async def main() -> None:
        world = holder(speed=60)
        process = await holding(world)
        refuse_exits(process, 1000)
        flattening = asyncio.create_task(process.control.flatten([BTC]))
        await asyncio.sleep(20)
        assert len(exits(process)) <= 1 + 20
        assert process.problems.of(SOURCE) is not None
        assert f"{BTC} (the venue has refused its exit" in process.problems.of(SOURCE)
        said = await flattening
        assert said.startswith(f"still closing {BTC} (")
        assert said.endswith("; it goes on, `livebot status` shows")
        process.faults._armed.clear()
        await asyncio.sleep(5)
        assert (world.held(), process.problems.of(SOURCE)) == (0, None)
        await process.end()

    run(main())


@pytest.mark.parametrize("kind", [FaultKind.LOSE_ANSWER, FaultKind.LOSE_REQUEST])
def test_an_exit_of_unknown_fate_is_asked_for_and_never_sent_beside_another(kind):
    async def main() -> None:
        world = holder()
        process = await holding(world)
        held = world.held()
        process.faults.arm(kind, leg=Leg.EXIT)
        submit, sent_s = process.exchange.submit, []

        async def noted(approved):
            if approved.order.leg is Leg.EXIT:
                sent_s.append(asyncio.get_running_loop().time())
            return await submit(approved)

        process.exchange.submit = noted
        process.wire.window_ms = 20_000
        said = await process.control.flatten([BTC])
        while said.startswith("still closing"):
            assert "has not said yet what became of its exit" in said
            said = await process.control.flatten([BTC])
        assert (said, world.held()) == (FLAT, 0)
        assert len(exits(process)) == (1 if kind is FaultKind.LOSE_ANSWER else 2)
        # as soon as it is certain: what was waited for does not make the next one wait longer
        assert sent_s[-1] - sent_s[0] < 20 + 3 * ASK_AGAIN_S
        assert all(order.quantity == held for order in exits(process))
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_a_venue_that_is_down_for_a_while_is_waited_for():
    """Nothing is called flat that nobody has seen."""

    async def main() -> None:
        world = holder(symbols=(BTC, ETH))
        process = await holding(world)
        submit, down = process.exchange.submit, True

        async def unreachable(approved):
            if down:
                raise Transient("no route to host")
            return await submit(approved)

        process.exchange.submit = unreachable
        process.faults.arm(FaultKind.FAIL_FETCH, times=100_000)
        said = await process.control.flatten(None)
        assert said.startswith(f"still closing {BTC} (")
        assert ETH in said
        assert world.held()
        down = False
        process.faults._armed.clear()
        said = await process.control.flatten(None)
        assert said == "flat: 2 positions closed, verified at the venue"
        assert world.venue.positions() == ()
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_what_is_closed_is_not_called_flat_before_the_venue_has_shown_it(logs):
    async def main() -> None:
        world = holder()
        process = await holding(world)
        positions, begun = process.exchange.fetch_positions, asyncio.Event()

        async def silent():
            begun.set()
            raise Fatal("the key was revoked")

        process.exchange.fetch_positions = silent
        flattening = asyncio.create_task(process.control.flatten([BTC]))
        await begun.wait()
        await asyncio.sleep(5)
        assert (world.held(), flattening.done()) == (0, False)
        assert process.problems.of(SOURCE) == f"still closing {BTC} (it is being compared with the venue)"
        process.exchange.fetch_positions = positions
        assert await flattening == FLAT
        assert process.problems.of(SOURCE) is None
        await process.end()

    run(main())
    assert "flatten_not_verified" in [line["event"] for line in logs]


# ---------------------------------------------------------------- who acts


def test_a_symbol_in_quarantine_is_closed_by_its_guard_and_stays_there():
    async def main() -> None:
        world = holder()
        process = await holding(world)
        await process.kill()
        world.portfolio_store.memory = replace(world.portfolio_store.memory, quarantined=((BTC, "it failed"),))
        process = await world.process().until_ready()
        said, took_s = await timed(process.control.flatten([BTC]))
        assert (said, world.held()) == (FLAT, 0)
        assert took_s < ASK_AGAIN_S
        assert process.system.supervisor.status(BTC).state in (ChildState.QUARANTINED, ChildState.GUARDED)
        assert DenialCode.QUARANTINED in process.portfolio.blocks.of(BTC)
        await process.end()

    run(main())


def test_a_guard_that_failed_is_replaced_at_once_and_not_when_its_wait_is_over():
    """The disk was full when it wanted to close."""

    async def main() -> None:
        restarts = replace(QUICK.restarts, backoff_s=60.0, backoff_maximum_s=60.0)
        world = holder(settings=replace(QUICK, restarts=restarts))
        process = await holding(world)
        await process.kill()
        world.portfolio_store.memory = replace(world.portfolio_store.memory, quarantined=((BTC, "it failed"),))
        process = await world.process().until_ready()
        world.store.fail = lambda state: True
        flattening = asyncio.create_task(timed(process.control.flatten([BTC])))
        await asyncio.sleep(2.5 * ASK_AGAIN_S)
        assert world.held()
        assert f"{BTC} (nobody acts for it just now (" in (process.problems.of(SOURCE) or "")
        world.store.fail = lambda state: False
        said, took_s = await flattening
        assert (said, world.held()) == (FLAT, 0)
        assert took_s < 8 * ASK_AGAIN_S
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_a_symbol_that_waits_for_its_turn_is_closed_by_a_guard_beside_no_worker():
    """One after another: the second has nobody."""

    async def main() -> None:
        world = holder(symbols=(BTC, ETH, SOL))
        process = await holding(world)
        await process.kill()
        world.settings = replace(QUICK, mode=RunMode.SEQUENTIAL)
        process = await world.process().until_ready()
        status = process.system.supervisor.status
        assert [status(symbol).state for symbol in (BTC, ETH)] == [ChildState.RUNNING, ChildState.WAITING]
        said, took_s = await timed(process.control.flatten(None))
        assert said == "flat: 3 positions closed, verified at the venue"
        assert took_s < LOOK_AGAIN_S + ASK_AGAIN_S
        assert status(ETH).state is ChildState.WAITING
        assert [len(exits(process, symbol)) for symbol in (BTC, ETH, SOL)] == [1, 1, 1]
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_no_guard_begins_beside_a_worker_that_is_about_to_run():
    """It waits for the guard before it to end, and until then its inbox is closed."""

    async def main() -> None:
        world = holder()
        process = await holding(world)
        workers = process.system.workers
        end = workers._standby.end

        async def looked_for_meanwhile(symbol):
            await end(symbol)
            workers.stand_in(symbol)

        workers._standby.end = looked_for_meanwhile
        await process.control.restart([BTC])
        await asyncio.sleep(1)
        assert workers._standby._tasks == {}
        assert process.system.supervisor.status(BTC).state is ChildState.RUNNING
        await process.end()

    run(main())


def test_a_worker_that_hangs_in_what_it_waits_for_is_replaced(logs):
    """One save is never answered; the next run's are."""

    async def main() -> None:
        world = holder()
        process = await holding(world)
        save, hung = world.store.save, []

        async def hang_once(state):
            if not hung:
                hung.append(state)
                await asyncio.get_running_loop().create_future()
            await save(state)

        world.store.save = hang_once
        said, took_s = await timed(process.control.flatten([BTC]))
        assert (said, world.held()) == (FLAT, 0)
        assert 3 * BRIEF.order_timeout_s <= took_s < 4 * BRIEF.order_timeout_s
        await process.end()
        assert [] == disagreements(world)

    run(main())
    assert [line["symbol"] for line in logs if line["event"] == "worker_replaced"] == [BTC]


# ---------------------------------------------------------------- when


def test_a_flatten_during_the_start_waits_for_the_workers():
    async def main() -> None:
        world = holder()
        process = await holding(world)
        await process.kill()
        process = world.process()
        process.faults.arm(FaultKind.FAIL_FETCH, times=100)
        process.start()
        await asyncio.sleep(0.5)
        assert process.system.supervisor is None
        flattening = asyncio.create_task(process.control.flatten(None))
        await asyncio.sleep(2)
        process.faults._armed.clear()
        assert await flattening == FLAT
        assert world.held() == 0
        await process.end()

    run(main())


def test_a_flatten_during_a_start_that_takes_too_long_says_that_nothing_was_begun():
    async def main() -> None:
        world = holder()
        process = world.process()
        process.faults.arm(FaultKind.FAIL_FETCH, times=100_000)
        process.start()
        with pytest.raises(Rejected, match="is starting and its workers do not run yet"):
            await process.control.flatten(None)
        await process.kill()

    run(main())


def test_a_flatten_during_the_stop_is_refused():
    async def main() -> None:
        world = holder()
        process = await holding(world)
        process.shutdown.request("enough")
        await asyncio.sleep(0.01)
        with pytest.raises(Rejected, match="is stopping and nothing was begun"):
            await process.control.flatten([BTC])
        await process.task
        assert world.held()

    run(main())


def test_a_stop_while_one_is_under_way_answers_at_once_and_the_next_start_goes_on(logs):
    async def main() -> None:
        world = holder()
        process = await holding(world)
        refuse_exits(process, 1000)
        flattening = asyncio.create_task(timed(process.control.flatten([BTC])))
        await asyncio.sleep(1.5)
        await process.end()
        said, took_s = await flattening
        assert said.startswith(f"livebot is stopping before it is done: not seen to be flat are {BTC} (")
        assert took_s < 3
        world.speed = 60
        process = await world.process().until_ready()
        await asyncio.sleep(3)
        assert world.held() == 0
        await process.end()

    run(main())
    assert [line["symbols"] for line in logs if line["event"] == "not_flat"] == [[BTC]]


def test_a_second_one_joins_the_first():
    async def main() -> None:
        world = holder(symbols=(BTC, ETH))
        process = await holding(world)
        both = asyncio.gather(process.control.flatten([BTC]), process.control.flatten(None))
        assert await both == [FLAT, "flat: 2 positions closed, verified at the venue"]
        assert [len(exits(process, symbol)) for symbol in (BTC, ETH)] == [1, 1]
        again = await process.control.flatten(None)
        assert again == f"nothing is open on {BTC}, {ETH}, verified at the venue"
        await process.end()

    run(main())


def test_nothing_opens_on_a_symbol_that_is_being_closed_and_everything_may_afterwards():
    """Else it would be closed again, or counted as left over."""

    async def main() -> None:
        world = holder(symbols=(BTC, ETH))
        process = await holding(world)
        refuse_exits(process, 2)
        flattening = asyncio.create_task(process.control.flatten([BTC]))
        await asyncio.sleep(0)
        blocks = process.portfolio.blocks
        assert (blocks.of(BTC), blocks.of(ETH)) == ((DenialCode.FLATTENING,), ())
        await flattening
        assert (blocks.of(BTC), world.held(ETH) > 0) == ((), True)
        await process.end()

    run(main())


# ---------------------------------------------------------------- what else is there


def test_a_position_that_was_made_smaller_by_hand_is_not_closed_beyond_zero():
    async def main() -> None:
        world = holder(speed=60)
        process = await holding(world)
        hand = OrderRequest(
            client_order_id="by-hand",
            symbol=BTC,
            leg=Leg.EXIT,
            attempt=1,
            side=OrderSide.SELL,
            kind=OrderKind.MARKET,
            quantity=world.held() / 2,
            reduce_only=True,
        )
        world.venue.place_by_hand(hand, world.venue.now_ms)
        lowest = []
        unsubscribed = world.venue.subscribe(lambda symbol, event: lowest.append(world.held()))
        said = await process.control.flatten([BTC])
        assert said == FLAT
        assert world.held() == 0
        assert min(lowest) >= 0
        del unsubscribed
        await process.end()

    run(main())


def test_a_foreign_position_is_left_alone_and_named():
    async def main() -> None:
        world = holder()
        process = await holding(world)
        hand = OrderRequest(
            client_order_id="by-hand",
            symbol=BTC,
            leg=Leg.ENTRY,
            attempt=1,
            side=OrderSide.BUY,
            kind=OrderKind.MARKET,
            quantity=D("0.5"),
        )
        world.venue.place_by_hand(hand, world.venue.now_ms)
        said, took_s = await timed(process.control.flatten([BTC]))
        assert said == f"{FLAT}; {BTC}: 0.5 is there that is not ours, and left alone"
        assert world.held() == D("0.5")
        assert took_s >= LOOK_AGAIN_S  # it may have been a trade of ours that was counted late
        await process.end()

    run(main())


def test_an_entry_of_ours_that_no_file_knows_is_taken_back():
    """Whatever could still open something is not flat."""

    async def main() -> None:
        world = holder()
        process = await holding(world)
        lost = OrderRequest(
            client_order_id=client_order_id(SYSTEM, "one", BTC, number=77, leg=Leg.ENTRY, attempt=1),
            symbol=BTC,
            leg=Leg.ENTRY,
            attempt=1,
            side=OrderSide.BUY,
            kind=OrderKind.LIMIT,
            quantity=D("0.5"),
            price=world.venue.instrument(BTC).round_price(D(world.state("one").signal.stop_loss)),
        )
        world.venue.place_by_hand(lost, world.venue.now_ms, anonymous=False)
        assert len(world.orders(leg=Leg.ENTRY)) == 1
        assert await process.control.flatten([BTC]) == FLAT
        assert world.orders(leg=Leg.ENTRY) == []
        await process.end()

    run(main())


def test_an_entry_that_waits_is_taken_back_for_good_although_a_halt_had_begun_to():
    """A halt alone keeps what fills all the same; whoever flattens does not want it."""

    async def main() -> None:
        world = holder(strategies={"resting": lambda: once(1, limit=0.05, stop=0.2, target=0.2)})
        process = await world.process().until_ready()
        while not world.orders(leg=Leg.ENTRY):
            await asyncio.sleep(0.05)
        cancel, failing = process.exchange.cancel, True

        async def unreachable(symbol, order_id):
            if failing:
                raise Transient("no route to host")
            await cancel(symbol, order_id)

        process.exchange.cancel = unreachable
        await process.control.halt("enough")
        await asyncio.sleep(0.3)
        flattening = asyncio.create_task(process.control.flatten(None))
        await asyncio.sleep(2.5)
        assert process.problems.of(SOURCE) == f"still closing {BTC} (its entry is being taken back)"
        failing = False
        assert await flattening == "flat: 1 entry taken back, verified at the venue"
        (ended,) = [fact for fact in story(world, BTC) if isinstance(fact, EntryCancelled)]
        assert ended.reason is CancelReason.OPERATOR
        await process.end()

    run(main())


def test_what_the_config_no_longer_lists_is_named_if_nobody_can_close_it():
    """The venue has delisted it, or says so."""

    async def main() -> None:
        world = holder(symbols=(BTC, ETH))
        process = await holding(world)
        await process.kill()
        process = world.process()
        instruments = process.exchange.instruments

        async def without(symbols):
            if ETH in symbols:
                raise BadInput(f"no {ETH} here")
            return await instruments(symbols)

        process.exchange.instruments = without
        await process.until_ready()
        said = await process.control.flatten(None)
        assert said.startswith(f"not flat: {ETH} have something open by their files, and nobody can act for them")
        assert said.endswith("of the others: flat: 1 position closed, verified at the venue")
        assert (world.held(), world.held(ETH) > 0) == (0, True)
        await process.kill()

    run(main())


# ---------------------------------------------------------------- the loss limit


def test_a_halt_that_flattens_is_verified_and_tried_again_too(logs):
    async def main() -> None:
        world = holder()
        process = await holding(world)
        refuse_exits(process, 2)
        halted = StateChange(present=TradingState.HALTED, reason="loss limit: all", flatten=True)
        process.system.housekeeping.changed(halted)
        await asyncio.sleep(10 * ASK_AGAIN_S)
        assert world.held() == 0
        assert len(exits(process)) == 3
        (closed,) = [fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)]
        assert closed.reason is CloseReason.PORTFOLIO_HALT
        await process.end()

    run(main())
    assert [line["symbol"] for line in logs if line["event"] == "flat"] == [BTC]
