"""A running system that follows another config: what is concerned changes at one moment, and nobody else notices."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.denial import DenialCode, TradingState
from livebot.core.entry import BreakEven, ExitPlan
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS
from livebot.core.order import Leg
from livebot.core.performance import WinRate
from livebot.core.rules import FixedNotional
from livebot.core.signal import Idle, Open
from livebot.errors import BadInput, Rejected, Transient
from livebot.features.catalogue import market_return
from livebot.runtime.settings import RunMode
from livebot.runtime.supervision.supervisor import ChildState
from tests.runtime.harness import (
    BTC,
    ETH,
    QUICK,
    SOL,
    START_MS,
    Managing,
    Script,
    Scripted,
    always,
    entry,
    never,
    once,
    run,
)
from tests.runtime.reload_office import ALL, Office, busy, holder, until

D = Decimal


# ---------------------------------------------------------------- limits and terms


def test_other_limits_hold_at_once_and_nobody_is_run_anew():
    async def main():
        office = Office({BTC: ("busy",), ETH: ("busy",)}, {"busy": busy(30)}, limits=Limits(open_signals=2))
        process = await office.start()
        await until(lambda: process.portfolio.open_signals == 2)
        counts = office.system.workers.instances.counts()
        sentence = await office.follow(office.plan(limits=Limits(open_signals=1)))
        assert sentence == "reloaded config.yaml: a.key 1 -> 2"
        assert {use.name: use.allowed for use in process.portfolio.limit_use()}["open_signals"] == 1
        assert office.system.workers.instances.counts() == counts
        opened = len(office.opened(BTC)) + len(office.opened(ETH))
        await until(lambda: office.minutes("SignalClosed", BTC) and office.minutes("SignalClosed", ETH))
        await until(lambda: len(office.opened(BTC)) + len(office.opened(ETH)) > opened)
        await asyncio.sleep(5)
        assert process.portfolio.open_signals == 1
        await office.end()

    run(main())


def test_a_limit_below_what_is_open_lets_nothing_be_added_and_closes_nothing():
    async def main():
        office = Office(dict.fromkeys(ALL, ("busy",)), {"busy": busy(20)})
        process = await office.start()
        await until(lambda: process.portfolio.open_signals == 4)
        await office.follow(office.plan(limits=Limits(open_signals=2)))
        opened = sum(len(office.opened(symbol)) for symbol in ALL)
        assert process.portfolio.open_signals == 4
        while process.portfolio.open_signals > 2:
            assert process.portfolio.trading_state is TradingState.REDUCING, "above the limit it only reduces"
            await asyncio.sleep(0.05)
            assert sum(len(office.opened(symbol)) for symbol in ALL) == opened or process.portfolio.open_signals <= 2
        await until(lambda: process.portfolio.trading_state is TradingState.ACTIVE)
        await office.follow(office.plan(limits=Limits(open_signals=4)))
        await until(lambda: process.portfolio.open_signals == 4)
        await office.end()

    run(main())


def test_a_rule_for_win_rates_comes_with_a_reload():
    async def main():
        losing = {"losing": lambda: always(minutes=1, stop=0.2, target=0.2)}
        office = Office({BTC: ("losing",)}, losing)
        process = await office.start()
        await until(lambda: len(office.minutes("SignalClosed", BTC)) >= 3)
        assert process.portfolio.blocks.of(BTC) == ()
        await office.follow(office.plan(win_rate=WinRate(minimum_win_rate=D("0.999"), minimum_trades=5)))
        await until(lambda: DenialCode.SWITCHED_OFF in process.portfolio.blocks.of(BTC))
        await office.end()

    run(main())


def test_a_new_signal_has_the_new_size_and_exits_and_the_open_one_keeps_its_own():
    late = ExitPlan(break_even=BreakEven(after=D("0.2"), offset=D("0.1")))

    async def main():
        office = Office({BTC: ("busy",)}, {"busy": lambda: always(minutes=10, stop=0.3, target=0.3)})
        await office.start()
        await until(
            lambda: isinstance(office.world.store.files.get(("busy", BTC)) and office.world.state("busy").signal, Open)
        )
        before = office.world.state("busy").signal.signal
        instance = office.system.workers.instances.peek(BTC, "busy")
        await office.follow(office.plan(sizing=FixedNotional(D(5000)), exits=late))
        assert office.system.workers.instances.peek(BTC, "busy") is instance, "it is not run anew for that"
        assert instance.rules.sizing == FixedNotional(D(1000)), "one is open"
        assert office.world.state("busy").signal.signal == before
        await until(lambda: len(office.opened(BTC)) == 2)
        after = office.world.state("busy").signal.signal
        assert after.exits == late
        assert before.exits != late
        assert after.quantity > 4 * before.quantity
        await office.end()

    run(main())


# ---------------------------------------------------------------- strategies


def test_other_params_are_decided_by_from_that_moment_on_and_only_there():
    asked: list[tuple[str, str]] = []

    def noting(name):
        def decide(view):
            asked.append((name, view.symbol))
            return entry(view, minutes=2) if view.symbol == BTC else None

        return lambda: Scripted(Script(decide))

    async def main():
        office = Office({BTC: ("one",), ETH: ("two",)}, {"one": noting("old"), "two": noting("two")})
        process = await office.start()
        await until(lambda: len(office.opened(BTC)) > 1)
        kept, changed = (
            office.system.workers.instances.peek(symbol, name) for symbol, name in ((ETH, "two"), (BTC, "one"))
        )
        asked.clear()
        await office.follow(office.plan(makers={"one": noting("new")}, made_anew=("one",)))
        assert ("old", BTC) not in asked
        assert office.system.workers.instances.peek(ETH, "two") is kept
        assert office.system.workers.instances.peek(BTC, "one") is not changed
        assert office.system.supervisor.restarts() == 0, "nothing has failed"
        asked.clear()
        closed = len(office.minutes("SignalClosed", BTC))
        await until(lambda: ("new", BTC) in asked and ("two", ETH) in asked)
        await until(lambda: len(office.minutes("SignalClosed", BTC)) > closed + 1)
        assert ("old", BTC) not in asked
        assert process.problems.sentences() == ()
        await office.end()

    run(main())


def test_candles_that_wait_for_a_busy_worker_are_not_decided_by_the_old_params():
    asked: list[str] = []

    def noting(name):
        def decide(view):
            asked.append(name)

        return lambda: Scripted(Script(decide))

    async def main():
        makers = {"enters": lambda: once(3, stop=0.2, target=0.2), "one": noting("old")}
        office = Office({BTC: ("enters", "one")}, makers, latency_ms=1800, speed=200)
        process = await office.start()
        await until(lambda: process.wire.sent)
        asked.clear()
        await asyncio.sleep(0.6)  # a candle and another one have come
        assert asked == [], "its worker waits for the answer"
        assert len(office.system.workers.inboxes[BTC]) > 0
        await office.follow(office.plan(makers={"one": noting("new")}, made_anew=("one",)))
        await until(lambda: "new" in asked)
        assert "old" not in asked
        await office.end()

    run(main())


def test_what_a_strategy_waited_for_comes_to_nothing_once_it_is_taken_off():
    """The time to wait for another symbol's candle ends when its worker runs somebody else."""

    async def main():
        makers = {"looks": lambda: Scripted(Script(lambda _: None, others=(ETH,))), "never": never}
        office = Office({BTC: ("looks",), ETH: ("never",)}, makers)
        await office.start()
        system = office.system
        office.daemon.system.parts.feed.ignore(ETH)  # its candles do not come any more
        instance = system.workers.instances.peek(BTC, "looks")
        await until(lambda: instance.due is not None)
        await office.follow(office.plan({BTC: ("never",), ETH: ("never",)}))
        await asyncio.sleep(3)
        assert system.supervisor.status(BTC).last_error is None
        await office.end()

    run(main())


