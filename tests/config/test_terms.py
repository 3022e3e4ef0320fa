"""What core and runtime are told is what stands in the file, to the last digit."""

from decimal import Decimal

import pytest

from livebot.config import terms
from livebot.config.load import check
from livebot.core.entry import NO_EXIT_PLAN, Averaging, BreakEven, ExitPlan, PartialLevel, Trailing
from livebot.core.limits import Limits
from livebot.core.performance import WinRate
from livebot.core.rules import (
    CappedKelly,
    EntryRules,
    FixedNotional,
    FractionOfEquity,
    LimitEntries,
    RiskToStop,
    VolatilityParity,
)
from livebot.runtime.settings import ExecutionSettings, LossAction, LossLimit, RunMode, RuntimeSettings
from tests.config.texts import MINIMAL
from tests.core.examples import INSTRUMENT


def config(extra=""):
    return check(MINIMAL + extra, "config.yaml").config


@pytest.mark.parametrize(
    ("written", "sizing"),
    [
        ("kind: fixed, notional: 100.10", FixedNotional(Decimal("100.10"))),
        ("kind: fraction, fraction: 0.1", FractionOfEquity(Decimal("0.1"))),
        ("kind: risk_to_stop, fraction: 0.01, maximum_fraction: 2", RiskToStop(Decimal("0.01"), Decimal(2))),
        ("kind: volatility, fraction: 0.01, maximum_fraction: 2", VolatilityParity(Decimal("0.01"), Decimal(2), 14)),
        (
            "kind: volatility, fraction: 0.01, maximum_fraction: 2, period: 7",
            VolatilityParity(Decimal("0.01"), Decimal(2), 7),
        ),
        ("kind: kelly, kelly_fraction: 0.25, maximum_fraction: 2", CappedKelly(Decimal("0.25"), Decimal(2))),
    ],
)
def test_sizing(written, sizing):
    assert terms.sizing(config(f"risk: {{sizing: {{{written}}}}}").risk.sizing) == sizing


def test_defaults_are_those_of_the_core():
    risk = config().risk
    assert terms.entry_rules(risk.entry) == EntryRules()
    assert terms.exit_plan(risk.exits) == NO_EXIT_PLAN
    assert terms.win_rate(risk.win_rate) == WinRate()
    assert terms.execution_settings(config().execution) == ExecutionSettings()


def test_how_far_a_list_of_positions_may_be_behind():
    assert terms.execution_settings(config("execution: {positions_lag_seconds: 30}").execution).positions_lag_s == 30.0


def test_exits():
    section = config(
        "risk:\n  exits:\n    trailing: {distance: 0.01, after: 0.02}\n    break_even: {after: 0.01, offset: 0.001}\n"
        "    partial_levels: [{gain: 0.01, fraction: 0.3}, {gain: 0.02, fraction: 0.3}]\n"
        "    averaging: {step: 0.02, fraction: 0.5, times: 2}\n"
    ).risk.exits
    assert terms.exit_plan(section) == ExitPlan(
        trailing=Trailing(distance=Decimal("0.01"), after=Decimal("0.02")),
        break_even=BreakEven(after=Decimal("0.01"), offset=Decimal("0.001")),
        partial_levels=(
            PartialLevel(gain=Decimal("0.01"), fraction=Decimal("0.3")),
            PartialLevel(gain=Decimal("0.02"), fraction=Decimal("0.3")),
        ),
        averaging=Averaging(step=Decimal("0.02"), fraction=Decimal("0.5"), times=2),
    )


def test_limits():
    section = config(
        "risk: {limits: {open_signals: 4, open_signals_per_strategy: 3, gross_exposure: 1.5, symbol_exposure: 0.5,"
        " orders_per_minute: 9, daily_loss: 0.05, drawdown: 0.15}}"
    ).risk.limits
    assert terms.limits(section) == Limits(
        open_signals=4,
        open_signals_per_strategy=3,
        gross_exposure=Decimal("1.5"),
        symbol_exposure=Decimal("0.5"),
        orders_per_minute=9,
        daily_loss=Decimal("0.05"),
        drawdown=Decimal("0.15"),
    )


