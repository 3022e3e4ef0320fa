"""Rounds in a running system: rank decides, nobody is waited for longer than the deadline, and no room is lost."""

import asyncio
from dataclasses import replace

from livebot.core.denial import TradingState
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.runtime.inbox import Reload
from livebot.runtime.settings import RoundSettings
from tests.runtime.harness import BTC, ETH, SOL, START_MS, XRP, Script, Scripted, World, disagreements, entry, run
from tests.runtime.test_symbol_worker import Tampered, index_of

ALL = (BTC, ETH, SOL, XRP)
ONE = Limits(open_signals=1)
TWO = Limits(open_signals=2)
DEADLINE_S = 0.4
LATE_S = 0.25  # in time for the deadline
TOO_LATE_S = 0.6


def wanting(at: dict[str, int], confidence: dict[str, float | None], timeframe: Timeframe = Timeframe.M1) -> Scripted:
    """Wants one trade on each symbol, at the close of so many minutes after the start."""

    def decide(view):
        if view.symbol not in at or view.close_ms != START_MS + (at[view.symbol] + 1) * MINUTE_MS:
            return None
        return replace(entry(view, stop=0.2, target=0.2), confidence=confidence.get(view.symbol))

    return Scripted(Script(decide, timeframe=timeframe))


class Scene:
    """A world whose rounds are kept; nothing happens before `live` or `begin`."""

    def __init__(self, *, late=None, strategies=None, deadline_s=DEADLINE_S, scorer=None, **changes):
        self.rounds = []
        self.settings = RoundSettings(deadline_s=deadline_s, scorer=scorer)
        wants = wanting(dict.fromkeys(ALL, 3), {BTC: 0.2, ETH: 0.9, SOL: 0.5, XRP: None})
        values = {"strategies": strategies or {"a": lambda: wants}, "symbols": ALL, "speed": 60} | changes
        self.world = World(**values)
        self.late = late or {}
        self.on_round = lambda: None

    def process(self, minutes=8):
        process = self.world.process(minutes=minutes, round=self.settings, tell_round=self._told)
        Tampered(process, lambda symbol, candle: (self._when(symbol, candle),))
        return process

    def _when(self, symbol, candle):
        late_s = self.late.get((symbol, index_of(candle)))
        return candle if late_s is None else (late_s, candle)

    def _told(self, told):
        self.rounds.append(told)
        self.on_round()

    def live(self, minutes=8):
        async def main():
            process = self.process(minutes)
            await process.system.run(process.shutdown)
            return process

        return run(main())

    def outcomes(self, minute=3):
        """(outcome, code) of each symbol at a close."""
        close_ms = START_MS + (minute + 1) * MINUTE_MS
        return {
            each.symbol: (each.outcome, each.code)
            for each in self.world.ledger.decisions.values()
            if each.close_ms == close_ms
        }

    def opened(self):
        return sorted(symbol for (_, symbol), state in self.world.store.files.items() if state.number)


APPROVED = ("approved", "approved")
NO_ROOM = ("denied", "open_signals")


def test_what_there_is_goes_to_the_most_confident():
    """Not to those who come first; and one event tells all of it."""
    scene = Scene(limits=TWO)
    process = scene.live()
    assert scene.outcomes() == {ETH: APPROVED, SOL: APPROVED, BTC: NO_ROOM, XRP: NO_ROOM}
    assert scene.opened() == [ETH, SOL]
    (told,) = scene.rounds
    assert (told.close_ms, told.ended, told.silent, told.awaited) == (START_MS + 4 * MINUTE_MS, "all_spoken", 0, ())
    assert [(each.symbol, each.score, each.outcome) for each in told.places] == [
        (ETH, 0.9, "approved"),
        (SOL, 0.5, "approved"),
        (BTC, 0.2, "denied"),
        (XRP, None, "denied"),
    ]
    assert told.places[2].text == "open signals: 2 used and 1 asked, 2 allowed"
    decision = scene.world.ledger.decisions["a", ETH, told.close_ms]
    assert decision.confidence == 0.9
    assert process.portfolio.reserved == (0, 0)
    assert not disagreements(scene.world)


