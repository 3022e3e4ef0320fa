"""Features made of other symbols in a running system: complete closes only, the same bits as over arrays, no waiting for ever."""

import asyncio
from dataclasses import dataclass, replace

import numpy as np
import pytest

from livebot.core.market import MINUTE_MS, Timeframe
from livebot.errors import BadInput
from livebot.features.catalogue import breadth_up, change, dispersion, leader_return, market_return
from livebot.features.context import PATIENCE, compute_context
from livebot.ports import VenueNotice
from livebot.runtime.candles.context_board import LET_GO, ContextBoard, Outside
from livebot.runtime.inbox import Activity
from livebot.runtime.symbol.candle_track import LONGEST_GAP_MINUTES
from livebot.simulator.feed import history_of
from livebot.strategies.interface import Strategy, feature_set_of
from tests.runtime.harness import BTC, ETH, QUICK, SOL, START_MS, XRP, World, entry, run
from tests.runtime.past import series
from tests.runtime.test_symbol_worker import Tampered, index_of, live, minute_of, skipped

FEATURES = (
    change("own", 3),
    market_return("market", 5),
    breadth_up("rising", 2),
    dispersion("spread", 5),
    leader_return("lead", BTC, 1, lag=2),
)


@dataclass(frozen=True)
class Asked:
    """What it saw, by minute, and what it does then."""

    seen: dict
    features: tuple = FEATURES
    timeframe: Timeframe = Timeframe.M1
    enter: bool = False
    others: tuple = ()


class Looking(Strategy[Asked]):
    """Writes down what it is shown."""

    name = "looking"
    Params = Asked

    @property
    def timeframe(self):
        return self.params.timeframe

    @property
    def features(self):
        return self.params.features

    @property
    def others(self):
        return self.params.others

    def decide(self, view):
        values = {
            feature.name: (view.feature(feature.name), view.feature(feature.name, 3)) for feature in self.features
        }
        self.params.seen[view.symbol, minute_of(view)] = values
        return entry(view, stop=0.2, target=0.2) if self.params.enter else None


def looking_world(symbols=(BTC, ETH, SOL), **asked) -> tuple[World, dict]:
    seen: dict = {}
    asked = Asked(seen, **asked)
    return World(strategies={"looking": lambda: Looking(asked)}, symbols=symbols, speed=60), seen


async def over_arrays(world, features=FEATURES, timeframe=Timeframe.M1):
    """The same features over the venue's own candles, by (symbol, minute of the close, name)."""
    candles = {symbol: await history_of(world.venue, symbol, timeframe, 400) for symbol in world.symbols}
    found = {}
    for symbol, columns in compute_context(features, candles, timeframe).items():
        minutes = (candles[symbol].ts_ms + timeframe.ms - START_MS) // MINUTE_MS
        for name, values in columns.values.items():
            found |= {(symbol, int(minute), name): value for minute, value in zip(minutes, values, strict=True)}
    return found


@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.M5])
def test_what_a_strategy_sees_is_what_whole_arrays_give(timeframe):
    """For every symbol, now and a few candles ago, also when candles come late and in another order."""

    async def main() -> None:
        world, seen = looking_world(timeframe=timeframe)
        lateness = {BTC: 0.0, ETH: 0.15, SOL: 0.05}
        await live(world, 21, lambda symbol, candle: ((lateness[symbol], candle),))
        expected = await over_arrays(world, timeframe=timeframe)
        step = timeframe.ms // MINUTE_MS
        closes = range(step, 21, step)
        assert sorted(seen) == sorted((symbol, minute) for symbol in world.symbols for minute in closes)
        for (symbol, minute), values in seen.items():
            for name in ("market", "rising", "spread", "lead"):
                assert values[name] == (expected[symbol, minute, name], expected[symbol, minute - 3 * step, name])
        assert skipped(world) == []

    run(main())


def test_a_close_at_which_a_symbol_is_late_is_skipped_and_told_and_afterwards_it_goes_on_without_it():
    """A symbol that stops costs the others PATIENCE closes, and no more."""

    async def main() -> None:
        world, seen = looking_world(features=(market_return("market", 5),))
        await live(world, 14, lambda symbol, candle: () if symbol == SOL and index_of(candle) >= 5 else (candle,))
        assert [minute for symbol, minute in seen if symbol == BTC] == [1, 2, 3, 4, 5, *range(6 + PATIENCE, 15)]
        told = {(minute, code, text) for minute, code, text in skipped(world)}
        assert {(minute, code) for minute, code, _ in told} == {(6 + k, "context_missing") for k in range(PATIENCE)}
        assert all(f"the candles of {SOL}" in text for _, _, text in told)
        assert np.isfinite([values["market"][0] for (_, minute), values in seen.items() if minute > 9]).all()

    run(main())


