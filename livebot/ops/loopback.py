"""An aiohttp application served at an address of this machine.

Rules of this file: a port that closed a moment ago is no obstacle; one that somebody else has is an error, which names
the key of the config to change.
"""

import asyncio
import socket
from ipaddress import ip_address

from aiohttp import web

from livebot.errors import Fatal
from livebot.ops.door import Door

LOOPBACK = "127.0.0.1"
BACKLOG = 16


class LoopbackServer:
    """Serves what a runner runs, behind a door, at one address between `start` and `close`."""

    def __init__(self, runner: web.AppRunner, door: Door, address: str, port: int, *, what: str, key: str) -> None:
        """`what` cannot be served, and which `key` of the config says where, if the port is taken.  Port 0: any free."""
        self._runner, self._door = runner, door
        self._address, self.port = address, port
        self._what, self._key = what, key
        self._server: asyncio.Server | None = None

    def bind(self) -> socket.socket:
        """Take the port; from then on `port` is the one that it is.

        Raises:
            Fatal: nobody can listen there; the text says what to do.

        """
        try:
            bound = bound_to(self._address, self.port)
        except OSError as error:
            raise Fatal(
                f"{self._what} cannot be served at {self._address} port {self.port}: {error.strerror}; free the port, or "
                f"change {self._key}"
            ) from error
        self.port = bound.getsockname()[1]
        return bound

    async def start(self, bound: socket.socket) -> None:
        """Listen on what `bind` gave."""
        await self._runner.setup()
        self._door.server = self._runner.server
        self._server = await asyncio.get_running_loop().create_server(
            self._door.connection, sock=bound, backlog=BACKLOG
        )

    async def close(self) -> None:
        """Take no more requests, and answer those under way for a bounded time."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()


def bound_to(address: str, port: int) -> socket.socket:
    """A TCP socket bound there, not listening yet; port 0: any that is free.  Raises OSError."""
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET  # noqa: PLR2004 - the protocol's
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made
