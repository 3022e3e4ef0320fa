"""The local Binance: HTTPS and WebSockets on loopback over a simulated venue, and a plain port to arm faults at.

Rules of this file: all of Binance's hosts end here and are told apart by path, and where that does not say it, by the
Host header.  Keys, windows and limits are measured by the wall clock (and its armed skew), everything that is told of
orders and candles bears the venue's time.  A request is weighed, checked, befallen by faults, carried out, befallen
again, and answered.
"""

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from livebot.core.market import Candle
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
from livebot.simulator.clock import VenueClock
from livebot.simulator.loopback_server import LoopbackServer, json_response
from livebot.simulator.venue import SimulatedVenue
from livebot.simulator.venue_faults import Fault, Faults, Place
from livebot.simulator.venue_listings import LINEAR, SPOT, Listing, names_of

Params = dict[str, str]
HOSTS = (
    *("binance.com", "*.binance.com", "binancefuture.com", "*.binancefuture.com"),
    *("testnet.binance.vision", "*.testnet.binance.vision", "localhost"),
)
_VERBS = {"POST": "/create", "PUT": "/amend", "DELETE": "/cancel"}
_ELSEWHERE = {"api": ("/fapi/", "/dapi/"), "fapi": ("/api/", "/sapi/"), "dapi": ("/api/", "/sapi/", "/fapi/")}
_PLAIN_BAN = 403


class BinanceServer(LoopbackServer):
    """Binance's protocols, USD-M futures and spot."""

    refusal = Refused
    key_header = "X-MBX-APIKEY"
    hosts = HOSTS
    _account: BinanceAccount
    _streams: Streams

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
        super().__init__(
            venue, clock, ca_file=ca_file, keys=self.settings.keys, faults=faults or Faults(self.settings.fault_seed)
        )
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

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        for path in ("/ws", "/ws/{name}", "/stream", "/market/ws", "/market/ws/{name}", "/market/stream"):
            router.add_get(path, self._market_stream)
        for path in ("/public/ws", "/public/ws/{name}", "/public/stream"):
            router.add_get(path, self._market_stream)
        router.add_get("/private/ws", self._user_stream)
        router.add_get("/ws-api/v3", self._request_socket)
        router.add_route("*", "/{path:.*}", self._handle)

    def _deeds(self) -> AccountDeeds:
        return AccountDeeds(self._account, self._expire_user_streams)

    # What the account has to tell

    def _flush(self) -> None:
        self._flush_due = False
        self._account.settle()
        for listing, message in self._account.take_changes():
            self._streams.push_account(message, names_of(listing), spot=listing.spot)

    def _listing_of(self, market: str, topic: str) -> Listing | None:
        return self._news.listing_of(market, topic)

    async def _news_of(self, market: str, topic: str, listing: Listing | None, candle: Candle | None) -> list[Any]:
        return await self._news.of_minute(market, topic, candle)

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
        return await self._spoil(fault, request, answer, headers) if fault else json_response(answer, headers, status)

    def _weigh(self, market: str, route: Route, params: Params, headers: dict[str, str]) -> web.Response | None:
        verdict = self._traffic[market].ask(route.weight(params), time.time())
        if verdict.status == 200:  # noqa: PLR2004 - it may go on
            headers["X-MBX-USED-WEIGHT-1M"] = str(verdict.used)
            return None
        answer = {"code": TOO_MANY_REQUESTS, "msg": verdict.text}
        return json_response(answer, {"Retry-After": str(verdict.retry_s)}, verdict.status)

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
        return names_of(self._listings.find(market, params.get("symbol", "")))

    # What goes wrong

    async def _befall(self, fault: Fault, request: web.Request, route: Route, params: Params) -> web.StreamResponse:
        if fault.kind == "refuse":
            # a code that is not below 0 is not Binance's
            raise Refused(fault.code, fault.text) if fault.code < 0 else Refused(INTERNAL, _INTERNAL_TEXT)
        if fault.kind == "ban":
            self._banned, self._banned_until = fault, asyncio.get_running_loop().time() + fault.seconds
            return self._ban_answer()
        return await self._lose(fault, request, lambda: self._carry_out(route, params))

    def _ban_answer(self) -> web.Response:
        assert self._banned is not None  # who has banned
        left = self._banned_until - asyncio.get_running_loop().time()
        if self._banned.status == _PLAIN_BAN:  # the firewall, which does not say for how long
            return web.Response(status=_PLAIN_BAN, text="<html><body><h1>403 Forbidden</h1></body></html>")
        until_ms = self.now_ms() + round(left * 1000)
        answer = {"code": TOO_MANY_REQUESTS, "msg": f"Way too many requests; IP banned until {until_ms}."}
        return json_response(answer, {"Retry-After": str(max(math.ceil(left), 1))}, self._banned.status)

    def _half_form(self, answer: Json) -> None:
        if isinstance(answer, list) and answer and isinstance(answer[0], list):
            last = max(len(answer) - 2, 0)
            answer[last] = markets.half_formed(answer[last])


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


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _loop_later(seconds: float, call: Callable[[], object]) -> None:
    asyncio.get_running_loop().call_later(seconds, call)
