"""One board for each timeframe: every symbol's candles at one close, and who waits for them to be complete.

The barrier of a close: a strategy whose features are made of other symbols is asked once all symbols are in, and not at
all if some are lacking when `runtime.context_deadline_ms` is over.

Rules of this file: candles are taken as they come, on the event loop, without waiting; what has to be fetched is fetched
by `run`, and until it has come its symbol is lacking; those who waited for a close are let go a few at a time, so that others
have their turns of the loop in between, and a simulated market waits for the last of them; whatever is wrong with one
symbol's candles, that symbol alone is loaded anew, and after PATIENCE closes the others go on without it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from livebot.core.market import Candle, Timeframe
from livebot.core.series import CandleSeries, Floats
from livebot.errors import BadInput, LivebotError, Transient
from livebot.features.context import PATIENCE, members_of
from livebot.features.context_live import LiveContext
from livebot.features.declaration import Feature
from livebot.ports import CandleFeed, Clock
from livebot.runtime.inbox import Activity
from livebot.runtime.symbol.candle_track import CandleTrack, Taken
from livebot.runtime.turns import Turns
from livebot.runtime.venue.execution import Execution

HISTORY_S = 60.0  # for one attempt to fetch a history
RETRY_S = 30.0  # after an answer that is no history
LET_GO = 16  # in one turn of the loop

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outside:
    """Where histories come from, and who waits for them."""

    feed: CandleFeed
    execution: Execution
    clock: Clock
    activity: Activity
    turns: Turns


class ContextBoard:
    """The context features of all strategies on one timeframe that need the same symbols."""

    def __init__(
        self,
        features: Sequence[Feature],
        timeframe: Timeframe,
        universe: Sequence[str],
        outside: Outside,
    ) -> None:
        """Empty: `run` loads the histories."""
        self._features = tuple(features)
        self._timeframe = timeframe
        self._outside = outside
        self._context = LiveContext(self._features, members_of(self._features, universe), timeframe)
        self._tracks = {symbol: self._track_of(symbol) for symbol in self._context.members}
        self._loaded: set[str] = set()
        self._jobs: set[str] = set()  # symbols of which something is being fetched
        self._asked: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()  # at most one entry for each symbol
        self._waiting: dict[int, list[Callable[[], None]]] = {}
        self._going: deque[Callable[[], None]] = deque()  # their close is complete, and they have not been told yet
        self._begun = asyncio.Event()

    @property
    def symbols(self) -> tuple[str, ...]:
        """Whose candles it wants."""
        return self._context.members

    def follow(self, universe: Sequence[str]) -> None:
        """Make the universe of these symbols from the next close on; new ones count when their history has come."""
        members = members_of(self._features, universe)
        if members == self._context.members:
            return
        self._context.follow(members)
        for symbol in self._tracks.keys() - set(members):
            del self._tracks[symbol]
            self._loaded.discard(symbol)
        for symbol in members:
            if symbol not in self._tracks:
                self._tracks[symbol] = self._track_of(symbol)
                self._ask(symbol)
        self._tell()

    # Candles

    def take(self, symbol: str, candle: Candle) -> None:
        """A closed minute of a symbol."""
        track = self._tracks.get(symbol)
        if track is None:
            return
        try:
            taken = track.push(candle, warm=symbol in self._loaded)
        except BadInput as error:
            _log.warning("context_candle_unfit", symbol=symbol, why=str(error), what="its history is loaded anew")
            self.reload(symbol)
            return
        self._note(taken)
        if taken.gap is not None:
            self._ask(symbol, whole=False)
        if self._waiting:
            self._tell()

    def reload(self, symbol: str) -> None:
        """What was taken of a symbol was not final."""
        if symbol in self._loaded:
            self._loaded.discard(symbol)
            self._ask(symbol)

    # For those who decide

    def columns(self, target: str) -> Mapping[str, Floats]:
        """Recent values for a symbol by the board's names of the features."""
        return self._context.columns(target)

    def lacking(self, close_ms: int) -> tuple[str, ...]:
        """The symbols that are waited for at this close."""
        return self._context.lacking(close_ms)

    def settle(self, close_ms: int) -> int:
        """Bring the columns up to date; the index behind this close in them, 0 if it is not known."""
        return self._context.settle(close_ms)

    def when_complete(self, close_ms: int, call: Callable[[], None]) -> None:
        """Call once nobody is lacking at this close; closes long past are forgotten."""
        oldest_ms = close_ms - PATIENCE * self._timeframe.ms
        self._waiting = {at_ms: calls for at_ms, calls in self._waiting.items() if at_ms >= oldest_ms}
        self._waiting.setdefault(close_ms, []).append(call)

    def _tell(self) -> None:
        complete = [close_ms for close_ms in self._waiting if self._context.complete(close_ms)]
        waiting = [call for close_ms in complete for call in self._waiting.pop(close_ms)]
        idle = not self._going
        self._going.extend(waiting)
        if waiting and idle:
            self._outside.activity.begin()
            self._let_go()

    def _let_go(self) -> None:
        try:
            for _ in range(min(LET_GO, len(self._going))):
                self._going.popleft()()
        finally:
            if self._going:
                asyncio.get_running_loop().call_soon(self._let_go)
            else:
                self._outside.activity.end()

    # Fetching

    async def until_begun(self) -> None:
        """Return when every symbol of the start has its history."""
        await self._begun.wait()

    async def run(self) -> None:
        """Load the histories, and fetch what is asked for, until cancelled."""
        for symbol in self._tracks.keys() - self._loaded:
            self._ask(symbol)
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    symbol, whole = await self._asked.get()
                    tasks.create_task(self._work(symbol, whole=whole), name=f"context:{symbol}")
        finally:
            while not self._asked.empty():
                self._asked.get_nowait()
                self._outside.activity.end()

    def _ask(self, symbol: str, *, whole: bool = True) -> None:
        """Have a symbol's history fetched, or only the minutes around its gap; once at a time."""
        if symbol not in self._jobs:
            self._jobs.add(symbol)
            self._outside.activity.begin()  # a simulated market waits for it
            self._asked.put_nowait((symbol, whole))

    async def _work(self, symbol: str, *, whole: bool) -> None:
        failed = False
        try:
            await (self._load(symbol) if whole else self._fill(symbol))
        except LivebotError as error:
            failed = True
            self._loaded.discard(symbol)
            _log.warning("context_not_loaded", symbol=symbol, why=str(error), what="it is lacking until it is")
        finally:
            self._jobs.discard(symbol)
            self._outside.activity.end()
        if failed:
            await asyncio.sleep(RETRY_S)
        track = self._tracks.get(symbol)
        if track is not None and (symbol not in self._loaded or track.gap is not None):
            self._ask(symbol, whole=symbol not in self._loaded)
        self._tell()

    async def _load(self, symbol: str) -> None:
        """Begin anew with a whole history.  Raises LivebotError (any but Transient)."""
        track = self._tracks.get(symbol)
        if track is None:
            return
        async with self._outside.turns.take():
            history = await track.load(self._fetch, self._context.history)
        if self._tracks.get(symbol) is not track:
            return  # it left meanwhile
        late = track.begin(history)
        self._context.begin(symbol, history.candles)
        for candle in late:
            self._context.update(symbol, candle)
        self._loaded.add(symbol)
        if self._context.begun:
            self._begun.set()
        self._note(track.take_aside())
        if track.gap_is_long:  # a candle from another time, or the history is far behind
            track.forget_gap()

    async def _fill(self, symbol: str) -> None:
        """Fill the gap of a symbol.  Raises LivebotError (any but Transient)."""
        track = self._tracks.get(symbol)
        if track is None or track.gap is None:
            return
        if track.gap_is_long:
            self._loaded.discard(symbol)
            return
        minutes = await self._outside.execution.answered(lambda: self._minutes(track), timeout_s=HISTORY_S)
        self._note(track.fill(minutes)[1])

    async def _minutes(self, track: CandleTrack) -> CandleSeries:
        count = track.around(self._outside.clock.now_ms())
        minutes = await self._outside.feed.history(track.symbol, Timeframe.M1, max(count, 2))
        if not track.shows_gap(minutes, count):
            raise Transient(f"the history of {track.symbol} does not show what is missing yet")
        return minutes

    async def _fetch(self, symbol: str, timeframe: Timeframe, count: int) -> CandleSeries:
        return await self._outside.execution.answered(
            lambda: self._outside.feed.history(symbol, timeframe, count), timeout_s=HISTORY_S
        )

    def _note(self, taken: Taken) -> None:
        for text in taken.refused:
            _log.info("context_candle_refused", why=text)

    def _track_of(self, symbol: str) -> CandleTrack:
        # two candles: nobody looks at them, features keep what they need
        return CandleTrack(symbol, self._timeframe, 2, lambda track, made: self._context.update(track.symbol, made))
