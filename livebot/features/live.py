"""The live engine: TA-Lib stream handles, opened on history and carried on one closed candle at a time.

Its values are bitwise those of the batch engine over the same candles.  One per (strategy, symbol), owned by the
worker; handles cannot be saved, so after a restart it is opened anew on history.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import Any

import numpy as np
from talib import InsufficientHistory, stream  # type: ignore[attr-defined]

from livebot.core.market import Candle
from livebot.core.series import CandleSeries, Floats
from livebot.errors import BadInput
from livebot.features.declaration import COLUMNS, FEATURE_DEPTH, Feature, warmup_of
from livebot.features.plan import ARRAY_ARITHMETIC, NUMBER_ARITHMETIC, Stage, compute_plan, make_plan

_SPARE = FEATURE_DEPTH // 4  # values are moved to the front once in so many candles
_ROOM = FEATURE_DEPTH + _SPARE

_Call = Callable[..., Any]  # arguments in, a number or a tuple of numbers out
_Step = tuple[_Call, _Call, int | slice]  # registers to arguments, the function, the registers for what it returns

_columns_of: Callable[[Candle], tuple[float, ...]] = attrgetter(*COLUMNS)


class LiveFeatures:
    """The features of one (strategy, symbol), with the last FEATURE_DEPTH values of each.

    `warmup` is how many candles it needs, history included, until all values it gives have settled.  While there are
    fewer than the longest window needs, it keeps them and computes all of them again as the batch engine does.
    """

    __slots__ = ("_numbers", "_plan", "_registers", "_steps", "_values", "_young", "end", "seen", "warmup")

    def __init__(self, features: Sequence[Feature], history: CandleSeries) -> None:
        """Open on closed candles, oldest first, without a gap; there may be none yet.

        Raises:
            ValueError: two features have the same name.
            BadInput: the history holds a number that is not finite.

        """
        self.warmup = warmup_of(features)
        self.seen = len(history)
        self.end = 0
        self._plan = make_plan(features)
        self._registers: list[Any] = [0.0] * self._plan.size
        self._steps: tuple[_Step, ...] = ()
        self._young: list[Floats] | None = None
        self._values = np.full((len(self._plan.names), _ROOM), np.nan)
        self._numbers: Any = self._values.data  # through it a number is stored several times faster
        arrays = [np.ascontiguousarray(getattr(history, column), np.float64) for column in COLUMNS]
        if not all(np.isfinite(array).all() for array in arrays):
            message = "the history holds a number that is not finite; fetch it again or repair the file"
            raise BadInput(message)
        self._open(arrays)

    @property
    def ready(self) -> bool:
        """Whether every value that may be asked for has settled."""
        return self.seen >= self.warmup

    @property
    def columns(self) -> Mapping[str, Floats]:
        """Recent values by feature, read only and kept up to date; the present candle's is at index `end` - 1."""
        return MappingProxyType(
            {name: _read_only(row) for name, row in zip(self._plan.names, self._values, strict=True)}
        )

    def update(self, candle: Candle) -> None:
        """Take the next closed candle.

        Raises:
            BadInput: a number is not finite; some features may have taken the candle, so open the engine anew.

        """
        columns = _columns_of(candle)
        self.seen += 1
        if self._young is not None:
            self._open([np.append(array, value) for array, value in zip(self._young, columns, strict=True)])
            return
        registers = self._registers
        registers[: len(columns)] = columns
        try:
            for arguments, function, place in self._steps:
                registers[place] = function(*arguments(registers))
        except Exception as error:  # TA-Lib raises nothing narrower
            message = f"features cannot be computed over {candle}: {error}"
            raise BadInput(message) from error
        end = self._next()
        for row, register in enumerate(self._plan.registers):
            self._numbers[row, end] = registers[register]
        self.end = end + 1

    def _next(self) -> int:
        if self.end == _ROOM:
            self._values[:, :FEATURE_DEPTH] = self._values[:, _SPARE:]
            return FEATURE_DEPTH
        return self.end

    def _open(self, columns: list[Floats]) -> None:
        """Fill the values from the whole history, and open the handles if it is long enough for all of them."""
        if not self.seen:
            # TA-Lib calls no candles at all a bad parameter if the empty array happens to have no memory
            self._young = columns
            return
        registers = list(columns)
        try:
            self._steps = tuple(_open_stage(stage, registers) for stage in self._plan.stages)
            self._young = None
        except InsufficientHistory:
            registers = compute_plan(self._plan, columns)
            self._young = columns
        self.end = min(self.seen, FEATURE_DEPTH)
        for row, register in zip(self._values, self._plan.registers, strict=True):
            row[: self.end] = registers[register][self.seen - self.end :]


def _open_stage(stage: Stage, registers: list[Floats]) -> _Step:
    """Append what the stage gives over the history to the registers; return how it is carried on."""
    sources = [registers[source] for source in stage.sources]
    if stage.arithmetic:
        registers.append(ARRAY_ARITHMETIC[stage.function](*sources))
        return _arguments(stage), NUMBER_ARITHMETIC[stage.function], stage.first
    if any(np.isnan(source).all() for source in sources):
        # Of a source that has no value yet TA-Lib says, as the memory behind its end may be, this or "bad parameter".
        raise InsufficientHistory
    handle, filled = getattr(stream, stage.function).open_and_fill(*sources, **dict(stage.parameters))
    if stage.outputs == 1:
        registers.append(filled)
        return _arguments(stage), handle.update, stage.first
    registers.extend(filled)
    return _arguments(stage), handle.update, slice(stage.first, stage.first + stage.outputs)


@lru_cache(maxsize=256)
def _arguments(stage: Stage) -> _Call:
    """From the registers to the function's arguments; always a sequence, also of one."""
    if len(stage.sources) == 1:
        return itemgetter(slice(stage.sources[0], stage.sources[0] + 1))
    return itemgetter(*stage.sources)


def _read_only(row: Floats) -> Floats:
    shown = row.view()
    shown.flags.writeable = False
    return shown