def test_the_open_signal_of_a_strategy_with_other_params_goes_on_and_is_managed_by_the_new_ones():
    managed: list[str] = []

    def managing(name):
        def manage(view, signal):
            managed.append(name)

        held = holder(BTC)().params
        return lambda: Managing(replace(held, manage=manage))

    async def main():
        office = Office({BTC: ("holds",)}, {"holds": managing("old")})
        await office.start()
        await until(lambda: "old" in managed)
        before = office.world.state("holds").signal.signal
        stops = [order.client_order_id for order in office.world.orders(BTC, Leg.STOP)]
        await office.follow(office.plan(makers={"holds": managing("new")}, made_anew=("holds",)))
        managed.clear()
        await until(lambda: len(managed) > 2)
        assert set(managed) == {"new"}
        assert office.world.state("holds").signal.signal == before
        assert [order.client_order_id for order in office.world.orders(BTC, Leg.STOP)] == stops, (
            "its stop stays as it is"
        )
        assert office.opened(BTC) == office.opened(BTC)[:1]
        await office.end()

    run(main())


def test_a_strategy_is_added_to_a_symbol_and_another_one_taken_off():
    async def main():
        office = Office({BTC: ("a",), ETH: ("a",)}, {"a": busy(), "b": busy()})
        await office.start()
        await until(lambda: len(office.opened(BTC)) > 1)
        kept = office.system.workers.instances.peek(ETH, "a")
        await office.follow(office.plan({BTC: ("b",), ETH: ("a",)}))
        at = office.minute
        await until(lambda: len(office.opened(BTC, "b")) > 2)
        assert max(office.opened(BTC, "a")) <= at
        assert office.opened(ETH, "b") == []
        assert max(office.opened(ETH, "a")) > at
        assert office.system.workers.instances.peek(ETH, "a") is kept
        await office.follow(office.plan({BTC: ("a", "b"), ETH: ("a",)}))
        known = len(office.opened(BTC, "a"))
        await until(lambda: len(office.opened(BTC, "a")) > known)
        await office.end()

    run(main())


