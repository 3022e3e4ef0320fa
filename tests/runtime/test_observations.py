"""What the workers see besides facts, for the operator."""

from decimal import Decimal

from livebot.runtime.portfolio.blocks import Blocks
from livebot.runtime.problems import Problems
from livebot.runtime.venue.comparisons import Comparisons
from livebot.runtime.venue.foreign import Foreign
from livebot.runtime.venue.observations import Observations
from livebot.runtime.venue.reconcile import Changes
from tests.runtime.samples import BTC, Teller, decision


def observations():
    problems, blocks, comparisons = Problems(), Blocks(None), Comparisons()
    return Observations(problems, Foreign(problems, blocks), comparisons), problems, blocks, comparisons


def test_facts_and_decisions_are_counted_by_kind():
    """Failures and the rest as well."""
    made, *_ = observations()
    made.count([Teller().opening(), decision(), decision()])
    made.failed(BTC, "ArithmeticError: no")
    made.order_unknown(BTC, "lb1", "stop order")
    made.withdrawn(BTC, "trend", "lb2")
    made.event_of_unknown_order(BTC, "hand1")
    made.gap(BTC, "trend", 3)
    made.refused_candle(BTC, "high is below low")
    assert made.counts == {
        "facts": 1,
        "denied": 2,
        "failures": 1,
        "orders_asked_for": 1,
        "withdrawn": 1,
        "events_of_unknown_orders": 1,
        "gaps": 1,
        "refused_candles": 1,
    }
    assert made.last_errors == {BTC: "ArithmeticError: no"}


def test_the_longest_slow_call_of_each_strategy_is_kept():
    """By name."""
    made, *_ = observations()
    for took_ms in (60.0, 140.0, 80.0):
        made.slow_call("trend", BTC, "decide", took_ms)
    assert made.slow_calls == {"trend": 140.0}
    assert made.counts["slow_calls"] == 3


def test_what_comparisons_changed_is_counted_and_passed_on():
    """Orders, fills, positions closed outside."""
    made, _, _, comparisons = observations()
    made.compared(BTC, Changes(orders=2, fills=3))
    made.compared(BTC, Changes(closed_outside=1))
    counted = {name: made.counts[name] for name in ("orders_reconciled", "fills_reconciled", "closed_outside")}
    assert counted == {"orders_reconciled": 2, "fills_reconciled": 3, "closed_outside": 1}
    assert comparisons.take() == Changes(orders=2, fills=3, closed_outside=1)


def test_a_position_that_is_not_ours_blocks_its_symbol():
    """As long as it is there."""
    made, problems, blocks, _ = observations()
    made.foreign_position(BTC, Decimal(2))
    assert blocks.of(BTC)
    assert len(problems.sentences()) == 1
    assert made.dismissed_quantity(BTC) == 0
    made.foreign_position(BTC, Decimal(0))
    assert not blocks.of(BTC)
    assert problems.sentences() == ()


def test_an_unprotected_position_is_shown_by_its_signal_and_a_problem_once_overdue():
    """Until it is protected or gone."""
    made, problems, *_ = observations()
    made.unprotected(BTC, "trend", f"trend/{BTC}#7")
    assert made.unprotected_now == (f"trend/{BTC}#7",)
    assert problems.sentences() == ()
    made.overdue(BTC, "trend", 5.0)
    assert problems.sentences() == (
        f"trend/{BTC}#7: the position has had no confirmed stop for 5 s, it is being closed",
    )
    made.unprotected(BTC, "trend", None)
    made.unprotected(BTC, "trend", None)
    assert made.unprotected_now == ()
    assert problems.sentences() == ()
