"""A symbol's inbox: one bounded queue of everything that happens to it.

Rules of this file: putting never waits and never raises; a full inbox drops candles (the gap is found by timestamps and
filled from history) and never silently drops an order event: it raises the flag that makes the worker ask the venue;
what someone wants of the worker is never dropped, and kept once; what the operator or the portfolio wants closed is kept
until a worker has done it, also over that worker's failure.  `Activity` counts what is waiting or being worked on over
all inboxes, so that a simulated market can wait for it.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from livebot.core.inputs import OrderEvent, OrderFilled
from livebot.core.market import Candle
from livebot.core.series import CandleSeries
from livebot.core.signal import CloseReason
from livebot.errors import Rejected
from livebot.runtime.symbol.strategy_instance import Histories


@dataclass(frozen=True, slots=True)
class CandleOf:
    """A closed base candle of the worker's own symbol or of one its strategies look at."""

    symbol: str
    candle: Candle


@dataclass(frozen=True, slots=True, eq=False)
class HistoryCame:
    """What a strategy needs to begin."""

    strategy: str
    histories: Histories


@dataclass(frozen=True, slots=True, eq=False)
class GapCame:
    """The minutes around a gap in a strategy's candles of a symbol."""

    strategy: str
    symbol: str
    minutes: CandleSeries


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """Something that the worker had started on the side has failed; it fails with it."""

    error: Exception


@dataclass(frozen=True, slots=True)
class ContextDeadline:
    """The time to wait for the other symbols of this close is over."""

    strategy: str
    close_ms: int


@dataclass(frozen=True, slots=True)
class ContextCame:
    """All symbols that a strategy's features are made of are in at this close."""

    strategy: str
    close_ms: int


@dataclass(frozen=True, slots=True)
class UnprotectedDeadline:
    """A position has been without a confirmed stop for as long as is allowed."""

    strategy: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Someone with the right to do so wants the symbol's signals ended."""

    reason: CloseReason


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Trading is not ACTIVE any more: entries that have not filled are taken back."""


@dataclass(frozen=True, slots=True)
class Reload:
    """Candles of this symbol were not the final ones: whoever has taken them loads the history anew."""

    symbol: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the venue about everything unsettled of this symbol."""


@dataclass(frozen=True, slots=True, eq=False)
class Adopt:
    """The operator wants a position that is not ours to become a signal of this strategy; prices None: not given."""

    strategy: str
    stop: Decimal | None
    target: Decimal | None
    answer: "asyncio.Future[str]"

    def tell(self, sentence: str) -> None:
        """It was done."""
        if not self.answer.done():
            self.answer.set_result(sentence)

    def refuse(self, error: Rejected) -> None:
        """It was not, and nothing was changed."""
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(frozen=True, slots=True)
class RoundJudged:
    """The round in which a strategy wanted something was judged."""

    strategy: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What the model says of an entry that a strategy wants is there."""

    strategy: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish what is at hand and return."""


Wish = (
    HistoryCame
    | GapCame
    | Reload
    | Failed
    | ContextDeadline
    | ContextCame
    | UnprotectedDeadline
    | Leave
    | Withdraw
    | Ask
    | Adopt
    | RoundJudged
    | Answered
    | Stop
)
Item = CandleOf | OrderEvent | Wish


class Activity:
    """How many items wait or are being worked on, and who waits for none."""

    def __init__(self) -> None:
        """Nothing is going on."""
        self._count = 0
        self._held = 0
        self._at_lull: list[Callable[[], None]] = []
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def quiet(self) -> bool:
        """Nothing waits and nothing is being worked on."""
        return self._count <= 0

    def begin(self, count: int = 1) -> None:
        """Some more."""
        self._count += count
        if self._count > 0:
            self._idle.clear()

    def end(self, count: int = 1) -> None:
        """Some less."""
        self._count -= count
        if self._count <= 0:
            self._idle.set()
        self._see_lull()

    def hold(self) -> None:
        """Something waits for the rest of what is going on, and counts as going on itself until `release`."""
        self._held += 1
        self.begin()

    def release(self) -> None:
        """It waits no longer."""
        self._held -= 1
        self.end()

    @property
    def lull(self) -> bool:
        """Nothing is going on but what waits for the rest."""
        return self._count <= self._held

    def at_lull(self, call: Callable[[], None]) -> None:
        """Call once, soon after nothing is going on but what waits for the rest; something may have begun by then."""
        self._at_lull.append(call)
        self._see_lull()

    def _see_lull(self) -> None:
        if self._at_lull and self.lull:
            calls, self._at_lull = self._at_lull, []
            for call in calls:
                asyncio.get_running_loop().call_soon(call)

    async def idle(self) -> None:
        """Return when nothing waits and nothing is being worked on."""
        await self._idle.wait()


