"""The control API as an aiohttp application; where it listens, and who may connect, is the site's business.

    GET  /metrics                                 Prometheus' text
    GET  /v1/status
    POST /v1/pause | resume | restart | flatten | dismiss   {"symbols": ["BTC/USDT"] or null for all, "reason": optional}
    POST /v1/adopt          the same, and optional {"stop": "61000.5", "target": "64000", "strategy": "ema_cross"}
    POST /v1/halt | unhalt                        {"reason": "..."}

A command answers {"message": sentence}, an error {"error": sentence} with 400 (not understood), 404, 405, 408,
409 (the daemon refused), 413, 503 (the daemon could not), or 504 (still under way).

Rules of this file: all symbols are meant only by an explicit null, never by leaving something out; a command that
was begun is never cut short because its caller went away; no command waits for another one, so a halt is never
behind a flatten.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from livebot.errors import LivebotError, Rejected
from livebot.ops.status_json import encode_status
from livebot.ports import SystemControl

Audit = Callable[[str, Mapping[str, object], str], None]
"""Told of each command before it runs: its name, its arguments, and who asked."""

Identify = Callable[[web.Request], str]
"""Who sent this request."""

BODY_BYTES_MAX = 256 * 1024
BODY_SECONDS = 5.0
COMMAND_SECONDS = 30.0
SYMBOLS_MAX = 10_000
SYMBOL_CHARACTERS_MAX = 64
REASON_CHARACTERS_MAX = 500
STRATEGY_CHARACTERS_MAX = 100
PRICE_CHARACTERS_MAX = 40

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _NotUnderstood(Exception):
    """The request's body is not what this command takes; the text says what is."""


def control_app(
    control: SystemControl,
    *,
    audit: Audit,
    identify: Identify,
    command_seconds: float = COMMAND_SECONDS,
    metrics: Handler | None = None,
) -> web.Application:
    """The application, ready to be put on a site; `metrics` answers GET /metrics, None: there are none."""
    desk = _Desk(control, audit, identify, command_seconds)
    app = web.Application(middlewares=[_answer_in_json], client_max_size=BODY_BYTES_MAX)
    app.router.add_get("/v1/status", desk.status)
    if metrics is not None:
        app.router.add_get("/metrics", metrics)
    for name, on_symbols in {
        "pause": control.pause,
        "resume": control.resume,
        "restart": control.restart,
        "flatten": control.flatten,
        "dismiss": control.dismiss,
    }.items():
        app.router.add_post(f"/v1/{name}", desk.symbols_command(name, on_symbols))
    app.router.add_post("/v1/adopt", desk.adopt)
    for name, with_reason in {"halt": control.halt, "unhalt": control.unhalt}.items():
        app.router.add_post(f"/v1/{name}", desk.reason_command(name, with_reason))
    app.on_cleanup.append(desk.close)
    return app


