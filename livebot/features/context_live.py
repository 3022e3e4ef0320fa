"""The live engine of context features: every member's candles in, one close at a time, what they say to each target out.

Its values are bitwise those of `compute_context` over the same candles.  One for all strategies that ask for the same
features of the same timeframe.

Rules of this file: candles may come in any order of symbols, and late; nothing here waits or knows a clock, it says who
is lacking and leaves to others how long to wait; a value is worked out when it is asked for.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from livebot.core.market import Candle, Timeframe
from livebot.core.series import CandleSeries, Floats
from livebot.features.context import PATIENCE, make_context_plan, part_values, reduce, unbroken
from livebot.features.declaration import Feature
from livebot.features.functions import FEATURE_DEPTH
from livebot.features.live import LiveFeatures

_SPARE = 16  # closes are moved to the front once in so many


class LiveContext:
    """What the features say of the last FEATURE_DEPTH closes, to any symbol that asks.

    `members` are those whose candles are wanted, `history` of each to begin with.
    """

    def __init__(self, features: Sequence[Feature], members: Sequence[str], timeframe: Timeframe) -> None:
        """Know nothing: each member has to `begin`.

        Raises:
            ValueError: a leading symbol is not a member.

        """
        self._features = tuple(features)
        self._plan = plan = make_context_plan(features, members)
        self._timeframe = timeframe
        self._members = {symbol: place for place, symbol in enumerate(plan.members)}
        self._room = plan.lead + FEATURE_DEPTH + 1 + _SPARE  # one more: somebody may be a close behind
        self._values = np.full((len(plan.parts), len(plan.members), self._room), np.nan)
        self._arrived = np.zeros((len(plan.members), self._room), np.bool_)
        self._results: dict[str, Floats] = {}  # of each who has asked: features x closes
        self._newest = plan.lead + FEATURE_DEPTH  # column of the newest close
        self._newest_ms: int | None = None  # when its candles opened
        self._unsettled: int | None = None  # first column whose results are not what the values say
        self._not_begun = set(plan.members)  # of those of the start
        self._waiting_since_ms: int | None = None
        self._live: dict[str, LiveFeatures] = {}
        self._last_ms: dict[str, int] = {}

    @property
    def members(self) -> tuple[str, ...]:
        """Whose candles are wanted."""
        return self._plan.members

    @property
    def history(self) -> int:
        """How many candles of each member it begins with."""
        return self._plan.history

    @property
    def begun(self) -> bool:
        """Whether every member of the start has begun."""
        return not self._not_begun

    def follow(self, members: Sequence[str]) -> None:
        """Have other members from the next close on; new ones count when they have begun.

        Raises:
            ValueError: a leading symbol is not among them.

        """
        plan = make_context_plan(self._features, members)
        values = np.full((len(plan.parts), len(members), self._room), np.nan)
        arrived = np.zeros((len(members), self._room), np.bool_)
        for place, symbol in enumerate(plan.members):
            before = self._members.get(symbol)
            if before is not None:
                values[:, place], arrived[place] = self._values[:, before], self._arrived[before]
        self._plan, self._values, self._arrived = plan, values, arrived
        self._members = {symbol: place for place, symbol in enumerate(plan.members)}
        for symbol in self._live.keys() - self._members.keys():
            del self._live[symbol]
            self._last_ms.pop(symbol, None)
        self._not_begun &= self._members.keys()

    # Candles

    def begin(self, symbol: str, history: CandleSeries) -> None:
        """Take a member's closed candles instead of all that came of it before; there may be none.

        Raises:
            BadInput: the history holds a number that is not finite.

        """
        member = self._members[symbol]
        stretches = list(unbroken(history.ts_ms, self._timeframe))
        start = stretches[-1][0] if stretches else 0
        self._live[symbol] = LiveFeatures(self._plan.parts, history.part(start, len(history)))
        self._not_begun.discard(symbol)
        self._values[:, member], self._arrived[member] = np.nan, False
        self._change(self._plan.lead)
        if not stretches:
            self._last_ms.pop(symbol, None)
            return
        self._last_ms[symbol] = last_ms = int(history.ts_ms[-1])
        self._reach(last_ms)
        columns = self._newest + (history.ts_ms - np.int64(self._newest_ms or 0)) // self._timeframe.ms
        known = columns >= 0
        self._arrived[member, columns[known]] = True
        for part, row in zip(self._plan.parts, self._values[:, member], strict=True):
            row[columns[known]] = part_values(part, history, self._timeframe)[known]

    def update(self, symbol: str, candle: Candle) -> None:
        """Take a member's next closed candle; after a hole its windows start anew.

        A candle of a member that has not begun, or that is not newer than its last one, is passed over.

        Raises:
            BadInput: a number is not finite; let the member `begin` again.

        """
        last_ms = self._last_ms.get(symbol)
        if symbol not in self._live or (last_ms is not None and candle.ts_ms <= last_ms):
            return
        if last_ms is not None and candle.ts_ms != last_ms + self._timeframe.ms:
            self._live[symbol] = LiveFeatures(self._plan.parts, _NONE)
        live = self._live[symbol]
        live.update(candle)
        self._last_ms[symbol] = candle.ts_ms
        self._reach(candle.ts_ms)
        column = self._column(candle.ts_ms)
        if column >= 0:
            member = self._members[symbol]
            self._values[:, member, column] = live.present
            self._arrived[member, column] = True
            self._change(column)

    # What is asked of it

    def lacking(self, close_ms: int) -> tuple[str, ...]:
        """The members that are waited for at this close: there lately and not now, or about to begin."""
        open_ms = close_ms - self._timeframe.ms
        self._reach(open_ms)
        column = self._column(open_ms)
        if column < PATIENCE:
            return self._plan.members  # too long ago to be known
        lacking = [self._plan.members[place] for place in np.flatnonzero(self._late(column))]
        return (*lacking, *self._about_to_begin(open_ms)) if self._not_begun else tuple(lacking)

    def complete(self, close_ms: int) -> bool:
        """Whether nobody is lacking at this close."""
        open_ms = close_ms - self._timeframe.ms
        self._reach(open_ms)
        column = self._column(open_ms)
        if column < PATIENCE:
            return not self._plan.members
        return not self._late(column).any() and not (self._not_begun and self._about_to_begin(open_ms))

    def _late(self, column: int) -> npt.NDArray[np.bool_]:
        """Who was there lately and is not at this close, (members,)."""
        lately = self._arrived[:, column - PATIENCE : column].any(axis=1)
        late: npt.NDArray[np.bool_] = lately & ~self._arrived[:, column]
        return late

    def columns(self, target: str) -> Mapping[str, Floats]:
        """Recent values of a target by feature, read only and kept; `settle` says where a close stands in them."""
        of_target = self._results.get(target)
        if of_target is None:
            of_target = self._results[target] = np.full((len(self._plan.wanted), self._room), np.nan)
            self._change(self._plan.lead)
        shown = {}
        for wanted, row in zip(self._plan.wanted, of_target, strict=True):
            shown[wanted.name] = row.view()
            shown[wanted.name].flags.writeable = False
        return MappingProxyType(shown)

    def settle(self, close_ms: int) -> int:
        """Bring all columns up to date; the index behind this close in them, 0 if it is not known."""
        if self._unsettled is not None:
            first, self._unsettled = max(self._unsettled, self._plan.lead), None
            block = self._values[:, :, first - self._plan.lead : self._newest + 1]
            places = [self._members.get(symbol, -1) for symbol in self._results]
            results = reduce(self._plan, block, places)
            for place, row in enumerate(self._results.values()):
                row[:, first : self._newest + 1] = results[:, place]
        column = self._column(close_ms - self._timeframe.ms)
        return column + 1 if self._plan.lead <= column <= self._newest else 0

    def _about_to_begin(self, open_ms: int) -> tuple[str, ...]:
        if self._waiting_since_ms is None:
            self._waiting_since_ms = open_ms
        if open_ms >= self._waiting_since_ms + PATIENCE * self._timeframe.ms:
            return ()
        return tuple(sorted(self._not_begun))

    # Columns: one for each close

    def _column(self, open_ms: int) -> int:
        return self._newest + (open_ms - (self._newest_ms or 0)) // self._timeframe.ms

    def _change(self, column: int) -> None:
        self._unsettled = column if self._unsettled is None else min(self._unsettled, column)

    def _reach(self, open_ms: int) -> None:
        """Have columns up to the close of the candles that opened then."""
        if self._newest_ms is None:
            self._newest_ms = open_ms
        steps = (open_ms - self._newest_ms) // self._timeframe.ms
        if steps <= 0:
            return
        self._newest_ms = open_ms
        over = self._newest + steps + 1 - self._room
        if over > 0:
            self._move(over + _SPARE - 1)
        self._change(self._newest + 1)
        self._newest += steps

    def _move(self, by: int) -> None:
        """Forget the oldest closes."""
        kept = max(self._room - by, 0)
        for array in (self._values, self._arrived, *self._results.values()):
            nothing = False if array is self._arrived else np.nan
            array[..., :kept] = array[..., self._room - kept :].copy()
            array[..., kept:] = nothing
        self._newest -= by
        if self._unsettled is not None:
            self._unsettled = max(self._unsettled - by, 0)


_FLOATS = np.empty(0)
_NONE = CandleSeries(
    ts_ms=np.empty(0, np.int64), open=_FLOATS, high=_FLOATS, low=_FLOATS, close=_FLOATS, volume=_FLOATS
)
