"""Everything that can happen to one (strategy, symbol), as the kernel is told it, and what the kernel asks for in turn.

Rules of this file: values only; every input carries the time at which it became true (UTC milliseconds).
"""

from dataclasses import dataclass
from decimal import Decimal

from livebot.core.candidate import Candidate
from livebot.core.entry import Adjustment
from livebot.core.facts import Fact
from livebot.core.market import Candle
from livebot.core.order import ZERO, Fill, OrderRecord, OrderStatus
from livebot.core.quick_init import quick_init
from livebot.core.risk import Approved
from livebot.core.signal import CloseReason, SignalState


@dataclass(frozen=True, slots=True)
class Admitted:
    """The portfolio approved this candidate (entry or averaging)."""

    approved: Approved
    ts_ms: int


@dataclass(frozen=True, slots=True)
class CandleClosed:
    """A base candle closed; `ts_ms` is its close time."""

    candle: Candle
    ts_ms: int


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAccepted:
    """The venue has the order, with these values (on submit: those we sent; when asked: those it reports)."""

    client_order_id: str
    venue_order_id: str
    quantity: Decimal
    price: Decimal | None
    trigger_price: Decimal | None
    ts_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRejected:
    """The venue's definite no; nothing of the order lives there."""

    client_order_id: str
    code: str
    text: str
    ts_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUnknown:
    """Sent, and nobody knows what came of it; it will be asked for by client order id."""

    client_order_id: str
    text: str
    ts_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAbsent:
    """The venue proved, after its acceptance window, that it never got the order."""

    client_order_id: str
    ts_ms: int


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """A trade of one of our orders; repeated ones are recognised by trade id."""

    fill: Fill
    ts_ms: int


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEnded:
    """The venue ended the order (FILLED or CANCELED) and says how much of it had filled."""

    client_order_id: str
    status: OrderStatus
    filled: Decimal
    ts_ms: int


@dataclass(frozen=True, slots=True)
class ExitRequested:
    """Someone with the right to do so wants this signal ended (an entry cancelled, a position closed)."""

    reason: CloseReason
    ts_ms: int


@dataclass(frozen=True, slots=True)
class EntriesWithdrawn:
    """Trading is not ACTIVE any more: what would still open or add something is taken back; a position goes on."""

    ts_ms: int


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What the strategy's `manage` wants."""

    adjustment: Adjustment
    price: Decimal
    ts_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedOutside:
    """The venue holds `quantity` less than we do and no order of ours did that; valued at `price`.

    `trade_id` is that of the venue's trade which did it, empty if none is known: then the price is an estimate, and the fee
    (in quote currency) is left out.  `by_stop`: the stop that had travelled with our entry did it, which has no id of ours.
    """

    quantity: Decimal
    price: Decimal
    ts_ms: int
    fee: Decimal = Decimal(0)
    trade_id: str = ""
    by_stop: bool = False


Input = (
    Admitted
    | CandleClosed
    | OrderAccepted
    | OrderRejected
    | OrderUnknown
    | OrderAbsent
    | OrderFilled
    | OrderEnded
    | ExitRequested
    | EntriesWithdrawn
    | Adjusted
    | ClosedOutside
)

OrderEvent = OrderAccepted | OrderRejected | OrderUnknown | OrderAbsent | OrderFilled | OrderEnded
OrderOutcome = OrderAccepted | OrderRejected | OrderUnknown


@dataclass(frozen=True, slots=True)
class Submit:
    """Send this order, once the state that holds it is durable."""

    approved: Approved


@dataclass(frozen=True, slots=True)
class Amend:
    """Make the venue's order with this client id look like this one."""

    approved: Approved


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take this order back."""

    symbol: str
    client_order_id: str


@dataclass(frozen=True, slots=True)
class Compare:
    """Compare what the venue holds with what we do: it refused to reduce a position that we believe is there."""

    symbol: str


@dataclass(frozen=True, slots=True)
class AskAdmission:
    """Ask the portfolio for this candidate and come back with Admitted, or not at all."""

    candidate: Candidate


Request = Submit | Amend | Cancel | Compare | AskAdmission


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolState:
    """All that is durable of one (strategy, symbol).

    `sequence` numbers the last fact, `number` the last signal; `orders` are those of the present signal; `outbox` holds
    the facts that the ledger has not confirmed; `decided_ms` is the close time of the last candle decided upon.
    `remainder` (base) is what a closed position left at the venue because it was too little to sell, and `remainder_cost`
    (quote) what that cost: both go into the next position.
    """

    system: str
    strategy: str
    symbol: str
    sequence: int = 0
    number: int = 0
    signal: SignalState
    orders: tuple[OrderRecord, ...] = ()
    outbox: tuple[Fact, ...] = ()
    decided_ms: int = 0
    remainder: Decimal = ZERO
    remainder_cost: Decimal = ZERO


@quick_init
@dataclass(frozen=True, slots=True)
class Step:
    """The next state, what to do (in this order, after saving), and what happened.

    `state` is the same object if nothing did.
    """

    state: SymbolState
    requests: tuple[Request, ...]
    facts: tuple[Fact, ...]