def test_the_open_signal_of_a_strategy_taken_off_is_managed_to_its_end_by_rules():
    asked: list[int] = []

    def decide(view):
        asked.append(view.close_ms)
        return entry(view, stop=0.3, target=0.3, minutes=15)

    async def main():
        office = Office(
            {BTC: ("gone", "stays"), ETH: ("gone",)}, {"gone": lambda: Scripted(Script(decide)), "stays": never}
        )
        await office.start()
        await until(
            lambda: isinstance(office.world.store.files.get(("gone", BTC)) and office.world.state("gone").signal, Open)
        )
        sentence = await office.follow(office.plan({BTC: ("stays",), ETH: ("gone",)}))
        assert sentence.endswith(f"; {BTC}: the signal of gone is open still and managed to its end")
        assert office.world.held(BTC) > 0
        assert office.world.orders(BTC, Leg.STOP)
        await until(lambda: office.minutes("SignalClosed", BTC))
        closed = office.minute
        await until(lambda: office.minute > closed + 5)
        assert len(office.opened(BTC, "gone")) == 1, "it opens nothing more, though it runs elsewhere"
        assert isinstance(office.world.state("gone").signal, Idle)
        assert len(office.opened(ETH, "gone")) >= 1
        await office.end()

    run(main())


def test_a_start_does_not_ask_a_strategy_that_the_config_runs_elsewhere_only():
    """The same as after a reload: its signal is managed by rules, and it opens nothing more."""

    async def main():
        makers = {"gone": lambda: always(stop=0.3, target=0.3, minutes=5), "stays": never}
        office = Office({BTC: ("gone",), ETH: ("gone",)}, makers)
        await office.start()
        await until(lambda: office.world.held(BTC) > 0)
        await office.daemon.kill()
        office.task.cancel()
        known = len(office.opened(BTC, "gone"))
        office.runs_on = {BTC: ("stays",), ETH: ("gone",)}
        await office.start()
        await until(lambda: office.minutes("SignalClosed", BTC, "gone"))
        at = office.minute
        await until(lambda: office.minute > at + 4)
        assert len(office.opened(BTC, "gone")) == max(known, 1)
        await office.end()

    run(main())


def test_what_a_strategy_looks_at_follows_its_params():
    seen: list[tuple[str, ...]] = []

    def looking(*others):
        def decide(view):
            seen.append(tuple(name for name in others if view.others[name].close_ms == view.close_ms))

        return lambda: Scripted(Script(decide, others=others))

    async def main():
        office = Office({BTC: ("looks",), ETH: ("never",)}, {"looks": looking(ETH), "never": never})
        await office.start()
        await until(lambda: (ETH,) in seen)
        listeners = office.daemon.system.parts.feed._listeners
        assert SOL not in listeners
        await office.follow(office.plan(makers={"looks": looking(SOL)}, made_anew=("looks",)))
        seen.clear()
        await until(lambda: (SOL,) in seen)
        assert {BTC, ETH, SOL} <= listeners.keys()
        await office.follow(office.plan(makers={"looks": looking()}, made_anew=("looks",)))
        assert SOL not in listeners, "nobody looks at it any more"
        assert ETH in listeners, "it runs"
        await office.end()

    run(main())


# ---------------------------------------------------------------- symbols


