"""Orders on their way out, and questions about orders whose fate is unknown.

Rules of this file: an order in flight is never abandoned by a cancelled task, its answer is awaited to the configured
timeout; no answer is OrderUnknown, never a failure; an order is absent only when the venue still does not know it after
its own acceptance window, counted from when we began to ask.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

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
from livebot.core.order import OrderRequest, OrderStatus, VenueOrder
from livebot.core.risk import Approved
from livebot.errors import Rejected, Transient
from livebot.ports import Clock, Exchange
from livebot.runtime.settings import ExecutionSettings

T = TypeVar("T")


class Execution:
    """One for each exchange; all its workers send through it."""

    def __init__(self, exchange: Exchange, clock: Clock, settings: ExecutionSettings) -> None:
        """Nothing is sent yet."""
        self._exchange = exchange
        self._clock = clock
        self._settings = settings
        self._in_flight: set[asyncio.Future[OrderOutcome]] = set()

    @property
    def in_flight(self) -> int:
        """Orders sent and not answered."""
        return len(self._in_flight)

    async def settled(self) -> None:
        """Wait until no order is in flight (each is bounded by its timeout)."""
        while self._in_flight:
            await asyncio.wait(self._in_flight)

    async def submit(self, approved: Approved) -> OrderOutcome:
        """Send an order and say what came of it."""
        return await self._send(approved, self._exchange.submit)

    async def amend(self, approved: Approved) -> OrderOutcome:
        """Ask for a working order to be changed and say what came of it."""
        return await self._send(approved, self._exchange.amend)

    async def _send(
        self, approved: Approved, call: Callable[[Approved], Awaitable[OrderOutcome]]
    ) -> OrderOutcome:
        sent = asyncio.ensure_future(self._bounded(approved, call))
        self._in_flight.add(sent)
        sent.add_done_callback(self._in_flight.discard)
        return await asyncio.shield(sent)

    async def _bounded(
        self, approved: Approved, call: Callable[[Approved], Awaitable[OrderOutcome]]
    ) -> OrderOutcome:
        order_id = approved.order.client_order_id
        try:
            async with asyncio.timeout(self._settings.order_timeout_s):
                return await call(approved)
        except TimeoutError:
            text = f"no answer within {self._settings.order_timeout_s:g} s"
        except Transient as error:
            text = str(error)
        return OrderUnknown(client_order_id=order_id, text=text, ts_ms=self._clock.now_ms())

    async def cancel(self, symbol: str, client_order_id: str) -> bool:
        """Take an order back; False if the venue does not know it or cannot be reached: then ask about it."""
        try:
            await self._retried(lambda: self._exchange.cancel(symbol, client_order_id))
        except (Rejected, Transient, TimeoutError):
            return False
        return True

    async def ask(self, request: OrderRequest) -> tuple[OrderEvent, ...]:
        """What the venue knows of an order, as events in the order they must have happened; waits until it is certain."""
        loop = asyncio.get_running_loop()
        certain_s = loop.time() + self._exchange.absence_window_ms / 1000
        while True:
            found = await self.answered(
                lambda: self._exchange.fetch_order(request.symbol, request.client_order_id)
            )
            if found is not None:
                return await self._story(request, found)
            if loop.time() >= certain_s:
                return (
                    OrderAbsent(client_order_id=request.client_order_id, ts_ms=self._clock.now_ms()),
                )
            await asyncio.sleep(self._settings.unknown_poll_s)

    async def _story(self, request: OrderRequest, found: VenueOrder) -> tuple[OrderEvent, ...]:
        now_ms, order_id = self._clock.now_ms(), request.client_order_id
        if found.status is OrderStatus.REJECTED:
            return (OrderRejected(client_order_id=order_id, code="rejected", text="refused by the venue", ts_ms=now_ms),)
        events: list[OrderEvent] = [
            OrderAccepted(
                client_order_id=order_id,
                venue_order_id=found.venue_order_id,
                quantity=found.quantity,
                price=found.price,
                trigger_price=found.trigger_price,
                ts_ms=now_ms,
            )
        ]
        if found.filled > 0:
            fills = await self.answered(lambda: self._exchange.fetch_fills(request.symbol, order_id))
            events += [OrderFilled(fill, fill.ts_ms) for fill in fills]
        if not found.status.live:
            events.append(
                OrderEnded(client_order_id=order_id, status=found.status, filled=found.filled, ts_ms=now_ms)
            )
        return tuple(events)

    async def answered(self, call: Callable[[], Awaitable[T]]) -> T:
        """A question that must be answered before anything else may happen to the order."""
        wait_s = self._settings.retry_backoff_s
        while True:
            try:
                async with asyncio.timeout(self._settings.order_timeout_s):
                    return await call()
            except (TimeoutError, Transient):
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, self._settings.retry_backoff_maximum_s)

    async def _retried(self, call: Callable[[], Awaitable[T]]) -> T:
        wait_s = self._settings.retry_backoff_s
        for _ in range(self._settings.retries):
            try:
                async with asyncio.timeout(self._settings.order_timeout_s):
                    return await call()
            except (TimeoutError, Transient):
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, self._settings.retry_backoff_maximum_s)
        async with asyncio.timeout(self._settings.order_timeout_s):
            return await call()
