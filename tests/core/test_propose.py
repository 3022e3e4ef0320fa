"""From a strategy's wish to a candidate for the portfolio."""

from dataclasses import replace
from decimal import Decimal

import pytest

from livebot.core.candidate import Candidate, Refused
from livebot.core.entry import ExitPlan, Trailing
from livebot.core.inputs import Admitted
from livebot.core.kernel import step
from livebot.core.market import MINUTE_MS, OrderSide, Side
from livebot.core.order import Leg, OrderKind, client_order_id
from livebot.core.propose import Circumstances, propose, trusted
from livebot.core.rules import RiskToStop
from tests.core.examples import LONG_ENTRY, SHORT_ENTRY
from tests.core.kernel_driver import EMPTY, RULES, approve

D = Decimal
NOW = Circumstances(price=D(100), equity=D(1000), ts_ms=7 * MINUTE_MS, confidence=0.6)
PLAN = ExitPlan(trailing=Trailing(distance=D("0.01")))


@pytest.mark.parametrize(("entry", "side"), [(LONG_ENTRY, OrderSide.BUY), (SHORT_ENTRY, OrderSide.SELL)])
def test_a_market_entry_becomes_a_candidate(entry, side):
    """Sized, on ticks, with the next number and the order it would send."""
    candidate = propose(replace(EMPTY, number=4), entry, NOW, RULES)
    assert isinstance(candidate, Candidate)
    signal, order = candidate.signal, candidate.order
    assert signal is not None
    assert (5, D(1), entry.side, D(100)) == (signal.number, signal.quantity, signal.side, signal.reference_price)
    assert (None, None) == (signal.limit_price, signal.schedule_expires_ms)
    assert (D(str(entry.stop_loss)), D(str(entry.take_profit))) == (signal.stop_loss, signal.take_profit)
    assert (entry.lifetime_ms, NOW.ts_ms, 0.6) == (signal.lifetime_ms, signal.created_ms, signal.confidence)
    assert (side, OrderKind.MARKET, D(1), None) == (order.side, order.kind, order.quantity, order.price)
    assert (False, Leg.ENTRY, 1) == (order.reduce_only, order.leg, order.attempt)
    assert client_order_id("perp", "trend", "BTC/USDT", number=5, leg=Leg.ENTRY, attempt=1) == order.client_order_id
    assert (D(100), D(100), D(5)) == (candidate.price, candidate.notional, candidate.risk)
    assert ("trend", "BTC/USDT", 0.6, NOW.ts_ms) == (
        candidate.strategy,
        candidate.symbol,
        candidate.confidence,
        candidate.ts_ms,
    )


def test_a_limit_entry_is_sized_at_its_own_price_and_expires():
    """After its own time, or after the configured one."""
    entry = replace(LONG_ENTRY, limit_price=80.0, stop_loss=78.0, schedule_ms=2 * MINUTE_MS)
    candidate = propose(EMPTY, entry, NOW, RULES)
    assert isinstance(candidate, Candidate)
    assert candidate.signal is not None
    assert (D("1.25"), D(80), 9 * MINUTE_MS) == (
        candidate.signal.quantity,
        candidate.signal.limit_price,
        candidate.signal.schedule_expires_ms,
    )
    assert (D(80), D(100), D("2.5"), D(100)) == (
        candidate.price,
        candidate.notional,
        candidate.risk,
        candidate.signal.reference_price,
    )
    assert (OrderKind.LIMIT, D(80)) == (candidate.order.kind, candidate.order.price)
    configured = propose(EMPTY, replace(entry, schedule_ms=None), NOW, RULES)
    assert isinstance(configured, Candidate)
    assert configured.signal is not None
    assert 8 * MINUTE_MS == configured.signal.schedule_expires_ms


