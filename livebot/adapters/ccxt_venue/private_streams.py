"""The account's private streams: held open by readers that are never cancelled while they stand, and watched for silence.

Rules of this file: a ping that is answered is no sign of life.  What the venue has proved to have happened (an order that
it accepted, a trade that it lists) and no stream tells of in time means that the stream is dead: its socket is thrown away.
After each (re)connection a comparison with the venue is asked for, once the new subscriptions are acknowledged and not
before, since nothing is told twice.  Whatever a reader is woken by, the next attempt has a socket of its own: ccxt leaves
one open on which a single request has failed, and never asks for that again.  A reader is cancelled only when everything
closes.
"""

import asyncio
import contextlib
import math
import random
from collections.abc import Callable
from typing import Any

import ccxt

from livebot.adapters.ccxt_venue.answers import client_id_of, rows_of
from livebot.adapters.ccxt_venue.connection import Connection
from livebot.adapters.ccxt_venue.exchange_settings import ExchangeSettings
from livebot.adapters.ccxt_venue.failures import VENUE_ERRORS, Cause, Failure, at_open, failure_of, mend_keys
from livebot.adapters.ccxt_venue.health import Health
from livebot.adapters.ccxt_venue.order_news import OrderNews
from livebot.adapters.ccxt_venue.stream_dialects import dialect_of
from livebot.adapters.ccxt_venue.venue_calls import VenueCalls
from livebot.errors import Transient

_PART = "private stream"
_CHECKS = 4  # looks at what is overdue in each `silence_s`


