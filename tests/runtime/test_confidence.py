"""The desk at which models are asked, by itself: batches, deadlines, failures, and that nothing waits for ever."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import wraps

import pytest
import uvloop

from livebot.core.market import MINUTE_MS, Side
from livebot.model_ports import Judgement, Question
from livebot.runtime.inbox import Activity
from livebot.runtime.models.confidence import SOURCE, ConfidenceDesk, ConfidenceParts
from livebot.runtime.models.confidence_tally import OUTCOMES_MAX, ConfidenceTally
from livebot.runtime.models.shadow_desk import SOURCE as SHADOWS
from livebot.runtime.models.shadow_desk import ShadowParts
from livebot.runtime.problems import Problems
from livebot.runtime.settings import ConfidenceSettings, OnDeadline
from tests.runtime.harness import run
from tests.virtual_loop import REAL_WAIT_S

COALESCE_S, DEADLINE_S = 0.02, 0.25
SURE = Judgement(confidence=0.7, model="trend/1")


class Models:
    """Answers what the test says, after `takes_s`; keeps what it was asked."""

    def __init__(self, answer=lambda _: SURE):
        self.answer = answer
        self.takes_s = 0.0
        self.batches = []
        self.lane = []  # what is being done on the thread

    def asked_for(self, strategy):
        return strategy == "trend"

    def judge(self, questions, now_ms):
        self.batches.append([question.symbol for question in questions])
        self.now_ms = now_ms
        return tuple(self.answer(question) for question in questions)

    async def aside(self, work):
        lane = self.lane
        lane.append(work)
        assert len(lane) == 1
        await asyncio.sleep(self.takes_s)
        lane.clear()
        return work()


class Beside:
    """Versions in shadow, as `Models`."""

    def __init__(self, answer=lambda _: (("trend/2", 0.4),)):
        self.answer = answer
        self.takes_s = 0.0
        self.batches = []

    def shadowed(self, strategy):
        return strategy == "trend"

    def shadows(self, questions):
        self.batches.append([question.symbol for question in questions])
        return tuple(self.answer(question) for question in questions)

    async def aside(self, work):
        await asyncio.sleep(self.takes_s)
        return work()


class Clock:
    def now_ms(self):
        return 77


class Scene:
    """A desk before models; answers come in `told` with the time they came at."""

    def __init__(self, models=None, *, aside=True, shadows=None, **settings):
        self.models, self.given_up = models or Models(), []
        self.activity, self.problems, self.notes, self.told = Activity(), Problems(), [], []
        parts = ConfidenceParts(
            confidences=self.models,
            aside=self.models.aside if aside else None,
            settings=ConfidenceSettings(**({"coalesce_s": COALESCE_S, "deadline_s": DEADLINE_S} | settings)),
            note=lambda kind, fields: self.notes.append((kind, fields)),
            give_up=lambda: self.give_up("trend/1"),
            shadows=None
            if shadows is None
            else ShadowParts(
                shadows=shadows, aside=shadows.aside if aside else None, give_up=lambda: self.give_up("trend/2")
            ),
        )
        self.desk = ConfidenceDesk(parts, Clock(), self.activity, self.problems.report)

    def give_up(self, name):
        loop = asyncio.get_running_loop()
        self.given_up.append((name, round(loop.time(), 4)))
        self.models.lane = []  # another thread
        return f"model {name} has not come back"

    def ask(self, symbol, minute=1, *, speaks=True):
        close_ms = minute * MINUTE_MS
        question = Question(strategy="trend", symbol=symbol, side=Side.LONG, close_ms=close_ms, evidence=(1.0,))
        made = []

        def deliver():
            loop = asyncio.get_running_loop()
            self.told.append((symbol, made[0].judgement, round(loop.time(), 4)))

        made.append(self.desk.ask(question, deliver))
        if speaks:
            self.desk.spoke(("trend", symbol), close_ms)
        return made[0]

    def expect(self, *symbols, minutes=1):
        for symbol in symbols:
            self.desk.expect(("trend", symbol), minutes * MINUTE_MS)

    @property
    def answers(self):
        return {symbol: judgement for symbol, judgement, _ in self.told}


def in_virtual_time(test):
    @wraps(test)
    def inside():
        run(test())

    return inside


@in_virtual_time
async def test_what_comes_within_the_window_goes_in_one_batch_in_the_order_of_asking():
    """And the answers come back in that order."""
    scene = Scene()
    scene.expect("A", "B", "C", "D")
    scene.ask("B")
    await asyncio.sleep(COALESCE_S / 2)
    scene.ask("A")
    assert not scene.models.batches
    await asyncio.sleep(COALESCE_S)
    assert scene.models.batches == [["B", "A"]]
    assert scene.told == [("B", SURE, COALESCE_S), ("A", SURE, COALESCE_S)]
    assert scene.models.now_ms == 77


@in_virtual_time
async def test_nobody_is_waited_for_once_all_have_spoken():
    """With a question or without; who decides at other closes is not waited for."""
    scene = Scene()
    scene.expect("A", "B", "C")
    scene.expect("SLOW", minutes=5)
    scene.desk.spoke(("trend", "C"), MINUTE_MS)
    scene.ask("A")
    assert not scene.models.batches
    scene.desk.spoke(("trend", "B"), MINUTE_MS)
    await asyncio.sleep(0.001)
    assert scene.models.batches == [["A"]]
    assert scene.told == [("A", SURE, 0.0)]


@in_virtual_time
async def test_who_is_gone_is_not_waited_for():
    """Its candles are loaded anew."""
    scene = Scene()
    scene.expect("A", "B")
    scene.ask("A")
    scene.desk.forget(("trend", "B"))
    await asyncio.sleep(0.001)
    assert scene.models.batches == [["A"]]


@in_virtual_time
async def test_one_batch_at_a_time_and_what_comes_meanwhile_goes_together():
    """However many closes it takes."""
    scene = Scene(deadline_s=None)
    scene.models.takes_s = 1.0
    scene.expect("A", "B", "C", "D")
    scene.ask("A")
    await asyncio.sleep(0.1)
    scene.ask("B")
    await asyncio.sleep(0.1)
    scene.ask("C", minute=2)
    await asyncio.sleep(3)
    assert scene.models.batches == [["A"], ["B", "C"]]
    assert [(symbol, at) for symbol, _, at in scene.told] == [("A", 1.02), ("B", 2.02), ("C", 2.02)]


@in_virtual_time
async def test_who_is_not_answered_in_time_is_refused_each_by_its_own_clock():
    """And the answer that comes later changes nothing."""
    scene = Scene()
    scene.models.takes_s = 1.0
    scene.expect("A", "B", "C")
    scene.ask("A")
    await asyncio.sleep(0.1)
    scene.ask("B")
    await asyncio.sleep(5)
    late = Judgement(refused=("model_late", "the model did not answer within 0.25 s of the decision"))
    assert scene.told == [("A", late, 0.25), ("B", late, 0.35)]
    assert scene.activity.quiet
    assert scene.models.batches == [["A"]]  # nobody wanted to know of B any more
    assert scene.desk.tally.late == 2


STALL_S = 0.3


def stalling(pool, put):
    """Has work done on the pool, while the loop stands still until the outcome is handed over and STALL_S longer.

    `put` is given what stands still: to be called at once, or by the loop.
    """

    def aside(work):
        done, handed_over = pool.submit(work), threading.Event()
        future = asyncio.wrap_future(done)
        done.add_done_callback(lambda _: handed_over.set())  # after the one by which the loop is told

        def stall():
            assert handed_over.wait(REAL_WAIT_S)
            time.sleep(STALL_S)

        put(stall)
        return future

    return aside


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_an_answer_that_is_there_is_taken_after_a_stall_of_the_loop(new_loop):
    """With uvloop timers ring before what other threads have done long since is handed over."""

    async def main():
        models = Models()
        with ThreadPoolExecutor(1) as pool:
            models.aside = stalling(pool, lambda stall: stall())
            scene = Scene(models, coalesce_s=0.0, deadline_s=STALL_S / 3)
            scene.ask("A")
            async with asyncio.timeout(REAL_WAIT_S):
                while not scene.told:
                    await asyncio.sleep(0.001)
        assert scene.answers == {"A": SURE}
        assert scene.desk.tally.late == 0

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_nobody_is_given_up_for_a_stall_of_the_loop(new_loop):
    """What the models and those in shadow have said by then is taken: neither hangs, and none is replaced."""

    async def main():
        loop, models, beside = asyncio.get_running_loop(), Models(), Beside()
        with ThreadPoolExecutor(1) as pool, ThreadPoolExecutor(1) as other:
            models.aside = stalling(pool, loop.call_soon)  # when it is waited for
            beside.aside = stalling(other, loop.call_soon)
            scene = Scene(models, shadows=beside, coalesce_s=0.0, deadline_s=REAL_WAIT_S, hang_s=STALL_S / 3)
            scene.ask("A")
            async with asyncio.timeout(REAL_WAIT_S):
                while not scene.notes and not scene.given_up:
                    await asyncio.sleep(0.001)
        assert (scene.answers, scene.given_up) == ({"A": SURE}, [])
        assert len(scene.notes) == 1

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())


@in_virtual_time
async def test_models_that_do_not_answer_are_a_problem_until_they_do():
    scene = Scene(on_deadline=OnDeadline.PASS)
    scene.models.takes_s = 1.0
    scene.ask("A")
    await asyncio.sleep(0.5)
    told = scene.problems.of(SOURCE)
    assert "within 0.25 s of the decision (model.serving.deadline_ms): trend at A passed without a confidence" in told
    await asyncio.sleep(1)
    assert scene.problems.of(SOURCE) == told  # it has come back, and too late: the next close would be no better
    scene.models.takes_s = 0.0
    scene.ask("A", 2)
    await asyncio.sleep(1)
    assert not scene.problems.sentences()


@in_virtual_time
async def test_the_deadline_may_let_entries_pass():
    """Without a confidence, and without a model that would be to blame."""
    scene = Scene(on_deadline=OnDeadline.PASS)
    scene.models.takes_s = 1.0
    scene.ask("A")
    await asyncio.sleep(5)
    assert scene.answers == {"A": Judgement()}


@in_virtual_time
async def test_without_a_deadline_it_takes_what_it_takes():
    """A market whose time stands still has nothing to lose."""
    scene = Scene(deadline_s=None)
    scene.models.takes_s = 100.0
    scene.ask("A")
    await asyncio.sleep(200)
    assert scene.answers == {"A": SURE}


@in_virtual_time
async def test_the_market_waits_as_long_as_a_question_is_open():
    """Until it is answered, or withdrawn."""
    scene = Scene()
    scene.ask("A")
    asked = scene.ask("B")
    assert not scene.activity.quiet
    assert scene.desk.withdraw(asked)
    assert not scene.desk.withdraw(asked)
    assert not scene.activity.quiet
    await asyncio.sleep(0.1)
    assert scene.activity.quiet
    assert list(scene.answers) == ["A"]
    assert not scene.desk.open
    assert not scene.desk.withdraw(asked)


@in_virtual_time
async def test_an_answer_to_a_question_that_was_withdrawn_reaches_nobody_not_even_who_asks_anew():
    """The second question of the same strategy gets its own answer."""
    scene = Scene(Models(lambda question: Judgement(confidence=question.close_ms / MINUTE_MS / 10)))
    scene.models.takes_s = 0.1
    first = scene.ask("A", minute=1)
    await asyncio.sleep(0.05)
    scene.desk.withdraw(first)
    scene.ask("A", minute=2)
    await asyncio.sleep(5)
    assert [(symbol, judgement.confidence) for symbol, judgement, _ in scene.told] == [("A", 0.2)]


@in_virtual_time
async def test_a_model_that_fails_refuses_and_is_asked_again():
    """The operator is told once, and that it has passed."""

    def answer(question):
        if question.close_ms < 3 * MINUTE_MS:
            raise ArithmeticError("no such thing")
        return SURE

    scene = Scene(Models(answer))
    for minute in (1, 2, 3):
        scene.ask("A", minute=minute)
        await asyncio.sleep(1)
        if minute < 3:
            code, text = scene.told[-1][1].refused
            assert code == "model_failed"
            assert "ArithmeticError: no such thing" in text
            assert "ArithmeticError: no such thing" in scene.problems.of(SOURCE)
    assert scene.told[-1][1] == SURE
    assert scene.problems.of(SOURCE) is None
    assert scene.activity.quiet


@in_virtual_time
async def test_a_model_that_answers_something_else_has_failed():
    """Too few answers, or no probability: neither may pass for an answer."""
    scene = Scene()
    scene.models.judge = lambda *_: ()
    scene.ask("A")
    await asyncio.sleep(1)
    assert scene.answers["A"].refused == (
        "model_failed",
        "the model failed (ValueError: 0 answers to 1 questions) and is asked again next time",
    )
    for number in (float("nan"), 1.5, -0.1):
        other = Scene(Models(lambda _, said=number: Judgement(confidence=said, model="trend/1")))
        other.ask("A")
        await asyncio.sleep(1)
        judgement = other.answers["A"]
        assert (judgement.confidence, judgement.model) == (None, "trend/1")
        assert judgement.refused == ("model_failed", f"the model answered {number}, which is no probability")


@in_virtual_time
async def test_what_others_would_have_said_is_noted_in_one_line_a_batch():
    """Where there are others."""
    scene = Scene(shadows=Beside(lambda question: () if question.symbol == "B" else (("trend/2", 0.4),)))
    scene.expect(*"ABC")
    for symbol in "ABC":
        scene.ask(symbol)
    await asyncio.sleep(1)
    row = {"close_ms": MINUTE_MS, "strategy": "trend", "model": "trend/1", "confidence": 0.7}
    rows = [{**row, "symbol": symbol, "shadows": {"trend/2": 0.4}} for symbol in "AC"]
    assert scene.notes == [("shadows", {"rows": rows})]
    assert scene.desk.tally.differences.cumulative[-1] == 2
    scene.ask("B", minute=2)
    await asyncio.sleep(1)
    assert len(scene.notes) == 1


@in_virtual_time
async def test_what_was_asked_is_counted():
    """By outcome; a code beyond the bound counts as another."""
    answers = iter([SURE, Judgement(), Judgement(refused=("model_stale", "old"))])
    scene = Scene(Models(lambda _: next(answers)))
    scene.expect(*"ABC")
    for symbol in "ABC":
        scene.ask(symbol)
    await asyncio.sleep(1)
    tally = scene.desk.tally
    assert tally.outcomes == {"judged": 1, "passed": 1, "model_stale": 1}
    assert (tally.sizes.cumulative[-1], tally.sizes.total, tally.waits.cumulative[-1]) == (1, 3, 3)
    bounded = ConfidenceTally()
    for number in range(100):
        bounded.answered(Judgement(refused=(f"code_{number}", "")), 0.0)
    assert len(bounded.outcomes) == OUTCOMES_MAX + 1
    assert bounded.outcomes["other"] == 100 - OUTCOMES_MAX


@in_virtual_time
async def test_a_stuck_model_holds_no_more_than_one_question_of_each():
    """Nobody's memory grows with the closes that pass."""
    scene = Scene()
    scene.models.takes_s = 1_000.0
    for minute in range(1, 50):
        asked = [scene.ask(symbol, minute=minute) for symbol in "AB"]
        await asyncio.sleep(0.2)
        for each in asked:
            scene.desk.withdraw(each)
        assert scene.desk.open == 0
        assert scene.activity.quiet
    assert scene.models.batches == []
    await asyncio.sleep(1_000)
    assert len(scene.models.batches) == 1


