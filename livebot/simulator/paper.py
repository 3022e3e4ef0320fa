"""A paper venue: the candles of a real market, and orders that the matching engine fills against them.

Rules of this file: a minute is matched before anybody hears of its candles, so that no order trades in a minute that was
over when it was decided upon; a symbol whose candle comes after the others were matched is told of it and trades in
the next one; while the daemon was down the market went on, and the account is caught up with it before it starts.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from livebot.core.market import MINUTE_MS, Candle, Instrument, Timeframe
from livebot.core.series import CandleSeries
from livebot.errors import BadInput
from livebot.ports import CandleFeed, Clock, VenueNotice
from livebot.simulator.clock import VenueClock
from livebot.simulator.exchange import SimulatedExchange
from livebot.simulator.matching import FillModel
from livebot.simulator.memory import VenueMemory
from livebot.simulator.venue import SimulatedVenue, VenueSettings

CATCH_UP_DAYS = 14  # an account that was left alone for longer is begun anew, by hand
GRACE_S = 2.0  # how long the first symbols of a minute wait for the last: closed candles come up to 2 s late
_REMEMBERED = 5  # minutes of candles a symbol needs at a time
_MINUTES_A_DAY = 1_440


class PaperMarket:
    """`simulator.market.Market` of candles that are still to come; `identity` names the venue they come from."""

    def __init__(self, name: str, instruments: Mapping[str, Instrument], first_ms: int) -> None:
        """Nothing has a price yet.  `first_ms` is the minute at which a new account begins."""
        self._name = name
        self._instruments = dict(instruments)
        self._candles: dict[str, dict[int, Candle]] = {symbol: {} for symbol in instruments}
        self.first_ms = first_ms

    @property
    def symbols(self) -> tuple[str, ...]:
        """As given."""
        return tuple(self._instruments)

    @property
    def end_ms(self) -> int | None:
        """A real market has none."""
        return None

    def add(self, symbols: Sequence[str]) -> None:
        """Only what is configured can be had.

        Raises:
            BadInput: the account uses a symbol that the config no longer names.

        """
        lacking = sorted(set(symbols) - self._instruments.keys())
        if lacking:
            message = (
                f"the paper account still uses {', '.join(lacking)}, which the config does not name; name it until its "
                "position is closed, or remove the account's folder to begin anew"
            )
            raise BadInput(message)

    def include(self, symbol: str, instrument: Instrument) -> None:
        """A symbol whose candles will come from now on."""
        self._instruments[symbol] = instrument
        self._candles.setdefault(symbol, {})

    def identity(self, symbol: str) -> str:
        """The venue's candles."""
        return f"paper: {self._name} {symbol}"

    def instrument(self, symbol: str) -> Instrument:
        """As the venue describes it."""
        return self._instruments[symbol]

    def take(self, symbol: str, candle: Candle, unmatched_ms: int | None = None) -> None:
        """A candle has closed; the oldest ones are forgotten, but none from `unmatched_ms` on: they are traded through."""
        candles = self._candles[symbol]
        candles[candle.ts_ms] = candle
        while len(candles) > _REMEMBERED:
            oldest_ms = min(candles)
            if unmatched_ms is not None and oldest_ms >= unmatched_ms:
                return
            del candles[oldest_ms]

    def price(self, symbol: str, minute_ms: int) -> float:
        """The close before this minute.

        Raises:
            BadInput: no candle of the symbol has come yet.

        """
        candles = self._candles[symbol]
        before = max((ts_ms for ts_ms in candles if ts_ms < minute_ms), default=None)
        if before is None:
            message = f"{symbol} has no price yet: no candle of it has come"
            raise BadInput(message)
        return candles[before].close

    def candle(self, symbol: str, minute_ms: int) -> Candle | None:
        """None if it has not come."""
        return self._candles[symbol].get(minute_ms)

    def candles(self, symbol: str, first_ms: int, stop_ms: int) -> CandleSeries:
        """Nothing: a paper market's history is asked of the venue itself."""
        empty = np.empty(0)
        return CandleSeries(
            ts_ms=np.empty(0, dtype=np.int64), open=empty, high=empty, low=empty, close=empty, volume=empty
        )

    def latest_close(self, symbol: str, now_ms: int) -> int:
        """The end of the last whole minute."""
        return Timeframe.M1.open_of(now_ms)

    def begins_ms(self, symbol: str) -> None:
        """Nobody asks: the venue itself tells."""


