"""What the portfolio allows: limits, the numbers they bind, and the verdict.

Rules of this file: a verdict is a function of (usage, limits, candidate); `Approved` has no constructor that outside
code can call; reducing a position is always approved, whatever the trading state; a check that raises denies.
"""

from collections.abc import Callable
from dataclasses import InitVar, dataclass
from decimal import Decimal
from enum import Enum
from typing import Protocol, final

from livebot.core.candidate import Candidate
from livebot.core.market import Side
from livebot.core.order import Leg, OrderRecord, OrderRequest
from livebot.core.quick_init import quick_init
from livebot.core.wording import number, percent
from livebot.errors import Fatal

_SEAL = object()


class TradingState(Enum):
    """ACTIVE opens and closes; REDUCING only closes; HALTED only closes and stays so until an operator lifts it."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class DenialCode(Enum):
    """Why the portfolio said no; one for each limit."""

    HALTED = "halted"
    REDUCING = "reducing"
    STOPPING = "stopping"
    VENUE = "venue"
    PAUSED = "paused"
    QUARANTINED = "quarantined"
    SWITCHED_OFF = "switched_off"
    FOREIGN = "foreign"
    UNIVERSE = "universe"
    OPPOSITE_SIDE = "opposite_side"
    OPEN_SIGNALS = "open_signals"
    OPEN_SIGNALS_STRATEGY = "open_signals_strategy"
    GROSS_EXPOSURE = "gross_exposure"
    SYMBOL_EXPOSURE = "symbol_exposure"
    ORDERS_PER_MINUTE = "orders_per_minute"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    CHECK_FAILED = "check_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is allowed; None means no such limit.

    Counts are of signals that are Scheduled, Opening, Open or Closing; exposures are ratios of equity (1.5 is 150 %);
    losses are positive ratios, of day-start equity (`daily_loss`) and of peak equity (`drawdown`).
    """

    open_signals: int | None = None
    open_signals_per_strategy: int | None = None
    gross_exposure: Decimal | None = None
    symbol_exposure: Decimal | None = None
    orders_per_minute: int | None = None
    daily_loss: Decimal | None = None
    drawdown: Decimal | None = None


class Equities(Protocol):
    """What losses are read off, in quote: what the account is worth, was worth as the day began, and at most."""

    @property
    def equity(self) -> Decimal: ...
    @property
    def day_start_equity(self) -> Decimal: ...
    @property
    def peak_equity(self) -> Decimal: ...


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the limits bind, now, with all reservations counted and the candidate itself not.

    Notionals and equities in quote currency.  `blocks` are the reasons that stop this symbol whatever the numbers;
    `symbol_side` is the side that the symbol holds or has pending, over all strategies (accounts net positions).
    """

    trading_state: TradingState
    blocks: tuple[DenialCode, ...]
    symbol_side: Side | None
    open_signals: int
    open_signals_of_strategy: int
    gross_exposure: Decimal
    symbol_exposure: Decimal
    orders_last_minute: int
    equity: Decimal
    day_start_equity: Decimal
    peak_equity: Decimal


@dataclass(frozen=True, slots=True)
class Denied:
    """The portfolio's no (a venue's no is OrderRejected)."""

    code: DenialCode
    text: str


@final
@dataclass(frozen=True, slots=True)
class Approved:
    """Leave to send one order.  Only the three functions below make one; nobody can alter one."""

    order: OrderRequest
    candidate: Candidate | None
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Refuse anyone without this module's seal.

        Raises:
            Fatal: called from outside this module.

        """
        if seal is not _SEAL:
            message = "Approved is made by the portfolio's judgement only"
            raise Fatal(message)


def approve_reduction(order: OrderRequest) -> Approved:
    """Leave to reduce or protect a position; always given.

    Raises:
        Fatal: the order could add exposure.

    """
    if not order.reduce_only or order.leg.opens:
        message = f"order {order.client_order_id} is not reduce-only and needs the portfolio's approval"
        raise Fatal(message)
    return Approved(order, None, _SEAL)


def approve_repricing(order: OrderRequest, admitted: OrderRecord) -> Approved:
    """Leave to send an entry that was admitted at another price, in the room that was kept for it.

    Raises:
        Fatal: it is not that entry, or it needs more room.

    """
    price, room = order.price, admitted.admitted_price
    same = order.leg is admitted.request.leg is Leg.ENTRY and order.symbol == admitted.request.symbol
    if not same or price is None or room is None or order.quantity * price > admitted.request.quantity * room:
        message = (
            f"order {order.client_order_id} is not within what {admitted.request.client_order_id} was admitted for"
        )
        raise Fatal(message)
    return Approved(order, None, _SEAL)


