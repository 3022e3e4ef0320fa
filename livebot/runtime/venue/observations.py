"""What the workers see besides facts, counted and put into words for logs and the operator's screen."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import structlog

from livebot.core.facts import Fact
from livebot.ports import Decision
from livebot.runtime.problems import Problems
from livebot.runtime.tally import Tally
from livebot.runtime.venue.comparisons import Comparisons
from livebot.runtime.venue.foreign import Foreign
from livebot.runtime.venue.reconcile import Changes

_log = structlog.get_logger(__name__)


class Observations:
    """One for the whole system; implements the workers' Observer."""

    def __init__(self, problems: Problems, foreign: Foreign, comparisons: Comparisons) -> None:
        """Nothing seen yet; what is not ours and what comparisons change is passed on."""
        self._problems = problems
        self._foreign = foreign
        self._comparisons = comparisons
        self._unprotected: dict[tuple[str, str], str] = {}
        self.counts: Counter[str] = Counter()
        self.tally = Tally()
        self.slow_calls: dict[str, float] = {}
        self.last_errors: dict[str, str] = {}

    @property
    def unprotected_now(self) -> tuple[str, ...]:
        """Signals whose position is without a confirmed stop."""
        return tuple(sorted(self._unprotected.values()))

    def count(self, items: Sequence[Fact | Decision]) -> None:
        """What the bus is about to be told."""
        for item in items:
            self.counts[item.outcome if isinstance(item, Decision) else "facts"] += 1
        self.tally.count(items)

    def failed(self, symbol: str, error: str) -> None:
        """A worker ended by an exception."""
        self.counts["failures"] += 1
        self.last_errors[symbol] = error

    def asked(self, took_s: float, delay_s: float) -> None:
        """A strategy was asked about a candle that had closed so long ago, and took so long to answer."""
        self.tally.asked(took_s, delay_s)

    def slow_call(self, strategy: str, symbol: str, call: str, took_ms: float) -> None:
        """A strategy's call took longer than the configured bound."""
        self.counts["slow_calls"] += 1
        self.slow_calls[strategy] = max(took_ms, self.slow_calls.get(strategy, 0.0))
        _log.warning("strategy_slow", strategy=strategy, symbol=symbol, call=call, took_ms=round(took_ms, 1))

    def order_unknown(self, symbol: str, order_id: str, text: str) -> None:
        """An order's fate is being asked for."""
        self.counts["orders_asked_for"] += 1
        _log.warning("order_asked_for", symbol=symbol, order=order_id, what=text)

    def withdrawn(self, symbol: str, strategy: str, order_id: str) -> None:
        """An approved entry is not sent after all."""
        self.counts["withdrawn"] += 1
        _log.info("entry_withdrawn", symbol=symbol, strategy=strategy, order=order_id)

    def foreign_position(self, symbol: str, quantity: Decimal) -> None:
        """The venue holds so much of this symbol that is not ours (positive long); 0: no longer."""
        self._foreign.position(symbol, quantity)

    def dismissed_quantity(self, symbol: str) -> Decimal:
        """How much of what is not ours may stay there as it is."""
        return self._foreign.dismissed_quantity(symbol)

    def foreign_beside(self, symbol: str) -> bool:
        """Whether the venue's position is not all ours, as far as is known."""
        return self._foreign.beside(symbol)

    def compared(self, symbol: str, changes: Changes) -> None:
        """The symbol's states were compared with the venue."""
        self.counts["orders_reconciled"] += changes.orders
        self.counts["fills_reconciled"] += changes.fills
        self.counts["closed_outside"] += changes.closed_outside
        self._comparisons.compared(symbol, changes)

    def unprotected(self, symbol: str, strategy: str, signal_id: str | None) -> None:
        """This signal's position is without a confirmed stop; None: the strategy has no such signal any more."""
        if signal_id is not None:
            self._unprotected[strategy, symbol] = signal_id
            return
        self._unprotected.pop((strategy, symbol), None)
        self._problems.report(f"unprotected:{strategy}/{symbol}", None)

    def overdue(self, symbol: str, strategy: str, seconds: float) -> None:
        """An unprotected position has been so for as long as is allowed."""
        self.counts["unprotected_overdue"] += 1
        signal_id = self._unprotected.get((strategy, symbol), f"{strategy}/{symbol}")
        text = f"{signal_id}: the position has had no confirmed stop for {seconds:g} s, it is being closed"
        self._problems.report(f"unprotected:{strategy}/{symbol}", text)

    def event_of_unknown_order(self, symbol: str, order_id: str) -> None:
        """The venue told of an order that no state knows."""
        self.counts["events_of_unknown_orders"] += 1
        _log.warning("event_of_unknown_order", symbol=symbol, order=order_id)

    def gap(self, symbol: str, strategy: str, missing: int) -> None:
        """Candles were missing and were filled from history."""
        self.counts["gaps"] += 1
        _log.info("gap_filled", symbol=symbol, strategy=strategy, candles=missing)

    def refused_candle(self, symbol: str, text: str) -> None:
        """A candle cannot be true, or contradicts one that was taken before."""
        self.counts["refused_candles"] += 1
        _log.warning("candle_refused", symbol=symbol, why=text)
