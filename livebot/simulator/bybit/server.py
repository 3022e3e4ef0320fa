"""The local Bybit: HTTPS and WebSockets on loopback over a simulated venue, and a plain port to arm faults at.

Rules of this file: signatures, windows and limits are measured by the wall clock (and its armed skew), everything that
is told of orders and candles bears the venue's time.  A request is checked, befallen by faults, carried out, befallen
again, and answered; nothing is awaited between carrying out an order and having its stops in place.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from livebot.core.market import Candle, Timeframe
from livebot.simulator.bybit import markets
from livebot.simulator.bybit.account import BybitAccount
from livebot.simulator.bybit.certificates import make_context
from livebot.simulator.bybit.codes import NO_SUCH_PATH, Refused, bad_parameter
from livebot.simulator.bybit.deeds import AccountDeeds
from livebot.simulator.bybit.faults import Fault, Faults, Place
from livebot.simulator.bybit.gate import RateLimits, check_request, too_many_visits
from livebot.simulator.bybit.listings import LINEAR, SPOT, Listing, Listings
from livebot.simulator.bybit.rest import Rest, Route
from livebot.simulator.bybit.settings import BybitSettings
from livebot.simulator.bybit.streams import PRIVATE, Message, Streams
from livebot.simulator.clock import VenueClock
from livebot.simulator.control_port import ControlPort
from livebot.simulator.venue import Minute, SimulatedVenue

Params = dict[str, str]
_TOPICS_AT_ONCE = 32
_HELD_S = 120.0  # a client that was not answered is let go after this
_HOST = "127.0.0.1"


class BybitServer:
    """One exchange; `start` it, let time pass by `run` (or hand each minute to `push`), and `close` it."""

    def __init__(
        self,
        venue: SimulatedVenue,
        clock: VenueClock,
        *,
        ca_file: Path,
        settings: BybitSettings | None = None,
        faults: Faults | None = None,
    ) -> None:
        """`ca_file` is written at the start: the authority that clients have to trust."""
        self.settings = settings or BybitSettings()
        self.faults = faults or Faults(self.settings.fault_seed)
        self.port = self.control_port = 0
        self._venue, self._clock, self._ca_file = venue, clock, ca_file
        self._listings = Listings(venue)
        venue.shape_fills = lambda request: self.faults.fill_shape(_names(self._listings.of_symbol(request.symbol)))
        self._account = BybitAccount(venue, self._listings, self.settings, clock.now_ms, self._wake)
        self._rest = Rest(self._account, self.now_ms)
        self._limits = RateLimits(self.settings)
        self._streams = Streams(self._listings, self.settings, self.faults, self.now_ms, self._greet)
        self._banned_until, self._ban_status = 0.0, 403
        self._tasks: set[asyncio.Task[None]] = set()
        self._runners: list[web.AppRunner] = []
        self._flush_due = False
        self._closing = asyncio.Event()

    def now_ms(self) -> int:
        """The exchange's clock: the wall's, and its skew."""
        return time.time_ns() // 1_000_000 + self.faults.skew_ms

    async def start(self, *, port: int = 0, control_port: int = 0) -> None:
        """Listen on loopback; 0 takes any free port, and `port` and `control_port` say which."""
        app = web.Application(client_max_size=2**20)
        app.router.add_get("/v5/public/{category}", self._public)
        app.router.add_get("/v5/private", self._private)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self.port = await self._listen(app, port, make_context(self._ca_file))
        control = ControlPort(self._venue, self._clock, self.faults)
        self.control_port = await self._listen(control.app, control_port, None)
        self.faults.begin(AccountDeeds(self._account))

    async def run(self, *, minutes: int | None = None) -> None:
        """Let the venue's time pass, until cancelled, or data or `minutes` are used up.  Raises Fatal."""
        await self._clock.drive(self.push, minutes=minutes)

    async def push(self, minute: Minute) -> None:
        """Tell of a minute that has just closed; what it did to orders first."""
        self._flush()
        closed = dict(minute.candles)
        for category in (LINEAR, SPOT):
            for index, topic in enumerate(sorted(self._streams.wanted(category))):
                if index % _TOPICS_AT_ONCE == _TOPICS_AT_ONCE - 1:
                    await asyncio.sleep(0)
                listing = self._listings.find(category, topic.rpartition(".")[2])
                if listing is None:
                    continue  # delisted, and somebody still follows it
                for message in await self._news(topic, listing, closed.get(listing.symbol)):
                    self._streams.push(category, topic, message, _names(listing))

    async def close(self) -> None:
        """Let go of everything; the venue stays as it is."""
        self._closing.set()
        self.faults.end()
        self._venue.shape_fills = lambda _: None
        self._account.close()
        for task in list(self._tasks):
            task.cancel()
        await self._streams.close()
        for runner in self._runners:
            await runner.cleanup()

    async def _listen(self, app: web.Application, port: int, context: Any) -> int:  # noqa: ANN401 - ssl's or None
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, _HOST, port, ssl_context=context)
        await site.start()
        self._runners.append(runner)
        return int(runner.addresses[0][1])

    # What the account has to tell

    def _wake(self) -> None:
        """Something happened in the venue, by whomever: tell it as soon as that is over."""
        if not self._flush_due:
            try:
                asyncio.get_running_loop().call_soon(self._flush)
            except RuntimeError:
                return  # nobody listens yet
            self._flush_due = True

    def _flush(self) -> None:
        self._flush_due = False
        self._account.settle()
        for topic, symbol, row in self._account.take_changes():
            listing = self._listings.of_symbol(symbol) if symbol else None
            heads = [topic] if listing is None else [topic, f"{topic}.{listing.category}"]
            for head in heads:
                message = {"topic": head, "id": _identity(), "creationTime": self.now_ms(), "data": [row]}
                self._streams.push(PRIVATE, head, message, _names(listing) if listing else ())

    async def _news(self, topic: str, listing: Listing, candle: Candle | None) -> list[Message]:
        if topic.startswith("tickers"):
            return [self._ticker(topic, listing)]
        interval = topic.split(".")[1]
        frame, now = markets.INTERVALS[interval], self._venue.minute_ms
        closed: list[Candle] = []
        if now % frame.ms == 0:
            opened = now - frame.ms
            minutes = [candle] if candle is not None and frame is Timeframe.M1 else []
            if frame is not Timeframe.M1:
                minutes = [each async for each in markets.candles(listing, self._venue, Timeframe.M1, opened, now)]
            closed = [markets.joined(opened, minutes)] if minutes else []
        forming = await markets.forming(listing, self._venue, frame)
        return [self._kline(topic, each, closed=True) for each in closed] + [self._kline(topic, forming, closed=False)]

    async def _greet(self, stream: str, topic: str) -> list[Message]:
        if stream == PRIVATE:
            return []
        word, *rest = topic.split(".")
        listing = self._listings.get(stream, rest[-1])
        if word == "tickers":
            return [self._ticker(topic, listing)]
        forming = await markets.forming(listing, self._venue, markets.INTERVALS[rest[0]])
        return [self._kline(topic, forming, closed=False)]

    def _ticker(self, topic: str, listing: Listing) -> Message:
        row = markets.ticker_row(listing, self._venue)
        return {
            "topic": topic,
            "type": "snapshot",
            "data": row,
            "cs": self._account.sequence,
            "ts": self._clock.now_ms(),
        }

    def _kline(self, topic: str, candle: Candle, *, closed: bool) -> Message:
        now = self._clock.now_ms()
        row = markets.kline_row(candle, topic.split(".")[1], closed=closed, now_ms=now)
        return {"topic": topic, "data": [row], "ts": now, "type": "snapshot"}

    # What clients ask

    async def _public(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, request.match_info["category"])

    async def _private(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, PRIVATE)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        now, observed = asyncio.get_running_loop().time(), self._is_observer(request)
        if not observed and (now < self._banned_until or self._limits.too_frequent(now)):
            return self._banned(self._ban_status if now < self._banned_until else 403, self._banned_until - now)
        route = self._rest.routes.get((request.method, request.path))
        if route is None:
            return _response({"retCode": NO_SUCH_PATH, "retMsg": "Route not found."}, {}, status=404)
        headers: dict[str, str] = {}
        params: Params = {}
        try:
            params = await self._checked(request, route, headers)
            fault = None if observed else self.faults.take(Place.REQUEST, request.path, self._names_of(params))
            if fault is not None:
                return await self._befall(fault, request, route, params)
            body = self._body(0, "OK", await self._carry_out(route, params))
        except Refused as refused:
            body = self._body(refused.code, refused.text, {})
        fault = None if observed else self.faults.take(Place.ANSWER, request.path, self._names_of(params))
        return await self._spoil(fault, request, body, headers) if fault else _response(body, headers)

    def _is_observer(self, request: web.Request) -> bool:
        key = self.settings.keys.get(request.headers.get("X-BAPI-API-KEY", ""))
        return key is not None and key.observer

    async def _checked(self, request: web.Request, route: Route, headers: dict[str, str]) -> Params:
        text = (await request.read()).decode(errors="replace")
        params = _of_body(text) if request.method == "POST" else dict(request.query)
        key = ""
        if route.private:
            payload = text if request.method == "POST" else request.rel_url.raw_query_string
            key = check_request(request.headers, payload, self.settings, self.now_ms(), writes=route.writes)
            params["apiKey"] = key
            now = asyncio.get_running_loop().time()
            allowed, told = self._limits.count(key, request.path, params.get("category", ""), now, self.now_ms())
            headers.update(told)
            if not (allowed or self.settings.keys[key].observer):
                raise too_many_visits()
        return params

    async def _carry_out(self, route: Route, params: Params) -> Mapping[str, Any]:
        self._account.settle()
        result = route.call(params)
        if isinstance(result, dict):
            self._flush()
            return result
        return await result

    def _body(self, code: int, text: str, result: Mapping[str, Any]) -> Message:
        return {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": self.now_ms()}

    def _names_of(self, params: Params) -> tuple[str, ...]:
        listing = self._listings.find(params.get("category", ""), params.get("symbol", ""))
        return _names(listing) if listing else ()

    # What goes wrong

    async def _befall(self, fault: Fault, request: web.Request, route: Route, params: Params) -> web.StreamResponse:
        if fault.kind == "refuse":
            raise Refused(fault.code, fault.text)
        if fault.kind == "ban":
            self._banned_until = asyncio.get_running_loop().time() + fault.seconds
            self._ban_status = fault.status
            return self._banned(fault.status, fault.seconds)
        if fault.kind == "late":
            task = asyncio.create_task(self._carry_out_late(route, params, fault.seconds))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await self._say_nothing(request)

    def _banned(self, status: int, seconds: float) -> web.Response:
        """Bybit says 403 and not for how long; with another status it is said, as proxies in front of venues do."""
        headers = {} if status == HTTPStatus.FORBIDDEN else {"Retry-After": str(max(math.ceil(seconds), 1))}
        return web.Response(status=status, text="access too frequent, please try again later", headers=headers)

    async def _carry_out_late(self, route: Route, params: Params, seconds: float) -> None:
        await asyncio.sleep(seconds)
        try:
            await self._carry_out(route, params)
        except Refused:
            return

    async def _say_nothing(self, request: web.Request) -> web.StreamResponse:
        """Until the client goes, or is thrown out."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), _HELD_S)
        _abort(request)
        return web.Response()

    async def _spoil(
        self, fault: Fault, request: web.Request, body: Message, headers: dict[str, str]
    ) -> web.StreamResponse:
        text = orjson.dumps(body)
        if fault.kind == "silence":
            return await self._say_nothing(request)
        if fault.kind == "cut":
            _abort(request)
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        if fault.kind == "unfinished" and body["result"].get("list"):
            rows = body["result"]["list"]
            last = min(1, len(rows) - 1)
            rows[last] = markets.half_formed(rows[last])
        if fault.kind in {"status", "html"}:
            page = "<html><body><h1>Service Unavailable</h1></body></html>"
            return web.Response(status=fault.status or 200, text=page, content_type="text/html")
        if fault.kind == "empty":
            return web.Response(body=b"", content_type="application/json", headers=headers)
        if fault.kind == "truncate":
            return await _half(request, text, headers)
        return _response(body, headers)


def _of_body(text: str) -> Params:
    try:
        raw = orjson.loads(text or "{}")
    except ValueError:
        raise bad_parameter("params error: the body is not JSON") from None
    if not isinstance(raw, dict):
        raise bad_parameter("params error: the body is not an object")
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in raw.items()}


def _names(listing: Listing) -> tuple[str, ...]:
    return (listing.symbol, listing.name)


def _response(body: Mapping[str, Any], headers: Mapping[str, str], *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json", headers=headers)


async def _half(request: web.Request, text: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
    """The first half of a body whose length was announced in full."""
    response = web.StreamResponse(headers=headers)
    response.content_type, response.content_length = "application/json", len(text)
    await response.prepare(request)
    await response.write(text[: len(text) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _identity() -> str:
    return f"{time.monotonic_ns():x}"