def test_the_entry_s_own_exit_plan_comes_before_the_configured_one():
    """None means the configured one."""
    rules = replace(RULES, exits=PLAN)
    own = ExitPlan()
    for entry, expected in ((LONG_ENTRY, PLAN), (replace(LONG_ENTRY, exits=own), own)):
        candidate = propose(EMPTY, entry, NOW, rules)
        assert isinstance(candidate, Candidate)
        assert candidate.signal is not None
        assert expected is candidate.signal.exits


@pytest.mark.parametrize(
    ("entry", "rules", "code"),
    [
        (replace(LONG_ENTRY, stop_loss=101.0), RULES, "stop_side"),
        (LONG_ENTRY, replace(RULES, sizing=RiskToStop(D("0.0000001"), D(1))), "minimum_quantity"),
    ],
)
def test_what_cannot_be_traded_is_refused_before_the_portfolio_is_asked(entry, rules, code):
    """By the checks or by the size, in their own words."""
    refused = propose(EMPTY, entry, NOW, rules)
    assert isinstance(refused, Refused)
    assert code == refused.code


def test_a_proposal_leaves_no_trace_until_it_is_admitted():
    """Two proposals carry the same number; the kernel takes either, once."""
    first, second = (propose(EMPTY, entry, NOW, RULES) for entry in (LONG_ENTRY, SHORT_ENTRY))
    assert isinstance(first, Candidate)
    assert isinstance(second, Candidate)
    assert first.order.client_order_id == second.order.client_order_id
    made = step(EMPTY, Admitted(approve(second), NOW.ts_ms), RULES)
    assert (1, Side.SHORT) == (made.state.number, made.facts[0].side)


def test_an_entry_carries_its_stop_where_the_venue_can_do_that():
    """On ticks, as the signal has it; averaging never does."""
    entry = replace(LONG_ENTRY, stop_loss=95.004)
    candidate = propose(EMPTY, entry, NOW, replace(RULES, attached_stop=True))
    assert isinstance(candidate, Candidate)
    assert candidate.signal is not None
    assert D("95.01") == candidate.order.attached_stop == candidate.signal.stop_loss
    candidate = propose(EMPTY, entry, NOW, RULES)
    assert isinstance(candidate, Candidate)
    assert candidate.order.attached_stop is None


@pytest.mark.parametrize(
    ("of_model", "of_strategy", "expected"),
    [
        (0.6, None, 0.6),
        (0.6, 0.9, 0.6),
        (None, 0.9, 0.9),
        (None, 0, 0.0),
        (None, 1, 1.0),
        (None, None, None),
        (float("nan"), 0.5, None),
        (None, 1.5, None),
    ],
)
def test_a_models_confidence_stands_above_the_strategys(of_model, of_strategy, expected):
    """What is no probability is nobody's."""
    entry, now = replace(LONG_ENTRY, confidence=of_strategy), replace(NOW, confidence=of_model)
    assert trusted(entry, now) == expected
    candidate = propose(EMPTY, entry, now, RULES)
    if of_strategy != 1.5:
        assert candidate.confidence == candidate.signal.confidence == expected


@pytest.mark.parametrize("changes", [{}, {"limit_price": 80.0, "stop_loss": 78.0, "schedule_ms": 2 * MINUTE_MS}])
def test_a_signal_and_what_tells_of_it_say_which_model_was_asked(changes):
    """None where none was."""
    for model in (None, "trend/20260101T000000Z-0123abcd"):
        candidate = propose(EMPTY, replace(LONG_ENTRY, **changes), replace(NOW, model=model), RULES)
        assert isinstance(candidate, Candidate)
        assert candidate.signal is not None
        made = step(EMPTY, Admitted(approve(candidate), NOW.ts_ms), RULES)
        assert candidate.signal.model == made.facts[0].model == model
        assert made.facts[0].confidence == 0.6


def test_evidence_is_nothing_to_who_sizes_and_checks():
    """A model has looked at it; what is not a number in it is that model's affair."""
    told = replace(LONG_ENTRY, evidence=(1.0, float("nan")))
    assert propose(EMPTY, told, NOW, RULES) == propose(EMPTY, LONG_ENTRY, NOW, RULES)
