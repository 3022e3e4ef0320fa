"""The control API on a port of the loopback, for who holds the token.

Rules of this file: it listens on a loopback address and on nothing else; connections, and the time each may idle, are
bounded.
"""

import asyncio

from livebot.errors import Fatal
from livebot.ops.control_app import ControlApi
from livebot.ops.control_guard import Guard, GuardSettings
from livebot.ops.control_server import CONNECTIONS_MAX, REQUEST_HEAD_SECONDS, runner_of
from livebot.ops.door import Door
from livebot.ops.loopback import bound_to

LOOPBACK = "127.0.0.1"


class ControlPort:
    """Serves the control API at a port between `start` and `close`."""

    def __init__(
        self,
        api: ControlApi,
        token: str,
        port: int,
        *,
        address: str = LOOPBACK,
        connections_max: int = CONNECTIONS_MAX,
        head_seconds: float = REQUEST_HEAD_SECONDS,
        guard: GuardSettings | None = None,
    ) -> None:
        """`address` is of the loopback.  Port 0: any that is free."""
        self._address, self.port = address, port
        self._door = Door("control", connections_max, head_seconds)
        self._guard = Guard(token, address, lambda: asyncio.get_running_loop().time(), guard)
        app = api.app(self._guard.let_in, identify=lambda _: f"http {address}", token=True)
        self._runner = runner_of(app, self._door, api.settings.command_seconds)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            Fatal: nobody can listen there; the text says what to do.

        """
        try:
            bound = bound_to(self._address, self.port)
        except OSError as error:
            raise Fatal(
                f"the control API cannot be served at {self._address} port {self.port}: {error.strerror}; free the "
                "port, or change control.http.port"
            ) from error
        self.port = bound.getsockname()[1]
        self._guard.at(self.port)
        await self._runner.setup()
        self._door.server = self._runner.server
        self._server = await asyncio.get_running_loop().create_server(
            self._door.connection, sock=bound, backlog=CONNECTIONS_MAX
        )

    async def close(self) -> None:
        """Take no more requests, and answer those under way for a bounded time."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
