"""Random filters: as many as the arm, by the same rule as the arm, and how an arm stands against them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from livebot.research import chances
from livebot.research.accounts import account, by_count, counts, taken
from livebot.research.chances import against_chance, take_many, usual_chance
from livebot.research.outcomes import take
from tests.research.rows import dataset_of
from tests.research.stages import FOLDS, remembering, saying, stage

ENTRIES = st.lists(
    st.tuples(st.sampled_from("AB"), st.integers(0, 12), st.integers(1, 5), st.floats(-0.1, 0.1)),
    min_size=1,
    max_size=20,
)


@settings(max_examples=40, deadline=None)
@given(ENTRIES, st.integers(0, 2**20))
def test_many_filters_at_once_trade_what_each_would_alone(entries, seed):
    dataset = dataset_of([(symbol, day / 2, (day + life) / 2, gain) for symbol, day, life, gain in entries])
    rows = np.arange(len(dataset))
    wanted = np.random.default_rng(seed).uniform(size=(len(rows), 3)) < 0.6
    found = list(take_many(dataset, rows, wanted))
    for column in range(3):
        alone = take(dataset, rows, wanted[:, column].astype(np.float64), 0.5)
        assert [row for row, took in found if took[column]] == alone.tolist()


def two(seed, skill=0.0):
    """A stage, an arm with that much skill and one without any."""
    made = stage(seed)
    said = remembering(np.random.default_rng(1_000 + seed), (len(made.rows), 2), 0.6)
    said[:, 0] += skill * made.dataset.gain / 0.02
    return made, {"one": saying(said[:, 0]), "other": saying(said[:, 1])}


FAMILY = frozenset({"one", "other"})


def test_an_arm_without_skill_beats_as_many_random_filters_as_not():
    shares = [against_chance(*two(seed), FAMILY, 100, seed)["one"].beats for seed in range(60)]
    assert 0.4 < np.mean(shares) < 0.6
    assert np.std(shares) == pytest.approx(np.sqrt(1 / 12), abs=0.07)  # all shares alike


def test_skill_has_the_smallest_p_that_so_many_draws_can_tell():
    found = against_chance(*two(1, skill=1.0), FAMILY, 400, 1)
    assert found["one"].beats == 1.0 and found["one"].p == pytest.approx(1 / 401)
    assert found["other"].p > 0.05


def test_the_best_of_all_is_what_an_arm_is_held_against():
    """Beside others who may win the same arm counts less; beside those who may not it counts as before."""
    made, said = two(3, skill=0.15)
    more = remembering(np.random.default_rng(9), (len(made.rows), 12), 0.0)
    arms = said | {f"x{place}": saying(column) for place, column in enumerate(more.T)}
    alone = against_chance(made, arms, frozenset({"one"}), 500, 1)["one"]
    among = against_chance(made, arms, frozenset(arms), 500, 1)["one"]
    assert alone.beats == among.beats
    assert alone.p == pytest.approx(1 - alone.beats, abs=0.03)
    assert among.p > 3 * alone.p > 0


def test_who_takes_all_or_nothing_is_not_drawn_and_counts_for_nobody():
    made, said = two(4)
    still = {"all": saying(np.ones(len(made.rows))), "none": saying(np.full(len(made.rows), -1.0))}
    found = against_chance(made, said | still, FAMILY | set(still), 200, 1)
    assert found["all"] is found["none"] is None
    assert found["one"] == against_chance(made, said, FAMILY, 200, 1)["one"]


def test_draws_are_the_same_in_parts(monkeypatch):
    made, said = two(5)
    whole = against_chance(made, said, FAMILY, 60, 1)
    monkeypatch.setattr(chances, "_CELLS", 7 * 2 * len(made.rows))
    assert against_chance(made, said, FAMILY, 60, 1) == whole


def test_a_random_filter_is_the_arms_own_choices_in_as_long_runs():
    """What takes many at once is held against what takes many at once: gains of a day share a market."""
    made = stage(6, a_day=4.0)
    day = (made.dataset.close_ms // 86_400_000).astype(np.intp)
    runs = np.random.default_rng(2).normal(size=day.max() + 1)[day]
    apart = np.random.default_rng(2).normal(size=len(day))
    spreads = [
        np.std([mean for mean, _ in chances._moved_means(made, (said >= 0)[:, None], 300, 1)]) for said in (runs, apart)
    ]
    assert spreads[0] > 1.15 * spreads[1]


def wild_share(studies):
    """How often an arm that takes the wild entries, which gain no more than others on average, has p <= .05."""
    found = 0
    for seed in range(studies):
        made = stage(seed, a_day=1.0)
        wild = remembering(np.random.default_rng(7_000 + seed), (len(made.rows), 1), 0.6)[:, 0]
        gain = made.dataset.gain * np.where(wild > 0.8, 6.0, 1.0)
        made = replace(made, dataset=replace(made.dataset, gain=gain))
        luck = against_chance(made, {"wild": saying(wild, 0.8)}, frozenset({"wild"}), 100, seed)["wild"]
        found += luck.p <= 0.05
    return found / studies


def test_to_choose_the_wild_entries_is_no_skill(monkeypatch):
    assert wild_share(80) <= binom.ppf(0.999, 80, 0.05) / 80
    monkeypatch.setattr(chances, "_LEAST_SPREAD", 1e6)  # all in units of one spread
    assert wild_share(80) > binom.ppf(0.999, 80, 0.05) / 80


def test_the_usual_filter_trades_as_many_and_is_the_average_of_many():
    made = stage(7)
    whole = counts(made, taken(made, saying(np.ones(len(made.rows)))))
    wanted = whole // 2
    usual = usual_chance(made, wanted, (1.0, 2.0), 400, 3)
    assert usual.trades == pytest.approx(wanted.sum(), rel=0.01)
    random = np.random.default_rng(4)
    drawn = [taken(made, by_count(made, saying(random.uniform(size=len(made.rows))), wanted)) for _ in range(150)]
    for place, multiple in enumerate((1.0, 2.0)):
        alone = np.array([account(made, rows, multiple).returns.sum() for rows in drawn])
        error = alone.std() / np.sqrt(len(alone))
        assert usual.returns[place].sum() == pytest.approx(alone.mean(), abs=3 * error)
    assert usual.returns[1].sum() < usual.returns[0].sum()


def test_the_usual_filter_of_nothing_and_of_everything():
    made = stage(8)
    everything = account(made, taken(made, saying(np.ones(len(made.rows)))), 1.0)
    none = usual_chance(made, np.zeros(FOLDS, dtype=np.intp), (1.0,), 20, 1)
    assert none.trades == pytest.approx(0, abs=0.2) and np.abs(none.returns[0]).max() < 1e-3
    full = usual_chance(made, np.full(FOLDS, 10_000), (1.0,), 20, 1)
    assert full.trades == pytest.approx(len(everything), rel=0.01)
