"""When a symbol belongs to the universe of a plan, in minutes.

Rules of this file: pure.  A choice follows the close of its own time, as live, where a close is decided on before the
universe is looked at: who comes in at T is first asked about the close after it, who leaves at T last about that of T.
"""

from collections.abc import Mapping
from itertools import pairwise

from livebot.backtest.horizon import NEVER
from livebot.core.market import MINUTE_MS
from livebot.errors import BadInput

Spans = tuple[tuple[int, int], ...]

_ALWAYS = ((-NEVER, NEVER),)


class Membership:
    """Of one symbol.  A minute stands for the decision at its close."""

    __slots__ = ("_spans",)

    def __init__(self, members: Mapping[str, Spans], symbol: str) -> None:
        """`members` as in a plan: nobody is named where the universe is not chosen, and then all are always in."""
        spans = members.get(symbol, ())
        minutes = tuple((first_ms // MINUTE_MS, stop_ms // MINUTE_MS) for first_ms, stop_ms in spans)
        self._spans = minutes if members else _ALWAYS

    def has(self, minute: int) -> bool:
        """Whether it may open something at the close of this minute."""
        return self.span_from(minute)[0] == minute

    def span_from(self, minute: int) -> tuple[int, int]:
        """The first minute, this one or later, at which it is a member, and the one at which it no longer is; NEVER: none."""
        for first, stop in self._spans:
            if minute < stop:
                return max(first, minute), stop
        return NEVER, NEVER


def check_members(members: Mapping[str, Spans]) -> None:
    """Raises BadInput: the spans of a symbol are not of whole minutes, in the order of time and apart."""
    for symbol, spans in members.items():
        edges = [edge for span in spans for edge in span]
        if any(edge % MINUTE_MS for edge in edges) or any(edge >= later for edge, later in pairwise(edges)):
            raise BadInput(
                f"{symbol}: its times in the universe ({spans}) must be of whole minutes, in order and apart; mend them"
            )
