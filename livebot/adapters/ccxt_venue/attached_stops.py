"""Stops that travelled with an entry, taken back once our own named stop protects the position.

Rules of this file: an attached stop goes only when the named ones cover all of the position; it is best effort, since two
stops that both only reduce do no harm but to fire at once; what is left is tried again with the next change or comparison.
"""

import asyncio
from decimal import Decimal

from livebot.adapters.ccxt_venue.answers import (
    ATTACHED_STOP,
    Row,
    client_id_of,
    guard_of,
    order_of,
    position_of,
    rows_of,
)
from livebot.adapters.ccxt_venue.capabilities import VenueCapabilities
from livebot.adapters.ccxt_venue.exchange_settings import ExchangeSettings
from livebot.adapters.ccxt_venue.order_forms import Call
from livebot.adapters.ccxt_venue.venue_calls import VenueCalls
from livebot.core.order import ZERO, Leg, leg_of
from livebot.errors import LivebotError


class AttachedStops:
    """One task for each symbol at most."""

    def __init__(self, capabilities: VenueCapabilities, calls: VenueCalls, settings: ExchangeSettings) -> None:
        self._capabilities = capabilities
        self._calls = calls
        self._settings = settings
        self._sweeps: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._sent: set[str] = set()

    def sent(self, symbol: str) -> None:
        """An entry with a stop of its own is on its way."""
        self._sent.add(symbol)

    def named(self, symbol: str) -> None:
        """A named stop of this symbol has been accepted or changed: attached ones may go, if there can be any."""
        if symbol in self._sent:
            self.sweep(symbol)

    def sweep(self, symbol: str) -> None:
        """There are attached stops beside named ones; those of an earlier life are seen at a comparison."""
        if symbol in self._sweeps:
            self._again.add(symbol)
            return
        task = asyncio.create_task(self._run(symbol), name=f"attached stops of {symbol}")
        self._sweeps[symbol] = task
        task.add_done_callback(lambda _: self._sweeps.pop(symbol, None))

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self._sweeps:
            await asyncio.wait(list(self._sweeps.values()))

    async def close(self) -> None:
        """Leave what is left to the next start."""
        tasks = list(self._sweeps.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, symbol: str) -> None:
        for _ in range(self._settings.sweep_attempts):
            self._again.discard(symbol)
            try:
                done = await self._take_back(symbol)
            except LivebotError:
                done = False
            if done and symbol not in self._again:
                self._sent.discard(symbol)
                return
            if not done:
                await asyncio.sleep(self._settings.sweep_wait_s)

    async def _take_back(self, symbol: str) -> bool:
        """Whether no attached stop is left, or none may go."""
        what = f"open orders of {symbol}"
        rows = await self._calls.ask_rows(what, Call("fetch_open_orders", (symbol, None, 50)))
        attached = [row for row in rows if guard_of(row) == ATTACHED_STOP]
        if not attached:
            return True
        if self._named(rows) < abs(await self._held(symbol)):
            return False
        for row in attached:
            await self._calls.ask(f"cancel of an attached stop of {symbol}", Call("cancel_order", (row["id"], symbol)))
        return True

    def _named(self, rows: list[Row]) -> Decimal:
        """What our own stops cover."""
        total = ZERO
        for row in rows:
            client_order_id = client_id_of(row, self._capabilities)
            if client_order_id is not None and leg_of(client_order_id) is Leg.STOP:
                order = order_of(row, self._capabilities)
                total += order.quantity - order.filled
        return total

    async def _held(self, symbol: str) -> Decimal:
        what = f"position of {symbol}"
        rows = rows_of(await self._calls.ask(what, Call("fetch_positions", ([symbol],))), what)
        found = [position_of(row, self._capabilities.exchange_id) for row in rows]
        return sum((each.quantity for each in found if each is not None and each.symbol == symbol), ZERO)
