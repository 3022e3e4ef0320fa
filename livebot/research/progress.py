"""How far a comparison is and how long it still takes, told honestly.

Rules of this file: pieces of work differ in length by a factor of twenty, so neither their number nor the order in which they come
may be taken for time: a piece counts by what pieces of its kind took, and before one of them is done by its measured
cost against the kinds that were done; a machine that gets slower or quicker on the way does so for what is left, too; the
share that is done never falls.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

Clock = Callable[[], float]

_NEWEST = 0.1  # the weight of the newest piece in how quick the machine is now


@dataclass(frozen=True, slots=True)
class Standing:
    """`share` of the work that is done, in [0, 1]; `left_s` seconds still needed, None before the first piece is done."""

    done: int
    pieces: int
    share: float
    left_s: float | None


@dataclass(slots=True)
class _Kind:
    pieces: int
    cost: float
    done: int = 0
    seconds: float = 0.0


class WorkLeft:
    """Of pieces of several kinds, done in any order by any number of workers."""

    def __init__(self, pieces: Mapping[Hashable, tuple[int, float]], clock: Clock) -> None:
        """By kind, how many pieces there are to do and what one costs against the others; `clock` tells seconds."""
        self._kinds = {kind: _Kind(count, cost) for kind, (count, cost) in pieces.items()}
        self._clock = clock
        self._began_s: float | None = None  # without the time until workers are there
        self._pace = 1.0  # how long pieces take now against the mean of their kind
        self._share = 0.0

    def done(self, kind: Hashable, seconds: float) -> None:
        """A piece is done, and its worker took so long for it."""
        if self._began_s is None:
            self._began_s = self._clock() - seconds
        each = self._kinds[kind]
        if each.seconds > 0:
            self._pace += _NEWEST * (seconds / (each.seconds / each.done) - self._pace)
        each.done += 1
        each.seconds += seconds

    def standing(self) -> Standing:
        """As of now."""
        scale = self._scale()
        done = sum(each.seconds for each in self._kinds.values())
        left = self._pace * sum(
            (each.pieces - each.done) * self._expected(each, scale) for each in self._kinds.values()
        )
        pieces = sum(each.pieces for each in self._kinds.values())
        finished = sum(each.done for each in self._kinds.values())
        if finished == pieces:
            return Standing(finished, pieces, 1.0, 0.0)
        if self._began_s is None or done <= 0:
            return Standing(finished, pieces, 0.0, None)
        passed_s = self._clock() - self._began_s
        self._share = max(self._share, done / (done + left))
        return Standing(finished, pieces, self._share, passed_s * left / done)

    def _scale(self) -> float:
        """Seconds a unit of cost: of all that is done."""
        cost = sum(each.done * each.cost for each in self._kinds.values())
        return sum(each.seconds for each in self._kinds.values()) / cost if cost else 1.0

    @staticmethod
    def _expected(kind: _Kind, scale: float) -> float:
        return kind.seconds / kind.done if kind.done else kind.cost * scale
