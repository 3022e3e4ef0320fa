"""The subscriptions of one venue's candle stream, kept up through everything that ends one.

Rules of this file: messages are taken where ccxt hands them to its cache (`handle_ohlcv` of this one client is replaced),
so that the closed flag stays, no wake-up is lost, no symbol starves and no cache grows; ccxt's futures then only tell
that a subscription has ended.  One task keeps the symbols of one request.  A request that the venue refuses is halved
until the symbol at fault is alone.  A bare CancelledError that is not ours is ccxt's way of saying that it was closed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import ccxt

from livebot.adapters.ccxt_venue.candle_rows import Dialect
from livebot.adapters.ccxt_venue.connection import Connection
from livebot.adapters.ccxt_venue.failures import VENUE_ERRORS, failure_of
from livebot.adapters.ccxt_venue.feed_settings import FeedSettings
from livebot.core.market import Candle
from livebot.errors import BadInput

Hear = Callable[[str, Candle, bool], None]  # symbol, candle, whether it is closed
Tell = Callable[[str | None], None]
TellOf = Callable[[str, str | None], None]
LONGEST_WHY = 200  # characters of the venue's words in a notice
_FRAME = "1m"


class CandleStreams:
    """All symbols of one feed.

    `lost` is told why the subscriptions ended, `refused` (by symbol) what the venue objects to; None when it has passed.
    """

    def __init__(
        self, connection: Connection, dialect: Dialect, settings: FeedSettings, hear: Hear, lost: Tell, refused: TellOf
    ) -> None:
        """Nothing is subscribed before `run`."""
        self._data: Any = connection.data
        self._venue = connection.exchange_id
        self._dialect = dialect
        self._settings = settings
        self._hear, self._lost, self._refused = hear, lost, refused
        self._symbols: dict[str, str] = {}  # by topic
        self._numbers = 0
        self._wanted: dict[str, int] = {}  # and as the how-manieth: who was dropped and comes back is another one
        self._tasks: asyncio.TaskGroup | None = None
        self._rejected: set[str] = set()
        self._down: str | None = None
        self.unreadable = self.foreign = 0  # messages
        self.last_unreadable = ""

    async def run(self, symbols: Sequence[str]) -> None:
        """Keep them, and those that are added, subscribed until cancelled."""
        self._data.handle_ohlcv = self._handle
        async with asyncio.TaskGroup() as self._tasks:
            self.add(symbols)
            await asyncio.get_running_loop().create_future()

    def add(self, symbols: Sequence[str]) -> None:
        """Subscribe these too."""
        assert self._tasks is not None
        numbers = {symbol: self._numbers + place for place, symbol in enumerate(symbols, 1)}
        self._numbers += len(symbols)
        self._wanted |= numbers
        self._tasks.create_task(self._keep_listed(self._tasks, numbers), name="candles:listed")

    async def drop(self, symbol: str) -> None:
        """Hear no more of a symbol, and say no more of it."""
        topics = {each: topic for topic, each in self._symbols.items() if each == symbol}
        self._wanted.pop(symbol, None)
        self._rejected.discard(symbol)
        for topic in topics.values():
            del self._symbols[topic]
        if topics:
            await self._unsubscribe((symbol,))

    def _still(self, numbers: Mapping[str, int]) -> list[str]:
        return [symbol for symbol, number in numbers.items() if self._wanted.get(symbol) == number]

    async def _keep_listed(self, tasks: asyncio.TaskGroup, numbers: Mapping[str, int]) -> None:
        """Subscribe those that the venue lists, and the others when it does."""
        waiting = self._still(numbers)
        while waiting:
            listed = [symbol for symbol in waiting if symbol in self._data.markets]
            waiting = [symbol for symbol in waiting if symbol not in self._data.markets]
            topics = {symbol: self._dialect.topic(self._data.markets[symbol]["id"]) for symbol in listed}
            self._symbols |= {topic: symbol for symbol, topic in topics.items()}
            for symbol in listed:
                self._tell_refused(symbol, None)
            for group in self._dialect.frames(topics):
                tasks.create_task(self._keep(tasks, group), name=f"candles:{group[0]}")
            for symbol in waiting:
                self._tell_refused(symbol, f"{self._venue} does not list it; take it out of the symbols")
            if waiting:
                await asyncio.sleep(self._settings.retry_s)
                waiting = self._still({symbol: numbers[symbol] for symbol in waiting})

    # Messages

    def _handle(self, _client: object, message: Mapping[str, Any]) -> None:
        """In place of ccxt's `handle_ohlcv`.  An exception here would end the reading of the socket."""
        try:
            heard = self._dialect.read(message)
        except BadInput as error:
            self.unreadable += 1
            self.last_unreadable = str(error)
            return
        for topic, candle, closed in heard:
            symbol = self._symbols.get(topic)
            if symbol is None:
                self.foreign += 1
                continue
            if symbol in self._rejected:
                self._tell_refused(symbol, None)
            if self._down is not None:
                self._tell_lost(None)
            self._hear(symbol, candle, closed)

    # Subscriptions

    async def _keep(self, tasks: asyncio.TaskGroup, group: Sequence[str]) -> None:
        """Hold one request's subscriptions; hands over to others if the venue wants it divided."""
        settings, loop = self._settings, asyncio.get_running_loop()
        wait_s, refusals = settings.reconnect_s, 0
        numbers = {symbol: self._wanted.get(symbol, 0) for symbol in group}
        while group := self._still(numbers):
            began_s = loop.time()
            error = await self._end_of(self._data.watch_ohlcv_for_symbols([[symbol, _FRAME] for symbol in group]))
            if isinstance(error, ccxt.UnsubscribeError):
                continue  # `renew` asked for it
            if loop.time() - began_s > settings.reconnect_maximum_s:
                wait_s, refusals = settings.reconnect_s, 0
            if not _is_refusal(error):
                self._tell_lost(failure_of(error).text if error is not None else "it was closed")
            else:
                refusals += 1
                self._forget(group)
                # Once may be the socket's own trouble, told to all (Binance); a wrong topic is refused again.
                if refusals > 1 and self._divided(tasks, group, str(error)[:LONGEST_WHY]):
                    return
            await asyncio.sleep(wait_s if refusals < 2 else settings.retry_s)  # noqa: PLR2004
            wait_s = min(wait_s * 2, settings.reconnect_maximum_s)

    def _divided(self, tasks: asyncio.TaskGroup, group: Sequence[str], why: str) -> bool:
        """Give a refused request to two others; False, and told, if it holds one symbol only."""
        if len(group) == 1:
            self._tell_refused(group[0], f"{self._venue} refuses its candle stream: {why}")
            return False
        half = len(group) // 2
        for part in (group[:half], group[half:]):
            tasks.create_task(self._keep(tasks, part), name=f"candles:{part[0]}")
        return True

    async def _end_of(self, call: Awaitable[object]) -> Exception | None:
        """What ccxt raised, None if it was closed."""
        try:
            await call
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
        except VENUE_ERRORS as error:
            return error
        return None

    async def renew(self, symbols: Iterable[str]) -> None:
        """Unsubscribe, at once or after the venue's silence; the tasks above then subscribe again.

        Subscribing twice would not do: Bybit refuses a whole request that holds one topic it has already.
        """
        topics = {symbol: topic for topic, symbol in self._symbols.items()}
        for group in self._dialect.frames({symbol: topics[symbol] for symbol in symbols if symbol in topics}):
            await self._unsubscribe(group)

    async def _unsubscribe(self, group: Sequence[str]) -> None:
        pairs = [[symbol, _FRAME] for symbol in group]
        try:
            async with asyncio.timeout(self._settings.answer_s):
                await self._end_of(self._data.un_watch_ohlcv_for_symbols(pairs))
        except TimeoutError:
            pass  # a frozen socket; whoever still wants the candles subscribes anew all the same
        self._forget(group)
        self._wake(group)

    def reconnect(self) -> None:
        """Give the socket up; the tasks above make a new one."""
        for client in self._clients(self._symbols.values()):
            client.on_error(ccxt.NetworkError("the candle stream was silent"))

    def _forget(self, group: Iterable[str]) -> None:
        """So that ccxt subscribes again, and unsubscribes again."""
        group = tuple(group)
        for client in self._clients(group):
            for symbol in group:
                client.subscriptions.pop(_hash(symbol), None)
                client.subscriptions.pop(f"unsubscribe::{_hash(symbol)}", None)

    def _wake(self, group: Iterable[str]) -> None:
        for client in tuple(self._data.clients.values()):
            for symbol in group:
                if _hash(symbol) in client.futures:
                    client.reject(ccxt.UnsubscribeError(symbol), _hash(symbol))

    def _clients(self, symbols: Iterable[str]) -> list[Any]:
        hashes = {_hash(symbol) for symbol in symbols}
        return [client for client in (self._data.clients or {}).values() if not hashes.isdisjoint(client.subscriptions)]

    # What is told

    def _tell_lost(self, text: str | None) -> None:
        self._down = text
        self._lost(text)

    def _tell_refused(self, symbol: str, text: str | None) -> None:
        if text is not None or symbol in self._rejected:
            (self._rejected.discard if text is None else self._rejected.add)(symbol)
            self._refused(symbol, text)


def _is_refusal(error: Exception | None) -> bool:
    return isinstance(error, ccxt.ExchangeError) and not isinstance(error, ccxt.ExchangeClosedByUser)


def _hash(symbol: str) -> str:
    return f"ohlcv::{symbol}::{_FRAME}"
