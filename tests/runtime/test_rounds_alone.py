"""Rounds by themselves: who is waited for and for how long, and that every reservation has an owner."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from functools import wraps

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livebot.core.denial import DenialCode, Denied
from livebot.core.limits import Limits
from livebot.core.market import MINUTE_MS
from livebot.core.risk import Approved
from livebot.runtime.inbox import Activity
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.portfolio.rounds import OPEN_ROUNDS, Rounds
from livebot.runtime.settings import RoundSettings
from tests.core.test_ranking import wish
from tests.runtime.harness import run

DEADLINE_S = 0.4
TWO = Limits(open_signals=2)
NEVER_MIND = Denied(DenialCode.ROUND, "never mind")


class Desk:
    """Rounds over a portfolio that has money and `limits`; who asks gets what comes in `judged`."""

    def __init__(self, limits=TWO, **settings):
        self.portfolio = Portfolio(limits, loss_limit=None, win_rate=None, report=lambda *_: None)
        self.portfolio.set_wallet(Decimal(10_000))
        self.activity = Activity()
        self.told = []
        self.judged = []
        settings = RoundSettings(**({"deadline_s": DEADLINE_S} | settings))
        self.rounds = Rounds(settings, self.portfolio, Clock(), self.activity, self.told.append)

    def expect(self, *names, minutes=1):
        for name in names:
            self.rounds.expect(("trend", name), minutes * MINUTE_MS)

    def ask(self, name, minute=1, confidence=None):
        asked = wish(symbol=name, confidence=confidence)
        asked = replace(asked, now=replace(asked.now, ts_ms=minute * MINUTE_MS))
        made = self.rounds.ask(asked, lambda: self.judged.append(name))
        self.rounds.spoke(("trend", name), minute * MINUTE_MS)
        return made

    def spoke(self, *names, minute=1):
        for name in names:
            self.rounds.spoke(("trend", name), minute * MINUTE_MS)

    @property
    def reserved(self):
        return self.portfolio.reserved[0]


class Clock:
    def now_ms(self):
        return MINUTE_MS


async def turns(count=3):
    for _ in range(count):
        await asyncio.sleep(0)


def at_desk(test):
    """The test, in virtual time."""

    @wraps(test)
    def inside():
        run(test())

    return inside


@at_desk
async def test_a_round_is_judged_when_all_have_spoken_and_not_before():
    """Whoever speaks last, with a wish or without."""
    desk = Desk()
    desk.expect("A", "B", "C")
    desk.ask("B", confidence=0.1)
    desk.ask("A", confidence=0.2)
    await turns()
    assert not desk.judged
    assert not desk.activity.quiet
    desk.spoke("C")
    assert not desk.judged  # those who were woken together with the last one have their turn first
    await turns()
    assert desk.judged == ["A", "B"]
    assert desk.activity.quiet
    assert [each.ended for each in desk.told] == ["all_spoken"]


@at_desk
async def test_a_round_in_which_nobody_wants_anything_is_not_told():
    """And keeps nobody waiting."""
    desk = Desk()
    desk.expect("A", "B")
    for minute in range(1, 41):
        desk.spoke("A", minute=minute)
        if minute % 2:
            desk.spoke("B", minute=minute)
    assert desk.activity.quiet
    assert not desk.told
    assert desk.rounds.open == 1  # the last one, in which somebody may speak still


@at_desk
async def test_the_deadline_counts_from_the_first_wish():
    """Not from the first who spoke."""
    desk, loop = Desk(), asyncio.get_running_loop()
    desk.expect("A", "B", "C")
    desk.spoke("A")
    await asyncio.sleep(3.0)
    began = loop.time()
    desk.ask("B")
    while not desk.judged:
        await asyncio.sleep(0.001)
    assert loop.time() - began == pytest.approx(DEADLINE_S, abs=0.01)
    assert (desk.told[0].ended, desk.told[0].awaited) == ("deadline", ("trend/C",))


@at_desk
async def test_who_is_forgotten_is_not_waited_for():
    """Its worker has ended, or it loads its candles."""
    desk = Desk()
    desk.expect("A", "B")
    desk.ask("A")
    desk.rounds.forget(("trend", "B"))
    await turns()
    assert desk.judged == ["A"]


@at_desk
async def test_who_speaks_of_a_later_close_is_done_with_the_earlier_ones():
    """Candles may be missing: nobody decides about the past."""
    desk = Desk(deadline_s=100.0)
    desk.expect("A", "B")
    desk.ask("A")
    desk.spoke("B", minute=2)
    await turns()
    assert desk.judged == ["A"]


@at_desk
async def test_a_verdict_can_be_taken_once():
    """Then the room is the taker's."""
    desk = Desk()
    desk.expect("A")
    asked = desk.ask("A")
    assert desk.rounds.take(asked) is None  # not judged yet
    await turns()
    assert desk.reserved == 1
    assert isinstance(desk.rounds.take(asked), Approved)
    assert desk.rounds.take(asked) is None
    assert not desk.rounds.withdraw(asked, NEVER_MIND)
    assert desk.reserved == 1


