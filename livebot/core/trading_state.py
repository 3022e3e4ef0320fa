"""Trading states: everything that moves them, in one table.

    event                          ACTIVE     REDUCING                           HALTED
    an operator halts              HALTED     HALTED                             HALTED, with the new reason
    the loss limit is reached      HALTED     HALTED                             HALTED, with the new reason
    the drawdown is reached        HALTED     HALTED                             stays
    something latches a halt       HALTED     HALTED                             stays
    the daily loss is reached      REDUCING   stays                              stays
    a cause arises                 REDUCING   stays, one more reason             stays, and it is kept in mind
    a cause passes                 -          ACTIVE if nothing else reduces     stays
    a UTC day begins, no loss      stays      ACTIVE if no cause stands          stays
    an operator lifts the halt     refused    refused                            ACTIVE, REDUCING if a cause stands
    the daemon is restarted        stays      by a loss: stays; by a cause:      stays
                                              ACTIVE until that is seen again

Rules of this file: pure; HALTED is left by `lifted` alone; what losses and operators have made of it (`own`) is remembered
over restarts, causes are not: whoever sees them sees them again.
"""

from dataclasses import dataclass, replace
from typing import Self

from livebot.core.checks import daily_loss_reached, drawdown_reached
from livebot.core.denial import TradingState
from livebot.core.limits import Equities, Limits

ACTIVE, REDUCING, HALTED = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED


@dataclass(frozen=True, slots=True)
class Standing:
    """`own` is what losses and operators have made of it, and why; `causes` are (source, sentence), the oldest first."""

    own: TradingState = ACTIVE
    own_reason: str = ""
    causes: tuple[tuple[str, str], ...] = ()

    @property
    def state(self) -> TradingState:
        """What is allowed at all."""
        return REDUCING if self.own is ACTIVE and self.causes else self.own

    @property
    def reason(self) -> str:
        """Why it is not ACTIVE, the oldest reason first, or why it became so."""
        if self.own is HALTED or not self.causes:
            return self.own_reason
        reasons = [sentence for _, sentence in self.causes]
        if self.own is REDUCING:
            reasons.insert(0, self.own_reason)
        return reasons[0] if len(reasons) == 1 else f"{reasons[0]} (and {len(reasons) - 1} more)"

    @property
    def sources(self) -> tuple[str, ...]:
        """Whose causes move it now, the oldest first; none while it is HALTED all the same."""
        return () if self.own is HALTED else tuple(source for source, _ in self.causes)

    def moved(self, following: TradingState, reason: str) -> Self:
        """Losses or an operator make this of it."""
        return replace(self, own=following, own_reason=reason)

    def latched(self, reason: str) -> Self:
        """HALTED; a halt that stands keeps its reason."""
        return self if self.own is HALTED else self.moved(HALTED, reason)

    def lifted(self, reason: str) -> Self:
        """An operator lifts a halt; the only way out of one."""
        return self.moved(ACTIVE, reason)

    def caused(self, source: str, sentence: str | None) -> Self:
        """What `source` says stands until it says something else; None: it has passed."""
        others = tuple(each for each in self.causes if each[0] != source)
        if sentence is None:
            return replace(self, causes=others)
        if len(others) == len(self.causes):
            return replace(self, causes=(*others, (source, sentence)))
        told = tuple((each[0], sentence) if each[0] == source else each for each in self.causes)
        return replace(self, causes=told)


def next_trading_state(
    present: TradingState, numbers: Equities, limits: Limits, *, new_day: bool
) -> tuple[TradingState, str]:
    """What losses call for, and the sentence that says why ("" if it is the present state).

    `new_day` is true once after the day-start equity was taken anew.  The first row that fits holds:

        present    numbers               next
        HALTED     any                   HALTED, only an operator lifts it
        any        drawdown reached      HALTED
        any        daily loss reached    REDUCING
        REDUCING   the same day          REDUCING, also when the loss was won back
        any        otherwise             ACTIVE
    """
    following, text = ACTIVE, "a new UTC day has begun and no loss limit is reached"
    drawdown, daily_loss = drawdown_reached(numbers, limits), daily_loss_reached(numbers, limits)
    if present is HALTED:
        following = present
    elif drawdown is not None:
        following, text = HALTED, drawdown
    elif daily_loss is not None:
        following, text = REDUCING, daily_loss
    elif present is REDUCING and not new_day:
        following = present
    return following, "" if following is present else text