def test_a_leader_alone_is_waited_for_if_nothing_else_is_asked():
    """Another symbol that stops matters to nobody."""

    async def main() -> None:
        world, seen = looking_world(features=(leader_return("lead", BTC, 1),))
        await live(world, 10, lambda symbol, candle: () if symbol == SOL and index_of(candle) >= 5 else (candle,))
        assert [minute for symbol, minute in seen if symbol == ETH] == list(range(1, 11))
        assert skipped(world) == []

    run(main())


def test_too_few_symbols_to_say_anything_is_a_skipped_decision_too():
    """Dispersion needs two others."""

    async def main() -> None:
        world, seen = looking_world(symbols=(BTC, ETH), features=(dispersion("spread", 5),))
        await live(world, 4)
        assert seen == {}
        assert {code for _, code, _ in skipped(world)} == {"context_incomplete"}
        assert all(text.startswith("spread: too few of the other symbols") for _, _, text in skipped(world))

    run(main())


def test_both_kinds_of_looking_at_others_wait_together():
    """A strategy may also look at another symbol's candles."""

    async def main() -> None:
        world, seen = looking_world(others=(SOL,), features=(market_return("market", 5),))
        world.runs_on = {BTC: ("looking",), ETH: ("looking",)}
        await live(world, 6, lambda symbol, candle: ((0.1 if symbol == SOL else 0.0, candle),))
        assert sorted(minute for symbol, minute in seen if symbol == BTC) == [1, 2, 3, 4, 5]
        assert skipped(world) == []

    run(main())


def test_a_hole_is_filled_from_history_before_anybody_decides():
    """Missing minutes of a symbol are fetched, and the values are as if they had come."""

    async def main() -> None:
        world, seen = looking_world()
        await live(world, 12, lambda symbol, candle: () if symbol == SOL and index_of(candle) in (4, 5) else (candle,))
        expected = await over_arrays(world)
        assert [minute for symbol, minute in seen if symbol == BTC] == [1, 2, 3, 4, *range(7, 13)]
        for (symbol, minute), values in seen.items():
            assert values["market"] == (expected[symbol, minute, "market"], expected[symbol, minute - 3, "market"])

    run(main())


def test_symbols_that_nobody_trades_belong_to_the_universe():
    """Listed in the config, without a strategy."""

    async def main() -> None:
        world, seen = looking_world()
        world.runs_on = {BTC: ("looking",)}
        process = world.process(minutes=5, context_symbols=world.symbols)
        await process.system.run(process.shutdown)
        expected = await over_arrays(world)
        assert sorted(seen) == [(BTC, minute) for minute in range(1, 6)]
        assert seen[BTC, 4]["spread"][0] == expected[BTC, 4, "spread"]

    run(main())


def test_candles_that_were_not_final_are_loaded_anew():
    """The venue says so of one symbol."""

    async def main() -> None:
        world, _ = looking_world()
        process = await world.process().until_ready()
        await asyncio.sleep(3.5)
        feed, asked = process.system.parts.feed, []
        history = feed.history

        async def counted(symbol, timeframe, count):
            asked.append((symbol, count))
            return await history(symbol, timeframe, count)

        feed.history = counted
        feed.say(VenueNotice(source="audit", text="another candle", symbol=SOL, reload=True))
        await asyncio.sleep(2.2)
        (board,) = process.system.workers.contexts.boards
        assert (SOL, 5 + 1 + PATIENCE + 63) in asked
        assert board.lacking(START_MS + 4 * MINUTE_MS) == ()
        await process.end()

    run(main())


def test_a_history_that_is_refused_holds_up_nobody_for_long():
    """Its symbol is lacking for PATIENCE closes; the system is ready all the same, and it is tried again."""

    async def main() -> None:
        world, seen = looking_world(features=(market_return("market", 5),))
        world.runs_on = {BTC: ("looking",), ETH: ("looking",)}
        process = world.process(minutes=12, context_symbols=world.symbols)
        history = process.system.parts.feed.history

        async def refusing(symbol, timeframe, count):
            if symbol == SOL:
                raise BadInput("no such symbol")
            return await history(symbol, timeframe, count)

        process.system.parts.feed.history = refusing
        await process.system.run(process.shutdown)
        assert {code for _, code, _ in skipped(world)} == {"context_missing"}
        assert sorted(minute for symbol, minute in seen if symbol == BTC)[:2] == [1 + PATIENCE, 2 + PATIENCE]

    run(main())


