"""Facts: what happened to a signal, in order, per (strategy, symbol).

Rules of this file: a fact is never changed once made; (strategy, symbol, sequence) names it for ever; every fact
carries the exposure that holds after it, so that whoever counts exposure needs the last fact only.
"""

from dataclasses import dataclass
from decimal import Decimal

from livebot.core.market import Side
from livebot.core.order import ZERO, Leg
from livebot.core.quick_init import quick_init
from livebot.core.signal import CancelReason, CloseReason


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What one (strategy, symbol) puts at stake, in quote currency unless said.

    `quantity` (base) and `entry_price` are of the open position; `open_notional` is their product; `pending_notional`
    is entry quantity not yet filled at the price it was admitted at; `risk_to_stop` is the loss, before fees, if the
    present stop fills at its price (never below 0); `booked` is realised PnL less fees of the still open signal.
    """

    side: Side | None = None
    quantity: Decimal = ZERO
    entry_price: Decimal = ZERO
    open_notional: Decimal = ZERO
    pending_notional: Decimal = ZERO
    risk_to_stop: Decimal = ZERO
    booked: Decimal = ZERO


NO_EXPOSURE = Exposure()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What all facts share.  `signal_id` is `<strategy>/<symbol>#<number>`."""

    strategy: str
    symbol: str
    sequence: int
    ts_ms: int
    signal_id: str
    side: Side
    exposure: Exposure


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class SignalScheduled(Fact):
    """A limit entry was decided, approved and saved.  `model` (`scope/version`) is what was asked for its confidence."""

    quantity: Decimal
    limit_price: Decimal
    stop_loss: Decimal
    take_profit: Decimal
    confidence: float | None
    reason: str
    model: str | None = None


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class SignalOpening(Fact):
    """A market entry was decided, approved and saved.  `model` as of a scheduled one."""

    quantity: Decimal
    reference_price: Decimal
    stop_loss: Decimal
    take_profit: Decimal
    confidence: float | None
    reason: str
    model: str | None = None


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class SignalOpened(Fact):
    """The first entry fill."""

    quantity: Decimal
    price: Decimal
    stop_loss: Decimal
    take_profit: Decimal


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class PositionIncreased(Fact):
    """A further entry fill, of the entry or of averaging."""

    leg: Leg
    quantity: Decimal
    price: Decimal


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class PositionReduced(Fact):
    """An exit fill that leaves something open, or the one that leaves nothing."""

    leg: Leg
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RemainderKept(Fact):
    """Of a position that closes, less is left than can be sold: it stays at the venue and goes into the next position.

    `quantity` in base, `cost` in quote at the average entry price; it is no part of this signal's PnL.
    """

    quantity: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RemainderTaken(Fact):
    """What earlier positions had left is part of this one from here on: its cost is in this signal's PnL.

    `quantity` in base, `cost` in quote: all that was carried.
    """

    quantity: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RemainderGone(Fact):
    """So much of what earlier positions had left is no longer at the venue, and no order of ours did it.

    `quantity` in base; `cost` in quote is what it had cost, `pnl_net` what it brought at `price`, less `fee` and that cost.
    It is no part of any signal's PnL; the signal is the last one that there was.
    """

    quantity: Decimal
    cost: Decimal
    price: Decimal
    fee: Decimal
    pnl_net: Decimal


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class StopMoved(Fact):
    """The stop was tightened; `cause` is trailing, break_even, strategy or tick_size (the venue's ticks are others now)."""

    stop_loss: Decimal
    cause: str


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class TargetMoved(Fact):
    """The target was tightened by the strategy, or because the venue's ticks are others now."""

    take_profit: Decimal


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFailed(Fact):
    """A venue refused an order, or proved that it never had it; `code` is the venue's word or `absent`."""

    leg: Leg
    client_order_id: str
    code: str
    text: str


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class SignalClosing(Fact):
    """An exit was decided and saved."""

    reason: CloseReason


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class SignalClosed(Fact):
    """Flat, and no order left.  PnL is net of fees; `pnl_ratio` is over the money put in (0.01 is 1 %)."""

    reason: CloseReason
    opened_ms: int
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    fees: Decimal
    pnl_net: Decimal
    pnl_ratio: Decimal


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class EntryCancelled(Fact):
    """The entry ended and nothing had filled."""

    reason: CancelReason
    text: str


FACT_KINDS: tuple[type[Fact], ...] = (
    SignalScheduled,
    SignalOpening,
    SignalOpened,
    PositionIncreased,
    PositionReduced,
    RemainderKept,
    RemainderTaken,
    RemainderGone,
    StopMoved,
    TargetMoved,
    OrderFailed,
    SignalClosing,
    SignalClosed,
    EntryCancelled,
)

# Those that tell of orders that add exposure: of entries the first two, of averaging the others (which tell of entries too).
ORDER_KINDS = (SignalScheduled, SignalOpening, PositionIncreased, OrderFailed)
