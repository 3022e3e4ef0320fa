"""A simulated venue that lives in another process, as the daemon's exchange, feed and clock.

Rules of this file: there is no reconnecting.  When the socket breaks, an order that was being sent is OrderUnknown, all
else is Transient, and the feed's `run` raises Fatal.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import count as counting
from pathlib import Path
from typing import Any

from livebot.core.inputs import OrderEvent, OrderOutcome, OrderUnknown
from livebot.core.market import Candle, Instrument, Timeframe
from livebot.core.order import Account, Fill, Leg, OrderRequest, VenueOrder, VenuePosition
from livebot.core.risk import Approved
from livebot.core.series import CandleSeries
from livebot.errors import BadInput, Fatal, Rejected, Transient
from livebot.ports import VenueNotice
from livebot.simulator.clock import RunningTime
from livebot.simulator.faults import FaultKind
from livebot.simulator.wire import frame, read, read_all, read_frame, read_named, read_series

_RETRY_S = 0.05
_ERRORS = {kind.__name__: kind for kind in (BadInput, Rejected, Transient, Fatal)}

Push = Callable[[dict[str, Any]], None]


class _Cut(Exception):
    """The socket broke with a call under way."""


class _Link:
    """One connection: calls and their answers, and what is pushed."""

    def __init__(self, path: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, push: Push) -> None:
        self._path = path
        self._reader = reader
        self._writer = writer
        self._push = push
        self._numbers = counting(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self.reading = asyncio.create_task(self._read(), name=f"simulated venue {path.name}")

    @property
    def gone(self) -> str:
        """A sentence for when it is."""
        return f"the simulated venue at {self._path} is gone"

    async def call(self, name: str, **args: object) -> Any:  # noqa: ANN401 - as the call has it
        """What the venue answers.  Raises what the venue raises, Transient if the link was down, _Cut if it breaks."""
        if self.reading.done():
            raise Transient(self.gone)
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(frame({"id": number, "call": name, "args": args}))
            return await answer
        finally:
            del self._waiting[number]

    async def ask(self, name: str, **args: object) -> Any:  # noqa: ANN401
        """As `call`, for what may be asked again: Transient also if the link breaks now."""
        try:
            return await self.call(name, **args)
        except _Cut as error:
            raise Transient(self.gone) from error

    async def close(self) -> None:
        """Hang up."""
        self.reading.cancel()
        self._writer.close()
        await asyncio.wait({self.reading})  # an error in it is told by the feed's `run`

    async def _read(self) -> None:
        try:
            while (message := await read_frame(self._reader)) is not None:
                if "push" in message:
                    self._push(message)
                    await asyncio.sleep(0)  # a burst of candles comes in slices; let others run between them
                else:
                    self._settle(message)
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(_Cut(self.gone))

    def _settle(self, message: dict[str, Any]) -> None:
        answer = self._waiting.get(message["id"])
        if answer is None or answer.done():
            return  # whoever asked has gone
        if "error" in message:
            answer.set_exception(_ERRORS.get(message["error"], Fatal)(message["text"]))
        else:
            answer.set_result(message["value"])


class RemoteClock:
    """`ports.Clock`: the venue's time, as it passes there."""

    def __init__(self, speed: float) -> None:
        """Stand still until told."""
        self._time = RunningTime(speed)

    def now_ms(self) -> int:
        """UTC milliseconds of the venue's time."""
        return self._time.now_ms()

    def told(self, now_ms: int, minute_ms: int) -> None:
        """The venue is at `now_ms`, inside the minute that opened at `minute_ms`."""
        self._time.begin(now_ms, minute_ms)


