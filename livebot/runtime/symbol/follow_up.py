"""What must not be forgotten about a symbol's orders: those whose fate is open, and positions without a stop.

Rules of this file: an order is asked about for as long as its fate is open, at most once in the configured time, and so is
one at the market that has not ended within a moment; every position without a confirmed stop has a clock running, but where
the stop was confirmed and nobody answers for a change of it: then it stands as it was or as it is to be.
"""

import asyncio
from collections.abc import Iterable
from decimal import Decimal
from typing import TypeVar

from livebot.core.exposure import held, protected
from livebot.core.inputs import OrderAccepted, OrderEvent
from livebot.core.order import ZERO, Leg, OrderKind, OrderRecord, OrderRequest, OrderStatus
from livebot.core.signal import Closing, Open
from livebot.runtime.inbox import Ask, Inbox, UnprotectedDeadline
from livebot.runtime.symbol.side_jobs import SideJobs
from livebot.runtime.symbol.strategy_instance import StrategyInstance
from livebot.runtime.symbol.surroundings import Surroundings

PATIENCE = 0.5  # of the time that a position may be without a stop: how long its worker waits for an answer

T = TypeVar("T")


class FollowUp:
    """One for each run of a worker."""

    def __init__(self, symbol: str, inbox: Inbox, jobs: SideJobs, shared: Surroundings) -> None:
        """Nothing is open."""
        self._symbol = symbol
        self._inbox = inbox
        self._jobs = jobs
        self._shared = shared
        self._asked: set[str] = set()
        self._told: set[str] = set()  # strategies of which the observer knows how it is
        self._alarms: dict[str, asyncio.TimerHandle] = {}
        self._comparison: asyncio.TimerHandle | None = None
        self._changing: dict[str, float] = {}  # until when (loop time) a change that was not answered may arrive
        self._at_market: dict[str, asyncio.TimerHandle] = {}  # orders that should have ended by then
        self._stood: dict[str, Decimal] = {}  # what a stop is for, as last confirmed or shown, by its id

    def watch(self, instances: Iterable[StrategyInstance]) -> None:
        """See to everything that is open now."""
        on_record: set[str] = set()
        for instance in instances:
            for record in instance.state.orders:
                on_record.add(record.request.client_order_id)
                if _lost(record):
                    self.ask_about(record.request)
                self._note_market(record)
                self._note_stop(record)
            self._watch_protection(instance)
        self._asked &= on_record
        for order_id in self._at_market.keys() - on_record:
            self._at_market.pop(order_id).cancel()
        self._stood = {order_id: quantity for order_id, quantity in self._stood.items() if order_id in on_record}

    async def answer(self, request: OrderRequest, answering: "asyncio.Future[T]") -> T | None:
        """An answer; None if it does not come while a position waits: that of an entry which has traded, or for its stop.

        What is awaited goes on, and is not heard any more.
        """
        if request.leg.opens:
            trading = self._inbox.filled(request.client_order_id)
            try:
                await asyncio.wait((answering, trading), return_when=asyncio.FIRST_COMPLETED)
            finally:
                trading.cancel()
        if not answering.done():
            await asyncio.wait((answering,), timeout=self._shared.execution_settings.unprotected_s * PATIENCE)
        return answering.result() if answering.done() else None

    def ask_about(self, request: OrderRequest) -> None:
        """Ask the venue about an order."""
        order_id = request.client_order_id
        key = f"ask:{order_id}"
        if self._jobs.runs(key):
            return
        again = order_id in self._asked
        if not again:
            self._asked.add(order_id)
            self._shared.observer.order_unknown(self._symbol, order_id, f"{request.leg.name.lower()} order")
        self._jobs.start(key, lambda: self._ask(request, again=again))

    def change_lost(self, request: OrderRequest) -> None:
        """Ask about an order of which a change was not answered: now, and when that change can no longer arrive.

        Until then it may still undo a newer one, and the venue's answers do not tell.
        """
        order_id = request.client_order_id
        self._changing[order_id] = asyncio.get_running_loop().time() + self._shared.execution.window_s
        self.ask_about(request)
        self._jobs.start(f"change:{order_id}", lambda: self._ask_when_changed(request))

    async def _ask_when_changed(self, request: OrderRequest) -> tuple[OrderEvent, ...]:
        loop, order_id = asyncio.get_running_loop(), request.client_order_id
        while True:
            until = self._changing[order_id]
            await asyncio.sleep(max(until - loop.time(), 0.0))
            events = await self._shared.execution.ask(request)
            if self._changing[order_id] == until:  # else another one was lost meanwhile
                del self._changing[order_id]
                return events

    async def _ask(self, request: OrderRequest, *, again: bool) -> tuple[OrderEvent, ...]:
        if again:
            await asyncio.sleep(self._shared.execution_settings.unknown_poll_s)
        return await self._shared.execution.ask(request)

    def _note_market(self, record: OrderRecord) -> None:
        """One at the market ends within a moment: if that is not told, its fills were not either, and no stop is for them."""
        order_id = record.request.client_order_id
        if record.request.kind is not OrderKind.MARKET or record.status is not OrderStatus.WORKING:
            timer = self._at_market.pop(order_id, None)
            if timer is not None:
                timer.cancel()
        elif order_id not in self._at_market:
            wait_s = self._shared.execution_settings.unprotected_s * PATIENCE
            self._at_market[order_id] = asyncio.get_running_loop().call_later(wait_s, self._market_late, record.request)

    def _market_late(self, request: OrderRequest) -> None:
        """Ask; what is still open then is asked about again by the next `watch`."""
        del self._at_market[request.client_order_id]
        self._jobs.start(f"ask:{request.client_order_id}", lambda: self._ask(request, again=False))

    def _watch_protection(self, instance: StrategyInstance) -> None:
        name = instance.strategy_name
        if self.exposed(instance):
            if name not in self._alarms:
                self._alarms[name] = asyncio.get_running_loop().call_later(
                    self._shared.execution_settings.unprotected_s, self._inbox.put, UnprotectedDeadline(name)
                )
                self._shared.observer.unprotected(self._symbol, name, _signal_id(instance))
        elif name in self._alarms or name not in self._told:
            alarm = self._alarms.pop(name, None)
            if alarm is not None:
                alarm.cancel()
            self._shared.observer.unprotected(self._symbol, name, None)
        self._told.add(name)

    def exposed(self, instance: StrategyInstance) -> bool:
        """Whether there is a position, and no stop that stands for all of it."""
        signal, orders, rules = instance.state.signal, instance.state.orders, instance.rules
        if not isinstance(signal, Open | Closing) or protected(signal, orders):
            return False
        if rules.replaces_stops or not rules.resting_target:
            return True  # there a stop that is to be changed may be taken back first
        quantity = held(signal.position, orders)
        return not any(self._stands(record, quantity) for record in orders)

    def _stands(self, record: OrderRecord, quantity: Decimal) -> bool:
        """Whether it is a stop for so much, whether or not a change that nobody answered for has reached the venue."""
        order_id = record.request.client_order_id
        covered = min(self._stood.get(order_id, ZERO), record.request.quantity) - record.filled
        waits = record.status is OrderStatus.WORKING and not record.cancel_requested and order_id in self._changing
        return waits and covered >= quantity

    def shown(self, event: OrderAccepted) -> None:
        """The venue says how an order of ours is."""
        if event.client_order_id in self._stood:
            self._stood[event.client_order_id] = event.quantity

    def _note_stop(self, record: OrderRecord) -> None:
        order_id = record.request.client_order_id
        if record.request.leg is Leg.STOP and record.status is OrderStatus.WORKING and record.confirmed:
            self._stood[order_id] = record.request.quantity
        elif order_id not in self._changing:
            self._stood.pop(order_id, None)  # the venue has refused the change, or shows another one

    def rang(self, strategy: str) -> None:
        """The clock of this strategy's position has run out; if it is still exposed, the next `watch` starts another."""
        if self._alarms.pop(strategy, None) is not None:
            self._shared.observer.overdue(self._symbol, strategy, self._shared.execution_settings.unprotected_s)

    def compare(self) -> None:
        """Have the symbol's states compared with the venue."""
        self._inbox.put(Ask())

    def compare_later(self, after_s: float) -> None:
        """Have them compared after so long, or sooner if that was asked for already."""
        loop = asyncio.get_running_loop()
        if self._comparison is not None and self._comparison.when() > loop.time() + after_s:
            self._comparison.cancel()
            self._comparison = None
        if self._comparison is None:
            self._comparison = loop.call_later(after_s, self._compare_now)

    def _compare_now(self) -> None:
        self._comparison = None
        self.compare()

    def close(self) -> None:
        """Stop all clocks; whoever runs the symbol next starts them anew."""
        if self._comparison is not None:
            self._comparison.cancel()
        for timers in (self._alarms, self._at_market):
            for timer in timers.values():
                timer.cancel()
            timers.clear()


def _lost(record: OrderRecord) -> bool:
    """Whether nobody knows what became of it, or it has ended with fills that have not been told."""
    return record.status is OrderStatus.UNKNOWN or not (record.settled or record.status.live)


def _signal_id(instance: StrategyInstance) -> str:
    signal = instance.state.signal
    assert isinstance(signal, Open | Closing)
    return f"{instance.strategy_name}/{instance.symbol}#{signal.signal.number}"
