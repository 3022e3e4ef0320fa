"""`data fetch`: what is missing is asked of the venue page by page and put into the store, many symbols at once.

Rules of this file: a candle that has not closed for a while is not asked for; what a page lacks is asked for again before
it counts as the venue's gap; pages overlap, and the later answer wins; what has come is stored from time to time, at the
end and whenever something goes wrong, so that the next run goes on from there.  All bounded.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from livebot.core.market import DAY_MS, Timeframe
from livebot.errors import LivebotError, Transient
from livebot.history import spans
from livebot.history.place import Place
from livebot.history.spans import Span
from livebot.history.store import CandleStore, Counts, PlaceWriter
from livebot.history.table import CandleTable, empty_table, merge

ROUNDS = 4  # in which two answers about the newest candles have to agree
SKIPPED_DAYS = 100  # looked at in one request: what every venue gives at once, whichever end it would cut


class CandleSource(Protocol):
    """One venue's candles by time."""

    @property
    def venue(self) -> str: ...

    @property
    def market(self) -> str: ...

    @property
    def pause_s(self) -> float:
        """For how long the venue does not want to be asked (0: it may be)."""
        ...

    def now_ms(self) -> int:
        """The venue's clock."""
        ...

    async def page(self, symbol: str, timeframe: Timeframe, first_ms: int, stop_ms: int) -> CandleTable:
        """The candles that open in [first_ms, stop_ms), at most a page of them; perhaps not all, perhaps one forming.

        Raises:
            BadInput: the venue does not list the symbol or has no such candles.
            Transient: it could not be reached, refused for a while, or its answer cannot be used.

        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchSettings:
    """`page` candles a request, of which `overlap` were in the one before; `settle_ms` after its end a candle counts as
    closed; a request is tried `attempts` times with a wait that doubles from `backoff_s` to `backoff_most_s`, and bans
    are waited for up to `ban_most_s` in all; candles go to disk every `store_candles` or `store_s`.
    """

    page: int = 1_000
    overlap: int = 2
    settle_ms: int = 5_000
    symbols_at_once: int = 6
    attempts: int = 6
    backoff_s: float = 1.0
    backoff_most_s: float = 30.0
    ban_most_s: float = 900.0
    store_candles: int = 200_000
    store_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one symbol is: milliseconds of history asked for and done, and candles that came."""

    symbol: str
    wanted_ms: int
    done_ms: int
    candles: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of one symbol.  `gaps`: spans that the venue has no candles of; `revised`: candles that it told
    otherwise when asked again; `problem`: why not all is there (what came before is stored).
    """

    symbol: str
    counts: Counts = field(default_factory=Counts)
    requests: int = 0
    revised: int = 0
    gaps: tuple[Span, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to fetch: candles that open in [since_ms, until_ms); `again`: also what is stored."""

    symbols: Sequence[str]
    timeframe: Timeframe
    since_ms: int
    until_ms: int
    again: bool = False


async def fetch(
    source: CandleSource,
    store: CandleStore,
    wanted: Wanted,
    tell: Callable[[Progress], None],
    settings: FetchSettings = FetchSettings(),
) -> tuple[Fetched, ...]:
    """Fetch all symbols; one that fails stops no other.  The results are in the order of the symbols."""
    turns = asyncio.Semaphore(settings.symbols_at_once)
    span_ms = max(min(wanted.until_ms, source.now_ms()) - wanted.since_ms, 0)
    for symbol in wanted.symbols:  # whose turn has not come yet counts as if nothing of it were stored
        tell(Progress(symbol, span_ms, 0, 0))

    async def one(symbol: str) -> Fetched:
        async with turns:
            return await _SymbolFetch(source, store, wanted, symbol, tell, settings).run()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(symbol), name=f"fetch {symbol}") for symbol in wanted.symbols]
    return tuple(task.result() for task in tasks)


@dataclass(slots=True)
class _Basket:
    """What has come and is not stored yet; the first `carried` candles are stored, and here to be compared with."""

    table: CandleTable = field(default_factory=empty_table)
    carried: int = 0
    spans: list[Span] = field(default_factory=list)


