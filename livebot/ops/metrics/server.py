"""Metrics on a port of this machine, for a Prometheus that cannot reach the control socket.

Rules of this file: it reads and never changes anything; a browser that somebody's page sends here is refused by its Host;
connections, and the time each may idle, are bounded; what it cannot do costs the daemon nothing else.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address

from aiohttp import web
from aiohttp.typedefs import Handler

from livebot.errors import Fatal
from livebot.ops.door import SERVER_LOG, Door
from livebot.ops.loopback import bound_to

LOOPBACK = "127.0.0.1"
CONNECTIONS_MAX = 16
REQUEST_HEAD_SECONDS = 5.0
END_SECONDS = 1.0


class MetricsServer:
    """Serves GET /metrics and GET /healthz at one address between `start` and `close`."""

    def __init__(
        self,
        answer: Handler,
        ready: Callable[[], bool],
        port: int,
        *,
        address: str = LOOPBACK,
        connections_max: int = CONNECTIONS_MAX,
        head_seconds: float = REQUEST_HEAD_SECONDS,
    ) -> None:
        """`answer` gives the metrics; `ready` says whether the daemon decides.  Port 0: any that is free."""
        self._address, self.port = address, port
        self._ready = ready
        self._door = Door("metrics", connections_max, head_seconds)
        app = web.Application(middlewares=[self._door.let_in, self._from_here], client_max_size=1)
        app.router.add_get("/metrics", answer, allow_head=False)
        app.router.add_get("/healthz", self._health, allow_head=False)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=SERVER_LOG,
            auto_decompress=False,
            lingering_time=END_SECONDS,
            shutdown_timeout=END_SECONDS,
        )
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
                f"metrics cannot be served at {self._address} port {self.port}: {error.strerror}; free the port, or "
                "change control.metrics_port"
            ) from error
        self.port = bound.getsockname()[1]
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

    @web.middleware
    async def _from_here(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request) if self._is_meant(request) else _plain(HTTPStatus.FORBIDDEN, "wrong Host")
        except web.HTTPException as error:
            response = _plain(HTTPStatus(error.status), error.reason)
        response.force_close()  # one request per connection, so that an idle caller holds no place
        return response

    def _is_meant(self, request: web.Request) -> bool:
        hosts = request.headers.getall("Host", [])
        return len(hosts) == 1 and is_own_name(hosts[0], self._address)

    async def _health(self, request: web.Request) -> web.Response:
        if self._ready():
            return _plain(HTTPStatus.OK, "ready")
        return _plain(HTTPStatus.SERVICE_UNAVAILABLE, "not ready")


def is_own_name(host: str, address: str) -> bool:
    """Whether a Host header names this machine's loopback or the address that is listened at.

    Any other name may be one that somebody else's name server lets point here.
    """
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name.lower() == "localhost":
        return True
    try:
        named, own = ip_address(name.removeprefix("[").removesuffix("]")), ip_address(address)
    except ValueError:
        return False
    return named.is_loopback or named == own or own.is_unspecified


def _plain(status: HTTPStatus, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n")