def test_who_comes_first_is_first_where_there_are_no_rounds():
    """As it always was, and nothing is told of rounds."""
    scene = Scene(limits=TWO)
    scene.settings = None
    scene.live()
    assert scene.outcomes() == {BTC: APPROVED, ETH: APPROVED, SOL: NO_ROOM, XRP: NO_ROOM}
    assert not scene.rounds


def test_a_scorer_ranks_instead():
    """Here who says nothing goes first."""
    scene = Scene(limits=ONE, scorer=lambda candidate: 1.0 - (candidate.confidence or 0.0))
    scene.live()
    assert scene.outcomes() == {XRP: APPROVED, BTC: NO_ROOM, SOL: NO_ROOM, ETH: NO_ROOM}


def test_the_others_wait_for_a_candle_that_is_late():
    """As long as it comes before the deadline."""
    scene = Scene(late={(ETH, 3): LATE_S}, limits=ONE)
    scene.live()
    assert scene.outcomes() == {ETH: APPROVED, BTC: NO_ROOM, SOL: NO_ROOM, XRP: NO_ROOM}
    assert [each.ended for each in scene.rounds] == ["all_spoken"]


def test_who_is_too_late_is_judged_alone():
    """On what the others have left; the round tells whom it did not wait for."""
    scene = Scene(late={(ETH, 3): TOO_LATE_S}, limits=TWO)
    scene.live()
    assert scene.outcomes() == {SOL: APPROVED, BTC: APPROVED, XRP: NO_ROOM, ETH: NO_ROOM}
    first, second = scene.rounds
    assert (first.ended, first.silent, first.awaited) == ("deadline", 1, (f"a/{ETH}",))
    assert (second.ended, second.silent, [each.symbol for each in second.places]) == ("late", 0, [ETH])
    assert first.close_ms == second.close_ms


def test_nobody_is_waited_for_whose_candle_does_not_close():
    """A strategy of five minutes has no say at the fourth."""
    slow = wanting({}, {}, Timeframe.M5)
    scene = Scene(late={(ETH, 3): TOO_LATE_S}, limits=TWO, runs_on={BTC: ("a",), SOL: ("a",), ETH: ("b",)})
    scene.world.strategies["b"] = lambda: slow
    scene.live()
    assert [each.ended for each in scene.rounds] == ["all_spoken"]


def test_candles_of_different_length_that_close_together_are_one_round():
    """Five minutes and one."""
    at = dict.fromkeys(ALL, 4)
    strategies = {
        "a": lambda: wanting(at, dict.fromkeys(ALL, 0.4)),
        "b": lambda: wanting(at, {BTC: 0.3, ETH: 0.8}, Timeframe.M5),
    }
    scene = Scene(strategies=strategies, limits=Limits(open_signals=3))
    scene.live(9)
    (told,) = scene.rounds
    assert [(each.strategy, each.symbol) for each in told.places][:4] == [
        ("b", ETH),
        ("a", BTC),
        ("a", ETH),
        ("a", SOL),
    ]
    assert [each.outcome for each in told.places] == ["approved"] * 3 + ["denied"] * 5


def test_who_has_something_open_or_cannot_be_asked_has_spoken_too():
    """Otherwise every round after the first would wait for the deadline."""
    at = {BTC: 3, ETH: 5}
    scene = Scene(strategies={"a": lambda: wanting(at, {})})
    scene.live()
    assert [(each.ended, len(each.places)) for each in scene.rounds] == [("all_spoken", 1), ("all_spoken", 1)]


