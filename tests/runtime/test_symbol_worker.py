"""One symbol: candles in every order, events of every kind, and what is saved, sent and told."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
import structlog

from livebot.core.entry import Adjustment, Averaging, ExitPlan, PartialLevel, Trailing
from livebot.core.facts import OrderFailed, PositionIncreased, SignalClosed, StopMoved, TargetMoved
from livebot.core.inputs import OrderAccepted, OrderEnded, OrderFilled, OrderUnknown
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Candle, OrderSide, Timeframe
from livebot.core.order import Fill, Leg, OrderStatus
from livebot.core.signal import CloseReason, Idle, Open, Opening
from livebot.ports import VenueNotice
from livebot.runtime.inbox import Ask, CandleOf, ContextDeadline, GapCame, HistoryCame, Stop, UnprotectedDeadline
from livebot.runtime.supervision.supervisor import ChildState
from livebot.runtime.symbol.strategy_instance import LONGEST_GAP_MINUTES
from livebot.simulator.faults import FaultKind
from tests.process.strategies import Averager, Eager, Nothing, Resting
from tests.runtime.harness import (
    BTC,
    ETH,
    QUICK,
    START_MS,
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
from tests.runtime.past import series
from tests.simulator.builders import WrittenMarket, flat
from tests.virtual_loop import settle

D = Decimal


def minute_of(view) -> int:
    return (view.close_ms - START_MS) // MINUTE_MS


class Tampered:
    """Stands between feed and hub: `alter(symbol, candle)` gives the candles that come instead, or (seconds, candle)."""

    def __init__(self, process, alter):
        feed = process.system.parts.feed
        listen = feed.listen

        def tampering(symbol, deliver):
            def delivering(candle):
                for each in alter(symbol, candle):
                    if isinstance(each, tuple):
                        asyncio.get_running_loop().call_later(each[0], deliver, each[1])
                    else:
                        deliver(each)

            listen(symbol, delivering)

        feed.listen = tampering


async def live(world: World, minutes: int, alter=None):
    process = world.process(minutes=minutes)
    if alter is not None:
        Tampered(process, alter)
    await process.system.run(process.shutdown)
    return process


def index_of(candle) -> int:
    return (candle.ts_ms - START_MS) // MINUTE_MS


# ---------------------------------------------------------------- candles


def busy(**changes) -> World:
    strategies = {
        "eager": lambda: Eager(Nothing()),
        "resting": lambda: Resting(Nothing()),
        "averager": lambda: Averager(Nothing()),
    }
    return World(**{"strategies": strategies, **changes})


def told_of(world: World) -> list:
    return [(fact.ts_ms, type(fact).__name__, fact.signal_id) for fact in story(world, BTC)]


def test_repeated_and_old_candles_change_nothing():
    """A feed that says everything twice and the minute before once more."""

    async def main() -> None:
        before: dict[str, Candle] = {}

        def again(symbol, candle):
            old = before.get(symbol, candle)
            before[symbol] = candle
            return (candle, candle, old)

        clean, noisy = busy(), busy()
        await live(clean, 25)
        await live(noisy, 25, again)
        assert noisy.ledger.facts == clean.ledger.facts
        assert len(clean.ledger.facts) > 100

    run(main())


@pytest.mark.parametrize("lost", [{5}, {6, 7, 8}, set(range(3, 20))])
def test_a_gap_is_filled_from_history_and_nothing_is_decided_on_old_closes(lost):
    """From the candle that shows the gap on, the strategies see what they would have seen."""

    async def main() -> None:
        views: dict[str, dict[int, tuple]] = {"whole": {}, "torn": {}}

        def world(name):
            def decide(view):
                views[name][minute_of(view)] = view.closes(1)[0]

            return World(strategies={"seen": lambda: Scripted(Script(decide))})

        await live(world("whole"), 25)
        torn = world("torn")
        process = await live(torn, 25, lambda _, candle: () if index_of(candle) in lost else (candle,))
        assert views["torn"] == {minute: price for minute, price in views["whole"].items() if minute - 1 not in lost}
        assert process.system.observations.counts["gaps"] == 1
        assert process.system.supervisor.restarts() == 0

    run(main())


def test_a_close_inside_a_gap_is_skipped_and_told():
    """When its candles have come it is minutes ago."""

    async def main() -> None:
        asked: list[int] = []
        script = Script(lambda view: asked.append(minute_of(view)), timeframe=Timeframe.M5)
        world = World(strategies={"five": lambda: Scripted(script)})
        await live(world, 20, lambda _, candle: () if index_of(candle) in (3, 4, 5) else (candle,))
        assert asked == [10, 15, 20]
        assert skipped(world) == [(5, "context_missing", f"the candles of {BTC} up to this close did not come in time")]

    run(main())


def test_rules_look_at_the_candles_of_a_gap_before_the_next_one():
    """A stop that trails is where it would have been: the high inside the gap counts."""

    async def main() -> None:
        prices = [flat(100.0)] * 6 + [(100.0, 103.0, 100.0, 100.0)] + [flat(100.0)] * 6
        exits = ExitPlan(trailing=Trailing(distance=D("0.05"), after=D("0.02")))
        stops = []
        for lost in ((), (5, 6, 7)):
            market = WrittenMarket({BTC: prices})
            world = World(
                strategies={"one": lambda market=market: at_minute(market, 1, exits=exits)},
                market=market,
                settings=replace(QUICK, history=1),
            )

            def alter(_, candle, lost=lost, market=market):
                return () if (candle.ts_ms - market.first_ms) // MINUTE_MS in lost else (candle,)

            process = await live(world, 12, alter)
            assert process.system.observations.counts["gaps"] == bool(lost)
            stops.append([fact.stop_loss for fact in story(world, BTC) if isinstance(fact, StopMoved)])
        assert stops[0] == stops[1] == [D("97.8")]

    run(main())


def test_rules_go_on_while_history_does_not_come():
    """A gap cannot be filled because the venue does not answer: at its time the position is closed all the same."""

    async def main() -> None:
        from livebot.errors import Transient

        world = World(strategies={"one": lambda: once(1, stop=0.2, target=0.2, minutes=8)}, speed=60)
        process = world.process()
        Tampered(process, lambda _, candle: () if index_of(candle) == 4 else (candle,))
        await process.until_ready()

        async def none(symbol, timeframe, count):
            raise Transient("the venue does not answer")

        process.system.parts.feed.history = none
        await asyncio.sleep(14)
        (closed,) = [fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)]
        assert closed.reason is CloseReason.TIME_EXPIRED
        assert process.system.supervisor.restarts() == 0
        await process.end()

    run(main())


def test_a_history_that_lags_is_asked_again():
    """It does not show the candle yet that revealed the gap; what it says until then is no proof."""

    async def main() -> None:
        world = World(strategies={"never": never}, speed=60)
        process = world.process()
        Tampered(process, lambda _, candle: () if index_of(candle) == 4 else (candle,))
        await process.until_ready()
        feed, asked = process.system.parts.feed, []
        history = feed.history

        async def lagging(symbol, timeframe, count):
            asked.append(count)
            found = await history(symbol, timeframe, count)
            return found.part(0, len(found) - 2) if len(asked) < 4 else found

        feed.history = lagging
        await asyncio.sleep(8)
        assert len(asked) == 4
        assert process.system.observations.counts["gaps"] == 1
        (instance,) = process.system.workers.instances.of(BTC)
        assert instance.standing_aside(BTC) == ()
        await process.end()

    run(main())


def test_a_gap_too_long_to_bridge_warms_up_anew():
    """Minute by minute it would be of no use."""

    async def main() -> None:
        world = World(strategies={"never": never})
        first, last = 3, 3 + LONGEST_GAP_MINUTES + 5
        process = await live(world, last + 10, lambda _, candle: () if first <= index_of(candle) < last else (candle,))
        (instance,) = process.system.workers.instances.of(BTC)
        assert instance.warm
        assert process.system.observations.counts["gaps"] == 0
        assert process.system.supervisor.restarts() == 0

    run(main())


def test_what_was_not_final_is_loaded_anew():
    """A strategy then sees what the venue says now; who does not look at the symbol loads nothing."""

    async def main() -> None:
        world = World(strategies={"never": never}, symbols=(BTC, ETH), speed=60)
        process = world.process()
        await process.until_ready()
        await asyncio.sleep(3.5)
        feed, asked = process.system.parts.feed, []
        history = feed.history

        async def corrected(symbol, timeframe, count):
            asked.append(symbol)
            found = await history(symbol, timeframe, count)
            return replace(found, close=found.high)

        feed.history = corrected
        feed.say(VenueNotice(source="audit", text="another candle", symbol=BTC, reload=True))
        await asyncio.sleep(0.2)
        assert set(asked) == {BTC}
        assert all(process.system.workers.instances.of(symbol)[0].warm for symbol in (BTC, ETH))
        assert process.system.supervisor.restarts() == 0
        await process.end()

    run(main())


def test_a_candle_that_cannot_be_true_is_refused():
    """Not a number, upside down, or contradicting one taken before: told, and nobody sees it."""

    async def main() -> None:
        def spoilt(_, candle):
            if index_of(candle) == 5:
                return (replace(candle, close=float("nan")), candle)
            if index_of(candle) == 6:
                return (replace(candle, high=candle.low / 2), candle)
            if index_of(candle) == 7:
                return (candle, replace(candle, close=candle.low))
            return (candle,)

        clean, dirty = busy(), busy()
        await live(clean, 20)
        process = await live(dirty, 20, spoilt)
        assert dirty.ledger.facts == clean.ledger.facts
        assert process.system.observations.counts["refused_candles"] == 2 + 3  # each strategy has taken the seventh
        assert process.system.supervisor.restarts() == 0

    run(main())


# ---------------------------------------------------------------- other symbols


def paired(decided: list, **changes) -> World:
    def decide(view):
        decided.append((minute_of(view), view.close, view.other(ETH).close))

    script = Script(decide, others=(ETH,), **changes)
    return World(strategies={"pair": lambda: Scripted(script)}, symbols=(BTC, ETH), runs_on={BTC: ("pair",)}, speed=60)


def skipped(world: World) -> list:
    return [
        ((each.close_ms - START_MS) // MINUTE_MS, each.code, each.text)
        for each in world.ledger.decisions.values()
        if each.outcome == "skipped"
    ]


def test_a_decision_waits_for_the_other_symbol_of_the_same_close():
    """Also when no strategy runs on the other one."""

    async def main() -> None:
        decided: list = []
        world = paired(decided)
        await live(world, 5, lambda symbol, candle: ((0.1, candle),) if symbol == ETH else (candle,))
        assert [minute for minute, _, _ in decided] == [1, 2, 3, 4]
        market = world.venue.market
        assert [other for _, _, other in decided] == [
            market.candle(ETH, START_MS + minute * MINUTE_MS).close for minute in range(4)
        ]
        assert skipped(world) == []

    run(main())


def test_a_close_whose_context_does_not_come_in_time_is_skipped_and_told():
    """By its deadline; the next close is decided upon again."""

    async def main() -> None:
        decided: list = []
        world = paired(decided)
        await live(world, 8, lambda symbol, candle: () if symbol == ETH and index_of(candle) == 3 else (candle,))
        assert [minute for minute, _, _ in decided] == [1, 2, 3, 5, 6, 7, 8]
        ((minute, code, text),) = skipped(world)
        assert (minute, code) == (4, "context_missing")
        assert f"the candles of {ETH}" in text

    run(main())


def test_a_decision_that_still_waits_when_the_next_candle_closes_is_given_up():
    """The next close has come: nothing is decided on the one before."""

    async def main() -> None:
        decided: list = []
        world = paired(decided)
        world.settings = replace(QUICK, context_deadline_s=5.0)
        await live(world, 8, lambda symbol, candle: () if symbol == ETH and index_of(candle) == 3 else (candle,))
        assert [minute for minute, _, _ in decided] == [1, 2, 3, 5, 6, 7, 8]
        assert [minute for minute, _, _ in skipped(world)] == [4]

    run(main())


def test_an_open_signal_that_nobody_manages_leaves_no_skipped_decision():
    """The strategy would not have been asked."""

    async def main() -> None:
        script = Script(lambda view: entry(view, stop=0.2, target=0.2), others=(ETH,))
        world = World(
            strategies={"pair": lambda: Scripted(script)}, symbols=(BTC, ETH), runs_on={BTC: ("pair",)}, speed=60
        )
        await live(world, 6, lambda symbol, candle: () if symbol == ETH and index_of(candle) == 3 else (candle,))
        assert skipped(world) == []

    run(main())


# ---------------------------------------------------------------- deciding


def test_what_becomes_of_a_wish_is_told():
    """Approved, denied by the portfolio, refused by our own checks; with the side and why."""

    async def main() -> None:
        def decide(view):
            return entry(view, stop=-0.01) if minute_of(view) == 1 else entry(view, stop=0.2, target=0.2)

        world = World(strategies={"a": lambda: Scripted(Script(decide)), "b": lambda: always(stop=0.2, target=0.2)})
        world.limits = Limits(open_signals=1)
        await world.live(2)
        told = {
            (each.strategy, (each.close_ms - START_MS) // MINUTE_MS): each for each in world.ledger.decisions.values()
        }
        assert {key: (each.outcome, each.code) for key, each in told.items()} == {
            ("a", 1): ("refused", "stop_side"),
            ("b", 1): ("approved", "approved"),
            ("a", 2): ("denied", "open_signals"),
        }
        assert {each.side for each in told.values()} == {"long"}
        assert "1 used and 1 asked" in told["a", 2].text

    run(main())


def test_a_strategy_is_asked_once_for_each_close_of_its_timeframe():
    """Not before it has seen enough, and not while a signal of it is open."""

    async def main() -> None:
        asked: list[int] = []

        def decide(view):
            asked.append(minute_of(view))
            return entry(view, stop=0.2, target=0.2, minutes=7) if minute_of(view) == 10 else None

        world = World(strategies={"five": lambda: Scripted(Script(decide, timeframe=Timeframe.M5))})
        await world.live(31)
        assert asked == [5, 10, 20, 25, 30]

    run(main())


def test_manage_is_asked_while_the_signal_is_open_and_may_move_or_close_it():
    """Its wishes pass through the kernel."""

    async def main() -> None:
        def manage(view, signal):
            if minute_of(view) == 5:
                return Adjustment(stop_loss=view.close * 0.9, take_profit=view.close * 1.1)
            if minute_of(view) == 8:
                return Adjustment(close=True)
            return None

        world = World(
            strategies={"managed": lambda: Managing(Script(lambda v: entry(v, stop=0.2, target=0.2), manage))}
        )
        await world.live(8)
        kinds = [type(fact) for fact in story(world, BTC)]
        assert StopMoved in kinds
        assert TargetMoved in kinds
        closed = next(fact for fact in story(world, BTC) if isinstance(fact, SignalClosed))
        assert closed.reason is CloseReason.STRATEGY_EXIT

    run(main())


def test_who_raises_is_named_and_its_lines_carry_symbol_and_strategy(logs):
    """In the log of the failure."""
    bound: list[dict] = []

    def decide(view):
        bound.append(structlog.contextvars.get_contextvars())
        raise ArithmeticError("no")

    world = World(strategies={"bad": lambda: Scripted(Script(decide))}, speed=60)
    run(world.live(2))
    failed = next(line for line in logs if line["event"] == "symbol_failed")
    assert failed["exc_info"].__notes__ == [f"raised by decide of strategy bad on {BTC}"]
    assert bound[0]["symbol"] == BTC
    assert bound[0]["strategy"] == "bad"


def test_averaging_by_rule_asks_the_portfolio():
    """And is left out when it says no."""

    async def main() -> None:
        exits = ExitPlan(averaging=Averaging(step=D("0.0001"), fraction=D("0.5"), times=3))
        world = World(strategies={"one": lambda: once(1, stop=0.2, target=0.2, minutes=900, exits=exits)})
        await world.live(30)
        increased = [fact for fact in story(world, BTC) if isinstance(fact, PositionIncreased)]
        assert len(increased) == 3
        denied = World(strategies=world.strategies, limits=Limits(gross_exposure=D("0.0012")))
        await denied.live(30)
        assert not [fact for fact in story(denied, BTC) if isinstance(fact, PositionIncreased)]
        assert denied.held()

    run(main())


# ---------------------------------------------------------------- orders and events


async def open_position(world: World, **changes):
    """A daemon with an open, protected position."""
    process = await world.process(**changes).until_ready()
    while not world.orders(leg=Leg.TARGET):
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    return process


def one(**changes) -> World:
    strategies = {"one": lambda: once(1, stop=0.2, target=0.2, minutes=900)}
    return World(**{"strategies": strategies, "speed": 60, "latency_ms": 5, **changes})


def inbox_of(process, symbol=BTC):
    return process.system.workers.inboxes[symbol]


def test_an_order_is_in_the_file_before_the_venue_hears_of_it():
    """At the moment it is sent, its file names it as intended; its facts are told before, and only once saved."""

    async def main() -> None:
        world = busy()
        process = world.process(minutes=15)
        seen = []
        submit = process.wire.submit

        async def watched(approved):
            order_id = approved.order.client_order_id
            records = {
                record.request.client_order_id: record.status
                for state in world.store.files.values()
                for record in state.orders
            }
            seen.append(records.get(order_id))
            return await submit(approved)

        process.wire.submit = watched
        told: list = []
        publish = process.system.bus.publish

        def checked(items):
            for item in items:
                if hasattr(item, "sequence"):
                    told.append(item.sequence <= world.state(item.strategy, item.symbol).sequence)
            publish(items)

        process.system.bus.publish = checked
        await process.system.run(process.shutdown)
        assert len(seen) > 30
        assert set(seen) == {OrderStatus.INTENDED}
        assert all(told)

    run(main())


def test_an_approved_entry_that_may_no_longer_open_is_withdrawn():
    """The operator pauses the symbol while the state is being saved."""

    async def main() -> None:
        world = one()
        process = await world.process().until_ready()
        save = world.store.save

        async def pausing(state):
            if isinstance(state.signal, Opening):
                process.portfolio.blocks.pause(BTC)
            await save(state)

        world.store.save = pausing
        await asyncio.sleep(4)
        assert process.wire.sent == []
        assert world.ledger.kinds("one", BTC) == ["SignalOpening", "EntryCancelled"]
        assert process.system.observations.counts["withdrawn"] == 1
        assert process.portfolio.open_signals == 0
        await process.end()

    run(main())


def test_a_worker_that_fails_between_approval_and_saving_leaks_no_room():
    """The next run starts from the file, and the reservation is given back."""

    async def main() -> None:
        world = one(limits=Limits(open_signals=1), symbols=(BTC, ETH))
        failures = iter([RuntimeError("a bug")])
        save = world.store.save

        async def failing(state):
            for failure in failures:
                assert process.portfolio.open_signals == 1
                raise failure
            await save(state)

        process = await world.process().until_ready()
        world.store.save = failing
        await asyncio.sleep(2.05)
        assert process.portfolio.open_signals == 1  # kept until the symbol is looked at again
        await asyncio.sleep(3)
        assert process.system.supervisor.restarts() == 1
        assert process.portfolio.open_signals == 0
        assert process.wire.sent == []
        await process.end()

    run(main())


def test_what_came_before_a_failure_in_the_same_breath_is_carried_out():
    """A fill and a candle wait together, the strategy fails on the candle: the position has its stop all the same."""

    async def main() -> None:
        def decide(view):
            if minute_of(view) == 3:
                raise ArithmeticError("no")

        strategies = {
            "bad": lambda: Scripted(Script(decide)),
            "one": lambda: once(1, stop=0.2, target=0.2, minutes=900),
        }
        restarts = replace(QUICK.restarts, backoff_s=500.0, backoff_maximum_s=500.0)
        world = one(strategies=strategies, settings=replace(QUICK, restarts=restarts))
        process = await world.process().until_ready()
        process.system.workers._standby.begin = lambda symbol: None  # so that nobody else does it
        process.faults.hold_events()
        await asyncio.sleep(2.5)
        assert world.held()
        process.faults.release_events()
        early = process.system.parts.feed._listeners[BTC]
        early(world.venue.market.candle(BTC, START_MS + 2 * MINUTE_MS))
        await asyncio.sleep(0.3)
        assert process.system.supervisor.status(BTC).state is ChildState.BACKING_OFF
        assert len(world.orders(leg=Leg.STOP)) == 1
        assert world.state("one").signal.position.quantity == world.held()
        await process.end()

    run(main())


def test_a_position_that_was_looked_at_too_early_is_looked_at_again():
    """One look that differs proves nothing: the next one agrees, and nothing was closed outside."""

    async def main() -> None:
        world = one()
        process = await open_position(world)
        fetch, stale = process.exchange.fetch_positions, [(), ()]

        async def late():
            return stale.pop() if len(stale) > 1 else await fetch()

        process.exchange.fetch_positions = late
        inbox_of(process).put(Ask())
        await asyncio.sleep(0.3)
        assert len(stale) == 1
        assert isinstance(world.state("one").signal, Open)
        assert world.state("one").signal.position.quantity == world.held()
        assert process.problems.sentences() == ()
        await process.end()

    run(main())


def test_asking_is_done_after_what_is_to_be_sent_has_been_sent():
    """A comparison that comes in the same breath as an entry does not take the entry for absent."""

    async def main() -> None:
        world = one()
        process = await world.process().until_ready()
        inbox = inbox_of(process)
        put = inbox.put

        def asking(item):
            put(item)
            if isinstance(item, CandleOf):
                put(Ask())

        inbox.put = asking
        process.system.hub.connect(process.system.housekeeping.evaluate)
        await asyncio.sleep(3)
        assert world.ledger.kinds("one", BTC) == ["SignalOpening", "SignalOpened"]
        assert [] == disagreements(world)
        await process.end()

    run(main())


def test_order_events_that_were_too_many_are_asked_for():
    """The inbox was full; the venue knows."""

    async def main() -> None:
        world = one()
        process = await open_position(world)
        process.faults.hold_events()
        world.venue.close_by_hand(BTC, world.venue.now_ms)
        inbox = inbox_of(process)
        for number in range(QUICK.queue_size + 1):
            inbox.put(OrderUnknown(client_order_id=str(number), text="", ts_ms=0))
        assert inbox.must_ask
        await asyncio.sleep(1 + world.execution.positions_lag_s)
        assert isinstance(world.state("one").signal, Idle)
        await process.end()

    run(main())


def test_fills_of_orders_that_no_state_knows_make_it_look():
    """Of an earlier signal, of an order taken for absent, of somebody else: nothing is guessed."""

    async def main() -> None:
        world = one()
        process = await open_position(world)
        looks = []
        look = process.system.execution.look

        async def counted(symbols):
            looks.append(1)
            return await look(symbols)

        process.system.execution.look = counted
        fill = Fill(
            trade_id="x", client_order_id="hand1", ts_ms=0, side=OrderSide.SELL, price=D(1), quantity=D(1), fee=D(0)
        )
        inbox = inbox_of(process)
        before = world.state("one")
        inbox.put(OrderFilled(fill, 0))
        await asyncio.sleep(0.2)
        assert len(looks) == 1
        assert world.state("one").signal == before.signal
        assert process.system.observations.counts["events_of_unknown_orders"] == 1
        inbox.put(OrderEnded(client_order_id="hand1", status=OrderStatus.CANCELED, filled=D(0), ts_ms=0))
        await asyncio.sleep(0.2)
        assert len(looks) == 1
        inbox.put(
            OrderAccepted(
                client_order_id="hand2", venue_order_id="v", quantity=D(1), price=None, trigger_price=None, ts_ms=0
            )
        )
        await asyncio.sleep(0.2)
        assert len(looks) == 2
        await process.end()

    run(main())


def test_a_repeated_event_of_the_last_signal_is_no_news():
    """Venues say things twice."""

    async def main() -> None:
        world = one(strategies={"one": lambda: once(1, stop=0.2, target=0.2, minutes=2)})
        process = await open_position(world)
        heard = []
        world.venue.subscribe(lambda _, event: heard.append(event))
        while not isinstance(world.state("one").signal, Idle):
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)  # the ledger gets its rows a moment later
        facts = dict(world.ledger.facts)
        looks, look = [], process.system.execution.look

        async def counted(symbols):
            looks.append(1)
            return await look(symbols)

        process.system.execution.look = counted
        assert {type(event) for event in heard} == {OrderEnded, OrderFilled}
        for event in heard:
            inbox_of(process).put(event)
        trade = next(event for event in heard if isinstance(event, OrderFilled)).fill
        taken = OrderAccepted(
            client_order_id=trade.client_order_id,
            venue_order_id="v",
            quantity=trade.quantity,
            price=None,
            trigger_price=None,
            ts_ms=0,
        )
        inbox_of(process).put(taken)
        await asyncio.sleep(0.3)
        assert world.ledger.facts == facts
        assert not looks
        inbox_of(process).put(OrderFilled(replace(trade, trade_id="another"), 0))  # but this is
        await asyncio.sleep(0.3)
        assert looks
        assert process.system.observations.counts["events_of_unknown_orders"] == 0
        await process.end()

    run(main())


def moving(minute: int) -> World:
    """A stop that is tightened at a minute."""

    def manage(view, signal):
        return Adjustment(stop_loss=view.close * 0.9) if minute_of(view) == minute else None

    script = Script(once(1, stop=0.2, target=0.2, minutes=900).params.decide, manage)
    return one(strategies={"one": lambda: Managing(script)})


def test_a_refused_amendment_is_told_and_the_stop_is_moved_a_little_later():
    """The venue is asked what the stop is now; it lives, and is asked to move again."""

    async def main() -> None:
        world = moving(4)
        process = await open_position(world)
        (stop,) = world.orders(leg=Leg.STOP)
        process.faults.arm(FaultKind.REFUSE, leg=Leg.STOP, code="no", text="not now")
        await asyncio.sleep(5)
        failed = [fact for fact in story(world, BTC) if isinstance(fact, OrderFailed)]
        assert [(fact.code, fact.leg) for fact in failed] == [("no", Leg.STOP)]
        (moved,) = world.orders(leg=Leg.STOP)
        assert moved.client_order_id == stop.client_order_id
        assert moved.trigger_price == world.state("one").signal.stop_loss > stop.trigger_price
        await process.end()

    run(main())


def test_a_position_whose_stop_cannot_be_moved_where_it_should_be_is_closed():
    """As one without the stop it should have; the venue is not asked in a circle meanwhile."""

    async def main() -> None:
        world = moving(4)
        process = await open_position(world)
        amend, amended = process.exchange.amend, []

        async def counted(approved):
            amended.append(1)
            return await amend(approved)

        process.exchange.amend = counted
        process.faults.arm(FaultKind.REFUSE, times=1_000, leg=Leg.STOP, code="no", text="not now")
        await asyncio.sleep(5)
        (closed,) = [fact for fact in story(world, BTC) if isinstance(fact, SignalClosed)]
        assert closed.reason is CloseReason.UNPROTECTED
        assert len(amended) < world.execution.unprotected_s / world.execution.unknown_poll_s + 5
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_an_amendment_without_an_answer_is_asked_about():
    """Whether it was carried out or not, in the end the stop stands where it should."""

    async def main() -> None:
        for kind in (FaultKind.LOSE_ANSWER, FaultKind.LOSE_REQUEST):
            world = moving(4)
            process = await open_position(world)
            process.faults.arm(kind, leg=Leg.STOP)
            await asyncio.sleep(5)
            (moved,) = world.orders(leg=Leg.STOP)
            assert moved.trigger_price == world.state("one").signal.stop_loss
            assert all(record.confirmed for record in world.state("one").orders if record.status.live)
            await process.end()

    run(main())


def test_an_end_without_its_fills_is_asked_about_again_but_not_all_the_time():
    """The venue counts a fill that it does not list; it is asked at the configured pace."""

    async def main() -> None:
        world = one()
        process = await world.process().until_ready()
        fetch, asked = process.exchange.fetch_fills, []

        async def stingy(symbol, order_id):
            asked.append(asyncio.get_running_loop().time())
            return () if len(asked) < 6 else await fetch(symbol, order_id)

        process.exchange.fetch_fills = stingy
        process.wire.window_ms = 0
        process.faults.hold_events()
        process.faults.arm(FaultKind.LOSE_ANSWER, leg=Leg.ENTRY)
        await asyncio.sleep(4)
        assert isinstance(world.state("one").signal, Open)
        pauses = [later - sooner for sooner, later in zip(asked, asked[1:], strict=False)]
        assert min(pauses) >= world.execution.unknown_poll_s
        await process.end()

    run(main())


def test_a_question_that_cannot_be_asked_fails_the_worker():
    """It is not swallowed on the side: the symbol starts again, and asks again."""

    async def main() -> None:
        world = one()
        process = await world.process().until_ready()
        fetch, raised = process.exchange.fetch_order, []

        async def broken(symbol, order_id):
            if not raised:
                raised.append(1)
                raise ValueError("a bug in the adapter")
            return await fetch(symbol, order_id)

        process.exchange.fetch_order = broken
        process.faults.arm(FaultKind.LOSE_ANSWER, leg=Leg.ENTRY)
        await asyncio.sleep(5)
        assert process.system.supervisor.restarts() == 1
        assert "a bug in the adapter" in process.system.supervisor.status(BTC).last_error
        assert isinstance(world.state("one").signal, Open)
        await process.end()
        assert [] == disagreements(world)

    run(main())


def test_a_stop_is_heard_between_two_batches_and_what_is_at_hand_is_finished():
    """The worker returns by itself."""

    async def main() -> None:
        world = busy(speed=60, latency_ms=20)
        process = await world.process().until_ready()
        await asyncio.sleep(3.01)
        inbox_of(process).put(Stop())
        await asyncio.sleep(0.5)
        assert process.system.supervisor.status(BTC).state is ChildState.DONE
        assert process.system.execution.in_flight == 0
        await process.task
        assert process.shutdown.cause == "every symbol has done its part"
        assert [] == disagreements(world)

    run(main())


def test_a_guard_passes_over_what_is_meant_for_strategies():
    """Left over from before, when somebody still decided."""

    async def main() -> None:
        world = one()
        await world.live(4)
        process = world.process()
        world.portfolio_store.memory = replace(world.portfolio_store.memory, quarantined=((BTC, "it failed"),))
        await process.until_ready()
        assert process.system.supervisor.status(BTC).state is ChildState.GUARDED
        inbox = inbox_of(process)
        for item in (
            HistoryCame("one", {}),
            GapCame("one", BTC, series([])),
            ContextDeadline("one", 1),
            UnprotectedDeadline("one"),
            CandleOf(ETH, Candle(START_MS, 1.0, 1.0, 1.0, 1.0, 1.0)),
        ):
            inbox.put(item)
        await settle()
        assert process.system.supervisor.status(BTC).last_error == "it failed"
        assert world.held()
        await process.end()

    run(main())


def test_a_guard_ends_when_nothing_is_open_any_more():
    """And its symbol stays in quarantine."""

    async def main() -> None:
        world = one()
        await world.live(4)
        world.portfolio_store.memory = replace(world.portfolio_store.memory, quarantined=((BTC, "it failed"),))
        process = await world.process().until_ready()
        await process.control.flatten([BTC])
        await asyncio.sleep(1)
        assert world.held() == 0
        assert process.system.supervisor.status(BTC).state is ChildState.QUARANTINED
        await process.end()

    run(main())


def test_two_exits_of_one_signal_that_both_fill_are_found_out():
    """On a symbol of two strategies the surplus has closed the other's position: it is told as closed outside."""

    async def main() -> None:
        prices = [flat(100.0)] * 4 + [(100.0, 100.0, 100.0, 100.0)] * 10
        market = WrittenMarket({BTC: prices})
        world = one(
            market=market,
            settings=replace(QUICK, history=1),
            strategies={"a": lambda: at_minute(market, 1), "b": lambda: at_minute(market, 1)},
        )
        process = await world.process().until_ready()
        while len(world.orders(leg=Leg.STOP)) < 2:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        state = world.state("a")
        quantity = state.signal.position.quantity
        order_id = state.orders[0].request.client_order_id[:-3]
        surplus = Fill(
            trade_id="surplus",
            client_order_id=f"{order_id}s01",
            ts_ms=world.venue.now_ms,
            side=OrderSide.SELL,
            price=D(100),
            quantity=quantity * 2,
            fee=D(0),
        )
        process.exchange.fetch_positions = lambda: _none()
        inbox_of(process).put(OrderFilled(surplus, world.venue.now_ms))
        await asyncio.sleep(0.5 + world.execution.positions_lag_s)
        closes = {fact.strategy: fact.reason for fact in story(world, BTC) if isinstance(fact, SignalClosed)}
        assert closes["a"] is CloseReason.STOP_LOSS
        assert closes["b"] is CloseReason.VENUE
        await process.end()

    async def _none():
        return ()

    run(main())


