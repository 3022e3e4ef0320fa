"""Trades one symbol by how unusual its price is, measured in another one."""

from dataclasses import dataclass

from livebot.core.entry import Entry
from livebot.core.market import MINUTE_MS, Side, Timeframe
from livebot.strategies.interface import Strategy, View
from livebot.strategies.parameters import check_between, check_minutes, check_periods, check_positive


@dataclass(frozen=True, kw_only=True)
class RatioParams:
    """`threshold` is in standard deviations of the ratio over `period` candles.

    `take_profit` and `stop_loss` are ratios of the close (0.01 is one percent).
    `follow` bets that an unusual ratio goes further instead of coming back.
    """

    timeframe: Timeframe = Timeframe.M5
    other: str = "ETH/USDT:USDT"
    period: int = 96
    threshold: float = 2.5
    take_profit: float = 0.02
    stop_loss: float = 0.02
    expiry_minutes: int = 60
    follow: bool = False
    allow_short: bool = True

    def __post_init__(self) -> None:
        """Check ranges.  Raises ValueError."""
        check_periods(period=self.period)
        check_positive(threshold=self.threshold)
        check_between(0, 1, take_profit=self.take_profit, stop_loss=self.stop_loss)
        check_minutes(expiry_minutes=self.expiry_minutes)
        if not self.other:
            message = "other must be a symbol, such as ETH/USDT:USDT"
            raise ValueError(message)


class Ratio(Strategy[RatioParams]):
    """Short while the symbol is unusually dear against the other one, long while it is unusually cheap."""

    name = "ratio"
    Params = RatioParams

    @property
    def timeframe(self) -> Timeframe:
        return self.params.timeframe

    @property
    def others(self) -> tuple[str, ...]:
        return (self.params.other,)

    @property
    def history(self) -> int:
        return self.params.period

    def decide(self, view: View) -> Entry | None:
        score = self._score(view)
        side = self._side(score)
        if side is None:
            return None
        close = view.close
        return Entry(
            side=side,
            stop_loss=close * (1 - side.sign * self.params.stop_loss),
            take_profit=close * (1 + side.sign * self.params.take_profit),
            lifetime_ms=self.params.expiry_minutes * MINUTE_MS,
            reason=f"price in {self.params.other} {score:+.2f} standard deviations from its average",
        )

    def _score(self, view: View) -> float:
        period = self.params.period
        ratios = view.closes(period) / view.other(self.params.other).closes(period)
        spread = float(ratios.std())
        return (float(ratios[-1]) - float(ratios.mean())) / spread if spread else 0.0

    def _side(self, score: float) -> Side | None:
        if abs(score) < self.params.threshold:
            return None
        side = Side.LONG if (score > 0) == self.params.follow else Side.SHORT
        return None if side is Side.SHORT and not self.params.allow_short else side
