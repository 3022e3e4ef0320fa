"""Strategies for backtests in tests: they want what a hash of the close says, so that everything comes about."""

from dataclasses import dataclass
from hashlib import blake2s

from livebot.core.candidate import Candidate
from livebot.core.entry import Adjustment, Entry, ExitPlan
from livebot.core.market import MINUTE_MS, Side, Timeframe
from livebot.core.signal import Open
from livebot.strategies.interface import Strategy, View


@dataclass(frozen=True, kw_only=True)
class WhimParams:
    """It wants to enter at one close in `rarity`; distances are ratios of the close."""

    timeframe: Timeframe = Timeframe.M1
    seed: int = 1
    rarity: int = 5
    stop: float = 0.004
    target: float = 0.006
    minutes: int = 20
    limits: bool = False
    shorts: bool = True
    exits: ExitPlan | None = None
    confident: bool = False


class Whim(Strategy[WhimParams]):
    """Enters by chance, at the market or (with `limits`) now and then at a limit."""

    name = "whim"
    Params = WhimParams

    @property
    def timeframe(self) -> Timeframe:
        return self.params.timeframe

    @property
    def history(self) -> int:
        return 2

    def decide(self, view: View) -> Entry | None:
        dice = self.dice(view)
        if dice[0] % self.params.rarity:
            return None
        close = view.close
        side = Side.SHORT if self.params.shorts and dice[1] % 2 else Side.LONG
        limit = close * (1 - side.sign * 0.001 * (dice[2] % 3)) if self.params.limits and dice[3] % 2 else None
        price = close if limit is None else limit
        return Entry(
            side=side,
            stop_loss=price * (1 - side.sign * self.params.stop),
            take_profit=price * (1 + side.sign * self.params.target),
            lifetime_ms=(1 + dice[4] % self.params.minutes) * MINUTE_MS,
            limit_price=limit,
            schedule_ms=None if limit is None else (1 + dice[5] % 6) * MINUTE_MS,
            exits=self.params.exits,
            reason=f"after {view.closes(2)[0]}",
            confidence=dice[6] / 255 if self.params.confident else None,
        )

    def dice(self, view: View) -> bytes:
        """Eight numbers from 0 to 255 that depend on the close and nothing else."""
        text = f"{self.params.seed}|{view.symbol}|{view.close_ms}"
        return blake2s(text.encode(), digest_size=8).digest()


def smallest(candidate: Candidate) -> float:
    """A scorer: the least notional first; what is long on the second symbol it cannot judge, and one it fails on."""
    if candidate.symbol.startswith("BBB") and candidate.side is Side.LONG:
        return float("nan")
    if candidate.symbol.startswith("CCC") and candidate.strategy == "restless":
        raise ArithmeticError("not this one")
    return -float(candidate.notional)


class Restless(Whim):
    """Also moves stop and target of what is open, or closes it."""

    name = "restless"

    def manage(self, view: View, signal: Open) -> Adjustment | None:
        dice, sign, close = self.dice(view), signal.signal.side.sign, view.close
        match dice[6] % 5:
            case 0:
                return Adjustment(stop_loss=close * (1 - sign * 0.001))
            case 1:
                return Adjustment(take_profit=close * (1 + sign * 0.002), stop_loss=close * (1 - sign * 0.003))
            case 2 if dice[7] % 4 == 0:
                return Adjustment(close=True)
            case _:
                return None


@dataclass(frozen=True, kw_only=True)
class FollowerParams:
    """Looks at `other`."""

    other: str = "BBB/USDT:USDT"


class Follower(Strategy[FollowerParams]):
    """Goes where another symbol has gone in the last two candles."""

    name = "follower"
    Params = FollowerParams

    @property
    def timeframe(self) -> Timeframe:
        return Timeframe.M5

    @property
    def others(self) -> tuple[str, ...]:
        return (self.params.other,)

    @property
    def history(self) -> int:
        return 3

    def decide(self, view: View) -> Entry | None:
        closes = view.other(self.params.other).closes(3)
        if closes[-1] <= closes[-2]:
            return None
        close = view.close
        return Entry(side=Side.LONG, stop_loss=close * 0.99, take_profit=close * 1.01, lifetime_ms=15 * MINUTE_MS)
