"""How orders are sent and followed under the terms that a venue and an operator set."""

import asyncio
from dataclasses import replace

from livebot.core.facts import EntryCancelled, OrderFailed, SignalClosed, SignalOpened, SignalScheduled
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS
from livebot.core.order import Leg, OrderStatus
from livebot.core.rules import FractionOfEquity, LimitEntries
from livebot.core.signal import CancelReason, CloseReason, Idle
from livebot.simulator.faults import FaultKind
from livebot.simulator.matching import FillModel
from tests.runtime.harness import BTC, ETH, SOL, D, World, always, disagreements, once, story
from tests.virtual_loop import run


def world_of(*terms, **changes) -> World:
    """One long trade from the second minute on, its stop and target far away."""
    wanted = once(1, **{"stop": 0.2, "target": 0.2, "minutes": 900, **changes})
    return World(strategies={"one": lambda: wanted}, speed=60, latency_ms=5, terms=terms)


async def until(condition) -> None:
    """Until it holds; a minute at most."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


def attached(world: World) -> list:
    return [each for each in world.venue.open_orders() if each.attached]


def test_an_exit_that_finds_no_position_has_it_compared_at_once():
    """Nothing was heard of who closed it; long before the next comparison by the clock the signal is over."""

    async def main() -> None:
        world = world_of(minutes=3)
        world.execution = replace(world.execution, reconcile_s=3_600.0)
        process = await world.process().until_ready()
        await until(lambda: world.orders(leg=Leg.TARGET))
        process.faults.hold_events()
        world.venue.close_by_hand(BTC, world.venue.now_ms)
        await until(lambda: any(isinstance(fact, OrderFailed) for fact in story(world, BTC)))
        await asyncio.sleep(0.5 + world.execution.positions_lag_s)
        assert world.ledger.kinds("one", BTC)[-1] == "PositionReduced"
        process.faults.release_events()  # those of the orders that were taken back
        await asyncio.sleep(0.5)
        assert isinstance(world.state("one").signal, Idle)
        (closed,) = [fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)]
        assert closed.reason is CloseReason.TIME_EXPIRED
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_an_entry_at_the_market_whose_fills_nobody_tells_of_is_asked_about_within_a_moment():
    """Else its stop would wait for the next comparison by the clock."""

    async def main() -> None:
        world = world_of(minutes=3)
        world.execution = replace(world.execution, reconcile_s=3_600.0)
        process = await world.process().until_ready()
        process.faults.hold_events()
        await until(lambda: world.held())
        assert world.orders(leg=Leg.STOP) == []
        await asyncio.sleep(world.execution.unprotected_s * 0.6)
        (stop,) = world.orders(leg=Leg.STOP)
        assert stop.quantity == abs(world.held())
        await process.end()

    run(main())


def test_a_position_is_protected_by_the_stop_that_came_with_its_entry_until_ours_stands():
    """It is nobody's own order, so nothing is blocked by it; and the unprotected position's clock runs as ever."""

    async def main() -> None:
        world = world_of(("attached_stop", True))
        process = await world.process().until_ready()
        process.faults.arm(FaultKind.LOSE_REQUEST, leg=Leg.STOP)
        await until(lambda: attached(world))
        (stop,) = attached(world)
        assert (stop.quantity, stop.reduce_only) == (world.held(), True)
        assert world.orders(leg=Leg.STOP) == []
        await until(lambda: world.orders(leg=Leg.STOP))
        assert attached(world) == []
        (own,) = world.orders(leg=Leg.STOP)
        assert (own.trigger_price, own.quantity) == (stop.trigger_price, stop.quantity)
        assert process.control.status().symbols[0].blocks == ()
        await process.end()
        assert [] == disagreements(world)

    run(main())


CHASING = LimitEntries(offset=D("0.0006"), timeout_ms=MINUTE_MS, reprices=2, chase=D("0.001"))


def test_limit_entries_go_after_the_price_and_all_books_agree():
    """Some fill, some are priced anew, some are given up; pieces fill, and what must not take is sent again."""
    world = World(
        strategies={"one": lambda: always(stop=0.004, target=0.004, minutes=4)},
        symbols=(BTC, ETH, SOL),
        sizing=FractionOfEquity(D("0.07")),
        fills=FillModel(partial_probability=0.5, through=True),
        limits=Limits(gross_exposure=D("0.15"), symbol_exposure=D("0.07")),
        terms=(("limit_entries", CHASING), ("post_only", True), ("attached_stop", True), ("amend_interval_ms", 60_000)),
    )
    repriced = []
    world.venue.subscribe(
        lambda symbol, _: repriced.extend(
            record.request.client_order_id
            for record in world.store.files["one", symbol].orders
            if record.request.leg is Leg.ENTRY and record.amended_ms is not None
        )
    )
    run(world.live(90))
    kinds = [type(fact) for fact in world.ledger.facts.values()]
    assert min(kinds.count(kind) for kind in (SignalScheduled, SignalOpened, SignalClosed, EntryCancelled)) > 3
    assert repriced
    assert [] == disagreements(world)
    for fact in world.ledger.facts.values():
        stake = fact.exposure.open_notional + fact.exposure.pending_notional
        assert stake <= D("0.0705") * 1_000_000


def test_an_entry_is_not_priced_anew_where_nothing_may_open():
    """It stays at the venue as it is, known to us, until its time is over."""

    async def main() -> None:
        far = LimitEntries(offset=D("0.05"), timeout_ms=MINUTE_MS, reprices=2, chase=D("0.2"))
        world = world_of(("limit_entries", far))
        process = await world.process().until_ready()
        await until(lambda: world.orders(leg=Leg.ENTRY))
        (placed,) = world.orders(leg=Leg.ENTRY)
        await process.control.pause([BTC])
        await until(lambda: world.state("one").signal.signal.reprices_left == 1)
        await asyncio.sleep(0.5)
        assert [placed] == world.orders(leg=Leg.ENTRY)
        (record,) = world.state("one").orders
        assert (record.status, record.request.price, record.confirmed) == (OrderStatus.WORKING, placed.price, True)
        await until(lambda: isinstance(world.state("one").signal, Idle))
        (cancelled,) = [fact for fact in story(world, BTC) if isinstance(fact, EntryCancelled)]
        assert cancelled.reason is CancelReason.EXPIRED
        assert world.orders() == []
        await process.end()
        assert [] == disagreements(world)

    run(main())