def test_a_worker_that_dies_holds_nobody_up():
    """Its strategy fails at that very close."""

    def fails(view):
        if view.symbol == ETH and view.close_ms == START_MS + 4 * MINUTE_MS:
            raise ArithmeticError("too much")
        return wants.decide(view)

    wants = wanting(dict.fromkeys(ALL, 3), {SOL: 0.5})
    scene = Scene(strategies={"a": lambda: Scripted(Script(fails))}, limits=ONE, deadline_s=20.0)
    scene.live()
    assert scene.outcomes() == {SOL: APPROVED, BTC: NO_ROOM, XRP: NO_ROOM}
    assert [each.ended for each in scene.rounds] == ["all_spoken"]


# ---------------------------------------------------------------- while a round is open


async def open_round(scene, minutes=20):
    """A process whose round at the fourth close waits for one symbol; all others have asked."""
    process = await scene.process(minutes).until_ready()
    rounds = process.system.workers.rounds
    while rounds.waiting < len(ALL) - 1:
        await asyncio.sleep(0.01)
    return process


def held_up(**changes):
    """A round that waits for ETH, in a market in which a minute is one; the deadline is far."""
    return Scene(late={(ETH, 3): 30.0}, deadline_s=5.0, limits=TWO, speed=1, **changes)


async def until_judged(scene, count=1):
    while len(scene.rounds) < count:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)


def in_open_round(act, scene=None):
    """Have `act(process)` done while a round is open, and see it through; the scene and the process."""
    scene = scene or held_up()

    async def main():
        process = await open_round(scene)
        assert process.portfolio.reserved == (0, 0)
        await act(process)
        await until_judged(scene)
        await process.end()
        assert process.portfolio.reserved == (0, 0)
        assert process.activity.quiet
        return process

    process = run(main())
    assert not disagreements(scene.world)
    return scene, process


def test_a_pause_counts_for_who_has_asked_already():
    async def pause(process):
        await process.control.pause([SOL])

    scene, _ = in_open_round(pause)
    assert scene.outcomes() == {SOL: ("denied", "paused"), BTC: APPROVED, XRP: APPROVED}


def test_a_halt_denies_the_whole_round():
    async def halt(process):
        await process.control.halt("enough")

    scene, process = in_open_round(halt)
    assert process.portfolio.trading_state is TradingState.HALTED
    assert set(scene.outcomes().values()) == {("denied", "halted")}
    assert not scene.opened()


def test_a_flatten_takes_back_what_was_asked():
    """What comes after it is asked anew."""

    async def flatten(process):
        await process.control.flatten([SOL])

    scene, _ = in_open_round(flatten)
    assert scene.outcomes() == {SOL: ("denied", "round"), BTC: APPROVED, XRP: APPROVED}


def test_a_restart_takes_back_what_was_asked():
    """The new worker has not asked for it; the record says why it went under."""

    async def restart(process):
        await process.control.restart([SOL])

    scene, _ = in_open_round(restart)
    assert scene.outcomes() == {BTC: APPROVED, XRP: APPROVED}
    place = scene.rounds[0].places[-1]
    assert (place.symbol, place.outcome, place.text) == (SOL, "withdrawn", f"the worker of {SOL} has ended")


def test_candles_that_are_loaded_anew_take_back_what_was_asked():
    """What it was decided on was not final."""

    async def reload(process):
        process.system.workers.inboxes[SOL].put(Reload(SOL))
        await asyncio.sleep(0.2)

    scene, _ = in_open_round(reload)
    assert scene.outcomes() == {SOL: ("denied", "round"), BTC: APPROVED, XRP: APPROVED}


def test_a_stop_denies_what_waits():
    """Nobody's wish is left without an answer, and no room with nobody."""
    scene = held_up()

    async def main():
        process = await open_round(scene)
        await process.end()
        assert process.portfolio.reserved == (0, 0)

    run(main())
    assert scene.outcomes() == dict.fromkeys((BTC, SOL, XRP), ("denied", "stopping"))
    assert {place.outcome for told in scene.rounds for place in told.places} == {"withdrawn"}
    assert not scene.opened()


