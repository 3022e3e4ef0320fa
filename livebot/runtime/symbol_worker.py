"""One symbol's worker: the path from a candle or an order event to saved state, orders and facts.

Rules of this file: what is decided is saved before anything leaves; facts are published once they are saved; between a
closed candle and the portfolio's verdict there is no await; an event of an order that no state knows is not guessed at.
One task runs one worker; an exception ends that task only, and the next run starts from the files and the venue.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from time import perf_counter
from typing import Protocol

from livebot.core.candidate import Refused
from livebot.core.entry import Adjustment, Entry
from livebot.core.exposure import exposure_of, protected
from livebot.core.facts import Fact, SignalClosed
from livebot.core.inputs import (
    Adjusted,
    Admitted,
    Amend,
    AskAdmission,
    Cancel,
    CandleClosed,
    ClosedOutside,
    ExitRequested,
    Input,
    OrderAccepted,
    OrderEvent,
    OrderFilled,
    Request,
    Submit,
)
from livebot.core.kernel import step
from livebot.core.market import MINUTE_MS, Candle, decimal_of
from livebot.core.order import OrderRecord, OrderRequest, OrderStatus
from livebot.core.propose import Circumstances, propose
from livebot.core.risk import Approved, Denied
from livebot.core.signal import CloseReason, Closing, Idle, Open
from livebot.errors import Fatal
from livebot.ports import CandleFeed, Clock, Decision, Exchange, SignalStore
from livebot.runtime.execution import Execution
from livebot.runtime.inbox import Ask, CandleOf, ContextDeadline, Inbox, Item, Leave, Stop, UnprotectedDeadline
from livebot.runtime.instances import Instances
from livebot.runtime.portfolio import Portfolio
from livebot.runtime.reconcile import VenueSnapshot, confirmed_by, expected_quantity, shortfalls, snapshot_of
from livebot.runtime.settings import ExecutionSettings, RunMode, RuntimeSettings
from livebot.runtime.strategy_instance import StrategyInstance


class Observer(Protocol):
    """Who is told what a worker sees besides facts: logs, counters and problems."""

    def slow_call(self, strategy: str, symbol: str, call: str, took_ms: float) -> None:
        """A strategy's call took longer than the configured bound."""

    def order_unknown(self, symbol: str, order_id: str, text: str) -> None:
        """An order's outcome is not known; it is being asked for."""

    def foreign(self, symbol: str, text: str) -> None:
        """The venue holds something of this symbol that is not ours (empty text: no longer)."""

    def unprotected(self, symbol: str, strategy: str, *, since: bool) -> None:
        """A position is, or is no longer, without a confirmed stop."""

    def event_of_unknown_order(self, symbol: str, order_id: str) -> None:
        """The venue told of an order that no state knows."""

    def gap(self, symbol: str, missing: int) -> None:
        """Candles were missing and were filled from history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all workers share."""

    clock: Clock
    feed: CandleFeed
    exchange: Exchange
    execution: Execution
    store: SignalStore
    portfolio: Portfolio
    publish: Callable[[Sequence[Fact | Decision]], None]
    instances: Instances[StrategyInstance]
    observer: Observer
    settings: RuntimeSettings
    execution_settings: ExecutionSettings
    first_snapshot: Callable[[], VenueSnapshot | None]  # the one taken at start, while it is fresh
    warmed: Callable[[str], None]


