"""Facts and decisions as the log tells them."""

from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from livebot.adapters.ledger.fact_log import FactLog
from livebot.core.facts import NO_EXPOSURE, OrderFailed, SignalClosed, StopMoved
from livebot.core.market import Side
from livebot.core.order import Leg
from livebot.core.signal import CloseReason
from livebot.ports import Decision

SHARED: dict[str, Any] = {
    "strategy": "ema_cross",
    "symbol": "BTC/USDT",
    "sequence": 3,
    "ts_ms": 1000,
    "signal_id": "ema_cross/BTC/USDT#1",
    "side": Side.LONG,
    "exposure": NO_EXPOSURE,
}


def a_decision(outcome):
    return Decision(
        strategy="ema_cross",
        symbol="BTC/USDT",
        close_ms=900,
        ts_ms=1000,
        outcome=outcome,
        code="open_signals",
        text="4 of 4 are open",
        side="long",
        confidence=None,
    )


def told(item):
    with capture_logs() as lines:
        FactLog().hear([item])
    return lines


def test_a_fact_is_an_event_with_its_details():
    """Named in snake_case, exact, the time and the signal's id last; what it does not say is left out."""
    fact = SignalClosed(
        **SHARED,
        reason=CloseReason.TAKE_PROFIT,
        opened_ms=500,
        quantity=Decimal("0.5"),
        entry_price=Decimal(100),
        exit_price=Decimal(110),
        fees=Decimal("0.1"),
        pnl_net=Decimal("4.9"),
        pnl_ratio=Decimal("0.098"),
    )
    (line,) = told(fact)
    assert line == {
        "event": "signal_closed",
        "log_level": "info",
        "symbol": "BTC/USDT",
        "strategy": "ema_cross",
        "side": "long",
        "reason": "take_profit",
        "opened_ms": 500,
        "quantity": Decimal("0.5"),
        "entry_price": Decimal(100),
        "exit_price": Decimal(110),
        "fees": Decimal("0.1"),
        "pnl_net": Decimal("4.9"),
        "pnl_ratio": Decimal("0.098"),
        "signal_id": "ema_cross/BTC/USDT#1",
        "ts_ms": 1000,
    }
    assert list(line)[-4:-2] == ["ts_ms", "signal_id"]


@pytest.mark.parametrize(
    ("fact", "event", "level"),
    [
        (StopMoved(**SHARED, stop_loss=Decimal(99), cause="trailing"), "stop_moved", "debug"),
        (
            OrderFailed(**SHARED, leg=Leg.STOP, client_order_id="x", code="absent", text=""),
            "order_failed",
            "warning",
        ),
    ],
)
def test_the_level_is_that_of_the_news(fact, event, level):
    """What went wrong is a warning, what happens all the time is for who looks for a bug."""
    (line,) = told(fact)
    assert (line["event"], line["log_level"], "text" in line) == (event, level, False)


@pytest.mark.parametrize(("outcome", "level"), [("denied", "info"), ("refused", "info"), ("approved", "debug")])
def test_a_decision_is_an_event_named_by_its_outcome(outcome, level):
    """With the code and the sentence."""
    (line,) = told(a_decision(outcome))
    assert (line["event"], line["log_level"]) == (f"entry_{outcome}", level)
    assert (line["code"], line["text"], "confidence" in line) == ("open_signals", "4 of 4 are open", False)
