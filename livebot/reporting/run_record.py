"""What one run left behind, as a report reads it: closed trades, equity over time, candles, denials.

Rules of this file: a backtest and a ledger give the same record, so that one code judges both; values only, nothing is
judged here; trades are in the order in which they closed, whatever the order of the facts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np

from livebot.core.facts import Fact, SignalClosed, SignalOpened, SignalOpening, SignalScheduled
from livebot.core.market import DAY_MS, Side
from livebot.core.series import CandleSeries, Floats, Times
from livebot.core.signal import CloseReason
from livebot.errors import BadInput
from livebot.reporting.signals_report import Denial

Source = Literal["backtest", "ledger"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTrade:
    """One signal from its first fill to flat.  Prices are averages over its fills; money is in quote currency.

    `quantity` is what was bought or sold to enter, in base; `pnl_net` is after `fees`, `pnl_ratio` the same over the
    money put in (0.01 is 1 %).  `stop_loss` and `take_profit` are those it began with, None where nobody knows.
    """

    strategy: str
    symbol: str
    signal_id: str
    side: Side
    opened_ms: int
    closed_ms: int
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    fees: Decimal
    pnl_net: Decimal
    pnl_ratio: Decimal
    reason: CloseReason
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None

    @property
    def ts_ms(self) -> int:
        """When it counts: the time of its close (so that it is a `core.performance.Closed`)."""
        return self.closed_ms


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EquityCurve:
    """Equity in quote currency at UTC ms, oldest first, both of shape (points,).

    One point at the start, one at the end of each UTC day (its first instant thereafter: 00:00:00.000) and one at the
    end; more do no harm.  Marked to market where marks are known.
    """

    ts_ms: Times
    equity: Floats

    def __len__(self) -> int:
        """How many points."""
        return len(self.ts_ms)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunRecord:
    """All that a report is made from.  `start_ms` is included, `end_ms` is the first moment after.

    `symbols` are those that were traded or could have been; `candles` by symbol may be empty: they serve plots, marks and
    volatility regimes; `feature_sets` read `name@version hash`; `notes` are sentences for the reader.  An equity curve
    that begins at 0 says that nobody knows the capital: what is measured against capital is then not available.
    """

    title: str
    system: str
    source: Source
    start_ms: int
    end_ms: int
    trades: tuple[ClosedTrade, ...]
    equity: EquityCurve
    symbols: tuple[str, ...]
    denials: tuple[Denial, ...]
    candles: Mapping[str, CandleSeries]
    feature_sets: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise BadInput for a record that no run can have left."""
        times = self.equity.ts_ms
        if self.end_ms < self.start_ms:
            raise BadInput(f"the record of {self.title} ends ({self.end_ms}) before it starts ({self.start_ms})")
        if not len(times) or len(times) != len(self.equity.equity):
            raise BadInput(f"the equity curve of {self.title} needs as many times as values, and at least one")
        if np.any(np.diff(times) < 0) or not np.all(np.isfinite(self.equity.equity)):
            raise BadInput(f"the equity curve of {self.title} is out of order, or holds a value that is no number")


Levels = tuple[Decimal, Decimal]


def trades_of(facts: Iterable[Fact]) -> tuple[ClosedTrade, ...]:
    """The closed signals among these facts, in the order of their closes.

    Facts of one signal must be in order; how those of different signals are mixed does not matter.  A signal whose
    first facts are missing (cut off by a filter) has no `stop_loss` and no `take_profit`.
    """
    levels: dict[str, Levels] = {}
    trades: list[ClosedTrade] = []
    for fact in facts:
        match fact:
            case SignalScheduled() | SignalOpening() | SignalOpened():
                levels[fact.signal_id] = (fact.stop_loss, fact.take_profit)
            case SignalClosed():
                trades.append(_trade(fact, levels.pop(fact.signal_id, None)))
            case _:
                pass
    return tuple(sorted(trades, key=_order))


def _trade(fact: SignalClosed, levels: Levels | None) -> ClosedTrade:
    stop_loss, take_profit = levels or (None, None)
    return ClosedTrade(
        strategy=fact.strategy,
        symbol=fact.symbol,
        signal_id=fact.signal_id,
        side=fact.side,
        opened_ms=fact.opened_ms,
        closed_ms=fact.ts_ms,
        quantity=fact.quantity,
        entry_price=fact.entry_price,
        exit_price=fact.exit_price,
        fees=fact.fees,
        pnl_net=fact.pnl_net,
        pnl_ratio=fact.pnl_ratio,
        reason=fact.reason,
        stop_loss=stop_loss,
        take_profit=take_profit,
    )


def _order(trade: ClosedTrade) -> tuple[int, int, str]:
    return trade.closed_ms, trade.opened_ms, trade.signal_id


def realised_equity(trades: Iterable[ClosedTrade], start_ms: int, end_ms: int, start_equity: float) -> EquityCurve:
    """Start equity plus what trades had realised: at each close and each UTC day's end; for runs whose marks nobody kept."""
    closes = sorted((trade.closed_ms, trade.pnl_net) for trade in trades)
    closed_ms = np.array([closed for closed, _ in closes], dtype=np.int64)
    total = np.concatenate(([0.0], np.cumsum(np.array([float(pnl) for _, pnl in closes], dtype=np.float64))))
    within = closed_ms[(closed_ms > start_ms) & (closed_ms < end_ms)]
    ts_ms = np.union1d(day_ends(start_ms, end_ms), within)
    return EquityCurve(ts_ms=ts_ms, equity=start_equity + total[np.searchsorted(closed_ms, ts_ms, side="right")])


def day_ends(start_ms: int, end_ms: int) -> Times:
    """`start_ms`, every UTC midnight between, `end_ms`; one time only if both are the same."""
    first = (start_ms // DAY_MS + 1) * DAY_MS
    between = np.arange(first, end_ms, DAY_MS, dtype=np.int64)
    return np.unique(np.concatenate(([start_ms], between, [end_ms])).astype(np.int64))
