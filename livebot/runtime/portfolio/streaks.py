"""Losing closes in a row, and the cooldowns that stand after them.

Rules of this file: counted from facts, and over a restart from the ledger's closes, in the order of time (which of one
millisecond came first the ledger does not say).
"""

from collections.abc import Iterable

from livebot.core.facts import SignalClosed
from livebot.core.streak import LosingStreak, Streak, StreakScope, after_close

_NONE = Streak()
_ALL = ""


class Streaks:
    """One row for all symbols, or one for each, as the rule says."""

    def __init__(self, rule: LosingStreak | None) -> None:
        """`rule` None: nothing is counted."""
        self._rule = rule
        self._rows: dict[str, Streak] = {}

    def closed(self, fact: SignalClosed) -> None:
        """A signal closed."""
        if self._rule is not None:
            row = self._row(fact.symbol)
            self._rows[row] = after_close(self._rows.get(row, _NONE), self._rule, fact)

    def cooldown_ms(self, symbol: str, now_ms: int) -> int:
        """For how long nothing opens on the symbol yet; 0 if it may."""
        if not self._rows:
            return 0
        return max(0, self._rows.get(self._row(symbol), _NONE).until_ms - now_ms)

    def longest(self, now_ms: int) -> int:
        """Losing closes of the longest row; all that are allowed while a cooldown stands."""
        rule = self._rule
        if rule is None:
            return 0
        return max((rule.losses if row.until_ms > now_ms else row.losses for row in self._rows.values()), default=0)

    def replace_rule(self, rule: LosingStreak | None) -> None:
        """Another rule from now on; rows of another scope, or of no rule, are given up with their cooldowns."""
        if rule is None or self._rule is None or rule.scope is not self._rule.scope:
            self._rows.clear()
        self._rule = rule

    def restore(self, closes: Iterable[SignalClosed]) -> None:
        """Begin anew with the ledger's closes, in the order of time."""
        self._rows.clear()
        for fact in closes:
            self.closed(fact)

    def _row(self, symbol: str) -> str:
        return symbol if self._rule is not None and self._rule.scope is StreakScope.SYMBOL else _ALL
