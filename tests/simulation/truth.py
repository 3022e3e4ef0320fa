"""What became of each signal, counted from what the venue did and from what the portfolio approved.

Rules of this file: an order belongs to the signal that its client order id names; nothing of the daemon's own
bookkeeping is believed, but that an order which it calls failed or over takes no room any more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from livebot.adapters.state_files.signal_names import file_name
from livebot.core.candidate import Candidate
from livebot.core.facts import EntryCancelled, OrderFailed, SignalClosed
from livebot.core.inputs import OrderEnded, OrderEvent, OrderFilled
from livebot.core.order import ZERO, Fill, Leg, OrderRequest, client_order_id, leg_of
from livebot.simulator.book import ATTACHED, is_attached
from tests.simulation.strategies import KINDS

Key = tuple[str, str]  # (strategy, symbol)
SignalKey = tuple[Key, int]  # and the signal's number


@dataclass(slots=True)
class Opening:
    """An order that opens, from its admission on."""

    quantity: Decimal
    price: Decimal
    filled: Decimal = ZERO
    ended: bool = False


@dataclass(slots=True)
class SignalTruth:
    """What became of a signal at the venue."""

    openings: dict[str, Opening] = field(default_factory=dict)
    entries: set[str] = field(default_factory=set)
    bought: Decimal = ZERO
    paid: Decimal = ZERO
    sold: Decimal = ZERO
    got: Decimal = ZERO
    fees: Decimal = ZERO
    taken: Decimal = ZERO  # closed by orders of another signal

    @property
    def held(self) -> Decimal:
        return max(self.bought - self.sold - self.taken, ZERO)

    @property
    def at_stake(self) -> Decimal:
        pending = sum(
            (opening.quantity - opening.filled) * opening.price
            for opening in self.openings.values()
            if not opening.ended
        )
        return pending + (self.held * self.paid / self.bought if self.bought else ZERO)

    @property
    def alive(self) -> bool:
        return self.held > 0 or any(not opening.ended for opening in self.openings.values())


class Truth:
    """`mixed` are signals of which the orders of one have closed what is another's: each alone cannot be judged."""

    def __init__(self, system: str, root: str, symbols: Iterable[str]) -> None:
        self.signals: dict[SignalKey, SignalTruth] = {}
        self.mixed: set[SignalKey] = set()
        self.over_closed = ""
        self.files: dict[Key, str] = {}
        self._mixing: set[str] = set()  # symbols on which a signal that is mixed up may still hold something
        self._alive: set[SignalKey] = set()
        self._keys: dict[str, Key] = {}
        for symbol in symbols:
            for strategy in sorted(KINDS):
                owner = client_order_id(system, strategy, symbol, number=0, leg=Leg.STOP, attempt=0)[:16]
                self._keys[owner] = (strategy, symbol)
                self.files[strategy, symbol] = f"{root}/signals/{strategy}/{file_name(symbol)}"

    def of(self, order_id: str) -> SignalKey:
        """Whose order it is."""
        if is_attached(order_id):
            order_id = order_id[len(ATTACHED) :]
        return self._keys[order_id[:16]], int(order_id[16:22], 16)

    def signal(self, key: SignalKey) -> SignalTruth:
        found = self.signals.get(key)
        if found is None:
            found = self.signals[key] = SignalTruth()
        return found

    # Openings

    def admitted(self, candidate: Candidate) -> set[SignalKey]:
        """All signals that take room, with this one."""
        self._opens(candidate.order, candidate.price)
        self._alive = {each for each in self._alive if self.signals[each].alive}
        return self._alive

    def sent(self, request: OrderRequest) -> None:
        """An entry that is sent again is not admitted again."""
        if (
            request.price is not None
            and request.client_order_id not in self.signal(self.of(request.client_order_id)).openings
        ):
            self._opens(request, request.price)

    def _opens(self, request: OrderRequest, price: Decimal) -> None:
        signal = self.of(request.client_order_id)
        self.signal(signal).openings[request.client_order_id] = Opening(request.quantity, price)
        self._alive.add(signal)

    def told(self, fact: Any) -> None:
        """Facts that end what an order or a signal may still open."""
        if isinstance(fact, OrderFailed):
            self._end_opening(fact.client_order_id)
        elif isinstance(fact, SignalClosed | EntryCancelled):
            number = int(fact.signal_id.rpartition("#")[2])
            for opening in self.signal(((fact.strategy, fact.symbol), number)).openings.values():
                opening.ended = True

    def read_again(self, key: Key, content: bytes) -> None:
        """What was approved and is not in the file has never left, and never will."""
        for (of, _), truth in self.signals.items():
            if of != key:
                continue
            for order_id, opening in truth.openings.items():
                if not opening.ended and order_id.encode() not in content:
                    opening.ended = True

    def _end_opening(self, order_id: str) -> None:
        opening = self.signal(self.of(order_id)).openings.get(order_id)
        if opening is not None:
            opening.ended = True

    # The venue

    def event(self, symbol: str, event: OrderEvent) -> None:
        """Something has happened at the venue."""
        if isinstance(event, OrderFilled):
            self._filled(symbol, event.fill)
        elif isinstance(event, OrderEnded):
            self._end_opening(event.client_order_id)

    def flat(self, symbol: str) -> None:
        """Nothing is held there and no order works: what was mixed up is over."""
        self._mixing.discard(symbol)

    def _filled(self, symbol: str, fill: Fill) -> None:
        signal, attached = self.of(fill.client_order_id), is_attached(fill.client_order_id)
        if symbol in self._mixing or attached:  # of an attached stop nobody tells the daemon whose it was
            self.mixed.add(signal)
        truth = self.signal(signal)
        truth.fees += fill.fee
        if not attached and leg_of(fill.client_order_id).opens:
            truth.bought += fill.quantity
            truth.paid += fill.quantity * fill.price
            opening = truth.openings.get(fill.client_order_id)
            if opening is not None:
                opening.filled += fill.quantity
            return
        truth.sold += fill.quantity
        truth.got += fill.quantity * fill.price
        beyond = min(truth.sold - truth.bought, fill.quantity)
        if beyond > 0:
            self._mixed_up(symbol, signal, beyond)

    def _mixed_up(self, symbol: str, by: SignalKey, beyond: Decimal) -> None:
        """Two exits of one signal have traded and closed what is another strategy's: venues net, and cannot tell."""
        self.over_closed = self.over_closed or f"{by}: its orders have closed {beyond} of {symbol} more than it held"
        self.mixed.add(by)
        self._mixing.add(symbol)
        for signal, truth in self.signals.items():
            if signal[0][1] == symbol and truth.held > 0:
                taken = min(truth.held, beyond)
                truth.taken += taken
                beyond -= taken
                self.mixed.add(signal)
