"""What really happened in one sequence, and what the limits make of it, worked out anew from scratch for every question.

Rules of this file: nothing is taken from the code that is tested but values; no running totals, only sums and lists, so that it
can be wrong in no way in which that code is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from livebot.core.candidate import Candidate
from livebot.core.facts import NO_EXPOSURE, Exposure
from livebot.core.limits import Limits
from livebot.core.market import DAY_MS, MINUTE_MS, Side, decimal_of
from livebot.core.streak import StreakScope

ZERO = Decimal(0)
Key = tuple[str, str]


@dataclass
class Life:
    """One (strategy, symbol): what is held and may still be entered, and what was promised and nobody has told of."""

    key: Key
    sequence: int = 0
    number: int = 1
    side: Side = Side.LONG
    stop: Decimal = ZERO
    quantity: Decimal = ZERO
    cost: Decimal = ZERO  # of the quantity
    pending: Decimal = ZERO
    price: Decimal = ZERO  # of what is pending
    alive: bool = False
    attempts: int = 0
    promised: Candidate | None = None

    @property
    def exposure(self) -> Exposure:
        """As the kernel tells it."""
        if not self.alive:
            return NO_EXPOSURE
        at_stake, quantity = self.cost + self.pending * self.price, self.quantity + self.pending
        return Exposure(
            side=self.side,
            quantity=self.quantity,
            entry_price=self.cost / self.quantity if self.quantity else ZERO,
            open_notional=self.cost,
            pending_notional=self.pending * self.price,
            risk_to_stop=max(ZERO, self.side.sign * (at_stake - quantity * self.stop)),
        )

    @property
    def stakes(self) -> Iterator[tuple[Side, Decimal]]:
        """Each side and what is at stake there: open, pending, promised."""
        if self.alive:
            yield self.side, self.cost + self.pending * self.price
        if self.promised is not None:
            yield self.promised.side, self.promised.notional


@dataclass
class Order:
    """One that was let through; `saved`: a file holds it, so that it may have been sent; `told`: by a fact."""

    ts_ms: int
    key: Key
    candidate: Candidate
    saved: bool = False
    told: bool = False
    given_up: bool = False


@dataclass
class Truth:
    """All of it."""

    limits: Limits
    lives: dict[Key, Life]
    wallet: Decimal
    clusters: Mapping[str, str] = field(default_factory=dict)
    marks: dict[str, float] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    entries: list[tuple[int, Key]] = field(default_factory=list)  # that facts told of
    closes: list[tuple[int, str, Decimal]] = field(default_factory=list)
    resumed: dict[str, int] = field(default_factory=dict)  # symbol -> when
    paused: set[str] = field(default_factory=set)

    @property
    def equity(self) -> Decimal:
        """Wallet, closed signals, and open ones at their marks."""
        worth = self.wallet + sum((pnl for _, _, pnl in self.closes), ZERO)
        for life in self.lives.values():
            mark = self.marks.get(life.key[1])
            if life.alive and life.quantity and mark is not None:
                entry = life.cost / life.quantity
                worth += life.side.sign * (decimal_of(mark) - entry) * life.quantity
        return worth

    # What is wrong with a candidate, by the code of its denial

    def against(self, asked: Candidate, now_ms: int, age_ms: int) -> set[str]:
        """Every limit that it would exceed."""
        key = (asked.strategy, asked.symbol)
        own = self.lives[key]
        promised, own.promised = own.promised, None  # its own reservation never counts
        found = {*self._of_the_order(asked, own, now_ms, age_ms), *self._of_all(asked, own)}
        found |= {*self._over_time(asked, now_ms)}
        own.promised = promised
        return found

    def _of_the_order(self, asked: Candidate, own: Life, now_ms: int, age_ms: int) -> Iterator[str]:
        limits, price = self.limits, asked.order.price or asked.price
        if asked.symbol in self.paused:
            yield "repeated_executions"
        if self._sent_before(asked) or self._like_another(asked, now_ms):
            yield "duplicate_order"
        if limits.stale_data_ms is not None and age_ms > limits.stale_data_ms:
            yield "stale_data"
        if limits.minimum_confidence is not None and (asked.confidence or 0.0) < float(limits.minimum_confidence):
            yield "minimum_confidence"
        if limits.order_notional is not None and asked.notional > limits.order_notional:
            yield "order_notional"
        mark = self.marks.get(asked.symbol)
        collar = limits.price_collar
        if collar is not None and (mark is None or abs(price - decimal_of(mark)) > collar * decimal_of(mark)):
            yield "price_collar"
        risk = asked.risk + (own.exposure.risk_to_stop if own.alive else ZERO)
        if limits.risk_per_trade is not None and risk > limits.risk_per_trade * self.equity:
            yield "risk_per_trade"

    def _of_all(self, asked: Candidate, own: Life) -> Iterator[str]:
        limits, equity, lives = self.limits, self.equity, [*self.lives.values()]
        stakes = [(life.key, side, amount) for life in lives for side, amount in life.stakes]
        if any(key[1] == asked.symbol and side is not asked.side for key, side, _ in stakes):
            yield "opposite_side"
        if asked.signal is not None:
            yield from self._counts(asked, [life.key for life in lives if life.alive or life.promised is not None])
        base = asked.symbol.split("/")[0]
        opposite = sum((life.cost for life in lives if life.alive and life.side is not asked.side), ZERO)
        for code, allowed, used in (
            ("gross_exposure", limits.gross_exposure, [each for _, _, each in stakes]),
            (
                "net_exposure",
                limits.net_exposure,
                [-opposite, *(each for _, side, each in stakes if side is asked.side)],
            ),
            ("symbol_exposure", limits.symbol_exposure, [each for key, _, each in stakes if key[1] == asked.symbol]),
            ("base_exposure", limits.base_exposure, [each for key, _, each in stakes if key[1].split("/")[0] == base]),
        ):
            if allowed is not None and sum(used, asked.notional) > allowed * equity:
                yield code
        risks = [life.exposure.risk_to_stop + (ZERO if life.promised is None else life.promised.risk) for life in lives]
        if limits.risk_in_all is not None and sum(risks, asked.risk) > limits.risk_in_all * equity:
            yield "risk_in_all"

    def _counts(self, asked: Candidate, active: list[Key]) -> Iterator[str]:
        limits, cluster = self.limits, self.clusters.get(asked.symbol, asked.symbol)
        of_cluster = sum(self.clusters.get(symbol, symbol) == cluster for _, symbol in active)
        for code, allowed, used in (
            ("open_signals", limits.open_signals, len(active)),
            (
                "open_signals_strategy",
                limits.open_signals_per_strategy,
                sum(key[0] == asked.strategy for key in active),
            ),
            ("open_signals_cluster", limits.open_signals_per_cluster, of_cluster),
        ):
            if allowed is not None and used >= allowed:
                yield code

    def _over_time(self, asked: Candidate, now_ms: int) -> Iterator[str]:
        limits, times = self.limits, [order.ts_ms for order in self.orders]
        for code, allowed, since_ms in (
            ("orders_per_second", limits.orders_per_second, now_ms - 1000),
            ("orders_per_minute", limits.orders_per_minute, now_ms - MINUTE_MS),
            ("orders_per_day", limits.orders_per_day, now_ms - now_ms % DAY_MS - 1),
        ):
            if allowed is not None and sum(ts_ms > since_ms for ts_ms in times) >= allowed:
                yield code
        if self.cooling_down(asked.symbol, now_ms):
            yield "losing_streak"

    def cooling_down(self, symbol: str, now_ms: int) -> bool:
        """Whether a losing streak keeps the symbol shut."""
        rule = self.limits.losing_streak
        if rule is None:
            return False
        losses = until_ms = 0
        for ts_ms, of, pnl in self.closes:
            if rule.scope is StreakScope.SYMBOL and of != symbol:
                continue
            losses = losses + 1 if pnl < 0 else 0 if pnl > 0 else losses
            if losses >= rule.losses:
                losses, until_ms = 0, max(until_ms, ts_ms + rule.cooldown_ms)
        return now_ms < until_ms

    def repeated(self, key: Key, now_ms: int) -> bool:
        """Whether the latest entry of this (strategy, symbol) was as many within the window as are allowed."""
        rule = self.limits.repeated_executions
        assert rule is not None  # every limit is on
        since_ms = max(self.resumed.get(key[1], 0), now_ms - rule.window_ms + 1)
        return sum(of == key and ts_ms >= since_ms for ts_ms, of in self.entries) >= rule.maximum

    def _sent_before(self, asked: Candidate) -> bool:
        name = asked.order.client_order_id
        return any(order.told and order.candidate.order.client_order_id == name for order in self.orders)

    def _like_another(self, asked: Candidate, now_ms: int) -> bool:
        window_ms = self.limits.duplicate_order_ms
        if window_ms is None:
            return False
        one, key = asked.order, (asked.strategy, asked.symbol)
        for order in self.orders:
            other = order.candidate.order
            same = (one.symbol, one.side, one.quantity, one.price) == (
                other.symbol,
                other.side,
                other.quantity,
                other.price,
            )
            if same and order.ts_ms > now_ms - window_ms and not order.given_up and (order.told or order.key != key):
                return True
        return False
