"""How each venue's private messages are taken from ccxt, message by message, before ccxt's caches can lose one.

Rules of this file: a client's handlers are replaced on the instance and the originals are not called: nothing then grows,
and a reader wakes only when its socket breaks.  A handler never raises into ccxt's socket loop.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import ccxt

from livebot.adapters.ccxt_venue.failures import VENUE_ERRORS
from livebot.adapters.ccxt_venue.order_forms import Call
from livebot.adapters.ccxt_venue.order_news import OrderNews
from livebot.errors import LivebotError

Message = dict[str, Any]
Acknowledged = Callable[[Any, str], None]  # the socket, and which of the watched streams it has subscribed


class StreamDialect(Protocol):
    """One venue's way."""

    @property
    def watches(self) -> dict[str, str]:
        """The client's methods that hold the streams open, and the name each stream has among a socket's subscriptions."""
        ...

    @property
    def newest_trades(self) -> Call | None:
        """The call for the account's newest trades, None if the venue has none for all symbols at once."""
        ...

    def install(self, client: Any, news: OrderNews, acknowledged: Acknowledged) -> None:  # noqa: ANN401 - ccxt's
        """Take over the client's handlers."""
        ...

    def renew(self, client: Any) -> None:  # noqa: ANN401
        """A stream is down: what it was opened with is not to be trusted any more."""
        ...


class BybitDialect:
    """Topics `order` and `execution` on one socket; subscriptions are acknowledged by request id."""

    watches = {"watch_orders": "orders", "watch_my_trades": "myTrades"}  # noqa: RUF012 - never changed
    newest_trades = Call("fetch_my_trades", (None, None, 20))
    _TRADES = frozenset({"Trade", "AdlTrade", "BustTrade"})  # not funding

    def install(self, client: Any, news: OrderNews, acknowledged: Acknowledged) -> None:  # noqa: ANN401
        """Rows are parsed by ccxt's own parsers, which know the markets."""

        def hear_orders(_: Any, message: Message) -> None:  # noqa: ANN401
            for row in _rows(message):
                _heard(news, lambda told: news.hear_order(client.parse_order(told)), row)

        def hear_trades(_: Any, message: Message) -> None:  # noqa: ANN401
            for row in _rows(message):
                if row.get("execType", "Trade") in self._TRADES:
                    _heard(news, lambda told: news.hear_trade(client.parse_trade(told), told.get("orderLinkId")), row)

        def hear_subscription(socket: Any, message: Message) -> None:  # noqa: ANN401
            number = message.get("req_id")
            for stream, subscription in list(socket.subscriptions.items()):
                if isinstance(subscription, dict) and str(subscription.get("id")) == str(number):
                    acknowledged(socket, stream)

        client.handle_order = hear_orders
        client.handle_my_trades = hear_trades
        client.handle_subscription_status = hear_subscription

    def renew(self, client: Any) -> None:  # noqa: ANN401
        """Each socket authenticates itself."""


class BinanceDialect:
    """One user stream tells of orders, trades and (contracts) of conditional orders, which have ids of their own."""

    watches = {"watch_orders": "orders"}  # noqa: RUF012 - never changed
    newest_trades = None

    def install(self, client: Any, news: OrderNews, acknowledged: Acknowledged) -> None:  # noqa: ANN401
        """The stream stands as soon as its socket does; all that comes on it is one handler's."""
        connected, handle = client.on_connected, client.handle_message

        def hear(_: Any, message: Message) -> None:  # noqa: ANN401
            row = message.get("o") if message.get("e") in ("ORDER_TRADE_UPDATE", "ALGO_UPDATE") else message
            if isinstance(row, dict):
                told = row if "T" in row else row | {"T": message.get("T")}
                _heard(news, lambda each: _hear_binance(client, news, each), told)

        def hear_connection(socket: Any, message: Any = None) -> None:  # noqa: ANN401
            connected(socket, message)
            acknowledged(socket, "orders")

        def hear_any(socket: Any, message: Any) -> None:  # noqa: ANN401
            if isinstance(message, dict) and message.get("e") == "listenKeyExpired":
                socket.on_error(ccxt.NetworkError("the listen key has expired"))  # ccxt would wait on a dead stream
            else:
                handle(socket, message)

        client.handle_message = hear_any
        client.handle_order_update = hear
        client.on_connected = hear_connection

    def renew(self, client: Any) -> None:  # noqa: ANN401
        """A stream of an expired listen key opens, and tells nothing: the key is asked for anew."""
        for part in ("linear", "future", "spot"):
            kept = client.options.get(part)
            if isinstance(kept, dict) and "lastAuthenticatedTime" in kept:
                kept["lastAuthenticatedTime"] = 0


def _hear_binance(client: Any, news: OrderNews, row: Message) -> None:  # noqa: ANN401
    order = client.parse_ws_order(row)
    if "aid" in row and row.get("ai"):  # triggered: it goes on as a plain order with this id
        ours = news.own_id(order)
        if ours is not None:
            news.ids.put(str(row["ai"]), ours)
        if row.get("X") in ("TRIGGERED", "FINISHED"):
            return  # the plain order's own messages tell the rest
    if row.get("x") == "TRADE":
        news.hear_trade(client.parse_ws_trade(row), order.get("clientOrderId"))
    news.hear_order(order)


def dialect_of(family: str) -> StreamDialect:
    """The way of a family of venues (`Connection.family`)."""
    return _DIALECTS[family]()


_UNREADABLE: tuple[type[Exception], ...] = (*VENUE_ERRORS, LivebotError)
_DIALECTS: dict[str, type[BybitDialect] | type[BinanceDialect]] = {"bybit": BybitDialect, "binance": BinanceDialect}


def _rows(message: Message) -> Iterable[Message]:
    data = message.get("data")
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []


def _heard(news: OrderNews, hear: Callable[[Message], None], row: Message) -> None:
    try:
        hear(row)
    except _UNREADABLE as error:
        news.unreadable(error)
