"""Who has gone quiet, whose candle is missing, and what is done about it.

Rules of this file: silence is a question, not a verdict (see `candle_rows`): REST is asked, and only trades that the
stream has not told of make it frozen.  Then the symbol is subscribed anew, then the socket is made anew (at once, if all
symbols are silent), then the symbol is asked for by REST until its stream lives again; every step is told.  REST's
answer is delivered at each step, so candles come late but come.  At most one question about a symbol is under way.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from livebot.adapters.ccxt_venue.candle_history import PAGE, CandleHistory
from livebot.adapters.ccxt_venue.candle_streams import CandleStreams
from livebot.adapters.ccxt_venue.feed_settings import FeedSettings
from livebot.adapters.ccxt_venue.symbol_candles import SymbolCandles
from livebot.core.market import MINUTE_MS, Candle
from livebot.errors import Transient
from livebot.ports import VenueNotice

SOURCE = "candles"
VANGUARD = 3  # symbols that are asked about when all are silent: those that spoke last
LEAST_ROWS = 60  # rows cost little, and a venue that runs faster than life needs them
SLICE = 64  # symbols looked at before the loop may do something else


class Step(IntEnum):
    """How far a symbol's stream has been given up."""

    LIVE = 0
    RENEWED = 1
    RECONNECTED = 2
    POLLED = 3


@dataclass(slots=True)
class Care:
    """What is being done for a symbol; loop times in `_s`."""

    candles: SymbolCandles
    interval_s: float
    step: Step = Step.LIVE
    asking: bool = False
    not_before_s: float = 0.0  # the next question, which comes later each time that the last one brought nothing
    wait_s: float = 0.0
    retry_s: float = 0.0  # of the stream, when polled
    failed: str | None = None
    refused: str | None = None
    told: tuple[str | None, bool] = (None, False)


@dataclass(slots=True)
class Counts:
    """Since the start of the feed."""

    heard: int = 0
    asked: int = 0
    renewed: int = 0
    reconnected: int = 0
    let_go: int = 0


