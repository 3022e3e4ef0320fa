"""What the workers see besides facts, counted and put into words for logs and the operator's screen."""

from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from livebot.core.facts import Fact
from livebot.ports import Decision
from livebot.runtime.problems import Problems

_log = structlog.get_logger(__name__)


class Observations:
    """One for the whole system; implements the workers' Observer."""

    def __init__(self, problems: Problems, block: Callable[[str, str | None], None]) -> None:
        """Nothing seen yet; `block(symbol, sentence)` stops new entries on a symbol, None allows them again."""
        self._problems = problems
        self._block = block
        self._foreign_orders: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.slow_calls: dict[str, float] = {}
        self.last_errors: dict[str, str] = {}
        self.unprotected_now: set[str] = set()

    def count(self, items: Sequence[Fact | Decision]) -> None:
        """What the bus is about to be told."""
        for item in items:
            self.counts[item.outcome if isinstance(item, Decision) else "facts"] += 1

    def failed(self, symbol: str, error: str) -> None:
        """A worker ended by an exception."""
        self.counts["failures"] += 1
        self.last_errors[symbol] = error

    def slow_call(self, strategy: str, symbol: str, call: str, took_ms: float) -> None:
        """A strategy's call took longer than the configured bound."""
        self.counts["slow_calls"] += 1
        self.slow_calls[strategy] = max(took_ms, self.slow_calls.get(strategy, 0.0))
        _log.warning("strategy_slow", strategy=strategy, symbol=symbol, call=call, took_ms=round(took_ms, 1))

    def order_unknown(self, symbol: str, order_id: str, text: str) -> None:
        """An order's fate is being asked for."""
        self.counts["orders_asked_for"] += 1
        _log.warning("order_asked_for", symbol=symbol, order=order_id, what=text)

    def foreign_at_start(self, symbol: str, text: str) -> None:
        """Recovery found something that is not ours."""
        self._foreign_orders[symbol] = text
        self._block(symbol, text)
        self._problems.report(f"foreign-order:{symbol}", text)

    def foreign(self, symbol: str, text: str) -> None:
        """The venue holds a quantity that is not ours, or (empty) no longer does."""
        self._block(symbol, text or self._foreign_orders.get(symbol))
        self._problems.report(f"foreign:{symbol}", text or None)

    def unprotected(self, symbol: str, strategy: str, *, since: bool) -> None:
        """A position is, or is no longer, without a confirmed stop."""
        name = f"{strategy}/{symbol}"
        if since:
            self.unprotected_now.add(name)
        else:
            self.unprotected_now.discard(name)

    def event_of_unknown_order(self, symbol: str, order_id: str) -> None:
        """The venue told of an order that no state knows."""
        self.counts["events_of_unknown_orders"] += 1
        _log.warning("event_of_unknown_order", symbol=symbol, order=order_id)

    def gap(self, symbol: str, missing: int) -> None:
        """Candles were missing and were filled from history."""
        self.counts["gaps"] += 1
        _log.info("gap_filled", symbol=symbol, candles=missing)
