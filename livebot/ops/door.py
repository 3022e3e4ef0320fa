"""How strangers are let in: a bounded number of them, each for a bounded time without having said what it wants.

Rules of this file: a connection too many is told so and closed; one that says nothing is shown out; nobody waits; bytes
that are no HTTP stand in no log, for they may be anything, also a token that was sent amiss.
"""

import asyncio
import logging
from typing import cast

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler


def _is_ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


SERVER_LOG = logging.getLogger("livebot.server")
"""What a server behind a door logs to: its failures, and not those of its callers."""

SERVER_LOG.addFilter(_is_ours)


class Door:
    """Between a listening socket and an aiohttp server: give `connection` to the loop, `let_in` to the application."""

    def __init__(self, what: str, connections_max: int, head_seconds: float) -> None:
        """`what` kind of connections they are, in a word; `server` is to be set before anybody comes."""
        self.server: web.Server | None = None
        self._what = what
        self._connections_max = connections_max
        self._head_seconds = head_seconds
        self._silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}

    def connection(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        assert self.server is not None
        if len(self.server.connections) >= self._connections_max:
            return _Full(self._what)
        protocol = self.server()
        self._silent[protocol] = asyncio.get_running_loop().call_later(self._head_seconds, self._show_out, protocol)
        return protocol

    def _show_out(self, protocol: web.RequestHandler) -> None:
        del self._silent[protocol]
        protocol.force_close()

    @web.middleware
    async def let_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A whole request head has arrived."""
        if timer := self._silent.pop(request.protocol, None):
            timer.cancel()
        return await handler(request)


class _Full(asyncio.Protocol):
    """Turns a connection away."""

    def __init__(self, what: str) -> None:
        self._what = what

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        way_out = cast("asyncio.WriteTransport", transport)  # uvloop's transports are no subclasses
        body = b'{"error":"too many %b connections at once; try again"}' % self._what.encode()
        way_out.write(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        way_out.close()
