"""Champion against challenger: what each would have gained, who stays, and which rows neither was trained on."""

from dataclasses import replace

import numpy as np
import pytest

from livebot.core.market import DAY_MS
from livebot.learning.champion import (
    Floor,
    Match,
    Showing,
    Undecided,
    chance_of,
    showing,
    split,
    student,
    unfiltered,
    window_start,
)
from livebot.learning.champion import judge as judged
from tests.learning.rows import dataset_of

FLOOR = Floor(minimum_trades=10, minimum_gain=0.0, maximum_loss_rise=0.05, symbol_floor=-0.005)
ROWS = 60


def window(gain: np.ndarray | None = None, symbol: list[int] | None = None, life_ms: int = 900):
    """Every third entry wins 2 %, the others lose 1 %; each has ended when the next one comes."""
    close_ms = np.arange(1, ROWS + 1) * 1_000
    gains = np.where(np.arange(ROWS) % 3 == 0, 0.02, -0.01) if gain is None else gain
    return dataset_of(close_ms=close_ms, end_ms=close_ms + life_ms, gain=gains, symbol=symbol or [0] * ROWS)


def judge(rows, challenger: Showing, incumbent: Showing, floor: Floor, *, first: bool, **more):
    return judged(rows, Match(challenger=challenger, incumbent=incumbent, first=first, **more), floor)


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
    assert shown.by_symbol == {"A": (20, pytest.approx(0.02), pytest.approx(0.0, abs=1e-12))}
    assert shown.log_loss == pytest.approx(-np.log(0.8))


def test_who_takes_nothing_gains_nothing():
    shown = showing(window(), BLIND, 0.9)
    assert (shown.trades, shown.gain_per_entry, shown.gain_per_trade, shown.by_symbol) == (0, 0.0, None, {})


def test_without_a_model_everything_is_taken():
    shown = unfiltered(window(), 1 / 3)
    assert shown.trades == ROWS
    assert shown.gain_per_entry == pytest.approx(0.0, abs=1e-12)


def test_of_entries_that_overlap_only_those_are_counted_that_could_be_traded():
    """The second of a symbol while its first is open is nobody's, and neither is an entry more."""
    rows = window(life_ms=1_500)
    alone = unfiltered(rows, 1 / 3)
    assert (alone.trades, alone.entries, alone.taken[:4].tolist()) == (30, 30, [True, False, True, False])
    assert alone.gain_per_entry == pytest.approx(float(rows.gain[::2].mean()))
    shown = showing(rows, knowing(rows), 0.5)
    assert (shown.trades, shown.entries) == (20, 30)  # what it leaves out frees the symbol for the next
    assert shown.gain_per_entry == pytest.approx(20 * 0.02 / 30)
    apart = window(symbol=[0, 1] * 30, life_ms=1_500)
    assert unfiltered(apart, 1 / 3).trades == ROWS  # of two symbols they do not stand in each other's way


def test_the_log_loss_is_that_of_the_entries_that_would_be_asked_about():
    rows = window(life_ms=1_500)
    sure_of_others = np.where(np.arange(ROWS) % 2 == 0, 0.5, 1e-5)
    assert showing(rows, sure_of_others, 0.0).log_loss == pytest.approx(np.log(2))


# ---------------------------------------------------------------- who takes over


def test_a_first_model_that_beats_the_strategy_alone_is_promoted_and_one_that_does_not_is_kept():
    rows = window()
    better = judge(rows, showing(rows, knowing(rows), 0.5), unfiltered(rows, 1 / 3), FLOOR, first=True)
    assert better.promote
    assert "the strategy without a model" in better.reasons[0]
    wrong = judge(rows, showing(rows, 1 - knowing(rows), 0.5), unfiltered(rows, 1 / 3), FLOOR, first=True)
    assert not wrong.promote
    assert "that is less than retrain.minimum_gain" in wrong.reasons[1]