def test_rules_of_one_symbol():
    written = config(
        "risk: {schedule_minutes: 5, entry: {maximum_lifetime_minutes: 60}}\nexecution: {protection_attempts: 7}\n"
    )
    rules = terms.rules(written, "trend", INSTRUMENT)
    assert (rules.system, rules.strategy, rules.instrument) == ("demo", "trend", INSTRUMENT)
    assert (rules.schedule_ms, rules.protection_attempts) == (300_000, 7)
    assert rules.entry.maximum_lifetime_ms == 3_600_000
    assert (rules.limit_entries, rules.post_only, rules.amend_interval_ms) == (None, False, 1_000)


def test_entries_that_rest():
    written = config(
        "execution: {entry: limit, limit_offset: 0.001, limit_timeout_seconds: 90.5, limit_reprices: 3,"
        " limit_chase: 0.004, post_only: true, amend_interval_seconds: 0}\n"
    )
    rules = terms.rules(written, "trend", INSTRUMENT)
    assert rules.limit_entries == LimitEntries(
        offset=Decimal("0.001"), timeout_ms=90_500, reprices=3, chase=Decimal("0.004")
    )
    assert (rules.post_only, rules.amend_interval_ms) == (True, 0)


def test_loss_limit_and_win_rate():
    risk = config("risk: {loss_limit: {ratio: 0.2, action: flatten}, win_rate: {off_hours: 1.5}}").risk
    assert terms.loss_limit(risk.loss_limit) == LossLimit(ratio=Decimal("0.2"), action=LossAction.FLATTEN)
    assert terms.win_rate(risk.win_rate) == WinRate(off_ms=5_400_000)
    risk = config("risk: {loss_limit: null, win_rate: null}").risk
    assert terms.loss_limit(risk.loss_limit) is None
    assert terms.win_rate(risk.win_rate) is None


def test_runtime():
    settings = terms.runtime_settings(
        config(
            "runtime: {mode: sequential, signals_per_symbol: 3, context_deadline_ms: 1500, bus_queue_size: 7,"
            " restarts: {maximum: 2, backoff_seconds: 0.5}, ledger: {batch_size: 10}}"
        ).runtime
    )
    assert isinstance(settings, RuntimeSettings)
    assert (settings.mode, settings.signals_per_symbol, settings.context_deadline_s) == (RunMode.SEQUENTIAL, 3, 1.5)
    assert (settings.restarts.maximum, settings.restarts.backoff_s) == (2, 0.5)
    assert (settings.ledger.batch_size, settings.listeners.queue_size) == (10, 7)


@pytest.mark.parametrize(
    ("venue", "mode", "attached", "resting", "replaced"),
    [
        ("exchange: {id: simulator}", "paper", False, True, False),
        ("exchange: {id: bybit}", "live", True, True, False),
        ("exchange: {id: bybit}", "paper", True, True, False),
        ("exchange: {id: binance}", "live", False, True, True),
        ("exchange: {id: binanceusdm}", "paper", False, True, True),
    ],
)
def test_the_kernel_is_told_what_the_venue_can_do(venue, mode, attached, resting, replaced):
    """On paper as live: what is tried is what will trade."""
    config = check(MINIMAL + f"{venue}\nmode: {mode}\n", "c").config
    rules = terms.rules(config, "s", INSTRUMENT)
    assert (rules.attached_stop, rules.resting_target, rules.replaces_stops) == (attached, resting, replaced)


@pytest.mark.parametrize("venue", ["bybit", "binance"])
def test_spot_rests_no_target_beside_the_stop_and_takes_a_stop_back_before_the_next(venue):
    """Two of them would lock the same coins."""
    spot = MINIMAL.replace("perpetual", "spot").replace(":USDT", "") + f"exchange: {{id: {venue}}}\n"
    rules = terms.rules(check(spot, "c").config, "s", INSTRUMENT)
    assert (rules.resting_target, rules.replaces_stops) == (False, False)
