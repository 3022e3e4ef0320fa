"""What is remembered of a universe over a restart, and what is shown of it.

Rules of this file: values only; all pairs are (symbol, UTC ms).
"""

from dataclasses import dataclass

from livebot.core.universe import Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseMemory:
    """`members` and since when; `left` and when, who may not come back yet; `asked_ms` is the time of the choice.

    `departing` and since when: who is no member any more, and whose open position is managed to its close.
    """

    asked_ms: int = 0
    members: tuple[tuple[str, int], ...] = ()
    left: tuple[tuple[str, int], ...] = ()
    departing: tuple[tuple[str, int], ...] = ()

    @property
    def membership(self) -> Membership:
        """What the next choice goes by."""
        return Membership(dict(self.members), dict(self.left))

    @property
    def symbols(self) -> tuple[str, ...]:
        """All that have to be looked after, members first."""
        return tuple(dict.fromkeys(symbol for symbol, _ in (*self.members, *self.departing)))


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseStatus:
    """The universe as an operator sees it.

    `members` are traded; `departing` have left and are managed to the close of what is open; `resting` are no longer listed
    and asked nothing any more.  `problem` is why it is older than it should be.
    """

    asked_ms: int
    next_ms: int
    members: tuple[str, ...]
    departing: tuple[str, ...]
    resting: tuple[str, ...]
    problem: str | None