def test_a_decision_tells_what_it_was_made_with():
    """In the ledger and the journal: name, version and hash of the features."""

    async def main() -> None:
        world, seen = looking_world(enter=True)
        await live(world, 3)
        told = {each.feature_set for each in world.ledger.decisions.values() if each.outcome == "approved"}
        assert told == {str(feature_set_of(Looking(Asked(seen))))}

    run(main())


def test_a_system_without_such_features_has_no_board():
    """Its candles pass by at no cost."""

    async def main() -> None:
        world, _ = looking_world(features=(change("own", 3),))
        process = await world.live(3)
        assert process.system.workers.contexts.boards == ()
        assert process.system.workers.contexts.symbols == ()

    run(main())


def test_after_a_kill_the_next_one_sees_the_same():
    """The board begins from history."""

    async def main() -> None:
        world, seen = looking_world()
        process = await world.process().until_ready()
        await asyncio.sleep(4.5)
        await process.kill()
        await world.live(6)
        expected = await over_arrays(world)
        assert len(seen) > 20
        for (symbol, minute), values in seen.items():
            assert values["spread"] == (expected[symbol, minute, "spread"], expected[symbol, minute - 3, "spread"])

    run(main())


def test_the_deadline_is_that_of_the_settings():
    """A symbol that comes just before it is waited for."""

    async def main() -> None:
        world, seen = looking_world()
        world.settings = replace(QUICK, context_deadline_s=0.6)
        process = world.process(minutes=6)
        Tampered(process, lambda symbol, candle: ((0.5 if symbol == SOL else 0.0, candle),))
        await process.system.run(process.shutdown)
        assert [minute for symbol, minute in seen if symbol == BTC] == [1, 2, 3, 4, 5]

    run(main())


def test_another_universe_counts_from_the_next_close_on():
    """Who leaves is waited for no longer; who is new counts once its history has come."""

    async def main() -> None:
        world, seen = looking_world(symbols=(BTC, ETH, SOL, XRP), features=(market_return("market", 5),))
        world.runs_on = {BTC: ("looking",), ETH: ("looking",)}
        process = await world.process(context_symbols=()).until_ready()
        contexts = process.system.workers.contexts
        assert contexts.symbols == (BTC, ETH)
        await asyncio.sleep(2.5)
        contexts.follow((BTC, ETH, XRP))
        process.system.hub.connect(lambda: None)
        await asyncio.sleep(3.0)
        assert contexts.symbols == (BTC, ETH, XRP)
        contexts.follow((BTC, ETH, XRP))
        contexts.follow((BTC, SOL))
        process.system.hub.connect(lambda: None)
        await asyncio.sleep(3.0)
        await process.end()
        features = (market_return("market", 5),)
        candles = {symbol: await history_of(world.venue, symbol, Timeframe.M1, 200) for symbol in world.symbols}
        minutes = (candles[BTC].ts_ms + MINUTE_MS - START_MS) // MINUTE_MS
        for universe, at in (((BTC, ETH), 2), ((BTC, ETH, XRP), 5), ((BTC, SOL), 8)):
            whole = compute_context(features, candles, Timeframe.M1, universe=universe, targets=(BTC,))[BTC]
            assert seen[BTC, at]["market"][0] == whole.values["market"][list(minutes).index(at)]
        assert skipped(world) == []

    run(main())


def test_a_symbol_that_leaves_while_its_history_comes_is_forgotten():
    """What has been fetched is for nobody."""

    async def main() -> None:
        world, _ = looking_world(features=(market_return("market", 5),))
        process = await world.process().until_ready()
        contexts = process.system.workers.contexts
        (board,) = contexts.boards
        board.reload(SOL)
        board.reload(SOL)
        contexts.follow((BTC, ETH))
        board.take(SOL, world.venue.market.candle(SOL, START_MS))
        board.reload(SOL)
        await asyncio.sleep(2.0)
        assert board.symbols == (BTC, ETH)
        assert board.lacking(START_MS + MINUTE_MS) == ()
        await process.end()

    run(main())


