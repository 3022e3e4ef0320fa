"""An order on its way: from what the venue, the network and ccxt make of it to one of three outcomes.

Rules of this file: the table of `failures` decides; nothing that may live at the venue is ever called refused.
"""

import asyncio

from livebot.adapters.ccxt_venue.capabilities import VenueCapabilities, from_venue_id
from livebot.adapters.ccxt_venue.exchange_settings import ExchangeSettings
from livebot.adapters.ccxt_venue.failures import Cause, Failure, mend_permission
from livebot.adapters.ccxt_venue.order_forms import Call
from livebot.adapters.ccxt_venue.upkeep import Upkeep
from livebot.adapters.ccxt_venue.urgency import Urgency
from livebot.adapters.ccxt_venue.venue_calls import VenueCalls
from livebot.core.inputs import OrderAccepted, OrderOutcome, OrderRejected, OrderUnknown
from livebot.core.order import OrderRequest
from livebot.ports import Clock

_NOT_SENT = (Cause.BANNED, Cause.NOT_SENT)


class Sending:
    """For new orders and changed ones."""

    def __init__(
        self,
        capabilities: VenueCapabilities,
        calls: VenueCalls,
        clock: Clock,
        settings: ExchangeSettings,
        upkeep: Upkeep,
    ) -> None:
        self._capabilities = capabilities
        self._calls = calls
        self._clock = clock
        self._settings = settings
        self._upkeep = upkeep

    async def send(self, request: OrderRequest, call: Call) -> OrderOutcome:
        """One order; what was refused for that moment or its timestamp only is sent again under the same id.

        What reduces and was not sent because of a ban that ends soon is sent then.
        """
        left, until_s = self._settings.resends, asyncio.get_running_loop().time() + self._settings.ban_wait_s
        urgency = Urgency.OPENS if request.leg.opens else Urgency.PROTECTS
        while (failure := (answer := await self._calls.attempt(call, urgency)).failure) is not None:
            if failure.cause is Cause.BANNED and not request.leg.opens and await self._outlasts_ban(until_s):
                continue
            if failure.cause not in (Cause.TOO_FAST, Cause.CLOCK) or not left:
                return self.refused(request, failure)
            left -= 1
            if failure.cause is Cause.CLOCK:
                await self._upkeep.measured()
            else:
                await asyncio.sleep(self._settings.resend_wait_s)
        return self._answered(request, answer.value)

    async def _outlasts_ban(self, until_s: float) -> bool:
        return await self._calls.outlasts_ban(until_s - asyncio.get_running_loop().time())

    def refused(self, request: OrderRequest, failure: Failure) -> OrderOutcome:
        """A definite no, or nobody knows."""
        text = f"{self._capabilities.exchange_id}: {failure.text}"
        if failure.cause is Cause.NOT_ALLOWED:  # the other symbols may be traded all the same
            text = (
                f"{self._capabilities.exchange_id}: {request.symbol}: {failure.text}; {mend_permission(failure.code)}"
            )
        if failure.definite or (failure.cause in _NOT_SENT and request.leg.opens):
            code = failure.code or failure.cause.value
            return OrderRejected(
                client_order_id=request.client_order_id, code=code, text=text, ts_ms=self._clock.now_ms()
            )
        # An order that reduces is asked for when a longer ban is over, found absent, and placed anew.
        return self.unknown(request, text)

    def unknown(self, request: OrderRequest, text: str) -> OrderUnknown:
        """To be asked for by client order id."""
        return OrderUnknown(client_order_id=request.client_order_id, text=text, ts_ms=self._clock.now_ms())

    def _answered(self, request: OrderRequest, answer: object) -> OrderOutcome:
        """Accepted only with an id in the answer, and not with somebody else's client id."""
        order = answer if isinstance(answer, dict) else {}
        venue_order_id = order.get("id")
        if not isinstance(venue_order_id, str) or not venue_order_id:
            return self.unknown(request, "the venue's answer holds no order id")
        told = order.get("clientOrderId")
        if isinstance(told, str) and told and from_venue_id(told, self._capabilities) != request.client_order_id:
            return self.unknown(request, "the venue's answer is about another order")
        return OrderAccepted(
            client_order_id=request.client_order_id,
            venue_order_id=venue_order_id,
            quantity=request.quantity,
            price=request.price,
            trigger_price=request.trigger_price,
            ts_ms=self._clock.now_ms(),
        )
