"""Entries that a model judges, in a running system: with and without rounds, and whatever happens while it thinks."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.denial import TradingState
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS
from livebot.core.signal import Idle
from livebot.model_ports import Judgement
from livebot.runtime.inbox import Answered, Reload
from livebot.runtime.models.confidence import ConfidenceParts
from livebot.runtime.settings import ConfidenceSettings, RoundSettings
from tests.runtime.harness import BTC, ETH, SOL, START_MS, XRP, Script, Scripted, World, disagreements, entry, run
from tests.runtime.test_rounds import Tampered, index_of

ALL = (BTC, ETH, SOL, XRP)
CLOSE_MS = START_MS + 4 * MINUTE_MS
SAYS = {BTC: 0.2, ETH: 0.9, SOL: 0.5, XRP: 0.4}
APPROVED, NO_ROOM = ("approved", "approved"), ("denied", "open_signals")


class Models:
    """Judges strategy `a` as the test says, after `takes_s`; keeps what it was asked."""

    def __init__(self):
        self.takes_s = 0.0
        self.batches = []
        self.answer = lambda question: Judgement(confidence=SAYS[question.symbol], model="a/1")

    def asked_for(self, strategy):
        return strategy == "a"

    def judge(self, questions, now_ms):
        self.batches.append(tuple(questions))
        return tuple(map(self.answer, questions))

    async def aside(self, work):
        await asyncio.sleep(self.takes_s)
        return work()


def wanting(minutes=(3,), symbols=ALL):
    """Wants a trade at those closes, with evidence."""
    closes = {START_MS + (minute + 1) * MINUTE_MS for minute in minutes}

    def decide(view):
        if view.close_ms not in closes or view.symbol not in symbols:
            return None
        return replace(entry(view, stop=0.2, target=0.2), confidence=0.1, evidence=(view.close, 2.0))

    return Scripted(Script(decide))


class Scene:
    """A world with a model; nothing happens before `live` or `begin`."""

    def __init__(self, *, rounds=None, strategies=None, late=None, **changes):
        self.models, self.rounds, self.notes, self.round = Models(), [], [], rounds
        self.late = late or {}
        values = {"strategies": strategies or {"a": wanting}, "symbols": ALL, "speed": 60} | changes
        self.world = World(**values)

    def process(self, minutes=8, *, aside=True, **settings):
        parts = ConfidenceParts(
            confidences=self.models,
            aside=self.models.aside if aside else None,
            settings=ConfidenceSettings(**settings),
            note=lambda kind, fields: self.notes.append((kind, fields)),
        )
        changes = {"confidences": parts, "round": self.round, "tell_round": self.rounds.append}
        process = self.world.process(minutes=minutes, **changes)
        Tampered(process, lambda symbol, candle: (self._when(symbol, candle),))
        return process

    def _when(self, symbol, candle):
        late_s = self.late.get((symbol, index_of(candle)))
        return candle if late_s is None else (late_s, candle)

    def live(self, minutes=8, *, aside=True, **settings):
        async def main():
            process = self.process(minutes, aside=aside, **settings)
            await process.system.run(process.shutdown)
            assert process.activity.quiet
            return process

        return run(main())

    def outcomes(self, minute=3, strategy="a"):
        """(outcome, code) of each symbol at a close."""
        close_ms = START_MS + (minute + 1) * MINUTE_MS
        return {
            each.symbol: (each.outcome, each.code)
            for each in self.world.ledger.decisions.values()
            if each.close_ms == close_ms and each.strategy == strategy
        }

    def decision(self, symbol, minute=3):
        return self.world.ledger.decisions["a", symbol, START_MS + (minute + 1) * MINUTE_MS]

    def opened(self):
        return sorted(symbol for (_, symbol), state in self.world.store.files.items() if state.number)


RANKED = RoundSettings(deadline_s=0.5)


def test_a_signal_has_the_confidence_of_the_model_and_its_name():
    """In the decision, in the state and in what is told; and the strategy's own word counts no more."""
    scene = Scene()
    scene.live()
    assert scene.outcomes() == dict.fromkeys(ALL, APPROVED)
    (batch,) = scene.models.batches
    assert [question.symbol for question in batch] == list(ALL)
    assert {question.close_ms for question in batch} == {CLOSE_MS}
    assert all(len(question.evidence) == 2 and question.evidence[1] == 2.0 for question in batch)
    for symbol, confidence in SAYS.items():
        told = scene.decision(symbol)
        assert (told.confidence, told.model) == (confidence, "a/1")
        signal = scene.world.state("a", symbol).signal.signal
        assert (signal.confidence, signal.model) == (confidence, "a/1")
        assert scene.world.ledger.of("a", symbol)[0].model == "a/1"
    assert not disagreements(scene.world)


