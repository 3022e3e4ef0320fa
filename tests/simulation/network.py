"""What lies between a daemon and its venue: requests, answers, events and candles that are lost, late, doubled and swapped.

Rules of this file: whatever is under way goes on when its sender is dead; an order arrives within the venue's window or
never, and what is asked for afterwards shows it; while the network is calm all of it is quick and whole; every choice
comes from one seeded generator.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from livebot.core.inputs import OrderAccepted, OrderEvent, OrderFilled, OrderRejected, OrderUnknown
from livebot.core.market import Candle, Timeframe
from livebot.core.order import Leg, OrderRequest
from livebot.core.series import CandleSeries
from livebot.errors import Rejected, Transient
from livebot.features.timeframes import aggregate
from livebot.ports import VenueNotice
from livebot.simulator.venue import Minute, SimulatedVenue

if TYPE_CHECKING:
    from tests.simulation.world import World

WINDOW_S = 8.0  # the venue accepts nothing that is older
HARMLESS = (Leg.ENTRY, Leg.AVERAGE, Leg.TARGET, Leg.PARTIAL)  # may be refused at any time
DYING = 0.2  # share of the messages just before a crash that arrive long after it, or are shown late
REFUSED_EXITS_MOST = 2  # stops and exits that a venue refuses for no reason, in one run


@dataclass(frozen=True, kw_only=True)
class Weather:
    """Shares of all messages to which something happens, when the network is not calm."""

    lost: float = 0.015  # requests; of answers, events and candles likewise
    late: float = 0.015
    late_changes: float = 0.01  # changes of orders that arrive when nobody waits for their answer any more
    doubled: float = 0.015
    swapped: float = 0.05  # events that overtake others
    refused: float = 0.01
    hidden: float = 0.02  # orders and fills that a question shows only later
    outage: float = 0.004  # per minute: the private stream is away for a while
    spoilt: float = 0.004  # candles that cannot be true come before the true one


FAIR = Weather(**dict.fromkeys(Weather.__dataclass_fields__, 0.0))


class Network:
    """One for the whole run; each process has a `Line` to it."""

    def __init__(self, world: "World", random: Random, weather: Weather) -> None:
        self.world = world
        self.random = random
        self._shares = {name: getattr(weather, name) for name in Weather.__dataclass_fields__}
        self.jitter = world.plan.jitter
        self.calm = False
        self.dying = False  # a crash is near
        self.under_way = 0  # orders, changes and cancellations that have not arrived
        self.shown_at: dict[str, float] = {}  # orders that a question does not show before
        self.fills_at: dict[str, float] = {}  # trades likewise, by trade id
        self.refused: set[str] = set()
        self.sent_at: dict[str, float] = {}
        self.away_until = -1.0  # the private stream
        self._refused_exits = 0
        self.counts: dict[str, int] = {}

    # Chance

    def delay(self) -> float:
        roll = self.random.random()
        return 0.004 + 0.12 * roll * roll * roll * self.jitter

    def happens(self, what: str) -> bool:
        if self.calm:
            return False
        share = self._shares[what]
        if self.dying and what in ("late", "hidden"):
            share = max(share, DYING)
        if self.random.random() >= share:
            return False
        self.counts[what] = self.counts.get(what, 0) + 1
        return True

    def refuses(self, leg: Leg) -> bool:
        if not self.happens("refused"):
            return False
        if leg in HARMLESS:
            return True
        self._refused_exits += 1
        return self._refused_exits <= REFUSED_EXITS_MOST

    def hide(self, order_id: str) -> None:
        """The venue has the order and shows it only later, but not later than it may still arrive."""
        now = self.world.loop.time()
        self.shown_at[order_id] = min(now + self.random.uniform(0.1, WINDOW_S), self.sent_at[order_id] + WINDOW_S - 0.1)

    # Time

    def minute(self) -> None:
        """Between two minutes; the stream may go away."""
        if self.happens("outage"):
            away_s = self.random.uniform(1.0, 100.0)
            self.away_until = self.world.loop.time() + away_s
            self.world.note("stream away", round(away_s, 1))
            self.world.loop.world_at(self.away_until, self._stream_back)

    def _stream_back(self) -> None:
        line = self.world.line
        if line is not None and line.alive and line.notice is not None:
            line.notice(VenueNotice(source="stream", text=None, reconcile=True))

    # What the venue tells

    def event(self, symbol: str, event: OrderEvent) -> None:
        line = self.world.line
        now = self.world.loop.time()
        if isinstance(event, OrderFilled) and self.happens("hidden"):
            self.fills_at[event.fill.trade_id] = now + self.random.uniform(0.1, 3.0)
        if line is None or not line.alive or now < self.away_until or self.happens("lost"):
            if line is not None and line.alive:
                self.world.note("event lost", symbol, event)
                self.world.checker.cover.event_lost(symbol)
            return
        at = now + self.delay() + (self.random.uniform(0.5, 6.0) if self.happens("late") else 0.0)
        if self.happens("swapped"):
            at += self.delay() * 3
        else:
            at = line.last_event[symbol] = max(line.last_event.get(symbol, 0.0), at)
        self.world.loop.world_at(at, line.deliver, symbol, event)
        if self.happens("doubled"):
            self.world.loop.world_at(at + self.random.uniform(0.0, 20.0), line.deliver, symbol, event)

    def candles(self, minute: Minute) -> None:
        line = self.world.line
        if line is None or not line.alive:
            return
        now = self.world.loop.time()
        for symbol, candle in minute.candles:
            if self.happens("lost"):
                self.world.note("candle lost", symbol, candle.ts_ms)
                continue
            if self.happens("spoilt"):
                spoilt = replace(
                    candle, high=candle.low, low=candle.high, ts_ms=candle.ts_ms - self.random.choice((0, 1))
                )
                self.world.loop.world_at(now + self.delay(), line.candle, symbol, spoilt)
            at = now + 0.02 + 2 * self.delay() + (self.random.uniform(2.0, 90.0) if self.happens("late") else 0.0)
            self.world.loop.world_at(at, line.candle, symbol, candle)
            if self.happens("doubled"):
                self.world.loop.world_at(at + self.random.uniform(0.0, 70.0), line.candle, symbol, candle)

    # What goes to the venue

    def send(self, line: "Line", request: OrderRequest | None, name: str, carry_out: Callable[[], Any]) -> Any:
        """A change at the venue; the future has the answer, if there ever is one."""
        loop = self.world.loop
        future: asyncio.Future[Any] = loop.create_future()
        now = loop.time()
        if request is not None and name == "submit":
            self.sent_at[request.client_order_id] = now
        if self.happens("lost"):
            self.world.note("request lost", name)
            if request is not None and not request.leg.opens:
                self.world.checker.cover.order_lost(request.symbol)
            if self.random.random() < 0.5:
                loop.call_later(self.delay(), line.fail, future, Transient("the connection was cut"))
            return future
        there = self.delay() + (self.random.uniform(0.5, WINDOW_S - 0.2) if self.happens("late") else 0.0)
        if name == "amend" and self.happens("late_changes"):
            there = self.random.uniform(0.6, 0.98) * WINDOW_S
        self.under_way += 1
        loop.world_at(now + there, self._arrive, line, future, name, carry_out)
        if self.happens("doubled") and request is not None and name == "submit":
            self.under_way += 1
            again = min(there + self.random.uniform(0.0, 3.0), WINDOW_S - 0.1)
            loop.world_at(now + again, self._arrive, line, None, name, carry_out)
        return future

    def _arrive(
        self, line: "Line", future: "asyncio.Future[Any] | None", name: str, carry_out: Callable[[], Any]
    ) -> None:
        self.under_way -= 1
        try:
            answer, failed = carry_out(), None
        except Rejected as error:
            answer, failed = None, error
        if future is None:
            return  # a copy; nobody waits for its answer
        if self.happens("lost"):
            self.world.note("answer lost", name)
            if self.random.random() < 0.5:
                self._back(line.fail, future, Transient("the connection was cut before the answer"))
        elif failed is not None:
            self._back(line.fail, future, failed)
        else:
            self._back(line.answer, future, answer)

    def _back(self, tell: Callable[..., None], future: "asyncio.Future[Any]", value: Any) -> None:
        back = self.delay() + (self.random.uniform(0.5, 9.0) if self.happens("late") else 0.0)
        self.world.loop.world_at(self.world.loop.time() + back, tell, future, value)

    def ask(self, line: "Line", look: Callable[[], Any]) -> Any:
        """A question; what is answered is how it was at the venue at one moment on the way."""
        loop = self.world.loop
        future: asyncio.Future[Any] = loop.create_future()
        if self.happens("lost"):
            if self.random.random() < 0.5:
                loop.call_later(self.delay(), line.fail, future, Transient("no answer"))
            return future
        loop.world_at(loop.time() + self.delay(), self._look, line, future, look)
        return future

    def _look(self, line: "Line", future: "asyncio.Future[Any]", look: Callable[[], Any]) -> None:
        if line.alive and not future.done():
            self._back(line.answer, future, look())


class Line:
    """`ports.Exchange` and `ports.CandleFeed` of one process."""

    name = "simulation"
    absence_window_ms = int(WINDOW_S * 1000)
    refuses_repeated_ids = True
    positions_may_lag = True

    def __init__(self, network: Network) -> None:
        self.alive = True
        self.last_event: dict[str, float] = {}
        self.notice: Callable[[VenueNotice], None] | None = None
        self._network = network
        self._world = network.world
        self._venue = network.world.venue
        self._events: dict[str, Callable[[OrderEvent], None]] = {}
        self._candles: dict[str, Callable[[Candle], None]] = {}
        self._feeding = False

    # Answers

    def answer(self, future: "asyncio.Future[Any]", value: Any) -> None:
        if self.alive and not future.done():
            future.set_result(value)

    def fail(self, future: "asyncio.Future[Any]", error: Exception) -> None:
        if self.alive and not future.done():
            future.set_exception(error)

    def deliver(self, symbol: str, event: OrderEvent) -> None:
        deliver = self._events.get(symbol)
        if self.alive and deliver is not None:
            deliver(event)

    def candle(self, symbol: str, candle: Candle) -> None:
        deliver = self._candles.get(symbol)
        if self.alive and self._feeding and deliver is not None:
            deliver(candle)

    def _check_alive(self) -> None:
        if not self.alive:
            raise asyncio.CancelledError

    # Exchange

    async def instruments(self, symbols):
        self._check_alive()
        return await self._network.ask(self, lambda: {symbol: self._venue.instrument(symbol) for symbol in symbols})

    async def submit(self, approved):
        self._check_alive()
        request = approved.order
        self._world.checker.sent(request)
        outcome = await self._network.send(self, request, "submit", partial(self._carry_out, request, "submit"))
        return self._unknown_if_repeated(request, outcome)

    async def amend(self, approved):
        self._check_alive()
        request = approved.order
        return await self._network.send(self, request, "amend", partial(self._carry_out, request, "amend"))

    def _carry_out(self, request: OrderRequest, name: str) -> Any:
        world, network = self._world, self._network
        if network.refuses(request.leg):
            world.note("refused", name, request.client_order_id)
            if name == "submit":
                network.refused.add(request.client_order_id)
            return self._refusal(request, "refused")
        if name == "submit" and request.client_order_id in network.refused:
            return self._refusal(request, "refused before")  # a copy has the fate of the first
        if name == "submit" and network.happens("hidden"):
            network.hide(request.client_order_id)
        outcome = (self._venue.submit if name == "submit" else self._venue.amend)(request, world.now_ms())
        world.note(name, request, type(outcome).__name__, getattr(outcome, "code", ""))
        if isinstance(outcome, OrderAccepted):
            if request.leg is Leg.STOP:
                self._venue.take_away_attached(request, world.now_ms())
            world.checker.accepted(request, name)
        elif name == "submit" and outcome.code != "duplicate_client_order_id":
            network.refused.add(request.client_order_id)
        return outcome

    def _refusal(self, request: OrderRequest, code: str) -> OrderRejected:
        ts_ms = self._world.now_ms()
        return OrderRejected(client_order_id=request.client_order_id, code=code, text="not now", ts_ms=ts_ms)

    @staticmethod
    def _unknown_if_repeated(request: OrderRequest, outcome: Any) -> Any:
        if isinstance(outcome, OrderRejected) and outcome.code == "duplicate_client_order_id":
            text = "the venue has it already"
            return OrderUnknown(client_order_id=request.client_order_id, text=text, ts_ms=outcome.ts_ms)
        return outcome

    async def cancel(self, symbol, client_order_id):
        self._check_alive()
        await self._network.send(self, None, "cancel", partial(self._cancel, symbol, client_order_id))

    def _cancel(self, symbol: str, client_order_id: str) -> None:
        self._world.note("cancel", client_order_id)
        self._venue.cancel(symbol, client_order_id, self._world.now_ms())

    async def fetch_order(self, symbol, client_order_id):
        self._check_alive()
        return await self._network.ask(self, partial(self._order, symbol, client_order_id))

    def _order(self, symbol: str, client_order_id: str) -> Any:
        if self._network.shown_at.get(client_order_id, 0.0) > self._world.loop.time():
            return None
        return self._venue.order(symbol, client_order_id)

    async def fetch_fills(self, symbol, client_order_id):
        self._check_alive()
        return await self._network.ask(self, partial(self._fills, symbol, client_order_id))

    def _fills(self, symbol: str, client_order_id: str) -> Any:
        now, fills_at = self._world.loop.time(), self._network.fills_at
        fills = self._venue.fills(symbol, client_order_id)
        return tuple(fill for fill in fills if fills_at.get(fill.trade_id, 0.0) <= now) if fills_at else fills

    async def fetch_open_orders(self, symbols=None):
        self._check_alive()
        return await self._network.ask(self, partial(self._open_orders, symbols))

    def _open_orders(self, symbols: Any) -> Any:
        now, shown_at = self._world.loop.time(), self._network.shown_at
        orders = [order for order in self._venue.open_orders() if symbols is None or order.symbol in symbols]
        return tuple(order for order in orders if shown_at.get(order.client_order_id or "", 0.0) <= now)

    async def fetch_positions(self):
        self._check_alive()
        return await self._network.ask(self, lambda: self._world.positions.look(self._world.loop.time()))

    async def fetch_account(self):
        self._check_alive()
        return await self._network.ask(self, self._venue.account)

    def listen_notices(self, deliver: Callable[[VenueNotice], None]) -> None:
        self.notice = deliver
        self._world.tell_cause(self)

    async def close(self) -> None:
        self._events.clear()

    def listen(self, symbol: str, deliver: Callable[[OrderEvent], None]) -> None:
        self._events[symbol] = deliver

    def ignore(self, symbol: str) -> None:
        self._events.pop(symbol, None)


def _history(venue: SimulatedVenue, symbol: str, timeframe: Timeframe, count: int) -> CandleSeries:
    stop_ms = timeframe.open_of(venue.minute_ms)
    minutes = venue.market.candles(symbol, stop_ms - count * timeframe.ms, stop_ms)
    return minutes if timeframe is Timeframe.M1 else aggregate(minutes, timeframe)


class Feed:
    """The candles of the same line."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def history(self, symbol, timeframe, count):
        line = self._line
        line._check_alive()
        venue = line._venue
        return await line._network.ask(line, lambda: _history(venue, symbol, timeframe, count))

    def listen(self, symbol, deliver):
        self._line._candles[symbol] = deliver

    def ignore(self, symbol):
        self._line._candles.pop(symbol, None)

    def listen_notices(self, deliver):
        """It has nothing to say."""

    async def run(self):
        self._line._feeding = True
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._line._feeding = False