@at_desk
async def test_what_is_withdrawn_gives_its_room_back_at_once():
    """Before it was judged and after; whoever delivers a verdict too late delivers nothing."""
    desk = Desk()
    desk.expect("A", "B", "C")
    early, late = desk.ask("A", confidence=0.9), desk.ask("B", confidence=0.5)
    assert desk.rounds.withdraw(early, NEVER_MIND)
    desk.ask("C", confidence=0.1)
    await turns()
    assert desk.judged == ["B", "C"]
    assert desk.reserved == 2
    assert desk.rounds.withdraw(late, NEVER_MIND)
    assert desk.reserved == 1
    assert desk.rounds.take(late) is None
    assert not desk.rounds.withdraw(late, NEVER_MIND)
    places = [(each.symbol, each.outcome, each.text) for each in desk.told[0].places]
    assert places == [("B", "approved", ""), ("C", "approved", ""), ("A", "withdrawn", "never mind")]


@at_desk
async def test_more_closes_than_may_be_open_end_the_oldest():
    """Somebody lags far behind, and everybody else wants something at each close."""
    desk = Desk(limits=Limits(), deadline_s=100.0)
    names = [f"S{number}" for number in range(OPEN_ROUNDS + 2)]
    desk.expect("slow", *names)
    for minute, name in enumerate(names, 1):
        desk.ask(name, minute=minute)
        assert desk.rounds.open <= OPEN_ROUNDS
    assert desk.judged == names[:2]
    assert {each.ended for each in desk.told} == {"deadline"}


@at_desk
async def test_a_round_is_judged_once():
    """Its time is over in the very turn in which the last one has spoken."""
    desk = Desk(limits=Limits(), deadline_s=100.0)
    names = [f"S{number}" for number in range(OPEN_ROUNDS)]
    desk.expect("slow", *names)
    for minute, name in enumerate(names, 1):
        desk.ask(name, minute=minute)
    desk.spoke("slow", *names)  # the first close is complete, and will be judged in a moment
    desk.ask("slow", minute=OPEN_ROUNDS + 1)  # but one too many is open before that
    assert desk.judged == names[:1]
    await turns()
    assert desk.judged == names[:1]
    assert len(desk.told) == 1


@at_desk
async def test_a_listener_that_raises_hurts_nobody():
    """The verdicts are there."""
    desk = Desk()
    desk.rounds._tell = lambda _: 1 / 0
    desk.expect("A")
    desk.ask("A")
    await turns()
    assert desk.judged == ["A"]
    assert desk.activity.quiet


class Course:
    """What may happen to rounds, at random; `asked` waits, `taken` was taken."""

    def __init__(self):
        self.desk = Desk(limits=Limits(open_signals=3))
        self.asked, self.taken, self.minute = {}, {}, 1
        self.desk.expect(*NAMES)

    async def ask(self, name, confidence):
        if name not in self.asked and name not in self.taken:
            self.asked[name] = self.desk.ask(name, self.minute, confidence)

    async def speak(self, name, _):
        self.desk.spoke(name, minute=self.minute)

    async def withdraw(self, name, _):
        if name in self.asked:
            assert self.desk.rounds.withdraw(self.asked.pop(name), NEVER_MIND)

    async def take(self, name, _):
        verdict = self.desk.rounds.take(self.asked[name]) if name in self.asked else None
        if verdict is not None:
            del self.asked[name]
        if isinstance(verdict, Approved):
            self.taken[name] = verdict

    async def forget(self, name, _):
        self.desk.rounds.forget(("trend", name))

    async def wait(self, *_):
        await asyncio.sleep(DEADLINE_S)

    async def next_minute(self, *_):
        self.minute += 1

    async def turn(self, *_):
        await turns(1)


NAMES = "ABCDE"
STEPS = (
    Course.ask,
    Course.speak,
    Course.withdraw,
    Course.take,
    Course.forget,
    Course.wait,
    Course.next_minute,
    Course.turn,
)


@pytest.mark.untraced
@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(NAMES), st.none() | st.floats(0, 1)), max_size=30))
def test_no_room_is_lost_whatever_happens_in_whatever_order(steps):
    """Asked, judged, taken, withdrawn, forgotten: at the end what is reserved is what was taken."""

    async def main():
        course = Course()
        desk = course.desk
        for step, name, confidence in steps:
            await step(course, name, confidence)
            assert desk.reserved <= 3
        await asyncio.sleep(2 * DEADLINE_S)
        assert desk.activity.quiet
        for each in course.asked.values():
            assert desk.rounds.withdraw(each, NEVER_MIND)
        assert desk.rounds.waiting == 0
        assert desk.reserved == len(course.taken)

    run(main())
