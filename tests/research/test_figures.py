"""Figures of accounts: those of the reports, and cuts whose parts add up to the whole."""

import empyrical
import numpy as np
import pytest

from livebot.core.market import DAY_MS
from livebot.errors import BadInput
from livebot.reporting.figure import NotAvailable
from livebot.research.figures import (
    UNTESTED,
    buckets,
    fold_terciles,
    outcome_figures,
    quarter_spread,
    quarters,
    sides,
    spread,
    symbol_spread,
    tercile_limits,
)
from livebot.research.folds import Fold
from livebot.research.outcomes import ALL, outcome
from tests.research.rows import START_MS, dataset_of, day_ms


def traded(days: int = 200, seed: int = 4):
    random = np.random.default_rng(seed)
    lives = [
        (symbol, day + 0.1, day + random.uniform(0.2, 0.9), random.normal(0.001, 0.02))
        for day in range(days)
        for symbol in "ABC"
    ]
    dataset = dataset_of(lives)
    return outcome(dataset, np.arange(len(dataset)), np.ones(len(dataset)), ALL, (START_MS, day_ms(days)))


def test_figures_agree_with_an_independent_library_and_with_sums_by_hand():
    done = traded()
    figures = outcome_figures(done)
    assert figures.sharpe == pytest.approx(empyrical.sharpe_ratio(done.returns, annualization=365))
    assert figures.sortino == pytest.approx(empyrical.sortino_ratio(done.returns, annualization=365))
    assert figures.drawdown == pytest.approx(-empyrical.max_drawdown(done.returns))
    assert figures.total_return == pytest.approx(empyrical.cum_returns_final(done.returns))
    won, lost = done.gain[done.gain > 0], done.gain[done.gain <= 0]
    assert figures.trades == 600
    assert figures.win_rate == pytest.approx(len(won) / 600)
    assert figures.mean_gain == pytest.approx(done.gain.mean())
    assert figures.profit_factor == pytest.approx(won.sum() / -lost.sum())
    assert figures.turnover == pytest.approx(2 / 3 * 600 / 200 * 365)
    life = (done.end_ms - done.open_ms) / DAY_MS
    assert figures.invested == pytest.approx(life.sum() / 3 / 200)
    longest = life.reshape(200, 3).max(axis=1)
    assert figures.exposure == pytest.approx(longest.sum() / 200)


def test_what_few_trades_do_not_support_is_not_available():
    dataset = dataset_of([("A", 0.5, 0.75, 0.01)])
    done = outcome(dataset, np.array([0]), np.array([1.0]), ALL, (START_MS, day_ms(20)))
    figures = outcome_figures(done)
    assert isinstance(figures.sharpe, NotAvailable)
    assert isinstance(figures.profit_factor, NotAvailable)
    assert figures.total_return == pytest.approx(0.01)
    none = outcome_figures(outcome(dataset, np.array([0]), np.array([0.0]), 0.5, (START_MS, day_ms(20))))
    assert (none.trades, none.total_return, none.exposure, none.turnover, none.drawdown) == (0, 0.0, 0.0, 0.0, 0.0)
    assert isinstance(none.win_rate, NotAvailable)
    assert isinstance(none.mean_gain, NotAvailable)


def test_trades_that_never_lose_have_no_profit_factor():
    dataset = dataset_of([("A", day + 0.5, day + 0.75, 0.01) for day in range(40)])
    figures = outcome_figures(outcome(dataset, np.arange(40), np.ones(40), ALL, (START_MS, day_ms(40))))
    assert figures.profit_factor == NotAvailable("nothing was lost")


def test_how_evenly_a_gain_is_spread():
    found = spread({"A": 0.5, "B": -0.1, "C": 0.0, "D": 0.2})
    assert (found.parts, found.worst_name, found.worst, found.above_zero) == (4, "B", -0.1, 0.5)
    assert found.median == pytest.approx(0.1)
    with pytest.raises(BadInput, match="no part"):
        spread({})


def test_a_symbol_or_quarter_without_a_trade_counts_as_nothing_gained():
    dataset = dataset_of([("A", 0.5, 0.75, 0.02), ("B", 40.5, 45.0, -0.04)])
    done = outcome(dataset, np.arange(2), np.ones(2), ALL, (START_MS, day_ms(200)))
    symbols = symbol_spread(done, ("A", "B", "C"))
    assert (symbols.parts, symbols.worst_name, symbols.worst, symbols.median) == (3, "B", -0.02, 0.0)
    assert symbols.above_zero == pytest.approx(1 / 3)
    by_quarter = quarter_spread(done)
    assert (by_quarter.parts, by_quarter.worst_name, by_quarter.median) == (3, "2024Q1", 0.0)
    assert by_quarter.worst == pytest.approx(0.01 - 0.02)


def test_quarters_and_sides_by_name():
    times = np.array(["1999-12-31T23:59", "2024-01-01", "2024-06-30", "2025-11-22"], dtype="datetime64[ms]").astype(
        np.int64
    )
    assert quarters(times).tolist() == ["1999Q4", "2024Q1", "2024Q2", "2025Q4"]
    assert sides(np.array([1, -1], dtype=np.int8)).tolist() == ["long", "short"]


def test_terciles_are_those_of_the_train_rows():
    values = np.array([1.0, 2, 3, 4, 5, 6, 5.0, 3.0, 100.0, 9.0])
    fold = Fold(name="a", train=np.arange(6), test=np.arange(6, 9), test_spans=((0, 1),), embargo_ms=0)
    empty = Fold(name="b", train=np.arange(0), test=np.array([9]), test_spans=((1, 2),), embargo_ms=0)
    assert fold_terciles(values, [fold, empty]).tolist() == [UNTESTED] * 6 + [2, 1, 2, UNTESTED]
    moved = values.copy()
    moved[6:] *= 1000  # what is tested moves no limit
    assert tercile_limits(moved[fold.train]) == tercile_limits(values[fold.train])
    with pytest.raises(BadInput, match="without train rows"):
        tercile_limits(np.array([]))


def test_symbols_are_dealt_into_buckets_by_size():
    amount = {"A": 5.0, "B": 1.0, "C": 9.0, "D": 2.0, "E": 7.0, "F": 0.0}
    assert buckets(amount) == {"F": "low", "B": "low", "D": "middle", "A": "middle", "E": "high", "C": "high"}
    assert buckets({"A": 1.0}) == {"A": "low"}
    assert buckets({}) == {}
