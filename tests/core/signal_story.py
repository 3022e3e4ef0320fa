"""A signal's life told input by input, for tests that are about one turn of it."""

from decimal import Decimal
from itertools import count
from typing import Any

from livebot.core.candidate import Candidate
from livebot.core.entry import Adjustment, Averaging, BreakEven, ExitPlan, PartialLevel, Trailing
from livebot.core.inputs import (
    Adjusted,
    Admitted,
    Amend,
    AskAdmission,
    CandleClosed,
    ClosedOutside,
    Compare,
    EntriesWithdrawn,
    ExitRequested,
    Input,
    OrderAbsent,
    OrderAccepted,
    OrderEnded,
    OrderFilled,
    OrderRejected,
    OrderUnknown,
    Request,
    Submit,
    SymbolState,
)
from livebot.core.kernel import step
from livebot.core.market import MINUTE_MS, Candle
from livebot.core.order import Fill, Leg, OrderRecord, OrderRequest, OrderStatus
from livebot.core.risk import Approved
from livebot.core.rules import Rules
from livebot.core.signal import CloseReason, Idle
from tests.core.kernel_driver import EMPTY, RULES, approve, next_entry

D = Decimal
Number = Decimal | int | str
LIMIT: dict[str, Any] = {"limit_price": D(99), "schedule_ms": 3 * MINUTE_MS}
TRAILING = ExitPlan(trailing=Trailing(distance=D("0.02"), after=D("0.01")))
BREAK_EVEN = ExitPlan(break_even=BreakEven(after=D("0.02"), offset=D("0.001")))
LEVELS = ExitPlan(
    partial_levels=(
        PartialLevel(gain=D("0.02"), fraction=D("0.3")),
        PartialLevel(gain=D("0.04"), fraction=D("0.3")),
    )
)
AVERAGING = ExitPlan(averaging=Averaging(step=D("0.02"), fraction=D("0.5"), times=1))
TRADE_NUMBERS = count(1)