@in_virtual_time
async def test_on_the_loop_itself_the_answers_come_when_all_have_had_their_turn():
    """In a market that waits for us; a failure is the same there."""
    scene = Scene(aside=False, deadline_s=None)
    scene.expect("A", "B")
    scene.ask("A")
    scene.ask("B")
    assert not scene.told  # who asked last has not gone on yet
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert scene.told == [("A", SURE, 0.0), ("B", SURE, 0.0)]
    assert scene.activity.quiet

    def fails(_):
        raise ArithmeticError("no")

    scene.models.answer = fails
    scene.ask("A", minute=2)
    await asyncio.sleep(1)
    assert scene.answers["A"].refused[0] == "model_failed"
    assert scene.problems.of(SOURCE)


@in_virtual_time
async def test_on_the_loop_itself_models_are_asked_when_all_else_has_been_told():
    """What another symbol saves and tells at the same close comes first, in every run."""
    scene = Scene(aside=False, deadline_s=None)
    scene.expect("A")
    scene.activity.begin()
    scene.ask("A")
    await asyncio.sleep(5)
    assert not scene.models.batches
    scene.activity.end()
    await asyncio.sleep(0)
    assert scene.answers == {"A": SURE}
    assert scene.activity.quiet


# ---------------------------------------------------------------- deadlines


