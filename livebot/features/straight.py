"""A plan as one straight function of a candle's numbers, made from a text as `dataclasses` makes `__init__`.

Reading a plan stage by stage costs more than TA-Lib's own calls; a function that names its registers does not.

Rules of this file: the text is made of numbers of registers and of nothing that comes from outside; arithmetic in it is
`arithmetic.number_text`, which gives the bits of the arrays.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from livebot.features.arithmetic import number_text
from livebot.features.functions import COLUMNS
from livebot.features.plan import Plan, Stage

Call = Callable[..., Any]
Advance = Callable[..., None]  # takes a candle's columns and opening time, then the place in bytes of the values

_INPUTS = len(COLUMNS) + 1


def straighten(plan: Plan, functions: Sequence[Call | None], store: Call) -> Advance:
    """The function of one candle: calls `functions` (None where a stage is arithmetic), then `store(place, *values)`."""
    made: Advance = _maker_of(plan)(functions, store)
    return made


@lru_cache(maxsize=64)
def _maker_of(plan: Plan) -> Callable[[Sequence[Call | None], Call], Advance]:
    names: dict[str, Any] = {}
    lines = [line for number, stage in enumerate(plan.stages) for line in _lines(number, stage, names)]
    called = [number for number, stage in enumerate(plan.stages) if not stage.arithmetic]
    bound = "".join(f"    call_{number} = functions[{number}]\n" for number in called)
    inputs = ", ".join(f"r{register}" for register in range(_INPUTS))
    values = "".join(f", r{register}" for register in plan.registers)
    body = "".join(f"        {line}\n" for line in (*lines, f"store(place{values})"))
    text = f"def make(functions, store):\n{bound}    def advance({inputs}, place):\n{body}    return advance\n"
    exec(text, names)  # noqa: S102 - see above
    maker: Callable[[Sequence[Call | None], Call], Advance] = names["make"]
    return maker


def _lines(number: int, stage: Stage, names: dict[str, Any]) -> list[str]:
    sources = [f"r{register}" for register in stage.sources]
    results = ", ".join(f"r{stage.first + output}" for output in range(stage.outputs))
    if not stage.arithmetic:
        return [f"{results} = call_{number}({', '.join(sources)})"]
    constants = [f"known_{number}_{place}" for place in range(2)]
    text, values = number_text(stage.function, stage.parameters, sources, constants)
    names.update(zip(constants, values, strict=False))
    return [f"{results} = {text}"]
