"""Figures over all symbols, from rows in the order of the ledger."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livebot.core.facts import NO_EXPOSURE, EntryCancelled, SignalClosed, SignalClosing, SignalOpened
from livebot.core.market import Side
from livebot.core.signal import CancelReason, CloseReason
from livebot.errors import BadInput
from livebot.reporting.signals_report import Selection, make_report, row_of
from tests.reporting.rows import DECISIONS, FACTS, MINUTE_MS, NOON_MS, closed, decision, fact


def report(selection=None):
    return make_report("demo", FACTS, DECISIONS, selection)


def test_the_figures_in_all():
    found = report()
    assert (found.events, found.symbols, found.summary.count) == (10, 2, 3)
    assert (found.summary.wins, found.summary.losses) == (2, 1)
    assert found.summary.average_pnl_ratio == Decimal("0.028") / 3
    assert found.summary.pnl_net == Decimal("13.75")


def test_each_strategy_and_symbol_by_itself():
    assert [(group.strategy, group.symbol, group.events, group.summary.count) for group in report().groups] == [
        ("other", "BTC/USDT", 2, 0),
        ("trend", "BTC/USDT", 6, 2),
        ("trend", "ETH/USDT", 2, 1),
    ]


def test_every_signal_as_of_its_last_change():
    assert [(line.signal_id, line.action, line.reason) for line in report().signals] == [
        ("trend/BTC/USDT#1", "CLOSED", "take_profit"),
        ("trend/ETH/USDT#1", "CLOSED", "stop_loss"),
        ("other/BTC/USDT#1", "CANCELLED", "expired"),
        ("trend/BTC/USDT#2", "CLOSED", "trailing_stop"),
        ("trend/BTC/USDT#3", "OPENED", None),
    ]


def test_denials_are_counted_by_code_the_most_frequent_first():
    assert [(denial.outcome, denial.code, denial.count) for denial in report().denials] == [
        ("denied", "open_signals", 2),
        ("denied", "drawdown", 1),
        ("refused", "minimum_notional", 1),
    ]


@pytest.mark.parametrize(
    ("selection", "events", "count", "denials"),
    [
        (Selection(strategy="other"), 2, 0, 1),
        (Selection(symbol="ETH/USDT"), 2, 1, 1),
        (Selection(strategy="trend", symbol="BTC/USDT"), 6, 2, 2),
        (Selection(since_ms=NOON_MS + 8 * MINUTE_MS), 2, 1, 1),
        (Selection(since_ms=NOON_MS + 8 * MINUTE_MS + 1), 1, 0, 1),
        (Selection(strategy="nobody"), 0, 0, 0),
    ],
)
def test_only_what_is_selected_counts(selection, events, count, denials):
    found = report(selection)
    assert (found.events, found.summary.count, len(found.denials)) == (events, count, denials)


def test_nothing_has_no_figures():
    found = make_report("demo", [], [])
    assert (found.events, found.symbols, found.groups, found.denials, found.signals) == (0, 0, (), (), ())
    assert (found.summary.win_rate, found.summary.average_pnl_ratio) == (None, None)


def test_a_kind_from_a_later_version_is_an_event_and_nothing_else():
    found = make_report("demo", [fact("SignalPraised", 0)], [])
    assert (found.events, found.signals) == (1, ())


def test_a_closed_signal_without_pnl_is_a_damaged_ledger():
    with pytest.raises(BadInput) as caught:
        make_report("demo", [replace(closed(0, "0.1", "1"), pnl_net=None)], [])
    assert str(caught.value) == (
        "the ledger's row of the closed signal trend/BTC/USDT#1 has no PnL; the ledger is damaged"
    )


FACT: dict[str, Any] = {
    "strategy": "trend",
    "symbol": "BTC/USDT",
    "sequence": 7,
    "ts_ms": NOON_MS,
    "signal_id": "trend/BTC/USDT#1",
    "side": Side.LONG,
    "exposure": NO_EXPOSURE,
}


def test_facts_become_rows():
    one = Decimal(1)
    opened = SignalOpened(**FACT, quantity=one, price=one, stop_loss=one, take_profit=one)
    assert row_of(opened) == fact("SignalOpened", 0)
    assert row_of(SignalClosing(**FACT, reason=CloseReason.OPERATOR)) == fact("SignalClosing", 0, reason="operator")
    cancelled = EntryCancelled(**FACT, reason=CancelReason.EXPIRED, text="")
    assert row_of(cancelled) == fact("EntryCancelled", 0, reason="expired")
    ended = SignalClosed(
        **FACT,
        reason=CloseReason.STOP_LOSS,
        opened_ms=0,
        quantity=one,
        entry_price=one,
        exit_price=one,
        fees=one,
        pnl_net=Decimal("-2.5"),
        pnl_ratio=Decimal("-0.01"),
    )
    assert row_of(ended) == closed(0, "-0.01", "-2.5", "stop_loss")


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["X/Y", "Z/Y"]), st.integers(-100, 100)), max_size=20
    )
)
def test_groups_add_up_to_the_whole(signals):
    rows = [
        closed(number, "0.01", pnl, strategy=strategy, symbol=symbol, number=number)
        for number, (strategy, symbol, pnl) in enumerate(signals)
    ]
    found = make_report("demo", rows, [decision("denied", "halted")])
    for figure in ("count", "wins", "losses", "pnl_net"):
        assert sum(getattr(group.summary, figure) for group in found.groups) == getattr(found.summary, figure)
    assert sum(group.events for group in found.groups) == found.events == len(found.signals)
