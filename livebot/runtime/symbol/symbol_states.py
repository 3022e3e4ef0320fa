"""The states of one symbol, and the one way in which they change: a kernel step, then save, publish, carry out.

Rules of this file: what is decided is saved before anything leaves; facts are published once they are saved; an entry
that may no longer be sent when its turn has come is withdrawn; where strategies share a position (or it is not all ours),
so is an exit beside which another order could close the same share, and an entry beside orders that may close more than
their own strategy's share; what cannot be saved changes nothing outside.
"""

import asyncio
from decimal import Decimal

from livebot.core.exposure import exposure_of, leaving_too_much, others_that_leave
from livebot.core.facts import Fact, SignalClosed
from livebot.core.inputs import (
    Admitted,
    Amend,
    AskAdmission,
    Cancel,
    CandleClosed,
    Compare,
    Input,
    OrderAbsent,
    OrderAccepted,
    OrderEvent,
    OrderFilled,
    OrderOutcome,
    OrderUnknown,
    Request,
    Step,
    Submit,
    SymbolState,
)
from livebot.core.kernel import step
from livebot.core.market import MINUTE_MS, Candle
from livebot.core.order import ZERO, Fill, Leg, OrderRecord, OrderRequest, OrderStatus
from livebot.core.risk import Approved
from livebot.core.signal import Closing, Idle, Open
from livebot.errors import Fatal, Rejected
from livebot.ports import Decision
from livebot.runtime.portfolio.exposure_book import Carried
from livebot.runtime.settings import RunMode
from livebot.runtime.symbol.follow_up import PATIENCE, FollowUp
from livebot.runtime.symbol.past_orders import PastOrders
from livebot.runtime.symbol.strategy_instance import StrategyInstance
from livebot.runtime.symbol.surroundings import Surroundings

_LEAVING = (Leg.EXIT, Leg.PARTIAL)
REMEMBERED_ORDERS = 64  # of past signals, because a venue may repeat their last events


