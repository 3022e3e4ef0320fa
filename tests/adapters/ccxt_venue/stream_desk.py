"""What a local exchange says to a request of a private stream when it is asked to say something else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from livebot.adapters.ccxt_venue.connection import Connection, Loopback
from livebot.adapters.ccxt_venue.exchange import CcxtExchange
from livebot.adapters.clock import SystemClock
from livebot.core.inputs import OrderEnded, OrderFilled
from tests.adapters.ccxt_venue.desk import BTC, KEYS, QUICK, QUIET, STILL, Seat, local_binance, order, replace
from tests.simulator.local_desk import SPOT

SUBSCRIBE = "userDataStream.subscribe.signature"
NEVER_S = 3_600.0


class Authentications:
    """What the local Bybit says to those of private streams: `says` instead of what is right, so many `times`."""

    def __init__(self, server):
        self.streams = server._streams
        self.answer, self.streams._authenticate = self.streams._authenticate, self.hear
        self.says, self.times, self.asked = None, 0, 0

    def hear(self, session, request, args):
        self.asked += 1
        if not self.times:
            self.answer(session, request, args)
            return
        self.times -= 1
        if self.says is not None:
            session.answer(self.says, request)


class Subscriptions:
    """The same of the local Binance's for spot; those of `held` are answered by `release`."""

    def __init__(self, server):
        self.streams = server._streams
        self.answer, self.streams._answer = self.streams._answer, self.hear
        self.says, self.hold, self.held, self.asked = [], False, [], 0

    def hear(self, wire, method, number, params):
        self.asked += method == SUBSCRIBE
        if method == SUBSCRIBE and self.says:
            wire.tell({"id": number, **self.says.pop(0)})
        elif method == SUBSCRIBE and self.hold:
            self.held.append((wire, method, number, params))
        else:
            self.answer(wire, method, number, params)

    def release(self):
        self.hold = False
        while self.held:
            self.answer(*self.held.pop())


@asynccontextmanager
async def spot_desk(folder: Path) -> AsyncIterator[tuple]:
    """A local Binance, and a connection to its spot market."""
    async with local_binance(folder, {SPOT: STILL}) as desk:
        loopback = Loopback(desk.server.port, desk.ca_file)
        connection = await Connection.open("binance", "spot", KEYS, loopback=loopback, settings=QUICK)
        try:
            yield desk, connection
        finally:
            await connection.close()


@asynccontextmanager
async def spot_seat(folder: Path, settings=QUIET) -> AsyncIterator[Seat]:
    async with spot_desk(folder) as (desk, connection):
        exchange = await CcxtExchange.open(connection, SystemClock(), (SPOT,), settings)
        try:
            yield Seat(desk, connection, exchange)
        finally:
            await exchange.close()


def waits_for(s: Seat, seconds: float) -> None:
    """So long a stream may take from now on until it stands."""
    s.exchange._streams._settings = replace(s.exchange._streams._settings, stream_ready_s=seconds)


def stands_again(s: Seat, times: int = 1) -> bool:
    return [each.text for each in s.said("private stream")].count(None) >= times


async def tells(s: Seat, symbol: str = BTC) -> None:
    s.events.clear()
    await s.submit(order(symbol=symbol, number=7))
    await s.until(lambda: s.of(OrderFilled) and s.of(OrderEnded))
