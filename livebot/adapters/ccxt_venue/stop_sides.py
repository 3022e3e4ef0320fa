"""Whether a stop still is one when it comes to the venue.

Rules of this file: where a venue tells a stop from a target by the price alone, one that the price has passed already would
rest there as a target and protect nothing; such a one is refused before it is sent, as other venues refuse it.
"""

from decimal import Decimal

from livebot.adapters.ccxt_venue.answers import optional_number
from livebot.adapters.ccxt_venue.capabilities import VenueCapabilities
from livebot.adapters.ccxt_venue.order_forms import Call
from livebot.adapters.ccxt_venue.urgency import Urgency
from livebot.adapters.ccxt_venue.venue_calls import VenueCalls
from livebot.core.inputs import OrderRejected
from livebot.core.market import OrderSide
from livebot.core.order import OrderRequest
from livebot.errors import Transient
from livebot.ports import Clock

PASSED = "price_beyond_stop"


class StopSides:
    """Looks at the price before a stop is sent or moved."""

    def __init__(self, capabilities: VenueCapabilities, calls: VenueCalls, clock: Clock) -> None:
        self._needed = capabilities.stop_side_by_price
        self._calls = calls
        self._clock = clock

    async def refuse(self, request: OrderRequest) -> OrderRejected | None:
        """The no to a stop that the price has passed; None if it may be sent, also if the price is not told."""
        trigger = request.trigger_price
        if not self._needed or trigger is None:
            return None
        price = await self._price(request.symbol)
        if price is None or (price > trigger if request.side is OrderSide.SELL else price < trigger):
            return None
        text = f"the price is {price} already, and a stop at {trigger} would be taken for a target there"
        return OrderRejected(
            client_order_id=request.client_order_id, code=PASSED, text=text, ts_ms=self._clock.now_ms()
        )

    async def _price(self, symbol: str) -> Decimal | None:
        answer = await self._calls.attempt(Call("fetch_ticker", (symbol,)), Urgency.PROTECTS)
        if not isinstance(answer.value, dict):
            return None
        try:
            return optional_number(answer.value, "last", symbol)
        except Transient:
            return None
