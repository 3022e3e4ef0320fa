"""`ports.CandleFeed` over a connection to a venue: closed candles of its stream, histories by REST.

Rules of this file: a candle goes to its listener in the moment it comes, strictly in order of its symbol's time and once;
what is in doubt is decided by REST; a symbol in trouble is told by a notice of its own and delays no other.  A candle
that has gone out does not go out again: if the venue later says something else, that is told, and whoever has taken it
loads the symbol's history anew.
"""

import asyncio
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
from livebot.errors import Transient
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
        self._listeners[symbol] = deliver

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
        settings, now_s = self._settings, asyncio.get_running_loop().time()
        self._symbols = {
            symbol: SymbolCandles(symbol, self._deliverer(symbol), settings.audit_candles, now_s)
            for symbol in self._listeners
        }
        watch = FeedWatch(self._venue, self._symbols, self._history, settings, self._notify)
        streams = CandleStreams(
            self._connection, self._dialect, settings, watch.hear, lost=self._lost, refused=watch.refuse
        )
        self._watch, self._streams = watch, streams
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(streams.run(tuple(self._symbols)), name="candle streams")
            tasks.create_task(watch.run(streams), name="candle watch")
            tasks.create_task(self._audit(), name="candle audit")

    def _deliverer(self, symbol: str) -> Callable[[Candle], None]:
        def deliver(candle: Candle) -> None:
            self._listeners[symbol](candle)  # whoever listens now

        return deliver

    def _now_ms(self) -> int:
        return self._clock.now_ms() if self._clock is not None else self._world.now_ms() + self._connection.skew_ms

    # Comparing with REST

    async def _audit(self) -> None:
        """Compare each symbol's last candles once in `audit_s`, spread over that time."""
        while True:
            for candles in self._symbols.values():
                await asyncio.sleep(self._settings.audit_s / len(self._symbols))
                if candles.sent:
                    await self._compare(candles)
            if not self._symbols:
                await asyncio.sleep(self._settings.audit_s)

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
