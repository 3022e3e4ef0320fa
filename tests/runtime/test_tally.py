"""What is counted of decisions and closed signals."""

from dataclasses import replace
from decimal import Decimal

from livebot.runtime.tally import OTHER, REASONS_MAX, Tally
from tests.runtime.samples import BTC, ETH, Teller, decision


def closed(symbol=BTC, *, pnl=1, sequence=1, strategy="trend"):
    fact = Teller().closed(pnl)
    return replace(fact, symbol=symbol, sequence=sequence, strategy=strategy)


def test_decisions_are_counted_by_outcome_and_code():
    tally = Tally()
    tally.count([decision(), decision(), replace(decision(), outcome="approved", code="approved"), Teller().opening()])
    assert sum(tally.decisions.values()) == 3
    assert tally.decisions["approved", "approved"] == 1
    assert tally.decisions[decision().outcome, decision().code] == 2


def test_codes_are_bounded_whatever_comes():
    tally = Tally()
    tally.count([replace(decision(), code=f"made up {number}") for number in range(REASONS_MAX + 40)])
    assert len(tally.decisions) == REASONS_MAX + 1
    assert tally.decisions[decision().outcome, OTHER] == 40


def test_closed_signals_add_up_by_strategy():
    tally = Tally()
    tally.count([closed(pnl=3), closed(ETH, pnl=-5), closed(pnl=7, strategy="other one")])
    assert tally.realised == {"trend": Decimal(-2), "other one": Decimal(7)}


def test_what_closed_before_this_process_counts_once_however_often_it_is_told():
    """The ledger has it, an outbox has it, and the worker publishes the outbox."""
    tally = Tally()
    tally.restore([closed(pnl=5, sequence=9), closed(pnl=3, sequence=4), closed(pnl=5, sequence=9)])
    assert tally.realised == {"trend": Decimal(8)}
    tally.count([closed(pnl=5, sequence=9), closed(pnl=2, sequence=12)])
    assert tally.realised == {"trend": Decimal(10)}


def test_a_clock_that_is_ahead_makes_no_negative_delay():
    tally = Tally()
    tally.asked(0.002, -0.5)
    tally.asked(0.002, 0.5)
    assert (tally.delays.total, tally.delays.cumulative[-1]) == (0.5, 2)
    assert tally.calls.total == 0.004