class _Desk:
    """Takes requests, has them audited, and sees each begun command through to its end."""

    def __init__(self, control: SystemControl, audit: Audit, identify: Identify, command_seconds: float) -> None:
        self._control = control
        self._audit = audit
        self._identify = identify
        self._command_seconds = command_seconds
        self._under_way: set[asyncio.Task[str]] = set()

    async def status(self, request: web.Request) -> web.Response:
        return web.Response(body=encode_status(self._control.status()), content_type="application/json")

    def symbols_command(
        self, name: str, command: Callable[[Sequence[str] | None], Coroutine[Any, Any, str]]
    ) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            body = await _read_object(request, {"symbols", "reason"})
            symbols = _read_symbols(body)
            arguments: dict[str, object] = {"symbols": symbols}
            if body.get("reason") is not None:
                arguments["reason"] = _read_reason(body)
            self._audit(name, arguments, self._identify(request))
            return await self._see_through(name, command(symbols))

        return handle

    async def adopt(self, request: web.Request) -> web.Response:
        body = await _read_object(request, {"symbols", "reason", "stop", "target", "strategy"})
        symbols, stop, target = _read_symbols(body), _read_price(body, "stop"), _read_price(body, "target")
        strategy = body.get("strategy")
        if strategy is not None and not (isinstance(strategy, str) and 0 < len(strategy) <= STRATEGY_CHARACTERS_MAX):
            raise _NotUnderstood(f"'strategy' must be text of 1 to {STRATEGY_CHARACTERS_MAX} characters")
        asked = {name: body[name] for name in ("stop", "target", "strategy") if body.get(name) is not None}
        if body.get("reason") is not None:
            asked["reason"] = _read_reason(body)
        self._audit("adopt", {"symbols": symbols, **asked}, self._identify(request))
        return await self._see_through(
            "adopt", self._control.adopt(symbols, stop=stop, target=target, strategy=strategy)
        )

    def reason_command(self, name: str, command: Callable[[str], Coroutine[Any, Any, str]]) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            reason = _read_reason(await _read_object(request, {"reason"}))
            self._audit(name, {"reason": reason}, self._identify(request))
            return await self._see_through(name, command(reason))

        return handle

    async def _see_through(self, name: str, command: Coroutine[Any, Any, str]) -> web.Response:
        task = asyncio.create_task(command, name=f"control {name}")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        done, _ = await asyncio.wait({task}, timeout=self._command_seconds)
        if not done:
            return _error(
                HTTPStatus.GATEWAY_TIMEOUT,
                f"{name} is still under way after {self._command_seconds:g} s and goes on; "
                "`livebot status` shows what comes of it",
            )
        return _json(HTTPStatus.OK, {"message": task.result()})

    async def close(self, _: web.Application) -> None:
        """Let what is under way end, for a bounded time."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=self._command_seconds)
        for task in self._under_way:
            task.cancel()


async def _read_object(request: web.Request, allowed: set[str]) -> dict[str, Any]:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except ConnectionResetError:  # nobody will read this; raised further, it would fill the log
        raise _NotUnderstood("the caller hung up before the body was whole") from None
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _NotUnderstood(f"the body is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise _NotUnderstood(f"the body must be a JSON object with {_names(allowed)}")
    if unknown := data.keys() - allowed:
        raise _NotUnderstood(f"unknown key {_names(unknown)}; allowed: {_names(allowed)}")
    return data


def _names(keys: set[str]) -> str:
    return ", ".join(repr(key[:SYMBOL_CHARACTERS_MAX]) for key in sorted(keys)[:5])


def _read_symbols(body: dict[str, Any]) -> list[str] | None:
    if "symbols" not in body:
        raise _NotUnderstood("'symbols' is missing: a list of symbols, or null for all")
    symbols = body["symbols"]
    if symbols is None:
        return None
    if not isinstance(symbols, list) or not 0 < len(symbols) <= SYMBOLS_MAX:
        raise _NotUnderstood(f"'symbols' must be a list of 1 to {SYMBOLS_MAX} symbols, or null for all")
    for symbol in symbols:
        if not isinstance(symbol, str) or not 0 < len(symbol) <= SYMBOL_CHARACTERS_MAX:
            raise _NotUnderstood(
                f"each of 'symbols' must be text of 1 to {SYMBOL_CHARACTERS_MAX} characters, such as BTC/USDT"
            )
    return list(dict.fromkeys(symbols))


def _read_price(body: dict[str, Any], name: str) -> Decimal | None:
    text = body.get(name)
    if text is None:
        return None
    try:
        price = Decimal(text) if isinstance(text, str) and len(text) <= PRICE_CHARACTERS_MAX else None
    except ArithmeticError:
        price = None
    if price is None or not (price.is_finite() and price > 0):
        raise _NotUnderstood(f'{name!r} must be a price as text, such as "61000.5"')
    return price


def _read_reason(body: dict[str, Any]) -> str:
    reason = body.get("reason")
    text = " ".join(reason.split()) if isinstance(reason, str) else ""
    if not (0 < len(text) <= REASON_CHARACTERS_MAX and text.isprintable()):
        raise _NotUnderstood(f"'reason' must be text of 1 to {REASON_CHARACTERS_MAX} printable characters")
    return text


@web.middleware
async def _answer_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except _NotUnderstood as error:
        response = _error(HTTPStatus.BAD_REQUEST, str(error))
    except Rejected as error:
        response = _error(HTTPStatus.CONFLICT, str(error))
    except LivebotError as error:  # the daemon's own trouble, not a refusal
        response = _error(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    except web.HTTPException as error:
        response = _error(HTTPStatus(error.status), _sentence(request, error))
    response.force_close()  # one request per connection, so that an idle caller holds no place
    return response


def _sentence(request: web.Request, error: web.HTTPException) -> str:
    match error:
        case web.HTTPNotFound():
            return f"there is no {request.path[:100]} here"
        case web.HTTPMethodNotAllowed():
            return f"{request.path} takes {' or '.join(sorted(error.allowed_methods))}, not {request.method}"
        case web.HTTPRequestEntityTooLarge():
            return f"the body is larger than {BODY_BYTES_MAX} bytes"
        case web.HTTPRequestTimeout():
            return f"the body did not arrive within {BODY_SECONDS:g} s"
        case _:
            return error.reason


def _error(status: HTTPStatus, sentence: str) -> web.Response:
    return _json(status, {"error": sentence})


def _json(status: HTTPStatus, data: Mapping[str, object]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(data), content_type="application/json")
