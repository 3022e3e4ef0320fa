"""A simulated venue as a process of its own, which lives and trades on while no daemon is connected.

    python -m livebot.simulator.host --socket venue.sock --memory venue/ --symbols BTC/USDT:USDT --speed 60

Rules of this file: one unix socket, any number of clients, one JSON message per frame (see `wire`).  A client calls
({id, call, args}) and is answered ({id, value} or {id, error, text}); one that follows is also told, unasked, of order
events, minutes and candles ({push, ...}).  Calls of one client are begun in the order in which they came.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from livebot.core.inputs import OrderEvent
from livebot.core.market import Timeframe
from livebot.core.order import Leg, OrderRequest
from livebot.errors import BadInput, Fatal, LivebotError
from livebot.simulator.clock import VenueClock
from livebot.simulator.exchange import SimulatedExchange
from livebot.simulator.faults import FaultKind
from livebot.simulator.feed import SLICE, history_of
from livebot.simulator.market import Market
from livebot.simulator.matching import FillModel
from livebot.simulator.memory import VenueMemory
from livebot.simulator.replay import ReplayMarket
from livebot.simulator.synthetic import SyntheticMarket, SyntheticSettings, symbol_names
from livebot.simulator.venue import Minute, SimulatedVenue, VenueSettings
from livebot.simulator.wire import frame, named, read, read_frame

_MOST_UNREAD = 64 * 2**20  # bytes a client may leave unread before it is cut off
_START_MS = 1_735_689_600_000  # 2025-01-01, where a synthetic market begins unless told otherwise

Call = Callable[[dict[str, Any]], Awaitable[object]]


# A daemon that is killed leaves requests in its socket; a busy machine may read them this much later.
ABSENCE_WINDOW_MS = 1_500


class _Client:
    """One connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.follows = False

    def send(self, message: bytes) -> None:
        """Never waits; a client that does not read is cut off."""
        transport = self._writer.transport
        if transport.is_closing():
            return
        self._writer.write(message)
        if transport.get_write_buffer_size() > _MOST_UNREAD:
            transport.abort()

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


class VenueHost:
    """Serves a venue and lets its time pass."""

    def __init__(self, venue: SimulatedVenue, clock: VenueClock, exchange: SimulatedExchange) -> None:
        """Raises BadInput in lockstep: nobody could say over a socket that everybody is done."""
        if clock.lockstep:
            message = "a venue in its own process needs a speed above 0"
            raise BadInput(message)
        self._venue = venue
        self._clock = clock
        self._exchange = exchange
        self._clients: set[_Client] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._calls: dict[str, Call] = {
            "hello": self._hello,
            "instruments": self._instruments,
            "submit": self._submit,
            "amend": self._amend,
            "cancel": self._cancel,
            "order": lambda args: exchange.fetch_order(args["symbol"], args["client_order_id"]),
            "fills": lambda args: exchange.fetch_fills(args["symbol"], args["client_order_id"]),
            "open_orders": lambda _: exchange.fetch_open_orders(),
            "positions": lambda _: exchange.fetch_positions(),
            "account": lambda _: exchange.fetch_account(),
            "history": self._history,
            "place_by_hand": self._place_by_hand,
            "close_by_hand": self._close_by_hand,
            "arm": self._arm,
        }

    async def serve(self, socket: Path, *, minutes: int | None = None, ready: Callable[[], None]) -> None:
        """Until cancelled; `ready` is called when clients may connect.

        Raises:
            Fatal: the venue cannot keep its memory any more, or the socket cannot be made.

        """
        unsubscribe = self._venue.subscribe(self._tell_event)
        try:
            _make_way(socket)
            server = await asyncio.start_unix_server(self._converse, str(socket))
        except OSError as error:
            message = f"{socket}: the simulated venue cannot listen there: {error}"
            raise Fatal(message) from error
        driving = asyncio.create_task(self._clock.drive(self._push, minutes=minutes), name="venue time")
        try:
            ready()
            await asyncio.wait({driving, self._failure}, return_when=asyncio.FIRST_COMPLETED)
            if driving.done():
                driving.result()
                self._broadcast({"push": "end"})
            await self._failure
        finally:
            driving.cancel()
            unsubscribe()
            server.close()
            for client in list(self._clients):
                client.close()

    # Told unasked

    def _tell_event(self, symbol: str, event: OrderEvent) -> None:
        self._broadcast({"push": "event", "symbol": symbol, "event": named(event)})

    async def _push(self, minute: Minute) -> None:
        self._broadcast({"push": "minute", "minute_ms": minute.close_ms})
        for start in range(0, len(minute.candles), SLICE):
            part = minute.candles[start : start + SLICE]
            self._broadcast({"push": "candles", "candles": part})
            await asyncio.sleep(0)

    def _broadcast(self, message: dict[str, object]) -> None:
        followers = [client for client in self._clients if client.follows]
        if followers:
            text = frame(message)
            for client in followers:
                client.send(text)

    # Asked

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(writer)
        self._clients.add(client)
        try:
            async with asyncio.TaskGroup() as calls:
                while (message := await read_frame(reader)) is not None:
                    calls.create_task(self._answer(client, message))
        except* (TypeError, ValueError) as errors:  # whoever that is, it does not speak our language
            text = str(errors.exceptions[0])
            client.send(frame({"id": None, "error": BadInput.__name__, "text": text}))
        finally:
            self._clients.discard(client)
            client.close()

    async def _answer(self, client: _Client, message: dict[str, Any]) -> None:
        number, name, args = message.get("id"), message.get("call"), message.get("args", {})
        try:
            if name == "follow":
                client.follows = True
                value: object = None
            else:
                value = await self._calls[str(name)](args)
            answer = {"id": number, "value": value}
        except LivebotError as error:
            answer = {"id": number, "error": type(error).__name__, "text": str(error)}
            if isinstance(error, Fatal) and not self._failure.done():
                self._failure.set_exception(error)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            text = f"call {name!r} cannot be understood: {type(error).__name__} {error}"
            answer = {"id": number, "error": BadInput.__name__, "text": text}
        client.send(frame(answer))

    async def _hello(self, _: dict[str, Any]) -> object:
        return {
            "name": self._exchange.name,
            "absence_window_ms": max(ABSENCE_WINDOW_MS, self._exchange.absence_window_ms),
            "speed": self._clock.speed,
            "now_ms": self._clock.now_ms(),
            "minute_ms": self._venue.minute_ms,
            "ended": self._venue.ended,
            "symbols": self._venue.symbols,
        }

    async def _instruments(self, args: dict[str, Any]) -> object:
        return dict(await self._exchange.instruments(args["symbols"]))

    async def _submit(self, args: dict[str, Any]) -> object:
        return named(await self._exchange.submit_request(read(OrderRequest, args["request"])))

    async def _amend(self, args: dict[str, Any]) -> object:
        return named(await self._exchange.amend_request(read(OrderRequest, args["request"])))

    async def _cancel(self, args: dict[str, Any]) -> object:
        await self._exchange.cancel(args["symbol"], args["client_order_id"])
        return None

    async def _history(self, args: dict[str, Any]) -> object:
        return await history_of(self._venue, args["symbol"], Timeframe(args["timeframe"]), int(args["count"]))

    async def _place_by_hand(self, args: dict[str, Any]) -> object:
        request, anonymous = read(OrderRequest, args["request"]), bool(args["anonymous"])
        return named(self._venue.place_by_hand(request, self._clock.now_ms(), anonymous=anonymous))

    async def _close_by_hand(self, args: dict[str, Any]) -> object:
        return named(self._venue.close_by_hand(args["symbol"], self._clock.now_ms()))

    async def _arm(self, args: dict[str, Any]) -> object:
        leg = args["leg"]
        self._exchange.faults.arm(
            FaultKind(args["kind"]),
            times=int(args["times"]),
            symbol=args["symbol"],
            leg=None if leg is None else Leg(leg),
        )
        return None


