"""Champion against challenger: what each would have gained, who stays, and which rows neither was trained on."""

import numpy as np
import pytest

from livebot.learning.champion import Floor, judge, showing, split, unfiltered, window_start
from tests.learning.rows import dataset_of

FLOOR = Floor(minimum_trades=10, minimum_gain=0.0, maximum_loss_rise=0.05, symbol_floor=-0.005)
ROWS = 60


def window(gain: np.ndarray | None = None, symbol: list[int] | None = None):
    """Every third entry wins 2 %, the others lose 1 %."""
    close_ms = np.arange(1, ROWS + 1) * 1_000
    gains = np.where(np.arange(ROWS) % 3 == 0, 0.02, -0.01) if gain is None else gain
    return dataset_of(close_ms=close_ms, end_ms=close_ms + 1_500, gain=gains, symbol=symbol or [0] * ROWS)


def knowing(rows, sure: float = 0.8) -> np.ndarray:
    """Confidences of a model that knows."""
    return np.where(rows.win, sure, 1 - sure)


BLIND = np.full(ROWS, 1 / 3)


def test_what_is_not_taken_gains_nothing_and_counts_as_an_entry():
    rows = window()
    shown = showing(rows, knowing(rows), 0.5)
    assert shown.trades == 20
    assert shown.gain_per_entry == pytest.approx(0.02 / 3)
    assert shown.gain_per_trade == pytest.approx(0.02)
    assert shown.by_symbol == {"A": (20, pytest.approx(0.02))}
    assert shown.log_loss == pytest.approx(-np.log(0.8))


def test_who_takes_nothing_gains_nothing():
    shown = showing(window(), BLIND, 0.9)
    assert (shown.trades, shown.gain_per_entry, shown.gain_per_trade, shown.by_symbol) == (0, 0.0, None, {})


def test_without_a_model_everything_is_taken():
    shown = unfiltered(window(), 1 / 3)
    assert shown.trades == ROWS
    assert shown.gain_per_entry == pytest.approx(0.0, abs=1e-12)


def test_a_first_model_that_beats_the_strategy_alone_is_promoted_and_one_that_does_not_is_kept():
    rows = window()
    better = judge(rows, showing(rows, knowing(rows), 0.5), unfiltered(rows, 1 / 3), FLOOR, first=True)
    assert better.promote
    assert "the strategy without a model" in better.reasons[0]
    wrong = judge(rows, showing(rows, 1 - knowing(rows), 0.5), unfiltered(rows, 1 / 3), FLOOR, first=True)
    assert not wrong.promote
    assert "less than retrain.minimum_gain" in wrong.reasons[1]


def test_a_challenger_must_be_ahead_by_the_margin():
    rows = window()
    champion = showing(rows, np.where(np.arange(ROWS) < 30, knowing(rows), 0.0), 0.5)  # it takes half of the winners
    challenger = showing(rows, knowing(rows), 0.5)
    ahead = challenger.gain_per_entry - champion.gain_per_entry
    loose = Floor(minimum_trades=10, minimum_gain=ahead - 1e-6, maximum_loss_rise=1.0)
    strict = Floor(minimum_trades=10, minimum_gain=ahead + 1e-6, maximum_loss_rise=1.0)
    assert judge(rows, challenger, champion, loose, first=False).promote
    assert not judge(rows, challenger, champion, strict, first=False).promote


def test_the_same_answers_as_the_champion_are_enough():
    rows = window()
    shown = showing(rows, knowing(rows), 0.5)
    assert judge(rows, shown, shown, FLOOR, first=False).promote


def test_a_worse_log_loss_is_kept_though_it_gains_as_much():
    rows = window()
    champion, challenger = showing(rows, knowing(rows, 0.9), 0.5), showing(rows, knowing(rows, 0.6), 0.5)
    verdict = judge(rows, challenger, champion, FLOOR, first=False)
    assert not verdict.promote
    assert "log-loss" in verdict.reasons[1]


def test_a_symbol_below_its_floor_keeps_it_and_is_named_and_one_with_few_trades_is_not_judged():
    symbol = [0] * 30 + [1] * 25 + [2] * 5
    gain = np.array([0.03] * 30 + [-0.01] * 25 + [-0.5] * 5)
    rows = window(gain, symbol)
    everything = showing(rows, np.full(ROWS, 0.6), 0.5)
    verdict = judge(rows, everything, everything, FLOOR, first=False)
    assert not verdict.promote
    assert "B (-1.00% a trade)" in verdict.reasons[1]
    assert "C" not in verdict.reasons[1]
    assert judge(rows, everything, everything, Floor(minimum_trades=10, symbol_floor=None), first=False).promote


def test_too_few_entries_or_trades_promote_nobody():
    rows = window()
    few = rows.rows(np.arange(9))
    shown = showing(few, knowing(few), 0.5)
    assert "has 9 entries, 10 are needed" in judge(few, shown, shown, FLOOR, first=False).reasons[0]
    choosy = showing(rows, BLIND, 0.9)
    verdict = judge(rows, choosy, unfiltered(rows, 1 / 3), FLOOR, first=True)
    assert (verdict.promote, verdict.reasons) == (
        False,
        ("the newest window has 0 entries that it takes, 10 are needed to judge it",),
    )


def test_a_window_without_a_row_is_refused():
    with pytest.raises(ValueError, match="no row"):
        showing(window().rows(np.arange(0)), np.zeros(0), 0.5)


# ---------------------------------------------------------------- the rows


def test_the_window_is_the_newest_and_never_reaches_into_the_champions_training():
    assert window_start(100_000, 30_000, None) == 70_000
    assert window_start(100_000, 30_000, 60_000) == 70_000
    assert window_start(100_000, 30_000, 90_000) == 90_000


def test_a_row_whose_outcome_falls_into_the_window_is_in_neither_part():
    rows = window()
    older, newer = split(rows, 30_000)
    assert older.end_ms.max() < 30_000 <= newer.close_ms.min()
    assert len(rows) - len(older) - len(newer) == 1  # it was decided a second before, and lives for 1.5
