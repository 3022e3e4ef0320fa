"""Rounds of candidates: one order whoever asks first, one size whatever the order, and no harm from who cannot be judged."""

import random
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.denial import DenialCode, Denied
from livebot.core.entry import NO_EXIT_PLAN, Entry
from livebot.core.inputs import SymbolState
from livebot.core.limits import Limits
from livebot.core.market import Side
from livebot.core.order import ZERO
from livebot.core.propose import Circumstances
from livebot.core.ranking import Wish, judge_round, outdated, place_of, place_of_withdrawn
from livebot.core.risk import Approved, judge
from livebot.core.rules import EntryRules, FixedNotional, FractionOfEquity, Rules
from livebot.core.signal import Idle, Opening
from tests.core.examples import INSTRUMENT, SIGNAL, USAGE

D = Decimal
EQUITY = D(1000)
CLOSE_MS = 600_000
RULES = Rules(
    system="test",
    strategy="",
    instrument=INSTRUMENT,
    sizing=FixedNotional(D(100)),
    entry=EntryRules(),
    exits=NO_EXIT_PLAN,
    schedule_ms=60_000,
)


def wish(strategy="trend", symbol="BTC/USDT", confidence=None, **changes):
    """A long at 100 with the stop at 95 and the target at 110."""
    entry = Entry(side=Side.LONG, stop_loss=95.0, take_profit=110.0, lifetime_ms=3_600_000, confidence=confidence)
    return Wish(
        state=SymbolState(system="test", strategy=strategy, symbol=symbol, signal=Idle()),
        entry=replace(entry, **changes),
        now=Circumstances(price=D(100), equity=ZERO, ts_ms=CLOSE_MS),
        rules=RULES,
    )


class Book:
    """Admits `most` candidates, and remembers who asked."""

    def __init__(self, most=100):
        self.most = most
        self.asked = []

    def admit(self, candidate):
        usage = replace(USAGE, open_signals=len([key for key, allowed in self.asked if allowed]))
        verdict = judge(usage, Limits(open_signals=self.most), candidate)
        self.asked.append(((candidate.strategy, candidate.symbol), isinstance(verdict, Approved)))
        return verdict


def ranked(wishes, book=None, scorer=None, equity=EQUITY):
    """What comes of a round."""
    return judge_round(wishes, equity, scorer, (book or Book()).admit)


def keys(judged):
    return [each.wish.key for each in judged]


def test_the_most_confident_is_admitted_first_and_who_says_nothing_last():
    """With room for two of four."""
    book = Book(most=2)
    wishes = [wish("none"), wish("low", confidence=0.1), wish("zero", confidence=0.0), wish("high", confidence=0.9)]
    judged = ranked(wishes, book)
    assert [key[0] for key in keys(judged)] == ["high", "low", "zero", "none"]
    assert [allowed for _, allowed in book.asked] == [True, True, False, False]
    assert [isinstance(each.verdict, Approved) for each in judged] == [True, True, False, False]
    assert [each.score for each in judged] == [0.9, 0.1, 0.0, None]
    assert judged[2].verdict.code is DenialCode.OPEN_SIGNALS


def test_equals_stand_in_the_order_of_symbol_and_strategy():
    """Whoever came first."""
    wishes = [wish("b", "BBB", 0.5), wish("b", "AAA", 0.5), wish("a", "BBB", 0.5), wish("c"), wish("a")]
    assert keys(ranked(wishes)) == [("b", "AAA"), ("a", "BBB"), ("b", "BBB"), ("a", "BTC/USDT"), ("c", "BTC/USDT")]


@pytest.mark.untraced
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("XYZ"), st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        unique_by=lambda each: each[:2],
    ),
    st.integers(0, 4),
    st.randoms(use_true_random=False),
)
def test_who_gets_what_does_not_depend_on_who_asked_first(asked, most, shuffler):
    """Nor does what is said of the others."""
    wishes = [wish(*each) for each in asked]
    before = [place_of(each) for each in ranked(wishes, Book(most))]
    shuffler.shuffle(wishes)
    assert [place_of(each) for each in ranked(wishes, Book(most))] == before


def test_all_are_sized_on_the_equity_of_the_round():
    """Not on that of the moment in which they asked."""
    rules = replace(RULES, sizing=FractionOfEquity(D("0.1")))
    wishes = [replace(wish(name), rules=rules, now=replace(wish().now, equity=D(999_999))) for name in "ab"]
    assert [each.candidate.notional for each in ranked(wishes, equity=D(5000))] == [D(500), D(500)]


