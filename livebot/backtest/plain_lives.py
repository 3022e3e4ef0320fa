"""Signals that are opened at the market and left to their stop, their target or their time: whole lives at once.

Nine of ten steps of such a signal are known in advance: the entry fills at once, stop and target are taken, nothing
moves them, and one touch or the time ends it.  Here the facts of all these kernel steps are written down directly.

Rules of this file: it decides nothing: entries come from the strategy, sizes and checks from `core.propose`, fills follow
the matching engine's rules; whatever is not plain raises NotPlain, and the plan is run step by step instead; a property
test holds every fact equal to those of the kernel.
"""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

from livebot.backtest.engine import TOLD, Progress, in_order, moment_of_verdict, still_open, tapes_of, young
from livebot.backtest.entering import question_about
from livebot.backtest.equity import courses_of, equity_curve
from livebot.backtest.feature_cache import FeatureCache
from livebot.backtest.frames import Frames
from livebot.backtest.horizon import NEVER, Watch, first_touch, minute_of
from livebot.backtest.instance import Instance
from livebot.backtest.margin import margin_suffices
from livebot.backtest.membership import Membership
from livebot.backtest.plain_settings import plain, plain_entry
from livebot.backtest.plan import BacktestPlan, StrategyRun
from livebot.backtest.result import BacktestResult
from livebot.backtest.tape import Tape
from livebot.core.candidate import Candidate, Refused
from livebot.core.denial import DenialCode, Denied, TradingState
from livebot.core.entry import Entry
from livebot.core.facts import (
    NO_EXPOSURE,
    Exposure,
    Fact,
    PositionReduced,
    SignalClosed,
    SignalClosing,
    SignalOpened,
    SignalOpening,
)
from livebot.core.inputs import SymbolState
from livebot.core.limits import Usage
from livebot.core.market import MINUTE_MS, OrderSide, Side, decimal_of
from livebot.core.order import ZERO, Fill, Leg
from livebot.core.position import Position
from livebot.core.propose import Circumstances, propose, trusted
from livebot.core.risk import Approved, judge
from livebot.core.signal import CloseReason, Signal
from livebot.model_ports import Judgement
from livebot.ports import Decision
from livebot.simulator.checks import refuse_shape
from livebot.simulator.holdings import MONEY_STEP

_NOT_ASKED = Judgement()


class Pending(NamedTuple):
    """What of an entry has not filled: here nothing, written as the kernel's subtraction writes it."""

    quantity: Decimal
    notional: Decimal


class NotPlain(Exception):
    """Something is not as plain as was assumed; nothing of what was made here may be used."""


