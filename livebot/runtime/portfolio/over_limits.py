"""What is open beyond a limit that was lowered while it was open.

Rules of this file: only a limit that was lowered, and was exceeded then, counts, and only until it fits again: what prices
do to an exposure is no breach; nothing is closed for it.
"""

from collections.abc import Iterable
from decimal import Decimal

from livebot.core.wording import number, percent
from livebot.ports import LimitUse

LIMITS = "limits"
COUNTS = ("open_signals", "open_signals_per_strategy", "open_signals_per_cluster")
RATIOS = ("gross_exposure", "net_exposure", "symbol_exposure", "base_exposure", "risk_in_all")


class OverLimits:
    """One for the portfolio."""

    def __init__(self) -> None:
        """Nothing is beyond a limit."""
        self._beyond: frozenset[str] = frozenset()
        self.stands = False

    def begin(self, before: Iterable[LimitUse], after: Iterable[LimitUse]) -> None:
        """The limits were replaced: how they were used, and how the new ones are.  Ask for `sentence` while it `stands`."""
        allowed = {use.name: use.allowed for use in before}
        lowered = (use for use in _exceeded(after) if _is_lower(use.allowed, allowed.get(use.name)))
        self._beyond |= frozenset(use.name for use in lowered)
        self.stands = True

    def sentence(self, uses: Iterable[LimitUse]) -> str | None:
        """Each limit that is still exceeded, with its figures; None: all fits, and it stands no more."""
        left = [use for use in _exceeded(uses) if use.name in self._beyond]
        self._beyond = frozenset(use.name for use in left)
        self.stands = bool(left)
        if not left:
            return None
        each = ", ".join(f"{use.name} {_shown(use, use.used)} of {_shown(use, use.allowed)}" for use in left)
        return f"more is open than the lowered limits allow: {each}; entries begin again when it fits"


def _exceeded(uses: Iterable[LimitUse]) -> list[LimitUse]:
    known = (*COUNTS, *RATIOS)
    return [use for use in uses if use.name in known and use.allowed is not None and use.used > use.allowed]


def _is_lower(allowed: Decimal | None, before: Decimal | None) -> bool:
    return allowed is not None and (before is None or allowed < before)


def _shown(use: LimitUse, amount: Decimal | None) -> str:
    assert amount is not None  # else nothing exceeds it
    return number(amount) if use.name in COUNTS else percent(round(amount, 4))
