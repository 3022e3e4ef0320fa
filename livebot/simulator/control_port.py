"""The plain port of a local exchange: faults on demand, and the market's time for who has to follow it.

    GET /_faults      {"armed": [...], "struck": {kind: times}, "idle": [...], "remarks": [...], "skew_ms": 0}
    POST /_faults     one fault or a list of them, see `venue_faults`; 400 {"error": ...} if one is wrong, then none is armed
    DELETE /_faults   all is well again
    GET /_clock       lines of {"now_ms", "minute_ms", "speed"}: one at once, and one whenever a minute has closed

Rules of this file: it is not part of any venue's protocol, and listens on loopback without a key.
"""

import asyncio

import orjson
from aiohttp import web

from livebot.errors import BadInput
from livebot.simulator.clock import VenueClock
from livebot.simulator.venue import SimulatedVenue
from livebot.simulator.venue_faults import Faults


class ControlPort:
    """`app` is served by the exchange that it belongs to."""

    def __init__(self, venue: SimulatedVenue, clock: VenueClock, faults: Faults) -> None:
        self._venue = venue
        self._clock = clock
        self._faults = faults
        self.app = web.Application()
        self.app.router.add_get("/_faults", self._show)
        self.app.router.add_post("/_faults", self._arm)
        self.app.router.add_delete("/_faults", self._clear)
        self.app.router.add_get("/_clock", self._tell_time)

    async def _show(self, _: web.Request) -> web.Response:
        faults = self._faults
        return _response(
            {
                "armed": [fault.model_dump(mode="json") for fault in faults.armed],
                "struck": dict(faults.struck),
                "idle": list(faults.idle.values()),
                "remarks": list(faults.remarks),
                "skew_ms": faults.skew_ms,
            }
        )

    async def _arm(self, request: web.Request) -> web.Response:
        try:
            self._faults.arm_json(await request.read())
        except BadInput as error:
            return _response({"error": str(error)}, status=400)
        return await self._show(request)

    async def _clear(self, request: web.Request) -> web.Response:
        self._faults.clear()
        return await self._show(request)

    async def _tell_time(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_type = "application/x-ndjson"
        await response.prepare(request)
        closed = asyncio.Event()
        unsubscribe = self._clock.subscribe(closed.set)
        try:
            while True:
                closed.clear()
                told = {"now_ms": self._clock.now_ms(), "minute_ms": self._venue.minute_ms, "speed": self._clock.speed}
                await response.write(orjson.dumps(told) + b"\n")
                await closed.wait()
        except ConnectionError:
            return response  # whoever listened has gone
        finally:
            unsubscribe()


def _response(body: dict[str, object], *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
