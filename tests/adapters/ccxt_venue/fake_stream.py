"""A venue's market data without a network, in virtual time: ccxt's methods that the feed uses, and what can go wrong."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import ccxt

from livebot.adapters.ccxt_venue.feed import CcxtFeed
from livebot.adapters.ccxt_venue.feed_settings import FeedSettings
from livebot.core.market import MINUTE_MS, Candle
from livebot.ports import VenueNotice
from tests.virtual_loop import VirtualClock

START_MS = 1_700_000_040_000 - 1_700_000_040_000 % MINUTE_MS
A, B, C = "A/USDT:USDT", "B/USDT:USDT", "C/USDT:USDT"


def minute(ts_ms: int, *, volume: float = 6.0) -> Candle:
    """The whole candle of a minute; it tells its time by its prices."""
    price = 100.0 + (ts_ms - START_MS) // MINUTE_MS % 1_000
    return Candle(ts_ms, price, price + 2, price - 1, price + 1, volume)


def row_of(candle: Candle) -> list[str]:
    """As ccxt gives it with `number: str`."""
    return [
        candle.ts_ms,
        *(str(value) for value in (candle.open, candle.high, candle.low, candle.close, candle.volume)),
    ]


def pushed(symbol: str, candle: Candle, closed: bool) -> dict[str, Any]:
    """As Bybit writes it."""
    names = ("open", "high", "low", "close", "volume")
    row = {"start": candle.ts_ms, "confirm": closed} | {name: str(getattr(candle, name)) for name in names}
    return {"topic": f"kline.1.{symbol.partition('/')[0]}USDT", "data": [row], "type": "snapshot"}


@dataclass
class Client:
    """A socket, as far as the feed looks at it."""

    data: "FakeData"
    subscriptions: dict[str, Any] = field(default_factory=dict)
    futures: dict[str, asyncio.Future[Any]] = field(default_factory=dict)

    def reject(self, error: BaseException, name: str) -> None:
        future = self.futures.pop(name)
        if not future.done():
            future.set_exception(error)
            future.exception()

    def on_error(self, error: BaseException) -> None:
        self.data.clients.clear()
        for name in list(self.futures):
            self.reject(error, name)


class FakeData:
    """The `data` of a connection."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self.timeframes = {"1m": "1", "5m": "5"}
        self.markets = {symbol: {"id": f"{symbol.partition('/')[0]}USDT"} for symbol in symbols}
        self.clients: dict[str, Client] = {}
        self.handle_ohlcv: Callable[[Any, Any], None] = lambda client, message: None
        self.requests: list[tuple[str, ...]] = []  # subscriptions sent
        self.unsubscribed: list[tuple[str, ...]] = []
        self.asked: list[str] = []
        self.refused: set[str] = set()
        self.dial_error: BaseException | None = None
        self.rest_error: BaseException | None = None
        self.answers_unsubscribe = True
        self.rows: Callable[[str, str, int | None, int], list[Any]] = lambda *_: []
        self.rest_s = 0.05
        self.rest_now = self.rest_most = 0

    def calculate_rate_limiter_cost(self, api: str, method: str, path: str, *rest: Any) -> float:
        return 5.0

    async def watch_ohlcv_for_symbols(self, pairs: list[list[str]]) -> None:
        if self.dial_error is not None:
            raise self.dial_error
        client = self.clients.setdefault("wss", Client(self))
        names = [f"ohlcv::{symbol}::1m" for symbol, _ in pairs]
        missing = tuple(symbol for symbol, _ in pairs if f"ohlcv::{symbol}::1m" not in client.subscriptions)
        loop = asyncio.get_running_loop()
        futures = [client.futures.setdefault(name, loop.create_future()) for name in names]
        client.subscriptions |= dict.fromkeys(names, True)
        if missing:
            self.requests.append(missing)
            if self.refused.intersection(missing):
                for name in names:
                    del client.subscriptions[name]
                    client.reject(ccxt.ExchangeError("bybit Invalid topic"), name)
        done, _ = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        next(iter(done)).result()

    async def un_watch_ohlcv_for_symbols(self, pairs: list[list[str]]) -> None:
        self.unsubscribed.append(tuple(symbol for symbol, _ in pairs))
        if not self.answers_unsubscribe:
            await asyncio.get_running_loop().create_future()
        for symbol, _ in pairs:
            for client in self.clients.values():
                client.subscriptions.pop(f"ohlcv::{symbol}::1m", None)

    async def fetch_ohlcv(self, symbol: str, timeframe: str, since: int | None, limit: int) -> list[Any]:
        self.asked.append(symbol)
        self.rest_now += 1
        self.rest_most = max(self.rest_most, self.rest_now)
        try:
            await asyncio.sleep(self.rest_s)
            if self.rest_error is not None:
                raise self.rest_error
            return self.rows(symbol, timeframe, since, limit)
        finally:
            self.rest_now -= 1

    @property
    def subscribed(self) -> set[str]:
        """Symbols that a socket follows."""
        names = {name for client in self.clients.values() for name in client.subscriptions}
        return {name.split("::")[1] for name in names if name.startswith("ohlcv")}


