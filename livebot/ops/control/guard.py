"""Who may ask over a port: the holder of the token, from this machine, and no browser's page.

Rules of this file: the token is compared in constant time and stands in no log and no answer; a browser that somebody's
page sends here is refused by its Host and its Origin; guessing is slow, bounded, and told once a minute.
"""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote_plus

import structlog
from aiohttp import web

from livebot.ops.control.answers import Handler, Refused

_log = structlog.get_logger(__name__)

MINUTE_S = 60.0
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="livebot"'}
_SCHEME = "bearer"


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """A wrong token is answered after `delay_s`, at most `attempts` in a minute, of which `waiting` at the same time."""

    delay_s: float = 1.0
    attempts: int = 30
    waiting: int = 4


class Guard:
    """Stands before an application that is served at `address` and a port; `let_in` is its middleware."""

    def __init__(
        self, token: str, address: str, seconds: Callable[[], float], settings: GuardSettings | None = None
    ) -> None:
        """`seconds` is a clock that never goes back; `at` is to be called before anybody comes."""
        self._token = token
        self._address = f"[{address}]" if ":" in address else address
        self._hosts: frozenset[str] = frozenset()
        self._seconds = seconds
        self._settings = settings or GuardSettings()
        self._since_s = -MINUTE_S  # when the present minute of attempts began
        self._attempts = 0
        self._waiting = 0

    def at(self, port: int) -> None:
        """It is served at this port."""
        self._hosts = frozenset(f"{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]", self._address))

    @web.middleware
    async def let_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Go on, or raise Refused."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise Refused(
                "this Host is not served; ask for localhost or 127.0.0.1, with the port", HTTPStatus.FORBIDDEN
            )
        origins = request.headers.getall("Origin", [])
        if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
            raise Refused("a page of somewhere else may not ask here", HTTPStatus.FORBIDDEN)
        await self._check(request.headers.getall("Authorization", []))
        if self._token in request.raw_path or self._token in unquote_plus(request.raw_path):
            raise Refused("a token has no place in an address: addresses are kept in histories and logs")
        return await handler(request)

    async def _check(self, said: list[str]) -> None:
        if not said:
            text = "a token is needed: `Authorization: Bearer ...`, and never in the address"
            raise Refused(text, HTTPStatus.UNAUTHORIZED, CHALLENGE)
        scheme, _, token = said[0].partition(" ")
        right = hmac.compare_digest(token.strip().encode("utf-8", "surrogateescape"), self._token.encode())
        if len(said) == 1 and scheme.lower() == _SCHEME and right:
            return
        await self._slow_down()
        raise Refused("the token is not the one that livebot was started with", HTTPStatus.UNAUTHORIZED, CHALLENGE)

    async def _slow_down(self) -> None:
        self._count()
        if self._attempts > self._settings.attempts or self._waiting >= self._settings.waiting:
            left_s = max(self._since_s + MINUTE_S - self._seconds(), 1.0)
            text = "too many wrong tokens; the right one is let in at any time"
            raise Refused(text, HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": f"{left_s:.0f}"})
        self._waiting += 1
        try:
            await asyncio.sleep(self._settings.delay_s)
        finally:
            self._waiting -= 1

    def _count(self) -> None:
        now_s = self._seconds()
        if now_s - self._since_s >= MINUTE_S:
            before, self._since_s, self._attempts = self._attempts, now_s, 0
            _log.warning("control_token_wrong", before=before, what="somebody asks at control.http with a wrong token")
        self._attempts += 1


@web.middleware
async def no_page(request: web.Request, handler: Handler) -> web.StreamResponse:
    """No browser speaks over a unix socket: what names an Origin was led here.  Raises Refused."""
    if "Origin" in request.headers:
        raise Refused("a page may not ask here", HTTPStatus.FORBIDDEN)
    return await handler(request)
