"""The trading state, and what moves it: losses of the day, from the peak and in all, operators, and causes of other kinds.

Rules of this file: HALTED is left by `unhalt` alone; a new state holds at once and is told to the caller, who makes it
durable before anyone else is told; memory carries what losses and operators have made of it, and no cause; a clock that
goes back changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from livebot.core.denial import TradingState
from livebot.core.facts import SignalClosed
from livebot.core.limits import Limits
from livebot.core.market import DAY_MS
from livebot.core.order import ZERO
from livebot.core.trading_state import Standing, next_trading_state
from livebot.core.wording import number, percent
from livebot.errors import Rejected
from livebot.ports import PortfolioMemory
from livebot.runtime.portfolio.blocks import WHOLE, Blocks
from livebot.runtime.settings import LossAction, LossLimit

# Begins the reason of a halt by the loss limit; from it a restarted daemon knows that it was flattening.
LOSS_LIMIT = "loss limit: "


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """The trading state moved, or why it is so.  Save the memory before anyone is told; `flatten`: close all that is open."""

    present: TradingState
    reason: str
    flatten: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What the account is worth now, in quote: `open_pnl` is booked plus unrealised PnL of open signals.

    `valued` says that every open position has a mark; until then no peak is believed.
    """

    equity: Decimal
    open_pnl: Decimal
    valued: bool


class _Equities(NamedTuple):
    """As the core's checks of losses read them."""

    equity: Decimal
    day_start_equity: Decimal
    peak_equity: Decimal


