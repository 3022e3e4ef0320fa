"""`risk.limits`: what is allowed in all and of one order, each limit with the words for the table in the README.

Rules of this file: ratios are fractions (0.05 is 5 %); null switches a limit off; a limit that could never bind is refused.
"""

from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from livebot.config.problems import Mismatch
from livebot.config.section import Section
from livebot.config.values import Count, Hours, Minutes, Multiple, Quote, Ratio, RatioOrOne, Seconds
from livebot.core.denial import DenialCode


def limit(default: object, unit: str, code: DenialCode, counts: str) -> Any:  # noqa: ANN401 - as pydantic's Field
    """A field that is a limit: its unit, the code of its denials, and what it counts."""
    return Field(default=default, description=counts, json_schema_extra={"unit": unit, "denial": code.value})


class LosingStreakConfig(Section):
    """After `losses` losing closes in a row nothing opens for `cooldown_minutes`; a win ends the row."""

    losses: Count = Field(description="how many closes in a row with a net loss")
    cooldown_minutes: Minutes = Field(description="for how long nothing opens then")
    scope: Literal["all", "symbol"] = Field(
        default="all", description="all: closes of all symbols make one row; symbol: each symbol has its own"
    )


class RepeatedExecutionsConfig(Section):
    """After `maximum` entries of one (strategy, symbol) within `window_hours` the symbol is paused until it is resumed."""

    maximum: Count = Field(description="how many entries of one strategy on one symbol")
    window_hours: Hours = Field(description="within how many hours")


# (the part, the whole): a part above the whole never says no
_PARTS = (
    ("open_signals_per_strategy", "open_signals"),
    ("open_signals_per_cluster", "open_signals"),
    ("net_exposure", "gross_exposure"),
    ("symbol_exposure", "gross_exposure"),
    ("base_exposure", "gross_exposure"),
    ("symbol_exposure", "base_exposure"),
    ("risk_per_trade", "risk_in_all"),
    ("orders_per_second", "orders_per_minute"),
    ("orders_per_second", "orders_per_day"),
    ("orders_per_minute", "orders_per_day"),
)
# (the longer time, the shorter one, how many of those it has)
_RATES = (
    ("orders_per_minute", "orders_per_second", 60),
    ("orders_per_day", "orders_per_minute", 24 * 60),
    ("orders_per_day", "orders_per_second", 24 * 60 * 60),
)