def test_a_models_confidence_stands_above_the_strategys_own():
    """In the rank and in the record."""
    sure = wish("sure", confidence=0.9)
    told = replace(wish("told", confidence=0.1), now=replace(sure.now, confidence=0.95))
    judged = ranked([sure, told])
    assert keys(judged) == [("told", "BTC/USDT"), ("sure", "BTC/USDT")]
    assert [place_of(each).confidence for each in judged] == [0.95, 0.9]
    assert judged[0].candidate.signal.confidence == 0.95


def test_a_scorer_of_the_users_ranks_by_what_it_answers():
    """Also by what is no float, but a number."""
    rank = {"a": 1, "b": D("2.5"), "c": -3.0}
    judged = ranked([wish(name, confidence=0.5) for name in "cab"], scorer=lambda each: rank[each.strategy])
    assert [(each.wish.key[0], each.score) for each in judged] == [("b", 2.5), ("a", 1.0), ("c", -3.0)]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (float("nan"), "the scorer answers nan for it, which is no rank; it must answer a finite number"),
        (float("inf"), "the scorer answers inf for it, which is no rank; it must answer a finite number"),
        (
            None,
            "the scorer fails on it (TypeError: float() argument must be a string or a real number, not 'NoneType')",
        ),
        (ZeroDivisionError("x" * 1000), "the scorer fails on it (ZeroDivisionError: xxx"),
    ],
)
def test_who_cannot_be_scored_is_denied_and_the_others_go_on(answer, text):
    """Nobody asks the portfolio about it, so nothing is reserved."""

    def scorer(candidate):
        if candidate.strategy != "bad":
            return 1.0
        if isinstance(answer, Exception):
            raise answer
        return answer

    book = Book()
    judged = ranked([wish("bad"), wish("good"), wish("fine")], book, scorer)
    assert [key[0] for key in keys(judged)] == ["fine", "good", "bad"]
    assert [key[0] for key, _ in book.asked] == ["fine", "good"]
    place = place_of(judged[-1])
    assert (place.outcome, place.code, place.score, place.notional) == ("denied", "round", None, D(100))
    assert place.text.startswith(text)
    assert len(place.text) < 300


def test_who_cannot_be_sized_is_refused_and_the_others_go_on():
    """By our own checks, or because what it wants is nonsense."""
    book = Book()
    judged = ranked([wish("wrong", stop_loss=105.0), wish("odd", stop_loss="95"), wish("good")], book)
    assert [key[0] for key in keys(judged)] == ["good", "odd", "wrong"]
    assert [key[0] for key, _ in book.asked] == ["good"]
    odd, wrong = (place_of(each) for each in judged[1:])
    assert (wrong.outcome, wrong.code, wrong.notional, wrong.risk) == ("refused", "stop_side", None, None)
    assert (odd.outcome, odd.code) == ("refused", "unfit_entry")
    assert odd.text.startswith("what odd wants cannot be judged (TypeError: ")
    assert odd.text.endswith("; mend the strategy")


def test_a_place_in_the_record_says_who_wanted_what():
    """Money in quote; for what was taken back, why."""
    judged = ranked([wish(confidence=0.7)])[0]
    place = place_of(judged)
    assert (place.strategy, place.symbol, place.side, place.score) == ("trend", "BTC/USDT", "long", 0.7)
    assert (place.notional, place.risk) == (D(100), D(5))
    assert (place.outcome, place.code, place.text) == ("approved", "approved", "")
    back = place_of_withdrawn(wish(), Denied(DenialCode.PAUSED, "it is paused"))
    assert (back.outcome, back.code, back.text) == ("withdrawn", "paused", "it is paused")
    assert (back.score, back.notional, back.risk) == (None, None, None)


def test_a_wish_counts_as_long_as_its_strategy_stands_where_it_stood():
    """Idle, with the same signals behind it, and with no later close decided upon."""
    asked = wish()
    state = asked.state
    opening = Opening(SIGNAL)
    assert outdated(state, asked) is None
    for changed in (
        replace(state, signal=opening),
        replace(state, number=1),
        replace(state, decided_ms=CLOSE_MS),
    ):
        denied = outdated(changed, asked)
        assert denied.code is DenialCode.ROUND
        assert denied.text == "trend has gone on at BTC/USDT before its round was judged"


def test_a_round_of_many_is_in_order():
    """As sorted by hand."""
    dice = random.Random(7)
    wishes = [wish(f"s{n % 7}", f"C{n}", dice.choice([None, dice.random()])) for n in range(200)]
    expected = sorted(wishes, key=lambda each: (-(-1 if (c := each.entry.confidence) is None else c), *each.key[::-1]))
    assert keys(ranked(wishes)) == [each.key for each in expected]
