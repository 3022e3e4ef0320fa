"""From the `risk.trading_states` section to the settings that the runtime works under.

Rules of this file: as `terms`: values only.
"""

from livebot.config.model import Config
from livebot.config.trading_states import OrderErrorsConfig, WorkerFailuresConfig
from livebot.config.venue import SIMULATOR
from livebot.runtime.settings import ErrorBudget, StateAction, TradingStateSettings


def trading_state_settings(config: Config) -> TradingStateSettings:
    """What moves the trading state.

    The noes of our own matching engine are those of a backtest, which has no venue that could fail: they do not count.
    """
    section = config.risk.trading_states
    has_venue = config.mode == "live" and config.exchange.id != SIMULATOR
    errors = section.order_errors if has_venue else None
    return TradingStateSettings(
        order_errors=None if errors is None else _order_errors(errors),
        worker_failures=None if section.worker_failures is None else _worker_failures(section.worker_failures),
    )


def _order_errors(section: OrderErrorsConfig) -> ErrorBudget:
    return ErrorBudget(
        maximum=section.maximum,
        window_s=float(section.window_seconds),
        cooldown_s=float(section.cooldown_seconds),
        action=StateAction(section.action),
    )


def _worker_failures(section: WorkerFailuresConfig) -> ErrorBudget:
    window_s = float(section.window_seconds)
    return ErrorBudget(
        maximum=section.maximum, window_s=window_s, cooldown_s=window_s, action=StateAction(section.action)
    )
