"""A venue as badly behaved as real ones are, in memory, for one symbol of one account.

Rules of this file: every choice comes from `chance`, so a seed is a story; the venue lies about nothing (what it reports
as filled has filled, what it calls ended has ended), but it refuses, loses, delays, repeats and reorders; its books are
the truth that tests compare with.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random

from livebot.core.inputs import (
    OrderAbsent,
    OrderAccepted,
    OrderEnded,
    OrderEvent,
    OrderFilled,
    OrderOutcome,
    OrderRejected,
    OrderUnknown,
)
from livebot.core.market import OrderSide
from livebot.core.order import ZERO, Fill, OrderKind, OrderRequest, OrderStatus

LOT = Decimal("0.001")
TICK = Decimal("0.001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What kind of venue it is; probabilities are of each single request.

    `oco` says what a fill does to the other order of a group: nothing, taking its quantity off, or cancelling it;
    `tidies` whether reduce-only orders are cancelled once the position is flat; with `locks` orders that reduce share
    the position among them, as on a spot market.
    """

    oco: str = "nothing"  # nothing | take_off | cancel
    tidies: bool = False
    locks: bool = False
    least: Decimal = LOT  # it refuses smaller orders
    most: Decimal | None = None  # it refuses larger ones, but for those at a price
    refuses: float = 0.0
    loses: float = 0.0
    too_late: float = 0.0
    splits: float = 0.0
    repeats: float = 0.0
    fee: Decimal = Decimal("0.0005")


@dataclass(slots=True)
class ModelOrder:
    """An order in the venue's books."""

    number: int
    request: OrderRequest
    status: OrderStatus = OrderStatus.WORKING
    filled: Decimal = ZERO
    running: bool = False
    fills: list[Fill] = field(default_factory=list)

    @property
    def working(self) -> bool:
        return self.status is OrderStatus.WORKING

    @property
    def remaining(self) -> Decimal:
        return self.request.quantity - self.filled


