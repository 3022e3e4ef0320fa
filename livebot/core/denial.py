"""The portfolio's no: its codes, its texts, and the states in which it says no to every entry.

Rules of this file: every code is one reason; a text says in plain words what happened and what lifts it.
"""

from dataclasses import dataclass
from enum import Enum


class TradingState(Enum):
    """ACTIVE opens and closes; REDUCING only closes; HALTED only closes and stays so until an operator lifts it."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class DenialCode(Enum):
    """Why the portfolio said no; one for each limit."""

    HALTED = "halted"
    REDUCING = "reducing"
    STOPPING = "stopping"
    VENUE = "venue"
    PAUSED = "paused"
    FLATTENING = "flattening"
    QUARANTINED = "quarantined"
    SWITCHED_OFF = "switched_off"
    FOREIGN = "foreign"
    UNIVERSE = "universe"
    OPPOSITE_SIDE = "opposite_side"
    OPEN_SIGNALS = "open_signals"
    OPEN_SIGNALS_STRATEGY = "open_signals_strategy"
    OPEN_SIGNALS_CLUSTER = "open_signals_cluster"
    GROSS_EXPOSURE = "gross_exposure"
    NET_EXPOSURE = "net_exposure"
    SYMBOL_EXPOSURE = "symbol_exposure"
    BASE_EXPOSURE = "base_exposure"
    RISK_PER_TRADE = "risk_per_trade"
    RISK_IN_ALL = "risk_in_all"
    ORDER_NOTIONAL = "order_notional"
    PRICE_COLLAR = "price_collar"
    STALE_DATA = "stale_data"
    MINIMUM_CONFIDENCE = "minimum_confidence"
    DUPLICATE_ORDER = "duplicate_order"
    REPEATED_EXECUTIONS = "repeated_executions"
    ORDERS_PER_SECOND = "orders_per_second"
    ORDERS_PER_MINUTE = "orders_per_minute"
    ORDERS_PER_DAY = "orders_per_day"
    LOSING_STREAK = "losing_streak"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    ROUND = "round"
    CHECK_FAILED = "check_failed"


@dataclass(frozen=True, slots=True)
class Denied:
    """The portfolio's no (a venue's no is OrderRejected)."""

    code: DenialCode
    text: str


_TEXTS = {
    DenialCode.HALTED: "trading is HALTED: nothing opens until an operator lifts it",
    DenialCode.REDUCING: "trading is REDUCING, `livebot status` says why: positions are only closed",
    DenialCode.STOPPING: "the daemon is stopping and opens nothing more",
    DenialCode.VENUE: "the connection to the venue is not in order for {symbol}: nothing opens there until it is",
    DenialCode.PAUSED: "{symbol} is paused by an operator",
    DenialCode.FLATTENING: "{symbol} is being closed: nothing opens there until it is flat",
    DenialCode.QUARANTINED: "{symbol} is in quarantine after repeated failures, until it is restarted",
    DenialCode.REPEATED_EXECUTIONS: (
        "{symbol} is paused because one strategy entered it too often in a short time: `livebot resume {symbol}`, once you "
        "know why"
    ),
    DenialCode.SWITCHED_OFF: "{symbol} is switched off because too few of its signals won",
    DenialCode.FOREIGN: "{symbol} has an order or a position that is not ours, until it is adopted or dismissed",
    DenialCode.UNIVERSE: "{symbol} has left the universe",
    DenialCode.CHECK_FAILED: "a part of the daemon is at fault: nothing opens until that has passed",
}
_OTHERWISE = "{symbol} takes no new entries at present"
STATE_CODES = {TradingState.HALTED: DenialCode.HALTED, TradingState.REDUCING: DenialCode.REDUCING}


def blocked(code: DenialCode, symbol: str) -> Denied:
    """No to whatever asks at the symbol, for a reason that has nothing to do with amounts."""
    return Denied(code, _TEXTS.get(code, _OTHERWISE).format(symbol=symbol))