class SymbolStates:
    """One for each run of a worker."""

    def __init__(self, symbol: str, follow_up: FollowUp, shared: Surroundings) -> None:
        """No state yet: `recover` comes first."""
        self.symbol = symbol
        self.instances: tuple[StrategyInstance, ...] = ()
        self.closed = 0  # signals that closed in this run
        self.fills = 0  # of our orders, heard of in this run
        self._follow_up = follow_up
        self._shared = shared
        self._owners: dict[str, StrategyInstance] = {}
        self._past = PastOrders()
        self._dirty: list[StrategyInstance] = []
        self._requests: list[tuple[StrategyInstance, Request]] = []
        self._facts: list[Fact | Decision] = []

    @property
    def idle(self) -> bool:
        """No strategy has a signal here."""
        return all(isinstance(instance.state.signal, Idle) for instance in self.instances)

    @property
    def has_had_its_signals(self) -> bool:
        """Whether as many have closed as the symbol has its turn for (sequential mode): then it opens no more."""
        settings = self._shared.settings
        wanted = settings.signals_per_symbol if settings.mode is RunMode.SEQUENTIAL else None
        return wanted is not None and self.closed >= wanted

    async def recover(self, strategies: tuple[str, ...]) -> None:
        """Begin from the files.  Raises Fatal if one was damaged while we ran."""
        shared = self._shared
        instances = tuple(shared.instances.get(self.symbol, name) for name in strategies)
        for instance in instances:
            instance.state = await self._load(instance.strategy_name)
            shared.saved(instance.state)  # a save that was cancelled may have reached the disk all the same
            for record in instance.state.orders:
                self._owners[record.request.client_order_id] = instance
        self.instances = instances
        for instance in instances:
            state = instance.state
            told = shared.published(state.strategy, state.symbol)
            untold = [fact for fact in state.outbox if fact.sequence > told]
            if untold:
                shared.publish(untold)
            shared.portfolio.recovered(
                state.strategy,
                state.symbol,
                exposure_of(state.signal, state.orders),
                state.sequence,
                Carried(state.remainder, state.remainder_cost),
            )

    async def _load(self, strategy: str) -> SymbolState:
        last = self._shared.last_saved(strategy, self.symbol)
        try:
            saved = await self._shared.store.load_one(strategy, self.symbol)
        except Rejected as error:
            await self._shared.store.save(last)
            text = f"{error}; it was written anew as last saved; look at both, then `livebot restart {self.symbol}`"
            raise Fatal(text) from error
        return last if saved is None else saved

    # Steps

    def apply(self, instance: StrategyInstance, event: Input) -> None:
        """One kernel step; its effects wait for `commit`, but the portfolio's verdict is asked for at once."""
        before = instance.state
        made = step(before, event, instance.rules)
        if isinstance(event, OrderFilled):
            self.fills += made.state is not before
            if _overshoots(before, event.fill):
                self._follow_up.compare()  # venues net positions: it has closed what is another strategy's
        self._past.heard(event)
        if isinstance(event, OrderAccepted):
            self._follow_up.shown(event)
        self.take(instance, made)

    def take(self, instance: StrategyInstance, made: Step) -> None:
        """The state, facts and requests of a step from the instance's state; its effects wait for `commit`."""
        if made.state is not instance.state:
            instance.state = made.state
            if instance not in self._dirty:
                self._dirty.append(instance)
            for record in made.state.orders:
                self._owners[record.request.client_order_id] = instance
            if isinstance(made.state.signal, Idle):
                self._forget_orders(instance)
                instance.take_next_rules()
        if made.facts:
            self._facts.extend(made.facts)
            self.closed += sum(isinstance(fact, SignalClosed) for fact in made.facts)
        for request in made.requests:
            if isinstance(request, AskAdmission):
                self._ask_admission(instance, request)
            else:
                self._requests.append((instance, request))

    def manage(self, instance: StrategyInstance, candle: Candle) -> None:
        """Let the rules look at a closed candle of the symbol, once, and never at one older than the last."""
        close_ms = candle.ts_ms + MINUTE_MS
        if close_ms > instance.managed_ms:
            instance.managed_ms = close_ms
            if type(instance.state.signal) is not Idle:  # as the kernel has it, and by far the most frequent
                self.apply(instance, CandleClosed(candle, close_ms))

    def tell(self, decision: Decision) -> None:
        """Publish this with the next commit."""
        self._facts.append(decision)

    def owner(self, order_id: str) -> StrategyInstance | None:
        """Whose order it is, if it is on record."""
        instance = self._owners.get(order_id)
        return instance if instance is not None and record_of(instance, order_id) is not None else None

    def unsettled(self) -> list[tuple[StrategyInstance, OrderRecord]]:
        """Every order of which something may still come."""
        return [
            (instance, record) for instance in self.instances for record in instance.state.orders if not record.settled
        ]

    def ask_later(self, instance: StrategyInstance, request: OrderRequest) -> None:
        """Nobody knows yet what became of this order; the venue is asked on the side until it is certain."""
        text = "the venue does not know it yet"
        unknown = OrderUnknown(client_order_id=request.client_order_id, text=text, ts_ms=self._shared.clock.now_ms())
        self.apply(instance, unknown)
        self._follow_up.ask_about(request)

    def compare_later(self, after_s: float | None = None) -> None:
        """Compare after so long, or when every order's fate is certain."""
        self._follow_up.compare_later(self._shared.execution.window_s if after_s is None else after_s)

    def is_old_news(self, event: OrderEvent) -> bool:
        """Whether an event of an order that is on record no more tells nothing new."""
        return self._past.knows(event)

    def was_ours(self, order_id: str) -> bool:
        """Whether it was an order of this or a recent signal."""
        return order_id in self._owners

    def _forget_orders(self, instance: StrategyInstance) -> None:
        mine = [order_id for order_id, owner in self._owners.items() if owner is instance]
        for order_id in mine[:-REMEMBERED_ORDERS]:
            del self._owners[order_id]

    def _ask_admission(self, instance: StrategyInstance, request: AskAdmission) -> None:
        candidate = request.candidate
        age_ms = self._shared.clock.now_ms() - candidate.ts_ms
        verdict = self._shared.portfolio.admit(candidate, candidate.ts_ms, age_ms=age_ms)
        if isinstance(verdict, Approved):
            self.apply(instance, Admitted(verdict, candidate.ts_ms))

    # Effects

    async def commit(self) -> None:
        """Save, publish, and carry out what was asked for, until nothing more follows."""
        while self._dirty or self._requests or self._facts:
            dirty, self._dirty = self._dirty, []
            facts, self._facts = self._facts, []
            requests, self._requests = self._requests, []
            await self._save([instance.state for instance in dirty])
            if facts:
                self._shared.publish(facts)
            for instance, request in requests:
                await self._carry_out(instance, request)
        self._follow_up.watch(self.instances)

    async def _save(self, states: list[SymbolState]) -> None:
        store = self._shared.store
        if len(states) == 1:
            await store.save(states[0])
        elif states:
            await asyncio.gather(*(store.save(state) for state in states))
        for state in states:
            self._shared.saved(state)

    async def _carry_out(self, instance: StrategyInstance, request: Request) -> None:
        match request:
            case Submit():
                await self._submit(instance, request.approved)
            case Amend():
                await self._amend(instance, request.approved)
            case Cancel():
                await self._cancel(instance, request)
            case Compare():
                self._follow_up.compare()
            case AskAdmission():
                raise Fatal("an admission is asked for at once, never carried out")

    async def _cancel(self, instance: StrategyInstance, request: Cancel) -> None:
        record = record_of(instance, request.client_order_id)
        if record is not None and not record.status.live:
            return  # it has ended meanwhile, as has been heard
        if not await self._shared.execution.cancel(request.symbol, request.client_order_id):
            record = record_of(instance, request.client_order_id)
            if record is not None:
                self._follow_up.ask_about(record.request)

    async def _submit(self, instance: StrategyInstance, approved: Approved) -> None:
        order = approved.order
        outcome: OrderOutcome | OrderAbsent | None
        if not await self._may_go(instance, order):
            # It is not sent, and will not be: an exit is asked for again with the next candle, a part stays with the rest.
            outcome = OrderAbsent(client_order_id=order.client_order_id, ts_ms=self._shared.clock.now_ms())
        else:
            answering = self._shared.execution.submitting(approved)
            if order.leg.opens or order.leg is Leg.STOP:  # others have no position wait for them
                outcome = await self._follow_up.answer(order, answering)
            else:
                outcome = await asyncio.shield(answering)
        if outcome is None:  # it is in flight still: whoever asks about it waits for that
            self.ask_later(instance, order)
            return
        if order.leg.opens and isinstance(outcome, OrderAbsent):
            self._shared.observer.withdrawn(self.symbol, instance.strategy_name, order.client_order_id)
        self.apply(instance, outcome)

    async def _may_go(self, instance: StrategyInstance, order: OrderRequest) -> bool:
        """Whether it closes nothing of another's share of the venue's position, and nothing closes what it opens."""
        if order.leg.opens:
            return await self._may_open(instance)
        return order.leg not in _LEAVING or await self._may_leave(instance, order)

    async def _may_open(self, instance: StrategyInstance) -> bool:
        """Whether no other strategy's orders may close more than there is of its share.

        An exit goes out beside a stop of unknown fate while no other strategy holds anything: none may until that is known.
        """
        others = [other for other in self.instances if other is not instance]
        doubtful = [
            (each, record) for each in others for record in leaving_too_much(each.state.signal, each.state.orders)
        ]
        if not doubtful:
            return True
        await asyncio.gather(*(self._learn_end(other, record.request) for other, record in doubtful))
        return not any(leaving_too_much(other.state.signal, other.state.orders) for other in others)

    async def _may_leave(self, instance: StrategyInstance, order: OrderRequest) -> bool:
        """Whether nothing else can close what this order is to close.

        Where another strategy has a share of the venue's position, or may have one any moment, or something that is not
        ours lies there, two exits of one share would close a part of the other.
        """
        alone = all(other is instance or isinstance(other.state.signal, Idle) for other in self.instances)
        if alone and not self._shared.observer.foreign_beside(self.symbol):
            return True
        beside = others_that_leave(instance.state.orders, order)
        if order.leg is Leg.PARTIAL:
            # It goes out beside a stop that is known to have made room for it, and not if that has closed the share meanwhile.
            sure = all(record.status is OrderStatus.WORKING and record.confirmed for record in beside)
            return sure and self._is_held(instance, order.quantity + sum((record.left for record in beside), ZERO))
        for record in beside:
            await self._learn_end(instance, record.request)
        left = others_that_leave(instance.state.orders, order)
        for record in left:
            self._follow_up.ask_about(record.request)  # its end brings the stop back, or the next exit
        return not left and self._is_held(instance, order.quantity)

    @staticmethod
    def _is_held(instance: StrategyInstance, quantity: Decimal) -> bool:
        signal = instance.state.signal
        return isinstance(signal, Open | Closing) and quantity <= signal.position.closable

    async def _learn_end(self, instance: StrategyInstance, request: OrderRequest) -> None:
        """What became of an order that was taken back; nothing is learnt if that takes longer than a position may wait."""
        try:
            async with asyncio.timeout(self._shared.execution_settings.unprotected_s * PATIENCE):
                events = await self._shared.execution.ask(request)
        except TimeoutError:
            return
        for event in events:
            if record_of(instance, request.client_order_id) is not None:
                self.apply(instance, event)

    async def _amend(self, instance: StrategyInstance, approved: Approved) -> None:
        order, answering = approved.order, self._shared.execution.amending(approved)
        awaited = order.leg is Leg.STOP
        if awaited:
            outcome = await self._follow_up.answer(order, answering)
        else:
            outcome = await asyncio.shield(answering)
        record = record_of(instance, order.client_order_id)
        if outcome is None or isinstance(outcome, OrderUnknown | OrderAbsent):
            # It may come still; or (absent) it is an entry to which nothing may be done any more.
            if record is not None:
                self._follow_up.change_lost(record.request)
        elif isinstance(outcome, OrderAccepted) or (record is not None and record.status is OrderStatus.WORKING):
            self.apply(instance, outcome)  # a refused one makes the kernel ask what the order is now
        # Else it is being asked for already, and a no to a change must not be taken for a no to the order.


def _overshoots(state: SymbolState, fill: Fill) -> bool:
    """Whether the fill closes more than there is; two exits of one signal may both fill before either is taken back."""
    signal = state.signal
    if not isinstance(signal, Open | Closing) or fill.side is not signal.signal.side.exit_order:
        return False
    return fill.quantity > signal.position.quantity and not signal.position.has(fill.trade_id)


def record_of(instance: StrategyInstance, order_id: str) -> OrderRecord | None:
    """What the instance's state remembers of an order."""
    for record in instance.state.orders:
        if record.request.client_order_id == order_id:
            return record
    return None
