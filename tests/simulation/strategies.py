"""Strategies that want much: pure functions of symbol, time and price; chance is a digest."""

from dataclasses import dataclass
from zlib import crc32

from livebot.core.candidate import Candidate
from livebot.core.entry import Adjustment, Averaging, BreakEven, Entry, ExitPlan, PartialLevel, Trailing
from livebot.core.market import MINUTE_MS, Side, Timeframe, decimal_of
from livebot.core.signal import Open
from livebot.strategies.interface import Strategy, View

FOLLOWED = "ETH/USDT:USDT"


@dataclass(frozen=True)
class Salt:
    """`seed` makes other choices; Brittle fails on one candle in `raises` (0: on none); not `shorts`: all is long."""

    seed: int = 0
    raises: int = 40
    shorts: bool = True


def chance(salt: Salt, view: View, what: str, sides: int) -> int:
    return crc32(f"{salt.seed}|{what}|{view.symbol}|{view.close_ms}".encode()) % sides


def side_of(salt: Salt, view: View) -> Side:
    """The same for every strategy on a symbol for twenty minutes."""
    digest = crc32(f"{salt.seed}|{view.symbol}|{view.close_ms // (20 * MINUTE_MS)}".encode())
    return Side.LONG if digest % 2 or not salt.shorts else Side.SHORT


def by_chance(candidate: Candidate) -> float:
    """A scorer, which fails on some and answers nonsense of others."""
    dice = crc32(f"{candidate.strategy}|{candidate.symbol}|{candidate.ts_ms}".encode())
    if dice % 17 == 0:
        raise ArithmeticError("too much for this scorer")
    return float("nan") if dice % 19 == 0 else float(dice % 5)


class _Busy(Strategy[Salt]):
    Params = Salt

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.M1


class Eager(_Busy):
    """Market entries, out again within minutes."""

    name = "eager"

    def decide(self, view: View) -> Entry | None:
        if chance(self.params, view, "eager", 6):
            return None
        side = side_of(self.params, view)
        return Entry(
            side=side,
            stop_loss=view.close * (1 - side.sign * 0.003),
            take_profit=view.close * (1 + side.sign * 0.004),
            lifetime_ms=(2 + chance(self.params, view, "life", 10)) * MINUTE_MS,
        )


PARTIALS = ExitPlan(
    trailing=Trailing(distance=decimal_of(0.002), after=decimal_of(0.0015)),
    partial_levels=(
        PartialLevel(gain=decimal_of(0.0015), fraction=decimal_of(0.3)),
        PartialLevel(gain=decimal_of(0.004), fraction=decimal_of(0.3)),
    ),
)


class Resting(_Busy):
    """Limit entries close to the price; partial levels and a trailing stop."""

    name = "resting"

    def decide(self, view: View) -> Entry | None:
        if chance(self.params, view, "resting", 4):
            return None
        side = side_of(self.params, view)
        limit = view.close * (1 - side.sign * 0.001)
        return Entry(
            side=side,
            limit_price=limit,
            schedule_ms=3 * MINUTE_MS,
            stop_loss=limit * (1 - side.sign * 0.006),
            take_profit=limit * (1 + side.sign * 0.01),
            lifetime_ms=25 * MINUTE_MS,
            exits=PARTIALS,
        )


AVERAGING = ExitPlan(
    break_even=BreakEven(after=decimal_of(0.004), offset=decimal_of(0.0002)),
    averaging=Averaging(step=decimal_of(0.002), fraction=decimal_of(0.5), times=2),
)


class Averager(_Busy):
    """Adds to what goes against it; tightens, and sometimes leaves."""

    name = "averager"

    def decide(self, view: View) -> Entry | None:
        if chance(self.params, view, "averager", 6):
            return None
        side = side_of(self.params, view)
        return Entry(
            side=side,
            stop_loss=view.close * (1 - side.sign * 0.012),
            take_profit=view.close * (1 + side.sign * 0.006),
            lifetime_ms=30 * MINUTE_MS,
            exits=AVERAGING,
        )

    def manage(self, view: View, signal: Open) -> Adjustment | None:
        if chance(self.params, view, "leave", 20) == 0:
            return Adjustment(close=True)
        if chance(self.params, view, "tighten", 6) == 0:
            side = signal.signal.side
            return Adjustment(
                stop_loss=view.close * (1 - side.sign * 0.006), take_profit=view.close * (1 + side.sign * 0.006)
            )
        return None


class Brittle(_Busy):
    """As Eager, and raises now and then."""

    name = "brittle"

    def decide(self, view: View) -> Entry | None:
        if self.params.raises and chance(self.params, view, "raise", self.params.raises) == 0:
            raise ArithmeticError("too much for this strategy")
        return Eager(self.params).decide(view)

    def manage(self, view: View, signal: Open) -> Adjustment | None:
        if self.params.raises and chance(self.params, view, "raise", self.params.raises) == 0:
            raise ArithmeticError("too much for this strategy")
        return None


class Slow(Averager):
    """On candles of three minutes."""

    name = "slow"

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.M3


class Follower(Eager):
    """Looks at another symbol, too."""

    name = "follower"

    @property
    def others(self) -> tuple[str, ...]:
        return (FOLLOWED,)

    def decide(self, view: View) -> Entry | None:
        return Resting(self.params).decide(view) if view.other(FOLLOWED).close > 0 else None


KINDS: dict[str, type[_Busy]] = {kind.name: kind for kind in (Eager, Resting, Averager, Brittle, Slow, Follower)}
