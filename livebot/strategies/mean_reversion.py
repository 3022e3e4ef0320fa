"""Bets that a close far from its average comes back to it."""

from dataclasses import dataclass

from livebot.core.entry import Entry
from livebot.core.market import MINUTE_MS, Side, Timeframe
from livebot.features.declaration import Feature, atr, sma, z_score
from livebot.strategies.interface import Strategy, View
from livebot.strategies.parameters import check_minutes, check_periods, check_positive


@dataclass(frozen=True, kw_only=True)
class MeanReversionParams:
    """`threshold` is in standard deviations, `stop_atr` and `target_atr` in average true ranges.

    Without `target_atr` the target is the average itself.
    """

    timeframe: Timeframe = Timeframe.M5
    period: int = 48
    threshold: float = 2.5
    atr_period: int = 14
    stop_atr: float = 2.0
    target_atr: float | None = None
    expiry_minutes: int = 120
    allow_short: bool = True

    def __post_init__(self) -> None:
        """Check ranges.  Raises ValueError."""
        check_periods(period=self.period, atr_period=self.atr_period)
        check_positive(threshold=self.threshold, stop_atr=self.stop_atr)
        check_minutes(expiry_minutes=self.expiry_minutes)
        if self.target_atr is not None:
            check_positive(target_atr=self.target_atr)


class MeanReversion(Strategy[MeanReversionParams]):
    """Long below the average by `threshold` standard deviations, short above it by as much."""

    name = "mean_reversion"
    Params = MeanReversionParams

    @property
    def timeframe(self) -> Timeframe:
        return self.params.timeframe

    @property
    def features(self) -> tuple[Feature, ...]:
        return (
            sma("mean", self.params.period),
            z_score("z_score", self.params.period),
            atr("range", self.params.atr_period),
        )

    def decide(self, view: View) -> Entry | None:
        score = view.feature("z_score")
        side = self._side(score)
        if side is None:
            return None
        close, average_range = view.close, view.feature("range")
        target = view.feature("mean")
        if self.params.target_atr is not None:
            target = close + side.sign * self.params.target_atr * average_range
        return Entry(
            side=side,
            stop_loss=close - side.sign * self.params.stop_atr * average_range,
            take_profit=target,
            lifetime_ms=self.params.expiry_minutes * MINUTE_MS,
            reason=f"close {score:+.2f} standard deviations from its average of {self.params.period}",
        )

    def _side(self, score: float) -> Side | None:
        if score <= -self.params.threshold:
            return Side.LONG
        if score >= self.params.threshold and self.params.allow_short:
            return Side.SHORT
        return None
