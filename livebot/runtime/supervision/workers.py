"""The symbols' workers: what each is made of, and who acts for a symbol at which time.

Rules of this file: one worker acts for a symbol at a time; what a guard works with asks no strategy anything; after a
failure of a symbol with something open a guard stands by until the next run; the last durable state of every (strategy,
symbol) is kept here, whoever runs.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal

import structlog

from livebot.core.facts import Fact
from livebot.core.inputs import SymbolState
from livebot.core.market import Instrument
from livebot.core.rules import Rules, sharing_a_position
from livebot.core.signal import CloseReason, Idle
from livebot.ports import Decision
from livebot.runtime.candles.contexts import Contexts
from livebot.runtime.inbox import Inbox, Leave, Stop, Withdraw
from livebot.runtime.models.confidence import ConfidenceDesk
from livebot.runtime.portfolio.rounds import Rounds
from livebot.runtime.supervision.standby import Standby
from livebot.runtime.symbol.instances import Instances
from livebot.runtime.symbol.strategy_instance import StrategyInstance
from livebot.runtime.symbol.surroundings import Observer, Surroundings
from livebot.runtime.symbol.symbol_worker import SymbolWorker
from livebot.runtime.symbol.unattended import Unattended
from livebot.runtime.system_parts import SystemParts
from livebot.runtime.turns import Turns
from livebot.runtime.venue.execution import Execution
from livebot.runtime.venue.reconcile import expected_quantity
from livebot.runtime.venue.recovery import Key, Recovered, fresh_state, moved_on

_log = structlog.get_logger(__name__)

# A history takes many times what is kept of it: all at once they would be most of what the process ever holds.
HISTORIES_AT_ONCE = 8
HISTORIES_PATIENCE_S = 2.0
FRESH_S = 30.0  # so long the look at the start says how things are where nothing is going on


class Workers:
    """One for the whole system.

    `states` are the last durable ones, `strategies` those that run on each symbol, `configured` those of them that the
    config names there.
    """

    def __init__(
        self,
        parts: SystemParts,
        execution: Execution,
        observer: Observer,
        publish: Callable[[Sequence[Fact | Decision]], None],
    ) -> None:
        """Nothing is known: `take_over` comes first."""
        self._parts = parts
        self._execution = execution
        self._observer = observer
        self._publish = publish
        self.instances: Instances[StrategyInstance] = Instances(self._make_instance)
        self.inboxes: dict[str, Inbox] = {}
        self.strategies: dict[str, tuple[str, ...]] = dict(parts.strategies)
        self.configured: dict[str, tuple[str, ...]] = dict(parts.strategies)
        self.states: dict[Key, SymbolState] = {}
        self.warm: set[str] = set()
        self._published: dict[Key, int] = {}
        self._numbers: Mapping[Key, tuple[int, int]] = {}
        self._attended = set(parts.strategies)
        self._instruments: dict[str, Instrument] = {}
        self._guarded: set[str] = set()
        self._acting: set[str] = set()  # those that the supervisor has run or guarded just now
        self._found: dict[str, Decimal] = {}  # what the look at the start has shown, until a worker begins there
        self._found_s = 0.0
        self._standby = Standby(self._guard)
        self.contexts = Contexts(parts, execution)
        self.rounds: Rounds | None = None
        if parts.round is not None:
            self.rounds = Rounds(parts.round, parts.portfolio, parts.clock, parts.activity, parts.tell_round)
        self.confidences: ConfidenceDesk | None = None
        if parts.confidences is not None:
            self.confidences = ConfidenceDesk(parts.confidences, parts.clock, parts.activity, parts.problems.report)
        self._shared = self._surroundings()

    # Beginning

    def take_over(self, recovered: Recovered) -> None:
        """Begin from what was found.

        A signal that the config no longer names is guarded to its end; a symbol without an instrument is left out.
        """
        self.states = recovered.states
        self._published, self._numbers = dict(recovered.told), recovered.numbers
        self._instruments = dict(recovered.instruments)
        strategies = dict(self._parts.strategies)
        for (strategy, symbol), state in recovered.states.items():
            present = strategies.get(symbol, ())
            # What one has left there that does not run any more is ours all the same, to whoever runs.
            if strategy not in present and (state.orders or (present and state.remainder)):
                strategies[symbol] = (*present, strategy)
        self.strategies = {symbol: names for symbol, names in strategies.items() if symbol in recovered.instruments}
        settings, activity = self._parts.settings, self._parts.activity
        self.inboxes.update({symbol: Inbox(settings.queue_size, activity) for symbol in self.strategies})
        self._found = {symbol: recovered.snapshot.quantity(symbol) for symbol in self.strategies}
        self._found_s = asyncio.get_running_loop().time()

    def take_on(self, symbol: str, strategies: Sequence[str], instrument: Instrument) -> None:
        """Have these strategies run on a symbol from now on, from the states that are known of it."""
        self._instruments[symbol] = instrument
        self.line_up(symbol, strategies)
        if symbol not in self.inboxes:
            self.inboxes[symbol] = Inbox(self._parts.settings.queue_size, self._parts.activity)

    def line_up(self, symbol: str, strategies: Sequence[str]) -> None:
        """Have these strategies run on a symbol from its next run on.

        One that has a signal there and is not among them has it managed by rules to its end.
        """
        self.configured[symbol] = tuple(strategies)
        self._attended.add(symbol)
        for strategy in strategies:
            key = strategy, symbol
            if key not in self.states:
                self.states[key] = fresh_state(self._parts.name, key, self._numbers)
        kept = (key[0] for key, state in self.states.items() if key[1] == symbol and (state.orders or state.remainder))
        self.strategies[symbol] = tuple(dict.fromkeys((*strategies, *kept)))

    def let_go(self, symbol: str) -> None:
        """Nobody runs a symbol any more; its states stay known."""
        self.evict(symbol)
        self._attended.discard(symbol)
        self._guarded.discard(symbol)
        self.configured.pop(symbol, None)
        del self.strategies[symbol], self.inboxes[symbol]

    # Running, as the supervisor asks for it

    async def run(self, symbol: str) -> None:
        """Run the symbol's strategies."""
        self._acting.add(symbol)
        try:
            await self._standby.end(symbol)
            if symbol in self._guarded:
                self._guarded.discard(symbol)
                self.evict(symbol)
            await self._worker(symbol, compared=self._nothing_there(symbol)).run()
        except Exception:
            if self.busy(symbol):
                self._standby.begin(symbol)
            raise
        finally:
            self._acting.discard(symbol)

    async def guard(self, symbol: str) -> None:
        """Watch over the symbol's signals until they have closed."""
        self._acting.add(symbol)
        try:
            await self._standby.end(symbol)
            await self._guard(symbol)
        finally:
            self._acting.discard(symbol)

    def stand_in(self, symbol: str) -> None:
        """Have a guard act for a symbol for which nobody does: one that waits for its turn, or for its next run."""
        if symbol not in self._acting:
            self._standby.begin(symbol)

    def evict(self, symbol: str) -> None:
        """Forget the symbol's instances."""
        self.instances.evict(symbol)
        self.warm.discard(symbol)

    def ask_to_stop(self, symbol: str) -> None:
        """Have the symbol's worker finish what is at hand and return."""
        self.inboxes[symbol].put(Stop())

    async def stand_down(self, symbol: str) -> None:
        """Nobody stands by for a symbol any more."""
        await self._standby.end(symbol)

    async def close(self) -> None:
        """Nobody stands by any more."""
        await self._standby.close()

    def _nothing_there(self, symbol: str) -> bool:
        """Whether no signal goes on there, and the look at the start has just shown what our files say and nothing beyond.

        Then nothing of ours can have changed since, and the worker need not ask once more.
        """
        quantity = self._found.pop(symbol, None)
        if quantity is None or asyncio.get_running_loop().time() > self._found_s + FRESH_S:
            return False
        states = [self.states[strategy, symbol] for strategy in self.strategies[symbol]]
        idle = all(isinstance(state.signal, Idle) and not state.orders for state in states)
        return idle and quantity == expected_quantity(states) and not self._observer.dismissed_quantity(symbol)

    async def _guard(self, symbol: str) -> None:
        self._found.pop(symbol, None)
        self._guarded.add(symbol)
        self.evict(symbol)
        await self._worker(symbol).guard()

    def _surroundings(self) -> Surroundings:
        parts = self._parts
        return Surroundings(
            clock=parts.clock,
            feed=parts.feed,
            execution=self._execution,
            store=parts.store,
            portfolio=parts.portfolio,
            publish=self._publish,
            published=lambda strategy, symbol: self._published.get((strategy, symbol), 0),
            saved=self._saved,
            last_saved=lambda strategy, symbol: self.states[strategy, symbol],
            instances=self.instances,
            observer=self._observer,
            settings=parts.settings,
            execution_settings=parts.execution_settings,
            warmed=self.warm.add,
            loading=Turns(HISTORIES_AT_ONCE, HISTORIES_PATIENCE_S),
            rounds=self.rounds,
            confidences=self.confidences,
        )

    def _worker(self, symbol: str, *, compared: bool = False) -> SymbolWorker:
        return SymbolWorker(
            symbol,
            self.strategies[symbol],
            self.inboxes[symbol],
            self._shared,
            attended=symbol in self._attended,
            compared=compared,
        )

    def _make_instance(self, symbol: str, strategy: str) -> StrategyInstance:
        asked = symbol not in self._guarded and strategy in self.configured.get(symbol, ())
        made = self._parts.make_strategy(strategy) if asked else None
        return StrategyInstance(
            Unattended(None) if made is None else made,
            self._rules(strategy, symbol),
            self.states[strategy, symbol],
            history=self._parts.settings.history,
            context=None if made is None else self.contexts.reader(strategy, symbol),
            foreign_beside=lambda: self._observer.foreign_beside(symbol),
        )

    def _rules(self, strategy: str, symbol: str) -> Rules:
        rules, configured = self._parts.rules(strategy, self._instruments[symbol]), self.configured.get(symbol, ())
        # Who has only left something there never trades it again.
        trading = [each for each in self.strategies[symbol] if each in configured or self.states[each, symbol].orders]
        return sharing_a_position(rules) if len(trading) > 1 else rules

    def renew_rules(self) -> None:
        """Have all live instances work under the present terms from their next signals on."""
        for instance in self.instances:
            instance.work_under(self._rules(instance.strategy_name, instance.symbol))

    def renew_instruments(self, instruments: Mapping[str, Instrument]) -> None:
        """The venue says this by now of symbols that are run; what is open follows it too."""
        for symbol, instrument in instruments.items():
            before = self._instruments.get(symbol, instrument)
            if before == instrument:
                continue
            _log.info("instrument_changed", symbol=symbol, changes=_differences(before, instrument))
            self._instruments[symbol] = instrument
            for instance in self.instances.of(symbol):
                instance.follow_venue(instrument)

    # States and facts

    def busy(self, symbol: str) -> bool:
        """Whether a signal of the symbol is not Idle (all others have orders)."""
        return any(self.states[strategy, symbol].orders for strategy in self.strategies[symbol])

    def of(self, symbol: str) -> tuple[SymbolState, ...]:
        """The symbol's states, as last saved; none if it is not run here."""
        return tuple(self.states[strategy, symbol] for strategy in self.strategies.get(symbol, ()))

    def instrument(self, symbol: str) -> Instrument:
        """What the venue says of a symbol that is run here."""
        return self._instruments[symbol]

    def last_states(self) -> tuple[SymbolState, ...]:
        """All of them, as last saved."""
        return tuple(self.states.values())

    def leave(self, symbol: str, reason: CloseReason) -> None:
        """Have the symbol's entries cancelled and its positions closed."""
        inbox = self.inboxes.get(symbol)
        if inbox is not None:
            inbox.put(Leave(reason))

    def withdraw(self, symbol: str) -> None:
        """Have the symbol's entries cancelled; its positions go on."""
        inbox = self.inboxes.get(symbol)
        if inbox is not None:
            inbox.put(Withdraw())

    def published(self, items: Iterable[Fact | Decision]) -> None:
        """These are being told to everyone."""
        for item in items:
            if isinstance(item, Fact):
                self._published[item.strategy, item.symbol] = item.sequence

    def acknowledged(self, facts: Sequence[Fact]) -> None:
        """The ledger has these: they need not be kept in an outbox."""
        for fact in facts:
            instance = self.instances.peek(fact.symbol, fact.strategy)
            if instance is not None:
                instance.state = moved_on(instance.state, fact.sequence)

    def outstanding(self) -> Iterable[Fact]:
        """All facts of all outboxes, as last saved."""
        return (fact for state in self.last_states() for fact in state.outbox)

    def _saved(self, state: SymbolState) -> None:
        self.states[state.strategy, state.symbol] = state


def _differences(before: Instrument, now: Instrument) -> list[str]:
    names = [field.name for field in fields(now)]
    return [
        f"{name} {getattr(before, name)} -> {getattr(now, name)}"
        for name in names
        if getattr(before, name) != getattr(now, name)
    ]