@in_virtual_time
async def test_the_deadline_counts_from_the_decision_whatever_was_waited_for():
    """The others, a batch that is out, the model: none of it makes an entry wait longer."""
    scene = Scene(coalesce_s=0.1, deadline_s=0.3)
    scene.models.takes_s = 0.15
    scene.expect("A", "B", "C")
    scene.ask("A")  # goes at 0.1, is back at 0.25
    await asyncio.sleep(0.12)
    scene.ask("B")  # goes at 0.25, would be back at 0.4
    await asyncio.sleep(0.02)
    scene.models.takes_s = 0.2
    await asyncio.sleep(5)
    assert [(symbol, judgement.confidence, at) for symbol, judgement, at in scene.told] == [
        ("A", 0.7, 0.25),
        ("B", None, 0.42),
    ]
    assert scene.answers["B"].refused[0] == "model_late"


# ---------------------------------------------------------------- models that hang


@in_virtual_time
async def test_a_model_that_does_not_come_back_is_given_up_and_the_next_batch_goes_out():
    """It is asked nothing meanwhile, however many closes pass; then the others are asked elsewhere."""
    scene = Scene(hang_s=10.0)
    scene.models.takes_s = 1e9
    for minute in range(1, 10):
        scene.ask("A", minute=minute)
        await asyncio.sleep(1)
    assert scene.answers["A"].refused[0] == "model_late"
    assert (scene.models.batches, scene.given_up) == ([], [])
    scene.models.takes_s = 0.0
    await asyncio.sleep(0.9)
    scene.ask("B", minute=10)
    await asyncio.sleep(1)
    assert scene.given_up == [("trend/1", 10.0)]
    assert scene.models.batches == [["B"]]
    assert scene.answers["B"] == SURE
    assert scene.activity.quiet


