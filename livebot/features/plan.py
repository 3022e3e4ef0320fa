"""The order in which a set of features is computed; both engines follow the same plan.

A plan works on registers: the first five are the candle's columns, the sixth its opening time, then each stage appends
its outputs.  What two features share (a MACD line and its signal, the mean inside a z-score) is one stage.

Rules of this file: features made of other symbols' candles have no place in a plan; `context` computes those.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from livebot.core.series import Floats, Times
from livebot.features.arithmetic import array_form
from livebot.features.declaration import Feature
from livebot.features.functions import COLUMNS, FUNCTIONS, OPEN_TIME, Form
from livebot.features.ta_lib import talib

_INPUTS = (*COLUMNS, OPEN_TIME)


@dataclass(frozen=True, slots=True)
class Stage:
    """One function call: it reads the registers `sources` and appends `outputs` registers from `first` on."""

    function: str
    parameters: tuple[tuple[str, float], ...]
    sources: tuple[int, ...]
    first: int
    outputs: int

    @property
    def arithmetic(self) -> bool:
        """Whether it is `arithmetic`'s rather than TA-Lib's."""
        return FUNCTIONS[self.function].form is not Form.TALIB


@dataclass(frozen=True, slots=True)
class Plan:
    """Stages in order, names and registers of the features as declared, and how many registers there are."""

    names: tuple[str, ...]
    registers: tuple[int, ...]
    stages: tuple[Stage, ...]
    size: int


def make_plan(features: Sequence[Feature]) -> Plan:
    """The plan of these features; all who ask for the same ones share it.

    Raises:
        ValueError: two features have the same name, or one is made of other symbols' candles.

    """
    return _plan_of(tuple(features))


@lru_cache(maxsize=64)
def _plan_of(features: tuple[Feature, ...]) -> Plan:
    names = tuple(feature.name for feature in features)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"more than one feature is called {', '.join(map(repr, twice))}; each needs its own name"
        raise ValueError(message)
    foreign = [feature.name for feature in features if feature.looks_at_others]
    if foreign:
        message = (
            f"{', '.join(map(repr, foreign))}: made of other symbols' candles; livebot.features.context computes it"
        )
        raise ValueError(message)
    stages: dict[tuple[object, ...], Stage] = {}
    registers = tuple(_register(feature, stages) for feature in features)
    return Plan(names, registers, tuple(stages.values()), _size(stages))


def _register(source: str | Feature, stages: dict[tuple[object, ...], Stage]) -> int:
    """Where the source will stand, having added the stages it needs."""
    if isinstance(source, str):
        return _INPUTS.index(source)
    sources = tuple(_register(inner, stages) for inner in source.sources)
    outputs = FUNCTIONS[source.function].outputs
    key = (source.function, source.parameters, sources)
    if key not in stages:
        stages[key] = Stage(source.function, source.parameters, sources, _size(stages), len(outputs))
    return stages[key].first + outputs.index(source.output)


def _size(stages: dict[tuple[object, ...], Stage]) -> int:
    return len(_INPUTS) + sum(stage.outputs for stage in stages.values())


def compute_plan(plan: Plan, columns: Sequence[Floats], open_ms: Times | None = None) -> list[Floats]:
    """All registers over whole columns (contiguous, of one length), by TA-Lib's function API and numpy.

    `open_ms` are the opening times of the candles; plans without calendar functions do without them.
    """
    registers: list[Any] = [*columns, open_ms]
    for stage in plan.stages:
        sources = [registers[source] for source in stage.sources]
        if stage.arithmetic:
            registers.append(array_form(stage.function, stage.parameters)(*sources))
            continue
        result = getattr(talib, stage.function)(*sources, **dict(stage.parameters))
        registers.extend(result if isinstance(result, tuple) else (result,))
    return registers
