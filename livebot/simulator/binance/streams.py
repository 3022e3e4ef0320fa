"""Binance's WebSockets: market streams, user streams, the request socket of spot; one session for each connection.

Rules of this file: what a client asked for (a subscription, a ping) is answered whatever is wrong; faults strike what is
pushed.  As at Binance, a stream of a symbol that does not exist is subscribed to without a word and never tells
anything, and so is a user stream whose key is not valid (any more).
"""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from livebot.simulator.binance.codes import Refused
from livebot.simulator.binance.gate import check_key, check_signature, signed_parameters
from livebot.simulator.binance.settings import BinanceSettings
from livebot.simulator.stream_session import Message, Session
from livebot.simulator.venue_faults import Faults, Place

Greet = Callable[[str, str], Awaitable[list[Any]]]
USER, REQUESTS = "user", "requests"
_MOST_TOPICS = 1024
_TOPIC = re.compile(r"[!a-z0-9_@.:+-]{1,64}", re.IGNORECASE)
_WORDS = {
    "ORDER_TRADE_UPDATE": "order",
    "ALGO_UPDATE": "order",
    "executionReport": "order",
    "TRADE_LITE": "execution",
    "ACCOUNT_UPDATE": "position",
    "outboundAccountPosition": "wallet",
}


class Wire(Session):
    """One connection; `stream` is linear, spot, user or requests.

    `wrapped`: messages name their stream.  `key` is the listen key of a user stream, `subscription` the number of the
    one on a request socket, None if there is none.
    """

    def __init__(self, stream: str, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        super().__init__(stream, socket, transport)
        self.wrapped = False
        self.key = ""
        self.subscription: int | None = None
        self.subscriptions_made = 0
        self.asked: deque[float] = deque()

    def tell(self, message: Any) -> None:  # noqa: ANN401 - some answers are lists
        """Send it, whatever is wrong."""
        self.send(orjson.dumps(message).decode())


class Streams:
    """All sessions.  `greet` gives the messages with which a new topic begins; `valid` says whether a listen key is."""

    def __init__(
        self,
        settings: BinanceSettings,
        faults: Faults,
        now_ms: Callable[[], int],
        greet: Greet,
        valid: Callable[[str], bool],
    ) -> None:
        self._settings = settings
        self._faults = faults
        self._now_ms = now_ms
        self._greet = greet
        self._valid = valid
        self._wires: set[Wire] = set()

    async def serve(
        self, request: web.Request, stream: str, *, topics: Sequence[str] = (), wrapped: bool = False, key: str = ""
    ) -> web.WebSocketResponse:
        """Converse with one client until it goes."""
        socket = web.WebSocketResponse(autoping=True, max_msg_size=2**20, timeout=1.0)
        await socket.prepare(request)
        wire = Wire(stream, socket, request.transport)
        wire.wrapped, wire.key = wrapped, key
        self._wires.add(wire)
        writer = asyncio.create_task(wire.write())
        try:
            await self._follow(wire, topics)
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._hear(wire, message.data)
        finally:
            self._wires.discard(wire)
            writer.cancel()
        return socket

    def wanted(self, stream: str) -> set[str]:
        """All topics that somebody follows on this market's streams."""
        return {topic for wire in self._wires if wire.stream == stream for topic in wire.topics}

    def listeners(self, *, spot: bool) -> int:
        """How many follow the account."""
        return len(self._followers(spot=spot))

    def push(self, stream: str, topic: str, message: Any, names: Sequence[str]) -> None:  # noqa: ANN401
        """Tell all who follow the topic; `names` are the symbol's, for faults."""
        for wire in [each for each in self._wires if each.stream == stream and topic in each.topics]:
            fault = self._faults.take(Place.PUSH, endpoint_of(topic), names)
            told = _unconfirmed(message) if fault is not None and fault.kind == "unfinished" else message
            wire.offer({"stream": topic, "data": told} if wire.wrapped else told, fault)

    def push_account(self, message: Message, names: Sequence[str], *, spot: bool) -> None:
        """Tell all who follow the account."""
        event = message["e"]
        for wire in self._followers(spot=spot):
            fault = self._faults.take(Place.PUSH, f"{_WORDS[event]}.{event}", names)
            wire.offer({"subscriptionId": wire.subscription, "event": message} if spot else message, fault)

    def key_expired(self, key: str) -> None:
        """Tell those who listen by this key that it was the last message."""
        for wire in self._wires:
            if wire.stream == USER and wire.key == key:
                wire.tell({"e": "listenKeyExpired", "E": self._now_ms(), "listenKey": key})

    def end_subscriptions(self) -> int:
        """The same of the request sockets' subscriptions; how many that were."""
        ended = self._followers(spot=True)
        for wire in ended:
            event = {"e": "eventStreamTerminated", "E": self._now_ms()}
            wire.tell({"subscriptionId": wire.subscription, "event": event})
            wire.subscription = None
        return len(ended)

    async def close(self) -> None:
        """Throw everybody out."""
        for wire in list(self._wires):
            wire.abort()
        await asyncio.sleep(0)

    def _followers(self, *, spot: bool) -> list[Wire]:
        if spot:
            return [wire for wire in self._wires if wire.stream == REQUESTS and wire.subscription is not None]
        return [wire for wire in self._wires if wire.stream == USER and self._valid(wire.key)]

    async def _hear(self, wire: Wire, text: str) -> None:
        if self._too_many(wire):
            wire.abort()
            return
        try:
            request = orjson.loads(text)
            method, number = request["method"], request.get("id")
        except (ValueError, KeyError, TypeError):
            wire.tell({"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}})
            return
        if wire.stream == REQUESTS:
            self._answer(wire, str(method), number, request.get("params") or {})
        elif method in {"SUBSCRIBE", "UNSUBSCRIBE"}:
            await self._change(wire, method, number, request.get("params"))
        elif method == "LIST_SUBSCRIPTIONS":
            wire.tell({"result": sorted(wire.topics), "id": number})
        else:
            text = f"Invalid request: unknown variant `{method}`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`"
            wire.tell({"error": {"code": 2, "msg": text}, "id": number})

    def _too_many(self, wire: Wire) -> bool:
        limits = self._settings.limits.get(wire.stream)
        if limits is None:
            return False
        now = asyncio.get_running_loop().time()
        wire.asked.append(now)
        while wire.asked[0] <= now - 1:
            wire.asked.popleft()
        return len(wire.asked) > limits.stream_messages_per_second

    async def _change(self, wire: Wire, method: str, number: object, topics: object) -> None:
        if not isinstance(topics, list) or not all(isinstance(each, str) and _TOPIC.fullmatch(each) for each in topics):
            text = "Invalid request: request should contain params, a list of stream names"
            wire.tell({"error": {"code": 2, "msg": text}, "id": number})
        elif method == "SUBSCRIBE" and len(wire.topics | set(topics)) > _MOST_TOPICS:
            wire.tell({"error": {"code": 4, "msg": "Too many subscriptions"}, "id": number})
        else:
            wire.tell({"result": None, "id": number})
            if method == "SUBSCRIBE":
                await self._follow(wire, topics)
            else:
                wire.topics.difference_update(topics)

    async def _follow(self, wire: Wire, topics: Sequence[str]) -> None:
        for topic in dict.fromkeys(topics):
            if topic not in wire.topics:
                wire.topics.add(topic)
                for message in await self._greet(wire.stream, topic):
                    wire.offer({"stream": topic, "data": message} if wire.wrapped else message)

    def _answer(self, wire: Wire, method: str, number: object, params: Message) -> None:
        try:
            result = self._result(wire, method, params)
        except Refused as refused:
            error = {"code": refused.code, "msg": refused.text}
            wire.tell({"id": number, "status": refused.status, "error": error})
            return
        wire.tell({"id": number, "status": 200, "result": result})

    def _result(self, wire: Wire, method: str, params: Message) -> Message:
        if method == "ping":
            return {}
        if method == "time":
            return {"serverTime": self._now_ms()}
        if method == "userDataStream.subscribe.signature":
            payload, texts = signed_parameters(params)
            key = check_key(texts.get("apiKey", ""), self._settings, writes=False)
            check_signature(payload, texts, key, self._now_ms())
            wire.subscription = wire.subscriptions_made
            wire.subscriptions_made += 1
            return {"subscriptionId": wire.subscription}
        if method == "userDataStream.unsubscribe":
            wire.subscription = None
            return {}
        raise Refused(-1000, f"{method} is not offered by this local exchange.")


def endpoint_of(topic: str) -> str:
    """A topic as faults name it: `kline.1m.btcusdt`, `ticker.btcusdt`."""
    name, _, kind = topic.partition("@")
    word, _, detail = kind.partition("_")
    if name.startswith("!"):
        return f"tickers.{name[1:]}"
    return ".".join(part for part in ("tickers" if "icker" in word else word, detail, name) if part)


def _unconfirmed(message: Any) -> Any:  # noqa: ANN401
    if isinstance(message, dict) and "k" in message:
        return message | {"k": message["k"] | {"x": False}}
    return message
