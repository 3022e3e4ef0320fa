"""Symbols that come and go while a daemon runs, over restarts and over everything that can fail on the way."""

import asyncio
from dataclasses import replace

import pytest

from livebot.core.denial import DenialCode
from livebot.core.market import MINUTE_MS
from livebot.core.signal import Idle, Open
from livebot.core.universe_memory import UniverseMemory
from livebot.errors import BadInput, Fatal, Rejected, Transient
from livebot.ports import PortfolioMemory, VenueNotice
from livebot.runtime.universe import universe_choice, universe_watch
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
)
from tests.runtime.universe_desk import ALL, Desk, Listed, MemoryUniverse, Only


def world_of(**changes):
    return World(**({"strategies": {"busy": lambda: always(minutes=2)}, "symbols": ALL} | changes))


def walking(**changes):
    """A world in which a minute takes a second, so that a test can look in between."""
    return world_of(speed=60, **changes)


async def until(true):
    """Wait for it; a minute of the market is a second."""
    async with asyncio.timeout(600):
        while not true():
            await asyncio.sleep(0.05)


def test_a_new_symbol_trades_and_one_that_left_opens_nothing_more():
    async def main():
        desk = Desk(world_of(), lambda minute: (BTC, ETH) if minute < 20 else (ETH, BTC), members=(BTC,))
        process = await desk.live(40)
        assert desk.source.asked == [10, 20, 30, 40]
        opened = {symbol: desk.minutes_of(symbol, "SignalOpened") for symbol in ALL}
        assert max(opened[BTC]) <= 20
        assert min(opened[ETH]) >= 20
        assert len(opened[BTC]) > 3
        assert len(opened[ETH]) > 3
        assert opened[SOL] == opened[XRP] == []
        assert disagreements(desk.world, settled=False) == []
        assert desk.store.memory.membership.symbols == (ETH,)
        assert desk.store.memory.departing == ()
        assert set(process.system.workers.strategies) == {ETH}
        assert process.system.universe.status().members == (ETH,)
        assert process.problems.sentences() == ()

    run(main())