class _SymbolFetch:
    """One symbol."""

    def __init__(
        self,
        source: CandleSource,
        store: CandleStore,
        wanted: Wanted,
        symbol: str,
        tell: Callable[[Progress], None],
        settings: FetchSettings,
    ) -> None:
        self._source, self._store, self._wanted = source, store, wanted
        self._symbol, self._tell, self._settings = symbol, tell, settings
        self._step = wanted.timeframe.ms
        closed = wanted.timeframe.open_of(source.now_ms() - settings.settle_ms)
        stop = min(wanted.timeframe.open_of(wanted.until_ms), closed)
        self._whole: Span = (-(-wanted.since_ms // self._step) * self._step, stop)
        self._settled_ms = closed - settings.overlap * self._step
        self._proven_ms: int | None = None  # candles before it have closed, once that is known of the last ones
        self._basket = _Basket()
        self._banned_s = 0.0
        self._stored_s = 0.0
        self._progress = Progress(symbol, 0, 0, 0)
        self._result = Fetched(symbol)

    async def run(self) -> Fetched:
        """Fetch what is missing; a failure is in the result."""
        place = Place(self._source.venue, self._source.market, self._wanted.timeframe, self._symbol)
        try:
            with self._store.writing(place) as writer:
                try:
                    await self._fill(writer)
                except asyncio.CancelledError:
                    with suppress(LivebotError):  # whoever cancels hears of that, and the next run asks again
                        self._keep(writer)
                    raise
                except LivebotError:
                    self._keep(writer)
                    raise
                self._keep(writer)
                return replace(self._result, gaps=self._gaps(writer.table))
        except LivebotError as error:
            return replace(self._result, problem=str(error))

    def _gaps(self, table: CandleTable) -> tuple[Span, ...]:
        """What is missing from the first candle on that there is."""
        if not len(table):
            return ()
        begin, stop = max(self._whole[0], int(table.ts_ms[0])), min(self._whole[1], self._proven_ms or 0)
        return spans.missing(table.ts_ms, self._step, (begin, stop))

    async def _fill(self, writer: PlaceWriter) -> None:
        self._stored_s = asyncio.get_running_loop().time()
        needs = spans.without(self._whole, () if self._wanted.again else writer.known)
        self._progress = replace(self._progress, wanted_ms=spans.length(needs))
        self._tell(self._progress)
        for need in needs:
            cursor = need[0]
            while cursor < need[1]:
                self._keep_in_time(writer)
                reached = await self._page(need, cursor)
                self._basket.spans.append((cursor, reached))
                self._progress = replace(self._progress, done_ms=self._progress.done_ms + reached - cursor)
                self._tell(self._progress)
                cursor = reached
        self._proven_ms = await self._proven(needs, writer)

    async def _page(self, need: Span, cursor: int) -> int:
        """Take one page, and the candles before it again; returns up to where everything is known now."""
        begin = max(cursor - self._settings.overlap * self._step, self._whole[0])
        end = min(begin + self._settings.page * self._step, need[1])
        came = await self._ask(begin, end)
        for _ in range(self._settings.page):  # as long as that brings something: some venues give less at once
            holes = spans.missing(came.ts_ms, self._step, (cursor, end))
            if not holes:
                break
            more = merge(came, await self._ask(holes[0][0], holes[-1][1]))
            came = more.table
            if not more.added:
                break
        self._take(came)
        return end if len(came.between(cursor, end)) else await self._skip(end, need[1])

    async def _skip(self, begin: int, stop: int) -> int:
        """Where the first candle after an empty page may be: daily candles tell it for months at once."""
        frame = Timeframe.D1
        first = frame.open_of(begin)
        last = min(first + SKIPPED_DAYS * frame.ms, frame.open_of(stop))
        if self._wanted.timeframe is frame or last <= first:
            return begin
        days = await self._ask(first, last, frame)
        opened = int(days.ts_ms[0]) if len(days) else last
        # a day earlier: some venues leave a day out that was not a whole one
        return min(max(begin, opened - DAY_MS), stop)

    async def _proven(self, needs: Sequence[Span], writer: PlaceWriter) -> int:
        """Up to where candles have closed: two answers agree on the newest ones, and a later one has begun.

        A venue may tell a candle half formed for a moment after its end, and clocks may be wrong: without a later candle
        the newest one is not stored, and the time after it counts as not asked for.
        """
        stop = self._whole[1]
        if not needs or needs[-1][1] < stop:
            return stop
        begin = max(stop - self._settings.overlap * self._step, self._whole[0])
        for _ in range(ROUNDS):
            came = await self._ask(begin, stop + self._step)
            if not self._take(came.between(begin, stop)):
                break
        if not len(came.between(stop, stop + self._step)):
            later = await self._ask(stop, stop + self._settings.page * self._step)
            if not len(later):
                return self._seen_ms(writer)
        return stop

    def _seen_ms(self, writer: PlaceWriter) -> int:
        """The newest candle that came, or the end of what was stored before: all candles earlier than it have closed."""
        came, stored = self._basket.table.ts_ms, writer.table.ts_ms
        return max(int(came[-1]) if len(came) else 0, int(stored[-1]) + self._step if len(stored) else 0)

    def _take(self, came: CandleTable) -> int:
        """Into the basket; returns how many candles were there and differ: the venue has revised them."""
        merged = merge(self._basket.table, came)
        self._basket.table = merged.table
        self._result = replace(self._result, revised=self._result.revised + merged.replaced)
        self._progress = replace(self._progress, candles=self._progress.candles + merged.added)
        return merged.replaced

    def _keep_in_time(self, writer: PlaceWriter) -> None:
        full = len(self._basket.table) >= self._settings.store_candles
        if full or asyncio.get_running_loop().time() - self._stored_s >= self._settings.store_s:
            self._keep(writer)

    def _keep(self, writer: PlaceWriter) -> None:
        """To disk, as far as it has surely closed."""
        seen_ms = self._seen_ms(writer)
        proven_ms = min(seen_ms, self._settled_ms) if self._proven_ms is None else self._proven_ms
        carried = self._basket.carried
        table = self._basket.table.between(0, proven_ms)
        known = CandleTable(table.ts_ms[:carried], table.values[:, :carried])
        already = merge(writer.table, known).unchanged
        asked = tuple((begin, min(end, proven_ms)) for begin, end in self._basket.spans)
        counts = writer.merge(table, spans.joined(asked))
        counts = replace(counts, unchanged=counts.unchanged - already)
        self._result = replace(self._result, counts=self._result.counts + counts)
        tail = max(len(table) - self._settings.overlap, 0)
        rest = CandleTable(self._basket.table.ts_ms[tail:], self._basket.table.values[:, tail:])
        later = [(max(begin, proven_ms), end) for begin, end in self._basket.spans if end > proven_ms]
        self._basket = _Basket(rest, len(table) - tail, later)
        self._stored_s = asyncio.get_running_loop().time()

    async def _ask(self, first_ms: int, stop_ms: int, timeframe: Timeframe | None = None) -> CandleTable:
        """One request, tried again while that may help; only candles that were asked for.  Raises as the source does."""
        settings, wait_s, attempt = self._settings, self._settings.backoff_s, 0
        while True:
            try:
                self._result = replace(self._result, requests=self._result.requests + 1)
                table = await self._source.page(self._symbol, timeframe or self._wanted.timeframe, first_ms, stop_ms)
                inside = (table.ts_ms >= first_ms) & (table.ts_ms < stop_ms)
                return CandleTable(table.ts_ms[inside], np.ascontiguousarray(table.values[:, inside]))
            except Transient:
                pause_s = self._source.pause_s
                self._banned_s += pause_s
                attempt += not pause_s
                if attempt >= settings.attempts or self._banned_s > settings.ban_most_s:
                    raise
            await asyncio.sleep(max(wait_s, pause_s))
            wait_s = min(2 * wait_s, settings.backoff_most_s)
