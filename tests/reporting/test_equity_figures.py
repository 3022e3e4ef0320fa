"""Figures of equity curves, against an independent library."""

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.market import DAY_MS, Side
from livebot.reporting.equity_figures import (
    MINIMUM_DAYS,
    Drawdown,
    daily_equity,
    daily_returns,
    equity_figures,
    fall,
    max_drawdown,
    part_curve,
    sharpe,
    sortino,
)
from livebot.reporting.figure import NO_CAPITAL, NotAvailable
from livebot.reporting.run_record import EquityCurve
from tests.reporting.records import CAPITAL, HOUR_MS, START_MS, candles_of, run, trade


def curve_of(values, step_ms=DAY_MS, start_ms=START_MS):
    """One value a step."""
    return EquityCurve(
        ts_ms=start_ms + step_ms * np.arange(len(values), dtype=np.int64), equity=np.array(values, dtype=np.float64)
    )


def random_curve(seed, days, drift=0.0005, deviation=0.02):
    random = np.random.default_rng(seed)
    returns = random.standard_t(4, days) * deviation + drift  # with the fat tails of a market
    return curve_of(CAPITAL * np.cumprod(np.concatenate(([1.0], 1 + np.clip(returns, -0.5, 0.5)))))


REAL_LIKE = run(days=200).equity  # flat stretches, small steps, a fall that is not recovered


@pytest.mark.parametrize(
    "curve",
    [*(random_curve(seed, days) for seed, days in [(1, 40), (2, 365), (3, 2000), (4, 90)]), REAL_LIKE],
    ids=["40 days", "a year", "2000 days", "90 days", "real-like"],
)
def test_sharpe_sortino_and_drawdown_are_those_of_an_independent_library(curve):
    found, returns = equity_figures(curve), daily_returns(curve)
    assert found.sharpe == pytest.approx(empyrical.sharpe_ratio(returns, annualization=365), rel=1e-9)
    assert found.sortino == pytest.approx(empyrical.sortino_ratio(returns, annualization=365), rel=1e-9)
    steps = curve.equity[1:] / curve.equity[:-1] - 1
    assert found.drawdown.depth == pytest.approx(-empyrical.max_drawdown(steps), rel=1e-9)
    assert found.total_return == pytest.approx(empyrical.cum_returns_final(steps), rel=1e-9)


def test_the_error_of_a_sharpe_is_what_many_samples_scatter():
    samples = [sharpe(np.random.default_rng(seed).normal(0.002, 0.02, 250)) for seed in range(400)]
    scatter = np.std([ratio for ratio, _ in samples])
    assert scatter == pytest.approx(np.mean([error for _, error in samples]), rel=0.1)


def test_only_whole_utc_days_have_a_return():
    hours = curve_of(np.arange(100.0, 100.0 + 24 * 3 + 10), HOUR_MS, START_MS + 14 * HOUR_MS)
    # midnights are at the 10th, the 34th, the 58th hour, and the 82nd never came
    assert daily_returns(hours).tolist() == pytest.approx([134 / 110 - 1, 158 / 134 - 1])
    assert daily_equity(hours).equity.tolist() == [100, 110, 134, 158, 181]


def test_too_small_a_sample_says_so():
    short = equity_figures(random_curve(1, MINIMUM_DAYS - 1))
    assert short.sharpe == short.sharpe_error == short.sortino == NotAvailable("fewer than 30 whole days")
    assert isinstance(equity_figures(random_curve(1, MINIMUM_DAYS)).sharpe, float)


def test_one_lucky_day_is_no_sharpe():
    days = curve_of([CAPITAL] * 50 + [CAPITAL * 1.1] * 50)
    assert equity_figures(days).sharpe == NotAvailable("equity moved on fewer than 10 days")


def test_the_same_return_every_day_has_no_deviation():
    assert equity_figures(curve_of(CAPITAL * 1.001 ** np.arange(60))).sharpe == NotAvailable(
        "every day had the same return"
    )


def test_a_sortino_takes_losing_days():
    returns = np.full(60, 0.01)
    returns[:4] = -0.01
    assert sortino(returns) == NotAvailable("fewer than 5 losing days")
    returns[4] = -0.01
    assert isinstance(sortino(returns), float)


def test_ruin_has_no_ratios_and_a_whole_drawdown():
    ruined = equity_figures(curve_of([100.0] * 40 + [-5.0] * 40))
    assert ruined.sharpe == NotAvailable("equity fell to 0 or below")
    assert ruined.drawdown.depth == 1
    assert ruined.drawdown.amount == 105