# A check says what is wrong, or None; texts are built only when there is something to say.
Check = Callable[[Usage, Limits, Candidate], Denied | None]

_BLOCKED = {
    DenialCode.HALTED: "trading is HALTED: nothing opens until an operator lifts it",
    DenialCode.REDUCING: "trading is REDUCING after a loss: positions are only closed",
    DenialCode.STOPPING: "the daemon is stopping and opens nothing more",
    DenialCode.VENUE: "the connection to the venue is not in order for {symbol}: nothing opens there until it is",
    DenialCode.PAUSED: "{symbol} is paused by an operator",
    DenialCode.QUARANTINED: "{symbol} is in quarantine after repeated failures, until it is restarted",
    DenialCode.SWITCHED_OFF: "{symbol} is switched off because too few of its signals won",
    DenialCode.FOREIGN: "{symbol} has an order or a position that is not ours, until it is adopted or dismissed",
    DenialCode.UNIVERSE: "{symbol} has left the universe",
    DenialCode.CHECK_FAILED: "a part of the daemon is at fault: nothing opens until that has passed",
}
_BLOCKED_OTHERWISE = "{symbol} takes no new entries at present"
_STATE_CODES = {TradingState.HALTED: DenialCode.HALTED, TradingState.REDUCING: DenialCode.REDUCING}


def _blocked(usage: Usage, _: Limits, candidate: Candidate) -> Denied | None:
    if not usage.blocks:
        return None
    code = usage.blocks[0]
    return Denied(code, _BLOCKED.get(code, _BLOCKED_OTHERWISE).format(symbol=candidate.symbol))


def _trading_state(usage: Usage, _: Limits, __: Candidate) -> Denied | None:
    if usage.trading_state is TradingState.ACTIVE:
        return None
    code = _STATE_CODES[usage.trading_state]
    return Denied(code, _BLOCKED[code])


def _opposite_side(usage: Usage, _: Limits, candidate: Candidate) -> Denied | None:
    held = usage.symbol_side
    if held is None or held is candidate.side:
        return None
    text = f"{candidate.symbol} is {held.value} or about to be; a {candidate.side.value} would net against it"
    return Denied(DenialCode.OPPOSITE_SIDE, text)


