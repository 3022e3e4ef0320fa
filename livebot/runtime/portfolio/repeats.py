"""Entries of one (strategy, symbol) that follow each other too fast: the throttle that only a human lifts.

Rules of this file: entries are counted as facts tell of them, and again from the ledger after a restart; when a symbol is
resumed its count begins anew, over any restart.
"""

from collections import deque
from collections.abc import Iterable

from livebot.core.facts import Fact, SignalOpening, SignalScheduled
from livebot.core.limits import RepeatedExecutions
from livebot.core.market import DAY_MS
from livebot.core.wording import duration
from livebot.runtime.portfolio.exposure_book import Key


def is_entry(fact: Fact) -> bool:
    """Whether it tells of an entry that was approved and saved."""
    return isinstance(fact, SignalOpening | SignalScheduled)


def looks_back_ms(rule: RepeatedExecutions | None) -> int:
    """How far back the facts of orders matter after a restart: a day for the orders of the day, or the window."""
    return DAY_MS if rule is None else max(DAY_MS, rule.window_ms)


class Repeats:
    """How often each (strategy, symbol) entered of late, and which symbols that has paused."""

    def __init__(self, rule: RepeatedExecutions | None) -> None:
        """`rule` None: nothing is counted."""
        self._rule = rule
        self._times: dict[Key, deque[int]] = {}
        self._resumed: dict[str, int] = {}
        self.paused: dict[str, str] = {}  # symbol -> a sentence that says why

    def entered(self, fact: Fact) -> bool:
        """Count an entry; says whether it has paused its symbol now."""
        rule, symbol = self._rule, fact.symbol
        if rule is None or fact.ts_ms < self._resumed.get(symbol, 0):
            return False
        times = self._times.setdefault((fact.strategy, symbol), deque())
        times.append(fact.ts_ms)
        while times[0] <= fact.ts_ms - rule.window_ms:
            times.popleft()
        if len(times) < rule.maximum or symbol in self.paused:
            return False
        self.paused[symbol] = (
            f"{symbol} is paused: {fact.strategy} has entered it {len(times)} times within {duration(rule.window_ms)}, and "
            f"risk.limits.repeated_executions allows no more; look into why, then `livebot resume {symbol}`"
        )
        return True

    def resumed(self, symbol: str, now_ms: int) -> bool:
        """A human lets it go on: it is counted from here; says whether it was paused by this."""
        if self.paused.pop(symbol, None) is None:
            return False
        self._resumed[symbol] = now_ms
        for key in [key for key in self._times if key[1] == symbol]:
            del self._times[key]
        return True

    def most(self, now_ms: int) -> int:
        """Entries of the (strategy, symbol) that entered most often, as of now; all that are allowed while one is paused."""
        rule = self._rule
        if rule is None:
            return 0
        if self.paused:
            return rule.maximum
        since_ms = now_ms - rule.window_ms
        return max((sum(ts_ms > since_ms for ts_ms in times) for times in self._times.values()), default=0)

    def pass_time(self, now_ms: int) -> None:
        """Forget what no longer matters."""
        rule = self._rule
        if rule is None or not self._resumed:
            return
        until_ms = now_ms - looks_back_ms(rule)
        for symbol in [each for each, since_ms in self._resumed.items() if since_ms <= until_ms]:
            del self._resumed[symbol]

    def replace_rule(self, rule: RepeatedExecutions | None) -> None:
        """Another rule from now on; what was paused stays paused."""
        self._rule = rule
        if rule is None:
            self._times.clear()

    # Memory

    def memory(self) -> tuple[tuple[str, int], ...]:
        """(symbol, since_ms) of those that were resumed of late, sorted: older entries no longer count."""
        return tuple(sorted(self._resumed.items()))

    def restore(self, paused: Iterable[tuple[str, str]], resumed: Iterable[tuple[str, int]]) -> None:
        """Begin from what was remembered."""
        self.paused, self._resumed = dict(paused), dict(resumed)
        self._times.clear()
