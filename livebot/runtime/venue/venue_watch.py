"""Looks at the whole account from time to time, and whenever events may have been missed: what it is worth, what is there
that is not ours, who disagrees.

Rules of this file: it changes no state; a symbol whose states differ from the venue is told to look into it itself; what
is nobody's is reported and stops entries on its symbol for as long as it is there, but where we have traded only once it has
been there for as long as the venue's list may be behind; however often a comparison is asked
for, they are `APART_S` apart; each ends with one line of log.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from logging import INFO

import structlog

from livebot.core.inputs import SymbolState
from livebot.core.order import ZERO
from livebot.core.signal import Idle
from livebot.errors import Fatal
from livebot.ports import Exchange
from livebot.runtime.inbox import Activity, Ask, Inbox
from livebot.runtime.portfolio.portfolio import Portfolio
from livebot.runtime.problems import Problems
from livebot.runtime.settings import ExecutionSettings
from livebot.runtime.venue.comparisons import Comparisons
from livebot.runtime.venue.execution import Execution
from livebot.runtime.venue.foreign import Foreign
from livebot.runtime.venue.observations import Observations
from livebot.runtime.venue.reconcile import (
    VenueSnapshot,
    expected_quantity,
    foreign_orders,
    missing_orders,
    missing_stops,
)
from livebot.runtime.venue.standing import Standing
from livebot.runtime.venue.wallet_watch import WalletWatch
from livebot.runtime.waiting import Bell, within

SOURCE = "reconcile"
ATTEMPTS = 5  # to see the account at a moment at which nothing is under way
APART_S = 2.0
QUIET_S = 0.2  # how long each of the first ones waits for such a moment

_log = structlog.get_logger(__name__)


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
        foreign: Foreign,
        comparisons: Comparisons,
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
        self._foreign = foreign
        self._comparisons = comparisons
        self._inboxes = inboxes
        self._states = states
        self._wallet = WalletWatch(problems, settings.wallet_tolerance)
        self._standing: dict[str, Standing] = {}  # what nobody runs and is not certain to be not ours, by symbol
        self._wanted: set[str | None] = set()  # symbols to be compared soon, None: all
        self._due = Bell()

    def want(self, symbol: str | None) -> None:
        """Compare soon: the account, and of the symbols those with a signal (or this one alone)."""
        self._wanted.add(symbol)
        self._due.ring()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if not await self._due.within(self._execution.lag_s if self._standing else self._settings.reconcile_s):
                if not await self._round("timer", frozenset()):
                    self._due.ring()  # an event may have been lost: that cannot wait for the next time
                    await asyncio.sleep(APART_S)
                continue
            # Who asks meanwhile is served by this one, who asks during it by the next one.
            wanted, self._wanted = frozenset(self._wanted), set()
            self._due.silence()
            if not await self._round("notice", wanted):
                self._wanted |= wanted
                self._due.ring()
            await asyncio.sleep(APART_S)

    async def _round(self, occasion: str, wanted: frozenset[str | None]) -> bool:
        """Compare everything once; says whether the venue let it happen."""
        facts, failure = self._facts, None
        try:
            async with asyncio.timeout(self._settings.order_timeout_s):
                snapshot = await self.compare(wanted)
            await self._comparisons.finished(self._settings.order_timeout_s)
            async with asyncio.timeout(self._settings.order_timeout_s):
                await self._see_account(snapshot if facts == self._facts else None)
        except TimeoutError:
            failure = "the venue does not answer: files and venue cannot be compared"
        except Fatal as error:
            self._execution.refused(error)
            self._problems.report(SOURCE, None)  # that is told already
            return False
        else:
            self.sum_up(occasion, snapshot)
        self._problems.report(SOURCE, failure)
        return failure is None

    def sum_up(self, occasion: str, snapshot: VenueSnapshot) -> None:
        """One line of log: what was checked, what was found, and what was changed since the line before."""
        self._observations.counts["comparisons"] += 1
        states, changes = tuple(self._states()), self._comparisons.take()
        if not _log.is_enabled_for(INFO):
            return
        _log.info(
            "compared_with_venue",
            occasion=occasion,
            symbols=len({state.symbol for state in states}),
            signals=sum(not isinstance(state.signal, Idle) for state in states),
            orders=len(snapshot.orders) + len(snapshot.unnamed),
            positions=len(snapshot.positions),
            foreign=self._foreign.symbols,
            dismissed=[each.symbol for each in self._portfolio.blocks.dismissed()],
            missing_stops=sorted({state.symbol for state in missing_stops(states, snapshot)}),
            wallet_surprises=self._wallet.told,
            changed_orders=changes.orders,
            changed_fills=changes.fills,
            closed_outside=changes.closed_outside,
        )

    @property
    def _facts(self) -> int:
        return self._observations.counts["facts"]

    # Orders and positions

    async def compare(self, wanted: frozenset[str | None] = frozenset()) -> VenueSnapshot:
        """One look at all orders and positions; of the `wanted` symbols (None: all) those with a signal look too."""
        self._comparisons.begin()
        for state in self._states():
            if not isinstance(state.signal, Idle) and not wanted.isdisjoint((None, state.symbol)):
                self._ask(state.symbol)
        before, looked_s = self._order_ids(), asyncio.get_running_loop().time()
        snapshot = await self._execution.look()
        # An order may have come or gone while we looked.
        self.report_foreign_orders(snapshot, before | self._order_ids())
        by_symbol = self._by_symbol()
        for symbol in sorted(by_symbol.keys() | snapshot.positions.keys() | set(self._foreign.symbols)):
            self._compare_symbol(symbol, by_symbol.get(symbol, []), snapshot, looked_s)
        return snapshot

    def report_nobodys(self, snapshot: VenueSnapshot) -> None:
        """Report the positions of the look at the start where nobody runs."""
        by_symbol, now_s = self._by_symbol(), asyncio.get_running_loop().time()
        for symbol in snapshot.positions.keys() - self._inboxes.keys():
            self._see_nobodys(symbol, by_symbol.get(symbol, []), snapshot, now_s)

    def _by_symbol(self) -> dict[str, list[SymbolState]]:
        by_symbol: dict[str, list[SymbolState]] = {}
        for state in self._states():
            by_symbol.setdefault(state.symbol, []).append(state)
        return by_symbol

    def _compare_symbol(self, symbol: str, states: list[SymbolState], snapshot: VenueSnapshot, looked_s: float) -> None:
        beyond = self._beyond(symbol, states, snapshot)
        if beyond == self._foreign.dismissed_quantity(symbol) and not missing_orders(states, snapshot):
            self._standing.pop(symbol, None)
            self._foreign.position(symbol, beyond)
        elif self._ask(symbol):
            self._standing.pop(symbol, None)
        else:
            self._see_nobodys(symbol, states, snapshot, looked_s)

    def _see_nobodys(self, symbol: str, states: list[SymbolState], snapshot: VenueSnapshot, looked_s: float) -> None:
        """Nobody runs it: what is there beyond ours is told, if the list cannot be behind a close of ours."""
        beyond, standing = self._beyond(symbol, states, snapshot), self._standing.pop(symbol, None) or Standing()
        if states and beyond != self._foreign.quantity(symbol):
            traded = sum(state.sequence for state in states)
            if standing.left_s((beyond, traded), looked_s, self._execution.lag_s):
                self._standing[symbol] = standing
                return
        quiet = not any(state.orders for state in states)
        self._foreign.position(symbol, beyond, nobody=True, certain=quiet)

    def _beyond(self, symbol: str, states: Sequence[SymbolState], snapshot: VenueSnapshot) -> Decimal:
        """What the venue holds beyond ours; coins that closed positions have left are shown only where somebody trades."""
        unseen = symbol not in self._inboxes and symbol not in snapshot.positions
        if unseen and all(isinstance(state.signal, Idle) for state in states):
            return ZERO
        return snapshot.quantity(symbol) - expected_quantity(states)

    def _ask(self, symbol: str) -> bool:
        """Have the symbol's worker look into it; False if there is none."""
        inbox = self._inboxes.get(symbol)
        if inbox is None or not inbox.is_open:
            return False
        self._comparisons.expect(symbol)
        inbox.put(Ask())
        return True

    def report_foreign_orders(self, snapshot: VenueSnapshot, known: frozenset[str] | None = None) -> None:
        """Report open orders that are not ours, and forget those that are gone."""
        self._foreign.orders(foreign_orders(self._system, snapshot, self._order_ids() if known is None else known))

    def _order_ids(self) -> frozenset[str]:
        return frozenset(record.request.client_order_id for state in self._states() for record in state.orders)

    # The account

    async def first_sight(self) -> None:
        """See what the account is worth; nothing opens before.  Returns when it has been seen."""
        for _ in range(ATTEMPTS):
            await within(QUIET_S, self._activity.idle)
            if await self._see_account(None):
                return
        account = await self._execution.insisted(self._exchange.fetch_account)
        self._portfolio.set_wallet(account.wallet, paid=account.paid)

    async def _see_account(self, snapshot: VenueSnapshot | None) -> bool:
        """Take the wallet over, if all that moved it has been heard of: no fact came and nothing waits meanwhile.

        With a snapshot of a moment since which no fact came, see whether our trades explain it.
        """
        facts = self._facts
        account = await self._execution.insisted(self._exchange.fetch_account)
        if not self._activity.quiet or facts != self._facts:
            return False
        if snapshot is not None:
            self._judge(account.wallet, snapshot)
        self._portfolio.set_wallet(account.wallet, paid=account.paid)
        return True

    def _judge(self, wallet: Decimal, snapshot: VenueSnapshot) -> None:
        by_symbol = self._by_symbol()
        for symbol in by_symbol.keys() | snapshot.positions.keys():
            if self._beyond(symbol, by_symbol.get(symbol, ()), snapshot) != self._foreign.dismissed_quantity(symbol):
                self._wallet.forget()
                return
        cost = sum((each.quantity * each.average_price for each in snapshot.positions.values()), ZERO)
        self._wallet.see(wallet, cost, self._portfolio.cash_moved)
