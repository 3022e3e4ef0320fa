"""What became of an entry, had it been taken: the triple barrier of its own stop, target and lifetime.

After Lopez de Prado, Advances in Financial Machine Learning, chapter 3, with the barriers that the signal itself has.  The
outcome is that of the backtest's matching engine on the base candles: entry at the next open, `slippage` worse; what
one candle holds of both barriers is the stop; a stop fills at its trigger, or at the open that is beyond it; at the end
of its life it is closed at the open.  A test holds every label equal to what the backtest makes of the same signal.

What changes an outcome later is left out: exit plans (trailing, break-even, partial levels, averaging), `manage` of the
strategy, limits and halts of the portfolio, funding.  A label is what the entry is worth if it is left to itself.

Rules of this file: the usual signal (at the market, stop and target side by side) is resolved by array search here, any
other one by the engine itself (`lone_signal`); an outcome that is not known by the end of the candles is no outcome.
"""

from dataclasses import dataclass
from decimal import Decimal

from livebot.backtest.horizon import Watch, first_touch, minute_of
from livebot.backtest.plain_settings import plain
from livebot.backtest.plan import BacktestPlan
from livebot.backtest.tape import Tape
from livebot.core.market import MINUTE_MS, OrderSide, Side, decimal_of
from livebot.core.order import ZERO
from livebot.core.signal import CloseReason, Signal
from livebot.learning.dataset import EXPIRED, STOPPED, TARGET
from livebot.learning.events import Event
from livebot.learning.lone_signal import Ended, LoneSignal
from livebot.simulator.checks import refuse_shape

UNKNOWN = "outcome_unknown"  # why an event is no row: the candles end before it does

_BARRIERS = {CloseReason.TAKE_PROFIT: TARGET, CloseReason.TIME_EXPIRED: EXPIRED}  # of any other reason it was stopped


@dataclass(frozen=True, slots=True)
class Outcome:
    """`end_ms` UTC; `barrier` TARGET, EXPIRED or STOPPED; `gain` net and `cost` as ratios of the entry's notional.

    `end_ms` is when the signal closed, at the earliest a minute after its close (an open beyond the target ends it at once);
    one that expires is closed at the open that begins then, so that open is the last price it follows from.
    `cost` is what fees and slippage took of the gain, at the rates of the plan, rounding to ticks not counted.
    """

    end_ms: int
    barrier: int
    gain: float
    cost: float


class Labels:
    """The outcomes of one symbol's events."""

    def __init__(self, plan: BacktestPlan, symbol: str, tape: Tape) -> None:
        """`plan` is an `asking_plan`."""
        self._plan = plan
        self._tape = tape
        self._instrument = plan.instruments[symbol]
        self._end = min(plan.end_ms // MINUTE_MS, tape.stop)
        self._lone = LoneSignal(plan, symbol, tape)
        self._plain = plain(self._lone.plan)

    def outcome(self, event: Event) -> Outcome | str:
        """What became of it, or why nothing did: a code, `outcome_unknown` or `entry_` and why it never filled."""
        price = decimal_of(self._tape.price(event.minute + 1))
        usual = (
            self._plain
            and event.signal.limit_price is None
            and not _at_odds(event.signal, price)
            and refuse_shape(event.order, self._instrument, price) is None
        )
        return self._resolved(event, price) if usual else self._played(event)

    # By search

    def _resolved(self, event: Event, price: Decimal) -> Outcome | str:
        signal, tape, instrument = event.signal, self._tape, self._instrument
        expiry = self._present(minute_of(event.close_ms + signal.lifetime_ms))
        touched = self._touch(signal, event.minute + 1, min(expiry + 1, self._end))
        if touched is not None:
            last, barrier, level = touched
        elif expiry < self._end and expiry + 1 < tape.stop:
            last, barrier, level = expiry, EXPIRED, decimal_of(tape.price(expiry + 1))
        else:
            return UNKNOWN
        slippage = left_slippage = self._plan.fills.slippage
        entry, rate = self._slipped(price, signal.side.entry_order), instrument.taker_fee
        if barrier == TARGET:
            left_slippage, rate = ZERO, instrument.maker_fee
        else:
            level = self._slipped(level, signal.side.exit_order)
        share = level / entry
        fees = instrument.taker_fee + rate * share
        gain = signal.side.sign * (share - 1) - fees
        cost = fees + slippage + left_slippage * share
        return Outcome((last + 1) * MINUTE_MS, barrier, float(gain), float(cost))

    def _touch(self, signal: Signal, begin: int, end: int) -> tuple[int, int, Decimal] | None:
        """The minute at which stop or target trades, which of them, and where that starts; None before `end`."""
        tape, rises = self._tape, signal.side is Side.LONG
        stop, target = float(signal.stop_loss), float(signal.take_profit)
        watch = Watch(rise=target, fall=stop) if rises else Watch(rise=stop, fall=target)
        while (minute := first_touch(watch, tape, begin, end)) < end:
            at = minute - tape.first
            high, low = tape.high.item(at), tape.low.item(at)
            if low <= stop if rises else high >= stop:
                opened = decimal_of(tape.open.item(at))
                return minute, STOPPED, (min if rises else max)(signal.stop_loss, opened)
            if not self._plan.fills.through or (high > target if rises else low < target):
                return minute, TARGET, signal.take_profit
            begin = minute + 1
        return None

    def _slipped(self, price: Decimal, side: OrderSide) -> Decimal:
        """As the matching engine makes it: worse, and on the tick beyond."""
        instrument, slippage = self._instrument, self._plan.fills.slippage
        if side is OrderSide.BUY:
            return instrument.round_price_up(price * (1 + slippage))
        return max(instrument.round_price_down(price * (1 - slippage)), instrument.tick_size)

    def _present(self, minute: int) -> int:
        """This minute or the next that is not missing: in a gap nobody is told that time has passed."""
        while minute < self._end and not self._tape.has(minute):
            minute += 1
        return minute

    # By the engine

    def _played(self, event: Event) -> Outcome | str:
        ended = self._lone.play(event)
        if ended is None:
            return UNKNOWN
        if not isinstance(ended, Ended):
            return f"entry_{ended.value}"
        cost = ended.fees + self._plan.fills.slippage * ended.at_market
        end_ms = max(ended.end_ms, event.close_ms + MINUTE_MS)
        return Outcome(end_ms, _BARRIERS.get(ended.reason, STOPPED), float(ended.gain), float(cost))


def _at_odds(signal: Signal, price: Decimal) -> bool:
    """Whether stop or target would trade at once at this price."""
    sign = signal.side.sign
    return sign * (price - signal.stop_loss) <= 0 or sign * (signal.take_profit - price) <= 0