class LimitsConfig(Section):
    """What is allowed; null switches a limit off."""

    open_signals: Count | None = limit(
        10, "signals", DenialCode.OPEN_SIGNALS, "Signals that are not over, of all strategies."
    )
    open_signals_per_strategy: Count | None = limit(
        None, "signals", DenialCode.OPEN_SIGNALS_STRATEGY, "The same of each strategy."
    )
    open_signals_per_cluster: Count | None = limit(
        None,
        "signals",
        DenialCode.OPEN_SIGNALS_CLUSTER,
        "The same of each cluster of symbols that move together (`risk.clusters`); a symbol in none is one by itself.",
    )
    gross_exposure: Multiple | None = limit(
        Decimal(2), "ratio of equity", DenialCode.GROSS_EXPOSURE, "Notional of all that is open, pending or reserved."
    )
    net_exposure: Multiple | None = limit(
        None,
        "ratio of equity",
        DenialCode.NET_EXPOSURE,
        "The same of the entry's side less what is open (not pending) on the other side.",
    )
    symbol_exposure: Multiple | None = limit(
        None,
        "ratio of equity",
        DenialCode.SYMBOL_EXPOSURE,
        "The same as gross exposure, of one symbol over all strategies.",
    )
    base_exposure: Multiple | None = limit(
        None, "ratio of equity", DenialCode.BASE_EXPOSURE, "The same of one base asset: BTC/USDT and BTC/USDC are one."
    )
    risk_per_trade: Ratio | None = limit(
        None,
        "ratio of equity",
        DenialCode.RISK_PER_TRADE,
        "What one signal loses at its stop, averaging with it, before fees.",
    )
    risk_in_all: RatioOrOne | None = limit(
        None, "ratio of equity", DenialCode.RISK_IN_ALL, "What all signals lose if each stop fills at its price."
    )
    order_notional: Quote | None = limit(
        None, "quote", DenialCode.ORDER_NOTIONAL, "Notional of one order that opens or adds."
    )
    price_collar: Ratio | None = limit(
        None,
        "ratio of price",
        DenialCode.PRICE_COLLAR,
        "How far the order's price (at the market: the price it was sized at) is from the symbol's last price.",
    )
    stale_data_seconds: Seconds | None = limit(
        None, "seconds", DenialCode.STALE_DATA, "How old the candle's close is when the entry is decided on."
    )
    minimum_confidence: RatioOrOne | None = limit(
        None,
        "probability",
        DenialCode.MINIMUM_CONFIDENCE,
        "The least confidence of an entry; one that has none is denied.",
    )
    duplicate_order_seconds: Seconds | None = limit(
        None,
        "seconds",
        DenialCode.DUPLICATE_ORDER,
        "For how long an order of the same symbol, side, quantity and price as one before is a mistake, whoever asks.  The "
        "very same order is never sent twice, whatever stands here.",
    )
    repeated_executions: RepeatedExecutionsConfig | None = limit(
        None,
        "entries in `window_hours`",
        DenialCode.REPEATED_EXECUTIONS,
        "`maximum` entries of one strategy on one symbol within the window; the symbol is paused then, over any restart, "
        "until `livebot resume SYMBOL`.",
    )
    orders_per_second: Count | None = limit(
        None, "orders", DenialCode.ORDERS_PER_SECOND, "Orders that open or add, let through in the last second."
    )
    orders_per_minute: Count | None = limit(60, "orders", DenialCode.ORDERS_PER_MINUTE, "The same in the last minute.")
    orders_per_day: Count | None = limit(
        None,
        "orders",
        DenialCode.ORDERS_PER_DAY,
        "The same since midnight UTC.  After a restart they are counted from the ledger: entries exactly, of averaging each "
        "fill and each failure (an averaging order that rests unfilled then is not counted).",
    )
    losing_streak: LosingStreakConfig | None = limit(
        None,
        "losing closes",
        DenialCode.LOSING_STREAK,
        "`losses` closes in a row with a net loss, of all symbols or of each (`scope`); nothing opens for "
        "`cooldown_minutes` then, and the count begins anew.",
    )
    daily_loss: Ratio | None = limit(
        Decimal("0.10"),
        "ratio of equity",
        DenialCode.DAILY_LOSS,
        "What was lost since midnight UTC, open positions at their last prices, of the equity then; trading is REDUCING then.",
    )
    drawdown: Ratio | None = limit(
        Decimal("0.25"),
        "ratio of equity",
        DenialCode.DRAWDOWN,
        "What was lost since equity was highest, of that; trading is HALTED then.",
    )

    @model_validator(mode="after")
    def _each_can_bind(self) -> Self:
        found = [*self._parts_above_the_whole(), *self._rates_never_met()]
        if found:
            raise Mismatch(*found)
        return self

    def _parts_above_the_whole(self) -> list[tuple[str, str]]:
        found = []
        for part_name, whole_name in _PARTS:
            part, whole = getattr(self, part_name), getattr(self, whole_name)
            # what was not written is not complained about
            if part_name in self.model_fields_set and part is not None and whole is not None and part > whole:
                text = f"{part} is above {whole_name} ({whole}), so it could never bind; lower it or raise {whole_name}"
                found.append((part_name, text))
        return found

    def _rates_never_met(self) -> list[tuple[str, str]]:
        found = []
        for name, shorter_name, count in _RATES:
            most, shorter = getattr(self, name), getattr(self, shorter_name)
            if name in self.model_fields_set and most is not None and shorter is not None and most > count * shorter:
                text = f"{most} could never bind: with {shorter_name} {shorter} there are at most {count * shorter}; lower it"
                found.append((name, text))
        return found