def test_symbols_come_and_go():
    async def main():
        office = Office({BTC: ("busy",)}, {"busy": busy()})
        process = await office.start()
        await until(lambda: len(office.opened(BTC)) > 1)
        kept = office.system.workers.instances.peek(BTC, "busy")
        await office.follow(office.plan({BTC: ("busy",), ETH: ("busy",), SOL: ("busy",)}))
        assert sorted(office.admitted) == [ETH, SOL]
        assert office.system.workers.instances.peek(BTC, "busy") is kept
        await until(lambda: office.opened(ETH) and office.opened(SOL))
        await office.follow(office.plan({ETH: ("busy",), SOL: ("busy",)}))
        at = office.minute
        assert process.portfolio.blocks.of(BTC) == (DenialCode.UNIVERSE,)
        await until(lambda: BTC not in office.system.workers.strategies)
        assert max(office.opened(BTC)) <= at
        assert isinstance(office.world.state("busy").signal, Idle)
        assert process.portfolio.blocks.of(BTC) == ()
        assert process.problems.sentences() == ()
        await office.follow(office.plan({BTC: ("busy",), ETH: ("busy",), SOL: ("busy",)}))
        known = len(office.opened(BTC))
        await until(lambda: len(office.opened(BTC)) > known)
        await office.end()

    run(main())


def test_what_is_open_on_a_symbol_taken_out_is_managed_to_its_close_and_it_may_come_back_before():
    async def main():
        office = Office({BTC: ("holds",), ETH: ("never",)}, {"holds": holder(BTC, 20), "never": never})
        process = await office.start()
        await until(lambda: office.world.held(BTC) > 0)
        worker = office.system.workers.instances.peek(BTC, "holds")
        await office.follow(office.plan({ETH: ("never",)}))
        await asyncio.sleep(3)
        assert process.portfolio.blocks.of(BTC) == (DenialCode.UNIVERSE,)
        assert office.system.workers.instances.peek(BTC, "holds") is worker, "it is managed on by who opened it"
        await office.follow(office.plan({BTC: ("holds",), ETH: ("never",)}))
        assert process.portfolio.blocks.of(BTC) == ()
        assert office.system.workers.instances.peek(BTC, "holds") is worker
        await office.follow(office.plan({ETH: ("never",)}))
        await until(lambda: BTC not in office.system.workers.strategies)
        assert office.minutes("SignalClosed", BTC) == [23]  # by its time
        await office.end()

    run(main())


def test_a_daemon_killed_after_a_symbol_was_taken_out_begins_with_the_new_config():
    async def main():
        office = Office({BTC: ("holds",), ETH: ("busy",)}, {"holds": holder(BTC, 20), "busy": busy()})
        await office.start()
        await until(lambda: office.world.held(BTC) > 0)
        await office.follow(office.plan({ETH: ("busy",), SOL: ("busy",)}))
        await office.daemon.kill()
        office.task.cancel()
        await office.start()
        assert BTC in office.system.workers.strategies, "it has something open"
        await until(lambda: office.minutes("SignalClosed", BTC))
        await until(lambda: BTC not in office.system.workers.strategies)
        assert len(office.opened(BTC)) == 1
        assert office.opened(SOL)
        await office.end()

    run(main())


def test_a_symbol_that_is_only_looked_after_is_run_again_when_it_comes_back():
    async def main():
        office = Office({BTC: ("holds",), ETH: ("never",)}, {"holds": holder(BTC, 30), "never": never, "busy": busy()})
        await office.start()
        await until(lambda: office.world.held(BTC) > 0)
        await office.daemon.kill()
        office.task.cancel()
        office.runs_on = {ETH: ("never",)}
        process = await office.start()
        assert process.portfolio.blocks.of(BTC) == (DenialCode.UNIVERSE,)
        await office.follow(office.plan({BTC: ("busy",), ETH: ("never",)}))
        assert process.portfolio.blocks.of(BTC) == ()
        await until(lambda: len(office.opened(BTC, "busy")) > 1)
        await until(lambda: office.minutes("SignalClosed", BTC, "holds"))
        await office.end()

    run(main())