def pair(rows, lead: float, noise: float):
    """A challenger that takes all, a champion that takes all but one of each five: `lead` a left out one, give or take `noise`."""
    left_out = np.arange(ROWS) % 5 == 4
    swing = np.where(np.arange(ROWS) % 10 == 4, noise, -noise)
    rows = replace(rows, gain=np.where(left_out, lead + swing, 0.01))
    challenger = showing(rows, np.ones(ROWS), 0.5)
    return rows, challenger, showing(rows, np.where(left_out, 0.0, 1.0), 0.5)


LOOSE = Floor(minimum_trades=10, maximum_loss_rise=100.0)


def test_a_lead_beyond_chance_decides_by_itself_whatever_the_rule_for_the_undecided():
    for undecided in Undecided:
        floor = replace(LOOSE, undecided=undecided, undecided_margin=0.5)
        ahead = judge(*pair(window(), 0.02, 0.001), floor, first=False)
        assert (ahead.promote, "beyond chance" in ahead.reasons[1]) == (True, True)
        behind = judge(*pair(window(), -0.02, 0.001), floor, first=False)
        assert (behind.promote, "less than retrain.minimum_gain" in behind.reasons[1]) == (False, True)


def test_within_chance_the_newer_is_used_unless_it_is_below_the_margin_or_the_config_keeps_the_older():
    rows, challenger, champion = pair(window(), 0.002, 0.05)
    assert 0 < challenger.gain_per_entry - champion.gain_per_entry < chance_of(rows, challenger, champion, 0.9)
    newer = judge(rows, challenger, champion, LOOSE, first=False)
    assert (newer.promote, "retrain.undecided: newer" in newer.reasons[1]) == (True, True)
    kept = judge(rows, challenger, champion, replace(LOOSE, undecided=Undecided.IN_USE), first=False)
    assert (kept.promote, "retrain.undecided: in_use" in kept.reasons[1]) == (False, True)
    behind = pair(window(), -0.01, 0.05)
    little, much = replace(LOOSE, undecided_margin=0.0021), replace(LOOSE, undecided_margin=0.0019)
    assert judge(*behind, little, first=False).promote
    below = judge(*behind, much, first=False)
    assert (below.promote, "retrain.undecided_margin" in below.reasons[1]) == (False, True)


def test_a_first_model_must_be_better_beyond_chance_and_one_that_replaces_a_broken_one_need_not():
    rows, challenger, alone = pair(window(), 0.002, 0.05)
    first = judge(rows, challenger, alone, LOOSE, first=True)
    assert (first.promote, "which a first model must be" in first.reasons[1]) == (False, True)
    assert judge(rows, challenger, alone, LOOSE, first=True, replaces=True).promote
    assert judge(rows, challenger, alone, replace(LOOSE, certainty=0.5), first=True).promote  # any lead is one


def test_a_challenger_must_be_ahead_by_the_margin():
    rows, challenger, champion = pair(window(), 0.02, 0.0)
    ahead, chance = 0.004, chance_of(rows, challenger, champion, 0.9)
    beyond = replace(LOOSE, minimum_gain=ahead - chance - 1e-6, undecided=Undecided.IN_USE)
    assert judge(rows, challenger, champion, beyond, first=False).promote
    within = replace(beyond, minimum_gain=ahead - chance + 1e-6)
    assert not judge(rows, challenger, champion, within, first=False).promote


def test_the_same_answers_as_the_champion_show_nothing_and_the_rule_for_the_undecided_decides():
    rows = window()
    shown = showing(rows, knowing(rows), 0.5)
    assert judge(rows, shown, shown, FLOOR, first=False).promote
    kept = judge(rows, shown, shown, replace(FLOOR, undecided=Undecided.IN_USE), first=False)
    assert not kept.promote
    assert "they decide otherwise in 0 entries, 10 are needed" in kept.reasons[0]


def test_a_first_model_that_takes_everything_shows_nothing_and_is_not_used():
    """With it the strategy would trade as without one, and without one it opens nothing."""
    rows = window(np.full(ROWS, -0.002))
    everything = showing(rows, BLIND, 0.0)
    alone = unfiltered(rows, 1 / 3)
    verdict = judge(rows, everything, alone, FLOOR, first=True)
    assert not verdict.promote
    assert "not beyond chance" in verdict.reasons[1]
    content = replace(FLOOR, minimum_gain=-0.001, symbol_floor=None)
    assert judge(rows, everything, alone, content, first=True).promote  # who asks for no gain gets it


