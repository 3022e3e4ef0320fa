"""The control API on a port of the loopback, for who holds the token.

Rules of this file: it listens on a loopback address and on nothing else; connections, and the time each may idle, are
bounded.
"""

import asyncio

from livebot.ops.control.app import ControlApi
from livebot.ops.control.guard import Guard, GuardSettings
from livebot.ops.control.server import CONNECTIONS_MAX, REQUEST_HEAD_SECONDS, runner_of
from livebot.ops.door import Door
from livebot.ops.loopback import LOOPBACK, LoopbackServer


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
        door = Door("control", connections_max, head_seconds)
        self._guard = Guard(token, address, lambda: asyncio.get_running_loop().time(), guard)
        app = api.app(self._guard.let_in, identify=lambda _: f"http {address}", token=True)
        runner = runner_of(app, door, api.settings.command_seconds)
        self._server = LoopbackServer(runner, door, address, port, what="the control API", key="control.http.port")

    @property
    def port(self) -> int:
        """Where it listens; before `start`, where it is to."""
        return self._server.port

    async def start(self) -> None:
        """Listen.

        Raises:
            Fatal: nobody can listen there; the text says what to do.

        """
        bound = self._server.bind()
        self._guard.at(self.port)
        await self._server.start(bound)

    async def close(self) -> None:
        """Take no more requests, and answer those under way for a bounded time."""
        await self._server.close()
