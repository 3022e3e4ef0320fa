"""Management by rule of an open signal: trailing, break-even, partial levels, averaging.

Rules of this file: pure answers about one closed candle; only candles that began after the signal opened count, because
a candle's high and low may be older than the fill; nothing here can loosen a stop.
"""

from dataclasses import dataclass
from decimal import Decimal

from livebot.core.market import Candle, Instrument, Side, decimal_of
from livebot.core.order import ZERO
from livebot.core.signal import Open, tighter_stop

ONE = Decimal(1)


@dataclass(frozen=True, slots=True)
class MovedStop:
    """A tighter stop and why."""

    stop_loss: Decimal
    cause: str


@dataclass(frozen=True, slots=True)
class PartialDue:
    """How many levels are done now, and what to close for them (0: too little to trade)."""

    levels_done: int
    quantity: Decimal


def best_price(side: Side, candle: Candle) -> Decimal:
    """The candle's most favourable price for this side."""
    return decimal_of(candle.high if side is Side.LONG else candle.low)


def gain(side: Side, entry_price: Decimal, price: Decimal) -> Decimal:
    """Ratio gained from entry to price (negative is a loss)."""
    return side.sign * (price - entry_price) / entry_price


def moved_stop(present: Open, candle: Candle, instrument: Instrument) -> MovedStop | None:
    """The tightest of trailing and break-even, if it is tighter than the present stop by a tick or more."""
    plan = present.signal.exits
    if plan.trailing is None and plan.break_even is None:
        return None
    side, entry_price = present.signal.side, present.position.entry_price
    best = best_price(side, candle)
    gained = gain(side, entry_price, best)
    wanted = [MovedStop(present.stop_loss, "")]
    if plan.break_even is not None and gained >= plan.break_even.after:
        level = entry_price * (ONE + side.sign * plan.break_even.offset)
        wanted.append(MovedStop(_on_tick(side, level, instrument), "break_even"))
    if plan.trailing is not None and gained >= plan.trailing.after:
        level = best * (ONE - side.sign * plan.trailing.distance)
        wanted.append(MovedStop(_on_tick(side, level, instrument), "trailing"))
    tightest = wanted[0]
    for other in wanted[1:]:
        if tighter_stop(side, tightest.stop_loss, other.stop_loss) != tightest.stop_loss:
            tightest = other
    return tightest if tightest.cause else None


def _on_tick(side: Side, level: Decimal, instrument: Instrument) -> Decimal:
    # Away from the price, so that rounding cannot move a stop into it.
    return instrument.round_price_down(level) if side is Side.LONG else instrument.round_price_up(level)


def partial_due(present: Open, candle: Candle, instrument: Instrument) -> PartialDue | None:
    """The partial levels that this candle touched and that were not done before."""
    levels = present.signal.exits.partial_levels
    done = present.partials_done
    if done >= len(levels):
        return None
    side, position = present.signal.side, present.position
    gained = gain(side, position.entry_price, best_price(side, candle))
    fraction = ZERO
    while done < len(levels) and gained >= levels[done].gain:
        fraction += levels[done].fraction
        done += 1
    if done == present.partials_done:
        return None
    quantity = instrument.round_quantity(position.entry_quantity * fraction)
    rest = position.closable - quantity
    if not instrument.takes(min(quantity, rest), position.entry_price):
        quantity = ZERO  # neither part may become dust
    return PartialDue(done, quantity)


def averaging_due(present: Open, candle: Candle, instrument: Instrument) -> Decimal | None:
    """The quantity to add, if averaging is allowed and the close is better than the running entry by the step."""
    plan = present.signal.exits.averaging
    if plan is None or present.averaged >= plan.times:
        return None
    side = present.signal.side
    price = decimal_of(candle.close)
    beyond_stop = side.sign * (price - present.stop_loss) <= 0
    if beyond_stop or gain(side, present.position.entry_price, price) > -plan.step:
        return None
    wanted = instrument.fitting(present.signal.quantity * plan.fraction, present.position.entry_quantity)
    quantity = instrument.round_quantity(wanted)
    return quantity if instrument.takes(quantity, price) else None
