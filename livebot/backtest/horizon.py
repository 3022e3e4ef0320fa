"""When a candle can matter to a signal: what provably changes nothing is not looked at.

Rules of this file: it may name a candle that changes nothing, it must not pass over one that does; float bounds are
therefore wider than the exact ones by `SLACK`.  Whatever is not plainly at rest is looked at with each candle.
"""

from dataclasses import dataclass
from decimal import Decimal
from math import inf

import numpy as np

from livebot.backtest.tape import Tape
from livebot.core.exposure import held
from livebot.core.inputs import SymbolState
from livebot.core.market import MINUTE_MS, Side
from livebot.core.order import Leg, OrderRecord, OrderStatus
from livebot.core.rules import Rules
from livebot.core.signal import Open, Scheduled

SLACK = 1e-9  # a ratio of the price; floats are off by 1e-16 of it, and the exact arithmetic by less
NEVER = 1 << 60
_CHUNK = 256  # minutes searched first; each further part is _GROWTH times as long
_GROWTH = 4


@dataclass(slots=True)
class Watch:
    """What to look out for: a high at or above `rise`, a low at or below `fall`, or likewise a close; `until` at the latest.

    `until` is a minute; prices are floats.
    """

    rise: float = inf
    fall: float = -inf
    close_rise: float = inf
    close_fall: float = -inf
    until: int = NEVER

    @property
    def watches(self) -> bool:
        """Whether any price is looked out for."""
        return self.rise < inf or self.fall > -inf or self.close_rise < inf or self.close_fall > -inf

    def level(self, price: float, *, falls: bool) -> None:
        """Look out for this level too."""
        if falls:
            self.fall = max(self.fall, price)
        else:
            self.rise = min(self.rise, price)


def add_state(watch: Watch, state: SymbolState, rules: Rules) -> bool:
    """Add what the kernel would look at in candles; False if it has to see each of them.  Idle states add nothing."""
    present = state.signal
    if isinstance(present, Open):
        if not _at_rest(present, state.orders, resting_target=rules.resting_target):
            return False
        watch.until = min(watch.until, minute_of(present.opened_ms + present.signal.lifetime_ms))
        _add_plan(watch, present, rules)
        return True
    if isinstance(present, Scheduled) and present.cancel is None and not present.waiting:
        expires_ms = present.signal.schedule_expires_ms
        if expires_ms is not None:
            watch.until = min(watch.until, minute_of(expires_ms))
        return True
    return False


def first_touch(watch: Watch, tape: Tape, begin: int, end: int) -> int:
    """The first minute from `begin` on that matters, at most `watch.until`; `end` (the run's) if none before it does."""
    stop = min(watch.until, end, tape.stop)
    at, size = begin, _CHUNK
    while at < stop:
        part = slice(at - tape.first, min(at + size, stop) - tape.first)
        hit = (tape.high[part] >= watch.rise) | (tape.low[part] <= watch.fall)
        if watch.close_rise < inf:
            hit |= tape.close[part] >= watch.close_rise
        if watch.close_fall > -inf:
            hit |= tape.close[part] <= watch.close_fall
        found = int(np.argmax(hit))
        if hit[found]:
            return at + found
        at, size = at + size, size * _GROWTH
    return stop


def minute_of(ts_ms: int) -> int:
    """The first minute whose close is not before this time."""
    return -(-ts_ms // MINUTE_MS) - 1


def _at_rest(present: Open, orders: tuple[OrderRecord, ...], *, resting_target: bool) -> bool:
    """Whether a stop and a target (where they may stand side by side) are at the venue exactly as they should be."""
    stop = target = False
    quantity = held(present.position, orders)
    for record in orders:
        leg = record.request.leg
        if not record.status.live:
            if not record.settled:
                return False
        elif not _stands(record, present, quantity):
            return False
        elif leg is Leg.STOP:
            stop = True
        elif leg is Leg.TARGET:
            target = True
        else:
            return False
    return stop and target is resting_target


def _stands(record: OrderRecord, present: Open, quantity: Decimal) -> bool:
    request = record.request
    return (
        record.status is OrderStatus.WORKING
        and record.confirmed
        and not record.cancel_requested
        and request.quantity - record.filled == quantity
        and (request.trigger_price == present.stop_loss or request.price == present.take_profit)
    )


def _add_plan(watch: Watch, present: Open, rules: Rules) -> None:
    """The prices at which management by rule begins to do something."""
    plan, side = present.signal.exits, present.signal.side
    sign, entry = side.sign, present.position.entry_price
    levels = [present.take_profit]
    if plan.partial_levels[present.partials_done :]:
        levels.append(entry * (1 + sign * plan.partial_levels[present.partials_done].gain))
    if plan.break_even is not None:
        moved = entry * (1 + sign * plan.break_even.offset)
        if sign * (moved - present.stop_loss) > 0:
            levels.append(entry * (1 + sign * plan.break_even.after))
    if plan.trailing is not None:
        # the best price from which on the stop that follows it is tighter by a tick
        tighter = (present.stop_loss + sign * rules.instrument.tick_size) / (1 - sign * plan.trailing.distance)
        begins = entry * (1 + sign * plan.trailing.after)
        levels.append(max(tighter, begins) if side is Side.LONG else min(tighter, begins))
    nearest = min(levels) if side is Side.LONG else max(levels)
    watch.level(_wider(nearest, falls=side is Side.SHORT), falls=side is Side.SHORT)
    averaging = plan.averaging
    if averaging is not None and present.averaged < averaging.times:
        _add_averaging(watch, entry * (1 - sign * averaging.step), side)


def _add_averaging(watch: Watch, price: Decimal, side: Side) -> None:
    if side is Side.LONG:
        watch.close_fall = max(watch.close_fall, _wider(price, falls=True))
    else:
        watch.close_rise = min(watch.close_rise, _wider(price, falls=False))


def _wider(price: Decimal, *, falls: bool) -> float:
    return float(price) * (1 + SLACK if falls else 1 - SLACK)
