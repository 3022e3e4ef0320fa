"""Start-up is recovery: what the files, the ledger and the venue say, brought together before anything new is decided.

Rules of this file: a damaged file costs its own symbol only; what the outboxes hold reaches the ledger before the past is
counted; a (strategy, symbol) goes on above the numbers that its ledger rows used, whatever its file says.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from livebot.core.exposure import exposure_of
from livebot.core.facts import Exposure, Fact, SignalClosed
from livebot.core.inputs import SymbolState
from livebot.core.market import Instrument
from livebot.core.order import VenueOrder
from livebot.core.quick_init import changed
from livebot.core.rebuild import is_ours, rebuild
from livebot.core.signal import Idle
from livebot.errors import BadInput, Fatal
from livebot.ports import Clock, DamagedFile, Exchange, SignalStore
from livebot.runtime.portfolio.exposure_book import Carried
from livebot.runtime.venue.execution import Execution
from livebot.runtime.venue.reconcile import VenueSnapshot
from livebot.runtime.venue.start_waits import StartWaits

Key = tuple[str, str]  # (strategy, symbol)

_FRESH = (0, 0)


@dataclass(slots=True, kw_only=True)
class Recovered:
    """What is known when recovery is done.

    `numbers` are the ledger's last sequence and signal number before, `told` the sequence alone: everyone has been told of
    those.  `quarantined` are symbols that somebody has to look at, and the sentence; `problems` are other sentences for
    the operator, by source.
    """

    states: dict[Key, SymbolState]
    told: Mapping[Key, int]
    numbers: Mapping[Key, tuple[int, int]] = field(default_factory=dict)
    closes: Sequence[SignalClosed]
    entries: Sequence[Fact] = ()
    snapshot: VenueSnapshot
    instruments: Mapping[str, Instrument] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def exposures(self) -> Mapping[Key, Exposure]:
        """What each state puts at stake."""
        return {key: exposure_of(state.signal, state.orders) for key, state in self.states.items()}

    @property
    def carried(self) -> Mapping[Key, Carried]:
        """What closed positions have left, by state."""
        return {
            key: Carried(state.remainder, state.remainder_cost, state.sequence) for key, state in self.states.items()
        }

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
        exchange: Exchange,
        execution: Execution,
        clock: Clock,
        waits: StartWaits,
    ) -> None:
        """Nothing is read yet."""
        self._waits = waits
        self._system = system
        self._store = store
        self._exchange = exchange
        self._execution = execution
        self._clock = clock

    async def run(self, configured: frozenset[Key], looks_back_ms: int = 0) -> Recovered:
        """Recover, with the facts of orders of the last `looks_back_ms`.  Raises Fatal where nothing can run."""
        loaded = await self._store.load()
        self._waits.found(loaded.states)
        wanted = {symbol for _, symbol in configured}
        damaged = {file.symbol for file in loaded.damaged if file.symbol}
        numbers = await self._waits.numbers()
        unrecorded: list[Fact] = [fact for state in loaded.states for fact in state.outbox]
        if unrecorded:
            await self._waits.record(unrecorded)
        found = Recovered(
            states={(state.strategy, state.symbol): state for state in loaded.states},
            told={key: sequence for key, (sequence, _) in numbers.items()},
            numbers=numbers,
            closes=await self._waits.closes(),
            entries=await self._waits.entries(self._clock.now_ms() - looks_back_ms),
            snapshot=await self._execution.look({*wanted, *damaged, *(state.symbol for state in loaded.states)}),
        )
        await self._lift_old(found, numbers)
        await self._know_instruments(found, wanted, damaged)
        for file in loaded.damaged:
            await self._replace(file, found, numbers)
        for key in sorted(configured - found.states.keys()):
            found.states[key] = self._fresh(key, numbers)
        _tell_unattended(found, configured)
        return found

    async def _know_instruments(self, found: Recovered, wanted: set[str], damaged: set[str]) -> None:
        """A symbol that the venue lacks (any more) is left out, and the others run."""
        symbols, exchange = sorted(wanted | found.busy | damaged), self._exchange
        try:
            found.instruments = await self._execution.answered(lambda: exchange.instruments(symbols))
            return
        except BadInput as error:
            cause = error
        known: dict[str, Instrument] = {}
        for symbol in symbols:
            try:
                known.update(await self._execution.answered(lambda one=symbol: exchange.instruments((one,))))  # type: ignore[misc]
            except BadInput as error:
                held = "; its state file has a signal, which nobody looks after" if symbol in found.busy else ""
                found.problems[f"instrument:{symbol}"] = f"{symbol} is left out: {error}{held}"
        if not known:
            raise Fatal(f"{cause}; correct `symbols` in the config") from cause
        found.instruments = known

    async def _save(self, state: SymbolState) -> None:
        await self._waits.disk(lambda: self._store.save(state))

    def _fresh(self, key: Key, numbers: Mapping[Key, tuple[int, int]]) -> SymbolState:
        return fresh_state(self._system, key, numbers)

    async def _lift_old(self, found: Recovered, numbers: Mapping[Key, tuple[int, int]]) -> None:
        """A file older than the ledger (a backup was put back) must not use its numbers again."""
        for key, state in found.states.items():
            sequence, number = numbers.get(key, _FRESH)
            if sequence > state.sequence:
                lifted = replace(state, sequence=sequence, number=max(number, state.number))
                await self._save(lifted)
                found.states[key] = lifted
                found.quarantined[state.symbol] = (
                    f"the state file of {state.strategy} on {state.symbol} is older than the ledger (fact "
                    f"{state.sequence}, the ledger has {sequence}), as after restoring a backup; "
                    f"compare it with the venue, then `livebot restart {state.symbol}`"
                )

    # Damaged files

    async def _replace(self, file: DamagedFile, found: Recovered, numbers: Mapping[Key, tuple[int, int]]) -> None:
        """Save a state made from what the venue shows in place of a file that was set aside."""
        if file.strategy is None or file.symbol is None:
            return
        key = (file.strategy, file.symbol)
        empty = self._fresh(key, numbers)
        state = self._rebuilt(empty, found)
        await self._save(state)
        found.states[key] = state
        left = await self._take_back(state, found.snapshot.orders.values())
        shown = "no position of ours" if isinstance(state.signal, Idle) else "an open position, now guarded"
        found.quarantined[file.symbol] = (
            f"{file.path} was damaged ({file.cause}) and set aside as {file.moved_to}; the venue shows {shown}"
            f"{left}; look at both, then `livebot restart {file.symbol}`"
        )

    def _rebuilt(self, empty: SymbolState, found: Recovered) -> SymbolState:
        symbol, snapshot = empty.symbol, found.snapshot
        orders = [order for order in snapshot.orders.values() if order.symbol == symbol]
        position, instrument = snapshot.positions.get(symbol), found.instruments.get(symbol)
        return rebuild(empty, orders, position, instrument, now_ms=self._clock.now_ms())

    async def _take_back(self, state: SymbolState, orders: Iterable[VenueOrder]) -> str:
        """Cancel our orders that the rebuilt state has no use for, such as an entry that would fill unwatched."""
        known = {record.request.client_order_id for record in state.orders}
        left = []
        for order in orders:
            order_id = order.client_order_id
            if order_id is None or order_id in known or not is_ours(state, order):
                continue
            if not await self._execution.cancel(state.symbol, order_id):
                left.append(order_id)
        return f", and order {', '.join(left)} could not be taken back" if left else ""


def _tell_unattended(found: Recovered, configured: frozenset[Key]) -> None:
    for key, state in found.states.items():
        if key not in configured and not isinstance(state.signal, Idle):
            strategy, symbol = key
            found.problems[f"unattended:{strategy}/{symbol}"] = (
                f"{symbol}: {strategy} has a signal ({type(state.signal).__name__}) but the config no longer runs it "
                "there; it is guarded until it closes"
            )


def fresh_state(system: str, key: Key, numbers: Mapping[Key, tuple[int, int]]) -> SymbolState:
    """A state without a signal, above the numbers that the ledger has of it."""
    strategy, symbol = key
    sequence, number = numbers.get(key, _FRESH)
    return SymbolState(system=system, strategy=strategy, symbol=symbol, sequence=sequence, number=number, signal=Idle())


def moved_on(state: SymbolState, acknowledged: int) -> SymbolState:
    """The state without the outbox facts up to the acknowledged sequence."""
    if not state.outbox or state.outbox[0].sequence > acknowledged:
        return state
    return changed(state, outbox=tuple(fact for fact in state.outbox if fact.sequence > acknowledged))
