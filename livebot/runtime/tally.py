"""What is counted of decisions and of closed signals, for whoever draws them over time.

Rules of this file: counting is cheap enough for every close of every symbol; a closed signal counts once, however often
it is told; codes come from code, and are bounded all the same.
"""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from livebot.core.distribution import Distribution
from livebot.core.facts import Fact, SignalClosed
from livebot.core.order import ZERO
from livebot.ports import Decision

CALL_BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
DELAY_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
REASONS_MAX = 128
OTHER = "other"


class Tally:
    """One for the whole system.

    `calls`: how long strategies took to answer.  `delays`: how long after its candle had closed a strategy was asked, by
    the venue's clock.  `decisions`: how many there were by outcome and code.  `realised`: net PnL of all signals that
    ever closed, by strategy, in quote currency.
    """

    def __init__(self) -> None:
        """Nothing has happened."""
        self.calls = Distribution(CALL_BOUNDS_S)
        self.delays = Distribution(DELAY_BOUNDS_S)
        self.decisions: Counter[tuple[str, str]] = Counter()
        self.realised: dict[str, Decimal] = {}
        self._counted: dict[tuple[str, str], int] = {}  # the last fact that is in `realised`, by (strategy, symbol)

    def restore(self, closes: Iterable[SignalClosed]) -> None:
        """All signals that closed before this process, in any order, repeated or not; once, before any is counted."""
        once = {(fact.strategy, fact.symbol, fact.sequence): fact for fact in closes}
        for fact in sorted(once.values(), key=lambda fact: fact.sequence):
            self._close(fact)

    def asked(self, took_s: float, delay_s: float) -> None:
        """A strategy was asked, and has answered."""
        self.calls.add(took_s)
        self.delays.add(max(delay_s, 0.0))  # the clocks of the venue and of this machine may differ a little

    def count(self, items: Iterable[Fact | Decision]) -> None:
        """What everyone is being told."""
        for item in items:
            if isinstance(item, Decision):
                self._decide(item.outcome, item.code)
            elif isinstance(item, SignalClosed):
                self._close(item)

    def _decide(self, outcome: str, code: str) -> None:
        reason = outcome, code
        if reason not in self.decisions and len(self.decisions) >= REASONS_MAX:
            reason = outcome, OTHER
        self.decisions[reason] += 1

    def _close(self, fact: SignalClosed) -> None:
        key = fact.strategy, fact.symbol
        if fact.sequence > self._counted.get(key, 0):
            self._counted[key] = fact.sequence
            self.realised[fact.strategy] = self.realised.get(fact.strategy, ZERO) + fact.pnl_net