def test_after_a_long_outage_of_a_symbol_its_history_is_loaded_anew():
    """A gap that is too long to be bridged minute by minute."""

    async def main() -> None:
        world, seen = looking_world()
        process = await world.process().until_ready()
        (board,) = process.system.workers.contexts.boards
        await asyncio.sleep(1.5)
        far = replace(world.venue.market.candle(SOL, START_MS), ts_ms=START_MS + (LONGEST_GAP_MINUTES + 60) * MINUTE_MS)
        board.take(SOL, far)
        await asyncio.sleep(3.0)
        assert board.lacking(START_MS + 3 * MINUTE_MS) == ()
        await process.end()
        expected = await over_arrays(world)
        assert seen[BTC, 3]["spread"][0] == expected[BTC, 3, "spread"]

    run(main())


def test_minutes_that_the_history_does_not_show_yet_are_asked_for_again():
    """A venue that is behind cannot say that there was no trade."""

    async def main() -> None:
        world, seen = looking_world()
        world.settings = replace(QUICK, context_deadline_s=0.8)
        process = world.process(minutes=9)
        feed, behind = process.system.parts.feed, []
        history = feed.history

        async def late(symbol, timeframe, count):
            found = await history(symbol, timeframe, count)
            if symbol == SOL and process.system.ready.is_set() and len(behind) < 3:
                behind.append(symbol)
                return found.part(0, len(found) - 1)
            return found

        feed.history = late
        Tampered(process, lambda symbol, candle: () if symbol == SOL and index_of(candle) == 3 else (candle,))
        await process.system.run(process.shutdown)
        expected = await over_arrays(world)
        assert len(behind) == 3
        assert seen[BTC, 9]["spread"][0] == expected[BTC, 9, "spread"]

    run(main())


def test_a_candle_that_contradicts_one_before_is_passed_over():
    """As by the worker of the symbol."""

    async def main() -> None:
        def twice(symbol, candle):
            return (candle, replace(candle, close=candle.low)) if symbol == SOL else (candle,)

        world, seen = looking_world()
        await live(world, 5, twice)
        expected = await over_arrays(world)
        assert seen[BTC, 4]["spread"][0] == expected[BTC, 4, "spread"]

    run(main())


def test_a_symbol_whose_candles_cannot_be_computed_is_loaded_anew():
    """That symbol alone, and nobody else hears of it."""

    async def main() -> None:
        world, seen = looking_world()
        process = await world.process().until_ready()
        (board,) = process.system.workers.contexts.boards
        update, spoiled = board._context.update, []

        def refusing(symbol, candle):
            if symbol == SOL and not spoiled:
                spoiled.append(candle)
                raise BadInput("features cannot be computed")
            update(symbol, candle)

        board._context.update = refusing
        await asyncio.sleep(6.5)
        await process.end()
        expected = await over_arrays(world)
        assert len(spoiled) == 1
        assert seen[BTC, 6]["spread"][0] == expected[BTC, 6, "spread"]
        assert process.system.supervisor.restarts() == 0

    run(main())


def test_a_strategy_that_cannot_be_made_ends_its_own_workers_only():
    """The others' features are there."""

    async def main() -> None:
        world, seen = looking_world(features=(market_return("market", 5),))

        def broken():
            raise ValueError("no such parameters")

        world.strategies = {**world.strategies, "broken": broken}
        world.runs_on = {BTC: ("looking",), ETH: ("looking",), SOL: ("broken",)}
        await world.live(4)
        assert (BTC, 3) in seen

    run(main())


def test_those_who_waited_for_a_close_are_let_go_a_few_at_a_time():
    """Others have their turns in between, and a simulated market waits for the last of them."""

    async def main() -> None:
        activity, gone = Activity(), []
        board = ContextBoard(FEATURES, Timeframe.M1, (BTC, ETH), Outside(None, None, None, activity, None))
        for symbol in board.symbols:
            board._context.begin(symbol, series([]))
        for number in range(2 * LET_GO + 1):
            board.when_complete(START_MS + MINUTE_MS, lambda number=number: gone.append(number))
        board._tell()
        assert gone == list(range(LET_GO))
        board.when_complete(START_MS + MINUTE_MS, lambda: gone.append("later"))
        board._tell()
        assert not activity.quiet
        turns = []
        while not activity.quiet:
            turns.append(len(gone))
            await asyncio.sleep(0)
        assert turns == [LET_GO, 2 * LET_GO]
        assert gone == [*range(2 * LET_GO + 1), "later"]

    run(main())
