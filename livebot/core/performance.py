"""How well signals did: the rule that switches a symbol off, and the figures of a report.

Rules of this file: only closed signals count; a win is a net PnL above 0; a figure without a sample is None, never 0;
what a standing says depends on the closed signals and their times alone, so that it can be rebuilt from the ledger.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol

from livebot.core.order import ZERO


class Closed(Protocol):
    """What is counted of a closed signal; SignalClosed is one.  PnL in quote net of fees, and as a ratio."""

    @property
    def ts_ms(self) -> int: ...
    @property
    def pnl_net(self) -> Decimal: ...
    @property
    def pnl_ratio(self) -> Decimal: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRate:
    """Switch a symbol off below this win rate (ratio) over at least so many trades since it was last switched on.

    It comes back on `off_ms` later; None means that only an operator switches it on.
    """

    minimum_win_rate: Decimal = Decimal("0.4")
    minimum_trades: int = 10
    off_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One symbol's closed signals since `on_since_ms`; `off_since_ms` is set while it is switched off."""

    on_since_ms: int = 0
    trades: int = 0
    wins: int = 0
    off_since_ms: int | None = None


def after_close(standing: Standing, rule: WinRate, closed: Closed) -> Standing:
    """The standing with one more closed signal, switched off if the rule says so.

    A signal that closed before the last switch-on changes nothing.
    """
    standing = as_of(standing, rule, closed.ts_ms)
    if closed.ts_ms < standing.on_since_ms:
        return standing
    trades, wins = standing.trades + 1, standing.wins + (closed.pnl_net > 0)
    off_since_ms = standing.off_since_ms
    too_low = trades >= rule.minimum_trades and wins < rule.minimum_win_rate * trades
    if off_since_ms is None and too_low:
        off_since_ms = closed.ts_ms
    return replace(standing, trades=trades, wins=wins, off_since_ms=off_since_ms)


def as_of(standing: Standing, rule: WinRate, now_ms: int) -> Standing:
    """The standing at that time: back on, with nothing counted, once `off_ms` has passed."""
    off_since_ms = standing.off_since_ms
    if off_since_ms is None or rule.off_ms is None or now_ms < off_since_ms + rule.off_ms:
        return standing
    return switched_on(off_since_ms + rule.off_ms)


def switched_on(ts_ms: int) -> Standing:
    """The standing of a symbol that an operator, or the rule, switched on at that time."""
    return Standing(on_since_ms=ts_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Figures over closed signals; ratios are fractions (0.01 is 1 %), money is quote, None means no sample.

    `profit_factor` is what winners won over what losers lost, None while nothing was lost.
    """

    count: int
    wins: int
    losses: int
    win_rate: Decimal | None
    average_pnl_ratio: Decimal | None
    best_pnl_ratio: Decimal | None
    worst_pnl_ratio: Decimal | None
    pnl_net: Decimal
    profit_factor: Decimal | None


def summarise(closes: Iterable[Closed]) -> Summary:
    """The figures of these closed signals, in any order; what did not win counts as a loss."""
    money: list[Decimal] = []
    ratios: list[Decimal] = []
    for closed in closes:
        money.append(closed.pnl_net)
        ratios.append(closed.pnl_ratio)
    count, wins = len(money), sum(pnl > 0 for pnl in money)
    won = sum((pnl for pnl in money if pnl > 0), ZERO)
    lost = -sum((pnl for pnl in money if pnl < 0), ZERO)
    return Summary(
        count=count,
        wins=wins,
        losses=count - wins,
        win_rate=Decimal(wins) / count if count else None,
        average_pnl_ratio=sum(ratios, ZERO) / count if count else None,
        best_pnl_ratio=max(ratios, default=None),
        worst_pnl_ratio=min(ratios, default=None),
        pnl_net=won - lost,
        profit_factor=won / lost if lost else None,
    )
