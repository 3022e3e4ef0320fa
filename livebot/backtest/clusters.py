"""Which symbols move together at each time of a plan, as the live daemon would have worked it out.

Rules of this file: clusters as of a moment are made of what had closed by then and hold from the close after it on; live
they hold from the first close after they were worked out, which is later by as long as that takes.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from livebot.adapters.correlation import correlated
from livebot.backtest.tape import Tape, moment
from livebot.core.clusters import Closes, Clusters, CorrelationRule, status_of_clusters
from livebot.core.market import MINUTE_MS


class PastClusters:
    """One for a run; closes are gone through in the order of time."""

    def __init__(
        self,
        rule: CorrelationRule,
        tapes: Mapping[str, Tape],
        *,
        start: int,
        symbols_at: Callable[[int], Iterable[str]],
        apply: Callable[[Mapping[str, str]], None],
    ) -> None:
        """Nothing is worked out.

        `start` is the first minute of trading; `symbols_at` says who is traded, or has something open, at a minute's close.
        """
        self._rule = rule
        self._tapes = tapes
        self._start = start
        self._symbols_at = symbols_at
        self._apply = apply
        self._times = 0
        self._last: Clusters | None = None

    def hold_at(self, minute: int) -> None:
        """Have the clusters apply that hold at the close of this minute."""
        at_ms = self._rule.moment(minute * MINUTE_MS)
        if self._last is not None and self._last.at_ms == at_ms:
            return
        symbols = self._symbols_at(max(at_ms // MINUTE_MS - 1, self._start))
        closes = {symbol: closes_of(self._tapes[symbol], self._rule, at_ms) for symbol in symbols}
        self._last = correlated(closes, self._rule, at_ms)
        self._times += 1
        self._apply(dict(self._last.names))

    def notes(self) -> Iterable[str]:
        """For the reader of a report."""
        if self._last is None:
            return
        status = status_of_clusters(dict(self._last.names))
        largest = ", ".join(f"{name} with {size}" for name, size in status.largest)
        yield (
            f"clusters: worked out {self._times} times, last as of {moment(self._last.at_ms // MINUTE_MS)}; then "
            f"{status.shared} held two or more symbols{f' ({largest})' if largest else ''} and {status.alone} one"
        )


def closes_of(tape: Tape, rule: CorrelationRule, at_ms: int) -> Closes:
    """The closes of a tape that a rule looks at as of a moment.

    A candle of whose minutes one at least is there has closed at the last of those; live the venue has it so.
    """
    length = rule.timeframe.ms // MINUTE_MS
    stops = at_ms // MINUTE_MS - length * np.arange(rule.candles, -1, -1, dtype=np.int64)
    stops = stops[(stops - length >= tape.first) & (stops <= tape.stop)]
    places = stops - tape.first
    if tape.missing is not None:
        known = np.concatenate(([0], np.cumsum(~tape.missing)))
        there = known[places] > known[places - length]
        stops, places = stops[there], places[there]
    return Closes(ts_ms=(stops - length) * MINUTE_MS, close=tape.close[places - 1])