def _open_signals(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.open_signals
    if allowed is None or candidate.signal is None or usage.open_signals < allowed:
        return None
    text = f"open signals: {usage.open_signals} used and 1 asked, {allowed} allowed"
    return Denied(DenialCode.OPEN_SIGNALS, text)


def _open_signals_of_strategy(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.open_signals_per_strategy
    if allowed is None or candidate.signal is None or usage.open_signals_of_strategy < allowed:
        return None
    used = usage.open_signals_of_strategy
    text = f"open signals of {candidate.strategy}: {used} used and 1 asked, {allowed} allowed"
    return Denied(DenialCode.OPEN_SIGNALS_STRATEGY, text)


def _gross_exposure(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.gross_exposure
    if allowed is None or usage.gross_exposure + candidate.notional <= allowed * usage.equity:
        return None
    text = f"gross exposure: {_amounts(usage.gross_exposure, candidate.notional, allowed, usage.equity)}"
    return Denied(DenialCode.GROSS_EXPOSURE, text)


def _symbol_exposure(usage: Usage, limits: Limits, candidate: Candidate) -> Denied | None:
    allowed = limits.symbol_exposure
    if allowed is None or usage.symbol_exposure + candidate.notional <= allowed * usage.equity:
        return None
    amounts = _amounts(usage.symbol_exposure, candidate.notional, allowed, usage.equity)
    return Denied(DenialCode.SYMBOL_EXPOSURE, f"exposure in {candidate.symbol}: {amounts}")


def _orders_per_minute(usage: Usage, limits: Limits, _: Candidate) -> Denied | None:
    allowed = limits.orders_per_minute
    if allowed is None or usage.orders_last_minute < allowed:
        return None
    text = f"orders in the last minute: {usage.orders_last_minute} used and 1 asked, {allowed} allowed"
    return Denied(DenialCode.ORDERS_PER_MINUTE, text)


def _daily_loss(usage: Usage, limits: Limits, _: Candidate) -> Denied | None:
    text = _daily_loss_reached(usage, limits)
    return None if text is None else Denied(DenialCode.DAILY_LOSS, text)


def _drawdown(usage: Usage, limits: Limits, _: Candidate) -> Denied | None:
    text = _drawdown_reached(usage, limits)
    return None if text is None else Denied(DenialCode.DRAWDOWN, text)


def _daily_loss_reached(usage: Equities, limits: Limits) -> str | None:
    allowed, start = limits.daily_loss, usage.day_start_equity
    if allowed is None or start - usage.equity < allowed * start:
        return None
    return f"daily loss: {_losses(start, usage.equity, allowed)} of the equity the day began with"


def _drawdown_reached(usage: Equities, limits: Limits) -> str | None:
    allowed, start = limits.drawdown, usage.peak_equity
    if allowed is None or start - usage.equity < allowed * start:
        return None
    return f"drawdown: {_losses(start, usage.equity, allowed)} of the highest equity"


def _amounts(used: Decimal, asked: Decimal, allowed: Decimal, equity: Decimal) -> str:
    return (
        f"{number(used)} used and {number(asked)} asked, {number(allowed * equity)} allowed "
        f"({percent(allowed)} of equity {number(equity)})"
    )


def _losses(start: Decimal, equity: Decimal, allowed: Decimal) -> str:
    return (
        f"{number(start - equity)} lost of {number(start)}, {number(allowed * start)} allowed; "
        f"the limit is {percent(allowed)}"
    )


CHECKS: tuple[Check, ...] = (
    _blocked,
    _trading_state,
    _opposite_side,
    _open_signals,
    _open_signals_of_strategy,
    _gross_exposure,
    _symbol_exposure,
    _orders_per_minute,
    _daily_loss,
    _drawdown,
)


def judge(usage: Usage, limits: Limits, candidate: Candidate) -> Approved | Denied:
    """Leave to send the candidate's order, or the first check that is against it.  Never raises."""
    for check in CHECKS:
        try:
            denied = check(usage, limits, candidate)
        except Exception as error:  # noqa: BLE001 - a check that cannot tell must not let an order through
            name = check.__name__.strip("_").replace("_", " ")
            return Denied(DenialCode.CHECK_FAILED, f"check of {name} failed: {type(error).__name__}: {error}")
        if denied is not None:
            return denied
    return Approved(candidate.order, candidate, _SEAL)


_SIZES: tuple[tuple[str, Check], ...] = (
    ("open_signals", _open_signals),
    ("open_signals_per_strategy", _open_signals_of_strategy),
    ("gross_exposure", _gross_exposure),
    ("symbol_exposure", _symbol_exposure),
)


def exceeded(usage: Usage, limits: Limits, candidate: Candidate) -> tuple[str, ...]:
    """Every limit that the candidate would exceed, by its name in the config and with its figures.

    For what is there whether we allow it or not.
    """
    found = ((name, check(usage, limits, candidate)) for name, check in _SIZES)
    return tuple(f"risk.limits.{name} ({denied.text})" for name, denied in found if denied is not None)


def next_trading_state(
    present: TradingState, usage: Equities, limits: Limits, *, new_day: bool, halt_on_drawdown: bool = True
) -> tuple[TradingState, str]:
    """What the numbers call for, and the sentence that says why ("" if it is the present state).

    `new_day` is true once after the day-start equity was taken anew.  The first row that fits holds:

        present    numbers               next
        HALTED     any                   HALTED, only an operator lifts it
        any        drawdown reached      HALTED (REDUCING without `halt_on_drawdown`)
        any        daily loss reached    REDUCING
        REDUCING   the same day          REDUCING, also when the loss was won back
        any        otherwise             ACTIVE
    """
    following, text = TradingState.ACTIVE, "a new UTC day has begun and no loss limit is reached"
    drawdown, daily_loss = _drawdown_reached(usage, limits), _daily_loss_reached(usage, limits)
    if present is TradingState.HALTED:
        following = present
    elif drawdown is not None:
        following = TradingState.HALTED if halt_on_drawdown else TradingState.REDUCING
        text = drawdown
    elif daily_loss is not None:
        following, text = TradingState.REDUCING, daily_loss
    elif present is TradingState.REDUCING and not new_day:
        following = present
    return following, "" if following is present else text