class PrivateStreams:
    """`start` it once, `close` it before its connection.  `clock_off` is called when the venue refuses a signature's time."""

    def __init__(
        self,
        connection: Connection,
        calls: VenueCalls,
        news: OrderNews,
        health: Health,
        settings: ExchangeSettings,
        clock_off: Callable[[], None],
    ) -> None:
        self._client: Any = connection.orders
        self._venue = connection.exchange_id
        self._capabilities = connection.capabilities
        self._bans = connection.bans
        self._calls = calls
        self._news = news
        self._health = health
        self._settings = settings
        self._clock_off = clock_off
        self._dialect = dialect_of(connection.family, connection.market)
        self._standing: dict[str, Any] = {}  # stream -> the socket that has acknowledged it
        self._since_s: dict[str, float] = {}  # stream -> when its present attempt began, or it was acknowledged
        self._ready = asyncio.Event()
        self._failed: Failure | None = None
        self._missed: str | None = None  # a trade that was listed and not told at the last look
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the streams and wait until they stand.  Raises Fatal (the key is refused) or Transient."""
        self._dialect.install(self._client, self._news, self._acknowledged)
        self._tasks = [asyncio.create_task(self._read(each), name=each) for each in self._dialect.watches]
        waiting = asyncio.ensure_future(self._ready.wait())
        try:
            async with asyncio.timeout(self._settings.stream_ready_s):
                while not self._ready.is_set() and not (self._failed and self._failed.cause is Cause.KEYS):
                    await asyncio.wait((waiting,), timeout=self._settings.silence_s / _CHECKS)
        except TimeoutError:
            self._failed = self._failed or Failure(Cause.NO_ANSWER, "", "no answer in time")
        finally:
            waiting.cancel()
        if not self._ready.is_set() and self._failed is not None:
            raise at_open(self._failed, "its private stream could not be opened", self._venue)
        self._tasks.append(asyncio.create_task(self._watch(), name="private stream watch"))
        self._tasks.append(asyncio.create_task(self._probe(), name="private stream probe"))
        self._tasks.append(asyncio.create_task(self._keep_alive(), name="private stream key"))
        for task in self._tasks:
            self._health.watch_over(task, _PART)

    async def close(self) -> None:
        """Let go of the readers; the sockets are the connection's to close."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def reconnect(self, why: str) -> None:
        """Throw the sockets away: the readers then open new ones."""
        self._break(ccxt.NetworkError(why))

    def _break(self, error: Exception) -> None:
        for socket in [each for each in self._client.clients.values() if each.connection is not None]:
            for future in socket.futures.values():
                future.add_done_callback(_seen)  # ccxt makes some that nobody waits for
            socket.on_error(error)

    async def _read(self, method: str) -> None:
        """Hold one stream open for ever."""
        loop, stream, wait_s = asyncio.get_running_loop(), self._dialect.watches[method], self._settings.reconnect_s
        while True:
            self._since_s.setdefault(stream, loop.time())
            try:
                await getattr(self._client, method)()
                continue  # whatever woke us has been heard by the handler already
            except VENUE_ERRORS as error:
                stood = self._lost(stream, error)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                stood = self._lost(stream, ccxt.NetworkError("the connection broke"))  # ccxt cancels what it closes
            if stood:
                wait_s = self._settings.reconnect_s
            await asyncio.sleep(wait_s * random.uniform(1.0, 1.5))
            await self._bans.over()
            wait_s = min(wait_s * 2, self._settings.reconnect_maximum_s)

    def _lost(self, stream: str, error: Exception) -> bool:
        """Say that it is down, and throw its socket away; whether it had stood for a while."""
        since_s = self._since_s.pop(stream, math.inf)
        stood = self._standing.pop(stream, None) is not None
        self._dialect.renew(self._client)
        self._break(error)  # the other reader of that socket is to say the same
        self._failed = failure = self._dialect.failure(error)
        text = f"{self._venue}: the private stream is down: {failure.text}"
        if failure.cause is Cause.KEYS:
            text += f"; {mend_keys(failure.code)}"
        elif failure.cause is Cause.CLOCK:
            self._clock_off()
            text += "; the clocks are compared anew, if it stays set this machine's (timedatectl set-ntp true)"
        if self._ready.is_set():
            self._health.wrong(_PART, f"{text}; it is being opened again")
        return stood and asyncio.get_running_loop().time() - since_s >= self._settings.silence_s

    def _acknowledged(self, socket: Any, stream: str) -> None:  # noqa: ANN401 - ccxt's
        """A subscription stands; with the last of them, all that may have been missed is to be compared."""
        if socket not in self._client.clients.values():
            return  # it has been thrown away meanwhile
        self._standing[stream] = socket
        self._since_s[stream] = asyncio.get_running_loop().time()
        streams = self._dialect.watches.values()
        if len(self._standing) < len(streams) or any(self._standing[each] is not socket for each in streams):
            return
        self._news.forget_all()
        self._missed, self._failed = None, None
        if self._ready.is_set():
            self._health.right(_PART, reconcile=True)
        self._ready.set()

    def _hangs(self, now_s: float) -> bool:
        """Whether a stream should stand by now and does not: an answer never came, or its socket has gone unnoticed."""
        sockets, longest_s = self._client.clients.values(), self._settings.stream_ready_s
        return any(
            now_s - since_s > longest_s and self._standing.get(stream) not in sockets
            for stream, since_s in self._since_s.items()
        )

    async def _watch(self) -> None:
        """Look for orders that the venue accepted and no stream told of, and for streams that do not come to stand."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._settings.silence_s / _CHECKS)
            late = self._news.overdue(loop.time())
            if late is not None:
                self._news.forget(late)
                self._silent(f"it did not tell of the order {late}")
            elif self._hangs(loop.time()):
                self.reconnect("the stream does not stand")

    async def _keep_alive(self) -> None:
        """Renew now and then what the stream lives by; only what the venue refuses itself is a reason to open it anew."""
        wait_s = self._settings.listen_key_s
        while True:
            await asyncio.sleep(wait_s)
            await self._bans.over()
            wait_s = self._settings.listen_key_s
            if not self._standing:
                continue  # it will be opened with a new one
            try:
                await self._dialect.keep_alive(self._client)
            except VENUE_ERRORS as error:
                wait_s, failure = self._settings.reconnect_maximum_s, failure_of(error)
                if failure.definite and failure.cause is not Cause.TOO_FAST:
                    self._break(error)

    async def _probe(self) -> None:
        """Ask now and then for what should have been told, and see whether it was."""
        for each in await self._untold():
            self._forgive(each)  # of before our time
        while True:
            await asyncio.sleep(self._settings.silence_s if self._missed else self._settings.probe_s)
            untold = await self._untold()
            if self._missed is None or self._missed not in untold:
                self._missed = untold[0] if untold else None
                continue
            self._missed = None
            for each in untold:
                self._forgive(each)  # the comparison that follows finds it
            what = "trade" if self._dialect.newest_trades is not None else "end of the order"
            self._silent(f"it did not tell of the {what} {untold[0]}")

    async def _untold(self) -> list[str]:
        """What the venue proves to have happened and no stream told of: trades by id, or else ended orders by ours."""
        call, news = self._dialect.newest_trades, self._news
        with contextlib.suppress(Transient):
            if call is not None:
                rows = rows_of(await self._calls.ask("newest trades", call), "newest trades")
                return [found for row in rows if isinstance(found := row.get("id"), str) and not news.trades.get(found)]
            working = news.working.names()
            if working:
                rows = await self._calls.open_orders({symbol for each in working if (symbol := news.working.get(each))})
                open_ones = {client_id_of(row, self._capabilities) for row in rows}
                return [each for each in working if each not in open_ones and news.working.get(each)]
        return []

    def _forgive(self, name: str) -> None:
        if self._dialect.newest_trades is not None:
            self._news.trades.put(name, True)
        else:
            self._news.working.drop(name)

    def _silent(self, why: str) -> None:
        text = f"{self._venue}: the private stream is silent ({why}); it is being opened again"
        self._health.wrong(_PART, text, reconcile=True)
        self.reconnect("the stream is silent")


def _seen(future: asyncio.Future[Any]) -> None:
    """What it was rejected with is no news to anybody."""
    if not future.cancelled():
        future.exception()
