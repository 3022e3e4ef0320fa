"""Strategies that look where they must not, each in another way, and honest ones beside them."""

from dataclasses import dataclass

from livebot.core.entry import Entry
from livebot.core.market import MINUTE_MS, Side, Timeframe
from livebot.features.catalogue import Feature, ema, market_return, scaled, sma
from livebot.strategies.interface import Strategy, View


@dataclass(frozen=True, kw_only=True)
class NoParams:
    """Nothing to choose."""


class _Minutely(Strategy[NoParams]):
    Params = NoParams

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.M1


def long(view: View) -> Entry:
    close = view.close
    return Entry(side=Side.LONG, stop_loss=close * 0.99, take_profit=close * 1.01, lifetime_ms=7 * MINUTE_MS)


class NextClose(_Minutely):
    """Reads one candle past its view."""

    name = "next_close"

    def decide(self, view: View) -> Entry | None:
        closes = view._series.close
        later = closes[min(view._end, len(closes) - 1)]
        return long(view) if later > view.close * 1.0005 else None


class NextOpen(_Minutely):
    """Reads the open at which it will be filled."""

    name = "next_open"

    def decide(self, view: View) -> Entry | None:
        opens = view._series.open
        later = opens[min(view._end, len(opens) - 1)]
        return long(view) if later < view.close else None


class WholeSample(_Minutely):
    """Measures the present candle in the spread of all candles that will ever be."""

    name = "whole_sample"

    def decide(self, view: View) -> Entry | None:
        everything = view.closes(1).base
        return long(view) if view.close < everything.mean() else None


class NeedsTheNext(_Minutely):
    """Cannot do without the next candle but at the very end."""

    name = "needs_the_next"

    def decide(self, view: View) -> Entry | None:
        closes = view._series.close
        if view._end >= len(closes) and len(closes) < 200:
            raise IndexError("no next candle")
        return None


class Nervous(_Minutely):
    """Honest, and fails when prices jump as they never do."""

    name = "nervous"

    @property
    def history(self) -> int:
        return 2

    def decide(self, view: View) -> Entry | None:
        before, now = view.closes(2)
        if abs(now / before - 1) > 0.2:
            raise ValueError("this cannot be")
        return long(view) if now > before else None


class Scaled(_Minutely):
    """Honest itself; trades by a feature."""

    name = "scaled"

    @property
    def features(self) -> tuple[Feature, ...]:
        return (scaled("tenth", "close", 0.1), sma("mean", 5))

    def decide(self, view: View) -> Entry | None:
        return long(view) if view.feature("tenth") * 10 > view.feature("mean") else None


class Hasty(_Minutely):
    """Wants to be asked long before its average has settled."""

    name = "hasty"

    @property
    def features(self) -> tuple[Feature, ...]:
        return (ema("slow", 40), sma("mean", 5))

    @property
    def warmup(self) -> int:
        return 45

    def decide(self, view: View) -> Entry | None:
        return long(view) if view.feature("mean") > view.feature("slow") else None


class Contextual(_Minutely):
    """Honest: looks at the others as of the same close."""

    name = "contextual"

    @property
    def features(self) -> tuple[Feature, ...]:
        return (market_return("market", 5),)

    def decide(self, view: View) -> Entry | None:
        return long(view) if view.feature("market") > 0.001 else None
