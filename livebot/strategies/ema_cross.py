"""Follows a fast average that crosses over a slow one, unless the market has already run."""

from dataclasses import dataclass

from livebot.core.entry import Entry
from livebot.core.market import MINUTE_MS, Side, Timeframe
from livebot.features.declaration import Feature, ema, rsi
from livebot.strategies.interface import Strategy, View
from livebot.strategies.parameters import check_between, check_minutes, check_periods


@dataclass(frozen=True, kw_only=True)
class EmaCrossParams:
    """`take_profit` and `stop_loss` are ratios of the close (0.01 is one percent).

    A long needs the relative strength below `rsi_long_below`, a short (if allowed) above `rsi_short_above`.
    """

    timeframe: Timeframe = Timeframe.M5
    fast: int = 12
    slow: int = 48
    rsi_period: int = 14
    rsi_long_below: float = 70.0
    rsi_short_above: float = 30.0
    take_profit: float = 0.02
    stop_loss: float = 0.01
    expiry_minutes: int = 240
    allow_short: bool = False

    def __post_init__(self) -> None:
        """Check ranges and that fast is fast.  Raises ValueError."""
        check_periods(fast=self.fast, slow=self.slow, rsi_period=self.rsi_period)
        check_between(0, 100, rsi_long_below=self.rsi_long_below, rsi_short_above=self.rsi_short_above)
        check_between(0, 1, take_profit=self.take_profit, stop_loss=self.stop_loss)
        check_minutes(expiry_minutes=self.expiry_minutes)
        if self.fast >= self.slow:
            message = f"fast {self.fast} must be below slow {self.slow}"
            raise ValueError(message)


class EmaCross(Strategy[EmaCrossParams]):
    """Long when the fast average closes over the slow one and was not over it a candle before; mirrored for shorts."""

    name = "ema_cross"
    Params = EmaCrossParams

    @property
    def timeframe(self) -> Timeframe:
        return self.params.timeframe

    @property
    def features(self) -> tuple[Feature, ...]:
        return (
            ema("fast", self.params.fast),
            ema("slow", self.params.slow),
            rsi("rsi", self.params.rsi_period),
        )

    def decide(self, view: View) -> Entry | None:
        side = self._cross(view)
        if side is None:
            return None
        close = view.close
        return Entry(
            side=side,
            stop_loss=close * (1 - side.sign * self.params.stop_loss),
            take_profit=close * (1 + side.sign * self.params.take_profit),
            lifetime_ms=self.params.expiry_minutes * MINUTE_MS,
            reason=f"EMA {self.params.fast} crossed EMA {self.params.slow}, RSI {view.feature('rsi'):.1f}",
        )

    def _cross(self, view: View) -> Side | None:
        fast, slow = view.feature("fast"), view.feature("slow")
        if fast > slow:
            crossed = view.feature("fast", 1) <= view.feature("slow", 1)
            return Side.LONG if crossed and view.feature("rsi") < self.params.rsi_long_below else None
        if fast < slow and self.params.allow_short:
            crossed = view.feature("fast", 1) >= view.feature("slow", 1)
            return Side.SHORT if crossed and view.feature("rsi") > self.params.rsi_short_above else None
        return None
