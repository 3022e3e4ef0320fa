"""One signal alone in the backtest's engine, for what no array search resolves: limit entries, late orders, gaps at entry.

Rules of this file: what happens is the engine's business; here an entry is put in at its close, and what came of it is
read off the facts.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from livebot.backtest.engine import run_whole
from livebot.backtest.plan import BacktestPlan, StrategyRun
from livebot.backtest.tape import LONGEST_GAP_MINUTES, Tape
from livebot.core.entry import Entry
from livebot.core.facts import EntryCancelled, Fact, PositionReduced, SignalClosed
from livebot.core.market import MINUTE_MS, Timeframe
from livebot.core.order import ZERO, Leg, OrderKind
from livebot.core.signal import CancelReason, CloseReason
from livebot.learning.events import Event
from livebot.strategies.interface import Strategy, View

_SLACK_MS = (LONGEST_GAP_MINUTES + 2) * MINUTE_MS  # for expiries that fall into a gap, and for orders refused at first


@dataclass(frozen=True, kw_only=True)
class OneEntryParams:
    """What to want, and at which close (UTC ms)."""

    timeframe: Timeframe
    entry: Entry | None = None
    close_ms: int = 0


class OneEntry(Strategy[OneEntryParams]):
    """Wants one entry, once."""

    name = "one_entry"
    Params = OneEntryParams

    @property
    def timeframe(self) -> Timeframe:
        return self.params.timeframe

    def decide(self, view: View) -> Entry | None:
        return self.params.entry if view.close_ms == self.params.close_ms else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A signal that closed.  All ratios are of the entry's notional.

    `gain` is net; `fees` were paid; `at_market` is what was traded with slippage, the entry included.
    """

    end_ms: int
    reason: CloseReason
    gain: Decimal
    fees: Decimal
    at_market: Decimal


class LoneSignal:
    """The events of one symbol, each played as though nothing else ever happened."""

    def __init__(self, plan: BacktestPlan, symbol: str, tape: Tape) -> None:
        """`plan` is an `asking_plan`; its candles are those that `tape` was made of."""
        (run,) = plan.strategies
        params = OneEntryParams(timeframe=run.make().timeframe)
        self._tape = tape
        self._run = StrategyRun(id=run.id, strategy_class=OneEntry, params=params, symbols=(symbol,))
        self.plan = replace(
            plan,
            strategies=(self._run,),
            symbols=(symbol,),
            history=1,
            cache=None,
            members={},
            tapes={symbol: (plan.candles[symbol], tape)},
        )

    def play(self, event: Event) -> Ended | CancelReason | None:
        """How it ended, or why it never opened; None: not by the end of the plan's candles."""
        soon_ms = event.close_ms + self._resting_ms(event) + event.signal.lifetime_ms + _SLACK_MS
        for end_ms in sorted({min(soon_ms - soon_ms % MINUTE_MS, self.plan.end_ms), self.plan.end_ms}):
            ended = self._read(self._facts(event, end_ms), event)
            if ended is not None:
                return ended
        return None

    def _resting_ms(self, event: Event) -> int:
        """How long it may rest before it fills, priced anew as often as it may be."""
        expires_ms = event.signal.schedule_expires_ms
        return 0 if expires_ms is None else (expires_ms - event.close_ms) * (1 + event.signal.reprices_left)

    def _facts(self, event: Event, end_ms: int) -> tuple[Fact, ...]:
        params = replace(self._run.params, entry=event.entry, close_ms=event.close_ms)  # type: ignore[type-var]
        played = replace(
            self.plan,
            strategies=(replace(self._run, params=params),),
            start_ms=event.close_ms - MINUTE_MS,
            end_ms=end_ms,
        )
        return run_whole(played, lambda _done, _all: None).facts

    def _read(self, facts: tuple[Fact, ...], event: Event) -> Ended | CancelReason | None:
        last = facts[-1] if facts else None
        if isinstance(last, EntryCancelled):
            return last.reason
        if not isinstance(last, SignalClosed) or self._beyond(facts):
            return None
        notional = last.quantity * last.entry_price
        left = sum(
            (fact.quantity * fact.price for fact in facts if isinstance(fact, PositionReduced) and fact.leg in _SLIPS),
            ZERO,
        )
        entered = notional if event.order.kind is OrderKind.MARKET else ZERO
        return Ended(
            end_ms=last.ts_ms,
            reason=last.reason,
            gain=last.pnl_ratio,
            fees=last.fees / notional,
            at_market=(entered + left) / notional,
        )

    def _beyond(self, facts: tuple[Fact, ...]) -> bool:
        """Whether something filled at an open that the candles do not have."""
        return any(
            fact.ts_ms // MINUTE_MS >= self._tape.stop
            for fact in facts
            if isinstance(fact, PositionReduced) and fact.leg is Leg.EXIT
        )


_SLIPS = (Leg.STOP, Leg.EXIT)