def test_the_next_close_ends_what_was_asked_before():
    """A strategy that is asked again has only its newest wish, however long the round of the last one is held up."""
    scene = Scene(late={(ETH, 3): 3.0, (ETH, 4): 3.0}, deadline_s=2.5, limits=TWO)  # a minute is a second here
    scene.live()
    assert scene.outcomes()[BTC] == ("denied", "round")
    assert scene.world.ledger.decisions["a", BTC, START_MS + 4 * MINUTE_MS].text == (
        "another candle has closed before its round was judged"
    )
    assert not scene.opened()
    assert disagreements(scene.world) == []


def test_what_happens_between_verdict_and_order_counts():
    """Paused, or decided anew, between the judgement and the worker's turn: nothing opens, and the room is free again."""
    scene = held_up()

    async def meddle_when_judged(process):
        def meddle():
            assert process.portfolio.reserved[0] == 2
            process.portfolio.blocks.pause(SOL)
            instance = process.system.workers.instances.peek(BTC, "a")
            instance.state = replace(instance.state, decided_ms=START_MS + 4 * MINUTE_MS)

        scene.on_round = meddle

    in_open_round(meddle_when_judged, scene)
    assert [place.outcome for place in scene.rounds[0].places] == ["approved", "approved", "denied"]
    assert scene.outcomes() == {SOL: ("denied", "paused"), BTC: ("denied", "round"), XRP: NO_ROOM}
    assert not scene.opened()


def test_what_cannot_be_sized_is_refused_as_ever():
    """And takes nobody's place."""

    def decide(view):
        wanted = wants.decide(view)
        return replace(wanted, stop_loss=view.close * 1.1) if wanted and view.symbol == ETH else wanted

    wants = wanting(dict.fromkeys(ALL, 3), {ETH: 0.9, SOL: 0.5})
    scene = Scene(limits=ONE, strategies={"a": lambda: Scripted(Script(decide))})
    scene.live()
    assert scene.outcomes() == {SOL: APPROVED, BTC: NO_ROOM, XRP: NO_ROOM, ETH: ("refused", "stop_side")}


def test_a_worker_that_was_asked_to_stop_wants_nothing_any_more():
    """A candle that waits behind the request is decided on, and denied."""
    scene = Scene(limits=TWO)
    process = scene.process

    def stopping(minutes):
        made = process(minutes)
        listen = made.system.parts.feed.listen

        def listening(symbol, deliver):
            def delivering(candle):
                if symbol == ETH and index_of(candle) == 3:
                    made.system.workers.ask_to_stop(ETH)
                deliver(candle)

            listen(symbol, delivering)

        made.system.parts.feed.listen = listening
        return made

    scene.process = stopping
    scene.live()
    assert scene.outcomes() == {SOL: APPROVED, BTC: APPROVED, XRP: NO_ROOM, ETH: ("denied", "round")}


def test_who_could_not_be_asked_has_spoken_too():
    """The other symbol that it looks at is late, so it is passed over; nobody waits for it beyond that."""
    follower = Scripted(Script(lambda _: None, others=(ETH,)))
    scene = Scene(
        late={(ETH, 3): 10.0, (ETH, 4): 10.0},
        deadline_s=0.5,
        runs_on={BTC: ("a",), SOL: ("b",)},
        strategies={"a": lambda: wanting({BTC: 3}, {}), "b": lambda: follower},
    )
    scene.live()
    (told,) = scene.rounds
    assert (told.ended, [each.symbol for each in told.places]) == ("all_spoken", [BTC])
    assert scene.outcomes() == {BTC: APPROVED, SOL: ("skipped", "context_missing")}


def test_the_loss_of_a_verdict_that_nobody_takes_is_no_loss_of_room():
    """The worker dies between the judgement and its turn."""
    scene = held_up()

    seen = []

    async def restart_when_judged(process):
        def restart():
            seen.append(process.portfolio.reserved[0])
            process.system.supervisor.restart(ALL)

        scene.on_round = restart

    in_open_round(restart_when_judged, scene)
    assert seen[0] == 2
    assert [place.outcome for place in scene.rounds[0].places] == ["approved", "approved", "denied"]
    assert BTC not in scene.outcomes()
