"""`ports.Exchange` over a connection to a real venue.

Rules of this file: an order is accepted only when the parsed answer has an id, refused only when the venue says so with a
code of its own, and everything else is unknown and will be asked for.  An id that is there already is unknown too: it is
ours, from before.  What was refused for its rate or its timestamp only is sent again under the same id, a few times.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from livebot.adapters.ccxt_venue.account_checks import check_account, check_symbols
from livebot.adapters.ccxt_venue.amending import Amending
from livebot.adapters.ccxt_venue.answers import (
    Row,
    account_of,
    client_id_of,
    coins_of,
    info_of,
    order_of,
    position_of,
    was_triggered,
)
from livebot.adapters.ccxt_venue.attached_stops import AttachedStops
from livebot.adapters.ccxt_venue.connection import Connection
from livebot.adapters.ccxt_venue.exchange_settings import ExchangeSettings
from livebot.adapters.ccxt_venue.failures import VENUE_ERRORS, Cause
from livebot.adapters.ccxt_venue.health import Health
from livebot.adapters.ccxt_venue.instruments import instruments_of
from livebot.adapters.ccxt_venue.order_forms import Call, cancel_call, create_call
from livebot.adapters.ccxt_venue.order_lookup import OrderLookup
from livebot.adapters.ccxt_venue.order_news import OrderNews
from livebot.adapters.ccxt_venue.private_streams import PrivateStreams
from livebot.adapters.ccxt_venue.remembered import Remembered
from livebot.adapters.ccxt_venue.sending import Sending
from livebot.adapters.ccxt_venue.stop_sides import StopSides
from livebot.adapters.ccxt_venue.upkeep import Upkeep
from livebot.adapters.ccxt_venue.urgency import Urgency, asking
from livebot.adapters.ccxt_venue.venue_calls import VenueCalls
from livebot.adapters.ccxt_venue.venue_traits import PERPETUAL, SPOT, Repeated
from livebot.adapters.clock import SystemClock
from livebot.core.inputs import OrderAccepted, OrderEvent, OrderOutcome, OrderRejected
from livebot.core.market import Instrument
from livebot.core.order import Account, Fill, Leg, OrderRequest, VenueOrder, VenuePosition, leg_of
from livebot.core.risk import Approved
from livebot.errors import BadInput, Fatal, Rejected, Transient
from livebot.outside_ports import OutsideTrade
from livebot.ports import Clock, VenueNotice

_FEES_S = 600.0  # for so long what the account pays is not asked again
_LISTED_MS = 6 * 86_400_000  # both venues list the trades of seven days at once
_OPEN_ORDERS = "open orders"  # as a part of the connection's health
# It has to be told, and ccxt does not.
_FEES_OF: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("bybit", PERPETUAL): {"category": "linear"},
    ("bybit", SPOT): {"category": "spot", "type": "swap"},  # of a spot client ccxt would not ask at all
}


class CcxtExchange:
    """One account at one venue in one market, for these symbols.  Made by `open`."""

    def __init__(
        self, connection: Connection, clock: Clock, symbols: Sequence[str], settings: ExchangeSettings | None = None
    ) -> None:
        """Nothing is asked yet.  Raises BadInput if orders cannot be sent here, or the symbols settle differently."""
        capabilities = connection.capabilities
        if not capabilities.usable:
            raise BadInput(f"{capabilities.name}: {capabilities.why}")
        if connection.orders is None:
            text = "set LIVEBOT_API_KEY and LIVEBOT_API_SECRET, or use mode paper"
            raise BadInput(f"{capabilities.name}: orders need a key; {text}")
        self._connection = connection
        self._capabilities = capabilities
        connection.settle(symbols)
        self._clock = clock
        self._symbols = tuple(symbols)
        self._past_symbols: set[str] = set()  # let go of; their coins may still be there
        self._fees: Mapping[str, Any] | None = None
        self._fees_until_s = 0.0
        self._settings = settings or ExchangeSettings()
        self.health = Health(connection.exchange_id)
        self._upkeep = Upkeep(connection, self.health, SystemClock(), self._settings)
        self._calls = VenueCalls(connection, self.health, self._settings, self._upkeep.measure_soon)
        self._news = OrderNews(
            capabilities,
            clock,
            self.health,
            Remembered(self._settings.order_ids),
            Remembered(self._settings.trade_ids),
        )
        self._streams = PrivateStreams(
            connection, self._calls, self._news, self.health, self._settings, self._upkeep.measure_soon
        )
        self._attached = AttachedStops(capabilities, self._calls, self._settings)
        self._sending = Sending(capabilities, self._calls, clock, self._settings, self._upkeep)
        self._stop_sides = StopSides(capabilities, self._calls, clock)
        self._lookup = OrderLookup(capabilities, self._calls, self._news)
        self._amending = Amending(capabilities, self._calls, self._sending, self._news, self._lookup)

    @classmethod
    async def open(
        cls, connection: Connection, clock: Clock, symbols: Sequence[str], settings: ExchangeSettings | None = None
    ) -> Self:
        """Check symbols and account, and open the private streams.

        Raises BadInput (symbols), Fatal (key, account, position mode: with the mend) or Transient (not reached).  The
        connection stays the caller's to close if this raises.
        """
        self = cls(connection, clock, symbols, settings)
        with asking(Urgency.LISTS):
            await self.instruments(self._symbols)
            await check_account(connection, self._symbols)
            self._upkeep.start()
            try:
                await self._streams.start()
            except BaseException:
                await self._stop()
                raise
        return self

    async def include(self, symbol: str) -> None:
        """Trade this symbol too.

        Raises:
            BadInput: it settles in another currency than the others.
            Fatal: it is in hedge mode; the text has the mend.
            Transient: that could not be found out.

        """
        self._connection.settle((*self._symbols, symbol))
        await check_symbols(self._connection, (symbol,))
        self._symbols = tuple(dict.fromkeys((*self._symbols, symbol)))  # there may be others by now

    @property
    def name(self) -> str:
        """As configured."""
        return self._connection.exchange_id

    @property
    def absence_window_ms(self) -> int:
        """The venue's receive window, and a margin for its queues and the way there."""
        return self._capabilities.receive_window_ms + self._capabilities.receive_margin_ms

    @property
    def refuses_repeated_ids(self) -> bool:
        """By the capability table."""
        return self._capabilities.client_id.repeated is not Repeated.UNPROVEN

    @property
    def positions_may_lag(self) -> bool:
        """No venue promises that it does not."""
        return True

    async def instruments(self, symbols: Sequence[str]) -> Mapping[str, Instrument]:
        """By symbol, with the account's own fees where the venue tells them.  Raises BadInput or Transient."""
        fees, client = await self._own_fees(), self._connection.orders
        found = instruments_of({} if client is None else client.markets, fees, symbols, self.name)
        self._news.instruments = {**self._news.instruments, **found}
        return found

    async def _own_fees(self) -> Mapping[str, Any]:
        """By symbol; none where the venue does not tell: then those that the market is listed with hold."""
        client, now_s = self._connection.orders, asyncio.get_running_loop().time()
        if self._fees is not None and now_s < self._fees_until_s:
            return self._fees
        if client is None or client.has.get("fetchTradingFees") is not True or self._connection.bans.left_s:
            return {}
        try:
            with asking(Urgency.LISTS):  # a start waits for it before it sees to any stop
                asked_with = _FEES_OF.get((self._connection.family, self._connection.market), {})
                fees = await client.fetch_trading_fees(asked_with)
        except VENUE_ERRORS:
            return {}
        if not isinstance(fees, dict):
            return {}
        self._fees, self._fees_until_s = {each: fee for each, fee in fees.items() if _tells(fee)}, now_s + _FEES_S
        return self._fees

    async def submit(self, approved: Approved) -> OrderOutcome:
        """Send an order."""
        request = approved.order
        stop = request.attached_stop if self._capabilities.attached_stop is not None else None
        try:
            call = create_call(request, self._capabilities, attached_stop=stop)
        except BadInput as error:
            return OrderRejected(
                client_order_id=request.client_order_id,
                code="unsupported",
                text=str(error),
                ts_ms=self._clock.now_ms(),
            )
        if (refused := await self._stop_sides.refuse(request)) is not None:
            return refused
        if stop is not None:
            self._attached.sent(request.symbol)
        return await self._told(request, self._sending.send(request, call))

    async def amend(self, approved: Approved) -> OrderOutcome:
        """Change a working order, or take it back and place it anew under its id where the venue has no other way."""
        refused = await self._stop_sides.refuse(approved.order)
        return refused or await self._told(approved.order, self._amending.amend(approved.order))

    async def cancel(self, symbol: str, client_order_id: str) -> None:
        """Take an order back.  Raises Rejected if the venue does not know it or says no, Transient if nobody answers."""
        if self._news.ended.get(client_order_id) is not None:
            raise Rejected(f"{self.name}: cancel of {client_order_id} ({symbol}): it has ended")
        answer = await self._calls.attempt(cancel_call(symbol, client_order_id, self._capabilities))
        failure = answer.failure
        if failure is None:
            return
        what = f"cancel of {client_order_id} ({symbol})"
        if failure.cause in (Cause.NOT_FOUND, Cause.REFUSED):
            raise Rejected(f"{self.name}: {what}: {failure.text}")
        raise self._calls.unanswered(what, failure)

    async def fetch_order(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        """The order as it is now, None if the venue does not know it.  Raises Transient."""
        return await self._lookup.find(symbol, client_order_id)

    async def fetch_fills(self, symbol: str, client_order_id: str) -> tuple[Fill, ...]:
        """All trades of an order, oldest first.  Raises Transient."""
        return await self._lookup.fills(symbol, client_order_id)

    async def fetch_outside_trades(self, symbol: str, since_ms: int) -> tuple[OutsideTrade, ...]:
        """Trades that no order of ours made, not older than venues list in one answer.  Raises Transient."""
        return await self._lookup.outside(symbol, max(since_ms, self._clock.now_ms() - _LISTED_MS))

    async def fetch_open_orders(self, symbols: Collection[str] | None = None) -> tuple[VenueOrder, ...]:
        """All of the account in this market and settlement, or those of `symbols` at least.

        Stops that came with an entry are `attached`; an order of somebody else that cannot be read stops entries on its symbol.
        Raises Transient.
        """
        found, named, unread = [], set(), {}
        for row in await self._calls.open_orders(symbols):
            if was_triggered(row):
                continue  # the plain order that came of it stands beside it, and says what it has filled
            ours = client_id_of(row, self._capabilities)
            try:
                found.append(order_of(row, self._capabilities))
            except Transient as error:
                if ours is not None and self._concerns_us(row):
                    raise
                unread[row.get("symbol")] = str(error)
            else:
                if ours is not None and leg_of(ours) is Leg.STOP:
                    named.add(found[-1].symbol)
        for symbol in self._symbols:
            if symbols is None or symbol in symbols:
                self._tell_unread(symbol, unread.get(symbol))
        for symbol in named & {order.symbol for order in found if order.attached}:
            self._attached.sweep(symbol)
        return tuple({order.venue_order_id: order for order in found}.values())

    async def fetch_positions(self) -> tuple[VenuePosition, ...]:
        """All that are not flat; on spot the coins of our symbols.  Raises Transient; Fatal if the account is in hedge mode."""
        if self._connection.market == SPOT:
            return await self._coins()
        params: dict[str, Any] = self._connection.settlement()
        if params:
            params["limit"] = 200
        rows = await self._calls.ask_rows("positions", Call("fetch_positions", (None,), params))
        found = []
        for row in rows:
            try:
                found.append(position_of(row, self.name))
            except (Transient, Fatal):  # one that cannot be read, or a hedge: elsewhere it is none of our business
                if self._concerns_us(row):
                    raise
        return tuple(position for position in found if position is not None)

    async def fetch_account(self) -> Account:
        """Wallet and equity in the settlement currency.  Raises Transient."""
        account = account_of(await self._balance(), self._connection.currency, self._connection.family)
        return replace(account, paid=self._connection.market == SPOT)

    async def _coins(self) -> tuple[VenuePosition, ...]:
        balance = await self._balance()
        found = []
        for symbol in sorted({*self._symbols, *self._news.symbols, *self._past_symbols}):
            try:
                found.append(coins_of(balance, symbol, symbol.partition("/")[0]))
            except Transient:
                if self._concerns_us({"symbol": symbol}) or not isinstance(balance, dict):
                    raise
        return tuple(position for position in found if position is not None)

    async def _balance(self) -> object:
        balance: object = await self._calls.ask("account balance", Call("fetch_balance", ()))
        return balance

    def listen(self, symbol: str, deliver: Callable[[OrderEvent], None]) -> None:
        """Deliver order events of a symbol from now on; replaces an earlier listener."""
        self._news.listen(symbol, deliver)

    def ignore(self, symbol: str) -> None:
        """Nobody trades a symbol any more: what is said of it has passed, and what cannot be read of it is nobody's."""
        self._news.ignore(symbol)
        self._symbols = tuple(each for each in self._symbols if each != symbol)
        self._past_symbols.add(symbol)
        self._tell_unread(symbol, None)

    def listen_notices(self, deliver: Callable[[VenueNotice], None]) -> None:
        """Deliver what stands and what is said from now on; replaces an earlier listener."""
        self.health.listen(deliver)

    async def close(self) -> None:
        """Tasks first, then the connection."""
        await self._stop()
        await self._connection.close()

    def _concerns_us(self, row: Row) -> bool:
        """Whether it is about a symbol that is traded, or still guarded, here."""
        symbol = row.get("symbol")
        return not isinstance(symbol, str) or symbol in self._symbols or self._news.listens(symbol)

    def _tell_unread(self, symbol: str, why: str | None) -> None:
        if why is None:
            self.health.right(_OPEN_ORDERS, symbol=symbol)
            return
        text = f"{self.name}: {why}; it is not ours and left alone, and {symbol} opens nothing: cancel it there"
        self.health.wrong(_OPEN_ORDERS, text, symbol=symbol)

    async def _stop(self) -> None:
        await self._attached.close()
        await self._streams.close()
        await self._upkeep.close()

    async def _told(self, request: OrderRequest, sent: Awaitable[OrderOutcome]) -> OrderOutcome:
        """The outcome, and what follows from it."""
        client_order_id = request.client_order_id
        self._news.expect(client_order_id)
        outcome: OrderOutcome | None = None
        try:
            outcome = await sent
        finally:  # also if whoever asked has given up
            if not isinstance(outcome, OrderAccepted):
                self._news.forget(client_order_id)
        if isinstance(outcome, OrderAccepted):
            until_s = asyncio.get_running_loop().time() + self._settings.silence_s
            self._news.accepted(request.symbol, client_order_id, outcome.venue_order_id, until_s)
            if request.leg is Leg.STOP:
                self._attached.named(request.symbol)
        return outcome


def _tells(fee: object) -> bool:
    """Whether it is the account's: Binance tells its tier, and of the first one ccxt's own table is out of date."""
    return not (isinstance(fee, dict) and info_of(fee).get("feeTier") == 0)