@in_virtual_time
async def test_who_still_waits_when_a_model_is_given_up_is_refused_and_told_why():
    scene = Scene(hang_s=0.1)
    scene.models.takes_s = 1e9
    scene.ask("A")
    await asyncio.sleep(0.15)
    assert scene.answers["A"].refused == ("model_failed", "model trend/1 has not come back")


@in_virtual_time
async def test_what_comes_back_after_it_was_given_up_changes_nothing():
    """Neither an answer nor an error of it; what is out then is not taken for back."""
    scene = Scene(hang_s=1.0, deadline_s=0.25)
    scene.models.takes_s = 2.0
    scene.models.answer = lambda question: 1 / 0 if question.symbol == "A" else SURE
    scene.ask("A")
    await asyncio.sleep(1.9)
    scene.models.takes_s = 0.2
    scene.ask("B", minute=2)  # is out when A comes back
    await asyncio.sleep(0.15)
    assert scene.problems.of(SOURCE) is not None  # A was late
    assert "ZeroDivisionError" not in scene.problems.of(SOURCE)
    scene.models.takes_s = 0.1
    scene.ask("C", minute=2)  # waits for B
    await asyncio.sleep(3)
    assert [(symbol, judgement.confidence, at) for symbol, judgement, at in scene.told] == [
        ("A", None, 0.25),
        ("B", 0.7, 2.1),
        ("C", 0.7, 2.2),
    ]
    assert scene.problems.of(SOURCE) is None


