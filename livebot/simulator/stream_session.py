"""One WebSocket of a local exchange: what is sent over it, and what befalls what is pushed.

Rules of this file: a session has one queue and one writer, so that messages keep the order in which they were put there.
"""

import asyncio
import math
from typing import Any

import orjson
from aiohttp import web

from livebot.simulator.venue_faults import Fault

Message = dict[str, Any]
_MOST_WAITING = 100_000


class Session:
    """One connection; `stream` is what it is for, in the venue's words."""

    def __init__(self, stream: str, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self.stream = stream
        self.topics: set[str] = set()
        self._socket = socket
        self._transport = transport
        self._waiting: asyncio.Queue[str] = asyncio.Queue(_MOST_WAITING)
        self._held: list[str] = []
        self._frozen_until = 0.0

    def send(self, text: str) -> None:
        """Put it in the queue; who does not read is thrown out."""
        try:
            self._waiting.put_nowait(text)
        except asyncio.QueueFull:
            self.abort()

    def offer(self, message: Message, fault: Fault | None = None) -> None:
        """Something pushed, and what befalls it."""
        loop, kind, text = asyncio.get_running_loop(), fault.kind if fault else "", as_text(message)
        seconds = fault.seconds if fault else 0.0
        if kind == "freeze":
            self._frozen_until = loop.time() + seconds if seconds else math.inf
        if kind == "disconnect":
            self.abort()
        if kind in {"drop", "disconnect"} or loop.time() < self._frozen_until:
            return
        if kind == "delay":
            loop.call_later(seconds, self.send, text)
        elif kind == "reorder":
            self._held.append(text)
        else:
            for each in (text, *([text] if kind == "duplicate" else []), *self._held):
                self.send(each)
            self._held.clear()

    def abort(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.abort()

    async def write(self) -> None:
        """Send what is in the queue, for as long as the connection lives."""
        while True:
            text = await self._waiting.get()
            try:
                await self._socket.send_str(text)
            except (ConnectionError, RuntimeError):
                return


def as_text(message: Message) -> str:
    """As it goes over the wire."""
    return orjson.dumps(message).decode()