class PlainLives:
    """All signals of one strategy on one symbol."""

    def __init__(self, plan: BacktestPlan, run: StrategyRun, symbol: str, tape: Tape, frames: Frames) -> None:
        """Nothing has happened.  Raises NotPlain, BadInput."""
        self.facts: list[Fact] = []
        self.verdicts: list[Decision] = []
        self.instance = Instance(plan, run, symbol, frames)
        self._membership = Membership(plan.members, symbol)
        self._plan = plan
        self._symbol = symbol
        self._tape = tape
        self._instrument = plan.instruments[symbol]
        self._end = min(plan.end_ms // MINUTE_MS, tape.stop)
        self._sequence = 0
        asked_for = plan.confidences is not None and plan.confidences.asked_for(run.id)
        self._confidences = plan.confidences if asked_for else None
        self._left: tuple[int, Side] | None = None  # when the last signal ended by a touch, and on which side it was
        self.earned = ZERO  # what the wallet gained, in quote
        if tape.missing is not None:
            raise NotPlain

    def live(self, progress: Callable[[int], None]) -> None:
        """From the first to the last; `progress` hears at which minute it is.  Raises NotPlain, BadInput."""
        minute = self._plan.start_ms // MINUTE_MS
        while True:
            minute = self._next_wish(max(minute, self._tape.first))
            if minute >= self._end:
                return
            progress(minute)
            candidate = self._proposed(minute)
            minute = minute + 1 if candidate is None else self._life(candidate, minute)

    def _next_wish(self, minute: int) -> int:
        """The first minute, this one or later, at which it is asked and wants to enter."""
        if self._left is not None and self._left[0] == minute and self.instance.wish_at(minute) is not None:
            return minute  # also of one that has left the universe: until now something was open
        while minute < self._end:
            first, stop = self._membership.span_from(minute)
            minute = self.instance.next_wish(first, stop)
            if minute < stop:
                return minute
        return NEVER

    def _proposed(self, minute: int) -> Candidate | None:
        wish, close_ms, instance = self.instance.wish_at(minute), (minute + 1) * MINUTE_MS, self.instance
        if wish is None or wish.entry is None:
            raise NotPlain
        entry = wish.entry
        if not plain_entry(entry):
            raise NotPlain
        judgement = self._judgement(entry, close_ms)
        now = Circumstances(
            price=decimal_of(self._tape.last_close(minute)),
            equity=self._plan.wallet,
            ts_ms=close_ms,
            confidence=judgement.confidence,
            model=judgement.model,
        )
        candidate: Candidate | None = None
        if judgement.refused is not None:
            outcome, why = "refused", judgement.refused
        else:
            candidate, outcome, why = self._verdict(propose(instance.state, entry, now, instance.rules), minute)
        trust = trusted(entry, now)
        self.verdicts.append(instance.verdict(close_ms, entry, outcome, why, confidence=trust, model=now.model))
        return candidate

    def _judgement(self, entry: Entry, close_ms: int) -> Judgement:
        """What the model says of it, if it is asked."""
        if self._confidences is None:
            return _NOT_ASKED
        (judgement,) = self._confidences.judge((question_about(self.instance, entry, close_ms),), close_ms)
        return judgement

    def _verdict(self, proposed: Candidate | Refused, minute: int) -> tuple[Candidate | None, str, tuple[str, str]]:
        """The candidate if it may open, the outcome, and why: a code and a sentence."""
        if isinstance(proposed, Refused):
            return None, "refused", (proposed.code, proposed.text)
        if self._left is not None and self._left[0] == minute:
            # Until a model has answered, the portfolio has heard of the signal that ended at this very close.
            held = self._left[1] if self._confidences is None else None
            verdict = self._judged(proposed, held, minute)
            if isinstance(verdict, Denied):
                return None, "denied", (verdict.code.value, verdict.text)
        return proposed, "approved", ("approved", "")

    def _judged(self, candidate: Candidate, held: Side | None, minute: int) -> Approved | Denied:
        """The portfolio's verdict; `held`: on which side a signal was whose end, at this very close, it has not heard of yet."""
        wallet = self._plan.wallet
        usage = Usage(
            trading_state=TradingState.ACTIVE,
            blocks=() if self._membership.has(minute) else (DenialCode.UNIVERSE,),
            symbol_side=held,
            open_signals=0,
            open_signals_of_strategy=0,
            gross_exposure=ZERO,
            symbol_exposure=ZERO,
            orders_last_minute=0,
            equity=wallet,
            day_start_equity=wallet,
            peak_equity=wallet,
        )
        return judge(usage, self._plan.limits, candidate)

    def _life(self, candidate: Candidate, minute: int) -> int:
        """Tell the signal's facts; the first minute at whose close the next one can be wanted."""
        signal, opened_ms = candidate.signal, (minute + 1) * MINUTE_MS
        assert signal is not None  # it is an entry
        instance, instrument = self.instance, self._instrument
        price = decimal_of(self._tape.price(minute + 1))
        if refuse_shape(candidate.order, instrument, price) is not None or _at_odds(signal, price):
            raise NotPlain
        unfilled = signal.quantity - ZERO  # 1E+1 becomes 10: written with the digits that venue and kernel write
        fill = self._fill(candidate.order.client_order_id, signal.side.entry_order, unfilled, price, opened_ms)
        position = Position(signal.side).with_entry(fill)
        left = signal.quantity - fill.quantity
        nothing = Pending(ZERO + left, ZERO + left * candidate.price)
        pending = ZERO + unfilled * candidate.price
        asked = Exposure(
            side=signal.side,
            pending_notional=pending,
            risk_to_stop=abs(pending - unfilled * signal.stop_loss),
        )
        held = _exposure(signal, position, nothing)
        levels = {"stop_loss": signal.stop_loss, "take_profit": signal.take_profit}
        self._tell(
            SignalOpening,
            signal,
            opened_ms,
            asked,
            quantity=signal.quantity,
            reference_price=signal.reference_price,
            confidence=signal.confidence,
            model=signal.model,
            reason=signal.reason,
            **levels,
        )
        self._tell(SignalOpened, signal, opened_ms, held, quantity=fill.quantity, price=fill.price, **levels)
        instance.state = SymbolState(
            system=self._plan.system,
            strategy=instance.name,
            symbol=self._symbol,
            number=signal.number,
            signal=instance.state.signal,
        )
        self.earned -= fill.fee
        return self._ended(signal, position, held, nothing, minute)

    def _ended(self, signal: Signal, position: Position, held: Exposure, nothing: Pending, minute: int) -> int:
        expiry = minute_of((minute + 1) * MINUTE_MS + signal.lifetime_ms)
        touched = self._touch(signal, minute + 1, min(expiry + 1, self._end))
        if touched is not None:
            at, leg, level = touched
            self._left = at, signal.side
            self._close(signal, position, nothing, at, leg, level)
            return at
        if expiry >= self._end:
            return NEVER
        ts_ms = (expiry + 1) * MINUTE_MS
        self._tell(SignalClosing, signal, ts_ms, held, reason=CloseReason.TIME_EXPIRED)
        price = decimal_of(self._tape.price(expiry + 1))
        self._close(signal, position, nothing, expiry, Leg.EXIT, price)
        return expiry + 1

    def _touch(self, signal: Signal, begin: int, end: int) -> tuple[int, Leg, Decimal] | None:
        """The minute at which stop or target trades, which of them, and where that starts; None before `end`."""
        tape, rises = self._tape, signal.side is Side.LONG
        stop, target = float(signal.stop_loss), float(signal.take_profit)
        watch = Watch(rise=target, fall=stop) if rises else Watch(rise=stop, fall=target)
        while (minute := first_touch(watch, tape, begin, end)) < end:
            at = minute - tape.first
            high, low = tape.high.item(at), tape.low.item(at)
            if low <= stop if rises else high >= stop:  # where one candle holds both, the stop is what happened
                opened = decimal_of(tape.open.item(at))
                return minute, Leg.STOP, (min if rises else max)(signal.stop_loss, opened)
            if not self._plan.fills.through or (high > target if rises else low < target):
                return minute, Leg.TARGET, signal.take_profit
            begin = minute + 1
        return None

    def _close(
        self, signal: Signal, position: Position, nothing: Pending, minute: int, leg: Leg, level: Decimal
    ) -> None:
        ts_ms, side = (minute + 1) * MINUTE_MS, signal.side.exit_order
        opened_ms = position.entries[0].ts_ms
        fill = self._fill("", side, position.quantity, level, ts_ms, maker=leg is Leg.TARGET)
        position = position.with_exit(fill)
        self.earned += position.realised - fill.fee
        after = _exposure(signal, position, nothing)
        self._tell(PositionReduced, signal, ts_ms, after, leg=leg, quantity=fill.quantity, price=fill.price)
        reason = _REASONS[leg]
        if leg is not Leg.EXIT:  # that one was told when its time had come
            self._tell(SignalClosing, signal, ts_ms, after, reason=reason)
        self._tell(
            SignalClosed,
            signal,
            ts_ms,
            NO_EXPOSURE,
            reason=reason,
            opened_ms=opened_ms,
            quantity=position.traded,
            entry_price=position.entry_price,
            exit_price=position.exit_price,
            fees=position.all_fees,
            pnl_net=position.net,
            pnl_ratio=position.net_ratio,
        )

    def _fill(
        self, order_id: str, side: OrderSide, quantity: Decimal, price: Decimal, ts_ms: int, *, maker: bool = False
    ) -> Fill:
        """A trade of the whole quantity, as the matching engine makes it."""
        instrument, slippage = self._instrument, self._plan.fills.slippage
        if not maker and side is OrderSide.BUY:
            price = instrument.round_price_up(price * (1 + slippage))
        elif not maker:
            price = max(instrument.round_price_down(price * (1 - slippage)), instrument.tick_size)
        rate = instrument.maker_fee if maker else instrument.taker_fee
        return Fill(
            trade_id="",
            client_order_id=order_id,
            ts_ms=ts_ms,
            side=side,
            price=price,
            quantity=quantity,
            fee=(quantity * price * rate).quantize(MONEY_STEP, ROUND_HALF_EVEN),
        )

    def _tell(self, kind: type[Fact], signal: Signal, ts_ms: int, exposure: Exposure, **values: Any) -> None:  # noqa: ANN401 - each kind has its own
        self._sequence += 1
        name, symbol = self.instance.name, self._symbol
        self.facts.append(
            kind(
                strategy=name,
                symbol=symbol,
                sequence=self._sequence,
                ts_ms=ts_ms,
                signal_id=f"{name}/{symbol}#{signal.number}",
                side=signal.side,
                exposure=exposure,
                **values,
            )
        )


_REASONS = {
    Leg.STOP: CloseReason.STOP_LOSS,
    Leg.TARGET: CloseReason.TAKE_PROFIT,
    Leg.EXIT: CloseReason.TIME_EXPIRED,
}


def _at_odds(signal: Signal, price: Decimal) -> bool:
    """Whether stop or target would trade at once at this price."""
    sign = signal.side.sign
    return sign * (price - signal.stop_loss) <= 0 or sign * (signal.take_profit - price) <= 0


def _exposure(signal: Signal, position: Position, nothing: Pending) -> Exposure:
    """As `core.exposure.exposure_of` reads it off the state."""
    quantity, entry_price = max(ZERO, position.quantity), position.entry_price
    open_notional = quantity * entry_price
    at_stake = open_notional + nothing.notional
    return Exposure(
        side=signal.side,
        quantity=quantity,
        entry_price=entry_price,
        open_notional=open_notional,
        pending_notional=nothing.notional,
        risk_to_stop=max(ZERO, signal.side.sign * (at_stake - (quantity + nothing.quantity) * signal.stop_loss)),
        booked=position.net,
    )


def run_plain(plan: BacktestPlan, progress: Progress) -> BacktestResult | None:
    """The result of a plan, if all of its signals are plain; else None.

    Raises:
        BadInput: as `run_whole`.

    """
    if not plain(plan):
        return None
    tapes = tapes_of(plan)
    start, end = plan.start_ms // MINUTE_MS, plan.end_ms // MINUTE_MS
    frames = Frames(tapes, start, end, FeatureCache(plan.cache, plan.cache_bytes))
    keys = [(run, symbol) for run in plan.strategies for symbol in run.symbols]
    try:
        lives = [PlainLives(plan, run, symbol, tapes[symbol], frames) for run, symbol in keys]
        said = young(each.instance for each in lives)
        for place, each in enumerate(lives):
            each.live(_part_of(progress, place, len(keys), start, end))
    except NotPlain:
        return None
    facts = in_order(fact for each in lives for fact in each.facts)
    courses = courses_of(facts)
    if not margin_suffices(plan, courses, tapes):
        return None
    progress(end - start, end - start)
    return BacktestResult(
        facts=facts,
        verdicts=tuple(sorted((told for each in lives for told in each.verdicts), key=moment_of_verdict)),
        equity=equity_curve(courses, tapes, (), wallet=float(plan.wallet), start_ms=plan.start_ms, end_ms=plan.end_ms),
        wallet=plan.wallet + sum((each.earned for each in lives), ZERO),
        notes=(*plan.notes, *still_open(facts), *said),
    )


def _part_of(progress: Progress, place: int, count: int, start: int, end: int) -> Callable[[int], None]:
    """Progress of one symbol among several, told at most `TOLD` times."""
    span, told = end - start, [start]

    def tell(minute: int) -> None:
        if (minute - told[0]) * TOLD * 1.0 >= span * count:
            told[0] = minute
            progress((place * span + minute - start) // count, span)

    return tell
