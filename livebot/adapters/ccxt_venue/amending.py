"""A working order made to look otherwise: in place where the venue can, else taken back and placed anew under its id.

Rules of this file: the order is placed anew only when the venue has confirmed that the old one is gone; the end of the
old one is then no news to anybody.  Whatever is not certain after that is unknown, and is asked for.
"""

from livebot.adapters.ccxt_venue.capabilities import VenueCapabilities
from livebot.adapters.ccxt_venue.failures import Cause
from livebot.adapters.ccxt_venue.order_forms import amend_call, cancel_call, create_call
from livebot.adapters.ccxt_venue.order_lookup import OrderLookup
from livebot.adapters.ccxt_venue.order_news import OrderNews
from livebot.adapters.ccxt_venue.sending import Sending
from livebot.adapters.ccxt_venue.urgency import Urgency
from livebot.adapters.ccxt_venue.venue_calls import VenueCalls
from livebot.core.inputs import OrderOutcome, OrderRejected
from livebot.core.order import OrderRequest
from livebot.errors import BadInput, LivebotError


class Amending:
    """Changes of orders that the venue has."""

    def __init__(
        self,
        capabilities: VenueCapabilities,
        calls: VenueCalls,
        sending: Sending,
        news: OrderNews,
        lookup: OrderLookup,
    ) -> None:
        self._capabilities = capabilities
        self._calls = calls
        self._sending = sending
        self._news = news
        self._lookup = lookup

    async def amend(self, request: OrderRequest) -> OrderOutcome:
        """Never raises for the order's own fate."""
        try:
            venue_order_id = await self._venue_order_id(request)
        except LivebotError as error:
            return self._sending.unknown(request, str(error))
        call = amend_call(request, venue_order_id, self._capabilities)
        if call is None:
            return await self._place_anew(request, venue_order_id)
        outcome = await self._sending.send(request, call)
        if isinstance(outcome, OrderRejected) and _as_it_is(outcome):
            return self._sending.unknown(request, outcome.text)  # it looks like that already: ask
        return outcome

    async def _venue_order_id(self, request: OrderRequest) -> str | None:
        """None where orders are changed by our id, or it has none.  Asked for only if nobody has told it: after a restart.

        Raises LivebotError.
        """
        if self._capabilities.amend_key is not None:
            return None
        known = self._news.venue_ids.get(request.client_order_id)
        if known is None:
            found = await self._lookup.find(request.symbol, request.client_order_id)
            known = found.venue_order_id if found is not None else None
        return known

    async def _place_anew(self, request: OrderRequest, venue_order_id: str | None) -> OrderOutcome:
        try:
            create = create_call(request, self._capabilities, attached_stop=None)
        except BadInput as error:
            return self._sending.unknown(request, str(error))
        if venue_order_id is not None:
            self._news.replace(venue_order_id)
        cancel = cancel_call(request.symbol, request.client_order_id, self._capabilities)
        urgency = Urgency.OPENS if request.leg.opens else Urgency.PROTECTS  # as the order that comes in its place
        failure = (await self._calls.attempt(cancel, urgency)).failure
        if failure is not None:
            self._news.keep(venue_order_id)
            if failure.cause is Cause.NOT_FOUND:
                return self._sending.unknown(request, "it is not working any more")
            return self._sending.unknown(request, failure.text)
        self._news.working.drop(request.client_order_id)  # its end was no news: nothing is to be told of it any more
        return await self._sending.send(request, create)


_AS_IT_IS = frozenset({"34040", "-5027"})  # bybit: not modified; binance: no need to modify
_UNCHANGED = ("not modified", "remains unchanged")  # bybit says the latter under 10001, which is any bad parameter


def _as_it_is(refused: OrderRejected) -> bool:
    return refused.code in _AS_IT_IS or any(words in refused.text for words in _UNCHANGED)
