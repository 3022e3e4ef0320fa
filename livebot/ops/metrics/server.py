"""Metrics on a port of this machine, for a Prometheus that cannot reach the control socket.

Rules of this file: it reads and never changes anything; a browser that somebody's page sends here is refused by its Host;
connections, and the time each may idle, are bounded; what it cannot do costs the daemon nothing else.
"""

from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address

from aiohttp import web
from aiohttp.typedefs import Handler

from livebot.ops.door import SERVER_LOG, Door
from livebot.ops.loopback import LOOPBACK, LoopbackServer

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
        self._address = address
        self._ready = ready
        door = Door("metrics", connections_max, head_seconds)
        app = web.Application(middlewares=[door.let_in, self._from_here], client_max_size=1)
        app.router.add_get("/metrics", answer, allow_head=False)
        app.router.add_get("/healthz", self._health, allow_head=False)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=SERVER_LOG,
            auto_decompress=False,
            lingering_time=END_SECONDS,
            shutdown_timeout=END_SECONDS,
        )
        self._server = LoopbackServer(runner, door, address, port, what="metrics", key="control.metrics_port")

    @property
    def port(self) -> int:
        """Where it listens; before `start`, where it is to."""
        return self._server.port

    async def start(self) -> None:
        """Listen.

        Raises:
            Fatal: nobody can listen there; the text says what to do.

        """
        await self._server.start(self._server.bind())

    async def close(self) -> None:
        """Take no more requests, and answer those under way for a bounded time."""
        await self._server.close()

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
