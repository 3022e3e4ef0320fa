"""Losing closes in a row and the cooldown after them."""

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from livebot.core.streak import LosingStreak, Streak, StreakScope, after_close
from tests.core.examples import closed

RULE = LosingStreak(losses=3, cooldown_ms=100, scope=StreakScope.ALL)


def after(*pnls: int, begin_ms: int = 0) -> Streak:
    closes = [closed(pnl, ts_ms=begin_ms + place) for place, pnl in enumerate(pnls)]
    return reduce(lambda streak, each: after_close(streak, RULE, each), closes, Streak())


def test_the_last_loss_of_the_row_begins_a_cooldown_and_a_new_count():
    assert Streak(2, 0) == after(-1, -1)
    assert Streak(0, 102) == after(-1, -1, -1)
    assert Streak(1, 102) == after(-1, -1, -1, -1)
    assert Streak(0, 105) == after(-1, -1, -1, -1, -1, -1)


def test_a_win_ends_the_row_and_no_cooldown_and_nothing_at_all_ends_neither():
    assert Streak(1, 0) == after(-1, -1, 1, -1)
    assert Streak(2, 0) == after(-1, 0, -1)
    assert Streak(0, 102) == after(-1, -1, -1, 1)


def test_a_close_that_is_told_of_late_shortens_no_cooldown():
    late = [closed(-1, ts_ms=0)] * 3
    assert 102 == reduce(lambda streak, each: after_close(streak, RULE, each), late, after(-1, -1, -1)).until_ms


@given(st.lists(st.integers(-1, 1), max_size=30))
def test_a_count_never_reaches_the_rule(pnls):
    assert after(*pnls).losses < RULE.losses