def test_what_the_model_refuses_is_refused_with_its_words():
    """The others go on."""
    scene = Scene()

    def answer(question):
        if question.symbol == BTC:
            return Judgement(confidence=0.3, model="a/1", refused=("model_threshold", "0.3 is below 0.4"))
        if question.symbol == ETH:
            return Judgement(refused=("model_uncovered", "not trained on it"))
        return Judgement()

    scene.models.answer = answer
    scene.live()
    assert scene.opened() == [SOL, XRP]
    below, uncovered, passed = scene.decision(BTC), scene.decision(ETH), scene.decision(SOL)
    assert (below.outcome, below.code, below.text) == ("refused", "model_threshold", "0.3 is below 0.4")
    assert (below.confidence, below.model, below.side) == (0.3, "a/1", "long")
    assert (uncovered.outcome, uncovered.code, uncovered.model) == ("refused", "model_uncovered", None)
    assert (passed.outcome, passed.model, passed.confidence) == ("approved", None, 0.1)


def test_the_minimum_of_the_portfolio_counts_for_the_model():
    """It is the model's word that the gate looks at."""
    scene = Scene(limits=Limits(minimum_confidence=Decimal("0.45")))
    scene.live()
    assert scene.opened() == [ETH, SOL]
    assert scene.outcomes()[BTC] == ("denied", "minimum_confidence")


def test_rounds_rank_by_the_models_word_and_wait_for_it():
    """Though it takes longer than the candles do."""
    scene = Scene(rounds=RANKED, limits=Limits(open_signals=2))
    scene.models.takes_s = 0.2
    scene.live()
    assert scene.outcomes() == {ETH: APPROVED, SOL: APPROVED, BTC: NO_ROOM, XRP: NO_ROOM}
    (told,) = scene.rounds
    assert (told.ended, told.silent) == ("all_spoken", 0)
    assert [(each.symbol, each.score) for each in told.places] == [(ETH, 0.9), (SOL, 0.5), (XRP, 0.4), (BTC, 0.2)]


def test_who_is_refused_has_spoken_in_the_round():
    """So that the others do not wait for the deadline."""
    scene = Scene(rounds=RoundSettings(deadline_s=20.0), limits=Limits(open_signals=1))
    scene.models.answer = lambda question: (
        Judgement(refused=("model_stale", "old")) if question.symbol == ETH else Judgement(confidence=0.5)
    )
    scene.live()
    assert [each.ended for each in scene.rounds] == ["all_spoken"]
    assert scene.outcomes()[ETH] == ("refused", "model_stale")
    assert len(scene.opened()) == 1


def test_a_strategy_without_a_model_does_not_wait():
    """It is admitted before the answers of the same close are there."""
    scene = Scene(strategies={"a": wanting, "plain": wanting}, limits=Limits(open_signals=4))
    scene.live()
    assert scene.outcomes(strategy="plain") == dict.fromkeys(ALL, APPROVED)
    assert scene.outcomes() == dict.fromkeys(ALL, NO_ROOM)
    assert {question.strategy for batch in scene.models.batches for question in batch} == {"a"}


def test_no_answer_in_time_is_a_veto():
    scene = Scene()
    scene.models.takes_s = 0.6
    scene.live(deadline_s=0.3)
    assert scene.outcomes() == dict.fromkeys(ALL, ("refused", "model_late"))
    assert not scene.opened()


