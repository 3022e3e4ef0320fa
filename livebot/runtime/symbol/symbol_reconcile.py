"""One symbol's states brought in line with what the venue holds.

Rules of this file: every open question is asked before anything is compared, and nothing is while the venue counts a trade
that it has not listed; a difference is acted on only when two looks in a row, during which nothing traded, show the same,
and all looks have for as long as the venue's list may be behind (`Execution.lag_s`), in which no trade of ours was heard of,
or the venue's trades tell of it; until then positions keep their stops, and what was closed by hand is found within
`reconcile_s` and that time after our last trade; a worker waits for answers no longer
than a position may wait for its stop, then the orders are asked about on the side and the comparison comes later (but for
the first, before which nothing is decided); a protective stop that the venue may never have got is sent once more under
its own id before it is asked about, and never anything that opens; what is missing of a position was closed outside, what
is beyond ours is reported and left alone; what was dismissed counts as explained while it stays as it is.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from livebot.core.exposure import held
from livebot.core.inputs import ClosedOutside, OrderAbsent, OrderAccepted, OrderEvent, OrderFilled, SymbolState
from livebot.core.market import decimal_of
from livebot.core.order import ZERO, Leg, OrderRecord, OrderRequest
from livebot.core.risk import approve_reduction
from livebot.core.signal import Closing, Open
from livebot.errors import LivebotError
from livebot.outside_ports import OutsideTrade
from livebot.runtime.symbol.follow_up import PATIENCE
from livebot.runtime.symbol.strategy_instance import StrategyInstance
from livebot.runtime.symbol.surroundings import Surroundings
from livebot.runtime.symbol.symbol_states import SymbolStates, record_of
from livebot.runtime.venue.reconcile import (
    Changes,
    VenueSnapshot,
    close_enough,
    confirmed_by,
    expected_quantity,
    shortfalls,
    trades_untold,
)
from livebot.runtime.venue.standing import Standing

LOOKS = 6  # then it is left to the next time: the symbol is trading too fast to be compared
STANDING_LOOKS = 5  # so often is a difference looked at while it has to stand: a list may be wrong again by chance


class SymbolReconcile:
    """One for each run of a worker."""

    def __init__(self, states: SymbolStates, shared: Surroundings) -> None:
        """Nothing is compared yet."""
        self._symbol = states.symbol
        self._states = states
        self._shared = shared
        self._changes = Changes()
        self._standing = Standing()
        self._sent_again_ms: dict[str, int] = {}  # stops of this run, by client order id

    async def run(self, *, patient: bool = False) -> VenueSnapshot | None:
        """Compare and act; what the venue showed in the end, None if that is not certain yet or it does not answer.

        Then it is compared later, unless `patient`: before anything was compared at all, an answer is waited for.
        """
        self._changes = Changes()
        on_record = {record.request.client_order_id for _, record in self._states.unsettled()}
        self._sent_again_ms = {each: at_ms for each, at_ms in self._sent_again_ms.items() if each in on_record}
        seen = await self._compare(None if patient else self._patience_s)
        self._shared.observer.compared(self._symbol, self._changes)
        return seen

    def beyond(self, seen: VenueSnapshot) -> Decimal:
        """What the venue held beyond our files, positive long; of coins less than a lot is as much as was dismissed."""
        beyond = seen.quantity(self._symbol) - self._expected()
        dismissed = self._shared.observer.dismissed_quantity(self._symbol)
        states = [instance.state for instance in self._states.instances]
        return dismissed if close_enough(states, beyond - dismissed, self._coin_step) else beyond

    @property
    def _coin_step(self) -> Decimal:
        """The lot step where fees may be taken in coins, else 0."""
        instruments = [instance.rules.instrument for instance in self._states.instances]
        return max((each.lot_step for each in instruments if each.fee_in_base), default=ZERO)

    @property
    def _patience_s(self) -> float:
        return self._shared.execution_settings.unprotected_s * PATIENCE

    async def _compare(self, patience_s: float | None) -> VenueSnapshot | None:
        await self._states.commit()  # what is still to be sent cannot be asked about
        before: Decimal | None = None
        for _ in range(LOOKS):
            known, looked_s = self._expected(), asyncio.get_running_loop().time()
            seen = await self._look(patience_s)
            if seen is None or not await self._ask(seen) or self._trades_untold(seen):
                self._standing.over()  # it is long until the next look, and nobody knows what one would have shown
                self._states.compare_later()
                return None
            expected, beyond = self._expected(), self.beyond(seen)
            if beyond == self._shared.observer.dismissed_quantity(self._symbol):
                self._standing.over()
                self._shared.observer.foreign_position(self._symbol, beyond)
                return seen
            # Else it traded meanwhile, and the position is older than what was asked after it.
            quiet = expected == known
            if quiet and beyond == before:
                left_s = self._standing.left_s((beyond, self._states.fills), looked_s, self._shared.execution.lag_s)
                return await self._act(seen, left_s)
            before = beyond if quiet else None
        return None

    def _expected(self) -> Decimal:
        return expected_quantity(instance.state for instance in self._states.instances)

    async def _look(self, patience_s: float | None) -> VenueSnapshot | None:
        """What the venue holds, None if it does not say so in time: events that are waiting may want a stop."""
        try:
            async with asyncio.timeout(patience_s):
                return await self._shared.execution.insisted_look((self._symbol,))
        except TimeoutError:
            return None

    async def _ask(self, seen: VenueSnapshot) -> bool:
        """Ask about whatever the look leaves open; False if an answer takes too long."""
        open_ones = [(owner, record) for owner, record in self._states.unsettled() if not confirmed_by(record, seen)]
        # All at once: one that is absent is certain only after a while, and the others protect a position.
        answers = [asyncio.ensure_future(self._came_of(owner, record, seen)) for owner, record in open_ones]
        try:
            if answers:
                await asyncio.wait(answers, timeout=self._patience_s)
            late = [answer for answer in answers if not answer.done()]
            for (instance, record), answer in zip(open_ones, answers, strict=True):
                if answer.done():
                    self._settle(instance, record.request, answer.result())
                else:
                    self._states.ask_later(instance, record.request)
        finally:
            for answer in answers:
                answer.cancel()
        await self._states.commit()
        return not late

    async def _came_of(
        self, instance: StrategyInstance, record: OrderRecord, seen: VenueSnapshot
    ) -> Sequence[OrderEvent]:
        request, execution = record.request, self._shared.execution
        # It may have done its work unseen: a venue that refuses an id only while its order is open would take it twice.
        if self._lacks_its_stop(instance, record, seen) and not await execution.shows(request):
            self._sent_again_ms[request.client_order_id] = self._shared.clock.now_ms()
            outcome = await execution.submit(approve_reduction(request))
            if isinstance(outcome, OrderAccepted):
                return (outcome,)
            # That the venue has it already, or a no to this copy: neither says what became of the first one.
        return await execution.ask(request)

    def is_outdated(self, event: OrderEvent) -> bool:
        """Whether it calls an order absent that was sent again since: a question that was asked before does not know."""
        if not isinstance(event, OrderAbsent):
            return False
        return event.ts_ms <= self._sent_again_ms.get(event.client_order_id, event.ts_ms - 1)

    def _lacks_its_stop(self, instance: StrategyInstance, record: OrderRecord, seen: VenueSnapshot) -> bool:
        """Whether the venue shows the position, and not the stop of which nobody ever heard."""
        request, signal = record.request, instance.state.signal
        order_id = request.client_order_id
        if request.leg is not Leg.STOP or not isinstance(signal, Open | Closing) or order_id in self._sent_again_ms:
            return False
        never_heard_of = record.status.live and record.venue_order_id is None and not record.cancel_requested
        held_there = signal.signal.side.sign * seen.quantity(self._symbol)
        return (
            never_heard_of
            and order_id not in seen.orders
            and request.quantity <= min(held(signal.position, instance.state.orders), held_there)
            and self._shared.execution.repeats_are_refused
        )

    def _trades_untold(self, seen: VenueSnapshot) -> bool:
        """Whether the venue counts a trade of ours that it has not listed: it may be what is missing, and comes later."""
        return any(
            trades_untold(record, seen) for instance in self._states.instances for record in instance.state.orders
        )

    def _settle(self, instance: StrategyInstance, request: OrderRequest, events: Sequence[OrderEvent]) -> None:
        for event in events:
            record, before = record_of(instance, request.client_order_id), instance.state
            if record is None:
                continue
            self._states.apply(instance, event)
            following = record_of(instance, request.client_order_id)
            ended = record.status.live and (following is None or not following.status.live)
            filled = isinstance(event, OrderFilled) and instance.state is not before
            self._changes += Changes(orders=int(ended), fills=int(filled))

    async def _act(self, seen: VenueSnapshot, left_s: float) -> VenueSnapshot | None:
        """Book what is missing, tell what is beyond; None if it has to stand for longer, and no trades tell of it."""
        states = [instance.state for instance in self._states.instances]
        missing, beyond = shortfalls(states, seen.quantity(self._symbol))
        lacking = [
            (each, missing[each.strategy_name]) for each in self._states.instances if each.strategy_name in missing
        ]
        told = [await self._told(instance, quantity) for instance, quantity in lacking]
        explained = len(told) == 1 and all(told) and beyond == self._shared.observer.dismissed_quantity(self._symbol)
        if left_s and not explained:
            self._states.compare_later(min(left_s, self._shared.execution.lag_s / STANDING_LOOKS))
            return None
        for (instance, quantity), trades in zip(lacking, told, strict=True):
            for event in trades or (self._at_last_price(instance, quantity),):
                self._states.apply(instance, event)
            self._changes += Changes(closed_outside=1)
        await self._states.commit()
        self._shared.observer.foreign_position(self._symbol, self.beyond(seen))
        return seen

    async def _told(self, instance: StrategyInstance, quantity: Decimal) -> tuple[ClosedOutside, ...]:
        """The venue's trades that closed that much; none if they do not explain all of it."""
        signal = instance.state.signal
        if not isinstance(signal, Open | Closing):
            return ()
        trades = await self._trades_outside(signal)
        if sum((trade.fill.quantity for trade in trades), ZERO) != quantity:
            return ()
        return tuple(_closed_by(trade) for trade in trades)

    def _at_last_price(self, instance: StrategyInstance, quantity: Decimal) -> ClosedOutside:
        """How that much was closed, as far as anybody knows."""
        last = instance.last_price
        price = _cost_of(instance.state) if last is None else decimal_of(last)
        return ClosedOutside(quantity=quantity, price=price, ts_ms=self._shared.clock.now_ms())

    async def _trades_outside(self, signal: Open | Closing) -> list[OutsideTrade]:
        """Trades against the position since it was opened that are not in it; none if the venue does not tell in time."""
        side, known = signal.signal.side.exit_order, signal.position.has
        try:
            async with asyncio.timeout(self._patience_s):
                found = await self._shared.execution.outside_trades(self._symbol, signal.opened_ms)
        except (LivebotError, TimeoutError):
            return []
        return [trade for trade in found if trade.fill.side is side and not known(trade.fill.trade_id)]


def _cost_of(state: SymbolState) -> Decimal:
    """What one coin of what is held has cost."""
    if isinstance(state.signal, Open | Closing):
        return state.signal.position.entry_price
    return state.remainder_cost / state.remainder


def _closed_by(trade: OutsideTrade) -> ClosedOutside:
    fill = trade.fill
    return ClosedOutside(
        quantity=fill.quantity,
        price=fill.price,
        ts_ms=fill.ts_ms,
        fee=fill.fee,
        trade_id=fill.trade_id,
        by_stop=trade.by_stop,
    )
