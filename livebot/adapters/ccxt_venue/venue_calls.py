"""Every signed call goes out here: the one place where an exception of ccxt becomes a Failure.

Rules of this file: while the venue bans this address nothing is sent; what would open something and has waited too long
for its turn is not sent; what keys and clock have to do with a failure is told to `Health` here, so that no caller has to
remember it.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from livebot.adapters.ccxt_venue.answers import Row, info_of, rows_of
from livebot.adapters.ccxt_venue.connection import Connection
from livebot.adapters.ccxt_venue.exchange_settings import ExchangeSettings
from livebot.adapters.ccxt_venue.failures import VENUE_ERRORS, Cause, Failure, failure_of, mend_keys
from livebot.adapters.ccxt_venue.health import Health
from livebot.adapters.ccxt_venue.order_forms import Call
from livebot.adapters.ccxt_venue.urgency import Urgency, asking
from livebot.adapters.ccxt_venue.venue_traits import PERPETUAL, SPOT
from livebot.errors import Transient

_ORDERS_PER_PAGE = {"bybit": 50}  # elsewhere a list comes whole, and of that ccxt would give the last so many only
# Binance weighs a list of all open orders of contracts as those of 40 symbols, on spot as those of 13.  Half as many are asked
# for one by one: more would take longer than what that saves is worth.
_LISTED_ONE_BY_ONE: Mapping[tuple[str, str], int] = {("binance", PERPETUAL): 20, ("binance", SPOT): 6}
_LISTS_AT_ONCE = 10
_MAINTENANCE = "maintenance"
_WRITES = frozenset({"create_order", "edit_order", "cancel_order"})
_USUALLY = {
    "create_order": Urgency.PROTECTS,
    "edit_order": Urgency.PROTECTS,
    "cancel_order": Urgency.TAKES_BACK,
    "fetch_order": Urgency.ASKS,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call: a value, or a failure."""

    value: Any = None
    failure: Failure | None = None


