"""The `risk` section: how large a signal is, what an entry must satisfy, how it is managed, what is allowed in all.

Rules of this file: ratios are fractions (0.05 is 5 %); a limit that could never bind, or would always, is refused.
"""

from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator

from livebot.config.clusters import ClustersConfig
from livebot.config.limits import LimitsConfig, limit
from livebot.config.problems import Mismatch
from livebot.config.rounds import RoundConfig
from livebot.config.section import Section
from livebot.config.trading_states import TradingStatesConfig
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
from livebot.core.denial import DenialCode

_AMOUNTS = {
    "fixed": {"notional": "the quote amount of each signal"},
    "fraction": {"fraction": "the part of equity that each signal takes"},
    "risk_to_stop": {
        "fraction": "the part of equity lost if the stop is hit",
        "maximum_fraction": "the most of equity that one signal takes",
    },
    "volatility": {
        "fraction": "the part of equity that a move of one average true range gains or loses",
        "maximum_fraction": "the most of equity that one signal takes",
    },
    "kelly": {
        "kelly_fraction": "the part of the whole Kelly stake that is risked to the stop",
        "maximum_fraction": "the most of equity that one signal takes",
    },
}
_OPTIONAL = {"volatility": ("period",)}


class SizingConfig(Section):
    """How large a signal is.

    fixed: `notional` (quote); fraction: `fraction` of equity; risk_to_stop: `fraction` of equity is lost at the stop;
    volatility: `fraction` of equity is gained or lost when the price moves by its average true range over `period` candles
    of the strategy (14); kelly: `kelly_fraction` of what Kelly's criterion stakes on the entry's confidence is lost at the
    stop.  The last three take `maximum_fraction` of equity at most.
    """

    kind: Literal["fixed", "fraction", "risk_to_stop", "volatility", "kelly"] = Field(
        description="fixed, fraction, risk_to_stop, volatility or kelly"
    )
    notional: Quote | None = None
    fraction: RatioOrOne | None = None
    maximum_fraction: Multiple | None = None
    kelly_fraction: RatioOrOne | None = None
    period: Count | None = None

    @model_validator(mode="after")
    def _amounts_fit_the_kind(self) -> Self:
        needed = _AMOUNTS[self.kind]
        known = (*needed, *_OPTIONAL.get(self.kind, ()))
        found = []
        for key in ("notional", "fraction", "maximum_fraction", "kelly_fraction", "period"):
            given = getattr(self, key) is not None
            if key in needed and not given:
                found.append((key, f"is missing; kind {self.kind} needs {needed[key]}"))
            if key not in known and given:
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
    round: RoundConfig = RoundConfig()
    clusters: ClustersConfig | None = None
    loss_limit: LossLimitConfig | None = limit(
        LossLimitConfig(),
        "ratio of capital",
        DenialCode.HALTED,
        "What was lost in all since the start or the last `livebot unhalt`, of what it was made with; trading is HALTED then.",
    )
    win_rate: WinRateConfig | None = limit(
        WinRateConfig(),
        "ratio of closes",
        DenialCode.SWITCHED_OFF,
        "The least share of a symbol's closed signals that won, once there are `trades`; the symbol is switched off below it, "
        "for `off_hours` or until `livebot resume SYMBOL`.",
    )
    trading_states: TradingStatesConfig = TradingStatesConfig()

    @model_validator(mode="after")
    def _clusters_are_told(self) -> Self:
        if self.limits.open_signals_per_cluster is not None and self.clusters is None:
            text = "needs risk.clusters, or every symbol counts by itself; say there which symbols count together"
            raise Mismatch(("limits.open_signals_per_cluster", text))
        return self
