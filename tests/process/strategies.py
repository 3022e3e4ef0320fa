"""Strategies for tests that want much to happen: each wants a trade on nearly every candle, with stops close by.

They are pure, as a user's own must be: what looks like chance is a digest of the symbol and the time.
"""

from dataclasses import dataclass
from hashlib import blake2s

from livebot.core.entry import Adjustment, Averaging, BreakEven, Entry, ExitPlan, PartialLevel, Trailing
from livebot.core.market import MINUTE_MS, Side, Timeframe, decimal_of
from livebot.core.signal import Open
from livebot.strategies.interface import Strategy, View


@dataclass(frozen=True)
class Nothing:
    """No parameters."""


@dataclass(frozen=True)
class OneSymbol:
    """`raises_on` is the symbol on which it fails; none by default."""

    raises_on: str = ""


def chance(view: View, salt: str, sides: int) -> int:
    """0 to `sides` - 1, the same whenever it is asked of the same candle."""
    text = f"{salt}|{view.symbol}|{view.close_ms}"
    return int.from_bytes(blake2s(text.encode(), digest_size=4).digest(), "big") % sides


def side_of(view: View) -> Side:
    """The same for every strategy on a symbol for a quarter of an hour, so that they seldom want opposite sides."""
    hour = view.close_ms // (15 * MINUTE_MS)
    digest = blake2s(f"{view.symbol}|{hour}".encode(), digest_size=1).digest()
    return Side.LONG if digest[0] % 2 else Side.SHORT


class _Busy(Strategy[Nothing]):
    Params = Nothing

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.M1


class Eager(_Busy):
    """A market entry on every candle; out again within minutes."""

    name = "eager"

    def decide(self, view: View) -> Entry | None:
        side = side_of(view)
        return Entry(
            side=side,
            stop_loss=view.close * (1 - side.sign * 0.0015),
            take_profit=view.close * (1 + side.sign * 0.002),
            lifetime_ms=(2 + chance(view, "eager", 6)) * MINUTE_MS,
        )


class Seldom(Eager):
    """As Eager, but only around the full hour: for tests that want many hours to pass."""

    name = "seldom"

    def decide(self, view: View) -> Entry | None:
        return None if 12 < view.close_ms // MINUTE_MS % 60 < 55 else super().decide(view)


class Resting(_Busy):
    """A limit entry close to the price, given up after two minutes; partial levels and a trailing stop."""

    name = "resting"

    def decide(self, view: View) -> Entry | None:
        side = side_of(view)
        limit = view.close * (1 - side.sign * 0.0004)
        return Entry(
            side=side,
            limit_price=limit,
            schedule_ms=2 * MINUTE_MS,
            stop_loss=limit * (1 - side.sign * 0.003),
            take_profit=limit * (1 + side.sign * 0.006),
            lifetime_ms=30 * MINUTE_MS,
            exits=ExitPlan(
                trailing=Trailing(distance=decimal_of(0.001), after=decimal_of(0.0008)),
                partial_levels=(
                    PartialLevel(gain=decimal_of(0.0008), fraction=decimal_of(0.3)),
                    PartialLevel(gain=decimal_of(0.002), fraction=decimal_of(0.3)),
                ),
            ),
        )


class Averager(_Busy):
    """A market entry that is added to when it goes against us; the strategy itself tightens and sometimes leaves."""

    name = "averager"

    def decide(self, view: View) -> Entry | None:
        if chance(view, "averager", 2):
            return None
        side = side_of(view)
        return Entry(
            side=side,
            stop_loss=view.close * (1 - side.sign * 0.008),
            take_profit=view.close * (1 + side.sign * 0.004),
            lifetime_ms=60 * MINUTE_MS,
            exits=ExitPlan(
                break_even=BreakEven(after=decimal_of(0.002), offset=decimal_of(0.0002)),
                averaging=Averaging(step=decimal_of(0.001), fraction=decimal_of(0.5), times=2),
            ),
        )

    def manage(self, view: View, signal: Open) -> Adjustment | None:
        if chance(view, "leave", 12) == 0:
            return Adjustment(close=True)
        if chance(view, "tighten", 3) == 0:
            side = signal.signal.side
            return Adjustment(
                stop_loss=view.close * (1 - side.sign * 0.003), take_profit=view.close * (1 + side.sign * 0.003)
            )
        return None


class Holder(_Busy):
    """Opens once and holds for a day, with a stop that is never reached: for tests that want a position to be there."""

    name = "holder"

    def decide(self, view: View) -> Entry | None:
        return Entry(
            side=Side.LONG,
            stop_loss=view.close * 0.7,
            take_profit=view.close * 1.5,
            lifetime_ms=24 * 60 * MINUTE_MS,
        )


class Brittle(Strategy[OneSymbol]):
    """As Eager, but it fails on one symbol from its fifth candle of an hour on."""

    name = "brittle"
    Params = OneSymbol

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.M1

    def decide(self, view: View) -> Entry | None:
        if view.symbol == self.params.raises_on and view.close_ms // MINUTE_MS % 60 > 5:
            message = f"{view.symbol} is too much for this strategy"
            raise ArithmeticError(message)
        return Eager(Nothing()).decide(view)
