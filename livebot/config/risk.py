"""The `risk` section: how large a signal is, what an entry must satisfy, how it is managed, what is allowed in all.

Rules of this file: ratios are fractions (0.05 is 5 %); a limit that could never bind, or would always, is refused.
"""

from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator

from livebot.config.problems import Mismatch
from livebot.config.section import Section
from livebot.config.values import (
    Count,
    Hours,
    Minutes,
    Multiple,
    NumberOrZero,
    Quote,
    Ratio,
    RatioOrOne,
    RatioOrZero,
)

_AMOUNTS = {
    "fixed": {"notional": "the quote amount of each signal"},
    "fraction": {"fraction": "the part of equity that each signal takes"},
    "risk_to_stop": {
        "fraction": "the part of equity lost if the stop is hit",
        "maximum_fraction": "the most of equity that one signal takes",
    },
}


class SizingConfig(Section):
    """How large a signal is.  fixed: `notional` (quote); fraction: `fraction` of equity; risk_to_stop: both ratios."""

    kind: Literal["fixed", "fraction", "risk_to_stop"] = Field(description="fixed, fraction or risk_to_stop")
    notional: Quote | None = None
    fraction: RatioOrOne | None = None
    maximum_fraction: Multiple | None = None

    @model_validator(mode="after")
    def _amounts_fit_the_kind(self) -> Self:
        needed = _AMOUNTS[self.kind]
        found = []
        for key in ("notional", "fraction", "maximum_fraction"):
            given = getattr(self, key) is not None
            if key in needed and not given:
                found.append((key, f"is missing; kind {self.kind} needs {needed[key]}"))
            if key not in needed and given:
                found.append((key, f"means nothing for kind {self.kind}; take it out"))
        if found:
            raise Mismatch(*found)
        return self


class EntryConfig(Section):
    """What an entry must satisfy: distances are ratios of its price, lifetimes whole minutes."""

    minimum_stop_distance: Ratio = Decimal("0.0005")
    maximum_stop_distance: Ratio = Decimal("0.5")
    minimum_target_distance: Ratio = Decimal("0.0005")
    minimum_reward_to_risk: NumberOrZero = Decimal(0)
    minimum_lifetime_minutes: Minutes = 1
    maximum_lifetime_minutes: Minutes = 30 * 24 * 60

    @model_validator(mode="after")
    def _minimums_stay_below_maximums(self) -> Self:
        found = [
            (f"minimum_{name}", f"{least} is above maximum_{name} ({most}); no entry could pass")
            for name, least, most in (
                ("stop_distance", self.minimum_stop_distance, self.maximum_stop_distance),
                ("lifetime_minutes", self.minimum_lifetime_minutes, self.maximum_lifetime_minutes),
            )
            if least > most
        ]
        if found:
            raise Mismatch(*found)
        return self


class TrailingConfig(Section):
    """The stop follows the best price at `distance`, once the gain has reached `after`."""

    distance: Ratio = Field(description="how far the stop stays behind the best price, as a ratio")
    after: RatioOrZero = Decimal(0)


class BreakEvenConfig(Section):
    """The stop moves to the entry price plus `offset` once the gain reaches `after`."""

    after: Ratio = Field(description="the gain at which the stop moves, as a ratio")
    offset: RatioOrZero = Decimal(0)

    @model_validator(mode="after")
    def _offset_is_reached(self) -> Self:
        if self.offset >= self.after:
            raise Mismatch(("offset", f"{self.offset} must be below after ({self.after}), or the stop fills at once"))
        return self


class PartialLevelConfig(Section):
    """At a gain of `gain` close `fraction` of the entered quantity."""

    gain: Ratio = Field(description="the gain at which a part is closed, as a ratio")
    fraction: Ratio = Field(description="how much of the entered quantity is closed, as a ratio")


class AveragingConfig(Section):
    """Add `fraction` of the first quantity when price is `step` better than the running entry, at most `times`."""

    step: Ratio = Field(description="how much better than the running entry the price must be, as a ratio")
    fraction: Multiple = Field(description="how much of the first quantity is added, as a ratio")
    times: Count = Field(description="how often at most")


class ExitsConfig(Section):
    """Management by rule of every open signal whose strategy says nothing else; all of it optional."""

    trailing: TrailingConfig | None = None
    break_even: BreakEvenConfig | None = None
    partial_levels: tuple[PartialLevelConfig, ...] = ()
    averaging: AveragingConfig | None = None


class LimitsConfig(Section):
    """What is allowed in all; null switches a limit off.

    Exposures are ratios of equity (1.5 is 150 %), `daily_loss` of equity at day start, `drawdown` of peak equity.
    """

    open_signals: Count | None = 10
    open_signals_per_strategy: Count | None = None
    gross_exposure: Multiple | None = Decimal(2)
    symbol_exposure: Multiple | None = None
    orders_per_minute: Count | None = 60
    daily_loss: Ratio | None = Decimal("0.10")
    drawdown: Ratio | None = Decimal("0.25")

    @model_validator(mode="after")
    def _parts_stay_below_the_whole(self) -> Self:
        found = [
            (
                part_name,
                f"{part} is above {whole_name} ({whole}), so it could never bind; lower it or raise {whole_name}",
            )
            for part_name, part, whole_name, whole in (
                ("symbol_exposure", self.symbol_exposure, "gross_exposure", self.gross_exposure),
                ("open_signals_per_strategy", self.open_signals_per_strategy, "open_signals", self.open_signals),
            )
            if part is not None and whole is not None and part > whole
        ]
        if found:
            raise Mismatch(*found)
        return self


class LossLimitConfig(Section):
    """When `ratio` of what it all started with is lost, trading halts: it opens nothing more, or closes all as well."""

    ratio: Ratio = Decimal("0.10")
    action: Literal["stop_opening", "flatten"] = "stop_opening"


class WinRateConfig(Section):
    """A symbol that wins less than `minimum` over at least `trades` is off for `off_hours` (null: until resumed)."""

    minimum: Ratio = Decimal("0.40")
    trades: Count = 10
    off_hours: Hours | None = None


class RiskConfig(Section):
    """All of it.  `schedule_minutes` is how long a limit entry rests when its strategy does not say."""

    sizing: SizingConfig = SizingConfig(kind="risk_to_stop", fraction=Decimal("0.005"), maximum_fraction=Decimal("0.1"))
    entry: EntryConfig = EntryConfig()
    exits: ExitsConfig = ExitsConfig()
    schedule_minutes: Minutes = 60
    limits: LimitsConfig = LimitsConfig()
    loss_limit: LossLimitConfig | None = LossLimitConfig()
    win_rate: WinRateConfig | None = WinRateConfig()
