"""The local Binance: HTTPS and WebSockets on loopback over a simulated venue, and a plain port to arm faults at.

Rules of this file: all of Binance's hosts end here and are told apart by path, and where that does not say it, by the
Host header.  Keys, windows and limits are measured by the wall clock (and its armed skew), everything that is told of
orders and candles bears the venue's time.  A request is weighed, checked, befallen by faults, carried out, befallen
again, and answered.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from livebot.simulator.binance import markets
from livebot.simulator.binance.account import BinanceAccount
from livebot.simulator.binance.codes import INTERNAL, TOO_MANY_REQUESTS, Refused
from livebot.simulator.binance.deeds import AccountDeeds
from livebot.simulator.binance.futures_rest import FuturesRest
from livebot.simulator.binance.gate import Traffic, check_key, check_signature, parameters
from livebot.simulator.binance.listen_keys import ListenKeys
from livebot.simulator.binance.news import News
from livebot.simulator.binance.routes import Json, Route
from livebot.simulator.binance.settings import BinanceSettings, Limits
from livebot.simulator.binance.spot_rest import SpotRest
from livebot.simulator.binance.streams import REQUESTS, USER, Streams
from livebot.simulator.bybit.certificates import make_context
from livebot.simulator.bybit.listings import LINEAR, SPOT, Listing, Listings
from livebot.simulator.clock import VenueClock
from livebot.simulator.control_port import ControlPort
from livebot.simulator.venue import Minute, SimulatedVenue
from livebot.simulator.venue_faults import Fault, Faults, Place

Params = dict[str, str]
HOSTS = (
    *("binance.com", "*.binance.com", "binancefuture.com", "*.binancefuture.com"),
    *("testnet.binance.vision", "*.testnet.binance.vision", "localhost"),
)
_VERBS = {"POST": "/create", "PUT": "/amend", "DELETE": "/cancel"}
_ELSEWHERE = {"api": ("/fapi/", "/dapi/"), "fapi": ("/api/", "/sapi/"), "dapi": ("/api/", "/sapi/", "/fapi/")}
_TOPICS_AT_ONCE = 32
_HELD_S = 120.0  # a client that was not answered is let go after this
_HOST = "127.0.0.1"
_PLAIN_BAN = 403


class BinanceServer:
    """One exchange; `start` it, let time pass by `run` (or hand each minute to `push`), and `close` it."""

    def __init__(
        self,
        venue: SimulatedVenue,
        clock: VenueClock,
        *,
        ca_file: Path,
        settings: BinanceSettings | None = None,
        faults: Faults | None = None,
    ) -> None:
        """`ca_file` is written at the start: the authority that clients have to trust."""
        self.settings = settings or BinanceSettings()
        self.faults = faults or Faults(self.settings.fault_seed)
        self.port = self.control_port = 0
        self._venue, self._clock, self._ca_file = venue, clock, ca_file
        self._listings = Listings(venue)
        venue.shape_fills = lambda request: self.faults.fill_shape(_names(self._listings.of_symbol(request.symbol)))
        self._account = BinanceAccount(venue, self._listings, self.settings, clock.now_ms, self._wake)
        self._news = News(venue, self._listings, clock.now_ms)
        self._keys = ListenKeys(self.settings.listen_key_seconds, _loop_time, _loop_later, self._key_expired)
        limits = self.settings.limits
        self._futures = FuturesRest(self._account, self.now_ms, self._keys, _told_limits(limits[LINEAR]))
        self._spot = SpotRest(self._account, self.now_ms, _told_limits(limits[SPOT]))
        self._routes = {**self._futures.routes, **self._spot.routes}
        self._traffic = {market: Traffic(limits[market]) for market in (LINEAR, SPOT)}
        self._streams = Streams(self.settings, self.faults, self.now_ms, self._news.greet, self._keys.valid)
        self._banned: Fault | None = None
        self._banned_until = 0.0
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
        for path in ("/ws", "/ws/{name}", "/stream", "/market/ws", "/market/ws/{name}", "/market/stream"):
            app.router.add_get(path, self._market_stream)
        for path in ("/public/ws", "/public/ws/{name}", "/public/stream"):
            app.router.add_get(path, self._market_stream)
        app.router.add_get("/private/ws", self._user_stream)
        app.router.add_get("/ws-api/v3", self._request_socket)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self.port = await self._listen(app, port, make_context(self._ca_file, HOSTS))
        control = ControlPort(self._venue, self._clock, self.faults)
        self.control_port = await self._listen(control.app, control_port, None)
        self.faults.begin(AccountDeeds(self._account, self._expire_user_streams))

    async def run(self, *, minutes: int | None = None) -> None:
        """Let the venue's time pass, until cancelled, or data or `minutes` are used up.  Raises Fatal."""
        await self._clock.drive(self.push, minutes=minutes)

    async def push(self, minute: Minute) -> None:
        """Tell of a minute that has just closed; what it did to orders first."""
        self._flush()
        closed = dict(minute.candles)
        for market in (LINEAR, SPOT):
            for index, topic in enumerate(sorted(self._streams.wanted(market))):
                if index % _TOPICS_AT_ONCE == _TOPICS_AT_ONCE - 1:
                    await asyncio.sleep(0)
                listing = self._news.listing_of(market, topic)
                candle = closed.get(listing.symbol) if listing else None
                for message in await self._news.of_minute(market, topic, candle):
                    self._streams.push(market, topic, message, _names(listing) if listing else ())

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
        for listing, message in self._account.take_changes():
            self._streams.push_account(message, _names(listing), spot=listing.spot)

    def _key_expired(self, key: str) -> None:
        self._streams.key_expired(key)

    def _expire_user_streams(self) -> int:
        return self._keys.expire(everything=True) + self._streams.end_subscriptions()

    # What clients ask

    async def _market_stream(self, request: web.Request) -> web.StreamResponse:
        market = SPOT if request.path in {"/ws", "/stream"} or request.path.startswith("/ws/") else LINEAR
        if request.host.startswith("fstream"):
            market = LINEAR
        wrapped = request.path.endswith("/stream")
        name = request.match_info.get("name", "")
        topics = request.query.get("streams", "").split("/") if wrapped else [name] if "@" in name else []
        return await self._streams.serve(request, market, topics=[each for each in topics if each], wrapped=wrapped)

    async def _user_stream(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, USER, key=request.query.get("listenKey", ""))

    async def _request_socket(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, REQUESTS)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = (await request.read()).decode(errors="replace")
        payload, params = parameters(request.rel_url.raw_query_string, body)
        observed = self._is_observer(request)
        if not observed and asyncio.get_running_loop().time() < self._banned_until:
            return self._ban_answer()
        route = self._routes.get((request.method, request.path))
        if route is None or request.path.startswith(_ELSEWHERE.get(request.host.partition(".")[0], ())):
            return web.Response(status=404, text="<html><body><h2>404 Not found</h2></body></html>")
        market = SPOT if route is self._spot.routes.get((request.method, request.path)) else LINEAR
        headers: dict[str, str] = {}
        endpoint = request.path + _VERBS.get(request.method, "")
        names = self._names_of(market, params)
        try:
            if not observed and (refusal := self._weigh(market, route, params, headers)) is not None:
                return refusal
            self._check(request, route, payload, params)
            if route.counts and not observed:
                headers |= self._traffic[market].order(time.time())
            fault = None if observed else self.faults.take(Place.REQUEST, endpoint, names)
            if fault is not None:
                return await self._befall(fault, request, route, params)
            status, answer = 200, await self._carry_out(route, params)
        except Refused as refused:
            status, answer = refused.status, {"code": refused.code, "msg": refused.text}
        fault = None if observed else self.faults.take(Place.ANSWER, endpoint, names)
        return await self._spoil(fault, request, answer, headers) if fault else _response(answer, headers, status)

    def _is_observer(self, request: web.Request) -> bool:
        key = self.settings.keys.get(request.headers.get("X-MBX-APIKEY", ""))
        return key is not None and key.observer

    def _weigh(self, market: str, route: Route, params: Params, headers: dict[str, str]) -> web.Response | None:
        verdict = self._traffic[market].ask(route.weight(params), time.time())
        if verdict.status == 200:  # noqa: PLR2004 - it may go on
            headers["X-MBX-USED-WEIGHT-1M"] = str(verdict.used)
            return None
        answer = {"code": TOO_MANY_REQUESTS, "msg": verdict.text}
        return _response(answer, {"Retry-After": str(verdict.retry_s)}, verdict.status)

    def _check(self, request: web.Request, route: Route, payload: str, params: Params) -> None:
        if not (route.signed or route.keyed):
            return
        name = request.headers.get("X-MBX-APIKEY", "")
        key = check_key(name, self.settings, writes=route.writes)
        if route.signed:
            check_signature(payload, params, key, self.now_ms())
        params["apiKey"] = name

    async def _carry_out(self, route: Route, params: Params) -> Json:
        self._account.settle()
        result = route.call(params)
        if asyncio.iscoroutine(result):
            return await result
        self._flush()
        return result

    def _names_of(self, market: str, params: Params) -> tuple[str, ...]:
        listing = self._listings.find(market, params.get("symbol", ""))
        return _names(listing) if listing else ()

    # What goes wrong

    async def _befall(self, fault: Fault, request: web.Request, route: Route, params: Params) -> web.StreamResponse:
        if fault.kind == "refuse":
            # a code that is not below 0 is not Binance's
            raise Refused(fault.code, fault.text) if fault.code < 0 else Refused(INTERNAL, _INTERNAL_TEXT)
        if fault.kind == "ban":
            self._banned, self._banned_until = fault, asyncio.get_running_loop().time() + fault.seconds
            return self._ban_answer()
        if fault.kind == "late":
            task = asyncio.create_task(self._carry_out_late(route, params, fault.seconds))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await self._say_nothing(request)

    def _ban_answer(self) -> web.Response:
        assert self._banned is not None  # who has banned
        left = self._banned_until - asyncio.get_running_loop().time()
        if self._banned.status == _PLAIN_BAN:  # the firewall, which does not say for how long
            return web.Response(status=_PLAIN_BAN, text="<html><body><h1>403 Forbidden</h1></body></html>")
        until_ms = self.now_ms() + round(left * 1000)
        answer = {"code": TOO_MANY_REQUESTS, "msg": f"Way too many requests; IP banned until {until_ms}."}
        return _response(answer, {"Retry-After": str(max(math.ceil(left), 1))}, self._banned.status)

    async def _carry_out_late(self, route: Route, params: Params, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(Refused):
            await self._carry_out(route, params)

    async def _say_nothing(self, request: web.Request) -> web.StreamResponse:
        """Until the client goes, or is thrown out."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), _HELD_S)
        _abort(request)
        return web.Response()

    async def _spoil(
        self, fault: Fault, request: web.Request, answer: Json, headers: dict[str, str]
    ) -> web.StreamResponse:
        text = orjson.dumps(answer)
        if fault.kind == "silence":
            return await self._say_nothing(request)
        if fault.kind == "cut":
            _abort(request)
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        if fault.kind == "unfinished" and isinstance(answer, list) and answer and isinstance(answer[0], list):
            last = max(len(answer) - 2, 0)
            answer[last] = markets.half_formed(answer[last])
        if fault.kind in {"status", "html"}:
            page = "<html><body><h1>Service Unavailable</h1></body></html>"
            return web.Response(status=fault.status or 200, text=page, content_type="text/html")
        if fault.kind == "empty":
            return web.Response(body=b"", content_type="application/json", headers=headers)
        if fault.kind == "truncate":
            return await _half(request, text, headers)
        return _response(answer, headers)


_INTERNAL_TEXT = "Internal error; unable to process your request. Please try again."


def _told_limits(limits: Limits) -> list[dict[str, Any]]:
    """As exchangeInfo tells them."""
    rows = (
        ("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_per_minute),
        ("ORDERS", "SECOND", 10, limits.orders_per_ten_seconds),
        ("ORDERS", "MINUTE", 1, limits.orders_per_minute),
    )
    names = ("rateLimitType", "interval", "intervalNum", "limit")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _names(listing: Listing) -> tuple[str, ...]:
    return (listing.symbol, listing.name)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _loop_later(seconds: float, call: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(seconds, call)


def _response(body: Json, headers: Mapping[str, str], status: int = 200) -> web.Response:
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