# ---------------------------------------------------------------- shadows


@in_virtual_time
async def test_a_slow_shadow_holds_up_nobody():
    """The answers are out at once, and so are those of the closes after it; it has its say when it is done."""
    beside = Beside()
    beside.takes_s = 5.0
    scene = Scene(shadows=beside)
    for minute in (1, 2, 3):
        scene.ask("A", minute=minute)
        await asyncio.sleep(1)
    assert [at for _, _, at in scene.told] == [0.0, 1.0, 2.0]
    assert scene.activity.quiet
    assert scene.notes == []
    await asyncio.sleep(20)
    assert [row["close_ms"] for _, fields in scene.notes for row in fields["rows"]] == [
        minute * MINUTE_MS for minute in (1, 2, 3)
    ]


@in_virtual_time
async def test_shadows_that_are_behind_are_not_asked_and_counted():
    """Told as long as it lasts."""
    beside = Beside()
    beside.takes_s = 100.0
    scene = Scene(shadows=beside, shadow_batches=2, hang_s=1_000.0)
    scene.expect("A", "B")
    for minute in range(1, 7):
        scene.ask("A", minute=minute)
        scene.ask("B", minute=minute)
        await asyncio.sleep(1)
        assert (scene.problems.of(SHADOWS) is None) == (minute <= 3)
    assert scene.desk.tally.unshadowed == 2 * 3
    await asyncio.sleep(1_000)
    assert beside.batches == [["A", "B"]] * 3
    assert scene.problems.of(SHADOWS) is None
    assert scene.answers == {"A": SURE, "B": SURE}


