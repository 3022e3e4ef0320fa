"""One symbol's states brought in line with what the venue holds.

Rules of this file: every open question is asked before anything is compared; a difference is acted on only when two looks
in a row, during which nothing traded and with nothing left to ask, show the same; a worker waits for answers no longer
than a position may wait for its stop, then the orders are asked about on the side and the comparison comes later (but for
the first, before which nothing is decided); what is missing of a position was closed outside, what is beyond ours is
reported and left alone; what was dismissed counts as explained while it stays as it is.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from livebot.core.inputs import ClosedOutside, OrderEvent, OrderFilled
from livebot.core.market import decimal_of
from livebot.core.order import OrderRequest
from livebot.core.signal import Closing, Open
from livebot.runtime.follow_up import PATIENCE
from livebot.runtime.reconcile import Changes, VenueSnapshot, confirmed_by, expected_quantity, shortfalls
from livebot.runtime.strategy_instance import StrategyInstance
from livebot.runtime.surroundings import Surroundings
from livebot.runtime.symbol_states import SymbolStates, record_of

LOOKS = 6  # then it is left to the next time: the symbol is trading too fast to be compared


class SymbolReconcile:
    """One for each run of a worker."""

    def __init__(self, states: SymbolStates, shared: Surroundings) -> None:
        """Nothing is compared yet."""
        self._symbol = states.symbol
        self._states = states
        self._shared = shared
        self._changes = Changes()

    async def run(self, *, patient: bool = False) -> VenueSnapshot | None:
        """Compare and act; what the venue showed in the end, None if it trades too fast to tell or does not answer.

        Then it is compared later, unless `patient`: before anything was compared at all, an answer is waited for.
        """
        self._changes = Changes()
        seen = await self._compare(None if patient else self._patience_s)
        self._shared.observer.compared(self._symbol, self._changes)
        return seen

    def beyond(self, seen: VenueSnapshot) -> Decimal:
        """What the venue held beyond our files, positive long."""
        return seen.quantity(self._symbol) - self._expected()

    @property
    def _patience_s(self) -> float:
        return self._shared.execution_settings.unprotected_s * PATIENCE

    async def _compare(self, patience_s: float | None) -> VenueSnapshot | None:
        await self._states.commit()  # what is still to be sent cannot be asked about
        before: Decimal | None = None
        for _ in range(LOOKS):
            known = self._expected()
            seen = await self._look(patience_s)
            if seen is None or not await self._ask(seen):
                self._states.compare_later()
                return None
            expected, beyond = self._expected(), self.beyond(seen)
            if beyond == self._shared.observer.dismissed_quantity(self._symbol):
                self._shared.observer.foreign_position(self._symbol, beyond)
                return seen
            # Else it traded meanwhile, and the position is older than what was asked after it.
            quiet = expected == known
            if quiet and beyond == before:
                await self._act(seen.quantity(self._symbol))
                return seen
            before = beyond if quiet else None
        return None

    def _expected(self) -> Decimal:
        return expected_quantity(instance.state for instance in self._states.instances)

    async def _look(self, patience_s: float | None) -> VenueSnapshot | None:
        """What the venue holds, None if it does not say so in time: events that are waiting may want a stop."""
        try:
            async with asyncio.timeout(patience_s):
                return await self._shared.execution.insisted_look()
        except TimeoutError:
            return None

    async def _ask(self, seen: VenueSnapshot) -> bool:
        """Ask about whatever the look leaves open; False if an answer takes too long."""
        open_ones = [(owner, record) for owner, record in self._states.unsettled() if not confirmed_by(record, seen)]
        # All at once: one that is absent is certain only after a while, and the others protect a position.
        answers = [asyncio.ensure_future(self._shared.execution.ask(record.request)) for _, record in open_ones]
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

    async def _act(self, held: Decimal) -> None:
        instances = self._states.instances
        missing, beyond = shortfalls((instance.state for instance in instances), held)
        for instance in instances:
            if instance.strategy_name in missing:
                self._states.apply(instance, self._outside(instance, missing[instance.strategy_name]))
                self._changes += Changes(closed_outside=1)
        await self._states.commit()
        self._shared.observer.foreign_position(self._symbol, beyond)

    def _outside(self, instance: StrategyInstance, quantity: Decimal) -> ClosedOutside:
        signal, last = instance.state.signal, instance.last_price
        assert isinstance(signal, Open | Closing)
        price = decimal_of(last) if last is not None else signal.position.entry_price
        return ClosedOutside(quantity=quantity, price=price, ts_ms=self._shared.clock.now_ms())
