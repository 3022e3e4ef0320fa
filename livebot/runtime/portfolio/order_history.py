"""The orders that were let through: how many there were of late, which ones were sent, and which look the same.

Rules of this file: times are of the market and only go forward; an order that was let through counts in the rates, sent or
not; an id counts as sent when a fact tells of its order, so that whoever lost an answer may ask again; a restart knows the
signals' numbers from the ledger, and of averaging orders nothing but fills and failures; all of it is bounded, and where a
bound is met it is as if the limit were.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TypeVar

from livebot.core.candidate import Candidate
from livebot.core.facts import ORDER_KINDS, Fact, OrderFailed, PositionIncreased, SignalOpening, SignalScheduled
from livebot.core.limits import Limits
from livebot.core.market import DAY_MS, MINUTE_MS, OrderSide
from livebot.core.order import Leg, OrderRequest
from livebot.runtime.portfolio.exposure_book import Key

SECOND_MS = 1000
_ALIKE_REMEMBERED = 100_000  # orders within `duplicate_order_seconds`; with so many nothing more can be told apart
_IDS_REMEMBERED = 64  # of the averaging orders of one signal

F = TypeVar("F", bound=Fact)
Like = tuple[str, OrderSide, Decimal, Decimal | None]  # what orders that look the same have in common


class Window:
    """How many orders there were within the last `span_ms`, counted up to `most`."""

    def __init__(self, span_ms: int, most: int | None) -> None:
        """None so far; `most` None: not counted."""
        self._span_ms = span_ms
        self._times: deque[int] = deque(maxlen=most or 0)

    def add(self, now_ms: int) -> None:
        """One was let through."""
        self._times.append(max(now_ms, self._times[-1]) if self._times else now_ms)

    def count(self, now_ms: int) -> int:
        """As of now."""
        times, until_ms = self._times, now_ms - self._span_ms
        while times and times[0] <= until_ms:
            times.popleft()
        return len(times)

    def limit(self, most: int | None) -> None:
        """Count up to another number from now on; what was counted so far stays, also if it is more."""
        self._times = deque(self._times, maxlen=max(most or 0, len(self._times)))

    def restore(self, times: Sequence[int]) -> None:
        """There were orders at these times, in order; what of it still matters counts, also if it is more than the most."""
        recent = [ts_ms for ts_ms in times if ts_ms > times[-1] - self._span_ms]
        self._times = deque(recent, maxlen=max(self._times.maxlen or 0, len(recent)))


class OrderHistory:
    """One for the whole portfolio."""

    def __init__(self, limits: Limits) -> None:
        """Nothing was let through."""
        self._second = Window(SECOND_MS, limits.orders_per_second)
        self._minute = Window(MINUTE_MS, limits.orders_per_minute)
        self._day_ms = 0
        self._of_day = 0
        self._alike_ms = limits.duplicate_order_ms or 0
        # when, and whose as long as it was not sent; oldest first
        self._alike: OrderedDict[Like, tuple[int, Key | None]] = OrderedDict()
        self._numbers: dict[Key, int] = {}  # the highest signal number whose entry was sent
        self._ids: dict[Key, deque[str]] = {}  # of the last orders that were sent
        self._waiting: dict[Key, Candidate] = {}  # let through, and no fact tells of it

    # Rates

    def last_second(self, now_ms: int) -> int:
        """Orders of the last second."""
        return self._second.count(now_ms)

    def last_minute(self, now_ms: int) -> int:
        """Orders of the last minute."""
        return self._minute.count(now_ms)

    def today(self, now_ms: int) -> int:
        """Orders of the UTC day."""
        day_ms = now_ms - now_ms % DAY_MS
        if day_ms > self._day_ms:
            self._day_ms, self._of_day = day_ms, 0
        return self._of_day

    # One order

    def sent_before(self, key: Key, candidate: Candidate) -> bool:
        """Whether a fact has told of this very order."""
        number = 0 if candidate.signal is None else candidate.signal.number
        return 0 < number <= self._numbers.get(key, 0) or candidate.order.client_order_id in self._ids.get(key, ())

    def same_order_ms(self, key: Key, order: OrderRequest, now_ms: int) -> int | None:
        """How long ago an order that looks the same was let through, if it was of late; None: no such order.

        What the same (strategy, symbol) asked for and did not send is no other order.
        """
        if not self._alike_ms:
            return None
        self._forget_alike(now_ms)
        known = self._alike.get(_like(order))
        if known is None:
            return 0 if len(self._alike) >= _ALIKE_REMEMBERED else None
        return None if known[1] == key else max(0, now_ms - known[0])

    def let_through(self, key: Key, candidate: Candidate, now_ms: int) -> None:
        """It was approved; what was approved before for the same (strategy, symbol) and was not sent never will be."""
        self.not_sent(key)
        self._second.add(now_ms)
        self._minute.add(now_ms)
        self.today(now_ms)
        self._of_day += 1
        self._waiting[key] = candidate
        if self._alike_ms:
            like = _like(candidate.order)
            self._alike[like] = now_ms, key
            self._alike.move_to_end(like)

    def sent(self, key: Key) -> None:
        """A fact tells of the order that was let through."""
        candidate = self._waiting.pop(key, None)
        if candidate is None:
            return
        if candidate.signal is not None:
            self._numbers[key] = max(candidate.signal.number, self._numbers.get(key, 0))
            self._ids.pop(key, None)  # those of the signal before, which its number tells of
        self._ids.setdefault(key, deque(maxlen=_IDS_REMEMBERED)).append(candidate.order.client_order_id)
        like = _like(candidate.order)
        known = self._alike.get(like)
        if known is not None and known[1] == key:
            self._alike[like] = known[0], None

    def not_sent(self, key: Key) -> None:
        """What was let through and not told of is given up: it may be asked for again, and is no order."""
        candidate = self._waiting.pop(key, None)
        if candidate is not None:
            like = _like(candidate.order)
            known = self._alike.get(like)
            if known is not None and known[1] == key:
                del self._alike[like]

    def replace_limits(self, limits: Limits) -> None:
        """Other limits from now on; what was not counted so far begins to be."""
        self._second.limit(limits.orders_per_second)
        self._minute.limit(limits.orders_per_minute)
        self._alike_ms = limits.duplicate_order_ms or 0
        if not self._alike_ms:
            self._alike.clear()

    def restore(self, facts: Iterable[Fact]) -> None:
        """Begin from facts of the ledger, in the order of time: those of orders count again, and so do signal numbers.

        Of averaging each fill counts, and each failure, because nothing tells of the order itself; one that rests unfilled
        is not known.
        """
        times: list[int] = []
        for fact in facts:
            key, number = (fact.strategy, fact.symbol), int(fact.signal_id.rpartition("#")[2])
            self._numbers[key] = max(number, self._numbers.get(key, 0))
            if _is_order(fact):
                times.append(fact.ts_ms)
                self.today(fact.ts_ms)
                self._of_day += 1
            if self._alike_ms and isinstance(fact, SignalOpening | SignalScheduled):
                price = fact.limit_price if isinstance(fact, SignalScheduled) else None
                like = fact.symbol, fact.side.entry_order, fact.quantity, price
                self._alike[like] = fact.ts_ms, None
                self._alike.move_to_end(like)
        self._second.restore(times)
        self._minute.restore(times)

    def _forget_alike(self, now_ms: int) -> None:
        alike, until_ms = self._alike, now_ms - self._alike_ms
        while alike:
            like, (ts_ms, _) = next(iter(alike.items()))
            if ts_ms > until_ms:
                return
            del alike[like]


def in_order(facts: Iterable[F]) -> list[F]:
    """Each fact once, in the order of time."""
    once = {(fact.strategy, fact.symbol, fact.sequence): fact for fact in facts}
    return sorted(once.values(), key=lambda fact: (fact.ts_ms, fact.strategy, fact.symbol, fact.sequence))


def _is_order(fact: Fact) -> bool:
    if isinstance(fact, PositionIncreased | OrderFailed):
        return fact.leg is Leg.AVERAGE
    return isinstance(fact, ORDER_KINDS)


def _like(order: OrderRequest) -> Like:
    return order.symbol, order.side, order.quantity, order.price
