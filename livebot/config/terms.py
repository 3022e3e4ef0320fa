"""From the config to the terms that core and runtime work under.

Rules of this file: what meets money stays the decimal that stands in the file; only waiting times become floats.
"""

from decimal import Decimal

from livebot.adapters.ccxt_venue.capabilities import VenueCapabilities, capabilities_of
from livebot.config.model import Config
from livebot.config.risk import EntryConfig, ExitsConfig, LimitsConfig, LossLimitConfig, SizingConfig, WinRateConfig
from livebot.config.running import ExecutionConfig, RuntimeConfig
from livebot.config.venue import SIMULATOR
from livebot.core.entry import Averaging, BreakEven, ExitPlan, PartialLevel, Trailing
from livebot.core.market import MINUTE_MS, Instrument
from livebot.core.performance import WinRate
from livebot.core.risk import Limits
from livebot.core.rules import (
    EntryRules,
    FixedNotional,
    FractionOfEquity,
    LimitEntries,
    RiskToStop,
    Rules,
    Sizing,
)
from livebot.runtime.settings import (
    ExecutionSettings,
    LedgerSettings,
    ListenerSettings,
    LossAction,
    LossLimit,
    RestartSettings,
    RunMode,
    RuntimeSettings,
)

_HOUR_MS = 60 * MINUTE_MS


def rules(config: Config, strategy: str, instrument: Instrument) -> Rules:
    """The fixed terms of one (strategy id, symbol)."""
    return Rules(
        system=config.system,
        strategy=strategy,
        instrument=instrument,
        sizing=sizing(config.risk.sizing),
        entry=entry_rules(config.risk.entry),
        exits=exit_plan(config.risk.exits),
        schedule_ms=config.risk.schedule_minutes * MINUTE_MS,
        protection_attempts=config.execution.protection_attempts,
        limit_entries=limit_entries(config.execution),
        post_only=config.execution.post_only,
        amend_interval_ms=_ms(config.execution.amend_interval_seconds),
        attached_stop=_attaches_stops(config),
        resting_target=_rests_targets(config),
        replaces_stops=config.exchange.id != SIMULATOR and _venue(config).replaces_stops,
    )


def limit_entries(section: ExecutionConfig) -> LimitEntries | None:
    """How entries at the market rest instead; None: they do not."""
    if section.entry == "market":
        return None
    return LimitEntries(
        offset=section.limit_offset,
        timeout_ms=_ms(section.limit_timeout_seconds),
        reprices=section.limit_reprices,
        chase=section.limit_chase,
    )


def _ms(seconds: Decimal) -> int:
    return int(seconds * 1000)


def _attaches_stops(config: Config) -> bool:
    return config.exchange.id != SIMULATOR and _venue(config).attached_stop is not None


def _rests_targets(config: Config) -> bool:
    return config.exchange.id == SIMULATOR or _venue(config).resting_target


def _venue(config: Config) -> VenueCapabilities:
    return capabilities_of(config.exchange.id, config.market)


def sizing(section: SizingConfig) -> Sizing:
    """How large a signal is."""
    if section.notional is not None:
        return FixedNotional(section.notional)
    assert section.fraction is not None  # the section has checked that its amounts fit its kind
    if section.maximum_fraction is None:
        return FractionOfEquity(section.fraction)
    return RiskToStop(section.fraction, section.maximum_fraction)


def entry_rules(section: EntryConfig) -> EntryRules:
    """What an entry must satisfy."""
    return EntryRules(
        minimum_stop_distance=section.minimum_stop_distance,
        maximum_stop_distance=section.maximum_stop_distance,
        minimum_target_distance=section.minimum_target_distance,
        minimum_reward_to_risk=section.minimum_reward_to_risk,
        minimum_lifetime_ms=section.minimum_lifetime_minutes * MINUTE_MS,
        maximum_lifetime_ms=section.maximum_lifetime_minutes * MINUTE_MS,
    )


def exit_plan(section: ExitsConfig) -> ExitPlan:
    """Management by rule.

    Raises:
        ValueError: the parts contradict each other; the text begins with the key.

    """
    trailing, break_even, averaging = section.trailing, section.break_even, section.averaging
    return ExitPlan(
        trailing=None if trailing is None else Trailing(distance=trailing.distance, after=trailing.after),
        break_even=None if break_even is None else BreakEven(after=break_even.after, offset=break_even.offset),
        partial_levels=tuple(
            PartialLevel(gain=level.gain, fraction=level.fraction) for level in section.partial_levels
        ),
        averaging=None
        if averaging is None
        else Averaging(step=averaging.step, fraction=averaging.fraction, times=averaging.times),
    )


def limits(section: LimitsConfig) -> Limits:
    """What the portfolio allows."""
    return Limits(
        open_signals=section.open_signals,
        open_signals_per_strategy=section.open_signals_per_strategy,
        gross_exposure=section.gross_exposure,
        symbol_exposure=section.symbol_exposure,
        orders_per_minute=section.orders_per_minute,
        daily_loss=section.daily_loss,
        drawdown=section.drawdown,
    )


def win_rate(section: WinRateConfig | None) -> WinRate | None:
    """When a symbol is switched off; None means never."""
    if section is None:
        return None
    off_ms = None if section.off_hours is None else int(section.off_hours * _HOUR_MS)
    return WinRate(minimum_win_rate=section.minimum, minimum_trades=section.trades, off_ms=off_ms)


def loss_limit(section: LossLimitConfig | None) -> LossLimit | None:
    """When all trading stops; None means never."""
    return None if section is None else LossLimit(ratio=section.ratio, action=LossAction(section.action))


def execution_settings(section: ExecutionConfig) -> ExecutionSettings:
    """How orders are sent and followed."""
    return ExecutionSettings(
        order_timeout_s=float(section.order_timeout_seconds),
        unprotected_s=float(section.unprotected_seconds),
        unknown_poll_s=float(section.unknown_poll_seconds),
        retries=section.retries,
        retry_backoff_s=float(section.retry_backoff_seconds),
        retry_backoff_maximum_s=float(section.retry_backoff_maximum_seconds),
        reconcile_s=float(section.reconcile_seconds),
        wallet_tolerance=section.wallet_tolerance,
    )


def runtime_settings(section: RuntimeConfig) -> RuntimeSettings:
    """How symbols run."""
    restarts, ledger = section.restarts, section.ledger
    return RuntimeSettings(
        mode=RunMode(section.mode),
        signals_per_symbol=section.signals_per_symbol,
        max_concurrent_symbols=section.max_concurrent_symbols,
        queue_size=section.queue_size,
        slow_call_ms=float(section.slow_call_ms),
        context_deadline_s=section.context_deadline_ms / 1000,
        shutdown_s=float(section.shutdown_seconds),
        history=section.history,
        start_disk_s=float(section.start_disk_seconds),
        restarts=RestartSettings(
            maximum=restarts.maximum,
            window_s=float(restarts.window_seconds),
            backoff_s=float(restarts.backoff_seconds),
            backoff_maximum_s=float(restarts.backoff_maximum_seconds),
        ),
        ledger=LedgerSettings(
            queue_size=ledger.queue_size,
            batch_size=ledger.batch_size,
            retries=ledger.retries,
            backoff_s=float(ledger.backoff_seconds),
            backoff_maximum_s=float(ledger.backoff_maximum_seconds),
            start_s=float(ledger.start_seconds),
        ),
        listeners=ListenerSettings(
            queue_size=section.bus_queue_size,
            failures=section.listener_failures,
            deadline_s=float(section.listener_deadline_seconds),
        ),
    )