class LossWatch:
    """ACTIVE, REDUCING or HALTED, with the reason and with what losses count from."""

    def __init__(self, limits: Limits, loss_limit: LossLimit | None) -> None:
        """ACTIVE, and no equity known."""
        self._limits = limits
        self._loss_limit = loss_limit
        self._closed = ZERO  # net PnL of the signals that closed since `_counted_from_ms`, over all processes
        self._counted_from_ms = 0
        self._day_start_ms = 0
        self.day_start_equity: Decimal | None = None
        self.peak_equity: Decimal | None = None
        self._standing = Standing()
        self.state, self.reason = self._standing.state, self._standing.reason

    def replace_limits(self, limits: Limits, loss_limit: LossLimit | None) -> None:
        """Other limits from now on; they move the state at the next evaluation."""
        self._limits, self._loss_limit = limits, loss_limit

    def begin(self, equity: Decimal) -> None:
        """The account was seen; losses count from here unless something older is remembered."""
        if self.day_start_equity is None:
            self.day_start_equity = equity
        if self.peak_equity is None:
            self.peak_equity = equity

    def closed(self, fact: SignalClosed) -> None:
        """A signal closed."""
        if fact.ts_ms >= self._counted_from_ms:
            self._closed += fact.pnl_net

    @property
    def causes(self) -> tuple[str, ...]:
        """What reduces trading and passes by itself: sentences, the oldest first."""
        return tuple(sentence for _, sentence in self._standing.causes)

    @property
    def flatten_wanted(self) -> bool:
        """The loss limit was reached and says to close everything; true until an operator lifts the halt."""
        limit = self._loss_limit
        return limit is not None and limit.action is LossAction.FLATTEN and self._halted_by_loss

    @property
    def loss_limit_ratio(self) -> Decimal | None:
        """What may be lost in all; None: anything."""
        return None if self._loss_limit is None else self._loss_limit.ratio

    def evaluate(self, now_ms: int, worth: Worth) -> StateChange | None:
        """Let the UTC day roll, and let losses move the state; None if it stays."""
        new_day = self._roll_day(now_ms, worth.equity)
        if self.peak_equity is None or (worth.valued and worth.equity > self.peak_equity):
            self.peak_equity = worth.equity
        lost, standing = self._loss_limit_reached(worth), self._standing
        if lost is not None:
            return None if self._halted_by_loss else self._move(standing.moved(TradingState.HALTED, LOSS_LIMIT + lost))
        equities = self._equities(worth.equity)
        following, reason = next_trading_state(standing.own, equities, self._limits, new_day=new_day)
        return None if following is standing.own else self._move(standing.moved(following, reason))

    def cause(self, source: str, sentence: str | None) -> StateChange | None:
        """What `source` says reduces trading until it says None, over no restart; None if that changes nothing."""
        passed = dict(self._standing.causes).get(source)
        before, following = self._standing, self._standing.caused(source, sentence)
        if (following.own, following.sources) == (before.own, before.sources):
            self._move(following)  # the figures in a sentence may have changed: that is no news
            return None
        change = self._move(following)
        return change if change.present is not TradingState.ACTIVE else replace(change, reason=f"passed: {passed}")

    def latch(self, reason: str) -> StateChange | None:
        """HALTED, by something that only an operator can judge; None if it is HALTED already."""
        following = self._standing.latched(reason)
        return None if following is self._standing else self._move(following)

    def halt(self, reason: str) -> StateChange:
        """By order of the operator."""
        return self._move(self._standing.moved(TradingState.HALTED, reason))

    def unhalt(self, reason: str, now_ms: int, worth: Worth | None) -> StateChange:
        """Back to ACTIVE, or to REDUCING while a cause stands; `worth` None: the account was not seen yet.

        Raises:
            Rejected: it is not halted, or no reason is given.

        """
        if self.state is not TradingState.HALTED:
            raise Rejected(f"trading is {self.state.value}, not HALTED; nothing was changed")
        if not reason.strip():
            raise Rejected("lifting a halt needs a reason; nothing was changed")
        self._counted_from_ms = now_ms
        self._closed = ZERO if worth is None else -worth.open_pnl
        self.peak_equity = None if worth is None else worth.equity
        return self._move(self._standing.lifted(reason))

    def loss_ratio(self, worth: Worth) -> Decimal:
        """What the loss limit looks at: the loss over the capital it was made with, never below 0."""
        pnl = self._pnl(worth)
        capital = worth.equity - pnl
        return -pnl / capital if pnl < 0 < capital else ZERO

    # Memory

    def memory(self, blocks: Blocks) -> PortfolioMemory:
        """The portfolio's memory: what is known here, and what blocks entries."""
        switched_on = blocks.switched_on()
        return PortfolioMemory(
            trading_state=self._standing.own,
            state_reason=self._standing.own_reason,
            day_start_ms=self._day_start_ms,
            day_start_equity=self.day_start_equity,
            peak_equity=self.peak_equity,
            paused=blocks.paused,
            quarantined=tuple(sorted(blocks.quarantined.items())),
            switched_off=blocks.switched_off(),
            switched_on=((WHOLE, self._counted_from_ms), *switched_on) if self._counted_from_ms else switched_on,
            dismissed=blocks.dismissed(),
            repeated=blocks.repeated,
            resumed=blocks.resumed,
        )

    def restore(self, memory: PortfolioMemory, closes: Iterable[SignalClosed]) -> None:
        """Begin from what was remembered and the closed signals of the ledger."""
        self._move(self._standing.moved(memory.trading_state, memory.state_reason))
        self._day_start_ms, self.day_start_equity = memory.day_start_ms, memory.day_start_equity
        self.peak_equity = memory.peak_equity
        self._counted_from_ms = dict(memory.switched_on).get(WHOLE, 0)
        for fact in closes:
            self.closed(fact)

    @property
    def _halted_by_loss(self) -> bool:
        standing = self._standing
        return standing.own is TradingState.HALTED and standing.own_reason.startswith(LOSS_LIMIT)

    def _pnl(self, worth: Worth) -> Decimal:
        return self._closed + worth.open_pnl

    def _roll_day(self, now_ms: int, equity: Decimal) -> bool:
        day_ms = now_ms - now_ms % DAY_MS
        if day_ms <= self._day_start_ms:
            return False
        self._day_start_ms = day_ms
        self.day_start_equity = equity
        return True

    def _loss_limit_reached(self, worth: Worth) -> str | None:
        pnl, limit = self._pnl(worth), self._loss_limit
        capital = worth.equity - pnl
        if limit is None or pnl >= 0 or -pnl < limit.ratio * capital:
            return None
        return f"{number(-pnl)} lost of {number(capital)}, {percent(limit.ratio)} allowed"

    def _equities(self, equity: Decimal) -> _Equities:
        day_start, peak = self.day_start_equity, self.peak_equity
        return _Equities(equity, equity if day_start is None else day_start, equity if peak is None else peak)

    def _move(self, following: Standing) -> StateChange:
        self._standing = following
        self.state, self.reason = following.state, following.reason
        return StateChange(present=self.state, reason=self.reason, flatten=self.flatten_wanted)