def test_a_candle_that_is_late_is_asked_about_in_a_batch_of_its_own():
    """Nobody waits for it longer than the window."""
    scene = Scene(late={(ETH, 3): 0.2})
    scene.live()
    assert [[question.symbol for question in batch] for batch in scene.models.batches] == [[BTC, SOL, XRP], [ETH]]
    assert scene.outcomes() == dict.fromkeys(ALL, APPROVED)


# ---------------------------------------------------------------- while the model thinks


def while_it_thinks(act, *, rounds=None, takes_s=2.0):
    """Have `act(process)` done while all questions are out; a minute is one here."""
    scene = Scene(speed=1, rounds=rounds)
    scene.models.takes_s = takes_s

    async def main():
        process = await scene.process(20, deadline_s=None).until_ready()
        desk = process.system.workers.confidences
        while desk.open < len(ALL):
            await asyncio.sleep(0.01)
        await act(process)
        while desk.open:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        if not process.shutdown.stopping.is_set():
            await process.end()
        assert process.portfolio.reserved == (0, 0)
        return process

    process = run(main())
    assert not disagreements(scene.world)
    return scene, process


BOTH = pytest.mark.parametrize("rounds", [None, RoundSettings(deadline_s=5.0)])
GIVEN_UP = ("refused", "model_given_up")


@BOTH
def test_a_pause_counts_for_who_has_asked_already(rounds):
    async def pause(process):
        await process.control.pause([SOL])

    scene, _ = while_it_thinks(pause, rounds=rounds)
    assert scene.outcomes() == {**dict.fromkeys(ALL, APPROVED), SOL: ("denied", "paused")}


@BOTH
def test_a_halt_gives_up_all_that_was_asked(rounds):
    async def halt(process):
        await process.control.halt("enough")

    scene, process = while_it_thinks(halt, rounds=rounds)
    assert process.portfolio.trading_state is TradingState.HALTED
    assert scene.outcomes() == dict.fromkeys(ALL, ("denied", "halted"))


@BOTH
def test_a_flatten_gives_up_what_was_asked(rounds):
    async def flatten(process):
        await process.control.flatten([SOL])

    scene, _ = while_it_thinks(flatten, rounds=rounds)
    assert scene.outcomes() == {**dict.fromkeys(ALL, APPROVED), SOL: GIVEN_UP}
    assert scene.decision(SOL).text == f"what is open at {SOL} is being closed or taken back, so nothing opens there"
    assert [each.ended for each in scene.rounds] == ([] if rounds is None else ["all_spoken"])


@BOTH
def test_a_restart_gives_up_what_was_asked(rounds):
    async def restart(process):
        await process.control.restart([SOL])

    scene, _ = while_it_thinks(restart, rounds=rounds)
    assert scene.outcomes() == {**dict.fromkeys(ALL, APPROVED), SOL: GIVEN_UP}
    assert scene.decision(SOL).text == f"the worker of {SOL} has ended"
    assert [each.ended for each in scene.rounds] == ([] if rounds is None else ["all_spoken"])


@BOTH
def test_candles_that_are_loaded_anew_give_up_what_was_asked(rounds):
    async def reload(process):
        process.system.workers.inboxes[SOL].put(Reload(SOL))
        await asyncio.sleep(0.2)

    scene, _ = while_it_thinks(reload, rounds=rounds)
    assert scene.outcomes() == {**dict.fromkeys(ALL, APPROVED), SOL: GIVEN_UP}
    assert scene.decision(SOL).text == f"the candles of {SOL} are loaded anew"


@BOTH
def test_a_stop_gives_up_what_was_asked(rounds):
    async def end(process):
        await process.end()

    scene, process = while_it_thinks(end, rounds=rounds)
    assert scene.outcomes() == dict.fromkeys(ALL, ("denied", "stopping"))
    assert process.activity.quiet


@BOTH
def test_a_strategy_that_has_gone_on_gets_no_second_signal(rounds):
    """An operator's position was adopted, or the symbol decided again, while the model thought."""

    async def go_on(process):
        instance = process.system.workers.instances.peek(BTC, "a")
        instance.state = replace(instance.state, decided_ms=CLOSE_MS)

    scene, _ = while_it_thinks(go_on, rounds=rounds)
    assert scene.outcomes() == {**dict.fromkeys(ALL, APPROVED), BTC: GIVEN_UP}
    assert scene.decision(BTC).text == f"a has gone on at {BTC} before the model answered"