class VenueCalls:
    """`clock_off` is called when the venue refuses a timestamp."""

    def __init__(
        self, connection: Connection, health: Health, settings: ExchangeSettings, clock_off: Callable[[], None]
    ) -> None:
        self._connection = connection
        self._health = health
        self._settings = settings
        self._clock_off = clock_off
        self._closed_s: float | None = None  # when the venue last said that it is closed for maintenance

    async def attempt(self, call: Call, urgency: Urgency | None = None) -> Answer:
        """One call; never raises for the venue's or the network's sake.  `urgency` None: what such a call usually is."""
        urgency = _USUALLY.get(call.method, Urgency.LISTS) if urgency is None else urgency
        with asking(urgency):  # no longer than that: the same task may ask for candles next
            return await self._attempt(call, urgency)

    async def _attempt(self, call: Call, urgency: Urgency) -> Answer:
        if call.method in _WRITES and not await self._has_turn(urgency):
            text = f"more orders wait than the venue takes within {self._settings.turn_s:g} s"
            return Answer(failure=Failure(Cause.NOT_SENT, "pace", text))
        left_s = self._connection.bans.left_s
        if left_s:
            text = f"it has banned this address for {left_s:.0f} s more, nothing is sent before"
            return Answer(failure=Failure(Cause.BANNED, "banned", text))
        client = self._connection.orders
        if client is None:
            return Answer(failure=Failure(Cause.NO_ANSWER, "", "the connection is closed"))
        try:
            value = await getattr(client, call.method)(*call.arguments, params=dict(call.params))
        except VENUE_ERRORS as error:
            failure = failure_of(error)
            self._note(failure, call)
            return Answer(failure=failure)
        self._health.right(_keys(call))
        self._answered()
        return Answer(value)

    async def outlasts_ban(self, longest_s: float) -> bool:
        """Wait until this address may be used again; False, at once, if that takes longer."""
        left_s = self._connection.bans.left_s
        if left_s > longest_s:
            return False
        await asyncio.sleep(left_s)
        return True

    async def _has_turn(self, urgency: Urgency) -> bool:
        """Whether it is its turn; an entry that waits long is one at a price of the past."""
        try:
            async with asyncio.timeout(self._settings.turn_s if urgency is Urgency.OPENS else None):
                await self._connection.pace.turn(urgency)
        except TimeoutError:
            return False
        return True

    async def ask(self, what: str, call: Call) -> Any:  # noqa: ANN401 - what ccxt gives
        """A question's answer.  Raises Transient with `what` in the text."""
        answer = await self.attempt(call)
        if answer.failure is not None:
            raise self.unanswered(what, answer.failure)
        return answer.value

    async def ask_rows(self, what: str, call: Call) -> list[Row]:
        """All rows of a list, page by page.  Raises Transient, also when it has more pages than allowed."""
        rows: list[Row] = []
        cursor, params = "", call.params
        for _ in range(self._settings.pages):
            page = rows_of(await self.ask(what, Call(call.method, call.arguments, params)), what)
            rows += page
            following = next((str(cut) for row in page if (cut := info_of(row).get("nextPageCursor"))), "")
            if not following or following == cursor:
                return rows
            cursor, params = following, call.params | {"cursor": following}
        raise Transient(f"{self._health.venue}: {what}: more than {self._settings.pages} pages; cancel orders by hand")

    async def open_orders(self, symbols: Collection[str] | None = None) -> list[Row]:
        """Every open order of the account in this market and settlement, conditional ones too.  Raises Transient.

        If `symbols` are named, those of others may be left out: where that weighs less, each is asked about by itself.
        """
        if symbols is not None and self._one_by_one(symbols):
            turns = asyncio.Semaphore(_LISTS_AT_ONCE)
            lists = await asyncio.gather(*(self._orders_of(symbol, turns) for symbol in sorted(symbols)))
            if all(each is not None for each in lists):
                return [row for each in lists for row in each or ()]
        rows: list[Row] = []
        for params in self._kinds:
            per_page = _ORDERS_PER_PAGE.get(self._connection.family)
            call = Call("fetch_open_orders", (None, None, per_page), {**self._connection.settlement(), **params})
            rows += await self.ask_rows("open orders", call)
        return rows

    @property
    def _kinds(self) -> tuple[dict[str, Any], ...]:
        return ({}, {"trigger": True}) if self._connection.capabilities.conditionals_apart else ({},)

    def _one_by_one(self, symbols: Collection[str]) -> bool:
        connection = self._connection
        most, client = _LISTED_ONE_BY_ONE.get((connection.family, connection.market), 0), connection.orders
        return len(symbols) <= most and client is not None and all(symbol in client.markets for symbol in symbols)

    async def _orders_of(self, symbol: str, turns: asyncio.Semaphore) -> list[Row] | None:
        """Those of one symbol; None if the venue lists it no more, which is no other symbol's trouble.  Raises Transient."""
        rows: list[Row] = []
        what = f"open orders of {symbol}"
        for params in self._kinds:
            async with turns:
                answer = await self.attempt(Call("fetch_open_orders", (symbol,), params))
            if answer.failure is not None:
                if answer.failure.cause is Cause.REFUSED:
                    return None
                raise self.unanswered(what, answer.failure)
            rows += rows_of(answer.value, what)
        return rows

    def unanswered(self, what: str, failure: Failure) -> Transient:
        """The sentence about a question that has no answer now."""
        return Transient(f"{self._health.venue}: {what}: {failure.text}")

    def _note(self, failure: Failure, call: Call) -> None:
        if failure.cause is Cause.KEYS:
            text = f"{self._health.venue} refuses the key: {failure.text}; {mend_keys(failure.code)}"
            # What opens nothing sends no order by which it could be seen that the key is right again.
            until = "; nothing opens until an order goes through or the daemon is restarted" if _writes(call) else ""
            self._health.wrong(_keys(call), f"{text}; open positions keep their stops there{until}")
        elif failure.cause is Cause.CLOCK:
            self._clock_off()
        elif failure.cause is Cause.MAINTENANCE:
            self._closed_s = asyncio.get_running_loop().time()
            text = f"{self._health.venue} is closed for maintenance; the stops of open positions rest there"
            self._health.wrong(_MAINTENANCE, text, reduces=True)

    def _answered(self) -> None:
        """Some calls are answered during a maintenance too: only that it is spoken of no more shows that it is over."""
        since_s = self._closed_s
        if since_s is not None and asyncio.get_running_loop().time() - since_s >= self._settings.maintenance_s:
            self._closed_s = None
            self._health.right(_MAINTENANCE, reconcile=True)


def _keys(call: Call) -> str:
    """A key that may read but not trade fails in one and not in the other."""
    return "trading key" if _writes(call) else "reading key"


def _writes(call: Call) -> bool:
    return call.method in _WRITES