class Story:
    """Feeds inputs and remembers what came of them; times go up by one minute with each candle.

    `requests` and `facts` are those of the last input, as short tuples and as facts; orders are named by leg, the newest.
    """

    def __init__(self, state: SymbolState = EMPTY, rules: Rules = RULES) -> None:
        self.state = state
        self.rules = rules
        self.ts_ms = 0
        self.requests: list[Any] = []
        self.facts: tuple[Any, ...] = ()
        self.told: list[str] = []

    def feed(self, event: Input) -> "Story":
        made = step(self.state, event, self.rules)
        self.state, self.requests, self.facts = made.state, list(made.requests), made.facts
        self.told += [type(fact).__name__ for fact in made.facts]
        return self

    # Inputs

    def enter(self, **values: Any) -> "Story":
        return self.feed(Admitted(approve(next_entry(self.state, ts_ms=self.ts_ms, **values)), self.ts_ms))

    def open(self, quantity: Number = 1, price: Number = 100, *, accepted: bool = True, **values: Any) -> "Story":
        """Enter, fill, and have stop and target accepted."""
        self.enter(quantity=Decimal(quantity), **values).accept(Leg.ENTRY).fill(Leg.ENTRY, quantity, price)
        return self.accept(Leg.STOP).accept(Leg.TARGET) if accepted else self

    def admit(self, candidate: Candidate) -> "Story":
        return self.feed(Admitted(approve(candidate), self.ts_ms))

    def accept(self, leg: Leg, *, later_ms: int = 0, **seen: Any) -> "Story":
        """As wanted, unless `seen` says otherwise."""
        request = self.record(leg).request
        values: dict[str, Any] = {
            "quantity": request.quantity,
            "price": request.price,
            "trigger_price": request.trigger_price,
        }
        values |= {"venue_order_id": f"v{request.client_order_id[-3:]}", **seen}
        return self.feed(OrderAccepted(client_order_id=request.client_order_id, ts_ms=self.ts_ms + later_ms, **values))

    def reject(self, leg: Leg) -> "Story":
        return self.feed(OrderRejected(client_order_id=self.id_of(leg), code="no", text="refused", ts_ms=self.ts_ms))

    def lose(self, leg: Leg) -> "Story":
        return self.feed(OrderUnknown(client_order_id=self.id_of(leg), text="no answer", ts_ms=self.ts_ms))

    def miss(self, leg: Leg) -> "Story":
        return self.feed(OrderAbsent(client_order_id=self.id_of(leg), ts_ms=self.ts_ms))

    def end(self, leg: Leg, filled: Number | None = None, status: OrderStatus = OrderStatus.CANCELED) -> "Story":
        """Ended at the venue, with what we know of as filled unless said."""
        record = self.record(leg)
        reported = record.filled if filled is None else Decimal(filled)
        return self.feed(
            OrderEnded(client_order_id=record.request.client_order_id, status=status, filled=reported, ts_ms=self.ts_ms)
        )

    def fill(self, leg: Leg, quantity: Number, price: Number, **values: Any) -> "Story":
        return self.feed(self.trade(self.record(leg).request, quantity, price, ts_ms=self.ts_ms, **values))

    @staticmethod
    def trade(
        request: OrderRequest,
        quantity: Number,
        price: Number = 100,
        *,
        trade_id: str = "",
        fee: Number = 0,
        ts_ms: int = 0,
    ) -> OrderFilled:
        """A trade of this order, its own unless it is named."""
        fill = Fill(
            trade_id=trade_id or f"t{next(TRADE_NUMBERS)}",
            client_order_id=request.client_order_id,
            ts_ms=ts_ms,
            side=request.side,
            price=Decimal(price),
            quantity=Decimal(quantity),
            fee=Decimal(fee),
        )
        return OrderFilled(fill, ts_ms)

    @staticmethod
    def admission(candidate: Candidate) -> Admitted:
        """The portfolio's yes to it."""
        return Admitted(approve(candidate), 0)

    @staticmethod
    def approved(approved: Approved) -> Admitted:
        """A yes, used as an admission."""
        return Admitted(approved, 0)

    def candle(self, high: float = 100.0, low: float | None = None, close: float | None = None) -> "Story":
        """The next minute; flat unless said."""
        begins_ms, self.ts_ms = self.ts_ms, self.ts_ms + MINUTE_MS
        low = high if low is None else low
        candle = Candle(begins_ms, low, high, low, high if close is None else close, 1.0)
        return self.feed(CandleClosed(candle, self.ts_ms))

    def leave(self, reason: CloseReason = CloseReason.OPERATOR) -> "Story":
        return self.feed(ExitRequested(reason, self.ts_ms))

    def withdraw(self) -> "Story":
        return self.feed(EntriesWithdrawn(self.ts_ms))

    def adjust(self, price: Number = 100, **values: Any) -> "Story":
        return self.feed(Adjusted(Adjustment(**values), Decimal(price), self.ts_ms))

    def outside(self, quantity: Number, price: Number = 100, **more: Any) -> "Story":
        return self.feed(ClosedOutside(quantity=Decimal(quantity), price=Decimal(price), ts_ms=self.ts_ms, **more))

    # Reading

    @property
    def signal(self) -> Any:
        """The present state; a test knows which one."""
        return self.state.signal

    @property
    def name(self) -> str:
        return type(self.state.signal).__name__

    @property
    def idle(self) -> bool:
        return self.state.signal == Idle() and not self.state.orders

    @property
    def asked(self) -> list[tuple[Any, ...]]:
        """Requests of the last input: (what, leg, quantity, price) for orders, (Cancel, leg) for cancels."""
        return [short(request) for request in self.requests]

    @property
    def said(self) -> list[str]:
        """Names of the facts of the last input."""
        return [type(fact).__name__ for fact in self.facts]

    def fact(self, name: str) -> Any:
        """The fact of this name, of the last input."""
        return next(fact for fact in self.facts if type(fact).__name__ == name)

    def record(self, leg: Leg) -> OrderRecord:
        return [record for record in self.state.orders if record.request.leg is leg][-1]

    def id_of(self, leg: Leg) -> str:
        return self.record(leg).request.client_order_id

    def status(self, leg: Leg) -> OrderStatus:
        return self.record(leg).status


LEGS = {leg.value: leg for leg in Leg}


def short(request: Request) -> tuple[Any, ...]:
    """A request in the words of a test."""
    if isinstance(request, Submit | Amend):
        order = request.approved.order
        return (type(request).__name__, order.leg, order.quantity, order.price or order.trigger_price)
    if isinstance(request, AskAdmission):
        order = request.candidate.order
        return ("AskAdmission", order.leg, order.quantity, request.candidate.price)
    if isinstance(request, Compare):
        return ("Compare",)
    return ("Cancel", LEGS[request.client_order_id[22]])


def entered(**values: Any) -> Story:
    """A story whose entry is on its way and accepted."""
    return Story().enter(**values).accept(Leg.ENTRY)


SCHEDULED, OPENING = Story().enter(**LIMIT).state, Story().enter().state
OPEN = Story().open().state
CLOSING = Story().open().leave().state
STATES = {"Scheduled": SCHEDULED, "Opening": OPENING, "Open": OPEN, "Closing": CLOSING}
