"""The control API as aiohttp applications; where they listen, and who may connect, is the site's business.

    GET  /openapi.json                            what this is, in OpenAPI 3.1
    GET  /metrics                                 Prometheus' text
    GET  /v1/status | portfolio | limits
    GET  /v1/symbols | signals | orders           all, or those of ?symbol=BTC/USDT
    GET  /v1/events                               server-sent events; Last-Event-ID goes on where one was
    POST /v1/pause | resume | restart | flatten | dismiss   {"symbols": ["BTC/USDT"] or null for all, "reason": optional}
    POST /v1/adopt          the same, and optional {"stop": "61000.5", "target": "64000", "strategy": "ema_cross"}
    POST /v1/halt | unhalt                        {"reason": "..."}
    POST /v1/reload                               {"reason": optional}
    POST /v1/log-level                            {"level": "debug" | "info" | "warning" | "error", "reason": optional}

A command answers {"message": sentence}, an error {"error": sentence} with 400 (not understood), 404, 405, 408,
409 (the daemon refused), 413, 415, 422 (the Idempotency-Key was another command's), 503 (the daemon could not), or
504 (still under way).

Rules of this file: every route stands in the description that is served; a command's body is read whole and checked
before anything is done or audited.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from livebot.control_ports import PortfolioStatus, SystemControl
from livebot.ops.control.answers import BODY_BYTES_MAX, Handler, answer_in_json, json_answer
from livebot.ops.control.commands import COMMANDS, Command
from livebot.ops.control.desk import COMMAND_SECONDS, KEYS_KEPT, Audit, Desk
from livebot.ops.control.events import CONTENT_TYPE, EVENT, Events
from livebot.ops.control.fields import IDEMPOTENCY_KEY, KEY_SCHEMA, SYMBOL, read_body, read_key, read_query
from livebot.ops.control.openapi import openapi
from livebot.ops.control.reads import Limits, Orders, Reads, Signals, Symbols
from livebot.ops.control.routes import Route
from livebot.ports import SystemStatus

Identify = Callable[[web.Request], str]
"""Who sent this request."""

_TEXT = {"type": "string"}


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """A command is answered within `command_seconds`; the answers to the last `keys_kept` Idempotency-Keys are kept."""

    command_seconds: float = COMMAND_SECONDS
    keys_kept: int = KEYS_KEPT


class ControlApi:
    """One for a daemon; makes an application for each place where it is served."""

    def __init__(
        self,
        control: SystemControl,
        *,
        audit: Audit,
        events: Events,
        settings: ApiSettings | None = None,
        metrics: Handler | None = None,
    ) -> None:
        """`metrics` answers GET /metrics, None: there are none."""
        self.settings = settings or ApiSettings()
        self._desk = Desk(
            control, audit, command_seconds=self.settings.command_seconds, keys_kept=self.settings.keys_kept
        )
        self._reads = Reads(control)
        self._events = events
        self._metrics = metrics

    def app(self, *guards: Middleware, identify: Identify, token: bool) -> web.Application:
        """An application behind these guards; `token`: its description says that one is needed."""
        app = web.Application(middlewares=[answer_in_json, *guards], client_max_size=BODY_BYTES_MAX)
        routes = self.routes(identify)

        @cache
        def described() -> dict[str, object]:
            return openapi((*routes, description), token=token)

        async def describe(request: web.Request) -> web.Response:
            read_query(request, ())
            return json_answer(HTTPStatus.OK, described())

        description = Route(
            method="GET",
            path="/openapi.json",
            name="openapi",
            summary="What this is.",
            handler=describe,
            answer={"type": "object"},
        )
        for route in (*routes, description):
            app.router.add_route(route.method, route.path, route.handler)
        app.on_shutdown.append(self._end_streams)
        app.on_cleanup.append(self._end_commands)
        return app

    async def _end_streams(self, _: web.Application) -> None:
        self._events.close()

    async def _end_commands(self, _: web.Application) -> None:
        await self._desk.close()

    def routes(self, identify: Identify) -> tuple[Route, ...]:
        """All but the description of them."""
        return (*self._telling(), *(self._commanding(command, identify) for command in COMMANDS))

    def _telling(self) -> list[Route]:
        reads, unknown = self._reads, (HTTPStatus.NOT_FOUND,)
        routes = [
            Route(
                method="GET",
                path="/v1/status",
                name="status",
                summary="Am I safe, what is open, what is wrong?",
                handler=reads.status,
                answer=SystemStatus,
            ),
            Route(
                method="GET",
                path="/v1/portfolio",
                name="portfolio",
                summary="What it is worth, whether it trades, and why not.",
                handler=reads.portfolio,
                answer=PortfolioStatus,
            ),
            Route(
                method="GET",
                path="/v1/limits",
                name="limits",
                summary="Each limit, what is used of it, and what is allowed.",
                handler=reads.limits,
                answer=Limits,
            ),
        ]
        listed: tuple[tuple[str, str, Handler, type], ...] = (
            ("symbols", "Every symbol, what its worker does and what blocks it.", reads.symbols, Symbols),
            ("signals", "Every signal that is not Idle.", reads.signals, Signals),
            ("orders", "Orders of ours that may still trade, as last saved.", reads.orders, Orders),
        )
        for name, summary, handler, answer in listed:
            routes.append(
                Route(
                    method="GET",
                    path=f"/v1/{name}",
                    name=name,
                    summary=summary,
                    handler=handler,
                    answer=answer,
                    query=(SYMBOL,),
                    refusals=unknown,
                )
            )
        return [*routes, *self._texts()]

    def _texts(self) -> list[Route]:
        events = Route(
            method="GET",
            path="/v1/events",
            name="events",
            summary="Facts, decisions, the trading state and problems, as they happen.",
            handler=self._events.answer,
            answer=EVENT,
            content_type=CONTENT_TYPE,
            headers={"Last-Event-ID": {**_TEXT, "description": "Go on behind this event, as far as events are kept."}},
        )
        if self._metrics is None:
            return [events]
        metrics = Route(
            method="GET",
            path="/metrics",
            name="metrics",
            summary="Prometheus' text format.",
            handler=self._metrics,
            answer=_TEXT,
            content_type="text/plain",
        )
        return [events, metrics]

    def _commanding(self, command: Command, identify: Identify) -> Route:
        async def handle(request: web.Request) -> web.Response:
            read_query(request, ())
            key, given = read_key(request), await read_body(request, command.fields)
            answer = await self._desk.carry_out(command, given, identify(request), key)
            return json_answer(answer.status, answer.data)

        about = "A repetition under the same key begins nothing and has the same answer."
        return Route(
            method="POST",
            path=f"/v1/{command.name}",
            name=command.name.replace("-", "_"),
            summary=command.summary,
            handler=handle,
            body=command.fields,
            headers={IDEMPOTENCY_KEY: {**KEY_SCHEMA, "description": about}},
        )
