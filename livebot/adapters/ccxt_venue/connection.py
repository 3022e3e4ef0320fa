"""One connection to a venue: two stock ccxt clients, one for orders and one for market data, that share their markets.

Rules of this file: an order never queues behind candles, so the two have their own throttle and their own sockets;
venue URLs are stock; whatever blocks the event loop for long (the index of the markets) is done in a thread; what is
wrong with keys, account or clock is said when the connection opens, in a sentence with the mend.
"""

import asyncio
import decimal
import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
import ccxt.pro

from livebot.adapters.ccxt_venue.bans import Bans
from livebot.adapters.ccxt_venue.capabilities import SPOT, Sandbox, VenueCapabilities, capabilities_of
from livebot.adapters.ccxt_venue.failures import VENUE_ERRORS, at_open, failure_of
from livebot.adapters.ccxt_venue.pacing import leave_orders_to_pace, pace_config, pace_of
from livebot.adapters.ccxt_venue.sound_answers import refuse_unsound
from livebot.adapters.ccxt_venue.transport import Loopback, open_session
from livebot.adapters.ccxt_venue.urgency import Urgency, asking
from livebot.adapters.ccxt_venue.waits import Waits, count_waits
from livebot.adapters.ccxt_venue.weights import Weights, count_weights, weights_of
from livebot.errors import BadInput, LivebotError, Transient

__all__ = ["Connection", "ConnectionSettings", "Keys", "Loopback"]

FAMILIES = {"bybit": "bybit", "binance": "binance", "binanceusdm": "binance"}  # ccxt's class -> whose ways it has
_TYPES = {"spot": ("spot", "spot"), "perpetual": ("swap", "linear")}  # market -> ccxt's type, and what it fetches
_GRACE_S = 1.0  # what a session may take to close


@dataclass(frozen=True, slots=True)
class Keys:
    """What signs requests; never shown."""

    api_key: str = field(repr=False)
    secret: str = field(repr=False)
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """How the clients behave.  `..._cache` bound what ccxt remembers (per symbol and timeframe for candles, else in all).

    `timeout_s` is for one request; `keep_alive_s` between pings (a socket that misses two is dropped); `skew_samples`
    clock readings are taken and the one with the shortest round trip counts; a ban whose end the venue does not tell
    is taken to last `ban_s`; where requests are weighed by the minute, `kept_for_protection` is the part of it that
    questions leave to what protects, and entries leave half of.
    """

    timeout_s: float = 10.0
    keep_alive_s: float = 10.0
    candles_cache: int = 4
    orders_cache: int = 64
    trades_cache: int = 64
    skew_samples: int = 3
    ban_s: float = 600.0
    kept_for_protection: float = 0.25


