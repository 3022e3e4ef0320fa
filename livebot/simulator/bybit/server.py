"""The local Bybit: HTTPS and WebSockets on loopback over a simulated venue, and a plain port to arm faults at.

Rules of this file: signatures, windows and limits are measured by the wall clock (and its armed skew), everything that
is told of orders and candles bears the venue's time.  A request is checked, befallen by faults, carried out, befallen
again, and answered; nothing is awaited between carrying out an order and having its stops in place.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from livebot.core.market import Candle, Timeframe
from livebot.simulator import venue_candles
from livebot.simulator.bybit import markets
from livebot.simulator.bybit.account import BybitAccount
from livebot.simulator.bybit.codes import NO_SUCH_PATH, Refused, bad_parameter
from livebot.simulator.bybit.deeds import AccountDeeds
from livebot.simulator.bybit.faults import Fault, Faults, Place
from livebot.simulator.bybit.gate import RateLimits, check_request, too_many_visits
from livebot.simulator.bybit.rest import Rest, Route
from livebot.simulator.bybit.settings import BybitSettings
from livebot.simulator.bybit.streams import PRIVATE, Streams
from livebot.simulator.clock import VenueClock
from livebot.simulator.loopback_server import LoopbackServer, json_response
from livebot.simulator.stream_session import Message
from livebot.simulator.venue import SimulatedVenue
from livebot.simulator.venue_listings import Listing, names_of

Params = dict[str, str]
HOSTS = (
    *(f"{name}.{domain}" for domain in ("bybit.com", "bytick.com") for name in ("api", "stream")),
    *(f"{name}-{net}.bybit.com" for name in ("api", "stream") for net in ("testnet", "demo")),
    "localhost",
)


class BybitServer(LoopbackServer):
    """Bybit's protocol, linear and spot."""

    refusal = Refused
    key_header = "X-BAPI-API-KEY"
    hosts = HOSTS
    _account: BybitAccount
    _streams: Streams

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
        super().__init__(
            venue, clock, ca_file=ca_file, keys=self.settings.keys, faults=faults or Faults(self.settings.fault_seed)
        )
        self._account = BybitAccount(venue, self._listings, self.settings, clock.now_ms, self._wake)
        self._rest = Rest(self._account, self.now_ms)
        self._limits = RateLimits(self.settings)
        self._streams = Streams(self._listings, self.settings, self.faults, self.now_ms, self._greet)
        self._banned_until, self._ban_status = 0.0, 403

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/v5/public/{category}", self._public)
        router.add_get("/v5/private", self._private)
        router.add_route("*", "/{path:.*}", self._handle)

    def _deeds(self) -> AccountDeeds:
        return AccountDeeds(self._account)

    # What the account has to tell

    def _flush(self) -> None:
        self._flush_due = False
        self._account.settle()
        for topic, symbol, row in self._account.take_changes():
            listing = self._listings.of_symbol(symbol) if symbol else None
            heads = [topic] if listing is None else [topic, f"{topic}.{listing.category}"]
            for head in heads:
                message = {"topic": head, "id": _identity(), "creationTime": self.now_ms(), "data": [row]}
                self._streams.push(PRIVATE, head, message, names_of(listing))

    def _listing_of(self, market: str, topic: str) -> Listing | None:
        return self._listings.find(market, topic.rpartition(".")[2])

    async def _news_of(self, market: str, topic: str, listing: Listing | None, candle: Candle | None) -> list[Message]:
        if listing is None:
            return []  # delisted, and somebody still follows it
        if topic.startswith("tickers"):
            return [self._ticker(topic, listing)]
        interval = topic.split(".")[1]
        frame, now = markets.INTERVALS[interval], self._venue.minute_ms
        closed: list[Candle] = []
        if now % frame.ms == 0:
            opened = now - frame.ms
            minutes = [candle] if candle is not None and frame is Timeframe.M1 else []
            if frame is not Timeframe.M1:
                minutes = [
                    each async for each in venue_candles.candles(listing, self._venue, Timeframe.M1, opened, now)
                ]
            closed = [venue_candles.joined(opened, minutes)] if minutes else []
        forming = await venue_candles.forming(listing, self._venue, frame)
        return [self._kline(topic, each, closed=True) for each in closed] + [self._kline(topic, forming, closed=False)]

    async def _greet(self, stream: str, topic: str) -> list[Message]:
        if stream == PRIVATE:
            return []
        word, *rest = topic.split(".")
        listing = markets.listing_of(self._listings, stream, rest[-1])
        if word == "tickers":
            return [self._ticker(topic, listing)]
        forming = await venue_candles.forming(listing, self._venue, markets.INTERVALS[rest[0]])
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
            return json_response({"retCode": NO_SUCH_PATH, "retMsg": "Route not found."}, {}, status=404)
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
        return await self._spoil(fault, request, body, headers) if fault else json_response(body, headers)

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
        return names_of(self._listings.find(params.get("category", ""), params.get("symbol", "")))

    # What goes wrong

    async def _befall(self, fault: Fault, request: web.Request, route: Route, params: Params) -> web.StreamResponse:
        if fault.kind == "refuse":
            raise Refused(fault.code, fault.text)
        if fault.kind == "ban":
            self._banned_until = asyncio.get_running_loop().time() + fault.seconds
            self._ban_status = fault.status
            return self._banned(fault.status, fault.seconds)
        return await self._lose(fault, request, lambda: self._carry_out(route, params))

    def _banned(self, status: int, seconds: float) -> web.Response:
        """Bybit says 403 and not for how long; with another status it is said, as proxies in front of venues do."""
        headers = {} if status == HTTPStatus.FORBIDDEN else {"Retry-After": str(max(math.ceil(seconds), 1))}
        return web.Response(status=status, text="access too frequent, please try again later", headers=headers)

    def _half_form(self, answer: Message) -> None:
        if rows := answer["result"].get("list"):
            last = min(1, len(rows) - 1)
            rows[last] = markets.half_formed(rows[last])


def _of_body(text: str) -> Params:
    try:
        raw = orjson.loads(text or "{}")
    except ValueError:
        raise bad_parameter("params error: the body is not JSON") from None
    if not isinstance(raw, dict):
        raise bad_parameter("params error: the body is not an object")
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in raw.items()}


def _identity() -> str:
    return f"{time.monotonic_ns():x}"
