"""Bybit's WebSockets: one session for each connection, and what is pushed to whom.

Rules of this file: what a client asked for (pong, auth, subscription) is answered whatever is wrong; faults strike what
is pushed.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import orjson
from aiohttp import WSMsgType, web

from livebot.simulator.bybit.faults import Faults, Place
from livebot.simulator.bybit.gate import check_stream
from livebot.simulator.bybit.markets import INTERVALS
from livebot.simulator.bybit.settings import BybitSettings
from livebot.simulator.stream_session import Message, Session, as_text
from livebot.simulator.venue_listings import SPOT, Listings

PRIVATE = "private"
PRIVATE_TOPICS = ("order", "execution", "position", "wallet")
_SPOT_ARGS = 10  # Bybit's limit of topics in one subscription to the spot stream
_LONGEST_ARGS = 21_000  # and of characters, elsewhere


class Conversation(Session):
    """A session of Bybit's; `stream` is linear, spot or private."""

    def __init__(self, stream: str, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        super().__init__(stream, socket, transport)
        self.trusted = stream != PRIVATE
        self.name = uuid4().hex[:20]

    def answer(self, message: Message, request: Message) -> None:
        """What was asked for."""
        number = request.get("req_id")
        self.send(as_text(message if number is None else message | {"req_id": str(number)}))


class Streams:
    """All sessions.  `greet` gives the messages with which a new topic begins."""

    def __init__(
        self,
        listings: Listings,
        settings: BybitSettings,
        faults: Faults,
        now_ms: Callable[[], int],
        greet: Callable[[str, str], Any],
    ) -> None:
        self._listings = listings
        self._settings = settings
        self._faults = faults
        self._now_ms = now_ms
        self._greet = greet
        self._sessions: set[Conversation] = set()

    async def serve(self, request: web.Request, stream: str) -> web.WebSocketResponse:
        """Converse with one client until it goes."""
        socket = web.WebSocketResponse(autoping=True, max_msg_size=2**20, timeout=1.0)
        await socket.prepare(request)
        session = Conversation(stream, socket, request.transport)
        self._sessions.add(session)
        writer = asyncio.create_task(session.write())
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._hear(session, message.data)
        finally:
            self._sessions.discard(session)
            writer.cancel()
        return socket

    def wanted(self, stream: str) -> set[str]:
        """All topics that somebody follows on this stream."""
        return {topic for session in self._sessions if session.stream == stream for topic in session.topics}

    def push(self, stream: str, topic: str, message: Message, names: Sequence[str]) -> None:
        """Tell all who follow the topic; `names` are the symbol's, for faults."""
        for session in [each for each in self._sessions if each.stream == stream and topic in each.topics]:
            fault = self._faults.take(Place.PUSH, topic, names)
            told = _unconfirmed(message) if fault is not None and fault.kind == "unfinished" else message
            session.offer(told, fault)

    async def close(self) -> None:
        """Throw everybody out."""
        for session in list(self._sessions):
            session.abort()
        await asyncio.sleep(0)

    async def _hear(self, session: Conversation, text: str) -> None:
        try:
            request = orjson.loads(text)
            operation, args = request["op"], request.get("args") or []
        except (ValueError, KeyError, TypeError):
            session.send(as_text(_outcome(session, "", why="error:invalid request")))
            return
        if operation == "ping":
            session.answer(self._pong(session), request)
        elif operation == "auth":
            self._authenticate(session, request, [str(each) for each in args])
        elif operation == "subscribe":
            await self._subscribe(session, request, args)
        elif operation == "unsubscribe":
            session.topics.difference_update(args)
            session.answer(_outcome(session, operation), request)
        else:
            session.answer(_outcome(session, str(operation), why="error:invalid op"), request)

    def _pong(self, session: Conversation) -> Message:
        if session.stream == PRIVATE:
            return {"op": "pong", "args": [str(self._now_ms())], "conn_id": session.name}
        return {"success": True, "ret_msg": "pong", "conn_id": session.name, "op": "ping"}

    def _authenticate(self, session: Conversation, request: Message, args: list[str]) -> None:
        refusal = check_stream(args, self._settings, self._now_ms())
        session.trusted = refusal is None
        code = {"Invalid apikey": 10003, "Invalid sign": 10004}.get(refusal or "", 10001 if refusal else 0)
        answer = {"op": "auth", "success": session.trusted, "retCode": code, "retMsg": refusal or ""}
        session.answer(answer | {"connId": session.name}, request)

    async def _subscribe(self, session: Conversation, request: Message, args: list[str]) -> None:
        why = self._refusal(session, args)
        session.answer(_outcome(session, "subscribe", why=why), request)
        if why:
            return
        for topic in dict.fromkeys(args):
            if topic not in session.topics:
                session.topics.add(topic)
                for message in await self._greet(session.stream, topic):
                    session.offer(message)

    def _refusal(self, session: Conversation, args: list[str]) -> str:
        if not session.trusted:
            return "Request not authorized"
        if session.stream == SPOT and len(args) > _SPOT_ARGS:
            return "args size >10"
        if sum(len(topic) for topic in args) > _LONGEST_ARGS:
            return "args size too long"
        wrong = [topic for topic in args if not self._exists(session.stream, topic)]
        return f"Invalid topic: {wrong[0]}" if wrong else ""

    def _exists(self, stream: str, topic: str) -> bool:
        word, *rest = topic.split(".")
        if stream == PRIVATE:
            return word in PRIVATE_TOPICS and (not rest or rest[0] in {"linear", "spot"})
        known = bool(rest) and self._listings.find(stream, rest[-1]) is not None
        if word == "kline" and len(rest) == 2:  # noqa: PLR2004 - interval and symbol
            return known and rest[0] in INTERVALS
        return known and word == "tickers" and len(rest) == 1


def _outcome(session: Conversation, operation: str, *, why: str = "") -> Message:
    return {"success": not why, "ret_msg": why, "conn_id": session.name, "op": operation}


def _unconfirmed(message: Message) -> Message:
    rows = [row | {"confirm": False} if "confirm" in row else row for row in message["data"]]
    return message | {"data": rows}
