"""An order of ours and its trades, wherever the venue keeps them.

Rules of this file: what the private stream has told of an order's end is not asked for; the calls of the capability table
are asked in turn; an answer counts only if it carries the client id that was asked for.  "Not found" is the venue's word,
everything else that goes wrong is Transient.
"""

from collections.abc import Mapping
from dataclasses import replace

from livebot.adapters.ccxt_venue.answers import (
    ATTACHED_STOP,
    Row,
    client_id_of,
    guard_of,
    info_of,
    missing,
    order_of,
    rows_of,
    was_triggered,
)
from livebot.adapters.ccxt_venue.capabilities import VenueCapabilities, from_venue_id, to_venue_id
from livebot.adapters.ccxt_venue.failures import Cause
from livebot.adapters.ccxt_venue.order_forms import Call, find_calls
from livebot.adapters.ccxt_venue.order_news import OrderNews
from livebot.adapters.ccxt_venue.venue_calls import VenueCalls
from livebot.adapters.ccxt_venue.venue_traits import PERPETUAL
from livebot.core.order import Fill, Leg, VenueOrder, leg_of
from livebot.outside_ports import OutsideTrade

_TRADES_PER_PAGE = 100
_TRADES_AT_ONCE = 1_000  # where an order's trades come without further pages: the most that is given
_PLAIN: tuple[Mapping[str, str], ...] = ({},)
# Bybit lists one kind of trades at a time, and ccxt asks for the plain ones: a liquidation and a deleveraging are others.
_LISTS_OF_TRADES: Mapping[tuple[str, str], tuple[Mapping[str, str], ...]] = {
    ("bybit", PERPETUAL): (*_PLAIN, {"execType": "BustTrade"}, {"execType": "AdlTrade"})
}


class OrderLookup:
    """Questions about one order at a time."""

    def __init__(self, capabilities: VenueCapabilities, calls: VenueCalls, news: OrderNews) -> None:
        self._capabilities = capabilities
        self._calls = calls
        self._news = news

    async def find(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        """As it is now; None if no call finds it.  Raises Transient."""
        if (told := self._news.ended.get(client_order_id)) is not None:
            return told
        found: VenueOrder | None = None
        actual = ""
        for call in find_calls(symbol, client_order_id, self._capabilities):
            row = await self._found(symbol, client_order_id, call)
            if row is None:
                continue
            found = _as_asked(order_of(row, self._capabilities), found)
            self._news.know(found.venue_order_id, client_order_id)
            # A conditional order that was triggered goes on among the plain ones, under another id.
            apart = self._capabilities.conditionals_apart and leg_of(client_order_id) is Leg.STOP
            if not apart or not call.params.get("trigger") or (found.status.live and not was_triggered(row)):
                return found
            actual = str(info_of(row).get("actualOrderId") or "")
            if actual:
                self._news.ids.put(actual, client_order_id)
        if actual and found is not None:
            return _as_asked(await self._came_of(symbol, client_order_id, actual), found)
        return found

    async def _came_of(self, symbol: str, client_order_id: str, number: str) -> VenueOrder:
        """The plain order of a conditional one that was triggered, which need not carry its client id.

        What it has filled stands there only.  Raises Transient.
        """
        what = f"order {number} ({symbol}), which came of {client_order_id} when that was triggered"
        answer = await self._calls.attempt(Call("fetch_order", (number, symbol)))
        if answer.failure is not None:
            raise self._calls.unanswered(what, answer.failure)
        if not isinstance(answer.value, dict) or answer.value.get("id") != number:
            raise missing(what, "id")
        return replace(order_of(answer.value, self._capabilities), client_order_id=client_order_id)

    async def fills(self, symbol: str, client_order_id: str) -> tuple[Fill, ...]:
        """Oldest first.  Raises Transient."""
        if (told := self._news.told_fills(client_order_id)) is not None:
            return told
        what = f"trades of {client_order_id} ({symbol})"
        if self._capabilities.ccxt_class == "bybit":
            params, most = {"orderLinkId": to_venue_id(client_order_id, self._capabilities)}, _TRADES_PER_PAGE
        else:
            order = await self.find(symbol, client_order_id)
            if order is None:
                return ()
            params, most = {"orderId": order.venue_order_id}, _TRADES_AT_ONCE
        rows = await self._calls.ask_rows(what, Call("fetch_my_trades", (symbol, None, most), params))
        fills = {}
        for row in rows:
            if self._is_of(row, client_order_id):
                fill = self._news.fill(row, client_order_id, symbol)
                fills[fill.trade_id] = fill
                self._news.trades.put(fill.trade_id, True)
        return tuple(sorted(fills.values(), key=lambda fill: fill.ts_ms))

    async def outside(self, symbol: str, since_ms: int) -> tuple[OutsideTrade, ...]:
        """Trades of orders that are not known to be ours, oldest first; the venue's own if nobody else made any.

        Raises Transient.
        """
        lists = _LISTS_OF_TRADES.get((self._capabilities.ccxt_class, self._capabilities.market), _PLAIN)
        for params in lists:
            call = Call("fetch_my_trades", (symbol, since_ms, _TRADES_PER_PAGE), dict(params))
            rows = await self._calls.ask_rows(f"trades of {symbol}", call)
            if found := self._not_ours(rows, symbol):
                return found
        return ()

    def _not_ours(self, rows: list[Row], symbol: str) -> tuple[OutsideTrade, ...]:
        found = {}
        for row in rows:
            told = info_of(row).get("orderLinkId")
            ours = isinstance(told, str) and from_venue_id(told, self._capabilities) is not None
            if not ours and self._news.ids.get(str(row.get("order"))) is None:
                trade = OutsideTrade(self._news.fill(row, "", symbol), guard_of(row) == ATTACHED_STOP)
                found[trade.fill.trade_id] = trade
        return tuple(sorted(found.values(), key=lambda trade: trade.fill.ts_ms))

    async def _found(self, symbol: str, client_order_id: str, call: Call) -> Row | None:
        answer = await self._calls.attempt(call)
        what = f"order {client_order_id} ({symbol})"
        if answer.failure is not None:
            if answer.failure.cause is Cause.NOT_FOUND:
                return None
            raise self._calls.unanswered(what, answer.failure)
        rows = [answer.value] if isinstance(answer.value, dict) else rows_of(answer.value, what)
        return next((row for row in rows if client_id_of(row, self._capabilities) == client_order_id), None)

    def _is_of(self, row: Row, client_order_id: str) -> bool:
        told = info_of(row).get("orderLinkId")
        if isinstance(told, str) and told:
            return told == to_venue_id(client_order_id, self._capabilities)
        return self._news.ids.get(str(row.get("order"))) == client_order_id


def _as_asked(order: VenueOrder, conditional: VenueOrder | None) -> VenueOrder:
    """The plain order that came of a conditional one says no more what it was asked as: the conditional one does."""
    if conditional is None:
        return order
    return replace(order, kind=conditional.kind, quantity=conditional.quantity, trigger_price=conditional.trigger_price)
