"""The functions that are not TA-Lib's: arithmetic on values and tables of times, over arrays and over one candle.

Rules of this file: both forms of a function give the same bits.  Adding, subtracting, multiplying and dividing are
rounded once by IEEE 754 wherever they are done, so Python's own numbers serve for one candle; anything else (sines) is
looked up in one table by both.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from types import MappingProxyType

import numpy as np

from livebot.core.market import DAY_MS, MINUTE_MS
from livebot.core.series import Floats, Times
from livebot.features.functions import DAY_MINUTES, FUNCTIONS, Form

Given = tuple[tuple[str, float], ...]  # a function's parameters by name

_MONDAYS_OFFSET = 3  # the first of January 1970 was a Thursday
_WEEK_DAYS = 7
_SATURDAY = 5


def array_form(function: str, parameters: Given) -> Callable[..., Floats]:
    """The function over whole arrays."""
    values = dict(parameters)
    if FUNCTIONS[function].form is Form.CALENDAR:
        return _table_of(function, parameters).over_array
    return partial(_ARRAYS[function], **values)


def number_text(
    function: str, parameters: Given, sources: Sequence[str], constants: Sequence[str]
) -> tuple[str, tuple[object, ...]]:
    """The same over one candle's numbers, as an expression of the names of its sources.

    Returns:
        The expression, and the values of those of the two `constants` that stand in it.

    """
    if FUNCTIONS[function].form is Form.CALENDAR:
        table = _table_of(function, parameters)
        text = f"{constants[0]}[({sources[0]} // {table.stretch_ms} + {table.offset}) % {len(table.numbers)}]"
        return text, (table.numbers,)
    return _NUMBERS[function].format(*sources, constant=constants[0]), tuple(float(value) for _, value in parameters)


def _difference_of_arrays(left: Floats, right: Floats) -> Floats:
    return np.subtract(left, right)


def _ratio_of_arrays(left: Floats, right: Floats) -> Floats:
    return np.divide(left, right, out=np.zeros_like(left), where=right != 0)


def _scaled_array(values: Floats, factor: float) -> Floats:
    return np.multiply(values, np.float64(factor))


_ARRAYS: Mapping[str, Callable[..., Floats]] = {
    "difference": _difference_of_arrays,
    "ratio": _ratio_of_arrays,
    "scaled": _scaled_array,
}
_NUMBERS: Mapping[str, str] = {
    "difference": "{0} - {1}",
    "ratio": "{0} / {1} if {1} != 0 else 0.0",
    "scaled": "{0} * {constant}",
}


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """What a function of the time is worth in each of a circle of equal stretches of time."""

    stretch_ms: int
    offset: int
    array: Floats
    numbers: tuple[float, ...]

    def over_array(self, open_ms: Times) -> Floats:
        return self.array[(open_ms // self.stretch_ms + self.offset) % len(self.numbers)]


@lru_cache(maxsize=256)
def _table_of(function: str, parameters: Given) -> _Table:
    values = {name: int(value) for name, value in parameters}
    if function in _BY_MINUTE:
        numbers = tuple(_BY_MINUTE[function](minute, **values) for minute in range(DAY_MINUTES))
        return _Table(MINUTE_MS, 0, np.array(numbers), numbers)
    numbers = tuple(_BY_WEEKDAY[function](day) for day in range(_WEEK_DAYS))
    return _Table(DAY_MS, _MONDAYS_OFFSET, np.array(numbers), numbers)


def _in_session(minute: int, open_minute: int, close_minute: int) -> float:
    return float((minute - open_minute) % DAY_MINUTES < (close_minute - open_minute) % DAY_MINUTES)


_BY_MINUTE: Mapping[str, Callable[..., float]] = MappingProxyType(
    {
        "hour_sine": lambda minute: math.sin(math.tau * minute / DAY_MINUTES),
        "hour_cosine": lambda minute: math.cos(math.tau * minute / DAY_MINUTES),
        "minutes_since_open": lambda minute, open_minute: float((minute - open_minute) % DAY_MINUTES),
        "in_session": _in_session,
    }
)
_BY_WEEKDAY: Mapping[str, Callable[[int], float]] = MappingProxyType(
    {
        "weekday_sine": lambda day: math.sin(math.tau * day / _WEEK_DAYS),
        "weekday_cosine": lambda day: math.cos(math.tau * day / _WEEK_DAYS),
        "weekend": lambda day: float(day >= _SATURDAY),
    }
)
