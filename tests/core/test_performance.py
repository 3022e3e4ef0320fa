"""Switching off by win rate, and the figures of a report."""

from dataclasses import replace
from decimal import Decimal
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.performance import Standing, Summary, WinRate, after_close, as_of, summarise, switched_on
from tests.core.examples import closed

BY_HAND = WinRate()
BY_RULE = WinRate(off_ms=1000)


def standing_after(results, rule=BY_HAND, standing=None):
    """One close per millisecond from 1 on; `w` won, `l` lost."""
    closes = [closed(1 if result == "w" else -1, ts_ms=ts_ms) for ts_ms, result in enumerate(results, start=1)]
    return reduce(lambda before, one: after_close(before, rule, one), closes, standing or Standing())


@pytest.mark.parametrize(
    ("results", "off_since_ms"),
    [
        ("l" * 9, None),
        ("l" * 10, 10),
        ("wwww" + "l" * 6, None),
        ("www" + "l" * 7, 10),
        ("wwww" + "l" * 7, 11),
    ],
)
def test_a_symbol_goes_off_when_too_few_of_enough_trades_won(results, off_since_ms):
    """Below 40 % over at least 10: four of ten stay on, three of ten and four of eleven go off."""
    assert off_since_ms == standing_after(results).off_since_ms


def test_a_trade_that_made_nothing_did_not_win():
    """A win is a net PnL above 0."""
    assert Standing(trades=1, wins=0) == after_close(Standing(), BY_HAND, closed(0))


def test_a_symbol_that_is_off_stays_off_when_what_was_open_wins():
    """Its last open signals still count, but do not switch it on, nor off again later."""
    standing = standing_after("l" * 10 + "w" * 10)
    assert (20, 10, 10) == (standing.trades, standing.wins, standing.off_since_ms)


def test_by_rule_a_symbol_comes_back_with_nothing_counted():
    """At the millisecond that is due, however late anybody asks."""
    off = standing_after("l" * 10, BY_RULE)
    assert off == as_of(off, BY_RULE, 1009)
    assert Standing(on_since_ms=1010) == as_of(off, BY_RULE, 1010) == as_of(off, BY_RULE, 99_999)


def test_without_a_time_only_an_operator_switches_it_on():
    """None means by hand."""
    off = standing_after("l" * 10, BY_HAND)
    assert off == as_of(off, BY_HAND, 10**15)
    assert Standing(on_since_ms=10**15) == switched_on(10**15)


def test_a_symbol_that_is_on_stays_as_it_is():
    """Asking changes nothing."""
    standing = standing_after("wl", BY_RULE)
    assert standing is as_of(standing, BY_RULE, 10**15)


def test_a_close_after_the_time_off_counts_anew():
    """Also when nobody had asked in between."""
    off = standing_after("l" * 10, BY_RULE)
    assert Standing(on_since_ms=1010, trades=1, wins=1) == after_close(off, BY_RULE, closed(1, ts_ms=1010))


def test_closes_older_than_the_switch_on_do_not_count():
    """Or a symbol that an operator switched on would go off with the next replay of the ledger."""
    on = switched_on(100)
    assert on == after_close(on, BY_HAND, closed(-1, ts_ms=99))
    assert Standing(on_since_ms=100, trades=1) == after_close(on, BY_HAND, closed(-1, ts_ms=100))


@given(st.text("wl", max_size=60), st.sampled_from([None, 1, 5, 30]), st.lists(st.integers(0, 100), max_size=10))
def test_a_standing_is_the_same_however_often_it_was_asked_for(results, off_ms, questions):
    """So that a restarted daemon, which reads the ledger at once, knows what the running one knew."""
    rule = WinRate(minimum_trades=4, off_ms=off_ms)
    asked = Standing()
    for ts_ms, result in enumerate(results, start=1):
        if ts_ms in questions:
            asked = as_of(asked, rule, ts_ms)
        asked = after_close(asked, rule, closed(1 if result == "w" else -1, ts_ms=ts_ms))

    assert as_of(standing_after(results, rule), rule, 200) == as_of(asked, rule, 200)


def test_nothing_closed_has_no_figures():
    """None, not 0: no trades is not a win rate of 0 %."""
    expected = Summary(
        count=0,
        wins=0,
        losses=0,
        win_rate=None,
        average_pnl_ratio=None,
        best_pnl_ratio=None,
        worst_pnl_ratio=None,
        pnl_net=Decimal(0),
        profit_factor=None,
    )
    assert expected == summarise([])


def test_the_figures_of_a_report():
    """Two winners, one loser, one that made nothing."""
    closes = [
        closed(30, pnl_ratio="0.03"),
        closed(-20, pnl_ratio="-0.02"),
        closed(20, pnl_ratio="0.01"),
        closed(0, pnl_ratio="0"),
    ]
    expected = Summary(
        count=4,
        wins=2,
        losses=2,
        win_rate=Decimal("0.5"),
        average_pnl_ratio=Decimal("0.005"),
        best_pnl_ratio=Decimal("0.03"),
        worst_pnl_ratio=Decimal("-0.02"),
        pnl_net=Decimal(30),
        profit_factor=Decimal("2.5"),
    )
    assert expected == summarise(iter(closes))


@pytest.mark.parametrize(("results", "factor"), [(["5"], None), (["0"], None), (["-5"], Decimal(0))])
def test_a_profit_factor_needs_something_lost(results, factor):
    """All winners have none; all losers have 0."""
    assert factor == summarise(closed(result) for result in results).profit_factor


@given(st.lists(st.decimals(-1000, 1000, places=2)))
def test_the_figures_do_not_depend_on_the_order(results):
    """And the sum is what was made."""
    forwards = summarise([closed(result, pnl_ratio=result) for result in results])
    backwards = summarise([closed(result, pnl_ratio=result) for result in reversed(results)])

    assert forwards == backwards
    assert sum(results) == forwards.pnl_net
    assert forwards.count == forwards.wins + forwards.losses == len(results)


def test_the_rule_can_be_stricter():
    """Its numbers are the configuration's."""
    assert standing_after("wl", replace(BY_HAND, minimum_trades=2, minimum_win_rate=Decimal("0.6"))).off_since_ms == 2
