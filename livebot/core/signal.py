"""The signal: a sized trade idea, its five states, and the one table of what may follow what.

Rules of this file: everything that says which transition is legal stands here; a transition that is not in the table
raises and changes nothing; a state's dataclass holds exactly what that state needs, so that an illegal one has no
constructor.

Idle -> Scheduled (a limit entry rests) or Opening (a market entry is on its way) -> Open at the first fill -> Closing
(an exit is on its way, or protective orders are being cleared) -> Idle, when the position is flat and no order is left.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from livebot.core.entry import ExitPlan
from livebot.core.market import Side
from livebot.core.position import Position
from livebot.core.quick_init import quick_init
from livebot.errors import IllegalTransition


class CloseReason(Enum):
    """Why a signal closed."""

    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    TIME_EXPIRED = "time_expired"
    STRATEGY_EXIT = "strategy_exit"
    OPERATOR = "operator"
    PORTFOLIO_HALT = "portfolio_halt"
    VENUE = "venue"
    UNPROTECTED = "unprotected"  # the venue would not take or keep a stop


class CancelReason(Enum):
    """Why an entry ended without a position."""

    EXPIRED = "expired"
    REJECTED = "rejected"
    ABSENT = "absent"
    STRATEGY_EXIT = "strategy_exit"
    OPERATOR = "operator"
    PORTFOLIO_HALT = "portfolio_halt"
    VENUE = "venue"
    TRADING_STATE = "trading_state"  # trading was not ACTIVE any more before it filled


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A sized trade idea.  Prices are on the instrument's ticks, `quantity` on its lot step.

    `reference_price` is the last price when it was decided; `schedule_expires_ms` is set for limit entries only.  An
    entry that is re-priced (`reprices_left` times more) never goes beyond `worst_price`.  `model` (`scope/version`) is
    the one that was asked when it was decided, whatever is in use by now.
    """

    number: int
    side: Side
    quantity: Decimal
    reference_price: Decimal
    limit_price: Decimal | None
    stop_loss: Decimal
    take_profit: Decimal
    lifetime_ms: int
    created_ms: int
    schedule_expires_ms: int | None
    exits: ExitPlan
    confidence: float | None = None
    reason: str = ""
    worst_price: Decimal | None = None
    reprices_left: int = 0
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing: no signal, no order, no position."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A limit entry rests on the venue (or is on its way there) and has not filled; `cancel` once we gave it up.

    `waiting`: the venue refused it because it would have traded at once; it comes again with the next candle.
    """

    signal: Signal
    cancel: CancelReason | None = None
    waiting: bool = False


@quick_init
@dataclass(frozen=True, slots=True)
class Opening:
    """A market entry is on its way and has not filled; `cancel` once we gave it up."""

    signal: Signal
    cancel: CancelReason | None = None


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """There is a position.  `stop_loss` and `take_profit` are the present ones and only ever tighten.

    `partials_done` counts the partial levels already ordered, `averaged` the averaging orders; `stop_trails` says that
    the present stop came from trailing or break-even; `stops_replaced` counts the stops that made way for the next one.
    """

    signal: Signal
    position: Position
    opened_ms: int
    stop_loss: Decimal
    take_profit: Decimal
    partials_done: int = 0
    averaged: int = 0
    stop_trails: bool = False
    stops_replaced: int = 0


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The position is being closed for `reason`, or is flat and its last orders are being cleared."""

    signal: Signal
    position: Position
    opened_ms: int
    stop_loss: Decimal
    take_profit: Decimal
    reason: CloseReason
    stop_trails: bool = False
    stops_replaced: int = 0


SignalState = Idle | Scheduled | Opening | Open | Closing

TRANSITIONS: dict[type, frozenset[type]] = {
    Idle: frozenset({Scheduled, Opening}),
    Scheduled: frozenset({Scheduled, Open, Idle}),
    Opening: frozenset({Opening, Open, Idle}),
    Open: frozenset({Open, Closing, Idle}),
    Closing: frozenset({Closing, Idle}),
}


def transition(present: SignalState, following: SignalState) -> SignalState:
    """The following state, if the table holds it.

    Raises:
        IllegalTransition: the table has no such row; the caller's state is unchanged.

    """
    if type(following) not in TRANSITIONS[type(present)]:
        message = f"a signal cannot go from {type(present).__name__} to {type(following).__name__}"
        raise IllegalTransition(message)
    return following


def tighter_stop(side: Side, present: Decimal, wanted: Decimal) -> Decimal:
    """The stop that risks less: higher for a long, lower for a short."""
    return max(present, wanted) if side is Side.LONG else min(present, wanted)


def tighter_target(side: Side, present: Decimal, wanted: Decimal) -> Decimal:
    """The target that is reached sooner: lower for a long, higher for a short."""
    return min(present, wanted) if side is Side.LONG else max(present, wanted)
