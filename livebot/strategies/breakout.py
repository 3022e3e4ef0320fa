"""Follows a close outside the range of the candles before it."""

from dataclasses import dataclass

from livebot.core.entry import Adjustment, Entry
from livebot.core.market import MINUTE_MS, Side, Timeframe
from livebot.core.signal import Open as OpenSignal
from livebot.features.declaration import Feature, atr, highest, lowest
from livebot.strategies.interface import Strategy, View
from livebot.strategies.parameters import check_minutes, check_periods, check_positive


@dataclass(frozen=True, kw_only=True)
class BreakoutParams:
    """`stop_atr`, `target_atr` and `trail_atr` are in average true ranges; without `trail_atr` the stop stays put."""

    timeframe: Timeframe = Timeframe.M15
    channel: int = 20
    atr_period: int = 14
    stop_atr: float = 2.0
    target_atr: float = 4.0
    trail_atr: float | None = 3.0
    expiry_minutes: int = 24 * 60
    allow_short: bool = True

    def __post_init__(self) -> None:
        """Check ranges.  Raises ValueError."""
        check_periods(channel=self.channel, atr_period=self.atr_period)
        check_positive(stop_atr=self.stop_atr, target_atr=self.target_atr)
        check_minutes(expiry_minutes=self.expiry_minutes)
        if self.trail_atr is not None:
            check_positive(trail_atr=self.trail_atr)


class Breakout(Strategy[BreakoutParams]):
    """Long above the highest high of the `channel` candles before, short below their lowest low."""

    name = "breakout"
    Params = BreakoutParams

    @property
    def timeframe(self) -> Timeframe:
        return self.params.timeframe

    @property
    def features(self) -> tuple[Feature, ...]:
        return (
            highest("upper", self.params.channel),
            lowest("lower", self.params.channel),
            atr("range", self.params.atr_period),
        )

    @property
    def manages(self) -> bool:
        """Only with a trailing distance."""
        return self.params.trail_atr is not None

    def decide(self, view: View) -> Entry | None:
        side = self._side(view)
        if side is None:
            return None
        close, average_range = view.close, view.feature("range")
        return Entry(
            side=side,
            stop_loss=close - side.sign * self.params.stop_atr * average_range,
            take_profit=close + side.sign * self.params.target_atr * average_range,
            lifetime_ms=self.params.expiry_minutes * MINUTE_MS,
            reason=f"close {close:g} left the range of {self.params.channel} candles",
        )

    def manage(self, view: View, signal: OpenSignal) -> Adjustment | None:
        if self.params.trail_atr is None:
            return None
        sign = signal.signal.side.sign
        stop_loss = view.close - sign * self.params.trail_atr * view.feature("range")
        if sign * (stop_loss - float(signal.stop_loss)) <= 0:
            return None
        return Adjustment(stop_loss=stop_loss)

    def _side(self, view: View) -> Side | None:
        # one candle back: the present one is part of its own channel and could never leave it
        if view.close > view.feature("upper", 1):
            return Side.LONG
        if view.close < view.feature("lower", 1) and self.params.allow_short:
            return Side.SHORT
        return None