@in_virtual_time
async def test_a_shadow_that_fails_or_hangs_is_told_and_asked_again():
    """What decides never notices."""
    beside = Beside(lambda question: 1 / 0)
    scene = Scene(shadows=beside, hang_s=10.0)
    scene.ask("A")
    await asyncio.sleep(1)
    assert "ZeroDivisionError" in scene.problems.of(SHADOWS)
    beside.answer, beside.takes_s = (lambda _: (("trend/2", 0.4),)), 1e9
    scene.ask("A", minute=2)
    await asyncio.sleep(1)
    beside.takes_s = 0.0
    scene.ask("A", minute=3)
    await asyncio.sleep(30)
    assert scene.given_up == [("trend/2", 11.0)]
    assert [row["close_ms"] for _, fields in scene.notes for row in fields["rows"]] == [3 * MINUTE_MS]
    assert scene.problems.of(SHADOWS) is None
    assert [judgement for _, judgement, _ in scene.told] == [SURE] * 3


@in_virtual_time
async def test_what_nobody_shadows_is_asked_of_nobody():
    beside = Beside()
    beside.shadowed = lambda strategy: False
    scene = Scene(shadows=beside)
    scene.ask("A")
    await asyncio.sleep(1)
    assert (scene.answers, beside.batches) == ({"A": SURE}, [])


@in_virtual_time
async def test_on_the_loop_itself_shadows_come_after_the_answers():
    """A failure is the same there."""
    beside = Beside()
    scene = Scene(aside=False, shadows=beside, deadline_s=None)
    said = []
    beside.answer = lambda question: said.append(dict(scene.answers)) or (("trend/2", 0.4),)
    scene.ask("A")
    await asyncio.sleep(1)
    assert said == [{"A": SURE}]
    assert len(scene.notes) == 1
    beside.answer = lambda question: 1 / 0
    scene.ask("A", minute=2)
    await asyncio.sleep(1)
    assert "ZeroDivisionError" in scene.problems.of(SHADOWS)
    assert len(scene.told) == 2
