"""How each venue's private messages are taken from ccxt, message by message, before ccxt's caches can lose one.

Rules of this file: a client's handlers are replaced on the instance and the originals are not called: nothing then grows,
and a reader wakes only when its socket breaks.  A handler never raises into ccxt's socket loop.  A stream stands when the
venue has acknowledged what makes it tell something.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import ccxt

from livebot.adapters.ccxt_venue.failures import VENUE_ERRORS, Cause, Failure, failure_of
from livebot.adapters.ccxt_venue.order_forms import Call
from livebot.adapters.ccxt_venue.order_news import OrderNews
from livebot.adapters.ccxt_venue.venue_traits import PERPETUAL, SPOT
from livebot.errors import LivebotError

_SIGNED_MS = 10_000  # for so long the signature of a stream may be used
_EXPIRED = re.compile(r"timestamp|request expired|params error", re.IGNORECASE)
_NO_LISTEN_KEY = "-1125"
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

    async def keep_alive(self, client: Any) -> None:  # noqa: ANN401
        """Renew what the stream lives by.  Raises what ccxt does."""
        ...

    def failure(self, error: Exception) -> Failure:
        """What an exception means by which a stream did not open, or ended."""
        ...


class BybitDialect:
    """Topics `order` and `execution` on one socket; subscriptions are acknowledged by request id.

    Each socket authenticates itself, by a signature that expires.
    """

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
        _sign_by_venue(client)

    def renew(self, client: Any) -> None:  # noqa: ANN401
        """It is opened with nothing that is kept."""

    async def keep_alive(self, client: Any) -> None:  # noqa: ANN401
        """Pings do."""

    def failure(self, error: Exception) -> Failure:
        """Of a signature that has expired it says so, or that its parameters are wrong, with or without a code."""
        found = failure_of(error)
        if found.cause in (Cause.REFUSED, Cause.NO_ANSWER) and (said := _EXPIRED.search(str(error))):
            text = found.text if found.code else f"it refuses the time of the signature ({said[0]})"
            return Failure(Cause.CLOCK, found.code, text)
        return found


def _sign_by_venue(client: Any) -> None:  # noqa: ANN401
    """As requests are: ccxt would let the signature of a stream expire by this machine's clock."""
    authenticate = client.authenticate

    async def signed(url: str, params: Message | None = None) -> Any:  # noqa: ANN401
        expires = f"{client.nonce() + _SIGNED_MS:.0f}"
        text = f"GET/realtime{expires}"
        signature = hmac.new(client.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return await authenticate(url, {"args": [client.apiKey, expires, signature]} | (params or {}))

    client.authenticate = signed


class BinanceDialect:
    """One user stream tells of orders, trades and conditional orders, which have ids of their own.

    It is opened with a listen key that lives for an hour from when it was last asked for or renewed.
    """

    watches = {"watch_orders": "orders"}  # noqa: RUF012 - never changed
    newest_trades = None

    def install(self, client: Any, news: OrderNews, acknowledged: Acknowledged) -> None:  # noqa: ANN401
        """The stream stands as soon as its socket does; all that comes on it is one handler's."""
        connected, handle = client.on_connected, client.handle_message

        def hear_connection(socket: Any, message: Any = None) -> None:  # noqa: ANN401
            connected(socket, message)
            acknowledged(socket, "orders")

        def hear_any(socket: Any, message: Any) -> None:  # noqa: ANN401
            if isinstance(message, dict) and message.get("e") == "listenKeyExpired":
                socket.on_error(ccxt.NetworkError("the listen key has expired"))  # ccxt would wait on a dead stream
            else:
                handle(socket, message)

        async def keep_alive(params: object = None) -> None:
            """Not here: ccxt does it by a timer that nobody can end, once, and also while the venue bans us."""

        client.handle_message = hear_any
        client.handle_order_update = _order_updates(client, news)
        client.on_connected = hear_connection
        client.keep_alive_listen_key = keep_alive

    def renew(self, client: Any) -> None:  # noqa: ANN401
        """A stream of an expired listen key opens, and tells nothing: the key is asked for anew."""
        for part in ("linear", "future"):
            kept = client.options.get(part)
            if isinstance(kept, dict) and "lastAuthenticatedTime" in kept:
                kept["lastAuthenticatedTime"] = 0

    async def keep_alive(self, client: Any) -> None:  # noqa: ANN401
        """Whichever listen key the account has."""
        await client.fapiPrivatePutListenKey()

    def failure(self, error: Exception) -> Failure:
        """A listen key that is gone is no fault of the operator's keys."""
        found = failure_of(error)
        return Failure(Cause.NO_ANSWER, found.code, found.text) if found.code == _NO_LISTEN_KEY else found


class BinanceSpotDialect:
    """The same on spot: a subscription on the socket for requests, which is acknowledged, and ended by a message."""

    watches = {"watch_orders": "orders"}  # noqa: RUF012 - never changed
    newest_trades = None

    def install(self, client: Any, news: OrderNews, acknowledged: Acknowledged) -> None:  # noqa: ANN401
        """The stream stands with the subscription's number; all that comes on it is one handler's."""
        handle, subscribed = client.handle_message, client.handle_user_data_stream_subscribe

        def hear_subscription(socket: Any, message: Message) -> None:  # noqa: ANN401
            subscribed(socket, message)
            if isinstance(result := message.get("result"), dict) and result.get("subscriptionId") is not None:
                acknowledged(socket, "orders")

        def hear_any(socket: Any, message: Any) -> None:  # noqa: ANN401
            event = message.get("event") if isinstance(message, dict) else None
            if isinstance(event, dict) and event.get("e") == "eventStreamTerminated":
                socket.on_error(ccxt.NetworkError("the subscription has ended"))  # ccxt would wait on a dead stream
            else:
                handle(socket, message)

        client.handle_message = hear_any
        client.handle_order_update = _order_updates(client, news)
        client.handle_user_data_stream_subscribe = hear_subscription

    def renew(self, client: Any) -> None:  # noqa: ANN401
        """It is opened with nothing that is kept."""

    async def keep_alive(self, client: Any) -> None:  # noqa: ANN401
        """Pings do."""

    def failure(self, error: Exception) -> Failure:
        """After a refusal ccxt trips over its own tidying up, and what the venue said is behind that."""
        said = error.__context__ if isinstance(error, KeyError) else None
        return failure_of(said if isinstance(said, ccxt.BaseError) else error)


def _order_updates(client: Any, news: OrderNews) -> Callable[[Any, Message], None]:  # noqa: ANN401
    def hear(_: Any, message: Message) -> None:  # noqa: ANN401
        row = message.get("o") if message.get("e") in ("ORDER_TRADE_UPDATE", "ALGO_UPDATE") else message
        if isinstance(row, dict):
            told = row if "T" in row else row | {"T": message.get("T")}
            _heard(news, lambda each: _hear_binance(client, news, each), told)

    return hear


def _hear_binance(client: Any, news: OrderNews, row: Message) -> None:  # noqa: ANN401
    order = client.parse_ws_order(row)
    if "aid" in row and row.get("ai"):  # triggered: it goes on as a plain order with this id
        ours = news.own_id(order)
        if ours is not None:
            news.ids.put(str(row["ai"]), ours)
        if row.get("X") in ("TRIGGERED", "FINISHED"):
            return  # the plain order's own messages tell the rest
    if row.get("x") in ("TRADE", "CALCULATED"):  # the latter: a liquidation, which ccxt would misread
        news.hear_trade(client.parse_ws_trade(row | {"x": "TRADE"}), order.get("clientOrderId"))
    news.hear_order(order)


def dialect_of(family: str, market: str) -> StreamDialect:
    """The way of a family of venues (`Connection.family`) in one market."""
    return _DIALECTS[family, market]()


_UNREADABLE: tuple[type[Exception], ...] = (*VENUE_ERRORS, LivebotError)
_DIALECTS: dict[tuple[str, str], type[BybitDialect] | type[BinanceDialect] | type[BinanceSpotDialect]] = {
    ("bybit", SPOT): BybitDialect,
    ("bybit", PERPETUAL): BybitDialect,
    ("binance", SPOT): BinanceSpotDialect,
    ("binance", PERPETUAL): BinanceDialect,
}


def _rows(message: Message) -> Iterable[Message]:
    data = message.get("data")
    return [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []


def _heard(news: OrderNews, hear: Callable[[Message], None], row: Message) -> None:
    try:
        hear(row)
    except _UNREADABLE as error:
        news.unreadable(error)