class FeedWatch:
    """Looks after all symbols of a feed."""

    def __init__(
        self,
        venue: str,
        symbols: Mapping[str, SymbolCandles],
        history: CandleHistory,
        settings: FeedSettings,
        notify: Callable[[VenueNotice], None],
    ) -> None:
        """Nothing is asked before `run`."""
        self._venue = venue
        self._history = history
        self._settings = settings
        self._notify = notify
        self._cares: dict[str, Care] = {}
        for candles in symbols.values():
            self.add(candles)
        self._heard_s = 0.0  # any symbol
        self._closed_ms, self._closed_s = -1, 0.0  # the newest that anybody has got, and when
        self._reconnected_s = -math.inf
        self.counts = Counts()

    def add(self, candles: SymbolCandles) -> None:
        """Look after this symbol too."""
        self._cares[candles.symbol] = Care(candles, self._settings.stale_s)

    def drop(self, symbol: str) -> None:
        """Look after a symbol no more; what was told of it has passed."""
        care = self._cares.pop(symbol, None)
        if care is not None and care.told[0] is not None:
            self._notify(VenueNotice(source=f"{SOURCE} {symbol}", text=None, symbol=symbol))

    def hear(self, symbol: str, candle: Candle, closed: bool) -> None:  # noqa: FBT001 - as the stream says it
        """Take a candle of the stream."""
        now_s = asyncio.get_running_loop().time()
        care = self._cares[symbol]
        self._heard_s = now_s
        self.counts.heard += 1
        if closed:
            self._see_close(candle.ts_ms, now_s)
        care.step, care.interval_s, care.wait_s = Step.LIVE, self._settings.stale_s, 0.0
        care.candles.hear(candle, closed, now_s)

    def _see_close(self, ts_ms: int, now_s: float) -> None:
        if ts_ms > self._closed_ms:
            self._closed_ms, self._closed_s = ts_ms, now_s

    def refuse(self, symbol: str, why: str | None) -> None:
        """The venue objects to the symbol (None: no longer)."""
        if symbol in self._cares:
            self._cares[symbol].refused = why

    async def run(self, streams: CandleStreams) -> None:
        """Until cancelled."""
        self._heard_s = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(self._settings.tick_s)
                silent = self._silent(asyncio.get_running_loop().time())
                renew: list[str] = []
                for index, (symbol, care) in enumerate(tuple(self._cares.items())):
                    if index % SLICE == SLICE - 1:
                        await asyncio.sleep(0)
                    now_s = asyncio.get_running_loop().time()
                    self._let_go(care, now_s)
                    if self._is_due(care, now_s, silent):
                        care.asking = True
                        tasks.create_task(self._ask(care, streams), name=f"ask:{symbol}")
                    if care.step is Step.POLLED and now_s >= care.retry_s:
                        care.retry_s = now_s + self._settings.retry_s
                        renew.append(symbol)
                    self._tell(care, now_s)
                if renew:
                    tasks.create_task(self._try_again(renew, streams), name="renew")

    # Questions

    def _silent(self, now_s: float) -> frozenset[str] | None:
        """If no symbol says anything: those to ask about; None if somebody speaks."""
        if now_s - self._heard_s < self._settings.stale_s:
            return None
        last = sorted(self._cares.values(), key=lambda care: care.candles.heard_s, reverse=True)
        return frozenset(care.candles.symbol for care in last[:VANGUARD])

    def _is_due(self, care: Care, now_s: float, silent: frozenset[str] | None) -> bool:
        candles, settings = care.candles, self._settings
        if care.asking or care.refused is not None or now_s < care.not_before_s:
            return False
        if candles.behind_s is not None and now_s - candles.behind_s >= settings.grace_s:
            return True
        if self._is_late(candles, now_s):
            return True
        if care.step is Step.POLLED:
            return now_s - candles.asked_s >= settings.poll_s
        quiet_s = now_s - max(candles.heard_s, candles.asked_s)
        if silent is not None:
            return quiet_s >= settings.stale_s and candles.symbol in silent
        return quiet_s >= care.interval_s

    def _is_late(self, candles: SymbolCandles, now_s: float) -> bool:
        """Whether others got the close of a minute and this symbol did not."""
        due_s = self._closed_s + self._settings.grace_s
        return candles.next_ms is not None and candles.next_ms <= self._closed_ms and now_s >= due_s

    async def _ask(self, care: Care, streams: CandleStreams) -> None:
        try:
            began_s = asyncio.get_running_loop().time()
            was_silent = began_s - care.candles.heard_s >= self._settings.stale_s
            news = await self._learn(care)
            if not was_silent:
                return
            if not news:
                care.interval_s = min(care.interval_s * 2, self._settings.quiet_s)
                return
            await asyncio.sleep(self._settings.grace_s)  # the stream may be a little behind
            if care.candles.heard_s < began_s:
                await self._escalate(care, streams)
        finally:
            care.asking = False

    async def _learn(self, care: Care) -> bool:
        """Ask REST and deliver what was missing; whether the stream owes us something."""
        candles, loop = care.candles, asyncio.get_running_loop()
        passed = int((loop.time() - candles.heard_s) // 60)
        others = (self._closed_ms - (candles.next_ms or self._closed_ms)) // MINUTE_MS
        count = min(max(candles.missing, others, passed) + LEAST_ROWS, PAGE - 1)
        self.counts.asked += 1
        try:
            recent = await self._history.recent(candles.symbol, count)
        except Transient as error:
            care.failed = str(error)
            self._wait_longer(care, self._settings.poll_s)
            return loop.time() - self._heard_s >= self._settings.stale_s  # neither of the two speaks
        care.failed, before_ms = None, candles.next_ms
        news = candles.learn(recent, loop.time())
        if candles.next_ms != before_ms:
            care.wait_s = 0.0
        self._see_close((candles.next_ms or 0) - MINUTE_MS, loop.time())
        self._wait_longer(care, self._settings.quiet_s)
        return news

    def _wait_longer(self, care: Care, most_s: float) -> None:
        care.wait_s = min(max(care.wait_s * 2, self._settings.grace_s), most_s)
        care.not_before_s = asyncio.get_running_loop().time() + care.wait_s

    def _let_go(self, care: Care, now_s: float) -> None:
        behind_s = care.candles.behind_s
        if behind_s is not None and now_s - behind_s >= self._settings.hold_s and care.candles.let_go(now_s):
            self.counts.let_go += 1

    # A frozen stream

    async def _escalate(self, care: Care, streams: CandleStreams) -> None:
        now_s = asyncio.get_running_loop().time()
        care.interval_s = self._settings.stale_s
        if care.step is Step.POLLED:
            return
        if now_s - self._heard_s >= self._settings.stale_s:
            self._reconnect(self._cares.values(), streams, now_s)
        elif care.step is Step.LIVE:
            care.step = Step.RENEWED
            self._tell(care, now_s)
            self.counts.renewed += 1
            await streams.renew([care.candles.symbol])
        elif care.step is Step.RENEWED:
            self._reconnect((care,), streams, now_s)
        else:
            self._poll(care, now_s)

    def _reconnect(self, cares: Iterable[Care], streams: CandleStreams, now_s: float) -> None:
        """Make the socket anew, unless that has just been done; those for whom it did not help are polled."""
        due = now_s - self._reconnected_s >= self._settings.stale_s
        for care in cares:
            if now_s - care.candles.heard_s < self._settings.stale_s:
                continue
            if care.step < Step.RECONNECTED:
                care.step = Step.RECONNECTED
            elif due and care.step is Step.RECONNECTED:
                self._poll(care, now_s)
            self._tell(care, now_s)
        if due:
            self._reconnected_s = now_s
            self.counts.reconnected += 1
            streams.reconnect()

    def _poll(self, care: Care, now_s: float) -> None:
        care.step, care.retry_s = Step.POLLED, now_s + self._settings.retry_s
        self._tell(care, now_s)

    async def _try_again(self, symbols: list[str], streams: CandleStreams) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._heard_s >= self._settings.stale_s:
            self._reconnect((), streams, now_s)
        else:
            self.counts.renewed += len(symbols)
            await streams.renew(symbols)

    # What is told

    def _tell(self, care: Care, now_s: float) -> None:
        if self._cares.get(care.candles.symbol) is not care:
            return  # dropped while it was asked about
        blocks = care.refused is not None or now_s - care.candles.sure_s > self._settings.fresh_s
        text = self._text(care, blocks=blocks)
        if (text, blocks) != care.told:
            care.told = (text, blocks)
            symbol = care.candles.symbol
            self._notify(VenueNotice(source=f"{SOURCE} {symbol}", text=text, symbol=symbol, blocks_entries=blocks))

    def _text(self, care: Care, *, blocks: bool) -> str | None:
        symbol, settings = care.candles.symbol, self._settings
        if care.refused is not None:
            return f"{symbol}: {care.refused}; no candles, it opens nothing"
        what = {
            Step.LIVE: "",
            Step.RENEWED: "it is subscribed anew",
            Step.RECONNECTED: "the connection is made anew",
            Step.POLLED: f"its candles are fetched by REST every {settings.poll_s:g} s until the stream lives again",
        }[care.step]
        parts = [f"the candle stream of {self._venue} is silent though the market trades: {what}"] if what else []
        if blocks:
            parts.append(f"for {settings.fresh_s:g} s its candles have not been known to be complete, it opens nothing")
            parts += [care.failed] if care.failed else []
        return f"{symbol}: {'; '.join(parts)}" if parts else None
