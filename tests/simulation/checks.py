"""The invariants, recounted from what the venue did, what the disk holds and what left the process.

Rules of this file: nothing of the daemon's own bookkeeping is believed, except where a check says so; cheap checks are
made whenever something changed, all of them when everything is at rest (`rest`).
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from livebot.core.candidate import Candidate
from livebot.core.denial import TradingState
from livebot.core.facts import (
    EntryCancelled,
    Fact,
    OrderFailed,
    PositionReduced,
    SignalClosed,
    SignalOpening,
    SignalScheduled,
)
from livebot.core.inputs import OrderEvent
from livebot.core.leaving import DUST
from livebot.core.limits import Limits
from livebot.core.order import ZERO, Leg, OrderRequest
from livebot.core.signal import CloseReason
from tests.simulation.cover import Cover
from tests.simulation.promises import Promises
from tests.simulation.truth import Key, Truth

if TYPE_CHECKING:
    from tests.simulation.world import World

WRITTEN_S = 15.0  # from when the disk has room until what could not be saved is
ROOM = Decimal("1.02")  # fills are not at the price at which an entry was admitted


class Violation(Exception):
    """An invariant does not hold."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


class Checker:
    """`wrong` notes a violation; the run ends at the first."""

    def __init__(self, world: "World", system: str, root: str) -> None:
        self._world = world
        self.truth = Truth(system, root, world.venue.symbols)
        self.cover = Cover(world)
        self.promises = Promises(world)
        self.violation: Violation | None = None
        self.halted = False
        self.paused: set[str] = set()
        self._last_number: dict[Key, int] = {}
        self._course: dict[Key, tuple[int, bool]] = {}  # the last signal's number, and whether it goes on
        self._dust: set[Key] = set()  # who has said that what is left is too little for the venue

    def wrong(self, name: str, text: str) -> None:
        if self.violation is None:
            self.violation = Violation(name, text)
            self._world.note("VIOLATION", name, text)
            self._world.loop.stop()

    # What leaves the process

    def admitted(self, candidate: Candidate, limits: Limits, equity: Decimal) -> None:
        """I5, by a count of our own, at the moment of each approval."""
        truth = self.truth
        alive = truth.admitted(candidate)
        if not truth.mixed.isdisjoint(alive):
            return
        strategy, symbol = candidate.strategy, candidate.symbol
        gross = sum((truth.signals[each].at_stake for each in alive), ZERO)
        of_symbol = sum((truth.signals[each].at_stake for each in alive if each[0][1] == symbol), ZERO)
        of_strategy = sum(1 for each in alive if each[0][0] == strategy)
        entering = candidate.signal is not None
        for name, used, allowed in (
            ("open_signals", len(alive) if entering else 0, limits.open_signals),
            ("open_signals_per_strategy", of_strategy if entering else 0, limits.open_signals_per_strategy),
            ("gross_exposure", gross, limits.gross_exposure and limits.gross_exposure * equity * ROOM),
            ("symbol_exposure", of_symbol, limits.symbol_exposure and limits.symbol_exposure * equity * ROOM),
        ):
            if allowed is not None and used > allowed:
                order_id = candidate.order.client_order_id
                self.wrong("I5", f"{name}: {used} used, {allowed} allowed, as {order_id} was approved")

    def sent(self, request: OrderRequest) -> None:
        """An order leaves."""
        if not request.leg.opens:
            return
        self.truth.sent(request)
        if self.halted:
            self.wrong("I6", f"{request.client_order_id} opens while trading is HALTED")
        if self._world.reduced:
            self.wrong("reducing", f"{request.client_order_id} opens while trading is REDUCING")
        if request.symbol in self.paused:
            self.wrong("pause", f"{request.client_order_id} opens while {request.symbol} is paused")
        if self._world.stopping:
            self.wrong("stop", f"{request.client_order_id} opens while the daemon is stopping")

    # What happens at the venue

    def accepted(self, request: OrderRequest, name: str) -> None:
        """I1 and I2, when the venue takes an order."""
        order_id = request.client_order_id
        key, number = self.truth.of(order_id)
        content = self._world.disk.durable(self.truth.files[key])
        if content is None or order_id.encode() not in content:
            self.wrong("I1", f"the venue has taken {order_id} of {key}, which is in no durable file ({name})")
        if request.leg is Leg.ENTRY and name == "submit":
            self._entered(key, number, order_id)
        self.cover.look_at(request.symbol)

    def _entered(self, key: Key, number: int, order_id: str) -> None:
        truth = self.truth.signal((key, number))
        for other_id in sorted(truth.entries - {order_id}):
            other = self._world.venue.order(key[1], other_id)
            if other is None or other.status.live or other.filled:
                self.wrong("I2", f"{key} #{number}: {order_id} is entered, and there is {other_id}: {other}")
        again = bool(truth.entries)
        truth.entries.add(order_id)
        last = self._last_number.get(key, 0)
        if number < last or (number == last and not again):
            self.wrong("I2", f"{key} #{number} is entered after #{last}")
        self._last_number[key] = number
        before = self.truth.signals.get((key, last))
        if not again and before is not None and before.held > 0 and (key, last) not in self.truth.mixed:
            self.wrong("I2", f"{key} #{number} is entered while #{last} still holds {before.held}")

    def event(self, symbol: str, event: OrderEvent) -> None:
        self.truth.event(symbol, event)
        if self.truth.over_closed:
            self.wrong("share", self.truth.over_closed)
        self.cover.look_at(symbol)

    def minute(self) -> None:
        """Time has passed."""
        self.cover.look_at_all()

    def foreign(self, symbol: str, quantity: Decimal) -> None:
        """The daemon says that so much of a position is not ours; files that cannot be written cannot say what is."""
        now_s, full = self._world.loop.time(), self._world.plan.disk_full
        if quantity and not any(from_s <= now_s < until_s + WRITTEN_S for from_s, until_s in full):
            self.wrong("foreign", f"{quantity} of {symbol} is said to be not ours; nobody else trades")

    # Facts

    def heard(self, items: Iterable[Any]) -> None:
        """What the daemon tells its listeners."""
        for item in items:
            if isinstance(item, Fact):
                self._world.note("fact", item)
                self.truth.told(item)

    def recorded(self, fact: Fact, last: int) -> None:
        """I8, as the ledger takes a fact; and that signals follow each other."""
        key = (fact.strategy, fact.symbol)
        if fact.sequence != last + 1:
            self.wrong("I8", f"{key}: fact {fact.sequence} is recorded after {last}")
        number, begun = self._course.get(key, (0, False))
        its, name = int(fact.signal_id.rpartition("#")[2]), type(fact).__name__
        if isinstance(fact, SignalOpening | SignalScheduled):
            if begun or its != number + 1:
                self.wrong("I8", f"{key}: #{its} begins after #{number}, which has {'not ' if begun else ''}ended")
            self._course[key] = (its, True)
            return
        if not begun or its != number:
            self.wrong("I8", f"{key}: {name} of #{its} while #{number} is{'' if begun else ' not'} going on")
        if isinstance(fact, OrderFailed) and fact.code == DUST:
            self._dust.add(key)
        elif isinstance(fact, PositionReduced) and key in self._dust:
            self._dust.discard(key)
            self._take_away(fact, key, its)
        if isinstance(fact, SignalClosed | EntryCancelled):
            self._course[key] = (its, False)
            self._judge_end(fact, key, its)

    def _take_away(self, fact: PositionReduced, key: Key, number: int) -> None:
        """What is too little for the venue is left there, and booked at a price: here somebody takes it away at that."""
        world, truth = self._world, self.truth.signal((key, number))
        instrument = world.venue.instrument(fact.symbol)
        if instrument is not None and instrument.takes(fact.quantity, fact.price):
            self.wrong(
                "dust", f"{fact.signal_id}: the venue takes the {fact.quantity} that were left there as too little"
            )
        truth.sold += fact.quantity
        truth.got += fact.quantity * fact.price
        world.venue._engine.holdings.trade(fact.symbol, -fact.side.sign * fact.quantity, fact.price, ZERO)
        world.positions.changed(world.loop.time())
        self.cover.look_at(fact.symbol)

    def _judge_end(self, fact: SignalClosed | EntryCancelled, key: Key, number: int) -> None:
        """Whether a signal ended as its fact says, by the venue's trades."""
        if (key, number) in self.truth.mixed:
            return
        name, truth = fact.signal_id, self.truth.signal((key, number))
        if isinstance(fact, EntryCancelled):
            if truth.bought:
                self.wrong("end", f"{name} was cancelled ({fact.reason.value}), and it traded {truth.bought}")
            return
        if fact.reason is CloseReason.VENUE:
            self.wrong("end", f"{name} is said to have been closed by somebody else; nobody else trades")
        if not truth.bought == truth.sold == fact.quantity:
            text = f"{fact.quantity} says the fact; in {truth.bought}, out {truth.sold} says the venue"
            self.wrong("end", f"{name}: {text}")
        net = fact.side.sign * (truth.got - truth.paid) - truth.fees
        if abs(fact.pnl_net - net) > Decimal("1e-9") or fact.fees != truth.fees:
            self.wrong("end", f"{name}: {fact.pnl_net} with fees {fact.fees}, at the venue {net}, {truth.fees}")

    # Deaths and beginnings

    def after_crash(self) -> None:
        """The process is dead, and the disk is as it will be found."""
        self.promises.after_crash()
        for key in self.truth.files:
            self.read_again(key)

    def read_again(self, key: Key) -> None:
        """A worker goes on from its file."""
        node = self._world.disk.names.get(self.truth.files[key])
        self.truth.read_again(key, b"" if node is None else node.data)

    def ready(self, state: TradingState) -> None:
        """I6, when a process begins to trade."""
        if self.halted and state is not TradingState.HALTED:
            self.wrong("I6", f"trading was HALTED before the restart, and is {state.value}")
