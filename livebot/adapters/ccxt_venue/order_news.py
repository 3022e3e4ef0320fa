"""From a pushed row about an order or a trade to an OrderEvent of ours.

Rules of this file: an event of an order that is not ours is never delivered; a trade that is not ours, in a symbol that
we listen to, changes the position behind our back, and so a comparison is asked for; a row that cannot be read is never
guessed at, a comparison is asked for as well.  The same trade may be told twice (its id is the same), none is made up.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from livebot.adapters.ccxt_venue.answers import Row, client_id_of, fill_of, order_of, third_currency_of
from livebot.adapters.ccxt_venue.capabilities import VenueCapabilities, from_venue_id
from livebot.adapters.ccxt_venue.health import Health
from livebot.adapters.ccxt_venue.remembered import Remembered
from livebot.core.inputs import OrderAccepted, OrderEnded, OrderEvent, OrderFilled, OrderRejected
from livebot.core.market import Instrument
from livebot.core.order import ZERO, Fill, Leg, OrderKind, OrderStatus, VenueOrder, leg_of
from livebot.errors import Transient
from livebot.ports import Clock

_WORKING = 4_096
_REPLACED = 64
_ENDED = 1_024
_log = structlog.get_logger(__name__)


class OrderNews:
    """`ids` knows our client order id by the venue's; `trades` holds the ids of the trades that were told.

    `working` holds the symbols of the orders, by client id, that were told or answered to be working, and not yet to have
    ended; `ended` how those were told to be that have; `venue_ids` the venue's id by ours.
    """

    def __init__(
        self,
        capabilities: VenueCapabilities,
        clock: Clock,
        health: Health,
        ids: Remembered[str],
        trades: Remembered[bool],
    ) -> None:
        self.ids = ids
        self.trades = trades
        self.instruments: Mapping[str, Instrument] = {}
        self._capabilities = capabilities
        self._clock = clock
        self._health = health
        self.working: Remembered[str] = Remembered(_WORKING)
        self.ended: Remembered[VenueOrder] = Remembered(_ENDED)
        self.venue_ids: Remembered[str] = Remembered(_WORKING)
        self._fills: Remembered[dict[str, Fill]] = Remembered(_ENDED)
        self._replaced: Remembered[bool] = Remembered(_REPLACED)
        self._listeners: dict[str, Callable[[OrderEvent], None]] = {}
        self._awaited: dict[str, float | None] = {}

    def listen(self, symbol: str, deliver: Callable[[OrderEvent], None]) -> None:
        """Deliver events of a symbol; replaces an earlier listener."""
        self._listeners[symbol] = deliver

    def ignore(self, symbol: str) -> None:
        """Nobody has a use for what happens to this symbol any more."""
        self._listeners.pop(symbol, None)

    def listens(self, symbol: str) -> bool:
        """Whether somebody has a use for what happens to this symbol."""
        return symbol in self._listeners

    @property
    def symbols(self) -> tuple[str, ...]:
        """Those that somebody listens to."""
        return tuple(self._listeners)

    def fill(self, row: Row, client_order_id: str, symbol: str) -> Fill:
        """A trade of ours; a fee in a currency whose price is not known here is told.  Raises Transient."""
        instrument = self.instruments.get(symbol)
        fill = fill_of(row, client_order_id, instrument)
        currency = third_currency_of(row, instrument)
        if currency is not None:
            self._health.remark(
                f"fees in {currency}",
                f"{self._health.venue} takes fees in {currency}, whose price livebot is not given: they are reckoned at the "
                "account's usual rate, so that profits are estimates to that extent; let the venue take fees in what is "
                "traded, for exact figures",
            )
        return fill

    def expect(self, client_order_id: str) -> None:
        """An order is on its way; the stream should tell of it, and what it told of another one of this id is the past."""
        self._awaited[client_order_id] = None
        self.ended.drop(client_order_id)

    def accepted(self, symbol: str, client_order_id: str, venue_order_id: str, until_s: float) -> None:
        """The venue has it: the stream has to have told of it by then (on the loop's clock)."""
        self.know(venue_order_id, client_order_id)
        if client_order_id in self._awaited:
            self._awaited[client_order_id] = until_s
            self.working.put(client_order_id, symbol)

    def know(self, venue_order_id: str, client_order_id: str) -> None:
        """Which order of ours it is."""
        self.ids.put(venue_order_id, client_order_id)
        self.venue_ids.put(client_order_id, venue_order_id)

    def told_fills(self, client_order_id: str) -> tuple[Fill, ...] | None:
        """The trades of an order of which the stream has told the end and, as that shows, every trade; else None."""
        end = self.ended.get(client_order_id)
        fills = (self._fills.get(client_order_id) or {}).values()
        if end is None or sum((fill.quantity for fill in fills), ZERO) != end.filled:
            return None
        return tuple(sorted(fills, key=lambda fill: fill.ts_ms))

    def forget(self, client_order_id: str) -> None:
        """The stream need not tell of it."""
        self._awaited.pop(client_order_id, None)

    def forget_all(self) -> None:
        """The stream is a new one; what it should have told is compared instead."""
        self._awaited.clear()

    def overdue(self, now_s: float) -> str | None:
        """An accepted order that the stream has not told of in time."""
        return next((key for key, until_s in self._awaited.items() if until_s is not None and now_s > until_s), None)

    def replace(self, venue_order_id: str) -> None:
        """We have taken this order back to place it anew under the same client id: its end is not the end."""
        self._replaced.put(venue_order_id, True)

    def keep(self, venue_order_id: str | None) -> None:
        """It could not be taken back: its end is the end."""
        if venue_order_id is not None:
            self._replaced.put(venue_order_id, False)

    def own_id(self, row: Row) -> str | None:
        """Our client order id of an order, told or known by the venue's id; None if it is not ours."""
        return client_id_of(row, self._capabilities) or self.ids.get(str(row.get("id")))

    def hear_order(self, row: Row) -> None:
        """An order has changed."""
        client_order_id = self.own_id(row)
        if client_order_id is None:
            return
        self._awaited.pop(client_order_id, None)
        try:
            order = order_of(row, self._capabilities)
        except Transient as error:
            self._unreadable(row, error)
            return
        if self._replaced.get(order.venue_order_id):
            return
        self.know(order.venue_order_id, client_order_id)
        if order.status is OrderStatus.WORKING:
            self.working.put(client_order_id, order.symbol)
            if came_of_stop(order, client_order_id):
                return  # a triggered one has no trigger any more, and is not to be taken for a changed one
        else:
            self.working.drop(client_order_id)
            self.ended.put(client_order_id, replace(order, client_order_id=client_order_id))
        self._deliver(
            order.symbol, event_of(order, client_order_id, self._time(row, "lastTradeTimestamp", "timestamp"))
        )

    def hear_trade(self, row: Row, told_id: Any) -> None:  # noqa: ANN401 - whatever the venue wrote there
        """A trade; `told_id` is the client order id in the venue's message."""
        trade_id, symbol = row.get("id"), row.get("symbol")
        if isinstance(trade_id, str):
            self.trades.put(trade_id, True)
        ours = from_venue_id(told_id, self._capabilities) if isinstance(told_id, str) else None
        client_order_id = ours or self.ids.get(str(row.get("order")))
        if client_order_id is None:
            if symbol in self._listeners:
                self._health.compare(symbol)
            return
        self._awaited.pop(client_order_id, None)
        try:
            fill = self.fill(row, client_order_id, str(symbol))
        except Transient as error:
            self._unreadable(row, error)
            return
        fills = self._fills.get(client_order_id) or {}
        self._fills.put(client_order_id, fills | {fill.trade_id: fill})
        self._deliver(str(symbol), OrderFilled(fill, fill.ts_ms))

    def unreadable(self, error: Exception) -> None:
        """A message that ccxt itself could not parse."""
        _log.error("private_message_unreadable", venue=self._health.venue, error=repr(error))
        self._health.compare(None)

    def _unreadable(self, row: Row, error: Transient) -> None:
        _log.error("private_message_unreadable", venue=self._health.venue, error=str(error))
        symbol = row.get("symbol")
        self._health.compare(symbol if isinstance(symbol, str) and symbol in self._listeners else None)

    def _deliver(self, symbol: str, event: OrderEvent) -> None:
        deliver = self._listeners.get(symbol)
        if deliver is not None:  # not from here: what a listener raises would end ccxt's socket loop without a word
            asyncio.get_running_loop().call_soon(deliver, event)

    def _time(self, row: Row, *names: str) -> int:
        return next((value for name in names if isinstance(value := row.get(name), int)), self._clock.now_ms())


def came_of_stop(order: VenueOrder, client_order_id: str) -> bool:
    """Whether it is the plain order that goes on for a stop of ours which was triggered."""
    return leg_of(client_order_id) is Leg.STOP and order.kind is not OrderKind.STOP_MARKET


def event_of(order: VenueOrder, client_order_id: str, ts_ms: int) -> OrderEvent:
    """What an order's present state is as an event."""
    if order.status is OrderStatus.REJECTED:
        text = "the venue refused it after it had taken it"
        return OrderRejected(client_order_id=client_order_id, code="rejected", text=text, ts_ms=ts_ms)
    if order.status is OrderStatus.WORKING:
        return OrderAccepted(
            client_order_id=client_order_id,
            venue_order_id=order.venue_order_id,
            quantity=order.quantity,
            price=order.price,
            trigger_price=order.trigger_price,
            ts_ms=ts_ms,
        )
    return OrderEnded(client_order_id=client_order_id, status=order.status, filled=order.filled, ts_ms=ts_ms)