def test_a_symbol_that_has_just_been_looked_after_to_its_end_is_run_again_when_it_comes_back():
    async def nobody_goes():
        """The watch is a moment late."""

    async def main():
        office = Office({BTC: ("holds",), ETH: ("never",)}, {"holds": holder(BTC, 10), "never": never, "busy": busy()})
        await office.start()
        await until(lambda: office.world.held(BTC) > 0)
        await office.daemon.kill()
        office.task.cancel()
        office.runs_on = {ETH: ("never",)}
        process = await office.start()
        process.system.universe._see_off = nobody_goes
        await until(lambda: office.system.supervisor.status(BTC).state is ChildState.DONE)
        await office.follow(office.plan({BTC: ("busy",), ETH: ("never",)}))
        await until(lambda: len(office.opened(BTC, "busy")) > 1)
        await office.end()

    run(main())


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BadInput("it settles in another currency"), "it settles in another currency"),
        (Transient("no answer in time"), "no answer in time"),
    ],
)
def test_a_symbol_that_the_venue_refuses_leaves_everything_as_it_was(error, told):
    async def main():
        office = Office({BTC: ("busy",)}, {"busy": busy()}, limits=Limits(open_signals=3))
        process = await office.start()
        office.refuses = {SOL: error}
        with pytest.raises(Rejected, match=f"cannot be traded: {SOL}: {told}"):
            await office.follow(office.plan({ETH: ("busy",), SOL: ("busy",)}, limits=Limits(open_signals=1)))
        assert set(office.system.workers.strategies) == {BTC}
        assert process.portfolio.blocks.of(BTC) == ()
        assert {use.name: use.allowed for use in process.portfolio.limit_use()}["open_signals"] == 3
        assert sorted(process.wire.ignored) == [ETH, SOL], "the venue need not keep them ready"
        (problem,) = process.problems.sentences()
        assert told in problem
        assert "config.yaml was not reloaded" in problem
        await office.end()

    run(main())


def test_a_symbol_that_the_venue_lacks_is_refused_by_name():
    async def main():
        office = Office({BTC: ("busy",)}, {"busy": busy()})
        await office.start()
        with pytest.raises(
            Rejected, match="DOGE/USDT:USDT: the simulated venue has no symbol DOGE/USDT:USDT; correct `symbols`"
        ):
            await office.follow(office.plan({BTC: ("busy",), ETH: ("busy",), "DOGE/USDT:USDT": ("busy",)}))
        assert set(office.system.workers.strategies) == {BTC}
        await office.end()

    run(main())


def test_a_venue_that_does_not_answer_is_not_waited_for():
    async def main():
        office = Office({BTC: ("busy",)}, {"busy": busy()})
        await office.start()

        async def silent(_: str) -> None:
            await asyncio.sleep(1e9)

        office.following._admit = silent
        with pytest.raises(Rejected, match=f"does not tell all of {ETH} within 30 s; reload again"):
            await office.follow(office.plan({BTC: ("busy",), ETH: ("busy",)}))
        assert office.daemon.wire.ignored == [ETH]
        assert set(office.system.workers.strategies) == {BTC}
        await office.end()

    run(main())


def test_where_symbols_cannot_change_a_change_of_them_is_refused_and_others_are_followed():
    async def main():
        office = Office({BTC: ("busy",)}, {"busy": busy()})
        await office.start(universe=None)
        with pytest.raises(Rejected, match="needs a restart: symbols"):
            await office.follow(office.plan({ETH: ("busy",)}))
        await office.follow(office.plan(limits=Limits(open_signals=7)))
        assert {use.name: use.allowed for use in office.daemon.portfolio.limit_use()}["open_signals"] == 7
        await office.end()

    run(main())


def test_a_strategy_that_would_begin_to_look_at_a_whole_market_takes_a_restart():
    async def main():
        office = Office({BTC: ("busy",)}, {"busy": busy()})
        await office.start()
        with pytest.raises(Rejected, match="needs a restart: busy would begin to use features made of other symbols"):
            await office.follow(office.plan(contextual=frozenset({"busy"})))
        await office.end()

    run(main())


class Wide(Scripted):
    """Looks at the whole market."""

    @property
    def features(self):
        return (market_return("market", 3),)

    @property
    def history(self):
        return 5


def test_features_of_the_whole_market_are_of_the_symbols_that_the_config_names_now():
    async def main():
        makers = {"wide": lambda: Wide(Script(lambda _: None)), "never": never}
        office = Office({BTC: ("wide",), ETH: ("never",)}, makers)
        await office.start(context_symbols=(BTC, ETH))
        contexts = office.system.workers.contexts
        assert set(contexts.symbols) == {BTC, ETH}
        await office.follow(office.plan({BTC: ("wide",), SOL: ("never",)}, contextual=frozenset({"wide"})))
        await until(lambda: ETH not in office.system.workers.strategies)
        assert set(contexts.symbols) == {BTC, SOL}
        await office.end()

    run(main())


# ---------------------------------------------------------------- who does not run just now


