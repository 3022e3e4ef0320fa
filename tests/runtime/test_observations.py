"""What the workers see besides facts, for the operator."""

from livebot.runtime.observations import Observations
from livebot.runtime.problems import Problems
from tests.runtime.samples import BTC, ETH, Teller, decision


def observations():
    problems, blocks = Problems(), {}
    return Observations(problems, blocks.__setitem__), problems, blocks


def test_facts_and_decisions_are_counted_by_kind():
    """Failures and the rest as well."""
    made, _, _ = observations()
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
    made, _, _ = observations()
    for took_ms in (60.0, 140.0, 80.0):
        made.slow_call("trend", BTC, "decide", took_ms)
    assert made.slow_calls == {"trend": 140.0}
    assert made.counts["slow_calls"] == 3


def test_a_symbol_is_blocked_as_long_as_anything_foreign_is_there():
    """An order, a position, or both."""
    made, problems, blocks = observations()
    made.foreign_orders(BTC, "an order")
    made.foreign_position(BTC, "a position")
    made.foreign_position(ETH, "another position")
    assert blocks == {BTC: "a position", ETH: "another position"}
    assert problems.sentences() == ("an order", "a position", "another position")
    made.foreign_position(BTC, None)
    assert blocks[BTC] == "an order"
    made.foreign_orders(BTC, None)
    made.foreign_orders(BTC, None)
    assert blocks[BTC] is None
    assert problems.sentences() == ("another position",)


def test_an_unprotected_position_is_shown_by_its_signal_and_a_problem_once_overdue():
    """Until it is protected or gone."""
    made, problems, _ = observations()
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
