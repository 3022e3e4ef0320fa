"""What is allowed, and the numbers that it binds.

Rules of this file: values only; None means no such limit.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from livebot.core.denial import DenialCode, TradingState
from livebot.core.market import Side
from livebot.core.order import ZERO
from livebot.core.quick_init import quick_init
from livebot.core.streak import LosingStreak


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedExecutions:
    """So many entries of one (strategy, symbol) within `window_ms`, and only a human lets the symbol go on."""

    maximum: int
    window_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is allowed; None means no such limit.

    Counts are of signals that are Scheduled, Opening, Open or Closing; exposures and risks are ratios of equity (1.5 is
    150 %); losses are positive ratios, of day-start equity (`daily_loss`) and of peak equity (`drawdown`).  Of one order:
    `order_notional` in quote, `price_collar` the ratio by which its price may differ from the last one.
    """

    open_signals: int | None = None
    open_signals_per_strategy: int | None = None
    open_signals_per_cluster: int | None = None
    gross_exposure: Decimal | None = None
    net_exposure: Decimal | None = None
    symbol_exposure: Decimal | None = None
    base_exposure: Decimal | None = None
    risk_per_trade: Decimal | None = None
    risk_in_all: Decimal | None = None
    order_notional: Decimal | None = None
    price_collar: Decimal | None = None
    stale_data_ms: int | None = None
    minimum_confidence: Decimal | None = None
    duplicate_order_ms: int | None = None
    repeated_executions: RepeatedExecutions | None = None
    orders_per_second: int | None = None
    orders_per_minute: int | None = None
    orders_per_day: int | None = None
    losing_streak: LosingStreak | None = None
    daily_loss: Decimal | None = None
    drawdown: Decimal | None = None


class Equities(Protocol):
    """What losses are read off, in quote: what the account is worth, was worth as the day began, and at most."""

    @property
    def equity(self) -> Decimal: ...
    @property
    def day_start_equity(self) -> Decimal: ...
    @property
    def peak_equity(self) -> Decimal: ...


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the limits bind, now, with all reservations counted and the candidate itself not.

    Notionals, risks and equities in quote currency.  `blocks` are the reasons that stop this symbol whatever the numbers;
    `symbol_side` is the side that the symbol holds or has pending, over all strategies (accounts net positions).
    `net_exposure` is the worst case on the candidate's side: all that is open, pending and reserved there less what is
    *open* on the other, because what is only pending there may never fill.  `risk_of_signal` is what the candidate's own
    signal may lose already (averaging).  `age_ms` is how old its data are; `last_price` is None before there is one.
    `sent_before`: this very order was let through and sent; `same_order_ms`: how long ago one like it was let through,
    None if none was of late.  `cooldown_ms` is what is left of the cooldown after a losing streak.
    """

    trading_state: TradingState
    blocks: tuple[DenialCode, ...]
    symbol_side: Side | None
    open_signals: int
    open_signals_of_strategy: int
    cluster: str = ""
    open_signals_of_cluster: int = 0
    gross_exposure: Decimal
    net_exposure: Decimal = ZERO
    symbol_exposure: Decimal
    base_exposure: Decimal = ZERO
    risk_of_signal: Decimal = ZERO
    risk_in_all: Decimal = ZERO
    last_price: float | None = None
    age_ms: int = 0
    sent_before: bool = False
    same_order_ms: int | None = None
    orders_last_second: int = 0
    orders_last_minute: int
    orders_today: int = 0
    cooldown_ms: int = 0
    equity: Decimal
    day_start_equity: Decimal
    peak_equity: Decimal