class ModelVenue:
    """Requests and prices in, events out; `events` are those nobody has been told yet."""

    def __init__(self, traits: Traits, chance: Random, *, price: Decimal = Decimal(100)) -> None:
        self.traits = traits
        self.chance = chance
        self.price = price
        self.lot, self.tick = LOT, TICK
        self.now_ms = 0
        self.net = ZERO  # signed, positive long
        self.orders: dict[str, ModelOrder] = {}
        self.late: dict[str, OrderRequest] = {}  # sent, unanswered, may still land
        self.late_changes: list[OrderRequest] = []
        self.events: list[OrderEvent] = []
        self.fills: list[Fill] = []
        self.calm = False

    # Requests

    def submit(self, request: OrderRequest) -> OrderOutcome:
        """Accept, refuse, or leave in the dark."""
        assert request.client_order_id not in self.orders, "an id was used twice"
        assert request.client_order_id not in self.late, "an id was used twice"
        if self._rolls(self.traits.loses):
            return self._lose(request)
        return self._land(request)

    def amend(self, request: OrderRequest) -> OrderOutcome:
        """Change a working order; what is refused stays as it was."""
        if not self._rolls(self.traits.loses):
            return self._change(request)
        fate = self.chance.randrange(3)
        if fate == 0:
            self._change(request)
        elif fate == 1:
            self.late_changes.append(request)
        return self._unknown(request.client_order_id)

    def cancel(self, client_order_id: str) -> bool:
        """End an order, unless it is too late; False if there is no working order of that id."""
        order = self.orders.get(client_order_id)
        if order is None or not order.working:
            return False
        if self._rolls(self.traits.too_late):
            self._trade(order, self._piece(order))
        if order.working:
            self._end(order, OrderStatus.CANCELED)
        return True

    def ask(self, client_order_id: str) -> list[OrderEvent]:
        """All that is known of an order; nothing is in the dark afterwards."""
        late = self.late.pop(client_order_id, None)
        if late is not None and self.chance.random() < 0.5:
            self._land(late)
        order = self.orders.get(client_order_id)
        if order is None:
            return [OrderAbsent(client_order_id=client_order_id, ts_ms=self.now_ms)]
        if order.status is OrderStatus.REJECTED:
            return [self._refusal(client_order_id)]
        story: list[OrderEvent] = [self._acceptance(order)]
        story += [OrderFilled(fill, self.now_ms) for fill in order.fills]
        if not order.working:
            story.append(self._ending(order))
        return story

    # What happens by itself

    def land(self) -> None:
        """One order or amendment that was in the dark arrives."""
        if self.late_changes:
            self._change(self.late_changes.pop())
        elif self.late:
            client_order_id = self.chance.choice(sorted(self.late))
            self._land(self.late.pop(client_order_id))

    def move(self, price: Decimal) -> None:
        """The price goes there: stops start, limits fill."""
        self.price = price
        for order in self._working():
            request = order.request
            if request.kind is OrderKind.STOP_MARKET and self._beyond(request):
                order.running = True
        self.work()

    def work(self) -> None:
        """Whatever can trade does, in whole or in part."""
        for order in self._working():
            if order.working and (order.running or self._crosses(order.request)):
                self._trade(order, self._piece(order))

    def drop_one(self) -> None:
        """The venue ends an order for reasons of its own."""
        working = self._working()
        if working:
            self._end(self.chance.choice(working), OrderStatus.CANCELED)

    def close_by_hand(self, quantity: Decimal) -> None:
        """Somebody else takes this much off the position."""
        taken = min(quantity, abs(self.net))
        self.net += -taken if self.net > 0 else taken
        self._tidy()

    def take(self, index: int) -> OrderEvent:
        """Tell one event; it may be told again."""
        return self.events[index] if self._rolls(self.traits.repeats) else self.events.pop(index)

    @contextmanager
    def at_peace(self) -> Iterator[None]:
        """It behaves, and nothing trades that is not made to."""
        before, self.calm = self.calm, True
        yield
        self.calm = before

    # Books

    def live(self) -> list[ModelOrder]:
        """Orders that may still trade."""
        return self._working()

    def fills_of(self, client_order_id: str) -> Iterator[Fill]:
        """Trades whose id starts so."""
        return (fill for fill in self.fills if fill.client_order_id.startswith(client_order_id))

    def _working(self) -> list[ModelOrder]:
        return [order for order in self.orders.values() if order.working]

    def _rolls(self, probability: float) -> bool:
        return not self.calm and probability > 0 and self.chance.random() < probability

    def _lose(self, request: OrderRequest) -> OrderUnknown:
        fate = self.chance.randrange(3)
        if fate == 0:
            self._land(request)
        elif fate == 1:
            self.late[request.client_order_id] = request
        return self._unknown(request.client_order_id)

    def _unknown(self, client_order_id: str) -> OrderUnknown:
        return OrderUnknown(client_order_id=client_order_id, text="no answer", ts_ms=self.now_ms)

    def _land(self, request: OrderRequest) -> OrderOutcome:
        order = ModelOrder(len(self.orders) + 1, request, running=request.kind is OrderKind.MARKET)
        self.orders[request.client_order_id] = order
        nothing_there = request.reduce_only and not self._reducible(request)
        too_small = not self.calm and request.quantity < self.traits.least
        impossible = nothing_there or too_small or self._locked_out(request, order) or self._would_take(request)
        impossible = impossible or self._too_large(request) or self._off_step(request)
        if self._rolls(self.traits.refuses) or impossible:
            order.status = OrderStatus.REJECTED
            return self._refusal(request.client_order_id)
        accepted = self._acceptance(order)
        if self._rolls(0.5):
            self.events.append(accepted)
        if self._rolls(self.traits.refuses / 5):
            order.status = OrderStatus.REJECTED  # on second thoughts
            self.events.append(self._refusal(request.client_order_id))
            return accepted
        if request.kind is OrderKind.STOP_MARKET and self._beyond(request):
            order.running = True
        if self._rolls(0.5):
            self.work()
        return accepted

    def _change(self, request: OrderRequest) -> OrderOutcome:
        order = self.orders.get(request.client_order_id)
        impossible = order is None or not order.working or request.quantity <= order.filled or order.running
        if (
            order is None
            or impossible
            or self._would_take(request)
            or self._locked_out(request, order)
            or self._too_large(request)
            or self._off_step(request)
            or self._rolls(self.traits.refuses)
        ):
            return self._refusal(request.client_order_id)
        order.request = replace(
            order.request, quantity=request.quantity, price=request.price, trigger_price=request.trigger_price
        )
        accepted = self._acceptance(order)
        self.events.append(accepted)
        order.running = request.kind is OrderKind.STOP_MARKET and self._beyond(request)
        return accepted

    def _refusal(self, client_order_id: str) -> OrderRejected:
        return OrderRejected(client_order_id=client_order_id, code="no", text="refused", ts_ms=self.now_ms)

    def _acceptance(self, order: ModelOrder) -> OrderAccepted:
        request = order.request
        return OrderAccepted(
            client_order_id=request.client_order_id,
            venue_order_id=f"v{order.number}",
            quantity=request.quantity,
            price=request.price,
            trigger_price=request.trigger_price,
            ts_ms=self.now_ms,
        )

    def _ending(self, order: ModelOrder) -> OrderEnded:
        return OrderEnded(
            client_order_id=order.request.client_order_id,
            status=order.status,
            filled=order.filled,
            ts_ms=self.now_ms,
        )

    def _beyond(self, request: OrderRequest) -> bool:
        assert request.trigger_price is not None
        if request.side is OrderSide.SELL:
            return self.price <= request.trigger_price
        return self.price >= request.trigger_price

    def _crosses(self, request: OrderRequest) -> bool:
        if request.price is None:
            return False
        return self.price >= request.price if request.side is OrderSide.SELL else self.price <= request.price

    def _reducible(self, request: OrderRequest) -> Decimal:
        return max(self.net if request.side is OrderSide.SELL else -self.net, ZERO)

    def _too_large(self, request: OrderRequest) -> bool:
        most = self.traits.most
        at_market = request.kind is not OrderKind.LIMIT and not request.leg.opens  # entries are from before it was so
        return most is not None and at_market and request.quantity > most

    def _off_step(self, request: OrderRequest) -> bool:
        if request.leg.opens:
            return False
        prices = (request.price, request.trigger_price)
        return bool(request.quantity % self.lot) or any(price is not None and price % self.tick for price in prices)

    def _would_take(self, request: OrderRequest) -> bool:
        return request.post_only and self._crosses(request)

    def _locked_out(self, request: OrderRequest, order: ModelOrder) -> bool:
        """Whether other orders have taken what this one would reduce."""
        if not (self.traits.locks and request.reduce_only):
            return False
        others = [other for other in self._working() if other.request.reduce_only and other is not order]
        locked = sum((other.remaining for other in others), ZERO)
        return request.quantity - order.filled > self._reducible(request) - locked

    def _piece(self, order: ModelOrder) -> Decimal:
        lots = int(order.remaining / LOT)
        if lots > 1 and self._rolls(self.traits.splits):
            return LOT * (1 + self.chance.randrange(lots))
        return order.remaining

    def _trade(self, order: ModelOrder, quantity: Decimal) -> None:
        request = order.request
        if request.reduce_only:
            quantity = min(quantity, self._reducible(request))
        if quantity <= 0:
            self._end(order, OrderStatus.CANCELED)
            return
        price = request.price or self.price
        fill = Fill(
            trade_id=f"t{len(self.fills) + 1}",
            client_order_id=request.client_order_id,
            ts_ms=self.now_ms,
            side=request.side,
            price=price,
            quantity=quantity,
            fee=quantity * price * self.traits.fee,
        )
        self.fills.append(fill)
        order.fills.append(fill)
        order.filled += quantity
        self.net += quantity if request.side is OrderSide.BUY else -quantity
        told = [OrderFilled(fill, self.now_ms)]
        if not order.remaining:
            self._end(order, OrderStatus.FILLED)
        self.events += told if self.chance.random() < 0.7 else told * 2
        self._serve_group(order, quantity)
        self._tidy()

    def _serve_group(self, order: ModelOrder, quantity: Decimal) -> None:
        group = order.request.oco_group
        if group is None or self.traits.oco == "nothing":
            return
        for other in self._working():
            if other is order or other.request.oco_group != group:
                continue
            if self.traits.oco == "cancel" or other.remaining <= quantity:
                self._end(other, OrderStatus.CANCELED)
            else:
                other.request = replace(other.request, quantity=other.request.quantity - quantity)

    def _tidy(self) -> None:
        if self.traits.tidies and not self.net:
            for order in self._working():
                if order.request.reduce_only:
                    self._end(order, OrderStatus.CANCELED)

    def _end(self, order: ModelOrder, status: OrderStatus) -> None:
        order.status = status
        self.events.append(self._ending(order))
