"""The `risk.trading_states` section: what besides losses moves the trading state.

Rules of this file: a count of what goes wrong is over all symbols together and over a sliding window; null switches it off.
"""

from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator

from livebot.config.problems import Mismatch
from livebot.config.section import Section
from livebot.config.values import Count, Seconds

Action = Literal["reduce", "halt"]
_ACTION = "reduce: REDUCING until it has passed; halt: HALTED until `livebot unhalt`"


class OrderErrorsConfig(Section):
    """Orders that the venue refused, that nobody knows the fate of, or that could not be sent.

    Not counted: what the portfolio denied, a limit entry that must not take and was refused for that, a refused change.
    """

    maximum: Count = Field(default=100, description="so many within the window are allowed, over all symbols")
    window_seconds: Seconds = Field(default=Decimal(60), description="the length of the sliding window")
    cooldown_seconds: Seconds = Field(
        default=Decimal(300), description="reduce: how long after the last error that was too many entries begin again"
    )
    action: Action = Field(default="reduce", description=_ACTION)

    @model_validator(mode="after")
    def _only_what_reduces_cools_down(self) -> Self:
        if self.action == "halt" and "cooldown_seconds" in self.model_fields_set:
            raise Mismatch(("cooldown_seconds", "means nothing for action: halt, which an operator lifts; take it out"))
        return self


class WorkerFailuresConfig(Section):
    """Failures of symbols' workers: each symbol has its own budget (`runtime.restarts`), this is the one of all together."""

    maximum: Count = Field(default=300, description="so many within the window are allowed, over all symbols")
    window_seconds: Seconds = Field(default=Decimal(600), description="the length of the sliding window")
    action: Action = Field(default="halt", description=f"{_ACTION}, here when a window has gone by without too many")


class TradingStatesConfig(Section):
    """Both; null: no such count."""

    order_errors: OrderErrorsConfig | None = Field(
        default=OrderErrorsConfig(), description="errors of orders at a venue; mode paper has none that count"
    )
    worker_failures: WorkerFailuresConfig | None = Field(
        default=WorkerFailuresConfig(), description="the global budget of failures"
    )
