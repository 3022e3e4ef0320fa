"""Losing closes in a row, and the time for which nothing opens after too many of them.

Rules of this file: a loss is a net PnL below 0, a win one above 0, and what made neither changes nothing; what a streak says
depends on the closed signals and their times alone, so that it can be rebuilt from the ledger.
"""

from dataclasses import dataclass
from enum import Enum

from livebot.core.performance import Closed


class StreakScope(Enum):
    """Which closes make one row: those of all signals together, or those of each symbol."""

    ALL = "all"
    SYMBOL = "symbol"


@dataclass(frozen=True, slots=True, kw_only=True)
class LosingStreak:
    """After so many losing closes in a row nothing opens for `cooldown_ms`."""

    losses: int
    cooldown_ms: int
    scope: StreakScope


@dataclass(frozen=True, slots=True)
class Streak:
    """Losing closes in a row since the last win or cooldown, and until when the last cooldown lasts (0: there was none)."""

    losses: int = 0
    until_ms: int = 0


def after_close(streak: Streak, rule: LosingStreak, closed: Closed) -> Streak:
    """The streak with one more closed signal; the one that begins a cooldown begins a new count too."""
    if closed.pnl_net > 0:
        return Streak(0, streak.until_ms)
    if not closed.pnl_net < 0:
        return streak
    losses = streak.losses + 1
    if losses < rule.losses:
        return Streak(losses, streak.until_ms)
    return Streak(0, max(streak.until_ms, closed.ts_ms + rule.cooldown_ms))
