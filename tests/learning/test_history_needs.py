"""A symbol with too little history is named with the reason; so is one that is shorter than wished for."""

import pytest

from livebot.core.market import DAY_MS, Timeframe
from livebot.learning.history_needs import HistoryTerms, histories, range_shortfall
from tests.backtest.plans import START_MS, candles, without

TERMS = HistoryTerms(minimum_days=10, target_days=30, coverage=0.95)
SPAN = (START_MS, START_MS + 30 * DAY_MS)


def hours(days: float, seed: int = 1, after: float = 0.0):
    return candles(seed, int(days * 24), step=60, first_ms=START_MS + int(after * DAY_MS))


def told(span=SPAN, terms=TERMS, **series):
    return {each.symbol: each for each in histories(series, Timeframe.H1, span, terms)}


def test_a_whole_history_is_no_problem() -> None:
    whole = told(A=hours(30), B=hours(30))["A"]
    assert (whole.days, whole.ratio, whole.problem, whole.shortfall) == (30, 1.0, "", "")


def test_too_few_days_are_a_problem_and_say_how_many() -> None:
    short = told(A=hours(30), B=hours(9, after=21))["B"]
    assert short.problem.startswith("B: 9 days of candles, and less than 10 days is too little to learn from")
    assert "model.history.minimum_days" in short.problem
    enough = told(A=hours(30), B=hours(10, after=20))["B"]
    assert enough.problem == ""


def test_fewer_days_than_wished_for_are_named_and_used() -> None:
    young = told(A=hours(30), B=hours(20.5, after=9.5))["B"]
    assert young.problem == ""
    assert young.shortfall == "B: 20.5 days of candles, 30 days should be there"
    assert told(A=hours(29.5))["A"].shortfall == ""  # a range that begins at noon


@pytest.mark.parametrize(("lacking", "problem"), [(36, False), (37, True)])
def test_holes_count_against_the_share_that_must_be_there(lacking, problem) -> None:
    """720 candles, of which 36 are a twentieth."""
    holed = told(A=hours(30), B=without(hours(30), set(range(100, 100 + lacking))))["B"]
    assert holed.ratio == pytest.approx(1 - lacking / 720)
    assert bool(holed.problem) == problem
    if problem:
        assert "683 of 720 candles are there (94.86%)" in holed.problem


def test_what_the_venue_itself_lacks_counts_against_nobody() -> None:
    hole = set(range(100, 200))
    both = told(A=without(hours(30), hole), B=without(hours(30, seed=2), hole))
    assert [each.ratio for each in both.values()] == [1.0, 1.0]


def test_only_the_range_counts() -> None:
    """Candles before it warm up, candles after it are not looked at; without any there is nothing to learn from."""
    around = told(span=(START_MS + 5 * DAY_MS, START_MS + 25 * DAY_MS), A=hours(40))["A"]
    assert (around.days, around.shortfall) == (20, "")
    gone = told(span=(START_MS + 15 * DAY_MS, START_MS + 45 * DAY_MS), A=hours(60), B=hours(10))["B"]
    assert gone.problem == "B: no candles in the range, so nothing is learnt from it; fetch them, or leave it out"
    assert (gone.days, gone.ratio) == (0, 0)


def test_a_short_range_is_told_once() -> None:
    assert range_shortfall(SPAN, TERMS) == ""
    assert range_shortfall((START_MS, START_MS + DAY_MS), TERMS) == (
        "the range asked for holds 1 day, and 30 days should be learnt from"
    )