def test_a_symbol_in_quarantine_stays_there_and_begins_with_the_new_params_when_it_is_let_out():
    made: list[str] = []

    def failing(name, fails):
        def decide(view):
            made.append(name)
            if fails:
                raise ArithmeticError
            return entry(view, minutes=2)

        return lambda: Scripted(Script(decide))

    async def main():
        office = Office({BTC: ("bad",)}, {"bad": failing("old", True)})
        process = await office.start()
        await until(lambda: process.portfolio.blocks.quarantined)
        await office.follow(office.plan(makers={"bad": failing("new", False)}, made_anew=("bad",)))
        assert BTC in process.portfolio.blocks.quarantined
        assert office.system.supervisor.status(BTC).state in (ChildState.QUARANTINED, ChildState.GUARDED)
        made.clear()
        await process.control.restart([BTC])
        await until(lambda: len(office.opened(BTC)) > 1)
        assert set(made) == {"new"}
        await office.end()

    run(main())


def test_a_symbol_that_waits_for_its_turn_begins_with_the_new_params():
    made: list[tuple[str, str]] = []

    def noting(name):
        def decide(view):
            made.append((name, view.symbol))
            return entry(view, minutes=1)

        return lambda: Scripted(Script(decide))

    async def main():
        settings = replace(QUICK, mode=RunMode.SEQUENTIAL, signals_per_symbol=3)
        office = Office({BTC: ("one",), ETH: ("one",)}, {"one": noting("old")}, settings=settings)
        await office.start()
        await until(lambda: office.opened(BTC))
        assert office.system.supervisor.status(ETH).state is ChildState.WAITING
        await office.follow(office.plan(makers={"one": noting("new")}, made_anew=("one",)))
        await until(lambda: office.opened(ETH))
        assert ("old", ETH) not in made
        assert ("new", BTC) in made
        await office.daemon.task
        office.task.cancel()

    run(main())


@pytest.mark.untraced
def test_a_symbol_that_is_not_concerned_has_the_same_facts_with_and_without_reloads():
    """Params, limits and symbols change around it, again and again."""

    async def facts_of_eth(reloads):
        def seen(view):
            return entry(view, minutes=3) if view.symbol == ETH else entry(view, minutes=2)

        office = Office({BTC: ("a",), ETH: ("b",)}, {"a": busy(), "b": lambda: Scripted(Script(seen)), "c": busy(1)})
        await office.start()
        for number in range(6):
            await until(lambda number=number: office.minute >= 5 * (number + 1))
            if reloads:
                runs = {ETH: ("b",), **({SOL: ("c",)} if number % 2 else {BTC: ("a", "c")})}
                limits = Limits(open_signals=10 + number)
                await office.follow(office.plan(runs, makers={"a": busy(number + 1)}, made_anew=("a",), limits=limits))
        await until(lambda: office.minute >= 40)
        await office.daemon.kill()
        office.task.cancel()
        return [fact for fact in office.world.ledger.of("b", ETH) if fact.ts_ms < START_MS + 38 * MINUTE_MS]

    async def main():
        calm, changing = await facts_of_eth(False), await facts_of_eth(True)
        assert len(calm) > 20
        assert [type(fact) for fact in calm] == [type(fact) for fact in changing]
        assert [(fact.sequence, fact.ts_ms) for fact in calm] == [(fact.sequence, fact.ts_ms) for fact in changing]

    run(main())


@pytest.mark.untraced
def test_killed_at_any_moment_of_a_reload_the_next_start_goes_on():
    """Nothing is lost and nothing doubled, whichever of the two configs the next start finds."""

    async def killed_after(steps, index):
        office = Office({BTC: ("a",), ETH: ("a",)}, {"a": busy(), "b": busy()})
        await office.start()
        await until(lambda: office.opened(BTC))
        plan = office.plan({ETH: ("b",), SOL: ("a",)}, made_anew=("a",))
        asking = asyncio.create_task(office.follow(plan))
        for _ in range(steps):
            await asyncio.sleep(0)
        await asyncio.sleep(0.003 * index)
        await office.daemon.kill()
        office.task.cancel()
        asking.cancel()
        office.runs_on = {ETH: ("b",), SOL: ("a",)} if steps % 2 else {BTC: ("a",), ETH: ("a",)}
        await office.start()
        await until(lambda: len(office.opened(ETH)) > 2)
        await office.end()
        return True

    for steps in range(0, 60, 4):
        assert run(killed_after(steps, steps % 5))
