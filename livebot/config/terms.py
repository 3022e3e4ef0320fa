"""From the config to the terms that core and runtime work under.

Rules of this file: what meets money stays the decimal that stands in the file; only waiting times become floats.
"""

from decimal import Decimal

from livebot.adapters.ccxt_venue.capabilities import VenueCapabilities, capabilities_of
from livebot.config.limits import LimitsConfig, LosingStreakConfig, RepeatedExecutionsConfig
from livebot.config.model import Config
from livebot.config.risk import EntryConfig, ExitsConfig, LossLimitConfig, SizingConfig, WinRateConfig
from livebot.config.running import ExecutionConfig, RuntimeConfig
from livebot.config.venue import SIMULATOR
from livebot.core.entry import Averaging, BreakEven, ExitPlan, PartialLevel, Trailing
from livebot.core.limits import Limits, RepeatedExecutions
from livebot.core.market import MINUTE_MS, Instrument
from livebot.core.performance import WinRate
from livebot.core.rules import (
    ATR_PERIOD,
    CappedKelly,
    EntryRules,
    FixedNotional,
    FractionOfEquity,
    LimitEntries,
    RiskToStop,
    Rules,
    Sizing,
    VolatilityParity,
)
from livebot.core.streak import LosingStreak, StreakScope
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
    # the section has checked that its amounts fit its kind
    notional, fraction, most = section.notional, section.fraction, section.maximum_fraction
    if notional is not None:
        return FixedNotional(notional)
    if section.kind == "kelly":
        assert section.kelly_fraction is not None
        assert most is not None
        return CappedKelly(section.kelly_fraction, most)
    assert fraction is not None
    if most is None:
        return FractionOfEquity(fraction)
    if section.kind == "volatility":
        return VolatilityParity(fraction, most, section.period or ATR_PERIOD)
    return RiskToStop(fraction, most)


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
        open_signals_per_cluster=section.open_signals_per_cluster,
        gross_exposure=section.gross_exposure,
        net_exposure=section.net_exposure,
        symbol_exposure=section.symbol_exposure,
        base_exposure=section.base_exposure,
        risk_per_trade=section.risk_per_trade,
        risk_in_all=section.risk_in_all,
        order_notional=section.order_notional,
        price_collar=section.price_collar,
        stale_data_ms=_ms_or_none(section.stale_data_seconds),
        minimum_confidence=section.minimum_confidence,
        duplicate_order_ms=_ms_or_none(section.duplicate_order_seconds),
        repeated_executions=_repeated_executions(section.repeated_executions),
        orders_per_second=section.orders_per_second,
        orders_per_minute=section.orders_per_minute,
        orders_per_day=section.orders_per_day,
        losing_streak=_losing_streak(section.losing_streak),
        daily_loss=section.daily_loss,
        drawdown=section.drawdown,
    )


def _ms_or_none(seconds: Decimal | None) -> int | None:
    return None if seconds is None else _ms(seconds)


def _repeated_executions(section: RepeatedExecutionsConfig | None) -> RepeatedExecutions | None:
    if section is None:
        return None
    return RepeatedExecutions(maximum=section.maximum, window_ms=int(section.window_hours * _HOUR_MS))


def _losing_streak(section: LosingStreakConfig | None) -> LosingStreak | None:
    if section is None:
        return None
    cooldown_ms = section.cooldown_minutes * MINUTE_MS
    return LosingStreak(losses=section.losses, cooldown_ms=cooldown_ms, scope=StreakScope(section.scope))


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
        positions_lag_s=float(section.positions_lag_seconds),
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
