"""Orders on their way out, and questions about orders whose fate is unknown.

Rules of this file: an order in flight is never abandoned by a cancelled task, its answer is awaited to the configured
timeout, and nothing else is said about that order before; no answer, and any error but the venue's no, is OrderUnknown,
never a failure; an order is absent only when the venue still does not know it after its own acceptance window, counted
from when we began to ask or, if it was sent again meanwhile, from then; an order that would open something passes one
last gate in the very step of the loop in which it leaves; a question is asked until there is an answer that can be used,
and a venue that refuses us stops entries, not the workers.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from decimal import Decimal
from typing import TypeVar

import structlog

from livebot.core.inputs import (
    OrderAbsent,
    OrderAccepted,
    OrderEnded,
    OrderEvent,
    OrderFilled,
    OrderOutcome,
    OrderRejected,
    OrderUnknown,
)
from livebot.core.order import ZERO, OrderRequest, OrderStatus, VenueOrder
from livebot.core.risk import Approved
from livebot.errors import Fatal, LivebotError, Rejected, Transient, Unknown
from livebot.outside_ports import OutsideTrade, OutsideTrades
from livebot.ports import Clock, Exchange, VenueNotice
from livebot.runtime.settings import ExecutionSettings
from livebot.runtime.venue.reconcile import VenueSnapshot, snapshot_of

# Sources of notices
ORDERS, QUESTIONS, ANSWERS = "orders", "questions", "answers"
WRONG_ANSWERS = 3  # in a row to one question, then the operator is told

_KINDS: Mapping[type, str] = {
    OrderAccepted: "accepted",
    OrderRejected: "rejected",
    OrderUnknown: "unknown",
    OrderAbsent: "not_sent",
}

Answering = asyncio.Future[OrderOutcome | OrderAbsent]
T = TypeVar("T")
_log = structlog.get_logger(__name__)


class Execution:
    """One for each exchange; all its workers send through it."""

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        settings: ExecutionSettings,
        may_open: Callable[[str], bool],
        notify: Callable[[VenueNotice], None] = lambda _: None,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Nothing is sent yet.

        `may_open(symbol)` is the last gate: whether something may still open there; `notify` hears of a venue that
        refuses us or gives answers that cannot be used, and when that has passed; `failed` hears of each order that was
        refused or whose fate nobody knows.
        """
        self._exchange = exchange
        self._clock = clock
        self._settings = settings
        self._may_open = may_open
        self._notify = notify
        self._failed = failed
        self._standing: set[str] = set()  # the sources that were told of and have not passed
        self._puzzled = 0  # questions that were answered with what cannot be used, time and again
        self._in_flight: dict[Answering, str] = {}  # the client order id of each
        self.outcomes: Counter[str] = Counter()  # answers to what was sent, by kind
        self._sent_s: dict[str, float] = {}  # loop time; of those that may still arrive, the oldest first
        self._looking: asyncio.Task[VenueSnapshot] | None = None
        self._next_look: asyncio.Task[VenueSnapshot] | None = None
        self._look_at: frozenset[str] | None = frozenset()  # whose orders the next look has to show; None: all

    @property
    def in_flight(self) -> int:
        """Orders sent and not answered."""
        return len(self._in_flight)

    @property
    def window_s(self) -> float:
        """How long after it was sent the venue may still take something in."""
        return self._exchange.absence_window_ms / 1000

    @property
    def lag_s(self) -> float:
        """How far the venue's list of positions may be behind its trades."""
        return max(self.window_s, self._settings.positions_lag_s) if self._exchange.positions_may_lag else 0.0

    @property
    def repeats_are_refused(self) -> bool:
        """Whether a stop may be sent again under its own id: the venue refuses it if it has it."""
        return self._exchange.refuses_repeated_ids

    async def settled(self) -> None:
        """Wait until no order is in flight (each is bounded by its timeout)."""
        while self._in_flight:
            await asyncio.wait(self._in_flight)

    async def submit(self, approved: Approved) -> OrderOutcome | OrderAbsent:
        """Send an order and say what came of it.

        OrderAbsent: it was approved, but by now nothing may open any more, and it was not sent.
        """
        return await asyncio.shield(self.submitting(approved))

    async def amend(self, approved: Approved) -> OrderOutcome | OrderAbsent:
        """Ask for a working order to be changed and say what came of it."""
        return await asyncio.shield(self.amending(approved))

    def submitting(self, approved: Approved) -> Answering:
        """As `submit`, for who may give up waiting: the order is on its way, and nobody may cancel that."""
        return self._send(approved, self._exchange.submit, noes_happen=approved.order.post_only)

    def amending(self, approved: Approved) -> Answering:
        """As `amend`, for who may give up waiting."""
        return self._send(approved, self._exchange.amend, noes_happen=True)  # it may fill at any moment

    def _send(
        self, approved: Approved, call: Callable[[Approved], Awaitable[OrderOutcome]], *, noes_happen: bool
    ) -> Answering:
        order_id = approved.order.client_order_id
        sent = asyncio.ensure_future(self._bounded(approved, call, self._under_way(order_id)))
        self._in_flight[sent] = order_id
        sent.add_done_callback(self._in_flight.pop)
        sent.add_done_callback(lambda sent: self._count(sent, approved.order, noes_happen=noes_happen))
        return sent

    def _count(self, sent: Answering, order: OrderRequest, *, noes_happen: bool) -> None:
        if sent.cancelled() or sent.exception() is not None:
            return
        outcome = sent.result()
        self.outcomes[_KINDS[type(outcome)]] += 1
        if isinstance(outcome, OrderUnknown) or (isinstance(outcome, OrderRejected) and not noes_happen):
            self._failed(f"{order.symbol}: {outcome.text}")

    async def _landed(self, order_id: str) -> None:
        """Wait for all that has been sent about this order: who sent it may not have been there to hear the answer."""
        while under_way := self._under_way(order_id):
            await asyncio.wait(under_way)

    def _under_way(self, order_id: str) -> list[Answering]:
        return [sent for sent, other in self._in_flight.items() if other == order_id]

    async def _bounded(
        self, approved: Approved, call: Callable[[Approved], Awaitable[OrderOutcome]], earlier: list[Answering]
    ) -> OrderOutcome | OrderAbsent:
        order_id = approved.order.client_order_id
        if earlier:  # what a task before us has sent about this order and was not there to hear the answer of
            await asyncio.wait(earlier)
        if approved.order.leg.opens and not self._may_open(approved.order.symbol):
            # After this nobody will send it: that is as certain as a venue's word.
            return OrderAbsent(client_order_id=order_id, ts_ms=self._clock.now_ms())
        self._note_sent(order_id)
        try:
            async with asyncio.timeout(self._settings.order_timeout_s):
                outcome = await call(approved)
        except TimeoutError:
            text = f"no answer within {self._settings.order_timeout_s:g} s"
        except LivebotError as error:
            # A venue's no to an order is an outcome; what is raised instead says nothing of what became of it.
            text = str(error)
            if isinstance(error, Fatal):
                self._tell(ORDERS, f"the venue takes no orders from us: {text}; nothing opens until it takes one")
        else:
            if isinstance(outcome, OrderAccepted):
                self._tell(ORDERS, None)
            elif isinstance(outcome, OrderUnknown):
                _log_unknown(approved.order, outcome.text)
            return outcome
        _log_unknown(approved.order, text)
        self._note_sent(order_id)
        return OrderUnknown(client_order_id=order_id, text=text, ts_ms=self._clock.now_ms())

    def _note_sent(self, order_id: str) -> None:
        """From now on it may arrive for as long as the venue's window lasts."""
        now_s, sent_s = asyncio.get_running_loop().time(), self._sent_s
        sent_s.pop(order_id, None)
        sent_s[order_id] = now_s
        over_s = (
            now_s - self.window_s - self._settings.order_timeout_s
        )  # an answer may be as old as a question may last
        while (oldest := next(iter(sent_s))) != order_id and sent_s[oldest] < over_s:
            del sent_s[oldest]

    async def cancel(self, symbol: str, client_order_id: str) -> bool:
        """Take an order back; False if the venue does not know it or cannot be reached: then ask about it."""
        await self._landed(client_order_id)
        try:
            await self._retried(lambda: self._exchange.cancel(symbol, client_order_id))
        except (LivebotError, TimeoutError) as error:
            if isinstance(error, Fatal):
                self.refused(error)
            return False
        return True

    async def ask(self, request: OrderRequest) -> tuple[OrderEvent, ...]:
        """What the venue knows of an order, as events in the order they must have happened; waits until it is certain.

        A venue may count a fill before it lists it.  Then it is asked again for as long as its window lasts, each time
        after twice the wait (what protects must not stand in line behind questions); what it still withholds then is
        for the caller to ask about later.
        """
        order_id, loop = request.client_order_id, asyncio.get_running_loop()
        begun_s, wait_s = loop.time(), self._settings.unknown_poll_s
        while True:
            await self._landed(order_id)  # it may be sent again while we ask
            asked_s = loop.time()  # an answer counts from when it was asked for
            found = await self.insisted(lambda: self._exchange.fetch_order(request.symbol, order_id))
            events, listed = await self._story(request, found) if found is not None else ((), ZERO)
            left_s = max(begun_s, self._sent_s.get(order_id, begun_s)) + self.window_s - asked_s
            if found is not None and (listed >= found.filled or left_s <= 0):
                return events
            if left_s <= 0:
                self.outcomes["absent"] += 1
                return (OrderAbsent(client_order_id=order_id, ts_ms=self._clock.now_ms()),)
            await asyncio.sleep(min(wait_s, left_s))
            wait_s *= 2

    async def shows(self, request: OrderRequest) -> bool:
        """Whether the venue tells of the order, open or ended, if it is asked once; a no proves nothing."""
        found = await self.insisted(lambda: self._exchange.fetch_order(request.symbol, request.client_order_id))
        return found is not None

    async def _story(self, request: OrderRequest, found: VenueOrder) -> tuple[tuple[OrderEvent, ...], Decimal]:
        """The order's events, and how much of it the fills among them add up to."""
        now_ms, order_id, listed = self._clock.now_ms(), request.client_order_id, ZERO
        if found.status is OrderStatus.REJECTED:
            text = "refused by the venue"
            return (OrderRejected(client_order_id=order_id, code="rejected", text=text, ts_ms=now_ms),), found.filled
        events: list[OrderEvent] = []
        if found.status.live:  # of one that has ended it is all the same how it was: nothing can be changed any more
            events.append(
                OrderAccepted(
                    client_order_id=order_id,
                    venue_order_id=found.venue_order_id,
                    quantity=found.quantity,
                    price=found.price,
                    trigger_price=found.trigger_price,
                    ts_ms=now_ms,
                )
            )
        if found.filled > 0:
            fills = await self.insisted(lambda: self._exchange.fetch_fills(request.symbol, order_id))
            events += [OrderFilled(fill, fill.ts_ms) for fill in fills]
            listed = sum((fill.quantity for fill in fills), ZERO)
        if not found.status.live:
            events.append(OrderEnded(client_order_id=order_id, status=found.status, filled=found.filled, ts_ms=now_ms))
        return tuple(events), listed

    async def look(self, symbols: Collection[str] | None = None) -> VenueSnapshot:
        """What the venue holds, not before now; those who want to know at about the same time share one look.

        So what happened before the call is in it, and what happens later is told to an inbox that was open already.
        If `symbols` are named, orders of others may be missing in it: venues weigh a list of all orders far more.
        """
        if self._next_look is None:
            self._look_at = frozenset()
        if symbols is None or self._look_at is None:
            self._look_at = None
        else:
            self._look_at |= frozenset(symbols)
        if self._next_look is None:
            self._next_look = asyncio.create_task(self._look_after(self._looking), name="look")
            self._next_look.add_done_callback(_hear)
        return await asyncio.shield(self._next_look)

    async def _look_after(self, other: "asyncio.Task[VenueSnapshot] | None") -> VenueSnapshot:
        if other is not None:
            await asyncio.wait((other,))
        self._looking, self._next_look = self._next_look, None
        symbols = self._look_at
        # Positions first: then an order that has just closed one is missed among the orders.
        positions = await self._usable(self._exchange.fetch_positions)
        return snapshot_of(await self._usable(lambda: self._exchange.fetch_open_orders(symbols)), positions)

    async def outside_trades(self, symbol: str, since_ms: int) -> tuple[OutsideTrade, ...]:
        """What was traded there by no order of ours; none if the venue does not tell.  Raises LivebotError, TimeoutError."""
        if not isinstance(self._exchange, OutsideTrades):
            return ()
        async with asyncio.timeout(self._settings.order_timeout_s):
            return await self._exchange.fetch_outside_trades(symbol, since_ms)

    async def answered(self, call: Callable[[], Awaitable[T]], *, timeout_s: float | None = None) -> T:
        """A question that must be answered before anything else may happen; each attempt has `timeout_s`.

        The default is the time that an order's answer has.
        """
        wait_s = self._settings.retry_backoff_s
        while True:
            try:
                async with asyncio.timeout(timeout_s or self._settings.order_timeout_s):
                    return await call()
            except (TimeoutError, Transient):
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, self._settings.retry_backoff_maximum_s)

    async def insisted(self, call: Callable[[], Awaitable[T]]) -> T:
        """As `answered`, and whatever the venue says instead of an answer: it is asked again until it gives one.

        While it refuses us nothing opens, and the operator is told.
        """
        return await self._despite_refusals(lambda: self._usable(call))

    async def insisted_look(self, symbols: Collection[str] | None = None) -> VenueSnapshot:
        """As `look`, also if the venue refuses us at first."""
        return await self._despite_refusals(lambda: self.look(symbols))

    async def _despite_refusals(self, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                found = await call()
            except Fatal as error:
                self.refused(error)
                await asyncio.sleep(self._settings.retry_backoff_maximum_s)
            else:
                self._tell(QUESTIONS, None)
                return found

    async def _usable(self, call: Callable[[], Awaitable[T]]) -> T:
        """As `answered`, and an answer that cannot be used is no answer.  Raises Fatal."""
        wait_s, wrong = self._settings.retry_backoff_s, 0
        try:
            while True:
                try:
                    return await self.answered(call)
                except (Rejected, Unknown) as error:
                    wrong += 1
                    if wrong == WRONG_ANSWERS:
                        self._puzzled += 1
                        self._tell(ANSWERS, f"the venue gives answers that cannot be used ({error}); it is asked on")
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, self._settings.retry_backoff_maximum_s)
        finally:
            if wrong >= WRONG_ANSWERS:
                self._puzzled -= 1
                if not self._puzzled:
                    self._tell(ANSWERS, None)

    def refused(self, error: Fatal) -> None:
        """The venue will not deal with us: nothing opens until it has answered again."""
        self._tell(QUESTIONS, f"the venue refuses us: {error}; nothing opens until it answers again")

    def _tell(self, source: str, text: str | None) -> None:
        if text is not None:
            self._standing.add(source)
        elif source in self._standing:
            self._standing.discard(source)
        else:
            return
        self._notify(VenueNotice(source=source, text=text, blocks_entries=text is not None and source != ANSWERS))

    async def _retried(self, call: Callable[[], Awaitable[None]]) -> None:
        """All attempts together have the time of one order: whoever waits may have a stop to place.  Raises TimeoutError."""
        wait_s = self._settings.retry_backoff_s
        async with asyncio.timeout(self._settings.order_timeout_s):
            for _ in range(self._settings.retries):
                try:
                    return await call()
                except (Transient, Unknown):
                    await asyncio.sleep(wait_s)
                    wait_s = min(wait_s * 2, self._settings.retry_backoff_maximum_s)
            return await call()


def _hear(look: "asyncio.Task[VenueSnapshot]") -> None:
    """Whoever still waits for a look raises what went wrong in it; if nobody does, it concerns nobody."""
    if not look.cancelled():
        look.exception()


def _log_unknown(order: OrderRequest, why: str) -> None:
    what = f"{order.leg.name.lower()} order"
    _log.warning("order_unknown", symbol=order.symbol, order=order.client_order_id, what=what, why=why)