class Connection:
    """Made by `open`.  `data` and `orders` are ccxt.pro clients (`orders` None without keys).

    `skew_ms` is the venue's clock less ours, as last measured.  `family` names the venue whose ways this one has.
    """

    def __init__(self, exchange_id: str, market: str, capabilities: VenueCapabilities) -> None:
        self.exchange_id = exchange_id
        self.market = market
        self.capabilities = capabilities
        self.family = FAMILIES[capabilities.ccxt_class]
        self.skew_ms = 0
        self.currency = "USDT"
        self.bans = Bans()
        self.pace = pace_of(self.family, market)
        self.request_waits = Waits()
        self.weights: Weights | None = None
        self.data: Any = None
        self.orders: Any = None
        self.settings = ConnectionSettings()
        self._sessions: list[aiohttp.ClientSession] = []
        self._reloading = asyncio.Lock()
        self._index: Any = None  # the client that makes the index of the markets
        self._ccxt_class = getattr(ccxt.pro, capabilities.ccxt_class)

    @classmethod
    async def open(
        cls,
        exchange_id: str,
        market: str,
        keys: Keys | None,
        *,
        sandbox: bool = False,
        loopback: Loopback | None = None,
        settings: ConnectionSettings | None = None,
    ) -> Self:
        """Connect, measure the clock and load the markets of this market type.

        Raises BadInput (unknown venue, market or sandbox), Fatal (the venue refuses us) or Transient (not reached).
        """
        capabilities = capabilities_of(exchange_id, market)
        if not (capabilities.usable or capabilities.data):
            raise BadInput(f"{capabilities.name}: {capabilities.why}")
        self = cls(exchange_id, market, capabilities)
        self.settings = settings or self.settings
        self.weights = weights_of(self.family, market, self.settings.kept_for_protection, self._venue_s)
        try:
            self.data = self._client(None, sandbox, loopback)
            with asking(Urgency.LISTS):  # before it stands nothing can be protected
                await self.measure_skew()
                await self.reload_markets()
            if keys is not None:
                self.orders = self._client(keys, sandbox, loopback)
                self._share(self.data)
        except BaseException:
            await self.close()
            raise
        return self

    @property
    def clients(self) -> tuple[Any, ...]:
        """Both, or the one there is."""
        return tuple(client for client in (self.data, self.orders) if client is not None)

    def settle(self, symbols: Sequence[str]) -> None:
        """Say which symbols are traded: what they settle in is what the account is asked for.

        Raises BadInput if they settle in different currencies.
        """
        found = {self.orders.markets.get(symbol, {}).get("settle") or symbol.rpartition("/")[2] for symbol in symbols}
        found = {currency.rpartition(":")[2] for currency in found}
        if len(found) > 1:
            text = f"the symbols settle in {' and '.join(sorted(found))}; run one livebot for each"
            raise BadInput(f"{self.capabilities.name}: {text}")
        self.currency = next(iter(found), self.currency)

    def settlement(self) -> dict[str, Any]:
        """What a list of the account's contracts has to be asked with: Bybit lists them by what they settle in."""
        contracts = self.market != SPOT
        return {"settleCoin": self.currency} if contracts and self.family == "bybit" else {}

    async def measure_skew(self) -> int:
        """Compare clocks and let the clients sign by the venue's; returns `skew_ms`.  Raises Transient or Fatal."""
        self._check_open("its clock could not be read")
        client = self.data if self.orders is None else self.orders  # the one that is less busy
        best: tuple[int, int] | None = None  # round trip, skew
        for _ in range(self.settings.skew_samples):
            _SENT_MS.set(client.milliseconds())
            try:
                there = await client.fetch_time()
            except VENUE_ERRORS as error:
                raise self._not_open(error, "its clock could not be read") from None  # the cause holds the request
            before, after = _SENT_MS.get(), client.milliseconds()
            if not isinstance(there, int):
                continue
            sample = (after - before, there - (before + after) // 2)
            best = sample if best is None else min(best, sample)
        if best is None:
            raise self._not_open(None, "its clock could not be read")
        self.skew_ms = best[1]
        for client in self.clients:
            client.options["timeDifference"] = -self.skew_ms
        return self.skew_ms

    async def reload_markets(self) -> None:
        """Fetch the markets anew and put them into both clients at once.  Raises Transient or Fatal.

        The rows are parsed on the loop as they arrive (about 60 us each); the index over them, which takes seconds at
        thousands of symbols, is built by a client of its own in a thread, and then only references change hands.  It is
        the same client each time: it is full of cycles, and what it held of thousands of symbols would wait for the
        garbage collector.
        """
        async with self._reloading:
            self._check_open("its markets could not be loaded")
            try:
                rows = await self.data.fetch_markets()
            except VENUE_ERRORS as error:
                raise self._not_open(error, "its markets could not be loaded") from None
            if not rows:
                raise self._not_open(None, "it lists no markets")
            index, self._index = (
                self._index or self._ccxt_class(self._config(None)),
                None,
            )  # nobody else's if we are cancelled
            await asyncio.to_thread(index.set_markets, rows)
            self._share(index)
            self._index = index

    async def close(self) -> None:
        """Sockets first, then the sessions under them.  Whoever still waits on a stream has to be cancelled before."""
        clients, self.data, self.orders = self.clients, None, None
        for client in clients:
            client.timeout_on_exit = 0  # the sessions are ours; ccxt has nothing to wait for
            await client.close()
        sessions, self._sessions = self._sessions, []
        for session in sessions:
            await session.close()

    def _venue_s(self) -> float:
        return time.time() + self.skew_ms / 1000

    def _check_open(self, what: str) -> None:
        if self.data is None:
            raise Transient(f"{self.exchange_id}: {what}: the connection is closed")
        if left_s := self.bans.left_s:
            raise Transient(f"{self.exchange_id}: {what}: it has banned this address for {left_s:.0f} s more")

    def _not_open(self, error: Exception | None, what: str) -> LivebotError:
        return at_open(failure_of(error), what, self.exchange_id)

    def _share(self, source: Any) -> None:  # noqa: ANN401 - ccxt ships no types
        for client in self.clients:
            if client is not source:
                client.set_markets_from_exchange(source)

    def _client(self, keys: Keys | None, sandbox: bool, loopback: Loopback | None) -> Any:  # noqa: ANN401, FBT001
        session = open_session(loopback)
        self._sessions.append(session)
        client = self._ccxt_class(self._config(keys) | {"session": session})
        if sandbox:
            self._into_sandbox(client)
        client.options["timeDifference"] = -self.skew_ms
        _note_sending(client)
        client.decimal_to_precision = _apart(client.decimal_to_precision)
        self.bans.watch(client, self.settings.ban_s)
        refuse_unsound(client)
        if keys is not None:
            leave_orders_to_pace(client, self.family)
        if self.weights is not None:
            count_weights(client, self.weights)
        count_waits(client, self.request_waits)
        return client

    def _into_sandbox(self, client: Any) -> None:  # noqa: ANN401
        match self.capabilities.sandbox:
            case Sandbox.TESTNET:
                client.set_sandbox_mode(True)
            case Sandbox.DEMO:
                client.enable_demo_trading(True)
            case None:
                text = f"{self.capabilities.name} has no sandbox that can be reached; set exchange.sandbox to false"
                raise BadInput(text)

    def _config(self, keys: Keys | None) -> dict[str, Any]:
        settings, (kind, fetched) = self.settings, _TYPES[self.market]
        config: dict[str, Any] = {
            "enableRateLimit": True,
            "number": str,  # prices and quantities stay exact
            "timeout": round(settings.timeout_s * 1000),
            "aiohttp_trust_env": False,
            "has": {"fetchCurrencies": False},  # it costs a signed call and tells nothing that an order needs
            "streaming": {"keepAlive": round(settings.keep_alive_s * 1000)},
            "options": {
                "defaultType": kind,
                "fetchMarkets": {"types": [fetched]},
                "fetchMargins": False,
                # `measure_skew` does this, for both clients and whenever asked
                "adjustForTimeDifference": False,
                "recvWindow": self.capabilities.receive_window_ms,
                "OHLCVLimit": settings.candles_cache,
                "ordersLimit": settings.orders_cache,
                "tradesLimit": settings.trades_cache,
                **_OWN_OPTIONS[self.family],
            },
        }
        if keys is not None:
            config |= {"apiKey": keys.api_key, "secret": keys.secret, "password": keys.password}
        return config | pace_config(self.family, orders=keys is not None)


# When the present task's last request left: the time it waited for its turn before is no part of its way.
_SENT_MS: ContextVar[int] = ContextVar("sent_ms")


def _note_sending(client: Any) -> None:  # noqa: ANN401 - ccxt ships no types
    original = client.fetch

    async def fetch(*arguments: object, **more: object) -> object:
        _SENT_MS.set(client.milliseconds())
        return await original(*arguments, **more)

    client.fetch = fetch


def _apart(function: Callable[..., str]) -> Callable[..., str]:
    """It changes how this thread's decimals round; ours must round as they do everywhere else."""

    @functools.wraps(function)
    def rounded(*args: Any, **options: Any) -> str:  # noqa: ANN401 - ccxt's own
        with decimal.localcontext():
            return function(*args, **options)

    return rounded


# What ccxt would otherwise ask the venue for before the first signed call.  `account_checks` looks whether it is so.
_OWN_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "bybit": {"enableUnifiedMargin": False, "enableUnifiedAccount": True, "unifiedMarginStatus": 6},
    "binance": {
        "fetchOpenOrders": {"warnWithoutSymbol": False},  # all symbols in one call is what we want
        # It compares exact numbers, which are texts, with 0; nobody here listens to positions.
        "watchPositions": {"fetchPositionsSnapshot": False, "awaitPositionsSnapshot": False},
    },
}
logging.getLogger("ccxt").setLevel(logging.WARNING)  # its debug lines hold signed requests
