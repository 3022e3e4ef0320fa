"""The report of a ledger: period, capital, and the same figures as any other run."""

from dataclasses import replace

import pytest

from livebot.reporting.figure import NO_CAPITAL
from livebot.reporting.live_report import live_report
from livebot.reporting.signals_report import Selection, make_report
from tests.reporting.rows import DECISIONS, FACTS, MINUTE_MS, NOON_MS, live


def test_the_period_is_from_the_first_thing_that_happened_to_the_last():
    record = live("demo", FACTS, DECISIONS).record
    assert (record.start_ms, record.end_ms) == (NOON_MS + MINUTE_MS, NOON_MS + 9 * MINUTE_MS)


def test_the_period_begins_when_the_selection_does():
    since_ms = NOON_MS - 5 * MINUTE_MS
    record = live("demo", FACTS, DECISIONS, Selection(since_ms=since_ms)).record
    assert (record.start_ms, record.end_ms) == (since_ms, NOON_MS + 9 * MINUTE_MS)


def test_a_selection_that_has_not_begun_is_empty():
    since_ms = NOON_MS + 60 * MINUTE_MS
    record = live("demo", FACTS, DECISIONS, Selection(since_ms=since_ms)).record
    assert (record.start_ms, record.end_ms, record.trades) == (since_ms, since_ms, ())


def test_equity_is_the_capital_plus_what_was_realised():
    found = live("demo", FACTS, DECISIONS, capital=500.0).performance
    assert (found.pooled.equity.start_equity, found.pooled.equity.end_equity) == (500, 513.75)
    assert found.pooled.equity.drawdown.amount == 4
    assert found.source == "ledger"


def test_the_capital_is_asked_for_at_the_start():
    asked = []
    live_report(make_report("demo", FACTS, DECISIONS), [], capital_at=asked.append)
    assert asked == [NOON_MS + 2 * MINUTE_MS]


def test_without_capital_it_is_said_and_nothing_is_measured_against_it():
    made = live("demo", FACTS, DECISIONS, capital=None)
    assert made.performance.pooled.equity.total_return == NO_CAPITAL
    assert any("Nobody knows the capital" in note for note in made.record.notes)
    assert not any("less what was realised between" in note for note in made.record.notes)


def test_the_figures_of_both_halves_agree():
    made = live("demo", FACTS, DECISIONS)
    trades, summary = made.performance.pooled.trades, made.ledger.summary
    assert (trades.signals, trades.wins, trades.pnl_net) == (summary.count, summary.wins, summary.pnl_net)
    assert trades.average_pnl == pytest.approx(summary.average_pnl_ratio)
    assert made.performance.denials == made.ledger.denials


def test_a_symbol_that_only_has_signals_is_compared_too():
    only_open = [replace(row, symbol="XRP/USDT", signal_id="trend/XRP/USDT#1") for row in FACTS[:2]]
    made = live("demo", [*FACTS, *only_open], DECISIONS)
    assert [part.symbol for part in made.performance.symbols] == ["BTC/USDT", "ETH/USDT", "XRP/USDT"]
