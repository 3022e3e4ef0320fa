"""I3: whether positions have stops, and for how long they have had none.

Rules of this file: what counts is what works at the venue; time in which no daemon lives, the disk is full or a daemon
waits for the ledger to begin does not count; after an event was lost the daemon has until its next comparison with the venue;
where order after order is lost it has, for each, until that one can no longer arrive.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

from livebot.core.order import ZERO, OrderKind

if TYPE_CHECKING:
    from tests.simulation.world import World

BLIND_S = 160.0  # so much longer may a position be without a stop whose event was lost: until the next comparison

RESENT_S = (
    25.0  # from sending an order that never arrives to sending the next: a timeout, the venue's window, the questions
)
BEGINNING_S = 15.0  # from the fill to the first order for the position


class Cover:
    """`longest_s` is the longest time without a whole stop that was not due to a lost event."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._naked: dict[str, float] = {}
        self._lost: dict[str, float] = {}
        self._orders_lost: dict[str, list[float]] = {}
        self.longest_s = 0.0

    def event_lost(self, symbol: str) -> None:
        self._lost[symbol] = self._world.loop.time()

    def order_lost(self, symbol: str) -> None:
        """One that would have protected or closed a position never arrives."""
        self._orders_lost.setdefault(symbol, []).append(self._world.loop.time())

    def look_at(self, symbol: str) -> None:
        """Something has changed there."""
        if self.lacking(symbol):
            self._naked.setdefault(symbol, self._world.loop.time())
        elif (since := self._naked.pop(symbol, None)) is not None:
            self._judge(symbol, since)

    def look_at_all(self) -> None:
        """Time has passed."""
        for symbol, since in self._naked.items():
            self._judge(symbol, since)

    def lacking(self, symbol: str) -> Decimal:
        """How much of the position no stop covers; what an exit is closing is covered by it."""
        engine = self._world.venue._engine
        held, working = engine.holdings.quantity(symbol), engine.book.working(symbol)
        if not held:
            if not working:
                self._world.checker.truth.flat(symbol)
            return ZERO
        sign = -1 if held > 0 else 1
        stops = (order for order in working if order.running or order.request.kind is OrderKind.STOP_MARKET)
        covered = sum((order.remaining for order in stops if order.sign == sign), ZERO)
        return max(abs(held) - covered, ZERO)

    def _judge(self, symbol: str, since: float) -> None:
        world = self._world
        if world.disk.full or world.line is None or world.waits_for_ledger:
            return
        blind = self._lost.get(symbol, -1e9) > since - 5.0
        naked_s = world.loop.time() - max(since, world.alive_since)
        if not blind:
            self.longest_s = max(self.longest_s, naked_s)
        lost = sum(at >= since for at in self._orders_lost.get(symbol, ()))
        allowed_s = max(world.plan.naked_s, BEGINNING_S + RESENT_S * lost)
        if naked_s > allowed_s + (BLIND_S if blind else 0.0):
            world.checker.wrong("I3", f"{symbol}: {self.lacking(symbol)} without a stop for {naked_s:.1f} s")