@pytest.mark.untraced
def test_two_runs_are_the_same_fact_by_fact():
    async def main():
        ledgers = []
        for _ in range(2):

            def said(minute):
                return ALL[minute // 10 % 4 :] + ALL[: minute // 10 % 4]

            desk = Desk(world_of(), said, members=(BTC, ETH), top=2)
            await desk.live(60)
            ledgers.append(desk.world.ledger)
        assert ledgers[0].facts == ledgers[1].facts
        assert ledgers[0].decisions == ledgers[1].decisions
        assert len(ledgers[0].facts) > 50

    run(main())


def test_what_is_open_on_a_symbol_that_left_is_managed_to_its_close():
    held = {"holder": lambda: once(2, stop=0.2, target=0.2, minutes=30)}

    async def main():
        desk = Desk(walking(strategies=held), lambda minute: (ETH,) if minute >= 10 else (BTC,), members=(BTC,))
        process = desk.process(60)
        process.start()
        await until(lambda: desk.store.saved)
        await until(lambda: process.system.universe.status().departing)
        assert process.portfolio.blocks.of(BTC) == (DenialCode.UNIVERSE,)
        assert process.control.status().universe.departing == (BTC,)
        await process.task
        assert desk.minutes_of(BTC, "SignalClosed") == [33]  # by its time
        assert BTC not in process.system.workers.strategies
        assert DenialCode.UNIVERSE not in process.portfolio.blocks.of(BTC)
        assert desk.store.memory.departing == ()
        assert disagreements(desk.world) == []

    run(main())


def test_after_a_kill_the_open_position_of_who_left_is_managed_on():
    asked = []

    def manage(view, signal):
        asked.append(view.symbol)

    def decide(view):
        return entry(view, stop=0.2, target=0.2, minutes=40) if view.symbol == BTC else None

    async def main():
        strategies = {"manages": lambda: Managing(Script(decide, manage))}
        desk = Desk(walking(strategies=strategies), lambda minute: (ETH,) if minute >= 10 else (BTC,), members=(BTC,))
        process = desk.process()
        process.start()
        await until(lambda: process.system.universe.status().departing)
        await process.kill()
        assert [symbol for symbol, _ in desk.store.memory.departing] == [BTC]
        assert isinstance(desk.world.state("manages").signal, Open)
        asked.clear()
        again = await desk.live(60)
        assert asked
        assert set(asked) == {BTC}  # by its strategy, not by rules alone
        assert len(desk.minutes_of(BTC, "SignalOpened")) == 1
        assert isinstance(desk.world.state("manages").signal, Idle)
        assert set(again.system.workers.strategies) == {ETH}
        assert disagreements(desk.world) == []

    run(main())


def test_who_comes_back_while_it_departs_just_goes_on():
    held = {"holder": lambda: once(2, stop=0.2, target=0.2, minutes=300)}

    async def main():
        def said(minute):
            return (ETH,) if 10 <= minute < 20 else (BTC,)

        desk = Desk(world_of(strategies=held), said, members=(BTC,))
        process = await desk.live(40)
        assert desk.store.memory.membership.symbols == (BTC,)
        assert desk.store.memory.departing == ()
        assert set(process.system.workers.strategies) == {BTC}
        assert process.portfolio.blocks.of(BTC) == (DenialCode.STOPPING,)
        assert process.system.supervisor.status(BTC).restarts == 0

    run(main())


def test_who_was_let_go_can_come_back():
    async def main():
        def said(minute):
            return (ETH,) if 10 <= minute < 30 else (BTC,)

        desk = Desk(world_of(), said, members=(BTC,))
        await desk.live(60)
        opened = desk.minutes_of(BTC, "SignalOpened")
        assert [minute for minute in opened if 12 < minute < 30] == []
        assert max(opened) > 40
        assert disagreements(desk.world, settled=False) == []

    run(main())


def test_a_venue_that_cannot_be_asked_keeps_the_last_universe_and_is_asked_again(logs):
    async def main():
        def said(minute):
            return Transient("no answer in time") if minute < 22 else (ETH,)

        desk, told = Desk(world_of(), said, members=(BTC,)), []
        process = desk.process(40)
        process.problems._changed = lambda source, text: told.append((process.system.universe.status(), text))
        await process.system.run(process.shutdown)
        (status, sentence), (_, passed) = told
        assert passed is None
        assert sentence == "the universe stays as it was (1 symbols): no answer in time; it is asked again"
        assert (status.problem, status.members) == (sentence, (BTC,))
        # three times in a row, and then again after a while
        assert desk.source.asked == [10, 10, 10, 15, 15, 15, 20, 20, 20, 25, 35]
        assert process.problems.sentences() == ()
        assert desk.store.memory.membership.symbols == (ETH,)

    run(main())


def test_a_venue_that_says_nothing_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(universe_choice, "ASK_S", 0.5)

    class Silent:
        name = "the venue"

        async def listings(self):
            await asyncio.sleep(1000)

    async def main():
        with pytest.raises(Transient, match=r"the venue does not list its symbols within 0\.5 s"):
            await universe_choice.listings_of(Silent())

    run(main())


def test_what_cannot_be_kept_is_not_followed():
    async def main():
        desk = Desk(world_of(), lambda _: (ETH,), members=(BTC,))
        process = desk.process(25)
        desk.store.fails = True
        await process.system.run(process.shutdown)
        assert desk.minutes_of(ETH, "SignalOpened") == []
        assert max(desk.minutes_of(BTC, "SignalOpened")) > 18
        assert any("the universe stays as it was" in each for each in process.problems.sentences())
        assert process.system.universe.status().members == (BTC,)

    run(main())


def test_a_look_that_is_asked_for_waits_for_no_candle():
    """A minute takes a minute here, and the next look by itself is hours away."""

    async def main():
        desk = Desk(world_of(speed=1), lambda _: (BTC,), members=(BTC,), refresh_minutes=600)
        process = await desk.process().until_ready()
        await asyncio.sleep(90)
        asked = len(desk.source.asked)
        process.system.universe.look_soon()
        await asyncio.sleep(1)
        assert len(desk.source.asked) == asked + 1
        await process.end()

    run(main())


def test_who_is_taken_out_of_the_config_is_let_go_though_no_candle_comes():
    async def main():
        desk = Desk(
            world_of(speed=1, strategies={"never": never}),
            lambda _: (BTC, ETH),
            members=(BTC, ETH),
            fixed=True,
            top=2,
        )
        process = await desk.process().until_ready()
        await asyncio.sleep(90)
        process.system.universe.follow_config((BTC,))
        await asyncio.sleep(1)
        assert process.system.universe._memory.departing == ()
        await process.end()

    run(main())


def test_a_symbol_that_cannot_be_taken_on_is_told_and_tried_again():
    tries = []

    async def admit(symbol):
        tries.append(symbol)
        if len(tries) == 1:
            raise BadInput(f"{symbol} settles elsewhere")

    async def main():
        desk = Desk(walking(), lambda _: (ETH,), members=(BTC,), admit=admit)
        process = desk.process(35)
        process.start()
        await until(lambda: process.problems.sentences())
        assert process.problems.sentences() == (
            f"{ETH} is in the universe and cannot be traded yet: {ETH} settles elsewhere; it is tried again at the next look",
        )
        await process.task
        assert tries == [ETH, ETH]
        assert min(desk.minutes_of(ETH, "SignalOpened")) >= 20
        assert process.problems.sentences() == ()

    run(main())


def test_a_venue_that_tells_nothing_of_a_new_symbol_does_not_hold_up_the_rest(monkeypatch):
    monkeypatch.setattr(universe_watch, "TAKE_ON_S", 0.5)

    async def admit(symbol):
        if symbol == ETH:
            await asyncio.sleep(1000)

    async def main():
        desk = Desk(world_of(), lambda _: (ETH, SOL), members=(BTC,), top=2, admit=admit)
        process = await desk.live(18)
        assert desk.minutes_of(SOL, "SignalOpened")
        assert any("tells nothing of it within 0.5 s" in each for each in process.problems.sentences())

    run(main())


def test_who_left_is_let_go_while_the_venue_tells_nothing_of_the_new_ones():
    """Its order rows and positions are nobody's from then on, although others are still waited for."""
    told = []

    async def main():
        held = {"holder": lambda: once(2, stop=0.2, target=0.2, minutes=300)}
        desk = Desk(walking(strategies=held), lambda _: (ETH, SOL), members=(BTC,), top=2)
        process = desk.process()
        exchange, instruments, silent = process.wire, process.wire.instruments, asyncio.Event()

        async def questioned(symbols):
            if BTC not in symbols:
                told.append(tuple(symbols))
                await silent.wait()
            return await instruments(symbols)

        exchange.instruments = questioned
        process.start()
        await until(lambda: told)
        assert desk.world.orders()
        asked_s = asyncio.get_running_loop().time()
        desk.world.venue.close_by_hand(BTC, desk.world.venue.now_ms)
        process.exchange.say(VenueNotice(source="private stream", text=None, reconcile=True))
        await until(lambda: BTC not in process.system.workers.strategies)
        assert asyncio.get_running_loop().time() - asked_s < universe_watch.TAKE_ON_S / 2
        assert BTC in exchange.ignored
        assert process.system.workers.strategies == {}
        silent.set()
        await until(lambda: set(process.system.workers.strategies) == {ETH, SOL})
        assert set(told) == {(ETH, SOL)}  # in one question
        await process.end()

    run(main())


def test_of_many_new_symbols_those_that_the_venue_lacks_are_told_and_the_others_run():
    async def main():
        desk = Desk(world_of(), lambda _: (ETH, SOL, XRP), members=(BTC,), top=3)
        process = desk.process(18)
        instruments = process.wire.instruments

        async def questioned(symbols):
            if SOL in symbols:
                raise BadInput(f"the venue lacks {SOL}")
            return await instruments(symbols)

        process.wire.instruments = questioned
        await process.system.run(process.shutdown)
        assert set(process.system.workers.strategies) == {ETH, XRP}
        (sentence,) = process.problems.sentences()
        assert sentence.startswith(f"{SOL} is in the universe and cannot be traded yet")
        assert SOL in process.wire.ignored
        assert ETH not in process.wire.ignored

    run(main())


def test_instruments_that_nobody_tells_are_asked_for_again_at_the_next_look(monkeypatch):
    monkeypatch.setattr(universe_watch, "TAKE_ON_S", 0.5)

    async def main():
        desk = Desk(world_of(), lambda _: (BTC, ETH, SOL), members=(BTC,), top=3)
        process = desk.process(25)
        instruments, asked = process.wire.instruments, []

        async def questioned(symbols):
            if BTC not in symbols:
                asked.append(tuple(symbols))
                if len(asked) == 1:
                    await asyncio.sleep(1000)
            return await instruments(symbols)

        process.wire.instruments = questioned
        await process.system.run(process.shutdown)
        assert asked == [(ETH, SOL), (ETH, SOL)]
        assert min(desk.minutes_of(ETH, "SignalOpened")) >= 20
        assert process.problems.sentences() == ()

    run(main())


def test_new_symbols_wait_for_a_turn_where_turns_are_bounded():
    async def main():
        settings = replace(QUICK, max_concurrent_symbols=1)
        desk = Desk(walking(settings=settings), lambda _: (BTC, ETH), members=(BTC,), top=2)
        process = desk.process(20)
        process.start()
        await until(lambda: ETH in process.system.workers.strategies)
        assert process.system.supervisor.status(ETH).state.value == "waiting"
        await process.task
        assert desk.minutes_of(ETH, "SignalOpened") == []

    run(main())


def test_the_turn_of_who_left_goes_to_who_came():
    async def main():
        settings = replace(QUICK, max_concurrent_symbols=1)
        desk = Desk(world_of(settings=settings), lambda _: (ETH,), members=(BTC,))
        await desk.live(40)
        assert desk.minutes_of(ETH, "SignalOpened")

    run(main())


def test_a_symbol_in_quarantine_leaves_and_one_that_was_comes_in_quarantine():
    async def main():
        desk = Desk(walking(), lambda _: (ETH,), members=(BTC,))
        desk.world.portfolio_store.memory = PortfolioMemory(quarantined=((ETH, "it failed before"),))
        process = desk.process(30)
        process.start()
        await until(lambda: ETH in process.system.workers.strategies)
        await process.task
        assert desk.minutes_of(ETH, "SignalOpened") == []

    run(main())


def test_a_damaged_file_of_a_symbol_that_comes_later_begins_in_quarantine():
    async def main():
        desk = Desk(world_of(), lambda minute: (ETH,) if minute < 15 else (BTC,), members=(ETH,))
        await desk.live(8)
        desk.store.memory = UniverseMemory(asked_ms=START_MS, members=((BTC, START_MS),))
        desk.world.store.damage("busy", ETH)
        desk = Desk(desk.world, lambda _: (ETH,), members=(BTC,))
        process = await desk.live(30)
        assert ETH in process.portfolio.blocks.quarantined
        assert process.system.supervisor.status(ETH).last_error is not None

    run(main())


def test_only_symbols_that_a_strategy_wants_are_taken_on():
    async def main():
        desk = Desk(
            world_of(),
            lambda _: (ETH, SOL),
            members=(BTC,),
            top=2,
            strategies=lambda symbol: ("busy",) if symbol in (BTC, SOL) else (),
        )
        process = await desk.live(30)
        assert set(process.system.workers.strategies) == {SOL}
        assert process.system.universe.status().members == (ETH, SOL)

    run(main())


def test_who_has_something_open_and_is_not_remembered_departs():
    held = {"holder": lambda: once(2, stop=0.2, target=0.2, minutes=30)}

    async def main():
        desk = Desk(world_of(strategies=held), lambda _: (BTC,), members=(BTC,))
        await desk.live(8)
        assert desk.world.held(BTC)
        desk = Desk(desk.world, lambda _: (ETH,), members=(ETH,))  # its memory was lost
        process = desk.process(50)
        process.start()
        await process.system.ready.wait()
        assert process.system.universe.status().departing == (BTC,)
        await process.task
        assert not desk.world.held(BTC)
        assert set(process.system.workers.strategies) == {ETH}
        assert desk.store.memory.departing == ()

    run(main())


def test_candles_of_a_symbol_that_others_look_at_go_on():
    seen = []

    def decide(view):
        if view.symbol == ETH:
            seen.append(view.close_ms)

    async def main():
        strategies = {"looks": lambda: Scripted(Script(decide, others=(BTC,)))}

        def watched(symbol):
            return frozenset({BTC})

        desk = Desk(world_of(strategies=strategies), lambda _: (ETH,), members=(BTC,), watched=watched)
        process = await desk.live(30)
        assert set(process.system.workers.strategies) == {ETH}
        assert max(seen) == START_MS + 30 * MINUTE_MS
        assert process.system.parts.feed._listeners.keys() == {BTC, ETH}

    run(main())


# ---------------------------------------------------------------- no longer listed


def delisted(minutes=300):
    held = {"holder": lambda: once(2, stop=0.2, target=0.2, minutes=minutes)}

    def said(minute):
        return (BTC, ETH) if minute < 15 else Only((ETH,))

    return Desk(walking(strategies=held), said, members=(BTC, ETH), top=2)


def test_what_is_not_listed_any_more_is_asked_nothing_and_told(logs):
    async def main():
        desk = delisted()
        desk.source._said = lambda minute: (BTC, ETH) if minute < 15 else Only((ETH, SOL)[: 1 + (minute > 35)])
        process = desk.process(60)
        process.start()
        await until(lambda: process.system.universe.status().resting)
        (sentence,) = process.problems.sentences()
        assert sentence.startswith(
            f"{BTC}: the venue no longer lists it, and it is asked nothing more about it; a position of"
        )
        assert "`livebot restart BTC/USDT:USDT` looks again" in sentence
        assert process.system.supervisor.ended(BTC)
        assert BTC not in process.system.parts.feed._listeners
        asked = []
        for name in ("fetch_order", "fetch_fills"):
            call = getattr(process.exchange, name)
            setattr(process.exchange, name, lambda *args, call=call: (asked.append(args), call(*args))[1])
        await process.task
        assert [each for each in asked if each[0] == BTC] == []
        assert process.system.universe.status().resting == (BTC,)
        assert process.system.universe.status().members == (ETH, SOL)  # who came while it rests did not wake it
        assert set(process.system.parts.feed._listeners) == {ETH, SOL}
        assert process.control.status().universe.resting == (BTC,)
        assert desk.store.memory.departing[0][0] == BTC
        assert desk.world.held(BTC)

    run(main())


def test_a_resting_symbol_whose_position_the_venue_has_closed_wakes_and_is_let_go():
    async def main():
        desk = delisted()
        process = desk.process(200)
        process.start()
        await until(lambda: process.system.universe.status().resting)
        desk.world.venue.close_by_hand(BTC, desk.world.venue.now_ms)
        await process.task
        assert desk.minutes_of(BTC, "SignalClosed")
        assert desk.store.memory.departing == ()
        assert set(process.system.workers.strategies) == {ETH}
        assert disagreements(desk.world) == []
        assert process.problems.sentences() == ()

    run(main())


def test_the_operator_and_a_new_listing_wake_a_resting_symbol():
    async def main():
        desk = delisted()
        desk.source._said = lambda minute: Only((ETH,)) if 15 <= minute < 45 else (BTC, ETH)
        process = desk.process(60)
        process.start()
        await until(lambda: process.system.universe.status().resting)
        await process.control.restart([BTC])
        await until(lambda: not process.system.universe.status().resting)
        assert BTC in process.system.parts.feed._listeners
        await until(lambda: process.system.universe.status().resting)
        await process.task
        assert process.system.universe.status().members == (BTC, ETH)
        assert process.system.universe.status().resting == ()
        assert process.problems.sentences() == ()

    run(main())


def test_what_is_not_listed_and_has_nothing_open_is_just_let_go():
    async def main():
        desk = Desk(
            world_of(strategies={"idle": never}),
            lambda minute: (BTC, ETH) if minute < 15 else Only((ETH,)),
            members=(BTC, ETH),
            top=2,
        )
        process = await desk.live(40)
        assert set(process.system.workers.strategies) == {ETH}
        assert process.problems.sentences() == ()

    run(main())


def test_symbols_of_a_config_are_let_go_of_when_they_are_not_listed_and_told():
    def decide(view):
        minute = (view.close_ms - START_MS) // MINUTE_MS
        return None if 10 < minute < 25 else entry(view, minutes=2)

    async def main():
        desk = Desk(
            walking(strategies={"busy": lambda: Scripted(Script(decide))}),
            lambda minute: Only((BTC, ETH) if minute < 15 or minute > 35 else (ETH,)),
            members=(BTC, ETH),
            top=2,
            fixed=True,
        )
        process = desk.process(60)
        process.start()
        await until(lambda: set(process.system.workers.strategies) == {ETH})
        assert process.problems.sentences() == (
            f"{BTC}: the venue no longer lists it; it opens nothing and is asked for no longer: take it out of `symbols`",
        )
        assert process.control.status().universe is None
        await until(lambda: set(process.system.workers.strategies) == {ETH, BTC})
        await process.task
        assert process.problems.sentences() == ()
        opened = desk.minutes_of(BTC, "SignalOpened")
        assert [minute for minute in opened if 20 < minute <= 40] == []
        assert max(opened) > 40

    run(main())


def test_whoever_lists_symbols_in_the_config_is_not_told_of_a_universe():
    async def main():
        desk = Desk(world_of(), lambda _: Transient("no answer in time"), members=(BTC,), fixed=True)
        process = desk.process(20)
        await process.system.run(process.shutdown)
        said = "it cannot be seen whether the venue still lists the symbols of the config: no answer in time; it is asked again"
        assert process.problems.sentences() == (said,)

    run(main())


# ---------------------------------------------------------------- the beginning


def test_the_first_choice_is_made_and_kept_before_anything_else():
    async def main():
        world, store, said = world_of(), MemoryUniverse(), []
        store.memory = None
        rules = Desk(world, lambda _: (), members=())._rules
        memory = await universe_choice.first_choice(
            rules, Listed(world, lambda _: (ETH, BTC)), store, lambda: START_MS, lambda *each: said.append(each)
        )
        assert memory == store.memory == UniverseMemory(asked_ms=START_MS, members=((ETH, START_MS),))
        assert memory.symbols == (ETH,)
        following = await universe_choice.first_choice(
            rules, Listed(world, lambda _: (BTC,)), store, lambda: START_MS + 5, lambda *each: said.append(each)
        )
        assert following.members == ((BTC, START_MS + 5),)
        assert following.departing == ((ETH, START_MS + 5),)
        assert following.symbols == (BTC, ETH)
        assert said == []

    run(main())


def test_without_an_answer_the_last_universe_is_begun_with_but_not_what_is_denied_by_now():
    async def main():
        world, said = world_of(), []
        store = MemoryUniverse((BTC, ETH))
        rules = replace(Desk(world, lambda _: (), members=())._rules, top=2, deny=("BTC",))
        source, begun = Listed(world, lambda _: Transient("no answer")), asyncio.get_running_loop().time()
        memory = await universe_choice.first_choice(
            rules, source, store, lambda: START_MS + 5, lambda *each: said.append(each)
        )
        assert memory.members == ((ETH, START_MS),)
        assert memory.departing == ((BTC, START_MS + 5),)
        assert said == [("universe", "the universe stays as it was (2 symbols): no answer; it is asked again")]
        assert len(source.asked) == 3
        assert asyncio.get_running_loop().time() - begun >= 3.0  # a second, then two
        store.memory = None
        with pytest.raises(Transient, match="no answer"):
            await universe_choice.first_choice(rules, source, store, lambda: START_MS, lambda *each: None)

    run(main())


def test_what_the_config_remembers_needs_no_file():
    async def main():
        store = universe_choice.Forgetful()
        assert await store.load() is None
        await store.save(UniverseMemory())

    run(main())


def test_a_damaged_memory_is_told_and_an_empty_universe_is_refused():
    async def main():
        world, said = world_of(), []
        store = MemoryUniverse()

        async def damaged():
            raise BadInput("state/universe.json is damaged")

        store.load = damaged
        rules = Desk(world, lambda _: (), members=())._rules
        memory = await universe_choice.first_choice(
            rules, Listed(world, lambda _: (BTC,)), store, lambda: START_MS, lambda *each: said.append(each)
        )
        assert memory.symbols == (BTC,)
        assert said == [("universe.json", "state/universe.json is damaged")]
        with pytest.raises(Fatal, match=r"no symbol of the venue passes .* livebot universe --explain"):
            await universe_choice.first_choice(
                rules, Listed(world, lambda _: Only(())), store, lambda: START_MS, lambda *each: None
            )

    run(main())


def test_an_entry_that_was_on_its_way_when_its_worker_was_to_end_is_looked_after():
    """`let_go` found nothing open and asked the worker to end; while that was done an entry went out."""

    async def main():
        held = {"holder": lambda: once(15, stop=0.2, target=0.2, minutes=20)}
        desk = Desk(walking(strategies=held), lambda _: (BTC,), members=(BTC,))
        process = desk.process(60)
        process.start()
        await process.system.ready.wait()
        await until(lambda: desk.world.held(BTC))
        roster, truth = process.system.roster, process.system.roster.busy
        answers = iter([False])
        roster.busy = lambda symbol: next(answers, truth(symbol))
        assert not await roster.let_go(BTC)
        await until(lambda: not process.system.supervisor.ended(BTC))
        await process.task
        assert desk.minutes_of(BTC, "SignalClosed") == [36]
        with pytest.raises(Rejected):
            process.system.supervisor.ended(XRP)

    run(main())


def test_an_entry_of_a_worker_that_took_long_to_end_is_looked_after_too():
    """The look that had asked it to end gave up waiting; it has ended since, and nobody else runs it."""

    async def main():
        held = {"holder": lambda: once(15, stop=0.2, target=0.2, minutes=20)}
        desk = Desk(walking(strategies=held), lambda _: (BTC,), members=(BTC,))
        process = desk.process(60)
        process.start()
        await process.system.ready.wait()
        await until(lambda: desk.world.held(BTC))
        system = process.system
        assert await system.supervisor.retire(BTC, system.workers.ask_to_stop, 5.0)
        assert not await system.roster.let_go(BTC)
        await until(lambda: not system.supervisor.ended(BTC))
        await process.task
        assert desk.minutes_of(BTC, "SignalClosed") == [36]

    run(main())
