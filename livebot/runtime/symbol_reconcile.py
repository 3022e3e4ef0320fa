"""One symbol's states brought in line with what the venue holds.

Rules of this file: every open question is asked before anything is compared; a difference is acted on only when two looks
in a row, during which nothing traded and with nothing left to ask, show the same; what is missing of a position was
closed outside, what is beyond ours is reported and left alone.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from livebot.core.inputs import ClosedOutside, OrderEvent
from livebot.core.market import decimal_of
from livebot.core.order import OrderRequest
from livebot.core.signal import Closing, Open
from livebot.runtime.reconcile import VenueSnapshot, confirmed_by, expected_quantity, shortfalls
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

    async def run(self) -> None:
        """Compare and act."""
        await self._states.commit()  # what is still to be sent cannot be asked about
        before: Decimal | None = None
        for _ in range(LOOKS):
            known = self._expected()
            seen = await self._shared.execution.look()
            await self._ask(seen)
            held, expected = seen.quantity(self._symbol), self._expected()
            difference = held - expected
            if not difference:
                self._shared.observer.foreign_position(self._symbol, None)
                return
            quiet = (
                expected == known
            )  # else it traded meanwhile, and the position is older than what was asked after it
            if quiet and difference == before:
                await self._act(held)
                return
            before = difference if quiet else None

    def _expected(self) -> Decimal:
        return expected_quantity(instance.state for instance in self._states.instances)

    async def _ask(self, seen: VenueSnapshot) -> None:
        open_ones = [(owner, record) for owner, record in self._states.unsettled() if not confirmed_by(record, seen)]
        # All at once: one that is absent is certain only after a while, and the others protect a position.
        answers = await asyncio.gather(*(self._shared.execution.ask(record.request) for _, record in open_ones))
        for (instance, record), events in zip(open_ones, answers, strict=True):
            self._settle(instance, record.request, events)
        await self._states.commit()

    def _settle(self, instance: StrategyInstance, request: OrderRequest, events: Sequence[OrderEvent]) -> None:
        for event in events:
            if record_of(instance, request.client_order_id) is not None:
                self._states.apply(instance, event)

    async def _act(self, held: Decimal) -> None:
        instances = self._states.instances
        missing, beyond = shortfalls((instance.state for instance in instances), held)
        for instance in instances:
            if instance.strategy_name in missing:
                self._states.apply(instance, self._outside(instance, missing[instance.strategy_name]))
        await self._states.commit()
        text = f"{self._symbol}: the venue holds {beyond} that is not ours; it is left alone, the symbol opens nothing"
        self._shared.observer.foreign_position(self._symbol, text if beyond else None)

    def _outside(self, instance: StrategyInstance, quantity: Decimal) -> ClosedOutside:
        signal, last = instance.state.signal, instance.last_price
        assert isinstance(signal, Open | Closing)
        price = decimal_of(last) if last is not None else signal.position.entry_price
        return ClosedOutside(quantity=quantity, price=price, ts_ms=self._shared.clock.now_ms())