def _make_way(socket: Path) -> None:
    """Remove a socket that a killed process left; the memory's lock keeps two hosts apart."""
    with contextlib.suppress(FileNotFoundError):
        socket.unlink()


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m livebot.simulator.host", description="A simulated venue in a process of its own."
    )
    add = parser.add_argument
    add("--socket", type=Path, required=True, help="unix socket to listen on")
    add("--memory", type=Path, required=True, help="folder that outlives the process")
    add("--symbols", default="10", help="comma separated symbols, or how many (default 10)")
    add("--speed", type=float, default=60.0, help="how many times faster than the wall clock (default 60)")
    add("--seed", type=int, default=1, help="of the synthetic market and of partial fills")
    add("--volatility", type=float, default=1.0, help="1 is like real coins, 4 shows trades within an hour")
    add("--data", type=Path, help="folder of parquet candles to replay instead of a synthetic market")
    add("--start-ms", type=int, help="UTC milliseconds at which a new account begins")
    add("--minutes", type=int, help="stop the venue's time after so many minutes")
    add("--wallet", type=Decimal, default=Decimal(10_000), help="quote currency in a new account")
    add("--slippage", type=Decimal, default=FillModel().slippage, help="ratio of the price")
    add("--partial-probability", type=float, default=0.0, help="share of orders that fill in pieces")
    add("--latency-ms", type=float, default=0.0, help="of the wall clock, per call")
    return parser.parse_args(argv)


def _market(options: argparse.Namespace) -> Market:
    text: str = options.symbols
    symbols = symbol_names(int(text)) if text.isdigit() else tuple(text.split(","))
    if options.data is not None:
        return ReplayMarket(options.data, symbols)
    settings = SyntheticSettings(seed=options.seed, volatility=options.volatility)
    return SyntheticMarket(symbols, settings, first_ms=options.start_ms or _START_MS)


async def _run(options: argparse.Namespace) -> None:
    fills = FillModel(slippage=options.slippage, partial_probability=options.partial_probability, seed=options.seed)
    settings = VenueSettings(start_ms=options.start_ms, wallet=options.wallet, fills=fills)
    venue = SimulatedVenue(_market(options), settings, VenueMemory(options.memory))
    clock = VenueClock(venue, speed=options.speed)
    exchange = SimulatedExchange(venue, clock, latency_ms=options.latency_ms)
    task = asyncio.current_task()
    assert task is not None  # a coroutine runs in one
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)

    def ready() -> None:
        sys.stdout.write(f"ready {options.socket}\n")
        sys.stdout.flush()

    try:
        await VenueHost(venue, clock, exchange).serve(options.socket, minutes=options.minutes, ready=ready)
    finally:
        venue.close()


def main(argv: Sequence[str]) -> int:
    """Run until SIGINT or SIGTERM (0); 2 for bad input, 3 if the venue cannot go on."""
    try:
        asyncio.run(_run(_arguments(argv)))
    except asyncio.CancelledError:
        return 0
    except LivebotError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, BadInput) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
