"""The live engine: TA-Lib stream handles, opened on history and carried on one closed candle at a time.

Its values are bitwise those of the batch engine over the same candles.  One per (strategy, symbol), owned by the
worker; handles cannot be saved, so after a restart it is opened anew on history.

Rules of this file: one candle costs little more than TA-Lib's own calls; nothing is allocated that outlives it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from struct import Struct
from types import MappingProxyType
from typing import Any

import numpy as np

from livebot.core.market import Candle
from livebot.core.series import CandleSeries, Floats, Times
from livebot.errors import BadInput
from livebot.features.arithmetic import array_form
from livebot.features.declaration import COLUMNS, FEATURE_DEPTH, Feature, warmup_of
from livebot.features.plan import Stage, compute_plan, make_plan
from livebot.features.straight import Advance, Call, straighten
from livebot.features.ta_lib import InsufficientHistory, stream, talib

_SPARE = FEATURE_DEPTH // 4  # values are moved to the front once in so many candles
_ROOM = FEATURE_DEPTH + _SPARE

_inputs_of: Callable[[Candle], tuple[float, ...]] = attrgetter(*COLUMNS, "ts_ms")


class LiveFeatures:
    """The features of one (strategy, symbol), with the last FEATURE_DEPTH values of each.

    `warmup` is how many candles it needs, history included, until all values it gives have settled.  While there are
    fewer than the longest window needs, it keeps them and computes all of them again as the batch engine does.
    """

    __slots__ = (
        "_advance",
        "_plan",
        "_row_bytes",
        "_store",
        "_values",
        "_young",
        "end",
        "seen",
        "warmup",
    )

    def __init__(self, features: Sequence[Feature], history: CandleSeries) -> None:
        """Open on closed candles, oldest first, without a gap; there may be none yet.

        Raises:
            ValueError: two features have the same name, or one is made of other symbols' candles.
            BadInput: the history holds a number that is not finite.

        """
        self.warmup = warmup_of(features)
        self.seen = len(history)
        self.end = 0
        self._plan = make_plan(features)
        self._advance: Advance = _cannot
        self._young: tuple[list[Floats], Times] | None = None
        # One row per candle, so that what it gives is stored in one go.
        self._values = np.full((_ROOM, len(self._plan.names)), np.nan)
        packed = Struct(f"{len(self._plan.names)}d")
        self._row_bytes = packed.size
        self._store = partial(packed.pack_into, self._values.data.cast("B")) if packed.size else _nowhere
        arrays = [np.ascontiguousarray(getattr(history, column), np.float64) for column in COLUMNS]
        if not all(np.isfinite(array).all() for array in arrays):
            message = "the history holds a number that is not finite; fetch it again or repair the file"
            raise BadInput(message)
        self._open(arrays, history.ts_ms)

    @property
    def ready(self) -> bool:
        """Whether every value that may be asked for has settled."""
        return self.seen >= self.warmup

    @property
    def columns(self) -> Mapping[str, Floats]:
        """Recent values by feature, read only and kept up to date; the present candle's is at index `end` - 1."""
        return MappingProxyType(
            {name: _read_only(column) for name, column in zip(self._plan.names, self._values.T, strict=True)}
        )

    @property
    def present(self) -> Floats:
        """The values of the present candle in the order of the features, to be copied at once; NaN before the first."""
        row: Floats = self._values[self.end - 1]
        return row

    def update(self, candle: Candle) -> None:
        """Take the next closed candle.

        Raises:
            BadInput: a number is not finite; some features may have taken the candle, so open the engine anew.

        """
        inputs = _inputs_of(candle)
        self.seen += 1
        if self._young is not None:
            self._grow_up(inputs)
            return
        end = self._next()
        try:
            self._advance(*inputs, end * self._row_bytes)
        except Exception as error:  # TA-Lib raises nothing narrower
            message = f"features cannot be computed over {candle}: {error}"
            raise BadInput(message) from error
        self.end = end + 1

    def _next(self) -> int:
        if self.end == _ROOM:
            self._values[:FEATURE_DEPTH] = self._values[_SPARE:].copy()
            return FEATURE_DEPTH
        return self.end

    def _grow_up(self, inputs: tuple[float, ...]) -> None:
        assert self._young is not None
        *columns, open_ms = inputs
        arrays, times = self._young
        longer = [np.append(array, value) for array, value in zip(arrays, columns, strict=True)]
        self._open(longer, np.append(times, np.int64(open_ms)))

    def _open(self, columns: list[Floats], times: Times) -> None:
        """Fill the values from the whole history, and open the handles if it is long enough for all of them."""
        if not self.seen:
            # TA-Lib calls no candles at all a bad parameter if the empty array happens to have no memory
            self._young = columns, times
            return
        registers: list[Any] = [*columns, times]
        try:
            functions = [_open_stage(stage, registers) for stage in self._plan.stages]
            self._advance, self._young = straighten(self._plan, functions, self._store), None
        except InsufficientHistory:
            registers = compute_plan(self._plan, columns, times)
            self._young = columns, times
        self.end = min(self.seen, FEATURE_DEPTH)
        for column, register in zip(self._values.T, self._plan.registers, strict=True):
            column[: self.end] = registers[register][self.seen - self.end :]


def _open_stage(stage: Stage, registers: list[Any]) -> Call | None:
    """Append what the stage gives over the history to the registers; return TA-Lib's call that carries it on."""
    sources = [registers[source] for source in stage.sources]
    if stage.arithmetic:
        registers.append(array_form(stage.function, stage.parameters)(*sources))
        return None
    if any(np.isnan(source).all() for source in sources):
        raise InsufficientHistory
    try:
        handle, filled = getattr(stream, stage.function).open_and_fill(*sources, **dict(stage.parameters))
    except InsufficientHistory:
        raise
    except Exception as error:  # TA-Lib raises nothing narrower
        # Of too few values it says, as the memory behind their end may be, this or "bad parameter".
        if _shows_nothing(stage, sources):
            raise InsufficientHistory from error
        raise
    registers.extend((filled,) if stage.outputs == 1 else filled)
    carried_on: Call = handle.update
    return carried_on


def _shows_nothing(stage: Stage, sources: list[Any]) -> bool:
    """Whether the function has no value at the end of the history, because that is too short."""
    shown = getattr(talib, stage.function)(*sources, **dict(stage.parameters))
    return any(np.isnan(column[-1]) for column in ((shown,) if stage.outputs == 1 else shown))


def _cannot(*_inputs: float) -> None:
    """Before the handles are open."""
    raise AssertionError


def _nowhere(_place: int) -> None:
    """There are no values to store."""


def _read_only(row: Floats) -> Floats:
    shown = row.view()
    shown.flags.writeable = False
    return shown
