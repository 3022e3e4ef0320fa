"""Figures of closed trades."""

from dataclasses import fields, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from livebot.core.market import Side
from livebot.reporting.figure import NO_SIGNALS, NotAvailable
from livebot.reporting.trade_figures import CONFIDENCE, MINIMUM_TRADES, exposure, trade_figures, wilson_interval
from tests.reporting.records import HOUR_MS, START_MS, trade


def trades(*pnls):
    """One an hour."""
    return [
        trade(START_MS + place * HOUR_MS, START_MS + (place + 1) * HOUR_MS, str(pnl)) for place, pnl in enumerate(pnls)
    ]


TWELVE = trades(30, -10, -10, -10, 20, -10, 5, -5, -5, -5, -5, 40)


def test_the_figures_of_a_dozen():
    found = trade_figures(TWELVE)
    assert (found.signals, found.wins, found.losses, found.losing_streak) == (12, 4, 8, 4)
    assert found.win_rate == pytest.approx(Decimal(4) / 12)
    assert (found.best_pnl, found.worst_pnl) == (Decimal("0.04"), Decimal("-0.01"))
    assert found.pnl_net == 35
    assert found.expectancy == pytest.approx(Decimal(35) / 12)
    assert found.average_pnl == pytest.approx(Decimal("0.035") / 12)
    assert found.profit_factor == pytest.approx(Decimal(95) / 60)
    assert found.fees == 6
    assert found.traded == sum(10 * (100 + each.exit_price) for each in TWELVE)
    assert found.expectancy_r == pytest.approx(Decimal(35) / 12 / 20)  # the stop would have lost 2 on each of 10
    assert found.holding_ms == HOUR_MS


def test_what_made_nothing_is_no_win_and_ends_no_streak():
    found = trade_figures(trades(5, -5, 0, -5))
    assert (found.wins, found.losses, found.losing_streak) == (1, 3, 3)


def test_nothing_has_no_figures():
    found = trade_figures([])
    assert (found.signals, found.losing_streak, found.pnl_net, found.fees, found.traded) == (0, 0, 0, 0, 0)
    for name in ("win_rate", "win_rate_low", "average_pnl", "best_pnl", "worst_pnl", "expectancy", "holding_ms"):
        assert getattr(found, name) == NO_SIGNALS, name
    for name in ("profit_factor", "expectancy_r"):
        assert isinstance(getattr(found, name), NotAvailable), name


def test_ratios_of_sums_take_ten_trades():
    found = trade_figures(trades(*[5, -5] * 5)[: MINIMUM_TRADES - 1])
    assert found.profit_factor == NotAvailable("fewer than 10 signals have closed")
    assert isinstance(found.expectancy_r, NotAvailable)
    assert trade_figures(trades(*[5, -5] * 5)).profit_factor == 1


def test_a_profit_factor_takes_a_loss():
    assert trade_figures(trades(*[5] * 10)).profit_factor == NotAvailable("nothing was lost")


def test_a_short_risks_what_lies_above_it():
    shorts = [replace(each, side=Side.SHORT, stop_loss=Decimal(104)) for each in trades(*[20] * 10)]
    assert trade_figures(shorts).expectancy_r == Decimal("0.5")


def test_a_trade_without_a_stop_or_beyond_it_has_no_multiple_of_its_risk():
    without = [replace(each, stop_loss=None) for each in TWELVE[:2]]
    beyond = [replace(each, stop_loss=Decimal(101)) for each in TWELVE[2:4]]
    found = trade_figures([*without, *beyond, *TWELVE[4:]])
    assert found.expectancy_r == NotAvailable("fewer than 10 signals have closed with a stop on record")


@pytest.mark.parametrize(("wins", "count"), [(0, 1), (1, 1), (0, 30), (30, 30), (4, 12), (407, 971)])
def test_the_interval_of_a_win_rate_is_that_of_scipy(wins, count):
    expected = binomtest(wins, count).proportion_ci(CONFIDENCE, method="wilson")
    assert wilson_interval(wins, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


PNLS = st.lists(st.integers(-50, 50), max_size=25)


@given(PNLS, st.randoms())
def test_the_order_in_which_trades_are_given_changes_nothing(pnls, random):
    given_once = trades(*pnls)
    shuffled = list(given_once)
    random.shuffle(shuffled)
    assert trade_figures(shuffled) == trade_figures(given_once)


@given(PNLS, PNLS)
def test_two_parts_add_up_to_the_whole(one, other):
    both = trades(*one, *other)
    parts = trade_figures(both[: len(one)]), trade_figures(both[len(one) :])
    whole = trade_figures(both)
    for name in ("signals", "wins", "losses", "pnl_net", "fees", "traded"):
        assert sum(getattr(part, name) for part in parts) == getattr(whole, name), name
    assert max(part.losing_streak for part in parts) <= whole.losing_streak <= sum(part.losing_streak for part in parts)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=25))
def test_a_win_rate_lies_within_its_interval(pnls):
    found = trade_figures(trades(*pnls))
    assert 0 <= found.win_rate_low <= found.win_rate <= found.win_rate_high <= 1


def test_sums_do_not_depend_on_the_order_though_digits_run_out():
    huge = [trade(pnl=pnl) for pnl in ("1e30", "1e-20", "-1e30")]
    assert trade_figures(huge).pnl_net == trade_figures(huge[::-1]).pnl_net == Decimal("1e-20")


# ------------------------------------------------------------------ time in the market


def held(*spans):
    return [trade(START_MS + first, START_MS + last) for first, last in spans]


@pytest.mark.parametrize(
    ("spans", "share"),
    [
        ([], 0),
        ([(10, 30)], 0.2),
        ([(10, 30), (20, 40)], 0.3),  # what overlaps counts once
        ([(10, 90), (20, 30)], 0.8),
        ([(-50, 10), (90, 500)], 0.2),  # what lies outside does not count
        ([(0, 100)], 1),
        ([(20, 20)], 0),
    ],
)
def test_time_in_the_market(spans, share):
    assert exposure(held(*spans), START_MS, START_MS + 100) == pytest.approx(share)


def test_no_time_has_no_share():
    assert isinstance(exposure(held((0, 1)), START_MS, START_MS), NotAvailable)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)).map(sorted), max_size=8))
def test_time_in_the_market_is_that_of_a_count_of_moments(spans):
    moments = {moment for first, last in spans for moment in range(first, last)}
    assert exposure(held(*spans), START_MS, START_MS + 100) == pytest.approx(len(moments) / 100)


def test_every_figure_is_a_number_or_says_why_not():
    for each in fields(found := trade_figures(TWELVE)):
        assert isinstance(getattr(found, each.name), int | float | Decimal | NotAvailable), each.name