def test_without_capital_only_the_amount_of_the_fall_is_known():
    found = equity_figures(curve_of([0.0, 50.0, 20.0, 60.0, 59.0]))
    assert found.sharpe == found.total_return == found.start_equity == NO_CAPITAL
    assert found.drawdown == Drawdown(
        depth=NO_CAPITAL,
        amount=30,
        from_ms=START_MS + DAY_MS,
        to_ms=START_MS + 2 * DAY_MS,
        recovered_ms=START_MS + 3 * DAY_MS,
    )


def test_a_fall_goes_from_the_last_moment_at_the_peak_to_its_bottom():
    found = max_drawdown(curve_of([90, 100, 100, 80, 95, 75, 99, 98]))
    assert (found.depth, found.amount) == (0.25, 25)
    assert (found.from_ms, found.to_ms) == (START_MS + 2 * DAY_MS, START_MS + 5 * DAY_MS)
    assert found.recovered_ms is None
    assert max_drawdown(curve_of([90, 100, 75, 100])).recovered_ms == START_MS + 3 * DAY_MS


def test_a_single_point_has_no_drawdown():
    assert isinstance(max_drawdown(curve_of([100])), NotAvailable)


@given(st.lists(st.floats(0.01, 1e6), min_size=2, max_size=40))
def test_a_drawdown_lies_between_nothing_and_all(values):
    curve = curve_of(values)
    found = max_drawdown(curve)
    assert 0 <= found.depth <= 1
    assert found.amount >= 0
    assert found.from_ms <= found.to_ms
    assert found.recovered_ms is None or found.recovered_ms >= found.to_ms
    assert found.depth == fall(curve).max()
    peak = max(values[: values.index(min(values)) + 1])
    assert found.depth >= (1 - min(values) / peak) * (1 - 1e-12)


# ------------------------------------------------------------------ a part of the trades

FLAT = curve_of([CAPITAL, CAPITAL])
END_MS = START_MS + 4 * DAY_MS


def test_a_part_is_marked_at_each_days_end_while_it_is_open():
    series = candles_of(3, 24 * 4)
    long = trade(START_MS + 5 * HOUR_MS, START_MS + 53 * HOUR_MS, "7", side=Side.LONG)
    curve = part_curve([long], FLAT, {"BTC/USDT": series}, START_MS, END_MS)
    value = dict(zip(curve.ts_ms.tolist(), curve.equity.tolist(), strict=True))
    # at midnight the last candle that has closed is the one before
    for day in (1, 2):
        assert value[START_MS + day * DAY_MS] == pytest.approx(CAPITAL + 10 * (series.close[24 * day - 1] - 100))
    assert value[START_MS + 53 * HOUR_MS] == value[START_MS + 3 * DAY_MS] == value[END_MS] == CAPITAL + 7
    assert value[START_MS] == CAPITAL


def test_a_short_gains_what_the_price_loses():
    series = candles_of(3, 24 * 4)
    short = trade(START_MS + 5 * HOUR_MS, START_MS + 30 * HOUR_MS, "7", side=Side.SHORT)
    curve = part_curve([short], FLAT, {"BTC/USDT": series}, START_MS, END_MS)
    assert curve.equity[1] == pytest.approx(CAPITAL - 10 * (series.close[23] - 100))


def test_between_two_days_ends_a_mark_stays():
    """A second trade's close within the first one's day must not make its mark vanish."""
    series = candles_of(3, 24 * 4)
    trades = [
        trade(START_MS + 5 * HOUR_MS, START_MS + 60 * HOUR_MS, "7"),
        trade(START_MS + 25 * HOUR_MS, START_MS + 26 * HOUR_MS, "3"),
    ]
    curve = part_curve(trades, FLAT, {"BTC/USDT": series}, START_MS, END_MS)
    mark = 10 * (series.close[23] - 100)
    assert curve.equity[1:3].tolist() == pytest.approx([CAPITAL + mark, CAPITAL + mark + 3])


def test_a_part_begins_with_the_capital_also_if_a_trade_was_open_already():
    early = candles_of(3, 24 * 6, start_ms=START_MS - 2 * DAY_MS)
    trades = [trade(START_MS - DAY_MS, START_MS + 30 * HOUR_MS, "7")]
    curve = part_curve(trades, FLAT, {"BTC/USDT": early}, START_MS, END_MS)
    assert curve.equity[:2].tolist() == pytest.approx([CAPITAL, CAPITAL + 10 * (early.close[71] - 100)])


def test_without_candles_a_part_counts_from_its_closes():
    late = candles_of(3, 24, start_ms=START_MS + 90 * HOUR_MS)
    trades = [trade(START_MS + 5 * HOUR_MS, START_MS + 53 * HOUR_MS, "7")]
    for candles in ({}, {"BTC/USDT": late}, {"BTC/USDT": late.part(0, 0)}):
        curve = part_curve(trades, FLAT, candles, START_MS, END_MS)
        assert curve.equity.tolist() == [CAPITAL] * 3 + [CAPITAL + 7] * 3
