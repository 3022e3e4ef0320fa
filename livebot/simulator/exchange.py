"""`ports.Exchange` over a simulated venue in this process.

Rules of this file: it adds to the venue what a network adds: latency, and the faults a test asks for.  Answers and
events travel apart: the fills of an order may be told before the answer to its submission.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

from livebot.core.inputs import OrderAccepted, OrderEvent, OrderOutcome, OrderRejected, OrderUnknown
from livebot.core.market import Instrument
from livebot.core.order import Account, Fill, Leg, OrderRequest, VenueOrder, VenuePosition
from livebot.core.risk import Approved
from livebot.errors import BadInput, Transient
from livebot.ports import VenueNotice
from livebot.simulator.clock import VenueClock
from livebot.simulator.faults import FaultKind, Faults
from livebot.simulator.venue import SimulatedVenue

_LEAST_ABSENCE_WINDOW_MS = 250


class SimulatedExchange:
    """One account at a simulated venue.  `faults` is for tests."""

    def __init__(
        self, venue: SimulatedVenue, clock: VenueClock, *, name: str = "simulator", latency_ms: float = 0.0
    ) -> None:
        """`latency_ms` (of the wall clock) passes with each call, half before and half after; none in lockstep.

        Raises:
            BadInput: the latency is negative.

        """
        if not latency_ms >= 0:
            message = f"latency {latency_ms} ms of the simulated venue must not be negative"
            raise BadInput(message)
        self.faults = Faults()
        self._venue = venue
        self._clock = clock
        self._name = name
        self._one_way_s = 0.0 if clock.lockstep else latency_ms / 2000.0
        self._listeners: dict[str, Callable[[OrderEvent], None]] = {}
        self._notices: Callable[[VenueNotice], None] | None = None
        self._unsubscribe: Callable[[], None] | None = venue.subscribe(self._hear)

    @property
    def name(self) -> str:
        """As configured."""
        return self._name

    @property
    def absence_window_ms(self) -> int:
        """Far more than a request can be under way."""
        return max(_LEAST_ABSENCE_WINDOW_MS, round(4 * self._one_way_s * 1000))

    @property
    def refuses_repeated_ids(self) -> bool:
        """As the engine does, of all orders that it remembers."""
        return True

    @property
    def positions_may_lag(self) -> bool:
        """The engine lists what it holds."""
        return False

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        """Instruments by symbol.  Raises BadInput naming the symbols that the venue lacks."""
        await self._travel()
        found = {symbol: self._venue.instrument(symbol) for symbol in symbols}
        lacking = sorted(symbol for symbol, instrument in found.items() if instrument is None)
        if lacking:
            message = f"the simulated venue has no symbol {', '.join(lacking)}"
            raise BadInput(message)
        return {symbol: instrument for symbol, instrument in found.items() if instrument is not None}

    async def submit(self, approved: Approved) -> OrderOutcome:
        """Send an order."""
        return await self.submit_request(approved.order)

    async def amend(self, approved: Approved) -> OrderOutcome:
        """Change a working order."""
        return await self.amend_request(approved.order)

    async def submit_request(self, request: OrderRequest) -> OrderOutcome:
        """Send an order that was approved elsewhere."""
        return await self._ask(request, self._venue.submit)

    async def amend_request(self, request: OrderRequest) -> OrderOutcome:
        """Change a working order as was approved elsewhere."""
        return await self._ask(request, self._venue.amend)

    async def cancel(self, symbol: str, client_order_id: str) -> None:
        """Take an order back.  Raises Rejected if the venue has no such working order, Transient if nobody answers."""
        if self.faults.take(FaultKind.LOSE_REQUEST, symbol):
            message = f"{symbol}: no answer to the cancellation of {client_order_id}"
            raise Transient(message)
        await self._travel()
        self._venue.cancel(symbol, client_order_id, self._clock.now_ms())
        if self.faults.take(FaultKind.LOSE_ANSWER, symbol):
            message = f"{symbol}: the answer to the cancellation of {client_order_id} was lost"
            raise Transient(message)
        await self._travel()

    async def fetch_order(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        """The order as it is now, None if the venue does not know it.  Raises Transient."""
        await self._question(symbol)
        return self._venue.order(symbol, client_order_id)

    async def fetch_fills(self, symbol: str, client_order_id: str) -> tuple[Fill, ...]:
        """All trades of an order, oldest first.  Raises Transient."""
        await self._question(symbol)
        return self._venue.fills(symbol, client_order_id)

    async def fetch_open_orders(self, symbols: Collection[str] | None = None) -> tuple[VenueOrder, ...]:
        """All of the account, or of these symbols and no others.  Raises Transient."""
        await self._question(None)
        found = self._venue.open_orders()
        return found if symbols is None else tuple(order for order in found if order.symbol in symbols)

    async def fetch_positions(self) -> tuple[VenuePosition, ...]:
        """All that are not flat.  Raises Transient."""
        await self._question(None)
        return self._venue.positions()

    async def fetch_account(self) -> Account:
        """At present prices.  Raises Transient."""
        await self._question(None)
        return self._venue.account()

    def listen(self, symbol: str, deliver: Callable[[OrderEvent], None]) -> None:
        """Deliver order events of a symbol from now on; replaces an earlier listener."""
        self._listeners[symbol] = deliver

    def ignore(self, symbol: str) -> None:
        """Nobody trades a symbol any more."""
        self._listeners.pop(symbol, None)

    def listen_notices(self, deliver: Callable[[VenueNotice], None]) -> None:
        """Deliver what `say` is told; replaces an earlier listener."""
        self._notices = deliver

    def say(self, notice: VenueNotice) -> None:
        """Let the connection say something about itself; it has nothing to say on its own."""
        if self._notices is not None:
            self._notices(notice)

    async def close(self) -> None:
        """Hear no more of the venue; the venue itself stays as it is."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _hear(self, symbol: str, event: OrderEvent) -> None:
        deliver = self._listeners.get(symbol)
        if deliver is not None:
            self.faults.deliver(deliver, event)

    async def _ask(self, request: OrderRequest, carry_out: Callable[[OrderRequest, int], OrderOutcome]) -> OrderOutcome:
        symbol, leg, faults = request.symbol, request.leg, self.faults
        await self._travel()
        if faults.take(FaultKind.LOSE_REQUEST, symbol, leg):
            return self._unknown(request, "the request was lost")
        refusal = faults.take(FaultKind.REFUSE, symbol, leg)
        if refusal is not None:
            return OrderRejected(
                client_order_id=request.client_order_id,
                code=refusal.code,
                text=refusal.text,
                ts_ms=self._clock.now_ms(),
            )
        outcome = carry_out(request, self._clock.now_ms())
        if leg is Leg.STOP and isinstance(outcome, OrderAccepted):
            self._venue.take_away_attached(request, self._clock.now_ms())
        if faults.take(FaultKind.LOSE_ANSWER, symbol, leg):
            return self._unknown(request, "the answer was lost")
        await self._travel()
        return outcome

    async def _question(self, symbol: str | None) -> None:
        await self._travel()
        if self.faults.take(FaultKind.FAIL_FETCH, symbol):
            message = "the simulated venue did not answer"
            raise Transient(message)
        await self._travel()

    async def _travel(self) -> None:
        if self._one_way_s:
            await asyncio.sleep(self._one_way_s)

    def _unknown(self, request: OrderRequest, text: str) -> OrderUnknown:
        return OrderUnknown(client_order_id=request.client_order_id, text=text, ts_ms=self._clock.now_ms())
