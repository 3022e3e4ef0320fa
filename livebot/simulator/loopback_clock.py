"""The market's time of a local exchange in another process, for a daemon that trades there through its venue protocol.

A local exchange may run faster than the world.  Its orders and candles then bear a time of their own, while requests
are signed by the wall clock; this clock follows the former, as the exchange's control port tells it.

Rules of this file: time stands still while the exchange is away, never goes back, and never reaches the next minute
before the exchange did.
"""

import asyncio
import contextlib

import aiohttp
import orjson

from livebot.errors import Transient
from livebot.simulator.clock import RunningTime

_CONNECT_S = 5.0
_RETRY_S = 0.2
_ERRORS = (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError)


class LoopbackClock:
    """`ports.Clock`; `connect` one and `close` it."""

    def __init__(self, control_port: int) -> None:
        """Stand still."""
        self._url = f"http://127.0.0.1:{control_port}/_clock"
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_S)
        self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)
        self._time = RunningTime(1.0)
        self._speed = 1.0
        self._latest_ms = 0
        self._told = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, control_port: int) -> "LoopbackClock":
        """One that has been told the time.  Raises Transient if nobody tells it."""
        clock = cls(control_port)
        clock._following = asyncio.create_task(clock._follow(), name="clock of the local exchange")
        try:
            await asyncio.wait_for(clock._told.wait(), _CONNECT_S)
        except TimeoutError:
            await clock.close()
            raise Transient(
                f"no local exchange tells the time at 127.0.0.1:{control_port} (exchange.loopback.control_port); "
                "start one with `livebot exchange`"
            ) from None
        return clock

    def now_ms(self) -> int:
        """UTC milliseconds of the exchange's market."""
        self._latest_ms = max(self._latest_ms, self._time.now_ms())
        return self._latest_ms

    async def close(self) -> None:
        """Stand still for ever."""
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following
        await self._session.close()

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(*_ERRORS):
                async with self._session.get(self._url) as answer:
                    async for line in answer.content:
                        self._tell(orjson.loads(line))
            await asyncio.sleep(_RETRY_S)

    def _tell(self, told: dict[str, float]) -> None:
        speed = float(told["speed"])
        if speed != self._speed:
            self._time, self._speed = RunningTime(speed), speed
        self._time.begin(int(told["now_ms"]), int(told["minute_ms"]))
        self._told.set()