def at_minute(market, minute, **changes):
    wanted = market.first_ms + (minute + 1) * MINUTE_MS
    return Scripted(
        Script(lambda view: entry(view, stop=0.2, target=0.2, **changes) if view.close_ms == wanted else None)
    )


def test_partial_levels_are_taken():
    """A part is closed at each level, and the stop covers the rest."""

    async def main() -> None:
        exits = ExitPlan(partial_levels=(PartialLevel(gain=D("0.0005"), fraction=D("0.5")),))
        world = World(strategies={"one": lambda: once(1, stop=0.2, target=0.2, minutes=900, exits=exits)})
        await world.live(20)
        state = world.state("one")
        assert state.signal.position.exit_quantity > 0
        assert world.orders(leg=Leg.STOP)[0].quantity == state.signal.position.quantity
        assert [] == disagreements(world)

    run(main())


def test_what_was_fetched_for_a_gap_is_of_no_use_to_one_that_warms_up_anew():
    """Its history fills every gap; a deadline of a close that was decided upon means nothing either."""

    async def main() -> None:
        world = World(strategies={"never": never}, speed=60)
        process = await world.process().until_ready()
        await asyncio.sleep(1.5)
        (instance,) = process.system.workers.instances.of(BTC)
        instance.cool()
        inbox_of(process).put(GapCame("never", BTC, series([])))
        inbox_of(process).put(ContextDeadline("never", START_MS + MINUTE_MS))
        await asyncio.sleep(0.1)
        assert not instance.warm
        assert process.system.observations.counts["gaps"] == 0
        assert process.system.supervisor.restarts() == 0
        assert skipped(world) == []
        await process.end()

    run(main())