class PaperClock(VenueClock):
    """The real time, for a venue that keeps none of its own."""

    def __init__(self, venue: SimulatedVenue, real: Clock) -> None:
        super().__init__(venue, speed=1.0)
        self._real = real

    def now_ms(self) -> int:
        """UTC milliseconds; never before what the account has seen already."""
        return max(self._real.now_ms(), self._venue.now_ms)


class PaperFeed:
    """`ports.CandleFeed` of the real market, whose minutes the paper account trades through first."""

    def __init__(self, inner: CandleFeed, market: PaperMarket, venue: SimulatedVenue, *, grace_s: float) -> None:
        """Nothing is heard before `run`."""
        self._inner = inner
        self._market = market
        self._venue = venue
        self._grace_s = grace_s
        self._listeners: dict[str, Callable[[Candle], None]] = {}
        self._expected = set(market.symbols)
        self._came: dict[int, set[str]] = {}  # by minute: whose candle is there
        self._news = asyncio.Event()

    async def history(self, symbol: str, timeframe: Timeframe, count: int) -> CandleSeries:
        """As the venue has it.  Raises Transient."""
        return await self._inner.history(symbol, timeframe, count)

    def listen(self, symbol: str, deliver: Callable[[Candle], None]) -> None:
        """Deliver each closed candle of a symbol from now on; replaces an earlier listener."""
        self._listeners[symbol] = deliver
        if symbol in self._market.symbols and symbol not in self._expected:
            self._expect(symbol)

    def ignore(self, symbol: str) -> None:
        """Nobody wants candles of a symbol any more, and no minute waits for it."""
        self._listeners.pop(symbol, None)
        self._expected.discard(symbol)
        self._inner.ignore(symbol)
        self._news.set()

    def listen_notices(self, deliver: Callable[[VenueNotice], None]) -> None:
        """What the connection says about itself."""
        self._inner.listen_notices(deliver)

    async def run(self) -> None:
        """Until cancelled."""
        for symbol in sorted(self._expected):
            self._expect(symbol)
        async with asyncio.TaskGroup() as tasks:
            matching = tasks.create_task(self._match(), name="paper-matching")
            await self._inner.run()
            matching.cancel()

    def _expect(self, symbol: str) -> None:
        self._expected.add(symbol)
        self._inner.listen(symbol, lambda candle: self._take(symbol, candle))

    def _take(self, symbol: str, candle: Candle) -> None:
        self._market.take(symbol, candle, self._venue.minute_ms)
        if candle.ts_ms < self._venue.minute_ms:  # the others were matched without it
            self._tell(symbol, candle)
            return
        self._came.setdefault(candle.ts_ms, set()).add(symbol)
        self._news.set()

    async def _match(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if not self._came:
                continue
            minute_ms = min(self._came)
            await self._all_of(minute_ms)
            del self._came[minute_ms]
            while self._venue.minute_ms <= minute_ms:
                for symbol, candle in self._venue.step().candles:
                    self._tell(symbol, candle)
                await asyncio.sleep(0)
            if self._came:
                self._news.set()

    async def _all_of(self, minute_ms: int) -> None:
        """Wait until all symbols have this minute's candle, or the grace is over."""
        try:
            async with asyncio.timeout(self._grace_s):
                while not self._expected <= self._came[minute_ms]:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass  # the minute is matched without those that are late

    def _tell(self, symbol: str, candle: Candle) -> None:
        deliver = self._listeners.get(symbol)
        if deliver is not None:
            deliver(candle)


class PaperVenue:
    """A paper account and its feed, ready to trade; `close` lets go of the account's folder."""

    def __init__(
        self,
        venue: SimulatedVenue,
        market: PaperMarket,
        feed: PaperFeed,
        clock: PaperClock,
        exchange: SimulatedExchange,
    ) -> None:
        self._venue = venue
        self._market = market
        self.feed = feed
        self.clock = clock
        self.exchange = exchange

    @classmethod
    async def open(  # noqa: PLR0913 - the composition root names them all
        cls,
        name: str,
        feed: CandleFeed,
        instruments: Mapping[str, Instrument],
        real: Clock,
        *,
        folder: Path,
        account: VenueSettings,
        latency_ms: float,
        grace_s: float = GRACE_S,
    ) -> "PaperVenue":
        """Take up the account, or begin one, and catch it up with the market.

        Raises:
            BadInput: the account was left alone for too long, or uses a symbol that is not configured.
            Fatal: its folder is damaged, or another process holds it.
            Transient: the venue does not give the candles.

        """
        memory = VenueMemory(folder)
        try:
            now_ms = Timeframe.M1.open_of(real.now_ms())
            kept = memory.load()
            last_ms = int(kept[0]["minute_ms"]) if kept is not None else now_ms
            market = PaperMarket(name, instruments, now_ms)
            past = await _past(feed, market, folder, (now_ms - last_ms) // MINUTE_MS)
            for symbol, candles in past.items():
                for candle in candles[:2] if kept is not None else candles[-1:]:
                    market.take(symbol, candle)
            venue = SimulatedVenue(market, _settings(account, now_ms), memory)
        except BaseException:
            memory.close()
            raise
        await _catch_up(venue, market, past, now_ms)
        clock = PaperClock(venue, real)
        exchange = SimulatedExchange(venue, clock, name=name, latency_ms=latency_ms)
        return cls(venue, market, PaperFeed(feed, market, venue, grace_s=grace_s), clock, exchange)

    async def include(self, symbol: str, instrument: Instrument) -> None:
        """Let a symbol be traded too.  Raises Transient: the venue does not give its last candle."""
        last = _rows(await self.feed.history(symbol, Timeframe.M1, 1))
        self._market.include(symbol, instrument)
        for candle in last:
            self._market.take(symbol, candle)
        self._venue.trade(symbol)

    async def close(self) -> None:
        """Let go of the account."""
        await self.exchange.close()
        self._venue.close()


def _settings(given: VenueSettings, now_ms: int) -> VenueSettings:
    # A snapshot after each change: what is only in a log would be carried out again against candles asked for anew.
    fills: FillModel = given.fills
    return VenueSettings(start_ms=now_ms, wallet=given.wallet, fills=fills, remember_ended=1_000, compact_every=1)


async def _past(feed: CandleFeed, market: PaperMarket, folder: Path, minutes: int) -> dict[str, tuple[Candle, ...]]:
    """The candles since the account last knew of any, and the one before, oldest first."""
    if minutes > CATCH_UP_DAYS * _MINUTES_A_DAY:
        message = (
            f"{folder}: the paper account was left alone for more than {CATCH_UP_DAYS} days and cannot be caught up with "
            "the market; remove the folder, and signals/, to begin anew"
        )
        raise BadInput(message)
    histories = await asyncio.gather(*(feed.history(symbol, Timeframe.M1, minutes + 1) for symbol in market.symbols))
    return {symbol: _rows(series) for symbol, series in zip(market.symbols, histories, strict=True)}


def _rows(series: CandleSeries) -> tuple[Candle, ...]:
    columns = (series.ts_ms, series.open, series.high, series.low, series.close, series.volume)
    return tuple(Candle(int(row[0]), *row[1:]) for row in zip(*(column.tolist() for column in columns), strict=True))


async def _catch_up(
    venue: SimulatedVenue, market: PaperMarket, past: Mapping[str, tuple[Candle, ...]], now_ms: int
) -> None:
    by_minute: dict[int, list[tuple[str, Candle]]] = {}
    for symbol, candles in past.items():
        for candle in candles:
            by_minute.setdefault(candle.ts_ms, []).append((symbol, candle))
    while venue.minute_ms < now_ms:
        for symbol, candle in by_minute.get(venue.minute_ms, ()):
            market.take(symbol, candle)
        venue.step()
        await asyncio.sleep(0)