class RemoteFeed:
    """`ports.CandleFeed`: candles as the venue pushes them."""

    def __init__(self, link: _Link, ended: asyncio.Event) -> None:
        """Hear nothing before `run`."""
        self._link = link
        self._ended = ended
        self._running = False
        self._listeners: dict[str, Callable[[Candle], None]] = {}

    async def history(self, symbol: str, timeframe: Timeframe, count: int) -> CandleSeries:
        """The last `count` closed candles.  Raises BadInput for an unknown symbol, Transient."""
        return read_series(await self._link.ask("history", symbol=symbol, timeframe=timeframe.value, count=count))

    def listen(self, symbol: str, deliver: Callable[[Candle], None]) -> None:
        """Deliver each closed candle of a symbol from now on; replaces an earlier listener."""
        self._listeners[symbol] = deliver

    def ignore(self, symbol: str) -> None:
        """Nobody wants candles of a symbol any more."""
        self._listeners.pop(symbol, None)

    def listen_notices(self, deliver: Callable[[VenueNotice], None]) -> None:
        """There is nothing to tell: a link that breaks ends `run`."""

    async def run(self) -> None:
        """Until cancelled, or the venue's data end.  Raises Fatal if the venue is gone."""
        self._running = True
        ending = asyncio.create_task(self._ended.wait(), name="end of the simulated venue")
        try:
            await asyncio.wait({ending, self._link.reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._running = False
            ending.cancel()
        if self._ended.is_set():
            return
        if not self._link.reading.cancelled():
            self._link.reading.result()  # an error of a listener
        raise Fatal(self._link.gone)

    def deliver(self, candles: list[Any]) -> None:
        """Candles that the venue pushed."""
        if self._running:
            for symbol, raw in candles:
                deliver = self._listeners.get(symbol)
                if deliver is not None:
                    deliver(read(Candle, raw))


class RemoteExchange:
    """`ports.Exchange` over the link."""

    def __init__(self, link: _Link, clock: RemoteClock, name: str, absence_window_ms: int) -> None:
        """As the venue introduced itself."""
        self._link = link
        self._clock = clock
        self._name = name
        self._absence_window_ms = absence_window_ms
        self._listeners: dict[str, Callable[[OrderEvent], None]] = {}

    @property
    def name(self) -> str:
        """As the venue calls itself."""
        return self._name

    @property
    def absence_window_ms(self) -> int:
        """As the venue introduced itself."""
        return self._absence_window_ms

    @property
    def refuses_repeated_ids(self) -> bool:
        """It is the same engine."""
        return True

    @property
    def positions_may_lag(self) -> bool:
        """It is the same engine."""
        return False

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        """Instruments by symbol.  Raises BadInput naming the symbols that the venue lacks, Transient."""
        raw = await self._link.ask("instruments", symbols=list(symbols))
        return {symbol: read(Instrument, each) for symbol, each in raw.items()}

    async def submit(self, approved: Approved) -> OrderOutcome:
        """Send an order.  Raises Transient if the link was down before."""
        return await self._send("submit", approved.order)

    async def amend(self, approved: Approved) -> OrderOutcome:
        """Change a working order.  Raises Transient if the link was down before."""
        return await self._send("amend", approved.order)

    async def cancel(self, symbol: str, client_order_id: str) -> None:
        """Take an order back.  Raises Rejected if the venue has no such working order, Transient."""
        await self._link.ask("cancel", symbol=symbol, client_order_id=client_order_id)

    async def fetch_order(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        """The order as it is now, None if the venue does not know it.  Raises Transient."""
        raw = await self._link.ask("order", symbol=symbol, client_order_id=client_order_id)
        return None if raw is None else read(VenueOrder, raw)

    async def fetch_fills(self, symbol: str, client_order_id: str) -> tuple[Fill, ...]:
        """All trades of an order, oldest first.  Raises Transient."""
        return read_all(Fill, await self._link.ask("fills", symbol=symbol, client_order_id=client_order_id))

    async def fetch_open_orders(self, symbols: Collection[str] | None = None) -> tuple[VenueOrder, ...]:
        """All of the account.  Raises Transient."""
        return read_all(VenueOrder, await self._link.ask("open_orders"))

    async def fetch_positions(self) -> tuple[VenuePosition, ...]:
        """All that are not flat.  Raises Transient."""
        return read_all(VenuePosition, await self._link.ask("positions"))

    async def fetch_account(self) -> Account:
        """At present prices.  Raises Transient."""
        return read(Account, await self._link.ask("account"))

    def listen(self, symbol: str, deliver: Callable[[OrderEvent], None]) -> None:
        """Deliver order events of a symbol from now on; replaces an earlier listener."""
        self._listeners[symbol] = deliver

    def ignore(self, symbol: str) -> None:
        """Nobody trades a symbol any more."""
        self._listeners.pop(symbol, None)

    def listen_notices(self, deliver: Callable[[VenueNotice], None]) -> None:
        """There is nothing to tell: a link that breaks ends the feed's `run`."""

    async def close(self) -> None:
        """Hang up, for the feed and the clock too."""
        await self._link.close()

    def deliver(self, symbol: str, raw: dict[str, Any]) -> None:
        """An event that the venue pushed."""
        deliver = self._listeners.get(symbol)
        if deliver is not None:
            deliver(read_named(raw))

    async def _send(self, name: str, request: OrderRequest) -> OrderOutcome:
        try:
            outcome: OrderOutcome = read_named(await self._link.call(name, request=request))
        except _Cut as error:
            return OrderUnknown(client_order_id=request.client_order_id, text=str(error), ts_ms=self._clock.now_ms())
        return outcome


class RemoteVenue:
    """A venue in another process; `exchange`, `feed` and `clock` are what a daemon needs of it."""

    def __init__(self, link: _Link, hello: dict[str, Any], clock: RemoteClock, ended: asyncio.Event) -> None:
        """Use `connect`."""
        self._link = link
        self.symbols: tuple[str, ...] = tuple(hello["symbols"])
        self.clock = clock
        self.feed = RemoteFeed(link, ended)
        self.exchange = RemoteExchange(link, clock, hello["name"], hello["absence_window_ms"])

    @classmethod
    async def connect(cls, path: Path, *, follow: bool = True, wait_s: float = 10.0) -> "RemoteVenue":
        """Connect, waiting so long for the venue to come up; without `follow` it pushes nothing (for a bystander).

        Raises:
            Fatal: nobody answers there.

        """
        pushes = _Pushes()
        reader, writer = await _connect(path, wait_s)
        link = _Link(path, reader, writer, pushes.take)
        try:
            hello = await link.ask("hello")
        except Transient as error:
            await link.close()
            raise Fatal(link.gone) from error
        clock, ended = RemoteClock(hello["speed"]), asyncio.Event()
        clock.told(hello["now_ms"], hello["minute_ms"])
        if hello["ended"]:
            ended.set()
        venue = cls(link, hello, clock, ended)
        pushes.begin(venue, ended)
        if follow:
            await link.ask("follow")
        return venue

    async def place_by_hand(self, request: OrderRequest, *, anonymous: bool = True) -> OrderOutcome:
        """An order of somebody else in the same account.  Raises Transient."""
        outcome: OrderOutcome = read_named(await self._link.ask("place_by_hand", request=request, anonymous=anonymous))
        return outcome

    async def close_by_hand(self, symbol: str) -> OrderOutcome:
        """Somebody else closes a position.  Raises Rejected if it is flat, Transient."""
        outcome: OrderOutcome = read_named(await self._link.ask("close_by_hand", symbol=symbol))
        return outcome

    async def arm(self, kind: FaultKind, *, times: int = 1, symbol: str | None = None, leg: Leg | None = None) -> None:
        """Let something go wrong at the venue.  Raises Transient."""
        await self._link.ask("arm", kind=kind, times=times, symbol=symbol, leg=leg)

    async def close(self) -> None:
        """Hang up."""
        await self._link.close()


class _Pushes:
    """Where what the venue pushes goes; nothing is pushed before `follow`."""

    def __init__(self) -> None:
        self._venue: RemoteVenue | None = None
        self._ended: asyncio.Event | None = None

    def begin(self, venue: RemoteVenue, ended: asyncio.Event) -> None:
        self._venue, self._ended = venue, ended

    def take(self, message: dict[str, Any]) -> None:
        venue, ended = self._venue, self._ended
        assert venue is not None
        assert ended is not None
        match message["push"]:
            case "minute":
                venue.clock.told(message["minute_ms"], message["minute_ms"])
            case "candles":
                venue.feed.deliver(message["candles"])
            case "event":
                venue.exchange.deliver(message["symbol"], message["event"])
            case "end":
                ended.set()


async def _connect(path: Path, wait_s: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    deadline = asyncio.get_running_loop().time() + wait_s
    while True:
        try:
            return await asyncio.open_unix_connection(str(path))
        except OSError as error:
            if asyncio.get_running_loop().time() >= deadline:
                message = f"no simulated venue answers at {path}: {error}"
                raise Fatal(message) from error
        await asyncio.sleep(_RETRY_S)
