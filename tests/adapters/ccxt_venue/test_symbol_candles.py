"""One symbol's candles: in order, each once, whatever comes from where."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from livebot.adapters.ccxt_venue.candle_history import Recent
from livebot.adapters.ccxt_venue.symbol_candles import HELD, SymbolCandles
from livebot.core.market import MINUTE_MS, Candle
from tests.adapters.ccxt_venue.fake_stream import START_MS, A, minute


def at(n: int) -> Candle:
    return minute(START_MS + n * MINUTE_MS)


def recent(first: int, forming: int, *, without: tuple[int, ...] = ()) -> Recent:
    """What REST says: minutes from `first`, of which `forming` is not over."""
    rows = tuple(at(n) for n in range(first, forming + 1) if n not in without)
    return Recent(rows, START_MS + forming * MINUTE_MS)


class Line:
    def __init__(self) -> None:
        self.got: list[int] = []
        self.candles = SymbolCandles(A, self._take, remembered=5, now_s=0.0)
        self.now_s = 0.0

    def _take(self, candle: Candle) -> None:
        self.got.append((candle.ts_ms - START_MS) // MINUTE_MS)

    def hear(self, n: int, *, closed: bool = True) -> None:
        self.now_s += 1
        self.candles.hear(at(n), closed, self.now_s)

    def learn(self, *args, **more) -> bool:
        self.now_s += 1
        return self.candles.learn(recent(*args, **more), self.now_s)


def test_what_is_ahead_waits_and_what_is_behind_is_dropped():
    line = Line()
    for n in (0, 2, 3, 0):
        line.hear(n)
    assert line.got == [0]
    assert line.candles.behind_s == 2
    line.hear(1)
    assert line.got == [0, 1, 2, 3]
    assert line.candles.behind_s is None
    assert line.candles.sure_s == line.now_s
    assert line.candles.repeated == 1


def test_rest_fills_what_is_missing_and_no_more_than_that():
    line = Line()
    line.hear(0)
    line.hear(3)
    assert line.candles.missing == 3
    line.learn(-2, 4)
    assert line.got == [0, 1, 2, 3]
    assert line.candles.refetched == 2


def test_rest_that_has_not_got_that_far_leaves_the_newest_waiting():
    line = Line()
    line.hear(0)
    line.hear(3)
    line.learn(-2, 2)
    assert line.got == [0, 1]
    assert line.candles.behind_s is not None
    line.learn(-2, 4)
    assert line.got == [0, 1, 2, 3]


def test_a_minute_that_the_venue_does_not_have_is_passed():
    line = Line()
    line.hear(0)
    line.hear(3)
    line.learn(-2, 4, without=(2,))
    assert line.got == [0, 1, 3]
    line.hear(2)
    assert line.got == [0, 1, 3]
    assert line.candles.late == 1
    line.hear(4)
    assert line.got == [0, 1, 3, 4]


def test_a_first_word_that_is_not_closed_tells_which_candle_goes_out_first():
    line = Line()
    line.hear(5, closed=False)
    line.hear(6, closed=False)
    assert line.candles.behind_s == 2
    line.hear(6)
    assert line.got == []
    line.hear(5)
    assert line.got == [5, 6]


def test_before_the_stream_says_anything_rest_gives_nothing_out():
    line = Line()
    assert line.learn(0, 4) is False
    assert line.got == []
    assert line.learn(0, 6) is True
    assert line.got == [4, 5]


def test_what_is_let_go_goes_out_with_the_gap():
    line = Line()
    line.hear(0)
    line.hear(2)
    line.hear(5)
    assert line.candles.let_go(9.0)
    assert line.got == [0, 2, 5]
    assert line.candles.behind_s is None
    assert not line.candles.let_go(9.0)
    line.hear(6)
    assert line.got == [0, 2, 5, 6]


def test_no_more_than_a_bounded_number_waits():
    line = Line()
    line.hear(0)
    for n in range(2, HELD + 2):
        line.hear(n)
    assert line.got == [0]
    line.hear(HELD + 2)
    assert line.got == [0, *range(2, HELD + 3)]


def test_only_trades_that_the_stream_has_not_told_are_news():
    line = Line()
    line.hear(0)
    quiet = Recent((at(0), Candle(START_MS + MINUTE_MS, 100.0, 100.0, 100.0, 100.0, 0.0)), START_MS + MINUTE_MS)
    assert line.candles.learn(quiet, 2.0) is False
    assert line.learn(0, 1) is True  # the same minute has got a volume
    assert line.learn(0, 1) is False  # which has been said now


def test_an_answer_that_is_older_than_the_stream_settles_nothing_of_it():
    line = Line()
    line.hear(0)
    line.hear(1, closed=False)
    line.hear(2, closed=False)
    line.candles.hear(at(2), False, 9.0)
    half = tuple(Candle(each.ts_ms, each.open, each.high, each.low, each.close, 0.5) for each in (at(1), at(2)))
    line.candles.learn(Recent((at(0), half[0], half[1]), START_MS + 2 * MINUTE_MS), 10.0)
    assert line.got == [0, 1]  # nothing speaks against this one
    line.candles.learn(Recent((at(1), half[1], at(3)), START_MS + 3 * MINUTE_MS), 11.0)
    assert line.got == [0, 1]
    line.learn(1, 3)
    assert line.got == [0, 1, 2]


def test_what_differs_by_rest_is_found_among_the_last_ones():
    line = Line()
    for n in range(9):
        line.hear(n)
    other = Candle(START_MS + 6 * MINUTE_MS, 100, 120, 90, 110, 7)
    rows = tuple(other if n == 6 else Candle(at(n).ts_ms, 1, 1, 1, 1, 1) if n < 3 else at(n) for n in range(10))
    found = line.candles.differing_from(Recent(rows, START_MS + 9 * MINUTE_MS))
    assert found == [(at(6), other)]


moves = some.lists(
    some.one_of(
        some.tuples(some.just("closed"), some.integers(0, 14)),
        some.tuples(some.just("forming"), some.integers(0, 14)),
        some.tuples(some.just("rest"), some.integers(0, 14)),
        some.tuples(some.just("go"), some.just(0)),
    ),
    max_size=40,
)


@pytest.mark.untraced
@settings(max_examples=300)
@given(moves)
def test_times_only_ever_rise(story):
    line = Line()
    for move, n in story:
        if move == "rest":
            line.learn(max(n - 6, -2), n)
        elif move == "go":
            line.candles.let_go(line.now_s)
        else:
            line.hear(n, closed=move == "closed")
    assert line.got == sorted(set(line.got))
    assert line.candles.next_ms is None or all(START_MS + n * MINUTE_MS < line.candles.next_ms for n in line.got)
    if not any(move == "go" for move, _ in story) and line.got and "rest" not in dict(story):
        assert line.got == list(range(line.got[0], line.got[-1] + 1))