@BOTH
def test_what_a_strategy_wanted_that_a_reload_replaces_opens_nothing(rounds):
    """Its answer, or its verdict, may come after another instance was told to take its place."""

    async def replaced(process):
        process.system.workers.instances.peek(BTC, "a").retire()

    scene, _ = while_it_thinks(replaced, rounds=rounds)
    assert scene.outcomes() == {**dict.fromkeys(ALL, APPROVED), BTC: GIVEN_UP}
    assert BTC not in scene.opened()


@BOTH
def test_the_next_close_gives_up_what_was_asked_before(rounds):
    """A strategy has only its newest question, however long the model takes."""
    scene = Scene(strategies={"a": lambda: wanting((3, 4))}, rounds=rounds)  # a minute is a second here
    scene.models.takes_s = 1.5
    scene.live(deadline_s=None)
    assert scene.outcomes(3) == dict.fromkeys(ALL, GIVEN_UP)
    assert scene.decision(BTC, 3).text == "another candle has closed before the model answered"
    assert not disagreements(scene.world)


def test_a_worker_that_was_asked_to_stop_asks_nothing_any_more():
    """A candle that waits behind the request is decided on, and given up."""
    scene = Scene()

    async def main():
        process = scene.process()
        listen = process.system.parts.feed.listen

        def listening(symbol, deliver):
            def delivering(candle):
                if symbol == ETH and index_of(candle) == 3:
                    process.system.workers.ask_to_stop(ETH)
                deliver(candle)

            listen(symbol, delivering)

        process.system.parts.feed.listen = listening
        await process.system.run(process.shutdown)

    run(main())
    assert scene.outcomes() == {**dict.fromkeys(ALL, APPROVED), ETH: GIVEN_UP}
    assert [question.symbol for batch in scene.models.batches for question in batch] == [BTC, SOL, XRP]
    assert scene.decision(ETH).text == f"{ETH} is not run any more"


def test_an_answer_of_an_earlier_run_means_nothing():
    """Nor one to a worker that asks no strategy anything."""
    scene = Scene()

    async def main():
        process = await scene.process().until_ready()
        inbox = process.system.workers.inboxes[BTC]
        inbox.put(Answered("a"))
        inbox.put(Answered("nobody"))
        await asyncio.sleep(0.1)
        await process.task

    run(main())
    assert scene.outcomes() == dict.fromkeys(ALL, APPROVED)


# ---------------------------------------------------------------- a market that waits


@BOTH
@pytest.mark.parametrize("takes_s", [0.0, 3.0])
def test_in_lockstep_time_stands_still_while_the_model_thinks(rounds, takes_s):
    """However long it takes, the same facts, each at the close at which it was decided."""
    at = tuple(range(3, 40, 4))

    def world(takes, *, aside=True):
        scene = Scene(speed=0, rounds=rounds, limits=Limits(open_signals=2), strategies={"a": lambda: wanting(at)})
        scene.models.takes_s = takes
        scene.models.answer = lambda question: Judgement(
            confidence=(hash((question.close_ms, question.evidence)) % 1000) / 1000, model="a/1"
        )
        scene.live(60, aside=aside, deadline_s=None)
        return scene

    quick, slow, here = world(0.0), world(takes_s), world(0.0, aside=False)
    assert quick.world.ledger.facts == here.world.ledger.facts
    assert quick.world.ledger.decisions == here.world.ledger.decisions
    assert quick.world.ledger.facts == slow.world.ledger.facts
    assert quick.world.ledger.decisions == slow.world.ledger.decisions
    assert len(quick.opened()) == 2
    assert all(len(batch) > 1 for batch in quick.models.batches)
    assert not any(each.code == "model_given_up" for each in slow.world.ledger.decisions.values())
    assert any(not isinstance(state.signal, Idle) for state in slow.world.store.files.values())
