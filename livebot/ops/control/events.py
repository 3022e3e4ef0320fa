"""What happens, as it happens: server-sent events of facts, decisions, the trading state and problems.

An event's id is `<process>-<number>`; who comes back with `Last-Event-ID` is told what happened since, as far as it is
kept.

Rules of this file: what happens is written down once for all clients, and never waits for any of them; a client that
falls behind what is kept is told so and sent away; clients, what is kept and every wait are bounded.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import orjson
from aiohttp import web

from livebot.core.facts import Fact
from livebot.errors import LivebotError
from livebot.ops.control.answers import NOT_KEPT, Refused
from livebot.ops.control.fields import Schema, read_query
from livebot.ports import Decision

Line = Callable[[int, Fact | Decision | Mapping[str, object]], bytes]
"""One line of JSON of what happened at a time (UTC ms); raises LivebotError if it has none."""

EVENTS_KEPT = 5_000
CLIENTS_MAX = 4
KEEP_ALIVE_S = 15.0
WRITE_S = 10.0  # a client that takes nothing for so long is cut off
LIFETIME_S = 3_600.0  # then a client connects anew, with the last id that it had
LOOK_S = 1.0  # how soon it is seen that a client has gone
PIECE_BYTES = 32 * 1024
RETRY_MS = 2_000
TRADING_STATE = "trading_state"  # the problem's source by which a change of the trading state is told
SKIPPED = "skipped"
CONTENT_TYPE = "text/event-stream"
EVENT: Schema = {
    "type": "object",
    "description": "One event of the stream; `data` is a line of JSON, as in the journal.",
    "properties": {"id": {"type": "string"}, "event": {"type": "string"}, "data": {"type": "string"}},
}
_ID = re.compile(r"([0-9a-f]{1,16})-(0|[1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class EventSettings:
    """`kept`: so many events are there for who falls behind or comes back.  `clients_max` 0: there are no events."""

    kept: int = EVENTS_KEPT
    clients_max: int = CLIENTS_MAX
    keep_alive_s: float = KEEP_ALIVE_S
    write_s: float = WRITE_S
    lifetime_s: float = LIFETIME_S


@dataclass(slots=True)
class _Event:
    """`text` is made when the first client is to have it."""

    ts_ms: int
    kind: str
    what: Fact | Decision | Mapping[str, object]
    text: bytes | None = None


class Events:
    """One for a daemon: a Listener of the bus; whoever hears of problems passes them on to `problem`."""

    name = "control-events"

    def __init__(
        self, line: Line, now_ms: Callable[[], int], process_id: int, settings: EventSettings | None = None
    ) -> None:
        """Nothing has happened; `process_id` tells the ids of this process from those of another one."""
        self._line = line
        self._now_ms = now_ms
        self._process = f"{process_id:x}"
        self._settings = settings or EventSettings()
        self._kept: list[_Event | None] = [None] * self._settings.kept
        self._next = 0  # the number of the next event
        self._clients: set[asyncio.Event] = set()
        self._closing = False

    # What has happened

    def hear(self, items: Iterable[Fact | Decision]) -> None:
        """What the bus publishes."""
        for item in items:
            if isinstance(item, Fact):
                self._add(type(item).__name__, item)
            elif item.outcome != SKIPPED:
                self._add("Decision", item)

    def problem(self, source: str, sentence: str | None) -> None:
        """A problem arose, changed, or passed; the trading state is one of them."""
        kind = "TradingState" if source == TRADING_STATE else "Problem"
        self._add(kind, {"type": kind, "source": source, "text": sentence})

    def _add(self, kind: str, what: Fact | Decision | Mapping[str, object]) -> None:
        if not self._settings.clients_max:
            return  # nobody will ever ask
        self._kept[self._next % len(self._kept)] = _Event(self._now_ms(), kind, what)
        self._next += 1
        for waiting in self._clients:
            waiting.set()

    # Telling it

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """GET: a stream of events until the client leaves."""
        read_query(request, ())
        if self._closing or len(self._clients) >= self._settings.clients_max:
            text = f"{len(self._clients)} clients listen already; let one go, or raise control.event_clients"
            raise Refused(text, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "10"})
        since = request.headers.get("Last-Event-ID")
        response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE, **NOT_KEPT})
        response.force_close()
        filled = asyncio.Event()
        self._clients.add(filled)  # before anything is awaited, so that the bound holds
        try:
            await self._serve(request, response, since, filled)
        except (ConnectionError, TimeoutError):  # it has gone, or takes nothing any more
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._clients.discard(filled)
        return response

    async def _serve(
        self, request: web.Request, response: web.StreamResponse, since: str | None, filled: asyncio.Event
    ) -> None:
        await response.prepare(request)
        cursor, hello = self._begin(since)
        await self._write(response, b"retry: %d\n\n%b" % (RETRY_MS, hello))
        loop = asyncio.get_running_loop()
        ends_s, spoke_s = loop.time() + self._settings.lifetime_s, loop.time()
        while not self._closing and loop.time() < ends_s and request.transport is not None:
            if cursor < self._next - len(self._kept):
                text = f"this client is too slow: {self._next - cursor} events wait, {len(self._kept)} are kept"
                await self._write(response, _own("Dropped", text))
                return
            piece, cursor = self._piece(cursor)
            if piece:
                await self._write(response, piece)
                spoke_s = loop.time()
                await asyncio.sleep(0)  # a write need not have waited
                continue
            filled.clear()
            await _filled_within(filled, min(LOOK_S, self._settings.keep_alive_s, max(ends_s - loop.time(), 0)))
            if loop.time() - spoke_s >= self._settings.keep_alive_s:
                await self._write(response, b": here\n\n")
                spoke_s = loop.time()
        if self._closing:
            await self._write(response, _own("End", "livebot stops"))

    def _begin(self, since: str | None) -> tuple[int, bytes]:
        """The number of the first event for a client that had this id last, and what it is told before that."""
        if since is None:
            return self._next, b""
        found = _ID.fullmatch(since)
        oldest = max(self._next - len(self._kept), 0)
        if found and found[1] == self._process and oldest <= int(found[2]) + 1 <= self._next:
            return int(found[2]) + 1, b""
        text = "what happened since then is not kept: look at the status, and into the journal"
        return self._next, _own("Gap", text)

    def _piece(self, cursor: int) -> tuple[bytes, int]:
        """So many events that writing them holds up nobody, and where the next ones begin."""
        texts: list[bytes] = []
        size = 0
        while cursor < self._next and size < PIECE_BYTES:
            texts.append(self._text(cursor))
            size += len(texts[-1])
            cursor += 1
        return b"".join(texts), cursor

    def _text(self, number: int) -> bytes:
        event = self._kept[number % len(self._kept)]
        assert event is not None
        if event.text is None:
            try:
                data = self._line(event.ts_ms, event.what).strip()
            except LivebotError as error:
                data = orjson.dumps({"at_ms": event.ts_ms, "type": event.kind, "error": str(error)})
            event.text = b"id: %b-%d\nevent: %b\ndata: %b\n\n" % (
                self._process.encode(),
                number,
                event.kind.encode(),
                data,
            )
        return event.text

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(self._settings.write_s):
            await response.write(data)

    def close(self) -> None:
        """The daemon stops: every client is told so and let go."""
        self._closing = True
        for waiting in self._clients:
            waiting.set()


def _own(kind: str, text: str) -> bytes:
    """An event of the stream itself; without an id, since it did not happen in the system."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, "text": text}))


async def _filled_within(filled: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await filled.wait()
    except TimeoutError:
        pass
