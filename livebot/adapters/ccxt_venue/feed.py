"""`ports.CandleFeed` over a connection to a venue: closed candles of its stream, histories by REST.

Rules of this file: a candle goes to its listener in the moment it comes, strictly in order of its symbol's time and once;
what is in doubt is decided by REST; a symbol in trouble is told by a notice of its own and delays no other.  A candle
that has gone out does not go out again: if the venue later says something else, that is told, and whoever has taken it
loads the symbol's history anew.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from livebot.adapters.ccxt_venue.candle_history import CandleHistory
from livebot.adapters.ccxt_venue.candle_rows import dialect_of
from livebot.adapters.ccxt_venue.candle_streams import CandleStreams
from livebot.adapters.ccxt_venue.connection import Connection
from livebot.adapters.ccxt_venue.feed_settings import FeedSettings
from livebot.adapters.ccxt_venue.feed_watch import FeedWatch
from livebot.adapters.ccxt_venue.symbol_candles import SymbolCandles
from livebot.adapters.clock import SystemClock
from livebot.core.market import Candle, Timeframe
from livebot.core.series import CandleSeries
from livebot.errors import LivebotError, Transient
from livebot.ports import Clock, VenueNotice

STREAM, AUDIT, HISTORY = "candle stream", "candle audit", "candle history"


class CcxtFeed:
    """One for each connection.  `run` once, after all listeners are in place; end it before the connection is closed."""

    def __init__(
        self, connection: Connection, settings: FeedSettings | None = None, *, clock: Clock | None = None
    ) -> None:
        """`clock` is the venue's time if that is not the world's (a local exchange that runs faster).

        Raises:
            BadInput: the venue's candle stream is not known.

        """
        self._connection = connection
        self._venue = connection.exchange_id
        self._dialect = dialect_of(connection.exchange_id, connection.market)
        self._settings = settings or FeedSettings()
        self._clock = clock
        self._world = SystemClock()
        self._history = CandleHistory(connection, self._settings, self._now_ms)
        self._listeners: dict[str, Callable[[Candle], None]] = {}
        self._deliver_notice: Callable[[VenueNotice], None] | None = None
        self._said: dict[str, str | None] = {}
        self._symbols: dict[str, SymbolCandles] = {}
        self._watch: FeedWatch | None = None
        self._streams: CandleStreams | None = None
        self._tasks: asyncio.TaskGroup | None = None  # while `run` runs
        self._fresh: list[str] = []  # not subscribed yet
        self.differing = 0

    async def history(self, symbol: str, timeframe: Timeframe, count: int) -> CandleSeries:
        """The last `count` closed candles as of now, oldest first; fewer only if the market is younger.

        Minutes that the venue does not have are left out.

        Raises:
            BadInput: the venue has no candles of this timeframe.
            Transient: the venue does not list the symbol, cannot be reached, has banned us, or its answer is not usable.

        """
        try:
            series = await self._history.last(symbol, timeframe, count)
        except Transient as error:
            self._say(HISTORY, str(error), symbol)
            raise
        self._say(HISTORY, None, symbol)
        return series

    def listen(self, symbol: str, deliver: Callable[[Candle], None]) -> None:
        """Deliver each closed base candle of a symbol from now on; replaces an earlier listener."""
        fresh = symbol not in self._listeners
        self._listeners[symbol] = deliver
        if fresh and self._tasks is not None:
            if not self._fresh:  # all that come in this turn of the loop go in one request
                asyncio.get_running_loop().call_soon(self._begin)
            self._fresh.append(symbol)

    def ignore(self, symbol: str) -> None:
        """Nobody wants candles of a symbol any more; what was said of it has passed."""
        self._listeners.pop(symbol, None)
        known = self._symbols.pop(symbol, None)
        for about in (AUDIT, HISTORY):
            self._say(about, None, symbol)
        if known is not None and self._tasks is not None:
            assert self._watch is not None
            assert self._streams is not None
            self._watch.drop(symbol)
            self._tasks.create_task(self._streams.drop(symbol), name=f"ignore:{symbol}")

    def listen_notices(self, deliver: Callable[[VenueNotice], None]) -> None:
        """Deliver what the feed says about itself; replaces an earlier listener."""
        self._deliver_notice = deliver

    @property
    def counts(self) -> Mapping[str, int]:
        """What has happened since `run`: candles fetched because they were lost, told twice, told twice and otherwise, ..."""
        watch, streams, symbols = self._watch, self._streams, self._symbols.values()
        return {
            "refetched": sum(each.refetched for each in symbols),
            "repeated": sum(each.repeated for each in symbols),
            "revised": sum(each.revised for each in symbols),
            "late": sum(each.late for each in symbols),
            "differing": self.differing,
            "unreadable": streams.unreadable if streams else 0,
            **(asdict(watch.counts) if watch else {}),
        }

    async def run(self) -> None:
        """Push candles until cancelled."""
        settings = self._settings
        self._symbols = {symbol: self._candles_of(symbol) for symbol in self._listeners}
        watch = FeedWatch(self._venue, self._symbols, self._history, settings, self._notify)
        streams = CandleStreams(
            self._connection, self._dialect, settings, watch.hear, lost=self._lost, refused=watch.refuse
        )
        self._watch, self._streams = watch, streams
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(streams.run(tuple(self._symbols)), name="candle streams")
            tasks.create_task(watch.run(streams), name="candle watch")
            tasks.create_task(self._audit(), name="candle audit")
            await asyncio.sleep(0)  # the streams run from here on
            self._tasks = tasks
            try:
                self._fresh = [symbol for symbol in self._listeners if symbol not in self._symbols]
                self._begin()
                await asyncio.get_running_loop().create_future()
            finally:  # a group that ends takes no more tasks
                self._tasks = None

    def _begin(self) -> None:
        """Subscribe those that somebody has begun to listen to."""
        fresh, self._fresh = [symbol for symbol in self._fresh if symbol in self._listeners], []
        if self._tasks is None or self._watch is None or self._streams is None or not fresh:
            return
        for symbol in fresh:
            self._symbols[symbol] = self._candles_of(symbol)
            self._watch.add(self._symbols[symbol])
        self._streams.add(fresh)

    def _candles_of(self, symbol: str) -> SymbolCandles:
        now_s = asyncio.get_running_loop().time()
        return SymbolCandles(symbol, self._deliverer(symbol), self._settings.audit_candles, now_s)

    def _deliverer(self, symbol: str) -> Callable[[Candle], None]:
        def deliver(candle: Candle) -> None:
            listener = self._listeners.get(symbol)  # whoever listens now
            if listener is not None:
                listener(candle)

        return deliver

    def _now_ms(self) -> int:
        return self._clock.now_ms() if self._clock is not None else self._world.now_ms() + self._connection.skew_ms

    # Comparing with REST

    async def _audit(self) -> None:
        """Compare each symbol's last candles once in `audit_s`, spread over that time."""
        while True:
            for candles in tuple(self._symbols.values()):
                await asyncio.sleep(self._settings.audit_s / max(len(self._symbols), 1))
                if candles.sent and self._symbols.get(candles.symbol) is candles:
                    await self._compare(candles)
            if not self._symbols:
                await asyncio.sleep(self._settings.audit_s)
            await self._keep_time()

    async def _keep_time(self) -> None:
        """Without orders (paper) nobody else compares the clocks; that a candle has closed is told by the venue's."""
        if self._connection.orders is None:
            with contextlib.suppress(LivebotError):  # it is tried again with the next audit
                await self._connection.measure_skew()

    async def _compare(self, candles: SymbolCandles) -> None:
        try:
            recent = await self._history.recent(candles.symbol, self._settings.audit_candles)
        except Transient:
            return  # the next round; whoever needs the answer sooner tells of it
        differing = candles.differing_from(recent)
        self.differing += len(differing)
        if not differing:
            self._say(AUDIT, None, candles.symbol)
            return
        sent, now = differing[-1]
        when = datetime.fromtimestamp(sent.ts_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
        self._say(
            AUDIT,
            f"{candles.symbol}: the candle of {when} UTC is another one at {self._venue} now: {_prices(now)}, delivered was "
            f"{_prices(sent)}; the history is loaded anew",
            candles.symbol,
            reload=True,
        )
        candles.correct(recent)

    # What is told

    def _lost(self, why: str | None) -> None:
        text = None if why is None else f"the candle stream of {self._venue} has ended: {why}; it is connected again"
        self._say(STREAM, text)

    def _say(self, about: str, text: str | None, symbol: str | None = None, *, reload: bool = False) -> None:
        """A notice replaces what its source said before, so every symbol is a source of its own."""
        source = about if symbol is None else f"{about} {symbol}"
        if self._said.get(source) != text:
            self._said[source] = text
            self._notify(VenueNotice(source=source, text=text, symbol=symbol, reload=reload))

    def _notify(self, notice: VenueNotice) -> None:
        if self._deliver_notice is not None:
            self._deliver_notice(notice)


def _prices(candle: Candle) -> str:
    return f"{candle.open:g}/{candle.high:g}/{candle.low:g}/{candle.close:g} volume {candle.volume:g}"