class SymbolWorker:
    """Runs the strategies of one symbol."""

    def __init__(self, symbol: str, strategies: tuple[str, ...], inbox: Inbox, shared: Surroundings) -> None:
        """Nothing happens before `run` or `guard`."""
        self.symbol = symbol
        self._strategies = strategies
        self._inbox = inbox
        self._shared = shared
        self._instances: tuple[StrategyInstance, ...] = ()
        self._by_order: dict[str, StrategyInstance] = {}
        self._dirty: list[StrategyInstance] = []
        self._requests: list[tuple[StrategyInstance, Request]] = []
        self._facts: list[Fact | Decision] = []
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._alarms: dict[str, asyncio.TimerHandle] = {}
        self._closed = 0
        self._deciding = True
        self._stopping = False

    async def run(self) -> None:
        """Until cancelled, or until the configured number of signals closed (sequential mode)."""
        await self._live(deciding=True)

    async def guard(self) -> None:
        """As `run`, but no strategy is asked anything: open signals are managed by rule until they close."""
        await self._live(deciding=False)

    async def _live(self, *, deciding: bool) -> None:
        self._deciding = deciding
        self._inbox.open()
        try:
            await self._recover()
            if deciding:
                await self._warm_up()
                self._shared.warmed(self.symbol)
            while not self._finished():
                items = await self._inbox.take()
                for item in items:
                    await self._handle(item)
                await self._commit()
                if self._inbox.must_ask:
                    self._inbox.must_ask = False
                    await self._reconcile(None)
                self._inbox.done()
        finally:
            self._inbox.close()
            self._drop_helpers()

    def _finished(self) -> bool:
        if self._stopping:
            return True
        settings = self._shared.settings
        wanted = settings.signals_per_symbol if settings.mode is RunMode.SEQUENTIAL else None
        idle = all(isinstance(instance.state.signal, Idle) for instance in self._instances)
        return self._deciding and wanted is not None and self._closed >= wanted and idle

    def _drop_helpers(self) -> None:
        for task in self._asking.values():
            task.cancel()
        for alarm in self._alarms.values():
            alarm.cancel()
        self._asking.clear()
        self._alarms.clear()

    # Starting

    async def _recover(self) -> None:
        shared = self._shared
        self._instances = tuple(shared.instances.get(self.symbol, name) for name in self._strategies)
        for instance in self._instances:
            saved = await shared.store.load_one(instance.strategy_name, self.symbol)
            if saved is not None:
                instance.state = saved
            for record in instance.state.orders:
                self._by_order[record.request.client_order_id] = instance
        unpublished = [fact for instance in self._instances for fact in instance.state.outbox]
        if unpublished:
            shared.publish(unpublished)
        for instance in self._instances:
            state = instance.state
            exposure = exposure_of(state.signal, state.orders)
            shared.portfolio.recovered(state.strategy, self.symbol, exposure, state.sequence)
        await self._reconcile(shared.first_snapshot())

    async def _warm_up(self) -> None:
        for instance in self._instances:
            await instance.warm_up(self._shared.feed)

    async def _reconcile(self, snapshot: VenueSnapshot | None) -> None:
        """Bring our states in line with the venue; twice, because fills may be on their way while we look."""
        shared = self._shared
        for attempt in (1, 2):
            seen = snapshot if attempt == 1 and snapshot is not None else await self._look()
            for instance, record in self._unsettled():
                if not confirmed_by(record, seen):
                    await self._resolve(instance, record.request)
            await self._commit()
            states = [instance.state for instance in self._instances]
            if expected_quantity(states) == seen.quantity(self.symbol):
                shared.observer.foreign(self.symbol, "")
                return
        missing, beyond = shortfalls(states, seen.quantity(self.symbol))
        for instance in self._instances:
            if instance.strategy_name in missing:
                self._apply(instance, self._outside(instance, missing[instance.strategy_name]))
        await self._commit()
        if beyond:
            shared.observer.foreign(self.symbol, f"{self.symbol}: the venue holds {beyond} that is not ours")

    async def _look(self) -> VenueSnapshot:
        exchange = self._shared.exchange
        execution = self._shared.execution
        orders = await execution.answered(exchange.fetch_open_orders)
        positions = await execution.answered(exchange.fetch_positions)
        return snapshot_of(orders, positions)

    def _outside(self, instance: StrategyInstance, quantity: Decimal) -> ClosedOutside:
        signal = instance.state.signal
        assert isinstance(signal, Open | Closing)
        last = instance.last_price
        price = decimal_of(last) if last is not None else signal.position.entry_price
        return ClosedOutside(quantity=quantity, price=price, ts_ms=self._shared.clock.now_ms())

    def _unsettled(self) -> list[tuple[StrategyInstance, OrderRecord]]:
        return [
            (instance, record)
            for instance in self._instances
            for record in instance.state.orders
            if not record.settled
        ]

    # Items

    async def _handle(self, item: Item) -> None:
        match item:
            case CandleOf():
                await self._candle(item)
            case ContextDeadline():
                self._context_deadline(item)
            case UnprotectedDeadline():
                self._unprotected_deadline(item)
            case Leave():
                self._leave(item.reason)
            case Ask():
                await self._reconcile(None)
            case Stop():
                self._stopping = True
            case _:
                self._order_event(item)

    def _order_event(self, event: OrderEvent) -> None:
        order_id = event.fill.client_order_id if isinstance(event, OrderFilled) else event.client_order_id
        instance = self._by_order.get(order_id)
        if instance is None or not _knows(instance, order_id):
            if instance is None:
                self._shared.observer.event_of_unknown_order(self.symbol, order_id)
            return
        self._apply(instance, event)

    def _leave(self, reason: CloseReason) -> None:
        now_ms = self._shared.clock.now_ms()
        for instance in self._instances:
            self._apply(instance, ExitRequested(reason, now_ms))

    def _unprotected_deadline(self, item: UnprotectedDeadline) -> None:
        self._alarms.pop(item.strategy, None)
        for instance in self._instances:
            if instance.strategy_name == item.strategy and not _is_protected(instance):
                self._apply(instance, ExitRequested(CloseReason.UNPROTECTED, self._shared.clock.now_ms()))

    async def _candle(self, item: CandleOf) -> None:
        candle = item.candle
        close_ms = candle.ts_ms + MINUTE_MS
        own = item.symbol == self.symbol
        if own:
            self._shared.portfolio.mark(self.symbol, candle.close)
        for instance in self._instances:
            if own:
                instance.last_price, instance.last_close_ms = candle.close, close_ms
                self._apply(instance, CandleClosed(candle, close_ms))
            if self._deciding and item.symbol in instance.watched:
                await self._advance(instance, item.symbol, candle)

    async def _advance(self, instance: StrategyInstance, symbol: str, candle: Candle) -> None:
        gap = instance.push(symbol, candle)
        if gap is not None:
            missing = await instance.backfill(self._shared.feed, symbol, gap, candle)
            self._shared.observer.gap(symbol, len(missing))
            if symbol == self.symbol:
                for late in missing:
                    self._apply(instance, CandleClosed(late, late.ts_ms + MINUTE_MS))
        close_ms = instance.due
        if close_ms is None:
            return
        if instance.context_complete(close_ms):
            self._decide(instance, close_ms)
        elif symbol == self.symbol:
            deadline = ContextDeadline(instance.strategy_name, close_ms)
            asyncio.get_running_loop().call_later(
                self._shared.settings.context_deadline_s, self._inbox.put, deadline
            )

    def _context_deadline(self, item: ContextDeadline) -> None:
        for instance in self._instances:
            if instance.strategy_name == item.strategy and instance.due == item.close_ms:
                instance.due = None
                late = ", ".join(instance.missing_context(item.close_ms))
                text = f"no candle of {late} within {self._shared.settings.context_deadline_s:g} s of the close"
                self._tell_decision(instance, item.close_ms, None, "skipped", ("context_missing", text))

    # Deciding

    def _decide(self, instance: StrategyInstance, close_ms: int) -> None:
        instance.due = None
        if not instance.ready or close_ms <= instance.state.decided_ms:
            return
        signal = instance.state.signal
        if isinstance(signal, Idle):
            entry = self._timed(instance, "decide", instance.decide)
            if entry is not None:
                assert isinstance(entry, Entry)
                self._enter(instance, entry, close_ms)
        elif isinstance(signal, Open) and instance.manages:
            adjustment = self._timed(instance, "manage", lambda: instance.manage(signal))
            if adjustment is not None:
                assert isinstance(adjustment, Adjustment)
                price = decimal_of(instance.last_price or 0.0)
                self._apply(instance, Adjusted(adjustment, price, close_ms))

    def _timed(
        self, instance: StrategyInstance, name: str, call: Callable[[], Entry | Adjustment | None]
    ) -> Entry | Adjustment | None:
        started = perf_counter()
        try:
            return call()
        finally:
            took_ms = (perf_counter() - started) * 1000
            if took_ms > self._shared.settings.slow_call_ms:
                self._shared.observer.slow_call(instance.strategy_name, self.symbol, name, took_ms)

    def _enter(self, instance: StrategyInstance, entry: Entry, close_ms: int) -> None:
        portfolio = self._shared.portfolio
        now = Circumstances(
            price=decimal_of(instance.last_price or 0.0), equity=portfolio.equity, ts_ms=close_ms, confidence=None
        )
        candidate = propose(instance.state, entry, now, instance.rules)
        if isinstance(candidate, Refused):
            self._tell_decision(instance, close_ms, entry, "refused", (candidate.code, candidate.text))
            return
        verdict = portfolio.admit(candidate, close_ms)
        if isinstance(verdict, Denied):
            self._tell_decision(instance, close_ms, entry, "denied", (verdict.code.value, verdict.text))
            return
        instance.state = replace(instance.state, decided_ms=close_ms)
        self._apply(instance, Admitted(verdict, close_ms))

    def _tell_decision(
        self, instance: StrategyInstance, close_ms: int, entry: Entry | None, outcome: str, why: tuple[str, str]
    ) -> None:
        self._facts.append(
            Decision(
                strategy=instance.strategy_name,
                symbol=self.symbol,
                close_ms=close_ms,
                ts_ms=close_ms,
                outcome=outcome,
                code=why[0],
                text=why[1],
                side=entry.side.value if entry is not None else None,
                confidence=None,
            )
        )

    # State, orders, facts

    def _apply(self, instance: StrategyInstance, event: Input) -> None:
        """One kernel step; its effects wait for `_commit`, but the portfolio's verdict is asked for at once."""
        before = instance.state
        made = step(before, event, instance.rules)
        if made.state is not before:
            instance.state = made.state
            if instance not in self._dirty:
                self._dirty.append(instance)
            for record in made.state.orders:
                self._by_order[record.request.client_order_id] = instance
            if isinstance(made.state.signal, Idle):
                self._forget_orders(instance)
        self._facts.extend(made.facts)
        self._closed += sum(isinstance(fact, SignalClosed) for fact in made.facts)
        for request in made.requests:
            if isinstance(request, AskAdmission):
                self._ask_admission(instance, request)
            else:
                self._requests.append((instance, request))

    def _forget_orders(self, instance: StrategyInstance) -> None:
        # The ids of the last signal stay known until the next one, because a venue may repeat their last events.
        live = {record.request.client_order_id for other in self._instances for record in other.state.orders}
        mine = [order_id for order_id, owner in self._by_order.items() if owner is instance]
        for order_id in mine[:-64]:
            if order_id not in live:
                del self._by_order[order_id]

    def _ask_admission(self, instance: StrategyInstance, request: AskAdmission) -> None:
        candidate = request.candidate
        verdict = self._shared.portfolio.admit(candidate, candidate.ts_ms)
        if isinstance(verdict, Approved):
            self._apply(instance, Admitted(verdict, candidate.ts_ms))

    async def _commit(self) -> None:
        """Save, publish, and carry out what was asked for, until nothing more follows."""
        while self._dirty or self._requests or self._facts:
            dirty, self._dirty = self._dirty, []
            facts, self._facts = self._facts, []
            requests, self._requests = self._requests, []
            if len(dirty) == 1:
                await self._shared.store.save(dirty[0].state)
            elif dirty:
                await asyncio.gather(*(self._shared.store.save(instance.state) for instance in dirty))
            if facts:
                self._shared.publish(facts)
            for instance, request in requests:
                await self._carry_out(instance, request)
        self._watch()

    async def _carry_out(self, instance: StrategyInstance, request: Request) -> None:
        execution = self._shared.execution
        match request:
            case Submit():
                self._apply(instance, await execution.submit(request.approved))
            case Amend():
                outcome = await execution.amend(request.approved)
                if isinstance(outcome, OrderAccepted):
                    self._apply(instance, outcome)
                else:
                    self._ask_about(instance, request.approved.order)
            case Cancel():
                if not await execution.cancel(request.symbol, request.client_order_id):
                    record = _record(instance, request.client_order_id)
                    if record is not None:
                        self._ask_about(instance, record.request)
            case AskAdmission():
                raise Fatal("an admission is asked for at once, never carried out")

    # Following up

    def _watch(self) -> None:
        """Ask about every order whose fate is open, and time every position without a confirmed stop."""
        for instance in self._instances:
            for record in instance.state.orders:
                lost = record.status is OrderStatus.UNKNOWN or not (record.settled or record.status.live)
                if lost:
                    self._ask_about(instance, record.request)
            self._watch_protection(instance)

    def _watch_protection(self, instance: StrategyInstance) -> None:
        name = instance.strategy_name
        if _is_protected(instance):
            if name in self._alarms:
                self._alarms.pop(name).cancel()
                self._shared.observer.unprotected(self.symbol, name, since=False)
        elif name not in self._alarms and isinstance(instance.state.signal, Open):
            self._shared.observer.unprotected(self.symbol, name, since=True)
            self._alarms[name] = asyncio.get_running_loop().call_later(
                self._shared.execution_settings.unprotected_s, self._inbox.put, UnprotectedDeadline(name)
            )

    def _ask_about(self, instance: StrategyInstance, request: OrderRequest) -> None:
        order_id = request.client_order_id
        if order_id in self._asking:
            return
        self._shared.observer.order_unknown(self.symbol, order_id, f"{request.leg.name.lower()} order")
        task = asyncio.create_task(self._ask_and_tell(request), name=f"ask:{self.symbol}:{order_id}")
        self._asking[order_id] = task
        task.add_done_callback(lambda _: self._asking.pop(order_id, None))

    async def _ask_and_tell(self, request: OrderRequest) -> None:
        with self._inbox.working():
            for event in await self._shared.execution.ask(request):
                self._inbox.put(event)

    async def _resolve(self, instance: StrategyInstance, request: OrderRequest) -> None:
        for event in await self._shared.execution.ask(request):
            if _knows(instance, request.client_order_id):
                self._apply(instance, event)


def _knows(instance: StrategyInstance, order_id: str) -> bool:
    return _record(instance, order_id) is not None


def _record(instance: StrategyInstance, order_id: str) -> OrderRecord | None:
    for record in instance.state.orders:
        if record.request.client_order_id == order_id:
            return record
    return None


def _is_protected(instance: StrategyInstance) -> bool:
    state = instance.state
    return not isinstance(state.signal, Open) or protected(state.signal, state.orders)