class FakeMarket:
    """A venue that trades, with a feed on it.  `silent` symbols are not told about; `quiet` ones do not trade."""

    def __init__(self, symbols: Sequence[str], settings: FeedSettings | None = None, **more: Any) -> None:
        self.data = FakeData(symbols)
        self.clock = VirtualClock(START_MS)
        self.data.rows = self.rows
        self.symbols = tuple(symbols)
        self.silent: set[str] = set()
        self.quiet: set[str] = set()
        self.revised: dict[int, Candle] = {}
        self.every_s = 5.0  # between two messages of a symbol
        self.befall: Callable[[str, Candle, bool], Sequence[float]] = lambda *_: (0.0,)  # delays; none: lost
        connection: Any = SimpleNamespace(
            data=self.data,
            orders=object(),  # which keeps the time
            exchange_id="bybit",
            market="perpetual",
            skew_ms=0,
            bans=SimpleNamespace(left_s=0.0),
        )
        self.connection = connection
        self.feed = CcxtFeed(connection, settings or FeedSettings(), clock=self.clock, **more)
        self.got: dict[str, list[Candle]] = {symbol: [] for symbol in symbols}
        self.got_s: dict[str, list[float]] = {symbol: [] for symbol in symbols}
        self.notices: list[tuple[float, VenueNotice]] = []
        for symbol in symbols:
            self.feed.listen(symbol, self._taker(symbol))
        self.feed.listen_notices(lambda notice: self.notices.append((asyncio.get_running_loop().time(), notice)))

    def _taker(self, symbol: str) -> Callable[[Candle], None]:
        def take(candle: Candle) -> None:
            self.got[symbol].append(candle)
            self.got_s[symbol].append(asyncio.get_running_loop().time())

        return take

    def candle(self, symbol: str, ts_ms: int) -> Candle:
        """What a minute has come to by now."""
        if symbol in self.quiet:
            return Candle(ts_ms, 100.0, 100.0, 100.0, 100.0, 0.0)
        passed = min(self.clock.now_ms() - ts_ms, MINUTE_MS)
        return minute(ts_ms, volume=passed / 10_000)

    def rows(self, symbol: str, timeframe: str, since: int | None, limit: int) -> list[Any]:
        now = self.clock.now_ms()
        last = now - now % MINUTE_MS
        first = last - (limit - 1) * MINUTE_MS if since is None else since
        times = range(first, min(last, first + (limit - 1) * MINUTE_MS) + 1, MINUTE_MS)
        candles = [self.revised.get(ts_ms, self.candle(symbol, ts_ms)) for ts_ms in times]
        return [row_of(candle) for candle in candles]

    async def trade(self) -> None:
        """Tell of every symbol, again and again, as Bybit does."""
        loop, told = asyncio.get_running_loop(), self.clock.now_ms() // MINUTE_MS
        while True:
            now = self.clock.now_ms()
            opened = now - now % MINUTE_MS
            for symbol in self.symbols:
                if now // MINUTE_MS > told:
                    self.tell(symbol, self.candle(symbol, opened - MINUTE_MS), closed=True)
                if symbol not in self.quiet:
                    self.tell(symbol, self.candle(symbol, opened), closed=False)
            told = now // MINUTE_MS
            await asyncio.sleep(self.every_s - loop.time() % self.every_s)

    def tell(self, symbol: str, candle: Candle, *, closed: bool) -> None:
        """Push one message to whom it may concern."""
        if symbol in self.silent or symbol not in self.data.subscribed or (symbol in self.quiet and not closed):
            return
        for delay_s in self.befall(symbol, candle, closed):
            message = pushed(symbol, candle, closed)
            if delay_s:
                asyncio.get_running_loop().call_later(delay_s, self.data.handle_ohlcv, None, message)
            else:
                self.data.handle_ohlcv(None, message)

    def minutes(self, symbol: str) -> list[int]:
        """Which minutes since the start have been delivered."""
        return [(candle.ts_ms - START_MS) // MINUTE_MS for candle in self.got[symbol]]

    def texts(self, symbol: str | None = None, source: str = "candles") -> list[str | None]:
        """What was told of a symbol."""
        source = source if symbol is None else f"{source} {symbol}"
        return [each.text for _, each in self.notices if (each.symbol, each.source) == (symbol, source)]


async def stop(*tasks: asyncio.Task[Any]) -> None:
    """Cancel, and see that each ends by that."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        try:
            await task
        except asyncio.CancelledError:
            continue
        raise AssertionError(f"{task} ended by itself")


async def live(market: FakeMarket, seconds: float) -> None:
    """Let the feed run for a while."""
    running = asyncio.create_task(market.feed.run(), name="feed")
    trading = asyncio.create_task(market.trade(), name="market")
    await asyncio.sleep(seconds)
    assert not running.done(), running
    await stop(running, trading)
