"""Start-up is recovery: what the files, the ledger and the venue say, brought together before anything new is decided.

Rules of this file: a damaged file costs its own symbol only; what the outboxes hold reaches the ledger before the past is
counted; a (strategy, symbol) without a file goes on above the numbers its ledger rows used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from livebot.core.exposure import exposure_of
from livebot.core.facts import Exposure, Fact, SignalClosed
from livebot.core.inputs import SymbolState
from livebot.core.order import Account, VenueOrder
from livebot.core.rebuild import rebuild
from livebot.core.signal import Idle
from livebot.ports import Clock, DamagedFile, Exchange, Ledger, LedgerHistory, SignalStore
from livebot.runtime.execution import Execution
from livebot.runtime.reconcile import VenueSnapshot, foreign_orders, snapshot_of

Key = tuple[str, str]  # (strategy, symbol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What is known when recovery is done."""

    states: Mapping[Key, SymbolState]
    closes: Sequence[SignalClosed]
    account: Account
    snapshot: VenueSnapshot
    quarantined: Mapping[str, str]  # symbols whose file was damaged, and the sentence
    foreign: Mapping[str, str]  # symbols with orders that are not ours, and the sentence
    unattended: tuple[str, ...]  # sentences about states of symbols or strategies that the config no longer names

    @property
    def exposures(self) -> Mapping[Key, Exposure]:
        """What each state puts at stake."""
        return {key: exposure_of(state.signal, state.orders) for key, state in self.states.items()}

    @property
    def busy(self) -> frozenset[str]:
        """Symbols with a signal."""
        return frozenset(symbol for (_, symbol), state in self.states.items() if not isinstance(state.signal, Idle))


class Recovery:
    """Reads everything once."""

    def __init__(
        self,
        system: str,
        *,
        store: SignalStore,
        ledger: Ledger,
        history: LedgerHistory,
        exchange: Exchange,
        execution: Execution,
        clock: Clock,
    ) -> None:
        """Nothing is read yet."""
        self._system = system
        self._store = store
        self._ledger = ledger
        self._history = history
        self._exchange = exchange
        self._execution = execution
        self._clock = clock

    async def run(self, configured: frozenset[Key]) -> Recovered:
        """Recover.  Raises Fatal where nothing can run."""
        loaded = await self._store.load()
        states = {(state.strategy, state.symbol): state for state in loaded.states}
        unpublished: list[Fact] = [fact for state in loaded.states for fact in state.outbox]
        if unpublished:
            await self._execution.answered(lambda: self._ledger.record(unpublished, ()))
        numbers = await self._execution.answered(self._history.last_numbers)
        closes = await self._execution.answered(self._history.closes)
        account = await self._execution.answered(self._exchange.fetch_account)
        orders = await self._execution.answered(self._exchange.fetch_open_orders)
        positions = await self._execution.answered(self._exchange.fetch_positions)
        snapshot = snapshot_of(orders, positions)
        quarantined = await self._rebuild_damaged(loaded.damaged, states, numbers, snapshot)
        for key in configured:
            if key not in states:
                states[key] = self._fresh(key, numbers)
        return Recovered(
            states=states,
            closes=closes,
            account=account,
            snapshot=snapshot,
            quarantined=quarantined,
            foreign=self._foreign(states, snapshot),
            unattended=_unattended(states, configured),
        )

    def _fresh(self, key: Key, numbers: Mapping[Key, tuple[int, int]]) -> SymbolState:
        sequence, number = numbers.get(key, (0, 0))
        strategy, symbol = key
        return SymbolState(
            system=self._system, strategy=strategy, symbol=symbol, sequence=sequence, number=number, signal=Idle()
        )

    async def _rebuild_damaged(
        self,
        damaged: Sequence[DamagedFile],
        states: dict[Key, SymbolState],
        numbers: Mapping[Key, tuple[int, int]],
        snapshot: VenueSnapshot,
    ) -> Mapping[str, str]:
        quarantined: dict[str, str] = {}
        for file in damaged:
            if file.strategy is None or file.symbol is None:
                continue
            key = (file.strategy, file.symbol)
            ours: list[VenueOrder] = [order for order in snapshot.orders.values() if order.symbol == file.symbol]
            state = rebuild(
                self._fresh(key, numbers), ours, snapshot.positions.get(file.symbol), now_ms=self._clock.now_ms()
            )
            await self._store.save(state)
            states[key] = state
            found = "no position of ours" if isinstance(state.signal, Idle) else "an open position, now guarded"
            quarantined[file.symbol] = (
                f"{file.path} was damaged ({file.cause}) and set aside as {file.moved_to}; the venue shows {found}; "
                f"look at both, then `livebot restart {file.symbol}`"
            )
        return quarantined

    def _foreign(self, states: Mapping[Key, SymbolState], snapshot: VenueSnapshot) -> Mapping[str, str]:
        known = frozenset(
            record.request.client_order_id for state in states.values() for record in state.orders
        )
        sentences: dict[str, str] = {}
        for order, why in foreign_orders(self._system, snapshot, known):
            sentences[order.symbol] = (
                f"{order.symbol}: the venue has an open order {order.venue_order_id} "
                f"({order.side.value} {order.quantity}) and {why}; it is left alone and the symbol opens nothing"
            )
        for symbol, position in snapshot.positions.items():
            if not any(key[1] == symbol for key in states):
                sentences[symbol] = f"{symbol}: the venue holds {position.quantity} and no state of ours is of it"
        return sentences


def _unattended(states: Mapping[Key, SymbolState], configured: frozenset[Key]) -> tuple[str, ...]:
    return tuple(
        f"{key[1]}: {key[0]} has a {type(state.signal).__name__} signal but the config no longer runs it there; "
        "it is guarded until it closes"
        for key, state in states.items()
        if key not in configured and not isinstance(state.signal, Idle)
    )


def moved_on(state: SymbolState, acknowledged: int) -> SymbolState:
    """The state without the outbox facts up to the acknowledged sequence."""
    if not state.outbox or state.outbox[0].sequence > acknowledged:
        return state
    return replace(state, outbox=tuple(fact for fact in state.outbox if fact.sequence > acknowledged))
