"""What every local exchange does: HTTPS on loopback over a simulated venue, a plain port beside it, and faults.

Rules of this file: nothing here knows a venue's protocol.  The exchange's clock is the wall's (and its armed skew); what
the venue tells is sent as soon as it is over, and before anything else is.
"""

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import orjson
from aiohttp import web

from livebot.core.market import Candle
from livebot.simulator.api_key import ApiKey
from livebot.simulator.certificates import make_context
from livebot.simulator.clock import VenueClock
from livebot.simulator.control_port import ControlPort
from livebot.simulator.venue import Minute, SimulatedVenue
from livebot.simulator.venue_faults import Deeds, Fault, Faults
from livebot.simulator.venue_listings import LINEAR, SPOT, Listing, Listings, names_of

_TOPICS_AT_ONCE = 32
_HELD_S = 120.0  # a client that was not answered is let go after this
_HOST = "127.0.0.1"
_LARGEST_REQUEST = 2**20  # bytes


class Account(Protocol):
    """The account of an exchange, as far as every server has to know."""

    def close(self) -> None:
        """Listen to the venue no more."""
        ...


class Streams(Protocol):
    """Its WebSockets."""

    def wanted(self, stream: str) -> set[str]:
        """All topics that somebody follows on this stream."""
        ...

    def push(self, stream: str, topic: str, message: Any, names: Sequence[str]) -> None:  # noqa: ANN401 - JSON
        """Tell all who follow the topic."""
        ...

    async def close(self) -> None:
        """Throw everybody out."""
        ...


class LoopbackServer(ABC):
    """One exchange; `start` it, let time pass by `run` (or hand each minute to `push`), and `close` it.

    A venue's server sets `_account` and `_streams`, and says what it throws to refuse something (`refusal`), where a
    request names its key (`key_header`) and for whom its certificate is (`hosts`).
    """

    refusal: ClassVar[type[Exception]]
    key_header: ClassVar[str]
    hosts: ClassVar[tuple[str, ...]]
    _account: Account
    _streams: Streams

    def __init__(
        self, venue: SimulatedVenue, clock: VenueClock, *, ca_file: Path, keys: Mapping[str, ApiKey], faults: Faults
    ) -> None:
        """`ca_file` is written at the start: the authority that clients have to trust."""
        self.faults = faults
        self.port = self.control_port = 0
        self._venue, self._clock, self._ca_file, self._known_keys = venue, clock, ca_file, keys
        self._listings = Listings(venue)
        venue.shape_fills = lambda request: self.faults.fill_shape(names_of(self._listings.of_symbol(request.symbol)))
        self._tasks: set[asyncio.Task[None]] = set()
        self._runners: list[web.AppRunner] = []
        self._flush_due = False
        self._closing = asyncio.Event()

    def now_ms(self) -> int:
        """The exchange's clock: the wall's, and its skew."""
        return time.time_ns() // 1_000_000 + self.faults.skew_ms

    async def start(self, *, port: int = 0, control_port: int = 0) -> None:
        """Listen on loopback; 0 takes any free port, and `port` and `control_port` say which."""
        app = web.Application(client_max_size=_LARGEST_REQUEST)
        self._add_routes(app.router)
        self.port = await self._listen(app, port, make_context(self._ca_file, self.hosts))
        control = ControlPort(self._venue, self._clock, self.faults)
        self.control_port = await self._listen(control.app, control_port, None)
        self.faults.begin(self._deeds())

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
                listing = self._listing_of(market, topic)
                candle = closed.get(listing.symbol) if listing else None
                for message in await self._news_of(market, topic, listing, candle):
                    self._streams.push(market, topic, message, names_of(listing))

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

    # What a venue does in its own way

    @abstractmethod
    def _add_routes(self, router: web.UrlDispatcher) -> None:
        """Which paths there are."""

    @abstractmethod
    def _deeds(self) -> Deeds:
        """What it can be told to do at once."""

    @abstractmethod
    def _flush(self) -> None:
        """Tell what the account has to tell, after `_flush_due` is set back."""

    @abstractmethod
    def _listing_of(self, market: str, topic: str) -> Listing | None:
        """Whom a topic is about, None if about nobody or all."""

    @abstractmethod
    async def _news_of(self, market: str, topic: str, listing: Listing | None, candle: Candle | None) -> Sequence[Any]:
        """What a minute that has closed brings; `candle` is its own, if it had one."""

    @abstractmethod
    def _half_form(self, answer: Any) -> None:  # noqa: ANN401 - JSON
        """If it is of candles, its last closed one becomes what could have been seen half way."""

    # What is the same everywhere

    async def _listen(self, app: web.Application, port: int, context: Any) -> int:  # noqa: ANN401 - ssl's or None
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, _HOST, port, ssl_context=context)
        await site.start()
        self._runners.append(runner)
        return int(runner.addresses[0][1])

    def _wake(self) -> None:
        """Something happened in the venue, by whomever: tell it as soon as that is over."""
        if not self._flush_due:
            try:
                asyncio.get_running_loop().call_soon(self._flush)
            except RuntimeError:
                return  # nobody listens yet
            self._flush_due = True

    def _is_observer(self, request: web.Request) -> bool:
        key = self._known_keys.get(request.headers.get(self.key_header, ""))
        return key is not None and key.observer

    # What goes wrong

    async def _lose(
        self, fault: Fault, request: web.Request, carry_out: Callable[[], Awaitable[object]]
    ) -> web.StreamResponse:
        """A request that is not answered; if the fault says so, it is carried out nevertheless, and late."""
        if fault.kind == "late":
            task = asyncio.create_task(self._carry_out_late(carry_out, fault.seconds))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await self._say_nothing(request)

    async def _carry_out_late(self, carry_out: Callable[[], Awaitable[object]], seconds: float) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(self.refusal):
            await carry_out()

    async def _say_nothing(self, request: web.Request) -> web.StreamResponse:
        """Until the client goes, or is thrown out."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), _HELD_S)
        _abort(request)
        return web.Response()

    async def _spoil(
        self,
        fault: Fault,
        request: web.Request,
        answer: Any,  # noqa: ANN401 - JSON
        headers: Mapping[str, str],
    ) -> web.StreamResponse:
        """An answer that the fault has befallen, all but a refusal and a ban."""
        if fault.kind == "silence":
            return await self._say_nothing(request)
        if fault.kind == "cut":
            _abort(request)
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        if fault.kind == "unfinished":
            self._half_form(answer)
        if fault.kind in {"status", "html"}:
            page = "<html><body><h1>Service Unavailable</h1></body></html>"
            return web.Response(status=fault.status or 200, text=page, content_type="text/html")
        if fault.kind == "empty":
            return web.Response(body=b"", content_type="application/json", headers=headers)
        if fault.kind == "truncate":
            return await _half(request, orjson.dumps(answer), headers)
        return json_response(answer, headers)


def json_response(body: Any, headers: Mapping[str, str], status: int = 200) -> web.Response:  # noqa: ANN401 - JSON
    """An answer in JSON."""
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