def test_too_few_entries_in_which_two_decide_otherwise_tell_nothing():
    """Two stop losses of like size that one of them left out have next to no spread."""
    rows = window()
    few = np.ones(ROWS)
    few[[1, 31]] = 0.0
    verdict = judge(rows, showing(rows, few, 0.5), unfiltered(rows, 1 / 3), FLOOR, first=True)
    assert (verdict.promote, "they decide otherwise in 2 entries" in verdict.reasons[0]) == (False, True)


def test_trades_that_last_too_long_for_the_window_tell_nothing():
    rows, challenger, champion = pair(window(), 0.02, 0.001)
    long = replace(rows, end_ms=rows.close_ms + 4_000)
    assert chance_of(long, challenger, champion, 0.9) is None
    kept = judge(long, challenger, champion, replace(LOOSE, undecided=Undecided.IN_USE), first=False)
    assert (kept.promote, "raise retrain.window_days" in kept.reasons[0]) == (False, True)


def test_trades_that_last_for_days_make_longer_blocks():
    """What one day and the next have in common is no second witness."""
    days = 60
    close_ms = np.arange(1, days + 1) * DAY_MS
    gain = np.repeat([0.03, -0.02] * 3, 12)[:days]  # twelve days alike, then twelve others
    rows = dataset_of(close_ms=close_ms, end_ms=close_ms + 3 * DAY_MS, gain=gain, symbol=[0] * days)
    short = replace(rows, end_ms=close_ms + DAY_MS // 2)
    every, none = showing(short, np.ones(days), 0.5), showing(short, np.zeros(days), 0.5)
    assert chance_of(rows, every, none, 0.9) > 1.5 * chance_of(short, every, none, 0.9)


def test_a_worse_log_loss_is_kept_though_it_gains_as_much():
    rows = window()
    champion, challenger = showing(rows, knowing(rows, 0.9), 0.5), showing(rows, knowing(rows, 0.6), 0.5)
    verdict = judge(rows, challenger, champion, FLOOR, first=False)
    assert not verdict.promote
    assert "log-loss" in verdict.reasons[2]


def test_a_symbol_below_its_floor_keeps_it_and_is_named_and_one_with_few_trades_is_not_judged():
    symbol = [0] * 30 + [1] * 25 + [2] * 5
    gain = np.array([0.03] * 30 + [-0.01] * 25 + [-0.5] * 5)
    rows = window(gain, symbol)
    everything = showing(rows, np.full(ROWS, 0.6), 0.5)
    verdict = judge(rows, everything, everything, FLOOR, first=False)
    assert not verdict.promote
    assert "B (-1.00% a trade)" in verdict.reasons[2]
    assert "C" not in verdict.reasons[2]
    assert judge(rows, everything, everything, Floor(minimum_trades=10, symbol_floor=None), first=False).promote


def test_a_symbol_that_chance_alone_could_have_put_below_its_floor_does_not_count():
    rows = window(np.where(np.arange(ROWS) % 2 == 0, 0.05, -0.062))  # -0.6 % a trade, give or take 0.7 %
    everything = unfiltered(rows, 1 / 2)
    ((_, gain, error),) = everything.by_symbol.values()
    assert gain < FLOOR.symbol_floor < gain + student(FLOOR.certainty, ROWS - 1) * error
    assert judge(rows, everything, everything, FLOOR, first=False).promote
    barely = replace(FLOOR, certainty=0.5)
    assert "beyond chance" in judge(rows, everything, everything, barely, first=False).reasons[-1]


def test_a_symbol_that_only_the_challenger_covers_is_held_to_the_floor_too():
    rows = window()
    shown = showing(rows, knowing(rows), 0.5)
    bad = window(np.full(ROWS, -0.02), [1] * ROWS)
    alone = showing(bad, np.ones(ROWS), 0.5)
    verdict = judge(rows, shown, shown, FLOOR, first=False, alone=alone)
    assert not verdict.promote
    assert "B (-2.00% a trade)" in verdict.reasons[2]
    fine = showing(window(np.full(ROWS, 0.02), [1] * ROWS), np.ones(ROWS), 0.5)
    assert judge(rows, shown, shown, FLOOR, first=False, alone=fine).promote


def test_too_few_entries_or_trades_promote_nobody():
    rows = window()
    few = rows.rows(np.arange(9))
    shown = showing(few, knowing(few), 0.5)
    assert (
        "has 9 entries that can be traded one after the other, 10 are needed"
        in judge(few, shown, shown, FLOOR, first=False).reasons[0]
    )
    choosy = showing(rows, BLIND, 0.9)
    verdict = judge(rows, choosy, unfiltered(rows, 1 / 3), FLOOR, first=True)
    assert (verdict.promote, verdict.reasons) == (
        False,
        ("the newest window has 0 entries that it takes, 10 are needed to judge it",),
    )


def test_a_window_without_a_row_is_refused():
    with pytest.raises(ValueError, match="no row"):
        showing(window().rows(np.arange(0)), np.zeros(0), 0.5)


# ---------------------------------------------------------------- chance


@pytest.mark.parametrize(
    ("level", "freedom", "value"),
    [(0.9, 9, 1.383), (0.95, 9, 1.833), (0.9, 30, 1.310), (0.975, 30, 2.042), (0.995, 60, 2.660), (0.5, 9, 0.0)],
)
def test_students_quantile_is_the_tabulated_one(level, freedom, value):
    assert student(level, freedom) == pytest.approx(value, abs=6e-4)


def by_chance(seed: int, symbols: int = 5, days: int = 30):
    """Entries every six hours on symbols that move together; two models that know nothing of them."""
    random = np.random.default_rng(seed)
    closes = 4 * days
    close_ms = np.repeat(np.arange(1, closes + 1) * (DAY_MS // 4), symbols)
    gain = 0.02 * (np.repeat(random.normal(size=closes), symbols) + 0.5 * random.normal(size=closes * symbols))
    codes = np.tile(np.arange(symbols), closes)
    names = tuple("ABCDE"[:symbols])
    rows = dataset_of(close_ms=close_ms, end_ms=close_ms + DAY_MS // 5, gain=gain, symbol=codes, symbols=names)
    # whole closes are taken or left, as of a model that judges the market
    return rows, *(showing(rows, np.repeat(random.random(closes), symbols), 0.5) for _ in range(2))


def test_models_that_know_nothing_are_beyond_chance_as_often_as_the_certainty_allows():
    """Though all symbols move together: rows taken for independent would say so more than twice as often."""
    found = []
    for seed in range(400):
        rows, one, other = by_chance(seed)
        lead = one.gain_per_entry - other.gain_per_entry
        found.append(lead > chance_of(rows, one, other, 0.9))
    assert 0.06 < np.mean(found) < 0.14


def test_a_window_of_less_than_ten_days_has_ten_parts():
    rows = window()
    one, other = showing(rows, knowing(rows), 0.5), unfiltered(rows, 1 / 3)
    assert 0 < chance_of(rows, one, other, 0.9) < 0.01


# ---------------------------------------------------------------- the rows


def test_the_window_is_the_newest_and_never_reaches_into_the_champions_training():
    assert window_start(100_000, 30_000, None) == 70_000
    assert window_start(100_000, 30_000, 60_000) == 70_000
    assert window_start(100_000, 30_000, 90_000) == 90_000


def test_a_row_whose_outcome_falls_into_the_window_is_in_neither_part():
    rows = window(life_ms=1_500)
    older, newer = split(rows, 30_000)
    assert older.end_ms.max() < 30_000 <= newer.close_ms.min()
    assert len(rows) - len(older) - len(newer) == 1  # it was decided a second before, and lives for 1.5
