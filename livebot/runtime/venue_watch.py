"""Looks at the whole account from time to time: what it is worth, what is there that is not ours, who disagrees.

Rules of this file: it changes no state; a symbol whose states differ from the venue is told to look into it itself; what
is nobody's is reported and stops entries on its symbol for as long as it is there.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from livebot.core.inputs import SymbolState
from livebot.errors import LivebotError
from livebot.ports import Exchange
from livebot.runtime.execution import Execution
from livebot.runtime.inbox import Activity, Ask, Inbox
from livebot.runtime.observations import Observations
from livebot.runtime.portfolio import Portfolio
from livebot.runtime.problems import Problems
from livebot.runtime.reconcile import VenueSnapshot, expected_quantity, foreign_orders, missing_orders
from livebot.runtime.settings import ExecutionSettings

SOURCE = "reconcile"
ATTEMPTS = 5  # to see the account at a moment at which nothing is under way


class VenueWatch:
    """One for the whole system.  `states` are the last durable ones."""

    def __init__(  # noqa: PLR0913 - the system names them all
        self,
        system: str,
        *,
        exchange: Exchange,
        execution: Execution,
        settings: ExecutionSettings,
        activity: Activity,
        portfolio: Portfolio,
        problems: Problems,
        observations: Observations,
        inboxes: Mapping[str, Inbox],
        states: Callable[[], Iterable[SymbolState]],
    ) -> None:
        """Nothing is known of the venue."""
        self._system = system
        self._exchange = exchange
        self._execution = execution
        self._settings = settings
        self._activity = activity
        self._portfolio = portfolio
        self._problems = problems
        self._observations = observations
        self._inboxes = inboxes
        self._states = states
        self._foreign: set[str] = set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._settings.reconcile_s)
            try:
                async with asyncio.timeout(self._settings.order_timeout_s):
                    await self.compare()
                    await self._see_account()
            except TimeoutError:
                self._problems.report(SOURCE, "the venue does not answer: files and venue cannot be compared")
            except LivebotError as error:
                self._problems.report(SOURCE, f"files and venue cannot be compared: {error}")
            else:
                self._problems.report(SOURCE, None)

    # Orders and positions

    async def compare(self) -> None:
        """One look at all orders and positions."""
        before = self._order_ids()
        snapshot = await self._execution.look()
        # An order may have come or gone while we looked.
        self.report_foreign_orders(snapshot, before | self._order_ids())
        by_symbol: dict[str, list[SymbolState]] = {}
        for state in self._states():
            by_symbol.setdefault(state.symbol, []).append(state)
        for symbol in sorted(by_symbol.keys() | snapshot.positions.keys()):
            self._compare_symbol(symbol, by_symbol.get(symbol, []), snapshot)

    def _compare_symbol(self, symbol: str, states: list[SymbolState], snapshot: VenueSnapshot) -> None:
        beyond = snapshot.quantity(symbol) - expected_quantity(states)
        inbox = self._inboxes.get(symbol)
        if inbox is not None and inbox.is_open:
            if beyond or missing_orders(states, snapshot):
                inbox.put(Ask())
            else:
                self._observations.foreign_position(symbol, None)
            return
        text = f"{symbol}: the venue holds {beyond} more than our files say, and nobody runs the symbol"
        self._observations.foreign_position(symbol, text if beyond else None)

    def report_foreign_orders(self, snapshot: VenueSnapshot, known: frozenset[str] | None = None) -> None:
        """Report open orders that are not ours, and forget those that are gone."""
        sentences: dict[str, str] = {}
        for order, why in foreign_orders(self._system, snapshot, self._order_ids() if known is None else known):
            sentences[order.symbol] = (
                f"{order.symbol}: the venue has an open order {order.venue_order_id} "
                f"({order.side.value} {order.quantity}) and {why}; it is left alone and the symbol opens nothing"
            )
        for symbol in sorted(self._foreign | sentences.keys()):
            self._observations.foreign_orders(symbol, sentences.get(symbol))
        self._foreign = set(sentences)

    def _order_ids(self) -> frozenset[str]:
        return frozenset(record.request.client_order_id for state in self._states() for record in state.orders)

    # The account

    async def first_sight(self) -> None:
        """See what the account is worth; nothing opens before.  Returns when it has been seen."""
        for _ in range(ATTEMPTS):
            if await self._see_account():
                return
        account = await self._execution.answered(self._exchange.fetch_account)
        self._portfolio.set_wallet(account.wallet)

    async def _see_account(self) -> bool:
        """Take the wallet over, if all that moved it has been heard of: no fact came and nothing waits meanwhile."""
        facts = self._observations.counts["facts"]
        account = await self._execution.answered(self._exchange.fetch_account)
        if not self._activity.quiet or facts != self._observations.counts["facts"]:
            return False
        self._portfolio.set_wallet(account.wallet)
        return True
