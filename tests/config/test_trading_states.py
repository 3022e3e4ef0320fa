"""The `risk.trading_states` section: its defaults, what it becomes, and what is refused."""

import pytest

from livebot.config.load import check
from livebot.config.trading_state_terms import trading_state_settings
from livebot.runtime.settings import ErrorBudget, StateAction, TradingStateSettings
from tests.config.texts import MINIMAL, complaints

LIVE = MINIMAL + "mode: live\nexchange: {id: bybit}\n"
WORKERS = ErrorBudget(maximum=300, window_s=600.0, cooldown_s=600.0, action=StateAction.HALT)


def settings_of(section: str, head: str = LIVE) -> TradingStateSettings:
    return trading_state_settings(check(f"{head}risk: {{trading_states: {section}}}\n", "config.yaml").config)


def test_both_are_counted_unless_they_are_switched_off():
    """With bounds that a day in order never reaches."""
    orders = ErrorBudget(maximum=100, window_s=60.0, cooldown_s=300.0, action=StateAction.REDUCE)
    assert settings_of("{}") == TradingStateSettings(order_errors=orders, worker_failures=WORKERS)
    assert settings_of("{order_errors: null, worker_failures: null}") == TradingStateSettings()


def test_every_key_becomes_a_bound():
    assert settings_of(
        "{order_errors: {maximum: 7, window_seconds: 30, cooldown_seconds: 5.5, action: reduce},"
        " worker_failures: {maximum: 9, window_seconds: 90, action: reduce}}"
    ) == TradingStateSettings(
        order_errors=ErrorBudget(maximum=7, window_s=30.0, cooldown_s=5.5, action=StateAction.REDUCE),
        worker_failures=ErrorBudget(maximum=9, window_s=90.0, cooldown_s=90.0, action=StateAction.REDUCE),
    )


@pytest.mark.parametrize("head", [MINIMAL, MINIMAL + "mode: paper\nexchange: {id: bybit}\n"])
def test_the_noes_of_our_own_matching_engine_do_not_count(head: str):
    """A backtest has the same ones, and no venue that could fail."""
    assert settings_of("{order_errors: {maximum: 1}}", head) == TradingStateSettings(worker_failures=WORKERS)


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        (
            "{order_errors: {action: halt, cooldown_seconds: 5}}",
            "order_errors.cooldown_seconds: means nothing for action: halt, which an operator lifts; take it out",
        ),
        ("{order_errors: {action: stop}}", "order_errors.action: must be reduce or halt, is 'stop'"),
        ("{order_errors: {maximum: 0}}", "order_errors.maximum: must be a whole number from 1 to 1000000, is 0"),
        ("{worker_failures: {window_seconds: 0}}", "worker_failures.window_seconds: must be seconds above 0"),
    ],
)
def test_what_is_refused(section: str, sentence: str):
    (said,) = complaints(f"{LIVE}risk: {{trading_states: {section}}}\n")
    assert f"risk.trading_states.{sentence}" in said