class Inbox:
    """Closed until its worker opens it: what arrives before that is left to recovery."""

    def __init__(self, size: int, activity: Activity) -> None:
        """`size` bounds candles and, apart from them, order events."""
        self._size = size
        self._activity = activity
        self._items: list[Item] = []
        self._candles = 0
        self._events = 0
        self._working = 0
        self._open = False
        self._unheeded: list[Leave] = []
        self._arrival: asyncio.Future[None] | None = None  # what the worker waits for
        self._trade: tuple[str, asyncio.Future[None]] | None = None  # of which order it wants to know a fill at once
        self.dropped_candles = 0
        self.dropped_events = 0
        self.must_ask = False

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._items)

    @property
    def is_open(self) -> bool:
        """Whether a worker reads it."""
        return self._open

    @property
    def wanted_closed(self) -> bool:
        """Whether somebody wants the symbol's signals ended, and no worker has got to it yet."""
        return bool(self._unheeded)

    def open(self) -> None:
        """Take items from now on, starting with what was wanted closed and has not been."""
        self.close()
        self._open = True
        self.must_ask = False
        for leave in self._unheeded:
            self._queue(leave)

    def close(self) -> None:
        """Take no more and forget what waits or was being worked on."""
        self._activity.end(len(self._items) + self._working)
        self._items.clear()
        self._candles = self._events = self._working = 0
        self._open = False

    def put(self, item: Item) -> None:
        """Queue an item, or drop it as the rules above say."""
        if isinstance(item, Leave) and item not in self._unheeded:
            self._unheeded.append(item)
        if not self._open:
            return
        if isinstance(item, CandleOf):
            if self._candles >= self._size:
                self.dropped_candles += 1
                return
            self._candles += 1
        elif isinstance(item, Wish):
            if item in self._items:
                return
        elif self._events >= self._size:
            self.dropped_events += 1
            self.must_ask = True
            return
        else:
            self._events += 1
        self._queue(item)

    def _queue(self, item: Item) -> None:
        self._items.append(item)
        self._activity.begin()
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
        if self._trade is not None and (self._trade[1].done() or _is_fill_of(item, self._trade[0])):
            if not self._trade[1].done():
                self._trade[1].set_result(None)
            self._trade = None

    def filled(self, client_order_id: str) -> "asyncio.Future[None]":
        """Done when a fill of this order waits; for the worker, about one order at a time, and cancelled by it."""
        trade: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if any(_is_fill_of(item, client_order_id) for item in self._items):
            trade.set_result(None)
        else:
            self._trade = client_order_id, trade
        return trade

    async def take(self) -> list[Item]:
        """All that waits, at least one item, in order of arrival; they count as work until `done`."""
        while not self._items:
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        taken, self._items = self._items, []
        self._candles = self._events = 0
        self._working += len(taken)
        return taken

    def done(self) -> None:
        """What was taken is worked off."""
        self._activity.end(self._working)
        self._working = 0
        self._unheeded = [leave for leave in self._unheeded if leave in self._items]

    def begin_work(self) -> None:
        """Something is done on the side; it counts as work of this symbol until `end_work`."""
        self._activity.begin()

    def end_work(self) -> None:
        """It is done."""
        self._activity.end()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count something as work of this symbol."""
        self.begin_work()
        try:
            yield
        finally:
            self.end_work()


def _is_fill_of(item: Item, client_order_id: str) -> bool:
    return isinstance(item, OrderFilled) and item.fill.client_order_id == client_order_id