def test_a_gap_that_a_new_history_has_filled_meanwhile_is_fetched_no_more():
    """The question that was under way ends without an answer."""

    async def main() -> None:
        world = World(strategies={"never": never}, speed=60)
        process = world.process()
        Tampered(process, lambda _, candle: () if index_of(candle) == 2 else (candle,))
        await process.until_ready()
        feed, history = process.system.parts.feed, process.system.parts.feed.history
        (instance,) = process.system.workers.instances.of(BTC)
        asked: list[int] = []

        async def lagging(symbol, timeframe, count):
            asked.append(count)
            found = await history(symbol, timeframe, count)
            return found.part(0, 0)

        feed.history = lagging
        await asyncio.sleep(4.01)
        assert asked
        feed.history = history
        instance.cool()
        instance.warm_up(await instance.load(history))
        await asyncio.sleep(1)
        assert process.system.observations.counts["gaps"] == 0
        assert instance.warm
        assert instance.standing_aside(BTC) == ()
        await process.end()

    run(main())


def test_a_close_that_was_decided_upon_before_is_not_decided_upon_again():
    """The file remembers the last close that brought an entry."""

    async def main() -> None:
        world = World(strategies={"eager": lambda: always(stop=0.2, target=0.2, minutes=1)})
        await world.live(2)
        state = world.state("eager")
        assert state.decided_ms > START_MS
        world.store.files["eager", BTC] = replace(state, decided_ms=START_MS + 6 * MINUTE_MS)
        await world.live(6)
        begun = [fact.ts_ms for fact in story(world, BTC) if type(fact).__name__ == "SignalOpening"]
        assert [(each - START_MS) // MINUTE_MS for each in begun] == [1, 7]

    run(main())


def test_facts_beyond_what_fits_in_memory_reach_the_ledger_from_the_outboxes():
    """Also those of a symbol that is down while the ledger comes back."""

    async def main() -> None:
        from livebot.runtime.settings import LedgerSettings

        settings = replace(
            QUICK, ledger=LedgerSettings(queue_size=5, batch_size=2, backoff_s=0.05, backoff_maximum_s=0.1)
        )
        world = World(strategies={"eager": lambda: Eager(Nothing())}, symbols=(BTC, ETH), speed=60, settings=settings)
        process = await world.process().until_ready()
        world.ledger.fails = True
        await asyncio.sleep(6)
        assert "rows wait for the ledger" in process.portfolio.blocks.first_fault
        process.system.workers.evict(BTC)
        world.ledger.fails = False
        await asyncio.sleep(3)
        assert process.portfolio.blocks.first_fault is None
        await process.end()
        for state in world.store.files.values():
            assert len(world.ledger.of(state.strategy, state.symbol)) == state.sequence
        assert [] == disagreements(world)

    run(main())


def test_cancelling_what_the_venue_does_not_know_is_asked_about():
    """A limit entry that filled in the moment in which it was given up."""

    async def main() -> None:
        world = World(
            strategies={"resting": lambda: once(1, limit=0.0001, stop=0.2, target=0.2)}, speed=60, latency_ms=5
        )
        process = await world.process().until_ready()
        while not world.orders(leg=Leg.ENTRY):
            await asyncio.sleep(0.02)
        process.faults.hold_events()
        while world.orders(leg=Leg.ENTRY):
            await asyncio.sleep(0.02)
        await process.control.flatten([BTC])
        await asyncio.sleep(0.5)
        assert world.held() == 0
        assert "SignalOpened" in world.ledger.kinds("resting", BTC)
        process.faults.release_events()
        await asyncio.sleep(0.2)
        assert world.ledger.kinds("resting", BTC)[-1] == "SignalClosed"
        await process.end()
        assert [] == disagreements(world)

    run(main())
